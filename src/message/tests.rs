//! What holds for every message, and texts from outside in them.

use std::time::Duration;

use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};
use proptest::prelude::*;

use crate::decide::refusal::Refusal;
use crate::decide::tests::{now, refusals};
use crate::message::context::{Context, ended_in_short};
use crate::message::deploy::{
    Cause, Deployed, Destroyed, deployed, destroyed, destroyed_by_another, nothing_to_destroy,
};
use crate::message::failure::failed;
use crate::message::markdown::{block, code, shortened, table};
use crate::message::readiness::{Place, in_short};
use crate::message::refusal::refused;
use crate::message::sections::{
    self, COMMENT_LENGTH, Message, fingerprint_in, is_outdated_without_environment, section,
};
use crate::model::failure::{Barrier, Failure};
use crate::model::notification::MARKER;
use crate::model::readiness::Readiness;
use crate::model::sha::Sha;

pub(super) fn sha(digit: &str) -> Sha {
    Sha::parse(&digit.repeat(40)).unwrap()
}

pub(crate) fn context() -> Context {
    Context {
        pull_request: 7,
        head: Some(("dev".to_owned(), sha("a"))),
        is_open: true,
        target_branch: "main".to_owned(),
        repository_url: "https://github.com/octo/app".to_owned(),
        run_url: "https://github.com/octo/app/actions/runs/42".to_owned(),
        help_url: "https://github.com/octo/action/blob/v1/help.md".to_owned(),
        deploy_command: "/deploy-ephemeral".to_owned(),
        destroy_command: "/destroy-ephemeral".to_owned(),
        label: None,
        now: now(),
    }
}

pub(super) fn environment() -> Deployed {
    Deployed {
        place: Place {
            object_name: "ephemeral-dev".to_owned(),
            flux_namespace: "flux-system".to_owned(),
            overlay_path: "k8s/overlay".to_owned(),
            namespace: "pr-dev".to_owned(),
            is_pinned: false,
        },
        namespaces: vec!["pr-dev".to_owned()],
        branch: "dev".to_owned(),
        commit: sha("a").to_string(),
        requested_by: "rita".to_owned(),
        file_url: "https://github.com/octo/app/blob/main/k8s/instances/sync-dev.yaml".to_owned(),
        replaced: Vec::new(),
        cause: changed(),
        readiness: Readiness::Unreported,
        environment_url: Some("https://pr-dev.example.com".to_owned()),
        is_followable: true,
        interval: "1m0s".to_owned(),
        timeout: "5m0s".to_owned(),
        expires: None,
        fingerprint: "0123456789abcdef".to_owned(),
    }
}

fn changed() -> Cause {
    Cause::Changed {
        commit_url: "https://github.com/octo/app/commit/c0ffee".to_owned(),
    }
}

pub(super) fn gone() -> Destroyed {
    Destroyed {
        namespaces: vec!["pr-dev".to_owned(), String::new(), "pr-old".to_owned()],
        commit_url: "https://github.com/octo/app/commit/c0ffee".to_owned(),
    }
}

/// Every failure, with `text` wherever something comes from outside.
pub(super) fn failures(text: &str) -> Vec<Failure> {
    let text = || text.to_owned();
    vec![
        Failure::Rejected(text()),
        Failure::Forbidden(Barrier::Permission, text()),
        Failure::BranchMissing(text()),
        Failure::TimedOut(Duration::from_secs(60), text()),
        Failure::Interrupted,
        Failure::GitHubRefused(Barrier::Permission, text()),
        Failure::GitHub(anyhow::anyhow!(text())),
        Failure::Broken(anyhow::anyhow!(text())),
    ]
}

/// Every message about what did not happen.
pub(super) fn notices(context: &Context, text: &str) -> Vec<Message> {
    let (refusals, failures) = (refusals(text), failures(text));
    let refusals = refusals.iter().map(|refusal| refused(context, refusal));
    let failures = failures.iter().map(|failure| failed(context, failure));
    refusals.chain(failures).collect()
}

#[test]
fn every_refusal_and_failure_says_something_of_its_own_with_a_remedy_and_a_link() {
    let mut reasons = Vec::new();
    for message in notices(&context(), "text") {
        let text = message.text();
        let (_title, words) = text.split_once("\n\n").unwrap();
        let (why, rest) = words.split_once("\n\n**What to do:** ").unwrap();
        assert!(
            why.starts_with(|c: char| c.is_uppercase() || c == '`'),
            "{why}"
        );
        assert!(rest.starts_with(char::is_lowercase), "{rest}");
        assert!(!reasons.contains(&why.to_owned()), "{why}");
        reasons.push(why.to_owned());
        let link = " · [More about this](<https://github.com/octo/action/blob/v1/help.md#";
        let (_, reason) = rest.rsplit_once(link).unwrap();
        assert!(!reason.contains('\n'), "{text}");
    }
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
            let known = (fingerprint.clone(), state.text().to_owned());
            assert_eq!(sections::state(&body), Some(known));
            assert_eq!(fingerprint_in(&body), Some(fingerprint));
        }
        let title = notice.text().lines().next().unwrap();
        match title.starts_with("### 🔴 ") {
            true => assert!(body.starts_with(&format!("{MARKER}\n{}\n", notice.text()))),
            false => {
                assert!(body.starts_with(stated.trim_end()), "{body}");
                assert!(body.ends_with(&format!("\n---\n\n{}\n", notice.text())));
            }
        }
        assert_eq!(
            body.matches("### 🟡 Flux is bringing `pr-dev` up\n")
                .count(),
            1
        );
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
        assert_eq!(fingerprint_in(&body).is_some(), is_kept);
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
        destroyed_by_another(&context()),
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
        "<!-- state ",
        "<!-- /state -->",
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
fn a_text_that_is_too_long_is_shortened() {
    assert_eq!(shortened("äöüß", 4), "äöüß");
    assert_eq!(shortened("äöüß!", 4), "äöü…");
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

/// Markdown as GitHub reads it: the code in it, and everything else that a reader sees or follows.
fn read(markdown: &str) -> (Vec<String>, String) {
    let mut options = Options::default();
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.extension.table = true;
    options.extension.tasklist = true;
    let arena = Arena::new();
    let (mut codes, mut rest) = (Vec::new(), String::new());
    for node in parse_document(&arena, markdown, &options).descendants() {
        match &node.data.borrow().value {
            NodeValue::Code(code) => codes.push(code.literal.clone()),
            NodeValue::CodeBlock(block) => {
                codes.push(block.literal.clone());
                rest.push_str(&block.info);
            }
            NodeValue::Text(text) => rest.push_str(text),
            NodeValue::HtmlBlock(block) => rest.push_str(&block.literal),
            NodeValue::HtmlInline(html) => rest.push_str(html),
            NodeValue::Link(link) | NodeValue::Image(link) => {
                rest.push_str(&link.url);
                rest.push_str(&link.title);
            }
            _ => {}
        }
    }
    (codes, rest)
}

/// Text as it is shown in code.
fn shown(text: &str) -> String {
    let visible = |c| if is_harmless(c) { c } else { '\u{fffd}' };
    text.chars().map(visible).collect()
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
        let (codes, rest) = read(&format!("{span} behind"));
        prop_assert_eq!(rest, " behind");
        let expected = shown(&text.replace("\r\n", " ").replace('\n', " "));
        if expected.trim_matches(' ').is_empty() {
            prop_assert!(codes.concat().trim_matches(' ').is_empty());
        } else {
            prop_assert_eq!(codes, [expected]);
        }
    }

    #[test]
    fn no_text_leaves_its_cell(text in texts(), other in texts()) {
        let text = format!("a{text}|{other}z").replace(['\r', '\n'], " ");
        let table = table(&[("Branch", code(&text)), ("Namespace", code("dev"))]);
        let (codes, rest) = read(&table);
        prop_assert_eq!(rest, "BranchNamespace");
        let expected = shown(&text).replace("\\|", "\\\u{2060}|");
        prop_assert_eq!(codes, [expected, "dev".to_owned()]);
    }

    #[test]
    fn no_text_ends_its_code_block(text in texts()) {
        let (codes, rest) = read(&block(&text));
        prop_assert_eq!(rest, "text");
        let text = text.replace("\r\n", "\n");
        let lines: Vec<String> = text.split('\n').map(shown).collect();
        let expected = lines.join("\n");
        let shown_lines = codes.concat();
        prop_assert_eq!(shown_lines.trim_end(), expected.trim_end());
    }

    #[test]
    fn no_text_takes_effect_in_a_message(text in texts(), other in texts()) {
        let text = format!("{text}octocat{other}");
        let context = Context {
            head: Some((text.clone(), sha("a"))),
            ..context()
        };
        let environment = Deployed {
            branch: text.clone(),
            requested_by: text.clone(),
            namespaces: vec![text.clone()],
            readiness: Readiness::Failed(text.clone()),
            ..environment()
        };
        let state = deployed(&context, &environment).body(None);
        prop_assert!(!read(&state).1.contains("octocat"), "{state}");
        for notice in notices(&context, &text) {
            let body = notice.body(Some(&state));
            prop_assert!(!read(&body).1.contains("octocat"), "{body}");
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
            namespaces: vec![text.clone(); 100],
            replaced: vec![text.clone(); 100],
            readiness: Readiness::Failed(text.clone()),
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
        for short in [in_short(&environment.readiness, &text), ended_in_short("Failed", &text)] {
            prop_assert!(short.chars().count() <= 140);
        }
    }
}
