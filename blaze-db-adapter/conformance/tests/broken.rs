//! Databases that break one rule each: the suite has to notice.

mod fault;

use blaze_db_adapter_conformance::{rules, run};

use fault::{Fault, Faulty};

/// Whether a rule finds something to complain about.
fn fails<'a, F: Future<Output = ()>>(rule: impl Fn(&'a Faulty) -> F, harness: &'a Faulty) -> bool {
    let rule = std::panic::AssertUnwindSafe(|| run(rule(harness)));
    std::panic::catch_unwind(rule).is_err()
}

/// Makes a test of each fault: it breaks each rule that is named.
macro_rules! broken {
    ($($name:ident: $fault:ident breaks $($rule:ident),+;)*) => {
        $(
            #[test]
            fn $name() {
                $(
                    assert!(
                        fails(|harness| rules::$rule(harness), &Faulty(Fault::$fault)),
                        "{} doesn't notice {:?}",
                        stringify!($rule),
                        Fault::$fault,
                    );
                )+
            }
        )*
    };
}

broken! {
    a_lost_checkpoint: CheckpointOfNothing breaks a_merge_stores_the_checkpoint;
    a_checkpoint_forgotten: CheckpointForgotten breaks merges_survive_reopening;
    a_reused_seq: SeqReused breaks commits_are_numbered_without_gaps,
        concurrent_commits_are_put_in_one_order;
    a_split_transaction: TransactionSplit breaks a_commit_is_whole_or_not_at_all,
        writes_of_a_transaction_see_each_other, a_reader_never_sees_half_a_transaction,
        a_dropped_commit_is_whole_or_nothing;
    a_split_merge: MergeSplit breaks a_merge_is_one_commit_of_what_changed;
    ignored_roles: RolesIgnored breaks versions_carry_the_epoch,
        a_server_beats_clients_that_have_not_seen_it, a_role_applies_from_when_it_is_set;
    a_role_forgotten: RoleForgotten breaks role_survives_reopening;
    a_feed_without_deletes: DeletesOmitted breaks deletes_are_in_the_feed,
        replicas_converge;
    a_feed_that_tears_seqs: SeqsTorn breaks small_steps_cover_the_feed_once,
        a_step_says_how_far_it_went;
    a_feed_that_ends_early: FeedEndsEarly breaks small_steps_cover_the_feed_once;
    a_feed_that_leaves_out_in_silence: LeftOutInSilence
        breaks a_step_that_leaves_nothing_out_is_all_that_happened;
    a_feed_that_always_leaves_out: LeftOutAlways breaks a_feed_of_new_records_leaves_nothing_out;
    a_merge_that_repeats: MergeRepeats breaks a_merge_is_idempotent;
    a_merge_that_passes_on_all: MergePassesOnAll breaks a_merge_is_one_commit_of_what_changed;
    a_silent_merge: ConflictsHidden breaks conflicts_are_reported_with_both_sides;
    a_merge_by_arrival: MergeByArrival breaks a_merge_follows_the_rule_in_any_order,
        replicas_converge;
    a_clock_forgotten: ClockForgotten breaks the_clock_survives_reopening;
    a_clock_that_follows_nobody: ClockAlone breaks the_clock_passes_what_was_merged;
    a_scan_out_of_order: ScanReversed breaks a_scan_pages_in_the_order_of_keys;
    deleted_records_counted: DeletedCounted breaks deleted_records_are_not_seen,
        collections_are_counted_while_they_have_records;
    floats_made_canonical: FloatsCanonical breaks values_come_back_exactly;
    a_database_that_stays_open: StaysOpen breaks a_closed_database_says_so;
    a_late_push: PushedLate breaks what_was_committed_is_visible_at_once,
        concurrent_commits_are_put_in_one_order;
    a_ring_of_before: RingKept breaks the_head_survives_reopening;
    watches_without_an_end: WatchesKept breaks closing_ends_the_watches;
    a_new_identity: NewIdentity breaks identity_survives_reopening;
    an_incarnation_for_all_openings: IncarnationKept breaks
        an_opening_commits_under_an_incarnation_of_its_own;
    a_history_that_is_forgotten: HistoryForgotten breaks
        an_opening_commits_under_an_incarnation_of_its_own, what_a_peer_was_told_stays_true;
    a_node_id_that_is_not_taken: RenewalIgnored breaks another_node_id_is_kept_and_the_former_told;
    a_purge_that_waits_for_nobody: PurgeForAll breaks a_tombstone_stays_until_every_peer_has_it,
        a_silent_peer_is_not_waited_for, a_peer_can_be_taken_out, peers_survive_reopening;
    a_purge_that_waits_for_the_silent: PurgeWaitsForSilent breaks a_silent_peer_is_not_waited_for;
    a_purge_that_spares_what_waits: PurgeSparesWaiting breaks
        a_purge_removes_tombstones_and_nothing_else;
    a_purge_that_takes_records: PurgeTakesAll breaks a_purge_removes_tombstones_and_nothing_else,
        a_tombstone_stays_until_every_peer_has_it;
    a_purge_that_commits: PurgeCommits breaks a_purge_removes_tombstones_and_nothing_else,
        a_purge_keeps_the_head_and_the_clock;
    a_purge_that_nobody_learns_of: PurgeForgotten breaks a_session_learns_what_is_gone,
        peers_survive_reopening;
    a_head_that_went_with_its_record: HeadForgotten breaks a_purge_keeps_the_head_and_the_clock;
    a_clock_that_went_with_its_record: ClockForgotten breaks a_purge_keeps_the_head_and_the_clock;
    a_peer_that_cannot_go_back: HoldsIgnored breaks what_a_peer_has_for_good_is_kept;
    a_peer_that_is_believed: HoldsBelieved breaks what_a_peer_has_for_good_is_kept,
        a_peer_can_be_taken_out;
    a_peer_that_settles_less: SettleLowers breaks what_a_peer_has_for_good_is_kept;
    a_stranger_that_settles: SettleRegisters breaks what_a_peer_has_for_good_is_kept;
    a_silence_that_is_kept: SilenceKept breaks a_silent_peer_is_not_waited_for,
        what_a_peer_has_for_good_is_kept;
    peers_forgotten: PeersForgotten breaks peers_survive_reopening;
    a_peer_that_stays: UnregisterIgnored breaks a_peer_can_be_taken_out;
    a_roll_of_the_dead: RollNamesDead breaks a_roll_names_exactly_what_exists,
        a_roll_can_be_read_in_steps;
    a_roll_out_of_range: RollOutOfRange breaks a_roll_names_exactly_what_exists;
    a_roll_that_tears_seqs: RollTorn breaks a_roll_can_be_read_in_steps;
    a_roll_that_ends_early: RollEndsEarly breaks a_roll_can_be_read_in_steps;
    a_roll_of_inserts: RollOfLives breaks a_roll_names_exactly_what_exists;
    a_roll_that_buries_nothing: RollAsUpdates breaks a_roll_buries_what_is_forgotten;
    a_delete_told_once: AckIgnored breaks a_peer_that_forgot_a_delete_is_told_again;
    a_delete_told_for_nothing: AckAssumed breaks a_peer_that_never_had_a_delete_is_not_told_again,
        a_peer_that_forgot_a_delete_is_told_again;
    a_delete_told_to_others: WholeKnown breaks a_peer_that_forgot_a_delete_is_told_again,
        what_waited_goes_on_with_its_insert;
    a_delete_told_twice: WholeRepeated breaks a_peer_that_forgot_a_delete_is_told_again,
        a_roll_buries_what_is_forgotten;
    an_insert_told_alone: MergePassesOnAll breaks what_waited_goes_on_with_its_insert,
        a_roll_buries_what_is_forgotten, a_peer_that_forgot_a_delete_is_told_again;
    what_may_be_forgotten_taken_for_known: ForgottenTraced breaks
        what_may_be_forgotten_goes_on_as_new;
    a_scope_that_is_ignored: ScopeIgnored breaks a_write_to_what_a_peer_may_not_see_is_refused,
        a_new_record_is_what_a_peer_may_see_or_refused, a_record_may_be_moved_out_by_who_sees_it,
        what_comes_with_what_is_refused_is_merged, operations_of_a_record_are_judged_by_their_end,
        a_roll_does_not_bury_what_its_peer_may_not_see;
    operations_judged_apart: ScopeJudgedApart breaks
        operations_of_a_record_are_judged_by_their_end;
    a_roll_that_buries_what_is_hidden: RollUnjudged breaks
        a_roll_does_not_bury_what_its_peer_may_not_see;
    a_refusal_of_the_whole_batch: RefusedTakesAll breaks what_comes_with_what_is_refused_is_merged,
        operations_of_a_record_are_judged_by_their_end;
    a_refusal_without_a_checkpoint: RefusedStays breaks what_comes_with_what_is_refused_is_merged;
    a_refusal_in_silence: RefusedUntold breaks a_write_to_what_a_peer_may_not_see_is_refused,
        a_new_record_is_what_a_peer_may_see_or_refused;
    conflicts_of_what_is_refused: RefusedConflicts breaks
        a_write_to_what_a_peer_may_not_see_is_refused;
    a_refusal_that_the_peer_does_not_hear: RefusedUnheard breaks
        a_write_to_what_a_peer_may_not_see_is_refused, what_comes_with_what_is_refused_is_merged,
        a_roll_does_not_bury_what_its_peer_may_not_see, a_merge_notes_what_its_peer_has;
    a_refusal_told_once: RefusedOnce breaks a_write_to_what_a_peer_may_not_see_is_refused,
        a_new_record_is_what_a_peer_may_see_or_refused;
    a_refusal_without_end: RefusedAgain breaks what_a_peer_passes_on_is_refused_once;
    a_refusal_told_to_others: RefusedKnown breaks a_write_to_what_a_peer_may_not_see_is_refused,
        a_new_record_is_what_a_peer_may_see_or_refused;
    a_refusal_taken_for_a_withdrawal: RefusedSpared breaks
        what_was_refused_is_not_taken_for_withdrawn;
    a_new_record_left_to_its_peer: NewUntold breaks
        a_new_record_is_what_a_peer_may_see_or_refused, what_comes_with_what_is_refused_is_merged;
    a_new_record_deleted_unknown: NewDeleted breaks
        a_new_record_is_what_a_peer_may_see_or_refused, what_comes_with_what_is_refused_is_merged;
    a_peer_taken_to_know_all: UnheardIgnored breaks a_peer_is_told_all_of_what_it_was_not_given,
        a_roll_tells_what_its_peer_was_not_given, a_peer_hears_of_a_delete_that_it_was_not_told;
    a_roll_taken_to_know_all: UnheardRolls breaks a_roll_tells_what_its_peer_was_not_given;
    a_merge_that_notes_nothing: MergesUnnoted breaks a_merge_notes_what_its_peer_has,
        a_roll_tells_what_its_peer_was_not_given;
    a_withdrawal_at_once: LosesIgnored breaks a_peer_hears_of_what_it_is_about_to_lose,
        what_a_peer_is_about_to_lose_is_kept;
    a_withdrawal_forgotten: LosesForgotten breaks what_a_peer_is_about_to_lose_is_kept;
    a_withdrawal_undone: LosesUndone breaks a_peer_hears_of_what_it_is_about_to_lose;
    a_withdrawal_never_acknowledged: AckIgnored breaks a_peer_hears_of_what_it_is_about_to_lose,
        what_a_peer_is_about_to_lose_is_kept;
    a_withdrawal_by_scope: WithdrawnByScope breaks not_everybody_may_withdraw;
    a_withdrawal_of_what_is_known: WithdrawnIfKnown breaks
        what_is_withdrawn_is_gone_and_not_deleted, what_is_withdrawn_is_not_taken_for_deleted;
    a_withdrawal_that_is_ignored: WithdrawalIgnored breaks
        what_is_withdrawn_is_gone_and_not_deleted;
    a_withdrawal_by_anybody: WithdrawnByAnybody breaks not_everybody_may_withdraw;
    a_withdrawal_that_deletes: WithdrawnDeleted breaks what_is_withdrawn_is_gone_and_not_deleted,
        what_is_withdrawn_is_not_taken_for_deleted, what_was_withdrawn_comes_back;
    a_withdrawal_taken_back_by_a_field: WithdrawnInPart breaks
        what_is_withdrawn_is_not_taken_for_deleted;
    a_withdrawal_in_silence: WithdrawnUntold breaks what_is_withdrawn_is_gone_and_not_deleted,
        what_was_withdrawn_comes_back;
    a_withdrawal_told_twice: WithdrawnTwice breaks what_is_withdrawn_is_gone_and_not_deleted;
    a_feed_without_withdrawals: WithdrawalsOmitted breaks
        what_is_withdrawn_is_gone_and_not_deleted, what_is_withdrawn_is_not_taken_for_deleted;
    a_share_that_is_ignored: ShareIgnored breaks what_was_given_is_told_by_audience;
    shares_of_a_node_whoever_it_is: SharesByNode breaks what_was_given_is_told_by_audience;
    shares_forgotten: SharesForgotten breaks what_was_given_survives_reopening;
    shares_that_stay: SharesKept breaks what_was_given_is_forgotten_with_its_peer_or_tombstone;
    shares_that_end_with_a_delete: SharesOfWhatExists breaks
        what_was_given_is_forgotten_with_its_peer_or_tombstone;
}

/// Without a fault, the wrapper keeps every rule, those over restarts too.
mod sound {
    use super::fault::{Fault, Faulty};

    blaze_db_adapter_conformance::database_conformance!(Faulty(Fault::None));
}

#[test]
fn every_rule_is_in_the_macro() {
    let suite = include_str!("../src/suite.rs");
    let tested: Vec<&str> = suite.lines().map(str::trim).collect();
    let sources = [
        include_str!("../src/rules/clock.rs"),
        include_str!("../src/rules/commit.rs"),
        include_str!("../src/rules/convergence.rs"),
        include_str!("../src/rules/feed.rs"),
        include_str!("../src/rules/identity.rs"),
        include_str!("../src/rules/lineage.rs"),
        include_str!("../src/rules/lifecycle.rs"),
        include_str!("../src/rules/live.rs"),
        include_str!("../src/rules/merge.rs"),
        include_str!("../src/rules/peers.rs"),
        include_str!("../src/rules/purge.rs"),
        include_str!("../src/rules/read.rs"),
        include_str!("../src/rules/role.rs"),
        include_str!("../src/rules/roll.rs"),
        include_str!("../src/rules/scope.rs"),
        include_str!("../src/rules/share.rs"),
        include_str!("../src/rules/unheard.rs"),
        include_str!("../src/rules/values.rs"),
        include_str!("../src/rules/withdrawal.rs"),
    ];
    let mut rules = 0;
    for line in sources.iter().flat_map(|source| source.lines()) {
        let Some(rest) = line.strip_prefix("pub async fn ") else { continue };
        let name = rest.split('<').next().expect("a rule is generic");
        assert!(tested.contains(&name), "{name} is not in the macro");
        rules += 1;
    }
    assert!(rules > 70, "{rules} rules were found");
}

/// Cases until a fault counts as unnoticed. The rarest shows in one of some hundreds.
const CASES: u32 = 10_000;

/// Random calls find what the rules find, too.
#[test]
fn the_model_notices_a_database_that_differs() {
    let faults = [
        Fault::CheckpointOfNothing,
        Fault::CheckpointForgotten,
        Fault::SeqReused,
        Fault::TransactionSplit,
        Fault::MergeSplit,
        Fault::RoleForgotten,
        Fault::DeletesOmitted,
        Fault::FeedEndsEarly,
        Fault::LeftOutInSilence,
        Fault::MergeRepeats,
        Fault::MergePassesOnAll,
        Fault::ConflictsHidden,
        Fault::MergeByArrival,
        Fault::ClockForgotten,
        Fault::ClockAlone,
        Fault::ScanReversed,
        Fault::DeletedCounted,
        Fault::NewIdentity,
        Fault::HistoryForgotten,
        Fault::RenewalIgnored,
        Fault::PurgeForAll,
        Fault::PurgeWaitsForSilent,
        Fault::PurgeSparesWaiting,
        Fault::PurgeTakesAll,
        Fault::PurgeCommits,
        Fault::PurgeForgotten,
        Fault::HeadForgotten,
        Fault::HoldsIgnored,
        Fault::HoldsBelieved,
        Fault::SettleLowers,
        Fault::SettleRegisters,
        Fault::SilenceKept,
        Fault::PeersForgotten,
        Fault::UnregisterIgnored,
        Fault::RollNamesDead,
        Fault::RollOutOfRange,
        Fault::RollTorn,
        Fault::RollEndsEarly,
        Fault::RollOfLives,
        Fault::RollAsUpdates,
        Fault::AckIgnored,
        Fault::AckAssumed,
        Fault::WholeKnown,
        Fault::WholeRepeated,
        Fault::ForgottenTraced,
        Fault::ScopeIgnored,
        Fault::ScopeJudgedApart,
        Fault::RollUnjudged,
        Fault::RefusedTakesAll,
        Fault::RefusedStays,
        Fault::RefusedUntold,
        Fault::RefusedConflicts,
        Fault::RefusedUnheard,
        Fault::RefusedOnce,
        Fault::RefusedAgain,
        Fault::RefusedKnown,
        Fault::NewUntold,
        Fault::NewDeleted,
        Fault::UnheardIgnored,
        Fault::UnheardRolls,
        Fault::MergesUnnoted,
        Fault::LosesIgnored,
        Fault::LosesForgotten,
        Fault::WithdrawalIgnored,
        Fault::WithdrawnByAnybody,
        Fault::WithdrawnByScope,
        Fault::WithdrawnIfKnown,
        Fault::WithdrawnDeleted,
        Fault::WithdrawnUntold,
        Fault::WithdrawnTwice,
        Fault::WithdrawalsOmitted,
        Fault::ShareIgnored,
        Fault::SharesByNode,
        Fault::SharesForgotten,
        Fault::SharesKept,
        Fault::SharesOfWhatExists,
    ];
    for fault in faults {
        let find = || blaze_db_adapter_conformance::agrees_with_the_model(&Faulty(fault), CASES);
        assert!(std::panic::catch_unwind(find).is_err(), "{fault:?} goes unnoticed");
    }
}
