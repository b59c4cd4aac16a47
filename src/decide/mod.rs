//! What an event asks for, and what is decided about it. Nothing here reads or writes anything.

pub(crate) mod readiness;
pub(crate) mod refusal;
pub(crate) mod sweep;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod triage;

use std::num::NonZeroUsize;

use chrono::{DateTime, Utc};
use url::Url;

use crate::command::{Command, DeployArguments};
use crate::config::Config;
use crate::config::inputs::{Inputs, Track};
use crate::decide::refusal::Refusal;
use crate::decide::triage::{NoOp, Request, Trigger};
use crate::manifest::render::{Manifest, request_at};
use crate::model::instance::Owner;
use crate::model::names::Environment;
use crate::model::names::can_be_followed;
use crate::model::pull_request::{Head, PullRequest, State};
use crate::model::repository::{Access, RepositoryIdentity};

/// What GitHub answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The pull request as it is now.
    pub(crate) pull_request: PullRequest,
    /// Whether it has the label that deploys.
    pub(crate) is_labeled: bool,
    /// The permission of the requester; `None` where it does not matter.
    pub(crate) access: Option<Access>,
    /// When all this was so.
    pub(crate) now: DateTime<Utc>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Bring the environment up.
    Create(Box<Create>),
    /// Take it down.
    Destroy(Destroy),
}

impl Decision {
    /// The pull request that it is about.
    pub(crate) fn owner(&self) -> &Owner {
        match self {
            Decision::Create(create) => &create.manifest.owner,
            Decision::Destroy(destroy) => &destroy.owner,
        }
    }

    /// Keeps that Flux's commit status was reset, or that there was no way to.
    pub(crate) fn note_reset(&mut self, now: DateTime<Utc>) {
        if let Decision::Create(create) = self {
            create.resets_status = false;
            create.manifest.requested_at = Some(request_at(now));
        }
    }

    /// Keeps what GitHub said of another name of a repository.
    pub(crate) fn note_name(&mut self, name: &str, is_ours: bool) {
        let owner = match self {
            Decision::Create(create) => &mut create.manifest.owner,
            Decision::Destroy(destroy) => &mut destroy.owner,
        };
        owner.repository.note_name(name, is_ours);
    }
}

/// An environment to bring up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Create {
    /// Its names.
    pub(crate) environment: Environment,
    /// Its file.
    pub(crate) manifest: Manifest,
    /// How many environments there may be with it.
    pub(crate) limit: Option<NonZeroUsize>,
    /// Whether Flux's commit status has to be reset before something else is applied.
    pub(crate) resets_status: bool,
}

/// An environment to take down, whatever it is called by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destroy {
    /// What it would be called if it were deployed now.
    pub(crate) name: String,
    /// The pull request it belongs to.
    pub(crate) owner: Owner,
    /// Head branch of the pull request.
    pub(crate) branch: String,
    /// Login of the requester.
    pub(crate) requested_by: String,
}

/// Decides what the facts allow. What the target branch already holds is looked at later, in `plan`.
///
/// # Errors
/// Why the request is not granted.
pub(crate) fn decide(
    request: &Request,
    facts: &Facts,
    config: &Config,
) -> Result<Decision, Refusal> {
    refuse_person(request, facts.access.as_ref(), &config.inputs)?;
    let by_default = DeployArguments::default();
    let wanted = match &request.trigger {
        Trigger::Close(_) => None,
        Trigger::Label { .. } => Some(&by_default).filter(|_| facts.is_labeled),
        Trigger::Comment { command, .. } => match command {
            Err(usage) => return Err(Refusal::Usage(usage.clone())),
            Ok(Command::Destroy) => None,
            Ok(Command::Deploy(arguments)) => Some(arguments),
        },
    };
    Ok(match wanted {
        None => Decision::Destroy(destroy(request, &facts.pull_request, config)),
        Some(arguments) => Decision::Create(Box::new(create(request, arguments, facts, config)?)),
    })
}

/// The output `reason` of a decision about a request.
pub(crate) fn reason(request: &Request, decision: &Decision) -> &'static str {
    match (&request.trigger, decision) {
        (Trigger::Label { .. }, Decision::Create(_)) => "label-added",
        (Trigger::Label { .. }, Decision::Destroy(_)) => "label-removed",
        (Trigger::Close(_) | Trigger::Comment { .. }, _) => request.code(),
    }
}

/// Returns why there is nothing to do after all, if there is nothing.
pub(crate) fn nothing_to_do(request: &Request, facts: &Facts) -> Option<NoOp> {
    let is_open = facts.pull_request.state == State::Open;
    (matches!(request.trigger, Trigger::Close(_)) && is_open).then_some(NoOp::PullRequestIsOpen)
}

/// A refusal unless there is a clear yes to the person, or nobody to ask about.
fn refuse_person(
    request: &Request,
    access: Option<&Access>,
    inputs: &Inputs,
) -> Result<(), Refusal> {
    let needs = inputs.allowed_permission;
    let login = request.login.clone();
    match (&request.trigger, access) {
        (Trigger::Close(_), _) => Ok(()),
        (_, Some(Access::Known(has))) if *has >= needs => Ok(()),
        (_, Some(Access::Known(has))) => Err(Refusal::NotPermitted {
            login,
            has: *has,
            needs,
        }),
        (_, Some(Access::Unknown(answer))) => Err(Refusal::PermissionUnknown {
            login,
            needs,
            answer: answer.clone(),
        }),
        (_, None) => Err(Refusal::PermissionUnknown {
            login,
            needs,
            answer: "GitHub was not asked".to_owned(),
        }),
    }
}

/// What takes down whatever the pull request has.
pub(crate) fn destroy(request: &Request, pull_request: &PullRequest, config: &Config) -> Destroy {
    let fork = match &pull_request.head {
        Head::Fork { owner, .. } => Some(owner.as_str()),
        Head::Here | Head::Deleted => None,
    };
    Destroy {
        name: environment(pull_request, fork, &config.inputs).name,
        owner: owner(request, config),
        branch: pull_request.branch.clone(),
        requested_by: request.login.clone(),
    }
}

/// A pull request of this repository as the owner of instances.
fn owner(request: &Request, config: &Config) -> Owner {
    let name = config.repository.to_string();
    Owner {
        repository: RepositoryIdentity::new(&name, request.repository_id),
        pull_request: request.pull_request,
    }
}

fn environment(pull_request: &PullRequest, fork: Option<&str>, inputs: &Inputs) -> Environment {
    Environment::new(
        &pull_request.branch,
        fork,
        &inputs.namespace_prefix,
        &inputs.instances_path,
    )
}

fn create(
    request: &Request,
    arguments: &DeployArguments,
    facts: &Facts,
    config: &Config,
) -> Result<Create, Refusal> {
    let inputs = &config.inputs;
    let pull_request = &facts.pull_request;
    if pull_request.state != State::Open {
        return Err(Refusal::Closed);
    }
    let target_branch = inputs.branch.as_ref().unwrap_or(&request.default_branch);
    if pull_request.head == Head::Here && pull_request.branch == *target_branch {
        return Err(Refusal::BranchIsWatched {
            branch: target_branch.clone(),
        });
    }
    let head = &pull_request.commit;
    let fork = match &pull_request.head {
        Head::Here => None,
        Head::Deleted => return Err(Refusal::HeadDeleted),
        Head::Fork { .. } if !inputs.allow_forks => return Err(Refusal::Fork),
        Head::Fork {
            owner, clone_url, ..
        } => Some((owner, fork_url(clone_url, config)?)),
    };
    if let Some(wanted) = arguments.commit.as_ref().filter(|wanted| *wanted != head) {
        return Err(Refusal::BranchMoved {
            wanted: wanted.clone(),
            head: head.clone(),
        });
    }
    if arguments.commit.is_none() && was_pushed_since(request, pull_request) {
        return Err(Refusal::PushedSince { head: head.clone() });
    }
    let owner_of_fork = fork.as_ref().map(|(owner, _)| owner.as_str());
    let environment = environment(pull_request, owner_of_fork, inputs);
    let namespace = &environment.namespace;
    // Flux's own goes with the environment otherwise, whatever the patterns say.
    if *namespace == inputs.flux_namespace {
        return Err(Refusal::ProtectedNamespace {
            namespace: namespace.clone(),
            pattern: inputs.flux_namespace.clone(),
        });
    }
    if let Some(glob) = inputs
        .protected_namespaces
        .iter()
        .find(|glob| glob.matches(namespace))
    {
        return Err(Refusal::ProtectedNamespace {
            namespace: namespace.clone(),
            pattern: glob.to_string(),
        });
    }
    let manifest = Manifest {
        object_name: environment.object_name(),
        name: environment.name.clone(),
        namespace: environment.namespace.clone(),
        flux_namespace: inputs.flux_namespace.clone(),
        owner: owner(request, config),
        branch: pull_request.branch.clone(),
        commit: head.to_string(),
        requested_by: request.login.clone(),
        // Whoever names a commit wants that one and not what is pushed a second later.
        pinned: fork.is_some()
            || inputs.track == Track::Commit
            || arguments.commit.is_some()
            || !can_be_followed(&pull_request.branch),
        // Our credentials are for our repository: Flux must not show them to a fork's server.
        secret_ref: inputs.secret_ref.clone().filter(|_| fork.is_none()),
        url: fork.map_or_else(|| inputs.repository_url.clone(), |(_, url)| url),
        interval: inputs.interval.clone(),
        timeout: inputs.timeout.clone(),
        overlay_path: inputs.overlay_path.clone(),
        substitute: inputs.substitute.clone(),
        expires: arguments.ttl.unwrap_or(inputs.ttl).end(facts.now),
        requested_at: None,
    };
    Ok(Create {
        environment,
        manifest,
        limit: inputs.max_environments,
        resets_status: inputs.does_flux_report,
    })
}

/// Whether a fork may hold something that nobody had seen when the command was given: minutes can pass until it is carried
/// out. Who may push to this repository is trusted that far; no clear answer counts as yes.
fn was_pushed_since(request: &Request, pull_request: &PullRequest) -> bool {
    let Head::Fork { pushed_at, .. } = &pull_request.head else {
        return false;
    };
    match &request.trigger {
        // Times of one format, which sort as text.
        Trigger::Comment { created_at, .. } => {
            !matches!((pushed_at, created_at), (Some(pushed), Some(given)) if pushed < given)
        }
        Trigger::Label { head, .. } => *head != pull_request.commit,
        Trigger::Close(_) => false,
    }
}

/// The URL a fork is cloned from: over https, or over http where the GitHub we talk to is itself reached so.
fn fork_url(clone_url: &str, config: &Config) -> Result<String, Refusal> {
    let is_good = Url::parse(clone_url).is_ok_and(|url| {
        (url.scheme() == "https" || url.scheme() == config.server_url.scheme())
            && url.username().is_empty()
            && url.password().is_none()
    });
    if is_good {
        Ok(clone_url.to_owned())
    } else {
        Err(Refusal::ForkUrl {
            url: clone_url.to_owned(),
        })
    }
}
