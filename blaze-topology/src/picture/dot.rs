//! Pictures for Graphviz.

use std::fmt::Write as _;

use blaze_codec::{Mode, Role};

use super::{along_flow, ids};
use crate::Topology;

impl Topology {
    /// A directed graph in the DOT language of Graphviz.
    ///
    /// Servers are boxes, clients are ellipses. Arrows follow the data; a link
    /// that carries it one way only is labelled with its mode.
    ///
    /// ```
    /// # use blaze_topology::Topology;
    /// # fn main() -> Result<(), blaze_topology::TopologyError> {
    /// assert_eq!(Topology::broadcast("news", ["reader"])?.to_dot(), r#"digraph topology {
    ///   n0 [label="news", shape=box];
    ///   n1 [label="reader", shape=ellipse];
    ///   n0 -> n1 [label="read-only"];
    /// }
    /// "#);
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_dot(&self) -> String {
        let ids = ids(self);
        let mut dot = String::from("digraph topology {\n");
        for (node, id) in self.nodes().zip(ids.values()) {
            let shape = match node.role() {
                Role::Server => "box",
                Role::Client => "ellipse",
            };
            writeln!(dot, "  n{id} [label={}, shape={shape}];", quoted(node.name()))
                .expect("a string takes all text");
        }
        for link in self.links() {
            let (sender, receiver) = along_flow(link);
            let attributes = match link.mode {
                Mode::Bidirectional => "dir=both".to_owned(),
                Mode::ReadOnly | Mode::WriteOnly => format!("label=\"{}\"", link.mode),
            };
            writeln!(dot, "  n{} -> n{} [{attributes}];", ids[&sender], ids[&receiver])
                .expect("a string takes all text");
        }
        dot + "}\n"
    }
}

/// A quoted DOT string whose label shows exactly `text`.
///
/// Within quotes DOT gives meaning to the quote itself, to a backslash (`\N`
/// would be the node's id) and to `&` (HTML entities).
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '&' => quoted.push_str("&amp;"),
            '\n' => quoted.push_str("\\n"),
            _ if character.is_control() => {
                write!(quoted, "&#{};", u32::from(character)).expect("a string takes all text");
            }
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::quoted;

    /// Reads a quoted string as Graphviz does.
    fn unquoted(quoted: &str) -> Option<String> {
        let mut rest = quoted.strip_prefix('"')?;
        let mut text = String::new();
        loop {
            let character = rest.chars().next()?;
            rest = &rest[character.len_utf8()..];
            match character {
                '"' => return rest.is_empty().then_some(text),
                '\\' => {
                    let escaped = rest.chars().next()?;
                    rest = &rest[escaped.len_utf8()..];
                    text.push(if escaped == 'n' { '\n' } else { escaped });
                }
                '&' => {
                    let (entity, after) = rest.split_once(';')?;
                    rest = after;
                    text.push(match entity.strip_prefix('#') {
                        Some(number) => char::from_u32(number.parse().ok()?)?,
                        None => (entity == "amp").then_some('&')?,
                    });
                }
                _ => text.push(character),
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_ends_where_its_quotes_do(text in "(?s).{0,40}") {
            let quoted = quoted(&text);
            prop_assert!(!quoted.chars().any(char::is_control));
            prop_assert_eq!(unquoted(&quoted), Some(text));
        }

        #[test]
        fn syntax_stays_text(text in r#"[\["\]\\{};>n&#\n-]{0,20}"#) {
            prop_assert_eq!(unquoted(&quoted(&text)), Some(text));
        }
    }

    #[test]
    fn a_last_backslash_does_not_escape_the_closing_quote() {
        assert_eq!(quoted("a\\"), r#""a\\""#);
    }
}
