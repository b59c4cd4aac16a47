//! Several runs of the same pull request at the same time.

use std::thread;
use std::time::Duration;

use local_github::{Fault, Job};
use serde_json::json;

use crate::story::{
    AUTHOR, REVIEWER, Story, annotation, annotations, ending, fail, finish, says_down, says_up,
    start, succeed,
};

const COMMENT: &str = "/repos/*/issues/*/comments";
const EDIT: &str = "/repos/*/issues/comments/*";
const PUSH: &str = "/octo-org/demo/git-receive-pack";
const STATUSES: &str = "/repos/*/statuses/*";

#[test]
fn two_deploys_of_one_pull_request_at_once_make_one_instance_and_one_comment() {
    let story = Story::new();
    let (first, second) = (story.deploy(), story.deploy().run_id(2));
    // Both have looked for the comment before either creates it.
    let (one, other) = (
        story.gate(Fault::on("POST", COMMENT)),
        story.gate(Fault::on("POST", COMMENT)),
    );
    let running = [start(&first), start(&second)];
    one.wait();
    other.wait();
    one.open();
    other.open();

    let outcomes = running.map(finish);

    assert_eq!(story.instances(), [Story::path("dev")]);
    assert_eq!(story.landed().len(), 1);
    let url = story.github.comments(story.number).remove(2).url;
    assert!(says_up(&story.status_comment()));
    for outcome in outcomes {
        assert_eq!(outcome.outputs["comment-url"], url);
        assert!(!outcome.stdout.contains("::warning"), "{}", outcome.stdout);
    }
}

#[test]
fn a_strangers_refusal_does_not_bury_a_deployment_that_is_told_at_the_same_time() {
    let story = Story::new();
    let (stranger, _) = story.commented("somebody", "/deploy-ephemeral");
    let deploy = story.deploy().run_id(2);
    // The stranger's run has found no comment, and is about to write the first.
    let gate = story.gate(Fault::on("POST", COMMENT));
    let running = start(&stranger);
    gate.wait();
    succeed(&deploy);
    gate.open();

    let outcome = finish(running);

    assert_eq!(ending(&outcome), ("refuse", "not-permitted", "false"));
    let told = story.status_comment();
    for words in [
        "### 🚫 Refused: ",
        "### 🟡 Flux is bringing ",
        "| **Namespace** | `dev` |\n",
    ] {
        assert!(told.contains(words), "no {words} in {told}");
    }
}

#[test]
fn a_deploy_that_cannot_be_taken_back_after_the_close_says_how_it_comes_down() {
    let story = Story::waiting();
    let gate = story.gate(Fault::on("POST", PUSH));
    let busy = Fault::on("POST", PUSH).always().answer_text(503, "busy");
    story.github.fault(busy);
    let deploy = story.deploy().input("push-timeout", "5s");
    let (outcome, _) = thread::scope(|scope| {
        let failing = scope.spawn(|| fail(&deploy));
        gate.wait();
        story.github.close_pull_request(story.number);
        gate.open();
        failing.join().unwrap()
    });

    assert_eq!(ending(&outcome), ("destroy", "push-timeout", "true"));
    assert_eq!(
        Some(&outcome.outputs["commit"]),
        story.repository.tip("main").as_ref()
    );
    assert_eq!(story.instances(), [Story::path("dev")]);
    let told = story.status_comment();
    for words in ["### 🔴 Failed: ", "comment `/destroy-ephemeral`"] {
        assert!(told.contains(words), "no {words} in {told}");
    }
    assert!(!told.contains("give the command again"), "{told}");
    story.github.clear_faults();
    succeed(&story.destroy());
    assert_eq!(story.instances(), [] as [String; 0]);
}

#[test]
fn a_deploy_that_lands_after_the_close_is_taken_back() {
    let story = Story::new();
    let gate = story.gate(Fault::on("POST", PUSH));
    let running = start(&story.deploy());
    gate.wait();
    let close = succeed(&story.close());
    assert_eq!(ending(&close), ("destroy", "pull-request-closed", "false"));
    gate.open();

    let outcome = finish(running);

    assert_eq!(
        ending(&outcome),
        ("refuse", "pull-request-is-closed", "true")
    );
    assert_eq!(
        Some(&outcome.outputs["commit"]),
        story.repository.tip("main").as_ref()
    );
    assert!(story.instances().is_empty());
    let subjects: Vec<String> = story
        .landed()
        .into_iter()
        .map(|(subject, _)| subject)
        .collect();
    assert_eq!(
        subjects,
        [
            "[ci skip] destroy ephemeral env from dev",
            "[ci skip] create ephemeral env from dev"
        ]
    );
    let told = story.status_comment();
    assert!(told.contains("The pull request is closed."), "{told}");
    assert!(!says_up(&told), "{told}");
    assert_eq!(story.statuses().last().unwrap(), "failure");
}

#[test]
fn a_state_that_github_does_not_document_takes_no_environment_down() {
    let story = Story::new();
    let mut odd = story
        .github
        .pull_request_event(story.number, "opened", AUTHOR);
    odd["pull_request"]["state"] = json!("archived");
    let second = Fault::on("GET", "/repos/*/pulls/*").skip(1);
    story
        .github
        .fault(second.answer(200, odd["pull_request"].take()));

    let outcome = succeed(&story.deploy());

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(story.instances(), [Story::path("dev")]);
    let warning = annotation(&outcome, "warning");
    for words in [
        "could not check whether the pull request is still open",
        "its state is \"archived\"",
    ] {
        assert!(warning.contains(words), "{warning}");
    }
}

#[test]
fn a_deploy_that_the_close_overtakes_is_told_as_destroyed() {
    let story = Story::new();
    succeed(&story.deploy());
    let (gate, running) = story.about_to_tell();
    let close = succeed(&story.close().run_id(3));
    assert_eq!(ending(&close), ("destroy", "pull-request-closed", "true"));
    gate.open();

    let outcome = finish(running);

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert!(story.instances().is_empty());
    let told = story.status_comment();
    assert!(says_down(&told), "{told}");
    assert!(
        told.contains("Another run for this pull request destroyed it"),
        "{told}"
    );
    assert!(!says_up(&told), "{told}");
    let last = story.github.statuses(&story.head()).pop().unwrap();
    assert_eq!(
        (last.state.as_str(), last.description.as_deref()),
        ("success", Some("Destroyed"))
    );
}

#[test]
fn a_comment_is_corrected_where_the_commit_status_cannot_be() {
    for (fault, warning) in [
        (
            Fault::on("POST", STATUSES).answer(403, json!({"message": "Resource not accessible"})),
            "the commit status could not be written; add `statuses: write`",
        ),
        (
            Fault::on("POST", STATUSES).answer_text(422, "No more than 1000 statuses"),
            "the commit status could not be written: ",
        ),
        (
            Fault::on("POST", STATUSES).hang(),
            "the commit status could not be corrected: no answer within 10 s",
        ),
    ] {
        let story = Story::waiting();
        succeed(&story.deploy());
        let (gate, running) = story.about_to_tell();
        story.github.fault(fault.always());
        story.remove_by_hand();
        gate.open();

        let outcome = finish(running);

        assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
        let told = story.status_comment();
        assert!(says_down(&told), "{told}");
        let warnings = annotations(&outcome, "warning");
        assert!(
            warnings.iter().any(|words| words.starts_with(warning)),
            "{warnings:#?}"
        );
    }
}

#[test]
fn a_destroy_that_a_deploy_overtakes_is_told_as_deployed() {
    let story = Story::new();
    succeed(&story.deploy());
    let gate = story.gate(Fault::on("PATCH", EDIT));
    let url = |job: Job| job.input("environment-url", "https://{name}.example.com");
    let running = start(&url(story.destroy()).run_id(2));
    gate.wait();
    succeed(&url(story.deploy()).run_id(3));
    gate.open();

    let outcome = finish(running);

    assert_eq!(ending(&outcome), ("destroy", "destroy-command", "true"));
    assert_eq!(story.instances(), [Story::path("dev")]);
    let told = story.status_comment();
    assert!(says_up(&told), "{told}");
    assert!(told.contains("| **Namespace** | `dev` |\n"), "{told}");
    assert!(told.contains("as `rita` requested"), "{told}");
    for words in [
        "[dev.example.com](<https://dev.example.com>)",
        "Flux polls `main`",
    ] {
        assert!(told.contains(words), "no {words} in {told}");
    }
    assert!(!says_down(&told), "{told}");
    let last = story.github.statuses(&story.head()).pop().unwrap();
    assert_eq!(last.description.as_deref(), Some("Flux is bringing dev up"));
}

#[test]
fn a_refusal_that_a_close_overtakes_does_not_bring_back_what_was_known_before() {
    let story = Story::new();
    succeed(&story.deploy());
    let (refused, _) = story.commented(REVIEWER, "/deploy-ephemeral now");
    let gate = story.gate(Fault::on("PATCH", EDIT));
    let running = start(&refused);
    gate.wait();
    succeed(&story.close().run_id(3));
    gate.open();

    let outcome = finish(running);

    assert_eq!(ending(&outcome), ("refuse", "unknown-argument", "false"));
    let told = story.status_comment();
    assert!(told.contains("### 🚫 Refused: "), "{told}");
    assert!(says_down(&told), "{told}");
    assert!(!says_up(&told), "{told}");
}

#[test]
fn a_failure_that_a_destroy_overtakes_does_not_bring_back_what_was_known_before() {
    let story = Story::new();
    succeed(&story.deploy());
    story.push_more();
    // The rejection comes while the other run is through with everything.
    let refuse = Fault::on("POST", PUSH).answer_text(403, "no");
    let gate = story.gate(refuse);
    let failing = story.deploy().run_id(2);
    let outcome = thread::scope(|scope| {
        let failing = scope.spawn(|| fail(&failing).0);
        gate.wait();
        succeed(&story.destroy().run_id(3));
        gate.open();
        failing.join().unwrap()
    });

    assert_eq!(ending(&outcome), ("create", "push-forbidden", "false"));
    let told = story.status_comment();
    assert!(told.contains("### 🔴 Failed: "), "{told}");
    assert!(says_down(&told), "{told}");
    assert!(!says_up(&told), "{told}");
}

#[test]
fn a_deploy_and_a_close_at_the_same_moment_end_as_the_comment_says() {
    let story = Story::new();
    for round in 0..6 {
        let number = story.another(&format!("round-{round}"));
        let before = story.landed().len();
        let (deploy, _) = story.commented_on(number, REVIEWER, "/deploy-ephemeral");
        if round % 2 == 1 {
            succeed(&deploy);
        }
        let running = start(&deploy);
        thread::sleep(Duration::from_millis(40 * round));
        story.github.close_pull_request(number);
        let event = story.github.pull_request_event(number, "closed", AUTHOR);
        let close = story.job().event("pull_request_target", &event);
        let closed = start(&close);
        for outcome in [finish(running), finish(closed)] {
            assert!(!outcome.stdout.contains("::warning"), "{}", outcome.stdout);
        }

        assert_eq!(story.instances(), [] as [String; 0], "round {round}");
        assert_eq!((story.landed().len() - before) % 2, 0, "round {round}");
        let ours = story.our_comments_on(number);
        assert_eq!(ours.len(), 1, "round {round}: {ours:#?}");
        assert!(
            says_down(&ours[0]) || ours[0].contains("The pull request is closed."),
            "round {round}: {}",
            ours[0]
        );
        assert!(!says_up(&ours[0]), "round {round}: {}", ours[0]);
    }
}
