//! Commits a change, and pushes it onto the tip that it was made for.

use std::cell::RefCell;

use anyhow::{Context, Result, anyhow};
use git2::build::TreeUpdateBuilder;
use git2::{
    ErrorClass, ErrorCode, FileMode, Oid, PushOptions, RemoteCallbacks, RemoteRedirect, Signature,
};

use crate::git::Session;
use crate::git::error::{Verdict, is_lost_race, is_passing, verdict, words_of_error};
use crate::model::failure::Failure;
use crate::plan::Change;

/// Author and committer: [GitHub's own bot](https://api.github.com/users/github-actions%5Bbot%5D).
const BOT: (&str, &str) = (
    "github-actions[bot]",
    "41898282+github-actions[bot]@users.noreply.github.com",
);

/// What one push came to.
pub(crate) enum Push {
    Landed,
    /// Worth another try: somebody was faster, or no clear answer came.
    Again(String),
    Failed(Failure),
}

impl Session {
    /// Commits the change onto `tip`; `None` where it makes no difference.
    pub(crate) fn commit(&self, tip: Oid, change: &Change) -> Result<Option<Oid>> {
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

    /// Moves the branch from `tip` to `commit`. What became of it since `tip` was fetched, gone or gone back, is somebody's
    /// doing, and for the next try to see.
    pub(crate) fn push(&self, tip: Oid, commit: Oid) -> Result<Push> {
        let refname = format!("refs/heads/{}", self.target.branch);
        // What the server says besides its status: hook output, GitHub's own reasons.
        let said = RefCell::new(Vec::new());
        let status: RefCell<Option<Option<String>>> = RefCell::new(None);
        let mut callbacks = RemoteCallbacks::new();
        callbacks.push_negotiation(|updates| {
            match updates.iter().all(|update| update.src() == tip) {
                true => Ok(()),
                false => Err(git2::Error::new(
                    ErrorCode::NotFastForward,
                    ErrorClass::Reference,
                    "the branch has moved meanwhile",
                )),
            }
        });
        // Never ended from here: once the pack is sent, the answer says whether the change landed.
        callbacks.sideband_progress(|text| {
            said.borrow_mut().extend_from_slice(text);
            true
        });
        callbacks.push_update_reference(|name, refused| {
            if name == refname {
                *status.borrow_mut() = Some(refused.map(str::to_owned));
            }
            Ok(())
        });
        let mut options = PushOptions::new();
        options
            .remote_callbacks(callbacks)
            .follow_redirects(RemoteRedirect::None)
            .packbuilder_parallelism(1)
            .custom_headers(&[&self.authorization()]);
        let mut remote = self.repository.remote_anonymous(&self.target.url)?;
        let pushed = remote.push(&[format!("{commit}:{refname}")], Some(&mut options));
        drop(options);
        let said = String::from_utf8_lossy(&said.into_inner()).into_owned();
        // What the server says of the branch counts, even if something went wrong behind it.
        Ok(match (status.into_inner(), pushed) {
            (Some(None), _) => Push::Landed,
            (Some(Some(reason)), _) => self.rejected(&reason, &said),
            (None, Ok(())) => Push::Again("the server said nothing about the branch".to_owned()),
            (None, Err(error)) => {
                let words = self.words_of(
                    &format!("pushing to {}: {}", self.target.url, words_of_error(&error)),
                    &said,
                );
                match verdict(&error) {
                    _ if self.stop.is_stopped() => Push::Failed(Failure::Interrupted),
                    Verdict::Again => Push::Again(words),
                    Verdict::Forbidden => Push::Failed(Failure::Forbidden(words)),
                    Verdict::Final => Push::Failed(Failure::Broken(anyhow!(words))),
                }
            }
        })
    }

    fn rejected(&self, reason: &str, said: &str) -> Push {
        let words = self.words_of(reason, said);
        if is_lost_race(reason) || is_passing(reason, said) {
            Push::Again(words)
        } else {
            Push::Failed(Failure::Rejected(words))
        }
    }

    /// The status and, below it, what else the server said.
    fn words_of(&self, reason: &str, said: &str) -> String {
        let lines = std::iter::once(reason).chain(said.lines().map(str::trim_end));
        let words: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        self.target.token.redact(&words.join("\n"))
    }
}
