//! What the pull request is told, and where.

use local_github::Fault;
use serde_json::json;

use crate::story::{AUTHOR, REVIEWER, Story, ending, finish, start, succeed};

#[test]
fn one_comment_is_created_and_then_edited() {
    let story = Story::new();
    succeed(&story.deploy());
    let first = story
        .github
        .comments(story.number)
        .into_iter()
        .find(|comment| comment.login.ends_with("[bot]"))
        .unwrap();
    assert!(first.body.contains("### 🟡 Flux is bringing "));

    let outcome = succeed(&story.destroy());
    assert!(story.status_comment().contains("### ⚪ Flux is removing "));
    assert_eq!(outcome.outputs["comment-url"], first.url);

    succeed(&story.deploy());
    assert!(story.status_comment().contains("### 🟡 Flux is bringing "));
}

#[test]
fn our_comment_is_found_behind_a_hundred_others() {
    let story = Story::new();
    for _ in 0..130 {
        story.github.comment(story.number, AUTHOR, "words");
    }
    succeed(&story.deploy());
    for _ in 0..130 {
        story.github.comment(story.number, AUTHOR, "more words");
    }
    succeed(&story.destroy());

    assert!(story.status_comment().contains("### ⚪ Flux is removing "));
}

#[test]
fn a_strangers_comment_with_our_marker_is_not_ours() {
    let story = Story::new();
    let theirs = "<!-- flux-ephemeral-env -->\nAll is well";
    story.github.comment(story.number, "mallory", theirs);

    succeed(&story.deploy());

    assert!(story.status_comment().contains("### 🟡 Flux is bringing "));
    let mallorys: Vec<_> = story
        .github
        .comments(story.number)
        .into_iter()
        .filter(|comment| comment.login == "mallory")
        .collect();
    assert_eq!(mallorys[0].body, theirs);
}

#[test]
fn a_refusal_keeps_what_is_known_of_the_environment() {
    let story = Story::new();
    succeed(&story.deploy());
    let deployed = story.status_comment();
    for _ in 0..2 {
        let (job, _) = story.commented(REVIEWER, "/deploy-ephemeral now");
        succeed(&job);
    }
    let told = story.status_comment();
    assert!(told.starts_with(&deployed), "{told}");
    assert_eq!(told.matches("### 🚫 Refused").count(), 1, "{told}");

    succeed(&story.destroy());
    let told = story.status_comment();
    assert!(
        !told.contains("Refused") && !told.contains("Flux is bringing"),
        "{told}"
    );
}

#[test]
fn nothing_of_a_strangers_text_takes_effect() {
    let branch = "x`@team`_bold_<img>$(id)'\"";
    let story = Story::of_branch(branch);

    let outcome = succeed(&story.deploy());

    let told = story.status_comment();
    assert!(
        told.contains(&format!("| **Branch** | ``{branch}`` at [`")),
        "{told}"
    );
    let manifest = story
        .repository
        .read("main", &outcome.outputs["manifest"])
        .unwrap();
    assert!(manifest.contains("    branch: "), "{manifest}");
    assert!(
        told.matches("@team").count() == 1 && told.matches("<img>").count() == 1,
        "{told}"
    );
}

#[test]
fn a_missing_permission_is_named_once_and_the_rest_goes_on() {
    let story = Story::new();
    story.github.restrict_token(&[
        "contents:write",
        "metadata:read",
        "pull-requests:read",
        "issues:read",
    ]);

    let outcome = succeed(&story.deploy());

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    let warnings: Vec<&str> = outcome
        .stdout
        .lines()
        .filter(|line| line.starts_with("::warning"))
        .collect();
    assert_eq!(warnings.len(), 2, "{}", outcome.stdout);
    assert!(
        warnings[0].contains("add `pull-requests: write` to the job's `permissions`"),
        "{}",
        warnings[0]
    );
    assert!(
        warnings[1].contains("add `statuses: write` to the job's `permissions`"),
        "{}",
        warnings[1]
    );
    assert_eq!(outcome.outputs["comment-url"], "");
    assert_eq!(story.landed().len(), 1);
    assert_eq!(story.our_comments(), [] as [String; 0]);
}

#[test]
fn a_comment_of_ours_that_was_deleted_is_written_anew() {
    let story = Story::new();
    let outcome = succeed(&story.deploy());
    let comment = story.github.comments(story.number).remove(1);
    assert_eq!(comment.url, outcome.outputs["comment-url"]);
    let gate = story.gate(Fault::on("PATCH", "/repos/*/issues/comments/*"));
    let running = start(&story.destroy());
    gate.wait();
    story.github.delete_comment(comment.id);
    gate.open();

    let outcome = finish(running);

    assert!(!outcome.stdout.contains("::warning"), "{}", outcome.stdout);
    assert!(story.status_comment().contains("### ⚪ Flux is removing "));
}

#[test]
fn trouble_after_the_push_is_a_warning() {
    let story = Story::new();
    let gone = || json!({ "message": "This comment was locked" });
    story.github.fault(
        Fault::on("POST", "/repos/*/issues/*/comments")
            .always()
            .answer(422, gone()),
    );

    let outcome = succeed(&story.deploy());

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert!(
        outcome
            .stdout
            .contains("::warning title=flux-ephemeral-env::the comment could not be written: ")
    );
    assert!(outcome.stdout.contains("422: This comment was locked"));
    assert_eq!(story.statuses(), ["pending", "success"]);
}

#[test]
fn an_answer_that_was_lost_is_not_doubled() {
    let story = Story::new();
    for path in [
        "/repos/*/issues/*/comments",
        "/repos/*/statuses/*",
        "/repos/*/reactions",
    ] {
        story.github.fault(Fault::on("POST", path).lose_answer());
    }
    let (job, comment) = story.commented(REVIEWER, "/deploy-ephemeral");

    succeed(&job);

    assert!(story.status_comment().contains("Flux is bringing"));
    assert_eq!(story.statuses(), ["pending", "success"]);
    assert_eq!(story.reactions(comment), ["eyes", "rocket"]);
}

#[test]
fn one_bad_gateway_on_each_call_is_survived() {
    let story = Story::new();
    for (method, path) in [
        ("GET", "/repos/*/pulls/*"),
        ("GET", "/repos/*/permission"),
        ("GET", "/repos/*/issues/*/comments?*"),
        ("POST", "/repos/*/issues/*/comments"),
        ("POST", "/repos/*/statuses/*"),
        ("POST", "/repos/*/reactions"),
        ("POST", "/graphql"),
    ] {
        story
            .github
            .fault(Fault::on(method, path).answer_text(502, "Bad Gateway"));
    }
    let (job, comment) = story.commented(REVIEWER, "/deploy-ephemeral");

    let outcome = succeed(&job);

    assert!(!outcome.stdout.contains("::warning"), "{}", outcome.stdout);
    assert!(story.status_comment().contains("Flux is bringing"));
    assert_eq!(story.statuses(), ["pending", "success"]);
    assert_eq!(story.reactions(comment), ["eyes", "rocket"]);
}
