//! The macro that makes one test of each rule.

/// Makes a `#[test]` of each rule in [`rules`](crate::rules), each with a
/// [`Harness`](crate::Harness) of its own, which the expression makes; and one that
/// compares random calls with [the model](crate::agrees_with_the_model).
///
/// To test several configurations in one file, use it in a module for each.
#[macro_export]
macro_rules! database_conformance {
    (@tests $harness:expr; $($rule:ident)*) => {
        $(
            #[test]
            fn $rule() {
                let harness = $harness;
                $crate::run($crate::rules::$rule(&harness));
            }
        )*
    };
    ($harness:expr) => {
        /// Random calls, to the database and to the reference model.
        #[test]
        fn agrees_with_the_model() {
            $crate::agrees_with_the_model(&$harness, 24);
        }

        $crate::database_conformance! {
            @tests $harness;
            a_new_database_is_a_replica_of_its_own
            identity_survives_reopening
            an_opening_commits_under_an_incarnation_of_its_own
            what_a_peer_was_told_stays_true
            another_node_id_is_kept_and_the_former_told
            role_survives_reopening
            commits_are_numbered_without_gaps
            commits_survive_reopening
            a_commit_is_whole_or_not_at_all
            insert_needs_a_free_key
            update_needs_a_record
            put_writes_only_what_differs
            a_commit_that_changes_nothing_takes_no_seq
            delete_ends_a_record
            a_field_can_be_removed
            writes_of_a_transaction_see_each_other
            a_transaction_too_large_is_refused
            a_value_over_a_limit_is_refused
            a_scan_pages_in_the_order_of_keys
            deleted_records_are_not_seen
            a_record_may_have_no_fields
            collections_are_counted_while_they_have_records
            collections_are_kept_apart
            values_come_back_exactly
            large_values_come_back
            records_may_have_many_fields
            keys_of_every_kind_are_kept
            long_names_are_kept
            a_record_is_in_the_feed_where_it_last_changed
            an_unchanged_record_is_not_moved
            small_steps_cover_the_feed_once
            a_step_says_how_far_it_went
            a_step_that_leaves_nothing_out_is_all_that_happened
            a_feed_of_new_records_leaves_nothing_out
            deletes_are_in_the_feed
            the_feed_survives_reopening
            a_merge_follows_the_rule_in_any_order
            a_merge_is_idempotent
            a_merge_is_one_commit_of_what_changed
            a_merge_stores_the_checkpoint
            merges_survive_reopening
            conflicts_are_reported_with_both_sides
            only_a_later_insert_brings_a_record_back
            writers_of_different_fields_both_win
            a_tombstone_stays_until_every_peer_has_it
            a_silent_peer_is_not_waited_for
            what_a_peer_has_for_good_is_kept
            a_peer_can_be_taken_out
            peers_survive_reopening
            a_purge_removes_tombstones_and_nothing_else
            a_purge_keeps_the_head_and_the_clock
            a_session_learns_what_is_gone
            a_purged_record_can_be_inserted_anew
            a_roll_names_exactly_what_exists
            a_roll_can_be_read_in_steps
            a_roll_buries_what_is_forgotten
            a_peer_that_forgot_a_delete_is_told_again
            a_peer_that_never_had_a_delete_is_not_told_again
            what_waited_goes_on_with_its_insert
            what_may_be_forgotten_goes_on_as_new
            a_write_to_what_a_peer_may_not_see_is_refused
            what_a_peer_passes_on_is_refused_once
            a_new_record_is_what_a_peer_may_see_or_refused
            a_record_may_be_moved_out_by_who_sees_it
            what_comes_with_what_is_refused_is_merged
            operations_of_a_record_are_judged_by_their_end
            a_peer_hears_of_a_delete_that_it_was_not_told
            a_roll_does_not_bury_what_its_peer_may_not_see
            what_was_refused_is_not_taken_for_withdrawn
            a_peer_is_told_all_of_what_it_was_not_given
            a_roll_tells_what_its_peer_was_not_given
            a_merge_notes_what_its_peer_has
            a_peer_hears_of_what_it_is_about_to_lose
            what_a_peer_is_about_to_lose_is_kept
            what_was_given_is_told_by_audience
            what_was_given_survives_reopening
            what_was_given_is_forgotten_with_its_peer_or_tombstone
            what_is_withdrawn_is_gone_and_not_deleted
            not_everybody_may_withdraw
            what_is_withdrawn_is_not_taken_for_deleted
            what_was_withdrawn_comes_back
            the_feed_makes_an_equal_database
            replicas_converge
            a_moving_feed_can_be_followed
            versions_ascend_when_the_wall_clock_does_not
            the_clock_passes_what_was_merged
            the_clock_survives_reopening
            versions_carry_the_epoch
            a_server_beats_clients_that_have_not_seen_it
            a_role_applies_from_when_it_is_set
            priority_travels_with_the_operation
            what_was_committed_is_visible_at_once
            the_ring_tells_what_the_feed_tells
            the_head_survives_reopening
            concurrent_commits_are_put_in_one_order
            a_reader_never_sees_half_a_transaction
            merges_and_commits_run_side_by_side
            a_closed_database_says_so
            closing_ends_the_watches
            a_dropped_commit_is_whole_or_nothing
            a_dropped_merge_is_whole_or_nothing
        }
    };
}
