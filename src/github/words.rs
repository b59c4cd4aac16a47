//! What GitHub says of an error: its message, and the reasons that it gives beside it.

use serde::Deserialize;
use serde_json::Value;

use crate::http::server_words;

/// Longest text of the reasons, in characters: they stand beside the message, and are told in a comment and a warning.
const REASONS_LENGTH: usize = 1_000;

/// An error of the REST API
/// ([docs](https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api#validation-failed)).
#[derive(Deserialize)]
struct Body {
    message: String,
    /// Objects, texts, or one text.
    #[serde(default)]
    errors: Value,
}

/// Returns the words of an error of the REST API. `redact` takes secrets out, before anything is cut: half a secret would
/// not be known for one.
pub(crate) fn of_rest(text: &str, redact: impl Fn(&str) -> String) -> String {
    match serde_json::from_str::<Body>(text) {
        Ok(body) => {
            let reasons = reasons(&body.errors).into_iter();
            with_reasons(
                redact(&body.message),
                reasons.map(|reason| redact(&reason)).collect(),
            )
        }
        Err(_) => server_words(&redact(text)),
    }
}

/// Returns the words of several errors of one answer, each once.
pub(crate) fn joined(messages: impl IntoIterator<Item = String>) -> String {
    let mut messages = messages.into_iter();
    let first = messages.next().unwrap_or_default();
    with_reasons(first, messages.collect())
}

fn reasons(errors: &Value) -> Vec<String> {
    match errors {
        Value::Array(errors) => errors.iter().filter_map(reason).collect(),
        error => reason(error).into_iter().collect(),
    }
}

/// Returns what one of `errors` says: its message, or its code and the field that the code is about.
fn reason(error: &Value) -> Option<String> {
    let field = |name: &str| {
        let text = error.get(name)?.as_str()?.trim();
        Some(text).filter(|text| !text.is_empty())
    };
    if let Some(text) = error.as_str().or_else(|| field("message")) {
        return Some(text.trim().to_owned());
    }
    let of: Vec<&str> = ["resource", "field"]
        .into_iter()
        .filter_map(field)
        .collect();
    match (of.join("."), field("code")) {
        (of, Some(code)) if of.is_empty() => Some(code.to_owned()),
        (of, Some(code)) => Some(format!("{of}: {code}")),
        (of, None) => Some(of).filter(|of| !of.is_empty()),
    }
}

fn with_reasons(message: String, reasons: Vec<String>) -> String {
    let mut told: Vec<&str> = Vec::new();
    for reason in &reasons {
        let is_told = message.contains(reason.as_str()) || told.contains(&reason.as_str());
        if !is_told {
            told.push(reason);
        }
    }
    let told = told.join("; ");
    let told = match told.char_indices().nth(REASONS_LENGTH) {
        Some((end, _)) => format!("{}…", told.get(..end).unwrap_or_default()),
        None => told,
    };
    match (message.is_empty(), told.is_empty()) {
        (_, true) => message,
        (true, false) => told,
        (false, false) => format!("{message}: {told}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn told(body: &Value) -> String {
        of_rest(&body.to_string(), str::to_owned)
    }

    #[test]
    fn the_reasons_follow_the_message_each_once() {
        let failed = |errors: Value| json!({ "message": "Validation Failed", "errors": errors });
        let missing =
            json!({ "resource": "IssueComment", "code": "missing_field", "field": "body" });
        let custom = json!({ "resource": "Status", "code": "custom", "field": "state", "message": "state is odd" });
        for (errors, words) in [
            (json!(null), "Validation Failed"),
            (json!([]), "Validation Failed"),
            (json!([{}, null, 7, " "]), "Validation Failed"),
            (json!(["one", "two", "one"]), "Validation Failed: one; two"),
            (json!("one"), "Validation Failed: one"),
            (json!({ "message": "one" }), "Validation Failed: one"),
            (
                json!([missing]),
                "Validation Failed: IssueComment.body: missing_field",
            ),
            (
                json!([custom, missing, custom]),
                "Validation Failed: state is odd; IssueComment.body: missing_field",
            ),
            (json!([{ "code": "invalid" }]), "Validation Failed: invalid"),
            (json!([{ "field": "name" }]), "Validation Failed: name"),
            (json!(["Validation Failed"]), "Validation Failed"),
        ] {
            assert_eq!(told(&failed(errors.clone())), words, "{errors}");
        }
        assert_eq!(told(&json!({ "message": "Not Found" })), "Not Found");
        assert_eq!(
            of_rest(" <html><title>Unicorn!</title>\n", str::to_owned),
            "Unicorn!"
        );
        assert_eq!(joined(["a", "b", "a"].map(str::to_owned)), "a: b");
        assert_eq!(joined([]), "");
    }

    #[test]
    fn a_secret_is_gone_before_anything_is_cut() {
        let errors = json!([format!("{}secret", "x".repeat(REASONS_LENGTH - 3))]);
        let body = json!({ "message": "No", "errors": errors }).to_string();
        let words = of_rest(&body, |words| words.replace("secret", "***"));
        assert!(words.ends_with("x***") && !words.contains("sec"), "{words}");
    }

    proptest! {
        #[test]
        fn reasons_of_any_length_are_told_in_few_words(
            reasons in proptest::collection::vec("\\PC{0,400}", 0..20),
        ) {
            let words = told(&json!({ "message": "No", "errors": reasons }));
            prop_assert!(words.starts_with("No"));
            prop_assert!(words.chars().count() <= REASONS_LENGTH + 10);
        }
    }
}
