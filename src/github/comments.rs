//! Our comment on a pull request, and reactions to others.

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::github::author::{UserObject, Viewer};
use crate::github::http::{ApiError, Method};
use crate::github::{GitHub, PAGE};
use crate::model::notification::{MARKER, Reaction};

/// Pages of comments that are looked through for ours: GitHub's own limit on a pull request's comments is lower.
const PAGES: usize = 100;

/// Login behind a workflow's own token.
const WORKFLOW_BOT: &str = "github-actions[bot]";

/// Our comment on a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusComment {
    id: u64,
    /// Its page.
    pub(crate) url: String,
    /// Its text.
    pub(crate) body: String,
}

#[derive(Deserialize)]
struct CommentObject {
    id: u64,
    html_url: String,
    body: Option<String>,
    user: Option<UserObject>,
}

impl CommentObject {
    fn found(&self) -> StatusComment {
        self.saying(self.body.clone().unwrap_or_default())
    }

    fn saying(&self, body: String) -> StatusComment {
        StatusComment {
            id: self.id,
            url: self.html_url.clone(),
            body,
        }
    }

    fn login(&self) -> Option<&str> {
        self.user.as_ref().map(|user| user.login.as_str())
    }
}

impl GitHub {
    /// Reacts to a comment. GitHub keeps one reaction of a kind, so this is safe to repeat.
    ///
    /// # Errors
    /// The reaction is not there.
    pub(crate) async fn react(&self, comment_id: u64, reaction: Reaction) -> Result<(), ApiError> {
        let route = self.route(&format!("issues/comments/{comment_id}/reactions"));
        let body = json!({ "content": reaction.content() });
        self.http
            .retried(|| self.http.send::<Value>(Method::Post, &route, Some(&body)))
            .await?;
        Ok(())
    }

    /// Our comment on a pull request: the first that carries the marker and is ours.
    ///
    /// # Errors
    /// The comments cannot be read.
    pub(crate) async fn status_comment(
        &self,
        number: u64,
    ) -> Result<Option<StatusComment>, ApiError> {
        let (viewer, comments) =
            tokio::join!(self.viewer_by_graphql(), self.marked_comments(number));
        let comments = comments?;
        let viewer = match viewer {
            // Nothing depends on it.
            None if comments.is_empty() => return Ok(None),
            None => self.viewer_by_rest().await?,
            Some(viewer) => viewer,
        };
        let is_ours = |comment: &&CommentObject| {
            let user = comment.user.as_ref();
            user.is_some_and(|user| viewer.is(user))
        };
        let ours: Vec<&CommentObject> = comments.iter().filter(is_ours).collect();
        // Of several bots, the workflow's is the one that we most likely are.
        let workflows = ours
            .iter()
            .position(|comment| *viewer == Viewer::Bot && comment.login() == Some(WORKFLOW_BOT));
        Ok(ours
            .get(workflows.unwrap_or(0))
            .map(|comment| comment.found()))
    }

    /// Writes our comment: edits the one that is there, or creates it. `body` is given what the comment says so far, which
    /// may be more than is known by now: another run of the same pull request may have created it meanwhile.
    ///
    /// # Errors
    /// The comment does not say what it should.
    pub(crate) async fn write_status_comment(
        &self,
        number: u64,
        existing: Option<&StatusComment>,
        body: &impl Fn(Option<&str>) -> String,
    ) -> Result<StatusComment, ApiError> {
        if let Some(existing) = existing {
            match self.edit(existing, body).await {
                // Somebody deleted it since it was found.
                Err(error) if error.is_not_found() => {}
                outcome => return outcome,
            }
        }
        let route = self.route(&format!("issues/{number}/comments"));
        let first_words = body(None);
        let json = json!({ "body": first_words });
        let send = || async {
            let comment: CommentObject = self.http.send(Method::Post, &route, Some(&json)).await?;
            Ok(comment.saying(first_words.clone()))
        };
        let find = || async {
            match self.status_comment(number).await? {
                Some(found) => self.edit(&found, body).await.map(Some),
                None => Ok(None),
            }
        };
        let created: StatusComment = self.http.sent_once(send, find).await?;
        // Another run of the same pull request may have created one at the same time: the first one stays.
        match self.status_comment(number).await {
            Ok(Some(first)) if first.id < created.id => {
                let edited = self.edit(&first, body).await?;
                self.delete(&created).await?;
                Ok(edited)
            }
            _ => Ok(created),
        }
    }

    /// Edits our comment, and creates none: `None` where somebody deleted it since it was found.
    ///
    /// # Errors
    /// The comment does not say what it should.
    pub(crate) async fn edit_status_comment(
        &self,
        existing: &StatusComment,
        body: &impl Fn(Option<&str>) -> String,
    ) -> Result<Option<StatusComment>, ApiError> {
        match self.edit(existing, body).await {
            Err(error) if error.is_not_found() => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    async fn delete(&self, comment: &StatusComment) -> Result<(), ApiError> {
        let route = self.route(&format!("issues/comments/{}", comment.id));
        let send = || {
            self.http
                .send::<Value>(Method::Delete, &route, None::<&Value>)
        };
        match self.http.retried(send).await {
            // It is gone, which an answer that was lost may have said before.
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    async fn edit(
        &self,
        comment: &StatusComment,
        body: &impl Fn(Option<&str>) -> String,
    ) -> Result<StatusComment, ApiError> {
        let route = self.route(&format!("issues/comments/{}", comment.id));
        let body = body(Some(&comment.body));
        let json = json!({ "body": body });
        let edited: CommentObject = self
            .http
            .retried(|| self.http.send(Method::Patch, &route, Some(&json)))
            .await?;
        Ok(edited.saying(body))
    }

    async fn marked_comments(&self, number: u64) -> Result<Vec<CommentObject>, ApiError> {
        let mut marked: Vec<CommentObject> = Vec::new();
        for page in 1..=PAGES {
            let route = self.route(&format!(
                "issues/{number}/comments?per_page={PAGE}&page={page}"
            ));
            let comments: Vec<CommentObject> = self.http.get(&route).await?;
            let is_last = comments.len() < PAGE;
            for comment in comments {
                let is_marked = comment
                    .body
                    .as_deref()
                    .is_some_and(|body| body.starts_with(MARKER));
                // The first of each author is enough, however many copies of ours somebody writes.
                let is_known = || marked.iter().any(|known| known.login() == comment.login());
                if is_marked && !is_known() {
                    marked.push(comment);
                }
            }
            if is_last {
                break;
            }
        }
        Ok(marked)
    }
}
