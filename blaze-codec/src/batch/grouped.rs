//! Which of a batch's operations have a shape or a node in common.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::shape::ShapeRef;
use crate::{NodeId, Operation, Version};

/// So many entries are looked through one by one; more are hashed.
const FEW: usize = 16;

/// The shapes and nodes of a batch in the order of their first use, and which of them
/// each operation has.
#[derive(Debug, Default)]
pub(super) struct Grouped {
    /// The first operation of each shape.
    shapes: Vec<u32>,
    nodes: Vec<NodeId>,
    of: Vec<u32>,
    nodes_of: Vec<u32>,
    base_nodes_of: Vec<u32>,
    /// The shapes and the nodes by their hashes, once they are more than [`FEW`].
    shape_table: HashTable<u32>,
    node_table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Grouped {
    /// Groups other operations.
    pub(super) fn fill(&mut self, operations: &[Operation]) {
        self.shapes.clear();
        self.nodes.clear();
        self.of.clear();
        self.nodes_of.clear();
        self.base_nodes_of.clear();
        self.shape_table.clear();
        self.node_table.clear();
        let (mut shape, mut node, mut base_node) = (0, 0, 0);
        for (at, operation) in operations.iter().enumerate() {
            shape = self.shape(at, operations, shape);
            self.of.push(shape);
            node = self.node(operation.version.node, node);
            self.nodes_of.push(node);
            if operation.base != Version::ZERO {
                base_node = self.node(operation.base.node, base_node);
                self.base_nodes_of.push(base_node);
            }
        }
    }

    /// The shape of an operation, which is often that of the one before.
    fn shape(&mut self, at: usize, operations: &[Operation], last: u32) -> u32 {
        let shape = ShapeRef::of(&operations[at]);
        let of = |first: &u32| ShapeRef::of(&operations[*first as usize]);
        if self.shapes.get(last as usize).is_some_and(|first| of(first) == shape) {
            return last;
        }
        let Self { shapes, shape_table, hasher, .. } = self;
        let hash = |number: &u32| hasher.hash_one(of(&shapes[*number as usize]));
        let found = find(
            shapes.len(),
            shape_table,
            hash,
            || hasher.hash_one(shape),
            |number| of(&shapes[number as usize]) == shape,
        );
        if found as usize == shapes.len() {
            shapes.push(u32::try_from(at).expect("memory holds fewer operations"));
        }
        found
    }

    fn node(&mut self, node: NodeId, last: u32) -> u32 {
        if self.nodes.get(last as usize) == Some(&node) {
            return last;
        }
        let Self { nodes, node_table, hasher, .. } = self;
        let hash = |number: &u32| hasher.hash_one(nodes[*number as usize]);
        let found = find(
            nodes.len(),
            node_table,
            hash,
            || hasher.hash_one(node),
            |number| nodes[number as usize] == node,
        );
        if found as usize == nodes.len() {
            nodes.push(node);
        }
        found
    }

    /// The first operation of each shape.
    pub(super) fn shapes(&self) -> &[u32] {
        &self.shapes
    }

    pub(super) fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// The shape of each operation.
    pub(super) fn of(&self) -> &[u32] {
        &self.of
    }

    /// The operations of each shape.
    pub(super) fn by_shape<'o>(&self, operations: &'o [Operation]) -> Vec<Vec<&'o Operation>> {
        let mut rows = vec![Vec::new(); self.shapes.len()];
        for (operation, shape) in operations.iter().zip(&self.of) {
            rows[*shape as usize].push(operation);
        }
        rows
    }

    /// The node of each version.
    pub(super) fn nodes_of(&self) -> &[u32] {
        &self.nodes_of
    }

    /// The node of each base that isn't zero.
    pub(super) fn base_nodes_of(&self) -> &[u32] {
        &self.base_nodes_of
    }
}

/// The number of an entry among so many; if it is none of them, the next number.
pub(super) fn find(
    count: usize,
    table: &mut HashTable<u32>,
    hash: impl Fn(&u32) -> u64,
    wanted: impl Fn() -> u64,
    is: impl Fn(u32) -> bool,
) -> u32 {
    let next = u32::try_from(count).expect("memory holds fewer operations");
    if count <= FEW {
        if let Some(number) = (0..next).find(|number| is(*number)) {
            return number;
        }
        if count == FEW {
            (0..next).for_each(|number| {
                table.insert_unique(hash(&number), number, &hash);
            });
        }
    }
    if count < FEW {
        return next;
    }
    *table.entry(wanted(), |number| is(*number), hash).or_insert(next).get()
}
