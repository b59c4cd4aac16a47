//! Who asks, and what they may.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http::{Answer, Request};
use crate::state::{RepositoryRecord, Shared, State};

/// Whom a token belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) login: String,
    /// The workflow's token, whose permissions are the workflow's and not a person's.
    pub(crate) workflow: bool,
}

impl Caller {
    /// What it is told that lacks a permission.
    pub(crate) fn refusal(&self) -> String {
        let whom = if self.workflow || self.login.ends_with("[bot]") {
            "integration"
        } else {
            "personal access token"
        };
        format!("Resource not accessible by {whom}")
    }
}

/// Someone's role on the base repository, the lesser first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    None,
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

impl Role {
    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "none" => Self::None,
            "read" => Self::Read,
            "triage" => Self::Triage,
            "write" => Self::Write,
            "maintain" => Self::Maintain,
            "admin" => Self::Admin,
            other => {
                panic!("`{other}` is no permission: admin, maintain, write, triage, read or none")
            }
        }
    }

    /// The field `role_name`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The field `permission`, an older word which knows fewer roles.
    pub(crate) fn permission(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read | Self::Triage => "read",
            Self::Write | Self::Maintain => "write",
            Self::Admin => "admin",
        }
    }
}

/// A line of a workflow's `permissions:`.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    name: String,
    write: bool,
}

impl Scope {
    pub(crate) fn parse(text: &str) -> Self {
        let parsed = match text.split_once(':') {
            Some((name, "read")) => Some((name, false)),
            Some((name, "write")) => Some((name, true)),
            _ => None,
        };
        let (name, write) =
            parsed.unwrap_or_else(|| panic!("`{text}` is no permission such as `contents:write`"));
        Self {
            name: name.to_owned(),
            write,
        }
    }
}

/// What a request needs: one of these permissions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    scopes: &'static [&'static str],
    write: bool,
}

impl Need {
    pub(crate) const METADATA: Self = Self {
        scopes: &["metadata"],
        write: false,
    };
    pub(crate) const READ_PULLS: Self = Self {
        scopes: &["pull-requests"],
        write: false,
    };
    pub(crate) const READ_STATUSES: Self = Self {
        scopes: &["statuses"],
        write: false,
    };
    pub(crate) const WRITE_STATUSES: Self = Self {
        scopes: &["statuses"],
        write: true,
    };
    pub(crate) const READ_DEPLOYMENTS: Self = Self {
        scopes: &["deployments"],
        write: false,
    };
    pub(crate) const WRITE_DEPLOYMENTS: Self = Self {
        scopes: &["deployments"],
        write: true,
    };
    pub(crate) const READ_CONTENTS: Self = Self {
        scopes: &["contents"],
        write: false,
    };
    pub(crate) const WRITE_CONTENTS: Self = Self {
        scopes: &["contents"],
        write: true,
    };

    /// Comments and reactions, which on a pull request count as either kind.
    pub(crate) fn discussion(pull: bool, write: bool) -> Self {
        let scopes: &[&str] = if pull {
            &["issues", "pull-requests"]
        } else {
            &["issues"]
        };
        Self { scopes, write }
    }

    /// As in the header `x-accepted-github-permissions`.
    fn accepted(self) -> String {
        let level = if self.write { "write" } else { "read" };
        let scopes = self
            .scopes
            .iter()
            .map(|scope| format!("{}={level}", scope.replace('-', "_")));
        scopes.collect::<Vec<_>>().join("; ")
    }
}

impl Shared {
    /// Whose credentials the request carries, for the API or for Git.
    pub(crate) fn caller(&self, request: &Request) -> Option<Caller> {
        let (scheme, credentials) = request.header("authorization")?.split_once(' ')?;
        let credentials = credentials.trim();
        let token = match scheme.to_ascii_lowercase().as_str() {
            "bearer" | "token" => credentials.to_owned(),
            "basic" => {
                let decoded = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
                decoded.split_once(':')?.1.to_owned()
            }
            _ => return None,
        };
        self.tokens().get(&token).cloned()
    }
}

impl State {
    /// Someone's role on the base repository: what was said, and `read` for a stranger.
    pub(crate) fn role(&self, login: &str) -> Role {
        self.roles
            .get(&login.to_lowercase())
            .copied()
            .unwrap_or(Role::Read)
    }

    /// Whether a repository is there at all for a caller. The workflow's token is its own repository's alone: GraphQL shows
    /// it no private fork, and so `headRepository: null` as if the fork were deleted
    /// (<https://github.com/cli/cli/issues/5708>).
    pub(crate) fn sees(&self, caller: &Caller, repository: &RepositoryRecord) -> bool {
        let login = &caller.login;
        repository.public
            || if caller.workflow {
                repository.id == self.base
            } else {
                login.eq_ignore_ascii_case(&repository.owner) || self.role(login) >= Role::Read
            }
    }

    pub(crate) fn may(&self, caller: &Caller, need: Need, repository: &RepositoryRecord) -> bool {
        let base = repository.id == self.base;
        if !need.write && (repository.public || !base || need.scopes == Need::METADATA.scopes) {
            return true;
        }
        if caller.workflow {
            let granted = |scopes: &Vec<Scope>| {
                let enough = |scope: &Scope| {
                    need.scopes.contains(&scope.name.as_str()) && (scope.write || !need.write)
                };
                scopes.iter().any(enough)
            };
            base && self.scopes.as_ref().is_none_or(granted)
        } else if !base {
            caller.login.eq_ignore_ascii_case(&repository.owner)
        } else {
            let talk = need.scopes.contains(&"issues");
            self.role(&caller.login)
                >= if need.write && !talk {
                    Role::Write
                } else {
                    Role::Read
                }
        }
    }

    /// A refusal in GitHub's words where the caller may not.
    pub(crate) fn require(&self, caller: &Caller, need: Need) -> Result<(), Answer> {
        if self.may(caller, need, self.base()) {
            return Ok(());
        }
        let answer = Answer::error(403, &caller.refusal());
        Err(answer.header("x-accepted-github-permissions", &need.accepted()))
    }
}

/// The credentials of basic authentication with this token, as Git's clients send them.
pub fn basic(token: &str) -> String {
    STANDARD.encode(format!("x-access-token:{token}"))
}
