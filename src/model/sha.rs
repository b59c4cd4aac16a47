//! The name of a commit.

use std::fmt;

/// The full name of a commit: 40 hexadecimal digits, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sha(String);

impl Sha {
    /// `None` for anything but 40 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Sha> {
        let is_full = text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit());
        is_full.then(|| Sha(text.to_ascii_lowercase()))
    }

    /// The 40 digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits.
    pub(crate) fn short(&self) -> &str {
        short(&self.0)
    }
}

/// The first seven characters of what is a commit's name, or should be, as Git abbreviates.
pub(crate) fn short(commit: &str) -> &str {
    let end = commit
        .char_indices()
        .nth(7)
        .map_or(commit.len(), |(end, _)| end);
    commit.get(..end).unwrap_or(commit)
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
