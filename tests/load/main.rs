//! Many runs at the same time, which need the machine for themselves: other stories beside them would make them collide
//! more often than they do by themselves. Cargo runs one binary of tests after the other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a story that cannot go on has failed"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use local_github::{Job, RunningJob};

use crate::story::{REVIEWER, Story, finish, start};

#[allow(dead_code, reason = "the other stories use the rest of it")]
#[path = "../action/story.rs"]
mod story;

/// A command on a pull request.
fn command(story: &Story, number: u64, body: &str) -> Job {
    // On a small machine, fifty take their time.
    let (job, _) = story.commented_on(number, REVIEWER, body);
    job.input("push-timeout", "600s")
}

/// Runs all of them at once; each has to land one commit of its own, with about three pushes each.
fn land_at_once(story: &Story, jobs: &[Job]) {
    let before = story.landed().len();
    story.github.clear_requests();
    let running: Vec<RunningJob> = jobs.iter().map(start).collect();
    let mut commits: Vec<String> = running
        .into_iter()
        .map(|running| {
            let outcome = finish(running);
            assert_eq!(outcome.outputs["changed"], "true", "{}", outcome.stdout);
            assert!(!outcome.stdout.contains("::warning"), "{}", outcome.stdout);
            outcome.outputs["commit"].clone()
        })
        .collect();
    commits.sort_unstable();
    commits.dedup();
    assert_eq!(commits.len(), jobs.len());
    let landed = story.landed();
    let ours = landed[..landed.len() - before]
        .iter()
        .filter(|(subject, _)| subject.starts_with("[ci skip] "));
    for (subject, changes) in ours.clone() {
        assert_eq!(changes.len(), 1, "{subject}: {changes:?}");
    }
    assert_eq!(ours.count(), jobs.len());
    let pushes = story.requests()["POST /git-receive-pack"];
    assert!(
        pushes <= 3 * jobs.len(),
        "{pushes} pushes of {}",
        jobs.len()
    );
}

/// Raises a flag when it goes.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn twenty_and_then_fifty_at_once_all_land_while_others_push() {
    let story = Story::new();
    let numbers: Vec<u64> = (0..50)
        .map(|index| story.another(&format!("many-{index}")))
        .collect();
    let deploy = |number: &u64| command(&story, *number, "/deploy-ephemeral");
    let destroy = |number: &u64| command(&story, *number, "/destroy-ephemeral");
    let first: Vec<Job> = numbers[..20].iter().map(deploy).collect();
    land_at_once(&story, &first);
    assert_eq!(story.instances().len(), 20);

    let second: Vec<Job> = numbers[..20].iter().map(destroy).collect();
    let second: Vec<Job> = second
        .into_iter()
        .chain(numbers[20..].iter().map(deploy))
        .collect();
    let is_over = AtomicBool::new(false);
    let pushed_by_others = thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut pushed = 0;
            while !is_over.load(Ordering::Relaxed) {
                pushed += 1;
                let text = format!("{pushed}\n");
                story
                    .repository
                    .commit("main", &[("busy.txt", Some(&text))], "Busy");
                thread::sleep(Duration::from_secs(2));
            }
            pushed
        });
        {
            // Also where this fails: nobody would end the others.
            let _over = Raise(&is_over);
            land_at_once(&story, &second);
        }
        others.join().unwrap()
    });

    let mut instances = story.instances();
    instances.sort_unstable();
    let mut expected: Vec<String> = (20..50)
        .map(|index| Story::path(&format!("many-{index}")))
        .collect();
    expected.sort_unstable();
    assert_eq!(instances, expected);
    assert_eq!(story.landed().len(), 20 + 50 + pushed_by_others);
    for number in numbers {
        let ours = story.our_comments_on(number);
        assert_eq!(ours.len(), 1, "{ours:#?}");
    }
}
