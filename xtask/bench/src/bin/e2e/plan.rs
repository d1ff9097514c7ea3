//! Which cases are measured, and how much each does.

use blaze_sync::Durability;
use clap::ValueEnum as _;

use crate::args::{Args, Kind};
use crate::spec::{Case, Store, Transport, Workload};

/// Operations of a transaction that streams.
pub(crate) const BATCH: usize = 1_000;

/// All cases that the arguments ask for.
pub(crate) fn cases(args: &Args) -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in Kind::value_variants() {
        if !args.only.is_empty() && !args.only.contains(kind) {
            continue;
        }
        for &transport in Transport::value_variants() {
            for &store in Store::value_variants() {
                if wanted(args, *kind, transport, store) {
                    let workloads = workloads(*kind, store, args).into_iter();
                    cases.extend(workloads.map(|workload| Case { workload, transport, store }));
                }
            }
        }
    }
    cases
}

/// What isn't asked for by name is left out where it would say the same again:
/// encryption has nothing to do with the transport.
fn wanted(args: &Args, kind: Kind, transport: Transport, store: Store) -> bool {
    let by_default = match (transport, store) {
        (_, Store::Nothing) | (Transport::Unix, Store::Memory | Store::Process) => true,
        (Transport::Unix, _) => !args.quick,
        (_, store) => !args.quick && !store.encrypted(),
    };
    let transport_wanted = args.transport.is_empty() || args.transport.contains(&transport);
    let store_wanted = args.store.contains(&store) || (args.store.is_empty() && by_default);
    // A wire alone has nothing but a latency.
    let makes_sense = store != Store::Nothing || kind == Kind::Latency;
    transport_wanted && store_wanted && makes_sense
}

fn workloads(kind: Kind, store: Store, args: &Args) -> Vec<Workload> {
    let choose = |full, fast| if args.quick { fast } else { full };
    let singles = match store.durability() {
        Durability::Memory => choose(100_000, 20_000),
        Durability::Process => choose(20_000, 5_000),
        Durability::Disk => choose(2_000, 200),
    };
    match kind {
        Kind::Latency => {
            vec![Workload::Latency { warm_up: choose(200, 100), count: choose(2_000, 1_000) }]
        }
        Kind::Stream => {
            let full = if store.durability() == Durability::Memory { 200_000 } else { 100_000 };
            let operations = choose(full, 50_000);
            vec![
                Workload::Stream { operations, per_transaction: BATCH },
                Workload::Stream { operations: singles, per_transaction: 1 },
            ]
        }
        Kind::Sync => {
            let records = args.records.unwrap_or_else(|| choose(100_000, 20_000));
            vec![Workload::Sync { records }]
        }
        Kind::Connect => vec![Workload::Connect { count: choose(20, 5) }],
    }
}
