//! Pictures for a terminal.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use blaze_codec::Role;

use crate::{Link, NodeKey, Topology};

impl Topology {
    /// A tree of nodes for a terminal; each of its lines ends with a line break.
    ///
    /// `↔` is a link both ways, `→` one that carries data away from the node
    /// above, `←` one towards it. Each group of linked nodes is a tree that
    /// starts at its first server, or else at its first node. Links that don't
    /// fit into a tree follow as `also`.
    ///
    /// ```
    /// # use blaze_topology::Topology;
    /// # fn main() -> Result<(), blaze_topology::TopologyError> {
    /// assert_eq!(Topology::mesh(["a", "b", "c"])?.to_text(), "\
    /// a (client)
    /// ├─↔ b (client)
    /// └─↔ c (client)
    /// also: b ↔ c
    /// ");
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut drawn = BTreeSet::new();
        for group in self.groups() {
            let is_server = |key: &NodeKey| self.role(*key) == Role::Server;
            let root = group.iter().copied().find(is_server).unwrap_or(group[0]);
            let children = self.spanning_tree(root);
            self.draw_tree(root, &children, &mut text);
            let pairs = children.iter().flat_map(|(&parent, children)| {
                children.iter().map(move |&child| (parent.min(child), parent.max(child)))
            });
            drawn.extend(pairs);
        }
        for link in self.links() {
            let pair = (link.from.min(link.to), link.from.max(link.to));
            if !drawn.contains(&pair) {
                let (a, b) = (self.name(pair.0), self.name(pair.1));
                writeln!(text, "also: {a} {} {b}", arrow(link, pair.0))
                    .expect("a string takes all text");
            }
        }
        text
    }

    /// Draws the tree below `root`. The stack is explicit, because a long chain
    /// would overflow that of the thread.
    fn draw_tree(
        &self,
        root: NodeKey,
        children: &BTreeMap<NodeKey, Vec<NodeKey>>,
        text: &mut String,
    ) {
        let mut pending = vec![(root, String::new(), String::new())];
        while let Some((node, lead, indent)) = pending.pop() {
            writeln!(text, "{lead}{} ({})", self.name(node), self.role(node))
                .expect("a string takes all text");
            // The last child is pushed first, so that it's drawn last.
            for (index, &child) in children.get(&node).into_iter().flatten().rev().enumerate() {
                let (branch, below) =
                    if index == 0 { ("└─", "    ") } else { ("├─", "│   ") };
                let arrow = self.link_between(node, child).map_or("", |link| arrow(link, node));
                let lead = format!("{indent}{branch}{arrow} ");
                pending.push((child, lead, format!("{indent}{below}")));
            }
        }
    }

    /// The children of each node in a tree of the fewest hops below `root`.
    fn spanning_tree(&self, root: NodeKey) -> BTreeMap<NodeKey, Vec<NodeKey>> {
        let graph = self.undirected();
        let mut children = BTreeMap::<_, Vec<_>>::new();
        let mut seen = BTreeSet::from([root]);
        let mut queue = VecDeque::from([root]);
        while let Some(parent) = queue.pop_front() {
            let neighbours: BTreeSet<_> = graph.neighbors(parent).collect();
            for child in neighbours {
                if seen.insert(child) {
                    children.entry(parent).or_default().push(child);
                    queue.push_back(child);
                }
            }
        }
        children
    }

    fn name(&self, key: NodeKey) -> &str {
        self.node(key).map_or("", crate::Node::name)
    }

    fn role(&self, key: NodeKey) -> Role {
        self.node(key).map(crate::Node::role).unwrap_or_default()
    }
}

/// How data flows over a link whose left or upper end is `first`.
fn arrow(link: Link, first: NodeKey) -> &'static str {
    match (link.carries_from(first), link.carries_from(link.other(first))) {
        (true, true) => "↔",
        (true, false) => "→",
        _ => "←",
    }
}
