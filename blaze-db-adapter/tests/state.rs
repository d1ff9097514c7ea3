//! A record's state beside the plainest form of it: a life, and a register a field.

mod common;

use std::collections::BTreeMap;

use blaze_codec::{Change, Name, Record, Value, Version};
use blaze_db_adapter::{Life, RecordState, Stamp};
use common::{collection, config, fold, key, operations};
use proptest::prelude::*;

/// The plainest form.
type Plain = (Life, BTreeMap<Name, (Stamp, Option<Value>)>);

fn plain(state: &RecordState) -> Plain {
    let fields = state.fields();
    let fields =
        fields.map(|(name, register)| (name.clone(), (register.stamp, register.value.cloned())));
    (*state.life(), fields.collect())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_told_of_a_state_is_what_its_fields_say(operations in operations()) {
        let state = fold(&operations).0;
        let (life, fields) = plain(&state);
        prop_assert_eq!(state.len(), fields.len());
        prop_assert_eq!(state.is_empty(), fields.is_empty());
        let nothing = !life.alive && fields.is_empty();
        let unknown = life.stamp.version == Version::ZERO;
        prop_assert_eq!(state.is_tombstone(), nothing && !unknown);
        prop_assert_eq!(state.is_unknown(), nothing && unknown);
        for name in ["a", "b", "c", "d"] {
            let told = state.field(name).map(|field| (field.stamp, field.value.cloned()));
            prop_assert_eq!(told.as_ref(), fields.get(name));
        }
        let versions = fields.values().map(|(stamp, _)| stamp.version);
        prop_assert_eq!(Some(state.version()), versions.chain([life.stamp.version]).max());
        let visible: Record = fields
            .iter()
            .filter_map(|(name, (_, value))| Some((name.clone(), value.clone()?)))
            .collect();
        let visible = life.alive.then_some(visible);
        prop_assert_eq!(state.record(), visible.clone());
        prop_assert_eq!(state.clone().into_record(), visible);
    }

    #[test]
    fn a_state_made_of_its_fields_is_the_same(operations in operations()) {
        let state = fold(&operations).0;
        let (life, fields) = plain(&state);
        let fields: Vec<_> =
            fields.into_iter().map(|(name, (stamp, value))| (name, stamp, value)).collect();
        let record = fields.iter().map(|(name, _, value)| {
            (name.clone(), value.clone().unwrap_or_default())
        });
        let record: Record = record.collect();
        let parts = fields.iter().enumerate();
        let parts: Vec<_> =
            parts.map(|(place, (_, stamp, value))| (place, *stamp, value.is_none())).collect();
        let again = RecordState::of_parts(life, record.clone(), parts.clone());
        prop_assert_eq!(again.as_ref(), Some(&state));
        let beyond = [(record.len(), Stamp::default(), true)];
        prop_assert_eq!(RecordState::of_parts(life, record.clone(), beyond), None);
        let apart = parts.iter().filter(|(_, stamp, removed)| *removed || *stamp != life.stamp);
        let twice = RecordState::of_parts(life, record, parts.iter().chain(&parts).copied());
        prop_assert_eq!(twice.is_none(), apart.count() > 0);
    }

    /// Which of two ways a state came about can't be told from it.
    #[test]
    fn states_are_equal_if_their_fields_are(one in operations(), other in operations()) {
        let (one, other) = (fold(&one).0, fold(&other).0);
        prop_assert_eq!(one == other, plain(&one) == plain(&other));
    }
}

#[test]
fn an_insert_shares_its_names_with_the_state_and_with_what_is_sent() {
    let record = blaze_codec::record! { "a" => 1, "b" => 2 };
    let stamp = Stamp::default();
    let state = RecordState::of_insert(stamp, record.clone());
    let described = state.operations(&collection(), &key());
    let [Change::Insert(sent)] = described.iter().map(|one| &one.change).collect::<Vec<_>>()[..]
    else {
        panic!("{described:?} is not one insert");
    };
    assert!(std::ptr::eq(sent.names(), record.names()));
}
