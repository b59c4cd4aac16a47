//! What is none of our business: no request, no word, exit 0.

use flux_ephemeral_env::OUTPUTS;
use serde_json::json;

use crate::story::{AUTHOR, REVIEWER, Story, ending, succeed};

fn assert_nothing_to_do(story: &Story, job: &local_github::Job, reason: &str) {
    let outcome = succeed(job);
    assert_eq!(
        ending(&outcome),
        ("none", reason, "false"),
        "{}",
        outcome.stdout
    );
    let outputs: Vec<&str> = outcome.outputs.keys().map(String::as_str).collect();
    let mut declared = OUTPUTS;
    declared.sort_unstable();
    assert_eq!(outputs, declared);
    assert!(outcome.summary.contains(reason), "{}", outcome.summary);
    story.assert_untouched();
}

#[test]
fn a_comment_that_is_no_command_is_nothing_to_do() {
    let story = Story::new();
    for body in [
        "Looks good",
        "/deploy-ephemerals",
        "please\n/deploy-ephemeral",
        "> /deploy-ephemeral",
        "```\n/deploy-ephemeral\n```",
        "    /deploy-ephemeral",
    ] {
        let (job, _) = story.commented(REVIEWER, body);
        assert_nothing_to_do(&story, &job, "not-a-command");
    }
}

#[test]
fn an_edited_or_deleted_comment_is_nothing_to_do() {
    let story = Story::new();
    let comment = story
        .github
        .comment(story.number, REVIEWER, "/deploy-ephemeral");
    for action in ["edited", "deleted"] {
        let event = story.github.issue_comment_event(comment, action);
        assert_nothing_to_do(
            &story,
            &story.job().event("issue_comment", &event),
            "comment-not-created",
        );
    }
}

#[test]
fn a_command_on_a_plain_issue_is_nothing_to_do() {
    let story = Story::new();
    let issue = story.github.open_issue(AUTHOR, "Broken");
    let comment = story.github.comment(issue, REVIEWER, "/deploy-ephemeral");
    let event = story.github.issue_comment_event(comment, "created");
    assert_nothing_to_do(
        &story,
        &story.job().event("issue_comment", &event),
        "not-a-pull-request",
    );
}

#[test]
fn a_bots_command_is_nothing_to_do() {
    let story = Story::new();
    let comment = story
        .github
        .comment(story.number, "renovate[bot]", "/deploy-ephemeral");
    let event = story.github.issue_comment_event(comment, "created");
    assert_eq!(event["comment"]["user"]["type"], "Bot");
    assert_nothing_to_do(
        &story,
        &story.job().event("issue_comment", &event),
        "bot-comment",
    );
}

#[test]
fn other_actions_of_a_pull_request_are_nothing_to_do() {
    let story = Story::new();
    for name in ["pull_request", "pull_request_target"] {
        for action in ["opened", "synchronize", "reopened"] {
            let event = story
                .github
                .pull_request_event(story.number, action, AUTHOR);
            assert_nothing_to_do(
                &story,
                &story.job().event(name, &event),
                "action-not-handled",
            );
        }
    }
}

#[test]
fn other_events_are_nothing_to_do_whatever_they_hold() {
    let story = Story::new();
    for name in ["push", "issues", "release"] {
        assert_nothing_to_do(
            &story,
            &story.job().event(name, &json!({})),
            "event-not-handled",
        );
        assert_nothing_to_do(
            &story,
            &story.job().event_raw(name, "no JSON"),
            "event-not-handled",
        );
    }
}
