//! What a peer that doesn't see all can't take away.

use std::convert::Infallible;
use std::sync::Arc;

use blaze_codec::{
    Change, Condition, Hlc, NodeId, Operation, RecordKey, Rule, Scope, Seq, Version, record,
};
use blaze_db_adapter::{Audience, Incoming, Limit, Merging, RecordState, Staged, Stored};

fn operation(hlc: u64, change: Change) -> Operation {
    let version = Version { hlc: Hlc::from_bits(hlc), ..Version::ZERO };
    let (collection, key) = ("notes".parse().unwrap(), RecordKey::Int(1));
    Operation { collection, key, version, base: Version::ZERO, change }
}

#[test]
fn what_a_peer_does_not_see_it_neither_withdraws_nor_buries() {
    let hers = Condition::is("owner".parse().unwrap(), "anna");
    let scope = Scope::new().with("notes".parse().unwrap(), Rule::all().when(hers));
    let audience = Audience { node: NodeId::ZERO, principal: String::new() };
    let limit = Arc::new(Limit { scope: Arc::new(scope), audience });
    let insert = |owner: &str| operation(5, Change::Insert(record! { "owner" => owner }));
    for roll in [false, true] {
        let incoming =
            Incoming { withdraws: true, roll, limit: Some(limit.clone()), ..Incoming::default() };
        // A version of which nothing is known, in a roll: the record is taken for forgotten.
        let takes = operation(if roll { 9 } else { 1 }, Change::Update(Vec::new()));
        for (owner, is_hers) in [("anna", true), ("ben", false)] {
            let mut state = RecordState::default();
            state.merge(&insert(owner), &mut Vec::new());
            let stored = Stored { seq: Some(Seq(3)), place: () };
            let load = |_: &_, _: &_| Ok::<_, Infallible>((stored, state.clone()));
            let (mut staged, mut merging) = (Staged::new(1), Merging::default());
            staged.join(&incoming, &takes, Version::ZERO, &mut merging, load).unwrap();
            staged.judge(&incoming, &mut merging);
            let left = staged.changed().next().map_or(&state, |record| &record.state);
            assert_eq!(left.exists(), !is_hers, "{owner}'s, roll: {roll}");
            assert_eq!(*left == state, !is_hers, "{owner}'s, roll: {roll}");
            assert_eq!(merging.refused.len(), usize::from(!is_hers && roll));
            assert_eq!(merging.withdrawn.len(), usize::from(is_hers && !roll));
        }
    }
}
