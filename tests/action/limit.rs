//! There may be so many environments and no more, whoever is first.

use local_github::{Fault, Job, RunningJob};

use crate::person::refused;
use crate::story::{INSTANCES, REVIEWER, Story, ending, finish, start, succeed};

const PUSH: &str = "/octo-org/demo/git-receive-pack";

/// A deploy where there may be so many environments.
fn deploy(story: &Story, number: u64, most: &str) -> Job {
    let (job, _) = story.commented_on(number, REVIEWER, "/deploy-ephemeral");
    job.input("max-environments", most)
        .input("push-timeout", "300s")
}

#[test]
fn past_the_limit_a_new_one_is_refused_and_told_which_there_are() {
    let story = Story::new();
    let first = story.another_deployed("first");
    let second = story.another_deployed("second");
    let (job, comment) = story.commented(REVIEWER, "/deploy-ephemeral");

    let told = refused(&story, &job.input("max-environments", "2"), "limit-reached");

    let there = format!(
        "`max-environments` is 2. These environments exist: `first` (pull request {first}), \
         `second` (pull request {second})."
    );
    let remedy = format!(
        "comment `/destroy-ephemeral` on a pull request that no longer needs its environment (the oldest is pull request \
         {first}, with `first`), or raise the input `max-environments`."
    );
    assert!(told.contains(&there), "{told}");
    assert!(told.contains(&remedy), "{told}");
    assert_eq!(story.reactions(comment), ["eyes", "confused"]);
    assert_eq!(story.statuses().last().unwrap(), "failure");

    // What the remedy says helps.
    let (destroy, _) = story.commented_on(first, REVIEWER, "/destroy-ephemeral");
    succeed(&destroy);
    let outcome = succeed(&deploy(&story, story.number, "2"));
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    let both = ["dev", "second"].map(Story::path);
    assert_eq!(story.instances(), both);
}

#[test]
fn the_oldest_is_the_one_of_the_lowest_number_and_a_long_list_is_cut() {
    let story = Story::new();
    let names: Vec<String> = (0..12)
        .map(|index| format!("z-{:02}", 99 - index))
        .collect();
    let numbers = story.many_deployed(&names, "dev");

    let told = refused(&story, &deploy(&story, story.number, "3"), "limit-reached");

    let oldest = format!("(the oldest is pull request {}, with `z-99`)", numbers[0]);
    assert!(told.contains(&oldest), "{told}");
    assert!(
        told.contains("`max-environments` is 3. These environments exist: `z-99`"),
        "{told}"
    );
    assert!(
        told.contains(&format!("`z-90` (pull request {}) and 2 more.", numbers[9])),
        "{told}"
    );
    assert!(!told.contains("`z-89`"), "{told}");
}

#[test]
fn deploying_again_what_exists_is_no_new_one() {
    let story = Story::new();
    story.another_deployed("other");
    succeed(&story.deploy());
    story.push_more();
    // There are more than there may be by now.
    let outcome = succeed(&deploy(&story, story.number, "1"));
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    let outcome = succeed(&deploy(&story, story.number, "1"));
    assert_eq!(ending(&outcome).2, "false");

    // Nor is one in its place, under another name.
    story.github.rename_head(story.number, "renamed");
    let outcome = succeed(&deploy(&story, story.number, "1"));
    assert_eq!(ending(&outcome).2, "true");
    let both = ["other", "renamed"].map(Story::path);
    assert_eq!(story.instances(), both);
}

#[test]
fn zero_is_no_limit() {
    let story = Story::new();
    story.another_deployed("other");
    let outcome = succeed(&deploy(&story, story.number, "0"));
    assert_eq!(ending(&outcome).2, "true");
    assert_eq!(story.instances().len(), 2);
}

#[test]
fn what_is_no_instance_does_not_count() {
    let story = Story::new();
    let path = |name: &str| format!("{INSTANCES}/{name}");
    let file = story.earlier("other", story.number);
    let unmarked = file.replace("managed-by: flux-ephemeral-env", "managed-by: hand");
    story.repository.commit(
        "main",
        &[
            (&path("sync-hand.yaml"), Some(unmarked.as_str())),
            (&path("sync-text.yaml"), Some("text")),
            (&path("podinfo.yaml"), Some(file.as_str())),
            (&path("below/sync-other.yaml"), Some(file.as_str())),
        ],
        "By hand",
    );
    let outcome = succeed(&deploy(&story, story.number, "1"));
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));

    let mut story = story;
    story.number = story.another("late");
    refused(&story, &deploy(&story, story.number, "1"), "limit-reached");
}

#[test]
fn a_dry_run_and_a_label_are_refused_past_the_limit_as_well() {
    let story = Story::new();
    story.another_deployed("other");
    let tip = story.repository.tip("main");
    let job = deploy(&story, story.number, "1").input("dry-run", "true");
    let outcome = succeed(&job);
    assert_eq!(ending(&outcome), ("refuse", "limit-reached", "false"));
    assert_eq!(story.our_comments(), [] as [String; 0]);

    let job = story.label("labeled", "preview", REVIEWER);
    refused(&story, &job.input("max-environments", "1"), "limit-reached");
    assert_eq!(story.repository.tip("main"), tip);
}

#[test]
fn two_at_once_cannot_both_take_the_last_place() {
    let story = Story::new();
    story.another_deployed("first");
    let numbers = [story.number, story.another("other")];
    let before = story.landed().len();
    let gates = numbers.map(|_| story.gate(Fault::on("POST", PUSH)));
    let running = numbers.map(|number| start(&deploy(&story, number, "2")));
    // Both have seen the last place before either takes it.
    for gate in &gates {
        gate.wait();
    }
    for gate in gates {
        gate.open();
    }

    let outcomes = running.map(finish);

    let mut endings = outcomes.each_ref().map(ending);
    endings.sort_unstable();
    assert_eq!(
        endings,
        [
            ("create", "deploy-command", "true"),
            ("refuse", "limit-reached", "false")
        ]
    );
    assert_eq!(story.instances().len(), 2);
    assert_eq!(story.landed().len(), before + 1);
    for (number, outcome) in numbers.into_iter().zip(&outcomes) {
        let ours = story.our_comments_on(number);
        assert_eq!(ours.len(), 1, "{ours:#?}");
        let is_refused = ending(outcome).0 == "refuse";
        assert_eq!(
            ours[0].contains("### 🚫 Refused"),
            is_refused,
            "{}",
            ours[0]
        );
        assert_eq!(
            ours[0].contains("### 🟡 Flux is bringing "),
            !is_refused,
            "{}",
            ours[0]
        );
    }
}

#[test]
fn of_twenty_at_once_only_as_many_land_as_there_is_room_for() {
    let story = Story::new();
    let numbers: Vec<u64> = (0..20)
        .map(|index| story.another(&format!("many-{index:02}")))
        .collect();
    let running: Vec<RunningJob> = numbers
        .iter()
        .map(|number| start(&deploy(&story, *number, "5")))
        .collect();

    let outcomes: Vec<_> = running.into_iter().map(finish).collect();

    let landed = outcomes
        .iter()
        .filter(|outcome| ending(outcome) == ("create", "deploy-command", "true"));
    let refused = outcomes
        .iter()
        .filter(|outcome| ending(outcome) == ("refuse", "limit-reached", "false"));
    assert_eq!((landed.count(), refused.count()), (5, 15));
    assert_eq!(story.instances().len(), 5);
    assert_eq!(story.landed().len(), 5);
}
