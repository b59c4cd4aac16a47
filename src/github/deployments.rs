//! GitHub Deployments: the box on the pull request with a link to the environment.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::github::GitHub;
use crate::github::http::{ApiError, Method};
use crate::model::notification::{DeploymentChange, DeploymentState, DeploymentStatus};

/// How many deployments of one name are looked at, the newest first. Each deploy ends the ones before, so more than one is
/// there only where that failed.
const LOOKED_AT: usize = 10;

#[derive(Deserialize)]
struct DeploymentObject {
    id: u64,
    sha: String,
}

#[derive(Deserialize)]
struct StatusObject {
    state: String,
}

/// Where deployments go.
pub(crate) struct DeploymentPlace<'a> {
    /// Name of the GitHub environment.
    pub(crate) environment: &'a str,
    /// The page of the run that speaks of them.
    pub(crate) run_url: &'a str,
}

impl GitHub {
    /// Brings the deployments of a pull request up to date.
    ///
    /// # Errors
    /// Some of it is not there.
    pub(crate) async fn update_deployments(
        &self,
        place: &DeploymentPlace<'_>,
        change: &DeploymentChange,
    ) -> Result<(), ApiError> {
        match change {
            DeploymentChange::Begin {
                name,
                commit,
                status,
                replaced,
            } => {
                let begun = self.begin_deployment(place, name, commit, status).await?;
                for name in std::iter::once(name).chain(replaced) {
                    self.end_deployments(place, name, Some(begun)).await?;
                }
                Ok(())
            }
            DeploymentChange::Follow {
                name,
                missing,
                status,
            } => {
                let deployments = self.deployments(place, name).await?;
                match (deployments.first(), missing) {
                    (Some(newest), _) => self.set_deployment_status(place, newest.id, status).await,
                    (None, Some(commit)) => {
                        self.begin_deployment(place, name, commit, status).await?;
                        Ok(())
                    }
                    (None, None) => Ok(()),
                }
            }
            DeploymentChange::End { names } => {
                for name in names {
                    self.end_deployments(place, name, None).await?;
                }
                Ok(())
            }
        }
    }

    /// Creates a deployment and sets its status. Returns its id.
    async fn begin_deployment(
        &self,
        place: &DeploymentPlace<'_>,
        name: &str,
        commit: &str,
        status: &DeploymentStatus,
    ) -> Result<u64, ApiError> {
        #[derive(Serialize)]
        struct Body<'a> {
            r#ref: &'a str,
            task: String,
            environment: &'a str,
            description: &'a str,
            auto_merge: bool,
            required_contexts: [&'a str; 0],
            transient_environment: bool,
            production_environment: bool,
        }
        let body = Body {
            r#ref: commit,
            task: task(name),
            environment: place.environment,
            description: &status.description,
            // Otherwise GitHub would merge the default branch into the pull request's, and wait for every status.
            auto_merge: false,
            required_contexts: [],
            transient_environment: true,
            production_environment: false,
        };
        let route = self.route("deployments");
        let before = self.deployments(place, name).await?;
        let is_new = |deployment: &DeploymentObject| {
            deployment.sha == commit && before.iter().all(|known| known.id != deployment.id)
        };
        let send = || self.http.send(Method::Post, &route, Some(&body));
        let find = || async {
            let now = self.deployments(place, name).await?;
            Ok(now.into_iter().find(is_new))
        };
        let created: DeploymentObject = self.http.sent_once(send, find).await?;
        let begun = DeploymentStatus {
            state: DeploymentState::InProgress,
            ..status.clone()
        };
        // GitHub's page tells that it began, also where it is over by now.
        let is_over = status.state != begun.state;
        for status in [Some(&begun), Some(status).filter(|_| is_over)]
            .into_iter()
            .flatten()
        {
            self.set_deployment_status(place, created.id, status)
                .await?;
        }
        Ok(created.id)
    }

    /// Says of every deployment of this name but one that it is gone, where that is not said yet.
    async fn end_deployments(
        &self,
        place: &DeploymentPlace<'_>,
        name: &str,
        except: Option<u64>,
    ) -> Result<(), ApiError> {
        let gone = DeploymentStatus {
            state: DeploymentState::Inactive,
            description: String::new(),
            environment_url: None,
        };
        for deployment in self.deployments(place, name).await? {
            if Some(deployment.id) == except {
                continue;
            }
            let newest = format!("deployments/{}/statuses?per_page=1", deployment.id);
            let newest: Vec<StatusObject> = self.http.get(&self.route(&newest)).await?;
            let is_gone = newest
                .first()
                .is_some_and(|status| status.state == gone.state.as_str());
            if !is_gone {
                self.set_deployment_status(place, deployment.id, &gone)
                    .await?;
            }
        }
        Ok(())
    }

    /// Fetches the deployments of one name, the newest first.
    async fn deployments(
        &self,
        place: &DeploymentPlace<'_>,
        name: &str,
    ) -> Result<Vec<DeploymentObject>, ApiError> {
        let parameters = [
            ("task", task(name)),
            ("environment", place.environment.to_owned()),
            ("per_page", LOOKED_AT.to_string()),
        ];
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        self.http
            .get(&self.route(&format!("deployments?{query}")))
            .await
    }

    async fn set_deployment_status(
        &self,
        place: &DeploymentPlace<'_>,
        id: u64,
        status: &DeploymentStatus,
    ) -> Result<(), ApiError> {
        #[derive(Serialize)]
        struct Body<'a> {
            state: &'a str,
            description: &'a str,
            log_url: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            environment_url: Option<&'a str>,
            auto_inactive: bool,
        }
        let body = Body {
            state: status.state.as_str(),
            description: &status.description,
            log_url: place.run_url,
            environment_url: status.environment_url.as_deref(),
            // The environments of other pull requests share the name, and stay.
            auto_inactive: false,
        };
        let route = self.route(&format!("deployments/{id}/statuses"));
        // The same status twice says nothing else than once.
        self.http
            .retried(|| self.http.send::<Value>(Method::Post, &route, Some(&body)))
            .await?;
        Ok(())
    }
}

/// What the deployments of one environment have in common, whatever commit they are of.
fn task(name: &str) -> String {
    format!("deploy:{name}")
}
