//! A bad value fails before any request: one error that names the input, the value and what is allowed.

use flux_ephemeral_env::INPUTS;
use local_github::Job;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::story::{REVIEWER, Story, ending, fail, needs_the_executable, run, succeed};
use crate::trouble::spoiled;

/// Runs a deploy that must fail before anything is asked, and gives back the error.
fn rejected(story: &Story, change: impl Fn(local_github::Job) -> local_github::Job) -> String {
    let (outcome, error) = fail(&change(story.deploy()));
    assert_eq!(outcome.outputs.get("decision"), None);
    story.assert_untouched();
    error
}

#[test]
fn every_input_with_bad_values_is_rejected_by_name() {
    let story = Story::new();
    let table = [
        ("deploy-command", ["", "two words", "/destroy-ephemeral"]),
        ("destroy-command", ["", "a\tb", "/deploy-ephemeral"]),
        ("branch", ["refs/heads/main", "a..b", "with blank"]),
        ("instances-path", ["", "/absolute", "a/../b"]),
        ("overlay-path", ["", "../up", "a/.git/b"]),
        ("flux-namespace", ["", "Flux", "-a"]),
        (
            "repository-url",
            [
                "git@github.com:o/r",
                "file:///etc",
                "https://user:pass@host/r",
            ],
        ),
        ("secret-ref", ["A", "a b", "-"]),
        ("interval", ["", "1 minute", "0s"]),
        ("timeout", ["", "5", "1d"]),
        ("namespace-prefix", ["-", "Up", "a23456789-123456789-1234"]),
        ("protected-namespaces", ["", "a,,b", "[a-z]"]),
        ("allowed-permission", ["", "none", "Write"]),
        ("allow-forks", ["", "yes", "1"]),
        ("track", ["", "tag", "Branch"]),
        ("substitute", ["KEY", "1=2", "BRANCH_NAME=x"]),
        (
            "environment-url",
            ["example.com", "ftp://h/", "https://{host}/"],
        ),
        ("github-environment", ["a,b", " preview", "a\nb"]),
        ("readiness", ["", "on", "Flux"]),
        ("wait", ["", "7h", "6h0m1s"]),
        ("push-timeout", ["", "60", "-1s"]),
        ("ttl", ["soon", "0s", "-1h"]),
        ("max-environments", ["", "many", "-1"]),
        ("label", [" preview", "a\tb", "a\nb"]),
        ("dry-run", ["", "no", "TRUE "]),
    ];
    // The token is not shown, and has a story of its own.
    let inputs: Vec<&str> = table.iter().map(|(input, _)| *input).collect();
    assert_eq!(inputs, INPUTS.map(|(name, _)| name)[1..]);
    for (input, values) in table {
        for value in values {
            let error = rejected(&story, |job| job.input(input, value));
            assert!(
                error.contains("the input `") && error.contains(": give "),
                "{input}={value}: {error}"
            );
            let other_command = value.starts_with("/de");
            assert!(
                other_command || error.contains(&format!("`{input}`")),
                "{input}={value}: {error}"
            );
            let may_hold_a_password = input == "repository-url";
            let shown = error.contains(&format!("{value:?}").replace('%', "%25"));
            assert!(shown != may_hold_a_password, "{input}={value}: {error}");
        }
    }
    let error = rejected(&story, |job| {
        job.input("wait", "5m").input("dry-run", "true")
    });
    assert!(
        error.ends_with("a dry run deploys nothing to wait for, so leave out one of the two"),
        "{error}"
    );
}

#[test]
fn a_bad_token_is_not_shown() {
    let story = Story::new();
    for token in ["", "gh s", "ghs_x\n"] {
        let error = rejected(&story, |job| job.input("token", token));
        assert!(error.contains("the input `token`"), "{error}");
        assert!(
            token.is_empty() || !error.contains(token.trim_end()),
            "{error}"
        );
    }
}

#[test]
fn a_missing_or_empty_variable_is_named() {
    let story = Story::new();
    for variable in [
        "GITHUB_EVENT_NAME",
        "GITHUB_EVENT_PATH",
        "GITHUB_REPOSITORY",
        "GITHUB_API_URL",
        "GITHUB_SERVER_URL",
        "GITHUB_GRAPHQL_URL",
        "GITHUB_RUN_ID",
    ] {
        for error in [
            rejected(&story, |job| job.without_env(variable)),
            rejected(&story, |job| job.env(variable, "")),
        ] {
            assert!(
                error.contains(&format!("the variable `{variable}`")),
                "{error}"
            );
        }
    }
}

#[test]
fn a_bad_variable_is_named() {
    let story = Story::new();
    for (variable, value) in [
        ("GITHUB_REPOSITORY", "demo"),
        ("GITHUB_REPOSITORY", "../demo"),
        ("GITHUB_API_URL", "api.github.com"),
        ("GITHUB_SERVER_URL", "ssh://github.com"),
        ("GITHUB_GRAPHQL_URL", "https://user:pass@github.com"),
        ("GITHUB_RUN_ID", "one"),
        ("GITHUB_EVENT_PATH", "/nowhere"),
    ] {
        let error = rejected(&story, |job| job.env(variable, value));
        assert!(error.contains(variable), "{variable}={value}: {error}");
        assert!(!error.contains("pass@"), "{error}");
    }
}

#[test]
fn an_event_that_is_not_as_documented_names_the_field() {
    let story = Story::new();
    for (event, field) in [
        (r#"{"action": "created"}"#, "issue"),
        (
            r#"{"action": "created", "issue": {"number": "1"}}"#,
            "issue.number",
        ),
        (r#"{"action": 1}"#, "action"),
        (r#"{"action": "created""#, "EOF"),
        ("[]", "issue_comment"),
    ] {
        let (_, error) = fail(&story.job().event_raw("issue_comment", event));
        assert!(error.contains(field), "{event}: {error}");
        story.assert_untouched();
    }
}

/// A comment that is no command: where it is read to its end, there is nothing to do.
fn plain_comment(story: &Story) -> Value {
    let comment = story.github.comment(story.number, REVIEWER, "Looks good");
    story.github.issue_comment_event(comment, "created")
}

#[test]
fn a_value_that_is_no_text_is_named_and_not_shown() {
    if needs_the_executable("an engine hands on no variable that is not UTF-8") {
        return;
    }
    let story = Story::new();
    let inputs = INPUTS.map(|(name, _)| (format!("INPUT_{}", name.to_uppercase()), name));
    let variables = [
        "GITHUB_EVENT_NAME",
        "GITHUB_EVENT_PATH",
        "GITHUB_REPOSITORY",
        "GITHUB_WORKSPACE",
        "GITHUB_API_URL",
        "GITHUB_SERVER_URL",
        "GITHUB_GRAPHQL_URL",
        "GITHUB_RUN_ID",
        "GITHUB_OUTPUT",
        "GITHUB_STEP_SUMMARY",
    ];
    let variables = variables.map(|name| (name.to_owned(), name));
    for (variable, name) in inputs.into_iter().chain(variables) {
        let error = rejected(&story, |job| job.env_bytes(&variable, b"ghs_secret\xff"));
        assert!(error.contains(&format!("`{name}` is not UTF-8")), "{error}");
        assert!(!error.contains("ghs_secret"), "{error}");
    }
}

#[test]
fn an_event_that_cannot_be_read_is_named() {
    let story = Story::new();
    for (path, words) in [
        ("/nowhere/event.json", "No such file"),
        ("/tmp", "directory"),
        ("/dev/null", "EOF"),
    ] {
        let error = rejected(&story, |job| job.env("GITHUB_EVENT_PATH", path));
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn an_event_that_breaks_off_anywhere_is_an_error() {
    let story = Story::new();
    let (job, comment) = story.commented(REVIEWER, "/deploy-ephemeral");
    let whole = story
        .github
        .issue_comment_event(comment, "created")
        .to_string();
    for places in 0..50 {
        let (part, _) = whole.split_at(whole.len() * places / 50);
        let job = story.job().event_raw("issue_comment", part);
        let (_, error) = fail(&job);
        assert!(error.contains("the event `issue_comment`"), "{error}");
        assert!(error.len() < 500, "{error}");
    }
    story.assert_untouched();
    assert_eq!(ending(&succeed(&job)).0, "create");
}

/// Runs an event whose field at `pointer` was spoiled: it may turn out to be none of ours or be good enough as it is, or
/// it is an error that names the field, before any request.
fn spoil(story: &Story, event: &str, payload: &Value, pointer: &str) {
    for spoiled in spoiled(payload, pointer) {
        let requests = story.github.requests().len();
        let job = story.job().event(event, &spoiled).input("label", "preview");
        let outcome = run(&job.input("dry-run", "true"));
        let shown = format!(
            "{pointer} {:?}: {}",
            spoiled.pointer(pointer),
            outcome.stdout
        );
        let errors = outcome.stdout.matches("::error ").count();
        match outcome.status {
            0 => assert_eq!(errors, 0, "{shown}"),
            1 => assert_eq!(errors, 1, "{shown}"),
            _ => panic!("{shown}"),
        }
        if outcome.status == 1 && !outcome.outputs.contains_key("decision") {
            let field = pointer.rsplit('/').next().unwrap();
            let is_named = outcome.stdout.contains(field)
                || (field == "sha" && outcome.stdout.contains("not a commit"));
            assert!(is_named, "{shown}");
            assert_eq!(story.github.requests().len(), requests, "{shown}");
        } else {
            // Another type than the documented one is never good enough.
            let value = spoiled.pointer(pointer);
            let is_plausible = value.is_none_or(|value| value.is_null() || value == "");
            assert!(is_plausible || field_may_be_anything(pointer), "{shown}");
        }
    }
}

/// Only whether it is there counts.
fn field_may_be_anything(pointer: &str) -> bool {
    pointer == "/issue/pull_request"
}

#[test]
fn an_event_with_any_field_that_is_not_as_documented_is_an_error() {
    let story = Story::new();
    let comment = plain_comment(&story);
    for pointer in [
        "/action",
        "/issue",
        "/issue/number",
        "/issue/pull_request",
        "/comment",
        "/comment/id",
        "/comment/body",
        "/comment/user",
        "/comment/user/login",
        "/comment/user/type",
        "/repository",
        "/repository/default_branch",
    ] {
        spoil(&story, "issue_comment", &comment, pointer);
    }
    story.assert_untouched();

    let dispatch = story.github.dispatch_event(REVIEWER);
    for pointer in ["/repository", "/repository/default_branch"] {
        spoil(&story, "workflow_dispatch", &dispatch, pointer);
    }
    story.assert_unsaid();

    let labeled = story
        .github
        .label_event(story.number, "labeled", "preview", REVIEWER);
    for pointer in ["/label", "/label/name"] {
        spoil(&story, "pull_request_target", &labeled, pointer);
    }
    story.github.close_pull_request(story.number);
    let closed = story
        .github
        .pull_request_event(story.number, "closed", REVIEWER);
    let both = [labeled, closed];
    for (payload, pointer) in both
        .iter()
        .flat_map(|payload| PULL_REQUEST_FIELDS.map(|pointer| (payload, pointer)))
    {
        spoil(&story, "pull_request_target", payload, pointer);
    }
    story.assert_unsaid();
}

/// What is read of a pull request's event.
const PULL_REQUEST_FIELDS: [&str; 19] = [
    "/action",
    "/pull_request",
    "/pull_request/number",
    "/pull_request/state",
    "/pull_request/head",
    "/pull_request/head/ref",
    "/pull_request/head/sha",
    "/pull_request/head/repo",
    "/pull_request/head/repo/id",
    "/pull_request/head/repo/clone_url",
    "/pull_request/head/repo/owner",
    "/pull_request/head/repo/owner/login",
    "/pull_request/base",
    "/pull_request/base/repo",
    "/pull_request/base/repo/id",
    "/repository",
    "/repository/default_branch",
    "/sender",
    "/sender/login",
];

#[test]
fn a_payload_of_thirty_megabytes_is_read_like_any_other() {
    let story = Story::new();
    let long = "x".repeat(30_000_000);
    let comment = plain_comment(&story);
    let job = |field: &str, text: &str, long: &str| {
        let mut event = comment.clone();
        *event.pointer_mut(field).unwrap() = json!(text);
        let event = event.to_string().replace("LONG", long);
        story.job().event_raw("issue_comment", event)
    };
    for (field, text) in [("/comment/body", "Looks LONG"), ("/issue/body", "LONG")] {
        let outcome = succeed(&job(field, text, &long));
        assert_eq!(ending(&outcome), ("none", "not-a-command", "false"));
    }
    story.assert_untouched();

    let outcome = succeed(&job("/comment/body", "/deploy-ephemeral\nLONG", &long));
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    let argument = &long[..1_000_000];
    let outcome = succeed(&job("/comment/body", "/deploy-ephemeral LONG", argument));
    assert_eq!(ending(&outcome), ("refuse", "unknown-argument", "false"));
    assert!(outcome.stdout.len() < 100_000 && outcome.summary.len() < 100_000);
    assert!(story.status_comment().len() < 10_000);
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn a_payload_that_is_nested_ten_thousand_levels_is_no_crash() {
    let story = Story::new();
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let event = |place: &str| {
        let mut event = plain_comment(&story);
        let (parent, field) = place.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[field] = json!("DEEP");
        event.to_string().replace("\"DEEP\"", &deep)
    };
    for place in [
        "/more",
        "/issue/more",
        "/issue/pull_request",
        "/comment/user/more",
    ] {
        let job = story.job().event_raw("issue_comment", event(place));
        assert_eq!(
            ending(&succeed(&job)),
            ("none", "not-a-command", "false"),
            "{place}"
        );
    }
    for place in ["/action", "/comment", "/comment/body", "/repository"] {
        let job = story.job().event_raw("issue_comment", event(place));
        let (outcome, error) = fail(&job);
        assert!(error.contains("the event `issue_comment`"), "{error}");
        assert_eq!(outcome.outputs.len(), 0);
    }
    story.assert_untouched();
}

#[test]
fn the_variables_that_need_not_be_there_need_not() {
    let story = Story::new();
    let optional = ["GITHUB_WORKSPACE", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"];
    let without = |job: Job| optional.iter().fold(job, |job, name| job.without_env(name));
    let empty = |job: Job| optional.iter().fold(job, |job, name| job.env(name, ""));
    succeed(&without(story.deploy()));
    succeed(&empty(story.destroy()));
    succeed(&story.deploy().env("GITHUB_WORKSPACE", "/nowhere"));
    succeed(&story.destroy().env("GITHUB_WORKSPACE", "/dev/null"));
    assert_eq!(story.landed().len(), 4);
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        "[^\0]{0,12}",
        "[a-z/:.*,=\n -]{0,20}",
        "::error::[a-z]{0,5}|%0A|\u{1b}[^\0]{0,5}",
        Just("true".to_owned()),
        "https?://[a-z:@./]{0,12}",
    ]
}

#[test]
fn no_environment_and_no_payload_is_more_than_one_error() {
    let story = Story::new();
    let payload = plain_comment(&story);
    let inputs = INPUTS.map(|(name, _)| format!("INPUT_{}", name.to_uppercase()));
    let variables = [
        "GITHUB_REPOSITORY",
        "GITHUB_SERVER_URL",
        "GITHUB_API_URL",
        "GITHUB_RUN_ID",
    ];
    let names = [&inputs[1..], &variables.map(str::to_owned)[..]].concat();
    let environments = proptest::collection::hash_map(select(names), values(), 0..4);
    let fields = select(vec![
        "/issue",
        "/comment/user",
        "/comment/body",
        "/repository",
        "/comment/id",
    ]);
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(
        &(environments, fields, values()),
        |(environment, field, value)| {
            let mut payload = payload.clone();
            if let Ok(json) = serde_json::from_str(&value) {
                *payload.pointer_mut(field).unwrap() = json;
            }
            let job = story.job().event("issue_comment", &payload);
            let job = environment
                .iter()
                .fold(job, |job, (name, value)| job.env(name, value));
            let outcome = run(&job);
            let errors = outcome
                .stdout
                .lines()
                .filter(|line| line.starts_with("::error"));
            prop_assert_eq!(errors.count(), usize::try_from(outcome.status).unwrap());
            prop_assert!(outcome.status <= 1, "{}", outcome.status);
            prop_assert!(!outcome.stdout.contains(&story.github.token()));
            Ok(())
        },
    );
    outcome.unwrap();
    story.assert_untouched();
}
