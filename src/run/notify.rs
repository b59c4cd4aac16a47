//! Notifies a pull request: comment, commit status and reaction. Then checks that the comment is still true.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use chrono::{DateTime, Utc};
use tokio::time::timeout;

use crate::config::Config;
use crate::decide::readiness::{readiness, status_context};
use crate::git::{Session, Target};
use crate::github::GitHub;
use crate::github::comments::StatusComment;
use crate::github::deployments::DeploymentPlace;
use crate::github::http::ApiError;
use crate::http::HttpClient;
use crate::message::context::Context;
use crate::message::sections::{self, Message};
use crate::model::instance::{DeployedInstance, Owner, fingerprint};
use crate::model::names::object_name;
use crate::model::notification::{Channel, DeploymentChange, Reaction, StatusState};
use crate::model::readiness::Readiness;
use crate::model::repository::RepositoryIdentity;
use crate::model::sha::Sha;
use crate::plan::{self, Plan};
use crate::publish::{read, target};
use crate::report::{self, Report};
use crate::run::undelivered::Undelivered;
use crate::runner::Log;

/// How long one check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the comment is corrected: each time another run has changed the environment meanwhile.
const CORRECTIONS: usize = 5;

/// What is known of our comment on the pull request.
#[derive(Debug, Default)]
pub(crate) enum CommentLookup {
    /// Nobody has looked, or GitHub did not answer.
    #[default]
    Unknown,
    Missing,
    Found(StatusComment),
    /// Found, to say what is known of the environment by now: what the last command came to stays. None is created.
    ToUpdate(StatusComment),
}

impl From<Result<Option<StatusComment>, ApiError>> for CommentLookup {
    fn from(answer: Result<Option<StatusComment>, ApiError>) -> CommentLookup {
        match answer {
            Ok(Some(comment)) => CommentLookup::Found(comment),
            Ok(None) => CommentLookup::Missing,
            Err(_) => CommentLookup::Unknown,
        }
    }
}

/// The comment as it was written.
pub(crate) struct WrittenComment {
    comment: StatusComment,
    message: Message,
    /// The environment whose GitHub Deployment speaks of it.
    deployment: Option<String>,
    /// Whether it may be created anew where somebody deletes it.
    may_be_created: bool,
}

impl WrittenComment {
    fn new(comment: StatusComment, message: Message, may_be_created: bool) -> WrittenComment {
        WrittenComment {
            comment,
            message,
            deployment: None,
            may_be_created,
        }
    }
}

/// Notifies pull requests.
pub(crate) struct Notifier<'a> {
    pub(crate) config: &'a Config,
    pub(crate) log: &'a Log,
    pub(crate) github: GitHub,
    /// What Git is reached with.
    pub(crate) git: HttpClient,
}

impl Notifier<'_> {
    /// Returns where changes go, and what of it is read.
    pub(crate) fn target(&self, branch: &str) -> Target {
        target(self.config, &self.git, branch)
    }

    /// Returns the context of a pull request of which nothing is known yet.
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
            repository_url: config.remote_url(),
            run_url: config.run_url(),
            help_url: config.help_url(),
            deploy_command: config.inputs.commands.deploy.clone(),
            destroy_command: config.inputs.commands.destroy.clone(),
            label: None,
            now,
        }
    }

    /// Shows the plan in the job's log and nowhere else.
    pub(crate) fn preview(&self, plan: &Plan) {
        if plan.change.is_empty() {
            self.log
                .line("dry run: nothing was changed, and there is nothing to commit");
            return;
        }
        self.log
            .line("dry run: nothing was changed. The commit would be:");
        self.log.text(&plan.change.to_string());
    }

    /// Writes comment, commit status and reaction, side by side. Returns the comment if it was written.
    pub(crate) async fn notify(
        &self,
        context: &Context,
        report: &mut Report,
        existing: CommentLookup,
        command_id: Option<u64>,
        undelivered: &mut Undelivered,
    ) -> Option<WrittenComment> {
        let comment = self.write_comment(context, report.message.clone(), existing);
        let status = async {
            match &report.status {
                Some((state, description)) if !undelivered.is_forbidden(Channel::CommitStatus) => {
                    let asked = Instant::now();
                    let outcome = self.set_status(context, *state, description).await;
                    Some((outcome, asked.elapsed()))
                }
                _ => None,
            }
        };
        let reaction = async {
            match report.reaction {
                Some(reaction) if !undelivered.is_forbidden(Channel::Reaction) => {
                    self.react(command_id, reaction).await
                }
                _ => Ok(()),
            }
        };
        let deployment = async {
            match &report.deployment {
                Some(change) if !undelivered.is_forbidden(Channel::Deployment) => {
                    let asked = Instant::now();
                    let outcome = self.update_deployments(change).await;
                    Some((outcome, asked.elapsed()))
                }
                _ => None,
            }
        };
        let (comment, status, reaction, deployment) =
            tokio::join!(comment, status, reaction, deployment);
        if let Some((outcome, taken)) = status {
            undelivered.note_status(outcome, taken);
        }
        undelivered.note(Channel::Reaction, reaction);
        if let Some((outcome, taken)) = deployment {
            undelivered.note_deployment(outcome, taken);
        }
        let written = comment.unwrap_or_else(|error| {
            undelivered.note(Channel::Comment, Err(error));
            None
        })?;
        undelivered.note(Channel::Comment, Ok(()));
        report.outputs.comment_url.clone_from(&written.comment.url);
        let deployment = report.deployment.as_ref().and_then(DeploymentChange::name);
        Some(WrittenComment {
            deployment: deployment.map(str::to_owned),
            ..written
        })
    }

    async fn update_deployments(&self, change: &DeploymentChange) -> Result<(), ApiError> {
        let Some(environment) = &self.config.inputs.github_environment else {
            return Ok(());
        };
        let place = DeploymentPlace {
            environment,
            run_url: &self.config.run_url(),
        };
        self.github.update_deployments(&place, change).await
    }

    /// Returns what Flux says of a commit, where it reports to GitHub.
    pub(crate) async fn readiness(&self, object_name: &str, commit: &str) -> Readiness {
        if !self.config.inputs.does_flux_report {
            return Readiness::Unreported;
        }
        let known = self.reported_readiness(object_name, commit).await;
        known.unwrap_or_else(|error| {
            self.log
                .line(&format!("could not read what Flux reports: {error}"));
            Readiness::ComingUp
        })
    }

    /// Returns what Flux says of a commit.
    ///
    /// # Errors
    /// GitHub gives no usable answer.
    pub(crate) async fn reported_readiness(
        &self,
        object_name: &str,
        commit: &str,
    ) -> Result<Readiness, ApiError> {
        let context = status_context(object_name);
        let newest = self.github.flux_status(commit, &context).await?;
        Ok(readiness(newest.as_ref()))
    }

    async fn write_comment(
        &self,
        context: &Context,
        message: Option<Message>,
        existing: CommentLookup,
    ) -> Result<Option<WrittenComment>, ApiError> {
        let Some(message) = message else {
            return Ok(None);
        };
        let number = context.pull_request;
        let existing = match existing {
            CommentLookup::Found(comment) => Some(comment),
            CommentLookup::Missing => None,
            CommentLookup::ToUpdate(comment) => {
                let body = |before: Option<&str>| {
                    let before = before.unwrap_or_default();
                    self.log.redact(&message.body_between_commands(before))
                };
                let edited = self.github.edit_status_comment(&comment, &body).await?;
                return Ok(edited.map(|comment| WrittenComment::new(comment, message, false)));
            }
            // What went wrong before may have passed.
            CommentLookup::Unknown => self.github.status_comment(number).await?,
        };
        // A server's own words may quote what it was sent.
        let body = |before: Option<&str>| self.log.redact(&message.body(before));
        let comment = self
            .github
            .write_status_comment(number, existing.as_ref(), &body)
            .await?;
        Ok(Some(WrittenComment::new(comment, message, true)))
    }

    /// Corrects the comment where another run of the same pull request has changed the environment meanwhile.
    ///
    /// Each run looks at the target branch after it has written, and again after each correction. So whoever writes last
    /// has looked after the last change, or made it, and the comment says what is there.
    ///
    /// `session` is the one to look with, if there is one. It is there afterwards, unless Git gave no answer. Returns the
    /// comment as it is then.
    pub(crate) async fn look_again(
        &self,
        context: &Context,
        repository: &RepositoryIdentity,
        written: WrittenComment,
        session: &mut Option<Session>,
        undelivered: &mut Undelivered,
    ) -> StatusComment {
        let owner = Owner {
            repository: repository.clone(),
            pull_request: context.pull_request,
        };
        let mut written = written;
        let corrected = self.correct(context, &owner, &mut written, session, undelivered);
        let words = match timeout(CHECK_TIMEOUT * 3, corrected).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{error:#}")),
            Err(_) => Some("no answer".to_owned()),
        };
        if let Some(words) = words {
            self.log.line(&format!(
                "could not check whether the comment is still true: {words}"
            ));
        }
        written.comment
    }

    async fn correct(
        &self,
        context: &Context,
        owner: &Owner,
        written: &mut WrittenComment,
        session: &mut Option<Session>,
        undelivered: &mut Undelivered,
    ) -> Result<()> {
        let WrittenComment {
            comment,
            message,
            deployment,
            may_be_created,
        } = written;
        for _ in 0..CORRECTIONS {
            let Some(described) = sections::fingerprint_in(&comment.body) else {
                return Ok(());
            };
            let (owner, begun) = (owner.clone(), deployment.clone());
            let target = Target {
                timeout: CHECK_TIMEOUT,
                ..self.target(&context.target_branch)
            };
            let instances = read(target, session.take(), move |tip| {
                let is_free = |name: &String| plan::is_name_free(name, tip);
                let ended = begun.clone().filter(is_free);
                Ok((plan::instances_of(&owner, tip), ended))
            });
            let ((instances, ended), used) =
                instances.await.map_err(|failure| anyhow!("{failure}"))?;
            *session = Some(used);
            if fingerprint(&instances) == described {
                return Ok(());
            }
            let readiness = self.readiness_of(context, &instances).await;
            let now = report::overtaken(self.config, context, &instances, &readiness);
            let Some(state) = &now.message else {
                return Ok(());
            };
            let body = |before: Option<&str>| {
                let body = match before {
                    Some(before) => state.body_between_commands(before),
                    None => state.body(None),
                };
                self.log.redact(&body)
            };
            let number = context.pull_request;
            let corrected = async {
                let github = &self.github;
                match may_be_created {
                    true => github
                        .write_status_comment(number, Some(&*comment), &body)
                        .await
                        .map(Some),
                    false => github.edit_status_comment(comment, &body).await,
                }
            };
            let status = async {
                let (state, description) = now.status.as_ref()?;
                if !message.is_state() || undelivered.is_forbidden(Channel::CommitStatus) {
                    return None;
                }
                let set = self.set_status(context, *state, description);
                // The comment is checked again in any case, which needs time, too.
                Some(timeout(CHECK_TIMEOUT, set).await)
            };
            let change = match ended.filter(|_| instances.is_empty()) {
                Some(name) => Some(DeploymentChange::End { names: vec![name] }),
                None => now.deployment.clone(),
            };
            let change = change.filter(|_| !undelivered.is_forbidden(Channel::Deployment));
            let deployed = async {
                let update = self.update_deployments(change.as_ref()?);
                Some(timeout(CHECK_TIMEOUT, update).await)
            };
            let (corrected, status, deployed) = tokio::join!(corrected, status, deployed);
            let seconds = CHECK_TIMEOUT.as_secs();
            match status {
                Some(Ok(status)) => undelivered.note(Channel::CommitStatus, status),
                Some(Err(_)) => self.log.warning(&format!(
                    "the commit status could not be corrected: no answer within {seconds} s"
                )),
                None => {}
            }
            match deployed {
                Some(Ok(deployed)) => undelivered.note(Channel::Deployment, deployed),
                Some(Err(_)) => self.log.warning(&format!(
                    "the deployment could not be corrected: no answer within {seconds} s"
                )),
                None => {}
            }
            match corrected? {
                Some(corrected) => *comment = corrected,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Returns what Flux says of the instances that a pull request has.
    async fn readiness_of(&self, context: &Context, instances: &[DeployedInstance]) -> Readiness {
        let Some(first) = instances.first() else {
            return Readiness::Unreported;
        };
        let instance = &first.instance;
        let head = context.head.as_ref().map(|(_, commit)| commit.as_str());
        let commit = instance.pinned.as_deref().or(head);
        // A file may say anything.
        match Sha::parse(commit.unwrap_or(&instance.commit)) {
            Some(commit) => {
                self.readiness(&object_name(&first.name), commit.as_str())
                    .await
            }
            None => Readiness::Unreported,
        }
    }

    /// Reacts to the comment with the command, where there is one.
    pub(crate) async fn react(
        &self,
        command_id: Option<u64>,
        reaction: Reaction,
    ) -> Result<(), ApiError> {
        match command_id {
            Some(comment_id) => self.github.react(comment_id, reaction).await,
            None => Ok(()),
        }
    }

    /// Sets the status of the head commit, where that is known.
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
