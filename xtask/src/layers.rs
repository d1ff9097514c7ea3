//! Which crate may see which: the layers of the workspace, as data and as a check.

#[cfg(test)]
mod tests;

use std::fmt;

/// What the crates of one layer may depend on, directly or through others.
struct Rule {
    /// The name of the crate, or a prefix of names that ends with `*`.
    package: &'static str,
    /// Crates of the workspace that it may see.
    sees: &'static [&'static str],
    /// Those of them that it may depend on directly; `None` if all.
    directly: Option<&'static [&'static str]>,
    /// Other crates that it must not see.
    never: &'static [&'static str],
    /// What stands behind it.
    why: &'static str,
}

impl Rule {
    /// Whether the crate may name `member`, which it may see, among its own dependencies.
    fn may_depend_on(&self, member: &str) -> bool {
        self.directly.is_none_or(|directly| directly.contains(&member))
    }
}

/// Whatever runs tasks or does I/O.
const RUNTIMES: &[&str] =
    &["tokio", "tokio-util", "mio", "socket2", "async-std", "smol", "rusqlite", "rustix"];

/// The facade and all that it carries.
const FACADE: &[&str] = &[
    "blaze-codec",
    "blaze-db-adapter",
    "blaze-db-adapter-memory",
    "blaze-db-adapter-sqlite",
    "blaze-sync",
    "blaze-sync-engine",
    "blaze-sync-protocol",
    "blaze-topology",
    "blaze-transport",
    "blaze-transport-memory",
    "blaze-transport-tcp",
    "blaze-transport-tls",
    "blaze-transport-unix",
];

/// The first rule that matches a crate is its rule.
const RULES: &[Rule] = &[
    Rule {
        package: "blaze-codec",
        sees: &[],
        directly: None,
        never: &["rusqlite", "rustix", "mio", "socket2"],
        why: "the data model and its bytes stand below everything",
    },
    Rule {
        package: "blaze-transport",
        sees: &["blaze-codec"],
        directly: None,
        never: &["rusqlite"],
        why: "a transport moves opaque frames and knows neither databases nor sessions",
    },
    Rule {
        package: "blaze-transport-*",
        sees: &["blaze-codec", "blaze-transport"],
        directly: None,
        never: &["rusqlite"],
        why: "a transport moves opaque frames and knows no other transport",
    },
    Rule {
        package: "blaze-topology",
        sees: &["blaze-codec"],
        directly: None,
        never: RUNTIMES,
        why: "a topology is a plan on paper",
    },
    Rule {
        package: "blaze-db-adapter",
        sees: &["blaze-codec"],
        directly: None,
        never: &["rusqlite", "mio", "socket2"],
        why: "merging knows neither a database nor a transport",
    },
    Rule {
        package: "blaze-db-adapter-conformance",
        sees: &["blaze-codec", "blaze-db-adapter", "blaze-db-adapter-memory"],
        directly: None,
        never: &["rusqlite", "mio", "socket2"],
        why: "the suite knows the reference model, and no other database",
    },
    Rule {
        package: "blaze-db-adapter-*",
        sees: &["blaze-codec", "blaze-db-adapter"],
        directly: None,
        never: &["mio", "socket2"],
        why: "a database knows neither a transport nor another database",
    },
    Rule {
        package: "blaze-sync-protocol",
        sees: &["blaze-codec"],
        directly: None,
        never: RUNTIMES,
        why: "a session is a pure function of its inputs, so that a simulator can drive it",
    },
    Rule {
        package: "blaze-sync-engine",
        sees: &[
            "blaze-codec",
            "blaze-db-adapter",
            "blaze-sync-protocol",
            "blaze-topology",
            "blaze-transport",
        ],
        directly: None,
        never: &["rusqlite", "mio", "socket2"],
        why: "transports and databases are values that the engine is given",
    },
    Rule {
        package: "blaze-sync-sim",
        sees: &[
            "blaze-codec",
            "blaze-db-adapter",
            "blaze-db-adapter-memory",
            "blaze-sync-engine",
            "blaze-sync-protocol",
            "blaze-topology",
            "blaze-transport",
        ],
        directly: Some(&[
            "blaze-codec",
            "blaze-db-adapter",
            "blaze-db-adapter-memory",
            "blaze-sync-engine",
            "blaze-sync-protocol",
        ]),
        never: &["rusqlite", "mio", "socket2"],
        why: "a run knows no file, socket or clock, and of the engine only what it decides",
    },
    Rule {
        package: "blaze-sync",
        sees: &[
            "blaze-codec",
            "blaze-db-adapter",
            "blaze-db-adapter-memory",
            "blaze-db-adapter-sqlite",
            "blaze-sync-engine",
            "blaze-sync-protocol",
            "blaze-topology",
            "blaze-transport",
            "blaze-transport-memory",
            "blaze-transport-tcp",
            "blaze-transport-tls",
            "blaze-transport-unix",
        ],
        directly: None,
        never: &["clap", "anyhow"],
        why: "the facade carries what an app needs, not the program or the test suites",
    },
    Rule {
        package: "blaze-sync-cli",
        sees: FACADE,
        directly: Some(&["blaze-sync"]),
        never: &[],
        why: "the program knows nothing but the facade",
    },
    Rule {
        package: "blaze-stages",
        sees: FACADE,
        directly: Some(&[
            "blaze-codec",
            "blaze-db-adapter",
            "blaze-db-adapter-memory",
            "blaze-db-adapter-sqlite",
            "blaze-sync-engine",
            "blaze-transport",
            "blaze-transport-memory",
        ]),
        never: &[],
        why: "stages are measured crate by crate",
    },
    Rule {
        package: "blaze-torture",
        sees: FACADE,
        directly: Some(&[
            "blaze-codec",
            "blaze-db-adapter",
            "blaze-db-adapter-sqlite",
            "blaze-sync",
        ]),
        never: &[],
        why: "it tests what users have: the facade, and the adapter whose files it cuts off",
    },
    Rule {
        package: "blaze-attack",
        sees: FACADE,
        directly: Some(&["blaze-codec", "blaze-sync"]),
        never: &[],
        why: "an attacker has the format and no other help; honest peers have what users have",
    },
    Rule {
        package: "xtask",
        sees: &[],
        directly: None,
        never: &["tokio", "rusqlite"],
        why: "tasks must build in seconds, and when nothing else does",
    },
];

/// A broken rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// A crate sees what it must not.
    Sees {
        /// From the crate down to what it must not see.
        path: Vec<String>,
        /// What stands behind the rule.
        why: &'static str,
    },
    /// A crate depends directly on what it may only see through others.
    DependsOn {
        /// The name of the crate.
        package: String,
        /// What it depends on.
        dependency: String,
        /// What stands behind the rule.
        why: &'static str,
    },
    /// A crate of the workspace that no rule names.
    NoRule {
        /// The name of the crate.
        package: String,
    },
    /// A rule for a crate that doesn't exist.
    NoPackage {
        /// The name in the rule.
        package: &'static str,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sees { path, why } => {
                let ends = path.first().zip(path.last());
                let (package, seen) = ends.map_or(("", ""), |(first, last)| (first, last));
                write!(f, "{package} must not see {seen}: {} ({why})", path.join(" -> "))
            }
            Self::DependsOn { package, dependency, why } => {
                write!(f, "{package} must not depend directly on {dependency} ({why})")
            }
            Self::NoRule { package } => {
                write!(f, "{package} has no layer; add a rule to xtask/src/layers.rs")
            }
            Self::NoPackage { package } => {
                write!(f, "xtask/src/layers.rs has a rule for {package}, which doesn't exist")
            }
        }
    }
}

/// The names of packages in what `cargo tree --format ' {p}'` prints.
pub(crate) fn package_names(tree: &str) -> Vec<String> {
    let mut names: Vec<_> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Checks that every crate of the workspace has a rule, and every rule a crate.
pub(crate) fn check_rules(members: &[String]) -> Vec<Violation> {
    let without_rule = members
        .iter()
        .filter(|member| rule_of(member).is_none())
        .map(|member| Violation::NoRule { package: member.clone() });
    let without_package = RULES
        .iter()
        .filter(|rule| !members.iter().any(|member| matches(rule.package, member)))
        .map(|rule| Violation::NoPackage { package: rule.package });
    without_rule.chain(without_package).collect()
}

/// Checks what `package` sees, given what `cargo tree --prefix depth --format
/// ' {p}'` prints of it and the crates of the workspace.
///
/// What hangs below something forbidden isn't reported again.
pub(crate) fn check_tree(package: &str, tree: &str, members: &[String]) -> Vec<Violation> {
    let Some(rule) = rule_of(package) else { return Vec::new() };
    let mut violations = Vec::new();
    let mut path: Vec<&str> = Vec::new();
    let mut forbidden_depth = usize::MAX;
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let depth = words.next().and_then(|depth| depth.parse::<usize>().ok());
        let Some((depth, name)) = depth.zip(words.next()) else { continue };
        path.truncate(depth);
        path.push(name);
        if depth > forbidden_depth {
            continue;
        }
        let is_member = members.iter().any(|member| member == name);
        let is_allowed = if is_member {
            depth == 0 || rule.sees.contains(&name)
        } else {
            !rule.never.contains(&name)
        };
        forbidden_depth = if is_allowed { usize::MAX } else { depth };
        if !is_allowed {
            let path = path.iter().map(ToString::to_string).collect();
            violations.push(Violation::Sees { path, why: rule.why });
        } else if is_member && depth == 1 && !rule.may_depend_on(name) {
            let (package, dependency) = (package.to_owned(), name.to_owned());
            violations.push(Violation::DependsOn { package, dependency, why: rule.why });
        }
    }
    violations
}

fn rule_of(package: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| matches(rule.package, package))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}
