//! What Flux says of an environment: waits for it, or hands it on when Flux has said something.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::decide::readiness::{is_current, pause, readiness, status_context};
use crate::decide::triage::{NoOp, ReportRequest};
use crate::git::Session;
use crate::github::GitHub;
use crate::github::http::{ApiError, unanswered};
use crate::message::context::Context;
use crate::model::failure::Failure;
use crate::model::instance::DeployedInstance;
use crate::model::names::OBJECT_PREFIX;
use crate::model::notification::Channel;
use crate::model::pull_request::PullRequest;
use crate::model::readiness::Readiness;
use crate::model::repository::RepositoryIdentity;
use crate::model::sha::Sha;
use crate::plan;
use crate::publish::{cancel_grace_over, read};
use crate::report::{self, Report};
use crate::run::notify::{CommentLookup, Notifier};
use crate::run::undelivered::Undelivered;
use crate::runner::Log;

/// How often a waiting run looks at the pull request: whether it was pushed to or closed.
const PULL_REQUEST_INTERVAL: Duration = Duration::from_secs(10);

/// How long a look may take, whatever is left of the wait.
const SHORTEST_LOOK: Duration = Duration::from_secs(5);

/// How long it leaves GitHub alone that limits its requests and does not say for how long.
const LIMITED_PAUSE: Duration = Duration::from_secs(60);

/// How often what Flux says is handed on anew, where it says something else meanwhile.
pub(crate) const UPDATES: usize = 5;

/// A wait for Flux.
pub(crate) struct Wait<'a> {
    pub(crate) github: &'a GitHub,
    pub(crate) log: &'a Log,
    pub(crate) pull_request: u64,
    /// Name of the `Kustomization`.
    pub(crate) object_name: &'a str,
    /// Whether the environment stays on its commit.
    pub(crate) is_pinned: bool,
    /// The longest wait.
    pub(crate) limit: Duration,
}

impl Wait<'_> {
    /// Waits until Flux has reported on the commit, the time is over or the run is cancelled. `commit` follows a push. Returns
    /// `None` where the pull request was closed meanwhile.
    pub(crate) async fn until_reported(
        &self,
        commit: &mut Sha,
        cancellation: &CancellationToken,
    ) -> Option<Readiness> {
        let began = Instant::now();
        let context = status_context(self.object_name);
        self.log.line(&format!(
            "waiting up to {:?} for `{context}` on {}",
            self.limit,
            commit.short()
        ));
        let mut pull_request = self.github.watched_pull_request(self.pull_request);
        let mut looked_at_pull_request: Option<Instant> = None;
        let mut statuses = self.github.watched_statuses(commit);
        let (mut trouble, mut of_pull_request) = (Trouble::default(), Trouble::default());
        loop {
            let looks = async {
                let interval = PULL_REQUEST_INTERVAL.max(of_pull_request.pause);
                let is_due =
                    looked_at_pull_request.is_none_or(|looked| looked.elapsed() >= interval);
                let pull_request = match is_due {
                    true => Some(self.github.look_at_pull_request(&mut pull_request).await),
                    false => None,
                };
                // Before the status, so that it is that of the newest commit.
                if let Some(Ok((_, Some(head)))) = &pull_request
                    && !self.is_pinned
                    && head != commit
                {
                    self.log
                        .line(&format!("the branch has moved to {}", head.short()));
                    commit.clone_from(head);
                    statuses = self.github.watched_statuses(commit);
                }
                let status = self.github.look_at_status(&mut statuses, &context).await;
                (pull_request, status)
            };
            let time_left = self.limit.saturating_sub(began.elapsed());
            let (looked, status) = tokio::select! {
                looks = looks => looks,
                () = sleep(time_left.max(SHORTEST_LOOK)) => {
                    let answer = trouble.last.map_or("no answer".to_owned(), |error| error.to_string());
                    return Some(self.late(began, Some(answer)));
                }
                () = cancellation.cancelled() => return Some(Readiness::Unwatched),
            };
            let has_looked = looked.is_some();
            if has_looked {
                looked_at_pull_request = Some(Instant::now());
            }
            match looked {
                Some(Ok((false, _))) => {
                    self.log
                        .line("the pull request was closed, so nobody waits any more");
                    return None;
                }
                Some(Err(error)) => of_pull_request.note(error, self.log),
                Some(Ok(_)) => of_pull_request.pass(),
                None => {}
            }
            match status {
                Ok(newest) => match readiness(newest.as_ref()) {
                    known @ (Readiness::Ready | Readiness::Failed(_)) if has_looked => {
                        return Some(known);
                    }
                    // It is the last word only if the commit is still the head.
                    Readiness::Ready | Readiness::Failed(_) => {
                        looked_at_pull_request = None;
                        continue;
                    }
                    _ => trouble.pass(),
                },
                Err(error) => trouble.note(error, self.log),
            }
            let waited = began.elapsed();
            if waited >= self.limit || trouble.is_final {
                return Some(self.late(began, trouble.last.map(|error| error.to_string())));
            }
            let next = pause(waited).max(trouble.pause);
            tokio::select! {
                () = sleep(next.min(self.limit.saturating_sub(waited))) => {}
                () = cancellation.cancelled() => return Some(Readiness::Unwatched),
            }
        }
    }

    fn late(&self, began: Instant, answer: Option<String>) -> Readiness {
        Readiness::Late {
            waited: began.elapsed().min(self.limit),
            answer,
        }
    }
}

/// What went wrong with looking.
#[derive(Default)]
struct Trouble {
    /// Whether the log says so. Once is enough.
    is_logged: bool,
    /// Since the last look that was answered.
    last: Option<ApiError>,
    /// How long GitHub wants to be left alone.
    pause: Duration,
    /// Whether looking again is in vain: the token may not.
    is_final: bool,
}

impl Trouble {
    fn note(&mut self, error: ApiError, log: &Log) {
        if !std::mem::replace(&mut self.is_logged, true) {
            log.line(&format!(
                "could not read what Flux reports, and will look again: {error}"
            ));
        }
        self.pause = match error.is_rate_limit() {
            true => error.retry_after().unwrap_or(LIMITED_PAUSE),
            false => Duration::ZERO,
        };
        // Right after a push, a replica may not know the commit.
        self.is_final = error.is_refused() && !error.is_not_found();
        self.last = Some(error);
    }

    fn pass(&mut self) {
        *self = Trouble {
            is_logged: self.is_logged,
            ..Trouble::default()
        };
    }
}

/// The run for something that Flux has said.
pub(crate) struct ReportRun<'a> {
    pub(crate) notifier: Notifier<'a>,
    pub(crate) request: &'a ReportRequest,
    pub(crate) now: DateTime<Utc>,
}

/// What Flux speaks of.
struct Found {
    instance: DeployedInstance,
    repository: RepositoryIdentity,
    pull_request: PullRequest,
    session: Session,
}

impl ReportRun<'_> {
    /// Hands on what Flux says of an environment by now. Writes nothing to Git.
    pub(crate) async fn report(&self, cancellation: &CancellationToken) -> Report {
        let found = tokio::select! {
            found = self.find() => found,
            () = cancellation.cancelled() => Err(Failure::Interrupted),
        };
        let outcome = match found {
            Ok(Ok(found)) => tokio::select! {
                outcome = self.hand_on(found) => outcome,
                () = cancel_grace_over(cancellation) => Err(Failure::Interrupted),
            },
            Ok(Err(no_op)) => Ok(Err(no_op)),
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(Ok(report)) => report,
            Ok(Err(no_op)) => {
                self.notifier.log.line(&report::no_op_line(no_op));
                report::none(no_op)
            }
            Err(failure) => report::report_failed(self.notifier.config, self.branch(), &failure),
        }
    }

    /// The target branch.
    fn branch(&self) -> &str {
        let branch = self.notifier.config.inputs.branch.as_ref();
        branch.unwrap_or(&self.request.default_branch)
    }

    /// Finds the instance, its pull request, and whether the commit is what it is meant to run.
    async fn find(&self) -> Result<Result<Found, NoOp>, Failure> {
        let notifier = &self.notifier;
        let object_name = &self.request.object_name;
        let name = object_name.strip_prefix(OBJECT_PREFIX).unwrap_or_default();
        let name = name.to_owned();
        let target = notifier.target(self.branch());
        let (instance, session) = read(target, None, move |tip| {
            Ok(plan::instance_called(&name, tip))
        })
        .await?;
        let Some(instance) = instance else {
            return Ok(Err(NoOp::NoEnvironment));
        };
        let owner = &instance.instance.owner;
        let repository_name = notifier.config.repository.to_string();
        let mut repository = RepositoryIdentity::new(&repository_name, self.request.repository_id);
        if repository.is_unclear(&owner.repository) {
            let name = &owner.repository.name;
            let is_ours = notifier.github.has_name(repository.id, name).await;
            repository.note_name(name, is_ours);
        }
        if !repository.is(&owner.repository) {
            return Ok(Err(NoOp::NoEnvironment));
        }
        let pull_request = notifier.github.pull_request(owner.pull_request).await;
        let pull_request = pull_request.map_err(unanswered)?;
        if !is_current(&self.request.commit, &instance.instance, &pull_request) {
            return Ok(Err(NoOp::NotCurrent));
        }
        Ok(Ok(Found {
            instance,
            repository,
            pull_request,
            session,
        }))
    }

    /// Tells the pull request what Flux says by now, again where it says something else meanwhile.
    async fn hand_on(&self, found: Found) -> Result<Result<Report, NoOp>, Failure> {
        let notifier = &self.notifier;
        let Found {
            instance,
            repository,
            pull_request,
            session,
        } = found;
        let context = Context {
            head: Some((pull_request.branch, self.request.commit.clone())),
            ..notifier.context(pull_request.number, self.branch(), self.now)
        };
        let mut session = Some(session);
        let mut undelivered = Undelivered::default();
        let mut told: Option<(Readiness, Report)> = None;
        for _ in 0..UPDATES {
            // The event may be old.
            let known = notifier
                .reported_readiness(&self.request.object_name, self.request.commit.as_str())
                .await;
            let known = match known {
                Ok(Readiness::ComingUp) if told.is_none() => return Ok(Err(NoOp::StatusPending)),
                Ok(known) => known,
                Err(error) if told.is_none() => return Err(unanswered(error.into())),
                Err(_) => break,
            };
            if told.as_ref().is_some_and(|(before, _)| *before == known) {
                break;
            }
            let mut report = report::reported(notifier.config, &context, &instance, &known);
            if notifier.config.inputs.dry_run {
                notifier.log.line("dry run: nothing was changed");
                return Ok(Ok(report));
            }
            let comment = notifier.github.status_comment(context.pull_request).await;
            let comment = match comment {
                Ok(Some(comment)) => CommentLookup::ToUpdate(comment),
                Ok(None) => {
                    report.message = None;
                    CommentLookup::Missing
                }
                Err(error) => {
                    undelivered.note(Channel::Comment, Err(error));
                    report.message = None;
                    CommentLookup::Unknown
                }
            };
            let written = notifier.notify(&context, &mut report, comment, None, &mut undelivered);
            if let Some(written) = written.await {
                notifier
                    .look_again(
                        &context,
                        &repository,
                        written,
                        &mut session,
                        &mut undelivered,
                    )
                    .await;
            }
            told = Some((known, report));
        }
        let mut report = told.map(|(_, report)| report).unwrap_or_default();
        report.warnings.extend(undelivered.warnings());
        Ok(Ok(report))
    }
}
