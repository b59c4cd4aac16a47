//! Whatever the workspace has checked out, the commit goes onto the remote tip.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;
use std::process::Command;

use forge::Fault;
use tempfile::TempDir;

use crate::story::{Story, ending, succeed};

/// A checkout of the story's repository.
fn checkout(story: &Story, args: &[&str]) -> TempDir {
    let workspace = TempDir::new().unwrap();
    story.repository.checkout(workspace.path(), args);
    workspace
}

fn git(workspace: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "safe.directory=*",
            "-c",
            "user.name=w",
            "-c",
            "user.email=w@example.com",
        ])
        .args(args)
        .current_dir(workspace)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
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
    let push = Fault::on("POST", "/octo-org/demo/git-receive-pack");
    story.forge.fault(push.run(move |_| {
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
    let lines = |status: &str| {
        status
            .lines()
            .map(|line| line[2..].trim().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        lines(&git(root, &["status", "--porcelain"])),
        lines(&status)
    );
}

#[test]
fn another_branch_is_left_alone() {
    let story = Story::new();
    let workspace = checkout(&story, &["--branch", "dev"]);
    let before = contents(workspace.path());
    deploy(&story, workspace.path());
    assert_eq!(contents(workspace.path()), before);
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
    let workspace = TempDir::new().unwrap();
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
    let workspace = TempDir::new().unwrap();
    deploy(&story, workspace.path());
    assert_eq!(fs::read_dir(workspace.path()).unwrap().count(), 0);

    let story = Story::new();
    assert_eq!(
        ending(&succeed(&story.deploy().without_env("GITHUB_WORKSPACE"))).0,
        "create"
    );
}

#[test]
fn another_users_workspace_stays_theirs() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        // Only root can give files away, and only root needs to give them back.
        return;
    }
    let (uid, gid) = (4321, 1234);
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    story
        .repository
        .commit("main", &[("new/directory/file.txt", Some("x\n"))], "Later");
    for (path, _) in contents(workspace.path()) {
        for part in Path::new(&path)
            .ancestors()
            .take_while(|part| part.starts_with(workspace.path()))
        {
            lchown(part, Some(uid), Some(gid)).unwrap();
        }
    }
    for directory in ["refs/heads", "refs/tags", "objects/info", "objects/pack"] {
        lchown(
            workspace.path().join(".git").join(directory),
            Some(uid),
            Some(gid),
        )
        .unwrap();
    }

    deploy(&story, workspace.path());

    for (path, _) in contents(workspace.path()) {
        for part in Path::new(&path)
            .ancestors()
            .take_while(|part| part.starts_with(workspace.path()))
        {
            let metadata = fs::symlink_metadata(part).unwrap();
            assert_eq!(
                (metadata.uid(), metadata.gid()),
                (uid, gid),
                "{}",
                part.display()
            );
        }
    }
    assert_followed(&story, workspace.path());
}

#[test]
fn what_a_pull_request_wrote_into_the_checkout_has_no_say() {
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    let root = workspace.path();
    let elsewhere = "http://127.0.0.1:1/";
    for (key, value) in [
        (
            format!("url.{elsewhere}.insteadOf"),
            story.forge.server_url(),
        ),
        (
            format!("url.{elsewhere}.pushInsteadOf"),
            story.forge.server_url(),
        ),
        ("remote.origin.url".to_owned(), elsewhere.to_owned()),
        ("http.proxy".to_owned(), elsewhere.to_owned()),
        ("core.fsmonitor".to_owned(), "touch pwned".to_owned()),
        ("core.hooksPath".to_owned(), "hooks".to_owned()),
    ] {
        git(root, &["config", &key, &value]);
    }
    for hook in [
        "pre-push",
        "post-checkout",
        "reference-transaction",
        "post-index-change",
    ] {
        let path = root.join(".git/hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "#!/bin/sh\ntouch pwned\nexit 1\n").unwrap();
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
        fs::set_permissions(&path, permissions).unwrap();
    }

    deploy(&story, root);

    assert!(!root.join("pwned").exists());
    assert_eq!(
        fs::read_to_string(root.join(Story::path("dev"))).unwrap(),
        story.instance("dev").unwrap()
    );
}

#[test]
fn a_link_in_the_checkout_is_not_written_through() {
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    let outside = TempDir::new().unwrap();
    let instances = workspace.path().join(crate::story::INSTANCES);
    fs::remove_dir_all(&instances).unwrap();
    std::os::unix::fs::symlink(outside.path(), &instances).unwrap();

    let outcome = succeed(&story.deploy().workspace(workspace.path()));

    assert_eq!(ending(&outcome), ("create", "deploy-command", "true"));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
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
            "the checkout could not follow it: it has commits that are not on the remote branch"
        ),
        "{}",
        outcome.stdout
    );
    assert_eq!(git(root, &["rev-parse", "HEAD"]), head);
    assert_eq!(git(root, &["status", "--porcelain"]), "");
    assert_eq!(story.landed().len(), 1);
}

#[test]
fn links_inside_of_git_are_not_followed() {
    let story = Story::new();
    let workspace = checkout(&story, &[]);
    let outside = TempDir::new().unwrap();
    let logs = workspace.path().join(".git/logs");
    fs::remove_dir_all(&logs).unwrap();
    std::os::unix::fs::symlink(outside.path(), &logs).unwrap();
    let before = git(workspace.path(), &["rev-parse", "HEAD"]);

    deploy(&story, workspace.path());

    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(git(workspace.path(), &["rev-parse", "HEAD"]), before);
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
