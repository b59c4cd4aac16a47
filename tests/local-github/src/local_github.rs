//! The local GitHub itself, and what people do on it.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;

use crate::access::{Caller, Role, Scope};
use crate::api::STATES;
use crate::clock;
use crate::fault::Fault;
use crate::git;
use crate::limit::ContentLimit;
use crate::pages::{self, FormRecord, Submission};
use crate::record::Recorded;
use crate::repository::{self, Repository};
use crate::server::{self, Door};
use crate::state::{
    CommentRecord, DeploymentRecord, DeploymentStatusRecord, RepositoryRecord, RunRecord, Shared,
    State, StatusRecord,
};
use crate::temporary;
use crate::tls::{self, TlsPort};
use crate::webhook::Delivery;

const OWNER: &str = "octo-org";
const NAME: &str = "demo";

/// A GitHub of one's own, on a free port of this machine, with one base repository `octo-org/demo`.
///
/// Dropping it ends the server, the Git processes it started, and its directory. A mistake in a test, such as an unknown
/// number, is a panic that names it.
pub struct LocalGitHub {
    shared: Arc<Shared>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    directory: TempDir,
}

/// A comment, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comment {
    /// Its id.
    pub id: u64,
    /// Whose it is.
    pub login: String,
    /// Its text.
    pub body: String,
    /// Its page.
    pub url: String,
}

/// A commit status, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// `pending`, `success`, `failure` or `error`.
    pub state: String,
    /// What it is about.
    pub context: String,
    /// What it says.
    pub description: Option<String>,
    /// Where it leads.
    pub target_url: Option<String>,
    /// Who set it.
    pub login: String,
}

/// A deployment, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deployment {
    /// Its id.
    pub id: u64,
    /// The commit that is deployed.
    pub sha: String,
    /// What is done: `deploy` where nobody said.
    pub task: String,
    /// Where to.
    pub environment: String,
    /// What it says.
    pub description: Option<String>,
    /// The environment is gone one day.
    pub transient: bool,
    /// How it went, oldest first.
    pub statuses: Vec<DeploymentStatus>,
}

/// The status of a deployment, read back. A text that nobody gave is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeploymentStatus {
    /// `error`, `failure`, `inactive`, `in_progress`, `queued`, `pending` or `success`.
    pub state: String,
    /// What it says.
    pub description: String,
    /// Where what was deployed is reached.
    pub environment_url: String,
    /// Where the log is.
    pub log_url: String,
    /// Whether it makes older deployments inactive.
    pub auto_inactive: bool,
}

impl LocalGitHub {
    /// Starts the server on the loopback address 127.0.0.1 and creates the base repository.
    pub fn start() -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into())
    }

    /// The same on another address of this machine, which all URLs carry: one that the clients reach it by, as containers
    /// do not by the loopback one.
    pub fn start_on(address: IpAddr) -> Self {
        let directory = temporary::directory("github-");
        let listener = TcpListener::bind((address, 0)).expect("a free port of the address");
        let address = listener.local_addr().expect("the port's number");
        let token = format!("ghs_local{:05}", address.port());
        let shared = Arc::new(Shared::new(
            format!("http://{address}"),
            token,
            directory.path().to_owned(),
        ));

        let git_dir = directory.path().join(OWNER).join(format!("{NAME}.git"));
        Repository::create(&git_dir, &shared);
        let base = add_repository(&shared, OWNER, NAME, false, &git_dir);
        shared.state().base = base.id;

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("github".to_owned());
        let thread = thread
            .spawn(move || serve(runtime, listener, &served, stopped))
            .expect("a thread");
        Self {
            shared,
            runtime: handle,
            stop: Some(stop),
            thread: Some(thread),
            directory,
        }
    }

    /// `http://<address>:<port>`, as `GITHUB_SERVER_URL`.
    pub fn server_url(&self) -> String {
        self.shared.server_url.clone()
    }

    /// As `GITHUB_API_URL`, in the form of GitHub Enterprise Server.
    pub fn api_url(&self) -> String {
        format!("{}/api/v3", self.shared.server_url)
    }

    /// As `GITHUB_GRAPHQL_URL`.
    pub fn graphql_url(&self) -> String {
        format!("{}/api/graphql", self.shared.server_url)
    }

    /// Opens another port for the API alone, in the form of github.com: no prefix, and GraphQL at `<this>/graphql`.
    ///
    /// # Panics
    /// Where no port is free.
    pub fn open_api(&self) -> String {
        let listener = self.free_port();
        let url = format!(
            "http://{}",
            listener.local_addr().expect("the port's number")
        );
        let shared = Arc::clone(&self.shared);
        self.runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener);
            server::serve(listener.expect("a listener for tokio"), shared, Door::Api).await;
        });
        url
    }

    /// Opens another port that answers to the same as the first, and speaks HTTPS.
    ///
    /// # Panics
    /// Where no port is free.
    pub fn open_tls(&self) -> TlsPort {
        let listener = self.free_port();
        let address = listener.local_addr().expect("the port's number");
        let host = address.ip().to_string();
        let (acceptor, authority) = tls::acceptor(&host, self.directory.path());
        let shared = Arc::clone(&self.shared);
        self.runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener);
            let listener = listener.expect("a listener for tokio");
            server::serve_tls(listener, shared, acceptor).await;
        });
        TlsPort {
            url: format!("https://{address}"),
            authority,
        }
    }

    /// Another port of the server's address.
    fn free_port(&self) -> TcpListener {
        let address = self.shared.server_url.trim_start_matches("http://");
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let listener = TcpListener::bind(format!("{host}:0")).expect("a free port of the address");
        listener
            .set_nonblocking(true)
            .expect("a listener for tokio");
        listener
    }

    /// The workflow's token, which is `github-actions[bot]`'s.
    pub fn token(&self) -> String {
        self.shared.token.clone()
    }

    /// Gives the workflow's token these permissions and no others, written as `contents:write`.
    pub fn restrict_token(&self, permissions: &[&str]) {
        self.shared.state().scopes =
            Some(permissions.iter().map(|text| Scope::parse(text)).collect());
    }

    /// Adds a person's token, which may what the person may. An app's is one whose login ends in `[bot]`.
    pub fn add_personal_token(&self, token: &str, login: &str) {
        let caller = Caller {
            login: login.to_owned(),
            workflow: false,
        };
        self.shared.tokens().insert(token.to_owned(), caller);
    }

    /// Gives someone `admin`, `maintain`, `write`, `triage`, `read` or `none` on the base repository. Who is not named here has
    /// `read`.
    pub fn set_permission(&self, login: &str, permission: &str) {
        self.shared
            .state()
            .roles
            .insert(login.to_lowercase(), Role::parse(permission));
    }

    /// Deletes someone's account: the permission is a 404, and what they wrote is by `null`.
    pub fn remove_user(&self, login: &str) {
        self.shared
            .state()
            .removed_users
            .insert(login.to_lowercase());
    }

    /// GitHub's id of the base repository.
    pub fn repository_id(&self) -> u64 {
        self.shared.state().base().id
    }

    /// The base repository, `octo-org/demo`.
    pub fn repository(&self) -> Repository {
        self.handle(self.shared.state().base().clone())
    }

    /// Forks the base repository: a real clone of the same name.
    pub fn fork(&self, owner: &str) -> Repository {
        self.fork_named(owner, NAME)
    }

    /// Forks the base repository under another name.
    pub fn fork_named(&self, owner: &str, name: &str) -> Repository {
        assert!(
            self.shared.state().repository(owner, name).is_none(),
            "{owner}/{name} is there already"
        );
        let git_dir = self.shared.git_root.join(owner).join(format!("{name}.git"));
        Repository::copy(&self.repository().git_dir(), &git_dir);
        self.handle(add_repository(&self.shared, owner, name, true, &git_dir))
    }

    fn handle(&self, record: RepositoryRecord) -> Repository {
        Repository::new(Arc::clone(&self.shared), record)
    }

    /// Opens a pull request from a branch of the base repository or a fork to the default branch, and returns its number.
    ///
    /// It follows the branch while it is open, and its `refs/pull/<number>/head` and `…/merge` with it.
    ///
    /// # Panics
    /// Where GitHub would refuse: no such branch, or one that has an open pull request.
    pub fn open_pull_request(&self, head: &Repository, branch: &str, author: &str) -> u64 {
        self.open_pull_request_titled(head, branch, author, &title(branch))
    }

    /// The same with a title.
    ///
    /// # Panics
    /// As [`LocalGitHub::open_pull_request`].
    pub fn open_pull_request_titled(
        &self,
        head: &Repository,
        branch: &str,
        author: &str,
        title: &str,
    ) -> u64 {
        let mut state = self.shared.state();
        let opened = state.add_pull(head.id(), branch, author, title);
        let number = opened.unwrap_or_else(|refusal| panic!("{refusal}"));
        state.publish(&self.shared, &[number]);
        number
    }

    /// The same for many branches, in a small part of the time where they are at the same commit. Returns the numbers in the
    /// order of the branches.
    ///
    /// # Panics
    /// As [`LocalGitHub::open_pull_request`].
    pub fn open_pull_requests(
        &self,
        head: &Repository,
        branches: &[impl AsRef<str>],
        author: &str,
    ) -> Vec<u64> {
        let mut state = self.shared.state();
        let opened = branches.iter().map(|branch| {
            let branch = branch.as_ref();
            let opened = state.add_pull(head.id(), branch, author, &title(branch));
            opened.unwrap_or_else(|refusal| panic!("{refusal}"))
        });
        let numbers: Vec<_> = opened.collect();
        state.publish(&self.shared, &numbers);
        numbers
    }

    /// Closes a pull request without merging it. Its head stays what it was.
    pub fn close_pull_request(&self, number: u64) {
        self.shared.state().close(number);
    }

    /// Opens a pull request again that was closed. It follows its branch again.
    ///
    /// # Panics
    /// Where GitHub would refuse: it is open or merged, its branch is gone, or another pull request from it is open.
    pub fn reopen_pull_request(&self, number: u64) {
        let reopened = self.shared.state().reopen(&self.shared, number);
        reopened.unwrap_or_else(|refusal| panic!("{refusal}"));
    }

    /// Makes a pull request a draft, or ready for review.
    pub fn set_draft(&self, number: u64, draft: bool) {
        self.shared.state().pull_mut(number).draft = draft;
    }

    /// Merges a pull request with a merge commit on its base branch, and returns that commit.
    ///
    /// # Panics
    /// Where GitHub would refuse: it is closed or has conflicts.
    pub fn merge_pull_request(&self, number: u64) -> String {
        let merged = self.shared.state().merge(&self.shared, number, OWNER);
        merged.unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// Brings `refs/pull/<number>/merge` up to the base branch of now, which GitHub does when someone looks.
    pub fn refresh_merge_commit(&self, number: u64) {
        self.shared.state().refresh_merge(&self.shared, number);
    }

    /// Deletes the fork that a pull request comes from. See [`Repository::delete`].
    pub fn delete_head_repository(&self, number: u64) {
        let head = {
            let mut state = self.shared.state();
            let head = state.pull_mut(number).head;
            state.repositories[&head].clone()
        };
        self.handle(head).delete();
    }

    /// Renames the branch of a pull request, which stays open and follows.
    pub fn rename_head(&self, number: u64, new: &str) {
        self.shared
            .state()
            .rename_head(&self.shared, number, new, OWNER);
    }

    /// Opens an issue that is no pull request, and returns its number.
    pub fn open_issue(&self, author: &str, title: &str) -> u64 {
        self.shared.state().add_issue(author, title, None)
    }

    /// Comments on an issue or a pull request, and returns the comment's id.
    pub fn comment(&self, number: u64, login: &str, body: &str) -> u64 {
        self.shared.state().add_comment(number, login, body)
    }

    /// Deletes a comment.
    ///
    /// # Panics
    /// There is no such comment.
    pub fn delete_comment(&self, comment: u64) {
        let deleted = self.shared.state().comments.remove(&comment);
        assert!(deleted.is_some(), "there is no comment {comment}");
    }

    /// Changes the text of a comment, as its author or somebody who maintains the repository may.
    ///
    /// # Panics
    /// Where there is no such comment.
    pub fn edit_comment(&self, comment: u64, body: &str) {
        let mut state = self.shared.state();
        let record = state
            .comments
            .get_mut(&comment)
            .unwrap_or_else(|| panic!("there is no comment {comment}"));
        body.clone_into(&mut record.body);
    }

    /// The payload of `issue_comment`, sent by the comment's author.
    pub fn issue_comment_event(&self, comment: u64, action: &str) -> Value {
        let state = self.shared.state();
        let record = state
            .comments
            .get(&comment)
            .unwrap_or_else(|| panic!("there is no comment {comment}"));
        state.comment_event(record, action)
    }

    /// The payload of `pull_request` and of `pull_request_target`, as things stand. Here as everywhere, a login that ends in
    /// `[bot]` is a bot's.
    pub fn pull_request_event(&self, number: u64, action: &str, sender: &str) -> Value {
        let mut state = self.shared.state();
        let pull = state.pull_mut(number).clone();
        state.pull_event(&state.issues[&number], &pull, action, sender)
    }

    /// Puts a label on a pull request (`labeled`) or takes it off (`unlabeled`), and returns the payload of that.
    ///
    /// # Panics
    /// For another action.
    pub fn label_event(&self, number: u64, action: &str, label: &str, sender: &str) -> Value {
        let mut state = self.shared.state();
        let pull = state.pull_mut(number).clone();
        let issue = state.issue_mut(number);
        match action {
            "labeled" => issue.labels.insert(label.to_owned()),
            "unlabeled" => issue.labels.remove(label),
            other => panic!("`{other}` is neither `labeled` nor `unlabeled`"),
        };
        issue.updated = clock::now();
        state.label_event(&state.issues[&number], &pull, action, label, sender)
    }

    /// The payload of `schedule`, which nobody sends and which does not name the repository.
    pub fn schedule_event(&self) -> Value {
        json!({"schedule": "17 * * * *"})
    }

    /// The payload of `workflow_dispatch`.
    pub fn dispatch_event(&self, sender: &str) -> Value {
        self.shared.state().dispatch_event(sender)
    }

    /// The comments of an issue or a pull request, oldest first.
    pub fn comments(&self, number: u64) -> Vec<Comment> {
        let state = self.shared.state();
        let of_issue = state
            .comments
            .values()
            .filter(|comment| comment.number == number);
        of_issue
            .map(|comment| read_comment(&state, comment))
            .collect()
    }

    /// The reactions to a comment, oldest first: who, and what.
    pub fn reactions(&self, comment: u64) -> Vec<(String, String)> {
        let state = self.shared.state();
        let of_comment = state
            .reactions
            .iter()
            .filter(|reaction| reaction.comment == comment);
        of_comment
            .map(|reaction| (reaction.login.clone(), reaction.content.clone()))
            .collect()
    }

    /// The statuses of a commit, oldest first.
    pub fn statuses(&self, sha: &str) -> Vec<Status> {
        let state = self.shared.state();
        let of_commit = state.statuses.iter().filter(|status| status.sha == sha);
        of_commit.map(read_status).collect()
    }

    /// Sets a status of a commit, as somebody else does, such as Flux.
    ///
    /// # Panics
    /// Where the base repository has no such commit, or GitHub knows no such state.
    pub fn set_status(
        &self,
        sha: &str,
        context: &str,
        state: &str,
        description: &str,
        login: &str,
    ) {
        let mut github = self.shared.state();
        assert!(github.has_commit(sha), "there is no commit {sha}");
        assert!(
            STATES.contains(&state),
            "`{state}` is no state of a commit: {STATES:?}"
        );
        let id = github.new_id();
        github.statuses.push(StatusRecord {
            id,
            sha: sha.to_owned(),
            state: state.to_owned(),
            context: context.to_owned(),
            description: Some(description.to_owned()),
            target_url: None,
            login: login.to_owned(),
            created: clock::now(),
        });
    }

    /// The payload of `status`, for the newest status of this context on a commit, sent by whoever set it.
    ///
    /// # Panics
    /// Where there is none.
    pub fn status_event(&self, sha: &str, context: &str) -> Value {
        let state = self.shared.state();
        let newest = state.newest_statuses(sha);
        let status = newest.iter().find(|status| status.context == context);
        let status = status.unwrap_or_else(|| panic!("{sha} has no status `{context}`"));
        let git_dir = &state.base().git_dir;
        let commit = &repository::log(git_dir, &["--max-count=1", sha])[0];
        state.status_event(status, commit, &git::branches_with(git_dir, sha))
    }

    /// The deployments, oldest first.
    pub fn deployments(&self) -> Vec<Deployment> {
        let state = self.shared.state();
        state.deployments.values().map(read_deployment).collect()
    }

    /// Keeps what a run of a workflow left, its log and its summary, for the page that its URL leads to.
    pub fn keep_run(&self, id: u64, log: &str, summary: &str) {
        let run = RunRecord {
            log: log.to_owned(),
            summary: summary.to_owned(),
        };
        self.shared.state().runs.insert(id, run);
    }

    /// Lets a person comment as `login` on the pages of pull requests: in a box, by a click for each of some comments, and
    /// on buttons of any meaning; with a note below. The receiver is told of each.
    pub fn offer_form(
        &self,
        login: &str,
        comments: &[&str],
        buttons: &[&str],
        note: &str,
    ) -> Receiver<Submission> {
        let (sender, receiver) = channel();
        let form = FormRecord::new(login, note, comments, buttons, sender);
        self.shared.state().form = Some(form);
        receiver
    }

    /// The HTML of the page at a path of the server, such as `/octo-org/demo/pull/1`.
    ///
    /// # Panics
    /// Where there is no such page.
    pub fn page(&self, path: &str) -> String {
        let page = pages::page(&self.shared, path);
        page.unwrap_or_else(|| panic!("there is no page {path}"))
            .into_string()
    }

    /// The HTML of a comment, as the page of its pull request shows it.
    ///
    /// # Panics
    /// Where there is no such comment.
    pub fn comment_html(&self, comment: u64) -> String {
        let html = pages::comment(&self.shared.state(), comment);
        html.unwrap_or_else(|| panic!("there is no comment {comment}"))
            .into_string()
    }

    /// Adds a webhook to the base repository: the URL gets a `ping` now and a `push` for each branch that moves from then
    /// on, created and deleted ones too, as JSON signed with the secret. See
    /// <https://docs.github.com/en/webhooks/webhook-events-and-payloads#push>.
    ///
    /// Nobody waits for a delivery. Each is sent once, after the one before it, and has ten seconds; those that are left
    /// end with the local GitHub. Where two pushes end at the same time, what both did to one branch is one event, and it may name
    /// either's pusher. Tags send nothing. A branch that neither the server nor a [`Repository`] moved is noticed with the
    /// next one.
    ///
    /// # Panics
    /// Where the URL is not `http://…`.
    pub fn add_webhook(&self, url: &str, secret: &str) {
        let courier = self
            .shared
            .state()
            .add_webhook(&self.shared, url, secret, OWNER);
        self.runtime.spawn(courier.run());
    }

    /// What the webhooks have sent or are about to, oldest first. A push is among it as soon as whoever pushed has the
    /// answer.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.deliveries().clone()
    }

    /// Every request so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests().clone()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.requests().clear();
    }

    /// Makes requests go wrong from now on.
    pub fn fault(&self, fault: Fault) {
        self.shared.faults().push(fault);
    }

    /// From now on lets each caller make at most so many requests other than `GET` to the REST API within any time as long as
    /// the window, counted from now. Those past it are refused as by GitHub's secondary rate limit, with a 403 and a
    /// `retry-after` of whole seconds; they do not count. GitHub's own numbers are 80 and a minute.
    pub fn limit_content(&self, requests: usize, window: Duration) {
        *self.shared.content_limit() = Some(ContentLimit::new(requests, window));
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.shared.faults().clear();
    }
}

impl Drop for LocalGitHub {
    fn drop(&mut self) {
        // A hook of a fault may hold a repository, and so what this local GitHub shares.
        self.clear_faults();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What panicked on the thread has been printed there.
            let _ = thread.join();
        }
    }
}

/// The server's thread: serves until told to stop, then ends what still runs.
fn serve(
    runtime: Runtime,
    listener: TcpListener,
    shared: &Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        listener
            .set_nonblocking(true)
            .expect("a listener for tokio");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener for tokio");
        tokio::spawn(server::serve(
            listener,
            Arc::clone(shared),
            Door::Everything,
        ));
        // Dropping the sender is the signal.
        let _ = stopped.await;
    });
    shared.end_servers();
    runtime.shutdown_timeout(Duration::from_secs(5));
}

fn add_repository(
    shared: &Shared,
    owner: &str,
    name: &str,
    fork: bool,
    git_dir: &Path,
) -> RepositoryRecord {
    let mut state = shared.state();
    let record = RepositoryRecord {
        id: state.new_id(),
        owner: owner.to_owned(),
        name: name.to_owned(),
        fork,
        public: false,
        deleted: false,
        default_branch: "main".to_owned(),
        pushed: clock::now(),
        git_dir: git_dir.to_owned(),
    };
    state.repositories.insert(record.id, record.clone());
    record
}

/// The title of a pull request where it is not said.
fn title(branch: &str) -> String {
    format!("Changes from {branch}")
}

fn read_comment(state: &State, comment: &CommentRecord) -> Comment {
    Comment {
        id: comment.id,
        login: comment.login.clone(),
        body: comment.body.clone(),
        url: state.comment_html(comment),
    }
}

fn read_status(status: &StatusRecord) -> Status {
    Status {
        state: status.state.clone(),
        context: status.context.clone(),
        description: status.description.clone(),
        target_url: status.target_url.clone(),
        login: status.login.clone(),
    }
}

fn read_deployment(deployment: &DeploymentRecord) -> Deployment {
    let read = |status: &DeploymentStatusRecord| DeploymentStatus {
        state: status.state.clone(),
        description: status.description.clone(),
        environment_url: status.environment_url.clone(),
        log_url: status.log_url.clone(),
        auto_inactive: status.auto_inactive,
    };
    Deployment {
        id: deployment.id,
        sha: deployment.sha.clone(),
        task: deployment.task.clone(),
        environment: deployment.environment.clone(),
        description: deployment.description.clone(),
        transient: deployment.transient,
        statuses: deployment.statuses.iter().map(read).collect(),
    }
}
