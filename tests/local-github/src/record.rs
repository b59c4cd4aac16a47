//! What was asked of the server.

use std::time::{Duration, Instant};

use serde_json::Value;

/// Which part of the server a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The REST API.
    Api,
    /// The GraphQL API.
    GraphQl,
    /// The Git server.
    Git,
    /// A page for a person.
    Page,
}

/// A request that arrived, and how it ended. It never holds a token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recorded {
    pub(crate) id: u64,
    /// Which connection it came by: one number for each.
    pub connection: u64,
    /// `GET`, `POST`, …
    pub method: String,
    /// The path with its query, as it was sent, without the prefix of the API: `/repos/octo-org/demo/pulls/1`.
    pub path: String,
    /// Which part of the server it is for.
    pub kind: Kind,
    /// The body, where it is JSON.
    pub body: Option<Value>,
    /// The client, in its own words.
    pub user_agent: Option<String>,
    /// Whom it was authenticated as; none without valid credentials.
    pub login: Option<String>,
    /// When its body had arrived.
    pub arrived: Instant,
    /// The status answered or withheld; none while it is under way and where the connection was closed without an
    /// answer.
    pub status: Option<u16>,
    /// How long it took to the answer or the closed connection; none while it is under way.
    pub duration: Option<Duration>,
}
