//! Asks GitHub who we are: our comment is known by its author.

use anyhow::Result;
use serde::Deserialize;
use serde_json::json;

use crate::github::GitHub;
use crate::github::author::{UserObject, Viewer};
use crate::github::http::ApiError;

#[derive(Deserialize)]
struct ViewerData {
    viewer: ViewerLogin,
}

#[derive(Deserialize)]
struct ViewerLogin {
    login: String,
}

impl GitHub {
    /// Who we are by GraphQL, which tells it for every kind of token. `None` where it does not, and it is not asked again.
    pub(crate) async fn viewer_by_graphql(&self) -> Option<&Viewer> {
        if self.viewer.initialized() || self.is_graphql_down.get() {
            return self.viewer.get();
        }
        let query = json!({ "query": "{ viewer { login } }" });
        match self.graphql::<ViewerData>(&query).await {
            Ok((data, _)) => {
                let viewer = || async { Viewer::Login(data.viewer.login) };
                Some(self.viewer.get_or_init(viewer).await)
            }
            Err(_) => {
                self.is_graphql_down.set(true);
                None
            }
        }
    }

    /// Who we are by REST, which tells it for a person's token and refuses an app's.
    ///
    /// # Errors
    /// It does not answer. That is no reason to take ourselves for somebody else, and to comment twice.
    pub(crate) async fn viewer_by_rest(&self) -> Result<&Viewer, ApiError> {
        let url = format!("{}/user", self.api);
        let ask = || async {
            match self.http.get::<UserObject>(&url).await {
                Ok(user) => Ok(Viewer::Login(user.login)),
                Err(error) if error.is_refused() => Ok(Viewer::Bot),
                Err(error) => Err(error),
            }
        };
        self.viewer.get_or_try_init(ask).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_us_by_login_or_as_a_bot() {
        let login = |login: &str| Viewer::Login(login.to_owned());
        for (viewer, author, kind, is_us) in [
            (login("rita"), "rita", "User", true),
            (login("rita"), "Rita", "User", false),
            (login("rita"), "rita[bot]", "User", false),
            (login("our-app"), "our-app[bot]", "Bot", true),
            (login("our-app[bot]"), "our-app[bot]", "Bot", true),
            (login("our-app"), "other-app[bot]", "Bot", false),
            (login("our-app"), "our-app[bot]", "", false),
            (Viewer::Bot, "github-actions[bot]", "Bot", true),
            (Viewer::Bot, "our-app[bot]", "Bot", true),
            (Viewer::Bot, "github-actions", "User", false),
            (Viewer::Bot, "github-actions[bot]", "", false),
        ] {
            let user = UserObject {
                login: author.to_owned(),
                r#type: kind.to_owned(),
            };
            assert_eq!(viewer.is(&user), is_us, "{viewer:?} {user:?}");
        }
    }
}
