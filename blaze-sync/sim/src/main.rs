//! `cargo xtask sim`: runs seeds and tells what came of it.

fn main() {
    let first: u64 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::args().nth(2).and_then(|a| a.parse().ok()).unwrap_or(100);
    let config = blaze_sync_sim::Config::default();
    let mut all = blaze_sync_sim::Report::default();
    let began = std::time::Instant::now();
    for seed in first..first + count {
        match blaze_sync_sim::run(seed, &config) {
            Ok(report) => all.add(&report),
            Err(failure) => {
                let (config, failure) = blaze_sync_sim::shrink(&failure, &config);
                println!("{failure}\n{config:?}");
                for l in failure.story.iter().rev().take(60).rev() {
                    println!("{l}");
                }
                break;
            }
        }
    }
    println!("{all:#?} {:?}", began.elapsed());
}
