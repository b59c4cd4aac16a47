//! Everything the local GitHub knows, and the things its parts share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Pid;
use serde_json::Value;

use crate::access::{Caller, Role, Scope};
use crate::clock;
use crate::fault::Fault;
use crate::git::FIRST_COMMIT;
use crate::limit::ContentLimit;
use crate::pages::FormRecord;
use crate::record::Recorded;
use crate::semaphore::Semaphore;
use crate::webhook::{Delivery, Webhook};

/// The workflow's login, as GitHub's own.
pub(crate) const BOT: &str = "github-actions[bot]";

/// Shared by the server, the [`LocalGitHub`](crate::LocalGitHub) and each [`Repository`](crate::Repository).
pub(crate) struct Shared {
    pub(crate) server_url: String,
    /// The workflow's token.
    pub(crate) token: String,
    /// Where the repositories are: `<owner>/<name>.git`.
    pub(crate) git_root: PathBuf,
    state: Mutex<State>,
    tokens: Mutex<BTreeMap<String, Caller>>,
    faults: Mutex<Vec<Fault>>,
    content_limit: Mutex<Option<ContentLimit>>,
    requests: Mutex<Vec<Recorded>>,
    deliveries: Mutex<Vec<Delivery>>,
    /// The process groups of Git servers that run, by their leader.
    servers: Mutex<BTreeSet<i32>>,
    /// How many of them run at a time, pushes aside.
    pub(crate) server_places: Semaphore,
    commits: AtomicU64,
    arrivals: AtomicU64,
}

impl Shared {
    pub(crate) fn new(server_url: String, token: String, git_root: PathBuf) -> Self {
        let tokens = BTreeMap::from([(
            token.clone(),
            Caller {
                login: BOT.to_owned(),
                workflow: true,
            },
        )]);
        let state = State {
            server_url: server_url.clone(),
            last_id: 1_000_000,
            ..State::default()
        };
        Self {
            server_url,
            token,
            git_root,
            state: Mutex::new(state),
            tokens: Mutex::new(tokens),
            faults: Mutex::default(),
            content_limit: Mutex::default(),
            requests: Mutex::default(),
            deliveries: Mutex::default(),
            servers: Mutex::default(),
            server_places: Semaphore::per_processor(1),
            commits: AtomicU64::new(FIRST_COMMIT),
            arrivals: AtomicU64::new(0),
        }
    }

    /// The state, each open pull request's head brought up to what Git holds.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        state.follow_heads(self);
        state
    }

    pub(crate) fn tokens(&self) -> MutexGuard<'_, BTreeMap<String, Caller>> {
        lock(&self.tokens)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Vec<Fault>> {
        lock(&self.faults)
    }

    pub(crate) fn content_limit(&self) -> MutexGuard<'_, Option<ContentLimit>> {
        lock(&self.content_limit)
    }

    pub(crate) fn requests(&self) -> MutexGuard<'_, Vec<Recorded>> {
        lock(&self.requests)
    }

    pub(crate) fn deliveries(&self) -> MutexGuard<'_, Vec<Delivery>> {
        lock(&self.deliveries)
    }

    /// Tells the webhooks which branches of the base repository moved, on someone's account. Without a webhook it does
    /// not even bring the state up to date. Whoever holds the state calls [`State::announce`].
    pub(crate) fn announce(&self, login: &str) {
        if !lock(&self.state).webhooks.is_empty() {
            self.state().announce(self, login);
        }
    }

    pub(crate) fn servers(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        lock(&self.servers)
    }

    /// Ends every Git server that runs, with its hooks.
    pub(crate) fn end_servers(&self) {
        for leader in self.servers().iter().filter_map(|id| Pid::from_raw(*id)) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }

    /// The date of the next commit.
    pub(crate) fn tick(&self) -> u64 {
        self.commits.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells one recorded request, or one connection, from another.
    pub(crate) fn new_number(&self) -> u64 {
        self.arrivals.fetch_add(1, Ordering::Relaxed)
    }
}

/// One failed test is no reason for the next message to be about a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) server_url: String,
    /// What the workflow's token may; everything where it is not said.
    pub(crate) scopes: Option<Vec<Scope>>,
    /// By login in lower case.
    pub(crate) roles: BTreeMap<String, Role>,
    /// In lower case.
    pub(crate) removed_users: BTreeSet<String>,
    pub(crate) repositories: BTreeMap<u64, RepositoryRecord>,
    /// The repository that the workflow runs in.
    pub(crate) base: u64,
    /// Issues of the base, pull requests among them, by number.
    pub(crate) issues: BTreeMap<u64, Issue>,
    /// By id.
    pub(crate) comments: BTreeMap<u64, CommentRecord>,
    pub(crate) reactions: Vec<Reaction>,
    pub(crate) statuses: Vec<StatusRecord>,
    /// By id.
    pub(crate) deployments: BTreeMap<u64, DeploymentRecord>,
    /// What runs of workflows left, by id.
    pub(crate) runs: BTreeMap<u64, RunRecord>,
    /// Where somebody may write on the pages.
    pub(crate) form: Option<FormRecord>,
    pub(crate) webhooks: Vec<Webhook>,
    /// The base repository's branches as the webhooks were last told, once there is one: references and commits.
    pub(crate) announced: BTreeMap<String, String>,
    last_id: u64,
}

impl State {
    pub(crate) fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn base(&self) -> &RepositoryRecord {
        &self.repositories[&self.base]
    }

    /// The repository at this place; names are found in any case, as on GitHub.
    pub(crate) fn repository(&self, owner: &str, name: &str) -> Option<&RepositoryRecord> {
        self.repositories.values().find(|record| {
            !record.deleted
                && record.owner.eq_ignore_ascii_case(owner)
                && record.name.eq_ignore_ascii_case(name)
        })
    }

    /// An issue or a pull request.
    ///
    /// # Panics
    /// Where there is none: a mistake in a test.
    pub(crate) fn issue_mut(&mut self, number: u64) -> &mut Issue {
        self.issues
            .get_mut(&number)
            .unwrap_or_else(|| panic!("there is no #{number}"))
    }

    pub(crate) fn add_issue(&mut self, author: &str, title: &str, pull: Option<Pull>) -> u64 {
        let number = self.issues.len() as u64 + 1;
        let issue = Issue {
            id: self.new_id(),
            number,
            title: title.to_owned(),
            author: author.to_owned(),
            labels: BTreeSet::new(),
            created: clock::now(),
            updated: clock::now(),
            closed: None,
            pull,
        };
        self.issues.insert(number, issue);
        number
    }

    pub(crate) fn add_comment(&mut self, number: u64, login: &str, body: &str) -> u64 {
        let id = self.new_id();
        let comment = CommentRecord {
            id,
            number,
            login: login.to_owned(),
            body: body.to_owned(),
            created: clock::now(),
            updated: clock::now(),
        };
        self.issue_mut(number).updated.clone_from(&comment.created);
        self.comments.insert(id, comment);
        id
    }

    /// The newest status of each context of a commit, newest first.
    pub(crate) fn newest_statuses(&self, sha: &str) -> Vec<&StatusRecord> {
        let mut contexts = BTreeSet::new();
        let newest_first = self.statuses.iter().rev();
        newest_first
            .filter(|status| status.sha == sha && contexts.insert(&status.context))
            .collect()
    }
}

#[derive(Clone)]
pub(crate) struct RepositoryRecord {
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) fork: bool,
    pub(crate) public: bool,
    pub(crate) deleted: bool,
    pub(crate) default_branch: String,
    /// When something was last pushed to it.
    pub(crate) pushed: String,
    pub(crate) git_dir: PathBuf,
}

impl RepositoryRecord {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

pub(crate) struct Issue {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) author: String,
    pub(crate) labels: BTreeSet<String>,
    pub(crate) created: String,
    pub(crate) updated: String,
    pub(crate) closed: Option<String>,
    /// Where the issue is a pull request.
    pub(crate) pull: Option<Pull>,
}

impl Issue {
    pub(crate) fn state(&self) -> &'static str {
        if self.closed.is_some() {
            "closed"
        } else {
            "open"
        }
    }
}

#[derive(Clone)]
pub(crate) struct Pull {
    pub(crate) id: u64,
    /// The head's repository, which may be deleted since.
    pub(crate) head: u64,
    pub(crate) head_branch: String,
    pub(crate) head_sha: String,
    pub(crate) base_branch: String,
    pub(crate) base_sha: String,
    /// Both sides merged; none where they conflict.
    pub(crate) merge_sha: Option<String>,
    pub(crate) merged_by: Option<String>,
    pub(crate) draft: bool,
}

pub(crate) struct CommentRecord {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) login: String,
    pub(crate) body: String,
    pub(crate) created: String,
    pub(crate) updated: String,
}

pub(crate) struct Reaction {
    pub(crate) id: u64,
    pub(crate) comment: u64,
    pub(crate) login: String,
    pub(crate) content: String,
    pub(crate) created: String,
}

pub(crate) struct StatusRecord {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) state: String,
    pub(crate) context: String,
    pub(crate) description: Option<String>,
    pub(crate) target_url: Option<String>,
    pub(crate) login: String,
    pub(crate) created: String,
}

pub(crate) struct DeploymentRecord {
    pub(crate) id: u64,
    /// The branch, tag or commit that was asked for, and the commit that it was.
    pub(crate) reference: String,
    pub(crate) sha: String,
    pub(crate) task: String,
    /// The environment, which a status may change, and the one that was asked for.
    pub(crate) environment: String,
    pub(crate) original_environment: String,
    pub(crate) description: Option<String>,
    pub(crate) payload: Value,
    /// The environment is gone one day.
    pub(crate) transient: bool,
    pub(crate) production: bool,
    pub(crate) login: String,
    pub(crate) created: String,
    /// Oldest first.
    pub(crate) statuses: Vec<DeploymentStatusRecord>,
}

impl DeploymentRecord {
    /// The newest status's state, where there is one.
    pub(crate) fn state(&self) -> Option<&str> {
        self.statuses.last().map(|status| status.state.as_str())
    }
}

#[derive(Clone)]
pub(crate) struct DeploymentStatusRecord {
    pub(crate) id: u64,
    pub(crate) state: String,
    pub(crate) description: String,
    /// Empty where there is none, and so are the others.
    pub(crate) environment_url: String,
    pub(crate) log_url: String,
    pub(crate) auto_inactive: bool,
    pub(crate) login: String,
    pub(crate) created: String,
}

pub(crate) struct RunRecord {
    pub(crate) log: String,
    pub(crate) summary: String,
}
