//! What the words of a server, and of libgit2 about it, mean for another try.

use git2::{ErrorClass, ErrorCode};

/// What an error of the transport means for another try.
pub(crate) enum Verdict {
    Again,
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
        (Some(429 | 500..), ..) => Verdict::Again,
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
        (_, ErrorCode::NotFastForward | ErrorCode::Timeout | ErrorCode::Eof, _) => Verdict::Again,
        (
            _,
            _,
            ErrorClass::Net
            | ErrorClass::Http
            | ErrorClass::Ssl
            | ErrorClass::Os
            | ErrorClass::Indexer
            | ErrorClass::Zlib,
        ) => Verdict::Again,
        _ => Verdict::Final,
    }
}

/// Whether the server sent us to another one. libgit2 follows within a host alone, and has no code for the rest.
fn is_redirect(error: &git2::Error) -> bool {
    error.message().contains("redirect")
}

pub(crate) fn words_of_error(error: &git2::Error) -> String {
    let remedy = if is_redirect(error) {
        "; the token goes to no other server, so see whether the repository has moved and GITHUB_SERVER_URL is right"
    } else {
        ""
    };
    format!("{}{remedy}", error.message())
}

/// Whether a refused reference means that somebody else moved it
/// (Git's `receive-pack.c` and GitHub's "incorrect old value", "cannot lock ref").
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

/// Whether a refused reference is the server's own trouble and no rule of the branch: GitHub says so in an outage
/// ([one](https://github.com/desktop/desktop/issues/16398), [another](https://github.com/desktop/desktop/issues/21249)).
pub(crate) fn is_passing(reason: &str, said: &str) -> bool {
    reason.contains("Internal Server Error") || said.contains("fatal error in commit_refs")
}
