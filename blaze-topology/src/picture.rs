//! Pictures of a topology; arrows follow the data.

mod dot;
mod mermaid;
mod text;

use std::collections::BTreeMap;

use crate::{Link, Node, NodeKey, Topology};

/// Numbers the nodes in the order in which they were added: a name is never an
/// identifier in a picture, so it can't clash with the picture's syntax.
fn ids(topology: &Topology) -> BTreeMap<NodeKey, usize> {
    topology.nodes().map(Node::key).zip(0..).collect()
}

/// The ends of a link, a sending side first.
fn along_flow(link: Link) -> (NodeKey, NodeKey) {
    if link.carries_from(link.from) { (link.from, link.to) } else { (link.to, link.from) }
}
