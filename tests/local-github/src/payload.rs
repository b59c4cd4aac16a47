//! What the local GitHub knows, in the shapes of GitHub's API and webhooks.

use serde_json::{Value, json};

use crate::access::Role;
use crate::clock;
use crate::repository::Commit;
use crate::state::{
    BOT, CommentRecord, DeploymentRecord, DeploymentStatusRecord, Issue, Pull, Reaction,
    RepositoryRecord, State, StatusRecord,
};
use crate::webhook::Push;

/// The id of GitHub's own bot, which its noreply address holds.
const BOT_ID: u64 = 41_898_282;

/// The same login has the same id everywhere.
fn user_id(login: &str) -> u64 {
    if login == BOT {
        return BOT_ID;
    }
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    login
        .to_lowercase()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, fnv)
        % 100_000_000
        + 1_000
}

impl State {
    fn api(&self, path: &str) -> String {
        format!("{}/api/v3{path}", self.server_url)
    }

    /// The URL of something of the base repository.
    fn base_api(&self, path: &str) -> String {
        self.api(&format!("/repos/{}{path}", self.base().full_name()))
    }

    pub(crate) fn base_html(&self, path: &str) -> String {
        format!("{}/{}{path}", self.server_url, self.base().full_name())
    }

    /// The page of an issue or a pull request.
    fn html(&self, issue: &Issue) -> String {
        let kind = if issue.pull.is_some() {
            "pull"
        } else {
            "issues"
        };
        self.base_html(&format!("/{kind}/{}", issue.number))
    }

    /// The page of a comment.
    pub(crate) fn comment_html(&self, comment: &CommentRecord) -> String {
        format!(
            "{}#issuecomment-{}",
            self.html(&self.issues[&comment.number]),
            comment.id
        )
    }

    /// A user who is no more is `null`.
    pub(crate) fn user(&self, login: &str) -> Value {
        if self.removed_users.contains(&login.to_lowercase()) {
            return Value::Null;
        }
        let organization = login == self.base().owner;
        let kind = match login {
            _ if login.ends_with("[bot]") => "Bot",
            _ if organization => "Organization",
            _ => "User",
        };
        json!({
            "login": login,
            "id": user_id(login),
            "node_id": format!("U_{}", user_id(login)),
            "avatar_url": format!("{}/avatars/{}", self.server_url, user_id(login)),
            "url": self.api(&format!("/users/{login}")),
            "html_url": format!("{}/{login}", self.server_url),
            "type": kind,
            "user_view_type": "public",
            "site_admin": false,
        })
    }

    /// How GitHub describes an author; it says little about what the author may.
    fn association(&self, login: &str) -> &'static str {
        let role = self.roles.get(&login.to_lowercase()).copied();
        if role.is_some_and(|role| role >= Role::Triage) {
            "COLLABORATOR"
        } else {
            "NONE"
        }
    }

    pub(crate) fn repository_json(&self, repository: &RepositoryRecord) -> Value {
        let full_name = repository.full_name();
        let (host, html) = (
            self.server_url.trim_start_matches("http://"),
            format!("{}/{full_name}", self.server_url),
        );
        json!({
            "id": repository.id,
            "node_id": format!("R_{}", repository.id),
            "name": repository.name,
            "full_name": full_name,
            "private": !repository.public,
            "visibility": if repository.public { "public" } else { "private" },
            "owner": self.user(&repository.owner),
            "html_url": html,
            "description": null,
            "fork": repository.fork,
            "url": self.api(&format!("/repos/{full_name}")),
            "clone_url": format!("{html}.git"),
            "git_url": format!("git://{host}/{full_name}.git"),
            "ssh_url": format!("git@{host}:{full_name}.git"),
            "default_branch": repository.default_branch,
            "pushed_at": repository.pushed,
            "archived": false,
            "disabled": false,
        })
    }

    fn label(&self, name: &str) -> Value {
        json!({
            "id": user_id(name),
            "node_id": format!("LA_{}", user_id(name)),
            "url": self.base_api(&format!("/labels/{name}")),
            "name": name,
            "color": "ededed",
            "default": false,
            "description": null,
        })
    }

    fn labels(&self, issue: &Issue) -> Vec<Value> {
        issue.labels.iter().map(|name| self.label(name)).collect()
    }

    /// As in the payload of a comment.
    fn issue_json(&self, issue: &Issue) -> Value {
        let number = issue.number;
        let mut json = json!({
            "id": issue.id,
            "node_id": format!("I_{}", issue.id),
            "number": number,
            "title": issue.title,
            "user": self.user(&issue.author),
            "labels": self.labels(issue),
            "state": issue.state(),
            "locked": false,
            "assignee": null,
            "assignees": [],
            "milestone": null,
            "comments": self.comments.values().filter(|comment| comment.number == number).count(),
            "created_at": issue.created,
            "updated_at": issue.updated,
            "closed_at": issue.closed,
            "author_association": self.association(&issue.author),
            "body": null,
            "url": self.base_api(&format!("/issues/{number}")),
            "repository_url": self.base_api(""),
            "comments_url": self.base_api(&format!("/issues/{number}/comments")),
            "html_url": self.html(issue),
        });
        if let Some(pull) = &issue.pull {
            json["draft"] = pull.draft.into();
            json["pull_request"] = json!({
                "url": self.base_api(&format!("/pulls/{number}")),
                "html_url": self.html(issue),
                "diff_url": format!("{}.diff", self.html(issue)),
                "patch_url": format!("{}.patch", self.html(issue)),
                "merged_at": pull.merged_by.as_ref().and(issue.closed.as_ref()),
            });
        }
        json
    }

    /// One side of a pull request.
    fn side(&self, repository: u64, branch: &str, sha: &str) -> Value {
        let record = &self.repositories[&repository];
        json!({
            "label": format!("{}:{branch}", record.owner),
            "ref": branch,
            "sha": sha,
            "user": self.user(&record.owner),
            "repo": if record.deleted { Value::Null } else { self.repository_json(record) },
        })
    }

    pub(crate) fn pull_json(&self, issue: &Issue, pull: &Pull) -> Value {
        let number = issue.number;
        let mut json = self.issue_json(issue);
        let merged = pull.merged_by.is_some();
        let more = json!({
            "id": pull.id,
            "node_id": format!("PR_{}", pull.id),
            "url": self.base_api(&format!("/pulls/{number}")),
            "issue_url": self.base_api(&format!("/issues/{number}")),
            "statuses_url": self.base_api(&format!("/statuses/{}", pull.head_sha)),
            "diff_url": format!("{}.diff", self.html(issue)),
            "patch_url": format!("{}.patch", self.html(issue)),
            "head": self.side(pull.head, &pull.head_branch, &pull.head_sha),
            "base": self.side(self.base, &pull.base_branch, &pull.base_sha),
            "draft": pull.draft,
            "merged": merged,
            "merged_at": pull.merged_by.as_ref().and(issue.closed.as_ref()),
            "merged_by": pull.merged_by.as_ref().map(|login| self.user(login)),
            "merge_commit_sha": pull.merge_sha,
            "mergeable": if issue.closed.is_some() { Value::Null } else { pull.merge_sha.is_some().into() },
            "mergeable_state": if pull.merge_sha.is_some() { "clean" } else { "dirty" },
            "auto_merge": null,
            "requested_reviewers": [],
            "requested_teams": [],
            "maintainer_can_modify": false,
        });
        for issue_only in ["pull_request", "repository_url"] {
            json.as_object_mut().expect("an object").remove(issue_only);
        }
        extend(&mut json, more);
        json
    }

    pub(crate) fn comment_json(&self, comment: &CommentRecord) -> Value {
        let id = comment.id;
        json!({
            "id": id,
            "node_id": format!("IC_{id}"),
            "url": self.base_api(&format!("/issues/comments/{id}")),
            "html_url": self.comment_html(comment),
            "issue_url": self.base_api(&format!("/issues/{}", comment.number)),
            "user": self.user(&comment.login),
            "created_at": comment.created,
            "updated_at": comment.updated,
            "author_association": self.association(&comment.login),
            "body": comment.body,
            "performed_via_github_app": null,
            "reactions": self.rollup(id),
        })
    }

    /// How often a comment has each reaction.
    fn rollup(&self, comment: u64) -> Value {
        let of = |content: &str| {
            let same =
                |reaction: &&Reaction| reaction.comment == comment && reaction.content == content;
            self.reactions.iter().filter(same).count()
        };
        let counts = REACTIONS.map(|content| (content.to_owned(), Value::from(of(content))));
        let mut json = Value::Object(counts.into_iter().collect());
        json["total_count"] = self
            .reactions
            .iter()
            .filter(|reaction| reaction.comment == comment)
            .count()
            .into();
        json["url"] = self
            .base_api(&format!("/issues/comments/{comment}/reactions"))
            .into();
        json
    }

    pub(crate) fn reaction_json(&self, reaction: &Reaction) -> Value {
        json!({
            "id": reaction.id,
            "node_id": format!("REA_{}", reaction.id),
            "user": self.user(&reaction.login),
            "content": reaction.content,
            "created_at": reaction.created,
        })
    }

    pub(crate) fn status_json(&self, status: &StatusRecord) -> Value {
        json!({
            "id": status.id,
            "node_id": format!("SC_{}", status.id),
            "url": self.base_api(&format!("/statuses/{}", status.sha)),
            "state": status.state,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
            "creator": self.user(&status.login),
            "created_at": status.created,
            "updated_at": status.created,
        })
    }

    /// A commit's newest statuses, of which one page is shown.
    pub(crate) fn combined_json(
        &self,
        sha: &str,
        newest: &[&StatusRecord],
        page: Vec<Value>,
    ) -> Value {
        let any = |states: &[&str]| {
            newest
                .iter()
                .any(|status| states.contains(&status.state.as_str()))
        };
        let state = if any(&["error", "failure"]) {
            "failure"
        } else if newest.is_empty() || any(&["pending"]) {
            "pending"
        } else {
            "success"
        };
        json!({
            "state": state,
            "statuses": page,
            "sha": sha,
            "total_count": newest.len(),
            "repository": self.repository_json(self.base()),
            "commit_url": self.base_api(&format!("/commits/{sha}")),
            "url": self.base_api(&format!("/commits/{sha}/status")),
        })
    }

    /// A status of those, which tells less of who set it.
    pub(crate) fn newest_status_json(&self, status: &StatusRecord) -> Value {
        let mut json = self.status_json(status);
        let creator = json.as_object_mut().expect("an object").remove("creator");
        json["avatar_url"] = creator.map_or(Value::Null, |user| user["avatar_url"].clone());
        json["required"] = false.into();
        json
    }

    pub(crate) fn deployment_json(&self, deployment: &DeploymentRecord) -> Value {
        let url = self.base_api(&format!("/deployments/{}", deployment.id));
        let newest = deployment.statuses.last();
        json!({
            "url": url,
            "id": deployment.id,
            "node_id": format!("DE_{}", deployment.id),
            "sha": deployment.sha,
            "ref": deployment.reference,
            "task": deployment.task,
            "payload": deployment.payload,
            "original_environment": deployment.original_environment,
            "environment": deployment.environment,
            "description": deployment.description,
            "creator": self.user(&deployment.login),
            "created_at": deployment.created,
            "updated_at": newest.map_or(&deployment.created, |status| &status.created),
            "statuses_url": format!("{url}/statuses"),
            "repository_url": self.base_api(""),
            "transient_environment": deployment.transient,
            "production_environment": deployment.production,
            "performed_via_github_app": null,
        })
    }

    pub(crate) fn deployment_status_json(
        &self,
        deployment: &DeploymentRecord,
        status: &DeploymentStatusRecord,
    ) -> Value {
        let url = self.base_api(&format!("/deployments/{}", deployment.id));
        json!({
            "url": format!("{url}/statuses/{}", status.id),
            "id": status.id,
            "node_id": format!("DES_{}", status.id),
            "state": status.state,
            "creator": self.user(&status.login),
            "description": status.description,
            "environment": deployment.environment,
            "target_url": status.log_url,
            "log_url": status.log_url,
            "environment_url": status.environment_url,
            "created_at": status.created,
            "updated_at": status.created,
            "deployment_url": url,
            "repository_url": self.base_api(""),
            "performed_via_github_app": null,
        })
    }

    /// The payload of `status`, of a commit and at most ten branches that hold it, each with its tip.
    pub(crate) fn status_event(
        &self,
        status: &StatusRecord,
        commit: &Commit,
        branches: &[(String, String)],
    ) -> Value {
        let api = self.base_api(&format!("/commits/{}", commit.sha));
        let html = |sha: &str| self.base_html(&format!("/commit/{sha}"));
        let mut pushed = self.commit_json(commit);
        let parent = |sha: &String| json!({"sha": sha, "url": self.base_api(&format!("/commits/{sha}")), "html_url": html(sha)});
        let branch = |(name, tip): &(String, String)| {
            let commit = json!({"sha": tip, "url": self.base_api(&format!("/commits/{tip}"))});
            json!({"name": name, "commit": commit, "protected": false})
        };
        // As the webhooks write it, and not the API.
        let created = status.created.replace('Z', "+00:00");
        let mut event = self.repository_event(&status.login);
        let more = json!({
            "id": status.id,
            "sha": status.sha,
            "name": self.base().full_name(),
            "target_url": status.target_url,
            "avatar_url": self.user(&status.login)["avatar_url"],
            "context": status.context,
            "description": status.description,
            "state": status.state,
            "commit": {
                "sha": commit.sha,
                "node_id": format!("C_{}", commit.sha),
                "commit": {
                    "author": pushed["author"].take(),
                    "committer": pushed["committer"].take(),
                    "message": commit.message,
                    "tree": {
                        "sha": commit.tree,
                        "url": self.base_api(&format!("/git/trees/{}", commit.tree)),
                    },
                    "url": self.base_api(&format!("/git/commits/{}", commit.sha)),
                    "comment_count": 0,
                    "verification": {
                        "verified": false,
                        "reason": "unsigned",
                        "signature": null,
                        "payload": null,
                        "verified_at": null,
                    },
                },
                "url": api,
                "html_url": html(&commit.sha),
                "comments_url": format!("{api}/comments"),
                // Nobody has registered the address that Git knows.
                "author": null,
                "committer": null,
                "parents": commit.parents.iter().map(parent).collect::<Vec<_>>(),
            },
            "branches": branches.iter().map(branch).collect::<Vec<_>>(),
            "created_at": created,
            "updated_at": created,
        });
        extend(&mut event, more);
        event
    }

    /// The payload of `issue_comment`.
    pub(crate) fn comment_event(&self, comment: &CommentRecord, action: &str) -> Value {
        let mut event = self.event(action, &comment.login);
        event["issue"] = self.issue_json(&self.issues[&comment.number]);
        event["comment"] = self.comment_json(comment);
        if action == "edited" {
            event["changes"] = json!({"body": {"from": comment.body}});
        }
        event
    }

    /// The payload of `pull_request` and `pull_request_target`.
    pub(crate) fn pull_event(
        &self,
        issue: &Issue,
        pull: &Pull,
        action: &str,
        sender: &str,
    ) -> Value {
        let mut event = self.event(action, sender);
        event["number"] = issue.number.into();
        event["pull_request"] = self.pull_json(issue, pull);
        event
    }

    /// The same with `label`.
    pub(crate) fn label_event(
        &self,
        issue: &Issue,
        pull: &Pull,
        action: &str,
        label: &str,
        sender: &str,
    ) -> Value {
        let mut event = self.pull_event(issue, pull, action, sender);
        event["label"] = self.label(label);
        event
    }

    /// The payload of `push`. Its commits are without `distinct`, and without the logins of authors and committers, which
    /// would take all branches and everyone's address to know; its `repository` is as in every other payload.
    pub(crate) fn push_event(&self, push: &Push, sender: &str) -> Value {
        let sha = |side: &Option<String>| side.clone().unwrap_or_else(|| "0".repeat(40));
        let (before, after) = (sha(&push.before), sha(&push.after));
        let compared = match push.before {
            Some(_) => format!("{}...{}", &before[..12], &after[..12]),
            None => after[..12].to_owned(),
        };
        let commits = push.commits.iter().map(|commit| self.commit_json(commit));
        let mut event = self.repository_event(sender);
        let more = json!({
            "ref": push.reference,
            "before": before,
            "after": after,
            "created": push.before.is_none(),
            "deleted": push.after.is_none(),
            "forced": push.forced,
            "base_ref": null,
            "compare": self.base_html(&format!("/compare/{compared}")),
            "commits": commits.collect::<Vec<_>>(),
            "head_commit": push.head.as_ref().map(|commit| self.commit_json(commit)),
            "pusher": {
                "name": sender,
                "email": format!("{}+{sender}@users.noreply.github.com", user_id(sender)),
            },
        });
        extend(&mut event, more);
        event
    }

    /// As in the payload of `push`.
    fn commit_json(&self, commit: &Commit) -> Value {
        let person = |text: &str| {
            let (name, email) = text.rsplit_once(" <").expect("`name <address>`");
            json!({"name": name, "email": email.trim_end_matches('>'), "date": commit.committed})
        };
        let paths = |of: fn(char) -> bool| {
            let changes = commit.changes.iter().filter(|(letter, _)| of(*letter));
            changes.map(|(_, path)| path.as_str()).collect::<Vec<_>>()
        };
        json!({
            "id": commit.sha,
            "tree_id": commit.tree,
            "message": commit.message,
            "timestamp": commit.committed,
            "url": self.base_html(&format!("/commit/{}", commit.sha)),
            "author": person(&commit.author),
            "committer": person(&commit.committer),
            "added": paths(|letter| letter == 'A'),
            "removed": paths(|letter| letter == 'D'),
            "modified": paths(|letter| !matches!(letter, 'A' | 'D')),
        })
    }

    /// The payload of `ping`, which a webhook for pushes gets when it is created.
    pub(crate) fn ping_event(&self, hook: u64, url: &str, sender: &str) -> Value {
        let now = clock::now();
        let mut event = self.repository_event(sender);
        let more = json!({
            "zen": "Practicality beats purity.",
            "hook_id": hook,
            "hook": {
                "type": "Repository",
                "id": hook,
                "name": "web",
                "active": true,
                "events": ["push"],
                "config": {
                    "content_type": "json",
                    "insecure_ssl": "0",
                    "secret": "********",
                    "url": url,
                },
                "created_at": now,
                "updated_at": now,
                "url": self.base_api(&format!("/hooks/{hook}")),
                "ping_url": self.base_api(&format!("/hooks/{hook}/pings")),
                "deliveries_url": self.base_api(&format!("/hooks/{hook}/deliveries")),
                "last_response": {"code": null, "status": "unused", "message": null},
            },
        });
        extend(&mut event, more);
        event
    }

    /// The payload of `workflow_dispatch`, of a workflow that declares no inputs.
    pub(crate) fn dispatch_event(&self, sender: &str) -> Value {
        let mut event = self.repository_event(sender);
        let more = json!({
            "inputs": null,
            "ref": format!("refs/heads/{}", self.base().default_branch),
            "workflow": ".github/workflows/ephemeral.yaml",
        });
        extend(&mut event, more);
        event
    }

    /// What every payload has that is about an action.
    pub(crate) fn event(&self, action: &str, sender: &str) -> Value {
        let mut event = self.repository_event(sender);
        event["action"] = action.into();
        event
    }

    /// What every payload has but that of `schedule`.
    pub(crate) fn repository_event(&self, sender: &str) -> Value {
        let owner = &self.base().owner;
        json!({
            "repository": self.repository_json(self.base()),
            "organization": {
                "login": owner,
                "id": user_id(owner),
                "url": self.api(&format!("/orgs/{owner}")),
            },
            "sender": self.user(sender),
        })
    }
}

/// Adds the fields of one object to another.
fn extend(json: &mut Value, more: Value) {
    let (Value::Object(fields), Value::Object(more)) = (json, more) else {
        unreachable!("both are objects")
    };
    fields.extend(more);
}

/// The contents a reaction may have.
pub(crate) const REACTIONS: [&str; 8] = [
    "+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes",
];
