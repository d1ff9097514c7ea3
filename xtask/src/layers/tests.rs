//! The checker of layers, on trees as cargo prints them.

use super::{RULES, Violation, check_rules, check_tree, package_names};

/// One crate for each rule.
fn members() -> Vec<String> {
    RULES.iter().map(|rule| rule.package.replace('*', "other")).collect()
}

fn messages(package: &str, tree: &str) -> Vec<String> {
    check_tree(package, tree, &members()).iter().map(ToString::to_string).collect()
}

#[test]
fn a_tree_that_keeps_the_rules_passes() {
    let tree = "\
0 blaze-sync-protocol v0.1.0 (/w/blaze-sync/protocol)
1 blaze-codec v0.1.0 (/w/blaze-codec)
2 bytes v1.12.2
2 tokio-like v1.0.0
1 bytes v1.12.2 (*)
1 thiserror v2.0.21
2 thiserror-impl v2.0.21 (proc-macro)
";
    assert_eq!(messages("blaze-sync-protocol", tree), [""; 0]);
}

#[test]
fn a_runtime_below_the_protocol_is_reported_with_its_path() {
    let tree = "\
0 blaze-sync-protocol v0.1.0 (/w/blaze-sync/protocol)
1 blaze-codec v0.1.0 (/w/blaze-codec)
2 bytes v1.12.2
2 crc32c v0.6.9
3 tokio v1.54.1
4 mio v1.0.0
2 uuid v1.29.3
1 tokio v1.54.1 (*)
";
    let why = "a session is a pure function of its inputs, so that a simulator can drive it";
    assert_eq!(
        messages("blaze-sync-protocol", tree),
        [
            format!(
                "blaze-sync-protocol must not see tokio: \
                 blaze-sync-protocol -> blaze-codec -> crc32c -> tokio ({why})"
            ),
            format!("blaze-sync-protocol must not see tokio: blaze-sync-protocol -> tokio ({why})"),
        ]
    );
}

#[test]
fn a_layer_above_is_reported_once_not_with_all_that_it_brings() {
    let tree = "\
0 blaze-transport v0.1.0 (/w/blaze-transport)
1 blaze-codec v0.1.0 (/w/blaze-codec)
1 blaze-db-adapter v0.1.0 (/w/blaze-db-adapter)
2 blaze-topology v0.1.0 (/w/blaze-topology)
1 tokio v1.54.1
";
    let found = messages("blaze-transport", tree);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("blaze-transport -> blaze-db-adapter ("), "{}", found[0]);
}

#[test]
fn the_codec_may_see_no_crate_of_the_workspace() {
    let tree = "0 blaze-codec v0.1.0 (/w/blaze-codec)\n1 blaze-topology v0.1.0 (/w)\n";
    assert_eq!(messages("blaze-codec", tree).len(), 1);
}

#[test]
fn a_transport_of_any_name_must_not_see_another_one() {
    let tree = "\
0 blaze-transport-other v0.1.0 (/w/blaze-transport/other)
1 blaze-transport v0.1.0 (/w/blaze-transport)
1 blaze-transport-tcp v0.1.0 (/w/blaze-transport/tcp)
";
    let mut members = members();
    members.push("blaze-transport-tcp".to_owned());
    assert_eq!(check_tree("blaze-transport-other", tree, &members).len(), 1);
}

#[test]
fn the_program_sees_the_layers_only_through_the_facade() {
    let tree = "\
0 blaze-sync-cli v0.1.0 (/w/blaze-sync/cli)
1 anyhow v1.0.104
1 blaze-sync v0.1.0 (/w/blaze-sync)
2 blaze-sync-engine v0.1.0 (/w/blaze-sync/engine)
3 blaze-codec v0.1.0 (/w/blaze-codec)
";
    let mut members = members();
    members.push("blaze-db-adapter-sqlite".to_owned());
    assert_eq!(check_tree("blaze-sync-cli", tree, &members), []);

    let direct = "\
1 blaze-db-adapter-sqlite v0.1.0 (/w/blaze-db-adapter/sqlite)
2 rusqlite v0.37.0
1 blaze-sync-engine v0.1.0 (/w/blaze-sync/engine) (*)
";
    let found = check_tree("blaze-sync-cli", &(tree.to_owned() + direct), &members);
    let messages: Vec<_> = found.iter().map(ToString::to_string).collect();
    let why = "the program knows nothing but the facade";
    assert_eq!(
        messages,
        ["blaze-db-adapter-sqlite", "blaze-sync-engine"].map(|dependency| format!(
            "blaze-sync-cli must not depend directly on {dependency} ({why})"
        ))
    );
}

#[test]
fn each_crate_needs_a_rule_and_each_rule_a_crate() {
    assert_eq!(check_rules(&members()), []);
    let mut others = members();
    let gone = others.remove(0);
    others.push("blaze-novel".to_owned());
    assert_eq!(
        check_rules(&others),
        [
            Violation::NoRule { package: "blaze-novel".to_owned() },
            Violation::NoPackage { package: "blaze-codec" },
        ]
    );
    assert_eq!(gone, "blaze-codec");
}

#[test]
fn names_are_read_from_what_cargo_prints() {
    let tree = " xtask v0.1.0 (/w/xtask)\n\n blaze-codec v0.1.0 (/w)\n xtask v0.1.0 (/w/xtask)\n";
    assert_eq!(package_names(tree), ["blaze-codec", "xtask"]);
}
