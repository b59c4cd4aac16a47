//! A repository's name, and what somebody may do in it.

use std::collections::BTreeMap;
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

/// A repository, as instances tell one from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepositoryIdentity {
    /// `owner/name`, which a rename or a transfer changes. Empty where a file does not say.
    pub(crate) name: String,
    /// GitHub's id, which stays. Files of earlier versions do not have it.
    pub(crate) id: Option<u64>,
    /// What GitHub said of other names, in lower case: whether each is a former name of this repository.
    other_names: BTreeMap<String, bool>,
}

impl RepositoryIdentity {
    pub(crate) fn new(name: &str, id: Option<u64>) -> RepositoryIdentity {
        RepositoryIdentity {
            name: name.to_owned(),
            id,
            other_names: BTreeMap::new(),
        }
    }

    /// Whether both are the same repository. Without an id on either side, the names decide, which GitHub compares without
    /// case.
    pub(crate) fn is(&self, other: &RepositoryIdentity) -> bool {
        match (self.id, other.id) {
            (Some(id), Some(other)) => id == other,
            _ => {
                self.name.eq_ignore_ascii_case(&other.name)
                    || self.has_other_name(&other.name) == Some(true)
                    || other.has_other_name(&self.name) == Some(true)
            }
        }
    }

    /// Whether only GitHub can tell if both are the same: the other one has another name, and no id.
    pub(crate) fn is_unclear(&self, other: &RepositoryIdentity) -> bool {
        self.id.is_some()
            && other.id.is_none()
            && !self.is(other)
            && self.has_other_name(&other.name).is_none()
    }

    /// Keeps what GitHub said of another name.
    pub(crate) fn note_name(&mut self, name: &str, is_ours: bool) {
        self.other_names.insert(name.to_ascii_lowercase(), is_ours);
    }

    fn has_other_name(&self, name: &str) -> Option<bool> {
        self.other_names.get(&name.to_ascii_lowercase()).copied()
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
