//! An environment may live for a time, which is in its file, in its comment, and over at its end.

use std::thread;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SubsecRound as _, Utc};
use local_github::{Job, Outcome};

use crate::person::refused;
use crate::story::{REVIEWER, Story, annotations, ending, succeed};
use crate::sweep::{FUTURE, PAST, expiring, last_status, sweep_away, sweep_in_vain};

const HOUR: Duration = Duration::from_secs(3_600);

fn now() -> DateTime<Utc> {
    DateTime::from(SystemTime::now()).trunc_subsecs(0)
}

/// The step that a reviewer's comment starts.
fn said(story: &Story, body: &str) -> Job {
    story.commented(REVIEWER, body).0
}

/// When the time of the instance is over, as both documents of its file say.
fn end(story: &Story, name: &str) -> Option<DateTime<Utc>> {
    let file = story.instance(name).expect("the instance");
    let ends: Vec<&str> = file
        .lines()
        .filter_map(|line| line.strip_prefix("    flux-ephemeral-env/expires: "))
        .collect();
    let [first, second] = ends[..] else {
        assert_eq!(ends, [] as [&str; 0], "{file}");
        return None;
    };
    assert_eq!(first, second);
    // What YAML 1.1 takes for a time is no text without quotes.
    let text = first.trim_matches('"');
    assert_eq!(first, format!("{text:?}"));
    assert!(text.len() == 20 && text.ends_with('Z'), "{text}");
    Some(DateTime::parse_from_rfc3339(text).unwrap().to_utc())
}

/// Runs a deploy, after which the environment may live this long from now on, as file and comment say.
fn deploy_for(story: &Story, job: &Job, lifetime: Option<Duration>) -> Outcome {
    let before = now();
    let outcome = succeed(job);
    let after = now();
    assert_eq!(ending(&outcome).0, "create");
    let (end, told) = (end(story, "dev"), story.status_comment());
    let Some(lifetime) = lifetime else {
        assert_eq!(end, None);
        assert!(!told.contains("**Expires**"), "{told}");
        return outcome;
    };
    let end = end.expect("a time");
    assert!(
        (before + lifetime..=after + lifetime).contains(&end),
        "{end}"
    );
    let until = format!("| **Expires** | {}, in ", end.format("%Y-%m-%d %H:%M UTC"));
    assert!(told.contains(&until), "no {until} in {told}");
    outcome
}

#[test]
fn the_lifetime_is_the_commands_or_the_inputs() {
    let story = Story::new();
    let head = story.head();
    for (input, arguments, hours, distance) in [
        ("", "", None, ""),
        ("72h", "", Some(72), "3 days"),
        ("never", "", None, ""),
        ("72h0m", " ttl=48h", Some(48), "2 days"),
        ("72h", " ttl=never", None, ""),
        ("never", "  \t ttl=1h60m", Some(2), "2 hours"),
        ("", " ttl=87600h", Some(87_600), "3650 days"),
    ] {
        let job = said(&story, &format!("/deploy-ephemeral{arguments}"));
        let lifetime = hours.map(|hours| HOUR * hours);
        deploy_for(&story, &job.input("ttl", input), lifetime);
        let told = story.status_comment();
        for words in [
            &format!(", in {distance} |\n"),
            "The next sweep after its expiry destroys it. To keep it, comment `/deploy-ephemeral ttl=72h` (72 hours from that \
             comment) or `/deploy-ephemeral ttl=never` (until the pull request closes).\n",
        ] {
            assert_eq!(
                told.contains(words),
                hours.is_some(),
                "{input}{arguments}: {told}"
            );
        }
    }
    let pinned = format!("    commit: {head}\n");
    for arguments in [format!("{head} ttl=24h"), format!("ttl=24h {head}")] {
        let job = said(&story, &format!("/deploy-ephemeral {arguments}"));
        deploy_for(&story, &job, Some(HOUR * 24));
        assert!(story.instance("dev").unwrap().contains(&pinned));
        // And back, so that the next one has something to change.
        deploy_for(&story, &story.deploy(), None);
        assert!(!story.instance("dev").unwrap().contains(&pinned));
    }
    assert_eq!(story.instances(), [Story::path("dev")]);
}

#[test]
fn deploying_again_extends_the_time_with_one_commit() {
    let story = Story::new();
    let job = || story.deploy().input("ttl", "72h");
    deploy_for(&story, &job(), Some(HOUR * 72));
    let first = end(&story, "dev");
    thread::sleep(Duration::from_millis(1_100));

    let outcome = deploy_for(&story, &job().run_id(2), Some(HOUR * 72));

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert!(end(&story, "dev") > first);
    let subject = "[ci skip] create ephemeral env from dev".to_owned();
    let path = Story::path("dev");
    assert_eq!(
        story.landed(),
        [
            (subject.clone(), vec![('M', path.clone())]),
            (subject, vec![('A', path)])
        ]
    );
    // Without a bound there is nothing to extend.
    deploy_for(&story, &said(&story, "/deploy-ephemeral ttl=never"), None);
    let outcome = deploy_for(&story, &story.deploy(), None);
    assert_eq!(ending(&outcome).2, "false");
    assert_eq!(story.landed().len(), 3);
}

#[test]
fn what_is_over_is_swept_and_comes_back_by_the_command() {
    let story = Story::new();
    deploy_for(
        &story,
        &said(&story, "/deploy-ephemeral ttl=1s"),
        Some(Duration::from_secs(1)),
    );
    thread::sleep(Duration::from_millis(1_100));

    sweep_away(&story, &story.sweep(), &[("dev", story.number, "expired")]);

    let told = story.status_comment();
    assert!(
        told.contains("### ⚪ A sweep destroyed the environment"),
        "{told}"
    );
    assert!(told.contains("It expired at "), "{told}");
    assert_eq!(
        last_status(&story, story.number).1,
        "Destroyed by a sweep: expired"
    );

    let outcome = deploy_for(&story, &story.deploy().input("ttl", "2h"), Some(HOUR * 2));
    assert_eq!(ending(&outcome).2, "true");
    sweep_in_vain(&story, &story.sweep());
    assert_eq!(story.instances(), [Story::path("dev")]);
}

#[test]
fn what_is_over_and_not_swept_yet_is_extended_or_destroyed_like_any_other() {
    let story = Story::new();
    let over = expiring(&story, "dev", story.number, PAST);
    story.put("dev", &over);
    deploy_for(&story, &story.deploy().input("ttl", "2h"), Some(HOUR * 2));
    story.put("dev", &over);
    deploy_for(&story, &story.deploy(), None);
    story.put("dev", &over);
    let outcome = succeed(&story.destroy());
    assert_eq!(ending(&outcome), ("destroy", "destroy-command", "true"));
    assert_eq!(story.instances(), [] as [String; 0]);
}

#[test]
fn the_time_is_the_files_and_not_the_inputs_of_the_sweep() {
    let story = Story::new();
    story.put("dev", &expiring(&story, "dev", story.number, FUTURE));
    sweep_in_vain(&story, &story.sweep().input("ttl", "1s"));
    story.put("dev", &expiring(&story, "dev", story.number, PAST));
    let job = story.sweep().input("ttl", "never");
    sweep_away(&story, &job, &[("dev", story.number, "expired")]);
}

#[test]
fn a_lifetime_that_is_none_is_refused_with_the_usage() {
    let story = Story::new();
    let head = story.head();
    let usage = "use this form, in which the parts in brackets are optional: `/deploy-ephemeral [40-digit commit SHA] [ttl=72h or ttl=never]`.";
    for (arguments, reason, argument, words) in [
        ("ttl=-1h", "bad-ttl", "ttl=-1h", "is not a valid TTL"),
        (
            "ttl=",
            "bad-ttl",
            "ttl=",
            "give a duration from `1s` to ten years",
        ),
        ("ttl=soon", "bad-ttl", "ttl=soon", "or `never`"),
        ("ttl=3d", "bad-ttl", "ttl=3d", "(units s, m, h)"),
        ("ttl=0s", "bad-ttl", "ttl=0s", "is not a valid TTL"),
        ("ttl=87601h", "bad-ttl", "ttl=87601h", "is not a valid TTL"),
        ("ttl=@all", "bad-ttl", "ttl=@all", "is not a valid TTL"),
        (
            "ttl=1h ttl=2h",
            "repeated-argument",
            "ttl=2h",
            "give at most one commit and one TTL",
        ),
        (
            "ttl=1h ttl=1h",
            "repeated-argument",
            "ttl=1h",
            "give at most one commit and one TTL",
        ),
        (
            &format!("{head} ttl=1h {head}"),
            "repeated-argument",
            &head,
            "one argument too many",
        ),
        (
            "ttl 1h",
            "unknown-argument",
            "ttl",
            "is not a valid argument",
        ),
        (
            "TTL=1h",
            "unknown-argument",
            "TTL=1h",
            "is not a valid argument",
        ),
        (
            "--ttl=1h",
            "unknown-argument",
            "--ttl=1h",
            "is not a valid argument",
        ),
    ] {
        let (job, comment) = story.commented(REVIEWER, &format!("/deploy-ephemeral {arguments}"));
        let told = refused(&story, &job, reason);
        for words in [usage, words, &format!("`{argument}`")] {
            assert!(told.contains(words), "{arguments}: no {words} in {told}");
        }
        assert_eq!(story.reactions(comment), ["eyes", "confused"]);
    }
    let told = refused(
        &story,
        &said(&story, "/destroy-ephemeral ttl=1h"),
        "unknown-argument",
    );
    assert!(told.contains("write `/destroy-ephemeral`."), "{told}");
    assert_eq!(story.landed(), []);
}

#[test]
fn a_dry_run_shows_the_time() {
    let story = Story::new();
    let job = said(&story, "/deploy-ephemeral ttl=48h").input("dry-run", "true");
    let outcome = succeed(&job);
    let shown = outcome
        .stdout
        .matches("|     flux-ephemeral-env/expires: \"20")
        .count();
    assert_eq!(shown, 2, "{}", outcome.stdout);
    assert_eq!(annotations(&outcome, "warning"), [] as [&str; 0]);
    story.assert_unsaid();
}
