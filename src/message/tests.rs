use std::time::Duration;

use proptest::prelude::*;

use crate::decide::refusal::Refusal;
use crate::decide::sweep::tests::removal;
use crate::decide::sweep::{Reason, Removal, Unresolved};
use crate::decide::tests::{now, refusals};
use crate::message::deploy::{
    Deployed, Destroyed, InstanceSummary, deployed, deployed_in_short, destroyed,
    nothing_to_destroy, overtaken,
};
use crate::message::failure::{failed, failure_words};
use crate::message::markdown::{block, code, shortened};
use crate::message::refusal::{refusal_words, refused};
use crate::message::sections::{
    COMMENT_LENGTH, Context, MARKER, Message, STATE, ended_in_short,
    is_outdated_without_environment, section, spoken_of, summary,
};
use crate::message::sweep::{
    StopReason, sweep_summary, swept, undelivered, unresolved_words, without_status,
};
use crate::message::{failure, refusal, sections};
use crate::model::failure::Failure;
use crate::model::instance::fingerprint;
use crate::model::sha::Sha;
use crate::model::ttl::tests::at;

fn sha(digit: &str) -> Sha {
    Sha::parse(&digit.repeat(40)).unwrap()
}

fn context() -> Context {
    Context {
        pull_request: 7,
        head: Some(("dev".to_owned(), sha("a"))),
        is_open: true,
        target_branch: "main".to_owned(),
        run_url: "https://github.com/octo/app/actions/runs/42".to_owned(),
        help_url: "https://github.com/octo/action/blob/v1/help.md".to_owned(),
        deploy_command: "/deploy-ephemeral".to_owned(),
        destroy_command: "/destroy-ephemeral".to_owned(),
        label: None,
        now: now(),
    }
}

fn environment() -> Deployed {
    Deployed {
        namespace: "pr-dev".to_owned(),
        file_url: "https://github.com/octo/app/blob/main/k8s/instances/sync-dev.yaml".to_owned(),
        replaced: Vec::new(),
        commit_url: Some("https://github.com/octo/app/commit/c0ffee".to_owned()),
        environment_url: Some("https://pr-dev.example.com".to_owned()),
        pinned: false,
        interval: "1m0s".to_owned(),
        timeout: "5m0s".to_owned(),
        expires: None,
        fingerprint: "0123456789abcdef".to_owned(),
    }
}

fn gone() -> Destroyed {
    Destroyed {
        namespaces: vec!["pr-dev".to_owned(), String::new(), "pr-old".to_owned()],
        commit_url: "https://github.com/octo/app/commit/c0ffee".to_owned(),
    }
}

/// Every failure, with `text` wherever something comes from outside.
fn failures(text: &str) -> Vec<Failure> {
    let text = || text.to_owned();
    vec![
        Failure::Rejected(text()),
        Failure::Forbidden(text()),
        Failure::BranchMissing(text()),
        Failure::TimedOut(Duration::from_secs(60), text()),
        Failure::Interrupted,
        Failure::GitHubRefused(text()),
        Failure::GitHub(anyhow::anyhow!(text())),
        Failure::Broken(anyhow::anyhow!(text())),
    ]
}

/// Every message about what did not happen.
fn notices(context: &Context, text: &str) -> Vec<Message> {
    let refused = refusals(text);
    let refused = refused
        .iter()
        .map(|refusal| refusal::refused(context, refusal));
    let failed = failures(text);
    let failed = failed
        .iter()
        .map(|failure| failure::failed(context, failure));
    refused.chain(failed).collect()
}

#[test]
fn a_refusal_says_why_and_what_to_do() {
    let refusal = Refusal::BranchMoved {
        wanted: sha("b"),
        head: sha("a"),
    };
    let head = "a".repeat(40);
    let wanted = "b".repeat(40);
    assert_eq!(
        refused(&context(), &refusal).body(None),
        format!(
            "<!-- flux-ephemeral-env -->\n\
             ### 😕 Refused\n\
             \n\
             The branch has moved: its head is `{head}`, not `{wanted}`.\n\
             \n\
             **What to do:** look at what was pushed, then comment `/deploy-ephemeral {head}`.\n\
             \n\
             - Branch: `dev` at `aaaaaaa`\n\
             - Run: https://github.com/octo/app/actions/runs/42\n\
             - More about this: https://github.com/octo/action/blob/v1/help.md#branch-has-moved\n"
        )
    );
}

#[test]
fn a_deployment_says_where_and_how_soon_and_what_undoes_it() {
    assert_eq!(
        deployed(&context(), &environment()).body(None),
        "<!-- flux-ephemeral-env -->\n\
         <!-- state 0123456789abcdef -->\n\
         ### 🚀 Deployed\n\
         \n\
         - Namespace: `pr-dev`\n\
         - Branch: `dev` at `aaaaaaa`\n\
         - Commit: https://github.com/octo/app/commit/c0ffee\n\
         - Run: https://github.com/octo/app/actions/runs/42\n\
         - Open: <https://pr-dev.example.com>\n\
         \n\
         Flux sees the change at its next look at `main` (every minute by default, at once where a webhook tells it). \
         Then it fetches the branch, applies the overlay and waits up to 5m0s until everything is ready.\n\
         A push to the branch is applied within 1m0s.\n\
         \n\
         Comment `/destroy-ephemeral` to take it down; closing the pull request does the same.\n\
         <!-- /state -->\n"
    );
}

#[test]
fn a_deployment_that_was_there_or_is_pinned_says_so() {
    let there = Deployed {
        commit_url: None,
        environment_url: None,
        ..environment()
    };
    let text = deployed(&context(), &there).text;
    assert!(text.starts_with("### 🚀 Deployed already: nothing changed\n"));
    assert!(
        text.contains(
            "\n- File: https://github.com/octo/app/blob/main/k8s/instances/sync-dev.yaml\n"
        )
    );
    assert!(!text.contains("next look") && !text.contains("Open:"));

    let pinned = Deployed {
        pinned: true,
        replaced: vec!["pr-old".to_owned(), String::new()],
        ..environment()
    };
    let text = deployed(&context(), &pinned).text;
    assert!(text.contains("stays on this commit; comment `/deploy-ephemeral` to move it"));
    assert!(!text.contains("A push to the branch"));
    assert!(text.contains("\n- Replaces: `pr-old`\n"));
}

#[test]
fn a_removal_names_the_namespaces_and_what_brings_them_back() {
    let text = destroyed(&context(), &gone()).text;
    for part in [
        "- Namespace: `pr-dev`, `pr-old`\n",
        "- Branch: `dev` at `aaaaaaa`\n",
        "- Commit: https://github.com/octo/app/commit/c0ffee\n",
        "next look at `main`",
        "Comment `/deploy-ephemeral` to bring one up again.",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let closed = Context {
        is_open: false,
        ..context()
    };
    for message in [destroyed(&closed, &gone()), nothing_to_destroy(&closed)] {
        assert!(message.text.ends_with(
            "To bring one up again, reopen the pull request and comment `/deploy-ephemeral`."
        ));
    }
    let text = nothing_to_destroy(&context()).text;
    assert!(text.contains("no environment on `main`") && text.contains("`/deploy-ephemeral`"));
}

#[test]
fn an_environment_that_may_not_stay_says_until_when() {
    let told = |expires: Option<&str>| {
        let environment = Deployed {
            expires: expires.map(at),
            ..environment()
        };
        deployed(&context(), &environment).text
    };
    let until = "\nIt may live until 2026-03-02 12:00 UTC, in 3 days, and then the next sweep takes it down. \
                 Comment `/deploy-ephemeral ttl=72h` to give it 72 hours from then, \
                 or `/deploy-ephemeral ttl=never` for no end.\n";
    let over = "\nIts time was over at 2026-02-27 12:00 UTC: the next sweep takes it down. \
                Comment `/deploy-ephemeral ttl=72h` to give it 72 hours from then, \
                or `/deploy-ephemeral ttl=never` for no end.\n";
    assert_eq!(
        told(Some("2026-03-02T12:00:00Z")).replace(until, "\n"),
        told(None)
    );
    assert_eq!(
        told(Some("2026-02-27T12:00:00Z")).replace(over, "\n"),
        told(None)
    );
    let summary = InstanceSummary {
        namespaces: vec!["pr-dev".to_owned()],
        branch: "dev".to_owned(),
        commit: "a".repeat(40),
        file_url: "https://file".to_owned(),
        environment_url: Some("https://dev.example.com".to_owned()),
        requested_by: "otto".to_owned(),
        expires: Some(at("2026-03-02T12:00:00Z")),
        fingerprint: "0123456789abcdef".to_owned(),
    };
    let text = overtaken(&context(), Some(&summary)).text;
    for words in [
        until,
        "\n- Open: <https://dev.example.com>\n",
        "`otto` had asked for it.\nFlux sees the change at its next look at `main`",
    ] {
        assert!(text.contains(words), "no {words} in {text}");
    }
    let text = overtaken(&context(), None).text;
    assert!(text.contains("at its next look at `main`"), "{text}");
}

#[test]
fn a_label_is_the_way_down_where_it_was_the_way_up() {
    let by_label = Context {
        label: Some("pre`view".to_owned()),
        ..context()
    };
    let text = deployed(&by_label, &environment()).text;
    let way_down = "Comment `/destroy-ephemeral` or remove the label ``pre`view`` to take it down; \
                    closing the pull request does the same.";
    assert!(text.ends_with(way_down), "{text}");
    assert!(!deployed(&context(), &environment()).text.contains("label"));
}

#[test]
fn a_sweep_says_why_and_how_to_come_back() {
    let closed = Context {
        is_open: false,
        ..context()
    };
    for (context, reason, why, way_back) in [
        (
            &closed,
            Reason::Closed,
            "The pull request was closed, and its environment was still there",
            "To bring one up again, reopen the pull request and comment `/deploy-ephemeral`.",
        ),
        (
            &context(),
            Reason::HeadDeleted,
            "The repository of the head branch has been deleted.",
            "push the branch to this repository, open a pull request from there and comment `/deploy-ephemeral`.",
        ),
        (
            &context(),
            Reason::Expired(now()),
            "Its time was over at 2026-02-27 12:00 UTC.",
            "Comment `/deploy-ephemeral` to bring it up again, or `/deploy-ephemeral ttl=72h` to give it 72 hours from then.",
        ),
    ] {
        let message = swept(context, reason, &gone());
        let text = message.text();
        assert!(
            text.starts_with("### 🧹 Destroyed by a sweep\n\n"),
            "{text}"
        );
        assert!(text.contains(why), "{text}");
        assert!(text.ends_with(way_back), "{text}");
        for part in [
            "- Namespace: `pr-dev`, `pr-old`\n",
            "- Branch: `dev` at `aaaaaaa`\n",
            "- Commit: https://github.com/octo/app/commit/c0ffee\n",
            "- Run: https://github.com/octo/app/actions/runs/42\n",
            "next look at `main`",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let body = message.body(None);
        assert_eq!(spoken_of(&body), Some(fingerprint(&[]).as_str()));
        assert!(!is_outdated_without_environment(&body));
    }
}

#[test]
fn a_sweeps_summary_lists_what_went() {
    let removals = [
        removal("dev", 7, Reason::Closed),
        removal("pre`view", 9, Reason::HeadDeleted),
    ];
    assert_eq!(
        sweep_summary("main", &removals, true, 0).text,
        "### 🧹 Swept from `main`: 2\n\n- `dev`, pull request 7: closed\n\
         - ``pre`view``, pull request 9: head-deleted"
    );
    let first = &removals[..1];
    assert_eq!(
        sweep_summary("main", first, false, 0).text,
        "### 🧹 Would be swept from `main`: 1\n\n- `dev`, pull request 7: closed"
    );
    assert_eq!(
        sweep_summary("main", &[], true, 0).text,
        "### 🧹 Nothing to sweep on `main`"
    );
    let unresolved = "What became of some could not be told, so they stay; warnings: 2.";
    assert_eq!(
        sweep_summary("main", &[], true, 2).text,
        format!("### 🧹 Nothing was swept from `main`\n\n\n{unresolved}")
    );
    let text = sweep_summary("main", first, true, 2).text;
    assert!(text.ends_with(&format!("closed\n\n{unresolved}")), "{text}");
    let many: Vec<Removal> = (0..202).map(|_| removals[0].clone()).collect();
    let text = sweep_summary("main", &many, true, 0).text;
    assert!(text.ends_with("closed\n- and 2 more"), "{text}");
    assert_eq!(text.lines().count(), 2 + 200 + 1);
}

#[test]
fn whom_a_sweep_did_not_tell_is_named_with_the_cause() {
    for (stop_reason, words) in [
        (StopReason::Cancelled, "the run was cancelled"),
        (StopReason::PushTimedOut, "the push was given up"),
        (StopReason::GitHubGone, "GitHub was given up"),
    ] {
        assert_eq!(
            undelivered(stop_reason, &[7, 9]),
            format!("{words} before these pull requests were told: 7, 9")
        );
    }
}

#[test]
fn whose_commit_status_was_not_set_is_named() {
    assert_eq!(
        without_status(&[7, 9]),
        "the commit status was not set any more for these pull requests: 7, 9"
    );
}

#[test]
fn a_doubt_names_the_pull_requests_or_the_file() {
    let unclear = |pull_requests: Vec<u64>| {
        unresolved_words(&Unresolved::Unclear {
            words: "404".to_owned(),
            pull_requests,
        })
    };
    let stay =
        "the environments of these pull requests stay, for GitHub did not say what became of them:";
    assert_eq!(unclear(vec![7, 9]), format!("{stay} 7, 9: 404"));
    assert_eq!(
        unclear((1..=12).collect()),
        format!("{stay} 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more: 404")
    );
    let unreadable = unresolved_words(&Unresolved::Unreadable {
        path: "i/sync-dev.yaml".to_owned(),
        text: "so\non".to_owned(),
    });
    assert!(
        unreadable.starts_with("i/sync-dev.yaml stays: "),
        "{unreadable}"
    );
    assert!(
        unreadable.contains(r#"is "so\non", which is no time"#),
        "{unreadable}"
    );
}

#[test]
fn a_limit_names_what_there_is_and_the_oldest() {
    let limit = |count: u64| Refusal::LimitReached {
        limit: 2,
        instances: (1..=count)
            .map(|number| (format!("b{number}"), number))
            .collect(),
    };
    assert_eq!(
        refusal_words(&context(), &limit(2)),
        (
            "There may be 2 environments at a time, and there are 2: `b1` (pull request 1), `b2` (pull request 2)."
                .to_owned(),
            "comment `/destroy-ephemeral` where nobody needs it any more (the oldest pull request with one is 1, with \
             `b1`), or raise the action's input `max-environments`."
                .to_owned()
        )
    );
    let (why, _) = refusal_words(&context(), &limit(12));
    assert!(
        why.ends_with("`b10` (pull request 10) and 2 more."),
        "{why}"
    );
}

#[test]
fn every_refusal_and_failure_has_its_own_reason_and_a_remedy() {
    let refused = refusals("text");
    let refused = refused
        .iter()
        .map(|refusal| refusal_words(&context(), refusal));
    let failed = failures("text");
    let failed = failed
        .iter()
        .map(|failure| failure_words("main", "again.".to_owned(), failure));
    let mut reasons = Vec::new();
    for (why, remedy) in refused.chain(failed) {
        assert!(
            why.starts_with(|c: char| c.is_uppercase() || c == '`'),
            "{why}"
        );
        assert!(remedy.starts_with(char::is_lowercase), "{remedy}");
        assert!(remedy.ends_with(['.', '`']), "{remedy}");
        assert!(!reasons.contains(&why), "{why}");
        reasons.push(why);
    }
    for message in notices(&context(), "text") {
        let text = message.text;
        assert!(text.contains("\n\n**What to do:** "), "{text}");
        let link = "\n- More about this: https://github.com/octo/action/blob/v1/help.md#";
        assert!(text.contains("\n- Run: https://github.com/octo/app/actions/runs/42\n"));
        assert!(
            text.rsplit_once(link)
                .is_some_and(|(_, reason)| !reason.contains('\n')),
            "{text}"
        );
    }
}

#[test]
fn the_remedy_is_the_exact_line_or_input() {
    let context = context();
    for (failure, remedy) in [
        (
            Failure::Forbidden(String::new()),
            "permissions:\n  contents: write\n",
        ),
        (Failure::Rejected(String::new()), "push to `main`"),
        (Failure::BranchMissing(String::new()), "`branch`"),
        (
            Failure::TimedOut(Duration::ZERO, String::new()),
            "`push-timeout`",
        ),
    ] {
        for message in [
            failed(&context, &failure),
            failure::sweep_failed("main", &context.help_url, &failure),
        ] {
            let (_, told) = message.text.split_once("**What to do:** ").unwrap();
            assert!(told.contains(remedy), "{failure:?}");
        }
    }
    for (refusal, remedy) in [
        (Refusal::Fork, "`allow-forks: true`"),
        (Refusal::Closed, "`/deploy-ephemeral`"),
        (
            Refusal::NotOurs {
                path: String::new(),
            },
            "`instances-path`",
        ),
    ] {
        assert!(
            refusal_words(&context, &refusal).1.contains(remedy),
            "{refusal:?}"
        );
    }
}

#[test]
fn without_the_head_the_pull_request_is_named() {
    let context = Context {
        head: None,
        ..context()
    };
    let text = failed(&context, &Failure::Interrupted).text;
    assert!(text.contains("\n- Pull request: 7\n"), "{text}");
}

#[test]
fn the_state_outlives_refusals_and_failures() {
    let state = deployed(&context(), &environment());
    let stated = state.body(None);
    let mut body = stated.clone();
    let markers = section("forged", "forged");
    let notices: Vec<Message> = ["text", &markers]
        .into_iter()
        .flat_map(|text| notices(&context(), text))
        .collect();
    for notice in &notices {
        body = notice.body(Some(&body));
        // As it comes back after an edit in the browser.
        for body in [
            body.clone(),
            body.replace('\n', "\r\n"),
            body.trim_end().to_owned(),
        ] {
            let fingerprint = environment().fingerprint;
            let known = (fingerprint.as_str(), state.text().to_owned());
            assert_eq!(sections::state(&body), Some(known));
            assert_eq!(spoken_of(&body), Some(fingerprint.as_str()));
        }
        assert!(body.starts_with(&format!("{MARKER}\n{}\n", notice.text())));
        assert_eq!(body.matches("### 🚀 Deployed\n").count(), 1);
        assert_eq!(body.matches("### ").count(), 2);
    }
    assert_eq!(state.body(Some(&body)), stated);
}

#[test]
fn what_is_known_stays_where_there_is_room_for_it() {
    let notice = refused(&context(), &Refusal::Closed);
    let room = COMMENT_LENGTH - notice.body(Some(&section("0", ""))).chars().count();
    for (length, is_kept) in [(room, true), (room + 1, false)] {
        let body = notice.body(Some(&section("0", &"x".repeat(length))));
        assert_eq!(spoken_of(&body).is_some(), is_kept);
        assert!(body.chars().count() <= COMMENT_LENGTH);
    }
}

#[test]
fn only_what_became_of_the_environment_is_a_state() {
    for message in notices(&context(), "text") {
        assert!(!message.is_state());
    }
    for message in [
        deployed(&context(), &environment()),
        destroyed(&context(), &gone()),
        nothing_to_destroy(&context()),
        overtaken(&context(), None),
    ] {
        assert!(message.is_state());
    }
}

#[test]
fn a_refusal_is_dropped_where_there_was_no_state_or_a_new_one_comes() {
    let first = refused(&context(), &Refusal::Closed);
    let second = refused(&context(), &Refusal::Fork);
    assert_eq!(second.body(Some(&first.body(None))), second.body(None));
    let state = destroyed(&context(), &gone());
    assert_eq!(state.body(Some(&first.body(None))), state.body(None));
    for before in [
        "",
        MARKER,
        STATE.0,
        STATE.1,
        "<!-- /state -->\n<!-- state 0 -->",
        "<!-- state -->\n<!-- /state -->",
    ] {
        assert_eq!(first.body(Some(before)), first.body(None));
    }
}

#[test]
fn a_comment_is_outdated_where_it_does_not_say_that_the_environment_is_gone() {
    let up = deployed(&context(), &environment()).body(None);
    let down = destroyed(&context(), &gone()).body(None);
    let fails = failed(&context(), &Failure::Interrupted);
    let refuses = refused(&context(), &Refusal::Closed);
    for (body, is_outdated) in [
        (up.clone(), true),
        (down.clone(), false),
        (fails.body(Some(&down)), true),
        (refuses.body(Some(&up)), true),
        (refuses.body(Some(&down)), false),
        (fails.body(None), false),
        (String::new(), false),
    ] {
        assert_eq!(
            is_outdated_without_environment(&body),
            is_outdated,
            "{body}"
        );
    }
}

#[test]
fn a_short_line_fits_a_commit_status() {
    assert_eq!(deployed_in_short("pr-dev"), "Deployed to namespace pr-dev");
    assert_eq!(
        ended_in_short("Refused", "branch-has-moved"),
        "Refused: branch has moved"
    );
    assert_eq!(shortened("äöüß", 4), "äöüß");
    assert_eq!(shortened("äöüß!", 4), "äöü…");
}

#[test]
fn the_summary_lists_the_outputs_that_have_a_value() {
    let outputs = [("decision", "refuse".to_owned()), ("name", String::new())];
    let message = refused(&context(), &Refusal::Closed);
    assert_eq!(
        summary(&outputs, Some(&message)),
        format!(
            "## flux-ephemeral-env\n\n{}\n\n- decision: `refuse`\n",
            message.text()
        )
    );
    assert_eq!(
        summary(&outputs, None),
        "## flux-ephemeral-env\n\n- decision: `refuse`\n"
    );
}

#[test]
fn text_is_shown_as_it_is_wherever_that_is_harmless() {
    for (text, span) in [
        ("dev", "`dev`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        (" a", "`  a `"),
        ("", "`  `"),
        ("a\r\nb", "`a b`"),
        ("@octo #1 <b> **x**", "`@octo #1 <b> **x**`"),
        (
            "a\u{202e}b\u{61c}\u{0}\u{2029}",
            "`a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}`",
        ),
    ] {
        assert_eq!(code(text), span);
    }
    assert_eq!(block("a\r\nb\n"), "```text\na\nb\n```");
    assert_eq!(block("a\n````"), "`````text\na\n````\n`````");
}

/// What a code span at the start of `markdown` shows, and what is behind it
/// ([spec](https://spec.commonmark.org/0.31.2/#code-spans)).
fn read_span(markdown: &str) -> Option<(String, &str)> {
    let run = |text: &str| text.len() - text.trim_start_matches('`').len();
    let fence = run(markdown);
    let mut at = fence;
    loop {
        let start = at + markdown[at..].find('`')?;
        at = start + run(&markdown[start..]);
        if at - start == fence {
            let content = &markdown[fence..start];
            let inner = content
                .strip_prefix(' ')
                .and_then(|content| content.strip_suffix(' '));
            let shown = inner
                .filter(|_| !content.trim_matches(' ').is_empty())
                .unwrap_or(content);
            return Some((shown.to_owned(), &markdown[at..]));
        }
    }
}

/// The lines of a fenced code block at the start of `lines`, and what is behind it
/// ([spec](https://spec.commonmark.org/0.31.2/#fenced-code-blocks)).
fn read_block<'a, 'b>(lines: &'b [&'a str]) -> Option<(&'b [&'a str], &'b [&'a str])> {
    let (opening, lines) = lines.split_first()?;
    let fence = opening.len() - opening.trim_start_matches('`').len();
    let is_closing = |line: &&str| {
        let dedented = line.trim_start_matches(' ');
        let run = dedented.trim_end_matches([' ', '\t']);
        line.len() - dedented.len() < 4 && run.len() >= fence && run.chars().all(|c| c == '`')
    };
    let end = lines.iter().position(is_closing).filter(|_| fence >= 3)?;
    Some((&lines[..end], &lines[end + 1..]))
}

/// Markdown without its code: what a reader takes for more than text.
fn outside_code(markdown: &str) -> String {
    let mut outside = String::new();
    let lines: Vec<&str> = markdown.split('\n').collect();
    let mut lines = lines.as_slice();
    while let Some((line, behind)) = lines.split_first() {
        if line.starts_with("```")
            && let Some((_, behind)) = read_block(lines)
        {
            lines = behind;
            continue;
        }
        let mut line = *line;
        while let Some(start) = line.find('`') {
            outside.push_str(&line[..start]);
            line = read_span(&line[start..])
                .expect("a code span that ends in its line")
                .1;
        }
        outside.push_str(line);
        outside.push('\n');
        lines = behind;
    }
    outside
}

fn is_harmless(c: char) -> bool {
    let steers = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    !steers && !c.is_control()
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[`~ \t\r\na-c]{0,30}",
        "(`{1,5}|~{3}|a| |\n|\n`{3,5}\n){0,8}",
        "[`a @#<>*_\\[\\]()!\n-]{0,30}",
        "\\PC{0,30}",
        proptest::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter),
        "[a\u{61c}\u{200e}\u{2028}\u{202e}\u{2066}\u{85}\u{1b}\n]{0,9}",
    ]
}

proptest! {
    #[test]
    fn no_text_ends_its_code_span(text in texts()) {
        let span = code(&text);
        prop_assert!(span.chars().all(is_harmless), "{span:?}");
        let markdown = format!("{span} behind");
        let (shown, behind) = read_span(&markdown).expect("a code span");
        prop_assert_eq!(behind, " behind");
        let expected: String = text
            .replace("\r\n", " ")
            .chars()
            .map(|c| if c == '\n' { ' ' } else if is_harmless(c) { c } else { '\u{fffd}' })
            .collect();
        if expected.trim_matches(' ').is_empty() {
            prop_assert!(shown.trim_matches(' ').is_empty());
        } else {
            prop_assert_eq!(shown, expected);
        }
    }

    #[test]
    fn no_text_ends_its_code_block(text in texts()) {
        let block = block(&text);
        let lines: Vec<&str> = block.split('\n').collect();
        let (shown, behind) = read_block(&lines).expect("a code block");
        prop_assert!(behind.is_empty(), "{block}");
        prop_assert!(shown.iter().all(|line| line.chars().all(is_harmless)), "{block:?}");
        let expected: String = text
            .replace("\r\n", "\n")
            .chars()
            .map(|c| if c == '\n' || is_harmless(c) { c } else { '\u{fffd}' })
            .collect();
        prop_assert_eq!(shown.join("\n"), expected.trim_end());
    }

    #[test]
    fn no_text_takes_effect_in_a_message(text in texts(), other in texts()) {
        let text = format!("{text}octocat{other}");
        let context = Context {
            head: Some((text.clone(), sha("a"))),
            ..context()
        };
        let state = deployed(&context, &environment()).body(None);
        for notice in notices(&context, &text) {
            let body = notice.body(Some(&state));
            prop_assert!(!outside_code(&body).contains("octocat"), "{body}");
        }
    }
}

proptest! {
    // Each case takes megabytes of text.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn no_words_make_a_comment_or_a_status_too_long(piece in "`{1,3}|[a`\n]{1,3}|\\PC{1,2}") {
        let text = piece.repeat(70_000 / piece.chars().count());
        let context = Context {
            head: Some((text.clone(), sha("a"))),
            ..context()
        };
        let environment = Deployed {
            namespace: text.clone(),
            replaced: vec![text.clone(); 100],
            commit_url: None,
            ..environment()
        };
        let state = deployed(&context, &environment).body(None);
        // As long as GitHub lets somebody make it who edits it.
        let kept: String = text.chars().take(65_536 - 100).collect();
        let edited = format!("{MARKER}\n{}", section("0123456789abcdef", &kept));
        prop_assert!(state.chars().count() <= 65_536 && edited.chars().count() <= 65_536);
        for notice in notices(&context, &text) {
            for before in [&state, &edited] {
                prop_assert!(notice.body(Some(before)).chars().count() <= 65_536);
            }
        }
        for short in [deployed_in_short(&environment.namespace), ended_in_short("Failed", &text)] {
            prop_assert!(short.chars().count() <= 140);
        }
    }
}
