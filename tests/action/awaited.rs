//! Servers that hang, or refuse for as long as there is. These stories do nothing but wait, so they share one place among
//! those that run at a time, and come early: side by side they take as long as the longest.

use crate::{git, sweep_trouble, trouble, workspace};

#[test]
fn whoever_keeps_us_waiting_is_left_in_time() {
    std::thread::scope(|scope| {
        for story in [
            trouble::who_keeps_us_waiting_is_left_within_two_minutes,
            git::a_locked_reference_is_pushed_again_until_the_time_is_over,
            git::push_timeout_ends_the_tries,
            workspace::a_checkout_that_does_not_come_to_an_end_keeps_nobody_from_being_told,
            trouble::a_github_that_says_nothing_any_more_is_not_waited_for_with_every_request,
            sweep_trouble::a_github_that_hangs_is_not_asked_for_each_hundred_anew,
            sweep_trouble::a_sweep_stops_telling_where_github_takes_no_more_and_names_whom_it_did_not_tell,
            sweep_trouble::a_commit_status_that_hangs_is_not_waited_for_with_every_pull_request,
            sweep_trouble::a_git_server_that_hangs_is_not_waited_for_with_every_pull_request_that_is_told,
        ] {
            scope.spawn(story);
        }
    });
}
