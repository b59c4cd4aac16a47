//! The GraphQL API, as far as an action asks who it is.

use serde_json::{Value, json};

use crate::access::Caller;
use crate::http::{Answer, Request};

pub(crate) fn answer(request: &Request, caller: &Caller) -> Answer {
    let body = request.json().unwrap_or_default();
    let query = body["query"].as_str().unwrap_or_default();
    let bare: String = query
        .chars()
        .filter(|character| !character.is_whitespace())
        .collect();
    let selection = bare.find('{').map_or("", |start| &bare[start..]);
    let answer = if selection == "{viewer{login}}" {
        json!({"data": {"viewer": {"login": caller.login}}})
    } else {
        json!({"data": Value::Null, "errors": [{"message": format!("the forge does not know this query: {query}")}]})
    };
    Answer::json(200, &answer)
}
