//! What each pattern promises.

use blaze_topology::{Mode, Node, NodeKey, Role, Topology, TopologyError};
use proptest::prelude::*;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("n{index}")).collect()
}

fn keys(topology: &Topology) -> Vec<NodeKey> {
    topology.nodes().map(Node::key).collect()
}

fn servers(topology: &Topology) -> Vec<&str> {
    topology.nodes().filter(|node| node.role() == Role::Server).map(Node::name).collect()
}

proptest! {
    #[test]
    fn spokes_are_two_hops_apart_and_only_the_hub_is_critical(count in 2_usize..12) {
        let star = Topology::hub_and_spoke("hub", names(count)).unwrap();
        let hub = star.find("hub").unwrap();
        prop_assert!(star.all_reach_all());
        prop_assert_eq!(servers(&star), ["hub"]);
        prop_assert_eq!(star.cut_nodes(), [hub]);
        for link in star.links() {
            prop_assert_eq!((link.to, link.mode), (hub, Mode::Bidirectional));
            for other in star.links().filter(|other| other.from != link.from) {
                prop_assert_eq!(star.path(link.from, other.from), Some(vec![link.from, hub, other.from]));
            }
        }
    }

    #[test]
    fn a_mesh_is_one_hop_wide_and_survives_any_loss(count in 0_usize..9) {
        let mesh = Topology::mesh(names(count)).unwrap();
        prop_assert_eq!(mesh.links().len(), count * count.saturating_sub(1) / 2);
        for &key in &keys(&mesh) {
            let receivers = mesh.receivers(key);
            prop_assert_eq!(receivers.len(), count - 1);
            prop_assert!(receivers.iter().all(|&(_, hops)| hops == 1));
        }
        prop_assert_eq!(mesh.cut_nodes(), []);
        prop_assert_eq!(mesh.cut_links().len(), usize::from(count == 2));
        prop_assert_eq!(servers(&mesh).len(), 0);
    }

    #[test]
    fn the_ends_of_a_chain_are_its_length_apart(count in 1_usize..12) {
        let chain = Topology::chain(names(count)).unwrap();
        let keys = keys(&chain);
        prop_assert_eq!(chain.reaches(keys[0], keys[count - 1]), Some(count - 1));
        prop_assert_eq!(chain.path(keys[0], keys[count - 1]), Some(keys.clone()));
        prop_assert_eq!(chain.cut_links().len(), count - 1);
        prop_assert_eq!(chain.cut_nodes(), &keys[1..(count - 1).max(1)]);
    }

    #[test]
    fn a_tree_is_connected_and_never_wider_than_its_fanout(count in 1_usize..30, fanout in 1_usize..5) {
        let tree = Topology::tree(names(count), fanout).unwrap();
        prop_assert_eq!(tree.links().len(), count - 1);
        prop_assert!(tree.all_reach_all());
        prop_assert_eq!(servers(&tree), ["n0"]);
        for &key in &keys(&tree) {
            prop_assert!(tree.links().filter(|link| link.to == key).count() <= fanout);
        }
        let depth = tree.receivers(keys(&tree)[0]).last().map_or(0, |&(_, hops)| hops);
        let room = |depth: usize| (0..=depth).map(|level| fanout.pow(u32::try_from(level).unwrap())).sum::<usize>();
        prop_assert!(count <= room(depth) && (depth == 0 || count > room(depth - 1)), "not filled level by level");
    }

    #[test]
    fn a_broadcast_flows_from_its_source_only(count in 1_usize..12) {
        let broadcast = Topology::broadcast("source", names(count)).unwrap();
        let source = broadcast.find("source").unwrap();
        prop_assert_eq!(broadcast.receivers(source).len(), count);
        prop_assert_eq!(servers(&broadcast), ["source"]);
        for &key in keys(&broadcast).iter().filter(|&&key| key != source) {
            prop_assert_eq!(broadcast.receivers(key), []);
        }
    }

    #[test]
    fn an_aggregation_flows_to_its_collector_only(count in 1_usize..12) {
        let aggregation = Topology::aggregation("collector", names(count)).unwrap();
        let collector = aggregation.find("collector").unwrap();
        prop_assert_eq!(aggregation.receivers(collector), []);
        prop_assert_eq!(servers(&aggregation), ["collector"]);
        for &key in keys(&aggregation).iter().filter(|&&key| key != collector) {
            prop_assert_eq!(aggregation.receivers(key), [(collector, 1)]);
        }
    }
}

#[test]
fn patterns_of_nothing_are_empty_and_names_are_checked() {
    for empty in [Topology::mesh(names(0)), Topology::chain(names(0)), Topology::tree(names(0), 2)]
    {
        assert_eq!(empty.unwrap().nodes().len(), 0);
    }
    let taken = TopologyError::NameTaken { name: "a".to_owned() };
    assert_eq!(Topology::hub_and_spoke("a", ["b", "a"]).unwrap_err(), taken);
    assert_eq!(Topology::chain(["a", "a"]).unwrap_err(), taken);
    assert_eq!(Topology::mesh([""]).unwrap_err(), TopologyError::EmptyName);
    assert_eq!(Topology::tree(["a"], 0).unwrap_err(), TopologyError::ZeroFanout);
}
