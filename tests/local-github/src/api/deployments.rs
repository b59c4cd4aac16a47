//! Deployments, and how they went.

use serde_json::{Value, json};

use super::{Answered, Call, check_status};
use crate::access::Need;
use crate::clock;
use crate::git;
use crate::http::Answer;
use crate::state::{DeploymentRecord, DeploymentStatusRecord, State};

/// The states that a deployment's status may have.
const STATES: [&str; 7] = [
    "error",
    "failure",
    "inactive",
    "in_progress",
    "queued",
    "pending",
    "success",
];

impl Call<'_> {
    pub(super) fn deployments(&self, state: &State) -> Answered {
        state.require(self.caller, Need::READ_DEPLOYMENTS)?;
        let is_asked_for = |name: &str, value: &str| {
            let asked = self.request.parameter(name);
            asked.is_none_or(|asked| asked == "none" || asked == value)
        };
        let newest_first = state.deployments.values().rev().filter(|deployment| {
            is_asked_for("sha", &deployment.sha)
                && is_asked_for("ref", &deployment.reference)
                && is_asked_for("task", &deployment.task)
                && is_asked_for("environment", &deployment.environment)
        });
        Ok(self.page(newest_first.collect(), |deployment| {
            state.deployment_json(deployment)
        }))
    }

    pub(super) fn create_deployment(&self, state: &mut State) -> Answered {
        state.require(self.caller, Need::WRITE_DEPLOYMENTS)?;
        let body = self.body()?;
        let text = |field: &str| body[field].as_str().map(str::to_owned);
        let Some(reference) = text("ref") else {
            return Err(Answer::error(
                422,
                "Invalid request.\n\n\"ref\" wasn't supplied.",
            ));
        };
        let Some(sha) = state.resolve(&reference) else {
            let message = format!("No ref found for: {reference}");
            return Err(Answer::error(422, &message));
        };
        if body["auto_merge"].as_bool().unwrap_or(true) {
            refuse_behind(state, &reference, &sha)?;
        }
        refuse_unchecked(state, &reference, &sha, &body["required_contexts"])?;
        let environment = text("environment").unwrap_or_else(|| "production".to_owned());
        let flag = |field: &str, default: bool| body[field].as_bool().unwrap_or(default);
        let deployment = DeploymentRecord {
            id: state.new_id(),
            reference,
            sha,
            task: text("task").unwrap_or_else(|| "deploy".to_owned()),
            description: text("description"),
            payload: match &body["payload"] {
                Value::Null => json!({}),
                payload => payload.clone(),
            },
            transient: flag("transient_environment", false),
            production: flag("production_environment", environment == "production"),
            original_environment: environment.clone(),
            environment,
            login: self.caller.login.clone(),
            created: clock::now(),
            statuses: Vec::new(),
        };
        let answer = Answer::json(201, &state.deployment_json(&deployment));
        state.deployments.insert(deployment.id, deployment);
        Ok(answer)
    }

    pub(super) fn deployment(&self, state: &State, id: u64) -> Answered {
        state.require(self.caller, Need::READ_DEPLOYMENTS)?;
        Ok(Answer::json(
            200,
            &state.deployment_json(deployment(state, id)?),
        ))
    }

    pub(super) fn deployment_statuses(&self, state: &State, id: u64) -> Answered {
        state.require(self.caller, Need::READ_DEPLOYMENTS)?;
        let deployment = deployment(state, id)?;
        let newest_first = deployment.statuses.iter().rev();
        Ok(self.page(newest_first.collect(), |status| {
            state.deployment_status_json(deployment, status)
        }))
    }

    pub(super) fn create_deployment_status(&self, state: &mut State, id: u64) -> Answered {
        state.require(self.caller, Need::WRITE_DEPLOYMENTS)?;
        deployment(state, id)?;
        let body = self.body()?;
        let urls = ["target_url", "log_url", "environment_url"];
        check_status("DeploymentStatus", &body, &STATES, &urls)?;
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let status = DeploymentStatusRecord {
            id: state.new_id(),
            state: text("state"),
            description: text("description"),
            environment_url: text("environment_url"),
            log_url: match text("log_url") {
                none if none.is_empty() => text("target_url"),
                url => url,
            },
            auto_inactive: body["auto_inactive"].as_bool().unwrap_or(true),
            login: self.caller.login.clone(),
            created: clock::now(),
        };
        let deployment = state.deployments.get_mut(&id).expect("found above");
        if let Some(other) = body["environment"].as_str() {
            other.clone_into(&mut deployment.environment);
        }
        deployment.statuses.push(status.clone());
        if status.state == "success" && status.auto_inactive {
            state.retire(id, &status);
        }
        let deployment = &state.deployments[&id];
        Ok(Answer::json(
            201,
            &state.deployment_status_json(deployment, &status),
        ))
    }
}

impl State {
    /// Makes the earlier deployments of this one's environment inactive that succeeded; neither transient environments nor
    /// production.
    fn retire(&mut self, id: u64, status: &DeploymentStatusRecord) {
        let environment = self.deployments[&id].environment.clone();
        let earlier = self.deployments.values().filter(|other| {
            other.id < id
                && other.environment == environment
                && !other.transient
                && !other.production
                && other.state() == Some("success")
        });
        let earlier: Vec<u64> = earlier.map(|other| other.id).collect();
        for other in earlier {
            let inactive = DeploymentStatusRecord {
                id: self.new_id(),
                state: "inactive".to_owned(),
                description: String::new(),
                environment_url: String::new(),
                log_url: String::new(),
                ..status.clone()
            };
            let other = self.deployments.get_mut(&other).expect("listed above");
            other.statuses.push(inactive);
        }
    }
}

fn deployment(state: &State, id: u64) -> Result<&DeploymentRecord, Answer> {
    state.deployments.get(&id).ok_or_else(Answer::not_found)
}

/// GitHub would merge the default branch into what is behind it; here that counts as a conflict, always.
fn refuse_behind(state: &State, reference: &str, sha: &str) -> Result<(), Answer> {
    let base = state.base();
    let default = format!("refs/heads/{}", base.default_branch);
    let holds = ["merge-base", "--is-ancestor", &default, sha];
    git::try_git(&base.git_dir, &holds).map_err(|_| {
        let message = format!("Conflict merging {} into {reference}.", base.default_branch);
        Answer::error(409, &message)
    })?;
    Ok(())
}

/// Where contexts are named, each has to be a success; where they are not, all that the commit has.
fn refuse_unchecked(
    state: &State,
    reference: &str,
    sha: &str,
    required: &Value,
) -> Result<(), Answer> {
    let newest = state.newest_statuses(sha);
    let is_success = |context: &str| {
        newest
            .iter()
            .any(|status| status.context == context && status.state == "success")
    };
    let passed = match required.as_array() {
        Some(required) => required.iter().filter_map(Value::as_str).all(is_success),
        None => newest.iter().all(|status| status.state == "success"),
    };
    if passed {
        return Ok(());
    }
    let message = format!("Conflict: Commit status checks failed for {reference}.");
    Err(Answer::error(409, &message))
}
