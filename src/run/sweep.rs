//! Looks after everything that is there: what nobody needs any more goes, in one commit, and its pull requests are told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};

use crate::cancellation::Cancellation;
use crate::decide::sweep::{Removal, Verdict, judge};
use crate::event::SweepEvent;
use crate::git::Work;
use crate::message::sections::Context;
use crate::message::sweep;
use crate::message::sweep::Hindrance;
use crate::model::failure::Failure;
use crate::model::instance::Held;
use crate::model::pull_request::{Answer, PullRequestStanding};
use crate::plan::{Plan, Published, Tip};
use crate::publish::{publish, read, target, too_late};
use crate::report::Report;
use crate::run::notify::Teller;
use crate::run::request::no_fact;
use crate::run::undelivered::Untold;
use crate::{plan, report};

/// How far apart pull requests are told: GitHub asks for a second between two requests that write, and telling one takes two
/// ([docs](https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#pause-between-mutative-requests)).
const PACE: Duration = Duration::from_secs(2);

/// How many are told at once before that: a person wrote no faster than that, either.
const AT_ONCE: usize = 5;

/// One sweep on its way through.
pub(crate) struct Sweeper<'a> {
    /// Speaks to the pull requests.
    pub(crate) teller: Teller<'a>,
    /// What started it.
    pub(crate) event: &'a SweepEvent,
    /// What time it is.
    pub(crate) now: DateTime<Utc>,
}

/// Whom to tell, and how far that came.
struct Telling<'r> {
    left: BTreeMap<u64, Vec<&'r Removal>>,
    /// Those that were told by a comment alone.
    without_status: Vec<u64>,
    untold: Untold,
}

/// What was found out before anything is removed.
struct Found {
    branch: String,
    instances: Vec<Held>,
    standings: BTreeMap<u64, PullRequestStanding>,
    work: Work,
}

impl Sweeper<'_> {
    /// Removes what nobody needs any more and tells about it; in a dry run it only tells the job.
    pub(crate) async fn run(&self, cancellation: &Cancellation) -> Report {
        let found = tokio::select! {
            found = self.find() => found,
            () = cancellation.requested() => Err(Failure::Interrupted),
        };
        let found = match found {
            Ok(found) => found,
            // What can go wrong by now does not speak of the branch, which may not be known.
            Err(failure) => return self.failed("", &failure),
        };
        let answers = found
            .standings
            .iter()
            .map(|(number, standing)| (*number, standing.answer.clone()));
        let Verdict { removals, doubts } = judge(&found.instances, &answers.collect(), self.now);
        let doubts: Vec<String> = doubts.iter().map(sweep::doubted).collect();
        if removals.is_empty() {
            report::swept(self.event.code, &found.branch, &[], None, doubts)
        } else if self.teller.config.inputs.dry_run {
            let branch = found.branch.clone();
            tokio::select! {
                report = self.preview(found, removals, doubts) => report,
                () = cancellation.requested() => self.failed(&branch, &Failure::Interrupted),
            }
        } else {
            self.remove(found, removals, doubts, cancellation).await
        }
    }

    /// The instances there are, and what GitHub says of their pull requests.
    async fn find(&self) -> Result<Found, Failure> {
        let config = self.teller.config;
        let known = config.inputs.branch.as_ref();
        let branch = match known.or(self.event.default_branch.as_ref()) {
            Some(branch) => branch.clone(),
            None => self.teller.github.default_branch().await.map_err(no_fact)?,
        };
        let repository = config.repository.to_string();
        let (instances, work) = read(target(config, &branch), None, move |tip| {
            Ok(plan::held_in(&repository, tip))
        })
        .await?;
        let numbers: BTreeSet<u64> = instances
            .iter()
            .map(|held| held.instance.owner.pull_request)
            .collect();
        self.teller.log.line(&format!(
            "sweep of `{branch}`: environments {}, pull requests {}",
            instances.len(),
            numbers.len()
        ));
        let standings = self.teller.github.standings(&numbers).await;
        self.teller.log.debug(&format!("{standings:?}"));
        Ok(Found {
            branch,
            instances,
            standings,
            work,
        })
    }

    async fn preview(&self, found: Found, removals: Vec<Removal>, doubts: Vec<String>) -> Report {
        let Found { branch, work, .. } = found;
        let target = target(self.teller.config, &branch);
        let planned = removals.clone();
        let plan = read(target, Some(work), move |tip| {
            Ok(plan::sweep(&planned, tip))
        });
        match plan.await {
            Ok((plan, _)) => {
                self.teller.preview(&plan);
                let would_go = those_of(removals, &plan);
                report::swept(self.event.code, &branch, &would_go, None, doubts)
            }
            Err(failure) => self.failed(&branch, &failure),
        }
    }

    async fn remove(
        &self,
        found: Found,
        removals: Vec<Removal>,
        doubts: Vec<String>,
        cancellation: &Cancellation,
    ) -> Report {
        let Found {
            branch,
            standings,
            work,
            ..
        } = found;
        let target = target(self.teller.config, &branch);
        let planned = removals.clone();
        let plan = move |tip: &Tip| Ok(Ok(plan::sweep(&planned, tip)));
        let (published, mut work) = publish(target, plan, Some(work), cancellation).await;
        self.teller.log.debug(&format!("{published:?}"));
        let (removals, commit, warning) = match published {
            Ok(Published::Pushed {
                plan,
                commit,
                warning,
            }) => (those_of(removals, &plan), commit, warning),
            // Nothing of it is left: others were faster.
            Ok(Published::Unchanged(_) | Published::Refused(_)) => {
                return report::swept(self.event.code, &branch, &[], None, doubts);
            }
            Err(failure) => {
                let mut report = self.failed(&branch, &failure);
                report.warnings = doubts;
                // It may have landed unseen.
                let hindrance = match failure {
                    Failure::Interrupted => Some(Hindrance::Cancelled),
                    Failure::TimedOut(..) => Some(Hindrance::PushTimedOut),
                    _ => None,
                };
                if let Some(hindrance) = hindrance {
                    let untold = numbers(by_pull_request(&removals));
                    report.warnings.push(sweep::untold(hindrance, &untold));
                }
                return report;
            }
        };
        let mut report = report::swept(
            self.event.code,
            &branch,
            &removals,
            Some(commit.clone()),
            doubts,
        );
        let mut telling = Telling {
            left: by_pull_request(&removals),
            without_status: Vec::new(),
            untold: Untold::default(),
        };
        let hindrance = tokio::select! {
            () = self.tell(&branch, &commit, &standings, &mut telling, &mut work) => Hindrance::GitHubGone,
            () = too_late(cancellation) => Hindrance::Cancelled,
        };
        let Telling {
            left,
            without_status,
            untold,
        } = telling;
        report.warnings.extend(warning);
        report.warnings.extend(untold.warnings());
        if !without_status.is_empty() {
            let warning = sweep::without_status(&without_status);
            report.warnings.push(warning);
        }
        if !left.is_empty() {
            let left = numbers(left);
            report.warnings.push(sweep::untold(hindrance, &left));
        }
        report
    }

    /// Tells each pull request that is left, and corrects that where another run has brought its environment up again.
    /// Some stay left where GitHub does not take any more.
    async fn tell(
        &self,
        branch: &str,
        commit: &str,
        standings: &BTreeMap<u64, PullRequestStanding>,
        telling: &mut Telling<'_>,
        work: &mut Option<Work>,
    ) {
        let Telling {
            left,
            without_status,
            untold,
        } = telling;
        // Some may have been opened again since they were asked about, and are told so.
        let again = self
            .teller
            .github
            .standings(&left.keys().copied().collect())
            .await;
        let mut next = Instant::now();
        let mut already = 0;
        while let Some((&number, removals)) = left.first_key_value() {
            if already >= AT_ONCE {
                sleep_until(next).await;
            }
            already += 1;
            next = Instant::now() + PACE;
            let clear = again.get(&number).filter(|again| again.is_clear());
            let standing = clear.or_else(|| standings.get(&number));
            let context = self.context(branch, number, standing);
            let mut report = report::swept_one(self.teller.config, &context, removals, commit);
            // Neither a commit status nor a Git server that gave no answer is waited for with each of them.
            let has_status = !untold.does_status_hang();
            if !has_status {
                report.status = None;
            }
            let told = self
                .teller
                .tell(&context, &mut report, None, None, untold)
                .await;
            if told.is_some() && !has_status {
                without_status.push(number);
            }
            match told {
                Some(told) if work.is_some() => {
                    self.teller.look_again(&context, told, work, untold).await;
                }
                Some(_) => {}
                None if untold.is_limited() || self.teller.github.is_silent() => return,
                None => {}
            }
            left.remove(&number);
        }
    }

    fn failed(&self, branch: &str, failure: &Failure) -> Report {
        report::sweep_failed(self.teller.config, branch, failure)
    }

    fn context(
        &self,
        branch: &str,
        number: u64,
        standing: Option<&PullRequestStanding>,
    ) -> Context {
        let context = self.teller.context(number, branch, self.now);
        match standing {
            Some(standing) => Context {
                head: standing.head.clone(),
                is_open: standing.answer != Answer::Closed,
                ..context
            },
            None => context,
        }
    }
}

/// The removals that a plan came to: those that were still to be done at its tip.
fn those_of(mut removals: Vec<Removal>, plan: &Plan) -> Vec<Removal> {
    removals.retain(|removal| plan.removed.contains(&removal.held));
    removals
}

fn by_pull_request(removals: &[Removal]) -> BTreeMap<u64, Vec<&Removal>> {
    let mut by_pull_request: BTreeMap<u64, Vec<&Removal>> = BTreeMap::new();
    for removal in removals {
        let number = removal.held.instance.owner.pull_request;
        by_pull_request.entry(number).or_default().push(removal);
    }
    by_pull_request
}

fn numbers<T>(by_pull_request: BTreeMap<u64, T>) -> Vec<u64> {
    by_pull_request.into_keys().collect()
}
