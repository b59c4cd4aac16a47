//! Whatever the workspace has checked out, the commit goes onto the remote tip.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use local_github::{Fault, LocalGitHub, Repository, temporary_directory};
use tempfile::TempDir;

use crate::story::{
    INSTANCES, Story, annotation, annotations, ending, finish, says_up, start, succeed,
};

const PUSH: &str = "/octo-org/demo/git-receive-pack";

/// A checkout of the story's repository.
fn checkout(story: &Story, args: &[&str]) -> TempDir {
    let workspace = temporary_directory();
    story.repository.checkout(workspace.path(), args);
    workspace
}

fn make_pipe(place: &Path) {
    let made = Command::new("mkfifo").arg(place).status().unwrap();
    assert!(made.success(), "{}", place.display());
}

/// `git` in a workspace, whoever it belongs to.
fn git(workspace: &Path, args: &[&str]) -> String {
    local_github::git(workspace, &[&["-c", "safe.directory=*"], args].concat())
}

/// Every file below a directory with its content, and its `.git` too.
fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut contents = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                contents.push((
                    path.to_string_lossy().into_owned(),
                    fs::read(&path).unwrap(),
                ));
            }
        }
    }
    contents.sort();
    contents
}

/// Deploys with this workspace; one commit lands, onto the remote tip.
fn deploy(story: &Story, workspace: &Path) {
    let before = story.landed().len();
    let tip = story.repository.tip("main").unwrap();
    let outcome = succeed(&story.deploy().workspace(workspace));
    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert!(!outcome.stdout.contains("::warning"), "{}", outcome.stdout);
    let landed = story.landed().len() - before;
    let log = story.repository.log("main");
    assert_eq!(log[landed - 1].parents, [tip]);
    assert!(landed == 1 || log[1].message == "Somebody was faster");
}

/// Somebody else lands a commit just before our push.
fn lose_a_race(story: &Story) {
    let repository = story.repository.clone();
    let push = Fault::on("POST", PUSH);
    story.github.fault(push.run(move |_| {
        repository.commit(
            "main",
            &[("faster.txt", Some("x\n"))],
            "Somebody was faster",
        );
    }));
}

/// The checkout is at the remote tip with nothing to commit.
fn assert_followed(story: &Story, workspace: &Path) {
    assert_eq!(
        git(workspace, &["rev-parse", "HEAD"]),
        story.repository.tip("main").unwrap()
    );
    assert_eq!(git(workspace, &["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(git(workspace, &["status", "--porcelain"]), "");
    git(workspace, &["fsck", "--no-dangling"]);
    let file = workspace.join(Story::path("dev"));
    assert_eq!(
        fs::read_to_string(file).unwrap(),
        story.instance("dev").unwrap()
    );
}

#[test]
fn a_full_clone_follows() {
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    deploy(&story, workspace.path());
    assert_followed(&story, workspace.path());
    assert_eq!(
        git(workspace.path(), &["rev-parse", "--is-shallow-repository"]),
        "false"
    );

    succeed(&story.destroy().workspace(workspace.path()));
    assert_eq!(git(workspace.path(), &["status", "--porcelain"]), "");
    assert!(!workspace.path().join(Story::path("dev")).exists());
}

#[test]
fn a_shallow_clone_follows_and_stays_shallow() {
    let story = Story::new();
    story
        .repository
        .commit("main", &[("more.txt", Some("x\n"))], "More history");
    let workspace = checkout(&story, &["--depth", "1"]);
    deploy(&story, workspace.path());
    assert_followed(&story, workspace.path());
    assert_eq!(git(workspace.path(), &["rev-list", "--count", "HEAD"]), "2");
}

#[test]
fn a_clone_that_is_behind_follows_everything() {
    for args in [&[][..], &["--depth", "1"]] {
        let story = Story::new();
        story
            .repository
            .commit("main", &[("more.txt", Some("x\n"))], "More history");
        let workspace = checkout(&story, args);
        story.repository.commit(
            "main",
            &[("later.txt", Some("x\n")), ("README.md", None)],
            "Later",
        );
        story
            .repository
            .commit("main", &[("later.txt", Some("y\n"))], "Later still");
        lose_a_race(&story);
        deploy(&story, workspace.path());
        assert_followed(&story, workspace.path());
        assert_eq!(
            fs::read_to_string(workspace.path().join("later.txt")).unwrap(),
            "y\n"
        );
    }
}

#[test]
fn uncommitted_work_stays_as_it_is() {
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    let root = workspace.path();
    fs::write(root.join("README.md"), "mine\n").unwrap();
    fs::write(root.join("staged.txt"), "mine\n").unwrap();
    git(root, &["add", "staged.txt"]);
    fs::write(root.join("untracked.txt"), "mine\n").unwrap();
    let status = git(root, &["status", "--porcelain"]);
    story.repository.commit(
        "main",
        &[("README.md", Some("theirs\n"))],
        "Change the same file",
    );

    deploy(&story, root);

    for file in ["README.md", "staged.txt", "untracked.txt"] {
        assert_eq!(fs::read_to_string(root.join(file)).unwrap(), "mine\n");
    }
    assert_eq!(
        git(root, &["rev-parse", "HEAD"]),
        story.repository.tip("main").unwrap()
    );
    assert!(root.join(Story::path("dev")).exists());
    assert_eq!(git(root, &["status", "--porcelain"]), status);
}

#[test]
fn what_the_checkout_leaves_alone_is_not_brought_back_by_the_next_commit() {
    let theirs = [
        ("changed.txt", Some("theirs\n")),
        ("deleted.txt", Some("theirs\n")),
        ("removed.txt", None),
        ("added.txt", Some("theirs\n")),
        ("sparse/outside.txt", Some("theirs\n")),
    ];
    let story = Story::new();
    let before = [
        "changed.txt",
        "deleted.txt",
        "removed.txt",
        "sparse/outside.txt",
    ];
    let before = before.map(|path| (path, Some("before\n")));
    story.repository.commit("main", &before, "Before");
    let workspace = checkout(&story, &["--depth", "1"]);
    let root = workspace.path();
    git(root, &["sparse-checkout", "set", "k8s"]);
    for path in ["changed.txt", "removed.txt", "added.txt"] {
        fs::write(root.join(path), "mine\n").unwrap();
    }
    fs::remove_file(root.join("deleted.txt")).unwrap();
    story.repository.commit("main", &theirs, "Theirs");

    deploy(&story, root);
    succeed(&story.deploy().input("interval", "2m0s").workspace(root));

    assert_eq!(git(root, &["diff", "--cached", "--stat"]), "");
    assert_eq!(
        git(root, &["rev-parse", "HEAD"]),
        story.repository.tip("main").unwrap()
    );
    assert_eq!(
        git(root, &["status", "--porcelain"]),
        " M added.txt\n M changed.txt\n D deleted.txt\n?? removed.txt"
    );
    let flags = git(root, &["ls-files", "-t", "sparse"]);
    assert_eq!(flags, "S sparse/outside.txt");
    for path in ["changed.txt", "removed.txt", "added.txt"] {
        assert_eq!(fs::read_to_string(root.join(path)).unwrap(), "mine\n");
    }
}

#[test]
fn a_checkout_that_does_not_come_to_an_end_keeps_nobody_from_being_told() {
    thread::scope(|scope| {
        for is_closed in [false, true] {
            scope.spawn(move || {
                let story = Story::waiting();
                let workspace = checkout(&story, &[]);
                let gate = story.gate(Fault::on("POST", PUSH));
                let running = start(&story.deploy().workspace(workspace.path()));
                gate.wait();
                // Nobody writes into it, so whoever reads it waits for ever.
                let config = workspace.path().join(".git/config");
                fs::remove_file(&config).unwrap();
                make_pipe(&config);
                if is_closed {
                    story.github.close_pull_request(story.number);
                }
                gate.open();

                let outcome = finish(running);

                assert!(outcome.duration.as_secs() < 60, "{:?}", outcome.duration);
                assert_eq!(outcome.outputs["changed"], "true");
                let tip = story.repository.tip("main");
                assert_eq!(Some(&outcome.outputs["commit"]), tip.as_ref());
                let told = story.status_comment();
                assert_eq!(
                    annotation(&outcome, "warning"),
                    "the change is pushed, but the checkout could not follow it: it takes longer than 20 s"
                );
                if is_closed {
                    assert_eq!(story.instances(), [] as [String; 0]);
                    assert!(told.contains("The pull request is closed."), "{told}");
                } else {
                    assert_eq!(story.instances(), [Story::path("dev")]);
                    assert!(says_up(&told), "{told}");
                }
            });
        }
    });
}

#[test]
fn another_branch_is_left_alone() {
    let story = Story::new();
    let workspace = checkout(&story, &["--branch", "dev"]);
    let before = contents(workspace.path());
    deploy(&story, workspace.path());
    assert_eq!(contents(workspace.path()), before);
}

/// The target branch has something large, far back, and a branch that begins before its tip. Gives what is large.
fn with_large_history(story: &Story, generations: usize) -> String {
    let files: Vec<(String, String)> = (0..12_000)
        .map(|index| (format!("large/{index}.txt"), format!("{index}\n")))
        .collect();
    let added: Vec<_> = files
        .iter()
        .map(|(path, text)| (path.as_str(), Some(text.as_str())))
        .collect();
    let removed: Vec<_> = files
        .iter()
        .map(|(path, _)| (path.as_str(), None))
        .collect();
    let change = |branch: &str, text: &str| {
        let change = [("later.txt", Some(text))];
        story.repository.commit(branch, &change, "Later");
    };
    let large = story.repository.commit("main", &added, "Large");
    story.repository.commit("main", &removed, "No more");
    for index in 0..generations {
        change("main", &format!("{index}\n"));
    }
    story.repository.create_branch("topic", "main");
    change("topic", "topic\n");
    change("main", "main\n");
    large
}

/// Merges a branch into the target branch, which keeps its files.
fn merge(repository: &Repository, branch: &str) {
    let tree = repository.git(&["rev-parse", "main^{tree}"]);
    let parents = ["-p", "refs/heads/main", "-p", branch, "-m", "Merge"];
    let commit = repository.git(&[&["commit-tree", &tree], &parents[..]].concat());
    repository.force_branch("main", &commit);
}

#[test]
fn a_merge_brings_no_whole_history_into_a_shallow_checkout() {
    // Where what is asked for instead is as large, it has to be.
    for (generations, is_whole) in [(60, false), (10, true)] {
        let story = Story::new();
        let large = with_large_history(&story, generations);
        let workspace = checkout(&story, &["--depth", "1"]);
        let root = workspace.path();
        merge(&story.repository, "topic");
        lose_a_race(&story);

        deploy(&story, root);

        assert_followed(&story, root);
        let all = [
            "cat-file",
            "--batch-all-objects",
            "--batch-check=%(objectname)",
        ];
        assert_eq!(git(root, &all).contains(&large), is_whole, "{generations}");
        // And it goes on from there.
        story
            .repository
            .commit("main", &[("later.txt", Some("x\n"))], "Later");
        succeed(&story.deploy().input("interval", "2m0s").workspace(root));
        assert_followed(&story, root);
    }
}

#[test]
fn what_somebody_staged_stays_staged() {
    let theirs = [
        ("changed.txt", Some("theirs\n")),
        ("removed.txt", Some("theirs\n")),
        ("a", Some("theirs\n")),
    ];
    let story = Story::new();
    let before = ["changed.txt", "removed.txt"].map(|path| (path, Some("before\n")));
    story.repository.commit("main", &before, "Before");
    let workspace = checkout(&story, &[]);
    let root = workspace.path();
    fs::write(root.join("changed.txt"), "mine\n").unwrap();
    fs::create_dir(root.join("a")).unwrap();
    fs::write(root.join("a/b"), "mine\n").unwrap();
    git(root, &["add", "changed.txt", "a/b"]);
    fs::write(root.join("changed.txt"), "before\n").unwrap();
    git(root, &["rm", "--quiet", "--cached", "removed.txt"]);
    story.repository.commit("main", &theirs, "Theirs");

    deploy(&story, root);

    assert_eq!(
        git(root, &["rev-parse", "HEAD"]),
        story.repository.tip("main").unwrap()
    );
    let staged = git(
        root,
        &["ls-files", "--stage", "changed.txt", "removed.txt", "a"],
    );
    let mine = git(root, &["hash-object", "a/b"]);
    assert_eq!(
        staged,
        format!("100644 {mine} 0\ta/b\n100644 {mine} 0\tchanged.txt")
    );
}

#[test]
fn a_race_that_is_lost_to_a_merge_is_pushed_again_without_its_history() {
    let story = Story::new();
    with_large_history(&story, 60);
    let repository = story.repository.clone();
    let push = Fault::on("POST", PUSH);
    story
        .github
        .fault(push.run(move |_| merge(&repository, "topic")));
    let places = temporary_directory();
    let gate = story.gate(Fault::on("POST", PUSH));
    let job = story.deploy().temporary(places.path());
    let running = start(&job);
    gate.wait();
    let ours = fs::read_dir(places.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let counted = git(&ours.path(), &["count-objects", "-v"]);
    gate.open();

    finish(running);

    assert_eq!(story.instances(), [Story::path("dev")]);
    let packed = counted
        .lines()
        .find_map(|line| line.strip_prefix("in-pack: "));
    let packed: usize = packed.unwrap().parse().unwrap();
    assert!(packed < 10_000, "{counted}");
}

#[test]
fn a_detached_head_is_left_alone() {
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    git(workspace.path(), &["checkout", "--quiet", "--detach"]);
    let before = contents(workspace.path());
    deploy(&story, workspace.path());
    assert_eq!(contents(workspace.path()), before);
}

#[test]
fn a_pull_requests_merge_commit_is_left_alone() {
    let story = Story::new();
    let workspace = temporary_directory();
    let reference = format!("refs/pull/{}/merge", story.number);
    story
        .repository
        .checkout_reference(workspace.path(), &reference);
    story
        .repository
        .commit("main", &[("later.txt", Some("x\n"))], "Later");
    let before = contents(workspace.path());
    lose_a_race(&story);
    deploy(&story, workspace.path());
    assert_eq!(contents(workspace.path()), before);
}

#[test]
fn a_partial_clone_is_as_good_as_any() {
    for filter in ["blob:none", "tree:0"] {
        let story = Story::new();
        let other = Story::path("other");
        story.repository.commit(
            "main",
            &[(&other, Some("kind: ConfigMap\n"))],
            "A file that the clone does not have",
        );
        let workspace = checkout(&story, &["--no-checkout", "--filter", filter]);
        deploy(&story, workspace.path());
        assert_eq!(story.instances().len(), 2);
    }
}

#[test]
fn no_checkout_at_all_is_fine() {
    let story = Story::new();
    let workspace = temporary_directory();
    deploy(&story, workspace.path());
    assert_eq!(fs::read_dir(workspace.path()).unwrap().count(), 0);

    let story = Story::new();
    assert_eq!(
        ending(&succeed(&story.deploy().without_env("GITHUB_WORKSPACE"))).0,
        "create"
    );
}

/// Somebody else than root.
const SOMEBODY: (u32, u32) = (4321, 1234);

/// Gives everything below a directory, and it, to somebody.
fn give_away(directory: &Path) {
    lchown(directory, Some(SOMEBODY.0), Some(SOMEBODY.1)).unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            give_away(&entry.path());
        } else {
            lchown(entry.path(), Some(SOMEBODY.0), Some(SOMEBODY.1)).unwrap();
        }
    }
}

fn assert_theirs(workspace: &Path) {
    for (path, _) in contents(workspace) {
        let parts = Path::new(&path).ancestors();
        for part in parts.take_while(|part| part.starts_with(workspace)) {
            let metadata = fs::symlink_metadata(part).unwrap();
            let owner = (metadata.uid(), metadata.gid());
            assert_eq!(owner, SOMEBODY, "{}", part.display());
        }
    }
}

#[test]
fn a_checkout_that_cannot_follow_is_given_back_all_the_same() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        // Only root can give files away, and only root needs to give them back.
        return;
    }
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    fs::write(workspace.path().join(".git/refs/heads/main.lock"), "").unwrap();
    give_away(workspace.path());

    let outcome = succeed(&story.deploy().workspace(workspace.path()));

    assert!(
        outcome.stdout.contains("could not follow"),
        "{}",
        outcome.stdout
    );
    // What it got to write by then.
    assert!(workspace.path().join(Story::path("dev")).exists());
    assert_theirs(workspace.path());
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn a_pipe_in_the_checkout_is_not_waited_for() {
    for place in [
        "config",
        "shallow",
        "objects/info/alternates",
        "objects/pack/pack-x.idx",
        "refs/heads/other",
        "packed-refs",
        "info/attributes",
        "../.gitattributes",
        "../k8s/.gitattributes",
        "../.gitignore",
        "../k8s/app/.gitignore",
        "../k8s/app/overlays/ephemeral-instances/sync-dev.yaml",
    ] {
        let story = Story::new();
        let workspace = checkout(&story, &[]);
        let pipe = workspace.path().join(".git").join(place);
        // An index is read where there is a pack beside it.
        fs::write(workspace.path().join(".git/objects/pack/pack-x.pack"), "").unwrap();
        fs::create_dir_all(pipe.parent().unwrap()).unwrap();
        // The attributes are no file of this repository, the others may be.
        let _ = fs::remove_file(&pipe);
        make_pipe(&pipe);

        let outcome = succeed(&story.deploy().workspace(workspace.path()));

        assert_eq!(
            ending(&outcome),
            ("create", "deploy-command", "true"),
            "{place}"
        );
        assert!(
            outcome.duration.as_secs() < 15,
            "{place}: {:?}",
            outcome.duration
        );
        assert_eq!(story.landed().len(), 1, "{place}");
    }
}

#[test]
fn a_pipe_behind_a_link_in_the_checkout_is_not_waited_for() {
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    let elsewhere = workspace.path().join("elsewhere");
    let packs = workspace.path().join(".git/objects/pack");
    fs::rename(&packs, &elsewhere).unwrap();
    std::os::unix::fs::symlink("../../elsewhere", &packs).unwrap();
    fs::write(elsewhere.join("pack-x.pack"), "").unwrap();
    let pipe = elsewhere.join("pack-x.idx");
    make_pipe(&pipe);

    let outcome = succeed(&story.deploy().workspace(workspace.path()));

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn a_sparse_checkout_that_is_behind_is_no_hindrance() {
    let story = Story::new();
    let lines = |changed: usize| {
        let line = |index: usize| {
            let changed = if index == changed { " changed" } else { "" };
            format!("line {index} {}{changed}\n", index * 7919 % 104_729)
        };
        (0..4_000).map(line).collect::<String>()
    };
    let commit = |text: String| {
        let change = [("app/long.txt", Some(text.as_str()))];
        story.repository.commit("main", &change, "Change the app");
    };
    commit(lines(5_000));
    let workspace = checkout(
        &story,
        &["--depth", "1", "--filter", "blob:none", "--no-checkout"],
    );
    git(workspace.path(), &["sparse-checkout", "set", ".github"]);
    // The server sends it as a difference to what it thinks is there.
    commit(lines(2_000));

    let outcome = succeed(&story.deploy().workspace(workspace.path()));

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(story.instances(), [Story::path("dev")]);
    let fetches = story.requests()["GET /info/refs"];
    assert!(
        fetches <= 5,
        "{fetches} requests: it is not tried again with the same checkout"
    );
}

#[test]
fn another_users_workspace_stays_theirs() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        // Only root can give files away, and only root needs to give them back.
        return;
    }
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    story
        .repository
        .commit("main", &[("new/directory/file.txt", Some("x\n"))], "Later");
    give_away(workspace.path());

    deploy(&story, workspace.path());

    assert_theirs(workspace.path());
    assert_followed(&story, workspace.path());
}

/// Writes an executable script.
fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    local_github::script(path, &format!("#!/bin/sh\n{text}\n"));
}

#[test]
fn what_a_pull_request_wrote_into_the_checkout_has_no_say() {
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    let root = workspace.path();
    // A server that would note whatever is sent to it, and a program that would say that it ran.
    let elsewhere = LocalGitHub::start();
    let outside = temporary_directory();
    let canary = outside.path().join("ran");
    let program = outside.path().join("program");
    script(&program, &format!("touch {}\nexit 1", canary.display()));
    let program = program.to_str().unwrap();
    let (ours, theirs) = (story.github.server_url(), elsewhere.server_url());

    let rewrite = |kind: &str, from: &str| (format!("url.{theirs}/.{kind}"), from.to_owned());
    let own = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let included = root.join(".git/included");
    fs::write(
        &included,
        format!("[url \"{theirs}/\"]\n\tinsteadOf = {ours}/\n[core]\n\tsshCommand = {program}\n"),
    )
    .unwrap();
    let settings = [
        rewrite("insteadOf", &ours),
        rewrite("insteadOf", "http"),
        rewrite("pushInsteadOf", &ours),
        own("remote.origin.url", &theirs),
        own("remote.origin.pushurl", &theirs),
        own("remote.pushDefault", &theirs),
        own("branch.main.pushRemote", &theirs),
        own("http.proxy", &theirs),
        (format!("http.{ours}/.proxy"), theirs.clone()),
        own("http.extraHeader", "Authorization: Basic dGhlaXJz"),
        own("http.followRedirects", "true"),
        own("http.sslVerify", "false"),
        own("credential.helper", program),
        own("core.askPass", program),
        own("core.fsmonitor", program),
        own("core.sshCommand", program),
        own("core.gitProxy", program),
        own("core.pager", program),
        own("core.editor", program),
        own("core.alternateRefsCommand", program),
        own("core.hooksPath", "hooks"),
        own("core.autocrlf", "true"),
        own("core.symlinks", "false"),
        own("filter.x.clean", program),
        own("filter.x.smudge", program),
        own("filter.x.process", program),
        own("filter.x.required", "true"),
        own("diff.external", program),
        own("merge.x.driver", program),
        own("gpg.program", program),
        own("commit.gpgSign", "true"),
        own("push.gpgSign", "true"),
        own("user.name", "mallory"),
        own("transfer.fsckObjects", "true"),
        own("include.path", included.to_str().unwrap()),
    ];
    for (key, value) in settings {
        git(root, &["config", "--add", &key, &value]);
    }
    for hook in [
        "pre-push",
        "pre-commit",
        "commit-msg",
        "post-commit",
        "post-checkout",
        "post-index-change",
        "post-merge",
        "reference-transaction",
        "update",
        "pre-receive",
        "post-receive",
    ] {
        for directory in [".git/hooks", "hooks"] {
            script(&root.join(directory).join(hook), program);
        }
    }
    for file in [".gitattributes", ".git/info/attributes"] {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), "* filter=x diff=x merge=x text\n").unwrap();
    }
    // Objects of somebody else's.
    let objects = outside.path().join("objects");
    fs::create_dir_all(objects.join("pack")).unwrap();
    fs::create_dir_all(objects.join("info")).unwrap();
    let alternates = format!("{}\n/nonexistent\n", objects.display());
    fs::write(root.join(".git/objects/info/alternates"), alternates).unwrap();
    let before = contents(outside.path());

    deploy(&story, root);

    assert_eq!(elsewhere.requests().len(), 0);
    assert!(!canary.exists());
    assert_eq!(contents(outside.path()), before);
    assert_eq!(
        fs::read_to_string(root.join(Story::path("dev"))).unwrap(),
        story.instance("dev").unwrap()
    );
    let log = story.repository.log("main");
    assert_eq!(log[0].changes, [('A', Story::path("dev"))]);
    assert!(log[0].author.starts_with("github-actions[bot] "));
}

/// A change with this workspace lands; nothing is written outside of it.
fn change_beside(story: &Story, workspace: &Path, outside: &Path, what: &str) {
    let before = contents(outside);
    let is_there = story.instance("dev").is_some();
    let (job, change) = if is_there {
        (story.destroy(), 'D')
    } else {
        (story.deploy(), 'A')
    };
    let tip = story.repository.tip("main").unwrap();

    let outcome = succeed(&job.workspace(workspace));

    assert_eq!(ending(&outcome).2, "true", "{what}: {}", outcome.stdout);
    let log = story.repository.log("main");
    assert_eq!(log[0].parents, [tip], "{what}");
    assert_eq!(log[0].changes, [(change, Story::path("dev"))], "{what}");
    assert!(
        contents(outside) == before,
        "{what}: something was written outside"
    );
}

#[test]
fn a_link_in_the_checkout_is_not_written_through() {
    let story = Story::new();
    for path in ["k8s", "k8s/app/overlays", INSTANCES] {
        let workspace = checkout(&story, &[]);
        let outside = temporary_directory();
        let (link, target) = (workspace.path().join(path), outside.path().join("target"));
        fs::rename(&link, &target).unwrap();
        symlink(&target, &link).unwrap();
        change_beside(&story, workspace.path(), outside.path(), path);
    }
    // The file itself.
    for is_dangling in [false, true] {
        let workspace = checkout(&story, &[]);
        let outside = temporary_directory();
        let target = outside.path().join("target");
        if !is_dangling {
            fs::write(&target, "mine\n").unwrap();
        }
        let link = workspace.path().join(Story::path("dev"));
        // It is there where the last change deployed.
        let _ = fs::remove_file(&link);
        symlink(&target, &link).unwrap();
        change_beside(&story, workspace.path(), outside.path(), "the file");
        assert_eq!(fs::read_link(&link).unwrap(), target);
    }
}

#[test]
fn what_comes_to_be_behind_a_link_is_given_to_nobody() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        // Only root gives files away.
        return;
    }
    let story = Story::new();
    let outside = temporary_directory();
    let file = outside.path().join("f");
    fs::write(&file, "root's\n").unwrap();
    let target = outside.path().to_str();
    let files = [("a/f", Some("x\n")), ("target", target)];
    story.repository.commit("main", &files, "A directory");
    let workspace = checkout(&story, &[]);
    let root = workspace.path();
    give_away(root);
    story.plant("120000", "main:target", "a");

    deploy(&story, root);

    assert!(fs::symlink_metadata(root.join("a")).unwrap().is_symlink());
    assert_eq!(fs::metadata(&file).unwrap().uid(), 0);
}

#[test]
fn a_checkout_whose_git_is_elsewhere_is_left_alone() {
    let story = Story::new();
    let moved = |workspace: &Path, outside: &Path| {
        let git = outside.join("moved.git");
        fs::rename(workspace.join(".git"), &git).unwrap();
        git
    };
    type Turn<'a> = &'a dyn Fn(&Path, &Path);
    let turns: [(&str, Turn<'_>); 5] = [
        (".git is a file", &|workspace, outside| {
            let git = moved(workspace, outside);
            fs::write(
                workspace.join(".git"),
                format!("gitdir: {}\n", git.display()),
            )
            .unwrap();
        }),
        (".git is a link", &|workspace, outside| {
            let git = moved(workspace, outside);
            symlink(git, workspace.join(".git")).unwrap();
        }),
        ("commondir", &|workspace, outside| {
            let git = moved(workspace, outside);
            let own = workspace.join(".git");
            for directory in ["objects/info", "objects/pack", "refs", "logs"] {
                fs::create_dir_all(own.join(directory)).unwrap();
            }
            fs::copy(git.join("HEAD"), own.join("HEAD")).unwrap();
            fs::copy(git.join("index"), own.join("index")).unwrap();
            let objects = format!("{}\n", git.join("objects").display());
            fs::write(own.join("objects/info/alternates"), objects).unwrap();
            fs::write(own.join("commondir"), format!("{}\n", git.display())).unwrap();
            fs::write(own.join("gitdir"), format!("{}\n", own.display())).unwrap();
        }),
        ("core.worktree", &|workspace, outside| {
            git(
                workspace,
                &["config", "core.worktree", outside.to_str().unwrap()],
            );
        }),
        ("core.bare", &|workspace, _| {
            git(workspace, &["config", "core.bare", "true"]);
        }),
    ];
    for (what, turn) in turns {
        let workspace = checkout(&story, &[]);
        let outside = temporary_directory();
        turn(workspace.path(), outside.path());
        change_beside(&story, workspace.path(), outside.path(), what);
    }
}

#[test]
fn a_submodule_where_the_instances_are_is_not_written_into() {
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    let root = workspace.path();
    let outside = temporary_directory();
    let instances = root.join(INSTANCES);
    git(outside.path(), &["init", "--quiet", "theirs"]);
    fs::remove_dir_all(&instances).unwrap();
    fs::create_dir(&instances).unwrap();
    let theirs = outside.path().join("theirs/.git");
    fs::write(
        instances.join(".git"),
        format!("gitdir: {}\n", theirs.display()),
    )
    .unwrap();
    git(root, &["rm", "-r", "--quiet", "--cached", INSTANCES]);
    let entry = format!("160000,{},{INSTANCES}", story.head());
    git(root, &["update-index", "--add", "--cacheinfo", &entry]);

    change_beside(&story, root, outside.path(), "a submodule");
}

#[test]
fn commits_that_were_not_pushed_are_not_dropped() {
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    let root = workspace.path();
    fs::write(root.join("mine.txt"), "mine\n").unwrap();
    git(root, &["add", "mine.txt"]);
    git(root, &["commit", "--quiet", "--message", "Not pushed"]);
    let head = git(root, &["rev-parse", "HEAD"]);

    let outcome = succeed(&story.deploy().workspace(root));

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert!(
        outcome.stdout.contains(
            "the checkout could not follow it: the checkout has commits that are not on the remote branch"
        ),
        "{}",
        outcome.stdout
    );
    assert_eq!(git(root, &["rev-parse", "HEAD"]), head);
    assert_eq!(git(root, &["status", "--porcelain"]), "");
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn links_inside_of_git_are_not_written_through() {
    let story = Story::new();
    for path in [
        "HEAD",
        "index",
        "refs",
        "refs/heads",
        "refs/heads/main",
        "logs",
        "logs/HEAD",
        "logs/refs",
        "logs/refs/heads",
        "logs/refs/heads/main",
        "objects",
        "objects/pack",
        "packed-refs",
    ] {
        let workspace = checkout(&story, &[]);
        let outside = temporary_directory();
        let link = workspace.path().join(".git").join(path);
        let target = outside.path().join("target");
        fs::rename(&link, &target).unwrap();
        symlink(&target, &link).unwrap();
        change_beside(&story, workspace.path(), outside.path(), path);
    }
}

#[test]
fn a_file_that_is_outside_as_well_is_given_to_nobody() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        // Only root gives files away.
        return;
    }
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    let root = workspace.path();
    lchown(root, Some(4321), Some(1234)).unwrap();
    let outside = TempDir::new_in(root.parent().unwrap()).unwrap();
    let file = outside.path().join("roots");
    fs::write(&file, "root's\n").unwrap();
    for path in ["refs/roots", "logs/roots", "objects/pack/roots"] {
        fs::hard_link(&file, root.join(".git").join(path)).unwrap();
    }

    change_beside(&story, root, outside.path(), "hard links");

    assert_eq!(fs::metadata(&file).unwrap().uid(), 0);
    // The others are.
    assert_eq!(
        fs::metadata(root.join(".git/refs/heads/main"))
            .unwrap()
            .uid(),
        4321
    );
}

#[test]
fn a_broken_checkout_is_no_hindrance() {
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    let packs = workspace.path().join(".git/objects/pack");
    for entry in fs::read_dir(&packs).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "pack")
        {
            let mut pack = fs::read(&path).unwrap();
            let middle = pack.len() / 2;
            pack.iter_mut().skip(middle).for_each(|byte| *byte ^= 0xff);
            fs::remove_file(&path).unwrap();
            fs::write(&path, pack).unwrap();
        }
    }

    let outcome = succeed(&story.deploy().workspace(workspace.path()));

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(story.landed().len(), 1);
}

/// A kind of file that a workspace may hold otherwise than the commit does, and what others push of it.
struct Kind<'a> {
    name: &'static str,
    /// What the target branch holds before.
    before: &'a dyn Fn(&Path),
    /// What the workspace's own configuration says; its files are written anew after that.
    settings: &'static [(&'static str, &'static str)],
    /// What somebody does in the workspace before the run.
    meanwhile: &'a dyn Fn(&Path),
    /// What others push while the workspace is behind.
    theirs: &'a dyn Fn(&Path),
    /// The files that keep the checkout from following, as the warning names them.
    hindered: &'static [&'static str],
}

const FOLLOWS: &[&str] = &[];

/// Writes a file, and the directories on the way.
fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn chmod(root: &Path, path: &str, mode: u32) {
    fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
}

/// Removes a file or a directory.
fn remove(root: &Path, path: &str) {
    let path = root.join(path);
    if fs::symlink_metadata(&path).unwrap().is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

fn link(root: &Path, path: &str, target: &str) {
    if fs::symlink_metadata(root.join(path)).is_ok() {
        remove(root, path);
    }
    symlink(target, root.join(path)).unwrap();
}

/// Puts a submodule into the index of a checkout, which nobody has fetched.
fn submodule(root: &Path, path: &str, commit: char) {
    let entry = format!("160000,{},{path}", commit.to_string().repeat(40));
    git(root, &["update-index", "--add", "--cacheinfo", &entry]);
    fs::create_dir_all(root.join(path)).unwrap();
}

fn nothing(_: &Path) {}

/// Others push to the target branch, with Git's own means.
fn pushed_by_others(story: &Story, change: &dyn Fn(&Path)) -> String {
    let clone = TempDir::new().unwrap();
    let (root, origin) = (clone.path(), story.repository.git_dir());
    let origin = origin.to_str().unwrap();
    git(root, &["clone", "--quiet", "--branch", "main", origin, "."]);
    change(root);
    git(root, &["add", "--all"]);
    git(
        root,
        &["commit", "--quiet", "--allow-empty", "--message", "Others'"],
    );
    git(
        root,
        &["push", "--quiet", "origin", "HEAD:refs/heads/others"],
    );
    let commit = git(root, &["rev-parse", "HEAD"]);
    story.repository.force_branch("main", &commit);
    commit
}

/// Makes Git look at what is in the files, and not only at when they were written.
fn touch(root: &Path) {
    for file in git(root, &["ls-files", "-z"]).split_terminator('\0') {
        let file = root.join(file);
        if fs::symlink_metadata(&file).is_ok_and(|it| it.is_file()) {
            let file = fs::OpenOptions::new().append(true).open(file).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(60))
                .unwrap();
        }
    }
}

/// Runs the story of a kind; what is wrong at its end.
fn followed(kind: &Kind<'_>, is_old: bool) -> Vec<String> {
    let story = Story::new();
    pushed_by_others(&story, kind.before);
    let workspace = checkout(&story, &["--depth", "2"]);
    let root = workspace.path();
    for (key, value) in kind.settings {
        git(root, &["config", key, value]);
    }
    if !kind.settings.is_empty() {
        git(root, &["rm", "-r", "--quiet", "--force", "."]);
        git(root, &["reset", "--quiet", "--hard"]);
    }
    if is_old {
        // Git knows them by their times alone, as after some seconds.
        touch(root);
        git(root, &["update-index", "--really-refresh"]);
    }
    (kind.meanwhile)(root);
    let head = git(root, &["rev-parse", "HEAD"]);
    let status = git(root, &["status", "--porcelain"]);
    pushed_by_others(&story, kind.theirs);

    let outcome = succeed(&story.deploy().workspace(root));

    let mut wrong = Vec::new();
    let mut expect = |what: &str, is: &str, should_be: &str| {
        if is != should_be {
            wrong.push(format!(
                "{} (old: {is_old}): {what}: {is:?}, not {should_be:?}",
                kind.name
            ));
        }
    };
    let tip = story.repository.tip("main").unwrap();
    let warnings = annotations(&outcome, "warning").join("; ");
    let named: Vec<&str> = warnings.split('`').skip(1).step_by(2).collect();
    let named: Vec<&str> = named
        .into_iter()
        .filter(|name| *name != "git pull")
        .collect();
    expect("names", &named.join(" "), &kind.hindered.join(" "));
    expect(
        "has a warning",
        &(!warnings.is_empty()).to_string(),
        &(!kind.hindered.is_empty()).to_string(),
    );
    let is_behind = !kind.hindered.is_empty();
    expect(
        "HEAD",
        &git(root, &["rev-parse", "HEAD"]),
        if is_behind { &head } else { &tip },
    );
    expect("status", &git(root, &["status", "--porcelain"]), &status);
    touch(root);
    expect(
        "status of what is in the files",
        &git(root, &["status", "--porcelain"]),
        &status,
    );
    expect("diff", &git(root, &["diff", "HEAD", "--stat"]), "");
    // A later step.
    put(root, "later.txt", "later\n");
    git(root, &["add", "--all"]);
    git(root, &["commit", "--quiet", "--message", "A later step's"]);
    if is_behind {
        let origin = story.repository.git_dir();
        git(
            root,
            &[
                "pull",
                "--quiet",
                "--rebase",
                origin.to_str().unwrap(),
                "main",
            ],
        );
    }
    expect(
        "takes back",
        &git(root, &["diff", "--name-only", &tip, "HEAD"]),
        "later.txt",
    );
    wrong
}

fn all_followed(kinds: &[Kind<'_>]) {
    let wrong: Vec<String> = kinds
        .iter()
        .flat_map(|kind| [false, true].map(|is_old| followed(kind, is_old)))
        .flatten()
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A filter that turns letters round, and that would do so twice.
const ROT: &[(&str, &str)] = &[
    ("filter.rot.clean", "tr a-z n-za-m"),
    ("filter.rot.smudge", "tr a-z n-za-m"),
];

#[test]
fn a_file_with_a_filter_is_never_half_followed() {
    let attributes = "*.rot filter=rot\n*.latin working-tree-encoding=ISO-8859-1\n";
    let latin = |root: &Path, path: &str, text: &str| {
        let bytes: Vec<u8> = text.bytes().chain(*b" \xe4\n").collect();
        fs::write(root.join(path), bytes).unwrap();
    };
    let before = |root: &Path| {
        put(root, ".gitattributes", attributes);
        for path in ["a.rot", "gone.rot", "run.rot", "dir/x.rot", "b.txt"] {
            put(root, path, "before\n");
        }
        latin(root, "a.latin", "before");
        latin(root, "gone.latin", "before");
    };
    let follows = |name, settings, meanwhile, theirs| Kind {
        name,
        before: &before,
        settings,
        meanwhile,
        theirs,
        hindered: FOLLOWS,
    };
    let hindered = |name, settings, theirs, hindered| Kind {
        hindered,
        ..follows(name, settings, &nothing, theirs)
    };
    let changed = |root: &Path| {
        put(root, "a.rot", "theirs\n");
        chmod(root, "run.rot", 0o755);
        fs::rename(root.join("dir"), root.join("moved")).unwrap();
        put(root, "new.rot", "theirs\n");
        remove(root, "gone.rot");
        put(root, "b.txt", "theirs\n");
    };
    let encoded = |root: &Path| {
        latin(root, "a.latin", "theirs");
        latin(root, "new.latin", "theirs");
    };
    let removed = |root: &Path| {
        remove(root, "gone.rot");
        remove(root, "gone.latin");
        put(root, "b.txt", "theirs\n");
    };
    all_followed(&[
        hindered(
            "a filter",
            ROT,
            &changed,
            &["a.rot", "moved/x.rot", "new.rot", "run.rot"],
        ),
        hindered("an encoding", &[], &encoded, &["a.latin", "new.latin"]),
        follows("removed, and beside it", ROT, &nothing, &removed),
        follows("a filter without a driver", &[], &nothing, &changed),
        follows(
            "outside of a sparse checkout",
            ROT,
            &|root| {
                git(root, &["sparse-checkout", "set", "k8s"]);
            },
            &|root| put(root, "dir/x.rot", "theirs\n"),
        ),
        hindered(
            "a filter that goes with the commit",
            ROT,
            &|root| {
                put(root, ".gitattributes", &attributes.replace("filter=", "x="));
                put(root, "a.rot", "theirs\n");
            },
            &["a.rot"],
        ),
        Kind {
            before: &|root| put(root, "a.rot", "before\n"),
            ..hindered(
                "a filter that comes with the commit",
                ROT,
                &|root| {
                    put(root, ".gitattributes", attributes);
                    put(root, "new.rot", "theirs\n");
                },
                &["new.rot"],
            )
        },
        Kind {
            before: &nothing,
            ..hindered(
                "a filter that nothing is known of",
                &[],
                &|root| {
                    put(root, ".gitattributes", attributes);
                    put(root, "new.rot", "theirs\n");
                },
                &["new.rot"],
            )
        },
    ]);
}

#[test]
fn somebodys_change_of_a_file_with_a_filter_stays() {
    let story = Story::new();
    pushed_by_others(&story, &|root| {
        put(root, ".gitattributes", "*.rot filter=rot\n");
        put(root, "a.rot", "before\n");
    });
    let workspace = checkout(&story, &[]);
    let root = workspace.path();
    for (key, value) in ROT {
        git(root, &["config", key, value]);
    }
    put(root, "a.rot", "mine\n");
    let head = git(root, &["rev-parse", "HEAD"]);
    pushed_by_others(&story, &|root| put(root, "a.rot", "theirs\n"));

    let outcome = succeed(&story.deploy().workspace(root));

    assert_eq!(
        annotation(&outcome, "warning"),
        "the change is pushed, but the checkout could not follow it: only Git itself can write `a.rot` (a filter, an encoding \
         or a submodule); all of it stays at its old commit until a later step runs `git pull`"
    );
    assert_eq!(git(root, &["rev-parse", "HEAD"]), head);
    assert_eq!(git(root, &["status", "--porcelain"]), " M a.rot");
    assert_eq!(fs::read_to_string(root.join("a.rot")).unwrap(), "mine\n");
}

#[test]
fn a_file_that_git_is_told_not_to_look_at_stays() {
    let story = Story::new();
    let files = ["assumed.txt", "skipped.txt"];
    let before = files.map(|path| (path, Some("before\n")));
    story.repository.commit("main", &before, "Before");
    let workspace = checkout(&story, &[]);
    let root = workspace.path();
    for path in files {
        put(root, path, "mine\n");
    }
    git(root, &["update-index", "--assume-unchanged", files[0]]);
    git(root, &["update-index", "--skip-worktree", files[1]]);
    let theirs = files.map(|path| (path, Some("theirs\n")));
    story.repository.commit("main", &theirs, "Theirs");

    deploy(&story, root);

    for path in files {
        assert_eq!(fs::read_to_string(root.join(path)).unwrap(), "mine\n");
    }
    let tip = story.repository.tip("main").unwrap();
    assert_eq!(git(root, &["rev-parse", "HEAD"]), tip);
    assert_eq!(git(root, &["diff", "--cached", "--stat"]), "");
}

#[test]
fn the_ends_of_lines_and_idents_follow() {
    const ATTRIBUTES: &str = "crlf/* text eol=crlf\nlf/* text eol=lf\nauto/* text=auto\nident/* ident\n\
                              both/* ident eol=crlf\ntext/* text\n";
    let directories = ["crlf", "lf", "auto", "ident", "both", "text", "plain"];
    let write = |root: &Path, name: &str, text: &str| {
        for directory in directories {
            put(root, &format!("{directory}/{name}.txt"), text);
        }
        // What commits hold with CRLF already.
        for directory in ["auto", "plain"] {
            let text = text.replace('\n', "\r\n");
            put(root, &format!("{directory}/{name}.dos"), &text);
        }
    };
    let files = |root: &Path| {
        write(root, "a", "before $Id$\nmore\n");
        write(root, "gone", "before $Id$\nmore\n");
        git(root, &["add", "--all"]);
    };
    let before = |root: &Path| {
        files(root);
        put(root, ".gitattributes", ATTRIBUTES);
    };
    let theirs = |root: &Path| {
        write(root, "a", "theirs $Id$\nmore\n");
        write(root, "new", "theirs $Id$\nmore\n");
        for gone in git(root, &["ls-files", "*/gone.*"]).lines() {
            git(root, &["rm", "--quiet", "--force", gone]);
        }
    };
    // Only what is in a file tells whether somebody changed it.
    let touched = |root: &Path| {
        for directory in directories {
            for file in fs::read_dir(root.join(directory)).unwrap() {
                let file = file.unwrap().path();
                let file = fs::OpenOptions::new().append(true).open(file).unwrap();
                file.set_modified(SystemTime::now()).unwrap();
            }
        }
    };
    let kind = |name, settings, meanwhile, theirs| Kind {
        name,
        before: &before,
        settings,
        meanwhile,
        theirs,
        hindered: FOLLOWS,
    };
    all_followed(&[
        kind("attributes", &[], &nothing, &theirs),
        kind("attributes: touched", &[], &touched, &theirs),
        kind(
            "core.autocrlf=true",
            &[("core.autocrlf", "true")],
            &nothing,
            &theirs,
        ),
        kind(
            "core.autocrlf=true: touched",
            &[("core.autocrlf", "true")],
            &touched,
            &theirs,
        ),
        kind(
            "core.autocrlf=input",
            &[("core.autocrlf", "input")],
            &touched,
            &theirs,
        ),
        kind("core.eol=crlf", &[("core.eol", "crlf")], &touched, &theirs),
        Kind {
            before: &files,
            ..kind("attributes come", &[], &nothing, &|root| {
                put(root, ".gitattributes", ATTRIBUTES);
                theirs(root);
            })
        },
        kind("attributes go", &[], &nothing, &|root| {
            put(root, ".gitattributes", "");
            theirs(root);
        }),
        kind(
            "attributes come below, behind a file",
            &[],
            &nothing,
            &|root| {
                put(root, "new/-first.txt", "theirs\nmore\n");
                put(root, "new/.gitattributes", "*.txt text eol=crlf ident\n");
            },
        ),
    ]);
}

#[test]
fn modes_links_and_names_follow() {
    let before = |root: &Path| {
        for path in [
            "run.sh",
            "other.sh",
            "a.txt",
            "dir/x.txt",
            "dir/y.txt",
            "Name.txt",
        ] {
            put(root, path, "before\n");
        }
        chmod(root, "run.sh", 0o755);
        link(root, "link", "a.txt");
        link(root, "gone-link", "a.txt");
    };
    let modes = |root: &Path| {
        chmod(root, "run.sh", 0o644);
        chmod(root, "other.sh", 0o755);
        put(root, "new.sh", "theirs\n");
        chmod(root, "new.sh", 0o755);
    };
    let contents = |root: &Path| {
        put(root, "run.sh", "theirs\n");
        put(root, "other.sh", "theirs\n");
        put(root, "a.txt", "theirs\n");
        remove(root, "dir/x.txt");
    };
    let links = |root: &Path| {
        link(root, "link", "other.sh");
        link(root, "new-link", "other.sh");
        remove(root, "gone-link");
        link(root, "a.txt", "other.sh");
    };
    let file_for_link = |root: &Path| {
        remove(root, "link");
        put(root, "link", "theirs\n");
    };
    let renames = |root: &Path| {
        fs::rename(root.join("dir"), root.join("moved")).unwrap();
        fs::rename(root.join("Name.txt"), root.join("name.txt")).unwrap();
        remove(root, "a.txt");
        put(root, "a.txt/b.txt", "theirs\n");
    };
    let file_for_directory = |root: &Path| {
        remove(root, "dir");
        put(root, "dir", "theirs\n");
    };
    let others: &dyn Fn(&Path) = &|root| {
        // As a file system that knows of no such thing shows it.
        chmod(root, "run.sh", 0o644);
        chmod(root, "other.sh", 0o755);
    };
    let kind = |name, settings, meanwhile, theirs| Kind {
        name,
        before: &before,
        settings,
        meanwhile,
        theirs,
        hindered: FOLLOWS,
    };
    let no_modes = &[("core.fileMode", "false")];
    let no_links = &[("core.symlinks", "false")];
    all_followed(&[
        kind("modes", &[], &nothing, &modes),
        kind("core.filemode=false", no_modes, &nothing, &modes),
        kind("core.filemode=false: modes", no_modes, others, &modes),
        kind("core.filemode=false: contents", no_modes, others, &contents),
        kind("links", &[], &nothing, &links),
        kind("core.symlinks=false", no_links, &nothing, &links),
        kind("a file for a link", &[], &nothing, &file_for_link),
        kind(
            "core.symlinks=false: a file for a link",
            no_links,
            &nothing,
            &file_for_link,
        ),
        kind("renames", &[], &nothing, &renames),
        kind(
            "core.ignorecase=true",
            &[("core.ignorecase", "true")],
            &nothing,
            &renames,
        ),
        kind("a file for a directory", &[], &nothing, &file_for_directory),
        kind(
            "sparse checkout",
            &[],
            &|root| {
                git(root, &["sparse-checkout", "set", "k8s"]);
            },
            &renames,
        ),
    ]);
}

#[test]
fn a_submodule_that_is_not_checked_out_follows() {
    let before = |root: &Path| {
        submodule(root, "changed", 'a');
        submodule(root, "gone", 'a');
    };
    all_followed(&[Kind {
        name: "submodules",
        before: &before,
        settings: &[],
        meanwhile: &nothing,
        theirs: &|root| {
            git(root, &["rm", "--quiet", "--cached", "gone"]);
            remove(root, "gone");
            submodule(root, "changed", 'b');
            submodule(root, "added", 'b');
        },
        hindered: FOLLOWS,
    }]);
}

#[test]
fn a_submodule_that_is_checked_out_is_never_half_followed() {
    let theirs = TempDir::new().unwrap();
    let library = theirs.path();
    git(library, &["init", "--quiet"]);
    let commits = ["first", "second"].map(|name| {
        put(library, name, "x\n");
        git(library, &["add", "--all"]);
        git(library, &["commit", "--quiet", "--message", name]);
        git(library, &["rev-parse", "HEAD"])
    });
    let point = |root: &Path, commit: &str| {
        let entry = format!("160000,{commit},library");
        git(root, &["update-index", "--add", "--cacheinfo", &entry]);
        fs::create_dir_all(root.join("library")).unwrap();
    };
    let changed = |root: &Path| point(root, &commits[1]);
    let removed = |root: &Path| {
        git(root, &["rm", "--quiet", "--cached", "library"]);
        remove(root, "library");
    };
    let change = |name: &str, root: &Path| match name {
        "changed" => changed(root),
        _ => removed(root),
    };
    for name in ["changed", "removed"] {
        let story = Story::new();
        pushed_by_others(&story, &|root| point(root, &commits[0]));
        let workspace = checkout(&story, &[]);
        let root = workspace.path();
        let from = library.to_str().unwrap();
        git(root, &["clone", "--quiet", from, "library"]);
        let into = root.join("library");
        git(&into, &["checkout", "--quiet", &commits[0]]);
        let head = git(root, &["rev-parse", "HEAD"]);
        pushed_by_others(&story, &|root| change(name, root));

        let outcome = succeed(&story.deploy().workspace(root));

        let warning = annotation(&outcome, "warning");
        assert!(warning.contains(" `library` "), "{name}: {warning}");
        assert_eq!(git(root, &["rev-parse", "HEAD"]), head, "{name}");
        assert_eq!(git(root, &["status", "--porcelain"]), "", "{name}");
    }
}
