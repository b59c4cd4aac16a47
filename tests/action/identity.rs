//! Who we are: our comment is known by its author, whatever GitHub's two APIs say of the token.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use local_github::{Fault, Job};
use serde_json::{Value, json};

use crate::story::{REVIEWER, Story, annotation, annotations, ending, succeed};

/// A token, and whose comments it writes.
const TOKENS: [(&str, &str); 3] = [
    ("", "github-actions[bot]"),
    ("ghp_personal", "deployer"),
    ("ghs_ofanapp", "our-app[bot]"),
];

fn with_token(story: &Story, (token, login): (&str, &str), job: Job) -> Job {
    if token.is_empty() {
        return job;
    }
    story.github.add_personal_token(token, login);
    story.github.set_permission(login, "admin");
    job.input("token", token)
}

/// The comments of somebody on the pull request.
fn comments_of(story: &Story, login: &str) -> Vec<String> {
    let mut comments = story.github.comments(story.number);
    comments.retain(|comment| comment.login == login);
    comments.into_iter().map(|comment| comment.body).collect()
}

/// Others wrote what looks like our comment: a person, and one whose login is a bot's without its suffix.
fn forged(story: &Story) -> Vec<Vec<String>> {
    let theirs = "<!-- flux-ephemeral-env -->\nAll is well";
    for login in ["mallory", "github-actions", "our-app"] {
        story.github.comment(story.number, login, theirs);
    }
    untouched(story)
}

fn untouched(story: &Story) -> Vec<Vec<String>> {
    ["mallory", "github-actions", "our-app"]
        .map(|login| comments_of(story, login))
        .to_vec()
}

#[test]
fn our_comment_is_found_where_graphql_does_not_tell_who_we_are() {
    let refused = |status: u16, words: &str| {
        let graphql = Fault::on("POST", "/graphql").always();
        graphql.answer(status, json!({ "message": words }))
    };
    for token in TOKENS {
        for fault in [
            refused(401, "Bad credentials"),
            refused(403, "Resource not accessible by personal access token"),
            refused(404, "Not Found"),
        ] {
            let story = Story::new();
            let others = forged(&story);
            story.github.fault(fault);
            for job in [story.deploy(), story.destroy(), story.deploy()] {
                let outcome = succeed(&with_token(&story, token, job));
                assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
            }
            let ours = comments_of(&story, token.1);
            let commands = usize::from(token.1 == REVIEWER);
            assert_eq!(ours.len(), 1 + commands, "{token:?}: {ours:#?}");
            assert!(ours[0].contains("### 🟡 Flux is bringing "), "{}", ours[0]);
            assert_eq!(untouched(&story), others);
            assert_eq!(story.requests()["GET /user"], 3);
        }
    }
}

#[test]
fn our_comment_is_found_while_graphql_is_down_and_is_the_same_afterwards() {
    for token in TOKENS {
        for is_known_before in [false, true] {
            let story = Story::new();
            let others = forged(&story);
            if is_known_before {
                succeed(&with_token(&story, token, story.deploy()));
            }
            // Each is tried four times.
            let outage = Fault::on("POST", "/graphql").times(8);
            story
                .github
                .fault(outage.answer_text(503, "Service Unavailable"));
            for job in [story.deploy(), story.destroy(), story.deploy()] {
                let outcome = succeed(&with_token(&story, token, job));
                assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
                let ours = comments_of(&story, token.1);
                assert_eq!(ours.len(), 1, "{token:?}: {ours:#?}");
            }
            let ours = comments_of(&story, token.1).remove(0);
            assert!(ours.contains("### 🟡 Flux is bringing "), "{ours}");
            assert_eq!(untouched(&story), others);
            assert_eq!(story.requests()["GET /user"], 2);
        }
    }
}

#[test]
fn where_nobody_says_who_we_are_nothing_is_written_that_might_be_there() {
    let story = Story::new();
    succeed(&story.deploy());
    let before = story.status_comment();
    for (method, path) in [("POST", "/graphql"), ("GET", "/user")] {
        let outage = Fault::on(method, path).always();
        story
            .github
            .fault(outage.answer_text(503, "Service Unavailable"));
    }
    let outcome = succeed(&story.destroy());
    let warning = annotation(&outcome, "warning");
    let words = "the comment could not be written: GET ";
    assert!(warning.starts_with(words), "{warning}");
    assert_eq!(story.status_comment(), before);
}

fn rate_limited(kind: &str, data: Value) -> Fault {
    let error =
        json!({ "type": kind, "message": "API rate limit exceeded for installation ID 7." });
    Fault::on("POST", "/graphql").answer(200, json!({ "data": data, "errors": [error] }))
}

#[test]
fn a_rate_limit_of_graphql_is_waited_for() {
    let retry_after = |kind: &str, data: Value| rate_limited(kind, data).header("retry-after", "5");
    let reset = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let soon = (now + Duration::from_secs(8)).as_secs().to_string();
        rate_limited("RATE_LIMITED", Value::Null)
            .header("x-ratelimit-remaining", "0")
            .header("x-ratelimit-reset", &soon)
    };
    for limit in [
        &(|| retry_after("RATE_LIMITED", Value::Null)) as &dyn Fn() -> Fault,
        &|| retry_after("RATE_LIMIT", json!({ "viewer": null })),
        &reset,
    ] {
        let story = Story::waiting();
        let job = story.deploy();
        // As often as it would be tried at once. The time is named last, for setting up takes some.
        story.github.fault(limit().times(1));
        let outcome = succeed(&job);
        assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
        let waited = outcome.duration >= Duration::from_secs(4);
        assert!(waited, "{:?}: {}", outcome.duration, outcome.stdout);
        assert!(story.status_comment().contains("### 🟡 Flux is bringing "));
        assert_eq!(story.requests()["POST /graphql"], 2);
        assert!(!story.requests().contains_key("GET /user"));
    }
}

#[test]
fn a_rate_limit_of_graphql_that_lasts_is_told_as_one() {
    let story = Story::new();
    let number = story.another_closed("gone");
    for data in [Value::Null, json!({ "repository": null })] {
        let fault = rate_limited("RATE_LIMITED", data).header("retry-after", "99999");
        story.github.fault(fault);
        let outcome = succeed(&story.sweep());
        let warning = annotation(&outcome, "warning");
        for words in [
            "API rate limit exceeded for installation ID 7.",
            "(try again in 99999 s)",
        ] {
            assert!(warning.contains(words), "{warning}");
        }
        assert_eq!(ending(&outcome).2, "false");
    }
    // Afterwards everything is as ever.
    assert_eq!(ending(&succeed(&story.sweep())).2, "true");
    assert!(story.status_comment_on(number).contains("closed"));
}
