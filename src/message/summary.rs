//! The job summary.

use crate::message::markdown::code;
use crate::message::sections::Message;

/// The message to the pull request, and the outputs that have a value.
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
