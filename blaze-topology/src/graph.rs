//! The graph itself: nodes, links, and the rules that every change keeps.

use std::collections::BTreeMap;
use std::fmt;

use blaze_codec::{Mode, Role};
use petgraph::graphmap::DiGraphMap;

use crate::TopologyError;

/// Names a node of one [`Topology`]. Never used again after the node is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey(u64);

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node #{}", self.0)
    }
}

/// One replica: a database and the app that owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    key: NodeKey,
    name: String,
    role: Role,
}

impl Node {
    /// The longest name, in characters.
    pub const NAME_CHARS_MAX: usize = 64;

    /// The key by which the topology knows it.
    pub const fn key(&self) -> NodeKey {
        self.key
    }

    /// Its name, unique in the topology: 1 to 64 printable characters.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its writes have priority.
    pub const fn role(&self) -> Role {
        self.role
    }
}

/// Two nodes that sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link {
    /// The side that connects.
    pub from: NodeKey,
    /// The side that accepts.
    pub to: NodeKey,
    /// What flows, seen from the side that connects.
    pub mode: Mode,
}

impl Link {
    /// Whether data flows over this link from `sender` to the other side.
    pub fn carries_from(self, sender: NodeKey) -> bool {
        sender == self.from && self.mode.connector_sends()
            || sender == self.to && self.mode.acceptor_sends()
    }

    /// The side that isn't `node`.
    pub(crate) fn other(self, node: NodeKey) -> NodeKey {
        if node == self.from { self.to } else { self.from }
    }
}

/// Nodes and the links between them.
///
/// Node names are unique, no node is linked to itself, and two nodes share at
/// most one link, whichever of them connects. Nodes are kept in the order in
/// which they were added, and everything that a topology answers or draws is
/// the same for the same nodes and links.
#[derive(Debug, Clone, Default)]
pub struct Topology {
    nodes: BTreeMap<NodeKey, Node>,
    keys_by_name: BTreeMap<String, NodeKey>,
    links: DiGraphMap<NodeKey, Mode>,
    next_key: u64,
}

impl Topology {
    /// A topology without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node.
    ///
    /// # Errors
    ///
    /// [`TopologyError`] if `name` is not 1 to [`Node::NAME_CHARS_MAX`]
    /// printable characters, or another node has it.
    pub fn add_node(
        &mut self,
        name: impl Into<String>,
        role: Role,
    ) -> Result<NodeKey, TopologyError> {
        let name = name.into();
        check_name(&name)?;
        if self.keys_by_name.contains_key(&name) {
            return Err(TopologyError::NameTaken { name });
        }
        let key = NodeKey(self.next_key);
        self.next_key += 1;
        self.keys_by_name.insert(name.clone(), key);
        self.nodes.insert(key, Node { key, name, role });
        self.links.add_node(key);
        Ok(key)
    }

    /// Links two nodes: `from` connects, `to` accepts.
    ///
    /// # Errors
    ///
    /// [`TopologyError`] if a node is unknown, both are the same, or they are
    /// linked already in either direction.
    pub fn add_link(
        &mut self,
        from: NodeKey,
        to: NodeKey,
        mode: Mode,
    ) -> Result<(), TopologyError> {
        let (from_name, _) = (self.known(from)?.name(), self.known(to)?);
        if from == to {
            return Err(TopologyError::SelfLink { name: from_name.to_owned() });
        }
        if let Some(link) = self.link_between(from, to) {
            return Err(TopologyError::LinkExists {
                from: self.known(link.from)?.name.clone(),
                to: self.known(link.to)?.name.clone(),
                mode: link.mode,
            });
        }
        self.links.add_edge(from, to, mode);
        Ok(())
    }

    /// Links two nodes by their names: `from` connects, `to` accepts.
    ///
    /// # Errors
    ///
    /// As [`Self::add_link`], and [`TopologyError::UnknownName`].
    pub fn link_by_name(&mut self, from: &str, to: &str, mode: Mode) -> Result<(), TopologyError> {
        let find = |name: &str| {
            self.find(name).ok_or_else(|| TopologyError::UnknownName { name: name.to_owned() })
        };
        let (from, to) = (find(from)?, find(to)?);
        self.add_link(from, to, mode)
    }

    /// Changes a node's role.
    ///
    /// # Errors
    ///
    /// [`TopologyError::UnknownNode`].
    pub fn set_role(&mut self, key: NodeKey, role: Role) -> Result<(), TopologyError> {
        self.nodes.get_mut(&key).ok_or(TopologyError::UnknownNode { key })?.role = role;
        Ok(())
    }

    /// Removes a node and all of its links.
    ///
    /// # Errors
    ///
    /// [`TopologyError::UnknownNode`].
    pub fn remove_node(&mut self, key: NodeKey) -> Result<Node, TopologyError> {
        let node = self.nodes.remove(&key).ok_or(TopologyError::UnknownNode { key })?;
        self.keys_by_name.remove(&node.name);
        self.links.remove_node(key);
        Ok(node)
    }

    /// Removes the link between two nodes, whichever of them connects.
    ///
    /// # Errors
    ///
    /// [`TopologyError`] if a node is unknown or they are not linked.
    pub fn remove_link(&mut self, a: NodeKey, b: NodeKey) -> Result<Link, TopologyError> {
        let (a_name, b_name) = (self.known(a)?.name(), self.known(b)?.name());
        let Some(link) = self.link_between(a, b) else {
            return Err(TopologyError::NoLink { a: a_name.to_owned(), b: b_name.to_owned() });
        };
        self.links.remove_edge(link.from, link.to);
        Ok(link)
    }

    /// The node with this key.
    pub fn node(&self, key: NodeKey) -> Option<&Node> {
        self.nodes.get(&key)
    }

    /// The key of the node with this name.
    pub fn find(&self, name: &str) -> Option<NodeKey> {
        self.keys_by_name.get(name).copied()
    }

    /// All nodes, in the order in which they were added.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.nodes.values()
    }

    /// All links, in the order of their connecting, then of their accepting nodes.
    pub fn links(&self) -> impl ExactSizeIterator<Item = Link> {
        let mut links: Vec<_> =
            self.links.all_edges().map(|(from, to, &mode)| Link { from, to, mode }).collect();
        links.sort_unstable_by_key(|link| (link.from, link.to));
        links.into_iter()
    }

    /// The link between two nodes, whichever of them connects.
    pub fn link_between(&self, a: NodeKey, b: NodeKey) -> Option<Link> {
        let link = |from, to| self.links.edge_weight(from, to).map(|&mode| Link { from, to, mode });
        link(a, b).or_else(|| link(b, a))
    }

    fn known(&self, key: NodeKey) -> Result<&Node, TopologyError> {
        self.nodes.get(&key).ok_or(TopologyError::UnknownNode { key })
    }
}

fn check_name(name: &str) -> Result<(), TopologyError> {
    if name.is_empty() {
        return Err(TopologyError::EmptyName);
    }
    let found = name.chars().count();
    if found > Node::NAME_CHARS_MAX {
        let name = name.to_owned();
        return Err(TopologyError::NameTooLong { name, found, max: Node::NAME_CHARS_MAX });
    }
    if let Some(character) = name.chars().find(|&character| !is_printable(character)) {
        return Err(TopologyError::UnprintableName { name: name.to_owned(), character });
    }
    Ok(())
}

/// The standard library knows what can be printed, but tells it only by what
/// `escape_debug` leaves as it is. A letter comes first, because a combining
/// mark would be escaped where it has nothing to combine with.
fn is_printable(character: char) -> bool {
    let shown = || String::from_iter(['x', character]).escape_debug().nth(1);
    matches!(character, '"' | '\'' | '\\') || shown() == Some(character)
}
