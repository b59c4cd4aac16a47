//! The GraphQL API, as far as an action asks who it is and how pull requests are.
//!
//! A query is read by the grammar and checked against the types below before anything is answered, as GitHub does: what
//! the local GitHub does not know is an error in GitHub's words, and never an empty answer.

use serde_json::{Map, Value, json};

use crate::access::{Caller, Need};
use crate::http::{Answer, Request};
use crate::state::{Pull, RepositoryRecord, Shared, State};

/// The fields of each type, with the arguments that each needs and the type of what it is.
const TYPES: [(&str, &[Field]); 4] = [
    (
        "Query",
        &[
            ("viewer", &[], "User"),
            ("repository", &["owner", "name"], "Repository"),
        ],
    ),
    ("User", &[("login", &[], "String")]),
    (
        "Repository",
        &[
            ("id", &[], "ID"),
            ("pullRequest", &["number"], "PullRequest"),
        ],
    ),
    (
        "PullRequest",
        &[
            ("number", &[], "Int"),
            ("state", &[], "PullRequestState"),
            ("headRefName", &[], "String"),
            ("headRefOid", &[], "GitObjectID"),
            ("headRepository", &[], "Repository"),
        ],
    ),
];

type Field = (&'static str, &'static [&'static str], &'static str);

fn fields(kind: &str) -> Option<&'static [Field]> {
    let known = TYPES.iter().find(|(name, _)| *name == kind);
    known.map(|(_, fields)| *fields)
}

pub(crate) fn answer(shared: &Shared, request: &Request, caller: &Caller) -> Answer {
    let Some(body) = request.json().filter(Value::is_object) else {
        return Answer::error(400, "Problems parsing JSON");
    };
    let Some(query) = body["query"].as_str() else {
        return Answer::json(
            200,
            &refused("A query attribute must be specified and must be a string."),
        );
    };
    let checked = Parser::new(query, &body["variables"])
        .and_then(Parser::document)
        .and_then(|selections| {
            check(&selections, "Query")?;
            Ok(selections)
        });
    let selections = match checked {
        Ok(selections) => selections,
        Err(message) => return Answer::json(200, &refused(&message)),
    };
    let mut asked = Asked {
        state: &shared.state(),
        caller,
        errors: Vec::new(),
    };
    let data = asked.query(&selections);
    let mut answer = json!({"data": data});
    if !asked.errors.is_empty() {
        answer["errors"] = asked.errors.into();
    }
    Answer::json(200, &answer)
}

/// An error before anything is answered, so without `data`.
fn refused(message: &str) -> Value {
    json!({"errors": [{"message": message}]})
}

/// A field that was asked for.
struct Selection {
    /// Its name in the answer.
    key: String,
    name: String,
    arguments: Vec<(String, Value)>,
    selections: Vec<Selection>,
}

/// Whether the local GitHub knows all this of a type, and it is asked for as it has to be.
fn check(selections: &[Selection], kind: &str) -> Result<(), String> {
    for (at, selection) in selections.iter().enumerate() {
        let name = &selection.name;
        let known = fields(kind).unwrap_or_default();
        let (_, needed, of) = known
            .iter()
            .find(|(known, ..)| known == name)
            .ok_or_else(|| format!("Field '{name}' doesn't exist on type '{kind}'"))?;
        let given: Vec<&str> = selection
            .arguments
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        if let Some(unknown) = given.iter().find(|name| !needed.contains(name)) {
            return Err(format!(
                "Field '{name}' doesn't accept argument '{unknown}'"
            ));
        }
        let missing: Vec<&str> = needed
            .iter()
            .copied()
            .filter(|name| !given.contains(name))
            .collect();
        if !missing.is_empty() {
            return Err(format!(
                "Field '{name}' is missing required arguments: {}",
                missing.join(", ")
            ));
        }
        for (argument, value) in &selection.arguments {
            let (expected, fits) = match argument.as_str() {
                // GraphQL's whole numbers have 32 bits.
                "number" => (
                    "Int!",
                    value
                        .as_i64()
                        .is_some_and(|value| i32::try_from(value).is_ok()),
                ),
                _ => ("String!", value.is_string()),
            };
            if !fits {
                return Err(format!(
                    "Argument '{argument}' on Field '{name}' has an invalid value ({value}). Expected type '{expected}'."
                ));
            }
        }
        if selections[..at]
            .iter()
            .any(|other| other.key == selection.key)
        {
            return Err(format!("Field '{}' has a field conflict", selection.key));
        }
        match (fields(of).is_some(), selection.selections.is_empty()) {
            (true, true) => {
                return Err(format!(
                    "Field must have selections (field '{name}' returns {of} but has no selections. Did you mean \
                     '{name} {{ ... }}'?)"
                ));
            }
            (false, false) => {
                return Err(format!(
                    "Selections can't be made on scalars (field '{name}' returns {of} but has selections)"
                ));
            }
            (true, false) => check(&selection.selections, of)?,
            (false, true) => {}
        }
    }
    Ok(())
}

/// A query that is known, on its way to its answer.
struct Asked<'a> {
    state: &'a State,
    caller: &'a Caller,
    errors: Vec<Value>,
}

impl Asked<'_> {
    fn query(&mut self, selections: &[Selection]) -> Value {
        object(selections, |selection| match selection.name.as_str() {
            "viewer" => object(&selection.selections, |_| self.caller.login.as_str().into()),
            _ => self.repository(selection),
        })
    }

    fn repository(&mut self, selection: &Selection) -> Value {
        let argument = |name| self.argument(selection, name).as_str().unwrap_or_default();
        let (owner, name) = (argument("owner"), argument("name"));
        let (state, caller) = (self.state, self.caller);
        let seen = state.repository(owner, name);
        let Some(repository) = seen.filter(|repository| state.sees(caller, repository)) else {
            let message =
                format!("Could not resolve to a Repository with the name '{owner}/{name}'.");
            return self.error("NOT_FOUND", &[&selection.key], &message);
        };
        object(&selection.selections, |inner| match inner.name.as_str() {
            "id" => node_id(repository),
            _ => self.pull(repository, &[&selection.key, &inner.key], inner),
        })
    }

    fn pull(
        &mut self,
        repository: &RepositoryRecord,
        path: &[&str],
        selection: &Selection,
    ) -> Value {
        if !self.state.may(self.caller, Need::READ_PULLS, repository) {
            return self.error("FORBIDDEN", path, &self.caller.refusal());
        }
        let number = self.argument(selection, "number").clone();
        let issues = &self.state.issues;
        let issue = number.as_u64().and_then(|number| issues.get(&number));
        let pull = issue.filter(|_| repository.id == self.state.base);
        let Some((issue, pull)) = pull.and_then(|issue| Some((issue, issue.pull.as_ref()?))) else {
            let message =
                format!("Could not resolve to a PullRequest with the number of {number}.");
            return self.error("NOT_FOUND", path, &message);
        };
        object(&selection.selections, |inner| match inner.name.as_str() {
            "number" => issue.number.into(),
            "state" if pull.merged_by.is_some() => "MERGED".into(),
            "state" => issue.state().to_uppercase().into(),
            "headRefName" => pull.head_branch.as_str().into(),
            "headRefOid" => pull.head_sha.as_str().into(),
            _ => self.head_repository(pull, inner),
        })
    }

    fn head_repository(&self, pull: &Pull, selection: &Selection) -> Value {
        let head = &self.state.repositories[&pull.head];
        if head.deleted || !self.state.sees(self.caller, head) {
            return Value::Null;
        }
        object(&selection.selections, |_| node_id(head))
    }

    fn argument<'a>(&'a self, selection: &'a Selection, name: &str) -> &'a Value {
        let given = selection.arguments.iter().find(|(other, _)| other == name);
        &given.expect("it was checked").1
    }

    /// A field that is `null` for a reason.
    fn error(&mut self, kind: &str, path: &[&str], message: &str) -> Value {
        self.errors
            .push(json!({"type": kind, "path": path, "message": message}));
        Value::Null
    }
}

fn object(selections: &[Selection], mut value: impl FnMut(&Selection) -> Value) -> Value {
    let fields = selections
        .iter()
        .map(|selection| (selection.key.clone(), value(selection)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn node_id(repository: &RepositoryRecord) -> Value {
    format!("R_{}", repository.id).into()
}

/// Reads one query in the part of <https://spec.graphql.org/October2021/> that clients of the local GitHub write: no
/// fragments, no directives, no values but strings, numbers and variables.
struct Parser<'a> {
    variables: &'a Value,
    tokens: Vec<&'a str>,
    at: usize,
    /// Variables that the query declares.
    declared: Vec<&'a str>,
    used: Vec<&'a str>,
}

impl<'a> Parser<'a> {
    fn new(query: &'a str, variables: &'a Value) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut rest = query;
        let skipped = |character: char| character.is_whitespace() || character == ',';
        loop {
            rest = rest.trim_start_matches(skipped);
            let Some(first) = rest.chars().next() else {
                break;
            };
            let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
            let length = match first {
                '"' => rest[1..].find(['"', '\\', '\n']).map(|end| end + 2),
                _ if is_word(first) => rest
                    .find(|character| !is_word(character))
                    .or(Some(rest.len())),
                '{' | '}' | '(' | ')' | ':' | '$' | '!' => Some(1),
                _ => None,
            };
            let (token, after) = length
                .and_then(|length| rest.split_at_checked(length))
                .filter(|(token, _)| first != '"' || token.ends_with('"'))
                .ok_or_else(|| format!("Parse error on {:?}", first.to_string()))?;
            tokens.push(token);
            rest = after;
        }
        Ok(Self {
            variables,
            tokens,
            at: 0,
            declared: Vec::new(),
            used: Vec::new(),
        })
    }

    fn document(mut self) -> Result<Vec<Selection>, String> {
        if self.take("query") {
            if self.peek().is_some_and(is_name) {
                self.at += 1;
            }
            if self.take("(") {
                self.declarations()?;
            }
        }
        let selections = self.selections()?;
        if self.peek().is_some() {
            return Err(self.unexpected());
        }
        let lacking = |some: &[&'a str], other: &[&'a str]| {
            some.iter().find(|name| !other.contains(name)).copied()
        };
        if let Some(name) = lacking(&self.used, &self.declared) {
            return Err(format!(
                "Variable ${name} is used by anonymous query but not declared"
            ));
        }
        if let Some(name) = lacking(&self.declared, &self.used) {
            return Err(format!(
                "Variable ${name} is declared by anonymous query but not used"
            ));
        }
        Ok(selections)
    }

    /// Names and types of variables, after the parenthesis.
    fn declarations(&mut self) -> Result<(), String> {
        while !self.take(")") {
            self.expect("$")?;
            let name = self.name()?;
            self.declared.push(name);
            self.expect(":")?;
            self.name()?;
            self.take("!");
        }
        Ok(())
    }

    fn selections(&mut self) -> Result<Vec<Selection>, String> {
        self.expect("{")?;
        let mut selections = Vec::new();
        while selections.is_empty() || !self.take("}") {
            selections.push(self.selection()?);
        }
        Ok(selections)
    }

    fn selection(&mut self) -> Result<Selection, String> {
        let key = self.name()?;
        let name = if self.take(":") { self.name()? } else { key };
        let mut arguments = Vec::new();
        if self.take("(") {
            while arguments.is_empty() || !self.take(")") {
                let argument = self.name()?;
                self.expect(":")?;
                arguments.push((argument.to_owned(), self.value()?));
            }
        }
        let selections = match self.peek() {
            Some("{") => self.selections()?,
            _ => Vec::new(),
        };
        Ok(Selection {
            key: key.to_owned(),
            name: name.to_owned(),
            arguments,
            selections,
        })
    }

    fn value(&mut self) -> Result<Value, String> {
        if self.take("$") {
            let name = self.name()?;
            self.used.push(name);
            return Ok(self.variables[name].clone());
        }
        let token = self.peek().unwrap_or_default();
        let literal = serde_json::from_str(token).map_err(|_| self.unexpected())?;
        self.at += 1;
        Ok(literal)
    }

    fn name(&mut self) -> Result<&'a str, String> {
        let name = self.peek().filter(|token| is_name(token));
        let name = name.ok_or_else(|| self.unexpected())?;
        self.at += 1;
        Ok(name)
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn take(&mut self, token: &str) -> bool {
        let is_there = self.peek() == Some(token);
        self.at += usize::from(is_there);
        is_there
    }

    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn unexpected(&self) -> String {
        self.peek().map_or_else(
            || "Unexpected end of document".to_owned(),
            |token| format!("Parse error on {token:?}"),
        )
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}
