//! The REST API: what a request may do to the state, and what it is answered.

use serde_json::{Value, json};

use crate::access::{Caller, Need, Role};
use crate::clock;
use crate::http::{Answer, Request};
use crate::payload::REACTIONS;
use crate::state::{CommentRecord, Issue, Pull, Reaction, Shared, State};

mod deployments;
mod statuses;

pub(crate) use statuses::STATES;

/// The most characters that a comment may have.
const COMMENT_LIMIT: usize = 65_536;
/// The most characters that the description of a status may have, a commit's or a deployment's.
const DESCRIPTION_LIMIT: usize = 140;

/// An answer either way; the error is one that ends the work early.
type Answered = Result<Answer, Answer>;

/// Answers a request to the API.
pub(crate) fn answer(shared: &Shared, request: &Request, caller: &Caller) -> Answer {
    let call = Call {
        shared,
        request,
        caller,
    };
    call.route().unwrap_or_else(|refusal| refusal)
}

struct Call<'a> {
    shared: &'a Shared,
    request: &'a Request,
    caller: &'a Caller,
}

impl Call<'_> {
    fn route(&self) -> Answered {
        let segments = self.request.segments();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let mut state = self.shared.state();
        let (owner, name, rest) = match parts.as_slice() {
            ["user"] => return self.user(&state),
            ["repos", owner, name, rest @ ..] => (*owner, *name, rest),
            _ => return Err(Answer::not_found()),
        };
        let repository = state
            .repository(owner, name)
            .ok_or_else(Answer::not_found)?;
        if rest.is_empty() && self.request.method == "GET" {
            return Ok(Answer::json(200, &state.repository_json(repository)));
        }
        if repository.id != state.base {
            return Err(Answer::not_found());
        }
        match (self.request.method.as_str(), rest) {
            ("GET", ["pulls"]) => self.pulls(&state),
            ("GET", ["pulls", number]) => self.pull(&state, parse(number)?),
            ("GET", ["collaborators", login, "permission"]) => self.permission(&state, login),
            ("GET", ["issues", number, "comments"]) => self.comments(&state, parse(number)?),
            ("POST", ["issues", number, "comments"]) => {
                self.create_comment(&mut state, parse(number)?)
            }
            ("GET", ["issues", "comments", id]) => self.comment(&state, parse(id)?),
            ("PATCH", ["issues", "comments", id]) => self.edit_comment(&mut state, parse(id)?),
            ("DELETE", ["issues", "comments", id]) => self.delete_comment(&mut state, parse(id)?),
            ("GET", ["issues", "comments", id, "reactions"]) => self.reactions(&state, parse(id)?),
            ("POST", ["issues", "comments", id, "reactions"]) => self.react(&mut state, parse(id)?),
            ("POST", ["statuses", sha]) => self.create_status(&mut state, sha),
            ("GET", ["commits", sha, "statuses"]) => self.statuses(&state, sha),
            ("GET", ["commits", reference @ .., "status"]) => {
                self.combined_status(&state, &reference.join("/"))
            }
            ("GET", ["deployments"]) => self.deployments(&state),
            ("POST", ["deployments"]) => self.create_deployment(&mut state),
            ("GET", ["deployments", id]) => self.deployment(&state, parse(id)?),
            ("GET", ["deployments", id, "statuses"]) => {
                self.deployment_statuses(&state, parse(id)?)
            }
            ("POST", ["deployments", id, "statuses"]) => {
                self.create_deployment_status(&mut state, parse(id)?)
            }
            _ => Err(Answer::not_found()),
        }
    }

    /// Only a person's token is somebody's: the workflow's and any other app's is told no user.
    fn user(&self, state: &State) -> Answered {
        if self.caller.workflow || self.caller.login.ends_with("[bot]") {
            return Err(Answer::error(403, "Resource not accessible by integration"));
        }
        Ok(Answer::json(200, &state.user(&self.caller.login)))
    }

    fn pull(&self, state: &State, number: u64) -> Answered {
        state.require(self.caller, Need::READ_PULLS)?;
        let issue = issue(state, number)?;
        let pull = issue.pull.as_ref().ok_or_else(Answer::not_found)?;
        Ok(Answer::json(200, &state.pull_json(issue, pull)))
    }

    fn pulls(&self, state: &State) -> Answered {
        state.require(self.caller, Need::READ_PULLS)?;
        let parameter = |name: &str, default: &str| {
            self.request
                .parameter(name)
                .unwrap_or_else(|| default.to_owned())
        };
        let (wanted, sort) = (parameter("state", "open"), parameter("sort", "created"));
        let (head, base) = (
            self.request.parameter("head"),
            self.request.parameter("base"),
        );
        let label = |pull: &Pull| {
            format!(
                "{}:{}",
                state.repositories[&pull.head].owner, pull.head_branch
            )
        };
        let mut pulls: Vec<_> = state
            .issues
            .values()
            .filter_map(|issue| Some((issue, issue.pull.as_ref()?)))
            .filter(|(issue, _)| wanted == "all" || wanted == issue.state())
            .filter(|(_, pull)| head.as_ref().is_none_or(|head| *head == label(pull)))
            .filter(|(_, pull)| base.as_ref().is_none_or(|base| *base == pull.base_branch))
            .collect();
        if sort == "updated" {
            pulls.sort_by_key(|(issue, _)| (issue.updated.as_str(), issue.number));
        }
        // The newest are first by creation, as on GitHub; the oldest by anything else.
        if parameter("direction", if sort == "created" { "desc" } else { "asc" }) == "desc" {
            pulls.reverse();
        }
        let render = |(issue, pull)| {
            let mut json = state.pull_json(issue, pull);
            for single_only in [
                "merged",
                "merged_by",
                "mergeable",
                "mergeable_state",
                "comments",
            ] {
                json.as_object_mut().expect("an object").remove(single_only);
            }
            json
        };
        Ok(self.page(pulls, render))
    }

    fn permission(&self, state: &State, login: &str) -> Answered {
        state.require(self.caller, Need::METADATA)?;
        let user = state.user(login);
        if user.is_null() {
            return Err(Answer::error(404, &format!("{login} is not a user")));
        }
        let role: Role = state.role(login);
        let body = json!({"permission": role.permission(), "role_name": role.name(), "user": user});
        Ok(Answer::json(200, &body))
    }

    fn comments(&self, state: &State, number: u64) -> Answered {
        self.require_discussion(state, issue(state, number)?, false)?;
        let of_issue = state
            .comments
            .values()
            .filter(|comment| comment.number == number);
        Ok(self.page(of_issue.collect(), |comment| state.comment_json(comment)))
    }

    fn create_comment(&self, state: &mut State, number: u64) -> Answered {
        self.require_discussion(state, issue(state, number)?, true)?;
        let body = self.comment_body()?;
        let id = state.add_comment(number, &self.caller.login, &body);
        let comment = &state.comments[&id];
        Ok(Answer::json(201, &state.comment_json(comment))
            .header("location", &state.comment_html(comment)))
    }

    fn comment(&self, state: &State, id: u64) -> Answered {
        let comment = comment(state, id)?;
        self.require_discussion(state, issue(state, comment.number)?, false)?;
        Ok(Answer::json(200, &state.comment_json(comment)))
    }

    fn edit_comment(&self, state: &mut State, id: u64) -> Answered {
        self.require_own(state, comment(state, id)?)?;
        let body = self.comment_body()?;
        let comment = state.comments.get_mut(&id).expect("found above");
        comment.body = body;
        comment.updated = clock::now();
        Ok(Answer::json(200, &state.comment_json(&state.comments[&id])))
    }

    fn delete_comment(&self, state: &mut State, id: u64) -> Answered {
        self.require_own(state, comment(state, id)?)?;
        state.comments.remove(&id);
        Ok(Answer {
            status: 204,
            headers: Vec::new(),
            body: Vec::new(),
        })
    }

    fn reactions(&self, state: &State, id: u64) -> Answered {
        self.require_discussion(state, issue(state, comment(state, id)?.number)?, false)?;
        let of_comment = state
            .reactions
            .iter()
            .filter(|reaction| reaction.comment == id);
        Ok(self.page(of_comment.collect(), |reaction| {
            state.reaction_json(reaction)
        }))
    }

    fn react(&self, state: &mut State, id: u64) -> Answered {
        self.require_discussion(state, issue(state, comment(state, id)?.number)?, true)?;
        let content = self.body()?["content"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if !REACTIONS.contains(&content.as_str()) {
            return Err(Answer::invalid("Reaction", "invalid", "content", ""));
        }
        let login = self.caller.login.clone();
        let same = |reaction: &&Reaction| {
            reaction.comment == id && reaction.login == login && reaction.content == content
        };
        if let Some(reaction) = state.reactions.iter().find(same) {
            return Ok(Answer::json(200, &state.reaction_json(reaction)));
        }
        let reaction = Reaction {
            id: state.new_id(),
            comment: id,
            login,
            content,
            created: clock::now(),
        };
        let answer = Answer::json(201, &state.reaction_json(&reaction));
        state.reactions.push(reaction);
        Ok(answer)
    }

    fn require_discussion(&self, state: &State, issue: &Issue, write: bool) -> Result<(), Answer> {
        state.require(self.caller, Need::discussion(issue.pull.is_some(), write))
    }

    /// A comment is its author's; who may write to the repository may change anyone's.
    fn require_own(&self, state: &State, comment: &CommentRecord) -> Result<(), Answer> {
        self.require_discussion(state, issue(state, comment.number)?, true)?;
        let login = &self.caller.login;
        if self.caller.workflow || *login == comment.login || state.role(login) >= Role::Write {
            Ok(())
        } else {
            Err(Answer::error(403, "Must have admin rights to Repository."))
        }
    }

    fn body(&self) -> Result<Value, Answer> {
        let body = self.request.json().filter(Value::is_object);
        body.ok_or_else(|| Answer::error(400, "Problems parsing JSON"))
    }

    fn comment_body(&self) -> Result<String, Answer> {
        let body = self.body()?;
        let Some(text) = body["body"].as_str() else {
            return Err(Answer::error(
                422,
                "Invalid request.\n\n\"body\" wasn't supplied.",
            ));
        };
        if text.trim().is_empty() {
            return Err(Answer::invalid(
                "IssueComment",
                "missing_field",
                "body",
                "body cannot be blank",
            ));
        }
        if text.chars().count() > COMMENT_LIMIT {
            let message = format!("body is too long (maximum is {COMMENT_LIMIT} characters)");
            return Err(Answer::invalid(
                "IssueComment",
                "unprocessable",
                "body",
                &message,
            ));
        }
        Ok(text.to_owned())
    }

    /// The page of a list that was asked for, with links to the others.
    fn page<T>(&self, items: Vec<T>, render: impl Fn(T) -> Value) -> Answer {
        self.page_within(items, render, Value::Array)
    }

    /// The same where the list is part of an answer.
    fn page_within<T>(
        &self,
        items: Vec<T>,
        render: impl Fn(T) -> Value,
        answer: impl FnOnce(Vec<Value>) -> Value,
    ) -> Answer {
        let parameter = |name: &str| {
            self.request
                .parameter(name)
                .and_then(|value| value.parse::<usize>().ok())
        };
        let size = parameter("per_page").unwrap_or(30).clamp(1, 100);
        let page = parameter("page").unwrap_or(1).max(1);
        let last = items.len().div_ceil(size).max(1);
        let mut links = Vec::new();
        if page > 1 {
            links.push((page - 1, "prev"));
        }
        if page < last {
            links.extend([(page + 1, "next"), (last, "last")]);
        }
        if page > 1 {
            links.push((1, "first"));
        }
        let links: Vec<_> = links
            .iter()
            .map(|(page, rel)| format!("<{}>; rel=\"{rel}\"", self.page_url(*page)))
            .collect();
        let items = items
            .into_iter()
            .skip((page - 1).saturating_mul(size))
            .take(size)
            .map(render)
            .collect();
        let answer = Answer::json(200, &answer(items));
        if links.is_empty() {
            answer
        } else {
            answer.header("link", &links.join(", "))
        }
    }

    /// The URL of this request with another page.
    fn page_url(&self, page: usize) -> String {
        let others = self
            .request
            .query
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.starts_with("page="));
        let query: Vec<String> = others
            .map(str::to_owned)
            .chain([format!("page={page}")])
            .collect();
        format!(
            "{}/api/v3{}?{}",
            self.shared.server_url,
            self.request.path,
            query.join("&")
        )
    }
}

/// What both kinds of status require of their fields; an empty text counts as none.
fn check_status(
    resource: &str,
    body: &Value,
    states: &[&str],
    urls: &[&str],
) -> Result<(), Answer> {
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let invalid = |field: &str, message: &str| Answer::invalid(resource, "custom", field, message);
    if !states.contains(&text("state")) {
        let message = "state is not included in the list";
        return Err(invalid("state", message));
    }
    if text("description").chars().count() > DESCRIPTION_LIMIT {
        let message =
            format!("description is too long (maximum is {DESCRIPTION_LIMIT} characters)");
        return Err(invalid("description", &message));
    }
    let is_other = |field: &&&str| {
        let url = text(field);
        !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://")
    };
    match urls.iter().find(is_other) {
        Some(field) => {
            let message = format!("{field} must use http(s) scheme");
            Err(invalid(field, &message))
        }
        None => Ok(()),
    }
}

fn parse(number: &str) -> Result<u64, Answer> {
    number.parse().map_err(|_| Answer::not_found())
}

fn issue(state: &State, number: u64) -> Result<&Issue, Answer> {
    state.issues.get(&number).ok_or_else(Answer::not_found)
}

fn comment(state: &State, id: u64) -> Result<&CommentRecord, Answer> {
    state.comments.get(&id).ok_or_else(Answer::not_found)
}
