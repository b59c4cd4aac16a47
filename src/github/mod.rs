//! GitHub's API: facts in, reactions, comments and statuses out.
//!
//! octocrab's own models and retry are not used: the models reject real data (a deleted user, a new value), the retry
//! repeats POSTs.

pub(crate) mod comments;
pub(crate) mod graphql;
pub(crate) mod http;
pub(crate) mod outage;
pub(crate) mod statuses;

use std::cell::Cell;

use anyhow::{Context, Result};
use octocrab::Octocrab;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::config::{Config, base};
use crate::github::http::READ_TIMEOUT;
use crate::github::outage::Outage;
use crate::model::pull_request::{PullRequest, PullRequestObject};
use crate::model::repository::{Access, Permission, RepositoryName};
use crate::model::token::Token;

/// Entries of one page of a list, the most GitHub gives.
const PAGE: usize = 100;

/// What a segment of a path keeps as it is ([RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2.3)).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A client for one repository.
#[derive(Debug)]
pub(crate) struct GitHub {
    client: Octocrab,
    token: Token,
    name: RepositoryName,
    /// URL of the repository in the API.
    repository: String,
    graphql: String,
    /// The login behind the token, once it is known.
    viewer: OnceCell<String>,
    outage: Cell<Outage>,
}

#[derive(Deserialize)]
struct PermissionObject {
    permission: String,
    role_name: Option<String>,
}

#[derive(Deserialize)]
struct RepositoryObject {
    default_branch: String,
}

impl GitHub {
    /// A client for the repository of this run. Makes no request.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub(crate) fn new(config: &Config) -> Result<GitHub> {
        // octocrab gives its credentials to the origin of the base URL alone; every route here is a whole URL.
        let origin = config.api_url.origin().ascii_serialization();
        let client = Octocrab::builder()
            .base_uri(origin)
            .context("reading GITHUB_API_URL")?
            .personal_token(config.inputs.token.expose())
            .set_connect_timeout(Some(READ_TIMEOUT))
            .set_read_timeout(Some(READ_TIMEOUT))
            .set_write_timeout(Some(READ_TIMEOUT))
            .build()
            .context("setting up the client for GitHub's API")?;
        Ok(GitHub {
            client,
            token: config.inputs.token.clone(),
            name: config.repository.clone(),
            repository: format!("{}/repos/{}", base(&config.api_url), config.repository),
            graphql: base(&config.graphql_url).to_owned(),
            viewer: OnceCell::new(),
            outage: Cell::default(),
        })
    }

    /// A pull request as it is now.
    ///
    /// # Errors
    /// No answer, or one that is no pull request.
    pub(crate) async fn pull_request(&self, number: u64) -> Result<PullRequest> {
        let object: PullRequestObject = self.get(&self.route(&format!("pulls/{number}"))).await?;
        object.try_into()
    }

    /// The repository's default branch.
    ///
    /// # Errors
    /// No answer, or one that does not say.
    pub(crate) async fn default_branch(&self) -> Result<String> {
        let object: RepositoryObject = self.get(&self.repository).await?;
        Ok(object.default_branch)
    }

    /// What somebody may do in the repository. Anything but a clear answer is [`Access::Unknown`].
    pub(crate) async fn access(&self, login: &str) -> Access {
        let login = utf8_percent_encode(login, SEGMENT);
        let route = self.route(&format!("collaborators/{login}/permission"));
        match self.get::<PermissionObject>(&route).await {
            Ok(object) => {
                let Some(permission) = Permission::parse(&object.permission) else {
                    let word = object.permission;
                    return Access::Unknown(format!(
                        "the permission is called {word:?}, which is no known word"
                    ));
                };
                // `permission` knows neither `maintain` nor `triage`.
                Access::Known(match (permission, object.role_name.as_deref()) {
                    (Permission::Write, Some("maintain")) => Permission::Maintain,
                    (Permission::Read, Some("triage")) => Permission::Triage,
                    (permission, _) => permission,
                })
            }
            Err(error) => Access::Unknown(error.to_string()),
        }
    }
}
