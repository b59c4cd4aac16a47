//! GitHub's API in trouble: what is asked again, what is waited for, what is given up, and in which words.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use local_github::{Fault, Job, LocalGitHub, Outcome};
use serde_json::{Value, json};

use crate::story::{
    REVIEWER, Story, annotation, annotations, ending, fail, finish, run, says_down, says_up,
    succeed,
};

const PULL_REQUEST: &str = "/repos/*/pulls/*";
const COMMENTS: &str = "/repos/*/issues/*/comments";
const STATUSES: &str = "/repos/*/statuses/*";
const REACTIONS: &str = "/repos/*/reactions";

fn warnings(outcome: &Outcome) -> Vec<&str> {
    annotations(outcome, "warning")
}

/// A failure before anything was decided, told to the pull request as well; the error is given back.
fn failed_to_ask(story: &Story, job: &Job) -> String {
    let (outcome, error) = fail(job);
    assert_eq!(ending(&outcome), ("none", "github-failed", "false"));
    assert!(story.status_comment().contains("### 🔴 Failed"));
    assert_eq!(story.landed(), []);
    error
}

#[test]
fn github_is_waited_for_where_it_asks_for_that() {
    let story = Story::waiting();
    let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(2);
    let soon = soon.as_secs().to_string();
    let slow = |method, path, status| {
        let words = json!({ "message": "You have exceeded a secondary rate limit" });
        Fault::on(method, path).answer(status, words)
    };
    for fault in [
        slow("GET", PULL_REQUEST, 429).header("retry-after", "1"),
        slow("GET", "/repos/*/permission", 403)
            .header("x-ratelimit-remaining", "0")
            .header("x-ratelimit-reset", &soon),
        slow("GET", COMMENTS, 403).header("retry-after", "1"),
        slow("POST", COMMENTS, 403).header("retry-after", "1"),
        slow("POST", STATUSES, 503).header("retry-after", "0"),
        slow("POST", REACTIONS, 403),
        slow("POST", "/graphql", 429),
    ] {
        story.github.fault(fault);
    }
    let (job, comment) = story.commented(REVIEWER, "/deploy-ephemeral");

    let outcome = succeed(&job);

    assert_eq!(warnings(&outcome), [] as [&str; 0]);
    assert!(outcome.duration > Duration::from_secs(2), "it has waited");
    assert!(says_up(&story.status_comment()));
    assert_eq!(story.statuses(), ["pending", "success"]);
    assert_eq!(story.reactions(comment), ["eyes", "rocket"]);
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn an_absurd_wait_is_told_and_not_kept() {
    let longest = u64::MAX.to_string();
    for (header, value) in [
        ("retry-after", "99999"),
        ("retry-after", &longest),
        ("x-ratelimit-reset", &longest),
    ] {
        let story = Story::waiting();
        story
            .github
            .fault(Fault::on("GET", PULL_REQUEST).answer_text(502, "Bad Gateway"));
        // Late, so that there is something to add to the wait.
        story.github.fault(
            Fault::on("GET", PULL_REQUEST)
                .answer(429, json!({ "message": "Slow down" }))
                .delay(Duration::from_millis(1_100))
                .header("x-ratelimit-remaining", "0")
                .header(header, value),
        );

        let error = failed_to_ask(&story, &story.deploy());

        assert!(
            error.contains("429: Slow down (try again in "),
            "{header}: {error}"
        );
    }
}

#[test]
fn an_outage_during_the_push_does_not_keep_the_end_from_being_told() {
    let story = Story::waiting();
    // As often as it is tried; the push takes longer than that.
    let outage = Fault::on("GET", COMMENTS).times(4);
    story.github.fault(outage.answer_text(502, "Bad Gateway"));
    let push = Fault::on("POST", "/octo-org/demo/git-receive-pack");
    story.github.fault(push.delay(Duration::from_secs(8)));

    let outcome = succeed(&story.deploy());

    assert_eq!(warnings(&outcome), [] as [&str; 0]);
    assert!(says_up(&story.status_comment()));
    assert_eq!(story.statuses(), ["pending", "success"]);
}

#[test]
fn a_status_that_was_corrected_is_not_taken_for_the_one_before() {
    let story = Story::new();
    succeed(&story.deploy());
    // Pending, success, and what is corrected.
    let lost = Fault::on("POST", STATUSES).skip(2);
    story.github.fault(lost.answer_text(502, "Bad Gateway"));
    let (gate, running) = story.about_to_tell();
    story.remove_by_hand();
    gate.open();

    let outcome = finish(running);

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert!(says_down(&story.status_comment()));
    let last = story.github.statuses(&story.head()).pop().unwrap();
    assert_eq!(last.description.as_deref(), Some("Destroyed"));
}

#[test]
fn a_rate_limit_is_no_missing_permission() {
    let story = Story::waiting();
    let words =
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    story.github.fault(
        Fault::on("POST", STATUSES)
            .always()
            .answer(403, json!({ "message": words })),
    );

    let outcome = succeed(&story.deploy());

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    let warnings = warnings(&outcome);
    assert!(!warnings.is_empty(), "{}", outcome.stdout);
    for warning in warnings {
        assert!(warning.contains(words), "{warning}");
        assert!(!warning.contains("permissions"), "{warning}");
    }
}

#[test]
fn the_reasons_that_github_gives_are_told() {
    let long = "x".repeat(50_000);
    for (errors, words) in [
        (
            json!([{ "resource": "IssueComment", "code": "custom", "field": "body", "message": "body is odd" }]),
            "422: Validation Failed: body is odd",
        ),
        (
            json!([{ "resource": "IssueComment", "code": "missing_field", "field": "body" }]),
            "422: Validation Failed: IssueComment.body: missing_field",
        ),
        (
            json!([
                "Comments are\n::group::closed",
                "Comments are\n::group::closed",
                "x"
            ]),
            "422: Validation Failed: Comments are ::group::closed; x",
        ),
        (
            json!("Comments are closed"),
            "422: Validation Failed: Comments are closed",
        ),
        (json!([{ "message": long }]), "422: Validation Failed: xxx"),
        (json!({ "odd": [7] }), "422: Validation Failed"),
    ] {
        let story = Story::new();
        let answer = json!({ "message": "Validation Failed", "errors": errors });
        story
            .github
            .fault(Fault::on("POST", COMMENTS).answer(422, answer));
        let outcome = succeed(&story.deploy());
        let warning = annotation(&outcome, "warning");
        assert!(warning.replace("%0A", " ").contains(words), "{warning}");
        assert!(warning.len() < 2_000, "{}", warning.len());
        assert!(!outcome.stdout.contains("\n::group"), "{}", outcome.stdout);
        assert_eq!(story.landed().len(), 1);
    }
    // In the comment, it is in a block of code as ever.
    let story = Story::new();
    let errors = json!([{ "message": "@octo-org/all [x](https://example.com)\n```\n# loud" }]);
    let answer = json!({ "message": "Validation Failed", "errors": errors });
    story
        .github
        .fault(Fault::on("GET", "/repos/*/pulls/*").answer(422, answer));
    let (_, error) = fail(&story.deploy());
    assert!(
        error.contains("Validation Failed: @octo-org/all"),
        "{error}"
    );
    let told = story.status_comment();
    assert!(told.contains("\n````text\nGET "), "{told}");
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = LocalGitHub::start_on([127, 0, 0, 2].into());
    for status in [301, 302, 307, 308] {
        let story = Story::new();
        elsewhere.add_personal_token(&story.github.token(), "thief");
        let location = format!("{}/repositories/1/pulls/1", elsewhere.api_url());
        story.github.fault(
            Fault::on("GET", PULL_REQUEST)
                .answer(status, json!({ "message": "Moved" }))
                .header("location", &location),
        );

        let error = failed_to_ask(&story, &story.deploy());

        let words = format!("{status}: Moved (to {location}, which is not followed");
        assert!(error.contains(&words), "{error}");
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn an_answer_that_is_none_is_told_in_few_words() {
    let rubbish = "rubbish ".repeat(1_250_000);
    for (status, body, words) in [
        (200, "<html>Unicorn!</html>", "200: the answer is not as"),
        (200, "", "200: the answer is not as"),
        (200, "null", "200: the answer is not as"),
        (200, r#"{"number": 1, "state": "op"#, "EOF"),
        (200, r#"{"number": 1, "state": "open"}"#, "`head`"),
        (200, &rubbish, "200: the answer is not as"),
        (422, &rubbish, "422: rubbish"),
        (418, "\u{0}\u{1b}[31m##[error]x", "418: "),
        (418, "<html><title>Unicorn!</title></html>", "418: Unicorn!"),
    ] {
        let story = Story::new();
        story
            .github
            .fault(Fault::on("GET", PULL_REQUEST).answer_text(status, body));

        let error = failed_to_ask(&story, &story.deploy());

        assert!(error.contains(words), "{error}");
        assert!(error.len() < 20_000, "{} bytes", error.len());
        assert!(!error.contains("##["), "{error}");
    }
}

/// Everywhere `pointer` leads in `value`: without the field, `null` in its place, and values of other types.
pub(crate) fn spoiled(value: &Value, pointer: &str) -> Vec<Value> {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let mut missing = value.clone();
    let parent = missing.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.unwrap().remove(field).unwrap();
    let mut variants = vec![missing];
    for other in [json!(null), json!([]), json!(-1.5), json!({}), json!("")] {
        let mut changed = value.clone();
        *changed.pointer_mut(pointer).unwrap() = other;
        variants.push(changed);
    }
    variants
}

#[test]
fn a_pull_request_with_a_field_that_is_not_as_documented_names_it() {
    let story = Story::new();
    let event = story
        .github
        .pull_request_event(story.number, "edited", REVIEWER);
    let answer = &event["pull_request"];
    let job = story.deploy().input("dry-run", "true");
    for pointer in [
        "/number",
        "/state",
        "/head",
        "/head/ref",
        "/head/sha",
        "/head/repo",
        "/head/repo/id",
        "/head/repo/clone_url",
        "/head/repo/owner",
        "/head/repo/owner/login",
        "/base",
        "/base/repo",
        "/base/repo/id",
    ] {
        for spoiled in spoiled(answer, pointer) {
            story
                .github
                .fault(Fault::on("GET", PULL_REQUEST).answer(200, spoiled.clone()));
            let outcome = run(&job);
            let value = spoiled.pointer(pointer);
            let field = pointer.rsplit('/').next().unwrap();
            match (pointer, ending(&outcome)) {
                // No repository is how GitHub writes a deleted one, and a state that is not `open` deploys nothing.
                ("/head/repo", ("refuse", "head-repository-deleted", "false")) => {
                    assert!(value.is_none_or(Value::is_null), "{value:?}");
                }
                ("/state", ("refuse", "pull-request-is-closed", "false")) => {
                    assert_eq!(value, Some(&json!("")));
                }
                // Only used for a fork, or empty and as such a text.
                ("/head/repo/clone_url" | "/head/repo/owner/login", ("create", ..)) => {
                    assert_eq!(value, Some(&json!("")));
                }
                ("/head/ref", ending) if value == Some(&json!("")) => {
                    assert_ne!(ending, ("none", "", ""), "{}", outcome.stdout);
                }
                (_, ending) => {
                    assert_eq!(
                        ending,
                        ("none", "github-failed", "false"),
                        "{pointer} {value:?}: {}",
                        outcome.stdout
                    );
                    let errors = outcome.stdout.matches("::error ").count();
                    assert_eq!((outcome.status, errors), (1, 1), "{}", outcome.stdout);
                    let is_named = outcome.stdout.contains(field)
                        || (pointer == "/head/sha" && outcome.stdout.contains("not a commit"));
                    assert!(is_named, "{pointer} {value:?}: {}", outcome.stdout);
                }
            }
        }
    }
    story.assert_unsaid();
}

#[test]
fn odd_answers_about_comments_are_no_hindrance() {
    let ours = |user: Value| {
        json!([{
            "id": 1, "html_url": "https://github.com", "user": user,
            "body": "<!-- flux-ephemeral-env -->\nold",
        }])
    };
    let errors = json!([{ "message": "Something went wrong", "type": "INTERNAL" }]);
    let (comments, graphql) = (("GET", COMMENTS), ("POST", "/graphql"));
    let story = Story::new();
    for ((method, path), answer) in [
        // A deleted account, an account of a new kind, and a comment that is gone when it is to be edited.
        (comments, ours(Value::Null)),
        (
            comments,
            ours(json!({ "login": "github-actions[bot]", "type": "Robot" })),
        ),
        (comments, ours(json!({ "login": "github-actions[bot]" }))),
        (
            comments,
            json!([{ "id": 1, "html_url": "", "body": null, "user": null }]),
        ),
        // GraphQL's errors are answers with 200.
        (graphql, json!({ "data": null, "errors": errors })),
        (graphql, json!({ "data": { "viewer": null } })),
        (graphql, json!("words")),
    ] {
        story
            .github
            .fault(Fault::on(method, path).answer(200, answer.clone()));
        let outcome = succeed(&story.deploy());
        assert_eq!(ending(&outcome).0, "create", "{answer}");
        assert_eq!(warnings(&outcome), [] as [&str; 0], "{answer}");
        assert!(!outcome.outputs["comment-url"].is_empty(), "{answer}");
    }
    // What cannot be read is told, and nothing is written that might be there already.
    let before = story.our_comments().len();
    for answer in [json!([{ "id": "1" }]), json!({}), json!(null), json!([[]])] {
        story.github.fault(
            Fault::on("GET", COMMENTS)
                .times(2)
                .answer(200, answer.clone()),
        );
        let outcome = succeed(&story.deploy());
        let warnings = warnings(&outcome);
        assert_eq!(warnings.len(), 1, "{answer}: {}", outcome.stdout);
        assert!(
            warnings[0].starts_with("the comment could not be written: ")
                && warnings[0].contains("not as GitHub documents it"),
            "{}",
            warnings[0]
        );
    }
    assert_eq!(story.our_comments().len(), before);
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn what_is_refused_after_the_push_is_a_warning_that_names_the_permission() {
    for (path, skip, permission) in [
        (COMMENTS, 0, "pull-requests: write"),
        (STATUSES, 1, "statuses: write"),
        (REACTIONS, 1, "pull-requests: write"),
    ] {
        let story = Story::new();
        let words = json!({ "message": "Resource not accessible by integration" });
        story.github.fault(
            Fault::on("POST", path)
                .skip(skip)
                .always()
                .answer(403, words),
        );
        let (job, comment) = story.commented(REVIEWER, "/deploy-ephemeral");

        let outcome = succeed(&job);

        assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
        let warnings = warnings(&outcome);
        assert_eq!(warnings.len(), 1, "{}", outcome.stdout);
        let remedy = format!("add `{permission}` to the job's `permissions`");
        assert!(warnings[0].contains(&remedy), "{}", warnings[0]);
        let told = [
            !story.our_comments().is_empty(),
            story.statuses().contains(&"success".to_owned()),
            story.reactions(comment).contains(&"rocket".to_owned()),
        ];
        assert_eq!(
            told,
            [COMMENTS, STATUSES, REACTIONS].map(|other| other != path)
        );
        assert_eq!(story.landed().len(), 1);
    }
}

#[test]
fn the_api_may_be_on_a_host_of_its_own_as_on_github_com() {
    let story = Story::new();
    let api = story.github.open_api();
    for (end, command) in [("", "/deploy-ephemeral"), ("/", "/destroy-ephemeral")] {
        let (job, comment) = story.commented(REVIEWER, command);
        let job = job
            .env("GITHUB_API_URL", &format!("{api}{end}"))
            .env("GITHUB_GRAPHQL_URL", &format!("{api}/graphql"));

        let outcome = succeed(&job);

        assert_eq!(ending(&outcome).2, "true");
        assert_eq!(warnings(&outcome), [] as [&str; 0]);
        assert_eq!(story.reactions(comment), ["eyes", "rocket"]);
    }
    assert!(says_down(&story.status_comment()));
    assert_eq!(
        story.statuses(),
        ["pending", "success", "pending", "success"]
    );
    assert_eq!(story.landed().len(), 2);
    let strangers = story.github.requests();
    let strangers = strangers.iter().filter(|request| request.login.is_none());
    assert_eq!(strangers.count(), 0);
}

/// A port that takes connections and says what is no HTTP, or one where nobody listens.
fn no_server(rubbish: Option<&'static [u8]>) -> String {
    // On an address of its own: a port that is free again goes to the next server of another story.
    let listener = TcpListener::bind("127.0.0.3:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    if let Some(rubbish) = rubbish {
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                // Who hung up has heard enough.
                let _ = stream.write_all(rubbish);
            }
        });
    }
    url
}

#[test]
fn a_server_that_is_none_is_told_by_its_url() {
    thread::scope(|scope| {
        for rubbish in [None, Some(&b"SSH-2.0-OpenSSH_9.2\r\n"[..]), Some(b"")] {
            scope.spawn(move || {
                let url = no_server(rubbish);
                let story = Story::waiting();
                let job = story.deploy().env("GITHUB_API_URL", &url);
                let (outcome, error) = fail(&job.env("GITHUB_GRAPHQL_URL", &url));
                assert_eq!(ending(&outcome), ("none", "github-failed", "false"));
                assert!(error.contains(&format!("GET {url}/repos/")), "{error}");
                story.assert_untouched();

                let job = story.deploy().env("GITHUB_SERVER_URL", &url);
                let (outcome, error) = fail(&job.input("push-timeout", "300ms"));
                assert_eq!(ending(&outcome), ("create", "push-timeout", "false"));
                let from = format!("from {url}/octo-org/demo");
                assert!(error.contains(&from), "{error}");
                assert!(story.status_comment().contains("### 🔴 Failed"));
                assert_eq!(story.statuses(), ["pending", "error"]);
                assert_eq!(story.landed(), []);
            });
        }
    });
}

/// Nobody was waited for any longer than that.
fn assert_left_within(outcome: &Outcome, seconds: u64) {
    let (taken, said) = (outcome.duration, &outcome.stdout);
    assert!(taken < Duration::from_secs(seconds), "{taken:?}: {said}");
}

#[test]
fn who_keeps_us_waiting_is_left_within_two_minutes() {
    let drop_by_drop = Duration::from_millis(500);
    let refs = || Fault::on("GET", "/octo-org/demo/info/refs").always();
    let push = || Fault::on("POST", "/octo-org/demo/git-receive-pack").always();
    let pull_request = || Fault::on("GET", PULL_REQUEST).always();
    let waiting = [
        (refs().hang(), "false", ("create", "push-timeout", "false")),
        (
            refs().drip(drop_by_drop),
            "false",
            ("create", "push-timeout", "false"),
        ),
        (
            refs().drip(drop_by_drop),
            "true",
            ("create", "push-timeout", "false"),
        ),
        (push().hang(), "false", ("create", "push-timeout", "false")),
        (
            pull_request().drip(drop_by_drop),
            "false",
            ("none", "github-failed", "false"),
        ),
        (
            Fault::on("POST", COMMENTS).always().hang(),
            "false",
            ("create", "deploy-command", "true"),
        ),
    ];
    thread::scope(|scope| {
        for (fault, dry_run, expected) in waiting {
            scope.spawn(move || {
                let story = Story::waiting();
                story.github.fault(fault);
                let job = story.deploy().input("push-timeout", "1s");
                let outcome = run(&job.input("dry-run", dry_run));
                assert_left_within(&outcome, 120);

                assert_eq!(ending(&outcome), expected, "{}", outcome.stdout);
                let has_landed = expected.2 == "true";
                assert_eq!(outcome.status, i32::from(!has_landed), "{}", outcome.stdout);
                assert_eq!(story.landed().len(), usize::from(has_landed));
                let is_silent = has_landed || dry_run == "true";
                assert_eq!(story.our_comments().len(), usize::from(!is_silent));
                assert_eq!(warnings(&outcome).len(), usize::from(has_landed));
            });
        }
    });
}

/// Git and the API at once, and the API alone once the change has landed.
#[test]
fn a_github_that_says_nothing_any_more_is_not_waited_for_with_every_request() {
    let silent = |method: &str, path: &str| Fault::on(method, path).always().hang();
    let told = || {
        [
            silent("GET", COMMENTS),
            silent("POST", COMMENTS),
            silent("POST", "/graphql"),
            silent("GET", "/user"),
            silent("POST", REACTIONS),
            silent("*", "/repos/*/statuses*"),
        ]
    };
    let refs = silent("GET", "/octo-org/demo/info/refs");
    let later = silent("GET", PULL_REQUEST).skip(1);
    let ends = [
        (refs, ("create", "push-timeout", "false")),
        (later, ("create", "deploy-command", "true")),
    ];
    thread::scope(|scope| {
        for (fault, expected) in ends {
            scope.spawn(move || {
                let story = Story::waiting();
                story.github.fault(fault);
                for fault in told() {
                    story.github.fault(fault);
                }

                let outcome = run(&story.deploy().input("push-timeout", "1s"));

                // One request is tried for some 30 s, and Git had its own 20 s beside that.
                assert_left_within(&outcome, 60);
                assert_eq!(ending(&outcome), expected, "{}", outcome.stdout);
                let untold = "the comment could not be written: ";
                let warnings = warnings(&outcome);
                assert!(warnings.iter().any(|words| words.starts_with(untold)));
                assert_eq!(story.landed().len(), usize::from(expected.2 == "true"));
            });
        }
    });
}
