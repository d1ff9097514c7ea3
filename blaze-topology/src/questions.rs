//! Who receives what, over how many hops, and what depends on whom.

use std::collections::{BTreeMap, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graphmap::{DiGraphMap, UnGraphMap};

use crate::flows::Flows;
use crate::{Link, NodeKey, Topology};

/// Questions about how data flows. A key of no node gets the empty answer.
impl Topology {
    /// Who receives what `writer` writes, and over how many hops, nearest first.
    ///
    /// The writer itself is not among them. Nodes at the same distance are in
    /// the order in which they were added.
    pub fn receivers(&self, writer: NodeKey) -> Vec<(NodeKey, usize)> {
        let mut receivers: Vec<_> = Spread::from(writer, &self.flows())
            .hops()
            .filter(|&(node, _)| node != writer)
            .collect();
        receivers.sort_unstable_by_key(|&(node, hops)| (hops, node));
        receivers
    }

    /// Over how many hops what `writer` writes reaches `reader`; `None` if it
    /// doesn't. A node reaches itself over 0 hops.
    pub fn reaches(&self, writer: NodeKey, reader: NodeKey) -> Option<usize> {
        self.path(writer, reader).map(|path| path.len() - 1)
    }

    /// A shortest way that data takes from `writer` to `reader`, both included;
    /// `None` if there is none.
    pub fn path(&self, writer: NodeKey, reader: NodeKey) -> Option<Vec<NodeKey>> {
        Spread::from(writer, &self.flows()).path_to(reader)
    }

    /// The nodes without a link, in the order in which they were added.
    pub fn isolated(&self) -> Vec<NodeKey> {
        let graph = self.undirected();
        graph.nodes().filter(|&node| graph.neighbors(node).next().is_none()).collect()
    }

    /// The nodes that links join, whatever their modes: groups that never
    /// exchange anything with each other. One group if all is well.
    pub fn groups(&self) -> Vec<Vec<NodeKey>> {
        let graph = self.undirected();
        let mut groups: Vec<Vec<_>> = kosaraju_scc(&graph);
        for group in &mut groups {
            group.sort_unstable();
        }
        groups.sort_unstable();
        groups
    }

    /// Whether every node's writes reach every other node. True without nodes.
    pub fn all_reach_all(&self) -> bool {
        kosaraju_scc(&self.flows()).len() <= 1
    }

    /// The nodes without which some write no longer gets from one of the others
    /// to another: each is a single point of failure.
    pub fn cut_nodes(&self) -> Vec<NodeKey> {
        Flows::of(self).cut_nodes().collect()
    }

    /// The links without which some write no longer reaches a node that it
    /// reached. In a tree, that is each of them.
    pub fn cut_links(&self) -> Vec<Link> {
        let flows = Flows::of(self);
        let is_cut = |link: &Link| {
            let cuts = |sender| {
                link.carries_from(sender) && flows.needs_direct_flow(sender, link.other(sender))
            };
            cuts(link.from) || cuts(link.to)
        };
        self.links().filter(is_cut).collect()
    }

    /// Who sends to whom directly.
    fn flows(&self) -> DiGraphMap<NodeKey, ()> {
        let mut flows = DiGraphMap::new();
        for node in self.nodes() {
            flows.add_node(node.key());
        }
        for link in self.links() {
            for sender in [link.from, link.to] {
                if link.carries_from(sender) {
                    flows.add_edge(sender, link.other(sender), ());
                }
            }
        }
        flows
    }

    /// Who is linked to whom.
    pub(crate) fn undirected(&self) -> UnGraphMap<NodeKey, ()> {
        let mut graph = UnGraphMap::new();
        for node in self.nodes() {
            graph.add_node(node.key());
        }
        for link in self.links() {
            graph.add_edge(link.from, link.to, ());
        }
        graph
    }
}

/// How a write spreads: each node that it reaches, with the hops and the node
/// that it came from.
struct Spread {
    reached: BTreeMap<NodeKey, (usize, NodeKey)>,
}

impl Spread {
    /// Spreads breadth-first, so that every node is reached over the fewest hops.
    fn from(writer: NodeKey, flows: &DiGraphMap<NodeKey, ()>) -> Self {
        let mut reached = BTreeMap::new();
        if !flows.contains_node(writer) {
            return Self { reached };
        }
        reached.insert(writer, (0, writer));
        let mut queue = VecDeque::from([(writer, 0)]);
        while let Some((sender, hops)) = queue.pop_front() {
            for receiver in flows.neighbors(sender) {
                if reached.contains_key(&receiver) {
                    continue;
                }
                reached.insert(receiver, (hops + 1, sender));
                queue.push_back((receiver, hops + 1));
            }
        }
        Self { reached }
    }

    fn hops(&self) -> impl Iterator<Item = (NodeKey, usize)> {
        self.reached.iter().map(|(&node, &(hops, _))| (node, hops))
    }

    fn path_to(&self, reader: NodeKey) -> Option<Vec<NodeKey>> {
        let mut path = vec![reader];
        let mut node = reader;
        loop {
            let &(hops, sender) = self.reached.get(&node)?;
            if hops == 0 {
                path.reverse();
                return Some(path);
            }
            path.push(sender);
            node = sender;
        }
    }
}
