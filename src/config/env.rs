//! The variables that the runner sets.

use std::collections::HashMap;
use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use url::Url;

use crate::model::proxy::{Proxies, Proxy};
use crate::model::repository::RepositoryName;

/// The variables that name proxies, in either case.
const PROXIES: [&str; 3] = ["http_proxy", "https_proxy", "no_proxy"];

/// The variables that matter here, all of them text.
pub(crate) struct Variables(pub(crate) HashMap<String, String>);

impl Variables {
    pub(crate) fn new(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Variables> {
        let mut ours = HashMap::new();
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            let is_ours = name.starts_with("GITHUB_")
                || name.starts_with("INPUT_")
                || PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name));
            if !is_ours {
                continue;
            }
            match value.into_string() {
                Ok(value) => ours.insert(name.to_owned(), value),
                // Not shown: it may be the token.
                Err(_) => bail!("{} is not UTF-8: give text", described(name)),
            };
        }
        Ok(Variables(ours))
    }

    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str> {
        self.optional(name).with_context(|| {
            format!("the variable `{name}` is missing or empty: GitHub's runner sets it, so run this as an action")
        })
    }

    pub(crate) fn url(&self, name: &str) -> Result<Url> {
        let text = self.required(name)?;
        Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .with_context(|| format!("the variable `{name}` is not a valid URL: it must start with http:// or https:// and contain no credentials"))
    }

    pub(crate) fn repository(&self) -> Result<RepositoryName> {
        let text = self.required("GITHUB_REPOSITORY")?;
        RepositoryName::parse(text).with_context(|| {
            format!("the variable `GITHUB_REPOSITORY` is {text:?}: it must be `owner/name`")
        })
    }

    /// The proxies for `http` and `https` URLs. In lower case a name comes first, as it does for curl and Git.
    pub(crate) fn proxies(&self) -> Result<Proxies> {
        let [http, https, no_proxy] = PROXIES.map(|name| {
            let upper = name.to_ascii_uppercase();
            let set = |name: &str| Some((name.to_owned(), self.optional(name)?));
            set(name).or_else(|| set(&upper))
        });
        let parsed = |variable: Option<(String, &str)>| {
            let proxy = variable.map(|(name, value)| Proxy::parse(&name, value));
            proxy.transpose()
        };
        let no_proxy = no_proxy.map_or("", |(_, value)| value);
        Ok(Proxies::new(parsed(http)?, parsed(https)?, no_proxy))
    }

    /// Payloads say it, too, apart from a schedule's.
    pub(crate) fn repository_id(&self) -> Option<u64> {
        self.optional("GITHUB_REPOSITORY_ID")?.parse().ok()
    }

    /// Only a link depends on it, so what cannot be read is as good as missing.
    pub(crate) fn action(&self) -> Option<(RepositoryName, String)> {
        let repository = self.optional("GITHUB_ACTION_REPOSITORY")?;
        let revision = self.optional("GITHUB_ACTION_REF")?;
        Some((RepositoryName::parse(repository)?, revision.to_owned()))
    }

    pub(crate) fn run_id(&self) -> Result<u64> {
        let text = self.required("GITHUB_RUN_ID")?;
        text.parse().with_context(|| {
            format!("the variable `GITHUB_RUN_ID` is {text:?}: it must be a number")
        })
    }
}

/// A variable as its user knows it.
fn described(variable: &str) -> String {
    match variable.strip_prefix("INPUT_") {
        Some(input) => format!("the input `{}`", input.to_ascii_lowercase()),
        None => format!("the variable `{variable}`"),
    }
}
