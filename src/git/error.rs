//! What an error of libgit2 or a refusal of the server means for another attempt.

use git2::{ErrorClass, ErrorCode};

pub(crate) enum Verdict {
    Retry,
    /// The token may not do this.
    Forbidden,
    Final,
}

pub(crate) fn verdict(error: &git2::Error) -> Verdict {
    let http_status = error
        .message()
        .rsplit_once("status code: ")
        .and_then(|(_, status)| status.trim().parse::<u16>().ok());
    match (http_status, error.code(), error.class()) {
        (Some(401 | 403 | 404), ..) | (_, ErrorCode::Auth, _) => Verdict::Forbidden,
        (Some(429 | 500..), ..) => Verdict::Retry,
        (Some(_), ..) | (_, ErrorCode::Certificate, _) => Verdict::Final,
        _ if is_redirect(error) => Verdict::Final,
        // The system's other errors are about our own files: a full disk stays full.
        (_, _, ErrorClass::Os)
            if !["failed to connect", "SSL error"]
                .iter()
                .any(|network| error.message().starts_with(network)) =>
        {
            Verdict::Final
        }
        (_, ErrorCode::NotFastForward | ErrorCode::Timeout | ErrorCode::Eof, _) => Verdict::Retry,
        (
            _,
            _,
            ErrorClass::Net
            | ErrorClass::Http
            | ErrorClass::Ssl
            | ErrorClass::Os
            | ErrorClass::Indexer
            | ErrorClass::Zlib,
        ) => Verdict::Retry,
        _ => Verdict::Final,
    }
}

/// Whether the server redirected us. libgit2 has no code for that.
fn is_redirect(error: &git2::Error) -> bool {
    error.message().contains("redirect")
}

pub(crate) fn words_of_error(error: &git2::Error) -> String {
    let remedy = if is_redirect(error) {
        "; redirects are not followed, because the token goes to this server only: check whether the repository has moved and whether GITHUB_SERVER_URL is right"
    } else {
        ""
    };
    format!("{}{remedy}", error.message())
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
