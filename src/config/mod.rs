//! The environment and the action's inputs, validated once: past this file every value is known to be good.

pub(crate) mod env;
pub(crate) mod inputs;
#[cfg(test)]
pub(crate) mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::config::env::Variables;
use crate::config::inputs::Inputs;
use crate::model::proxy::Proxies;
use crate::model::repository::RepositoryName;
use crate::model::url::without_slash;

/// What a path of a URL keeps as it is, `/` included ([RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-3.3)).
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'/')
    .remove(b'_')
    .remove(b'~');

/// Everything that is given from outside, validated.
#[derive(Debug)]
pub(crate) struct Config {
    /// `GITHUB_EVENT_NAME`
    pub(crate) event_name: String,
    /// `GITHUB_EVENT_PATH`
    pub(crate) event_path: PathBuf,
    /// `GITHUB_REPOSITORY`
    pub(crate) repository: RepositoryName,
    /// `GITHUB_REPOSITORY_ID`, where there is one.
    pub(crate) repository_id: Option<u64>,
    /// `GITHUB_WORKSPACE`, where there is one.
    pub(crate) workspace: Option<PathBuf>,
    /// `GITHUB_API_URL`
    pub(crate) api_url: Url,
    /// `GITHUB_SERVER_URL`
    pub(crate) server_url: Url,
    /// `GITHUB_GRAPHQL_URL`
    pub(crate) graphql_url: Url,
    /// `GITHUB_RUN_ID`
    pub(crate) run_id: u64,
    /// `GITHUB_OUTPUT`, where there is one.
    pub(crate) output: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`, where there is one.
    pub(crate) summary: Option<PathBuf>,
    /// `GITHUB_ACTION_REPOSITORY` and `GITHUB_ACTION_REF`: where the action itself comes from, unless it is this repository.
    pub(crate) action: Option<(RepositoryName, String)>,
    /// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`
    pub(crate) proxies: Proxies,
    /// The action's inputs.
    pub(crate) inputs: Inputs,
}

impl Config {
    /// Reads and validates the environment that the runner gives to an action.
    ///
    /// # Errors
    /// The first variable or input that is missing or has a bad value: its name, the value and what is allowed.
    pub(crate) fn from_env(
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Config> {
        let variables = Variables::new(variables)?;
        let server_url = variables.url("GITHUB_SERVER_URL")?;
        let repository = variables.repository()?;
        let inputs = Inputs::new(&variables, &server_url, &repository)?;
        Ok(Config {
            event_name: variables.required("GITHUB_EVENT_NAME")?.to_owned(),
            event_path: PathBuf::from(variables.required("GITHUB_EVENT_PATH")?),
            repository_id: variables.repository_id(),
            workspace: variables.optional("GITHUB_WORKSPACE").map(PathBuf::from),
            api_url: variables.url("GITHUB_API_URL")?,
            graphql_url: variables.url("GITHUB_GRAPHQL_URL")?,
            run_id: variables.run_id()?,
            output: variables.optional("GITHUB_OUTPUT").map(PathBuf::from),
            summary: variables.optional("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            action: variables.action(),
            proxies: variables.proxies()?,
            repository,
            server_url,
            inputs,
        })
    }

    /// The page of this run.
    pub(crate) fn run_url(&self) -> String {
        self.page(&format!("actions/runs/{}", self.run_id))
    }

    /// The page that says of each refusal and failure what to do, in the action's own repository.
    pub(crate) fn help_url(&self) -> String {
        let own = (self.repository.clone(), "HEAD".to_owned());
        let (repository, revision) = self.action.as_ref().unwrap_or(&own);
        let revision = utf8_percent_encode(revision, PATH);
        let server = without_slash(&self.server_url);
        format!("{server}/{repository}/blob/{revision}/docs/troubleshooting.md")
    }

    /// The page of a file on a branch.
    pub(crate) fn file_url(&self, branch: &str, path: &str) -> String {
        let segments = |path: &str| utf8_percent_encode(path, PATH).to_string();
        self.page(&format!("blob/{}/{}", segments(branch), segments(path)))
    }

    /// The page of a commit.
    pub(crate) fn commit_url(&self, sha: &str) -> String {
        self.page(&format!("commit/{sha}"))
    }

    /// What is fetched from and pushed to.
    pub(crate) fn remote_url(&self) -> String {
        format!("{}/{}", without_slash(&self.server_url), self.repository)
    }

    fn page(&self, path: &str) -> String {
        format!("{}/{path}", self.remote_url())
    }
}
