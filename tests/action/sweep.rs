//! What nobody needs any more goes by itself: the pull request is closed, its head repository is gone, the time is over.

use std::collections::BTreeMap;
use std::fs;

use local_github::{Job, Outcome, temporary_directory};

use crate::story::{INSTANCES, REVIEWER, Story, annotations, ending, fail, succeed};

pub(crate) const PAST: &str = "2020-01-02T03:04:05Z";
pub(crate) const FUTURE: &str = "2100-01-02T03:04:05Z";

/// The file of an instance whose time is over then.
pub(crate) fn expiring(story: &Story, name: &str, number: u64, end: &str) -> String {
    let commit = "    flux-ephemeral-env/commit: ";
    let expires = format!("    flux-ephemeral-env/expires: {end}\n{commit}");
    story.earlier(name, number).replace(commit, &expires)
}

/// Runs a sweep that must remove these instances and no others.
pub(crate) fn sweep_away(story: &Story, job: &Job, gone: &[(&str, u64, &str)]) -> Outcome {
    let tip = story.repository.tip("main").unwrap();
    let outcome = succeed(job);
    assert_swept(story, &outcome, &tip, gone);
    outcome
}

/// A sweep has removed these instances and no others in one commit onto this tip: name, pull request and reason.
pub(crate) fn assert_swept(
    story: &Story,
    outcome: &Outcome,
    tip: &str,
    gone: &[(&str, u64, &str)],
) {
    let listed = gone.iter().map(|(name, number, reason)| {
        format!(r#"{{"name":"{name}","pull-request":{number},"reason":"{reason}"}}"#)
    });
    let listed = listed.collect::<Vec<_>>().join(",");
    assert_eq!(outcome.outputs["swept"], format!("[{listed}]"));
    assert_eq!(ending(outcome).0, "sweep");
    assert_eq!(ending(outcome).2, "true");

    let commit = story.repository.log("main").remove(0);
    assert_eq!(outcome.outputs["commit"], commit.sha);
    assert_eq!(commit.parents, [tip]);
    let lines = gone
        .iter()
        .map(|(name, number, reason)| format!("\n{name}: #{number} {reason}"));
    let message = format!("[ci skip] sweep {} ephemeral envs\n", gone.len());
    assert_eq!(commit.message, message + &lines.collect::<String>());
    let bot = "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com>";
    assert_eq!([&commit.author, &commit.committer], [bot, bot]);
    let removed = gone.iter().map(|(name, ..)| ('D', Story::path(name)));
    assert_eq!(commit.changes, removed.collect::<Vec<_>>());
}

/// Runs a sweep that must find nothing to remove, and says nothing to anybody.
pub(crate) fn sweep_in_vain(story: &Story, job: &Job) -> Outcome {
    let (tip, before) = (story.repository.tip("main"), story.landed().len());
    story.github.clear_requests();
    let outcome = succeed(job);
    assert_eq!(outcome.outputs["swept"], "[]");
    assert_eq!(ending(&outcome).0, "sweep");
    assert_eq!(ending(&outcome).2, "false");
    assert_eq!(outcome.outputs["commit"], "");
    assert_eq!(story.repository.tip("main"), tip);
    assert_eq!(story.landed().len(), before);
    assert_only_reads(story);
    outcome
}

/// Nothing was asked for but answers.
pub(crate) fn assert_only_reads(story: &Story) {
    let requests = story.requests();
    let writes: Vec<&String> = requests
        .keys()
        .filter(|request| {
            let is_question =
                ["POST /graphql", "POST /git-upload-pack"].contains(&request.as_str());
            !is_question && !request.starts_with("GET ")
        })
        .collect();
    assert_eq!(writes, [] as [&String; 0]);
}

/// What the last status of a pull request's head says.
pub(crate) fn last_status(story: &Story, number: u64) -> (String, String) {
    let mut statuses = story.github.statuses(&story.head_of(number));
    let last = statuses.pop().expect("a status");
    assert_eq!(last.context, "flux-ephemeral-env");
    (last.state, last.description.unwrap_or_default())
}

fn counted(requests: &[(&str, usize)]) -> BTreeMap<String, usize> {
    let requests = requests.iter();
    requests
        .map(|(name, times)| ((*name).to_owned(), *times))
        .collect()
}

#[test]
fn what_nobody_needs_goes_in_one_commit_and_each_pull_request_is_told_why() {
    let (mut story, _) = Story::with_fork("gone");
    let abandoned = story.number;
    story.put("c-abandoned", &story.earlier("c-abandoned", abandoned));
    story.number = story.another("a-closed");
    let closed = story.number;
    succeed(&story.deploy());
    assert!(
        story
            .status_comment_on(closed)
            .contains("### 🟡 Flux is bringing ")
    );
    let merged = story.another_deployed("b-merged");
    let expired = story.another("d-expired");
    story.put(
        "d-expired",
        &expiring(&story, "d-expired", expired, &format!("{PAST:?}")),
    );
    let open = story.another_deployed("e-open");
    let young = story.another("f-young");
    story.put(
        "f-young",
        &expiring(&story, "f-young", young, &format!("{FUTURE:?}")),
    );
    story.github.close_pull_request(closed);
    story.github.merge_pull_request(merged);
    story.github.delete_head_repository(abandoned);
    story.github.clear_requests();

    let outcome = sweep_away(
        &story,
        &story.sweep(),
        &[
            ("a-closed", closed, "closed"),
            ("b-merged", merged, "closed"),
            ("c-abandoned", abandoned, "head-deleted"),
            ("d-expired", expired, "expired"),
        ],
    );

    assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
    let left = ["e-open", "f-young"].map(Story::path);
    assert_eq!(story.instances(), left);
    let closed_words = [
        "The pull request was closed, but its environment was still there",
        "To deploy again, reopen the pull request and comment `/deploy-ephemeral`.",
    ];
    let table = [
        (
            closed,
            "a-closed",
            "Destroyed by a sweep: closed",
            closed_words,
        ),
        (
            merged,
            "b-merged",
            "Destroyed by a sweep: closed",
            closed_words,
        ),
        (
            abandoned,
            "c-abandoned",
            "Destroyed by a sweep: head deleted",
            [
                "The repository of the head branch was deleted.",
                "push the branch to this repository, open a pull request from there and comment `/deploy-ephemeral`.",
            ],
        ),
        (
            expired,
            "d-expired",
            "Destroyed by a sweep: expired",
            [
                "It expired at 2020-01-02 03:04 UTC.",
                "To deploy again, comment `/deploy-ephemeral`, or `/deploy-ephemeral ttl=72h` to keep it for 72 hours.",
            ],
        ),
    ];
    let commit_url = format!(
        "{}/octo-org/demo/commit/{}",
        story.github.server_url(),
        outcome.outputs["commit"]
    );
    for (number, name, status, words) in table {
        let told = story.status_comment_on(number);
        for words in words.into_iter().chain([
            "### ⚪ A sweep destroyed the environment: ",
            &format!("| **Namespace** | `{name}` |\n"),
            &format!("[commit](<{commit_url}>) on `main`"),
            "/octo-org/demo/actions/runs/1>)",
        ]) {
            assert!(told.contains(words), "{name}: no {words} in {told}");
        }
        assert!(!told.contains("Flux is bringing"), "{told}");
        let expected = ("success".to_owned(), status.to_owned());
        assert_eq!(last_status(&story, number), expected, "{name}");
    }
    for number in [open, young] {
        assert_eq!(story.our_comments_on(number), [] as [String; 0]);
        let statuses = story.github.statuses(&story.head_of(number));
        assert_eq!(statuses, []);
    }
    let summary = &outcome.summary;
    assert!(
        summary.contains("### 🧹 Environments destroyed: 4\n"),
        "{summary}"
    );
    let line = format!("- `d-expired`, pull request {expired}: expired\n");
    assert!(summary.contains(&line), "{summary}");
    let reacted = |request: &String| request.ends_with("/reactions");
    assert!(!story.requests().keys().any(reacted));

    sweep_in_vain(&story, &story.sweep());
}

#[test]
fn a_schedule_and_a_dispatch_do_the_same() {
    let story = Story::new();
    let schedule = story.github.schedule_event();
    // Nobody's event names its repository.
    assert_eq!(schedule.get("repository"), None);
    let dispatch = story.github.dispatch_event(REVIEWER);
    let branch_question = [("GET ", 1)];
    for (name, reason, payload, asked) in [
        ("schedule", "schedule", &schedule, &branch_question[..]),
        ("workflow_dispatch", "workflow-dispatch", &dispatch, &[]),
    ] {
        let number = story.another_deployed(reason);
        let job = story.job().event(name, payload);

        let outcome = sweep_in_vain(&story, &job);

        assert_eq!(ending(&outcome).1, reason);
        assert!(outcome.summary.contains("### 🧹 Nothing to destroy"));
        let asked = [
            asked,
            &[
                ("GET /info/refs", 1),
                ("POST /git-upload-pack", 2),
                ("POST /graphql", 1),
            ],
        ];
        assert_eq!(story.requests(), counted(&asked.concat()), "{name}");
        assert_eq!(story.our_comments_on(number), [] as [String; 0]);

        story.github.close_pull_request(number);
        let outcome = sweep_away(&story, &job, &[(reason, number, "closed")]);
        assert_eq!(ending(&outcome).1, reason);
    }
}

#[test]
fn another_target_branch_is_swept_without_asking_for_the_default_one() {
    let story = Story::new();
    let number = story.another_deployed("old");
    story.repository.create_branch("environments", "main");
    story.github.close_pull_request(number);
    let tip = story.repository.tip("main");

    let outcome = succeed(&story.sweep().input("branch", "environments"));

    assert_eq!(ending(&outcome), ("sweep", "schedule", "true"));
    assert!(!story.requests().contains_key("GET "));
    assert_eq!(story.repository.tip("main"), tip);
    assert_eq!(
        story.repository.tip("environments").as_ref(),
        outcome.outputs.get("commit")
    );
    let gone = story.repository.read("environments", &Story::path("old"));
    assert_eq!(gone, None);
}

#[test]
fn nothing_to_remove_is_no_commit_and_no_word() {
    let story = Story::new();
    let words = "### 🧹 Nothing to destroy";
    // The directory is empty, is none, is a file, and is below one.
    for path in [INSTANCES, "nowhere/at/all", "README.md", "README.md/below"] {
        let outcome = sweep_in_vain(&story, &story.sweep().input("instances-path", path));
        assert!(outcome.summary.contains(words), "{path}");
        assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0], "{path}");
        assert!(!story.requests().contains_key("POST /graphql"), "{path}");
    }
    succeed(&story.deploy());
    let (comment, statuses) = (story.status_comment(), story.statuses());
    sweep_in_vain(&story, &story.sweep());
    assert_eq!(
        (story.status_comment(), story.statuses()),
        (comment, statuses)
    );
    assert_eq!(story.instances(), [Story::path("dev")]);
}

#[test]
fn what_is_not_an_instance_of_this_repository_stays() {
    let story = Story::new();
    let number = story.another_deployed("ours");
    let ours = story.earlier("ours", number);
    let marker = "app.kubernetes.io/managed-by: flux-ephemeral-env";
    let foreign = "flux-ephemeral-env/repository: octo-org/other";
    let table = [
        (
            "sync-theirs.yaml",
            ours.replace("octo-org/demo\n", "octo-org/other\n"),
        ),
        (
            "sync-longer.yaml",
            ours.replace("octo-org/demo\n", "octo-org/demo2\n"),
        ),
        ("sync-no-marker.yaml", ours.replace(marker, "app: none")),
        (
            "sync-other-marker.yaml",
            ours.replace(marker, &format!("{marker}2")),
        ),
        ("sync-no-yaml.yaml", format!("{ours}\n}}{{\n")),
        (
            "sync-no-number.yaml",
            ours.replace(&format!("\"{number}\""), "\"none\""),
        ),
        ("sync-empty.yaml", String::new()),
        ("sync-other-end.yml", ours.clone()),
        ("kustomization.yaml", ours.clone()),
        ("sync-below.yaml/sync-ours.yaml", ours.clone()),
    ];
    assert!(table[0].1.contains(foreign));
    let paths: Vec<String> = table
        .iter()
        .map(|(name, _)| format!("{INSTANCES}/{name}"))
        .collect();
    let files: Vec<(&str, Option<&str>)> = paths
        .iter()
        .zip(&table)
        .map(|(path, (_, file))| (path.as_str(), Some(file.as_str())))
        .collect();
    story.repository.commit("main", &files, "What is not ours");
    story.github.close_pull_request(number);

    sweep_away(&story, &story.sweep(), &[("ours", number, "closed")]);

    for (path, (_, file)) in paths.iter().zip(&table) {
        assert_eq!(story.repository.read("main", path).as_ref(), Some(file));
    }
    sweep_in_vain(&story, &story.sweep());
}

#[test]
fn the_repository_is_known_in_any_case() {
    let story = Story::new();
    let number = story.another("old");
    let file = story.earlier("old", number);
    story.put("old", &file.replace("octo-org/demo\n", "Octo-Org/Demo\n"));
    story.github.close_pull_request(number);
    sweep_away(&story, &story.sweep(), &[("old", number, "closed")]);
}

#[test]
fn a_pull_request_with_two_instances_loses_both_and_is_told_of_both_at_once() {
    let story = Story::new();
    let number = story.another_deployed("first");
    story.put("second", &story.earlier("second", number));
    story.github.close_pull_request(number);

    sweep_away(
        &story,
        &story.sweep(),
        &[("first", number, "closed"), ("second", number, "closed")],
    );

    let told = story.status_comment_on(number);
    assert!(
        told.contains("| **Namespace** | `first`, `second` |\n"),
        "{told}"
    );
    assert_eq!(story.github.statuses(&story.head_of(number)).len(), 1);
}

#[test]
fn one_of_two_instances_may_be_over_while_the_other_is_not() {
    let story = Story::new();
    let number = story.another_deployed("lasting");
    story.put(
        "over",
        &expiring(&story, "over", number, &format!("{PAST:?}")),
    );

    sweep_away(&story, &story.sweep(), &[("over", number, "expired")]);

    assert_eq!(story.instances(), [Story::path("lasting")]);
    // The last word is about what is there.
    let told = story.status_comment_on(number);
    assert!(told.contains("| **Namespace** | `lasting` |\n"), "{told}");
    let expected = (
        "success".to_owned(),
        "Flux is bringing lasting up".to_owned(),
    );
    assert_eq!(last_status(&story, number), expected);
}

#[test]
fn a_closed_pull_request_is_swept_as_closed_whatever_its_file_says_of_time() {
    let story = Story::new();
    let mut gone = Vec::new();
    for (name, end) in [
        ("a-past", format!("{PAST:?}")),
        ("b-future", format!("{FUTURE:?}")),
        ("c-nonsense", "soon".to_owned()),
    ] {
        let number = story.another(name);
        story.put(name, &expiring(&story, name, number, &end));
        story.github.close_pull_request(number);
        gone.push((name, number, "closed"));
    }
    let outcome = sweep_away(&story, &story.sweep(), &gone);
    assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
}

#[test]
fn a_time_that_somebody_edited_into_nonsense_keeps_its_instance_with_a_warning() {
    let story = Story::new();
    let number = story.another("odd");
    let table = [
        ("soon", r#""soon""#),
        ("\"\"", r#""""#),
        ("2020-01-02", r#""2020-01-02""#),
        ("\"2020-13-02T03:04:05Z\"", r#""2020-13-02T03:04:05Z""#),
        ("\"2020-01-02T03:04:05\"", r#""2020-01-02T03:04:05""#),
        ("\"%0A::b\\u202e\"", "%250A::b\u{fffd}"),
        ("2020", r#""2020""#),
        ("true", r#""true""#),
    ];
    // One that is left empty is none.
    let none = ["", "~", "null"].map(|end| (end, ""));
    for (index, (end, _)) in table.iter().chain(&none).enumerate() {
        let file = expiring(&story, "odd", number, end);
        story.put(&format!("odd-{index:02}"), &file);
    }
    let over = story.another("over");
    story.put("over", &expiring(&story, "over", over, PAST));

    let outcome = sweep_away(&story, &story.sweep(), &[("over", over, "expired")]);

    assert_eq!(story.instances().len(), table.len() + none.len());
    let warnings = annotations(&outcome, "warning");
    assert_eq!(warnings.len(), table.len(), "{warnings:#?}");
    for (index, (warning, (end, shown))) in warnings.iter().zip(table).enumerate() {
        let stays = format!("kept {}: ", Story::path(&format!("odd-{index:02}")));
        let is_named = warning.starts_with(&stays);
        assert!(is_named && warning.contains(shown), "{end}: {warning}");
    }
}

#[test]
fn a_time_is_understood_however_it_is_written() {
    let story = Story::new();
    let number = story.number;
    let ends = [
        PAST,
        "2020-01-02 03:04:05Z",
        "\"2020-01-02t03:04:05.678+01:00\"",
    ];
    let names = ["a", "b", "c"];
    for (name, end) in names.into_iter().zip(ends) {
        story.put(name, &expiring(&story, name, number, end));
    }
    sweep_away(
        &story,
        &story.sweep(),
        &names.map(|name| (name, number, "expired")),
    );
    let told = story.status_comment_on(number);
    assert!(
        told.contains("It expired at 2020-01-02 03:04 UTC."),
        "{told}"
    );
}

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let story = Story::new();
    let number = story.another_deployed("old");
    let kept = story.another_deployed("kept");
    story.github.close_pull_request(number);
    let (tip, landed) = (story.repository.tip("main"), story.landed());
    story.github.clear_requests();

    let outcome = succeed(&story.sweep().input("dry-run", "true"));

    assert_eq!(ending(&outcome), ("sweep", "schedule", "false"));
    let listed = format!(r#"[{{"name":"old","pull-request":{number},"reason":"closed"}}]"#);
    assert_eq!(outcome.outputs["swept"], listed);
    assert_eq!(outcome.outputs["commit"], "");
    let said = &outcome.stdout;
    let path = Story::path("old");
    for words in [
        "dry run: nothing was changed. The commit would be:\n".to_owned(),
        "| [ci skip] sweep 1 ephemeral envs\n".to_owned(),
        format!("| old: #{number} closed\n"),
        format!("| remove {path}\n"),
    ] {
        assert!(said.contains(&words), "no {words} in {said}");
    }
    let summary = &outcome.summary;
    assert!(
        summary.contains("### 🧹 Environments that would be destroyed: 1\n"),
        "{summary}"
    );
    assert_eq!(
        (story.repository.tip("main"), story.landed()),
        (tip, landed)
    );
    for number in [number, kept] {
        assert_eq!(story.our_comments_on(number), [] as [String; 0]);
        assert_eq!(story.github.statuses(&story.head_of(number)), []);
    }
    assert_only_reads(&story);
}

#[test]
fn two_hundred_instances_cost_a_handful_of_requests() {
    let story = Story::new();
    let names: Vec<String> = (0..200).map(|index| format!("many-{index:03}")).collect();
    let numbers = story.many_deployed(&names, "dev");
    let asked = counted(&[
        ("GET ", 1),
        ("GET /info/refs", 1),
        ("POST /git-upload-pack", 2),
        ("POST /graphql", 2),
    ]);
    sweep_in_vain(&story, &story.sweep());
    assert_eq!(story.requests(), asked);

    // The first and the last of each hundred.
    let gone: Vec<(&str, u64, &str)> = [0, 99, 100, 199]
        .map(|index| (names[index].as_str(), numbers[index], "closed"))
        .into();
    for (_, number, _) in &gone {
        story.github.close_pull_request(*number);
    }
    story.github.clear_requests();
    let outcome = sweep_away(&story, &story.sweep(), &gone);

    assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
    assert_eq!(story.instances().len(), 196);
    let requests = story.requests();
    // Two questions, one more about those that went, and one about who we are.
    assert_eq!(requests["POST /graphql"], 4);
    assert_eq!(requests["POST /git-receive-pack"], 1);
    assert_eq!(requests["POST /issues/*/comments"], 4);
    assert_eq!(requests["POST /statuses/*"], 4);
    let fetches = requests["POST /git-upload-pack"];
    assert!(fetches <= 6, "{requests:#?}");
    let all: usize = requests.values().sum();
    assert!(all <= 36, "{requests:#?}");
}

#[test]
fn the_last_instance_leaves_a_file_that_keeps_its_directory() {
    let story = Story::new();
    let keep = format!("{INSTANCES}/.gitkeep");
    let number = story.another_deployed("old");
    let other = story.another_deployed("older");
    story
        .repository
        .commit("main", &[(&keep, None)], "No directory is empty");
    story.github.close_pull_request(number);
    sweep_away(&story, &story.sweep(), &[("old", number, "closed")]);
    assert_eq!(story.repository.read("main", &keep), None);
    story.github.close_pull_request(other);

    let outcome = succeed(&story.sweep());

    assert_eq!(ending(&outcome).2, "true");
    let changes = story.landed().remove(0).1;
    assert_eq!(changes, [('A', keep), ('D', Story::path("older"))]);
}

#[test]
fn the_checkout_follows() {
    let story = Story::new();
    let number = story.another_deployed("old");
    let workspace = temporary_directory();
    story.repository.checkout(workspace.path(), &[]);
    let file = workspace.path().join(Story::path("old"));
    let own = workspace.path().join("own.txt");
    fs::write(&own, "not committed\n").unwrap();
    assert!(file.exists());
    // Somebody pushed since.
    let other = story.another_deployed("other");
    story.github.close_pull_request(number);
    story.github.close_pull_request(other);

    let outcome = sweep_away(
        &story,
        &story.sweep().workspace(workspace.path()),
        &[("old", number, "closed"), ("other", other, "closed")],
    );

    assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
    assert!(!file.exists());
    assert_eq!(fs::read_to_string(own).unwrap(), "not committed\n");
    let tip = fs::read_to_string(workspace.path().join(".git/refs/heads/main")).unwrap();
    assert_eq!(tip.trim_end(), outcome.outputs["commit"]);
}

#[test]
fn a_file_of_the_first_version_is_brought_up_to_date_extended_and_destroyed_like_any_other() {
    let story = Story::new();
    let current = story.current("dev", story.number);
    story.put("dev", &story.earlier("dev", story.number));

    let outcome = succeed(&story.deploy());
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(story.instance("dev"), Some(current.clone()));
    let outcome = succeed(&story.deploy());
    assert_eq!(ending(&outcome), ("create", "deploy-command", "false"));
    assert_eq!(story.instance("dev"), Some(current));

    let outcome = succeed(&story.deploy().input("ttl", "72h"));
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(story.landed()[0].1, [('M', Story::path("dev"))]);

    story.put("dev", &story.earlier("dev", story.number));
    let outcome = succeed(&story.destroy());
    assert_eq!(ending(&outcome), ("destroy", "destroy-command", "true"));
    assert_eq!(story.instances(), [] as [String; 0]);
}

/// Sees to it that a sweep fails.
type Prepare = fn(&Story, Job) -> Job;

#[test]
fn a_sweep_that_cannot_be_done_is_one_error_and_changes_nothing() {
    let table: [(&str, &str, Prepare); 4] = [
        ("branch-missing", "has no branch `nowhere`", |_, job| {
            job.input("branch", "nowhere")
        }),
        ("push-rejected", "no pushes today", |story, job| {
            let script = "#!/bin/sh\necho no pushes today\nexit 1\n";
            story.repository.install_hook("pre-receive", script);
            job
        }),
        ("push-forbidden", "contents: write", |story, job| {
            let permissions = ["contents:read", "pull-requests:write", "statuses:write"];
            story.github.restrict_token(&permissions);
            job
        }),
        ("github-refused", "/repos/octo-org/demo", |story, job| {
            let question = local_github::Fault::on("GET", "/repos/octo-org/demo");
            let words = serde_json::json!({"message": "Not Found"});
            story.github.fault(question.always().answer(404, words));
            job
        }),
    ];
    for (reason, words, prepare) in table {
        let story = Story::new();
        let number = story.another_closed("old");
        let tip = story.repository.tip("main");
        let job = prepare(&story, story.sweep());

        let (outcome, error) = fail(&job);

        assert_eq!(ending(&outcome), ("sweep", reason, "false"), "{error}");
        let summary = &outcome.summary;
        for words in ["### 🔴 The sweep failed\n", "**What to do:** ", words] {
            assert!(summary.contains(words), "{reason}: no {words} in {summary}");
        }
        assert_eq!(story.repository.tip("main"), tip);
        assert_eq!(story.our_comments_on(number), [] as [String; 0]);
        assert_eq!(story.github.statuses(&story.head_of(number)), []);
    }
}
