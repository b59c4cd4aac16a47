//! A repository's name, and what somebody may do in it.

use std::fmt;

/// A repository's `owner/name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepositoryName {
    /// The user or organisation.
    pub(crate) owner: String,
    /// The name below it.
    pub(crate) name: String,
}

impl RepositoryName {
    pub(crate) fn parse(text: &str) -> Option<RepositoryName> {
        let is_part = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let (owner, name) = text.split_once('/')?;
        (is_part(owner) && is_part(name)).then(|| RepositoryName {
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// What somebody may do in a repository, the least first
/// ([roles](https://docs.github.com/organizations/managing-user-access-to-your-organizations-repositories/managing-repository-roles/repository-roles-for-an-organization)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Permission {
    /// Nothing.
    None,
    /// See.
    Read,
    /// Manage issues and pull requests.
    Triage,
    /// Push.
    Write,
    /// Manage the repository.
    Maintain,
    /// Everything.
    Admin,
}

impl Permission {
    /// The permission of this name, `None` for a word that is none of GitHub's.
    pub(crate) fn parse(word: &str) -> Option<Permission> {
        Some(match word {
            "none" => Permission::None,
            "read" => Permission::Read,
            "triage" => Permission::Triage,
            "write" => Permission::Write,
            "maintain" => Permission::Maintain,
            "admin" => Permission::Admin,
            _ => return None,
        })
    }

    /// GitHub's word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Permission::None => "none",
            Permission::Read => "read",
            Permission::Triage => "triage",
            Permission::Write => "write",
            Permission::Maintain => "maintain",
            Permission::Admin => "admin",
        }
    }
}

/// GitHub's answer to what somebody may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Access {
    /// A clear answer.
    Known(Permission),
    /// Anything else, in the server's words. It is a no.
    Unknown(String),
}
