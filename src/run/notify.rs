//! Tells a pull request what became of it: comment, commit status, reaction. And looks whether that is still so.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use chrono::{DateTime, Utc};
use tokio::time::timeout;

use crate::config::Config;
use crate::decide::owner;
use crate::git::{Session, Target};
use crate::github::GitHub;
use crate::github::comments::StatusComment;
use crate::github::http::ApiError;
use crate::message::sections;
use crate::message::sections::{Context, Message};
use crate::model::instance::fingerprint;
use crate::model::notification::{Reaction, StatusState};
use crate::plan::Plan;
use crate::publish::{read, target};
use crate::report::Report;
use crate::run::undelivered::{COMMENT, REACTION, STATUS, Undelivered};
use crate::runner::Log;
use crate::{plan, report};

/// How long it may take to look whether what was told is still so.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// How often what was told is corrected: each time another run has changed the environment meanwhile.
const CORRECTIONS: usize = 5;

/// Our comment, once it has been looked for.
pub(crate) type Found = Option<Result<Option<StatusComment>, ApiError>>;

/// The comment as it was written.
pub(crate) struct WrittenComment {
    comment: StatusComment,
    message: Message,
}

/// Speaks to pull requests.
pub(crate) struct Notifier<'a> {
    /// What was given.
    pub(crate) config: &'a Config,
    /// The job's log.
    pub(crate) log: &'a Log,
    /// Where they are.
    pub(crate) github: GitHub,
}

impl Notifier<'_> {
    /// What may be told of a pull request of which nothing is known yet.
    pub(crate) fn context(
        &self,
        pull_request: u64,
        target_branch: &str,
        now: DateTime<Utc>,
    ) -> Context {
        let config = self.config;
        Context {
            pull_request,
            head: None,
            is_open: true,
            target_branch: target_branch.to_owned(),
            run_url: config.run_url(),
            help_url: config.help_url(),
            deploy_command: config.inputs.commands.deploy.clone(),
            destroy_command: config.inputs.commands.destroy.clone(),
            label: None,
            now,
        }
    }

    /// Tells the job alone what would be changed.
    pub(crate) fn preview(&self, plan: &Plan) {
        self.log
            .line("dry run, nothing is changed; this is what would be:");
        self.log.text(&plan.change.to_string());
    }

    /// Comment, commit status and reaction, side by side.
    pub(crate) async fn tell(
        &self,
        context: &Context,
        report: &mut Report,
        found: Found,
        comment_id: Option<u64>,
        undelivered: &mut Undelivered,
    ) -> Option<WrittenComment> {
        let message = report.message.clone();
        let comment = async {
            let Some(message) = message else {
                return Ok(None);
            };
            let number = context.pull_request;
            let existing = match found {
                Some(Ok(found)) => found,
                // What went wrong then may have passed.
                Some(Err(_)) | None => self.github.status_comment(number).await?,
            };
            // A server's own words may quote what it was sent.
            let body = |before: Option<&str>| self.log.redact(&message.body(before));
            let comment = self
                .github
                .write_status_comment(number, existing.as_ref(), &body)
                .await?;
            Ok(Some(WrittenComment { comment, message }))
        };
        let status = async {
            match &report.status {
                Some((state, description)) if !undelivered.is_forbidden(STATUS) => {
                    let asked = Instant::now();
                    let outcome = self.set_status(context, *state, description).await;
                    Some((outcome, asked.elapsed()))
                }
                _ => None,
            }
        };
        let reaction = async {
            match report.reaction {
                Some(reaction) if !undelivered.is_forbidden(REACTION) => {
                    self.react(comment_id, reaction).await
                }
                _ => Ok(()),
            }
        };
        let (comment, status, reaction) = tokio::join!(comment, status, reaction);
        if let Some((outcome, taken)) = status {
            undelivered.note_status(outcome, taken);
        }
        undelivered.note(REACTION, reaction);
        let told = comment.unwrap_or_else(|error| {
            undelivered.note(COMMENT, Err(error));
            None
        })?;
        undelivered.note(COMMENT, Ok(()));
        report.outputs.comment_url.clone_from(&told.comment.url);
        Some(told)
    }

    /// Corrects what was told where another run of the same pull request has changed the environment meanwhile.
    ///
    /// Each run looks at the target branch after it has written, and again after each correction. So whoever writes last
    /// has looked after the last change, or made it, and the comment says what is there.
    ///
    /// `session` is the repository to look in, if there is one by then. It is there afterwards, unless Git gave no answer.
    pub(crate) async fn look_again(
        &self,
        context: &Context,
        told: WrittenComment,
        session: &mut Option<Session>,
        undelivered: &mut Undelivered,
    ) {
        let corrected = timeout(
            CHECK_TIMEOUT * 3,
            self.correct(context, told, session, undelivered),
        );
        let words = match corrected.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "no answer".to_owned(),
        };
        self.log.line(&format!(
            "whether the comment is still right could not be seen: {words}"
        ));
    }

    async fn correct(
        &self,
        context: &Context,
        told: WrittenComment,
        session: &mut Option<Session>,
        undelivered: &mut Undelivered,
    ) -> Result<()> {
        let WrittenComment {
            mut comment,
            message,
        } = told;
        for _ in 0..CORRECTIONS {
            let Some(spoken_of) = sections::spoken_of(&comment.body) else {
                return Ok(());
            };
            let owner = owner(context.pull_request, self.config);
            let target = Target {
                timeout: CHECK_TIMEOUT,
                ..target(self.config, &context.target_branch)
            };
            let deployed = read(target, session.take(), move |tip| {
                Ok(plan::instances_of(&owner, tip))
            });
            let (deployed, used) = deployed.await.map_err(|failure| anyhow!("{failure}"))?;
            *session = Some(used);
            if fingerprint(&deployed) == spoken_of {
                return Ok(());
            }
            let (state, description) = report::overtaken(self.config, context, &deployed);
            let body = match message.is_state() {
                true => state.body(None),
                false => message.body(Some(&state.body(None))),
            };
            let body = |_: Option<&str>| self.log.redact(&body);
            let number = context.pull_request;
            let corrected = self
                .github
                .write_status_comment(number, Some(&comment), &body);
            let status = async {
                if !message.is_state() || undelivered.is_forbidden(STATUS) {
                    return Ok(Ok(()));
                }
                let set = self.set_status(context, StatusState::Success, &description);
                // The comment is looked at again in any case, which this must leave time for.
                timeout(CHECK_TIMEOUT, set).await
            };
            let (corrected, status) = tokio::join!(corrected, status);
            match status {
                Ok(status) => undelivered.note(STATUS, status),
                Err(_) => self.log.warning(&format!(
                    "the commit status could not be corrected: no answer within {} s",
                    CHECK_TIMEOUT.as_secs()
                )),
            }
            comment = corrected?;
        }
        Ok(())
    }

    /// Reacts to the comment with the command, where there is one.
    ///
    /// # Errors
    /// The reaction is not there.
    pub(crate) async fn react(
        &self,
        comment_id: Option<u64>,
        reaction: Reaction,
    ) -> Result<(), ApiError> {
        match comment_id {
            Some(comment_id) => self.github.react(comment_id, reaction).await,
            None => Ok(()),
        }
    }

    /// Marks the head commit, where it is known.
    ///
    /// # Errors
    /// The status is not there.
    pub(crate) async fn set_status(
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
}
