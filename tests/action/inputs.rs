//! Every input does what `action.yml` says. `token` and `push-timeout` are in [`crate::git`], `allowed-permission` in
//! [`crate::person`], `allow-forks` in [`crate::deploy`], `dry-run` in [`crate::dry_run`], `ttl` in [`crate::lifetime`],
//! `max-environments` in [`crate::limit`], `label` in [`crate::label`].

use crate::story::{REVIEWER, Story, ending, says_up, succeed};

/// Deploys with one input set, and gives back the manifest.
fn deployed_with(input: &str, value: &str) -> String {
    let story = Story::new();
    let outcome = succeed(&story.deploy().input(input, value));
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    story
        .repository
        .read("main", &outcome.outputs["manifest"])
        .unwrap()
}

#[test]
fn deploy_command_and_destroy_command_are_other_words() {
    let story = Story::new();
    let words = |job: local_github::Job| {
        job.input("deploy-command", "!up")
            .input("destroy-command", "!down")
    };

    let (job, _) = story.commented(REVIEWER, "!up");
    assert_eq!(
        ending(&succeed(&words(job))),
        ("create", "deploy-command", "true")
    );
    assert!(
        story
            .status_comment()
            .contains("To destroy it, comment `!down`")
    );

    let (job, _) = story.commented(REVIEWER, "/destroy-ephemeral");
    assert_eq!(
        ending(&succeed(&words(job))),
        ("none", "not-a-command", "false")
    );

    let (job, _) = story.commented(REVIEWER, "!down");
    assert_eq!(
        ending(&succeed(&words(job))),
        ("destroy", "destroy-command", "true")
    );
}

#[test]
fn branch_is_committed_to() {
    let story = Story::new();
    story.repository.create_branch("environments", "main");

    let outcome = succeed(&story.deploy().input("branch", "environments"));

    assert_eq!(
        outcome.outputs["commit"],
        story.repository.tip("environments").unwrap()
    );
    assert!(
        story
            .repository
            .read("environments", &Story::path("dev"))
            .is_some()
    );
    assert_eq!(story.landed(), []);
    assert!(story.status_comment().contains("Flux polls `environments`"));
}

#[test]
fn instances_path_is_written_to() {
    let story = Story::new();

    let outcome = succeed(
        &story
            .deploy()
            .input("instances-path", "./clusters/previews/"),
    );

    assert_eq!(
        outcome.outputs["manifest"],
        "clusters/previews/sync-dev.yaml"
    );
    assert_eq!(
        story.landed()[0].1,
        [('A', "clusters/previews/sync-dev.yaml".to_owned())]
    );
    assert!(outcome.stdout.contains(
        "::warning title=flux-ephemeral-env::`clusters/previews` did not exist on `main`"
    ));
}

#[test]
fn overlay_path_is_applied() {
    let manifest = deployed_with("overlay-path", "deploy/preview/");
    assert!(
        manifest.contains("  path: ./deploy/preview\n"),
        "{manifest}"
    );
}

#[test]
fn flux_namespace_is_both_objects_namespace() {
    let manifest = deployed_with("flux-namespace", "gitops");
    assert_eq!(
        manifest.matches("\n  namespace: gitops\n").count(),
        2,
        "{manifest}"
    );
}

#[test]
fn repository_url_is_what_flux_clones() {
    let manifest = deployed_with("repository-url", "https://github.com/octo-org/demo");
    assert!(
        manifest.contains("  url: https://github.com/octo-org/demo\n"),
        "{manifest}"
    );
}

#[test]
fn secret_ref_is_named_or_left_out() {
    let manifest = deployed_with("secret-ref", "deploy-key");
    assert!(
        manifest.contains("  secretRef:\n    name: deploy-key\n"),
        "{manifest}"
    );
    let manifest = deployed_with("secret-ref", "");
    assert!(!manifest.contains("secretRef"), "{manifest}");
}

#[test]
fn interval_is_the_git_repositorys() {
    let manifest = deployed_with("interval", "15s");
    assert!(
        manifest.contains("\nspec:\n  interval: 15s\n  url: "),
        "{manifest}"
    );
    assert!(
        manifest.contains("\nspec:\n  interval: 10m0s\n  retryInterval: "),
        "{manifest}"
    );
}

#[test]
fn timeout_is_the_kustomizations() {
    let manifest = deployed_with("timeout", "1h30m");
    assert!(manifest.contains("  timeout: 1h30m\n"), "{manifest}");
}

#[test]
fn namespace_prefix_is_in_front_of_the_namespace_alone() {
    let story = Story::new();

    let outcome = succeed(&story.deploy().input("namespace-prefix", "preview-"));

    assert_eq!(outcome.outputs["name"], "dev");
    assert_eq!(outcome.outputs["namespace"], "preview-dev");
    let manifest = story.instance("dev").unwrap();
    assert!(
        manifest.contains("      BRANCH_NAME: preview-dev\n"),
        "{manifest}"
    );
    assert!(
        manifest.contains("      EPHEMERAL_NAME: dev\n"),
        "{manifest}"
    );
    assert!(manifest.contains("  name: ephemeral-dev\n"), "{manifest}");
}

#[test]
fn protected_namespaces_are_globs() {
    for (globs, may) in [("prod*,de?", false), ("prod*, d", true), ("*", false)] {
        let story = Story::new();
        let outcome = succeed(&story.deploy().input("protected-namespaces", globs));
        let decision = if may { "create" } else { "refuse" };
        assert_eq!(ending(&outcome).0, decision, "{globs}");
    }
}

#[test]
fn track_commit_pins_the_head() {
    let story = Story::new();
    succeed(&story.deploy().input("track", "commit"));

    let manifest = story.instance("dev").unwrap();
    let pinned = format!(
        "  ref:\n    branch: dev\n    commit: {}\n  secretRef:\n",
        story.head()
    );
    assert!(manifest.contains(&pinned), "{manifest}");
    assert!(story.status_comment().contains(
        "The environment stays on this commit. To move it to the newest one, comment `/deploy-ephemeral`."
    ));
}

#[test]
fn substitute_adds_variables() {
    let manifest = deployed_with(
        "substitute",
        "HOST=example.com\n\n  DEBUG=on  \nEMPTY=\nURL=a=b\nON=1\n",
    );
    let variables = manifest.split_once("    substitute:\n").unwrap().1;
    let lines: Vec<&str> = variables
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("COMMIT"))
        .collect();
    assert_eq!(
        lines,
        [
            "BRANCH_NAME: dev",
            "DEBUG: \"on\"",
            "EMPTY: \"\"",
            "EPHEMERAL_NAME: dev",
            "HOST: example.com",
            "\"ON\": \"1\"",
            "PULL_REQUEST: \"1\"",
            "URL: a=b",
            "quote: '\"'",
        ]
    );
}

#[test]
fn environment_url_is_told() {
    let story = Story::new();
    let template = "https://{namespace}.example.com/{name}?pr={number}";

    let outcome = succeed(
        &story
            .deploy()
            .input("namespace-prefix", "p-")
            .input("environment-url", template),
    );

    let url = "https://p-dev.example.com/dev?pr=1";
    assert_eq!(outcome.outputs["environment-url"], url);
    assert!(story.status_comment().contains(&format!("(<{url}>)")));
}

#[test]
fn blanks_and_characters_that_nobody_sees_are_blanks_and_nothing() {
    let story = Story::new();
    let head = story.head();
    for (command, reason) in [
        (format!("/deploy-ephemeral\u{a0}{head}"), "deploy-command"),
        (
            format!("/deploy-ephemeral {head}\u{202f}ttl=1h"),
            "deploy-command",
        ),
        (
            format!("/deploy-ephemeral\u{3000}{head}\u{200b}"),
            "deploy-command",
        ),
        ("/deploy-ephemeral\u{200c}".to_owned(), "deploy-command"),
        ("\u{feff}/deploy-ephemeral".to_owned(), "deploy-command"),
        ("/destroy-ephemeral\u{2060}".to_owned(), "destroy-command"),
        ("/destroy-ephemeral\u{200d} ".to_owned(), "destroy-command"),
        ("/deploy-ephemeral\u{a0}now".to_owned(), "unknown-argument"),
        ("\u{200b}    /deploy-ephemeral".to_owned(), "not-a-command"),
        ("> \u{a0}/deploy-ephemeral".to_owned(), "not-a-command"),
    ] {
        let (job, _) = story.commented(REVIEWER, &command);
        assert_eq!(ending(&succeed(&job)).1, reason, "{command:?}");
    }
    let (job, _) = story.commented(REVIEWER, "/up\u{a0}");
    let job = job.input("deploy-command", "/up\u{200b}");
    assert_eq!(ending(&succeed(&job)).0, "create");
    assert!(says_up(&story.status_comment()));
}
