//! The page about refusals and failures quotes the comments.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::anyhow;
use chrono::DateTime;

use crate::command::{Problem, UsageError};
use crate::decide::refusal::Refusal;
use crate::message::context::Context;
use crate::message::failure::failed;
use crate::message::refusal::refused;
use crate::message::sections::Message;
use crate::model::failure::{Barrier, Failure};
use crate::model::instance::Owner;
use crate::model::repository::{Permission, RepositoryIdentity};
use crate::model::sha::Sha;

const PAGE: &str = include_str!("../../docs/troubleshooting.md");

/// What the page says below a heading of the second level.
fn section(heading: &str) -> &'static str {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    section.split("\n## ").next().unwrap()
}

/// Text without its line breaks.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sha(text: &str) -> Sha {
    Sha::parse(text).unwrap()
}

/// The run of which the page quotes every end.
fn context() -> Context {
    Context {
        pull_request: 7,
        head: None,
        is_open: true,
        target_branch: "main".to_owned(),
        repository_url: "https://github.com/octo-org/demo".to_owned(),
        run_url: "https://github.com/octo-org/demo/actions/runs/42".to_owned(),
        help_url: "https://github.com/octo-org/flux-ephemeral-env/blob/v1/docs/troubleshooting.md"
            .to_owned(),
        deploy_command: "/deploy-ephemeral".to_owned(),
        destroy_command: "/destroy-ephemeral".to_owned(),
        label: None,
        now: DateTime::UNIX_EPOCH,
    }
}

const INSTANCE: &str = "k8s/app/overlays/ephemeral-instances/sync-dev.yaml";

fn refusals() -> Vec<Refusal> {
    let owner = Owner {
        repository: RepositoryIdentity::new("octo-org/demo", None),
        pull_request: 12,
    };
    let usage = |argument: &str, problem| {
        Refusal::Usage(UsageError {
            usage: "/deploy-ephemeral [40-digit commit SHA] [ttl=72h or ttl=never]".to_owned(),
            argument: argument.to_owned(),
            problem,
        })
    };
    let head = sha("9be05d1a6f3c4b7e8d2a1c0f5e6b7a8d9c0e1f2a");
    let answer = "GET https://api.github.com/repos/octo-org/demo/collaborators/rita/permission: 502: Server Error";
    vec![
        Refusal::NotPermitted {
            login: "sam".to_owned(),
            has: Permission::Read,
            needs: Permission::Write,
        },
        Refusal::PermissionUnknown {
            login: "rita".to_owned(),
            needs: Permission::Write,
            answer: answer.to_owned(),
        },
        usage("now", Problem::Unknown),
        usage("ttl=2h", Problem::Repeated),
        usage("ttl=soon", Problem::InvalidTtl),
        Refusal::LimitReached {
            limit: 2,
            instances: vec![("feature-x".to_owned(), 3), ("dev".to_owned(), 5)],
        },
        Refusal::Closed,
        Refusal::BranchIsWatched {
            branch: "main".to_owned(),
        },
        Refusal::Fork,
        Refusal::HeadDeleted,
        Refusal::ForkUrl {
            url: "ssh://git@git.example.com/mallory/demo.git".to_owned(),
        },
        Refusal::BranchMoved {
            wanted: sha("3f14a9c2b8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3"),
            head: head.clone(),
        },
        Refusal::PushedSince { head },
        Refusal::ProtectedNamespace {
            namespace: "kube-system".to_owned(),
            pattern: "kube-*".to_owned(),
        },
        Refusal::ClaimedNamespace {
            namespace: "app".to_owned(),
            path: "k8s/app/overlays/main/kustomization.yaml".to_owned(),
        },
        Refusal::NamespaceTaken {
            namespace: "pr-dev".to_owned(),
            owner: owner.clone(),
        },
        Refusal::OwnedByAnother {
            path: INSTANCE.to_owned(),
            owner,
        },
        Refusal::NotListed {
            path: INSTANCE.to_owned(),
            kustomization: "k8s/app/overlays/ephemeral-instances/kustomization.yaml".to_owned(),
        },
        Refusal::NotOurs {
            path: INSTANCE.to_owned(),
        },
    ]
}

fn failures() -> Vec<Failure> {
    let rejected = "protected branch hook declined\n\
                    error: GH006: Protected branch update failed for refs/heads/main.\n\
                    error: Changes must be made through a pull request.";
    let missing = "https://github.com/octo-org/demo has no branch `production`: \
                   set the input `branch` to the one Flux watches";
    let pushing = |words: &str| format!("pushing to https://github.com/octo-org/demo: {words}");
    let asking =
        |words: &str| format!("GET https://api.github.com/repos/octo-org/demo/pulls/7: {words}");
    let full = "making a temporary directory: No space left on device (os error 28) \
                at path \"/tmp/flux-ephemeral-env-3xVQ0a\"";
    vec![
        Failure::Rejected(rejected.to_owned()),
        Failure::Forbidden(
            Barrier::Permission,
            pushing(
                "403 Forbidden: Permission to octo-org/demo.git denied to github-actions[bot].",
            ),
        ),
        Failure::BranchMissing(missing.to_owned()),
        Failure::TimedOut(Duration::from_secs(60), pushing("503 Service Unavailable")),
        Failure::Interrupted,
        Failure::GitHubRefused(
            Barrier::Permission,
            asking("403: Resource not accessible by integration"),
        ),
        Failure::GitHub(anyhow!(asking("no answer within 15 s"))),
        Failure::Broken(anyhow!(full)),
    ]
}

/// A section quotes each of these comments below its reason, and nothing else.
fn assert_quoted(heading: &str, messages: &[(&str, Message)]) {
    let section = section(heading);
    let parts = section.split("\n### ").skip(1);
    let quoted: BTreeMap<&str, String> = parts
        .map(|part| {
            let (code, text) = part.split_once("\n\n").unwrap();
            let quote = text.lines().map_while(|line| line.strip_prefix('>'));
            (code, unwrapped(&quote.collect::<Vec<_>>().join("\n")))
        })
        .collect();
    let listed = section.matches("\n### ").count();
    assert_eq!(listed, quoted.len(), "a heading stands twice");
    let expected: BTreeMap<&str, String> = messages
        .iter()
        .map(|(code, message)| {
            let words = message.text().split("\n\n**What to do:** ").next().unwrap();
            let (_title, words) = words.split_once("\n\n").unwrap();
            (*code, unwrapped(words))
        })
        .collect();
    assert_eq!(quoted, expected);
}

#[test]
fn the_troubleshooting_page_quotes_the_comment_of_every_refusal() {
    let refusals = refusals();
    let messages = refusals
        .iter()
        .map(|refusal| (refusal.code(), refused(&context(), refusal)));
    assert_quoted("What is refused", &messages.collect::<Vec<_>>());
}

#[test]
fn the_troubleshooting_page_quotes_the_comment_of_every_failure() {
    let failures = failures();
    let messages = failures
        .iter()
        .map(|failure| (failure.code(), failed(&context(), failure)));
    assert_quoted("What fails", &messages.collect::<Vec<_>>());
}
