//! The real `git`, run in an environment that holds nothing of the machine's own.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

const NAME: &str = "LocalGitHub";
const EMAIL: &str = "github@example.com";
/// 1 January 2025; each commit made through a local GitHub is a second younger than the one before.
pub(crate) const FIRST_COMMIT: u64 = 1_735_689_600;

/// By its path: where a name has to be looked up in another environment, the standard library forks, which takes the longer
/// the more memory this process has, and it has a lot.
static GIT: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|directory| directory.join("git"));
    let git = places.find(|place| place.is_file());
    git.expect("git is on PATH")
});

/// `git`, in `directory`, without any configuration of the user or the system.
pub(crate) fn command(directory: &Path, seconds: u64) -> Command {
    let mut command = Command::new(&*GIT);
    let date = format!("@{seconds} +0000");
    command
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        // It would go on in the background, with files of its own.
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "maintenance.auto")
        .env("GIT_CONFIG_VALUE_0", "false")
        .env("GIT_AUTHOR_NAME", NAME)
        .env("GIT_AUTHOR_EMAIL", EMAIL)
        .env("GIT_AUTHOR_DATE", &date)
        .env("GIT_COMMITTER_NAME", NAME)
        .env("GIT_COMMITTER_EMAIL", EMAIL)
        .env("GIT_COMMITTER_DATE", &date);
    command
}

/// The line that names an author or a committer in a commit made at `seconds`.
pub(crate) fn identity(seconds: u64) -> String {
    format!("{NAME} <{EMAIL}> {seconds} +0000")
}

/// Runs to the end with `input`; the output to the byte, or what was written to standard error.
pub(crate) fn feed(mut command: Command, input: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a program on PATH");
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = std::thread::scope(|scope| {
        // A command that stops reading early says why on its standard error.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().expect("its output")
    });
    if output.status.success() {
        Ok(output.stdout)
    } else {
        let said = [output.stdout, output.stderr].concat();
        Err(String::from_utf8_lossy(&said).trim_end().to_owned())
    }
}

/// Runs `git` in `directory`, free of the user's and the system's configuration, with a fixed author and date. The
/// output without its last newline.
///
/// # Panics
/// With what `git` said, where it fails.
pub fn git(directory: &Path, args: &[&str]) -> String {
    try_git(directory, args)
        .unwrap_or_else(|said| panic!("git {args:?} in {}: {said}", directory.display()))
}

/// As [`git()`], where the failure is what a test is about: what `git` said is the error.
///
/// # Errors
/// Where `git` exits with anything but 0.
pub fn try_git(directory: &Path, args: &[&str]) -> Result<String, String> {
    let mut command = command(directory, FIRST_COMMIT);
    command.args(args);
    feed(command, b"").map(text)
}

/// Carries out the lines of `git update-ref --stdin` at once.
pub(crate) fn update_references(git_dir: &Path, lines: &str) {
    if lines.is_empty() {
        return;
    }
    let mut command = command(git_dir, FIRST_COMMIT);
    command.args(["update-ref", "--stdin"]);
    if let Err(said) = feed(command, lines.as_bytes()) {
        panic!("git update-ref in {}: {said}", git_dir.display());
    }
}

/// Whether a commit of this full name is there.
pub(crate) fn has_commit(git_dir: &Path, sha: &str) -> bool {
    let is_full = sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    let object = format!("{sha}^{{commit}}");
    is_full && try_git(git_dir, &["cat-file", "-e", &object]).is_ok()
}

/// The commit that is meant: by its full name, a branch's or a tag's, `heads/…` and `tags/…` too.
pub(crate) fn resolve(git_dir: &Path, reference: &str) -> Option<String> {
    if has_commit(git_dir, reference) {
        return Some(reference.to_owned());
    }
    let names = ["refs/heads/", "refs/tags/", "refs/"].map(|place| format!("{place}{reference}"));
    let is_listed = |name: &&String| {
        let place = name.split('/').nth(1);
        let listed = ["show-ref", "--verify", "--quiet", name.as_str()];
        matches!(place, Some("heads" | "tags")) && try_git(git_dir, &listed).is_ok()
    };
    let name = names.iter().find(is_listed)?;
    let commit = format!("{name}^{{commit}}");
    try_git(git_dir, &["rev-parse", "--verify", "--quiet", &commit]).ok()
}

/// At most ten branches that hold a commit, each with its tip.
pub(crate) fn branches_with(git_dir: &Path, sha: &str) -> Vec<(String, String)> {
    let listed = git(
        git_dir,
        &[
            "for-each-ref",
            "--count=10",
            "--format=%(refname:lstrip=2) %(objectname)",
            "--contains",
            sha,
            "refs/heads/",
        ],
    );
    let pair = |line: &str| {
        let (name, tip) = line.split_once(' ').expect("a name and a commit");
        (name.to_owned(), tip.to_owned())
    };
    listed.lines().map(pair).collect()
}

pub(crate) fn text(output: Vec<u8>) -> String {
    let text = String::from_utf8(output).expect("UTF-8 from git");
    text.strip_suffix('\n').map_or(text.clone(), str::to_owned)
}

/// The commit a reference points at. Read from the files themselves: a list of two hundred pull requests would
/// otherwise start two hundred processes.
pub(crate) fn tip(git_dir: &Path, reference: &str) -> Option<String> {
    if let Ok(sha) = fs::read_to_string(git_dir.join(reference)) {
        return Some(sha.trim_end().to_owned());
    }
    let packed = fs::read_to_string(git_dir.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| {
        let (sha, name) = line.split_once(' ')?;
        (name == reference).then(|| sha.to_owned())
    })
}
