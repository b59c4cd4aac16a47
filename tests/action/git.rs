//! Others push too, servers say no, answers get lost.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use local_github::{Fault, temporary_directory};
use serde_json::json;

use crate::story::{Story, ending, fail, says_down, says_up, start, succeed};

const PUSH: &str = "/octo-org/demo/git-receive-pack";

/// Every request of Git, in its order.
const SERVICES: [(&str, &str); 4] = [
    ("GET", "info/refs?service=git-upload-pack"),
    ("POST", "git-upload-pack"),
    ("GET", "info/refs?service=git-receive-pack"),
    ("POST", "git-receive-pack"),
];

#[test]
fn a_lost_race_is_pushed_again_onto_the_new_tip() {
    let story = Story::new();
    let repository = story.repository.clone();
    let mut landed = 0;
    story
        .github
        .fault(Fault::on("POST", PUSH).times(2).run(move |_| {
            landed += 1;
            let content = format!("{landed}\n");
            repository.commit(
                "main",
                &[("other.txt", Some(&content))],
                "Somebody was faster",
            );
        }));

    let outcome = succeed(&story.deploy());

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    let messages: Vec<String> = story
        .landed()
        .into_iter()
        .map(|(message, _)| message)
        .collect();
    assert_eq!(
        messages,
        [
            "[ci skip] create ephemeral env from dev",
            "Somebody was faster",
            "Somebody was faster"
        ]
    );
    assert_eq!(
        story.repository.read("main", "other.txt").as_deref(),
        Some("2\n")
    );
    assert_eq!(story.requests()["POST /git-receive-pack"], 3);
}

#[test]
fn a_push_whose_answer_was_lost_is_not_doubled() {
    let story = Story::new();
    story.github.fault(Fault::on("POST", PUSH).lose_answer());

    let outcome = succeed(&story.deploy());

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(
        outcome.outputs["commit"],
        story.repository.tip("main").unwrap()
    );
    assert_eq!(story.landed().len(), 1);
    assert_eq!(story.requests()["POST /git-receive-pack"], 1);
}

#[test]
fn a_push_whose_answer_was_lost_is_found_below_somebody_elses_commit() {
    let story = Story::new();
    story.github.fault(Fault::on("POST", PUSH).lose_answer());
    let repository = story.repository.clone();
    story.github.fault(
        Fault::on("GET", "/octo-org/demo/info/refs?service=git-upload-pack")
            .skip(1)
            .run(move |_| {
                repository.commit("main", &[("other.txt", Some("x\n"))], "On top of it");
            }),
    );

    let outcome = succeed(&story.deploy());

    let log = story.repository.log("main");
    assert_eq!(log[0].message, "On top of it");
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(outcome.outputs["commit"], log[1].sha);
    assert_eq!(story.landed().len(), 2);
}

#[test]
fn a_push_that_lands_only_after_it_was_looked_for_is_still_ours() {
    let story = Story::waiting();
    let before = story.repository.tip("main").unwrap();
    let first: Arc<Mutex<Option<String>>> = Arc::default();
    story.github.fault(Fault::on("POST", PUSH).lose_answer());
    // The look behind it still sees the old tip, and comes late enough for the next commit to be another one.
    let (repository, found) = (story.repository.clone(), first.clone());
    story.github.fault(
        Fault::on("GET", "/octo-org/demo/info/refs?service=git-upload-pack")
            .skip(1)
            .delay(Duration::from_millis(1_100))
            .run(move |_| {
                *found.lock().unwrap() = repository.tip("main");
                repository.force_branch("main", &before);
            }),
    );
    let (repository, found) = (story.repository.clone(), first.clone());
    story.github.fault(Fault::on("POST", PUSH).run(move |_| {
        repository.force_branch("main", found.lock().unwrap().as_deref().unwrap());
    }));

    let outcome = succeed(&story.deploy());

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(
        Some(&outcome.outputs["commit"]),
        first.lock().unwrap().as_ref()
    );
    assert_eq!(
        Some(&outcome.outputs["commit"]),
        story.repository.tip("main").as_ref()
    );
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn a_rejection_is_told_in_the_servers_words_and_not_tried_again() {
    let story = Story::new();
    story.repository.install_hook(
        "pre-receive",
        "#!/bin/sh\necho 'GH006: Protected branch update failed for refs/heads/main.'\necho '@everyone ```'\nexit 1\n",
    );
    let (job, comment) = story.commented(crate::story::REVIEWER, "/deploy-ephemeral");

    let (outcome, error) = fail(&job);

    assert_eq!(ending(&outcome), ("create", "push-rejected", "false"));
    assert!(
        error.contains("GH006: Protected branch update failed for refs/heads/main."),
        "{error}"
    );
    let told = story.status_comment();
    assert!(told.contains("### 🔴 Failed"), "{told}");
    assert!(
        told.contains("````text\npre-receive hook declined\nGH006: Protected branch update failed for refs/heads/main.\n@everyone ```\n````"),
        "{told}"
    );
    assert_eq!(story.reactions(comment), ["eyes", "-1"]);
    assert_eq!(story.statuses(), ["pending", "failure"]);
    assert_eq!(story.landed(), []);
    assert_eq!(story.requests()["POST /git-receive-pack"], 1);
}

#[test]
fn every_rejection_that_will_not_change_is_told_at_once() {
    let rules = "GH013: Repository rule violations found for refs/heads/main.";
    let hook = |words: &str| format!("#!/bin/sh\nprintf '%s\\n' '{words}'\nexit 1\n");
    for (name, value, words) in [
        ("pre-receive", hook(rules), rules),
        (
            "update",
            hook("Not today: \u{1b}[31m\r::error::"),
            "hook declined",
        ),
        ("receive.maxInputSize", "1".to_owned(), "unpacker error"),
    ] {
        let story = Story::new();
        if name.contains('.') {
            story.repository.git(&["config", name, &value]);
        } else {
            story.repository.install_hook(name, &value);
        }
        let (job, comment) = story.commented(crate::story::REVIEWER, "/deploy-ephemeral");

        let (outcome, error) = fail(&job);

        assert_eq!(ending(&outcome), ("create", "push-rejected", "false"));
        assert!(error.contains(words), "{error}");
        let told = story.status_comment();
        assert!(
            told.contains("### 🔴 Failed") && told.contains(words),
            "{told}"
        );
        assert!(!told.contains('\u{1b}'), "{told}");
        assert_eq!(story.reactions(comment), ["eyes", "-1"]);
        assert_eq!(story.statuses(), ["pending", "failure"]);
        assert_eq!(story.requests()["POST /git-receive-pack"], 1);
        assert_eq!(story.landed(), []);
    }
}

#[test]
fn a_rejection_that_is_the_servers_own_trouble_is_pushed_again() {
    let packet = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let status = packet("unpack ok\n") + &packet("ng refs/heads/main Internal Server Error\n");
    let answer = packet(&format!("\u{1}{status}0000")) + "0000";
    for is_hook in [true, false] {
        let story = Story::new();
        if is_hook {
            story.repository.install_hook(
                "pre-receive",
                "#!/bin/sh\ntest -e over && exit 0\ntouch over\necho 'fatal error in commit_refs'\nexit 1\n",
            );
        } else {
            let trouble = Fault::on("POST", PUSH).answer_text(200, &answer);
            let kind = "application/x-git-receive-pack-result";
            story.github.fault(trouble.header("content-type", kind));
        }

        let outcome = succeed(&story.deploy());

        assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
        assert_eq!(story.requests()["POST /git-receive-pack"], 2, "{is_hook}");
        assert_eq!(story.landed().len(), 1);
    }
}

/// What is done to the branch between our look at it and our push.
fn before_the_push(story: &Story, args: &'static [&str]) {
    let repository = story.repository.clone();
    let refs = Fault::on("GET", "/octo-org/demo/info/refs?service=git-receive-pack");
    story.github.fault(refs.run(move |_| {
        repository.git(args);
    }));
}

#[test]
fn a_branch_that_was_deleted_meanwhile_is_not_brought_back() {
    let story = Story::new();
    before_the_push(&story, &["update-ref", "-d", "refs/heads/main"]);

    let (outcome, error) = fail(&story.deploy());

    assert_eq!(ending(&outcome), ("create", "branch-missing", "false"));
    assert!(error.contains("has no branch `main`"), "{error}");
    assert_eq!(story.repository.tip("main"), None);
    assert!(!story.requests().contains_key("POST /git-receive-pack"));
}

#[test]
fn commits_that_were_taken_back_meanwhile_stay_away() {
    let story = Story::new();
    let before = story.repository.tip("main").unwrap();
    let secret = [("secret.txt", Some("secret\n"))];
    story.repository.commit("main", &secret, "By mistake");
    // All of it is there, so that a push would bring it back.
    let workspace = temporary_directory();
    story.repository.checkout(workspace.path(), &[]);
    before_the_push(&story, &["update-ref", "refs/heads/main", "main~1"]);

    let outcome = succeed(&story.deploy().workspace(workspace.path()));

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(story.repository.log("main")[0].parents, [before]);
    assert_eq!(story.repository.read("main", "secret.txt"), None);
}

#[test]
fn a_server_that_talks_without_end_is_cut_short() {
    let story = Story::new();
    story.repository.install_hook(
        "pre-receive",
        "#!/bin/sh\necho 'Not today.'\nhead -c 3000000 /dev/zero | tr '\\0' 'x'\nexit 1\n",
    );

    let (outcome, error) = fail(&story.deploy());

    assert_eq!(ending(&outcome), ("create", "push-rejected", "false"));
    assert!(
        error.contains("pre-receive hook declined%0ANot today.%0Axxx"),
        "{error}"
    );
    assert!(
        outcome.stdout.len() < 20_000,
        "{} bytes",
        outcome.stdout.len()
    );
    assert!(story.status_comment().contains("Not today.\nxxx"));
    assert_eq!(story.landed(), []);
}

#[test]
fn a_locked_reference_is_pushed_again_until_the_time_is_over() {
    for is_let_go in [true, false] {
        let story = Story::waiting();
        let lock = story.repository.git_dir().join("refs/heads/main.lock");
        fs::write(&lock, "").unwrap();
        if is_let_go {
            let let_go = move |_: &_| fs::remove_file(&lock).unwrap();
            story
                .github
                .fault(Fault::on("POST", PUSH).skip(1).run(let_go));
            assert_eq!(ending(&succeed(&story.deploy())).2, "true");
            assert_eq!(story.requests()["POST /git-receive-pack"], 2);
            assert_eq!(story.landed().len(), 1);
        } else {
            let (outcome, error) = fail(&story.deploy().input("push-timeout", "20s"));
            assert_eq!(ending(&outcome), ("create", "push-timeout", "false"));
            assert!(error.contains("failed to update ref"), "{error}");
            assert!(
                error.contains("cannot lock ref 'refs/heads/main'"),
                "{error}"
            );
            assert!(
                story
                    .status_comment()
                    .contains("cannot lock ref 'refs/heads/main'")
            );
            assert_eq!(story.statuses(), ["pending", "error"]);
            assert!(story.requests()["POST /git-receive-pack"] > 1);
            assert_eq!(story.landed(), []);
        }
    }
}

#[test]
fn a_push_whose_answer_breaks_off_anywhere_has_landed_once() {
    let story = Story::new();
    for (landed, bytes) in [0, 3, 20, 38, 45, 60, 70].into_iter().enumerate() {
        story
            .github
            .fault(Fault::on("POST", PUSH).cut_body_after(bytes));
        let job = if landed % 2 == 0 {
            story.deploy()
        } else {
            story.destroy()
        };

        let outcome = succeed(&job);

        assert_eq!(ending(&outcome).2, "true", "{bytes}");
        let tip = story.repository.tip("main");
        assert_eq!(Some(&outcome.outputs["commit"]), tip.as_ref(), "{bytes}");
        assert_eq!(story.landed().len(), landed + 1, "{bytes}");
    }
    assert_eq!(story.requests()["POST /git-receive-pack"], 7);
}

#[test]
fn a_redirect_to_another_server_is_not_followed() {
    let elsewhere = local_github::LocalGitHub::start_on([127, 0, 0, 2].into());
    for (method, service) in SERVICES {
        let story = Story::new();
        elsewhere.add_personal_token(&story.github.token(), "thief");
        let location = format!("{}/octo-org/demo/{service}", elsewhere.server_url());
        story.github.fault(
            Fault::on(method, &format!("/octo-org/demo/{service}"))
                .answer_text(301, "Moved")
                .header("location", &location),
        );

        let (outcome, error) = fail(&story.deploy());

        assert_eq!(
            ending(&outcome),
            ("create", "git-failed", "false"),
            "{error}"
        );
        assert!(error.contains("redirect"), "{error}");
        let remedy =
            "because the token goes to this server only: check whether the repository has moved";
        assert!(story.status_comment().contains(remedy));
        assert_eq!(story.statuses(), ["pending", "error"]);
        assert_eq!(story.landed(), []);
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn a_renamed_repository_on_the_same_server_is_found() {
    let story = Story::new();
    for service in ["git-upload-pack", "git-receive-pack"] {
        let refs = |name| format!("/octo-org/{name}/info/refs?service={service}");
        story.github.fault(
            Fault::on("GET", &refs("demo"))
                .always()
                .answer_text(301, "Moved")
                .header("location", &refs("demo.git")),
        );
    }
    let outcome = succeed(&story.deploy());
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn a_repository_of_sha_256_is_named_as_such() {
    let story = Story::new();
    let job = story.close();
    let directory = story.repository.git_dir();
    fs::remove_dir_all(&directory).unwrap();
    fs::create_dir(&directory).unwrap();
    let format = "--object-format=sha256";
    let init = ["init", "--quiet", "--bare", format, "--initial-branch=main"];
    local_github::git(&directory, &init);
    story
        .repository
        .commit("main", &[("a.txt", Some("a\n"))], "start");

    let (outcome, error) = fail(&job);

    assert_eq!(ending(&outcome), ("destroy", "git-failed", "false"));
    assert!(error.contains("object format 'sha256'"), "{error}");
    assert!(story.status_comment().contains("object format 'sha256'"));
    assert_eq!(story.repository.log("main").len(), 1);
}

/// Turns a checkout into what a Git that knows the format leaves for one that does not
/// ([docs](https://git-scm.com/docs/reftable#_version_1)).
fn make_reftable(checkout: &Path) {
    let git = checkout.join(".git");
    local_github::git(checkout, &["config", "core.repositoryFormatVersion", "1"]);
    local_github::git(checkout, &["config", "extensions.refStorage", "reftable"]);
    fs::remove_dir_all(git.join("refs")).unwrap();
    fs::create_dir(git.join("refs")).unwrap();
    fs::write(
        git.join("refs/heads"),
        "this repository uses the reftable format\n",
    )
    .unwrap();
    fs::write(git.join("HEAD"), "ref: refs/heads/.invalid\n").unwrap();
    fs::create_dir(git.join("reftable")).unwrap();
}

#[test]
fn a_checkout_in_a_format_that_cannot_be_read_is_as_good_as_none() {
    for format in ["sha256", "reftable"] {
        let story = Story::new();
        let workspace = temporary_directory();
        let path = workspace.path();
        if format == "reftable" {
            story.repository.checkout(path, &[]);
            make_reftable(path);
        } else {
            let format = "--object-format=sha256";
            local_github::git(path, &["init", "--quiet", format, "--initial-branch=main"]);
            local_github::git(
                path,
                &["commit", "--quiet", "--allow-empty", "--message=theirs"],
            );
        }

        let outcome = succeed(&story.deploy().workspace(path));

        assert_eq!(
            ending(&outcome),
            ("create", "deploy-command", "true"),
            "{format}"
        );
        assert!(!outcome.stdout.contains("::warning"), "{}", outcome.stdout);
        assert!(!path.join(Story::path("dev")).exists(), "{format}");
        assert_eq!(story.landed().len(), 1);
    }
}

#[test]
fn a_token_that_may_not_push_is_told_the_missing_permission() {
    let story = Story::new();
    story.github.restrict_token(&[
        "contents:read",
        "pull-requests:write",
        "statuses:write",
        "metadata:read",
    ]);

    let (outcome, error) = fail(&story.deploy());

    assert_eq!(ending(&outcome), ("create", "push-forbidden", "false"));
    assert!(error.contains("403"), "{error}");
    assert!(
        story
            .status_comment()
            .contains("permissions:\n  contents: write")
    );
    assert_eq!(story.statuses(), ["pending", "failure"]);
    assert_eq!(story.landed(), []);
}

#[test]
fn a_server_that_does_not_know_the_token_is_not_asked_again() {
    for (method, service) in SERVICES {
        for status in [401, 403, 404] {
            let story = Story::new();
            story.github.fault(
                Fault::on(method, &format!("/octo-org/demo/{service}"))
                    .always()
                    .answer_text(status, "no"),
            );

            let (outcome, error) = fail(&story.deploy());

            assert_eq!(
                ending(&outcome),
                ("create", "push-forbidden", "false"),
                "{method} {service} {status}: {}",
                outcome.stdout
            );
            assert!(error.contains(&format!(": {status} ")), "{error}");
            let remedy = "permissions:\n  contents: write";
            let is_advised = story.status_comment().contains(remedy);
            assert_eq!(is_advised, status != 401, "{status}");
            assert_eq!(story.statuses(), ["pending", "failure"]);
            let requests = story.github.requests();
            let asked = requests
                .iter()
                .filter(|request| request.status == Some(status));
            assert!(asked.count() <= 2, "{method} {service} {status}");
            assert_eq!(story.landed(), []);
        }
    }
}

#[test]
fn a_branch_that_does_not_exist_is_named() {
    let story = Story::new();
    let (outcome, error) = fail(&story.deploy().input("branch", "nowhere"));

    assert_eq!(ending(&outcome), ("create", "branch-missing", "false"));
    assert!(error.contains("has no branch `nowhere`"), "{error}");
    assert!(story.status_comment().contains("set the input `branch`"));
}

#[test]
fn an_empty_repository_is_told_as_such() {
    let story = Story::new();
    let job = story.close();
    for reference in ["heads/main", "heads/dev", "pull/1/head", "pull/1/merge"] {
        let reference = format!("refs/{reference}");
        local_github::git(
            &story.repository.git_dir(),
            &["update-ref", "-d", &reference],
        );
    }

    let (outcome, error) = fail(&job);

    assert_eq!(ending(&outcome), ("destroy", "branch-missing", "false"));
    let words = "is empty: push a first commit to `main`";
    assert!(error.contains(words), "{error}");
}

#[test]
fn a_server_in_trouble_is_asked_again() {
    let refs = || Fault::on("GET", "/octo-org/demo/info/refs?*");
    let fetch = || Fault::on("POST", "/octo-org/demo/git-upload-pack");
    let push = || Fault::on("POST", PUSH);
    let page = "<html>A page of somebody between us</html>";
    let troubles = [
        vec![
            refs().times(2).answer_text(503, "busy"),
            refs().answer_text(429, "busy"),
            refs().cut_body_after(40),
            refs().answer_text(200, page),
        ],
        vec![
            fetch().drop_connection(),
            fetch().times(2).cut_body_after(60),
            fetch().answer_text(500, "busy"),
        ],
        vec![
            push().answer_text(502, "Bad Gateway"),
            push().drop_connection(),
        ],
    ];
    thread::scope(|scope| {
        for faults in troubles {
            scope.spawn(move || {
                let story = Story::waiting();
                for fault in faults {
                    story.github.fault(fault);
                }

                let outcome = succeed(&story.deploy());

                assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
                assert_eq!(story.statuses(), ["pending", "success"]);
                assert_eq!(story.landed().len(), 1);
            });
        }
    });
}

#[test]
fn push_timeout_ends_the_tries() {
    let story = Story::waiting();
    story
        .github
        .fault(Fault::on("POST", PUSH).always().answer_text(503, "busy"));

    let (outcome, error) = fail(&story.deploy().input("push-timeout", "20s"));

    assert_eq!(ending(&outcome), ("create", "push-timeout", "false"));
    assert!(error.contains("503 Service Unavailable: busy"), "{error}");
    assert_eq!(story.statuses(), ["pending", "error"]);
    assert!(story.requests()["POST /git-receive-pack"] > 1);
}

#[test]
fn a_cancelled_run_ends_and_a_second_one_puts_everything_right() {
    for signal in ["INT", "TERM"] {
        let story = Story::waiting();
        story.github.fault(Fault::on("POST", PUSH).hang());
        story
            .github
            .fault(Fault::on("GET", "/repos/*/issues/*/comments?*").hang());
        let running = start(&story.deploy());
        story.await_request("POST /git-receive-pack", &running);

        running.signal(signal);
        let signalled = Instant::now();
        let outcome = running.wait();

        // Nothing else ends this run before the server's 20 s are over.
        assert!(signalled.elapsed() < Duration::from_secs(15));
        assert_eq!(outcome.status, 1, "{}", outcome.stdout);
        assert_eq!(ending(&outcome), ("create", "interrupted", "false"));
        assert!(story.status_comment().contains("### 🔴 Failed"));
        assert_eq!(story.statuses(), ["pending", "error"]);

        assert_eq!(
            ending(&succeed(&story.deploy())),
            ("create", "deploy-command", "true")
        );
        assert!(says_up(&story.status_comment()));
        assert_eq!(story.landed().len(), 1);
    }
}

#[test]
fn a_cancelled_dry_run_ends() {
    let story = Story::new();
    story
        .github
        .fault(Fault::on("GET", "/repos/*/pulls/*").hang());
    let job = story.deploy().input("dry-run", "true");
    let running = start(&job);
    let patience = Instant::now() + Duration::from_secs(30);
    while !story.requests().contains_key("GET /pulls/*") {
        assert!(Instant::now() < patience, "{}", running.stdout());
        thread::sleep(Duration::from_millis(5));
    }

    running.signal("TERM");
    let outcome = running.wait();

    assert_eq!(outcome.status, 1, "{}", outcome.stdout);
    assert_eq!(ending(&outcome), ("none", "interrupted", "false"));
    story.assert_unsaid();
}

#[test]
fn the_token_is_nowhere() {
    let story = Story::new();
    let token = story.github.token();
    let basic = local_github::basic(&token);
    let said = format!("echo '{token} {basic}'; exit 1");
    let secret_of = |outcome: &local_github::Outcome| {
        let told = format!(
            "{}{}{}{:?}",
            outcome.stdout, outcome.stderr, outcome.summary, outcome.outputs
        );
        told.contains(&token) || told.contains(&basic)
    };

    let outcome = succeed(
        &story
            .deploy()
            .env("RUNNER_DEBUG", "1")
            .env("RUST_LOG", "trace"),
    );
    assert!(!secret_of(&outcome), "{}", outcome.stdout);
    story
        .repository
        .install_hook("pre-receive", &format!("#!/bin/sh\n{said}\n"));
    let (outcome, error) = fail(&story.destroy());

    assert!(error.contains("***"), "{error}");
    assert!(!secret_of(&outcome), "{}", outcome.stdout);
    assert!(!story.our_comments().concat().contains(&token));
    assert!(!story.instance("dev").unwrap().contains(&token));
}

#[test]
fn a_personal_token_pushes_and_finds_its_own_comment() {
    let story = Story::new();
    story.github.add_personal_token("ghp_personal", "deployer");
    story.github.set_permission("deployer", "write");

    succeed(&story.deploy().input("token", "ghp_personal"));
    succeed(&story.destroy().input("token", "ghp_personal"));

    let comments: Vec<_> = story
        .github
        .comments(story.number)
        .into_iter()
        .filter(|comment| comment.login == "deployer")
        .collect();
    assert_eq!(comments.len(), 1, "{comments:#?}");
    assert!(says_down(&comments[0].body));
    assert_eq!(story.landed().len(), 2);
}

#[test]
fn a_wrong_token_is_told_as_such() {
    let story = Story::new();
    let (outcome, error) = fail(&story.deploy().input("token", "ghs_wrong"));

    assert_eq!(ending(&outcome), ("none", "github-refused", "false"));
    assert!(error.contains("401: Bad credentials"), "{error}");
    assert!(!error.contains("ghs_wrong"), "{error}");
    story.assert_unsaid();
}

#[test]
fn an_api_that_does_not_answer_a_fact_is_a_failure() {
    let story = Story::new();
    story.github.fault(
        Fault::on("GET", "/repos/*/pulls/*")
            .always()
            .answer(404, json!({ "message": "Not Found" })),
    );

    let (outcome, error) = fail(&story.deploy());

    assert_eq!(ending(&outcome), ("none", "github-refused", "false"));
    assert!(error.contains("/pulls/1: 404: Not Found"), "{error}");
    assert!(story.status_comment().contains("### 🔴 Failed"));
    assert_eq!(story.landed(), []);
}
