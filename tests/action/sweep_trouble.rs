//! A sweep in trouble: no clear answer removes anything, nobody's change is lost, and what is told is true in the end.

use std::thread;
use std::time::{Duration, Instant};

use local_github::Fault;
use serde_json::{Value, json};

use crate::story::{
    REVIEWER, Story, annotation, annotations, await_that, ending, finish, run, start, succeed,
};
use crate::sweep::{PAST, assert_swept, expiring, last_status, sweep_away, sweep_in_vain};

const QUESTION: &str = "/graphql";
const PUSH: &str = "/octo-org/demo/git-receive-pack";
const COMMENT: &str = "/repos/*/issues/*/comments";
/// The longest that an end may take on a slow machine; the code's own bound is 3 s.
const SECONDS: Duration = Duration::from_secs(14);

/// How the warning about pull requests starts whose instances stay.
const STAYS: &str = "kept the environments of these pull requests, because GitHub did not say whether they are closed: ";

/// The pull request's comment says that a sweep took its environment down.
fn assert_told_of_a_sweep(story: &Story, number: u64) {
    let told = story.status_comment_on(number);
    assert!(
        told.contains("### ⚪ A sweep destroyed the environment"),
        "{told}"
    );
}

fn stays(numbers: &str) -> String {
    format!("{STAYS}{numbers} (")
}

#[test]
fn an_unclear_answer_about_one_keeps_that_one_and_the_others_are_swept() {
    let story = Story::new();
    let oid = story.head();
    let whole = json!({
        "state": "CLOSED", "headRefName": "dev", "headRefOid": oid, "headRepository": {"id": "R_1"},
    });
    let without = |field: &str| {
        let mut node = whole.clone();
        node.as_object_mut().unwrap().remove(field).unwrap();
        node
    };
    let with = |field: &str, value: Value| {
        let mut node = whole.clone();
        node[field] = value;
        node
    };
    let odd = "not as GitHub documents it";
    // What is answered about each, the kind and words of the error about it, and what is shown.
    let table = [
        (
            json!(null),
            Some(("NOT_FOUND", "Could not resolve")),
            "Could not resolve",
        ),
        (
            json!(null),
            Some(("FORBIDDEN", "No access")),
            "No access (add `pull-requests: write`",
        ),
        // An error beside an answer is no clear answer.
        (
            whole.clone(),
            Some(("INTERNAL", "Something broke")),
            "Something broke",
        ),
        (json!(null), None, odd),
        (json!("gone"), None, odd),
        (
            with("state", json!("ARCHIVED")),
            None,
            "its state is \"ARCHIVED\"",
        ),
        (
            with("state", json!("closed")),
            None,
            "its state is \"closed\"",
        ),
        (with("state", json!("")), None, "its state is \"\""),
        (with("state", json!(null)), None, odd),
        (with("headRefOid", json!(7)), None, odd),
        (without("state"), None, "`state`"),
        (without("headRefName"), None, "`headRefName`"),
        (without("headRefOid"), None, "`headRefOid`"),
    ];
    let mut names: Vec<String> = (10..10 + table.len())
        .map(|index| format!("doubtful-{index}"))
        .collect();
    names.push("certain".to_owned());
    let mut numbers = story.many_deployed(&names, "dev");
    // All of them are closed, and GitHub says so of one.
    for number in &numbers {
        story.github.close_pull_request(*number);
    }
    let certain = numbers.pop().unwrap();
    names.pop();
    let mut nodes = json!({format!("p{certain}"): whole});
    let mut errors = Vec::new();
    for (number, (node, error, _)) in numbers.iter().zip(&table) {
        let key = format!("p{number}");
        if let Some((kind, message)) = error {
            errors.push(json!({"type": kind, "path": ["repository", key], "message": message}));
        }
        nodes[key] = node.clone();
    }
    // One is not spoken of at all.
    let unspoken = story.another_deployed("unspoken");
    let answer = json!({"data": {"repository": nodes}, "errors": errors});
    story
        .github
        .fault(Fault::on("POST", QUESTION).answer(200, answer));

    let outcome = sweep_away(&story, &story.sweep(), &[("certain", certain, "closed")]);

    let warnings = annotations(&outcome, "warning");
    let expected = numbers
        .iter()
        .copied()
        .zip(table.iter().map(|(.., words)| *words));
    for (number, words) in expected.chain([(unspoken, "does not mention it")]) {
        let named = warnings.iter().filter(|warning| {
            let rest = warning.strip_prefix(STAYS).expect(STAYS);
            let (listed, rest) = rest.split_once(" (").unwrap();
            listed
                .split(", ")
                .any(|listed| listed == number.to_string())
                && rest.contains(words)
        });
        assert_eq!(named.count(), 1, "{number} {words}: {warnings:#?}");
        assert_eq!(story.our_comments_on(number), [] as [String; 0]);
    }
    names.push("unspoken".to_owned());
    let left: Vec<String> = names.iter().map(|name| Story::path(name)).collect();
    assert_eq!(story.instances(), left);
}

#[test]
fn a_pull_request_that_github_does_not_know_keeps_its_instance() {
    let story = Story::new();
    let issue = story.github.open_issue(REVIEWER, "No pull request");
    let closed = story.another_closed("closed");
    // One that never was, an issue, and numbers that none can have.
    let numbers = [
        "999",
        &issue.to_string(),
        "0",
        "4294967296",
        "18446744073709551615",
    ];
    for number in numbers {
        let file = story
            .earlier("odd", closed)
            .replace(&format!("\"{closed}\""), &format!("\"{number}\""));
        story.put(&format!("odd-{number}"), &file);
    }

    let outcome = sweep_away(&story, &story.sweep(), &[("closed", closed, "closed")]);

    assert_eq!(story.instances().len(), numbers.len());
    let warnings = annotations(&outcome, "warning");
    assert!(warnings.len() <= numbers.len(), "{warnings:#?}");
    for number in numbers {
        let named = warnings.iter().filter(|warning| {
            let rest = warning.strip_prefix(STAYS).expect(STAYS);
            let (listed, _) = rest.split_once(" (").unwrap();
            listed.split(", ").any(|named| named == number)
        });
        assert_eq!(named.count(), 1, "{number}: {warnings:#?}");
    }
}

#[test]
fn a_head_repository_is_gone_only_where_both_of_githubs_answers_say_so() {
    let (story, fork) = Story::with_fork("dev");
    let number = story.number;
    let file = story.earlier("theirs", number);
    story.put("theirs", &file);
    let null = json!({"data": {"repository": {format!("p{number}"): {
        "state": "OPEN", "headRefName": "dev", "headRefOid": story.head(), "headRepository": null,
    }}}});
    let say_null = || {
        story
            .github
            .fault(Fault::on("POST", QUESTION).answer(200, null.clone()))
    };
    // It is there, and hidden from this token.
    say_null();
    let outcome = sweep_in_vain(&story, &story.sweep());
    assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
    // No answer is none.
    for (status, message) in [(403, "Forbidden"), (404, "Not Found")] {
        say_null();
        let fault =
            Fault::on("GET", "/repos/*/pulls/*").answer(status, json!({"message": message}));
        story.github.fault(fault);
        let outcome = sweep_in_vain(&story, &story.sweep());
        let warning = annotation(&outcome, "warning");
        let is_named = warning.starts_with(&stays(&number.to_string()));
        assert!(is_named && warning.contains(message), "{warning}");
    }
    let mut odd =
        story.github.pull_request_event(number, "opened", REVIEWER)["pull_request"].take();
    for state in ["", "CLOSED", "archived"] {
        odd["state"] = json!(state);
        say_null();
        let fault = Fault::on("GET", "/repos/*/pulls/*").answer(200, odd.clone());
        story.github.fault(fault);
        let outcome = sweep_in_vain(&story, &story.sweep());
        let warning = annotation(&outcome, "warning");
        let stays = stays(&number.to_string());
        let words = format!("{stays}its state is {state:?}, which GitHub does not document)");
        assert_eq!(warning, words);
    }
    // Nor is one that is closed by the second answer gone for its repository.
    story.github.close_pull_request(number);
    say_null();
    sweep_away(&story, &story.sweep(), &[("theirs", number, "closed")]);
    story.github.reopen_pull_request(number);
    story.put("theirs", &file);
    fork.delete();
    sweep_away(
        &story,
        &story.sweep(),
        &[("theirs", number, "head-deleted")],
    );
}

#[test]
fn no_answer_at_all_keeps_everything_and_is_one_warning() {
    let nobody = json!({"data": {"repository": null}, "errors": [
        {"type": "NOT_FOUND", "path": ["repository"], "message": "Could not resolve to a Repository"},
    ]});
    let limited =
        json!({"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]});
    let message = |text: &str| json!({"message": text});
    let on = || Fault::on("POST", QUESTION).always();
    let answers = [
        (
            on().answer(401, message("Bad credentials")),
            "Bad credentials",
        ),
        (
            on().answer(403, message("Resource not accessible")),
            "add `pull-requests: write`",
        ),
        (on().answer(404, message("Not Found")), "404: Not Found"),
        (
            on().answer(200, nobody),
            "Could not resolve to a Repository",
        ),
        (
            on().answer(200, json!({"data": {"repository": {}}})),
            "does not mention it",
        ),
        (
            on().answer(200, json!({"data": {"repository": null}})),
            "does not mention it",
        ),
        // These may pass, so they are waited for.
        (on().answer(200, limited), "API rate limit exceeded"),
        (
            on().answer(200, json!({"data": null, "errors": null})),
            "not as GitHub documents it",
        ),
        (
            on().answer(200, json!({"data": {"repository": []}})),
            "not as GitHub documents it",
        ),
        (
            on().answer_text(200, "<html>"),
            "not as GitHub documents it",
        ),
        (on().answer_text(200, ""), "not as GitHub documents it"),
        (on().answer_text(502, "Bad Gateway"), "502: Bad Gateway"),
        (
            on().answer(500, message("Server Error")),
            "500: Server Error",
        ),
        (on().drop_connection(), "POST http"),
        (on().cut_body_after(20), "POST http"),
    ];
    thread::scope(|scope| {
        for (fault, words) in answers {
            scope.spawn(move || {
                let story = Story::waiting();
                let numbers =
                    story.many_deployed(&["first".to_owned(), "second".to_owned()], "dev");
                for number in &numbers {
                    story.github.close_pull_request(*number);
                }
                story.github.fault(fault);

                let outcome = sweep_in_vain(&story, &story.sweep());

                let warning = annotation(&outcome, "warning");
                let both = stays(&format!("{}, {}", numbers[0], numbers[1]));
                let is_named = warning.starts_with(&both);
                assert!(is_named && warning.contains(words), "{words}: {warning}");
                assert_eq!(story.instances().len(), 2);
                let questions = story.requests()["POST /graphql"];
                assert!(questions <= 4, "{words}: {questions}");
            });
        }
    });
}

#[test]
fn a_github_that_hangs_is_not_asked_for_each_hundred_anew() {
    let story = Story::waiting();
    let names: Vec<String> = (0..301).map(|index| format!("many-{index:03}")).collect();
    story.many_deployed(&names, "dev");
    story
        .github
        .fault(Fault::on("POST", QUESTION).always().hang());

    let outcome = sweep_in_vain(&story, &story.sweep());

    let questions = story.requests()["POST /graphql"];
    assert!(questions <= 4, "{questions}");
    let warnings = annotations(&outcome, "warning");
    let (first, others) = (warnings[0], warnings[1]);
    assert!(
        first.contains("no answer within") || first.contains("timed out"),
        "{first}"
    );
    assert!(
        others.contains("not asked: GitHub has not answered"),
        "{others}"
    );
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
}

#[test]
fn a_sweep_stops_telling_where_github_takes_no_more_and_names_whom_it_did_not_tell() {
    let hang = Fault::on("GET", COMMENT).always().hang();
    let words = json!({"message": "You have exceeded a secondary rate limit"});
    let limit = Fault::on("POST", COMMENT).always().answer(403, words);
    let limit = limit.skip(1);
    let long = limit.clone().header("retry-after", "3600");
    thread::scope(|scope| {
        for (fault, request, told) in [
            (hang, "GET /issues/*/comments", 0),
            (limit, "POST /issues/*/comments", 1),
            (long, "POST /issues/*/comments", 1),
        ] {
            scope.spawn(move || {
                let story = Story::waiting();
                let names = ["a", "b", "c", "d", "e"];
                let numbers = names.map(|name| story.another_closed(name));
                story.github.fault(fault);
                story.github.clear_requests();
                let gone: Vec<_> = names
                    .into_iter()
                    .zip(numbers)
                    .map(|(name, number)| (name, number, "closed"))
                    .collect();

                let outcome = sweep_away(&story, &story.sweep(), &gone);

                let untold = numbers[told..].iter().map(u64::to_string);
                let untold = untold.collect::<Vec<_>>().join(", ");
                let warnings = annotations(&outcome, "warning");
                assert_eq!(warnings.len(), 2, "{warnings:#?}");
                assert!(warnings[0].starts_with("the comment could not be written: "));
                assert_eq!(
                    warnings[1],
                    format!("GitHub stopped answering or limited our requests before these pull requests were notified: {untold}")
                );
                let comments = numbers.map(|number| story.our_comments_on(number).len());
                assert_eq!(comments.iter().sum::<usize>(), told);
                let asked = story.requests()[request];
                assert!(asked <= 4 + told, "{request}: {asked}");
            });
        }
    });
}

#[test]
fn a_commit_status_that_hangs_is_not_waited_for_with_every_pull_request() {
    let story = Story::waiting();
    let numbers = ["a", "b", "c"].map(|name| story.another_closed(name));
    let statuses = Fault::on("POST", "/repos/*/statuses/*");
    story.github.fault(statuses.always().hang());
    story.github.clear_requests();

    let outcome = succeed(&story.sweep());

    for number in numbers {
        assert_told_of_a_sweep(&story, number);
    }
    let warnings = annotations(&outcome, "warning");
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(warnings[0].starts_with("the commit status could not be written: "));
    let [_, second, third] = numbers;
    assert_eq!(
        warnings[1],
        format!("the commit status was not updated for these pull requests: {second}, {third}")
    );
    let asked = story.requests()["POST /statuses/*"];
    assert!(asked <= 4, "{asked}");
}

#[test]
fn a_git_server_that_hangs_is_not_waited_for_with_every_pull_request_that_is_told() {
    let story = Story::waiting();
    let numbers = ["a", "b", "c"].map(|name| story.another_closed(name));
    // The tip is asked for twice until the push has landed.
    let refs = Fault::on("GET", "/octo-org/demo/info/refs?service=git-upload-pack");
    story.github.fault(refs.skip(2).always().hang());
    story.github.clear_requests();

    succeed(&story.sweep());

    for number in numbers {
        assert_told_of_a_sweep(&story, number);
    }
    // Those two, the push's own, and one look that was in vain.
    assert_eq!(story.requests()["GET /info/refs"], 4);
}

#[test]
fn an_answer_that_comes_late_is_waited_for() {
    let story = Story::new();
    let number = story.another_closed("old");
    let trouble = Fault::on("POST", QUESTION).answer_text(502, "Bad Gateway");
    story.github.fault(trouble);
    let outcome = sweep_away(&story, &story.sweep(), &[("old", number, "closed")]);
    assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
}

#[test]
fn a_token_that_may_not_see_pull_requests_removes_nothing_and_is_told_the_permission() {
    let story = Story::new();
    let number = story.another_closed("old");
    story
        .github
        .restrict_token(&["contents:write", "statuses:write"]);

    let outcome = sweep_in_vain(&story, &story.sweep());

    let warning = annotation(&outcome, "warning");
    let remedy = "add `pull-requests: write` to the job's `permissions`";
    let is_named = warning.starts_with(&stays(&number.to_string()));
    assert!(is_named && warning.contains(remedy), "{warning}");
}

#[test]
fn a_lost_race_is_planned_again_and_what_was_deployed_meanwhile_stays() {
    // Before the answer about its pull request is asked for, and when its removal is about to be pushed, for its time was
    // over or its pull request closed.
    for (place, pushes, is_closed) in [(QUESTION, 2, false), (PUSH, 3, false), (PUSH, 3, true)] {
        let story = Story::new();
        let number = story.number;
        if is_closed {
            story.put("dev", &story.earlier("dev", number));
            story.github.close_pull_request(number);
        } else {
            story.put("dev", &expiring(&story, "dev", number, PAST));
        }
        let other = story.another_closed("other");
        let gate = story.gate(Fault::on("POST", place));
        let sweep = start(&story.sweep());
        gate.wait();
        if is_closed {
            story.github.reopen_pull_request(number);
        }
        let (job, _) = story.commented(REVIEWER, "/deploy-ephemeral ttl=72h");
        assert_eq!(ending(&succeed(&job.run_id(2))).2, "true");
        story.repository.commit(
            "main",
            &[("busy.txt", Some("busy\n"))],
            "Somebody was faster",
        );
        let tip = story.repository.tip("main").unwrap();
        gate.open();

        let outcome = finish(sweep);

        assert_swept(&story, &outcome, &tip, &[("other", other, "closed")]);
        assert_eq!(story.instances(), [Story::path("dev")], "{place}");
        let told = story.status_comment();
        assert!(told.contains("### 🟡 Flux is bringing "), "{place}: {told}");
        assert_eq!(story.requests()["POST /git-receive-pack"], pushes);
    }
}

#[test]
fn a_race_that_leaves_nothing_to_remove_is_nothing_to_sweep() {
    let story = Story::new();
    let number = story.another_closed("old");
    let gate = story.gate(Fault::on("POST", PUSH));
    let sweep = start(&story.sweep());
    gate.wait();
    let path = Story::path("old");
    story
        .repository
        .commit("main", &[(&path, None)], "The close was late");
    let tip = story.repository.tip("main");
    gate.open();

    let outcome = finish(sweep);

    assert_eq!(ending(&outcome), ("sweep", "schedule", "false"));
    assert_eq!(outcome.outputs["swept"], "[]");
    assert_eq!(story.repository.tip("main"), tip);
    assert_eq!(story.our_comments_on(number), [] as [String; 0]);
}

#[test]
fn two_sweeps_at_once_remove_and_tell_once() {
    let story = Story::new();
    let number = story.another_closed("old");
    let gates = [(); 2].map(|()| story.gate(Fault::on("POST", PUSH)));
    let before = story.landed().len();
    let sweeps = [1, 2].map(|id| start(&story.sweep().run_id(id)));
    for gate in &gates {
        gate.wait();
    }
    for gate in gates {
        gate.open();
    }

    let outcomes = sweeps.map(finish);

    // In the same second both may make the same commit, and then both have landed it.
    let one = format!(r#"[{{"name":"old","pull-request":{number},"reason":"closed"}}]"#);
    let swept = outcomes.map(|outcome| outcome.outputs["swept"].clone());
    assert!(swept.contains(&one), "{swept:?}");
    assert!(swept.iter().all(|swept| *swept == one || swept == "[]"));
    assert_eq!(story.landed().len(), before + 1);
    assert_told_of_a_sweep(&story, number);
}

#[test]
fn a_push_whose_answer_is_lost_is_one_commit() {
    let story = Story::new();
    let number = story.another_closed("old");
    story.github.fault(Fault::on("POST", PUSH).lose_answer());
    sweep_away(&story, &story.sweep(), &[("old", number, "closed")]);
    assert_told_of_a_sweep(&story, number);
}

#[test]
fn a_pull_request_that_is_brought_up_again_before_it_is_told_is_told_what_is_true() {
    let story = Story::new();
    let number = story.number;
    let (job, _) = story.commented(REVIEWER, "/deploy-ephemeral ttl=1h");
    succeed(&job);
    story.put("dev", &expiring(&story, "dev", number, PAST));
    // The sweep has landed and is about to say so.
    let gate = story.gate(Fault::on("PATCH", "/repos/*/issues/comments/*"));
    let sweep = start(&story.sweep());
    gate.wait();
    assert_eq!(story.instances(), [] as [String; 0]);
    let (job, _) = story.commented(REVIEWER, "/deploy-ephemeral ttl=72h");
    succeed(&job.run_id(2));
    gate.open();

    let outcome = finish(sweep);

    assert_eq!(ending(&outcome), ("sweep", "schedule", "true"));
    assert_eq!(story.instances(), [Story::path("dev")]);
    let told = story.status_comment();
    for words in [
        "### 🟡 Flux is bringing ",
        "| **Namespace** | `dev` |\n",
        "| **Expires** | ",
        ", in 3 days |",
    ] {
        assert!(told.contains(words), "no {words} in {told}");
    }
    assert!(!told.contains("Flux is removing"), "{told}");
    let expected = ("success".to_owned(), "Flux is bringing dev up".to_owned());
    assert_eq!(last_status(&story, number), expected);
}

#[test]
fn what_is_told_is_spaced_so_that_github_does_not_refuse_it() {
    let story = Story::waiting();
    let names: Vec<String> = (0..14).map(|index| format!("many-{index:02}")).collect();
    let numbers = story.many_deployed(&names, "dev");
    for number in &numbers {
        story.github.close_pull_request(*number);
    }
    // Eighty in a minute are allowed: the first ten at once leave room for one in each second.
    story.github.limit_content(20, Duration::from_secs(7));
    story.github.clear_requests();

    let outcome = succeed(&story.sweep());

    assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
    let requests = story.github.requests();
    let refused = requests
        .iter()
        .filter(|request| request.status == Some(403));
    assert_eq!(refused.count(), 0);
    for number in numbers {
        assert_told_of_a_sweep(&story, number);
    }
}

#[test]
fn a_limit_that_is_reached_is_waited_for() {
    let story = Story::waiting();
    let numbers = ["a", "b", "c"].map(|name| story.another_closed(name));
    story.github.limit_content(3, Duration::from_secs(5));
    story.github.clear_requests();

    let outcome = succeed(&story.sweep());

    assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
    let requests = story.github.requests();
    let refused = requests
        .iter()
        .filter(|request| request.status == Some(403));
    assert!(refused.count() > 0);
    for number in numbers {
        assert_told_of_a_sweep(&story, number);
        assert_eq!(
            last_status(&story, number).1,
            "Destroyed by a sweep: closed"
        );
    }
}

#[test]
fn a_missing_permission_is_one_warning_and_not_one_for_each_pull_request() {
    let only = |denied: &str| {
        let all = ["contents:write", "pull-requests:read", "statuses:write"];
        let all = all.into_iter().filter(|one| *one != denied);
        all.collect::<Vec<_>>()
    };
    for (denied, allowed, warnings) in [
        (
            "nothing",
            only(""),
            vec!["the comment could not be written; add `pull-requests: write`"],
        ),
        (
            "statuses",
            only("statuses:write"),
            vec![
                "the comment could not be written; add `pull-requests: write`",
                "the commit status could not be written; add `statuses: write`",
            ],
        ),
    ] {
        let story = Story::new();
        let numbers = ["a", "b", "c", "d"].map(|name| story.another_closed(name));
        story.github.restrict_token(&allowed);
        let gone = ["a", "b", "c", "d"].into_iter().zip(numbers);
        let gone: Vec<_> = gone
            .map(|(name, number)| (name, number, "closed"))
            .collect();

        let outcome = sweep_away(&story, &story.sweep(), &gone);

        let said = annotations(&outcome, "warning");
        assert_eq!(said.len(), warnings.len(), "{denied}: {said:#?}");
        for (said, start) in said.iter().zip(warnings) {
            assert!(said.starts_with(start), "{denied}: {said}");
        }
        for number in numbers {
            let statuses = story.github.statuses(&story.head_of(number));
            assert_eq!(statuses.len(), usize::from(denied == "nothing"));
        }
    }
}

#[test]
fn a_pull_request_that_cannot_be_told_does_not_keep_the_others_from_being_told() {
    let story = Story::new();
    let numbers = ["a", "b", "c"].map(|name| story.another_closed(name));
    let locked = format!("/repos/*/issues/{}/comments", numbers[1]);
    let words = json!({"message": "Unable to create comment because issue is locked."});
    story
        .github
        .fault(Fault::on("POST", &locked).answer(403, words));

    let outcome = succeed(&story.sweep());

    let warning = annotation(&outcome, "warning");
    assert!(warning.contains("issue is locked"), "{warning}");
    assert!(!warning.contains("permissions"), "{warning}");
    assert_eq!(story.our_comments_on(numbers[1]), [] as [String; 0]);
    for number in [numbers[0], numbers[2]] {
        assert_told_of_a_sweep(&story, number);
    }
    for number in numbers {
        assert_eq!(
            last_status(&story, number).1,
            "Destroyed by a sweep: closed"
        );
    }
}

#[test]
fn a_limit_that_passed_is_no_reason_to_tell_nobody_any_more() {
    let story = Story::waiting();
    let numbers = ["a", "b", "c"].map(|name| story.another_closed(name));
    let words = json!({"message": "You have exceeded a secondary rate limit"});
    let limit = Fault::on("POST", "/repos/*/statuses/*").times(4);
    story.github.fault(limit.answer(403, words));
    let locked = format!("/repos/*/issues/{}/comments", numbers[1]);
    let words = json!({"message": "Unable to create comment because issue is locked."});
    let locked = Fault::on("POST", &locked).answer(403, words);
    story.github.fault(locked);

    let outcome = succeed(&story.sweep());

    let warnings = annotations(&outcome, "warning");
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    for number in [numbers[0], numbers[2]] {
        assert_told_of_a_sweep(&story, number);
    }
}

#[test]
fn what_github_said_before_the_removal_is_known_after_it() {
    let story = Story::waiting();
    let number = story.another_closed("old");
    // The second question fails however often it is tried.
    let trouble = Fault::on("POST", QUESTION).skip(1).times(4);
    story.github.fault(trouble.answer_text(502, "Bad Gateway"));

    let outcome = sweep_away(&story, &story.sweep(), &[("old", number, "closed")]);

    assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
    let told = story.status_comment_on(number);
    assert!(
        told.contains("reopen the pull request and comment"),
        "{told}"
    );
    assert_eq!(
        last_status(&story, number).1,
        "Destroyed by a sweep: closed"
    );
}

#[test]
fn a_sweep_that_is_cancelled_ends_within_seconds_and_the_next_one_puts_everything_right() {
    let statuses = "/repos/*/statuses/*";
    let table = [
        (
            "the branch",
            "GET /info/refs",
            Fault::on("GET", "/octo-org/demo/info/refs").hang(),
        ),
        (
            "the tip",
            "POST /git-upload-pack",
            Fault::on("POST", "/octo-org/demo/git-upload-pack").hang(),
        ),
        (
            "the question",
            "POST /graphql",
            Fault::on("POST", QUESTION).hang(),
        ),
        (
            "the push",
            "POST /git-receive-pack",
            Fault::on("POST", PUSH).hang(),
        ),
        (
            "the push's answer",
            "POST /git-receive-pack",
            Fault::on("POST", PUSH).withhold_answer(),
        ),
        (
            "the comment",
            "POST /issues/*/comments",
            Fault::on("POST", COMMENT).hang(),
        ),
        (
            "the status",
            "POST /statuses/*",
            Fault::on("POST", statuses).hang(),
        ),
    ];
    let signals = ["TERM", "INT"].into_iter().cycle();
    thread::scope(|scope| {
        for ((what, request, fault), signal) in table.into_iter().zip(signals) {
            scope.spawn(move || {
                let story = Story::new();
                let number = story.another_deployed("old");
                let before = story.landed().len();
                story.github.close_pull_request(number);
                story.github.fault(fault);
                let running = start(&story.sweep());
                story.await_request(request, &running);
                if what == "the push's answer" {
                    let has_landed = || story.landed().len() > before;
                    await_that(has_landed, what, &running);
                }

                let signalled = Instant::now();
                running.signal(signal);
                let outcome = running.wait();

                assert!(signalled.elapsed() < SECONDS, "{what}");
                let said = &outcome.stdout;
                let is_telling = ["the comment", "the status"].contains(&what);
                if is_telling {
                    // It has landed, and nothing takes that back.
                    assert_eq!(
                        ending(&outcome),
                        ("sweep", "schedule", "true"),
                        "{what}: {said}"
                    );
                    let warning = annotations(&outcome, "warning").concat();
                    let untold =
                        format!("was cancelled before these pull requests were notified: {number}");
                    assert!(warning.contains(&untold), "{what}: {warning}");
                } else {
                    assert_eq!(
                        ending(&outcome),
                        ("sweep", "interrupted", "false"),
                        "{what}: {said}"
                    );
                    assert_eq!(outcome.status, 1, "{what}");
                }
                story.github.clear_faults();
                succeed(&story.sweep());
                assert_eq!(story.instances(), [] as [String; 0], "{what}");
                assert_eq!(story.landed().len(), before + 1, "{what}");
                let comments = story.our_comments_on(number);
                assert!(comments.len() <= 1, "{what}: {comments:#?}");
            });
        }
    });
}

#[test]
fn the_token_is_in_no_log_of_a_sweep() {
    let story = Story::new();
    let token = story.github.token();
    let basic = local_github::basic(&token);
    let said = format!("{token} {basic}");
    let numbers = ["a", "b"].map(|name| story.another_deployed(name));
    let node = json!({
        "state": "CLOSED", "headRefName": said, "headRefOid": story.head(), "headRepository": null,
    });
    let path = ["repository".to_owned(), format!("p{}", numbers[1])];
    let answer = json!({
        "data": {"repository": {format!("p{}", numbers[0]): node}},
        "errors": [{"path": path, "message": said}],
    });
    story
        .github
        .fault(Fault::on("POST", QUESTION).answer(200, answer));
    let refusal = json!({"message": said});
    story.github.fault(
        Fault::on("POST", "/repos/*/statuses/*")
            .always()
            .answer(422, refusal),
    );
    let job = story
        .sweep()
        .env("RUNNER_DEBUG", "1")
        .env("RUST_LOG", "trace");

    let outcome = run(&job);

    assert_eq!(outcome.status, 0, "{}", outcome.stdout);
    assert!(outcome.stdout.contains("::debug::"));
    assert!(annotations(&outcome, "warning").concat().contains("***"));
    let seen = format!(
        "{}{}{:?}{}{}",
        outcome.stdout,
        outcome.summary,
        outcome.outputs,
        story.status_comment_on(numbers[0]),
        story.repository.log("main")[0].message
    );
    assert!(!seen.contains(&token) && !seen.contains(&basic), "{seen}");
}
