//! Reads a file of ours without a YAML parser, where it still looks as we write it: among thousands of instances the parser
//! is most of what a run costs.
//!
//! What looks so is a small part of YAML that can be read line by line: mappings in blocks of two blanks, one scalar a line
//! that is plain without a blank or quoted without an escape. Whatever does not, down to a comment, is left to the parser;
//! a property holds the two to each other.

use crate::model::instance::{
    BRANCH, COMMIT, EXPIRES, Instance, MANAGED_BY, NAMESPACE_VARIABLE, Owner, PULL_REQUEST,
    REPOSITORY, REQUESTED_BY,
};
use crate::model::ttl::Expiry;

/// What an object says of an instance, or a whole file, of which the first object that says something counts.
#[derive(Default)]
struct Said<'a> {
    namespace: Option<&'a str>,
    branch: Option<&'a str>,
    commit: Option<&'a str>,
    requested_by: Option<&'a str>,
    expires: Option<&'a str>,
}

/// One object of a file.
#[derive(Default)]
struct Object<'a> {
    /// Where in the object the line is.
    path: Vec<&'a str>,
    /// Whether the line before opened a mapping, which has to be filled.
    is_open: bool,
    /// The mappings that matter and were there: one that comes twice would replace the first.
    mappings: Vec<Mapping>,
    managed_by: Option<&'a str>,
    pull_request: Option<&'a str>,
    repository: Option<&'a str>,
    said: Said<'a>,
}

/// A mapping that the parser wants to be one.
#[derive(Clone, Copy, PartialEq)]
enum Mapping {
    Metadata,
    Labels,
    Annotations,
    Spec,
    PostBuild,
    Substitute,
}

/// What [`crate::manifest::read`] finds in a file; `Err` where only the parser can tell.
pub(crate) fn skim(file: &[u8]) -> Result<Option<Instance>, NotSure> {
    let text = std::str::from_utf8(file).map_err(|_| NotSure)?;
    let text = text.strip_prefix("---\n").ok_or(NotSure)?;
    let text = text.strip_suffix('\n').ok_or(NotSure)?;
    let mut said = Said::default();
    let mut owner = None;
    for document in text.split("\n---\n") {
        let object = Object::read(document)?;
        owner = owner.or_else(|| object.owner());
        said = said.or(object.said);
    }
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    Ok(owner.map(|owner| Instance {
        owner,
        namespace: text(said.namespace),
        branch: text(said.branch),
        commit: text(said.commit),
        requested_by: text(said.requested_by),
        expires: said.expires.map_or(Expiry::Never, Expiry::read),
    }))
}

/// The file may say something that only the parser understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotSure;

impl<'a> Said<'a> {
    fn or(self, other: Said<'a>) -> Said<'a> {
        Said {
            namespace: self.namespace.or(other.namespace),
            branch: self.branch.or(other.branch),
            commit: self.commit.or(other.commit),
            requested_by: self.requested_by.or(other.requested_by),
            expires: self.expires.or(other.expires),
        }
    }
}

impl<'a> Object<'a> {
    fn read(document: &'a str) -> Result<Object<'a>, NotSure> {
        let mut object = Object::default();
        // Not `str::lines`, which would drop a carriage return.
        for line in document.split('\n') {
            object.line(line)?;
        }
        if object.is_open {
            return Err(NotSure);
        }
        Ok(object)
    }

    fn owner(&self) -> Option<Owner> {
        if self.managed_by? != MANAGED_BY.1 {
            return None;
        }
        Some(Owner {
            repository: self.repository?.to_owned(),
            pull_request: self.pull_request?.parse().ok()?,
        })
    }

    fn line(&mut self, line: &'a str) -> Result<(), NotSure> {
        let unindented = line.trim_start_matches(' ');
        let indent = line.len() - unindented.len();
        let depth = indent / 2;
        let expected = if self.is_open {
            self.path.len()..=self.path.len()
        } else {
            0..=self.path.len().saturating_sub(1)
        };
        if !indent.is_multiple_of(2) || !expected.contains(&depth) {
            return Err(NotSure);
        }
        let (key, value) = unindented.split_once(':').ok_or(NotSure)?;
        if !is_key(key) {
            return Err(NotSure);
        }
        self.path.truncate(depth);
        self.path.push(key);
        self.is_open = value.is_empty();
        if self.is_open {
            return self.mapping();
        }
        let value = scalar(value.strip_prefix(' ').ok_or(NotSure)?)?;
        self.scalar(value)
    }

    fn mapping(&mut self) -> Result<(), NotSure> {
        let mapping = match self.path.as_slice() {
            ["metadata"] => Mapping::Metadata,
            ["metadata", "labels"] => Mapping::Labels,
            ["metadata", "annotations"] => Mapping::Annotations,
            ["spec"] => Mapping::Spec,
            ["spec", "postBuild"] => Mapping::PostBuild,
            ["spec", "postBuild", "substitute"] => Mapping::Substitute,
            ["metadata", "labels" | "annotations", ..]
            | ["spec", "postBuild", "substitute", ..] => {
                return Err(NotSure);
            }
            _ => return Ok(()),
        };
        if self.mappings.contains(&mapping) {
            return Err(NotSure);
        }
        self.mappings.push(mapping);
        Ok(())
    }

    fn scalar(&mut self, value: &'a str) -> Result<(), NotSure> {
        let place = match self.path.as_slice() {
            ["metadata" | "spec"]
            | ["metadata", "labels" | "annotations"]
            | ["spec", "postBuild"]
            | ["spec", "postBuild", "substitute"] => return Err(NotSure),
            ["metadata", "labels", key] if *key == MANAGED_BY.0 => &mut self.managed_by,
            ["metadata", "labels", key] if *key == PULL_REQUEST => &mut self.pull_request,
            ["metadata", "annotations", key] => match *key {
                REPOSITORY => &mut self.repository,
                BRANCH => &mut self.said.branch,
                COMMIT => &mut self.said.commit,
                REQUESTED_BY => &mut self.said.requested_by,
                EXPIRES => &mut self.said.expires,
                _ => return Ok(()),
            },
            ["spec", "postBuild", "substitute", key] if *key == NAMESPACE_VARIABLE => {
                &mut self.said.namespace
            }
            _ => return Ok(()),
        };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(NotSure),
        }
    }
}

fn is_key(key: &str) -> bool {
    // YAML itself has a bound, of 1,024 characters.
    key.len() <= 128
        && key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte))
        && !is_null(key)
}

fn is_null(text: &str) -> bool {
    text.eq_ignore_ascii_case("null")
}

/// A scalar that stands for what is written there.
fn scalar(text: &str) -> Result<&str, NotSure> {
    for quote in ['"', '\''] {
        if let Some(rest) = text.strip_prefix(quote) {
            let inner = rest.strip_suffix(quote).ok_or(NotSure)?;
            let is_verbatim = |byte: u8| {
                (b' '..=b'~').contains(&byte) && byte != b'\\' && char::from(byte) != quote
            };
            return inner
                .bytes()
                .all(is_verbatim)
                .then_some(inner)
                .ok_or(NotSure);
        }
    }
    let is_plain = text
        .strip_prefix("./")
        .unwrap_or(text)
        .starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.ends_with(':')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_./@:+-".contains(&byte))
        && !is_null(text);
    is_plain.then_some(text).ok_or(NotSure)
}
