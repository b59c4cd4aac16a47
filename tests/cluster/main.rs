//! Stories on a real Flux: the real executable, this repository's own `k8s/`, and the cluster that `KUBECONFIG` points to.
//!
//! ```console
//! $ eval "$(tests/cluster/up)"
//! $ cargo test --test cluster -- --ignored
//! $ tests/cluster/down
//! ```
//!
//! The cluster is bootstrapped once, onto a local GitHub, and shared. Stories that break something start a control plane of
//! their own beside it. This is no `libtest` binary, for what it started has to end with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a story that cannot go on has failed, and says so"
)]

mod bad_input;
mod bootstrap;
mod branches;
mod cluster;
mod docs;
mod kube;
mod lifecycle;
mod own_branch;
mod plane;
mod readiness;
mod recipes;
mod security;
mod unready;
mod variables;
mod webhook;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock};

use libtest_mimic::{Arguments, Trial};

use crate::cluster::Cluster;
use crate::plane::Plane;

/// The paths of these functions are the names of the stories.
macro_rules! stories {
    ($($module:ident :: $name:ident),* $(,)?) => {
        [$((concat!(stringify!($module), "::", stringify!($name)), $module::$name as fn(&Cluster))),*]
    };
}

/// The same for stories that bring their own control plane, or need none.
macro_rules! own_stories {
    ($($module:ident :: $name:ident),* $(,)?) => {
        [$((concat!(stringify!($module), "::", stringify!($name)), $module::$name as fn())),*]
    };
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let shared = stories![
        lifecycle::a_pull_request_gets_its_own_overlay_and_production_does_not_notice,
        lifecycle::destroy_and_deploy_again_bring_it_back,
        lifecycle::a_pinned_commit_stays_whatever_is_pushed,
        lifecycle::an_allowed_fork_runs_from_its_own_url_pinned_and_without_credentials,
        lifecycle::an_environment_whose_time_is_over_is_swept_and_its_namespace_is_gone,
        branches::twelve_odd_branches_become_ready,
        branches::an_overlay_that_does_not_build_harms_no_other_and_goes_with_its_pull_request,
        branches::an_overlay_that_never_applied_leaves_a_namespace_that_says_whose_it_was,
        branches::twenty_deployed_at_once_are_ready_and_twenty_closed_at_once_are_gone,
        bootstrap::by_hand_and_by_bootstrap_come_to_the_same,
        variables::a_number_between_quote_variables_is_a_string_wherever_one_is_meant,
        variables::a_number_in_quotes_of_the_overlay_is_refused_as_the_docs_say,
        unready::a_fix_that_is_pushed_to_an_unready_environment_counts_at_once,
        unready::an_unready_environment_is_gone_soon_after_its_close,
        unready::an_unready_environment_that_is_destroyed_and_deployed_again_gets_ready,
        unready::environments_that_are_not_ready_hold_nobody_up,
        readiness::flux_says_of_each_commit_how_its_environment_fares,
        readiness::a_deploy_waits_for_flux_and_the_pull_request_follows_every_push,
        readiness::a_deploy_that_never_gets_healthy_fails_and_its_repair_is_reported,
        readiness::the_same_commit_deployed_again_is_waited_for_anew,
        readiness::neighbours_that_never_get_ready_do_not_hold_up_a_wait,
        readiness::a_wait_follows_a_push_and_ends_with_a_close,
        readiness::a_health_check_that_flux_calls_off_is_not_taken_for_ready,
        readiness::a_wait_that_is_over_says_what_to_look_at_and_has_asked_little,
        security::what_production_has_in_the_whole_cluster_is_refused_and_stays,
        security::an_overlay_that_leaves_it_out_as_the_docs_say_gets_ready,
    ];
    let own = own_stories![
        bootstrap::a_malformed_file_beside_ours_stops_all_changes_and_removes_nothing,
        bootstrap::an_instance_that_a_list_names_goes_without_breaking_the_list,
        recipes::every_environment_gets_what_the_watchers_patches_say,
        own_branch::the_instances_live_on_a_branch_of_their_own_as_the_docs_say,
        webhook::a_signed_push_wakes_flux_and_a_wrong_signature_does_nothing,
        readiness::a_destroy_and_deploy_between_two_looks_of_flux_is_not_waited_for_in_vain,
        security::a_hostile_overlay_may_do_anything_by_default_and_nothing_under_lockdown,
        bad_input::a_cluster_that_will_not_do_is_named_in_one_line,
    ];

    let names = shared
        .iter()
        .map(|(name, _)| name)
        .chain(own.iter().map(|(name, _)| name));
    let plane = if is_asked_for(&arguments, names) {
        match Plane::from_env() {
            Ok(plane) => Some(plane),
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        }
    } else {
        None
    };

    let plane = Arc::new(Mutex::new(plane));
    let cluster = Arc::new(OnceLock::new());
    let shared = shared.into_iter().map(|(name, story)| {
        let (plane, cluster) = (Arc::clone(&plane), Arc::clone(&cluster));
        ignored(name, move || {
            story(cluster.get_or_init(|| bootstrapped(&plane)))
        })
    });
    let own = own.into_iter().map(|(name, story)| ignored(name, story));
    let without = own_stories![bad_input::without_a_kubeconfig_one_line_says_what_to_do];
    let without = without.into_iter().map(|(name, story)| trial(name, story));
    let conclusion = libtest_mimic::run(&arguments, shared.chain(own).chain(without).collect());
    // Not at the exit, which would leave what they started behind.
    drop((cluster, plane));
    conclusion.exit_code()
}

/// The shared cluster; the first story that wants it waits for it, and the others with it.
fn bootstrapped(plane: &Mutex<Option<Plane>>) -> Cluster {
    let plane = plane.lock().unwrap().take();
    Cluster::new(plane.expect("the cluster is set up once; an earlier story failed to"))
}

fn trial(name: &str, story: impl Fn() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        story();
        Ok(())
    })
}

fn ignored(name: &str, story: impl Fn() + Send + 'static) -> Trial {
    trial(name, story).with_ignored_flag(true)
}

/// Whether the command line asks for a story that needs the cluster.
fn is_asked_for<'a>(arguments: &Arguments, mut names: impl Iterator<Item = &'a &'a str>) -> bool {
    let is_named = |name: &str| match &arguments.filter {
        Some(filter) if arguments.exact => name == filter,
        Some(filter) => name.contains(filter.as_str()),
        None => true,
    };
    (arguments.ignored || arguments.include_ignored)
        && !arguments.list
        && names.any(|name| is_named(name))
}
