//! Our commit status.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::github::http::{ApiError, Method};
use crate::github::{GitHub, PAGE};
use crate::model::notification::StatusState;

/// Name of our commit status.
const STATUS_CONTEXT: &str = "flux-ephemeral-env";

#[derive(Deserialize)]
struct StatusObject {
    state: String,
    context: String,
    target_url: Option<String>,
    description: Option<String>,
}

impl GitHub {
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
        #[derive(Serialize)]
        struct Body<'a> {
            state: &'a str,
            target_url: &'a str,
            description: &'a str,
            context: &'a str,
        }
        let body = Body {
            state: state.as_str(),
            target_url: run_url,
            description,
            context: STATUS_CONTEXT,
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
            let newest: Vec<StatusObject> = self
                .http
                .send(Method::Get, &statuses, None::<&Value>)
                .await?;
            let is_there = newest
                .iter()
                .find(|status| status.context == STATUS_CONTEXT)
                .is_some_and(|status| {
                    status.state == state.as_str()
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
