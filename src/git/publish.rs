//! The loop.

use std::time::Instant;

use anyhow::{Context, Result};
use git2::Oid;

use crate::decide::refusal::Refusal;
use crate::git::Session;
use crate::git::push::Push;
use crate::model::failure::Failure;
use crate::plan::{Plan, Published, Tip};

impl Session {
    /// Computes the plan at the remote tip and pushes it as one commit, until it lands or the time is over.
    ///
    /// `plan` is asked anew for every tip.
    ///
    /// # Errors
    /// Why the change did not land.
    pub(crate) fn publish(
        &mut self,
        plan: impl Fn(&Tip) -> Result<Result<Plan, Refusal>>,
    ) -> Result<Published, Failure> {
        self.begin(self.target.timeout);
        let mut attempted: Vec<(Oid, Plan)> = Vec::new();
        loop {
            let began = Instant::now();
            let (tip, contents) = self.fetch_tip()?;
            // The answer to a push may have been lost, so look before anything is pushed again, or given up.
            let landed = attempted
                .iter()
                .position(|(commit, _)| self.contains(tip, *commit));
            if let Some(index) = landed {
                let (commit, plan) = attempted.swap_remove(index);
                return Ok(Published::pushed(plan, commit));
            }
            if !attempted.is_empty() {
                self.check_time()?;
            }
            let planned = match plan(&contents)? {
                Ok(planned) => planned,
                Err(refusal) => return Ok(Published::Refused(refusal)),
            };
            let commit = self
                .commit(tip, &planned.change)
                .with_context(|| format!("committing in {}", self.repository.path().display()))?;
            let Some(commit) = commit else {
                return Ok(Published::Unchanged(planned));
            };
            if self.stop.is_stopped() {
                return Err(Failure::Interrupted);
            }
            // Without the push itself, whose answer may be what takes so long.
            let taken = began.elapsed();
            match self.push(tip, commit)? {
                Push::Landed => return Ok(Published::pushed(planned, commit)),
                Push::Failed(failure) => return Err(failure),
                Push::Again(words) => {
                    self.words = words;
                    self.pause(taken);
                    attempted.push((commit, planned));
                }
            }
        }
    }
}
