//! The program that libFuzzer drives. `BLAZE_FUZZ_TARGET` names the target; what came
//! nearest to its bound is told whenever it does.
#![no_main]

use std::cell::Cell;
use std::env;
use std::sync::OnceLock;

use blaze_fuzz::{Seen, Target};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<Target> = OnceLock::new();

thread_local! {
    static TOLD: Cell<Seen> = const { Cell::new(Seen { peak: 0, input: 0, allowed: 0 }) };
}

fn named() -> Target {
    let name = env::var("BLAZE_FUZZ_TARGET").unwrap_or_default();
    Target::named(&name).expect("BLAZE_FUZZ_TARGET must name a target")
}

fuzz_target!(|input: &[u8]| {
    TARGET.get_or_init(named).run(input);
    if let Some(seen) = TOLD.get().nearer() {
        eprintln!("seen: {seen}");
        TOLD.set(seen);
    }
});
