//! A bad value fails before any request: one error that names the input, the value and what is allowed.

use crate::story::{Story, fail};

/// Runs a deploy that must fail before anything is asked, and gives back the error.
fn rejected(story: &Story, change: impl Fn(forge::Job) -> forge::Job) -> String {
    let (outcome, error) = fail(&change(story.deploy()));
    assert_eq!(outcome.outputs.get("decision"), None);
    story.assert_untouched();
    error
}

#[test]
fn every_input_with_bad_values_is_rejected_by_name() {
    let story = Story::new();
    for (input, values) in [
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
        ("push-timeout", ["", "60", "-1s"]),
        ("dry-run", ["", "no", "TRUE "]),
    ] {
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
