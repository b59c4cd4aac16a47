//! One request: asks GitHub for the facts, decides, lands the change, notifies the pull request, and looks again.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::anyhow;
use chrono::{DateTime, Utc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::decide::readiness::{readiness, status_context};
use crate::decide::refusal::Refusal;
use crate::decide::triage::{Request, Trigger};
use crate::decide::{Create, Decision, Facts, decide, destroy, nothing_to_do};
use crate::git::Session;
use crate::github::comments::StatusComment;
use crate::github::http::{ApiError, unanswered};
use crate::message::context::Context;
use crate::message::deploy;
use crate::message::readiness::in_short;
use crate::message::{sections, warning};
use crate::model::failure::Failure;
use crate::model::notification::{Channel, DeploymentChange, Reaction, StatusState};
use crate::model::pull_request::{PullRequest, State, unknown_state};
use crate::model::readiness::{FluxStatus, Readiness};
use crate::model::repository::{Access, RepositoryIdentity};
use crate::plan::{PlanOutcome, Published, plan};
use crate::publish::{PublishOutcome, cancel_grace_over, publish, read};
use crate::report::{self, Report};
use crate::run::notify::{CommentLookup, Notifier};
use crate::run::readiness::{UPDATES, Wait};
use crate::run::undelivered::Undelivered;

/// How long 👀 on the command may take.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a close waits for the state of its pull request.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long after an event GitHub may still answer with what was before.
const REPLICA_LAG: Duration = Duration::from_secs(5);

/// The run for one request.
pub(crate) struct RequestRun<'a> {
    pub(crate) notifier: Notifier<'a>,
    pub(crate) request: &'a Request,
    pub(crate) now: DateTime<Utc>,
}

/// What is known so far, from the first answer to the last.
struct Outcome {
    context: Context,
    report: Report,
    comment: CommentLookup,
    /// The session that the change was made in.
    session: Option<Session>,
    /// What came of resetting Flux's commit status, where that was necessary.
    reset: Option<Reset>,
    /// The deploy, where Flux reports on it.
    reported: Option<ReportedDeploy>,
}

/// A reset of Flux's commit status to pending.
struct Reset {
    /// What it said before, or why nobody knows.
    before: Result<Option<FluxStatus>, ApiError>,
    outcome: Result<(), ApiError>,
}

impl Reset {
    /// Why what Flux said before would be taken for what it says of this deploy.
    fn misleads(&self) -> Option<&ApiError> {
        let is_silent = match &self.before {
            Ok(before) => readiness(before.as_ref()) == Readiness::ComingUp,
            Err(_) => false,
        };
        self.outcome.as_ref().err().filter(|_| !is_silent)
    }
}

/// A deploy that Flux reports on, and what the pull request was told of that.
struct ReportedDeploy {
    create: Box<Create>,
    published: Published,
    readiness: Readiness,
}

impl Outcome {
    fn new(context: Context, report: Report) -> Outcome {
        Outcome {
            context,
            report,
            comment: CommentLookup::Unknown,
            session: None,
            reset: None,
            reported: None,
        }
    }
}

impl RequestRun<'_> {
    /// Decides and plans, and changes nothing.
    pub(crate) async fn preview(&self, cancellation: &CancellationToken) -> Report {
        tokio::select! {
            report = self.plan() => report,
            () = cancellation.cancelled() => {
                report::failed(&self.context(None), None, &Failure::Interrupted)
            }
        }
    }

    async fn plan(&self) -> Report {
        let facts = match self.ask().await {
            Ok(facts) => facts,
            Err(failure) => return report::failed(&self.context(None), None, &failure),
        };
        let config = self.notifier.config;
        let context = self.context(Some(&facts.pull_request));
        if let Some(no_op) = nothing_to_do(self.request, &facts) {
            self.notifier.log.line(&report::no_op_line(no_op));
            return report::none(no_op);
        }
        let mut decision = match decide(self.request, &facts, config) {
            Ok(decision) => decision,
            Err(refusal) => return report::refused(&context, &refusal),
        };
        let mut session = None;
        loop {
            let planned = decision.clone();
            let target = self.notifier.target(&context.target_branch);
            match read(target, session, move |tip| plan(&planned, tip)).await {
                Ok((PlanOutcome::Unidentified(names), used)) => {
                    session = Some(used);
                    self.identify(names, &mut decision).await;
                }
                Ok((PlanOutcome::StatusOutdated, used)) => {
                    session = Some(used);
                    decision.note_reset(self.now);
                }
                Ok((PlanOutcome::Planned(plan), _)) => {
                    self.notifier.preview(&plan);
                    return report::previewed(config, self.request, &decision, &plan);
                }
                Ok((PlanOutcome::Refused(refusal), _)) => {
                    return report::refused(&context, &refusal);
                }
                Err(failure) => return report::failed(&context, Some(&decision), &failure),
            }
        }
    }

    /// Asks GitHub whether these are former names of this repository. Each name is asked about once.
    async fn identify(&self, names: BTreeSet<String>, decision: &mut Decision) {
        for name in names {
            let id = self.request.repository_id;
            let is_ours = self.notifier.github.has_name(id, &name).await;
            decision.note_name(&name, is_ours);
        }
    }

    /// Decides, changes what has to change, and notifies the pull request.
    pub(crate) async fn apply(&self, cancellation: &CancellationToken) -> Report {
        let mut undelivered = Undelivered::default();
        let (acknowledged, mut outcome) = tokio::join!(
            self.acknowledge(cancellation),
            self.decide_and_land(cancellation, &mut undelivered)
        );
        undelivered.note(Channel::Reaction, acknowledged);
        if self.has_to_wait(&outcome) {
            if !cancellation.is_cancelled() {
                // The last reaction comes with the last word.
                outcome.report.reaction = None;
                self.notify(&mut outcome, cancellation, &mut undelivered)
                    .await;
            }
            self.wait(&mut outcome, cancellation).await;
        }
        self.notify(&mut outcome, cancellation, &mut undelivered)
            .await;
        for _ in 0..UPDATES {
            if !self.has_news(&mut outcome, cancellation).await {
                break;
            }
            self.notify(&mut outcome, cancellation, &mut undelivered)
                .await;
        }
        let mut report = outcome.report;
        report.warnings.extend(undelivered.warnings());
        report
    }

    /// Shows the requester that the command was seen. The change does not wait for it.
    async fn acknowledge(&self, cancellation: &CancellationToken) -> Result<(), ApiError> {
        let command_id = self.request.comment_id();
        let seen = self.notifier.react(command_id, Reaction::Seen);
        tokio::select! {
            seen = timeout(ACKNOWLEDGE_TIMEOUT, seen) => seen.unwrap_or(Ok(())),
            () = cancellation.cancelled() => Ok(()),
        }
    }

    async fn decide_and_land(
        &self,
        cancellation: &CancellationToken,
        undelivered: &mut Undelivered,
    ) -> Outcome {
        let facts = tokio::select! {
            facts = self.ask() => facts,
            () = cancellation.cancelled() => Err(Failure::Interrupted),
        };
        let facts = match facts {
            Ok(facts) => facts,
            Err(failure) => {
                let context = self.context(None);
                let report = report::failed(&context, None, &failure);
                return Outcome::new(context, report);
            }
        };
        let context = self.context(Some(&facts.pull_request));
        if let Some(no_op) = nothing_to_do(self.request, &facts) {
            self.notifier.log.line(&report::no_op_line(no_op));
            return Outcome::new(context, report::none(no_op));
        }
        match decide(self.request, &facts, self.notifier.config) {
            Err(refusal) => {
                let report = report::refused_request(&context, self.request, &refusal);
                Outcome::new(context, report)
            }
            Ok(decision) => {
                self.announce_and_land(context, &decision, cancellation, undelivered)
                    .await
            }
        }
    }

    /// Asks for everything that the decision needs, side by side.
    async fn ask(&self) -> Result<Facts, Failure> {
        let github = &self.notifier.github;
        let log = self.notifier.log;
        let (pull_request, access) = match &self.request.trigger {
            Trigger::Close(pull_request) => (self.closed(pull_request).await, None),
            Trigger::Comment { .. } | Trigger::Label { .. } => {
                let (pull_request, access) = tokio::join!(
                    github.pull_request(self.request.pull_request),
                    github.access(&self.request.login)
                );
                if let Access::Unknown(answer) = &access {
                    log.line(&format!(
                        "GitHub gave no clear answer about the permission of the requester: {answer}"
                    ));
                }
                (pull_request.map_err(unanswered)?, Some(access))
            }
        };
        let label = self.notifier.config.inputs.label.as_deref();
        let is_labeled = label.map_or(Some(false), |label| pull_request.has_label(label));
        let is_labeled = match (&self.request.trigger, is_labeled) {
            (_, Some(is_labeled)) => is_labeled,
            // Neither a deploy nor a destroy may come of a guess.
            (Trigger::Label { .. }, None) => {
                return Err(Failure::GitHub(anyhow!(
                    "the answer is not as GitHub documents it: pull request #{} has no readable `labels`",
                    pull_request.number
                )));
            }
            (Trigger::Comment { .. } | Trigger::Close(_), None) => false,
        };
        let facts = Facts {
            pull_request,
            is_labeled,
            access,
            now: self.now,
        };
        log.debug(&format!("{facts:?}"));
        Ok(facts)
    }

    /// Returns the closed pull request of the event, unless GitHub clearly says that it is open by now. Its replicas may lag
    /// behind the event, so an *open* has to be repeated.
    async fn closed(&self, of_event: &PullRequest) -> PullRequest {
        for pause in [Duration::ZERO, REPLICA_LAG] {
            sleep(pause).await;
            let asked = self.notifier.github.pull_request(of_event.number);
            match timeout(STATE_TIMEOUT, asked).await {
                Ok(Ok(now)) if now.state == State::Open => {}
                // Anything but a clear answer removes: the event is a clear one.
                _ => return of_event.clone(),
            }
        }
        PullRequest {
            state: State::Open,
            ..of_event.clone()
        }
    }

    /// Lands the change. Meanwhile looks for the comment, and sets the commit status to pending.
    async fn announce_and_land(
        &self,
        context: Context,
        decision: &Decision,
        cancellation: &CancellationToken,
        undelivered: &mut Undelivered,
    ) -> Outcome {
        let announced = context.clone();
        let mut outcome = Outcome::new(context, Report::default());
        let (comment, pending) = {
            let landing = self.land(&mut outcome, decision, cancellation);
            let announcing = self.announce(&announced, cancellation);
            let ((), announced) = tokio::join!(landing, announcing);
            announced
        };
        outcome.comment = comment;
        undelivered.note(Channel::CommitStatus, pending);
        if let Some(reset) = outcome.reset.take() {
            undelivered.note(Channel::CommitStatus, reset.outcome);
        }
        if self.is_close() && outcome.report.message.is_none() {
            let stale = tokio::select! {
                stale = self.stale_comment() => stale,
                () = cancel_grace_over(cancellation) => None,
            };
            if let Some(stale) = stale {
                outcome.report.correct(&outcome.context);
                outcome.comment = CommentLookup::Found(stale);
            }
        }
        outcome
    }

    async fn announce(
        &self,
        context: &Context,
        cancellation: &CancellationToken,
    ) -> (CommentLookup, Result<(), ApiError>) {
        // Where nothing changes, nothing is said, so nothing is said before that is known.
        if self.request.is_quiet() {
            return (CommentLookup::Unknown, Ok(()));
        }
        let notifier = &self.notifier;
        let both = async {
            tokio::join!(
                notifier.github.status_comment(self.request.pull_request),
                notifier.set_status(context, StatusState::Pending, deploy::PENDING)
            )
        };
        tokio::select! {
            (comment, status) = both => (comment.into(), status),
            // Not at once: a server that is slow to store the first status would store it after the last one.
            () = cancel_grace_over(cancellation) => (CommentLookup::Unknown, Ok(())),
        }
    }

    /// Publishes the change. A deploy that landed after the close is taken back.
    async fn land(
        &self,
        outcome: &mut Outcome,
        decision: &Decision,
        cancellation: &CancellationToken,
    ) {
        let published = self.publish(outcome, decision, cancellation).await;
        let deployed = match (decision, &published) {
            (Decision::Create(_), Ok(published)) => published.landed(),
            _ => None,
        };
        match published {
            Ok(published) => {
                self.take_over(outcome, decision, published, cancellation)
                    .await;
            }
            Err(failure) => {
                outcome.report = report::failed(&outcome.context, Some(decision), &failure);
                // Otherwise it may have landed.
                if failure.is_rejection() {
                    self.undo_reset(outcome, decision, cancellation).await;
                }
            }
        }
        if let Some(deployed) = deployed
            && let Some(pull_request) = self.closed_meanwhile(cancellation).await
        {
            self.take_back(outcome, deployed, &pull_request, cancellation)
                .await;
        }
    }

    /// Reports what was published, with what Flux says of it.
    async fn take_over(
        &self,
        outcome: &mut Outcome,
        decision: &Decision,
        published: Published,
        cancellation: &CancellationToken,
    ) {
        let config = self.notifier.config;
        let does_wait = !config.inputs.wait.is_zero();
        let misleads = outcome.reset.as_ref().and_then(Reset::misleads);
        let is_misled = misleads.is_some();
        let readiness = match (decision, &published, &outcome.reset) {
            (Decision::Destroy(_), _, _) => Readiness::Unreported,
            (Decision::Create(_), Published::Refused(_), _) => {
                self.undo_reset(outcome, decision, cancellation).await;
                Readiness::Unreported
            }
            (Decision::Create(_), _, Some(_)) => match misleads {
                Some(error) if does_wait => Readiness::Late {
                    waited: Duration::ZERO,
                    answer: Some(error.to_string()),
                },
                _ => Readiness::ComingUp,
            },
            (Decision::Create(create), _, None) => {
                let manifest = &create.manifest;
                let known = self
                    .notifier
                    .readiness(&manifest.object_name, &manifest.commit);
                tokio::select! {
                    known = known => known,
                    () = cancel_grace_over(cancellation) => Readiness::ComingUp,
                }
            }
        };
        outcome.report = report::published(
            config,
            &outcome.context,
            self.request,
            decision,
            &published,
            &readiness,
        );
        let is_reported = readiness != Readiness::Unreported;
        if let Decision::Create(create) = decision
            && is_reported
            && !is_misled
        {
            outcome.reported = Some(ReportedDeploy {
                create: create.clone(),
                published,
                readiness,
            });
        }
    }

    fn has_to_wait(&self, outcome: &Outcome) -> bool {
        let told = outcome.reported.as_ref().map(|deploy| &deploy.readiness);
        told == Some(&Readiness::ComingUp) && !self.notifier.config.inputs.wait.is_zero()
    }

    /// Waits for Flux to report on what was published. Holds nothing meanwhile.
    async fn wait(&self, outcome: &mut Outcome, cancellation: &CancellationToken) {
        let (Some(deploy), Some((_, head))) = (&outcome.reported, &mut outcome.context.head) else {
            return;
        };
        outcome.session = None;
        let manifest = &deploy.create.manifest;
        let wait = Wait {
            github: &self.notifier.github,
            log: self.notifier.log,
            pull_request: self.request.pull_request,
            object_name: &manifest.object_name,
            is_pinned: manifest.pinned,
            limit: self.notifier.config.inputs.wait,
        };
        match wait.until_reported(head, cancellation).await {
            Some(readiness) => self.know(outcome, readiness),
            None => {
                // The run for the close speaks of it.
                let report = &mut outcome.report;
                report.outputs.ready = "false";
                report.reaction = Some(Reaction::Done);
                (report.message, report.status, report.deployment) = (None, None, None);
                outcome.reported = None;
            }
        }
    }

    /// Whether Flux has said something else since the pull request was told, which is the report then. The run that hands
    /// it on may have been overtaken by this one.
    async fn has_news(&self, outcome: &mut Outcome, cancellation: &CancellationToken) -> bool {
        let (Some(deploy), Some((_, head))) = (&outcome.reported, &outcome.context.head) else {
            return false;
        };
        if deploy.readiness == Readiness::Unwatched {
            return false;
        }
        let object_name = &deploy.create.manifest.object_name;
        let now = tokio::select! {
            now = self.notifier.readiness(object_name, head.as_str()) => now,
            () = cancellation.cancelled() => return false,
        };
        let is_new = now != deploy.readiness && now != Readiness::ComingUp;
        if is_new {
            self.know(outcome, now);
        }
        is_new
    }

    /// Reports again with what Flux says by now.
    fn know(&self, outcome: &mut Outcome, readiness: Readiness) {
        let Some(deploy) = &mut outcome.reported else {
            return;
        };
        deploy.readiness = readiness;
        let mut report = report::published(
            self.notifier.config,
            &outcome.context,
            self.request,
            &Decision::Create(deploy.create.clone()),
            &deploy.published,
            &deploy.readiness,
        );
        let before = std::mem::take(&mut outcome.report);
        report.deployment = report.deployment.map(DeploymentChange::begun);
        report.outputs.comment_url = before.outputs.comment_url;
        for warning in before.warnings {
            if !report.warnings.contains(&warning) {
                report.warnings.push(warning);
            }
        }
        outcome.report = report;
    }

    /// Sets Flux's commit status to pending: Flux does not repeat what the newest one says, so that of an earlier deploy would
    /// be taken for one about this deploy.
    async fn reset(&self, create: &Create) -> Reset {
        let context = status_context(&create.manifest.object_name);
        let commit = &create.manifest.commit;
        let description = in_short(&Readiness::ComingUp, &create.environment.namespace);
        let pending = StatusState::Pending.as_str();
        Reset {
            before: self.notifier.github.flux_status(commit, &context).await,
            outcome: self.set_flux_status(create, pending, &description).await,
        }
    }

    /// Brings back what Flux had said, for nothing has changed.
    async fn undo_reset(
        &self,
        outcome: &Outcome,
        decision: &Decision,
        cancellation: &CancellationToken,
    ) {
        let (Decision::Create(create), Some(reset)) = (decision, &outcome.reset) else {
            return;
        };
        let (state, description) = match (&reset.before, &reset.outcome) {
            // It is as it was, or nobody knows how it was.
            (Err(_), _) | (_, Err(_)) => return,
            (Ok(None), Ok(())) => (StatusState::Error.as_str(), deploy::NOT_DEPLOYED_IN_SHORT),
            (Ok(Some(before)), Ok(())) => (before.state.as_str(), before.description.as_str()),
        };
        let undone = tokio::select! {
            undone = self.set_flux_status(create, state, description) => undone.map_err(|error| error.to_string()),
            () = cancel_grace_over(cancellation) => Err("the run was cancelled".to_owned()),
        };
        if let Err(words) = undone {
            let context = status_context(&create.manifest.object_name);
            let warning = warning::not_restored(&context, &words);
            self.notifier.log.warning(&warning);
        }
    }

    async fn set_flux_status(
        &self,
        create: &Create,
        state: &str,
        description: &str,
    ) -> Result<(), ApiError> {
        let manifest = &create.manifest;
        let context = status_context(&manifest.object_name);
        let run_url = self.notifier.config.run_url();
        self.notifier
            .github
            .set_status_of(&context, &manifest.commit, state, description, &run_url)
            .await
    }

    async fn take_back(
        &self,
        outcome: &mut Outcome,
        (commit, warning): (String, Option<String>),
        pull_request: &PullRequest,
        cancellation: &CancellationToken,
    ) {
        let destroy = destroy(self.request, pull_request, self.notifier.config);
        let destroy = Decision::Destroy(destroy);
        let published = self.publish(outcome, &destroy, cancellation).await;
        let removal = published.as_ref().ok().and_then(Published::landed);
        let (commit, later_warning) = removal.unwrap_or((commit, None));
        outcome.reported = None;
        outcome.context.is_open = false;
        let mut report = match published {
            Ok(_) => report::refused(&outcome.context, &Refusal::Closed),
            Err(failure) => report::failed(&outcome.context, Some(&destroy), &failure),
        };
        report.outputs.changed = true;
        report.outputs.commit = commit;
        report
            .warnings
            .extend(warning.into_iter().chain(later_warning));
        outcome.report = report;
    }

    async fn publish(
        &self,
        outcome: &mut Outcome,
        decision: &Decision,
        cancellation: &CancellationToken,
    ) -> Result<Published, Failure> {
        let mut decision = decision.clone();
        loop {
            let target = self.notifier.target(&outcome.context.target_branch);
            let session = outcome.session.take();
            let planned = decision.clone();
            let plan = move |tip: &_| plan(&planned, tip);
            let (published, session) = publish(target, plan, session, cancellation).await;
            self.notifier.log.debug(&format!("{published:?}"));
            outcome.session = session;
            match published? {
                PublishOutcome::Published(published) => return Ok(published),
                PublishOutcome::StatusOutdated => {
                    if let Decision::Create(create) = &decision {
                        outcome.reset = Some(tokio::select! {
                            reset = self.reset(create) => reset,
                            () = cancellation.cancelled() => return Err(Failure::Interrupted),
                        });
                    }
                    decision.note_reset(self.now);
                }
                PublishOutcome::Unidentified(names) => tokio::select! {
                    () = self.identify(names, &mut decision) => {}
                    () = cancellation.cancelled() => return Err(Failure::Interrupted),
                },
            }
        }
    }

    /// Returns the pull request if it was closed while its environment came up. The run for the close may have found nothing
    /// to remove. This run looks after its push, so one of the two sees what the other did.
    async fn closed_meanwhile(&self, cancellation: &CancellationToken) -> Option<PullRequest> {
        let log = self.notifier.log;
        let asked = tokio::select! {
            asked = self.notifier.github.pull_request(self.request.pull_request) => asked,
            () = cancellation.cancelled() => Err(anyhow::anyhow!("the run was cancelled")),
        };
        let words = match asked {
            Ok(pull_request) => match pull_request.state {
                State::Open => return None,
                State::Closed => {
                    log.line(
                        "the pull request was closed in the meantime, so its environment is taken down",
                    );
                    return Some(pull_request);
                }
                State::Unknown(word) => unknown_state(&word),
            },
            Err(error) => format!("{error:#}"),
        };
        log.warning(&format!(
            "could not check whether the pull request is still open; if it is closed, comment `{}` on it to destroy the \
             environment: {words}",
            self.notifier.config.inputs.commands.destroy
        ));
        None
    }

    /// Returns our comment if it does not say that the environment is gone: the run that removed it did not get that far.
    async fn stale_comment(&self) -> Option<StatusComment> {
        let found = self
            .notifier
            .github
            .status_comment(self.request.pull_request)
            .await;
        found
            .unwrap_or_else(|error| {
                self.notifier.log.line(&format!(
                    "could not check whether the comment is out of date: {error}"
                ));
                None
            })
            .filter(|comment| sections::is_outdated_without_environment(&comment.body))
    }

    async fn notify(
        &self,
        outcome: &mut Outcome,
        cancellation: &CancellationToken,
        undelivered: &mut Undelivered,
    ) {
        let Outcome {
            context,
            report,
            comment,
            session,
            ..
        } = outcome;
        let comment = std::mem::take(comment);
        let command_id = self.request.comment_id();
        let written = tokio::select! {
            written = self.notifier.notify(context, report, comment, command_id, undelivered) => written,
            () = cancel_grace_over(cancellation) => {
                let warning = "the run was cancelled before the pull request was notified";
                report.warnings.push(warning.to_owned());
                None
            }
        };
        if let Some(written) = written {
            let name = self.notifier.config.repository.to_string();
            let repository = RepositoryIdentity::new(&name, self.request.repository_id);
            outcome.comment = tokio::select! {
                comment = self.notifier.look_again(context, &repository, written, session, undelivered) => CommentLookup::Found(comment),
                () = cancel_grace_over(cancellation) => CommentLookup::Unknown,
            };
        }
    }

    fn is_close(&self) -> bool {
        matches!(self.request.trigger, Trigger::Close(_))
    }

    fn context(&self, pull_request: Option<&PullRequest>) -> Context {
        let inputs = &self.notifier.config.inputs;
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
                .notifier
                .context(self.request.pull_request, branch, self.now)
        }
    }
}
