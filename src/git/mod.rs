//! Git, through libgit2: a session reads the tip of the target branch, commits onto it and pushes. [`transport`] is libgit2's
//! way to the server.
//!
//! Everything happens in a bare repository of our own in a temporary directory. It reads the workspace's objects through an
//! alternate, so that nothing is fetched twice. It never reads the workspace's configuration, hooks or remotes: a pull
//! request may have written them. The workspace itself changes only where it has the target branch checked out, and only
//! after the push ([`checkout`]). There a few plain values of the configuration count, read as data ([`settings`]).

pub(crate) mod checkout;
mod conversion;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod fetch;
pub(crate) mod libgit2;
pub(crate) mod push;
mod settings;
pub(crate) mod tip;
mod transport;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use git2::{Oid, Repository, RepositoryInitOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::git::checkout::{Followed, Workspace};
use crate::git::libgit2::set_up_libgit2;
use crate::git::transport::Connection;
use crate::http::HttpClient;
use crate::model::failure::Failure;
use crate::model::token::Token;

/// The longest wait for a connection to the server, and for each part of its answer.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// The reference in our repository that holds the remote tip.
const TIP: &str = "refs/flux-ephemeral-env/tip";
/// The reference in our repository that holds the workspace's head, so that the server does not send what is there.
const WORKSPACE_HEAD: &str = "refs/flux-ephemeral-env/have";
/// The first wait is at most four times as long, or four times as long as the attempt before it took.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest wait between two attempts, unless one attempt takes long by itself.
const PAUSE_LIMIT: Duration = Duration::from_secs(5);
/// With less time than this left, the wait uses all of it.
const LAST_ATTEMPT: Duration = Duration::from_millis(500);

/// A branch on a server, and what to read of its tip.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The repository's URL, without credentials.
    pub(crate) url: String,
    pub(crate) client: HttpClient,
    /// Sent as the password of `x-access-token`.
    pub(crate) token: Token,
    pub(crate) branch: String,
    pub(crate) instances_path: String,
    /// The overlays beside this one are read: no environment may have their namespaces.
    pub(crate) overlay_path: String,
    pub(crate) workspace: Option<PathBuf>,
    /// How long a change is tried again.
    pub(crate) timeout: Duration,
}

/// A commit in the session's repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommitId(Oid);

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A repository of our own that holds what was fetched so far, and the time that is left. Every method blocks.
pub(crate) struct Session {
    target: Target,
    cancellation: CancellationToken,
    repository: Repository,
    workspace: Option<Workspace>,
    started: Instant,
    time_limit: Duration,
    attempts: u32,
    /// The server's answer to the last attempt.
    last_answer: String,
    /// The instances' files at the tip before, by their blobs: most of them are the same at the next tip.
    blobs: RefCell<HashMap<Oid, Vec<u8>>>,
    _directory: TempDir,
}

impl Session {
    /// Returns the earlier session on the same target, or a new one, which has sent nothing yet.
    pub(crate) fn resume(
        earlier: Option<Session>,
        target: Target,
        cancellation: CancellationToken,
    ) -> Result<Session> {
        match earlier {
            Some(session) => Ok(Session {
                cancellation,
                ..session
            }),
            None => Session::new(target, cancellation),
        }
    }

    fn new(target: Target, cancellation: CancellationToken) -> Result<Session> {
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
        Ok(Session {
            time_limit: target.timeout,
            target,
            cancellation,
            repository,
            workspace,
            started: Instant::now(),
            attempts: 0,
            last_answer: String::new(),
            blobs: RefCell::default(),
            _directory: directory,
        })
    }

    /// Starts the clock for the next read or change.
    pub(crate) fn begin(&mut self, time_limit: Duration) {
        self.started = Instant::now();
        self.time_limit = time_limit;
        self.attempts = 0;
    }

    /// Fails once the time is over or the session is cancelled.
    pub(crate) fn check_time(&self) -> Result<(), Failure> {
        self.check_cancelled()?;
        if self.started.elapsed() >= self.time_limit {
            return Err(Failure::TimedOut(self.time_limit, self.last_answer.clone()));
        }
        Ok(())
    }

    pub(crate) fn check_cancelled(&self) -> Result<(), Failure> {
        match self.cancellation.is_cancelled() {
            true => Err(Failure::Interrupted),
            false => Ok(()),
        }
    }

    /// Keeps the server's answer to an attempt, for the error if the time runs out.
    pub(crate) fn note_answer(&mut self, answer: String) {
        self.last_answer = answer;
    }

    /// Waits a random while before the next attempt: longer with each, so that those who collided once do not collide again.
    /// `taken` is the time from the tip to the push: where many push to a slow server, they have to keep a longer distance.
    pub(crate) fn pause(&mut self, taken: Duration) {
        let ceiling = FIRST_PAUSE
            .max(taken)
            .saturating_mul(4 << self.attempts.min(8))
            .min(PAUSE_LIMIT.max(taken.saturating_mul(8)));
        self.attempts += 1;
        let left = self.time_limit.saturating_sub(self.started.elapsed());
        // Leaves time for another attempt, where there is time for any.
        let longest = if left > LAST_ATTEMPT { left / 2 } else { left };
        let end = Instant::now() + ceiling.mul_f64(fastrand::f64()).min(longest);
        while Instant::now() < end && !self.cancellation.is_cancelled() {
            let step = Duration::from_millis(50);
            std::thread::sleep(step.min(end.saturating_duration_since(Instant::now())));
        }
    }

    /// Whether `commit` is in the history of `tip`.
    pub(crate) fn contains(&self, tip: CommitId, commit: CommitId) -> bool {
        tip == commit
            || self
                .repository
                .graph_descendant_of(tip.0, commit.0)
                .unwrap_or(false)
    }

    /// Moves the checkout in the workspace to the pushed commit, where the target branch is checked out there.
    pub(crate) fn follow(&mut self, commit: CommitId) -> Result<Followed> {
        let Some(workspace) = self.workspace.as_mut().filter(|it| it.on_target) else {
            return Ok(Followed::Yes);
        };
        let branch = &self.target.branch;
        let followed = workspace.follow(&self.repository, commit.0, branch, &self.cancellation)?;
        if followed == Followed::Yes {
            workspace.head = commit.0;
        }
        Ok(followed)
    }

    /// Goes on without the workspace: an object that it should hold is broken, or missing (a partial clone).
    fn leave_workspace(&mut self) -> Result<()> {
        self.workspace = None;
        let (directory, repository) = bare_repository(None)?;
        self.repository = repository;
        self._directory = directory;
        Ok(())
    }

    fn connection(&self, cancellation: Option<&CancellationToken>) -> Connection {
        Connection::new(&self.target.client, &self.target.token, cancellation)
    }

    fn tip(&self) -> Option<Oid> {
        self.repository.refname_to_id(TIP).ok()
    }

    fn has_checkout_of_target(&self) -> bool {
        self.workspace
            .as_ref()
            .is_some_and(|workspace| workspace.on_target)
    }
}

/// Makes a bare repository in a temporary directory. It reads the workspace's objects as well, where there is one.
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
            // `open_bare` would not read the file.
            repository = Repository::open(directory.path())?;
        }
        let objects = git.join("objects");
        let objects = objects
            .to_str()
            .with_context(|| format!("{} is not UTF-8", objects.display()))?;
        repository.odb()?.add_disk_alternate(objects)?;
        repository.reference(WORKSPACE_HEAD, workspace.head, true, "")?;
    }
    Ok((directory, repository))
}
