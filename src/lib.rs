//! Ephemeral environments with Flux, as a GitHub Action.
//!
//! Data goes one way:
//!
//! ```text
//! environment, event file            GitHub                     Git                      GitHub, runner
//!      config  event ──triage──▶ github (facts) ──decide──▶ git (apply plan) ──▶ github (comment) · workflow (outputs)
//!               pure               I/O            pure          I/O                     I/O
//! ```
//!
//! [`run`] is that line. What is decided, named, planned, rendered and worded is pure and sits in [`mod@decide`],
//! [`environment`], [`plan`], [`manifest`], [`comment`] and [`report`]; each outside system has one file: [`github`],
//! [`git`], [`workflow`].

pub mod cancellation;
pub mod command;
pub mod comment;
pub mod config;
pub mod decide;
pub mod environment;
pub mod event;
pub mod failure;
pub mod git;
pub mod github;
pub mod manifest;
pub mod plan;
pub mod report;
pub mod untold;
pub mod workflow;

use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::cancellation::Cancellation;
use crate::comment::{Context, Message};
use crate::config::{Config, Token};
use crate::decide::{
    Access, Decision, Facts, Refusal, Request, Triage, Trigger, decide, destroy, owner, triage,
};
use crate::event::PullRequest;
use crate::failure::Failure;
use crate::git::{Published, Stop, Target, Work};
use crate::github::{ApiError, GitHub, Reaction, StatusComment, StatusState};
use crate::plan::{Plan, Tip};
use crate::report::Report;
use crate::untold::{COMMENT, REACTION, STATUS, Untold};
use crate::workflow::{Log, write_outputs, write_summary};

/// How long the work goes on after it was told to end, and how long telling about it may take then.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How long Git goes on after `push-timeout`, for the answers that are under way by then and to look for the change.
/// libgit2 waits for each read and never for the whole, so a server that sends on and on would not be left by itself.
const LAST_ANSWERS: Duration = Duration::from_secs(25);

/// How long 👀 on the command may take.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// How long it may take to look whether what was told is still so.
const SECOND_LOOK: Duration = Duration::from_secs(10);

/// How often what was told is corrected: each time another run has changed the environment meanwhile.
const CORRECTIONS: usize = 5;

/// Runs the action for one event; the variables are those the runner sets.
///
/// # Errors
/// Why the job fails, in one line for the annotation; everybody else has been told by then.
pub async fn run(
    variables: impl Iterator<Item = (OsString, OsString)>,
    log: &mut Log,
) -> Result<()> {
    let variables: Vec<_> = variables.collect();
    for (name, value) in &variables {
        // Before anything is read: no error may show it.
        if let (Some("INPUT_TOKEN"), Some(token)) = (name.to_str(), value.to_str())
            && !token.is_empty()
        {
            log.hide(&Token::new(token));
        }
        if name == "RUNNER_DEBUG" && value == "1" {
            log.is_verbose = true;
        }
    }
    let config = Config::from_env(variables.into_iter())?;
    let event = event::parse(&config.event_name, &payload(&config)?)?;
    let request = match triage(event, &config.inputs) {
        Triage::Request(request) => request,
        Triage::None(no_op) => {
            log.line(&format!("nothing to do: {}", no_op.code()));
            return tell_job(&config, log, &report::none(no_op));
        }
    };
    log.debug(&format!("{config:?}"));
    log.line(&format!(
        "pull request #{}: {} by {}",
        request.pull_request,
        request.code(),
        request.login
    ));
    let run = Run {
        github: GitHub::new(&config)?,
        config: &config,
        log,
        request: &request,
    };
    let cancellation = Cancellation::new()?;
    let report = if config.inputs.dry_run {
        run.preview(&cancellation).await
    } else {
        run.apply(&cancellation).await
    };
    tell_job(&config, log, &report)
}

/// The event's payload; nothing is read where the event's name says it all.
fn payload(config: &Config) -> Result<Vec<u8>> {
    if !event::has_payload(&config.event_name) {
        return Ok(Vec::new());
    }
    let path = &config.event_path;
    fs::read(path).with_context(|| {
        format!(
            "reading the event from GITHUB_EVENT_PATH, {}",
            path.display()
        )
    })
}

/// Outputs, summary and the job's end.
fn tell_job(config: &Config, log: &Log, report: &Report) -> Result<()> {
    for warning in &report.warnings {
        log.warning(warning);
    }
    let outputs = report.outputs.pairs();
    for (name, value) in outputs.iter().filter(|(_, value)| !value.is_empty()) {
        log.line(&format!("{name}: {value}"));
    }
    let written = match &config.output {
        Some(path) => write_outputs(path, &outputs),
        None => Ok(()),
    };
    let summary = log.redact(&comment::summary(&outputs, report.message.as_ref()));
    if let Some(path) = &config.summary
        && let Err(error) = write_summary(path, &summary)
    {
        log.warning(&format!("{error:#}"));
    }
    let Some(error) = &report.error else {
        return written;
    };
    if let Err(unwritten) = written {
        log.warning(&format!("{unwritten:#}"));
    }
    Err(anyhow::anyhow!("{error}"))
}

/// One request on its way through.
struct Run<'a> {
    config: &'a Config,
    log: &'a Log,
    github: GitHub,
    request: &'a Request,
}

/// Our comment, once it has been looked for.
type Found = Option<Result<Option<StatusComment>, ApiError>>;

/// What came of a request, and what it takes to tell.
struct Done {
    context: Context,
    report: Report,
    found: Found,
    /// The repository that the change was made in.
    work: Option<Work>,
}

impl Done {
    /// What was known before anything was looked for or changed.
    fn at_once(context: Context, report: Report) -> Done {
        Done {
            context,
            report,
            found: None,
            work: None,
        }
    }
}

/// The comment as it was written.
struct Told {
    comment: StatusComment,
    message: Message,
    body: String,
}

/// What was found out before the decision.
struct Asked {
    context: Context,
    decision: Decision,
}

impl Run<'_> {
    /// Decides and plans, and changes nothing.
    async fn preview(&self, cancellation: &Cancellation) -> Report {
        let planned = async {
            let Asked { context, decision } = match self.ask().await {
                Ok(asked) => asked,
                Err(failure) => return report::failed(&self.context(None), None, &failure),
            };
            let (target, planned) = (self.target(&context), decision.clone());
            let plan = spawn_blocking(move || {
                let patience = target.timeout;
                Work::new(target, Stop::default())?.read(patience, |tip| plan_of(&planned, tip))
            });
            let plan = tokio::select! {
                plan = plan => flatten(plan),
                failure = self.enough_git() => Err(failure),
            };
            match plan {
                Ok(Ok(plan)) => {
                    self.log
                        .line("dry run, nothing is changed; this is what would be:");
                    self.log.text(&plan.change.to_string());
                    report::previewed(self.request, &decision, &plan)
                }
                Ok(Err(refusal)) => report::refused(&context, &refusal),
                Err(failure) => report::failed(&context, Some(&decision), &failure),
            }
        };
        tokio::select! {
            report = planned => report,
            () = cancellation.requested() => report::failed(&self.context(None), None, &Failure::Interrupted),
        }
    }

    /// Decides, changes what is to be changed, and tells the pull request.
    async fn apply(&self, cancellation: &Cancellation) -> Report {
        let mut untold = Untold::default();
        let seen = async {
            tokio::select! {
                // A sign of life, which the change does not wait for.
                seen = timeout(SIGN_OF_LIFE, self.react(Reaction::Seen)) => seen.unwrap_or(Ok(())),
                () = cancellation.requested() => Ok(()),
            }
        };
        let work = self.decide_and_do(cancellation, &mut untold);
        let (seen, done) = tokio::join!(seen, work);
        untold.note(REACTION, seen);
        let Done {
            context,
            mut report,
            found,
            work,
        } = done;
        let told = tokio::select! {
            told = self.tell_pull_request(&context, &mut report, found, &mut untold) => Some(told),
            () = too_late(cancellation) => None,
        };
        match told {
            Some(Some(told)) => tokio::select! {
                () = self.look_again(&context, told, work) => {}
                () = too_late(cancellation) => {}
            },
            Some(None) => {}
            None => report
                .warnings
                .push("the run was cancelled before the pull request was told".to_owned()),
        }
        report.warnings.extend(untold.warnings());
        report
    }

    async fn decide_and_do(&self, cancellation: &Cancellation, untold: &mut Untold) -> Done {
        let asked = tokio::select! {
            asked = self.ask() => asked,
            () = cancellation.requested() => Err(Failure::Interrupted),
        };
        match asked {
            Err(failure) => {
                let context = self.context(None);
                let report = report::failed(&context, None, &failure);
                Done::at_once(context, report)
            }
            Ok(Asked {
                context,
                decision: Decision::Refuse(refusal),
            }) => {
                let report = report::refused(&context, &refusal);
                Done::at_once(context, report)
            }
            Ok(Asked { context, decision }) => {
                self.carry_out(context, &decision, cancellation, untold)
                    .await
            }
        }
    }

    /// Everything the decision needs, asked side by side, and the decision.
    async fn ask(&self) -> Result<Asked, Failure> {
        let facts = match &self.request.trigger {
            Trigger::Close(pull_request) => Facts {
                pull_request: pull_request.clone(),
                access: None,
            },
            Trigger::Comment { .. } => {
                let (pull_request, access) = tokio::join!(
                    self.github.pull_request(self.request.pull_request),
                    self.github.access(&self.request.login)
                );
                if let Access::Unknown(answer) = &access {
                    self.log
                        .line(&format!("no clear answer to who may: {answer}"));
                }
                Facts {
                    pull_request: pull_request.map_err(no_fact)?,
                    access: Some(access),
                }
            }
        };
        self.log.debug(&format!("{facts:?}"));
        Ok(Asked {
            context: self.context(Some(&facts.pull_request)),
            decision: decide(self.request, &facts, self.config),
        })
    }

    /// Pushes, and meanwhile looks for the comment and marks the commit.
    async fn carry_out(
        &self,
        mut context: Context,
        decision: &Decision,
        cancellation: &Cancellation,
        untold: &mut Untold,
    ) -> Done {
        let is_close = matches!(self.request.trigger, Trigger::Close(_));
        // A close without an instance says nothing, so nothing is said before that is known.
        let announce = async {
            if is_close {
                return (None, Ok(()));
            }
            let both = async {
                tokio::join!(
                    self.github.status_comment(self.request.pull_request),
                    self.set_status(&context, StatusState::Pending, comment::PENDING)
                )
            };
            tokio::select! {
                (comment, status) = both => (Some(comment), status),
                // Not at once: a server that is slow to note the first status would note it after the last one.
                () = too_late(cancellation) => (None, Ok(())),
            }
        };
        let publish = async {
            let (published, work) = self.publish(&context, decision, None, cancellation).await;
            let is_up = matches!(
                (decision, &published),
                (Decision::Create(_), Ok(Published::Pushed { .. }))
            );
            let closed = match is_up {
                true => self.closed_meanwhile(cancellation).await,
                false => None,
            };
            let Some(pull_request) = closed else {
                return (published, work);
            };
            let down = Decision::Destroy(destroy(self.request, &pull_request, self.config));
            let (published, work) = self.publish(&context, &down, work, cancellation).await;
            (published.map(|_| Published::Refused(Refusal::Closed)), work)
        };
        let ((published, work), (mut found, pending)) = tokio::join!(publish, announce);
        untold.note(STATUS, pending);
        self.log.debug(&format!("{published:?}"));
        if matches!(published, Ok(Published::Refused(Refusal::Closed))) {
            context.is_open = false;
        }
        let mut report = match published {
            Ok(published) => {
                report::published(self.config, &context, self.request, decision, published)
            }
            Err(failure) => report::failed(&context, Some(decision), &failure),
        };
        if is_close && report.message.is_none() {
            let stale = tokio::select! {
                stale = self.stale_comment() => stale,
                () = too_late(cancellation) => None,
            };
            if let Some(stale) = stale {
                report.correct(&context);
                found = Some(Ok(Some(stale)));
            }
        }
        Done {
            context,
            report,
            found,
            work,
        }
    }

    /// Our comment where it does not say that the environment is gone: the run that removed it did not get to.
    async fn stale_comment(&self) -> Option<StatusComment> {
        let found = self.github.status_comment(self.request.pull_request).await;
        found
            .unwrap_or_else(|error| {
                self.log.line(&format!(
                    "whether a comment is out of date could not be seen: {error}"
                ));
                None
            })
            .filter(|comment| comment::is_outdated_without_environment(&comment.body))
    }

    /// The pull request, where it was closed while its environment came up. The run for the close may have found nothing to
    /// remove; this one looks after its push, so that one of them sees what the other did.
    async fn closed_meanwhile(&self, cancellation: &Cancellation) -> Option<PullRequest> {
        let asked = tokio::select! {
            asked = self.github.pull_request(self.request.pull_request) => asked,
            () = cancellation.requested() => return None,
        };
        match asked {
            Ok(pull_request) if pull_request.open => None,
            Ok(pull_request) => {
                self.log.line(
                    "the pull request was closed meanwhile, so its environment is taken down again",
                );
                Some(pull_request)
            }
            Err(error) => {
                self.log.warning(&format!(
                    "whether the pull request is still open could not be asked; if it is closed, reopen and close it to \
                     take the environment down: {error:#}"
                ));
                None
            }
        }
    }

    /// Makes the change, in the repository that an earlier one was made in if there is one.
    async fn publish(
        &self,
        context: &Context,
        decision: &Decision,
        work: Option<Work>,
        cancellation: &Cancellation,
    ) -> (Result<Published, Failure>, Option<Work>) {
        let stop = Stop::default();
        let (target, planned, stopped) = (self.target(context), decision.clone(), stop.clone());
        let mut publishing = spawn_blocking(move || {
            let mut work = match work {
                Some(work) => work.until(stopped),
                None => Work::new(target, stopped)?,
            };
            let published = work.publish(|tip| plan_of(&planned, tip));
            Ok((published, work))
        });
        let published = tokio::select! {
            published = &mut publishing => flatten(published),
            failure = self.enough_git() => {
                stop.stop();
                Err(failure)
            }
            () = cancellation.requested() => {
                stop.stop();
                // A push that is under way may still land, and then that is what the pull request is told.
                timeout(LAST_WORDS, publishing).await.map_or(Err(Failure::Interrupted), flatten)
            }
        };
        match published {
            Ok((published, work)) => (published, Some(work)),
            Err(failure) => (Err(failure), None),
        }
    }

    /// Comes back once Git has had all the time there is for it.
    async fn enough_git(&self) -> Failure {
        let given = self.config.inputs.push_timeout;
        sleep(given.saturating_add(LAST_ANSWERS)).await;
        Failure::TimedOut(given, "an answer that did not end".to_owned())
    }

    /// Comment, commit status and reaction, side by side.
    async fn tell_pull_request(
        &self,
        context: &Context,
        report: &mut Report,
        found: Found,
        untold: &mut Untold,
    ) -> Option<Told> {
        let message = report.message.clone();
        let comment = async {
            let Some(message) = message else {
                return Ok(None);
            };
            let number = self.request.pull_request;
            let existing = match found {
                Some(found) => found?,
                None => self.github.status_comment(number).await?,
            };
            let body = message.body(existing.as_ref().map(|comment| comment.body.as_str()));
            // A server's own words may quote what it was sent.
            let body = self.log.redact(&body);
            let comment = self
                .github
                .write_status_comment(number, existing.as_ref(), &body)
                .await?;
            Ok(Some(Told {
                comment,
                message,
                body,
            }))
        };
        let status = async {
            match &report.status {
                Some((state, description)) if !untold.is_forbidden(STATUS) => {
                    self.set_status(context, *state, description).await
                }
                _ => Ok(()),
            }
        };
        let reaction = async {
            match report.reaction {
                Some(reaction) if !untold.is_forbidden(REACTION) => self.react(reaction).await,
                _ => Ok(()),
            }
        };
        let (comment, status, reaction) = tokio::join!(comment, status, reaction);
        untold.note(STATUS, status);
        untold.note(REACTION, reaction);
        let told = comment.unwrap_or_else(|error| {
            untold.note(COMMENT, Err(error));
            None
        })?;
        report.outputs.comment_url.clone_from(&told.comment.url);
        Some(told)
    }

    /// Corrects what was told where another run of the same pull request has changed the environment meanwhile.
    ///
    /// Each run looks at the target branch after it has written, and again after each correction. So whoever writes last
    /// has looked after the last change, or made it, and the comment says what is there.
    async fn look_again(&self, context: &Context, told: Told, work: Option<Work>) {
        let corrected = timeout(SECOND_LOOK * 2, self.correct(context, told, work));
        let words = match corrected.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "no answer".to_owned(),
        };
        self.log.line(&format!(
            "whether the comment is still right could not be seen: {words}"
        ));
    }

    async fn correct(&self, context: &Context, told: Told, work: Option<Work>) -> Result<()> {
        let Told {
            mut comment,
            message,
            mut body,
        } = told;
        let mut work = match work {
            Some(work) => work,
            None if comment::spoken_of(&body).is_none() => return Ok(()),
            None => Work::new(self.target(context), Stop::default())?,
        };
        for _ in 0..CORRECTIONS {
            let Some(spoken_of) = comment::spoken_of(&body) else {
                return Ok(());
            };
            let owner = owner(self.request, self.config);
            let held;
            (work, held) = spawn_blocking(move || {
                let held = work.read(SECOND_LOOK, |tip| Ok(plan::held(&owner, tip)));
                (work, held)
            })
            .await?;
            let held = held.map_err(|failure| anyhow::anyhow!("{failure}"))?;
            if plan::fingerprint(&held) == spoken_of {
                return Ok(());
            }
            let (state, description) = report::overtaken(self.config, context, &held);
            body = if message.is_state() {
                self.set_status(context, StatusState::Success, &description)
                    .await?;
                state.body(None)
            } else {
                message.body(Some(&state.body(None)))
            };
            body = self.log.redact(&body);
            comment = self
                .github
                .write_status_comment(self.request.pull_request, Some(&comment), &body)
                .await?;
        }
        Ok(())
    }

    async fn react(&self, reaction: Reaction) -> Result<(), ApiError> {
        match self.request.comment_id() {
            Some(comment_id) => self.github.react(comment_id, reaction).await,
            None => Ok(()),
        }
    }

    async fn set_status(
        &self,
        context: &Context,
        state: StatusState,
        description: &str,
    ) -> Result<(), ApiError> {
        match &context.head {
            Some((_, commit)) => {
                self.github
                    .set_status(commit.as_str(), state, description, &context.run_url)
                    .await
            }
            None => Ok(()),
        }
    }

    fn context(&self, pull_request: Option<&PullRequest>) -> Context {
        Context {
            pull_request: self.request.pull_request,
            head: pull_request
                .map(|pull_request| (pull_request.branch.clone(), pull_request.commit.clone())),
            is_open: pull_request.is_none_or(|pull_request| pull_request.open),
            target_branch: self
                .config
                .inputs
                .branch
                .clone()
                .unwrap_or_else(|| self.request.default_branch.clone()),
            run_url: self.config.run_url(),
            help_url: self.config.help_url(),
            deploy_command: self.config.inputs.commands.deploy.clone(),
            destroy_command: self.config.inputs.commands.destroy.clone(),
        }
    }

    fn target(&self, context: &Context) -> Target {
        let inputs = &self.config.inputs;
        Target {
            url: self.config.remote_url(),
            token: inputs.token.clone(),
            branch: context.target_branch.clone(),
            instances_path: inputs.instances_path.clone(),
            overlay_path: inputs.overlay_path.clone(),
            workspace: self.config.workspace.clone(),
            timeout: inputs.push_timeout,
        }
    }
}

/// Waits until the run was cancelled and nothing that began before is worth waiting for.
async fn too_late(cancellation: &Cancellation) {
    cancellation.requested().await;
    sleep(LAST_WORDS).await;
}

fn no_fact(error: anyhow::Error) -> Failure {
    match error.downcast_ref::<ApiError>() {
        Some(refused) if refused.is_refused() => Failure::GitHubRefused(refused.to_string()),
        _ => Failure::GitHub(error),
    }
}

fn plan_of(decision: &Decision, tip: &Tip) -> Result<Result<Plan, Refusal>> {
    match decision {
        Decision::Create(create) => plan::create(create, tip),
        Decision::Destroy(destroy) => Ok(Ok(plan::destroy(destroy, tip))),
        Decision::Refuse(refusal) => Ok(Err(refusal.clone())),
    }
}

/// A panic on the other thread is a failure like any other.
fn flatten<T>(outcome: Result<Result<T, Failure>, tokio::task::JoinError>) -> Result<T, Failure> {
    outcome.unwrap_or_else(|error| Err(Failure::Broken(error.into())))
}
