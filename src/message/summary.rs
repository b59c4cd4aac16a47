//! The job summary.

use crate::message::markdown::code;
use crate::message::sections::Message;

/// The outputs that a message says by itself.
const SAID: [&str; 4] = ["name", "namespace", "commit", "environment-url"];

/// The message to the pull request, and the outputs that it does not say.
pub(crate) fn summary(outputs: &[(&str, String)], message: Option<&Message>) -> String {
    let mut lines = vec!["## flux-ephemeral-env".to_owned(), String::new()];
    if let Some(message) = message {
        lines.extend([message.text().to_owned(), String::new()]);
    }
    let text = message.map_or("", Message::text);
    let is_said = |name: &str, value: &str| SAID.contains(&name) && text.contains(value);
    lines.extend(
        outputs
            .iter()
            .filter(|(name, value)| !value.is_empty() && !is_said(name, value))
            .map(|(name, value)| format!("- {name}: {}", code(value))),
    );
    lines.join("\n") + "\n"
}
