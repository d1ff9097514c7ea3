//! Round trips, sizes, and bytes that are no state.

use blaze_codec::{Hlc, Name, NodeId, Role, Value, Version};
use blaze_db_adapter::{DatabaseError, Life, RecordState, Stamp};
use rusqlite::Connection;

use super::{decode, encode};
use crate::dictionary::Dictionary;
use crate::fault::Fault;
use crate::schema::{self, Meta};

fn database() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    let (node, former) = (NodeId::ZERO, Vec::new());
    let meta = Meta { node, former, database: "main".to_owned(), role: Role::Client };
    schema::create(&conn, &meta).unwrap();
    conn
}

fn version(epoch: u64, hlc: u64, node: u8) -> Version {
    let node = NodeId::from_bytes([node; 16]);
    Version { epoch: Hlc::from_bits(epoch), hlc: Hlc::from_bits(hlc), node }
}

fn state(life: Life, fields: &[(&str, Version, Version, Option<Value>)]) -> RecordState {
    let fields = fields.iter().map(|(name, version, base, value)| {
        let (version, base) = (*version, *base);
        (Name::new(name).unwrap(), Stamp { version, base }, value.clone())
    });
    let (names, parts): (Vec<_>, Vec<_>) =
        fields.map(|(name, stamp, value)| (name, (stamp, value))).unzip();
    let values = parts.iter().map(|(_, value)| value.clone().unwrap_or_default());
    let record = names.into_iter().zip(values).collect();
    let apart = parts.iter().enumerate();
    let apart = apart.map(|(place, (stamp, value))| (place, *stamp, value.is_none()));
    RecordState::of_parts(life, record, apart).unwrap()
}

fn samples() -> Vec<RecordState> {
    let born = version(0, 1 << 40, 1);
    let served = version(1 << 41, 1 << 41, 2);
    let after = version(1 << 41, 1 << 42, 1);
    let alive = Life { stamp: Stamp { version: born, base: Version::ZERO }, alive: true };
    let dead = Life { stamp: Stamp { version: served, base: born }, alive: false };
    let ones = |name| (name, born, Version::ZERO, Some(Value::Int(1)));
    vec![
        RecordState::default(),
        state(alive, &[]),
        state(alive, &[ones("a"), ones("b")]),
        state(dead, &[("a", after, born, Some(Value::Null))]),
        state(
            alive,
            &[
                ones("a"),
                ("b", served, born, None),
                ("c", served, born, Some("text".into())),
                ("d", after, served, Some(vec![Value::Float(0.5), Value::Bool(true)].into())),
                ("e", version(0, u64::MAX, 0), Version::ZERO, Some(Value::Int(-1))),
            ],
        ),
        state(Life::default(), &[("a", after, born, Some(Value::Int(1)))]),
    ]
}

fn encoded(state: &RecordState, dictionary: &mut Dictionary, conn: &Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(state, dictionary, conn, &mut bytes).unwrap();
    bytes
}

#[test]
fn states_come_back_as_they_were_even_without_a_cache() {
    let conn = database();
    let mut writer = Dictionary::default();
    for sample in samples() {
        let bytes = encoded(&sample, &mut writer, &conn);
        assert_eq!(decode(&bytes, &mut writer, &conn).unwrap(), sample);
        assert_eq!(decode(&bytes, &mut Dictionary::default(), &conn).unwrap(), sample);
    }
}

#[test]
fn a_fresh_record_costs_few_bytes_beyond_its_values() {
    let conn = database();
    let bytes = encoded(&samples()[2], &mut Dictionary::default(), &conn);
    // Flags, version, its zero base, a count, and a byte of name for each field.
    let mut value = Vec::new();
    blaze_codec::binary::encode_value(&Value::Int(1), &mut value);
    assert_eq!(bytes.len(), 1 + 9 + 1 + 1 + 2 * (1 + value.len()));
}

/// Every cut and every flipped bit is decoded to something or refused with a
/// decode error; whatever is accepted can be encoded again.
#[test]
fn no_bytes_make_it_panic() {
    let conn = database();
    let mut dictionary = Dictionary::default();
    for sample in samples() {
        let bytes = encoded(&sample, &mut dictionary, &conn);
        for cut in 0..bytes.len() {
            refused(&decode(&bytes[..cut], &mut dictionary, &conn).expect_err("it is cut off"));
        }
        refused(&decode(&[&bytes[..], &[0]].concat(), &mut dictionary, &conn).unwrap_err());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match decode(&flipped, &mut dictionary, &conn) {
                Ok(state) => drop(encoded(&state, &mut dictionary, &conn)),
                Err(fault) => refused(&fault),
            }
        }
    }
}

fn refused(fault: &Fault) {
    assert!(matches!(fault, Fault::Database(DatabaseError::Stored(_))), "{fault:?}");
}
