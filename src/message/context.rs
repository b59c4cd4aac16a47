//! What every message may mention, and the lines that several messages share.

use chrono::{DateTime, Utc};

use crate::message::markdown::{code, link, shortened};
use crate::model::sha::{Sha, short};

/// The longest description of a commit status, in characters
/// ([API](https://docs.github.com/rest/commits/statuses#create-a-commit-status)).
pub(crate) const DESCRIPTION_LENGTH: usize = 140;

/// What every message may mention.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) pull_request: u64,
    /// The head branch and its commit, if GitHub said.
    pub(crate) head: Option<(String, Sha)>,
    /// Whether the pull request is neither closed nor merged, as far as is known.
    pub(crate) is_open: bool,
    pub(crate) target_branch: String,
    /// The page of the repository.
    pub(crate) repository_url: String,
    pub(crate) run_url: String,
    /// The page about refusals and failures, with a heading for each reason.
    pub(crate) help_url: String,
    pub(crate) deploy_command: String,
    pub(crate) destroy_command: String,
    /// The label, where it made the request.
    pub(crate) label: Option<String>,
    pub(crate) now: DateTime<Utc>,
}

impl Context {
    /// The branch and its commit, or the pull request where the branch is not known.
    pub(crate) fn head_row(&self) -> (&'static str, String) {
        match &self.head {
            Some((branch, commit)) => self.branch_row(branch, commit.as_str()),
            None => ("Pull request", self.pull_request.to_string()),
        }
    }

    /// A branch, and a commit with a link to its page.
    pub(crate) fn branch_row(&self, branch: &str, commit: &str) -> (&'static str, String) {
        let commit = match Sha::parse(commit) {
            Some(sha) => {
                let page = format!("{}/commit/{sha}", self.repository_url);
                link(&code(sha.short()), &page)
            }
            None => code(short(commit)),
        };
        ("Branch", format!("{} at {commit}", code(branch)))
    }

    /// What the action did on the target branch, and in which run.
    pub(crate) fn change_row(&self, words: &str, url: &str) -> (&'static str, String) {
        let change = format!("{} on {}", link(words, url), code(&self.target_branch));
        ("Change", format!("{change} · {}", self.run()))
    }

    /// A link to this run.
    pub(crate) fn run(&self) -> String {
        link("run", &self.run_url)
    }

    /// When Flux sees a change.
    pub(crate) fn next_poll(&self) -> String {
        format!(
            "Flux polls {} every minute by default, or immediately when a webhook notifies it.",
            code(&self.target_branch)
        )
    }

    pub(crate) fn how_to_deploy_again(&self) -> String {
        let deploy = code(&self.deploy_command);
        match self.is_open {
            true => format!("To deploy again, comment {deploy}."),
            false => format!("To deploy again, reopen the pull request and comment {deploy}."),
        }
    }

    /// The deploy command with an argument, as code.
    pub(crate) fn deploy_with(&self, argument: &str) -> String {
        code(&format!("{} {argument}", self.deploy_command))
    }

    /// What stands below a message about what went wrong.
    pub(crate) fn footer(&self, reason: &str) -> String {
        let head = match &self.head {
            Some((branch, commit)) => format!("{} at {}", code(branch), code(commit.short())),
            None => format!("Pull request {}", self.pull_request),
        };
        format!("{head} · {} · {}", more(&self.help_url, reason), self.run())
    }
}

/// A link to what the docs say of a reason.
pub(crate) fn more(help_url: &str, reason: &str) -> String {
    link("More about this", &format!("{help_url}#{reason}"))
}

/// The text of a message that says why something did not happen, what to do, and where to read on.
pub(crate) fn notice(title: &str, why: &str, remedy: &str, footer: &str) -> String {
    format!("{title}\n\n{why}\n\n**What to do:** {remedy}\n\n{footer}")
}

/// A word and a reason, as a person reads it.
pub(crate) fn with_reason(word: &str, reason: &str) -> String {
    format!("{word}: {}", reason.replace('-', " "))
}

/// The description of a commit status that ends with a reason.
pub(crate) fn ended_in_short(word: &str, reason: &str) -> String {
    shortened(&with_reason(word, reason), DESCRIPTION_LENGTH)
}
