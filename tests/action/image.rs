//! What only an image can tell: process 1, mounts, a file system of its own. Needs a container engine, so it runs where an
//! image is named, and all other stories with it: `FLUX_EPHEMERAL_ENV_IMAGE=<tag> cargo test --test action`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use local_github::{Fault, temporary_directory};

use crate::story::{Story, ending, needs_an_image, run, says_up, start, succeed};

#[test]
fn the_image_deploys_and_destroys() {
    if needs_an_image() {
        return;
    }
    let story = Story::new();
    let workspace = temporary_directory();
    story
        .repository
        .checkout(workspace.path(), &["--depth", "1"]);
    let owner = 1001;
    for path in [workspace.path().to_owned(), workspace.path().join(".git")] {
        std::os::unix::fs::lchown(path, Some(owner), Some(owner)).unwrap();
    }

    let outcome = run(&story.deploy().workspace(workspace.path()));

    assert_eq!(outcome.status, 0, "{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert!(!outcome.stdout.contains("::warning"), "{}", outcome.stdout);
    assert_eq!(
        outcome.outputs["commit"],
        story.repository.tip("main").unwrap()
    );
    assert!(says_up(&story.status_comment()));
    let file = workspace.path().join(Story::path("dev"));
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        story.instance("dev").unwrap()
    );
    assert_eq!(fs::metadata(&file).unwrap().uid(), owner);

    let outcome = run(&story.close());

    assert_eq!(
        ending(&outcome),
        ("destroy", "pull-request-closed", "true"),
        "{}",
        outcome.stdout
    );
    assert_eq!(story.instances(), [] as [String; 0]);
}

#[test]
fn the_image_is_cancelled_as_process_1_and_a_second_run_puts_everything_right() {
    if needs_an_image() {
        return;
    }
    for signal in ["INT", "TERM"] {
        let story = Story::new();
        let push = Fault::on("POST", "/octo-org/demo/git-receive-pack");
        story.github.fault(push.hang());
        let job = story.deploy();
        let running = start(&job);
        story.await_request("POST /git-receive-pack", &running);

        running.signal(signal);
        let signalled = Instant::now();
        let outcome = running.wait();

        // Nothing else ends this run before the server's 20 s are over.
        assert!(signalled.elapsed() < Duration::from_secs(15));
        assert_eq!(outcome.status, 1, "{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(ending(&outcome), ("create", "interrupted", "false"));
        assert!(story.status_comment().contains("### 🔴 Failed"));
        assert_eq!(story.statuses(), ["pending", "error"]);
        assert_eq!(story.landed(), []);

        let outcome = run(&job);
        assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
        assert!(says_up(&story.status_comment()));
        assert_eq!(story.landed().len(), 1);
    }
}

#[test]
fn a_full_disk_is_told_by_the_image_at_once() {
    if needs_an_image() {
        return;
    }
    // Full on making our repository, on fetching and on committing.
    for size in ["16k", "32k", "48k"] {
        let story = Story::new();
        let job = story.deploy();
        let tmpfs = format!("/tmp:size={size}");

        let full = job.clone().docker_options(&["--tmpfs", &tmpfs]);
        let outcome = run(&full);

        assert_eq!(outcome.status, 1, "{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(ending(&outcome), ("create", "git-failed", "false"));
        assert!(outcome.duration < Duration::from_secs(30), "{size}");
        let told = story.status_comment();
        for said in [&outcome.stdout, &told] {
            for words in ["/tmp/flux-ephemeral-env-", "No space left on device"] {
                assert!(said.contains(words), "{size}: {said}");
            }
        }
        assert_eq!(story.statuses().last().unwrap(), "error");
        assert_eq!(story.landed(), []);

        succeed(&job);
        assert!(says_up(&story.status_comment()));
        assert_eq!(story.landed().len(), 1);
    }
}

#[test]
fn a_read_only_workspace_is_a_warning() {
    if needs_an_image() {
        return;
    }
    let story = Story::new();
    let workspace = temporary_directory();
    story.repository.checkout(workspace.path(), &[]);
    let job = story.deploy().workspace(workspace.path());

    let outcome = run(&job.read_only_workspace());

    assert_eq!(outcome.status, 0, "{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    let warnings = outcome.stdout.lines();
    let warnings: Vec<_> = warnings
        .filter(|line| line.starts_with("::warning"))
        .collect();
    assert_eq!(warnings.len(), 1, "{}", outcome.stdout);
    for words in [
        "could not follow it",
        "/github/workspace",
        "Read-only file system",
    ] {
        assert!(warnings[0].contains(words), "{warnings:?}");
    }
    assert!(says_up(&story.status_comment()));
    assert_eq!(story.statuses(), ["pending", "success"]);
    assert_eq!(story.landed().len(), 1);
    assert!(!workspace.path().join(Story::path("dev")).exists());
}

#[test]
fn on_ghe_com_flux_clones_over_ssh_as_the_subdomain() {
    if needs_an_image() {
        return;
    }
    let story = Story::new();
    let hosts = ["octocorp.ghe.com", "api.octocorp.ghe.com"];
    let there = |url: String, host| url.replace("127.0.0.1", host);
    let job = story
        .deploy()
        .docker_options(
            &hosts
                .map(|host| format!("--add-host={host}:127.0.0.1"))
                .each_ref()
                .map(String::as_str),
        )
        .env(
            "GITHUB_SERVER_URL",
            &there(story.github.server_url(), hosts[0]),
        )
        .env("GITHUB_API_URL", &there(story.github.api_url(), hosts[1]))
        .env(
            "GITHUB_GRAPHQL_URL",
            &there(story.github.graphql_url(), hosts[1]),
        );

    let outcome = run(&job);

    assert_eq!(outcome.status, 0, "{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    let file = story.instance("dev").unwrap();
    let url = "\n  url: ssh://octocorp@octocorp.ghe.com/octo-org/demo\n";
    assert!(file.contains(url), "{file}");
    assert!(says_up(&story.status_comment()));
}
