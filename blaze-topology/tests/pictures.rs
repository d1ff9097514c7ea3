//! Pictures of the patterns, letter by letter.

use blaze_topology::{Mode, Role, Topology};
use proptest::prelude::*;

/// A server, a client of each mode, and one more link between clients.
fn mixed() -> Topology {
    let mut topology = Topology::hub_and_spoke("hub", ["phone"]).unwrap();
    topology.add_node("screen", Role::Client).unwrap();
    topology.add_node("sensor", Role::Client).unwrap();
    topology.link_by_name("screen", "hub", Mode::ReadOnly).unwrap();
    topology.link_by_name("sensor", "hub", Mode::WriteOnly).unwrap();
    topology.link_by_name("phone", "sensor", Mode::ReadOnly).unwrap();
    topology
}

#[test]
fn text_shows_modes_as_arrows_and_further_links_below() {
    let expected = "\
hub (server)
├─↔ phone (client)
├─→ screen (client)
└─← sensor (client)
also: phone ← sensor
";
    assert_eq!(mixed().to_text(), expected);
}

#[test]
fn text_shows_a_tree() {
    let names = ["root", "a", "b", "a1", "a2", "b1", "b2"];
    let expected = "\
root (server)
├─↔ a (client)
│   ├─↔ a1 (client)
│   └─↔ a2 (client)
└─↔ b (client)
    ├─↔ b1 (client)
    └─↔ b2 (client)
";
    assert_eq!(Topology::tree(names, 2).unwrap().to_text(), expected);
}

#[test]
fn text_shows_a_chain_from_its_server_and_groups_apart() {
    let mut topology = Topology::chain(["a", "b", "c"]).unwrap();
    topology.set_role(topology.find("b").unwrap(), Role::Server).unwrap();
    topology.add_node("alone", Role::Client).unwrap();
    let expected = "\
b (server)
├─↔ a (client)
└─↔ c (client)
alone (client)
";
    assert_eq!(topology.to_text(), expected);
    assert_eq!(Topology::new().to_text(), "");
}

#[test]
fn text_shows_broadcast_and_aggregation() {
    let broadcast = "source (server)\n├─→ a (client)\n└─→ b (client)\n";
    assert_eq!(Topology::broadcast("source", ["a", "b"]).unwrap().to_text(), broadcast);
    let aggregation = "collector (server)\n├─← a (client)\n└─← b (client)\n";
    assert_eq!(Topology::aggregation("collector", ["a", "b"]).unwrap().to_text(), aggregation);
}

#[test]
fn dot_follows_the_data() {
    let expected = r#"digraph topology {
  n0 [label="hub", shape=box];
  n1 [label="phone", shape=ellipse];
  n2 [label="screen", shape=ellipse];
  n3 [label="sensor", shape=ellipse];
  n1 -> n0 [dir=both];
  n3 -> n1 [label="read-only"];
  n0 -> n2 [label="read-only"];
  n3 -> n0 [label="write-only"];
}
"#;
    assert_eq!(mixed().to_dot(), expected);
}

#[test]
fn mermaid_follows_the_data() {
    let expected = r#"flowchart TD
  n0["hub"]
  n1(["phone"])
  n2(["screen"])
  n3(["sensor"])
  n1 <--> n0
  n3 -->|read-only| n1
  n0 -->|read-only| n2
  n3 -->|write-only| n0
"#;
    assert_eq!(mixed().to_mermaid(), expected);
}

#[test]
fn removed_nodes_leave_no_gap_in_the_numbers() {
    let mut topology = Topology::mesh(["a", "b", "c"]).unwrap();
    topology.remove_node(topology.find("a").unwrap()).unwrap();
    assert!(topology.to_mermaid().ends_with("  n1 <--> n0\n"), "{}", topology.to_mermaid());
}

#[test]
fn a_chain_of_a_thousand_nodes_is_drawn() {
    let chain = Topology::chain((0..1_000).map(|index| index.to_string())).unwrap();
    assert_eq!(chain.to_text().lines().count(), 1_000);
}

proptest! {
    /// The rest of the picture doesn't depend on the name, so nothing of it
    /// gets out of the label.
    #[test]
    fn no_name_changes_the_picture_around_it(name in r#"[\["\]\\{};()<>`|&#. a1-]{1,20}"#) {
        let named = Topology::hub_and_spoke(name, ["spoke"]).unwrap();
        let (dot, mermaid) = (named.to_dot(), named.to_mermaid());
        let dot: Vec<_> = dot.lines().collect();
        prop_assert_eq!(dot.len(), 5);
        prop_assert!(dot[1].starts_with("  n0 [label=\"") && dot[1].ends_with("\", shape=box];"));
        prop_assert_eq!(&dot[2..], ["  n1 [label=\"spoke\", shape=ellipse];", "  n1 -> n0 [dir=both];", "}"]);
        let mermaid: Vec<_> = mermaid.lines().collect();
        prop_assert_eq!(mermaid[1].matches('"').count(), 2);
        prop_assert!(mermaid[1].starts_with("  n0[\"") && mermaid[1].ends_with("\"]"));
        prop_assert_eq!(&mermaid[2..], ["  n1([\"spoke\"])", "  n1 <--> n0"]);
    }
}
