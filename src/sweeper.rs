//! Looks after everything that is there: what nobody needs any more goes, in one commit, and its pull requests are told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};

use crate::cancellation::Cancellation;
use crate::comment::{self, Context};
use crate::event::SweepEvent;
use crate::failure::Failure;
use crate::git::{Published, Work};
use crate::github::PullRequestStanding;
use crate::plan::{self, Held, Tip};
use crate::publish::{publish, read, target, too_late};
use crate::report::{self, Report};
use crate::sweep::{Answer, Removal, judge};
use crate::tell::Teller;
use crate::untold::Untold;
use crate::{no_fact, sweep};

/// How far apart pull requests are told: GitHub asks for a second between two requests that write, and telling one takes two
/// ([docs](https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#pause-between-mutative-requests)).
const PACE: Duration = Duration::from_secs(2);

/// How many are told at once before that: a person wrote no faster than that, either.
const AT_ONCE: usize = 5;

/// One sweep on its way through.
pub struct Sweeper<'a> {
    /// Speaks to the pull requests.
    pub teller: Teller<'a>,
    /// What started it.
    pub event: &'a SweepEvent,
    /// What time it is.
    pub now: DateTime<Utc>,
}

/// What was found out before anything is removed.
struct Found {
    branch: String,
    instances: Vec<Held>,
    standings: BTreeMap<u64, PullRequestStanding>,
    work: Work,
}

/// What is to be judged at each tip anew.
struct Case {
    /// What may go. A file that has changed since GitHub was asked may be wanted again.
    candidates: Vec<Held>,
    answers: BTreeMap<u64, Answer>,
    now: DateTime<Utc>,
}

impl Case {
    fn judge(&self, tip: &Tip) -> sweep::Verdict {
        let candidates = plan::still_there(&self.candidates, tip);
        judge(&candidates, &self.answers, self.now)
    }
}

impl Sweeper<'_> {
    /// Removes what nobody needs any more and tells about it; in a dry run it only tells the job.
    pub async fn run(&self, cancellation: &Cancellation) -> Report {
        let found = tokio::select! {
            found = self.find() => found,
            () = cancellation.requested() => Err(Failure::Interrupted),
        };
        let Found {
            branch,
            instances,
            standings,
            work,
        } = match found {
            Ok(found) => found,
            // What can go wrong by now does not speak of the branch, which may not be known.
            Err(failure) => return self.failed("", &failure),
        };
        let answers = standings
            .iter()
            .map(|(number, standing)| (*number, standing.answer.clone()));
        let answers: BTreeMap<u64, Answer> = answers.collect();
        let verdict = judge(&instances, &answers, self.now);
        let doubts: Vec<String> = verdict.doubts.iter().map(comment::doubted).collect();
        let removals = verdict.removals.into_iter();
        let case = Case {
            candidates: removals.map(|removal| removal.held).collect(),
            answers,
            now: self.now,
        };
        if case.candidates.is_empty() {
            report::swept(self.event.code, &branch, &[], None, true, doubts)
        } else if self.teller.config.inputs.dry_run {
            tokio::select! {
                report = self.preview(&branch, case, work, doubts) => report,
                () = cancellation.requested() => self.failed(&branch, &Failure::Interrupted),
            }
        } else {
            self.remove(&branch, case, work, doubts, cancellation).await
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

    async fn preview(&self, branch: &str, case: Case, work: Work, doubts: Vec<String>) -> Report {
        let target = target(self.teller.config, branch);
        let planned = read(target, Some(work), move |tip| {
            let removals = case.judge(tip).removals;
            Ok((plan::sweep(&removals, tip), removals))
        });
        match planned.await {
            Ok(((plan, removals), _)) => {
                self.teller
                    .log
                    .line("dry run, nothing is changed; this is what would be:");
                self.teller.log.text(&plan.change.to_string());
                report::swept(self.event.code, branch, &removals, None, false, doubts)
            }
            Err(failure) => self.failed(branch, &failure),
        }
    }

    async fn remove(
        &self,
        branch: &str,
        case: Case,
        work: Work,
        doubts: Vec<String>,
        cancellation: &Cancellation,
    ) -> Report {
        let target = target(self.teller.config, branch);
        let (answers, candidates) = (case.answers.clone(), case.candidates.clone());
        let plan = move |tip: &Tip| Ok(Ok(plan::sweep(&case.judge(tip).removals, tip)));
        let (published, mut work) = publish(target, plan, Some(work), cancellation).await;
        self.teller.log.debug(&format!("{published:?}"));
        let (removed, commit, warning) = match published {
            Ok(Published::Pushed {
                plan,
                commit,
                warning,
            }) => (plan.removed, commit, warning),
            // Nothing of it is left: others were faster.
            Ok(Published::Unchanged(_) | Published::Refused(_)) => {
                return report::swept(self.event.code, branch, &[], None, true, doubts);
            }
            Err(failure) => {
                let mut report = self.failed(branch, &failure);
                report.warnings = doubts;
                // It may have landed unseen.
                if matches!(failure, Failure::Interrupted | Failure::TimedOut(..)) {
                    let untold = by_pull_request(&candidates, |held| held);
                    report
                        .warnings
                        .push(comment::cancelled_before(&numbers(untold)));
                }
                return report;
            }
        };
        let removals = judge(&removed, &answers, self.now).removals;
        let mut report = report::swept(
            self.event.code,
            branch,
            &removals,
            Some(commit.clone()),
            true,
            doubts,
        );
        let mut untold = Untold::default();
        let mut left = by_pull_request(&removals, |removal| &removal.held);
        tokio::select! {
            () = self.tell(branch, &mut left, &commit, &mut work, &mut untold) => {}
            () = too_late(cancellation) => {}
        }
        report.warnings.extend(warning);
        report.warnings.extend(untold.warnings());
        if !left.is_empty() {
            report
                .warnings
                .push(comment::cancelled_before(&numbers(left)));
        }
        report
    }

    /// Tells each pull request that is left, and corrects that where another run has brought its environment up again.
    async fn tell(
        &self,
        branch: &str,
        left: &mut BTreeMap<u64, Vec<&Removal>>,
        commit: &str,
        work: &mut Option<Work>,
        untold: &mut Untold,
    ) {
        // Some may have been opened again since they were asked about, and are told so.
        let standings = self
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
            let context = self.context(branch, number, standings.get(&number));
            let mut report = report::swept_one(self.teller.config, &context, removals, commit);
            let told = self
                .teller
                .tell(&context, &mut report, None, None, untold)
                .await;
            if let Some(told) = told {
                self.teller.look_again(&context, told, work).await;
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

fn by_pull_request<T>(all: &[T], held: impl Fn(&T) -> &Held) -> BTreeMap<u64, Vec<&T>> {
    let mut by_pull_request: BTreeMap<u64, Vec<&T>> = BTreeMap::new();
    for one in all {
        let number = held(one).instance.owner.pull_request;
        by_pull_request.entry(number).or_default().push(one);
    }
    by_pull_request
}

fn numbers<T>(by_pull_request: BTreeMap<u64, T>) -> Vec<u64> {
    by_pull_request.into_keys().collect()
}
