//! Commit statuses: ours, and Flux's.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::github::http::{ApiError, Method, Watched};
use crate::github::{GitHub, PAGE};
use crate::model::notification::StatusState;
use crate::model::readiness::FluxStatus;
use crate::model::sha::Sha;

/// Name of our commit status.
const STATUS_CONTEXT: &str = "flux-ephemeral-env";

/// Pages of a commit's statuses that are looked through: GitHub keeps a thousand of a context.
const PAGES: usize = 10;

/// The newest status of each context of a commit.
#[derive(Deserialize)]
pub(crate) struct CombinedObject {
    statuses: Vec<StatusObject>,
}

#[derive(Deserialize)]
struct StatusObject {
    state: String,
    context: String,
    target_url: Option<String>,
    description: Option<String>,
}

impl CombinedObject {
    /// Returns the newest status of a context.
    fn newest(&self, context: &str) -> Option<FluxStatus> {
        newest(&self.statuses, context).map(StatusObject::found)
    }
}

impl StatusObject {
    fn found(&self) -> FluxStatus {
        FluxStatus {
            state: self.state.clone(),
            description: self.description.clone().unwrap_or_default(),
        }
    }
}

/// The newest status of a context, where each comes before older ones of its context.
fn newest<'a>(statuses: &'a [StatusObject], context: &str) -> Option<&'a StatusObject> {
    statuses.iter().find(|status| status.context == context)
}

impl GitHub {
    /// Looks at the newest status of each context of a commit, again and again.
    pub(crate) fn watched_statuses(&self, commit: &Sha) -> Watched<CombinedObject> {
        Watched::new(self.route(&format!("commits/{commit}/status?per_page={PAGE}")))
    }

    /// Looks once.
    ///
    /// # Errors
    /// GitHub gives no usable answer.
    pub(crate) async fn look_at_status(
        &self,
        statuses: &mut Watched<CombinedObject>,
        context: &str,
    ) -> Result<Option<FluxStatus>, ApiError> {
        Ok(self.http.look(statuses).await?.newest(context))
    }

    /// Fetches the newest status of a context on a commit.
    ///
    /// # Errors
    /// GitHub gives no usable answer.
    pub(crate) async fn flux_status(
        &self,
        commit: &str,
        context: &str,
    ) -> Result<Option<FluxStatus>, ApiError> {
        for page in 1..=PAGES {
            let route = self.route(&format!(
                "commits/{commit}/statuses?per_page={PAGE}&page={page}"
            ));
            let newest_first: Vec<StatusObject> = self.http.get(&route).await?;
            let found = newest(&newest_first, context);
            if found.is_some() || newest_first.len() < PAGE {
                return Ok(found.map(StatusObject::found));
            }
        }
        Ok(None)
    }

    /// Sets our status on a commit.
    ///
    /// # Errors
    /// The status is not there.
    pub(crate) async fn set_status(
        &self,
        sha: &str,
        state: StatusState,
        description: &str,
        run_url: &str,
    ) -> Result<(), ApiError> {
        let state = state.as_str();
        self.set_status_of(STATUS_CONTEXT, sha, state, description, run_url)
            .await
    }

    /// Sets the status of a context on a commit. `state` is GitHub's word.
    ///
    /// # Errors
    /// The status is not there.
    pub(crate) async fn set_status_of(
        &self,
        context: &str,
        sha: &str,
        state: &str,
        description: &str,
        run_url: &str,
    ) -> Result<(), ApiError> {
        #[derive(Serialize)]
        struct Body<'a> {
            state: &'a str,
            target_url: &'a str,
            description: &'a str,
            context: &'a str,
        }
        let body = Body {
            state,
            target_url: run_url,
            description,
            context,
        };
        let route = self.route(&format!("statuses/{sha}"));
        let statuses = self.route(&format!("commits/{sha}/statuses?per_page={PAGE}"));
        let send = || async {
            self.http
                .send::<Value>(Method::Post, &route, Some(&body))
                .await?;
            Ok(())
        };
        let find = || async {
            let newest_first: Vec<StatusObject> = self
                .http
                .send(Method::Get, &statuses, None::<&Value>)
                .await?;
            let is_there = newest(&newest_first, context).is_some_and(|status| {
                status.state == state
                    && status.target_url.as_deref() == Some(run_url)
                    && status
                        .description
                        .as_ref()
                        .is_none_or(|words| words == description)
            });
            Ok(is_there.then_some(()))
        };
        self.http.sent_once(send, find).await
    }
}
