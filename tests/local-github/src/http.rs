//! A request that has been read, and the answer to it.

use hyper::body::Bytes;
use hyper::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A request, its body read to the end.
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Undecoded, without the API's prefix.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The parts of the path between slashes, decoded.
    pub(crate) fn segments(&self) -> Vec<String> {
        Self::segments_of(&self.path)
    }

    pub(crate) fn segments_of(path: &str) -> Vec<String> {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.map(decode).collect()
    }

    /// A parameter of the query, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        field(&self.query, name)
    }

    /// A field of the body that a page's form sent, decoded.
    pub(crate) fn form_field(&self, name: &str) -> Option<String> {
        field(std::str::from_utf8(&self.body).ok()?, name)
    }

    /// The body as JSON, where it is any.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// One of `name=value&…`, decoded.
fn field(fields: &str, name: &str) -> Option<String> {
    fields.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| decode(&value.replace('+', " ")))
    })
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// An answer, before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let body = serde_json::to_vec(body).expect("JSON of a Value");
        Self {
            status,
            headers: Vec::new(),
            body,
        }
        .header("content-type", "application/json; charset=utf-8")
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
        .header("content-type", "text/plain; charset=utf-8")
    }

    /// An error in GitHub's shape.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        let body = json!({
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": status.to_string(),
        });
        Self::json(status, &body)
    }

    /// What GitHub answers to a body that it understands and does not accept.
    pub(crate) fn invalid(resource: &str, code: &str, field: &str, message: &str) -> Self {
        let mut error = json!({"resource": resource, "code": code, "field": field});
        if !message.is_empty() {
            error["message"] = message.into();
        }
        let body = json!({
            "message": "Validation Failed",
            "errors": [error],
            "documentation_url": "https://docs.github.com/rest",
            "status": "422",
        });
        Self::json(422, &body)
    }

    pub(crate) fn not_found() -> Self {
        Self::error(404, "Not Found")
    }

    /// Names the body by an `ETag`, and leaves it out where the client has it already. GitHub's are weak too.
    pub(crate) fn conditional(self, request: &Request) -> Self {
        if request.method != Method::GET || self.status != 200 {
            return self;
        }
        let digest = Sha256::digest(&self.body);
        let tag: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let tag = format!("\"{tag}\"");
        let known = request.header("if-none-match").unwrap_or_default();
        let mut known = known.split(',').map(|known| known.trim());
        let is_known =
            known.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag);
        let answer = self.header("etag", &format!("W/{tag}"));
        if is_known {
            Self {
                status: 304,
                body: Vec::new(),
                ..answer
            }
        } else {
            answer
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}
