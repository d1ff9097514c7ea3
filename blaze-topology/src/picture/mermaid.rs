//! Pictures for Mermaid, which web pages and code hosts draw.

use std::fmt::Write as _;

use blaze_codec::{Mode, Role};

use super::{along_flow, ids};
use crate::Topology;

impl Topology {
    /// A flowchart in the language of Mermaid.
    ///
    /// Servers have square corners, clients round ones. Arrows follow the data;
    /// a link that carries it one way only is labelled with its mode.
    ///
    /// ```
    /// # use blaze_topology::Topology;
    /// # fn main() -> Result<(), blaze_topology::TopologyError> {
    /// assert_eq!(Topology::broadcast("news", ["reader"])?.to_mermaid(), r#"flowchart TD
    ///   n0["news"]
    ///   n1(["reader"])
    ///   n0 -->|read-only| n1
    /// "#);
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_mermaid(&self) -> String {
        let ids = ids(self);
        let mut mermaid = String::from("flowchart TD\n");
        for (node, id) in self.nodes().zip(ids.values()) {
            let (open, close) = match node.role() {
                Role::Server => ("[", "]"),
                Role::Client => ("([", "])"),
            };
            writeln!(mermaid, "  n{id}{open}\"{}\"{close}", escaped(node.name()))
                .expect("a string takes all text");
        }
        for link in self.links() {
            let (sender, receiver) = along_flow(link);
            let arrow = match link.mode {
                Mode::Bidirectional => "<-->".to_owned(),
                Mode::ReadOnly | Mode::WriteOnly => format!("-->|{}|", link.mode),
            };
            writeln!(mermaid, "  n{} {arrow} n{}", ids[&sender], ids[&receiver])
                .expect("a string takes all text");
        }
        mermaid
    }
}

/// The content of a quoted label that shows exactly `text`.
///
/// Mermaid reads Markdown and HTML within quotes, so everything that isn't a
/// letter or a digit becomes `#code;`, but for spaces, and for marks between
/// letters or digits, where neither gives them a meaning.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    let mut characters = text.chars().peekable();
    let mut after_word = false;
    while let Some(character) = characters.next() {
        let within_word =
            after_word && characters.peek().is_some_and(|next| next.is_alphanumeric());
        let is_plain = character.is_alphanumeric()
            || character == ' '
            || within_word && matches!(character, '-' | '_' | '.');
        if is_plain {
            escaped.push(character);
        } else {
            write!(escaped, "#{};", u32::from(character)).expect("a string takes all text");
        }
        after_word = character.is_alphanumeric();
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::escaped;

    /// Reads the content of a quoted label as Mermaid does.
    fn unescaped(escaped: &str) -> Option<String> {
        let mut parts = escaped.split('#');
        let mut text = parts.next()?.to_owned();
        for part in parts {
            let (code, rest) = part.split_once(';')?;
            text.push(char::from_u32(code.parse().ok()?)?);
            text.push_str(rest);
        }
        Some(text)
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_holds_no_syntax(text in "(?s).{0,40}") {
            let escaped = escaped(&text);
            let syntax = |c: char| c.is_control() || "\"'`<>[](){}|&*~\\:!".contains(c);
            prop_assert!(!escaped.contains(syntax), "{escaped}");
            prop_assert_eq!(unescaped(&escaped), Some(text));
        }

        #[test]
        fn syntax_stays_text(text in r#"[\["\]\\{};>1a&#. \n-]{0,20}"#) {
            prop_assert_eq!(unescaped(&escaped(&text)), Some(text));
        }
    }

    #[test]
    fn usual_names_stay_readable_and_lists_stay_text() {
        assert_eq!(escaped("till-1.back_office"), "till-1.back_office");
        assert_eq!(escaped("1. milk"), "1#46; milk");
        assert_eq!(escaped("- milk"), "#45; milk");
    }
}
