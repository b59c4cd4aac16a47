//! What every message may mention, and the lines that several messages share.

use chrono::{DateTime, Utc};

use crate::message::markdown::{code, shortened};
use crate::message::sections::Message;
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
    /// The line that names the branch, or the pull request where the branch is not known.
    pub(crate) fn head_line(&self) -> String {
        match &self.head {
            Some((branch, commit)) => branch_line(branch, commit.as_str()),
            None => format!("- Pull request: {}", self.pull_request),
        }
    }

    pub(crate) fn run_line(&self) -> String {
        format!("- Run: {}", self.run_url)
    }

    /// When Flux sees a change.
    pub(crate) fn next_poll(&self) -> String {
        format!(
            "Flux polls {} every minute by default, or immediately when a webhook notifies it.",
            code(&self.target_branch)
        )
    }

    /// The line that leads to the commit on the target branch.
    pub(crate) fn commit_line(&self, url: &str) -> String {
        format!("- Commit on {}: {url}", code(&self.target_branch))
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

    /// A message about what went wrong on the pull request.
    pub(crate) fn notice(&self, title: &str, why: &str, remedy: &str, reason: &str) -> Message {
        let facts = [
            self.head_line(),
            self.run_line(),
            help_line(&self.help_url, reason),
        ];
        notice(title, why, remedy, &facts)
    }
}

pub(crate) fn branch_line(branch: &str, commit: &str) -> String {
    format!("- Branch: {} at {}", code(branch), code(short(commit)))
}

pub(crate) fn help_line(help_url: &str, reason: &str) -> String {
    format!("- More about this: {help_url}#{reason}")
}

/// A message that says why something did not happen, what to do, and the facts.
pub(crate) fn notice(title: &str, why: &str, remedy: &str, facts: &[String]) -> Message {
    let facts = facts.join("\n");
    Message::notice(format!(
        "{title}\n\n{why}\n\n**What to do:** {remedy}\n\n{facts}"
    ))
}

/// The description of a commit status that ends with a reason.
pub(crate) fn ended_in_short(word: &str, reason: &str) -> String {
    let text = format!("{word}: {}", reason.replace('-', " "));
    shortened(&text, DESCRIPTION_LENGTH)
}
