//! Who sends to whom as rows of bits, for questions about each node and each link.
//!
//! In a mesh there are as many ways around a node as there are nodes, and a
//! question for each of them; whole words of bits keep that cheap.

use crate::{NodeKey, Topology};

/// Who sends to whom directly. Nodes are numbered in the order of their keys.
pub(crate) struct Flows {
    keys: Vec<NodeKey>,
    /// The direct receivers of each node.
    receivers: Vec<NodeSet>,
}

impl Flows {
    pub(crate) fn of(topology: &Topology) -> Self {
        let keys: Vec<_> = topology.nodes().map(crate::Node::key).collect();
        let mut receivers = vec![NodeSet::none_of(keys.len()); keys.len()];
        for link in topology.links() {
            let numbers =
                keys.binary_search(&link.from).ok().zip(keys.binary_search(&link.to).ok());
            let Some((from, to)) = numbers else { continue };
            if link.carries_from(link.from) {
                receivers[from].insert(to);
            }
            if link.carries_from(link.to) {
                receivers[to].insert(from);
            }
        }
        Self { keys, receivers }
    }

    /// The nodes that send to nobody, in the order of their keys.
    pub(crate) fn silent(&self) -> impl Iterator<Item = NodeKey> {
        self.numbered().filter(|&(node, _)| self.receivers[node].is_empty()).map(|(_, key)| key)
    }

    /// The nodes without which a write no longer gets from one of the others to
    /// another, in the order of their keys.
    pub(crate) fn cut_nodes(&self) -> impl Iterator<Item = NodeKey> {
        self.numbered().filter(|&(node, _)| self.is_cut_node(node)).map(|(_, key)| key)
    }

    /// Whether what `sender` writes reaches `receiver` only over the flow from
    /// the one to the other, if at all.
    pub(crate) fn needs_direct_flow(&self, sender: NodeKey, receiver: NodeKey) -> bool {
        let number = |key| self.keys.binary_search(&key).ok();
        let Some((sender, receiver)) = number(sender).zip(number(receiver)) else { return false };
        let mut first = self.receivers[sender].clone();
        first.remove(receiver);
        let mut target = NodeSet::none_of(self.keys.len());
        target.insert(receiver);
        let mut closed = NodeSet::none_of(self.keys.len());
        closed.insert(sender);
        !self.spreads_to_all(first, closed, &target)
    }

    /// A way that leads through a node enters it at a sender and leaves it at a
    /// receiver, so it's enough to look for a way around between those.
    fn is_cut_node(&self, node: usize) -> bool {
        let targets = &self.receivers[node];
        let mut senders = (0..self.keys.len()).filter(|&it| self.receivers[it].contains(node));
        senders.any(|sender| {
            let mut closed = NodeSet::none_of(self.keys.len());
            closed.insert(sender);
            closed.insert(node);
            let mut first = self.receivers[sender].clone();
            first.remove(node);
            !self.spreads_to_all(first, closed, targets)
        })
    }

    /// Whether all `targets` are `closed` or reached from the nodes of `first`
    /// by ways that enter no `closed` node. Stops as soon as that is certain.
    fn spreads_to_all(&self, first: NodeSet, closed: NodeSet, targets: &NodeSet) -> bool {
        let mut seen = closed;
        seen.insert_all(&first);
        let mut pending = first;
        while !seen.contains_all(targets) {
            let Some(node) = pending.pop() else { return false };
            for (index, row) in self.receivers[node].words.iter().enumerate() {
                let fresh = row & !seen.words[index];
                seen.words[index] |= fresh;
                pending.words[index] |= fresh;
            }
        }
        true
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, NodeKey)> {
        self.keys.iter().copied().enumerate()
    }
}

/// Numbers of nodes, one bit each.
#[derive(Clone)]
struct NodeSet {
    words: Vec<u64>,
}

impl NodeSet {
    /// The empty set, with room for the numbers below `nodes`.
    fn none_of(nodes: usize) -> Self {
        Self { words: vec![0; nodes.div_ceil(64)] }
    }

    fn insert(&mut self, node: usize) {
        self.words[node / 64] |= 1 << (node % 64);
    }

    fn insert_all(&mut self, others: &Self) {
        for (word, other) in self.words.iter_mut().zip(&others.words) {
            *word |= other;
        }
    }

    fn remove(&mut self, node: usize) {
        self.words[node / 64] &= !(1 << (node % 64));
    }

    /// Takes the lowest number out.
    fn pop(&mut self) -> Option<usize> {
        let index = self.words.iter().position(|&word| word != 0)?;
        let node = index * 64 + self.words[index].trailing_zeros() as usize;
        self.remove(node);
        Some(node)
    }

    fn contains(&self, node: usize) -> bool {
        self.words[node / 64] & (1 << (node % 64)) != 0
    }

    fn contains_all(&self, others: &Self) -> bool {
        self.words.iter().zip(&others.words).all(|(word, other)| other & !word == 0)
    }

    fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }
}
