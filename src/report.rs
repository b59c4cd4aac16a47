//! How a run ended, as values: for the pull request, the commit, the next step of the workflow and the job.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::config::Config;
use crate::decide::refusal::Refusal;
use crate::decide::sweep::Removal;
use crate::decide::triage::{NoOp, Request};
use crate::decide::{Create, Decision, reason};
use crate::message::context::{Context, ended_in_short};
use crate::message::deploy::{Cause, Deployed, Destroyed};
use crate::message::readiness::Place;
use crate::message::sections::Message;
use crate::message::{deploy, failure, readiness, refusal, sweep};
use crate::model::failure::Failure;
use crate::model::instance::{DeployedInstance, fingerprint};
use crate::model::names::{can_be_followed, object_name};
use crate::model::notification::{
    DeploymentChange, DeploymentState, DeploymentStatus, Reaction, StatusState,
};
use crate::model::readiness::Readiness;
use crate::model::ttl::Expiry;
use crate::plan::{Plan, Published};

/// The output `decision` of a sweep.
const SWEEP: &str = "sweep";
/// The output `decision` of a report.
const REPORT: &str = "report";

/// The names of the outputs, as `action.yml` declares them.
pub const OUTPUTS: [&str; 11] = [
    "decision",
    "reason",
    "changed",
    "name",
    "namespace",
    "manifest",
    "commit",
    "environment-url",
    "comment-url",
    "swept",
    "ready",
];

/// What everybody learns of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// The outputs.
    pub(crate) outputs: Outputs,
    /// What the comment on the pull request says; `None` where it stays as it is.
    pub(crate) message: Option<Message>,
    /// State and description of the commit status.
    pub(crate) status: Option<(StatusState, String)>,
    /// What becomes of the GitHub Deployments, where there are any.
    pub(crate) deployment: Option<DeploymentChange>,
    /// The last reaction to the command.
    pub(crate) reaction: Option<Reaction>,
    /// What is worth a warning.
    pub(crate) warnings: Vec<String>,
    /// Why the job fails.
    pub(crate) error: Option<String>,
}

/// The values of the outputs; an empty one says that there is none.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "action.yml describes them")]
pub(crate) struct Outputs {
    pub(crate) decision: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) changed: bool,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) manifest: String,
    pub(crate) commit: String,
    pub(crate) environment_url: String,
    pub(crate) comment_url: String,
    pub(crate) swept: String,
    pub(crate) ready: &'static str,
}

impl Outputs {
    /// Every output by its name.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
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
            self.swept.clone(),
            self.ready.to_owned(),
        ];
        OUTPUTS.into_iter().zip(values).collect()
    }
}

impl Report {
    /// Says that there is no environment, where a comment still describes one.
    pub(crate) fn correct(&mut self, context: &Context) {
        self.tell_gone(deploy::nothing_to_destroy(context));
    }

    /// Says nothing on the pull request where that is so.
    fn silent_if(self, is_so: bool) -> Report {
        match is_so {
            true => Report {
                message: None,
                status: None,
                ..self
            },
            false => self,
        }
    }

    /// What is known of an environment.
    fn tell(&mut self, config: &Config, context: &Context, deployed: &Deployed, name: &str) {
        let readiness = &deployed.readiness;
        let namespace = &deployed.place.namespace;
        self.outputs.environment_url = deployed.environment_url.clone().unwrap_or_default();
        self.outputs.ready = match readiness {
            Readiness::Ready => "true",
            Readiness::Failed(_) | Readiness::Late { .. } => "false",
            Readiness::Unreported | Readiness::ComingUp | Readiness::Unwatched => "",
        };
        self.message = Some(deploy::deployed(context, deployed));
        let description = readiness::in_short(readiness, namespace);
        self.status = Some((status_state(readiness), description.clone()));
        let status = DeploymentStatus {
            state: deployment_state(readiness),
            description: match readiness {
                Readiness::Unreported => deploy::HANDED_OVER_IN_SHORT.to_owned(),
                _ => description,
            },
            environment_url: deployed.environment_url.clone(),
        };
        let (name, commit) = (name.to_owned(), deployed.commit.clone());
        let change = match deployed.cause {
            Cause::Changed { .. } => DeploymentChange::Begin {
                name,
                commit,
                status,
                replaced: Vec::new(),
            },
            Cause::Unchanged => DeploymentChange::Follow {
                name,
                missing: Some(commit),
                status,
            },
            Cause::AnotherRun | Cause::Reported => DeploymentChange::Follow {
                name,
                missing: None,
                status,
            },
        };
        self.deployment = Some(change).filter(|_| config.inputs.github_environment.is_some());
    }

    fn tell_gone(&mut self, message: Message) {
        self.message = Some(message);
        self.status = Some((StatusState::Success, deploy::DESTROYED_IN_SHORT.to_owned()));
    }
}

/// The line of the log that says why there is nothing to do.
pub(crate) fn no_op_line(no_op: NoOp) -> String {
    format!("nothing to do: {}", no_op.code())
}

/// Nothing was asked for.
pub(crate) fn none(no_op: NoOp) -> Report {
    Report {
        outputs: Outputs {
            decision: "none",
            reason: no_op.code(),
            ..Outputs::default()
        },
        ..Report::default()
    }
}

/// The request is not granted, by what GitHub says or by what the target branch holds.
pub(crate) fn refused_request(context: &Context, request: &Request, refusal: &Refusal) -> Report {
    refused(context, refusal).silent_if(request.is_guess())
}

/// Something is not granted.
pub(crate) fn refused(context: &Context, refusal: &Refusal) -> Report {
    // A stranger's command must not put a red mark on somebody's commit.
    let status = refusal.is_to_a_permitted_person().then(|| {
        (
            StatusState::Failure,
            ended_in_short("Refused", refusal.code()),
        )
    });
    Report {
        outputs: Outputs {
            decision: "refuse",
            reason: refusal.code(),
            ..Outputs::default()
        },
        message: Some(refusal::refused(context, refusal)),
        status,
        reaction: Some(Reaction::Refused),
        ..Report::default()
    }
}

/// Something broke; `decision` is what had been decided by then.
pub(crate) fn failed(context: &Context, decision: Option<&Decision>, failure: &Failure) -> Report {
    let state = if failure.is_rejection() {
        StatusState::Failure
    } else {
        StatusState::Error
    };
    let mut outputs = Outputs {
        decision: decision.map_or("none", word),
        reason: failure.code(),
        ..Outputs::default()
    };
    if let Some(Decision::Create(create)) = decision {
        name(&mut outputs, create);
    }
    Report {
        outputs,
        message: Some(failure::failed(context, failure)),
        status: Some((state, ended_in_short("Failed", failure.code()))),
        reaction: Some(Reaction::Failed),
        error: Some(failure.to_string()),
        ..Report::default()
    }
}

/// What was decided was done, or turned out to be done already, or not to be allowed by what the target branch holds.
pub(crate) fn published(
    config: &Config,
    context: &Context,
    request: &Request,
    decision: &Decision,
    published: &Published,
    readiness: &Readiness,
) -> Report {
    let (plan, commit, warning) = match published {
        Published::Refused(refusal) => return refused_request(context, request, refusal),
        Published::Unchanged(plan) => (plan, None, None),
        Published::Pushed {
            plan,
            commit,
            warning,
        } => (plan, Some(commit.as_str()), warning.clone()),
    };
    let mut report = match decision {
        Decision::Create(create) => created(config, context, create, plan, commit, readiness),
        Decision::Destroy(_) => destroyed(config, context, plan, commit),
    };
    report.outputs.decision = word(decision);
    report.outputs.reason = match &report.error {
        Some(_) => readiness.code(),
        None => reason(request, decision),
    };
    report.outputs.changed = commit.is_some();
    report.outputs.commit = commit.unwrap_or_default().to_owned();
    report.warnings.extend(warning);
    report.silent_if(request.is_quiet() && commit.is_none())
}

/// Flux has said something about an instance: for the pull request and for the job, which stays green.
pub(crate) fn reported(
    config: &Config,
    context: &Context,
    instance: &DeployedInstance,
    readiness: &Readiness,
) -> Report {
    let deployed = described(
        config,
        context,
        std::slice::from_ref(instance),
        Cause::Reported,
        readiness,
    );
    let mut report = Report {
        outputs: Outputs {
            decision: REPORT,
            reason: readiness.code(),
            name: instance.name.clone(),
            namespace: instance.instance.namespace.clone(),
            manifest: instance.path.clone(),
            ..Outputs::default()
        },
        ..Report::default()
    };
    if let Some(deployed) = deployed {
        report.tell(config, context, &deployed, &instance.name);
    }
    report
}

/// What would be done, for the job alone.
pub(crate) fn previewed(
    config: &Config,
    request: &Request,
    decision: &Decision,
    plan: &Plan,
) -> Report {
    let mut outputs = Outputs {
        decision: word(decision),
        reason: reason(request, decision),
        ..Outputs::default()
    };
    match decision {
        Decision::Create(create) => {
            name(&mut outputs, create);
            let (name, namespace) = (&outputs.name, &outputs.namespace);
            let url = environment_url(config, name, namespace, request.pull_request);
            outputs.environment_url = url.unwrap_or_default();
        }
        Decision::Destroy(_) => removed(&mut outputs, &plan.removed),
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
    }
}

fn name(outputs: &mut Outputs, create: &Create) {
    outputs.name.clone_from(&create.environment.name);
    outputs.namespace.clone_from(&create.environment.namespace);
    outputs.manifest.clone_from(&create.environment.path);
}

fn environment_url(
    config: &Config,
    name: &str,
    namespace: &str,
    pull_request: u64,
) -> Option<String> {
    let template = config.inputs.environment_url.as_ref()?;
    Some(template.fill(name, namespace, pull_request))
}

fn removed(outputs: &mut Outputs, removed: &[DeployedInstance]) {
    if let Some(removed) = removed.first() {
        outputs.name.clone_from(&removed.name);
        outputs.namespace.clone_from(&removed.instance.namespace);
        outputs.manifest.clone_from(&removed.path);
    }
}

fn namespaces(instances: &[DeployedInstance]) -> Vec<String> {
    let namespaces = instances
        .iter()
        .map(|deployed| &deployed.instance.namespace);
    namespaces.cloned().collect()
}

/// What a sweep did, or would do where there are removals and no commit.
pub(crate) fn swept(
    code: &'static str,
    removals: &[Removal],
    commit: Option<String>,
    unresolved: Vec<String>,
) -> Report {
    let listed = removals.iter().map(|Removal { deployed, reason }| {
        json!({
            "name": deployed.name,
            "pull-request": deployed.instance.owner.pull_request,
            "reason": reason.code(),
        })
    });
    let message = sweep::sweep_summary(removals, commit.is_some(), unresolved.len());
    Report {
        outputs: Outputs {
            decision: SWEEP,
            reason: code,
            changed: commit.is_some(),
            commit: commit.unwrap_or_default(),
            swept: Value::Array(listed.collect()).to_string(),
            ..Outputs::default()
        },
        message: Some(message),
        warnings: unresolved,
        ..Report::default()
    }
}

/// The report for a pull request whose environment a sweep removed.
pub(crate) fn swept_one(
    config: &Config,
    context: &Context,
    removals: &[&Removal],
    commit: &str,
) -> Report {
    let Some(first) = removals.first() else {
        return Report::default();
    };
    let namespaces = removals
        .iter()
        .map(|removal| &removal.deployed.instance.namespace);
    let destroyed = Destroyed {
        namespaces: namespaces.cloned().collect(),
        commit_url: config.commit_url(commit),
    };
    Report {
        message: Some(sweep::swept(context, first.reason, &destroyed)),
        status: Some((StatusState::Success, sweep::swept_in_short(first.reason))),
        deployment: ended(
            config,
            removals.iter().map(|removal| &removal.deployed.name),
        ),
        ..Report::default()
    }
}

/// A sweep broke.
pub(crate) fn sweep_failed(config: &Config, target_branch: &str, failure: &Failure) -> Report {
    let help_url = config.help_url();
    Report {
        outputs: Outputs {
            decision: SWEEP,
            reason: failure.code(),
            swept: Value::Array(Vec::new()).to_string(),
            ..Outputs::default()
        },
        message: Some(failure::sweep_failed(target_branch, &help_url, failure)),
        error: Some(failure.to_string()),
        ..Report::default()
    }
}

/// What Flux said could not be handed on.
pub(crate) fn report_failed(config: &Config, target_branch: &str, failure: &Failure) -> Report {
    let help_url = config.help_url();
    Report {
        outputs: Outputs {
            decision: REPORT,
            reason: failure.code(),
            ..Outputs::default()
        },
        message: Some(failure::report_failed(target_branch, &help_url, failure)),
        error: Some(failure.to_string()),
        ..Report::default()
    }
}

/// What is said of what another run left behind.
pub(crate) fn overtaken(
    config: &Config,
    context: &Context,
    instances: &[DeployedInstance],
    readiness: &Readiness,
) -> Report {
    let cause = Cause::AnotherRun;
    let mut report = Report::default();
    match (
        described(config, context, instances, cause, readiness),
        instances.first(),
    ) {
        (Some(deployed), Some(first)) => report.tell(config, context, &deployed, &first.name),
        _ => report.tell_gone(deploy::destroyed_by_another(context)),
    }
    report
}

/// What the files of a pull request's instances say of its environment; `None` where there are none.
fn described(
    config: &Config,
    context: &Context,
    instances: &[DeployedInstance],
    cause: Cause,
    readiness: &Readiness,
) -> Option<Deployed> {
    let first = instances.first()?;
    let instance = &first.instance;
    let head = context.head.as_ref().map(|(_, commit)| commit.as_str());
    let commit = instance.pinned.as_deref().or(head);
    let inputs = &config.inputs;
    Some(Deployed {
        place: Place {
            object_name: object_name(&first.name),
            flux_namespace: inputs.flux_namespace.clone(),
            overlay_path: inputs.overlay_path.clone(),
            namespace: instance.namespace.clone(),
            is_pinned: instance.pinned.is_some(),
        },
        namespaces: namespaces(instances),
        branch: instance.branch.clone(),
        commit: commit.unwrap_or(&instance.commit).to_owned(),
        requested_by: instance.requested_by.clone(),
        file_url: config.file_url(&context.target_branch, &first.path),
        cause,
        replaced: Vec::new(),
        environment_url: environment_url(
            config,
            &first.name,
            &instance.namespace,
            context.pull_request,
        ),
        is_followable: can_be_followed(&instance.branch),
        interval: inputs.interval.clone(),
        timeout: inputs.timeout.clone(),
        expires: match instance.expires {
            Expiry::At(end) => Some(end),
            Expiry::Never | Expiry::Unreadable(_) => None,
        },
        readiness: readiness.clone(),
        fingerprint: fingerprint(instances),
    })
}

fn created(
    config: &Config,
    context: &Context,
    create: &Create,
    plan: &Plan,
    commit: Option<&str>,
    readiness: &Readiness,
) -> Report {
    let environment = &create.environment;
    let manifest = &create.manifest;
    let head = context.head.as_ref().map(|(_, commit)| commit.to_string());
    let head = head.filter(|_| !manifest.pinned);
    let cause = match commit {
        Some(commit) => Cause::Changed {
            commit_url: config.commit_url(commit),
        },
        None => Cause::Unchanged,
    };
    let deployed = Deployed {
        place: Place {
            object_name: manifest.object_name.clone(),
            flux_namespace: manifest.flux_namespace.clone(),
            overlay_path: manifest.overlay_path.clone(),
            namespace: environment.namespace.clone(),
            is_pinned: manifest.pinned,
        },
        namespaces: vec![environment.namespace.clone()],
        branch: manifest.branch.clone(),
        commit: head.unwrap_or_else(|| manifest.commit.clone()),
        requested_by: manifest.requested_by.clone(),
        file_url: config.file_url(&context.target_branch, &environment.path),
        cause,
        replaced: namespaces(&plan.removed),
        environment_url: environment_url(
            config,
            &environment.name,
            &environment.namespace,
            context.pull_request,
        ),
        is_followable: can_be_followed(&manifest.branch),
        interval: manifest.interval.clone(),
        timeout: manifest.timeout.clone(),
        expires: manifest.expires,
        readiness: readiness.clone(),
        fingerprint: fingerprint(&plan.remaining),
    };
    let mut report = Report {
        reaction: Some(Reaction::Done),
        ..Report::default()
    };
    name(&mut report.outputs, create);
    report.tell(config, context, &deployed, &environment.name);
    if let Some(DeploymentChange::Begin { replaced, .. }) = &mut report.deployment {
        *replaced = plan
            .removed
            .iter()
            .map(|removed| removed.name.clone())
            .collect();
    }
    // Only who waits for Flux fails with it.
    if !config.inputs.wait.is_zero() {
        let namespace = &environment.namespace;
        report.error = readiness::error(readiness, namespace, &deployed.commit);
    }
    if report.error.is_some() {
        report.reaction = Some(Reaction::Failed);
    }
    if plan.creates_directory {
        report.warnings.push(format!(
            "`{}` did not exist on `{}`: make sure that a Flux Kustomization applies it",
            config.inputs.instances_path, context.target_branch
        ));
    }
    report
}

fn destroyed(config: &Config, context: &Context, plan: &Plan, commit: Option<&str>) -> Report {
    let message = match commit {
        Some(commit) => deploy::destroyed(
            context,
            &Destroyed {
                namespaces: namespaces(&plan.removed),
                commit_url: config.commit_url(commit),
            },
        ),
        None => deploy::nothing_to_destroy(context),
    };
    let names = plan.removed.iter().map(|removed| &removed.name);
    let mut report = Report {
        reaction: Some(Reaction::Done),
        // One that lost track of its instance ends as well, if nobody else has the name by now.
        deployment: ended(config, names.chain(&plan.free_name)),
        ..Report::default()
    };
    removed(&mut report.outputs, &plan.removed);
    report.tell_gone(message);
    report
}

/// The deployments of these names end, where there are any.
fn ended<'a>(config: &Config, names: impl Iterator<Item = &'a String>) -> Option<DeploymentChange> {
    config.inputs.github_environment.as_ref()?;
    let names: BTreeSet<String> = names.cloned().collect();
    Some(DeploymentChange::End {
        names: names.into_iter().collect(),
    })
}

/// The state of our commit status, given what is known of the environment.
fn status_state(readiness: &Readiness) -> StatusState {
    match readiness {
        Readiness::Unreported | Readiness::Ready => StatusState::Success,
        Readiness::ComingUp => StatusState::Pending,
        Readiness::Failed(_) => StatusState::Failure,
        Readiness::Late { .. } | Readiness::Unwatched => StatusState::Error,
    }
}

/// The state of the GitHub Deployment, given what is known of the environment.
fn deployment_state(readiness: &Readiness) -> DeploymentState {
    match readiness {
        Readiness::Unreported | Readiness::Ready => DeploymentState::Success,
        Readiness::ComingUp => DeploymentState::InProgress,
        Readiness::Failed(_) | Readiness::Late { .. } | Readiness::Unwatched => {
            DeploymentState::Failure
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::message::tests::context;
    use std::time::Duration;

    use super::*;
    use crate::command::Command;
    use crate::config::tests::configured;
    use crate::decide::sweep::Reason;
    use crate::decide::sweep::tests::removal as swept_away;
    use crate::decide::tests::{closed, commented, deploy, labeled, now, pull_request, refusals};
    use crate::decide::{Facts, decide};
    use crate::manifest::render::Manifest;
    use crate::manifest::tests::manifest;
    use crate::model::failure::Barrier;
    use crate::model::repository::Access;

    const COMMIT: &str = "c0ffee";

    fn config() -> Config {
        configured(&[(
            "INPUT_ENVIRONMENT-URL",
            "https://{namespace}.example.com/{number}",
        )])
        .unwrap()
    }

    fn decision(request: &Request) -> Decision {
        let facts = Facts {
            pull_request: pull_request(),
            is_labeled: true,
            access: Some(Access::Known(crate::model::repository::Permission::Admin)),
            now: now(),
        };
        decide(request, &facts, &config()).unwrap()
    }

    fn destroy() -> Request {
        commented(Ok(Command::Destroy))
    }

    fn old() -> DeployedInstance {
        let manifest = Manifest {
            namespace: "pr-old".to_owned(),
            branch: "old".to_owned(),
            ..manifest()
        };
        let content = manifest.render().unwrap();
        crate::manifest::read::deployed_at("i/sync-old.yaml", content.as_bytes()).unwrap()
    }

    fn removal() -> Plan {
        Plan {
            removed: vec![old()],
            ..Plan::default()
        }
    }

    fn pushed(plan: Plan) -> Published {
        Published::Pushed {
            plan,
            commit: COMMIT.to_owned(),
            warning: Some("the workspace did not follow".to_owned()),
        }
    }

    fn reported(request: &Request, published: Published) -> Report {
        super::published(
            &config(),
            &context(),
            request,
            &decision(request),
            &published,
            &Readiness::Unreported,
        )
    }

    fn text(report: &Report) -> &str {
        report.message.as_ref().map_or("", Message::text)
    }

    /// The outputs that have a value.
    fn outputs(report: &Report) -> Vec<(&'static str, String)> {
        let mut pairs = report.outputs.pairs();
        pairs.retain(|(_, value)| !value.is_empty());
        pairs
    }

    fn pairs<const N: usize>(pairs: [(&'static str, &str); N]) -> Vec<(&'static str, String)> {
        pairs.map(|(name, value)| (name, value.to_owned())).into()
    }

    #[test]
    fn every_output_has_its_own_value_in_the_order_of_the_list() {
        let outputs = Outputs {
            decision: "decision",
            reason: "reason",
            changed: true,
            name: "name".to_owned(),
            namespace: "namespace".to_owned(),
            manifest: "manifest".to_owned(),
            commit: "commit".to_owned(),
            environment_url: "environment-url".to_owned(),
            comment_url: "comment-url".to_owned(),
            swept: "swept".to_owned(),
            ready: "ready",
        };
        let values = OUTPUTS.map(|name| match name {
            "changed" => (name, "true".to_owned()),
            name => (name, name.to_owned()),
        });
        assert_eq!(outputs.pairs(), values);
        assert_eq!(Outputs::default().pairs().len(), OUTPUTS.len());
    }

    #[test]
    fn a_sweep_tells_the_job_what_went_and_why() {
        let removals = [
            swept_away("dev", 7, Reason::Closed),
            swept_away("b", 9, Reason::Expired(now())),
        ];
        let listed = r#"[{"name":"dev","pull-request":7,"reason":"closed"},{"name":"b","pull-request":9,"reason":"expired"}]"#;
        let report = swept(
            "schedule",
            &removals,
            Some(COMMIT.to_owned()),
            vec!["a unresolved".to_owned()],
        );
        assert_eq!(report.warnings, ["a unresolved"]);
        assert_eq!(
            outputs(&report),
            pairs([
                ("decision", "sweep"),
                ("reason", "schedule"),
                ("changed", "true"),
                ("commit", COMMIT),
                ("swept", listed),
            ])
        );
        assert!(text(&report).contains("Environments destroyed: 2"));
        let would = swept("schedule", &removals, None, Vec::new());
        assert_eq!(would.outputs.swept, listed);
        assert!(!would.outputs.changed && text(&would).contains("would be destroyed"));
        let nothing = swept("schedule", &[], None, Vec::new());
        assert_eq!(nothing.outputs.swept, "[]");
        let failed = sweep_failed(&config(), "main", &Failure::Interrupted);
        assert_eq!(
            outputs(&failed),
            pairs([
                ("decision", "sweep"),
                ("reason", "interrupted"),
                ("changed", "false"),
                ("swept", "[]"),
            ])
        );
        assert!(text(&failed).contains("### 🔴 "));
        assert!(failed.error.is_some());
    }

    #[test]
    fn a_swept_pull_request_is_told_all_that_went() {
        let (one, other) = (
            swept_away("dev", 7, Reason::Closed),
            swept_away("old", 7, Reason::Closed),
        );
        let report = swept_one(&config(), &context(), &[&one, &other], COMMIT);
        assert!(text(&report).contains("| **Namespace** | `dev`, `dev` |\n"));
        assert!(text(&report).contains("https://github.com/octo/app/commit/c0ffee"));
        let status = (
            StatusState::Success,
            "Destroyed by a sweep: closed".to_owned(),
        );
        assert_eq!(report.status, Some(status));
        assert_eq!(report.reaction, None);
    }

    #[test]
    fn a_no_op_is_told_to_the_job_alone() {
        let report = none(NoOp::NotACommand);
        assert_eq!(
            outputs(&report),
            pairs([
                ("decision", "none"),
                ("reason", "not-a-command"),
                ("changed", "false")
            ])
        );
        assert!(report.message.is_none() && report.status.is_none() && report.reaction.is_none());
        assert!(report.error.is_none() && report.warnings.is_empty());
    }

    #[test]
    fn a_deployment_is_told_to_everybody() {
        let report = reported(&commented(deploy()), pushed(Plan::default()));
        assert_eq!(
            outputs(&report),
            pairs([
                ("decision", "create"),
                ("reason", "deploy-command"),
                ("changed", "true"),
                ("name", "dev"),
                ("namespace", "dev"),
                (
                    "manifest",
                    "k8s/app/overlays/ephemeral-instances/sync-dev.yaml"
                ),
                ("commit", COMMIT),
                ("environment-url", "https://dev.example.com/7"),
            ])
        );
        assert!(text(&report).contains("https://github.com/octo/app/commit/c0ffee"));
        assert!(text(&report).contains("<https://dev.example.com/7>"));
        assert_eq!(
            report.status,
            Some((StatusState::Success, "Flux is bringing dev up".to_owned()))
        );
        assert_eq!(report.reaction, Some(Reaction::Done));
        assert_eq!(report.warnings, ["the workspace did not follow"]);
        assert_eq!(report.error, None);
    }

    fn known(readiness: &Readiness, inputs: &[(&str, &str)], published: &Published) -> Report {
        let mut given = vec![
            ("INPUT_READINESS", "flux"),
            ("INPUT_GITHUB-ENVIRONMENT", "preview"),
        ];
        given.extend(inputs);
        let config = configured(&given).unwrap();
        let request = commented(deploy());
        super::published(
            &config,
            &context(),
            &request,
            &decision(&request),
            published,
            readiness,
        )
    }

    #[test]
    fn what_is_known_of_readiness_is_told_everywhere_alike() {
        let failed = Readiness::Failed("build failed".to_owned());
        let late = Readiness::Late {
            waited: Duration::from_secs(60),
            answer: None,
        };
        for (readiness, ready, status, deployment, reason, reaction) in [
            (
                Readiness::ComingUp,
                "",
                StatusState::Pending,
                DeploymentState::InProgress,
                "deploy-command",
                Reaction::Done,
            ),
            (
                Readiness::Ready,
                "true",
                StatusState::Success,
                DeploymentState::Success,
                "deploy-command",
                Reaction::Done,
            ),
            (
                failed,
                "false",
                StatusState::Failure,
                DeploymentState::Failure,
                "flux-failed",
                Reaction::Failed,
            ),
            (
                late,
                "false",
                StatusState::Error,
                DeploymentState::Failure,
                "not-ready-in-time",
                Reaction::Failed,
            ),
            (
                Readiness::Unwatched,
                "",
                StatusState::Error,
                DeploymentState::Failure,
                "interrupted",
                Reaction::Failed,
            ),
        ] {
            let waits = [("INPUT_WAIT", "60s")];
            let report = known(&readiness, &waits, &pushed(Plan::default()));
            assert_eq!(
                (report.outputs.ready, report.outputs.reason),
                (ready, reason)
            );
            assert_eq!(report.outputs.decision, "create");
            let (state, description) = report.status.unwrap();
            assert_eq!((state, report.reaction), (status, Some(reaction)));
            let Some(DeploymentChange::Begin { name, status, .. }) = report.deployment else {
                panic!("{:?}", report.deployment);
            };
            assert_eq!((name.as_str(), status.state), ("dev", deployment));
            assert_eq!(status.description, description);
            assert_eq!(report.error.is_some(), reaction == Reaction::Failed);
            assert!(report.message.unwrap().is_state());

            // Who does not wait does not fail with it.
            let report = known(&readiness, &[], &Published::Unchanged(Plan::default()));
            assert_eq!(
                (report.error, report.reaction),
                (None, Some(Reaction::Done))
            );
            assert_eq!(report.outputs.reason, "deploy-command");
            assert!(matches!(
                report.deployment,
                Some(DeploymentChange::Follow { .. })
            ));

            let reported = super::reported(&config(), &context(), &old(), &readiness);
            assert_eq!(reported.outputs.decision, "report");
            assert_eq!((reported.error, reported.deployment), (None, None));
        }
    }

    #[test]
    fn what_is_gone_has_no_deployment() {
        let config = configured(&[("INPUT_GITHUB-ENVIRONMENT", "preview")]).unwrap();
        let request = destroy();
        let decision = decision(&request);
        let report = super::published(
            &config,
            &context(),
            &request,
            &decision,
            &pushed(Plan {
                free_name: Some("dev".to_owned()),
                ..removal()
            }),
            &Readiness::Unreported,
        );
        let names = vec!["dev".to_owned(), "old".to_owned()];
        assert_eq!(report.deployment, Some(DeploymentChange::End { names }));
        let one = swept_away("dev", 7, Reason::Closed);
        let report = swept_one(&config, &context(), &[&one], COMMIT);
        let names = vec!["dev".to_owned()];
        assert_eq!(report.deployment, Some(DeploymentChange::End { names }));
        assert_eq!(reported(&request, pushed(removal())).deployment, None);
    }

    #[test]
    fn a_new_directory_is_worth_a_warning() {
        let plan = Plan {
            creates_directory: true,
            ..Plan::default()
        };
        let report = reported(&commented(deploy()), pushed(plan));
        assert_eq!(report.warnings.len(), 2);
        assert!(
            report.warnings[0]
                .contains("`k8s/app/overlays/ephemeral-instances` did not exist on `main`")
        );
    }

    #[test]
    fn a_deployment_that_was_there_changes_nothing_and_is_told() {
        let report = reported(&commented(deploy()), Published::Unchanged(Plan::default()));
        assert!(!report.outputs.changed && report.outputs.commit.is_empty());
        assert_eq!(report.outputs.name, "dev");
        assert!(text(&report).contains("nothing changed"));
        assert_eq!(
            report.status.map(|(state, _)| state),
            Some(StatusState::Success)
        );
    }

    #[test]
    fn what_another_run_left_is_told_as_it_is() {
        let unreported = Readiness::Unreported;
        let overtaken = |instances: &[DeployedInstance]| {
            let report = overtaken(&config(), &context(), instances, &unreported);
            (report.message.unwrap(), report.status.unwrap().1)
        };
        let (message, short) = overtaken(&[old()]);
        assert!(message.is_state());
        assert_eq!(short, "Flux is bringing pr-old up");
        for part in [
            "### 🟡 Flux is bringing ",
            "| **Namespace** | `pr-old` |\n",
            "| **Branch** | `old` at [`aaaaaaa`](<https://github.com/octo/app/commit/aaaa",
            "[file](<https://github.com/octo/app/blob/main/i/sync-old.yaml>) on `main`",
            "as `rita` requested",
            "To destroy it, comment `/destroy-ephemeral`",
        ] {
            assert!(message.text().contains(part), "{part}: {}", message.text());
        }
        let (message, short) = overtaken(&[]);
        assert_eq!(short, "Destroyed");
        assert!(
            message
                .text()
                .starts_with("### ⚪ Flux is removing the environment\n")
        );
        assert!(message.text().contains("To deploy again, "));
    }

    #[test]
    fn a_removal_is_told_to_everybody_however_it_was_asked_for() {
        for (request, reason) in [
            (destroy(), "destroy-command"),
            (closed(), "pull-request-closed"),
        ] {
            let report = reported(&request, pushed(removal()));
            assert_eq!(
                outputs(&report),
                pairs([
                    ("decision", "destroy"),
                    ("reason", reason),
                    ("changed", "true"),
                    ("name", "old"),
                    ("namespace", "pr-old"),
                    ("manifest", "i/sync-old.yaml"),
                    ("commit", COMMIT),
                ])
            );
            assert!(text(&report).contains("| **Namespace** | `pr-old` |\n"));
            assert_eq!(
                report.status,
                Some((StatusState::Success, "Destroyed".to_owned()))
            );
        }
    }

    #[test]
    fn nothing_to_remove_is_an_answer_to_a_command_and_no_news_at_a_close() {
        let answer = reported(&destroy(), Published::Unchanged(Plan::default()));
        assert!(text(&answer).contains("no environment"));
        assert!(answer.status.is_some());
        assert_eq!(answer.reaction, Some(Reaction::Done));

        let mut close = reported(&closed(), Published::Unchanged(Plan::default()));
        assert_eq!((&close.message, &close.status), (&None, &None));
        close.correct(&context());
        assert_eq!(
            (close.message, close.status),
            (answer.message, answer.status)
        );
        assert!(close.warnings.is_empty() && close.error.is_none());
        assert_eq!(close.outputs.decision, "destroy");
        assert!(!close.outputs.changed);
    }

    #[test]
    fn a_refusal_is_an_answer_and_no_failure_of_the_job() {
        for refusal in refusals("text") {
            let by_the_tip = Published::Refused(refusal.clone());
            for report in [
                refused(&context(), &refusal),
                reported(&commented(deploy()), by_the_tip),
            ] {
                assert_eq!(
                    outputs(&report),
                    pairs([
                        ("decision", "refuse"),
                        ("reason", refusal.code()),
                        ("changed", "false")
                    ])
                );
                assert!(text(&report).starts_with("### 🚫 Refused: "));
                assert_eq!(report.reaction, Some(Reaction::Refused));
                assert_eq!(report.error, None);
            }
        }
    }

    #[test]
    fn what_comes_of_a_label_that_nobody_knows_is_told_where_something_changed() {
        let (known, unknown) = (labeled(true), labeled(false));
        for refusal in refusals("text") {
            let told = refused_request(&context(), &known, &refusal);
            assert!(told.message.is_some());
            for untold in [
                refused_request(&context(), &unknown, &refusal),
                reported(&unknown, Published::Refused(refusal)),
            ] {
                assert_eq!((&untold.message, &untold.status), (&None, &None));
                assert_eq!(outputs(&untold), outputs(&told));
            }
        }
        let unchanged = |request| reported(request, Published::Unchanged(Plan::default()));
        let (told, untold) = (unchanged(&known), unchanged(&unknown));
        assert!(told.message.is_some() && told.status.is_some());
        assert_eq!((&untold.message, &untold.status), (&None, &None));
        assert_eq!(outputs(&untold), outputs(&told));
        let changed = reported(&unknown, pushed(Plan::default()));
        assert!(changed.message.is_some() && changed.status.is_some());
        let failure = failed(&context(), None, &Failure::Interrupted);
        assert!(failure.message.is_some());
    }

    #[test]
    fn a_strangers_command_sets_no_commit_status() {
        for refusal in refusals("text") {
            let status = refused(&context(), &refusal).status;
            if matches!(
                refusal,
                Refusal::NotPermitted { .. } | Refusal::PermissionUnknown { .. }
            ) {
                assert_eq!(status, None);
            } else {
                let (state, description) = status.unwrap();
                assert_eq!(state, StatusState::Failure);
                assert_eq!(
                    description,
                    format!("Refused: {}", refusal.code().replace('-', " "))
                );
            }
        }
    }

    #[test]
    fn a_rejection_is_a_failure_of_the_commit_and_anything_else_an_error() {
        let words = || "words".to_owned();
        let broken = || anyhow::anyhow!("words");
        for (failure, reason, state) in [
            (
                Failure::Rejected(words()),
                "push-rejected",
                StatusState::Failure,
            ),
            (
                Failure::Forbidden(Barrier::Permission, words()),
                "push-forbidden",
                StatusState::Failure,
            ),
            (
                Failure::BranchMissing(words()),
                "branch-missing",
                StatusState::Failure,
            ),
            (
                Failure::TimedOut(Duration::from_secs(1), words()),
                "push-timeout",
                StatusState::Error,
            ),
            (Failure::Interrupted, "interrupted", StatusState::Error),
            (
                Failure::GitHub(broken()),
                "github-failed",
                StatusState::Error,
            ),
            (Failure::Broken(broken()), "git-failed", StatusState::Error),
        ] {
            let report = failed(&context(), Some(&decision(&commented(deploy()))), &failure);
            let description = format!("Failed: {}", reason.replace('-', " "));
            assert_eq!(report.status, Some((state, description)));
            assert_eq!(report.outputs.reason, reason);
            assert_eq!(
                (report.outputs.decision, report.outputs.name.as_str()),
                ("create", "dev")
            );
            assert!(!report.outputs.changed && report.outputs.commit.is_empty());
            assert_eq!(report.error, Some(failure.to_string()));
            assert_eq!(report.reaction, Some(Reaction::Failed));
            assert!(text(&report).starts_with("### 🔴 Failed: "));
        }
    }

    #[test]
    fn a_failure_before_the_decision_names_none() {
        let report = failed(&context(), None, &Failure::Interrupted);
        assert_eq!(
            outputs(&report),
            pairs([
                ("decision", "none"),
                ("reason", "interrupted"),
                ("changed", "false")
            ])
        );
        let report = failed(
            &context(),
            Some(&decision(&closed())),
            &Failure::Interrupted,
        );
        assert_eq!(report.outputs.decision, "destroy");
    }

    #[test]
    fn a_preview_is_told_to_the_job_alone() {
        let url = "https://dev.example.com/7";
        for (request, plan, word, name, url) in [
            (commented(deploy()), Plan::default(), "create", "dev", url),
            (destroy(), removal(), "destroy", "old", ""),
            (closed(), Plan::default(), "destroy", "", ""),
        ] {
            let report = previewed(&config(), &request, &decision(&request), &plan);
            assert_eq!(
                (report.outputs.decision, report.outputs.name.as_str()),
                (word, name)
            );
            assert_eq!(report.outputs.reason, reason(&request, &decision(&request)));
            assert_eq!(report.outputs.environment_url, url);
            assert!(!report.outputs.changed && report.outputs.commit.is_empty());
            assert!(
                report.message.is_none() && report.status.is_none() && report.reaction.is_none()
            );
        }
    }
}
