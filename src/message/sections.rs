//! The comment as a whole: the newest message, and what is known of the environment from one run to the next.

use crate::model::instance::fingerprint;
use crate::model::notification::MARKER;

/// Around what is known of the environment, so that a later refusal or failure need not forget it. The first line goes on
/// with the fingerprint of the instances that it describes.
const STATE: (&str, &str) = ("<!-- state ", "<!-- /state -->");
/// The end of the first line.
const STATE_CLOSED: &str = " -->";
/// The title of a failure.
pub(crate) const FAILED: &str = "### 👎 Failed";
/// The longest comment that GitHub takes, in characters.
pub(crate) const COMMENT_LENGTH: usize = 65_536;

/// A message, and whether it replaces what the comment said of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    text: String,
    /// The fingerprint of the instances that it describes, if it does.
    fingerprint: Option<String>,
}

impl Message {
    /// A message that describes the environment.
    pub(crate) fn of_state(lines: &[String], fingerprint: &str) -> Message {
        Message {
            text: lines.join("\n"),
            fingerprint: Some(fingerprint.to_owned()),
        }
    }

    /// A message after which there is no environment.
    pub(crate) fn of_no_environment(lines: &[String]) -> Message {
        Message::of_state(lines, &fingerprint(&[]))
    }

    /// A message beside what is known of the environment.
    pub(crate) fn notice(text: String) -> Message {
        Message {
            text,
            fingerprint: None,
        }
    }

    /// The whole comment, given what it said before.
    pub(crate) fn body(&self, before: Option<&str>) -> String {
        if let Some(fingerprint) = &self.fingerprint {
            return format!("{MARKER}\n{}", section(fingerprint, &self.text));
        }
        let alone = format!("{MARKER}\n{}\n", self.text);
        let Some((fingerprint, state)) = before.and_then(state) else {
            return alone;
        };
        let both = format!(
            "{alone}\n---\n\nLast known state of the environment:\n\n{}",
            section(fingerprint, &state)
        );
        // Somebody may have edited the comment. The newest message comes first where there is no room for both.
        match both.chars().count() > COMMENT_LENGTH {
            true => alone,
            false => both,
        }
    }

    /// Whether it describes the environment.
    pub(crate) fn is_state(&self) -> bool {
        self.fingerprint.is_some()
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

/// Returns fingerprint and text of the section that [`Message::body`] puts last. Markers elsewhere are somebody's text.
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

/// Returns the fingerprint of the instances that a comment of ours describes, if it describes any that were.
pub(crate) fn fingerprint_in(body: &str) -> Option<&str> {
    state(body).map(|(fingerprint, _)| fingerprint)
}

/// Whether a comment of ours is wrong about a pull request without an environment: it describes one, or says that removing
/// it failed.
pub(crate) fn is_outdated_without_environment(body: &str) -> bool {
    let is_failure = || body.lines().nth(1) == Some(FAILED);
    fingerprint_in(body).is_some_and(|described| described != fingerprint(&[]) || is_failure())
}
