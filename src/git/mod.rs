//! Git: reads the target branch's remote tip, commits a change onto it and pushes, again if somebody was faster.
//!
//! Everything happens in a bare repository of our own in a temporary directory. The workspace's objects are read through
//! an alternate, so that what is there is not fetched again, but its configuration, hooks and remotes are never looked at
//! for that: a pull request may have written them. The workspace itself is only touched where it has the target branch
//! checked out, after the push.

pub(crate) mod checkout;
pub(crate) mod error;
pub(crate) mod fetch;
pub(crate) mod libgit2;
pub(crate) mod publish;
pub(crate) mod push;
pub(crate) mod tip;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use git2::{Oid, Repository, RepositoryInitOptions};
use tempfile::TempDir;

use crate::git::checkout::Workspace;
use crate::git::libgit2::set_up_libgit2;
use crate::model::failure::Failure;
use crate::model::token::Token;
use crate::plan::Tip;

/// Where the remote tip is kept in our repository.
const TIP: &str = "refs/flux-ephemeral-env/tip";

/// Where the workspace's head is kept in our repository: what the server need not send.
const WORKSPACE_HEAD: &str = "refs/flux-ephemeral-env/have";

/// A quarter of the longest first wait, unless the try before it took longer than that.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest wait between two tries, unless one takes long by itself.
const PAUSE_LIMIT: Duration = Duration::from_secs(5);

/// With less time than this left there is no further try.
const LAST_ATTEMPT: Duration = Duration::from_millis(500);

/// Where to push, and what of the tip to read.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The repository's URL, without credentials.
    pub(crate) url: String,
    /// Sent as the password of `x-access-token`.
    pub(crate) token: Token,
    /// The target branch.
    pub(crate) branch: String,
    /// Directory of the instances.
    pub(crate) instances_path: String,
    /// Directory of the overlay; the ones beside it are read.
    pub(crate) overlay_path: String,
    /// The checkout, where there may be one.
    pub(crate) workspace: Option<PathBuf>,
    /// How long it is tried.
    pub(crate) timeout: Duration,
}

/// Lets whoever asked for the change take it back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the work at the next occasion.
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A session on the target branch: our repository, which holds what was fetched so far, and the time there is. Everything it
/// does blocks.
pub(crate) struct Session {
    target: Target,
    stop: Stop,
    repository: Repository,
    workspace: Option<Workspace>,
    started: Instant,
    time_limit: Duration,
    tries: u32,
    /// The server's answer to the last try.
    words: String,
    /// What the instances were at the tip before, by their blobs: most of them are the same at the next one.
    contents: RefCell<HashMap<Oid, Vec<u8>>>,
    _directory: TempDir,
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
        repository.reference(WORKSPACE_HEAD, workspace.head, true, "")?;
    }
    Ok((directory, repository))
}

impl Session {
    /// Makes the repository; nothing is asked of the server yet.
    ///
    /// # Errors
    /// There is no place for it.
    fn new(target: Target, stop: Stop) -> Result<Session> {
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

    /// Goes on with an earlier session on the same target, or begins.
    ///
    /// # Errors
    /// There is no place for it.
    pub(crate) fn resume(earlier: Option<Session>, target: Target, stop: Stop) -> Result<Session> {
        match earlier {
            Some(session) => Ok(Session { stop, ..session }),
            None => Session::new(target, stop),
        }
    }

    /// Reads the remote tip as it is now. `time_limit` is for this alone.
    ///
    /// # Errors
    /// Why the tip could not be read.
    pub(crate) fn read<T>(
        &mut self,
        time_limit: Duration,
        read: impl Fn(&Tip) -> Result<T>,
    ) -> Result<T, Failure> {
        self.begin(time_limit);
        let (_, tip) = self.fetch_tip()?;
        Ok(read(&tip)?)
    }

    fn begin(&mut self, time_limit: Duration) {
        self.started = Instant::now();
        self.time_limit = time_limit;
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
        if self.started.elapsed() >= self.time_limit {
            return Err(Failure::TimedOut(self.time_limit, self.words.clone()));
        }
        Ok(())
    }

    /// Waits a random while, longer with every try, so that those who collided once do not again. `taken` is how long it
    /// took from the tip to the push: where many push to a slow server, they have to stand further apart.
    fn pause(&mut self, taken: Duration) {
        let ceiling = FIRST_PAUSE
            .max(taken)
            .saturating_mul(4 << self.tries.min(8))
            .min(PAUSE_LIMIT.max(taken.saturating_mul(8)));
        self.tries += 1;
        let left = self.time_limit.saturating_sub(self.started.elapsed());
        // No longer than leaves time for another try, where there is time for any.
        let longest = if left > LAST_ATTEMPT { left / 2 } else { left };
        let end = Instant::now() + ceiling.mul_f64(fastrand::f64()).min(longest);
        while Instant::now() < end && !self.stop.is_stopped() {
            let step = Duration::from_millis(50);
            std::thread::sleep(step.min(end.saturating_duration_since(Instant::now())));
        }
    }

    fn authorization(&self) -> String {
        format!("Authorization: Basic {}", self.target.token.basic())
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

    /// Has the checkout in the workspace follow the pushed commit, where the target branch is checked out there.
    ///
    /// # Errors
    /// It does not, or not all of it does.
    pub(crate) fn follow(&mut self, commit: &str) -> Result<()> {
        let Some(workspace) = self.workspace.as_mut().filter(|it| it.on_target) else {
            return Ok(());
        };
        let commit = Oid::from_str(commit)?;
        workspace.follow(&self.repository, commit, &self.target.branch, &self.stop)?;
        workspace.head = commit;
        Ok(())
    }
}
