//! What a topology allows, and the errors that name who is to blame.

use blaze_topology::{Link, Mode, Node, Role, Topology, TopologyError};

fn pair() -> (Topology, blaze_topology::NodeKey, blaze_topology::NodeKey) {
    let mut topology = Topology::new();
    let a = topology.add_node("a", Role::Server).unwrap();
    let b = topology.add_node("b", Role::Client).unwrap();
    (topology, a, b)
}

#[test]
fn nodes_and_links_are_found_as_they_were_added() {
    let (mut topology, a, b) = pair();
    topology.add_link(b, a, Mode::ReadOnly).unwrap();
    let nodes: Vec<_> =
        topology.nodes().map(|node| (node.key(), node.name(), node.role())).collect();
    assert_eq!(nodes, [(a, "a", Role::Server), (b, "b", Role::Client)]);
    let link = Link { from: b, to: a, mode: Mode::ReadOnly };
    assert_eq!(topology.links().collect::<Vec<_>>(), [link]);
    assert_eq!(topology.link_between(a, b), Some(link));
    assert_eq!(topology.find("b"), Some(b));
    assert_eq!(topology.find("c"), None);
}

#[test]
fn a_name_has_1_to_64_printable_characters() {
    let mut topology = Topology::new();
    let longest = "é".repeat(Node::NAME_CHARS_MAX);
    for name in ["x", "Anna's \"iPad\"", "back\\slash", "e\u{301}te\u{301}", "店", &longest] {
        topology.add_node(name, Role::Client).unwrap();
    }
    assert_eq!(topology.add_node("", Role::Client), Err(TopologyError::EmptyName));
    let error = topology.add_node("é".repeat(65), Role::Client).unwrap_err();
    assert!(matches!(error, TopologyError::NameTooLong { found: 65, max: 64, .. }), "{error}");
    for character in ['\n', '\t', '\0', '\u{7f}', '\u{202e}', '\u{200b}', '\u{2028}', '\u{a0}'] {
        let name = format!("a{character}b");
        assert_eq!(
            topology.add_node(name.clone(), Role::Client),
            Err(TopologyError::UnprintableName { name, character })
        );
    }
    assert_eq!(topology.nodes().len(), 6);
}

#[test]
fn two_nodes_of_one_name_are_refused() {
    let (mut topology, ..) = pair();
    let error = topology.add_node("a", Role::Client).unwrap_err();
    assert_eq!(error.to_string(), r#"there are two nodes named "a"; names must be unique"#);
    assert_eq!(topology.nodes().len(), 2);
}

#[test]
fn a_link_to_itself_is_refused() {
    let (mut topology, a, _) = pair();
    let error = topology.add_link(a, a, Mode::Bidirectional).unwrap_err();
    assert_eq!(error.to_string(), r#""a" can't be linked to itself"#);
}

#[test]
fn a_second_link_is_refused_in_either_direction() {
    let (mut topology, a, b) = pair();
    topology.add_link(b, a, Mode::WriteOnly).unwrap();
    for (from, to) in [(a, b), (b, a)] {
        let error = topology.add_link(from, to, Mode::Bidirectional).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""b" is already linked to "a" (write-only); remove that link first"#
        );
    }
    assert_eq!(topology.links().len(), 1);
}

#[test]
fn unknown_nodes_are_refused_by_key_and_by_name() {
    let (mut topology, a, b) = pair();
    topology.remove_node(b).unwrap();
    let unknown = TopologyError::UnknownNode { key: b };
    assert_eq!(topology.add_link(a, b, Mode::ReadOnly), Err(unknown.clone()));
    assert_eq!(topology.add_link(b, a, Mode::ReadOnly), Err(unknown.clone()));
    assert_eq!(topology.remove_link(a, b), Err(unknown.clone()));
    assert_eq!(topology.remove_node(b), Err(unknown.clone()));
    assert_eq!(topology.set_role(b, Role::Server), Err(unknown));
    let error = topology.link_by_name("a", "b", Mode::ReadOnly).unwrap_err();
    assert_eq!(error, TopologyError::UnknownName { name: "b".to_owned() });
}

#[test]
fn a_removed_node_takes_its_links_along_and_its_key_is_never_used_again() {
    let mut topology = Topology::chain(["a", "b", "c"]).unwrap();
    let (a, b) = (topology.find("a").unwrap(), topology.find("b").unwrap());
    assert_eq!(topology.remove_node(b).unwrap().name(), "b");
    assert_eq!(topology.links().len(), 0);
    let again = topology.add_node("b", Role::Client).unwrap();
    assert_ne!(again, b);
    assert!(topology.node(b).is_none());
    assert_eq!(topology.receivers(a), []);
}

#[test]
fn a_link_is_removed_from_either_end() {
    let (mut topology, a, b) = pair();
    let link = Link { from: b, to: a, mode: Mode::ReadOnly };
    for (first, second) in [(a, b), (b, a)] {
        topology.link_by_name("b", "a", Mode::ReadOnly).unwrap();
        assert_eq!(topology.remove_link(first, second), Ok(link));
        let error = topology.remove_link(first, second).unwrap_err();
        assert!(matches!(error, TopologyError::NoLink { .. }), "{error}");
    }
}
