//! One sweep: finds the instances, asks GitHub about their pull requests, removes what nobody needs in one commit, and
//! notifies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};

use crate::decide::sweep::{Removal, Verdict, judge};
use crate::event::SweepEvent;
use crate::git::Session;
use crate::github::http::unanswered;
use crate::message::context::Context;
use crate::message::warning::{self, StopReason};
use crate::model::failure::Failure;
use crate::model::instance::DeployedInstance;
use crate::model::pull_request::{Liveness, PullRequestSummary};
use crate::model::repository::RepositoryIdentity;
use crate::plan;
use crate::plan::{Plan, PlanOutcome, Published, Tip};
use crate::publish::{PublishOutcome, cancel_grace_over, publish, read};
use crate::report;
use crate::report::Report;
use crate::run::notify::{CommentLookup, Notifier};
use crate::run::undelivered::Undelivered;
use tokio_util::sync::CancellationToken;

/// The time between two notifications: GitHub asks for a second between two requests that write, and each takes two
/// ([docs](https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#pause-between-mutative-requests)).
const NOTIFY_INTERVAL: Duration = Duration::from_secs(2);

/// How many pull requests are notified before that interval applies, as fast as a person might comment.
const BURST: usize = 5;

/// One sweep on its way through.
pub(crate) struct SweepRun<'a> {
    /// Speaks to the pull requests.
    pub(crate) notifier: Notifier<'a>,
    /// What started it.
    pub(crate) event: &'a SweepEvent,
    /// What time it is.
    pub(crate) now: DateTime<Utc>,
}

/// The pull requests to notify, and how far that came.
struct Progress<'r> {
    left: BTreeMap<u64, Vec<&'r Removal>>,
    /// Those that got a comment and no commit status.
    without_status: Vec<u64>,
    undelivered: Undelivered,
}

/// What was found out before anything is removed.
struct Found {
    branch: String,
    repository: RepositoryIdentity,
    instances: Vec<DeployedInstance>,
    summaries: BTreeMap<u64, PullRequestSummary>,
    session: Session,
}

impl SweepRun<'_> {
    /// Removes what nobody needs any more and tells about it; in a dry run it only tells the job.
    pub(crate) async fn sweep(&self, cancellation: &CancellationToken) -> Report {
        let found = tokio::select! {
            found = self.find() => found,
            () = cancellation.cancelled() => Err(Failure::Interrupted),
        };
        let found = match found {
            Ok(found) => found,
            // What can go wrong by now does not speak of the branch, which may not be known.
            Err(failure) => return self.failed("", &failure),
        };
        let answers = found
            .summaries
            .iter()
            .map(|(number, summary)| (*number, summary.answer.clone()));
        let Verdict {
            removals,
            unresolved,
        } = judge(&found.instances, &answers.collect(), self.now);
        let unresolved: Vec<String> = unresolved.iter().map(warning::unresolved).collect();
        if removals.is_empty() {
            report::swept(self.event.code, &[], None, unresolved)
        } else if self.notifier.config.inputs.dry_run {
            let branch = found.branch.clone();
            tokio::select! {
                report = self.preview(found, removals, unresolved) => report,
                () = cancellation.cancelled() => self.failed(&branch, &Failure::Interrupted),
            }
        } else {
            self.remove(found, removals, unresolved, cancellation).await
        }
    }

    /// The instances there are, and what GitHub says of their pull requests.
    async fn find(&self) -> Result<Found, Failure> {
        let (branch, repository) = self.target().await?;
        let asked = repository.clone();
        let (instances, session) = read(self.notifier.target(&branch), None, move |tip| {
            Ok(plan::instances_perhaps_in(&asked, tip))
        })
        .await?;
        let (instances, repository) = self.identified(instances, repository).await;
        let numbers: BTreeSet<u64> = instances
            .iter()
            .map(|deployed| deployed.instance.owner.pull_request)
            .collect();
        self.notifier.log.line(&format!(
            "sweep of `{branch}`: environments {}, pull requests {}",
            instances.len(),
            numbers.len()
        ));
        let summaries = self.notifier.github.summaries(&numbers).await;
        self.notifier.log.debug(&format!("{summaries:?}"));
        Ok(Found {
            branch,
            repository,
            instances,
            summaries,
            session,
        })
    }

    /// Returns the target branch and this repository. A schedule's payload says neither.
    async fn target(&self) -> Result<(String, RepositoryIdentity), Failure> {
        let config = self.notifier.config;
        let name = config.repository.to_string();
        let id = self.event.repository_id.or(config.repository_id);
        let known = config.inputs.branch.as_ref();
        let (id, branch) = match known.or(self.event.default_branch.as_ref()) {
            Some(branch) => (id, branch.clone()),
            None => {
                let asked = self.notifier.github.repository().await;
                let (asked_id, branch) = asked.map_err(unanswered)?;
                (Some(asked_id), branch)
            }
        };
        Ok((branch, RepositoryIdentity::new(&name, id)))
    }

    /// Keeps the instances of this repository. GitHub is asked about each other name that an instance without an id has.
    async fn identified(
        &self,
        instances: Vec<DeployedInstance>,
        mut repository: RepositoryIdentity,
    ) -> (Vec<DeployedInstance>, RepositoryIdentity) {
        let others = instances
            .iter()
            .map(|deployed| &deployed.instance.owner.repository);
        let unclear = others.filter(|other| repository.is_unclear(other));
        let names: BTreeSet<String> = unclear.map(|other| other.name.clone()).collect();
        for name in names {
            let is_ours = self.notifier.github.has_name(repository.id, &name).await;
            repository.note_name(&name, is_ours);
        }
        let ours = instances
            .into_iter()
            .filter(|deployed| repository.is(&deployed.instance.owner.repository));
        (ours.collect(), repository)
    }

    async fn preview(
        &self,
        found: Found,
        removals: Vec<Removal>,
        unresolved: Vec<String>,
    ) -> Report {
        let Found {
            branch, session, ..
        } = found;
        let target = self.notifier.target(&branch);
        let planned = removals.clone();
        let plan = read(target, Some(session), move |tip| {
            Ok(plan::sweep(&planned, tip))
        });
        match plan.await {
            Ok((plan, _)) => {
                self.notifier.preview(&plan);
                let would_go = those_of(removals, &plan);
                report::swept(self.event.code, &would_go, None, unresolved)
            }
            Err(failure) => self.failed(&branch, &failure),
        }
    }

    async fn remove(
        &self,
        found: Found,
        removals: Vec<Removal>,
        unresolved: Vec<String>,
        cancellation: &CancellationToken,
    ) -> Report {
        let Found {
            branch,
            repository,
            summaries,
            session,
            ..
        } = found;
        let target = self.notifier.target(&branch);
        let planned = removals.clone();
        let plan = move |tip: &Tip| Ok(PlanOutcome::Planned(plan::sweep(&planned, tip)));
        let (published, mut session) = publish(target, plan, Some(session), cancellation).await;
        self.notifier.log.debug(&format!("{published:?}"));
        let (removals, commit, warning) = match published {
            Ok(PublishOutcome::Published(Published::Pushed {
                plan,
                commit,
                warning,
            })) => (those_of(removals, &plan), commit, warning),
            // Nothing of it is left: others were faster.
            Ok(
                PublishOutcome::Published(_)
                | PublishOutcome::Unidentified(_)
                | PublishOutcome::StatusOutdated,
            ) => {
                return report::swept(self.event.code, &[], None, unresolved);
            }
            Err(failure) => {
                let mut report = self.failed(&branch, &failure);
                report.warnings = unresolved;
                // It may have landed unseen.
                let stop_reason = match failure {
                    Failure::Interrupted => Some(StopReason::Cancelled),
                    Failure::TimedOut(..) => Some(StopReason::PushTimedOut),
                    _ => None,
                };
                if let Some(stop_reason) = stop_reason {
                    let undelivered = numbers(by_pull_request(&removals));
                    report
                        .warnings
                        .push(warning::not_notified(stop_reason, &undelivered));
                }
                return report;
            }
        };
        let mut report =
            report::swept(self.event.code, &removals, Some(commit.clone()), unresolved);
        let mut progress = Progress {
            left: by_pull_request(&removals),
            without_status: Vec::new(),
            undelivered: Undelivered::default(),
        };
        let stop_reason = tokio::select! {
            () = self.notify(&branch, &repository, &commit, &summaries, &mut progress, &mut session) => StopReason::GitHubGone,
            () = cancel_grace_over(cancellation) => StopReason::Cancelled,
        };
        let Progress {
            left,
            without_status,
            undelivered,
        } = progress;
        report.warnings.extend(warning);
        report.warnings.extend(undelivered.warnings());
        if !without_status.is_empty() {
            let warning = warning::without_status(&without_status);
            report.warnings.push(warning);
        }
        if !left.is_empty() {
            let left = numbers(left);
            report
                .warnings
                .push(warning::not_notified(stop_reason, &left));
        }
        report
    }

    /// Tells each pull request that is left, and corrects that where another run has brought its environment up again.
    /// Some stay left where GitHub does not take any more.
    async fn notify(
        &self,
        branch: &str,
        repository: &RepositoryIdentity,
        commit: &str,
        summaries: &BTreeMap<u64, PullRequestSummary>,
        progress: &mut Progress<'_>,
        session: &mut Option<Session>,
    ) {
        let Progress {
            left,
            without_status,
            undelivered,
        } = progress;
        // Some may have been opened again since they were asked about, and their comment says so.
        let again = self
            .notifier
            .github
            .summaries(&left.keys().copied().collect())
            .await;
        let mut next = Instant::now();
        let mut already = 0;
        while let Some((&number, removals)) = left.first_key_value() {
            if already >= BURST {
                sleep_until(next).await;
            }
            already += 1;
            next = Instant::now() + NOTIFY_INTERVAL;
            let clear = again.get(&number).filter(|again| again.is_clear());
            let summary = clear.or_else(|| summaries.get(&number));
            let context = self.context(branch, number, summary);
            let mut report = report::swept_one(self.notifier.config, &context, removals, commit);
            // Neither a commit status nor a Git server that gave no answer is waited for with each of them.
            let has_status = !undelivered.does_status_hang();
            if !has_status {
                report.status = None;
            }
            if undelivered.do_deployments_hang() {
                report.deployment = None;
            }
            let written = self
                .notifier
                .notify(
                    &context,
                    &mut report,
                    CommentLookup::Unknown,
                    None,
                    undelivered,
                )
                .await;
            if written.is_some() && !has_status {
                without_status.push(number);
            }
            match written {
                Some(written) if session.is_some() => {
                    self.notifier
                        .look_again(&context, repository, written, session, undelivered)
                        .await;
                }
                Some(_) => {}
                None if undelivered.is_limited() || self.notifier.github.has_outage() => return,
                None => {}
            }
            left.remove(&number);
        }
    }

    fn failed(&self, branch: &str, failure: &Failure) -> Report {
        report::sweep_failed(self.notifier.config, branch, failure)
    }

    fn context(&self, branch: &str, number: u64, summary: Option<&PullRequestSummary>) -> Context {
        let context = self.notifier.context(number, branch, self.now);
        match summary {
            Some(summary) => Context {
                head: summary.head.clone(),
                is_open: summary.answer != Liveness::Closed,
                ..context
            },
            None => context,
        }
    }
}

/// The removals that a plan came to: those that were still to be done at its tip.
fn those_of(mut removals: Vec<Removal>, plan: &Plan) -> Vec<Removal> {
    removals.retain(|removal| plan.removed.contains(&removal.deployed));
    removals
}

fn by_pull_request(removals: &[Removal]) -> BTreeMap<u64, Vec<&Removal>> {
    let mut by_pull_request: BTreeMap<u64, Vec<&Removal>> = BTreeMap::new();
    for removal in removals {
        let number = removal.deployed.instance.owner.pull_request;
        by_pull_request.entry(number).or_default().push(removal);
    }
    by_pull_request
}

fn numbers<T>(by_pull_request: BTreeMap<u64, T>) -> Vec<u64> {
    by_pull_request.into_keys().collect()
}
