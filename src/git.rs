//! Git: reads the target branch's remote tip, commits a change onto it and pushes, again if somebody was faster.
//!
//! Everything happens in a bare repository of our own in a temporary directory. The workspace's objects are read through
//! an alternate, so that what is there is not fetched again, but its configuration, hooks and remotes are never looked at
//! for that: a pull request may have written them. The workspace itself is only touched where it has the target branch
//! checked out, after the push.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use git2::build::{CheckoutBuilder, TreeUpdateBuilder};
use git2::{
    AutotagOption, ConfigLevel, Diff, ErrorClass, ErrorCode, FetchOptions, FileMode, IndexEntry,
    IndexTime, ObjectType, Oid, PushOptions, RemoteCallbacks, RemoteRedirect, Repository,
    RepositoryInitOptions, RepositoryOpenFlags, Revwalk, Signature, Sort, Tree,
};
use tempfile::TempDir;

use crate::config::Token;
use crate::decide::Refusal;
use crate::environment::is_instance_file;
use crate::failure::Failure;
use crate::plan::{Change, Directory, Entry, Plan, Tip};

/// Author and committer: [GitHub's own bot](https://api.github.com/users/github-actions%5Bbot%5D).
const BOT: (&str, &str) = (
    "github-actions[bot]",
    "41898282+github-actions[bot]@users.noreply.github.com",
);
/// Where the remote tip is kept in our repository.
const TIP: &str = "refs/flux-ephemeral-env/tip";
/// Where the workspace's head is kept in our repository: what the server need not send.
const HAVE: &str = "refs/flux-ephemeral-env/have";
/// More objects than this may be a whole history and not what came since: the second parent of a merge brings that into a
/// shallow repository, which has nothing to connect it to.
const MOST_OBJECTS: usize = 10_000;
/// How many generations are asked for instead, where those are fewer objects.
const DEPTH: i32 = 50;
/// Longest wait for one answer of the server.
const ANSWER: Duration = Duration::from_secs(20);
/// A quarter of the longest first wait, unless the try before it took longer than that.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest wait between two tries, unless one takes long by itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// With less time than this left there is no further try.
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// Mode of a submodule, whose commit is another repository's.
const SUBMODULE: u32 = 0o160_000;
/// What an overlay's own file may be called
/// ([kustomize](https://pkg.go.dev/sigs.k8s.io/kustomize/api/konfig#RecognizedKustomizationFileNames)).
const KUSTOMIZATION: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Where to push, and what of the tip to read.
#[derive(Debug, Clone)]
pub struct Target {
    /// The repository's URL, without credentials.
    pub url: String,
    /// Sent as the password of `x-access-token`.
    pub token: Token,
    /// The target branch.
    pub branch: String,
    /// Directory of the instances.
    pub instances_path: String,
    /// Directory of the overlay; the ones beside it are read.
    pub overlay_path: String,
    /// The checkout, where there may be one.
    pub workspace: Option<PathBuf>,
    /// How long it is tried.
    pub timeout: Duration,
}

/// How a plan ended.
#[derive(Debug)]
pub enum Published {
    /// The change is in the target branch.
    Pushed {
        /// What was done.
        plan: Plan,
        /// The commit.
        commit: String,
        /// What went wrong after the push, if anything: the workspace could not follow.
        warning: Option<String>,
    },
    /// There was nothing to change.
    Unchanged(Plan),
    /// What the tip holds does not allow it.
    Refused(Refusal),
}

impl Published {
    fn pushed(plan: Plan, commit: Oid) -> Published {
        Published::Pushed {
            plan,
            commit: commit.to_string(),
            warning: None,
        }
    }

    /// The commit, where there is one, and what went wrong after it.
    pub fn landed(&self) -> Option<(String, Option<String>)> {
        match self {
            Published::Pushed {
                commit, warning, ..
            } => Some((commit.clone(), warning.clone())),
            Published::Unchanged(_) | Published::Refused(_) => None,
        }
    }
}

/// What one push came to.
enum Push {
    Landed,
    /// Worth another try: somebody was faster, or no clear answer came.
    Again(String),
    Failed(Failure),
}

/// What one fetch came to.
enum Fetch {
    Tip(Oid),
    /// The server was about to send a whole history.
    TooLarge,
    Again(String),
    Failed(Failure),
}

/// Lets whoever asked for the change take it back.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the work at the next occasion.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Work on the target branch: our repository, which holds what was fetched so far, and the time there is. Everything it
/// does blocks.
pub struct Work {
    target: Target,
    stop: Stop,
    repository: Repository,
    workspace: Option<Workspace>,
    started: Instant,
    patience: Duration,
    tries: u32,
    /// The server's answer to the last try.
    words: String,
    /// What the instances were at the tip before, by their blobs: most of them are the same at the next one.
    contents: RefCell<HashMap<Oid, Vec<u8>>>,
    _directory: TempDir,
}

/// A checkout that may be of use.
struct Workspace {
    root: PathBuf,
    head: Oid,
    /// Whether the target branch is checked out in it.
    on_target: bool,
}

impl Work {
    /// Makes the repository; nothing is asked of the server yet.
    ///
    /// # Errors
    /// There is no place for it.
    fn new(target: Target, stop: Stop) -> Result<Work> {
        set_up_libgit2()?;
        let workspace = target
            .workspace
            .as_deref()
            .and_then(|root| Workspace::open(root, &target.branch));
        let opened = workspace
            .as_ref()
            .and_then(|workspace| bare_repository(Some(workspace)).ok());
        let (workspace, (directory, repository)) = match opened {
            Some(opened) => (workspace, opened),
            None => (None, bare_repository(None)?),
        };
        Ok(Work {
            patience: target.timeout,
            target,
            stop,
            repository,
            workspace,
            started: Instant::now(),
            tries: 0,
            words: String::new(),
            contents: RefCell::default(),
            _directory: directory,
        })
    }

    /// Goes on with earlier work on the same target, or begins.
    ///
    /// # Errors
    /// There is no place for it.
    pub fn resume(earlier: Option<Work>, target: Target, stop: Stop) -> Result<Work> {
        match earlier {
            Some(work) => Ok(Work { stop, ..work }),
            None => Work::new(target, stop),
        }
    }

    /// Reads the remote tip as it is now. `patience` is for this alone.
    ///
    /// # Errors
    /// Why the tip could not be read.
    pub fn read<T>(
        &mut self,
        patience: Duration,
        read: impl Fn(&Tip) -> Result<T>,
    ) -> Result<T, Failure> {
        self.begin(patience);
        let (_, tip) = self.fetch_tip()?;
        Ok(read(&tip)?)
    }

    /// Computes the plan at the remote tip and pushes it as one commit, until it lands or the time is over.
    ///
    /// `plan` is asked anew for every tip.
    ///
    /// # Errors
    /// Why the change did not land.
    pub fn publish(
        &mut self,
        plan: impl Fn(&Tip) -> Result<Result<Plan, Refusal>>,
    ) -> Result<Published, Failure> {
        self.begin(self.target.timeout);
        let mut attempted: Vec<(Oid, Plan)> = Vec::new();
        loop {
            let began = Instant::now();
            let (tip, contents) = self.fetch_tip()?;
            // The answer to a push may have been lost, so look before anything is pushed again, or given up.
            let landed = attempted
                .iter()
                .position(|(commit, _)| self.contains(tip, *commit));
            if let Some(index) = landed {
                let (commit, plan) = attempted.swap_remove(index);
                return Ok(Published::pushed(plan, commit));
            }
            if !attempted.is_empty() {
                self.check_time()?;
            }
            let planned = match plan(&contents)? {
                Ok(planned) => planned,
                Err(refusal) => return Ok(Published::Refused(refusal)),
            };
            let commit = self
                .commit(tip, &planned.change)
                .with_context(|| format!("committing in {}", self.repository.path().display()))?;
            let Some(commit) = commit else {
                return Ok(Published::Unchanged(planned));
            };
            if self.stop.is_stopped() {
                return Err(Failure::Interrupted);
            }
            // Without the push itself, whose answer may be what takes so long.
            let taken = began.elapsed();
            match self.push(tip, commit)? {
                Push::Landed => return Ok(Published::pushed(planned, commit)),
                Push::Failed(failure) => return Err(failure),
                Push::Again(words) => {
                    self.words = words;
                    self.pause(taken);
                    attempted.push((commit, planned));
                }
            }
        }
    }

    fn begin(&mut self, patience: Duration) {
        self.started = Instant::now();
        self.patience = patience;
        self.tries = 0;
    }

    /// Goes on without the workspace: an object that it should hold is missing (a partial clone) or broken.
    fn leave_workspace(&mut self) -> Result<()> {
        self.workspace = None;
        let (directory, repository) = bare_repository(None)?;
        self.repository = repository;
        self._directory = directory;
        Ok(())
    }

    fn check_time(&self) -> Result<(), Failure> {
        if self.stop.is_stopped() {
            return Err(Failure::Interrupted);
        }
        if self.started.elapsed() >= self.patience {
            return Err(Failure::TimedOut(self.patience, self.words.clone()));
        }
        Ok(())
    }

    /// Waits a random while, longer with every try, so that those who collided once do not again. `taken` is how long it
    /// took from the tip to the push: where many push to a slow server, they have to stand further apart.
    fn pause(&mut self, taken: Duration) {
        let ceiling = FIRST_PAUSE
            .max(taken)
            .saturating_mul(4 << self.tries.min(8))
            .min(LONGEST_PAUSE.max(taken.saturating_mul(8)));
        self.tries += 1;
        let left = self.patience.saturating_sub(self.started.elapsed());
        // No longer than leaves time for another try, where there is time for any.
        let longest = if left > LAST_PAUSE { left / 2 } else { left };
        let end = Instant::now() + ceiling.mul_f64(fastrand::f64()).min(longest);
        while Instant::now() < end && !self.stop.is_stopped() {
            let step = Duration::from_millis(50);
            std::thread::sleep(step.min(end.saturating_duration_since(Instant::now())));
        }
    }

    /// The remote tip and what a plan needs of it, asked for until it is there or the time is over.
    fn fetch_tip(&mut self) -> Result<(Oid, Tip), Failure> {
        let mut too_large = 0;
        loop {
            let depth = match (self.tip(), too_large) {
                // The first tip needs no history, unless a checkout is to follow it. Later ones do: they are searched for
                // our commit.
                (None, 0) if !self.follows() => Some(1),
                (_, 1) => Some(DEPTH),
                _ => None,
            };
            let is_bounded = too_large < 2 && self.repository.is_shallow();
            match self.fetch(depth, is_bounded)? {
                Fetch::TooLarge => too_large += 1,
                Fetch::Tip(tip) => match self.read_tip(tip)? {
                    Some(contents) => return Ok((tip, contents)),
                    None => {
                        self.leave_workspace()?;
                        too_large = 0;
                    }
                },
                Fetch::Failed(Failure::Broken(_)) if self.workspace.is_some() => {
                    self.leave_workspace()?;
                    too_large = 0;
                }
                Fetch::Failed(failure) => return Err(failure),
                Fetch::Again(words) => {
                    self.words = words;
                    self.check_time()?;
                    self.pause(Duration::ZERO);
                }
            }
        }
    }

    fn authorization(&self) -> String {
        format!("Authorization: Basic {}", self.target.token.basic())
    }

    /// Fetches the tip and what is new of its history, or `depth` generations of it; no more than [`MOST_OBJECTS`] where it
    /// is bounded.
    fn fetch(&self, depth: Option<i32>, is_bounded: bool) -> Result<Fetch> {
        let is_too_large = Cell::new(false);
        let mut remote = self.repository.remote_anonymous(&self.target.url)?;
        let mut callbacks = RemoteCallbacks::new();
        callbacks.transfer_progress(|progress| {
            is_too_large.set(is_bounded && progress.total_objects() > MOST_OBJECTS);
            !self.stop.is_stopped() && !is_too_large.get()
        });
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(callbacks)
            .download_tags(AutotagOption::None)
            .update_fetchhead(false)
            .follow_redirects(RemoteRedirect::None)
            .custom_headers(&[&self.authorization()]);
        if let Some(depth) = depth {
            options.depth(depth);
        }
        let branch = &self.target.branch;
        let refspec = format!("+refs/heads/{branch}:{TIP}");
        let fetched = remote.fetch(&[refspec], Some(&mut options), None);
        drop(options);
        match fetched {
            Err(_) if is_too_large.get() => return Ok(Fetch::TooLarge),
            Err(error) => return Ok(self.failed_fetch(&error)),
            Ok(()) => {}
        }
        let advertised = remote.list().context("reading what the server has")?;
        if !advertised
            .iter()
            .any(|head| head.name() == format!("refs/heads/{branch}"))
        {
            let words = if advertised.is_empty() {
                format!(
                    "{} is empty: push a first commit to `{branch}`",
                    self.target.url
                )
            } else {
                format!(
                    "{} has no branch `{branch}`: set the input `branch` to the one Flux watches",
                    self.target.url
                )
            };
            return Ok(Fetch::Failed(Failure::BranchMissing(words)));
        }
        let tip = self
            .tip()
            .with_context(|| format!("`{branch}` was fetched, but its tip is not there"))?;
        Ok(Fetch::Tip(tip))
    }

    fn failed_fetch(&self, error: &git2::Error) -> Fetch {
        let words = format!(
            "fetching `{}` from {}: {}",
            self.target.branch,
            self.target.url,
            words_of_error(error)
        );
        let words = self.target.token.redact(&words);
        match verdict(error) {
            _ if self.stop.is_stopped() => Fetch::Failed(Failure::Interrupted),
            // The server took for granted what a partial clone does not have.
            Verdict::Again
                if self.workspace.is_some() && error.message().contains("delta bases") =>
            {
                Fetch::Failed(Failure::Broken(anyhow!(words)))
            }
            Verdict::Again => Fetch::Again(words),
            Verdict::Forbidden => Fetch::Failed(Failure::Forbidden(words)),
            Verdict::Final if error.class() == ErrorClass::Os => {
                let place = self.repository.path().display();
                Fetch::Failed(Failure::Broken(anyhow!("{words} (in {place})")))
            }
            Verdict::Final => Fetch::Failed(Failure::Broken(anyhow!(words))),
        }
    }

    fn tip(&self) -> Option<Oid> {
        self.repository.refname_to_id(TIP).ok()
    }

    fn follows(&self) -> bool {
        self.workspace
            .as_ref()
            .is_some_and(|workspace| workspace.on_target)
    }

    /// Whether `commit` is in the history of `tip`.
    fn contains(&self, tip: Oid, commit: Oid) -> bool {
        tip == commit
            || self
                .repository
                .graph_descendant_of(tip, commit)
                .unwrap_or(false)
    }

    /// What a plan needs of the tip; `None` where the workspace's objects are no help.
    fn read_tip(&self, tip: Oid) -> Result<Option<Tip>> {
        match self.try_read_tip(tip) {
            Ok(tip) => Ok(Some(tip)),
            Err(_) if self.workspace.is_some() => Ok(None),
            Err(error) => {
                Err(error).with_context(|| format!("reading the tip of `{}`", self.target.branch))
            }
        }
    }

    fn try_read_tip(&self, tip: Oid) -> Result<Tip, git2::Error> {
        let root = self.repository.find_commit(tip)?.tree()?;
        let mut contents = Tip {
            overlays: self.overlays(&root)?,
            ..Tip::default()
        };
        match self.directory(&root, &self.target.instances_path)? {
            Ok(Some(directory)) => {
                contents.instances = self.instances(&directory)?;
                contents.holds_only_instances = directory.len() == contents.instances.len();
            }
            Ok(None) => contents.instances_directory = Directory::Absent,
            Err(obstruction) => contents.instances_directory = Directory::Obstructed(obstruction),
        }
        Ok(contents)
    }

    /// The tree at `path`, `Ok(None)` where there is none, or the part of the path that is no directory.
    fn directory(
        &self,
        root: &Tree<'_>,
        path: &str,
    ) -> Result<Result<Option<Tree<'_>>, String>, git2::Error> {
        let mut tree = self.repository.find_tree(root.id())?;
        let mut walked = String::new();
        for part in path.split('/') {
            walked = if walked.is_empty() {
                part.to_owned()
            } else {
                format!("{walked}/{part}")
            };
            let entry = tree.get_name(part).map(|entry| (entry.kind(), entry.id()));
            match entry {
                None => return Ok(Ok(None)),
                Some((Some(ObjectType::Tree), id)) => tree = self.repository.find_tree(id)?,
                Some(_) => return Ok(Err(walked)),
            }
        }
        Ok(Ok(Some(tree)))
    }

    fn instances(&self, directory: &Tree<'_>) -> Result<BTreeMap<String, Entry>, git2::Error> {
        let mut instances = BTreeMap::new();
        let mut contents = HashMap::new();
        let before = self.contents.take();
        for entry in directory {
            let Ok(name) = entry.name() else { continue };
            if !is_instance_file(name) {
                continue;
            }
            let is_file = matches!(
                u32::try_from(entry.filemode()),
                Ok(0o100_644 | 0o100_755 | 0o100_664)
            );
            let path = format!("{}/{name}", self.target.instances_path);
            if !is_file {
                instances.insert(path, Entry::Other);
                continue;
            }
            let content = match before.get(&entry.id()) {
                Some(content) => content.clone(),
                None => self.repository.find_blob(entry.id())?.content().to_vec(),
            };
            contents.insert(entry.id(), content.clone());
            instances.insert(path, Entry::File(content));
        }
        self.contents.replace(contents);
        Ok(instances)
    }

    fn overlays(&self, root: &Tree<'_>) -> Result<BTreeMap<String, Vec<u8>>, git2::Error> {
        let mut overlays = BTreeMap::new();
        let (parent, own) = match self.target.overlay_path.rsplit_once('/') {
            Some((parent, own)) => match self.directory(root, parent)? {
                Ok(Some(tree)) => (Some((parent, tree)), own),
                _ => return Ok(overlays),
            },
            None => (None, self.target.overlay_path.as_str()),
        };
        let (prefix, tree) = match &parent {
            Some((parent, tree)) => (format!("{parent}/"), tree),
            None => (String::new(), root),
        };
        for entry in tree {
            let Ok(name) = entry.name() else { continue };
            if name == own || entry.kind() != Some(ObjectType::Tree) {
                continue;
            }
            let overlay = self.repository.find_tree(entry.id())?;
            for file in KUSTOMIZATION {
                let Some(file_entry) = overlay.get_name(file) else {
                    continue;
                };
                if file_entry.kind() == Some(ObjectType::Blob) {
                    let content = self
                        .repository
                        .find_blob(file_entry.id())?
                        .content()
                        .to_vec();
                    overlays.insert(format!("{prefix}{name}/{file}"), content);
                }
            }
        }
        Ok(overlays)
    }

    /// Commits the change onto `tip`; `None` where it makes no difference.
    fn commit(&self, tip: Oid, change: &Change) -> Result<Option<Oid>> {
        if change.is_empty() {
            return Ok(None);
        }
        let repository = &self.repository;
        let parent = repository.find_commit(tip)?;
        let tree = parent.tree()?;
        let mut update = TreeUpdateBuilder::new();
        for (path, content) in &change.writes {
            update.upsert(
                path.as_str(),
                repository.blob(content.as_bytes())?,
                FileMode::Blob,
            );
        }
        for path in &change.removals {
            update.remove(path.as_str());
        }
        let changed = update
            .create_updated(repository, &tree)
            .context("building the tree of the commit")?;
        if changed == tree.id() {
            return Ok(None);
        }
        let bot = Signature::now(BOT.0, BOT.1)?;
        let changed = repository.find_tree(changed)?;
        let commit = repository
            .commit(None, &bot, &bot, &change.message, &changed, &[&parent])
            .context("writing the commit")?;
        Ok(Some(commit))
    }

    /// Moves the branch from `tip` to `commit`. What became of it since `tip` was fetched, gone or gone back, is somebody's
    /// doing, and for the next try to see.
    fn push(&self, tip: Oid, commit: Oid) -> Result<Push> {
        let refname = format!("refs/heads/{}", self.target.branch);
        // What the server says besides its status: hook output, GitHub's own reasons.
        let said = RefCell::new(Vec::new());
        let status: RefCell<Option<Option<String>>> = RefCell::new(None);
        let mut callbacks = RemoteCallbacks::new();
        callbacks.push_negotiation(|updates| {
            match updates.iter().all(|update| update.src() == tip) {
                true => Ok(()),
                false => Err(git2::Error::new(
                    ErrorCode::NotFastForward,
                    ErrorClass::Reference,
                    "the branch has moved meanwhile",
                )),
            }
        });
        // Never ended from here: once the pack is sent, the answer says whether the change landed.
        callbacks.sideband_progress(|text| {
            said.borrow_mut().extend_from_slice(text);
            true
        });
        callbacks.push_update_reference(|name, refused| {
            if name == refname {
                *status.borrow_mut() = Some(refused.map(str::to_owned));
            }
            Ok(())
        });
        let mut options = PushOptions::new();
        options
            .remote_callbacks(callbacks)
            .follow_redirects(RemoteRedirect::None)
            .packbuilder_parallelism(1)
            .custom_headers(&[&self.authorization()]);
        let mut remote = self.repository.remote_anonymous(&self.target.url)?;
        let pushed = remote.push(&[format!("{commit}:{refname}")], Some(&mut options));
        drop(options);
        let said = String::from_utf8_lossy(&said.into_inner()).into_owned();
        // What the server says of the branch counts, even if something went wrong behind it.
        Ok(match (status.into_inner(), pushed) {
            (Some(None), _) => Push::Landed,
            (Some(Some(reason)), _) => self.rejected(&reason, &said),
            (None, Ok(())) => Push::Again("the server said nothing about the branch".to_owned()),
            (None, Err(error)) => {
                let words = self.words_of(
                    &format!("pushing to {}: {}", self.target.url, words_of_error(&error)),
                    &said,
                );
                match verdict(&error) {
                    _ if self.stop.is_stopped() => Push::Failed(Failure::Interrupted),
                    Verdict::Again => Push::Again(words),
                    Verdict::Forbidden => Push::Failed(Failure::Forbidden(words)),
                    Verdict::Final => Push::Failed(Failure::Broken(anyhow!(words))),
                }
            }
        })
    }

    fn rejected(&self, reason: &str, said: &str) -> Push {
        let words = self.words_of(reason, said);
        if is_lost_race(reason) || is_passing(reason, said) {
            Push::Again(words)
        } else {
            Push::Failed(Failure::Rejected(words))
        }
    }

    /// The status and, below it, what else the server said.
    fn words_of(&self, reason: &str, said: &str) -> String {
        let lines = std::iter::once(reason).chain(said.lines().map(str::trim_end));
        let words: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        self.target.token.redact(&words.join("\n"))
    }

    /// Has the checkout in the workspace follow the pushed commit, where the target branch is checked out there.
    ///
    /// # Errors
    /// It does not, or not all of it does.
    pub fn follow(&mut self, commit: &str) -> Result<()> {
        let Some(workspace) = self.workspace.as_mut().filter(|it| it.on_target) else {
            return Ok(());
        };
        let commit = Oid::from_str(commit)?;
        workspace.follow(&self.repository, commit, &self.target.branch, &self.stop)?;
        workspace.head = commit;
        Ok(())
    }
}

/// Whether a refused reference means that somebody else moved it
/// (Git's `receive-pack.c` and GitHub's "incorrect old value", "cannot lock ref").
fn is_lost_race(reason: &str) -> bool {
    [
        "non-fast-forward",
        "fetch first",
        "failed to update ref",
        "failed to lock",
        "cannot lock ref",
        "incorrect old value",
        "reference already exists",
    ]
    .iter()
    .any(|text| reason.contains(text))
}

/// Whether a refused reference is the server's own trouble and no rule of the branch: GitHub says so in an outage
/// ([one](https://github.com/desktop/desktop/issues/16398), [another](https://github.com/desktop/desktop/issues/21249)).
fn is_passing(reason: &str, said: &str) -> bool {
    reason.contains("Internal Server Error") || said.contains("fatal error in commit_refs")
}

/// What an error of the transport means for another try.
enum Verdict {
    Again,
    Forbidden,
    Final,
}

fn verdict(error: &git2::Error) -> Verdict {
    let http_status = error
        .message()
        .rsplit_once("status code: ")
        .and_then(|(_, status)| status.trim().parse::<u16>().ok());
    match (http_status, error.code(), error.class()) {
        (Some(401 | 403 | 404), ..) | (_, ErrorCode::Auth, _) => Verdict::Forbidden,
        (Some(429 | 500..), ..) => Verdict::Again,
        (Some(_), ..) | (_, ErrorCode::Certificate, _) => Verdict::Final,
        _ if is_redirect(error) => Verdict::Final,
        // The system's other errors are about our own files: a full disk stays full.
        (_, _, ErrorClass::Os)
            if !["failed to connect", "SSL error"]
                .iter()
                .any(|network| error.message().starts_with(network)) =>
        {
            Verdict::Final
        }
        (_, ErrorCode::NotFastForward | ErrorCode::Timeout | ErrorCode::Eof, _) => Verdict::Again,
        (
            _,
            _,
            ErrorClass::Net
            | ErrorClass::Http
            | ErrorClass::Ssl
            | ErrorClass::Os
            | ErrorClass::Indexer
            | ErrorClass::Zlib,
        ) => Verdict::Again,
        _ => Verdict::Final,
    }
}

/// Whether the server sent us to another one. libgit2 follows within a host alone, and has no code for the rest.
fn is_redirect(error: &git2::Error) -> bool {
    error.message().contains("redirect")
}

fn words_of_error(error: &git2::Error) -> String {
    let remedy = if is_redirect(error) {
        "; the token goes to no other server, so see whether the repository has moved and GITHUB_SERVER_URL is right"
    } else {
        ""
    };
    format!("{}{remedy}", error.message())
}

/// A bare repository in a temporary directory that reads the workspace's objects as well, if one is given.
fn bare_repository(workspace: Option<&Workspace>) -> Result<(TempDir, Repository)> {
    let directory = tempfile::Builder::new()
        .prefix("flux-ephemeral-env-")
        .tempdir()
        .context("making a temporary directory")?;
    let mut options = RepositoryInitOptions::new();
    options.bare(true).external_template(false);
    let mut repository = Repository::init_opts(directory.path(), &options)
        .with_context(|| format!("making a repository in {}", directory.path().display()))?;
    if let Some(workspace) = workspace {
        let git = workspace.root.join(".git");
        let shallow = git.join("shallow");
        if shallow.is_file() {
            fs::copy(&shallow, directory.path().join("shallow"))
                .with_context(|| format!("reading {}", shallow.display()))?;
            // Not `open_bare`, which does not read the file.
            repository = Repository::open(directory.path())?;
        }
        let objects = git.join("objects");
        let objects = objects
            .to_str()
            .with_context(|| format!("{} is not UTF-8", objects.display()))?;
        repository.odb()?.add_disk_alternate(objects)?;
        repository.reference(HAVE, workspace.head, true, "")?;
    }
    Ok((directory, repository))
}

impl Workspace {
    /// The checkout at `root`; `None` where there is none that libgit2 can read.
    fn open(root: &Path, branch: &str) -> Option<Workspace> {
        // A `.git` that is a file or a link, or has a `commondir`, leads somewhere else, which is not for us to follow.
        let git = root.join(".git");
        let is_here = fs::symlink_metadata(&git).ok()?.is_dir() && !git.join("commondir").exists();
        if !is_here || has_pipes(&git) {
            return None;
        }
        let repository = open_workspace(root).ok()?;
        let head = repository.head().ok()?;
        // `core.worktree` leads somewhere else, too.
        let work_tree = repository
            .workdir()
            .and_then(|path| path.canonicalize().ok());
        Some(Workspace {
            on_target: work_tree == root.canonicalize().ok()
                && head.name().ok() == Some(&format!("refs/heads/{branch}"))
                && !has_links(&git, branch),
            head: head.peel_to_commit().ok()?.id(),
            root: root.to_owned(),
        })
    }

    /// Moves the branch, the index and the files that nobody touched from the old head to the pushed commit.
    fn follow(&self, ours: &Repository, commit: Oid, branch: &str, stop: &Stop) -> Result<()> {
        let mut changed = BTreeSet::new();
        let moved = self.move_to(ours, commit, branch, stop, &mut changed);
        // Half of it is somebody's as well.
        let given_back = self.give_back(&changed);
        moved.and(given_back)
    }

    fn move_to(
        &self,
        ours: &Repository,
        commit: Oid,
        branch: &str,
        stop: &Stop,
        changed: &mut BTreeSet<PathBuf>,
    ) -> Result<()> {
        if !ours.graph_descendant_of(commit, self.head)? {
            bail!("it has commits that are not on the remote branch, or is far behind it");
        }
        let theirs = open_workspace(&self.root)?;
        self.copy_commits(ours, &theirs, commit)?;
        if stop.is_stopped() {
            bail!("it was stopped");
        }
        self.check_out(&theirs, commit, changed)?;
        let message = "flux-ephemeral-env: follow the pushed commit";
        theirs
            .reference_matching(
                &format!("refs/heads/{branch}"),
                commit,
                true,
                self.head,
                message,
            )
            .with_context(|| format!("moving `{branch}` in {}", self.root.display()))?;
        Ok(())
    }

    /// The commits since the old head, the pushed one with them.
    fn came<'a>(&self, ours: &'a Repository, commit: Oid) -> Result<Revwalk<'a>, git2::Error> {
        let mut walk = ours.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL)?;
        walk.push(commit)?;
        walk.hide(self.head)?;
        Ok(walk)
    }

    /// Brings what came into the checkout's objects.
    fn copy_commits(&self, ours: &Repository, theirs: &Repository, commit: Oid) -> Result<()> {
        let mut pack = ours.packbuilder()?;
        pack.insert_walk(&mut self.came(ours, commit)?)?;
        let odb = theirs.odb()?;
        let mut writer = odb.packwriter()?;
        let mut failure = None;
        pack.foreach(|bytes| match writer.write_all(bytes) {
            Ok(()) => true,
            Err(error) => {
                failure = Some(error);
                false
            }
        })?;
        if let Some(error) = failure {
            return Err(error).context("writing the pushed commit into the checkout");
        }
        writer.commit()?;
        self.follow_in_shallow(ours, theirs, commit)
            .with_context(|| format!("writing what {} has no history of", self.root.display()))
    }

    /// Has files and index follow from the old head's tree to the commit's. What is written is put into `changed` before.
    fn check_out(
        &self,
        theirs: &Repository,
        commit: Oid,
        changed: &mut BTreeSet<PathBuf>,
    ) -> Result<()> {
        let tree = theirs.find_commit(commit)?.tree()?;
        let head_tree = theirs.find_commit(self.head)?.tree()?;
        let mut differing =
            paths(&theirs.diff_tree_to_tree(Some(&head_tree), Some(&tree), None)?);
        if let Some(path) = differing.iter().find(|path| self.is_behind_a_pipe(path)) {
            bail!(
                "something that is no file stands where Git reads one for {}",
                path.display()
            );
        }
        // What somebody staged stays as it is.
        let staged = paths(&theirs.diff_tree_to_index(Some(&head_tree), None, None)?);
        differing.retain(|path| {
            let mut staged = staged.iter();
            !staged.any(|staged| staged.starts_with(path) || path.starts_with(staged))
        });
        let is_within = |path: &&PathBuf| !self.is_behind_a_link(path);
        *changed = differing.iter().filter(is_within).cloned().collect();
        let mut checkout = CheckoutBuilder::new();
        // Safe: a file with somebody's changes is left as it is, and the others are not held up by it.
        checkout
            .safe()
            .allow_conflicts(true)
            .disable_pathspec_match(true);
        for path in changed.iter() {
            checkout.path(path);
        }
        // Without a path it would be everything.
        if !changed.is_empty() {
            theirs
                .checkout_tree(tree.as_object(), Some(&mut checkout))
                .with_context(|| format!("writing files in {}", self.root.display()))?;
        }
        follow_in_index(theirs, &differing, &head_tree, &tree)
            .with_context(|| format!("writing the index in {}", self.root.display()))
    }

    /// Notes which of the commits that came have parents that did not: ours may know by now what is behind the old head, and
    /// does not copy that.
    fn follow_in_shallow(&self, ours: &Repository, theirs: &Repository, commit: Oid) -> Result<()> {
        let odb = theirs.odb()?;
        let mut lines = String::new();
        for came in self.came(ours, commit)? {
            let came = theirs.find_commit(came?)?;
            if came.parent_ids().any(|parent| !odb.exists(parent)) {
                lines += &format!("{}\n", came.id());
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        let shallow = self.root.join(".git/shallow");
        let mut options = fs::OpenOptions::new();
        let mut shallow = options.append(true).create(true).open(shallow)?;
        Ok(shallow.write_all(lines.as_bytes())?)
    }

    /// Whether a directory on the way to `path` is a symbolic link, which may lead out of the workspace.
    fn is_behind_a_link(&self, path: &Path) -> bool {
        let mut parents = path.ancestors().skip(1);
        parents.any(|parent| is_link(&self.root.join(parent)))
    }

    /// Whether libgit2 would read something for `path` that nobody can read to its end.
    fn is_behind_a_pipe(&self, path: &Path) -> bool {
        let mut parents = path.ancestors().skip(1);
        let file = self.root.join(path);
        // A link is read as such.
        !is_link(&file) && is_pipe(&file)
            || parents.any(|parent| {
                let parent = self.root.join(parent);
                is_pipe(&parent.join(".gitattributes")) || is_pipe(&parent.join(".gitignore"))
            })
    }

    /// Gives what root wrote to the owner of the workspace: the next job's checkout has to remove it.
    fn give_back(&self, changed: &BTreeSet<PathBuf>) -> Result<()> {
        let owner = fs::metadata(&self.root)?;
        let git = self.root.join(".git");
        let mut written = vec![
            git.clone(),
            git.join("index"),
            git.join("HEAD"),
            git.join("packed-refs"),
        ];
        for directory in ["refs", "logs", "objects/pack", "objects/info"] {
            list(&git.join(directory), &mut written);
        }
        // By now some may be behind a link that came with the commit.
        for path in changed.iter().flat_map(|path| path.ancestors()) {
            if !path.as_os_str().is_empty() && !self.is_behind_a_link(path) {
                written.push(self.root.join(path));
            }
        }
        for path in written {
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            // What has another name as well may be somebody else's file.
            let is_ours = metadata.is_dir() || metadata.nlink() == 1;
            if is_ours && metadata.uid() == 0 && owner.uid() != 0 {
                lchown(&path, Some(owner.uid()), Some(owner.gid())).with_context(|| {
                    format!("giving {} to the workspace's owner", path.display())
                })?;
            }
        }
        Ok(())
    }
}

/// The files that differ.
fn paths(diff: &Diff<'_>) -> BTreeSet<PathBuf> {
    diff.deltas()
        .flat_map(|delta| [delta.old_file().path_bytes(), delta.new_file().path_bytes()])
        .flatten()
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
        .collect()
}

/// What of a tree's file an index entry may hold, too: object and mode.
fn file(tree: &Tree<'_>, path: &Path) -> Option<(Oid, u32)> {
    let entry = tree.get_path(path).ok()?;
    let mode = u32::try_from(entry.filemode()).ok()?;
    (entry.kind() != Some(ObjectType::Tree)).then_some((entry.id(), mode))
}

/// Has the index follow where the checkout left a file alone: it is somebody's, or outside of a sparse checkout. The index
/// would go on holding what the branch held before, and the next commit would bring that back.
fn follow_in_index(
    repository: &Repository,
    differing: &BTreeSet<PathBuf>,
    before: &Tree<'_>,
    after: &Tree<'_>,
) -> Result<(), git2::Error> {
    let (odb, mut index) = (repository.odb()?, repository.index()?);
    for path in differing {
        let (held, now) = (index.get_path(path, 0), file(after, path));
        let has_followed = held.as_ref().map(|entry| (entry.id, entry.mode)) != file(before, path);
        // What a partial clone does not have cannot be put into the index.
        let is_missing = now.is_some_and(|(id, mode)| mode != SUBMODULE && !odb.exists(id));
        if has_followed || is_missing {
            continue;
        }
        match now {
            Some((id, mode)) => index.add(&IndexEntry {
                id,
                mode,
                file_size: 0,
                ..held.unwrap_or_else(|| new_entry(path, id, mode))
            })?,
            None => index.remove_path(path)?,
        }
    }
    index.write()
}

/// An entry of the index that says nothing of a file in the work tree.
fn new_entry(path: &Path, id: Oid, mode: u32) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_os_str().as_bytes().to_vec(),
    }
}

/// Whether anything in there waits for somebody to write into it, and would keep its reader waiting for ever; or leads to
/// another directory, where something may.
fn has_pipes(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.file_type().ok()?, entry.path())))
        .any(|(kind, path)| match kind {
            _ if kind.is_dir() => has_pipes(&path),
            _ if kind.is_symlink() => fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()),
            _ => !kind.is_file(),
        })
}

/// Whether there is something to read at `path`, and it is no file.
fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Whether following a branch would write through a symbolic link, and so may write somewhere else.
fn has_links(git: &Path, branch: &str) -> bool {
    let branch = format!("refs/heads/{branch}");
    let written = [
        "HEAD".to_owned(),
        "index".to_owned(),
        "packed-refs".to_owned(),
        "shallow".to_owned(),
        "logs/HEAD".to_owned(),
        "objects/info".to_owned(),
        "objects/pack".to_owned(),
        format!("logs/{branch}"),
        branch,
    ];
    written.iter().any(|path| {
        let parts = Path::new(path).ancestors();
        let mut parts = parts.filter(|part| !part.as_os_str().is_empty());
        parts.any(|part| is_link(&git.join(part)))
    })
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

/// Everything below a directory, and the directory itself; links are not followed.
fn list(directory: &Path, into: &mut Vec<PathBuf>) {
    into.push(directory.to_owned());
    if is_link(directory) {
        return;
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&entry.path(), into);
        } else {
            into.push(entry.path());
        }
    }
}

/// The workspace's repository with a configuration of our own: what is written in its own has no say.
fn open_workspace(root: &Path) -> Result<Repository> {
    let none: [&OsStr; 0] = [];
    let repository = Repository::open_ext(root, RepositoryOpenFlags::NO_SEARCH, none)
        .with_context(|| format!("opening the checkout in {}", root.display()))?;
    repository.set_config(&git2::Config::new()?)?;
    Ok(repository)
}

/// Settings of libgit2 that hold for the whole process.
fn set_up_libgit2() -> Result<()> {
    static OUTCOME: OnceLock<Result<(), git2::Error>> = OnceLock::new();
    match OUTCOME.get_or_init(set_options) {
        Ok(()) => Ok(()),
        Err(error) => Err(anyhow!("setting up libgit2: {error}")),
    }
}

/// The one use of `unsafe`: libgit2 keeps these in plain globals.
#[allow(
    unsafe_code,
    reason = "libgit2's global options have no safe counterpart"
)]
fn set_options() -> Result<(), git2::Error> {
    let milliseconds = |duration: Duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: called once, before anything else of libgit2 and from one thread, so nobody reads the globals meanwhile.
    unsafe {
        // The container runs as root in a workspace of somebody else's.
        git2::opts::set_verify_owner_validation(false)?;
        // No `insteadOf` of a user's or system's configuration says where the token goes.
        for level in [
            ConfigLevel::System,
            ConfigLevel::Global,
            ConfigLevel::XDG,
            ConfigLevel::ProgramData,
        ] {
            git2::opts::set_search_path(level, "/nonexistent")?;
        }
        git2::opts::set_server_connect_timeout_in_milliseconds(milliseconds(ANSWER))?;
        git2::opts::set_server_timeout_in_milliseconds(milliseconds(ANSWER))?;
    }
    Ok(())
}
