//! Fetches the tip, and no more of its history than is needed.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use git2::{AutotagOption, ErrorClass, FetchOptions, Oid, RemoteCallbacks, RemoteRedirect};

use crate::git::error::{Verdict, verdict, words_of_error};
use crate::git::{Session, TIP};
use crate::model::failure::Failure;
use crate::plan::Tip;

/// More objects than this may be a whole history and not what came since: the second parent of a merge brings that into a
/// shallow repository, which has nothing to connect it to.
const OBJECT_LIMIT: usize = 10_000;

/// How many generations are asked for instead, where those are fewer objects.
const DEPTH: i32 = 50;

/// What one fetch came to.
enum Fetch {
    Tip(Oid),
    /// The server was about to send a whole history.
    TooLarge,
    Again(String),
    Failed(Failure),
}

impl Session {
    /// The remote tip and what a plan needs of it, asked for until it is there or the time is over.
    pub(crate) fn fetch_tip(&mut self) -> Result<(Oid, Tip), Failure> {
        let mut too_large = 0;
        loop {
            let depth = match (self.tip(), too_large) {
                // The first tip needs no history, unless a checkout is to follow it. Later ones do: they are searched for
                // our commit.
                (None, 0) if !self.follows() => Some(1),
                (_, 1) => Some(DEPTH),
                _ => None,
            };
            let is_bounded = too_large < 2 && self.repository.is_shallow();
            match self.fetch(depth, is_bounded)? {
                Fetch::TooLarge => too_large += 1,
                Fetch::Tip(tip) => match self.read_tip(tip)? {
                    Some(contents) => return Ok((tip, contents)),
                    None => {
                        self.leave_workspace()?;
                        too_large = 0;
                    }
                },
                Fetch::Failed(Failure::Broken(_)) if self.workspace.is_some() => {
                    self.leave_workspace()?;
                    too_large = 0;
                }
                Fetch::Failed(failure) => return Err(failure),
                Fetch::Again(words) => {
                    self.words = words;
                    self.check_time()?;
                    self.pause(Duration::ZERO);
                }
            }
        }
    }

    /// Fetches the tip and what is new of its history, or `depth` generations of it; no more than [`OBJECT_LIMIT`] where it
    /// is bounded.
    fn fetch(&self, depth: Option<i32>, is_bounded: bool) -> Result<Fetch> {
        let is_too_large = Cell::new(false);
        let mut remote = self.repository.remote_anonymous(&self.target.url)?;
        let mut callbacks = RemoteCallbacks::new();
        callbacks.transfer_progress(|progress| {
            is_too_large.set(is_bounded && progress.total_objects() > OBJECT_LIMIT);
            !self.stop.is_stopped() && !is_too_large.get()
        });
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(callbacks)
            .download_tags(AutotagOption::None)
            .update_fetchhead(false)
            .follow_redirects(RemoteRedirect::None)
            .custom_headers(&[&self.authorization()]);
        if let Some(depth) = depth {
            options.depth(depth);
        }
        let branch = &self.target.branch;
        let refspec = format!("+refs/heads/{branch}:{TIP}");
        let fetched = remote.fetch(&[refspec], Some(&mut options), None);
        drop(options);
        match fetched {
            Err(_) if is_too_large.get() => return Ok(Fetch::TooLarge),
            Err(error) => return Ok(self.failed_fetch(&error)),
            Ok(()) => {}
        }
        let advertised = remote.list().context("reading what the server has")?;
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
            return Ok(Fetch::Failed(Failure::BranchMissing(words)));
        }
        let tip = self
            .tip()
            .with_context(|| format!("`{branch}` was fetched, but its tip is not there"))?;
        Ok(Fetch::Tip(tip))
    }

    fn failed_fetch(&self, error: &git2::Error) -> Fetch {
        let words = format!(
            "fetching `{}` from {}: {}",
            self.target.branch,
            self.target.url,
            words_of_error(error)
        );
        let words = self.target.token.redact(&words);
        match verdict(error) {
            _ if self.stop.is_stopped() => Fetch::Failed(Failure::Interrupted),
            // The server took for granted what a partial clone does not have.
            Verdict::Again
                if self.workspace.is_some() && error.message().contains("delta bases") =>
            {
                Fetch::Failed(Failure::Broken(anyhow!(words)))
            }
            Verdict::Again => Fetch::Again(words),
            Verdict::Forbidden => Fetch::Failed(Failure::Forbidden(words)),
            Verdict::Final if error.class() == ErrorClass::Os => {
                let place = self.repository.path().display();
                Fetch::Failed(Failure::Broken(anyhow!("{words} (in {place})")))
            }
            Verdict::Final => Fetch::Failed(Failure::Broken(anyhow!(words))),
        }
    }
}
