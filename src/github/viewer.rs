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
    /// Who we are, asked once.
    ///
    /// # Errors
    /// Nobody tells. That is no reason to take ourselves for somebody else, and to comment twice.
    pub(crate) async fn viewer(&self) -> Result<&Viewer, ApiError> {
        self.viewer.get_or_try_init(|| self.ask_for_viewer()).await
    }

    /// Asks GraphQL, which tells it for every kind of token, then REST, which tells it for a person's.
    async fn ask_for_viewer(&self) -> Result<Viewer, ApiError> {
        if !self.is_graphql_down.get() {
            let query = json!({ "query": "{ viewer { login } }" });
            match self.graphql::<ViewerData>(&query).await {
                Ok((data, _)) => return Ok(Viewer::Login(data.viewer.login)),
                Err(error) => {
                    self.is_graphql_down.set(true);
                    // There is little hope for another request. The next time, only REST is asked.
                    if self.has_outage() {
                        return Err(error);
                    }
                }
            }
        }
        let url = format!("{}/user", self.api);
        match self.http.get::<UserObject>(&url).await {
            Ok(user) => Ok(Viewer::Login(user.login)),
            Err(error) if error.is_refused() => Ok(Viewer::Bot),
            Err(error) => Err(error),
        }
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
