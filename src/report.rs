//! How a run ended, as everybody is told it: the pull request, the commit, the next step of the workflow, the job.

use crate::comment::{self, Context, Deployed, Destroyed, Message};
use crate::config::Config;
use crate::decide::{Create, Decision, NoOp, Refusal, Request, Trigger};
use crate::failure::Failure;
use crate::git::Published;
use crate::github::{Reaction, StatusState};
use crate::plan::{Plan, Removed};

/// The names of the outputs, as `action.yml` declares them.
pub const OUTPUTS: [&str; 9] = [
    "decision",
    "reason",
    "changed",
    "name",
    "namespace",
    "manifest",
    "commit",
    "environment-url",
    "comment-url",
];

/// What is told to whom.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The outputs.
    pub outputs: Outputs,
    /// What the comment on the pull request says; `None` where it stays as it is.
    pub message: Option<Message>,
    /// State and description of the commit status.
    pub status: Option<(StatusState, String)>,
    /// The last reaction to the command.
    pub reaction: Option<Reaction>,
    /// What is worth a warning.
    pub warnings: Vec<String>,
    /// Why the job fails.
    pub error: Option<String>,
}

/// The values of the outputs; an empty one says that there is none.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "action.yml describes them")]
pub struct Outputs {
    pub decision: &'static str,
    pub reason: &'static str,
    pub changed: bool,
    pub name: String,
    pub namespace: String,
    pub manifest: String,
    pub commit: String,
    pub environment_url: String,
    pub comment_url: String,
}

impl Outputs {
    /// Every output by its name.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let values = [
            self.decision.to_owned(),
            self.reason.to_owned(),
            self.changed.to_string(),
            self.name.clone(),
            self.namespace.clone(),
            self.manifest.clone(),
            self.commit.clone(),
            self.environment_url.clone(),
            self.comment_url.clone(),
        ];
        OUTPUTS.into_iter().zip(values).collect()
    }
}

/// Nothing was asked for.
pub fn none(no_op: NoOp) -> Report {
    Report {
        outputs: Outputs {
            decision: "none",
            reason: no_op.code(),
            ..Outputs::default()
        },
        ..Report::default()
    }
}

/// The request is not granted.
pub fn refused(context: &Context, refusal: &Refusal) -> Report {
    // A stranger's command must not put a red mark on somebody's commit.
    let status = refusal.is_to_a_permitted_person().then(|| {
        (
            StatusState::Failure,
            comment::ended_in_short("Refused", refusal.code()),
        )
    });
    Report {
        outputs: Outputs {
            decision: "refuse",
            reason: refusal.code(),
            ..Outputs::default()
        },
        message: Some(comment::refused(context, refusal)),
        status,
        reaction: Some(Reaction::Refused),
        ..Report::default()
    }
}

/// Something broke; `decision` is what had been decided by then.
pub fn failed(context: &Context, decision: Option<&Decision>, failure: &Failure) -> Report {
    let state = if failure.is_rejection() {
        StatusState::Failure
    } else {
        StatusState::Error
    };
    let mut outputs = Outputs {
        decision: decision.map_or("", word),
        reason: failure.code(),
        ..Outputs::default()
    };
    if let Some(Decision::Create(create)) = decision {
        name(&mut outputs, create);
    }
    Report {
        outputs,
        message: Some(comment::failed(context, failure)),
        status: Some((state, comment::ended_in_short("Failed", failure.code()))),
        reaction: Some(Reaction::Failed),
        error: Some(failure.to_string()),
        ..Report::default()
    }
}

/// What was decided was done, or turned out to be done already, or not to be allowed by what the target branch holds.
pub fn published(
    config: &Config,
    context: &Context,
    request: &Request,
    decision: &Decision,
    published: Published,
) -> Report {
    let (plan, commit, warning) = match published {
        Published::Refused(refusal) => return refused(context, &refusal),
        Published::Unchanged(plan) => (plan, None, None),
        Published::Pushed {
            plan,
            commit,
            warning,
        } => (plan, Some(commit), warning),
    };
    let mut report = match decision {
        Decision::Create(create) => created(config, context, create, &plan, commit.as_deref()),
        _ => destroyed(config, context, request, &plan, commit.as_deref()),
    };
    report.outputs.decision = word(decision);
    report.outputs.reason = request.code();
    report.outputs.changed = commit.is_some();
    report.outputs.commit = commit.unwrap_or_default();
    report.warnings.extend(warning);
    report
}

/// What would be done: told to the job alone.
pub fn previewed(request: &Request, decision: &Decision, plan: &Plan) -> Report {
    let mut outputs = Outputs {
        decision: word(decision),
        reason: request.code(),
        ..Outputs::default()
    };
    match decision {
        Decision::Create(create) => name(&mut outputs, create),
        _ => removed(&mut outputs, &plan.removed),
    }
    Report {
        outputs,
        ..Report::default()
    }
}

fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Create(_) => "create",
        Decision::Destroy(_) => "destroy",
        Decision::Refuse(_) => "refuse",
    }
}

fn name(outputs: &mut Outputs, create: &Create) {
    outputs.name.clone_from(&create.environment.name);
    outputs.namespace.clone_from(&create.environment.namespace);
    outputs.manifest.clone_from(&create.environment.path);
}

fn removed(outputs: &mut Outputs, removed: &[Removed]) {
    if let Some(removed) = removed.first() {
        outputs.name.clone_from(&removed.name);
        outputs.namespace.clone_from(&removed.instance.namespace);
        outputs.manifest.clone_from(&removed.path);
    }
}

fn created(
    config: &Config,
    context: &Context,
    create: &Create,
    plan: &Plan,
    commit: Option<&str>,
) -> Report {
    let environment = &create.environment;
    let environment_url = config.inputs.environment_url.as_ref().map(|template| {
        template.fill(
            &environment.name,
            &environment.namespace,
            context.pull_request,
        )
    });
    let deployed = Deployed {
        namespace: environment.namespace.clone(),
        path: environment.path.clone(),
        commit_url: commit.map(|commit| config.commit_url(commit)),
        environment_url: environment_url.clone(),
        pinned: create.manifest.pinned,
        interval: create.manifest.interval.clone(),
        timeout: create.manifest.timeout.clone(),
    };
    let mut outputs = Outputs {
        environment_url: environment_url.unwrap_or_default(),
        ..Outputs::default()
    };
    name(&mut outputs, create);
    let warnings = plan.makes_directory.then(|| {
        format!(
            "`{}` did not exist on `{}`: make sure that a Flux Kustomization applies it",
            config.inputs.instances_path, context.target_branch
        )
    });
    Report {
        outputs,
        message: Some(comment::deployed(context, &deployed)),
        status: Some((StatusState::Success, comment::deployed_in_short(&deployed))),
        reaction: Some(Reaction::Done),
        warnings: warnings.into_iter().collect(),
        error: None,
    }
}

fn destroyed(
    config: &Config,
    context: &Context,
    request: &Request,
    plan: &Plan,
    commit: Option<&str>,
) -> Report {
    let message = match commit {
        Some(commit) => comment::destroyed(
            context,
            &Destroyed {
                namespaces: plan
                    .removed
                    .iter()
                    .map(|removed| removed.instance.namespace.clone())
                    .collect(),
                commit_url: config.commit_url(commit),
            },
        ),
        None => comment::nothing_to_destroy(context),
    };
    let mut outputs = Outputs::default();
    removed(&mut outputs, &plan.removed);
    // A close of a pull request that never had an environment is nobody's news.
    let is_news = commit.is_some() || !matches!(request.trigger, Trigger::Close(_));
    Report {
        outputs,
        message: is_news.then_some(message),
        status: is_news.then(|| (StatusState::Success, comment::DESTROYED_IN_SHORT.to_owned())),
        reaction: Some(Reaction::Done),
        ..Report::default()
    }
}
