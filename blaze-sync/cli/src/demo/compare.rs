//! Whether two databases are equal, record by record.

use anyhow::Result;
use blaze_sync::{CollectionInfo, Database, Record, RecordKey};

use super::place::Place;

/// Records that are compared at once.
const PAGE: usize = 1_000;
/// Differences that are told, of however many there are.
const TOLD: usize = 10;

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// The collections of the first database.
    pub(super) collections: Vec<CollectionInfo>,
    /// How many records were compared.
    pub(super) records: u64,
    /// The first differences, for people.
    pub(super) differences: Vec<String>,
}

/// Opens both databases and compares every record.
pub(super) async fn compare(a: &Place, b: &Place) -> Result<Comparison> {
    let (a, b) = (a.read().await?, b.read().await?);
    let mut found = Comparison { collections: a.collections().await?, ..Comparison::default() };
    let others = b.collections().await?;
    if found.collections != others {
        found.differ(format!("the collections differ: {:?} and {others:?}", found.collections));
    }
    for info in found.collections.clone() {
        compare_collection(&a, &b, &info.name, &mut found).await?;
    }
    a.close().await?;
    b.close().await?;
    Ok(found)
}

async fn compare_collection(
    a: &Database,
    b: &Database,
    name: &str,
    found: &mut Comparison,
) -> Result<()> {
    let (a, b) = (a.collection(name), b.collection(name));
    let mut after: Option<RecordKey> = None;
    loop {
        let ours = a.list(after.as_ref(), PAGE).await?;
        let theirs = b.list(after.as_ref(), PAGE).await?;
        found.records += ours.len() as u64;
        if ours != theirs {
            found.differ(first_difference(name, &ours, &theirs));
        }
        let Some((last, _)) = ours.last() else { return Ok(()) };
        after = Some(last.clone());
    }
}

fn first_difference(
    name: &str,
    ours: &[(RecordKey, Record)],
    theirs: &[(RecordKey, Record)],
) -> String {
    let mut pairs = ours.iter().zip(theirs);
    match pairs.find(|(ours, theirs)| ours != theirs) {
        Some((ours, theirs)) => format!("{name}: {ours:?} against {theirs:?}"),
        None => format!("{name}: {} records against {}", ours.len(), theirs.len()),
    }
}

impl Comparison {
    fn differ(&mut self, difference: String) {
        if self.differences.len() < TOLD {
            self.differences.push(difference);
        }
    }
}
