//! A real Git repository on the local GitHub, and what people do to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::access::basic;
use crate::clock;
use crate::git::{self, FIRST_COMMIT};
use crate::state::{RepositoryRecord, Shared};
use crate::temporary;

/// How long a branch that others hold is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a repository holds at first.
const FIRST_FILES: [(&str, Option<&str>); 4] = [
    ("README.md", Some("# demo\n")),
    (
        "k8s/app/overlays/main/kustomization.yaml",
        Some("namespace: app\n"),
    ),
    (
        "k8s/app/overlays/ephemeral/kustomization.yaml",
        Some("namespace: ${BRANCH_NAME}\n"),
    ),
    ("k8s/app/overlays/ephemeral-instances/.gitkeep", Some("")),
];

/// A bare repository, as its other users see and change it: by the real `git`, past the server.
///
/// It is cheap to clone, and no lock of the server is held while it works, so a
/// [`Fault::run`](crate::Fault::run) may use it. A mistake in a test, such as a branch that is not there, is a panic
/// that says what `git` said.
#[derive(Clone)]
pub struct Repository {
    shared: Arc<Shared>,
    record: RepositoryRecord,
}

/// A commit, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Commit {
    /// Its name.
    pub sha: String,
    /// The names of its parents; the first is the branch it was made on.
    pub parents: Vec<String>,
    /// `name <address>`.
    pub author: String,
    /// `name <address>`.
    pub committer: String,
    /// When it was committed, as RFC 3339.
    pub committed: String,
    /// The name of its tree.
    pub tree: String,
    /// Without the last newline.
    pub message: String,
    /// The letter (`A`, `M`, `D`, …) and path of each change against the first parent.
    pub changes: Vec<(char, String)>,
}

impl Repository {
    pub(crate) fn new(shared: Arc<Shared>, record: RepositoryRecord) -> Self {
        Self { shared, record }
    }

    /// A bare repository with one commit, set up as a server's.
    pub(crate) fn create(git_dir: &Path, shared: &Shared) {
        // All of them are the same but for the place, so Git makes one, and the others get its files.
        static FIRST: LazyLock<Vec<(PathBuf, Option<Vec<u8>>)>> = LazyLock::new(|| {
            let directory = temporary::directory("first-");
            let git_dir = directory.path();
            let init = ["init", "--quiet", "--bare", "--template="];
            git::git(git_dir, &[&init[..], &["--initial-branch=main"]].concat());
            Repository::configure(git_dir);
            let first = fast_import("refs/heads/main", None, &FIRST_FILES, "start", FIRST_COMMIT);
            import(git_dir, &first).expect("a first commit");
            contents(git_dir)
        });
        // The first commit's date.
        shared.tick();
        fs::create_dir_all(git_dir).expect("a directory for a repository");
        for (path, content) in &*FIRST {
            let path = git_dir.join(path);
            match content {
                Some(content) => fs::write(path, content).expect("a file of a repository"),
                None => fs::create_dir(path).expect("a directory of a repository"),
            }
        }
    }

    /// A real clone of `from`.
    pub(crate) fn copy(from: &Path, git_dir: &Path) {
        fs::create_dir_all(git_dir).expect("a directory for a repository");
        let from = from.to_str().expect("a directory in UTF-8");
        git::git(
            git_dir,
            &["clone", "--quiet", "--bare", "--template=", from, "."],
        );
        Self::configure(git_dir);
    }

    fn configure(git_dir: &Path) {
        // While Git looks at what was pushed, the repository is an alternate of itself, which another process would ask for
        // its references.
        let config = "\
            [receive]\n\tautogc = false\n\thideRefs = refs/pull\n\
            [gc]\n\tauto = 0\n\
            [core]\n\talternateRefsCommand = true\n\
            [uploadpack]\n\tallowFilter = true\n\tallowReachableSHA1InWant = true\n\tallowTipSHA1InWant = true\n";
        let path = git_dir.join("config");
        let before = fs::read_to_string(&path).expect("the repository's configuration");
        fs::write(&path, before + config).expect("the repository's configuration, written");
    }

    /// The id that the API and the payloads give.
    pub fn id(&self) -> u64 {
        self.record.id
    }

    /// Whose it is.
    pub fn owner(&self) -> &str {
        &self.record.owner
    }

    /// Its name without the owner.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// `owner/name`.
    pub fn full_name(&self) -> String {
        self.record.full_name()
    }

    /// Where it is on disk.
    pub fn git_dir(&self) -> PathBuf {
        self.record.git_dir.clone()
    }

    /// Where it is on the server, without credentials.
    pub fn clone_url(&self) -> String {
        format!("{}/{}.git", self.shared.server_url, self.full_name())
    }

    /// From now on anyone may read it, without credentials.
    pub fn make_public(&self) {
        let mut state = self.shared.state();
        state
            .repositories
            .get_mut(&self.record.id)
            .expect("its record")
            .public = true;
    }

    /// Deletes the repository. Its pull requests stay, with `null` for their head's repository.
    ///
    /// # Panics
    /// For the base repository.
    pub fn delete(&self) {
        let mut state = self.shared.state();
        assert_ne!(self.record.id, state.base, "the base repository stays");
        state
            .repositories
            .get_mut(&self.record.id)
            .expect("its record")
            .deleted = true;
        fs::remove_dir_all(&self.record.git_dir).expect("the repository's directory");
    }

    /// Commits these files (`None` deletes one) to a branch, which is created from the default branch where there is none
    /// of that name. Returns the commit's name.
    pub fn commit(&self, branch: &str, changes: &[(&str, Option<&str>)], message: &str) -> String {
        let reference = format!("refs/heads/{branch}");
        let default = format!("refs/heads/{}", self.record.default_branch);
        let started = Instant::now();
        loop {
            let before = git::tip(&self.record.git_dir, &reference);
            let parent = before
                .clone()
                .or_else(|| git::tip(&self.record.git_dir, &default));
            let stream = fast_import(
                &reference,
                parent.as_deref(),
                changes,
                message,
                self.shared.tick(),
            );
            let result = import(&self.record.git_dir, &stream);
            let after = git::tip(&self.record.git_dir, &reference);
            match result {
                Ok(_) => {
                    self.announce();
                    return after.unwrap_or_else(|| panic!("`{branch}` is gone at once"));
                }
                // Someone else was faster: commit on top of theirs.
                Err(_) if after != before => {}
                // Someone else is about to be.
                Err(said) if said.contains(".lock") && started.elapsed() < PATIENCE => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(said) => panic!("commit to {branch}: {said}"),
            }
        }
    }

    /// Creates a branch at another branch or commit.
    pub fn create_branch(&self, new: &str, from: &str) {
        let sha = self.tip(from).unwrap_or_else(|| from.to_owned());
        git::git(
            &self.record.git_dir,
            &["update-ref", &format!("refs/heads/{new}"), &sha, ""],
        );
        self.announce();
    }

    /// Creates many branches at another branch or commit, at once.
    pub fn create_branches(&self, new: &[impl AsRef<str>], from: &str) {
        let sha = self.tip(from).unwrap_or_else(|| from.to_owned());
        let lines = new
            .iter()
            .map(|new| format!("create refs/heads/{} {sha}\n", new.as_ref()));
        git::update_references(&self.record.git_dir, &lines.collect::<String>());
        self.announce();
    }

    /// The commit a branch points at; none where there is no such branch.
    pub fn tip(&self, branch: &str) -> Option<String> {
        git::tip(&self.record.git_dir, &format!("refs/heads/{branch}"))
    }

    /// The commit a reference points at, one of `refs/pull/…` too; none where there is no such reference.
    pub fn reference(&self, name: &str) -> Option<String> {
        drop(self.shared.state());
        git::tip(&self.record.git_dir, name)
    }

    /// A file on a branch, to the byte; none where the branch or the file is not there.
    pub fn read(&self, branch: &str, path: &str) -> Option<String> {
        let mut command = git::command(&self.record.git_dir, 0);
        command.args(["cat-file", "blob", &format!("refs/heads/{branch}:{path}")]);
        let blob = git::feed(command, b"").ok()?;
        Some(String::from_utf8(blob).expect("a text file"))
    }

    /// The paths of all files on a branch at or below a path; of all files for the path `""`.
    pub fn files(&self, branch: &str, under: &str) -> Vec<String> {
        let reference = format!("refs/heads/{branch}");
        let mut args = vec!["ls-tree", "-r", "-z", "--name-only", &reference, "--"];
        args.extend(Some(under).filter(|under| !under.is_empty()));
        let listed = git::git(&self.record.git_dir, &args);
        listed.split_terminator('\0').map(str::to_owned).collect()
    }

    /// The commits of a branch, newest first.
    pub fn log(&self, branch: &str) -> Vec<Commit> {
        log(&self.record.git_dir, &[&format!("refs/heads/{branch}")])
    }

    /// Renames a branch. An open pull request from it closes; see [`LocalGitHub::rename_head`](crate::LocalGitHub::rename_head) for
    /// one that follows.
    pub fn rename_branch(&self, old: &str, new: &str) {
        let sha = self
            .tip(old)
            .unwrap_or_else(|| panic!("there is no branch `{old}`"));
        self.delete_branch(old);
        self.create_branch(new, &sha);
    }

    /// Deletes a branch. An open pull request from it closes, as on GitHub.
    pub fn delete_branch(&self, branch: &str) {
        git::git(
            &self.record.git_dir,
            &["update-ref", "-d", &format!("refs/heads/{branch}")],
        );
        self.announce();
    }

    /// Points a branch at a commit, whatever it points at now: a force push.
    pub fn force_branch(&self, branch: &str, sha: &str) {
        git::git(
            &self.record.git_dir,
            &["update-ref", &format!("refs/heads/{branch}"), sha],
        );
        self.announce();
    }

    /// Installs a hook such as `pre-receive`; the script starts with its `#!` line.
    pub fn install_hook(&self, name: &str, script: &str) {
        let hooks = self.record.git_dir.join("hooks");
        fs::create_dir_all(&hooks).expect("a directory for hooks");
        crate::script(&hooks.join(name), script);
    }

    /// Runs any other `git` command in the repository; the output without its last newline. `refs/pull/…` are up to date
    /// for it.
    pub fn git(&self, args: &[&str]) -> String {
        drop(self.shared.state());
        let output = git::git(&self.record.git_dir, args);
        self.announce();
        output
    }

    /// Clones over HTTP as a workflow does: the token is on the command line only, so the clone holds the plain URL and
    /// no credentials. `args` are `git clone`'s: `&["--depth", "1"]`, `&["--branch", "feature"]`.
    pub fn checkout(&self, into: &Path, args: &[&str]) {
        let (header, url) = (self.header(), self.clone_url());
        let into = into.to_str().expect("a directory in UTF-8");
        let args = [
            &["-c", &header, "clone", "--quiet"],
            args,
            &["--", &url, into],
        ]
        .concat();
        git::git(Path::new("/"), &args);
    }

    /// Checks out one commit by its reference, detached and with a history of 1, as actions/checkout does on the event
    /// `pull_request` with `refs/pull/<number>/merge`.
    pub fn checkout_reference(&self, into: &Path, reference: &str) {
        fs::create_dir_all(into).expect("a directory to check out into");
        git::git(into, &["init", "--quiet", "--initial-branch=main"]);
        git::git(into, &["remote", "add", "origin", &self.clone_url()]);
        let local = format!("refs/remotes/{}", reference.trim_start_matches("refs/"));
        let refspec = format!("+{reference}:{local}");
        git::git(
            into,
            &[
                "-c",
                &self.header(),
                "fetch",
                "--quiet",
                "--no-tags",
                "--depth=1",
                "origin",
                &refspec,
            ],
        );
        git::git(
            into,
            &["checkout", "--quiet", "--force", "--detach", &local],
        );
    }

    /// To the webhooks, which are the base repository's, on its owner's account.
    fn announce(&self) {
        if let Some(record) = self.shared.state().repositories.get_mut(&self.record.id) {
            record.pushed = clock::now();
        }
        if !self.record.fork {
            self.shared.announce(&self.record.owner);
        }
    }

    fn header(&self) -> String {
        let credentials = basic(&self.shared.token);
        format!("http.extraheader=AUTHORIZATION: basic {credentials}")
    }
}

/// Every directory (with no content) and file below a directory, by its path there, the upper ones first.
fn contents(directory: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut contents = vec![];
    let mut left = vec![PathBuf::new()];
    while let Some(parent) = left.pop() {
        for entry in fs::read_dir(directory.join(&parent)).expect("a directory of a repository") {
            let entry = entry.expect("an entry of a directory");
            let path = parent.join(entry.file_name());
            let is_directory = entry.path().is_dir();
            let content =
                (!is_directory).then(|| fs::read(entry.path()).expect("a file of a repository"));
            contents.push((path.clone(), content));
            if is_directory {
                left.push(path);
            }
        }
    }
    contents
}

/// Has Git import a stream of [`fast_import`]; what it said is the error.
fn import(git_dir: &Path, stream: &[u8]) -> Result<Vec<u8>, String> {
    let mut command = git::command(git_dir, 0);
    // A pack for each, where another process would unpack it.
    command.args(["-c", "fastimport.unpackLimit=1", "fast-import", "--quiet"]);
    git::feed(command, stream)
}

/// One commit in the format of <https://git-scm.com/docs/git-fast-import>, which takes any legal name as it is.
fn fast_import(
    reference: &str,
    parent: Option<&str>,
    changes: &[(&str, Option<&str>)],
    message: &str,
    seconds: u64,
) -> Vec<u8> {
    let mut stream = format!("commit {reference}\ncommitter {}\n", git::identity(seconds));
    stream += &format!("data {}\n{message}\n", message.len());
    if let Some(parent) = parent {
        stream += &format!("from {parent}\n");
    }
    for (path, content) in changes {
        let path = path
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        match content {
            Some(content) => {
                stream += &format!(
                    "M 100644 inline \"{path}\"\ndata {}\n{content}\n",
                    content.len()
                )
            }
            None => stream += &format!("D \"{path}\"\n"),
        }
    }
    stream.into_bytes()
}

/// The commits that `git log` lists for these revisions and options, newest first.
pub(crate) fn log(git_dir: &Path, revisions: &[&str]) -> Vec<Commit> {
    let format = "--format=%x1e%H%x1f%P%x1f%an <%ae>%x1f%cn <%ce>%x1f%cI%x1f%T%x1f%B%x1f";
    let shape = [
        "--diff-merges=first-parent",
        "--no-renames",
        "--name-status",
        "-z",
    ];
    let args = [
        &["log", "--topo-order", format],
        &shape[..],
        revisions,
        &["--"],
    ]
    .concat();
    let logged = git::git(git_dir, &args);
    logged.split('\x1e').skip(1).map(parse_commit).collect()
}

fn parse_commit(record: &str) -> Commit {
    let fields: Vec<&str> = record.split('\x1f').collect();
    let [
        sha,
        parents,
        author,
        committer,
        committed,
        tree,
        message,
        changes,
    ] = fields[..]
    else {
        panic!("not as git log was asked for it: {record:?}")
    };
    let changes: Vec<&str> = changes
        .trim_start_matches(['\0', '\n'])
        .split_terminator('\0')
        .collect();
    let change = |pair: &[&str]| {
        (
            pair[0].chars().next().expect("a letter"),
            pair[1].to_owned(),
        )
    };
    Commit {
        sha: sha.to_owned(),
        parents: parents.split_whitespace().map(str::to_owned).collect(),
        author: author.to_owned(),
        committer: committer.to_owned(),
        committed: committed.to_owned(),
        tree: tree.to_owned(),
        message: message.trim_end_matches('\n').to_owned(),
        changes: changes.chunks_exact(2).map(change).collect(),
    }
}
