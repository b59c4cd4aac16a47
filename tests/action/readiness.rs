//! What Flux says of an environment, on the pull request and to a run that waits. Flux is told by hand here; the stories on
//! a real Flux have the real one.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use local_github::{Fault, Job, Kind, Outcome, Recorded, RunningJob};
use serde_json::json;

use crate::story::{
    AUTHOR, REVIEWER, Story, annotation, await_that, ending, fail, finish, needs_the_executable,
    run, start, succeed,
};

/// The context of Flux's commit status for the branch `dev`.
const CONTEXT: &str = "flux/ephemeral-dev";
/// Where a waiting run looks.
const STATUS: &str = "/repos/*/commits/*/status";
/// What Flux says of a deploy that went well.
const WELL: (&str, &str) = ("success", "reconciliation succeeded");

/// Flux says something of the branch `dev` at a commit.
fn flux_says(story: &Story, sha: &str, (state, description): (&str, &str)) {
    let github = &story.github;
    github.set_status(sha, CONTEXT, state, description, "flux-reports");
}

/// The step of the workflow that the newest status of a context starts.
fn report_on(story: &Story, sha: &str, context: &str) -> Job {
    let event = story.github.status_event(sha, context);
    story.job().event("status", &event)
}

/// The same once Flux has said this of the head.
fn report(story: &Story, says: (&str, &str)) -> Job {
    let head = story.head();
    flux_says(story, &head, says);
    report_on(story, &head, CONTEXT).input("environment-url", "https://{namespace}.example.com")
}

/// A deploy where Flux reports.
fn deploy(story: &Story) -> Job {
    let job = story.deploy().input("readiness", "flux");
    job.input("environment-url", "https://{namespace}.example.com")
}

/// A deploy that waits for Flux, up to where it looks for the first time.
fn waiting(story: &Story, wait: &str) -> RunningJob {
    let looks = looks(story);
    let running = start(&story.deploy().input("wait", wait));
    await_looks(story, looks + 1, &running);
    running
}

/// How often it has looked what Flux says.
fn looks(story: &Story) -> usize {
    let requests = story.requests();
    requests.get("GET /commits/*/status").copied().unwrap_or(0)
}

fn await_looks(story: &Story, count: usize, running: &RunningJob) {
    let what = format!("no look number {count}");
    await_that(|| looks(story) >= count, &what, running);
}

/// The statuses of a context on a commit, oldest first: state and description.
fn said(story: &Story, sha: &str, context: &str) -> Vec<(String, String)> {
    let statuses = story.github.statuses(sha).into_iter();
    statuses
        .filter(|status| status.context == context)
        .map(|status| (status.state, status.description.unwrap_or_default()))
        .collect()
}

/// The last word of our own commit status.
fn ours(story: &Story, sha: &str) -> (String, String) {
    let mut said = said(story, sha, "flux-ephemeral-env");
    said.pop().expect("a status of ours")
}

fn pair(state: &str, description: &str) -> (String, String) {
    (state.to_owned(), description.to_owned())
}

/// The first line of our comment that a person reads.
fn title(story: &Story) -> String {
    let told = story.status_comment();
    let title = told.lines().find(|line| line.starts_with('#'));
    title.expect("a title").to_owned()
}

/// Our comment speaks of this commit of the branch `dev`.
fn assert_told_at(story: &Story, sha: &str) {
    let told = story.status_comment();
    let commit = format!("`dev` at [`{}`]", &sha[..7]);
    assert!(told.contains(&commit), "{told}");
}

fn ready(outcome: &Outcome) -> &str {
    &outcome.outputs["ready"]
}

#[test]
fn a_deploy_resets_what_flux_said_before_it_lands_and_says_no_more_than_is_known() {
    let story = Story::new();
    let head = story.head();

    let outcome = succeed(&deploy(&story));

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(ready(&outcome), "");
    assert_eq!(title(&story), "### 🟡 Flux is bringing `dev` up");
    let told = story.status_comment();
    for words in [
        "Once it is ready, it is at **[dev.example.com](<https://dev.example.com>)**.",
        "Flux reports to this pull request, also after each push.",
    ] {
        assert!(told.contains(words), "no {words} in {told}");
    }
    let coming = pair("pending", "Flux is bringing dev up");
    let reset = said(&story, &head, CONTEXT);
    assert_eq!(reset, std::slice::from_ref(&coming));
    assert_eq!(ours(&story, &head), coming);
    let requests = story.github.requests();
    let at = |path: &str, body: &str| {
        requests.iter().position(|request| {
            let text = request.body.as_ref().map(ToString::to_string);
            request.path.contains(path) && text.unwrap_or_default().contains(body)
        })
    };
    let (reset, push) = (at("/statuses/", CONTEXT), at("/git-receive-pack", ""));
    assert!(reset.unwrap() < push.unwrap(), "{reset:?} {push:?}");
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn what_flux_says_is_handed_on_each_time_and_nothing_is_written_to_git() {
    let story = Story::new();
    succeed(&deploy(&story));
    let head = story.head();
    let tip = story.repository.tip("main");
    for (says, reason, is_ready, first_line, status, hint) in [
        (
            ("failure", "build failed"),
            "flux-failed",
            "false",
            "### 🔴 `dev` is not ready: build failed",
            pair("failure", "Flux: build failed"),
            "run `kubectl kustomize k8s/app/overlays/ephemeral` on the branch",
        ),
        (
            ("failure", "health check failed"),
            "flux-failed",
            "false",
            "### 🔴 `dev` is not ready: health check failed",
            pair("failure", "Flux: health check failed"),
            "`kubectl -n dev get pods`",
        ),
        (
            ("failure", "artifact failed"),
            "flux-failed",
            "false",
            "### 🔴 `dev` is not ready: artifact failed",
            pair("failure", "Flux: artifact failed"),
            "`flux get sources git ephemeral-dev`",
        ),
        (
            ("failure", "@mallory **[x](https://example.com)**"),
            "flux-failed",
            "false",
            "### 🔴 `dev` is not ready: `@mallory **[x](https://example.com)**`",
            pair("failure", "Flux: @mallory **[x](https://example.com)**"),
            "`flux get kustomizations ephemeral-dev`",
        ),
        (
            WELL,
            "flux-ready",
            "true",
            "### 🟢 `dev` is ready",
            pair("success", "dev is ready"),
            "**[Open dev.example.com](<https://dev.example.com>)**",
        ),
    ] {
        let outcome = succeed(&report(&story, says).run_id(2));

        assert_eq!(ending(&outcome), ("report", reason, "false"));
        assert_eq!(ready(&outcome), is_ready);
        assert_eq!(outcome.outputs["name"], "dev");
        assert_eq!(
            outcome.outputs["environment-url"],
            "https://dev.example.com"
        );
        assert_eq!(
            outcome.outputs["comment-url"],
            story.github.comments(1)[1].url
        );
        assert_eq!(title(&story), first_line);
        let told = story.status_comment();
        assert!(told.contains(hint), "no {hint} in {told}");
        assert_eq!(ours(&story, &head), status);
    }
    assert_eq!(story.repository.tip("main"), tip);
    let pushes = story.requests().get("POST /git-receive-pack").copied();
    assert_eq!(pushes, Some(1));
}

#[test]
fn what_counts_is_what_flux_says_by_now() {
    let story = Story::new();
    succeed(&deploy(&story));
    let head = story.head();
    let old = report(&story, ("failure", "build failed"));
    flux_says(&story, &head, WELL);

    let outcome = succeed(&old);

    assert_eq!(ending(&outcome), ("report", "flux-ready", "false"));
    assert_eq!(title(&story), "### 🟢 `dev` is ready");
    // And while it is being told.
    let gate = story.gate(Fault::on("PATCH", "/repos/*/issues/comments/*"));
    let running = start(&report(&story, WELL).run_id(2));
    gate.wait();
    flux_says(&story, &head, ("failure", "health check failed"));
    gate.open();
    let outcome = finish(running);
    assert_eq!(ending(&outcome), ("report", "flux-failed", "false"));
    assert_eq!(
        title(&story),
        "### 🔴 `dev` is not ready: health check failed"
    );
    // An event that is older than a new deploy.
    let old = report(&story, WELL);
    flux_says(&story, &head, ("pending", "Flux is bringing dev up"));
    assert_eq!(ending(&succeed(&old)), ("none", "status-pending", "false"));
}

#[test]
fn other_statuses_cost_no_request() {
    let story = Story::new();
    let head = story.head();
    for (context, state, reason) in [
        ("ci/test", "success", "another-status"),
        ("flux-ephemeral-env", "success", "another-status"),
        ("flux/ephemeral-", "success", "another-status"),
        ("flux/app", "failure", "another-status"),
        (
            "kustomization/ephemeral-dev/0a1b2c",
            "success",
            "another-status",
        ),
        (CONTEXT, "pending", "status-pending"),
    ] {
        story
            .github
            .set_status(&head, context, state, "words", "somebody");
        let outcome = succeed(&report_on(&story, &head, context));
        assert_eq!(ending(&outcome), ("none", reason, "false"), "{context}");
    }
    assert_eq!(story.requests(), BTreeMap::new());
    assert_eq!(story.our_comments(), [] as [String; 0]);
}

#[test]
fn what_is_not_about_the_environment_as_it_is_now_is_ignored() {
    let story = Story::new();
    let first = story.head();
    let none = |job: &Job, reason: &str| {
        let (told, tip) = (story.our_comments(), story.repository.tip("main"));
        assert_eq!(ending(&succeed(job)), ("none", reason, "false"));
        assert_eq!(
            (story.our_comments(), story.repository.tip("main")),
            (told, tip)
        );
    };
    none(&report(&story, WELL), "no-environment");
    succeed(&deploy(&story));
    story.push_more();
    flux_says(&story, &first, ("failure", "build failed"));
    none(&report_on(&story, &first, CONTEXT), "not-current");
    assert_eq!(ending(&succeed(&report(&story, WELL))).1, "flux-ready");
    // Another repository's, in the same directory.
    let theirs = story.instance("dev").unwrap();
    let theirs = theirs.replace("octo-org/demo", "octo-org/other").replace(
        &format!("repository-id: \"{}\"", story.github.repository_id()),
        "repository-id: \"1\"",
    );
    story.put("dev", &theirs);
    none(
        &report(&story, ("failure", "build failed")),
        "no-environment",
    );
    story.remove_by_hand();
    none(
        &report(&story, ("failure", "build failed")),
        "no-environment",
    );
    succeed(&deploy(&story));
    story.github.close_pull_request(story.number);
    none(&report(&story, WELL), "not-current");
}

#[test]
fn a_pinned_environment_is_spoken_of_by_its_commit() {
    let story = Story::new();
    let pinned = story.head();
    succeed(&deploy(&story).input("track", "commit"));
    let head = story.push_more();
    flux_says(&story, &head, ("failure", "build failed"));
    let outcome = succeed(&report_on(&story, &head, CONTEXT));
    assert_eq!(ending(&outcome).1, "not-current");
    flux_says(&story, &pinned, WELL);
    let outcome = succeed(&report_on(&story, &pinned, CONTEXT));
    assert_eq!(ending(&outcome).1, "flux-ready");
    assert_told_at(&story, &pinned);
}

#[test]
fn a_report_creates_no_comment() {
    let story = Story::new();
    succeed(&deploy(&story));
    let ours = |story: &Story| {
        let comments = story.github.comments(story.number);
        let mut ours = comments
            .into_iter()
            .filter(|comment| comment.login != REVIEWER);
        ours.next().expect("our comment").id
    };
    story.github.delete_comment(ours(&story));

    let outcome = succeed(&report(&story, WELL));

    assert_eq!(ending(&outcome), ("report", "flux-ready", "false"));
    assert_eq!(story.our_comments(), [] as [String; 0]);
    assert_eq!(
        self::ours(&story, &story.head()),
        pair("success", "dev is ready")
    );

    // Nor where it is deleted just then.
    story.push_more();
    succeed(&deploy(&story));
    let comment = ours(&story);
    let gate = story.gate(Fault::on("PATCH", "/repos/*/issues/comments/*"));
    let running = start(&report(&story, WELL));
    gate.wait();
    story.github.delete_comment(comment);
    gate.open();
    finish(running);
    assert_eq!(story.our_comments(), [] as [String; 0]);
}

#[test]
fn what_the_last_command_came_to_stays_until_the_next() {
    let story = Story::new();
    succeed(&deploy(&story));
    let (job, _) = story.commented(REVIEWER, "/deploy-ephemeral now");
    assert_eq!(ending(&succeed(&job)).1, "unknown-argument");

    succeed(&report(&story, WELL));

    let told = story.status_comment();
    let (known, refusal) = told.split_once("\n---\n").expect("both");
    assert!(known.contains("### 🟢 `dev` is ready\n"), "{told}");
    assert!(
        refusal.contains("### 🚫 Refused: unknown argument\n"),
        "{told}"
    );
    // Nothing changes, and what is known is asked for.
    let outcome = succeed(&deploy(&story));
    assert_eq!((ending(&outcome).2, ready(&outcome)), ("false", "true"));
    let told = story.status_comment();
    assert!(
        !told.contains("Refused") && told.contains("### 🟢 `dev` is ready\n"),
        "{told}"
    );
}

#[test]
fn a_dry_run_says_what_would_be_handed_on() {
    let story = Story::new();
    succeed(&deploy(&story));
    let told = story.status_comment();
    let outcome = succeed(&report(&story, WELL).input("dry-run", "true"));
    assert_eq!(ending(&outcome), ("report", "flux-ready", "false"));
    assert_eq!(story.status_comment(), told);
    assert_eq!(ours(&story, &story.head()).0, "pending");
    // Nor is anything reset.
    let head = story.push_more();
    succeed(&deploy(&story).input("dry-run", "true"));
    assert_eq!(said(&story, &head, CONTEXT), []);
}

#[test]
fn a_payload_without_a_field_is_one_clear_error() {
    let story = Story::new();
    flux_says(&story, &story.head(), WELL);
    let whole = story.github.status_event(&story.head(), CONTEXT);
    for field in ["sha", "context", "state", "repository"] {
        let mut event = whole.clone();
        event.as_object_mut().unwrap().remove(field);
        let (_, error) = fail(&story.job().event("status", &event));
        let expected = format!(
            "the payload of the event `status` is not as GitHub documents it: missing field `{field}`"
        );
        assert!(error.starts_with(&expected), "{error}");
    }
    let mut event = whole.clone();
    event["sha"] = json!("dev");
    let (_, error) = fail(&story.job().event("status", &event));
    assert!(
        error.contains("\"dev\" is not a commit's 40 hexadecimal digits"),
        "{error}"
    );
    // What it does not need may be missing.
    let mut event = whole;
    for field in ["description", "target_url", "branches", "commit", "sender"] {
        event.as_object_mut().unwrap().remove(field);
    }
    let outcome = succeed(&story.job().event("status", &event));
    assert_eq!(ending(&outcome).1, "no-environment");
}

#[test]
fn a_report_that_cannot_be_handed_on_fails_with_the_servers_words() {
    let story = Story::waiting();
    succeed(&deploy(&story));
    let job = report(&story, WELL);
    let told = story.status_comment();
    story
        .github
        .fault(Fault::on("GET", "/repos/*/pulls/*").answer(
            403,
            json!({ "message": "Resource not accessible by integration" }),
        ));
    let (outcome, error) = fail(&job);
    assert_eq!(ending(&outcome), ("report", "github-refused", "false"));
    assert!(
        error.contains("Resource not accessible by integration"),
        "{error}"
    );
    assert!(
        outcome.summary.contains("### 🔴 The report failed\n"),
        "{}",
        outcome.summary
    );
    assert_eq!(story.status_comment(), told);
}

#[test]
fn a_run_that_waits_ends_as_soon_as_flux_has_said_that_it_is_ready() {
    let story = Story::waiting();
    let head = story.head();
    let (job, comment) = story.commented(REVIEWER, "/deploy-ephemeral");
    let job = job
        .input("wait", "5m")
        .input("environment-url", "https://{namespace}.example.com");
    let running = start(&job);
    await_looks(&story, 2, &running);
    assert_eq!(title(&story), "### 🟡 Flux is bringing `dev` up");
    assert_eq!(
        ours(&story, &head),
        pair("pending", "Flux is bringing dev up")
    );
    assert_eq!(story.reactions(comment), ["eyes"]);
    flux_says(&story, &head, WELL);

    let outcome = finish(running);

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(ready(&outcome), "true");
    assert_eq!(
        outcome.outputs["environment-url"],
        "https://dev.example.com"
    );
    assert_eq!(
        outcome.outputs["comment-url"],
        story.github.comments(1)[1].url
    );
    assert_eq!(title(&story), "### 🟢 `dev` is ready");
    assert_eq!(ours(&story, &head), pair("success", "dev is ready"));
    assert_eq!(story.reactions(comment), ["eyes", "rocket"]);
    assert_eq!(story.landed().len(), 1);
    // Git is not asked while it waits, and written to no more.
    let requests = story.github.requests();
    let is_look = |request: &Recorded| request.path.contains("/status?");
    let first = requests.iter().position(is_look).unwrap();
    let last = requests.iter().rposition(is_look).unwrap();
    let is_git = |request: &Recorded| request.kind == Kind::Git;
    assert!(
        first < last && !requests[first..last].iter().any(is_git),
        "{requests:#?}"
    );
    let is_push = |request: &Recorded| request.path.contains("receive-pack");
    assert!(!requests[last..].iter().any(is_push), "{requests:#?}");
}

#[test]
fn a_run_that_waits_fails_with_what_flux_says_and_the_instance_stays() {
    let story = Story::waiting();
    let (job, comment) = story.commented(REVIEWER, "/deploy-ephemeral");
    let running = start(&job.input("wait", "5m"));
    await_looks(&story, 1, &running);
    flux_says(&story, &story.head(), ("failure", "health check failed"));

    let outcome = running.wait();

    assert_eq!(outcome.status, 1, "{}", outcome.stdout);
    assert_eq!(ending(&outcome), ("create", "flux-failed", "true"));
    assert_eq!(ready(&outcome), "false");
    let error = annotation(&outcome, "error");
    let head = &story.head()[..7];
    assert_eq!(
        error,
        format!(
            "Flux could not bring dev up at {head}: health check failed; the environment stays"
        )
    );
    assert_eq!(
        title(&story),
        "### 🔴 `dev` is not ready: health check failed"
    );
    assert_eq!(
        ours(&story, &story.head()),
        pair("failure", "Flux: health check failed")
    );
    assert_eq!(story.reactions(comment), ["eyes", "-1"]);
    assert!(story.instance("dev").is_some());
    // Deploying again changes nothing, and what is known already is not waited for.
    let again = run(&story.deploy().input("wait", "5m"));
    assert_eq!(
        (again.status, ending(&again)),
        (1, ("create", "flux-failed", "false"))
    );
}

#[test]
fn a_run_waits_no_longer_than_it_is_told() {
    let story = Story::waiting();
    let began = Instant::now();

    let outcome = run(&story.deploy().input("wait", "3s"));

    assert!(began.elapsed() >= Duration::from_secs(3));
    assert_eq!(outcome.status, 1, "{}", outcome.stdout);
    assert_eq!(ending(&outcome), ("create", "not-ready-in-time", "true"));
    assert_eq!(ready(&outcome), "false");
    let head = &story.head()[..7];
    assert_eq!(
        annotation(&outcome, "error"),
        format!("Flux has not said within 3s that dev is ready at {head}; the environment stays")
    );
    assert_eq!(title(&story), "### 🔴 `dev` is not ready yet");
    let told = story.status_comment();
    assert!(
        told.contains("`flux get sources git ephemeral-dev`"),
        "{told}"
    );
    assert_eq!(
        ours(&story, &story.head()),
        pair("error", "Not ready within 3s")
    );
    assert!(story.instance("dev").is_some());
    // It comes later, and the report says so.
    succeed(&report(&story, WELL));
    assert_eq!(title(&story), "### 🟢 `dev` is ready");
}

#[test]
fn a_run_that_waits_follows_a_push() {
    let story = Story::waiting();
    let first = story.head();
    let running = waiting(&story, "5m");
    let second = story.push_more();
    let looked = || {
        let of_second = format!("/commits/{second}/status?");
        let mut requests = story.github.requests().into_iter();
        requests.any(|request| request.path.contains(&of_second))
    };
    await_that(looked, "no look at the new head", &running);
    // It no longer matters what Flux says of the first.
    flux_says(&story, &first, ("failure", "build failed"));
    let seen = looks(&story);
    await_looks(&story, seen + 2, &running);
    flux_says(&story, &second, WELL);

    let outcome = finish(running);

    assert_eq!(ready(&outcome), "true");
    let moved = format!("the branch has moved to {}\n", &second[..7]);
    assert!(outcome.stdout.contains(&moved), "{}", outcome.stdout);
    assert_eq!(ours(&story, &second), pair("success", "dev is ready"));
    assert_told_at(&story, &second);
}

#[test]
fn a_run_that_waits_for_a_pinned_commit_stays_with_it() {
    let story = Story::waiting();
    let first = story.head();
    let running = start(&story.deploy().input("wait", "5m").input("track", "commit"));
    await_looks(&story, 1, &running);
    let second = story.push_more();
    flux_says(&story, &second, ("failure", "build failed"));
    sleep(Duration::from_secs(11));
    flux_says(&story, &first, WELL);

    let outcome = finish(running);

    assert_eq!(ready(&outcome), "true");
    assert_eq!(ours(&story, &first), pair("success", "dev is ready"));
}

#[test]
fn a_cancelled_wait_ends_within_seconds_and_leaves_the_instance() {
    if needs_the_executable("it is sent signals") {
        return;
    }
    for signal in ["INT", "TERM"] {
        let story = Story::waiting();
        let running = waiting(&story, "5m");
        let began = Instant::now();

        running.signal(signal);
        let outcome = running.wait();

        assert!(began.elapsed() < Duration::from_secs(10), "{signal}");
        assert_eq!(outcome.status, 1, "{}", outcome.stdout);
        assert_eq!(ending(&outcome), ("create", "interrupted", "true"));
        assert_eq!(ready(&outcome), "");
        assert!(story.instance("dev").is_some());
        assert_eq!(title(&story), "### 🟡 Flux is bringing `dev` up");
        let told = story.status_comment();
        assert!(
            told.contains("The run that waited for Flux was cancelled."),
            "{told}"
        );
        assert_eq!(ours(&story, &story.head()).0, "error");
    }
}

#[test]
fn a_close_ends_the_wait() {
    let story = Story::waiting();
    let running = waiting(&story, "5m");
    story.github.close_pull_request(story.number);

    let outcome = finish(running);

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(ready(&outcome), "false");
    assert!(
        outcome
            .stdout
            .contains("the pull request was closed, so nobody waits any more\n")
    );
    let event = story
        .github
        .pull_request_event(story.number, "closed", AUTHOR);
    succeed(&story.job().event("pull_request_target", &event));
    assert_eq!(title(&story), "### ⚪ Flux is removing `dev`");
}

#[test]
fn the_same_commit_deployed_again_is_neither_taken_for_ready_nor_waited_for_in_vain() {
    let story = Story::waiting();
    let head = story.head();
    let running = waiting(&story, "5m");
    flux_says(&story, &head, WELL);
    assert_eq!(ready(&finish(running)), "true");
    succeed(&story.destroy());
    assert_eq!(title(&story), "### ⚪ Flux is removing `dev`");

    let running = waiting(&story, "5m");
    let seen = looks(&story);
    await_looks(&story, seen + 1, &running);
    assert_eq!(title(&story), "### 🟡 Flux is bringing `dev` up");
    // Flux repeats it, for the newest status says something else.
    flux_says(&story, &head, WELL);
    assert_eq!(ready(&finish(running)), "true");
    let states: Vec<String> = said(&story, &head, CONTEXT)
        .into_iter()
        .map(|(state, _)| state)
        .collect();
    assert_eq!(states, ["pending", "success", "pending", "success"]);
}

#[test]
fn what_annotations_alone_change_resets_nothing() {
    let story = Story::new();
    let head = story.head();
    succeed(&deploy(&story));
    flux_says(&story, &head, WELL);
    let said_before = said(&story, &head, CONTEXT);

    let (job, _) = story.commented(REVIEWER, "/deploy-ephemeral ttl=72h");
    let outcome = succeed(&job.input("wait", "5m"));

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(ready(&outcome), "true");
    assert_eq!(said(&story, &head, CONTEXT), said_before);
    assert_eq!(title(&story), "### 🟢 `dev` is ready");
}

#[test]
fn what_did_not_land_is_set_back() {
    let story = Story::new();
    let head = story.head();
    story.repository.install_hook(
        "pre-receive",
        "#!/bin/sh\necho 'no pushes on Fridays' >&2\nexit 1",
    );
    let (outcome, _) = fail(&deploy(&story));
    assert_eq!(ending(&outcome).1, "push-rejected");
    let states = |story: &Story| said(story, &head, CONTEXT);
    assert_eq!(states(&story).last(), Some(&pair("error", "Not deployed")));

    // What Flux said of what runs is so again.
    flux_says(&story, &head, WELL);
    fail(&deploy(&story));
    assert_eq!(states(&story).last(), Some(&pair(WELL.0, WELL.1)));
    assert_eq!(story.landed(), []);
}

#[test]
fn a_server_in_trouble_is_looked_at_again_and_a_limit_is_minded() {
    let story = Story::waiting();
    let running = waiting(&story, "5m");
    let github = &story.github;
    github.fault(Fault::on("GET", STATUS).answer_text(502, "Bad Gateway"));
    github.fault(Fault::on("GET", STATUS).drop_connection());
    github.fault(Fault::on("GET", STATUS).answer(200, json!({ "statuses": "none" })));
    let limited = json!({ "message": "You have exceeded a secondary rate limit" });
    github.fault(
        Fault::on("GET", STATUS)
            .answer(403, limited)
            .header("retry-after", "6"),
    );
    let seen = looks(&story);
    await_looks(&story, seen + 4, &running);
    let limited = Instant::now();
    flux_says(&story, &story.head(), WELL);

    let outcome = finish(running);

    assert!(
        limited.elapsed() >= Duration::from_secs(5),
        "{:?}",
        limited.elapsed()
    );
    assert_eq!(ready(&outcome), "true");
    let trouble = "could not read what Flux reports, and will look again: ";
    assert_eq!(
        outcome.stdout.matches(trouble).count(),
        1,
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_token_that_may_not_look_is_named_at_once() {
    let story = Story::waiting();
    let no = json!({ "message": "Resource not accessible by integration" });
    story
        .github
        .fault(Fault::on("GET", STATUS).always().answer(403, no.clone()));
    let outcome = run(&story.deploy().input("wait", "5m"));
    assert_eq!(
        (outcome.status, ending(&outcome).1),
        (1, "not-ready-in-time")
    );
    let error = annotation(&outcome, "error");
    assert!(
        error.contains("Resource not accessible by integration"),
        "{error}"
    );
    let told = story.status_comment();
    assert!(
        told.contains("Nobody can tell whether it is ready"),
        "{told}"
    );

    // Nor is an old status taken for one about this deploy, where it could not be reset.
    let story = Story::waiting();
    flux_says(&story, &story.head(), WELL);
    story.github.fault(
        Fault::on("POST", "/repos/*/statuses/*")
            .always()
            .answer(403, no),
    );
    let outcome = run(&story.deploy().input("wait", "5m"));
    assert_eq!(
        (outcome.status, ending(&outcome).1),
        (1, "not-ready-in-time")
    );
    assert_eq!(ready(&outcome), "false");
    assert!(story.instance("dev").is_some());
    let warning = annotation(&outcome, "warning");
    assert!(warning.contains("add `statuses: write`"), "{warning}");
}

#[test]
fn a_wait_costs_few_requests_that_count() {
    let story = Story::waiting();
    let running = waiting(&story, "5m");
    let before = story.github.requests().len();
    sleep(Duration::from_secs(20));
    let requests = story.github.requests().split_off(before);
    let counted: Vec<_> = requests
        .iter()
        .filter(|request| request.status != Some(304))
        .collect();
    assert!(requests.len() >= 10, "{requests:#?}");
    // The first look at each may be among them.
    assert!(counted.len() <= 2, "{counted:#?}");
    flux_says(&story, &story.head(), WELL);
    assert_eq!(ready(&finish(running)), "true");
}

#[test]
fn a_server_that_hangs_does_not_make_the_wait_much_longer() {
    let story = Story::waiting();
    story.github.fault(Fault::on("GET", STATUS).always().hang());
    let running = start(&story.deploy().input("wait", "2s"));
    await_looks(&story, 1, &running);
    let began = Instant::now();

    let outcome = running.wait();

    assert!(
        began.elapsed() < Duration::from_secs(9),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(ending(&outcome).1, "not-ready-in-time");
    let error = annotation(&outcome, "error");
    assert!(error.contains("no answer"), "{error}");
}

#[test]
fn what_flux_says_while_the_pull_request_is_told_is_told_as_well() {
    let story = Story::new();
    // A deploy whose comment takes its time, and a report that finds none.
    let gate = story.gate(Fault::on("POST", "/repos/*/issues/*/comments"));
    let running = start(&deploy(&story));
    gate.wait();
    succeed(&report(&story, WELL).run_id(2));
    gate.open();
    let outcome = finish(running);
    assert_eq!(ready(&outcome), "true");
    assert_eq!(title(&story), "### 🟢 `dev` is ready");
    assert_eq!(ours(&story, &story.head()), pair("success", "dev is ready"));

    // A wait that saw a failure, which is over by the time that it is told.
    let head = story.push_more();
    let looks_before = looks(&story);
    let running = start(&story.deploy().input("wait", "5m").run_id(3));
    await_looks(&story, looks_before + 1, &running);
    let gate = story.gate(Fault::on("PATCH", "/repos/*/issues/comments/*"));
    flux_says(&story, &head, ("failure", "health check failed"));
    gate.wait();
    succeed(&report(&story, WELL).run_id(4));
    gate.open();
    let outcome = finish(running);
    assert_eq!(ready(&outcome), "true");
    assert_eq!(title(&story), "### 🟢 `dev` is ready");
}

#[test]
fn a_server_that_was_in_trouble_once_is_not_blamed_at_the_end() {
    let story = Story::waiting();
    let bad = || {
        Fault::on("GET", STATUS)
            .skip(2)
            .answer_text(502, "Bad Gateway")
    };
    story.github.fault(bad());
    let outcome = run(&story.deploy().input("wait", "9s"));
    assert_eq!(ending(&outcome).1, "not-ready-in-time");
    let error = annotation(&outcome, "error");
    assert!(error.starts_with("Flux has not said within 9s"), "{error}");
}

#[test]
fn a_commit_that_is_not_known_yet_is_looked_for_again() {
    let story = Story::waiting();
    let missing = json!({ "message": "Not Found" });
    story
        .github
        .fault(Fault::on("GET", STATUS).skip(1).answer(404, missing));
    let running = waiting(&story, "5m");
    await_looks(&story, 3, &running);
    flux_says(&story, &story.head(), WELL);
    assert_eq!(ready(&finish(running)), "true");
}

#[test]
fn what_flux_says_of_the_commit_before_a_push_is_not_the_last_word() {
    let story = Story::waiting();
    let first = story.head();
    let running = waiting(&story, "5m");
    let second = story.push_more();
    // Seen before the run has looked at the pull request again.
    flux_says(&story, &first, ("failure", "build failed"));
    flux_says(&story, &second, WELL);
    let outcome = finish(running);
    assert_eq!(ready(&outcome), "true");
    assert_eq!(ours(&story, &second), pair("success", "dev is ready"));
}

#[test]
fn a_server_cannot_cut_short_what_is_known() {
    let story = Story::waiting();
    let words = "Forbidden\n<!-- /state -->\n### 🟢 forged";
    story.github.fault(
        Fault::on("GET", STATUS)
            .skip(1)
            .always()
            .answer_text(403, words),
    );
    run(&story.deploy().input("wait", "5m"));
    story.github.clear_faults();
    succeed(&report(&story, WELL));
    let told = story.status_comment();
    assert!(
        !told.contains("forged") && !told.contains("What to do"),
        "{told}"
    );
}
