//! How often operations cross links when nothing goes wrong.

use blaze_sync_sim::{Config, Faults, Report, Shape, run};

/// Operations that arrived over a link and those that had to, in long runs without faults.
fn crossings(shape: Shape, nodes: u64) -> (u64, u64) {
    let shaped = Some((shape, nodes));
    let quiet = Config {
        faults: Faults::NONE,
        large_percent: 100,
        shape: shaped,
        steps_max: 300,
        ..Config::default()
    };
    let mut sum = Report::default();
    for seed in 0..3 {
        sum.add(&run(seed, &quiet).unwrap_or_else(|failure| panic!("{failure}")));
    }
    let crossings = sum.quiet[&shape];
    assert!(crossings.wanted > 1_000, "{crossings:?} measures nothing");
    (crossings.arrived, crossings.wanted)
}

#[test]
fn in_a_mesh_or_ring_an_operation_crosses_each_link_about_once() {
    for (shape, nodes) in [(Shape::Mesh, 3), (Shape::Mesh, 4), (Shape::Mesh, 5), (Shape::Ring, 5)] {
        let (arrived, wanted) = crossings(shape, nodes);
        assert!(arrived * 10 <= wanted * 11, "{shape} of {nodes}: {arrived} for {wanted}");
    }
}

#[test]
fn where_there_is_one_way_an_operation_crosses_each_link_once() {
    for (shape, nodes) in [(Shape::Chain, 3), (Shape::Chain, 5), (Shape::Star, 5), (Shape::Tree, 6)]
    {
        let (arrived, wanted) = crossings(shape, nodes);
        // What is read back tells of a record in as many operations as it has writers.
        assert!(arrived * 10 <= wanted * 11, "{shape} of {nodes}: {arrived} for {wanted}");
    }
}
