//! The words that start a command.

/// The words that start a command, from the inputs `deploy-command` and `destroy-command`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandWords {
    /// Deploys.
    pub(crate) deploy: String,
    /// Destroys.
    pub(crate) destroy: String,
}

/// Returns text without the characters that nobody sees and that are no blanks: zero-width space, non-joiner, joiner, word
/// joiner, byte order mark.
pub(crate) fn without_zero_width(text: &str) -> String {
    text.replace(
        ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}'],
        "",
    )
}
