//! What a user may not have meant.

use std::fmt;

use crate::Topology;
use crate::flows::Flows;

/// What is allowed, but worth a second look.
///
/// Some patterns have warnings by design: in a broadcast, what a receiver
/// writes reaches nobody; without its hub, a star falls apart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A node without a link.
    Isolated {
        /// The name of the node.
        node: String,
    },
    /// Linked nodes that no link joins with the others.
    Split {
        /// The names of the nodes of each group.
        groups: Vec<Vec<String>>,
    },
    /// A linked node whose writes reach nobody.
    Unheard {
        /// The name of the node.
        node: String,
    },
    /// A node without which others lose touch.
    SinglePointOfFailure {
        /// The name of the node.
        node: String,
    },
}

/// One sentence for a person, without a full stop.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Isolated { node } => write!(f, "{node:?} has no link, so it syncs with nobody"),
            Self::Split { groups } => {
                write!(f, "the nodes fall into {} groups that never sync: ", groups.len())?;
                let groups: Vec<_> = groups.iter().map(|group| group.join(", ")).collect();
                f.write_str(&groups.join(" | "))
            }
            Self::Unheard { node } => {
                write!(f, "what {node:?} writes reaches nobody: all of its links only bring data")
            }
            Self::SinglePointOfFailure { node } => {
                write!(f, "without {node:?}, nodes that sync through it lose touch")
            }
        }
    }
}

impl Topology {
    /// What a user may not have meant: nodes that nobody hears, groups that
    /// never meet, nodes that everything depends on.
    ///
    /// ```
    /// # use blaze_topology::Topology;
    /// # fn main() -> Result<(), blaze_topology::TopologyError> {
    /// let chain = Topology::chain(["a", "b", "c"])?;
    /// let warnings: Vec<_> = chain.warnings().iter().map(ToString::to_string).collect();
    /// assert_eq!(warnings, [r#"without "b", nodes that sync through it lose touch"#]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn warnings(&self) -> Vec<Warning> {
        let name = |key| self.node(key).map(|node| node.name().to_owned()).unwrap_or_default();
        let isolated = self.isolated();
        let mut warnings: Vec<_> =
            isolated.iter().map(|&key| Warning::Isolated { node: name(key) }).collect();

        let linked: Vec<Vec<_>> = self.groups().into_iter().filter(|it| it.len() > 1).collect();
        if linked.len() > 1 {
            let names = |group: Vec<_>| group.into_iter().map(name).collect();
            warnings.push(Warning::Split { groups: linked.into_iter().map(names).collect() });
        }

        let flows = Flows::of(self);
        let unheard = flows.silent().filter(|key| !isolated.contains(key));
        warnings.extend(unheard.map(|key| Warning::Unheard { node: name(key) }));
        let cut_nodes = flows.cut_nodes();
        warnings.extend(cut_nodes.map(|key| Warning::SinglePointOfFailure { node: name(key) }));
        warnings
    }
}
