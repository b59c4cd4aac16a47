//! The runner's side: log lines, annotations, outputs and the job summary.
//!
//! The runner reads `::command::` at the start of a line and `##[command]` anywhere in it
//! ([docs](https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands)), so no text from outside is
//! printed as it is.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::model::token::Token;

/// Largest job summary that the runner takes, in bytes.
const SUMMARY_SIZE: usize = 1024 * 1024;

/// Longest line of the log, in characters: a server's own words may be of any length.
const LINE_LENGTH: usize = 10_000;

/// Prints to the job's log.
#[derive(Debug, Default)]
pub struct Log {
    /// Never printed, whatever text they turn up in.
    secrets: Vec<Token>,
    /// Whether somebody asked for more (`RUNNER_DEBUG`).
    pub(crate) is_verbose: bool,
}

impl Log {
    /// Blots `secret` out of everything that is printed from now on.
    pub(crate) fn hide(&mut self, secret: &Token) {
        self.secrets.push(secret.clone());
    }

    /// Text without the secrets.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.secrets
            .iter()
            .fold(text.to_owned(), |text, secret| secret.redact(&text))
    }

    /// Text as it may be printed: cut off after the secrets are gone, or a part of one would stay.
    fn printable(&self, text: &str) -> String {
        let text = self.redact(text);
        match text.char_indices().nth(LINE_LENGTH) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text,
        }
    }

    /// A line for whoever reads the log.
    pub(crate) fn line(&self, text: &str) {
        self.print(&plain(&self.printable(text)));
    }

    /// A line for whoever asked for more.
    pub(crate) fn debug(&self, text: &str) {
        if self.is_verbose {
            self.print(&format!("::debug::{}", data(&self.printable(text))));
        }
    }

    /// Several lines, set apart so that none of them starts with anything of its own.
    pub(crate) fn text(&self, text: &str) {
        for line in text.lines() {
            self.print(&format!("| {}", plain(&self.printable(line))));
        }
    }

    /// Something to see to, shown on the run's page.
    pub(crate) fn warning(&self, text: &str) {
        self.annotation("warning", text);
    }

    /// Why the job fails, shown on the run's page.
    pub fn error(&self, text: &str) {
        self.annotation("error", text);
    }

    fn annotation(&self, kind: &str, text: &str) {
        self.print(&format!(
            "::{kind} title=flux-ephemeral-env::{}",
            data(&self.printable(text))
        ));
    }

    fn print(&self, line: &str) {
        // Nobody is left to tell that the log is gone.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}

/// Returns a token that is cancelled by the first signal: the runner sends SIGINT to cancel a job, and SIGTERM 7.5 s later.
///
/// Process 1 of a container gets neither unless it asks for them, so this comes before anything that takes time.
///
/// # Errors
/// The system does not let us listen.
pub(crate) fn cancelled_by_signals() -> Result<CancellationToken> {
    let listen = |kind| signal(kind).context("listening for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let cancellation = CancellationToken::new();
    let cancelled = cancellation.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(cancellation)
}

/// Text that the runner takes for nothing but text, on one line.
fn plain(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    let line = line.replace("##[", "##\\[");
    if line.trim_start().starts_with("::") {
        format!("\\{}", line.trim_start())
    } else {
        line
    }
}

/// The data of a workflow command, escaped as [the toolkit](https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts) does.
fn data(text: &str) -> String {
    text.trim_end()
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
        .replace("##[", "##\\[")
        // A terminal's or the log viewer's colours and the like.
        .replace(char::is_control, "\u{fffd}")
}

/// Appends outputs to the file at `GITHUB_OUTPUT`.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_outputs(path: &Path, outputs: &[(&str, String)]) -> Result<()> {
    let text: String = outputs
        .iter()
        .map(|(name, value)| output(name, value))
        .collect();
    append(path, &text).context("writing the outputs to GITHUB_OUTPUT")
}

/// One output in the form that takes any value: a delimiter that the value does not hold.
fn output(name: &str, value: &str) -> String {
    let mut delimiter = String::new();
    while delimiter.is_empty() || value.contains(&delimiter) {
        delimiter = format!("flux-ephemeral-env-{:032x}", fastrand::u128(..));
    }
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

/// Appends Markdown to the file at `GITHUB_STEP_SUMMARY`.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_summary(path: &Path, markdown: &str) -> Result<()> {
    let end = (0..=SUMMARY_SIZE.min(markdown.len()))
        .rev()
        .find(|end| markdown.is_char_boundary(*end))
        .unwrap_or(0);
    append(path, markdown.get(..end).unwrap_or_default())
        .context("writing the job summary to GITHUB_STEP_SUMMARY")
}

fn append(path: &Path, text: &str) -> Result<()> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("appending to {}", path.display()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_of_the_log_is_no_command() {
        for (text, printed) in [
            ("::error::x", "\\::error::x"),
            ("  ::set-env::x", "\\::set-env::x"),
            ("a ##[error]x", "a ##\\[error]x"),
            ("a\n::error::x", "a\\n::error::x"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("plain", "plain"),
        ] {
            assert_eq!(plain(text), printed);
        }
    }

    #[test]
    fn the_data_of_a_command_is_one_line_of_text() {
        for (text, written) in [
            ("plain", "plain"),
            ("50%\r\n::error::x\n", "50%25%0D%0A::error::x"),
            ("a ##[error]x", "a ##\\[error]x"),
            ("\u{1b}[31m", "\u{fffd}[31m"),
        ] {
            assert_eq!(data(text), written);
        }
    }

    #[test]
    fn outputs_and_summary_are_added_to_what_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outputs");
        for value in ["1", "2"] {
            write_outputs(&path, &[("name", value.to_owned())]).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = written.lines().collect();
        let (names, values) = ([lines[0], lines[3]], [lines[1], lines[4]]);
        assert!(
            names.iter().all(|name| name.starts_with("name<<")),
            "{written}"
        );
        assert_eq!((values, lines.len()), (["1", "2"], 6));

        let path = directory.path().join("summary");
        write_summary(&path, "first\n").unwrap();
        // One byte more than there may be, and that in the middle of a character.
        write_summary(&path, &("x".repeat(1_048_575) + "üü")).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written.starts_with("first\nxxx") && written.ends_with("xxx"));
        assert_eq!(written.len(), "first\n".len() + 1_048_575);
        let nowhere = write_summary(&directory.path().join("none/summary"), "x").unwrap_err();
        assert!(
            format!("{nowhere:#}").contains("none/summary"),
            "{nowhere:#}"
        );
    }

    #[test]
    fn a_secret_is_blotted_out() {
        let mut log = Log::default();
        log.hide(&Token::new("ghs_secret"));
        assert_eq!(
            log.redact("token ghs_secret, again ghs_secret"),
            "token ***, again ***"
        );
        assert!(!format!("{log:?}").contains("ghs_secret"));
    }

    #[test]
    fn a_long_line_is_cut_off_behind_its_secrets() {
        let mut log = Log::default();
        log.hide(&Token::new("ghs_secret"));
        let text = "ü".repeat(LINE_LENGTH - 3) + "ghs_secret, and more";
        let printed = log.printable(&text);
        assert!(printed.ends_with("ü***…"), "{printed}");
        assert_eq!(log.printable("short"), "short");
    }

    proptest! {
        #[test]
        fn no_text_is_more_than_one_line_or_a_command(text in "\\PC{0,20}|[:#\\[\\]a-z \t\r\n\u{1b}\u{85}]{0,40}") {
            for printed in [plain(&text), data(&text)] {
                prop_assert!(!printed.contains(char::is_control));
                prop_assert!(!printed.contains("##["));
            }
            prop_assert!(!plain(&text).trim_start().starts_with("::"));
        }

        #[test]
        fn an_output_is_read_back_whole(value in "\\PC{0,20}|[a-z<=\n-]{0,60}") {
            let text = output("name", &value);
            let (first, rest) = text.split_once('\n').unwrap();
            let delimiter = first.strip_prefix("name<<").unwrap();
            prop_assert_eq!(rest.split_once(&format!("\n{delimiter}\n")), Some((value.as_str(), "")));
        }
    }
}
