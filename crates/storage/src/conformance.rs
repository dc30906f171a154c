//! What every engine has to hold, as tests.
//!
//! An engine's tests say `tertulia_storage::conformance!(MySubject::new());` and get one test for each rule. The
//! rules see an engine through [`Store`](crate::Store), so that they hold for what people use.

#![allow(clippy::unwrap_used, reason = "these are tests; they are only compiled for tests")]

mod chunks;
mod commits;
mod failures;
mod fixture;
mod follow;
mod format;
mod lanes;
mod limits;
mod positions;
mod scans;
mod snapshots;

use std::sync::Arc;

pub use self::{
    chunks::*, commits::*, failures::*, follow::*, format::*, lanes::*, limits::*, positions::*,
    scans::*, snapshots::*,
};
use crate::{
    Engine,
    testing::{Counts, Fault},
};

/// A place for one store, of an engine that is to be tested. It is empty at first.
pub trait Subject: Send + Sync + 'static {
    /// The engine.
    type Engine: Engine;

    /// Opens what lies in the place, after whoever had it open closed it. Later on, `fault` happens.
    fn open(&self, fault: Fault) -> (Self::Engine, Arc<Counts>);
}

/// Makes one test of each rule; the expression makes a [`Subject`].
#[macro_export]
macro_rules! conformance {
    ($subject:expr) => {
        $crate::conformance! { $subject =>
            a_view_does_not_change
            a_row_that_rested_is_read_as_each_view_has_it
            a_transaction_sees_its_own_writes
            what_was_committed_is_found_by_the_next_view
            many_rows_are_found_in_the_order_asked_for
            a_command_that_fails_leaves_nothing
            a_refused_command_does_not_spoil_those_beside_it
            a_guard_finds_a_concurrent_change
            a_guard_finds_a_row_that_came_to_be
            commands_of_different_lanes_lose_no_update
            what_was_committed_is_there_after_reopening
            scans_go_both_ways_in_the_order_of_keys
            scans_keep_to_their_prefix
            scans_begin_where_they_are_told
            ranges_keep_to_their_bounds
            scans_see_own_writes_and_miss_own_deletes
            tables_do_not_touch
            positions_are_dense_and_in_order
            positions_are_put_into_keys_and_values
            the_newest_comes_first_in_a_descending_key
            positions_of_a_refused_command_are_taken_again
            positions_go_on_after_reopening
            a_view_tells_of_nothing_beyond_what_is_settled
            watchers_wake_after_the_commit
            a_key_that_is_too_long_is_refused
            a_value_that_is_too_large_is_refused
            a_commit_that_is_too_large_is_refused
            a_lane_spreads_what_one_commit_does_not_bear
            an_engine_refuses_what_it_need_not_bear
            a_prefix_is_deleted_in_pages
            large_values_come_back_whole
            replacing_a_large_value_leaves_no_chunk
            positions_are_put_into_large_values
            scans_put_large_values_together
            a_failed_write_acknowledges_nothing
            a_failed_sync_acknowledges_nothing
            a_store_that_failed_is_still_read
            a_restart_ends_being_read_only
            stopping_after_any_commit_leaves_whole_commands
            writers_of_one_lane_share_a_sync
            writers_of_many_lanes_share_a_sync
            a_command_whose_caller_went_away_takes_place
            a_panic_in_a_command_does_not_stop_its_lane
            a_conflicting_batch_is_run_again
            shutting_down_finishes_what_was_queued
            a_new_store_gets_its_format
            a_newer_store_is_refused_and_left_as_it_is
            a_store_without_a_format_is_refused
            an_older_store_is_upgraded_page_by_page
            an_interrupted_upgrade_goes_on
            corruption_names_the_table_and_the_key
            a_follower_sees_every_entry_once
            a_follower_goes_on_from_its_cursor
            a_follower_that_begins_now_sees_only_what_is_new
            a_followers_rows_and_cursor_survive_together
        }
    };
    ($subject:expr => $($rule:ident)+) => {
        $(
            #[tokio::test]
            async fn $rule() {
                $crate::conformance::$rule(&$subject).await;
            }
        )+
    };
}
