//! Values that were read and checked, one behind the other: what an array or a map holds
//! follows it. So no byte is looked at twice, whoever goes through them.

use crate::DecodeError;
use crate::binary::{REMOVED, Token, deeper, encode_name, read_map_name, read_token};
use crate::reader::Reader;

/// A value, or what stands between values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node<'a> {
    Value(Token<'a, Size, Size>),
    /// Before each value of a map.
    Name(&'a str),
    /// In place of the value of a field that an update removes.
    Removed,
}

/// How large an array or a map is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// How many values it holds, without those within them.
    pub(crate) count: u32,
    /// How many nodes follow that belong to it.
    pub(crate) nodes: u32,
}

impl Size {
    fn of(count: usize) -> Self {
        Self { count: bounded(count), nodes: 0 }
    }
}

/// A record has [`VALUES_MAX`](crate::limits::VALUES_MAX) values, and at most a name for each.
fn bounded(count: usize) -> u32 {
    u32::try_from(count).expect("records are limited")
}

impl<'a> Node<'a> {
    /// Reads a value within `depth` arrays and maps, checks it as
    /// [`read_value`](crate::binary::read_value) does, and adds it to `nodes`.
    pub(crate) fn read(
        reader: &mut Reader<'a>,
        depth: usize,
        nodes: &mut Vec<Self>,
    ) -> Result<(), DecodeError> {
        let token = read_token(reader)?.map(Size::of, Size::of);
        let start = nodes.len();
        nodes.push(Self::Value(token));
        let (Token::Array(Size { count, .. }) | Token::Map(Size { count, .. })) = token else {
            return Ok(());
        };
        let (depth, named) = (deeper(depth)?, matches!(token, Token::Map(_)));
        let mut previous = None;
        for _ in 0..count {
            if named {
                nodes.push(Self::Name(read_map_name(reader, &mut previous)?));
            }
            Self::read(reader, depth, nodes)?;
        }
        let follow = bounded(nodes.len() - start - 1);
        if let Self::Value(Token::Array(size) | Token::Map(size)) = &mut nodes[start] {
            size.nodes = follow;
        }
        Ok(())
    }

    /// What the value begins with, if it is one.
    pub(crate) const fn token(&self) -> Option<Token<'a, Size, Size>> {
        match self {
            Self::Value(token) => Some(*token),
            Self::Name(_) | Self::Removed => None,
        }
    }

    /// Appends the bytes of which nodes were read.
    pub(crate) fn encode_all(nodes: &[Self], out: &mut Vec<u8>) {
        let count = |size: Size| size.count as usize;
        for node in nodes {
            match node {
                Self::Value(token) => token.map(count, count).encode(out),
                Self::Name(name) => encode_name(name, out),
                Self::Removed => out.push(REMOVED),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Value, binary};

    #[test]
    fn a_value_knows_what_belongs_to_it() {
        let inner = Value::Array(vec![Value::Null, Value::Bool(true), Value::Array(vec![])]);
        let value = Value::Array(vec![Value::Int(1), inner, Value::from("x")]);
        let mut bytes = Vec::new();
        binary::encode_value(&value, &mut bytes);
        let (mut reader, mut nodes) = (Reader::new(&bytes), vec![Node::Removed]);
        Node::read(&mut reader, 0, &mut nodes).unwrap();
        reader.finish().unwrap();
        let sizes: Vec<_> = nodes
            .iter()
            .map(|node| match node {
                Node::Value(Token::Array(size)) => (size.count, size.nodes),
                _ => (0, 0),
            })
            .collect();
        assert_eq!(sizes, [(0, 0), (3, 6), (0, 0), (3, 3), (0, 0), (0, 0), (0, 0), (0, 0)]);
        let mut again = Vec::new();
        Node::encode_all(&nodes[1..], &mut again);
        assert_eq!(again, bytes);
    }
}
