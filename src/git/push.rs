//! Commits a change, and pushes it onto the tip that it was made for.

use std::cell::RefCell;

use anyhow::{Context, Result, anyhow};
use git2::build::TreeUpdateBuilder;
use git2::{ErrorClass, ErrorCode, FileMode, Oid, PushOptions, RemoteCallbacks, Signature};

use crate::git::error::{TransferError, Verdict, is_lost_race, is_outage};
use crate::git::{CommitId, Session};
use crate::model::failure::Failure;
use crate::plan::Change;

/// Author and committer: [GitHub's own bot](https://api.github.com/users/github-actions%5Bbot%5D).
const BOT: (&str, &str) = (
    "github-actions[bot]",
    "41898282+github-actions[bot]@users.noreply.github.com",
);

/// What one push came to.
pub(crate) enum PushOutcome {
    Landed,
    /// Worth another attempt: somebody was faster, or no clear answer came.
    Retry(String),
    Failed(Failure),
}

/// What the server said about the branch.
enum RefStatus {
    Nothing,
    Updated,
    /// Its reason.
    Refused(String),
}

impl Session {
    /// Commits the change onto `tip`. Returns `None` where it makes no difference.
    pub(crate) fn commit(&self, tip: CommitId, change: &Change) -> Result<Option<CommitId>> {
        let commit = self.write_commit(tip.0, change);
        let place = || format!("committing in {}", self.repository.path().display());
        Ok(commit.with_context(place)?.map(CommitId))
    }

    fn write_commit(&self, tip: Oid, change: &Change) -> Result<Option<Oid>> {
        if change.is_empty() {
            return Ok(None);
        }
        let repository = &self.repository;
        let parent = repository.find_commit(tip)?;
        let tree = parent.tree()?;
        let mut update = TreeUpdateBuilder::new();
        for (path, content) in &change.writes {
            update.upsert(
                path.as_str(),
                repository.blob(content.as_bytes())?,
                FileMode::Blob,
            );
        }
        for path in &change.removals {
            update.remove(path.as_str());
        }
        let changed = update
            .create_updated(repository, &tree)
            .context("building the tree of the commit")?;
        if changed == tree.id() {
            return Ok(None);
        }
        let bot = Signature::now(BOT.0, BOT.1)?;
        let changed = repository.find_tree(changed)?;
        let commit = repository
            .commit(None, &bot, &bot, &change.message, &changed, &[&parent])
            .context("writing the commit")?;
        Ok(Some(commit))
    }

    /// Moves the branch from `tip` to `commit`, and only from there: where it has moved since, or is gone, the next attempt
    /// has to look again.
    pub(crate) fn push(&self, tip: CommitId, commit: CommitId) -> Result<PushOutcome> {
        let refname = format!("refs/heads/{}", self.target.branch);
        // The output of hooks, and GitHub's own reasons.
        let sideband = RefCell::new(Vec::new());
        let status = RefCell::new(RefStatus::Nothing);
        let mut callbacks = RemoteCallbacks::new();
        callbacks.push_negotiation(|updates| {
            match updates.iter().all(|update| update.src() == tip.0) {
                true => Ok(()),
                false => Err(git2::Error::new(
                    ErrorCode::NotFastForward,
                    ErrorClass::Reference,
                    "the branch has moved meanwhile",
                )),
            }
        });
        callbacks.sideband_progress(|text| {
            sideband.borrow_mut().extend_from_slice(text);
            true
        });
        callbacks.push_update_reference(|name, refused| {
            if name == refname {
                *status.borrow_mut() = match refused {
                    None => RefStatus::Updated,
                    Some(reason) => RefStatus::Refused(reason.to_owned()),
                };
            }
            Ok(())
        });
        let mut options = PushOptions::new();
        options
            .remote_callbacks(callbacks)
            .packbuilder_parallelism(1);
        let mut remote = self.repository.remote_anonymous(&self.target.url)?;
        let refspec = format!("{commit}:{refname}");
        // Nothing cancels it: once the pack is sent, only the answer says whether the change landed.
        let connection = self.connection(None);
        let pushed = connection.lend(|| remote.push(&[refspec], Some(&mut options)));
        drop(options);
        let sideband = String::from_utf8_lossy(&sideband.into_inner()).into_owned();
        // What the server says of the branch counts, even if something went wrong after it.
        Ok(match (status.into_inner(), pushed) {
            (RefStatus::Updated, _) => PushOutcome::Landed,
            (RefStatus::Refused(reason), _) => self.refused_push(&reason, &sideband),
            (RefStatus::Nothing, Ok(())) => PushOutcome::Retry(
                "the server did not report whether the branch was updated".to_owned(),
            ),
            (RefStatus::Nothing, Err(error)) => self.failed_push(&error, &sideband),
        })
    }

    fn refused_push(&self, reason: &str, sideband: &str) -> PushOutcome {
        let words = self.server_words(reason, sideband);
        if is_lost_race(reason) || is_outage(reason, sideband) {
            PushOutcome::Retry(words)
        } else {
            PushOutcome::Failed(Failure::Rejected(words))
        }
    }

    fn failed_push(&self, error: &TransferError, sideband: &str) -> PushOutcome {
        let attempted = format!("pushing to {}: {}", self.target.url, error.words());
        let words = self.server_words(&attempted, sideband);
        match error.verdict() {
            _ if self.cancellation.is_cancelled() => PushOutcome::Failed(Failure::Interrupted),
            Verdict::Retry => PushOutcome::Retry(words),
            Verdict::Forbidden(barrier) => PushOutcome::Failed(Failure::Forbidden(barrier, words)),
            Verdict::Final => PushOutcome::Failed(Failure::Broken(anyhow!(words))),
        }
    }

    /// The reason and, below it, what else the server said.
    fn server_words(&self, reason: &str, sideband: &str) -> String {
        let lines = std::iter::once(reason).chain(sideband.lines().map(str::trim_end));
        let words: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        self.target.token.redact(&words.join("\n"))
    }
}
