//! Answers on random topologies, compared with those of a naive reference.

use blaze_topology::{Link, Mode, Node, NodeKey, Role, Topology, Warning};
use proptest::prelude::*;

/// Hops between all pairs, by Floyd and Warshall, from the links alone.
struct Reference {
    keys: Vec<NodeKey>,
    hops: Vec<Vec<Option<usize>>>,
}

impl Reference {
    fn of(keys: Vec<NodeKey>, links: &[Link]) -> Self {
        let at = |key| keys.iter().position(|&other| other == key);
        let mut hops = vec![vec![None; keys.len()]; keys.len()];
        for (index, row) in hops.iter_mut().enumerate() {
            row[index] = Some(0);
        }
        for link in links {
            let (Some(from), Some(to)) = (at(link.from), at(link.to)) else { continue };
            if matches!(link.mode, Mode::Bidirectional | Mode::WriteOnly) {
                hops[from][to] = Some(1);
            }
            if matches!(link.mode, Mode::Bidirectional | Mode::ReadOnly) {
                hops[to][from] = Some(1);
            }
        }
        for via in 0..keys.len() {
            for from in 0..keys.len() {
                for to in 0..keys.len() {
                    let Some((a, b)) = hops[from][via].zip(hops[via][to]) else { continue };
                    hops[from][to] = Some(hops[from][to].map_or(a + b, |best| best.min(a + b)));
                }
            }
        }
        Self { keys, hops }
    }

    /// The pairs of a writer and a reader that it reaches.
    fn pairs(&self) -> Vec<(NodeKey, NodeKey)> {
        let mut pairs = Vec::new();
        for (from, row) in self.hops.iter().enumerate() {
            let reached = row.iter().enumerate().filter(|(_, hops)| hops.is_some());
            pairs.extend(reached.map(|(to, _)| (self.keys[from], self.keys[to])));
        }
        pairs
    }
}

fn keys(topology: &Topology) -> Vec<NodeKey> {
    topology.nodes().map(Node::key).collect()
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Bidirectional), Just(Mode::ReadOnly), Just(Mode::WriteOnly)]
}

/// Up to 8 nodes, some links, and then some removals.
fn topology() -> impl Strategy<Value = Topology> {
    let ends = || (0_usize..8, 0_usize..8);
    let links = prop::collection::vec((ends(), mode()), 0..16);
    let removed = (prop::collection::vec(0_usize..16, 0..2), prop::collection::vec(ends(), 0..3));
    (1_usize..8, links, removed).prop_map(|(count, links, (nodes, unlinked))| {
        let mut topology = Topology::new();
        let keys: Vec<_> = (0..count)
            .map(|index| topology.add_node(format!("n{index}"), Role::Client).unwrap())
            .collect();
        // Invalid links are refused, which leaves the valid ones.
        for ((from, to), mode) in links {
            let _ = topology.add_link(keys[from % count], keys[to % count], mode);
        }
        for (a, b) in unlinked {
            let _ = topology.remove_link(keys[a % count], keys[b % count]);
        }
        for index in nodes {
            keys.get(index).map(|&key| topology.remove_node(key));
        }
        topology
    })
}

proptest! {
    #[test]
    fn reachability_equals_the_reference(topology in topology()) {
        let links: Vec<_> = topology.links().collect();
        let reference = Reference::of(keys(&topology), &links);
        for (from, &writer) in reference.keys.iter().enumerate() {
            let mut receivers = Vec::new();
            for (to, &reader) in reference.keys.iter().enumerate() {
                let hops = reference.hops[from][to];
                prop_assert_eq!(topology.reaches(writer, reader), hops);
                let path = topology.path(writer, reader);
                prop_assert_eq!(path.as_ref().map(|path| path.len() - 1), hops);
                for step in path.iter().flat_map(|path| path.windows(2)) {
                    let link = topology.link_between(step[0], step[1]).unwrap();
                    prop_assert!(link.carries_from(step[0]));
                }
                receivers.extend(hops.filter(|&hops| hops > 0).map(|hops| (reader, hops)));
            }
            receivers.sort_by_key(|&(reader, hops)| (hops, reader));
            prop_assert_eq!(topology.receivers(writer), receivers);
        }
        let everything = reference.keys.len().pow(2);
        prop_assert_eq!(topology.all_reach_all(), reference.pairs().len() == everything);
    }

    #[test]
    fn cut_nodes_are_those_whose_removal_parts_others(topology in topology()) {
        let links: Vec<_> = topology.links().collect();
        let all = keys(&topology);
        let before = Reference::of(all.clone(), &links).pairs();
        let parts = |node: NodeKey| {
            let others = all.iter().copied().filter(|&other| other != node).collect();
            let after = Reference::of(others, &links).pairs();
            before.iter().any(|pair| pair.0 != node && pair.1 != node && !after.contains(pair))
        };
        let expected: Vec<_> = all.iter().copied().filter(|&node| parts(node)).collect();
        prop_assert_eq!(topology.cut_nodes(), expected);
    }

    #[test]
    fn cut_links_are_those_whose_removal_parts_anybody(topology in topology()) {
        let links: Vec<_> = topology.links().collect();
        let before = Reference::of(keys(&topology), &links).pairs();
        let parts = |link: &Link| {
            let rest: Vec<_> = links.iter().copied().filter(|other| other != link).collect();
            Reference::of(keys(&topology), &rest).pairs() != before
        };
        let expected: Vec<_> = links.iter().copied().filter(parts).collect();
        prop_assert_eq!(topology.cut_links(), expected);
    }

    #[test]
    fn groups_hold_each_node_once_and_never_share_a_link(topology in topology()) {
        let groups = topology.groups();
        let mut members: Vec<_> = groups.iter().flatten().copied().collect();
        members.sort_unstable();
        prop_assert_eq!(members, keys(&topology));
        let both_ways: Vec<_> =
            topology.links().map(|link| Link { mode: Mode::Bidirectional, ..link }).collect();
        let joined = Reference::of(keys(&topology), &both_ways).pairs();
        let expected: usize = groups.iter().map(|group| group.len().pow(2)).sum();
        prop_assert_eq!(joined.len(), expected);
        for group in &groups {
            prop_assert!(group.iter().all(|&member| joined.contains(&(group[0], member))));
        }
        let alone: Vec<_> = groups.iter().filter(|group| group.len() == 1).flatten().copied().collect();
        prop_assert_eq!(topology.isolated(), alone);
    }
}

#[test]
fn keys_of_no_node_get_empty_answers() {
    let mut topology = Topology::chain(["a", "b"]).unwrap();
    let (a, b) = (topology.find("a").unwrap(), topology.find("b").unwrap());
    topology.remove_node(b).unwrap();
    assert_eq!(topology.receivers(b), []);
    assert_eq!((topology.path(a, b), topology.path(b, b)), (None, None));
    assert_eq!(topology.path(a, a), Some(vec![a]));
}

#[test]
fn a_ring_of_one_way_links_depends_on_every_node() {
    let mut ring = Topology::new();
    let keys: Vec<_> =
        ["a", "b", "c"].map(|name| ring.add_node(name, Role::Client).unwrap()).into();
    for (index, &from) in keys.iter().enumerate() {
        ring.add_link(from, keys[(index + 1) % 3], Mode::WriteOnly).unwrap();
    }
    assert!(ring.all_reach_all());
    assert_eq!(ring.reaches(keys[0], keys[2]), Some(2));
    assert_eq!(ring.cut_nodes(), keys);
    assert_eq!(ring.cut_links().len(), 3);
}

#[test]
fn warnings_name_what_a_user_may_not_have_meant() {
    assert_eq!(Topology::mesh(["a", "b", "c"]).unwrap().warnings(), []);
    let mut topology = Topology::broadcast("source", ["reader"]).unwrap();
    topology.add_node("lonely", Role::Client).unwrap();
    topology.add_node("x", Role::Client).unwrap();
    topology.add_node("y", Role::Client).unwrap();
    topology.link_by_name("x", "y", Mode::Bidirectional).unwrap();
    let group = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    assert_eq!(
        topology.warnings(),
        [
            Warning::Isolated { node: "lonely".to_owned() },
            Warning::Split { groups: vec![group(["source", "reader"]), group(["x", "y"])] },
            Warning::Unheard { node: "reader".to_owned() },
        ]
    );
    assert_eq!(
        topology.warnings()[1].to_string(),
        "the nodes fall into 2 groups that never sync: source, reader | x, y"
    );
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{prefix}{index}")).collect()
}

/// A way around for each pair of neighbours of each node would take minutes here.
#[test]
fn large_mesh_depends_on_nobody() {
    let mesh = Topology::mesh(names("n", 200)).unwrap();
    assert_eq!(mesh.cut_nodes(), []);
    assert_eq!(mesh.cut_links(), []);
    assert_eq!(mesh.warnings(), []);
}

#[test]
fn large_chain_depends_on_all_but_its_ends() {
    let chain = Topology::chain(names("n", 200)).unwrap();
    assert_eq!(chain.cut_nodes(), keys(&chain)[1..199]);
    assert_eq!(chain.cut_links(), chain.links().collect::<Vec<_>>());
}

/// Both bridge nodes lie beyond the first word of bits.
#[test]
fn large_meshes_depend_on_the_link_that_joins_them() {
    let mut joined = Topology::mesh(names("a", 70)).unwrap();
    for name in names("b", 70) {
        joined.add_node(name, Role::Client).unwrap();
    }
    let all = keys(&joined);
    for (index, &later) in all.iter().enumerate().skip(70) {
        for &earlier in &all[70..index] {
            joined.add_link(later, earlier, Mode::Bidirectional).unwrap();
        }
    }
    let bridge = Link { from: all[69], to: all[135], mode: Mode::ReadOnly };
    joined.add_link(bridge.from, bridge.to, bridge.mode).unwrap();
    assert_eq!(joined.cut_links(), [bridge]);
    assert_eq!(joined.cut_nodes(), [bridge.from, bridge.to]);
    assert_eq!(joined.reaches(all[0], all[70]), None, "it only brings data");
}
