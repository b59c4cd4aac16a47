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
//! [`run`] is that line for somebody's request; [`sweeper`] is the same for everything that is there, which nobody asked
//! about. What is decided, judged, named, planned, rendered and worded is pure and sits in [`mod@decide`], [`sweep`],
//! [`lifetime`], [`environment`], [`plan`], [`manifest`] (and [`skim`], its short cut), [`comment`] and [`report`]. Each
//! outside system has one file: [`github`], [`git`], [`workflow`]; [`mod@publish`] and [`tell`] are the two things that are
//! done with them.

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
pub mod lifetime;
pub mod manifest;
pub mod plan;
pub mod publish;
pub mod report;
pub mod silence;
pub mod skim;
pub mod sweep;
pub mod sweeper;
pub mod tell;
pub mod untold;
pub mod workflow;

use std::ffi::OsString;
use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use tokio::time::timeout;

use crate::cancellation::Cancellation;
use crate::comment::Context;
use crate::config::{Config, Token};
use crate::decide::{
    Access, Decision, Facts, Refusal, Request, Triage, Trigger, decide, destroy, triage,
};
use crate::event::{PullRequest, State, odd_state};
use crate::failure::Failure;
use crate::git::{Published, Work};
use crate::github::{ApiError, GitHub, Reaction, StatusComment, StatusState};
use crate::plan::{Plan, Tip};
use crate::publish::{publish, read, target, too_late};
use crate::report::Report;
use crate::sweeper::Sweeper;
use crate::tell::{Found, Teller};
use crate::untold::{REACTION, STATUS, Untold};
use crate::workflow::{Log, write_outputs, write_summary};

/// How long 👀 on the command may take.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

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
    let label = config.inputs.label.as_deref();
    let event = event::parse(&config.event_name, &payload(&config)?, label)?;
    let report = match triage(event, &config.inputs) {
        Triage::None(no_op) => {
            log.line(&format!("nothing to do: {}", no_op.code()));
            report::none(no_op)
        }
        Triage::Sweep(event) => {
            let (teller, now, cancellation) = set_up(&config, log)?;
            let event = &event;
            Sweeper { teller, event, now }.run(&cancellation).await
        }
        Triage::Request(request) => {
            log.line(&format!(
                "pull request #{}: {} by {}",
                request.pull_request,
                request.code(),
                request.login
            ));
            let (teller, now, cancellation) = set_up(&config, log)?;
            let run = Run {
                teller,
                request: &request,
                now,
            };
            if config.inputs.dry_run {
                run.preview(&cancellation).await
            } else {
                run.apply(&cancellation).await
            }
        }
    };
    tell_job(&config, log, &report)
}

/// What everything takes that is more than nothing; makes no request.
fn set_up<'a>(
    config: &'a Config,
    log: &'a Log,
) -> Result<(Teller<'a>, DateTime<Utc>, Cancellation)> {
    // First, for a signal before that is lost on process 1.
    let cancellation = Cancellation::new()?;
    log.debug(&format!("{config:?}"));
    let github = GitHub::new(config)?;
    let teller = Teller {
        config,
        log,
        github,
    };
    Ok((teller, DateTime::from(SystemTime::now()), cancellation))
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
    teller: Teller<'a>,
    request: &'a Request,
    now: DateTime<Utc>,
}

/// What became of a decision.
struct Changed {
    published: Result<Published, Failure>,
    /// The repository that it was made in.
    work: Option<Work>,
    taken_down: Option<TakenDown>,
}

/// A deploy that landed behind the close, and was to be removed again.
struct TakenDown {
    decision: Decision,
    /// The last commit of the two.
    commit: String,
    /// What went wrong after the pushes.
    warnings: Vec<String>,
}

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

/// What was found out before the decision.
struct Asked {
    context: Context,
    decision: Result<Decision, Refusal>,
}

impl Run<'_> {
    /// Decides and plans, and changes nothing.
    async fn preview(&self, cancellation: &Cancellation) -> Report {
        let planned = async {
            let Asked { context, decision } = match self.ask().await {
                Ok(asked) => asked,
                Err(failure) => return report::failed(&self.context(None), None, &failure),
            };
            let decision = match decision {
                Ok(decision) => decision,
                Err(refusal) => return report::refused(&context, &refusal),
            };
            let planned = decision.clone();
            let target = target(self.teller.config, &context.target_branch);
            let plan = read(target, None, move |tip| plan_of(&planned, tip));
            match plan.await.map(|(plan, _)| plan) {
                Ok(Ok(plan)) => {
                    self.teller.preview(&plan);
                    report::previewed(self.teller.config, self.request, &decision, &plan)
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
        let comment_id = self.request.comment_id();
        let seen = async {
            tokio::select! {
                // A sign of life, which the change does not wait for.
                seen = timeout(SIGN_OF_LIFE, self.teller.react(comment_id, Reaction::Seen)) => seen.unwrap_or(Ok(())),
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
            mut work,
        } = done;
        let told = tokio::select! {
            told = self.teller.tell(&context, &mut report, found, comment_id, &mut untold) => Some(told),
            () = too_late(cancellation) => None,
        };
        match told {
            Some(Some(told)) => tokio::select! {
                () = self.teller.look_again(&context, told, &mut work, &mut untold) => {}
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
                decision: Err(refusal),
            }) => {
                let report = report::refused(&context, &refusal);
                Done::at_once(context, report)
            }
            Ok(Asked {
                context,
                decision: Ok(decision),
            }) => {
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
                now: self.now,
            },
            Trigger::Comment { .. } | Trigger::Label { .. } => {
                let (pull_request, access) = tokio::join!(
                    self.teller.github.pull_request(self.request.pull_request),
                    self.teller.github.access(&self.request.login)
                );
                if let Access::Unknown(answer) = &access {
                    self.teller
                        .log
                        .line(&format!("no clear answer to who may: {answer}"));
                }
                Facts {
                    pull_request: pull_request.map_err(no_fact)?,
                    access: Some(access),
                    now: self.now,
                }
            }
        };
        self.teller.log.debug(&format!("{facts:?}"));
        Ok(Asked {
            context: self.context(Some(&facts.pull_request)),
            decision: decide(self.request, &facts, self.teller.config),
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
                    self.teller.github.status_comment(self.request.pull_request),
                    self.teller
                        .set_status(&context, StatusState::Pending, comment::PENDING)
                )
            };
            tokio::select! {
                (comment, status) = both => (Some(comment), status),
                // Not at once: a server that is slow to note the first status would note it after the last one.
                () = too_late(cancellation) => (None, Ok(())),
            }
        };
        let changing = self.change(&context, decision, cancellation);
        let (changed, (mut found, pending)) = tokio::join!(changing, announce);
        let Changed {
            published,
            work,
            taken_down,
        } = changed;
        untold.note(STATUS, pending);
        self.teller.log.debug(&format!("{published:?}"));
        if taken_down.is_some() {
            context.is_open = false;
        }
        let decision = taken_down
            .as_ref()
            .map_or(decision, |taken_down| &taken_down.decision);
        let mut report = match published {
            Ok(published) => report::published(
                self.teller.config,
                &context,
                self.request,
                decision,
                published,
            ),
            Err(failure) => report::failed(&context, Some(decision), &failure),
        };
        if let Some(taken_down) = taken_down {
            report.outputs.changed = true;
            report.outputs.commit = taken_down.commit;
            report.warnings.extend(taken_down.warnings);
        }
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

    /// Makes the change. A deploy that landed behind the close is taken back.
    async fn change(
        &self,
        context: &Context,
        decision: &Decision,
        cancellation: &Cancellation,
    ) -> Changed {
        let changed = self.publish(context, decision, None, cancellation).await;
        let landed = match (decision, &changed.published) {
            (Decision::Create(_), Ok(published)) => published.landed(),
            _ => None,
        };
        let Some((commit, warning)) = landed else {
            return changed;
        };
        let Some(pull_request) = self.closed_meanwhile(cancellation).await else {
            return changed;
        };
        let down = destroy(self.request, &pull_request, self.teller.config);
        let down = Decision::Destroy(down);
        let work = changed.work;
        let Changed {
            published, work, ..
        } = self.publish(context, &down, work, cancellation).await;
        let last = published.as_ref().ok().and_then(Published::landed);
        let (last, last_warning) = last.unwrap_or((commit, None));
        let taken_down = TakenDown {
            decision: down,
            commit: last,
            warnings: warning.into_iter().chain(last_warning).collect(),
        };
        Changed {
            published: published.map(|_| Published::Refused(Refusal::Closed)),
            work,
            taken_down: Some(taken_down),
        }
    }

    async fn publish(
        &self,
        context: &Context,
        decision: &Decision,
        work: Option<Work>,
        cancellation: &Cancellation,
    ) -> Changed {
        let target = target(self.teller.config, &context.target_branch);
        let decision = decision.clone();
        let plan = move |tip: &Tip| plan_of(&decision, tip);
        let (published, work) = publish(target, plan, work, cancellation).await;
        Changed {
            published,
            work,
            taken_down: None,
        }
    }

    /// Our comment where it does not say that the environment is gone: the run that removed it did not get to.
    async fn stale_comment(&self) -> Option<StatusComment> {
        let found = self
            .teller
            .github
            .status_comment(self.request.pull_request)
            .await;
        found
            .unwrap_or_else(|error| {
                self.teller.log.line(&format!(
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
            asked = self.teller.github.pull_request(self.request.pull_request) => asked,
            () = cancellation.requested() => Err(anyhow::anyhow!("the run was cancelled")),
        };
        let words = match asked {
            Ok(pull_request) => match pull_request.state {
                State::Open => return None,
                State::Closed => {
                    self.teller.log.line(
                        "the pull request was closed meanwhile, so its environment is taken down again",
                    );
                    return Some(pull_request);
                }
                State::Unknown(word) => odd_state(&word),
            },
            Err(error) => format!("{error:#}"),
        };
        self.teller.log.warning(&format!(
            "whether the pull request is still open could not be seen; if it is closed, reopen and close it to take the \
             environment down: {words}"
        ));
        None
    }

    fn context(&self, pull_request: Option<&PullRequest>) -> Context {
        let inputs = &self.teller.config.inputs;
        let branch = inputs.branch.as_ref();
        let branch = branch.unwrap_or(&self.request.default_branch);
        Context {
            head: pull_request
                .map(|pull_request| (pull_request.branch.clone(), pull_request.commit.clone())),
            is_open: pull_request.is_none_or(|pull_request| pull_request.state == State::Open),
            label: match self.request.trigger {
                Trigger::Label { .. } => inputs.label.clone(),
                Trigger::Comment { .. } | Trigger::Close(_) => None,
            },
            ..self
                .teller
                .context(self.request.pull_request, branch, self.now)
        }
    }
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
    }
}
