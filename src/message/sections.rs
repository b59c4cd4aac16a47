//! The comment as a whole: what is known of the environment from one run to the next, and what the last command came to.

use crate::model::instance::fingerprint;
use crate::model::notification::MARKER;

/// Around what is known of the environment, so that a later refusal or failure need not forget it. The first line goes on
/// with the fingerprint of the instances that it describes.
const STATE: (&str, &str) = ("<!-- state ", "<!-- /state -->");
/// The end of the first line.
const STATE_CLOSED: &str = " -->";
/// What the title of every failure starts with.
pub(crate) const FAILED: &str = "### 🔴 Failed";
/// The longest comment that GitHub takes, in characters.
pub(crate) const COMMENT_LENGTH: usize = 65_536;
/// Between what is known and what the last command came to.
const RULE: &str = "\n---\n\n";

/// A message, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    text: String,
    position: Position,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Position {
    /// In place of what was known of the environment: the fingerprint of the instances that it describes.
    State(String),
    /// Above what is known, which may be wrong by now.
    Above,
    /// Below what is known, with which it has nothing to do.
    Below,
}

impl Message {
    /// A message that describes the environment, in paragraphs.
    pub(crate) fn of_state(parts: &[String], fingerprint: &str) -> Message {
        Message::at(&parts.join("\n\n"), Position::State(fingerprint.to_owned()))
    }

    /// A message after which there is no environment.
    pub(crate) fn of_no_environment(parts: &[String]) -> Message {
        Message::of_state(parts, &fingerprint(&[]))
    }

    /// A message that may change what is known of the environment.
    pub(crate) fn above(text: &str) -> Message {
        Message::at(text, Position::Above)
    }

    /// A message that has nothing to do with the environment.
    pub(crate) fn below(text: &str) -> Message {
        Message::at(text, Position::Below)
    }

    fn at(text: &str, position: Position) -> Message {
        Message {
            // A server's words may hold our markers.
            text: text.replace("<!--", "<!\u{2060}--"),
            position,
        }
    }

    /// The whole comment after a command, given what it said before.
    pub(crate) fn body(&self, before: Option<&str>) -> String {
        let alone = format!("{MARKER}\n{}\n", self.text);
        let known = || {
            let (fingerprint, state) = before.and_then(state)?;
            Some(section(&fingerprint, &state))
        };
        let body = match &self.position {
            Position::State(fingerprint) => {
                return format!("{MARKER}\n{}", section(fingerprint, &self.text));
            }
            Position::Above => known().map(|known| {
                format!("{alone}{RULE}Last known state of the environment:\n\n{known}")
            }),
            Position::Below => {
                known().map(|known| format!("{MARKER}\n{known}{RULE}{}\n", self.text))
            }
        };
        // Somebody may have edited the comment. The newest message counts where there is no room for both.
        body.filter(|body| body.chars().count() <= COMMENT_LENGTH)
            .unwrap_or(alone)
    }

    /// The whole comment after nobody's command: what the last one came to stays.
    pub(crate) fn body_between_commands(&self, before: &str) -> String {
        let body = self.body(None);
        let lines: Vec<&str> = before.lines().collect();
        let (Some(sections), Position::State(fingerprint)) =
            (Sections::read(&lines), &self.position)
        else {
            return body;
        };
        let text = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect();
        let (above, below): (String, String) = (text(sections.above), text(sections.below));
        let both = format!("{above}{}{below}", section(fingerprint, &self.text));
        match both.chars().count() > COMMENT_LENGTH {
            true => body,
            false => both,
        }
    }

    /// Whether it describes the environment.
    pub(crate) fn is_state(&self) -> bool {
        matches!(self.position, Position::State(_))
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

/// What a comment says of the environment, as [`Message::body`] puts it.
struct Sections<'a> {
    above: &'a [&'a str],
    fingerprint: &'a str,
    state: &'a [&'a str],
    below: &'a [&'a str],
}

impl<'a> Sections<'a> {
    fn read(lines: &'a [&'a str]) -> Option<Sections<'a>> {
        let mut all = lines.iter().enumerate();
        let (start, fingerprint) = all.find_map(|(index, line)| {
            let fingerprint = line.strip_prefix(STATE.0)?.strip_suffix(STATE_CLOSED)?;
            Some((index, fingerprint))
        })?;
        let (end, _) = all.find(|(_, line)| **line == STATE.1)?;
        Some(Sections {
            above: lines.get(..start)?,
            fingerprint,
            state: lines.get(start + 1..end)?,
            below: lines.get(end + 1..)?,
        })
    }
}

/// Returns fingerprint and text of what a comment says of the environment.
pub(crate) fn state(body: &str) -> Option<(String, String)> {
    let lines: Vec<&str> = body.lines().collect();
    let sections = Sections::read(&lines)?;
    Some((sections.fingerprint.to_owned(), sections.state.join("\n")))
}

/// Returns the fingerprint of the instances that a comment of ours describes, if it describes any that were.
pub(crate) fn fingerprint_in(body: &str) -> Option<String> {
    state(body).map(|(fingerprint, _)| fingerprint)
}

/// Whether a comment of ours is wrong about a pull request without an environment: it describes one, or says that removing
/// it failed.
pub(crate) fn is_outdated_without_environment(body: &str) -> bool {
    let is_failure = || {
        let title = body.lines().nth(1);
        title.is_some_and(|title| title.starts_with(FAILED))
    };
    fingerprint_in(body).is_some_and(|described| described != fingerprint(&[]) || is_failure())
}
