//! GitHub's API: facts in; comments, reactions and statuses out.
//!
//! octocrab's own models are not used, because they reject real data (a deleted user, a new value).

pub(crate) mod author;
pub(crate) mod comments;
pub(crate) mod deployments;
pub(crate) mod graphql;
pub(crate) mod http;
pub(crate) mod outage;
pub(crate) mod statuses;
pub(crate) mod viewer;
pub(crate) mod words;

use std::cell::Cell;

use anyhow::Result;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::OnceCell;
use url::Url;

use crate::github::author::Viewer;
use crate::github::http::{ApiError, Http, Watched};
use crate::http::HttpClient;
use crate::model::pull_request::{PullRequest, PullRequestObject};
use crate::model::repository::{Access, Permission, RepositoryName};
use crate::model::sha::Sha;
use crate::model::token::Token;
use crate::model::url::without_slash;

/// Entries on one page of a list, the most that GitHub gives.
const PAGE: usize = 100;

/// What a segment of a path keeps as it is ([RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2.3)).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Where GitHub's APIs are.
pub(crate) struct Endpoints<'a> {
    pub(crate) api: &'a Url,
    pub(crate) graphql: &'a Url,
}

/// A client for one repository.
#[derive(Debug)]
pub(crate) struct GitHub {
    http: Http,
    name: RepositoryName,
    /// The REST API's URL.
    api: String,
    /// The repository's URL in it.
    repository: String,
    graphql: String,
    /// Who we are, once it is known.
    viewer: OnceCell<Viewer>,
    /// Whether GraphQL was asked who we are and gave no answer, so that it is not waited for again.
    is_graphql_down: Cell<bool>,
}

#[derive(Deserialize)]
struct PermissionObject {
    permission: String,
    role_name: Option<String>,
}

/// A pull request, as far as a run that waits has to know.
#[derive(Debug, Deserialize)]
pub(crate) struct WatchedPullRequest {
    state: String,
    head: WatchedHead,
}

#[derive(Debug, Deserialize)]
struct WatchedHead {
    sha: String,
}

#[derive(Deserialize)]
struct RepositoryObject {
    id: u64,
    default_branch: String,
}

impl GitHub {
    /// Sends nothing yet.
    pub(crate) fn new(
        endpoints: Endpoints<'_>,
        repository: &RepositoryName,
        token: &Token,
        client: HttpClient,
    ) -> Result<GitHub> {
        Ok(GitHub {
            http: Http::new(endpoints.api, token, client)?,
            name: repository.clone(),
            api: without_slash(endpoints.api).to_owned(),
            repository: format!("{}/repos/{repository}", without_slash(endpoints.api)),
            graphql: without_slash(endpoints.graphql).to_owned(),
            viewer: OnceCell::new(),
            is_graphql_down: Cell::new(false),
        })
    }

    /// Whether GitHub has answered nothing for a while.
    pub(crate) fn has_outage(&self) -> bool {
        self.http.has_outage()
    }

    /// Fetches a pull request as it is now.
    pub(crate) async fn pull_request(&self, number: u64) -> Result<PullRequest> {
        let route = self.route(&format!("pulls/{number}"));
        let object: PullRequestObject = self.http.get(&route).await?;
        object.try_into()
    }

    /// Looks at a pull request again and again.
    pub(crate) fn watched_pull_request(&self, number: u64) -> Watched<WatchedPullRequest> {
        Watched::new(self.route(&format!("pulls/{number}")))
    }

    /// Looks once. Returns whether it is open, and its head.
    ///
    /// # Errors
    /// GitHub gives no usable answer.
    pub(crate) async fn look_at_pull_request(
        &self,
        pull_request: &mut Watched<WatchedPullRequest>,
    ) -> Result<(bool, Option<Sha>), ApiError> {
        let now = self.http.look(pull_request).await?;
        Ok((now.state != "closed", Sha::parse(&now.head.sha)))
    }

    /// Whether the repository with this id has, or had, this name. A file says the name, so it may be anything.
    pub(crate) async fn has_name(&self, id: Option<u64>, name: &str) -> bool {
        let (Some(id), Some(name)) = (id, RepositoryName::parse(name)) else {
            return false;
        };
        let route = format!("{}/repos/{name}", self.api);
        match self.http.get::<RepositoryObject>(&route).await {
            Ok(object) => object.id == id,
            Err(error) => error.redirected_repository() == Some(id),
        }
    }

    /// Fetches the repository's id and the name of its default branch.
    pub(crate) async fn repository(&self) -> Result<(u64, String)> {
        let object: RepositoryObject = self.http.get(&self.repository).await?;
        Ok((object.id, object.default_branch))
    }

    /// Fetches what somebody may do in the repository. Anything but a clear answer is [`Access::Unknown`].
    pub(crate) async fn access(&self, login: &str) -> Access {
        let login = utf8_percent_encode(login, SEGMENT);
        let route = self.route(&format!("collaborators/{login}/permission"));
        match self.http.get::<PermissionObject>(&route).await {
            Ok(object) => {
                let Some(permission) = Permission::parse(&object.permission) else {
                    let word = object.permission;
                    return Access::Unknown(format!(
                        "the permission is {word:?}, which GitHub does not document"
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

    fn route(&self, path: &str) -> String {
        format!("{}/{path}", self.repository)
    }
}
