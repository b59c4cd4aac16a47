//! Pull requests: what Git does to them, and they to Git.

use std::path::Path;

use crate::clock;
use crate::git;
use crate::state::{Pull, Shared, State};

impl State {
    /// # Errors
    /// GitHub's reason for not opening it.
    pub(crate) fn open_pull(
        &mut self,
        shared: &Shared,
        head: u64,
        branch: &str,
        author: &str,
        title: &str,
    ) -> Result<u64, String> {
        let record = &self.repositories[&head];
        let tip = git::tip(&record.git_dir, &format!("refs/heads/{branch}"));
        let (Some(head_sha), false) = (tip, record.deleted) else {
            return Err(format!(
                "Validation Failed: head `{branch}` does not exist in {}",
                record.full_name()
            ));
        };
        let same_head = |pull: &Pull| pull.head == head && pull.head_branch == branch;
        if self
            .issues
            .values()
            .any(|issue| issue.closed.is_none() && issue.pull.as_ref().is_some_and(same_head))
        {
            return Err(format!(
                "A pull request already exists for {}:{branch}.",
                record.owner
            ));
        }
        let pull = Pull {
            id: self.new_id(),
            head,
            head_branch: branch.to_owned(),
            head_sha,
            base_branch: self.base().default_branch.clone(),
            base_sha: String::new(),
            merge_sha: None,
            merged_by: None,
        };
        let number = self.add_issue(author, title, Some(pull));
        self.publish(shared, number);
        Ok(number)
    }

    /// Pull requests follow their branches while they are open, and close when the branch is deleted. They stay open
    /// when its whole repository is.
    pub(crate) fn follow_heads(&mut self, shared: &Shared) {
        let open = self.issues.values().filter(|issue| issue.closed.is_none());
        let moved: Vec<_> = open
            .filter_map(|issue| {
                let pull = issue.pull.as_ref()?;
                let head = self
                    .repositories
                    .get(&pull.head)
                    .filter(|head| !head.deleted)?;
                let tip = git::tip(&head.git_dir, &format!("refs/heads/{}", pull.head_branch));
                (tip.as_ref() != Some(&pull.head_sha)).then_some((issue.number, tip))
            })
            .collect();
        for (number, tip) in moved {
            if tip.is_some() {
                self.publish(shared, number);
            } else {
                self.close(number);
            }
        }
    }

    pub(crate) fn close(&mut self, number: u64) {
        let issue = self.issue_mut(number);
        issue.updated = clock::now();
        issue.closed.get_or_insert_with(clock::now);
    }

    /// The branch and the pull request move together, so that it does not close as it would with a deleted branch.
    pub(crate) fn rename_head(&mut self, shared: &Shared, number: u64, new: &str, login: &str) {
        let pull = self.pull_mut(number).clone();
        let git_dir = &self.repositories[&pull.head].git_dir;
        let (old, renamed) = (
            format!("refs/heads/{}", pull.head_branch),
            format!("refs/heads/{new}"),
        );
        // One after the other, for one name may be a directory of the other.
        git::git(git_dir, &["update-ref", "-d", &old]);
        git::git(git_dir, &["update-ref", &renamed, &pull.head_sha, ""]);
        self.pull_mut(number).head_branch = new.to_owned();
        self.announce(shared, login);
    }

    /// # Errors
    /// GitHub's reason for not merging it.
    pub(crate) fn merge(
        &mut self,
        shared: &Shared,
        number: u64,
        login: &str,
    ) -> Result<String, String> {
        if self.issue_mut(number).closed.is_some() {
            return Err("Pull Request is not mergeable: it is closed".to_owned());
        }
        self.refresh_merge(shared, number);
        let git_dir = self.base().git_dir.clone();
        let pull = self.pull_mut(number).clone();
        let owner = &self.repositories[&pull.head].owner;
        let message = format!(
            "Merge pull request #{number} from {owner}/{}",
            pull.head_branch
        );
        let merge = merge_commit(
            &git_dir,
            &pull.base_sha,
            &pull.head_sha,
            &message,
            shared.tick(),
        )
        .ok_or("Pull Request is not mergeable: it has conflicts")?;
        let reference = format!("refs/heads/{}", pull.base_branch);
        git::try_git(
            &git_dir,
            &["update-ref", &reference, &merge, &pull.base_sha],
        )?;
        *self.pull_mut(number) = Pull {
            merge_sha: Some(merge.clone()),
            merged_by: Some(login.to_owned()),
            ..pull
        };
        self.close(number);
        self.announce(shared, login);
        Ok(merge)
    }

    /// # Panics
    /// Where it is no pull request: a mistake in a test.
    pub(crate) fn pull_mut(&mut self, number: u64) -> &mut Pull {
        self.issue_mut(number)
            .pull
            .as_mut()
            .unwrap_or_else(|| panic!("#{number} is no pull request"))
    }

    /// Writes `refs/pull/<number>/head` and `…/merge` in the base repository, as GitHub does on opening and on a push.
    pub(crate) fn publish(&mut self, shared: &Shared, number: u64) {
        let base = self.base().git_dir.clone();
        let pull = self.pull_mut(number).clone();
        let (head, merge) = (
            format!("refs/pull/{number}/head"),
            format!("refs/pull/{number}/merge"),
        );

        let from = &self.repositories[&pull.head].git_dir;
        let branch = format!("refs/heads/{}", pull.head_branch);
        if *from == base {
            git::git(&base, &["update-ref", &head, &branch]);
        } else {
            let from = from.to_str().expect("a directory in UTF-8");
            git::git(
                &base,
                &[
                    "fetch",
                    "--quiet",
                    "--no-write-fetch-head",
                    from,
                    &format!("+{branch}:{head}"),
                ],
            );
        }
        let head_sha = git::tip(&base, &head).expect("what was just written");

        let base_sha =
            git::tip(&base, &format!("refs/heads/{}", pull.base_branch)).expect("the base branch");
        let message = format!("Merge {head_sha} into {base_sha}");
        let merge_sha = merge_commit(&base, &base_sha, &head_sha, &message, shared.tick());
        if let Some(sha) = &merge_sha {
            git::git(&base, &["update-ref", &merge, sha]);
        } else {
            git::git(&base, &["update-ref", "-d", &merge]);
        }

        let updated = Pull {
            head_sha,
            base_sha,
            merge_sha,
            ..pull
        };
        *self.pull_mut(number) = updated;
        self.issue_mut(number).updated = clock::now();
    }

    /// Brings the merge commit up to the base branch of now.
    pub(crate) fn refresh_merge(&mut self, shared: &Shared, number: u64) {
        let pull = self.pull_mut(number).clone();
        let base = git::tip(
            &self.base().git_dir,
            &format!("refs/heads/{}", pull.base_branch),
        );
        if base != Some(pull.base_sha) && !self.repositories[&pull.head].deleted {
            self.publish(shared, number);
        }
    }
}

/// None where the two conflict.
fn merge_commit(
    git_dir: &Path,
    base: &str,
    head: &str,
    message: &str,
    seconds: u64,
) -> Option<String> {
    let tree = git::try_git(git_dir, &["merge-tree", "--write-tree", base, head]).ok()?;
    let mut command = git::command(git_dir, seconds);
    command.args(["commit-tree", "-p", base, "-p", head, "-m", message, &tree]);
    Some(git::text(git::feed(command, b"").expect("a merge commit")))
}
