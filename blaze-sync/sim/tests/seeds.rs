//! Seeds that every test run goes through: some of all, and each that once failed.

use blaze_sync_sim::{
    Canary, Config, Driver, Engine, Failure, Fault, Faults, Merge, Report, Scenario, Session, run,
    shrink,
};

/// Small runs only: the large ones are for `cargo xtask sim`.
fn config() -> Config {
    Config { large_percent: 0, ..Config::default() }
}

fn passes(seed: u64, config: &Config) -> Report {
    run(seed, config)
        .unwrap_or_else(|failure| panic!("{failure}; see `cargo xtask sim --seed {seed}`"))
}

#[test]
fn all_holds_in_two_hundred_seeds_and_every_fault_and_scenario_happens() {
    let mut sum = Report::default();
    for seed in 0..200 {
        sum.add(&passes(seed, &config()));
    }
    for fault in Fault::ALL.into_iter().filter(|fault| Faults::default().has(*fault)) {
        assert!(sum.faults.contains_key(&fault), "{fault} never happened");
    }
    for scenario in Scenario::ALL {
        assert!(sum.scenarios.contains_key(&scenario), "{scenario} never came to its end");
    }
    assert!(sum.coverage.contains_key("compressed"), "nothing was compressed");
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 0..20 {
        let (first, second) = (passes(seed, &config()), passes(seed, &config()));
        assert_eq!(first, second, "seed {seed}");
    }
    assert_ne!(passes(1, &config()).hash, passes(2, &config()).hash);
}

#[test]
fn the_story_makes_no_difference() {
    let told = Config { story: true, ..config() };
    assert_eq!(passes(3, &told), passes(3, &config()));
}

/// What once failed, each with what it was.
const REGRESSIONS: [(u64, &str); 29] = [
    (631, "a copy of a replica that had taken another id before kept that id"),
    (1395, "a write was taken for another of the same version, by a copy"),
    (3213, "two copies that refused each other were not told so"),
    (98, "a client's insert lost to a server's delete that it had forgotten"),
    (44_483, "the same, where something older of the record had come since"),
    (513, "the ring told a first peer of records that were forgotten"),
    (11_185, "the same, of what was forgotten between the hello and the registration"),
    (3056, "something older of a forgotten record kept it from being buried"),
    (3619, "a field that two lives have in common did, too"),
    (33_500, "what a restored peer had deleted, forgotten and told nobody came back there only"),
    (38_480, "a field later than a new life was forgotten where its old life had ended"),
    (23_797, "what a peer held after its hello settled by the hello's head"),
    (2367, "what came over one of two links settled though it was on its way on the other"),
    (28_315, "a catch-up was merged in two steps as one of its frames came twice"),
    (150_857, "a field that a copy wrote at the version of a new life was forgotten, too"),
    (101_087, "who kept a delete wasn't told of what came back, having that from elsewhere"),
    (245_613, "a field went with a tombstone, and a life below it came late: too strict a check"),
    (264_973, "a tombstone was there again after a power cut, which one linked meanwhile lacked"),
    (292_318, "what had gone where it was written didn't reach who was linked late with that"),
    (300_286, "an update came late to who had removed the delete above it, and went on"),
    (315_355, "who kept what had been buried didn't tell again, at the very version"),
    (334_238, "a hello that was long on its way brought what was merged, deleted and forgotten"),
    (113_975, "a later field of a deleted record was sent to who had forgotten the delete"),
    (171_066, "the same, to who was linked again after it had forgotten it"),
    (120_423, "who only receives forgot a delete, and a later field came: too strict a check"),
    (183_809, "the same, of what it had deleted itself"),
    (503_690, "a roll missed a forgotten field under a later one; it names fields since"),
    (652_015, "who was past its lease caught up one way first: too strict a check"),
    (758_733, "a client wrote anew where a server's delete was forgotten: too strict a check"),
];

/// What once failed while almost every seed ran a scenario.
const SCENARIO_REGRESSIONS: [(u64, &str); 1] = [(
    90_039_345,
    "a delete that was forgotten didn't reach who had missed it, by a third: too strict a check",
)];

/// What once failed while every seed limited links.
const SCOPE_REGRESSIONS: [(u64, &str); 12] = [
    (1_009, "fields that were written after a delete were told, whatever they said"),
    (2_001, "what lost to a record that its writer may not see stayed there"),
    (1, "who named a record in a roll wasn't told that it was buried"),
    (15, "what was refused stayed where it was written, as the session ended"),
    (7_053, "the same, as the disk was full"),
    (4_001, "a roll named what its reader had deleted, and might not see"),
    (3_076, "a feed through a scope that differs in its last byte was taken for the same"),
    (7_418, "what was written while a withdrawal was on its way was forgotten there only"),
    (2_729, "the same, of what a record's own change withdraws"),
    (44, "a refusal wasn't told of a record that changed again and was read in a second piece"),
    (42_301, "what was deleted and forgotten was left alone in a roll, as it was refused since"),
    (5_275, "a roll deleted what was withdrawn, as a field of it had come since"),
];

/// What once failed while every seed limited links, of those to nodes that have others, too.
const PASS_REGRESSIONS: [(u64, &str); 3] = [
    (1_566, "two sides that hide a record from each other told each other of it without end"),
    (1_811, "the same, where one link shows what the other hides"),
    (361, "the same"),
];

/// Runs a seed that once failed.
fn passes_now(seed: u64, what: &str, config: &Config) {
    run(seed, config).unwrap_or_else(|failure| panic!("once: {what}; now: {failure}"));
}

#[test]
fn what_once_failed_passes() {
    // As in long runs, in which few seeds are large.
    let then = || Config { large_percent: 2, ..Config::default() };
    for (seed, what) in REGRESSIONS {
        // Before there were compression, scenarios and policies.
        let then = Config { compressed_percent: 0, scenario_percent: 0, ..then() };
        passes_now(seed, what, &Config { scope_percent: 0, ..then });
    }
    for (seed, what) in SCENARIO_REGRESSIONS {
        passes_now(seed, what, &Config { scenario_percent: 33, scope_percent: 0, ..then() });
    }
    for (seed, what) in SCOPE_REGRESSIONS {
        passes_now(seed, what, &Config { scope_percent: 100, pass_percent: 0, ..then() });
    }
    for (seed, what) in PASS_REGRESSIONS {
        passes_now(seed, what, &Config { scope_percent: 100, pass_percent: 100, ..then() });
    }
    let what = "a write on its way was withdrawn";
    passes_now(30_513, what, &Config { scope_percent: 8, ..then() });
}

/// The first failure that a deliberate bug makes.
fn find(config: &Config, seeds: u64) -> Failure {
    let failure = (0..seeds).find_map(|seed| run(seed, config).err());
    failure.unwrap_or_else(|| panic!("{:?} isn't found", config.canary))
}

#[test]
fn deliberate_bugs_are_found_and_their_story_is_told() {
    let canaries = [
        Canary::Driver(Driver::HalfBatchMerged),
        Canary::Session(Session::KnownTooMuch),
        Canary::Session(Session::CompressionUnasked),
        Canary::Merge(Merge::DeleteWins),
        Canary::Driver(Driver::LeaseOfPresent),
    ];
    for canary in canaries {
        let config = Config { canary: Some(canary), ..config() };
        let failure = find(&config, 300);
        let (short, told) = shrink(&failure, &config);
        assert!(short.steps_max <= failure.steps);
        assert!(told.story.last().is_some_and(|line| line.contains(told.check)), "{canary}");
    }
    assert!(run(0, &config()).is_ok(), "canaries stay armed");
}

#[test]
fn what_breaks_policies_is_found() {
    let canaries = [
        Canary::Session(Session::ScopeIgnored),
        Canary::Merge(Merge::ConditionUnjudged),
        Canary::Engine(Engine::WithdrawalForgotten),
        Canary::Engine(Engine::RootsOfPart),
    ];
    for canary in canaries {
        let config = Config { canary: Some(canary), scope_percent: 100, ..config() };
        find(&config, 150);
    }
}

#[test]
fn scenarios_find_what_chance_seldom_does() {
    let canaries = [
        Canary::Merge(Merge::SettledForGood),
        Canary::Session(Session::SentBeforeRoll),
        Canary::Driver(Driver::SettledByAnySession),
    ];
    for canary in canaries {
        let config = Config { canary: Some(canary), scenario_percent: 33, ..config() };
        let failure = find(&config, 150);
        passes(failure.seed, &Config { scenario_percent: 0, ..config });
    }
}
