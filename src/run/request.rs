//! One request on its way through.

use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};
use tokio::time::timeout;

use crate::cancellation::Cancellation;
use crate::decide::refusal::Refusal;
use crate::decide::triage::{Request, Trigger};
use crate::decide::{Decision, Facts, decide, destroy};
use crate::git::Session;
use crate::github::comments::StatusComment;
use crate::github::http::ApiError;
use crate::message::sections;
use crate::message::sections::Context;
use crate::model::failure::Failure;
use crate::model::notification::{Reaction, StatusState};
use crate::model::pull_request::{PullRequest, State, odd_state};
use crate::model::repository::Access;
use crate::plan::{Plan, Published, Tip};
use crate::publish::{cancel_grace_over, publish, read, target};
use crate::report::Report;
use crate::run::notify::{Found, Notifier};
use crate::run::undelivered::{REACTION, STATUS, Undelivered};
use crate::{plan, report};

/// How long 👀 on the command may take.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(10);

/// One request on its way through.
pub(crate) struct Run<'a> {
    pub(crate) notifier: Notifier<'a>,
    pub(crate) request: &'a Request,
    pub(crate) now: DateTime<Utc>,
}

/// What became of a decision.
struct Changed {
    published: Result<Published, Failure>,
    /// The repository that it was made in.
    session: Option<Session>,
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
pub(crate) struct Done {
    context: Context,
    report: Report,
    found: Found,
    /// The repository that the change was made in.
    session: Option<Session>,
}

impl Done {
    /// What was known before anything was looked for or changed.
    fn at_once(context: Context, report: Report) -> Done {
        Done {
            context,
            report,
            found: None,
            session: None,
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
    pub(crate) async fn preview(&self, cancellation: &Cancellation) -> Report {
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
            let target = target(self.notifier.config, &context.target_branch);
            let plan = read(target, None, move |tip| plan_of(&planned, tip));
            match plan.await.map(|(plan, _)| plan) {
                Ok(Ok(plan)) => {
                    self.notifier.preview(&plan);
                    report::previewed(self.notifier.config, self.request, &decision, &plan)
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
    pub(crate) async fn apply(&self, cancellation: &Cancellation) -> Report {
        let mut undelivered = Undelivered::default();
        let comment_id = self.request.comment_id();
        let seen = async {
            tokio::select! {
                // A sign of life, which the change does not wait for.
                seen = timeout(ACKNOWLEDGE_TIMEOUT, self.notifier.react(comment_id, Reaction::Seen)) => seen.unwrap_or(Ok(())),
                () = cancellation.requested() => Ok(()),
            }
        };
        let session = self.decide_and_do(cancellation, &mut undelivered);
        let (seen, done) = tokio::join!(seen, session);
        undelivered.note(REACTION, seen);
        let Done {
            context,
            mut report,
            found,
            mut session,
        } = done;
        let told = tokio::select! {
            told = self.notifier.tell(&context, &mut report, found, comment_id, &mut undelivered) => Some(told),
            () = cancel_grace_over(cancellation) => None,
        };
        match told {
            Some(Some(told)) => tokio::select! {
                () = self.notifier.look_again(&context, told, &mut session, &mut undelivered) => {}
                () = cancel_grace_over(cancellation) => {}
            },
            Some(None) => {}
            None => report
                .warnings
                .push("the run was cancelled before the pull request was told".to_owned()),
        }
        report.warnings.extend(undelivered.warnings());
        report
    }

    async fn decide_and_do(
        &self,
        cancellation: &Cancellation,
        undelivered: &mut Undelivered,
    ) -> Done {
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
                self.carry_out(context, &decision, cancellation, undelivered)
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
                    self.notifier.github.pull_request(self.request.pull_request),
                    self.notifier.github.access(&self.request.login)
                );
                if let Access::Unknown(answer) = &access {
                    self.notifier
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
        self.notifier.log.debug(&format!("{facts:?}"));
        Ok(Asked {
            context: self.context(Some(&facts.pull_request)),
            decision: decide(self.request, &facts, self.notifier.config),
        })
    }

    /// Pushes, and meanwhile looks for the comment and marks the commit.
    async fn carry_out(
        &self,
        mut context: Context,
        decision: &Decision,
        cancellation: &Cancellation,
        undelivered: &mut Undelivered,
    ) -> Done {
        let is_close = matches!(self.request.trigger, Trigger::Close(_));
        // A close without an instance says nothing, so nothing is said before that is known.
        let announce = async {
            if is_close {
                return (None, Ok(()));
            }
            let both = async {
                tokio::join!(
                    self.notifier
                        .github
                        .status_comment(self.request.pull_request),
                    self.notifier
                        .set_status(&context, StatusState::Pending, sections::PENDING)
                )
            };
            tokio::select! {
                (comment, status) = both => (Some(comment), status),
                // Not at once: a server that is slow to note the first status would note it after the last one.
                () = cancel_grace_over(cancellation) => (None, Ok(())),
            }
        };
        let changing = self.change(&context, decision, cancellation);
        let (changed, (mut found, pending)) = tokio::join!(changing, announce);
        let Changed {
            published,
            session,
            taken_down,
        } = changed;
        undelivered.note(STATUS, pending);
        self.notifier.log.debug(&format!("{published:?}"));
        if taken_down.is_some() {
            context.is_open = false;
        }
        let decision = taken_down
            .as_ref()
            .map_or(decision, |taken_down| &taken_down.decision);
        let mut report = match published {
            Ok(published) => report::published(
                self.notifier.config,
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
                () = cancel_grace_over(cancellation) => None,
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
            session,
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
        let down = destroy(self.request, &pull_request, self.notifier.config);
        let down = Decision::Destroy(down);
        let session = changed.session;
        let Changed {
            published, session, ..
        } = self.publish(context, &down, session, cancellation).await;
        let last = published.as_ref().ok().and_then(Published::landed);
        let (last, last_warning) = last.unwrap_or((commit, None));
        let taken_down = TakenDown {
            decision: down,
            commit: last,
            warnings: warning.into_iter().chain(last_warning).collect(),
        };
        Changed {
            published: published.map(|_| Published::Refused(Refusal::Closed)),
            session,
            taken_down: Some(taken_down),
        }
    }

    async fn publish(
        &self,
        context: &Context,
        decision: &Decision,
        session: Option<Session>,
        cancellation: &Cancellation,
    ) -> Changed {
        let target = target(self.notifier.config, &context.target_branch);
        let decision = decision.clone();
        let plan = move |tip: &Tip| plan_of(&decision, tip);
        let (published, session) = publish(target, plan, session, cancellation).await;
        Changed {
            published,
            session,
            taken_down: None,
        }
    }

    /// Our comment where it does not say that the environment is gone: the run that removed it did not get to.
    async fn stale_comment(&self) -> Option<StatusComment> {
        let found = self
            .notifier
            .github
            .status_comment(self.request.pull_request)
            .await;
        found
            .unwrap_or_else(|error| {
                self.notifier.log.line(&format!(
                    "whether a comment is out of date could not be seen: {error}"
                ));
                None
            })
            .filter(|comment| sections::is_outdated_without_environment(&comment.body))
    }

    /// The pull request, where it was closed while its environment came up. The run for the close may have found nothing to
    /// remove; this one looks after its push, so that one of them sees what the other did.
    async fn closed_meanwhile(&self, cancellation: &Cancellation) -> Option<PullRequest> {
        let asked = tokio::select! {
            asked = self.notifier.github.pull_request(self.request.pull_request) => asked,
            () = cancellation.requested() => Err(anyhow::anyhow!("the run was cancelled")),
        };
        let words = match asked {
            Ok(pull_request) => match pull_request.state {
                State::Open => return None,
                State::Closed => {
                    self.notifier.log.line(
                        "the pull request was closed meanwhile, so its environment is taken down again",
                    );
                    return Some(pull_request);
                }
                State::Unknown(word) => odd_state(&word),
            },
            Err(error) => format!("{error:#}"),
        };
        self.notifier.log.warning(&format!(
            "whether the pull request is still open could not be seen; if it is closed, reopen and close it to take the \
             environment down: {words}"
        ));
        None
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

pub(crate) fn no_fact(error: anyhow::Error) -> Failure {
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
