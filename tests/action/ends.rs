//! Ends that come early: somebody cancels the run, a disk is full, nobody listens.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use local_github::{Fault, Job, Outcome, Recorded, RunningJob, temporary_directory};
use tempfile::TempDir;

use crate::story::{
    EXECUTABLE, Story, annotation, await_that, ending, fail, needs_the_executable, says_down,
    says_up, seen, start, succeed,
};

/// The longest that an end may take on a slow machine; the code's own bound is 3 s where one thing hangs. Without the
/// signal, a request that hangs is tried for 25 s and more, and one of Git's for 20 s.
const SECONDS: Duration = Duration::from_secs(14);
/// How many runs hang at a time: they mostly wait.
const SIDE_BY_SIDE: usize = 14;

/// One of the requests that a run makes: the how-manieth of those that look the same.
#[derive(Debug, Clone, PartialEq)]
struct Moment {
    method: String,
    path: String,
    earlier: usize,
}

impl Moment {
    /// Every request so far as the moment that it came.
    fn of(story: &Story) -> Vec<Moment> {
        let mut seen = BTreeMap::new();
        let requests = story.github.requests();
        let moments = requests.iter().map(|request| {
            let (method, path) = look(request);
            let count = seen.entry((method.clone(), path.clone())).or_insert(0);
            *count += 1;
            Moment {
                method,
                path,
                earlier: *count - 1,
            }
        });
        moments.collect()
    }

    fn fault(&self) -> Fault {
        Fault::on(&self.method, &self.path).skip(self.earlier)
    }

    /// Waits until the request is there, or the work behind it is done.
    fn await_it(&self, story: &Story, running: &RunningJob, is_done: bool) {
        let has_come = || {
            let mut alike = story.github.requests().into_iter().filter(|request| {
                let (method, path) = look(request);
                (method, path) == (self.method.clone(), self.path.clone())
            });
            alike
                .nth(self.earlier)
                .is_some_and(|request| !is_done || request.status.is_some())
        };
        await_that(has_come, &format!("{self:?}"), running);
    }
}

/// Method and path of a request, without what differs between two repositories.
fn look(request: &Recorded) -> (String, String) {
    let (path, query) = request
        .path
        .split_once('?')
        .map_or((request.path.as_str(), None), |(path, query)| {
            (path, Some(query))
        });
    let parts = path.split('/').map(|part| {
        let is_name = part.len() == 40 || part.parse::<u64>().is_ok();
        if is_name { "*" } else { part }
    });
    let path = parts.collect::<Vec<_>>().join("/");
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    (request.method.clone(), path + &query)
}

/// What a request that is cut off came to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cut {
    /// Nothing.
    Undone,
    /// It was done, and the answer did not come.
    Unanswered,
}

/// Cancels a run at this moment and gives back how it ended: in time, and saying no more than is true.
fn cancelled(story: &Story, job: &Job, moment: &Moment, cut: Cut, signals: &[&str]) -> Outcome {
    let what = format!("{cut:?} {moment:?} {signals:?}");
    let before = story.landed().len();
    story.github.clear_requests();
    story.github.fault(match cut {
        Cut::Undone => moment.fault().hang(),
        Cut::Unanswered => moment.fault().withhold_answer(),
    });
    // What is left of a push that hangs goes with the container, or here with this.
    let places = temporary_directory();
    let running = start(&job.clone().temporary(places.path()));
    moment.await_it(story, &running, cut == Cut::Unanswered);

    let signalled = Instant::now();
    for (index, signal) in signals.iter().enumerate() {
        if index > 0 {
            std::thread::sleep(Duration::from_millis(100));
        }
        running.signal(signal);
    }
    let outcome = running.wait();

    story.github.clear_faults();
    let said = &outcome.stdout;
    assert!(signalled.elapsed() < SECONDS, "{what}: {said}");
    assert_eq!(outcome.stderr, "", "{what}");
    let errors = said.lines().filter(|line| line.starts_with("::error"));
    let (_, reason, changed) = ending(&outcome);
    let landed = story.landed().len() - before;
    match outcome.status {
        // It was done when the signal came, and the signal takes nothing back.
        0 => {
            assert_eq!((changed, landed), ("true", 1), "{what}: {said}");
            assert_eq!(
                story.repository.tip("main").as_ref(),
                outcome.outputs.get("commit"),
                "{what}"
            );
            assert_eq!(errors.count(), 0, "{what}: {said}");
        }
        // It may have landed unseen: that is what the words say, too.
        1 => {
            assert_eq!((reason, changed), ("interrupted", "false"), "{what}");
            let is_push = moment.path.ends_with("git-receive-pack") && moment.method == "POST";
            let may_land = usize::from(is_push && cut == Cut::Unanswered);
            assert_eq!(landed, may_land, "{what}: {said}");
            assert_eq!(errors.count(), 1, "{what}: {said}");
        }
        status => panic!("{what}: exit status {status}: {said}"),
    }
    assert!(story.our_comments().len() <= 1, "{what}");
    outcome
}

/// Every branch and pull request of the repository but the target branch, and where it is.
fn others(story: &Story) -> String {
    let refs = story.repository.git(&["for-each-ref"]);
    let others = refs
        .lines()
        .filter(|line| !line.ends_with("refs/heads/main"));
    others.collect::<Vec<_>>().join("\n")
}

/// Does this for each of these, some side by side.
fn each<T: Send>(all: impl IntoIterator<Item = T, IntoIter: Send>, work: impl Fn(T) + Sync) {
    let all = Mutex::new(all.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                loop {
                    let next = all.lock().unwrap().next();
                    let Some(next) = next else { break };
                    work(next);
                }
            });
        }
    });
}

/// Every moment, undone and unanswered, and the signals that come then.
fn cuts(moments: &[Moment]) -> Vec<(Moment, Cut, &'static [&'static str])> {
    let signals: [&[&str]; 3] = [&["INT"], &["TERM"], &["INT", "TERM"]];
    let cuts = moments
        .iter()
        .flat_map(|moment| [Cut::Undone, Cut::Unanswered].map(|cut| (moment.clone(), cut)));
    cuts.zip(signals.iter().cycle())
        .map(|((moment, cut), signals)| (moment, cut, *signals))
        .collect()
}

#[test]
fn a_command_that_is_cancelled_at_any_of_its_requests_is_put_right_by_a_second_run() {
    let story = Story::new();
    succeed(&story.deploy());
    let deploys = cuts(&Moment::of(&story));
    let manifest = story.instance("dev").unwrap();
    let head = story.head();
    story.github.clear_requests();
    succeed(&story.destroy());
    let destroys = cuts(&Moment::of(&story));
    assert!(deploys.len() >= 28, "{deploys:#?}");

    let destroys = destroys.into_iter().cycle();
    each(deploys.into_iter().zip(destroys), |(deploy, destroy)| {
        let story = Story::new();
        let elsewhere = others(&story);

        let job = story.deploy();
        cancelled(&story, &job, &deploy.0, deploy.1, deploy.2);
        let outcome = succeed(&job);

        assert_eq!(ending(&outcome).0, "create", "{deploy:?}");
        let created = "[ci skip] create ephemeral env from dev";
        assert_eq!(
            story.landed(),
            [(created.to_owned(), vec![('A', Story::path("dev"))])],
            "{deploy:?}"
        );
        assert_eq!(
            story.instance("dev").unwrap(),
            manifest.replace(&head, &story.head()),
            "{deploy:?}"
        );
        let told = story.status_comment();
        assert!(says_up(&told), "{deploy:?}: {told}");
        assert_eq!(story.statuses().last().unwrap(), "success", "{deploy:?}");

        let job = story.destroy();
        cancelled(&story, &job, &destroy.0, destroy.1, destroy.2);
        let outcome = succeed(&job);

        assert_eq!(ending(&outcome).0, "destroy", "{destroy:?}");
        assert_eq!(story.landed().len(), 2, "{destroy:?}");
        assert_eq!(story.instances(), [] as [String; 0], "{destroy:?}");
        let told = story.status_comment();
        assert!(says_down(&told), "{destroy:?}: {told}");
        assert_eq!(story.statuses().last().unwrap(), "success", "{destroy:?}");
        assert_eq!(others(&story), elsewhere);
    });
}

#[test]
fn a_close_that_is_cancelled_at_any_of_its_requests_is_done_by_a_second_run() {
    let story = Story::new();
    succeed(&story.deploy());
    let job = story.close();
    story.github.clear_requests();
    succeed(&job);
    let closes = cuts(&Moment::of(&story));
    assert!(closes.len() >= 18, "{closes:#?}");

    each(closes, |(moment, cut, signals)| {
        let story = Story::new();
        succeed(&story.deploy());
        let elsewhere = others(&story);

        let job = story.close();
        cancelled(&story, &job, &moment, cut, signals);
        let second = succeed(&job);

        let what = format!("{moment:?} {cut:?}");
        assert_eq!(ending(&second).0, "destroy", "{what}");
        assert_eq!(story.landed().len(), 2, "{what}");
        assert_eq!(story.instances(), [] as [String; 0], "{what}");
        let told = story.status_comment();
        assert!(says_down(&told), "{what}: {told}");
        assert!(!says_up(&told), "{what}: {told}");
        assert_eq!(story.statuses().last().unwrap(), "success", "{what}");
        assert_eq!(others(&story), elsewhere);
    });
}

#[test]
fn the_commit_does_not_stay_pending_where_the_server_is_slow_to_note_that() {
    let story = Story::new();
    let statuses = "/repos/*/statuses/*";
    story
        .github
        .fault(Fault::on("POST", statuses).delay(Duration::from_millis(1_500)));
    let running = start(&story.deploy());
    story.await_request("POST /statuses/*", &running);

    running.signal("INT");
    let outcome = running.wait();

    let patience = Instant::now() + Duration::from_secs(60);
    while story.statuses().len() < 2 {
        assert!(Instant::now() < patience, "{}", outcome.stdout);
        std::thread::sleep(Duration::from_millis(5));
    }
    let last = if outcome.status == 0 {
        "success"
    } else {
        "error"
    };
    assert_eq!(story.statuses(), ["pending", last], "{}", outcome.stdout);
}

#[test]
fn a_run_that_is_cancelled_at_its_very_start_leaves_nothing() {
    if needs_the_executable("at its very start, a container has no process to signal") {
        return;
    }
    let story = Story::new();
    for signal in ["INT", "TERM"] {
        let places = temporary_directory();
        let job = story.deploy().temporary(places.path());
        // However late the signal comes on a busy machine, the run is not through before.
        let pull_request = Fault::on("GET", "/repos/*/pulls/*");
        story.github.fault(pull_request.hang());
        let running = start(&job);
        running.signal(signal);
        let signalled = Instant::now();
        let outcome = running.wait();
        let taken = signalled.elapsed();

        story.github.clear_faults();
        assert!(taken < SECONDS, "{signal}, {taken:?}: {outcome:?}");
        // Whether it already listens or is ended by the system.
        assert!([1, 130, 143].contains(&outcome.status), "{outcome:?}");
        assert_eq!(outcome.stderr, "");
        assert_eq!(story.landed(), []);
        assert_eq!(fs::read_dir(places.path()).unwrap().count(), 0);
    }
    succeed(&story.deploy());
    assert_eq!(story.landed().len(), 1);
    assert!(says_up(&story.status_comment()));
}

/// A program of these lines of shell.
fn program(directory: &TempDir, lines: &str) -> PathBuf {
    let path = directory.path().join("program");
    local_github::script(&path, &format!("#!/bin/sh\n{lines}\n"));
    path
}

/// The environment is there and everybody has been told.
fn assert_deployed(story: &Story, what: &str) {
    assert_eq!(story.landed().len(), 1, "{what}");
    assert_eq!(story.instances(), [Story::path("dev")], "{what}");
    let told = story.status_comment();
    assert!(says_up(&told), "{what}: {told}");
    assert_eq!(story.statuses().last().unwrap(), "success", "{what}");
}

#[test]
fn outputs_that_cannot_be_written_fail_the_job_but_lose_nothing() {
    let full = "No space left on device (os error 28)";
    for (place, words) in [
        ("/dev/full", full),
        (
            "/nonexistent/output",
            "No such file or directory (os error 2)",
        ),
        ("/", "Is a directory (os error 21)"),
    ] {
        let story = Story::new();
        let job = story.deploy();

        // The next step would take what is missing for "no".
        let (_, error) = fail(&job.clone().env("GITHUB_OUTPUT", place));

        let expected =
            format!("writing the outputs to GITHUB_OUTPUT: appending to {place}: {words}");
        assert_eq!(error, expected);
        assert_deployed(&story, place);
        assert_eq!(
            ending(&succeed(&job)),
            ("create", "deploy-command", "false")
        );
        assert_deployed(&story, place);
    }
}

#[test]
fn a_summary_that_cannot_be_written_is_a_warning() {
    let story = Story::new();
    let job = story.deploy().env("GITHUB_STEP_SUMMARY", "/dev/full");

    let outcome = succeed(&job);

    assert_eq!(
        annotation(&outcome, "warning"),
        "writing the job summary to GITHUB_STEP_SUMMARY: appending to /dev/full: No space left on device (os error 28)"
    );
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_deployed(&story, "summary");
}

#[test]
fn a_log_that_nobody_can_read_is_no_hindrance() {
    if needs_the_executable("the engine reads the log") {
        return;
    }
    for (output, status) in [
        (">/dev/full", 0),
        (">&-", 0),
        (">&- 2>&-", 0),
        // The reader is gone before there is anything to read.
        ("| :", 0),
        (">&- 2>&-", 1),
    ] {
        let story = Story::new();
        let directory = temporary_directory();
        let script = format!(
            "{{ {EXECUTABLE}; echo $? >'{0}/status'; }} {output}\nexit $(cat '{0}/status')",
            directory.path().display()
        );
        let program = program(&directory, &script);
        let job = story.deploy();
        let job = match status {
            0 => job,
            _ => job.input("branch", "nowhere"),
        };

        let outcome = job.run(&program);

        assert_eq!(outcome.status, status, "{output}: {outcome:?}");
        assert_eq!((outcome.stdout, outcome.stderr), Default::default());
        if status == 0 {
            assert_deployed(&story, output);
        } else {
            assert_eq!(outcome.outputs["reason"], "branch-missing");
        }
    }
}

#[test]
fn no_place_for_our_own_repository_is_told_by_path_and_put_right_by_a_second_run() {
    let story = Story::new();
    let job = story.deploy();
    for (place, words) in [
        ("/nonexistent", "No such file or directory (os error 2)"),
        ("/dev/null", "Not a directory (os error 20)"),
    ] {
        let (outcome, error) = fail(&job.clone().env("TMPDIR", place));

        assert_eq!(ending(&outcome), ("create", "git-failed", "false"));
        let (start, path) = (
            "making a temporary directory: ",
            format!("{place}/flux-ephemeral-env-"),
        );
        assert!(error.starts_with(start), "{error}");
        assert!(error.contains(words) && error.contains(&path), "{error}");
        assert_eq!(story.landed(), []);
        let told = story.status_comment();
        assert!(told.contains("### 🔴 Failed"), "{told}");
        assert!(told.contains(words) && told.contains(&path), "{told}");
        assert_eq!(story.statuses().last().unwrap(), "error");
    }
    succeed(&job);
    assert_deployed(&story, "a second run");
}

#[test]
fn a_disk_that_takes_no_more_is_told_at_once_and_put_right_by_a_second_run() {
    if needs_the_executable(
        "a shell sets the limit, and the image has its own story of a full disk",
    ) {
        return;
    }
    let story = Story::new();
    // More than may be written to one file, whatever the shell's unit is.
    let mut number = 1_u64;
    let large: String = (0..100_000)
        .map(|_| {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'0' + u8::try_from(number >> 58).unwrap())
        })
        .collect();
    let files = [("large.txt", Some(large.as_str()))];
    story.repository.commit("main", &files, "A large file");
    let directory = temporary_directory();
    let limit = format!("trap '' XFSZ; ulimit -f 32; exec {EXECUTABLE}");
    let program = program(&directory, &limit);
    let job = story.deploy();

    let outcome = job.run(&program);

    assert_eq!(outcome.status, 1, "{}", outcome.stdout);
    assert_eq!(ending(&outcome), ("create", "git-failed", "false"));
    let error = annotation(&outcome, "error");
    assert!(error.contains("/objects/pack/"), "{error}");
    assert!(error.contains("File too large"), "{error}");
    // Not until `push-timeout`.
    assert!(outcome.duration < Duration::from_secs(30));
    assert!(story.status_comment().contains("File too large"));
    assert_eq!(story.statuses().last().unwrap(), "error");

    assert_eq!(ending(&succeed(&job)).2, "true");
    assert_eq!(story.landed().len(), 2);
    assert_eq!(story.instances(), [Story::path("dev")]);
    assert!(says_up(&story.status_comment()));
}

#[test]
fn a_checkout_that_cannot_be_written_is_a_warning_that_names_it() {
    for (obstacle, step, words) in [
        (".git/index.lock", "writing files in", "the index is locked"),
        (".git/refs/heads/main.lock", "moving `main` in", "main.lock"),
    ] {
        let story = Story::new();
        let workspace = temporary_directory();
        story.repository.checkout(workspace.path(), &[]);
        fs::write(workspace.path().join(obstacle), "").unwrap();
        let job = story.deploy().workspace(workspace.path());

        let outcome = succeed(&job);

        let warning = annotation(&outcome, "warning");
        let start = format!(
            "the change is pushed, but the checkout could not follow it: {step} {}: ",
            seen(workspace.path()).display()
        );
        assert!(warning.starts_with(&start), "{warning}");
        assert!(warning.contains(words), "{warning}");
        assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
        assert_deployed(&story, obstacle);
        fs::remove_file(workspace.path().join(obstacle)).unwrap();
        assert_eq!(ending(&succeed(&job)).2, "false");
        assert_deployed(&story, obstacle);
    }
}

#[test]
fn a_payload_or_a_file_that_is_nested_without_end_is_no_crash() {
    let deep = |open: &str| open.repeat(100_000);
    let story = Story::new();
    for event in [
        deep("["),
        deep(r#"{"issue":"#),
        format!(r#"{{"action":"created","issue":{}"#, deep("[")),
        format!(r#"{{"x":{}{}}}"#, deep("["), deep("]")),
    ] {
        fail(&story.job().event_raw("issue_comment", event));
    }
    story.assert_untouched();
    for (yaml, kind) in [
        (deep("["), "["),
        (deep("{a: "), "{"),
        (deep("- "), "-"),
        (deep("? "), "?"),
    ] {
        let story = Story::new();
        let other = Story::path("other");
        let overlay = "k8s/app/overlays/deep/kustomization.yaml";
        for path in [overlay, other.as_str()] {
            story
                .repository
                .commit("main", &[(path, Some(&yaml))], kind);
        }
        let outcome = succeed(&story.deploy());
        assert_eq!(ending(&outcome).2, "true", "{kind}");
    }
}
