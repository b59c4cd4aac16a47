//! The statuses of a commit.

use super::{Answered, Call, check_status};
use crate::access::Need;
use crate::clock;
use crate::http::Answer;
use crate::state::{State, StatusRecord};

/// The states that a status may have.
pub(crate) const STATES: [&str; 4] = ["error", "failure", "pending", "success"];

impl Call<'_> {
    pub(super) fn create_status(&self, state: &mut State, sha: &str) -> Answered {
        state.require(self.caller, Need::WRITE_STATUSES)?;
        let body = self.body()?;
        check_status("Status", &body, &STATES, &["target_url"])?;
        if !state.has_commit(sha) {
            return Err(Answer::error(
                422,
                &format!("No commit found for SHA: {sha}"),
            ));
        }
        let text = |field: &str| body[field].as_str().map(str::to_owned);
        let status = StatusRecord {
            id: state.new_id(),
            sha: sha.to_owned(),
            state: text("state").unwrap_or_default(),
            context: text("context").unwrap_or_else(|| "default".to_owned()),
            description: text("description"),
            target_url: text("target_url"),
            login: self.caller.login.clone(),
            created: clock::now(),
        };
        let answer = Answer::json(201, &state.status_json(&status));
        state.statuses.push(status);
        Ok(answer)
    }

    pub(super) fn statuses(&self, state: &State, sha: &str) -> Answered {
        state.require(self.caller, Need::READ_STATUSES)?;
        let newest_first = state
            .statuses
            .iter()
            .rev()
            .filter(|status| status.sha == sha);
        Ok(self.page(newest_first.collect(), |status| state.status_json(status)))
    }

    /// The newest status of each context, and what they come to.
    pub(super) fn combined_status(&self, state: &State, reference: &str) -> Answered {
        state.require(self.caller, Need::READ_STATUSES)?;
        let sha = state.resolve(reference).ok_or_else(Answer::not_found)?;
        let newest = state.newest_statuses(&sha);
        Ok(self.page_within(
            newest.clone(),
            |status| state.newest_status_json(status),
            |page| state.combined_json(&sha, &newest, page),
        ))
    }
}
