//! What an error of a transfer or a refusal of the server means for another attempt.

use git2::{ErrorClass, ErrorCode};
use reqwest::StatusCode;

use crate::http::server_words;
use crate::model::failure::Barrier;

/// Why a transfer failed: libgit2's error, and what is behind it where that was HTTP.
#[derive(Debug)]
pub(crate) struct TransferError {
    pub(crate) error: git2::Error,
    pub(crate) http: Option<HttpFailure>,
}

/// Why a request got no usable answer, in words for a person.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HttpFailure {
    /// The server or the network was in trouble.
    Temporary(String),
    /// The server refused the token.
    Refused(Barrier, String),
    /// The same request would fail again.
    Final(String),
}

impl HttpFailure {
    /// The answer was a redirect that is not followed.
    pub(crate) fn redirected(location: &str) -> HttpFailure {
        HttpFailure::Final(format!(
            "the server redirects to {location}; redirects to another server are not followed, because the token goes to this server only: check whether the repository has moved and whether GITHUB_SERVER_URL is right"
        ))
    }

    pub(crate) fn words(&self) -> &str {
        match self {
            HttpFailure::Temporary(words)
            | HttpFailure::Refused(_, words)
            | HttpFailure::Final(words) => words,
        }
    }

    pub(crate) fn map(self, change: impl FnOnce(&str) -> String) -> HttpFailure {
        match self {
            HttpFailure::Temporary(words) => HttpFailure::Temporary(change(&words)),
            HttpFailure::Refused(barrier, words) => HttpFailure::Refused(barrier, change(&words)),
            HttpFailure::Final(words) => HttpFailure::Final(change(&words)),
        }
    }
}

/// What an answer means that is not Git's. `body` is what the server says, without secrets.
pub(crate) fn answered(status: StatusCode, content_type: &str, body: &str) -> HttpFailure {
    let said = server_words(body);
    let words = match said.is_empty() {
        true => status.to_string(),
        false => format!("{status}: {said}"),
    };
    match status.as_u16() {
        401 | 403 | 404 => HttpFailure::Refused(Barrier::new(status.as_u16(), &said), words),
        429 | 500.. => HttpFailure::Temporary(words),
        200..300 => HttpFailure::Temporary(format!(
            "the answer is not Git's, but {content_type:?}: {said}"
        )),
        _ => HttpFailure::Final(words),
    }
}

pub(crate) enum Verdict {
    Retry,
    /// The token may not do this.
    Forbidden(Barrier),
    Final,
}

impl TransferError {
    /// What the error means for another attempt.
    pub(crate) fn verdict(&self) -> Verdict {
        match &self.http {
            Some(HttpFailure::Temporary(_)) => Verdict::Retry,
            Some(HttpFailure::Refused(barrier, _)) => Verdict::Forbidden(*barrier),
            Some(HttpFailure::Final(_)) => Verdict::Final,
            None => verdict(&self.error),
        }
    }

    /// What went wrong, in the server's words where it had any.
    pub(crate) fn words(&self) -> &str {
        match &self.http {
            Some(failure) => failure.words(),
            None => self.error.message(),
        }
    }
}

/// The same of an error that is libgit2's own.
fn verdict(error: &git2::Error) -> Verdict {
    match (error.code(), error.class()) {
        (ErrorCode::NotFastForward | ErrorCode::Eof, _) => Verdict::Retry,
        // What came was cut short, or was not Git's.
        (_, ErrorClass::Net | ErrorClass::Http | ErrorClass::Indexer | ErrorClass::Zlib) => {
            Verdict::Retry
        }
        _ => Verdict::Final,
    }
}

/// Whether the server refused the reference because somebody else moved it
/// (Git's `receive-pack.c`, and GitHub's "incorrect old value" and "cannot lock ref").
pub(crate) fn is_lost_race(reason: &str) -> bool {
    [
        "non-fast-forward",
        "fetch first",
        "failed to update ref",
        "failed to lock",
        "cannot lock ref",
        "incorrect old value",
        "reference already exists",
    ]
    .iter()
    .any(|text| reason.contains(text))
}

/// Whether the server refused the reference because of an outage instead of a rule: GitHub words it so
/// ([one](https://github.com/desktop/desktop/issues/16398), [another](https://github.com/desktop/desktop/issues/21249)).
pub(crate) fn is_outage(reason: &str, sideband: &str) -> bool {
    reason.contains("Internal Server Error") || sideband.contains("fatal error in commit_refs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(barrier: Barrier, words: &str) -> HttpFailure {
        HttpFailure::Refused(barrier, words.to_owned())
    }

    #[test]
    fn an_answer_is_told_in_the_servers_words() {
        let temporary = |words: &str| HttpFailure::Temporary(words.to_owned());
        let page = "<!DOCTYPE html>\n<html><head><TITLE> Sign in\n</TITLE></head>…";
        for (status, content_type, body, expected) in [
            (
                403,
                "text/plain",
                "Permission to a/b.git denied to github-actions[bot].\n",
                refused(
                    Barrier::Permission,
                    "403 Forbidden: Permission to a/b.git denied to github-actions[bot].",
                ),
            ),
            (
                404,
                "text/plain",
                "",
                refused(Barrier::Permission, "404 Not Found"),
            ),
            (
                401,
                "text/plain",
                "Invalid username or token.",
                refused(
                    Barrier::Token,
                    "401 Unauthorized: Invalid username or token.",
                ),
            ),
            (
                403,
                "text/html; charset=utf-8",
                page,
                refused(Barrier::Permission, "403 Forbidden: Sign in"),
            ),
            (
                503,
                "text/html",
                "<html><title></html>",
                temporary("503 Service Unavailable: a page without a title"),
            ),
            (
                200,
                "text/html",
                page,
                temporary("the answer is not Git's, but \"text/html\": Sign in"),
            ),
            (
                407,
                "",
                "one\n\n two \n",
                HttpFailure::Final("407 Proxy Authentication Required: one\n two".to_owned()),
            ),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(answered(status, content_type, body), expected);
        }
    }
}
