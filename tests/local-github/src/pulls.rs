//! Pull requests: what Git does to them, and they to Git.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::clock;
use crate::git;
use crate::state::{Pull, Shared, State};

impl State {
    /// Opens a pull request, which is to be published.
    ///
    /// # Errors
    /// GitHub's reason for not opening it.
    pub(crate) fn add_pull(
        &mut self,
        head: u64,
        branch: &str,
        author: &str,
        title: &str,
    ) -> Result<u64, String> {
        self.require_head(head, branch)?;
        let pull = Pull {
            id: self.new_id(),
            head,
            head_branch: branch.to_owned(),
            head_sha: String::new(),
            base_branch: self.base().default_branch.clone(),
            base_sha: String::new(),
            merge_sha: None,
            merged_by: None,
            draft: false,
        };
        Ok(self.add_issue(author, title, Some(pull)))
    }

    /// Opens a pull request again.
    ///
    /// # Errors
    /// GitHub's reason for not opening it.
    pub(crate) fn reopen(&mut self, shared: &Shared, number: u64) -> Result<(), String> {
        let pull = self.pull_mut(number).clone();
        if pull.merged_by.is_some() || self.issues[&number].closed.is_none() {
            return Err(format!(
                "Validation Failed: #{number} is not closed, or is merged"
            ));
        }
        self.require_head(pull.head, &pull.head_branch)?;
        self.issue_mut(number).closed = None;
        self.publish(shared, &[number]);
        Ok(())
    }

    /// Whether a pull request may be open from this branch.
    fn require_head(&self, head: u64, branch: &str) -> Result<(), String> {
        let record = &self.repositories[&head];
        let tip = git::tip(&record.git_dir, &format!("refs/heads/{branch}"));
        if record.deleted || tip.is_none() {
            return Err(format!(
                "Validation Failed: head `{branch}` does not exist in {}",
                record.full_name()
            ));
        }
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
        Ok(())
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
        let (gone, moved): (Vec<_>, Vec<_>) = moved.into_iter().partition(|(_, tip)| tip.is_none());
        for (number, _) in gone {
            self.close(number);
        }
        let moved: Vec<_> = moved.into_iter().map(|(number, _)| number).collect();
        self.publish(shared, &moved);
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
    pub(crate) fn publish(&mut self, shared: &Shared, numbers: &[u64]) {
        if numbers.is_empty() {
            return;
        }
        let base = self.base().git_dir.clone();
        let mut references = String::new();
        let mut fetched: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
        // Many may be of the same two commits.
        let mut merges: BTreeMap<(String, String), Option<String>> = BTreeMap::new();
        for number in numbers {
            let pull = self.pull_mut(*number).clone();
            let from = self.repositories[&pull.head].git_dir.clone();
            let head_sha = git::tip(&from, &format!("refs/heads/{}", pull.head_branch));
            let head_sha = head_sha.expect("the head branch");
            if from != base {
                // The commit, whatever the branch is at by then.
                fetched.entry(from).or_default().push(head_sha.clone());
            }
            let pull = self.pull_mut(*number);
            pull.head_sha = head_sha;
        }
        for (from, commits) in fetched {
            let from = from.to_str().expect("a directory in UTF-8");
            let mut command = git::command(&base, 0);
            command.args(["fetch", "--quiet", "--no-write-fetch-head", "--stdin", from]);
            git::feed(command, commits.join("\n").as_bytes()).expect("the commits of a fork");
        }
        for number in numbers {
            let pull = self.pull_mut(*number).clone();
            let head_sha = pull.head_sha;
            let base_sha = git::tip(&base, &format!("refs/heads/{}", pull.base_branch));
            let base_sha = base_sha.expect("the base branch");
            let merged = merges.entry((base_sha.clone(), head_sha.clone()));
            let merge_sha = merged.or_insert_with(|| {
                let message = format!("Merge {head_sha} into {base_sha}");
                merge_commit(&base, &base_sha, &head_sha, &message, shared.tick())
            });
            references += &format!("update refs/pull/{number}/head {head_sha}\n");
            references += &match merge_sha {
                Some(sha) => format!("update refs/pull/{number}/merge {sha}\n"),
                None => format!("delete refs/pull/{number}/merge\n"),
            };
            let merge_sha = merge_sha.clone();
            let pull = self.pull_mut(*number);
            (pull.base_sha, pull.merge_sha) = (base_sha, merge_sha);
            self.issue_mut(*number).updated = clock::now();
        }
        git::update_references(&base, &references);
    }

    /// Whether a commit of this full name is in the base repository.
    pub(crate) fn has_commit(&self, sha: &str) -> bool {
        let mut pulls = self.issues.values().filter_map(|issue| issue.pull.as_ref());
        // A head is published there, so Git need not be asked for most.
        pulls.any(|pull| pull.head_sha == sha) || git::has_commit(&self.base().git_dir, sha)
    }

    /// The commit of the base repository that a name means, as [`git::resolve`] finds it.
    pub(crate) fn resolve(&self, reference: &str) -> Option<String> {
        git::resolve(&self.base().git_dir, reference)
    }

    /// Brings the merge commit up to the base branch of now.
    pub(crate) fn refresh_merge(&mut self, shared: &Shared, number: u64) {
        let pull = self.pull_mut(number).clone();
        let base = git::tip(
            &self.base().git_dir,
            &format!("refs/heads/{}", pull.base_branch),
        );
        if base != Some(pull.base_sha) && !self.repositories[&pull.head].deleted {
            self.publish(shared, &[number]);
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
