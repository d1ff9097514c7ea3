//! Which sizes are measured, and how much is done with each.

use super::{Hub, Load, Part, Point, Work};
use crate::args::Args;
use crate::plan::BATCH;
use crate::spec::Store;

/// About the bytes of records where nothing else is said.
const RECORD_BYTES: usize = 200;
const STORES: [Store; 2] = [Store::Memory, Store::Process];
/// Files that a process may have open beside a socket a peer.
const FILES_BESIDE: usize = 100;

/// All points of the parts that the arguments ask for.
pub(super) fn points(args: &Args, parts: &[Part]) -> Vec<Point> {
    parts.iter().flat_map(|part| part.points(args)).collect()
}

impl Part {
    fn points(self, args: &Args) -> Vec<Point> {
        let choose = |full, fast| if args.quick { fast } else { full };
        if self == Self::Peers {
            let sizes: &[usize] = if args.quick { &[1, 10, 100] } else { &[1, 10, 100, 1_000] };
            let room = open_files_max().saturating_sub(FILES_BESIDE);
            let sizes = sizes.iter().copied().filter(|&peers| peers <= room);
            let hubs = sizes.map(|peers| Hub {
                peers,
                // Longer than the heartbeat's 15 s, so that every link has one.
                idle_ms: if args.quick { 4_000 } else { 20_000 },
                singles: choose(20_000 / peers, 2_000 / peers).clamp(20, 1_000),
                warm_up: 10,
            });
            let point = |hub| Point { part: self, store: Store::Process, work: Work::Hub(hub) };
            return hubs.map(point).collect();
        }
        let loads = self.loads(args);
        let point = |store| {
            let of_store =
                move |load: Load| Point { part: self, store, work: Work::Load(load.over(store)) };
            loads.iter().copied().map(of_store)
        };
        STORES.into_iter().flat_map(point).collect()
    }

    fn loads(self, args: &Args) -> Vec<Load> {
        let choose = |full, fast| if args.quick { fast } else { full };
        let streaming = |operations: usize, per_transaction| Load {
            held: 0,
            record_bytes: RECORD_BYTES,
            singles: 0,
            warm_up: 0,
            operations,
            updates: 0,
            per_transaction,
        };
        match self {
            Self::Records => {
                let sizes = [1_000, 10_000, 100_000, 1_000_000];
                let sizes = &sizes[..choose(4, 3)];
                let load = |&held| Load {
                    held,
                    singles: choose(2_000, 500),
                    warm_up: 200,
                    updates: choose(50_000, 10_000),
                    ..streaming(choose(200_000, 20_000), BATCH)
                };
                sizes.iter().map(load).collect()
            }
            Self::Transaction => {
                // Enough for several of the largest, and not minutes for the smallest.
                let operations = |size: usize| (size * choose(20_000, 4_000)).min(100_000);
                let load = |size: usize| streaming(operations(size).max(4 * size), size);
                let sizes = [1, 10, 100, 1_000, 10_000, 100_000];
                sizes[..choose(6, 5)].iter().copied().map(load).collect()
            }
            Self::Bytes => {
                let all_bytes: usize = choose(128, 32) << 20;
                let load = |bytes: usize| Load {
                    record_bytes: bytes,
                    ..streaming(
                        (all_bytes / bytes).min(choose(100_000, 20_000)),
                        // A transaction has its limit in bytes, too.
                        ((1 << 20) / bytes).clamp(1, BATCH),
                    )
                };
                [50, 200, 1 << 10, 16 << 10, 256 << 10, 1 << 20].map(load).into()
            }
            Self::Peers => Vec::new(),
        }
    }
}

impl Load {
    /// As much as takes about the same time with any store.
    fn over(self, store: Store) -> Self {
        if store == Store::Memory { Self { operations: 2 * self.operations, ..self } } else { self }
    }
}

/// How many files a process may have open: those of many peers may be too many.
fn open_files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    // Without a figure there is no limit, or nobody knows it.
    soft.and_then(|soft| soft.parse().ok()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use blaze_codec::limits::TRANSACTION_BYTES_MAX;
    use clap::{Parser as _, ValueEnum as _};

    use super::*;

    #[test]
    fn every_size_streams_several_transactions_that_can_be_committed() {
        for arguments in [&["e2e"][..], &["e2e", "--quick"]] {
            let args = Args::try_parse_from(arguments).expect("these are arguments");
            for point in points(&args, Part::value_variants()) {
                let Work::Load(load) = point.work else { continue };
                assert!(load.operations >= 4 * load.per_transaction, "{point}: {load:?}");
                let bytes = load.per_transaction * load.record_bytes;
                assert!(bytes <= TRANSACTION_BYTES_MAX, "{point}: {bytes} bytes a transaction");
                // Random updates are of records that are there.
                assert!(load.held > 0 || load.updates == 0, "{point}: {load:?}");
            }
        }
    }

    #[test]
    fn sizes_ascend_with_each_store() {
        let args = Args::try_parse_from(["e2e"]).expect("these are arguments");
        for part in Part::value_variants() {
            for store in STORES {
                let points = points(&args, &[*part]).into_iter();
                let sizes = points.filter(|point| point.store == store).map(|point| point.size());
                assert!(sizes.is_sorted_by(|a, b| a < b), "{part:?}");
            }
        }
    }
}
