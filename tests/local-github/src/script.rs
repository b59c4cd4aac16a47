//! Programs that a test writes.

use std::path::Path;
use std::process::Command;

use crate::git;

/// Writes an executable script; the text starts with its `#!` line.
///
/// Another process writes it. A file that this one has open for writing is also open in every program that another thread
/// starts meanwhile, for a moment, and in that moment the script cannot be run ("Text file busy").
///
/// # Panics
/// Where it cannot be written.
pub fn script(path: &Path, text: &str) {
    let mut command = Command::new("sh");
    command
        .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
        .arg(path);
    git::feed(command, text.as_bytes())
        .unwrap_or_else(|said| panic!("{} cannot be written: {said}", path.display()));
}
