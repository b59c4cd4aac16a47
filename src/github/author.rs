//! The authors of comments, and which of them we are.

use serde::Deserialize;

/// Whose comments are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Viewer {
    /// The one with this login. An app's has the suffix `[bot]` in REST and lacks it in GraphQL.
    Login(String),
    /// A bot: nothing tells which. The token is an app's, and the workflow's own is one.
    Bot,
}

/// An author, as REST writes it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct UserObject {
    pub(crate) login: String,
    #[serde(default)]
    pub(crate) r#type: String,
}

impl Viewer {
    /// Whether we are this author.
    pub(crate) fn is(&self, user: &UserObject) -> bool {
        let is_bot = user.r#type == "Bot";
        match self {
            Viewer::Login(login) => {
                user.login == *login
                    || (is_bot && user.login.strip_suffix("[bot]") == Some(login.as_str()))
            }
            Viewer::Bot => is_bot,
        }
    }
}
