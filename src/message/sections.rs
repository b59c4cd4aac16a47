//! The comment as a whole: what is new, and what is known of the environment from one run to the next.

use chrono::{DateTime, Utc};

use crate::message::markdown::{code, shortened};
use crate::model::instance::fingerprint;
use crate::model::sha::{Sha, short};

/// Finds our comment again; invisible to a reader.
pub(crate) const MARKER: &str = "<!-- flux-ephemeral-env -->";

/// Around what is known of the environment, so that a later refusal or failure need not forget it. The first line goes on
/// with the fingerprint of the instances that are spoken of.
pub(crate) const STATE: (&str, &str) = ("<!-- state ", "<!-- /state -->");

/// The end of the first line.
const STATE_CLOSED: &str = " -->";

/// The title of a failure.
pub(crate) const FAILED: &str = "### 👎 Failed";

/// Longest comment that GitHub takes, in characters.
pub(crate) const COMMENT_LENGTH: usize = 65_536;

/// What every message may speak of.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// The pull request.
    pub(crate) pull_request: u64,
    /// The head branch and its commit, where GitHub told.
    pub(crate) head: Option<(String, Sha)>,
    /// Whether the pull request is neither closed nor merged, as far as is known.
    pub(crate) is_open: bool,
    /// The branch Flux watches.
    pub(crate) target_branch: String,
    /// The page of this run.
    pub(crate) run_url: String,
    /// The page about refusals and failures, with a heading for each reason.
    pub(crate) help_url: String,
    /// How to deploy.
    pub(crate) deploy_command: String,
    /// How to destroy.
    pub(crate) destroy_command: String,
    /// The label that this was asked for by.
    pub(crate) label: Option<String>,
    /// What time it is.
    pub(crate) now: DateTime<Utc>,
}

/// A message, and whether it replaces what the comment said of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) text: String,
    /// The fingerprint of the instances that it speaks of, where it does.
    pub(crate) state: Option<String>,
}

impl Message {
    /// The whole comment, given what it said before.
    pub(crate) fn body(&self, before: Option<&str>) -> String {
        if let Some(fingerprint) = &self.state {
            return format!("{MARKER}\n{}", section(fingerprint, &self.text));
        }
        let alone = format!("{MARKER}\n{}\n", self.text);
        let Some((fingerprint, state)) = before.and_then(state) else {
            return alone;
        };
        let both = format!(
            "{alone}\n---\n\nWhat is known of the environment:\n\n{}",
            section(fingerprint, &state)
        );
        // Somebody may have edited the comment; what is new goes first where there is no room for both.
        if both.chars().count() > COMMENT_LENGTH {
            alone
        } else {
            both
        }
    }

    /// Whether it says what became of the environment.
    pub(crate) fn is_state(&self) -> bool {
        self.state.is_some()
    }

    /// The message alone, for the job summary.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

pub(crate) fn section(fingerprint: &str, text: &str) -> String {
    let (start, end) = STATE;
    format!("{start}{fingerprint}{STATE_CLOSED}\n{text}\n{end}\n")
}

/// Fingerprint and text of the section that [`Message::body`] puts last. Markers that stand elsewhere are somebody's text.
pub(crate) fn state(body: &str) -> Option<(&str, String)> {
    let lines: Vec<&str> = body.trim_end().lines().collect();
    let (_, lines) = lines.split_last().filter(|(last, _)| **last == STATE.1)?;
    let mut backwards = lines.iter().enumerate().rev();
    let (start, fingerprint) = backwards.find_map(|(index, line)| {
        let fingerprint = line.strip_prefix(STATE.0)?.strip_suffix(STATE_CLOSED)?;
        Some((index, fingerprint))
    })?;
    Some((fingerprint, lines.get(start + 1..)?.join("\n")))
}

/// The fingerprint of the instances that a comment of ours speaks of, `None` where it speaks of none that was.
pub(crate) fn spoken_of(body: &str) -> Option<&str> {
    state(body).map(|(fingerprint, _)| fingerprint)
}

/// Whether a comment of ours has to be written anew where a pull request has no environment: it speaks of one, or of a
/// failure to take it down.
pub(crate) fn is_outdated_without_environment(body: &str) -> bool {
    let is_failure = || body.lines().nth(1) == Some(FAILED);
    spoken_of(body).is_some_and(|spoken_of| spoken_of != fingerprint(&[]) || is_failure())
}

/// A message of these lines, after which there is no environment.
pub(crate) fn gone<const N: usize>(lines: [String; N]) -> Message {
    Message {
        text: lines.join("\n"),
        state: Some(fingerprint(&[])),
    }
}

/// What went wrong on a pull request, and where.
pub(crate) fn notice_on(
    context: &Context,
    title: &str,
    why: &str,
    remedy: &str,
    reason: &str,
) -> Message {
    let facts = [
        head(context),
        format!("- Run: {}", context.run_url),
        more_about(&context.help_url, reason),
    ];
    notice(title, why, remedy, &facts)
}

pub(crate) fn more_about(help_url: &str, reason: &str) -> String {
    format!("- More about this: {help_url}#{reason}")
}

pub(crate) fn notice(title: &str, why: &str, remedy: &str, facts: &[String]) -> Message {
    let facts = facts.join("\n");
    Message {
        text: format!("{title}\n\n{why}\n\n**What to do:** {remedy}\n\n{facts}"),
        state: None,
    }
}

pub(crate) fn way_back(context: &Context) -> String {
    let deploy = code(&context.deploy_command);
    if context.is_open {
        format!("Comment {deploy} to bring one up again.")
    } else {
        format!("To bring one up again, reopen the pull request and comment {deploy}.")
    }
}

pub(crate) fn head(context: &Context) -> String {
    match &context.head {
        Some((branch, commit)) => branch_at(branch, commit.as_str()),
        None => format!("- Pull request: {}", context.pull_request),
    }
}

pub(crate) fn branch_at(branch: &str, commit: &str) -> String {
    format!("- Branch: {} at {}", code(branch), code(short(commit)))
}

pub(crate) fn next_look(context: &Context) -> String {
    format!(
        "Flux sees the change at its next look at {} (every minute by default, at once where a webhook tells it).",
        code(&context.target_branch)
    )
}

pub(crate) fn deploy_with(context: &Context, argument: &str) -> String {
    code(&format!("{} {argument}", context.deploy_command))
}

/// Longest description of a commit status, in characters
/// ([API](https://docs.github.com/rest/commits/statuses#create-a-commit-status)).
pub(crate) const DESCRIPTION_LENGTH: usize = 140;

/// The one line of a commit status for a refusal or failure.
pub(crate) fn ended_in_short(word: &str, code: &str) -> String {
    shortened(
        &format!("{word}: {}", code.replace('-', " ")),
        DESCRIPTION_LENGTH,
    )
}

/// The one line of a commit status while the work goes on.
pub(crate) const PENDING: &str = "Working on it";

/// The job summary: what the pull request is told, and the outputs.
pub(crate) fn summary(outputs: &[(&str, String)], message: Option<&Message>) -> String {
    let mut lines = vec!["## flux-ephemeral-env".to_owned(), String::new()];
    if let Some(message) = message {
        lines.extend([message.text().to_owned(), String::new()]);
    }
    lines.extend(
        outputs
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("- {name}: {}", code(value))),
    );
    lines.join("\n") + "\n"
}
