//! Fetches the tip, and no more of its history than a run needs.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use git2::{AutotagOption, ErrorClass, FetchOptions, Oid, RemoteCallbacks};

use crate::git::error::{TransferError, Verdict};
use crate::git::{CommitId, Session, TIP};
use crate::model::failure::Failure;
use crate::plan::Tip;

/// More objects than this may be a whole history instead of what came since: a shallow repository has nothing to connect
/// the second parent of a merge to, so the server would send all that is behind it.
const OBJECT_LIMIT: usize = 10_000;

/// How many generations are fetched instead, where those are fewer objects.
const DEPTH: i32 = 50;

/// What one fetch came to.
enum FetchOutcome {
    Tip(Oid),
    /// The server was about to send a whole history.
    TooLarge,
    /// Worth another attempt; the server's answer.
    Retry(String),
    Failed(Failure),
}

impl Session {
    /// Fetches the remote tip and reads what a plan needs of it, again and again until it is there or the time is over.
    pub(crate) fn fetch_tip(&mut self) -> Result<(CommitId, Tip), Failure> {
        let mut too_large = 0;
        loop {
            let depth = match (self.tip(), too_large) {
                // The first tip needs no history, unless a checkout has to follow it. Later tips do: our commit is searched
                // for in them.
                (None, 0) if !self.has_checkout_of_target() => Some(1),
                (_, 1) => Some(DEPTH),
                _ => None,
            };
            let is_bounded = too_large < 2 && self.repository.is_shallow();
            match self.fetch(depth, is_bounded)? {
                FetchOutcome::TooLarge => too_large += 1,
                FetchOutcome::Tip(tip) => match self.read_tip(tip)? {
                    Some(contents) => return Ok((CommitId(tip), contents)),
                    None => {
                        self.leave_workspace()?;
                        too_large = 0;
                    }
                },
                FetchOutcome::Failed(Failure::Broken(_)) if self.workspace.is_some() => {
                    self.leave_workspace()?;
                    too_large = 0;
                }
                FetchOutcome::Failed(failure) => return Err(failure),
                FetchOutcome::Retry(answer) => {
                    self.note_answer(answer);
                    self.check_time()?;
                    self.pause(Duration::ZERO);
                }
            }
        }
    }

    /// Fetches the tip and what is new in its history, or `depth` generations of it. A bounded fetch ends past
    /// [`OBJECT_LIMIT`].
    fn fetch(&self, depth: Option<i32>, is_bounded: bool) -> Result<FetchOutcome> {
        let is_too_large = Cell::new(false);
        let mut remote = self.repository.remote_anonymous(&self.target.url)?;
        let mut callbacks = RemoteCallbacks::new();
        callbacks.transfer_progress(|progress| {
            is_too_large.set(is_bounded && progress.total_objects() > OBJECT_LIMIT);
            !self.cancellation.is_cancelled() && !is_too_large.get()
        });
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(callbacks)
            .download_tags(AutotagOption::None)
            .update_fetchhead(false);
        if let Some(depth) = depth {
            options.depth(depth);
        }
        let branch = &self.target.branch;
        let refspec = format!("+refs/heads/{branch}:{TIP}");
        let connection = self.connection(Some(&self.cancellation));
        let fetched = connection.lend(|| remote.fetch(&[refspec], Some(&mut options), None));
        drop(options);
        match fetched {
            Err(_) if is_too_large.get() => return Ok(FetchOutcome::TooLarge),
            Err(error) => return Ok(self.failed_fetch(&error)),
            Ok(()) => {}
        }
        let advertised = remote.list().context("listing the remote's branches")?;
        if !advertised
            .iter()
            .any(|head| head.name() == format!("refs/heads/{branch}"))
        {
            let words = if advertised.is_empty() {
                format!(
                    "{} is empty: push a first commit to `{branch}`",
                    self.target.url
                )
            } else {
                format!(
                    "{} has no branch `{branch}`: set the input `branch` to the one Flux watches",
                    self.target.url
                )
            };
            return Ok(FetchOutcome::Failed(Failure::BranchMissing(words)));
        }
        let tip = self
            .tip()
            .with_context(|| format!("`{branch}` was fetched, but its tip is not there"))?;
        Ok(FetchOutcome::Tip(tip))
    }

    fn failed_fetch(&self, error: &TransferError) -> FetchOutcome {
        let words = format!(
            "fetching `{}` from {}: {}",
            self.target.branch,
            self.target.url,
            error.words()
        );
        let words = self.target.token.redact(&words);
        match error.verdict() {
            _ if self.cancellation.is_cancelled() => FetchOutcome::Failed(Failure::Interrupted),
            // The server took for granted what a partial clone does not have.
            Verdict::Retry if self.workspace.is_some() && error.words().contains("delta bases") => {
                FetchOutcome::Failed(Failure::Broken(anyhow!(words)))
            }
            Verdict::Retry => FetchOutcome::Retry(words),
            Verdict::Forbidden(barrier) => FetchOutcome::Failed(Failure::Forbidden(barrier, words)),
            Verdict::Final if error.error.class() == ErrorClass::Os => {
                let place = self.repository.path().display();
                FetchOutcome::Failed(Failure::Broken(anyhow!("{words} (in {place})")))
            }
            Verdict::Final => FetchOutcome::Failed(Failure::Broken(anyhow!(words))),
        }
    }
}
