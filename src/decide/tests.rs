use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::command::{Problem, UsageError};
use crate::config::tests::configured;
use crate::decide::triage::{NoOp, ReportRequest, Triage};
use crate::event::{
    CommentEvent, Event, Ignored, PullRequestAction, PullRequestEvent, StatusEvent, SweepEvent,
};
use crate::model::repository::Permission;
use crate::model::repository::RepositoryIdentity;
use crate::model::sha::Sha;
use crate::model::ttl::Ttl;
use crate::model::ttl::tests::at;

const PERMISSIONS: [Permission; 6] = [
    Permission::None,
    Permission::Read,
    Permission::Triage,
    Permission::Write,
    Permission::Maintain,
    Permission::Admin,
];

fn sha(digit: &str) -> Sha {
    Sha::parse(&digit.repeat(40)).unwrap()
}

/// Pull request 7, open, with the branch `dev` of the same repository.
pub(crate) fn pull_request() -> PullRequest {
    PullRequest {
        number: 7,
        state: State::Open,
        branch: "dev".to_owned(),
        commit: sha("a"),
        head: Head::Here,
        labels: None,
    }
}

/// Before the command was given.
fn before() -> Option<String> {
    Some("2026-01-02T00:00:00Z".to_owned())
}

fn fork(clone_url: &str) -> PullRequest {
    PullRequest {
        head: Head::Fork {
            owner: "mallory".to_owned(),
            clone_url: clone_url.to_owned(),
            pushed_at: before(),
        },
        ..pull_request()
    }
}

pub(crate) fn deploy() -> Result<Command, UsageError> {
    Ok(Command::Deploy(DeployArguments::default()))
}

fn usage() -> UsageError {
    UsageError {
        usage: "/deploy-ephemeral [40-digit commit SHA] [ttl=72h or ttl=never]".to_owned(),
        argument: "now".to_owned(),
        problem: Problem::Unknown,
    }
}

/// Rita's comment on pull request 7.
pub(crate) fn commented(command: Result<Command, UsageError>) -> Request {
    Request {
        pull_request: 7,
        login: "rita".to_owned(),
        trigger: Trigger::Comment {
            comment_id: 70,
            created_at: Some("2026-01-02T03:04:05Z".to_owned()),
            command,
        },
        default_branch: "main".to_owned(),
        repository_id: Some(1),
    }
}

/// Rita's closing of pull request 7.
pub(crate) fn closed() -> Request {
    Request {
        trigger: Trigger::Close(PullRequest {
            state: State::Closed,
            ..pull_request()
        }),
        ..commented(deploy())
    }
}

/// Rita's putting a label on pull request 7, or taking it off.
pub(crate) fn labeled(is_known: bool) -> Request {
    Request {
        trigger: Trigger::Label {
            is_known,
            head: sha("a"),
        },
        ..commented(deploy())
    }
}

fn permitted(pull_request: PullRequest) -> Facts {
    Facts {
        pull_request,
        is_labeled: false,
        access: Some(Access::Known(Permission::Admin)),
        now: now(),
    }
}

pub(crate) fn now() -> DateTime<Utc> {
    at("2026-02-27T12:00:00Z")
}

fn decided(request: &Request, facts: &Facts, inputs: &[(&str, &str)]) -> Result<Decision, Refusal> {
    decide(request, facts, &configured(inputs).unwrap())
}

/// What is decided about a deploy command by somebody who may.
fn deployed(pull_request: PullRequest, inputs: &[(&str, &str)]) -> Result<Create, Refusal> {
    match decided(&commented(deploy()), &permitted(pull_request), inputs) {
        Ok(Decision::Create(create)) => Ok(*create),
        Err(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

fn ours() -> Owner {
    Owner {
        repository: RepositoryIdentity::new("octo/app", Some(1)),
        pull_request: 7,
    }
}

/// Every refusal, with `text` wherever something comes from outside.
pub(crate) fn refusals(text: &str) -> Vec<Refusal> {
    let text = || text.to_owned();
    let owner = || Owner {
        repository: RepositoryIdentity::new(&text(), None),
        ..ours()
    };
    let usage = |problem| {
        Refusal::Usage(UsageError {
            usage: text(),
            argument: text(),
            problem,
        })
    };
    vec![
        usage(Problem::Unknown),
        usage(Problem::Repeated),
        usage(Problem::InvalidTtl),
        Refusal::LimitReached {
            limit: 2,
            instances: vec![(text(), 3), (text(), 5)],
        },
        Refusal::NotPermitted {
            login: text(),
            has: Permission::Read,
            needs: Permission::Write,
        },
        Refusal::PermissionUnknown {
            login: text(),
            needs: Permission::Write,
            answer: text(),
        },
        Refusal::Closed,
        Refusal::BranchIsWatched { branch: text() },
        Refusal::Fork,
        Refusal::HeadDeleted,
        Refusal::ForkUrl { url: text() },
        Refusal::BranchMoved {
            wanted: sha("b"),
            head: sha("a"),
        },
        Refusal::PushedSince { head: sha("a") },
        Refusal::ProtectedNamespace {
            namespace: text(),
            pattern: text(),
        },
        Refusal::ClaimedNamespace {
            namespace: text(),
            path: text(),
        },
        Refusal::NamespaceTaken {
            namespace: text(),
            owner: owner(),
        },
        Refusal::OwnedByAnother {
            path: text(),
            owner: owner(),
        },
        Refusal::NotListed {
            path: text(),
            kustomization: text(),
        },
        Refusal::NotOurs { path: text() },
    ]
}

fn is_kebab_case(code: &str) -> bool {
    code.split('-')
        .all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase()))
}

#[test]
fn every_reason_has_a_code_of_its_own() {
    let no_ops = [
        NoOp::EventNotHandled,
        NoOp::ActionNotHandled,
        NoOp::CommentNotCreated,
        NoOp::NotAPullRequest,
        NoOp::BotComment,
        NoOp::NotACommand,
        NoOp::AnotherLabel,
        NoOp::PullRequestIsOpen,
    ]
    .map(NoOp::code);
    let destroyed = decided(&closed(), &permitted(pull_request()), &[]).unwrap();
    let created = decided(&commented(deploy()), &permitted(pull_request()), &[]).unwrap();
    let requests = [
        labeled(true).code(),
        super::reason(&labeled(true), &created),
        super::reason(&labeled(true), &destroyed),
        commented(deploy()).code(),
        commented(Ok(Command::Destroy)).code(),
        closed().code(),
    ];
    let refusals = refusals("text");
    let codes: Vec<&str> = no_ops
        .into_iter()
        .chain(requests)
        .chain(refusals.iter().map(Refusal::code))
        .collect();
    assert!(codes.iter().all(|code| is_kebab_case(code)), "{codes:?}");
    assert_eq!(
        codes.iter().collect::<BTreeSet<_>>().len(),
        codes.len(),
        "{codes:?}"
    );
    // The same refusal, seen from both ends.
    let misspelt = commented(Err(usage()));
    assert_eq!(misspelt.code(), Refusal::Usage(usage()).code());
}

fn comment() -> CommentEvent {
    CommentEvent {
        number: 7,
        on_pull_request: true,
        comment_id: 70,
        created_at: Some("2026-01-02T03:04:05Z".to_owned()),
        body: "/deploy-ephemeral\r\nplease".to_owned(),
        author: "rita".to_owned(),
        by_bot: false,
        default_branch: "main".to_owned(),
        repository_id: Some(1),
    }
}

fn triaged(event: Event) -> Triage {
    triage::triage(event, &configured(&[]).unwrap().inputs)
}

#[test]
fn what_is_no_request_is_a_no_op_with_its_reason() {
    let comment = |change: fn(&mut CommentEvent)| {
        let mut event = comment();
        change(&mut event);
        Event::Comment(event)
    };
    for (event, no_op) in [
        (Event::Ignored(Ignored::Event), NoOp::EventNotHandled),
        (Event::Ignored(Ignored::Action), NoOp::ActionNotHandled),
        (
            Event::Ignored(Ignored::CommentNotCreated),
            NoOp::CommentNotCreated,
        ),
        (Event::Ignored(Ignored::Label), NoOp::AnotherLabel),
        (
            comment(|event| event.on_pull_request = false),
            NoOp::NotAPullRequest,
        ),
        (comment(|event| event.by_bot = true), NoOp::BotComment),
        (
            comment(|event| event.body = "nice\n/deploy-ephemeral".to_owned()),
            NoOp::NotACommand,
        ),
    ] {
        assert_eq!(triaged(event), Triage::None(no_op));
    }
}

#[test]
fn a_command_and_a_close_are_requests() {
    assert_eq!(
        triaged(Event::Comment(comment())),
        Triage::Request(commented(deploy()))
    );
    let closing = PullRequestEvent {
        action: PullRequestAction::Closed,
        pull_request: PullRequest {
            state: State::Closed,
            ..pull_request()
        },
        sender: "rita".to_owned(),
        default_branch: "main".to_owned(),
        repository_id: Some(1),
    };
    assert_eq!(
        triaged(Event::PullRequest(closing)),
        Triage::Request(closed())
    );
    for (action, is_known) in [
        (PullRequestAction::Labeled, true),
        (PullRequestAction::Unlabeled, true),
        (PullRequestAction::LabelUnknown, false),
    ] {
        let event = PullRequestEvent {
            action,
            pull_request: pull_request(),
            sender: "rita".to_owned(),
            default_branch: "main".to_owned(),
            repository_id: Some(1),
        };
        assert_eq!(
            triaged(Event::PullRequest(event)),
            Triage::Request(labeled(is_known))
        );
    }
    let sweep = SweepEvent {
        code: "schedule",
        default_branch: None,
        repository_id: Some(1),
    };
    assert_eq!(triaged(Event::Sweep(sweep.clone())), Triage::Sweep(sweep));
    let status = |context: &str, is_pending| StatusEvent {
        sha: pull_request().commit,
        context: context.to_owned(),
        is_pending,
        default_branch: "main".to_owned(),
        repository_id: Some(1),
    };
    for (event, triage) in [
        (status("ci", false), Triage::None(NoOp::AnotherStatus)),
        (status("ci", true), Triage::None(NoOp::AnotherStatus)),
        (
            status("flux/ephemeral-dev", true),
            Triage::None(NoOp::StatusPending),
        ),
        (
            status("flux/ephemeral-dev", false),
            Triage::Report(ReportRequest {
                object_name: "ephemeral-dev".to_owned(),
                commit: pull_request().commit,
                default_branch: "main".to_owned(),
                repository_id: Some(1),
            }),
        ),
    ] {
        assert_eq!(triaged(Event::Status(event)), triage);
    }
    let mut misspelt = comment();
    misspelt.body = "/deploy-ephemeral now".to_owned();
    assert_eq!(
        triaged(Event::Comment(misspelt)),
        Triage::Request(commented(Err(usage())))
    );
}

#[test]
fn only_a_request_by_comment_has_a_comment() {
    assert_eq!(commented(deploy()).comment_id(), Some(70));
    for request in [closed(), labeled(true), labeled(false)] {
        assert_eq!(request.comment_id(), None);
    }
}

#[test]
fn a_command_counts_from_the_allowed_permission_on() {
    for has in PERMISSIONS {
        for needs in &PERMISSIONS[1..] {
            let inputs = [("INPUT_ALLOWED-PERMISSION", needs.as_str())];
            let word = |(request, is_labeled): &(Request, bool)| match decided(
                request,
                &Facts {
                    pull_request: pull_request(),
                    is_labeled: *is_labeled,
                    access: Some(Access::Known(has)),
                    now: now(),
                },
                &inputs,
            ) {
                Ok(Decision::Create(_)) => "create",
                Ok(Decision::Destroy(_)) => "destroy",
                Err(refusal) => refusal.code(),
            };
            let requests = [
                (commented(deploy()), false),
                (commented(Ok(Command::Destroy)), true),
                (commented(Err(usage())), false),
                (labeled(true), true),
                (labeled(true), false),
                (closed(), true),
            ];
            let words = if has >= *needs {
                [
                    "create",
                    "destroy",
                    "unknown-argument",
                    "create",
                    "destroy",
                    "destroy",
                ]
            } else {
                let no = "not-permitted";
                [no, no, no, no, no, "destroy"]
            };
            assert_eq!(requests.each_ref().map(word), words, "{has:?} of {needs:?}");
        }
    }
}

#[test]
fn anything_but_a_clear_yes_is_a_no() {
    for (access, answer) in [
        (Some(Access::Unknown("404".to_owned())), "404"),
        (None, "GitHub was not asked"),
    ] {
        let facts = Facts {
            access,
            ..permitted(pull_request())
        };
        let commands = [deploy(), Ok(Command::Destroy), Err(usage())].map(commented);
        for request in commands.into_iter().chain([true, false].map(labeled)) {
            assert_eq!(
                decided(&request, &facts, &[]),
                Err(Refusal::PermissionUnknown {
                    login: "rita".to_owned(),
                    needs: Permission::Write,
                    answer: answer.to_owned(),
                })
            );
        }
    }
}

#[test]
fn only_who_may_is_somebody_to_listen_to() {
    for refusal in refusals("text") {
        let is_strangers = matches!(refusal.code(), "not-permitted" | "permission-unknown");
        assert_eq!(
            refusal.is_to_a_permitted_person(),
            !is_strangers,
            "{refusal:?}"
        );
    }
}

#[test]
fn a_deploy_command_makes_the_manifest_of_its_branch() {
    let create = deployed(
        pull_request(),
        &[
            ("INPUT_NAMESPACE-PREFIX", "pr-"),
            ("INPUT_SUBSTITUTE", "A=1"),
        ],
    )
    .unwrap();
    assert_eq!(
        create.environment,
        Environment::new("dev", None, "pr-", "k8s/app/overlays/ephemeral-instances")
    );
    assert_eq!(
        create.manifest,
        Manifest {
            object_name: "ephemeral-dev".to_owned(),
            name: "dev".to_owned(),
            namespace: "pr-dev".to_owned(),
            flux_namespace: "flux-system".to_owned(),
            owner: ours(),
            branch: "dev".to_owned(),
            commit: "a".repeat(40),
            requested_by: "rita".to_owned(),
            url: "ssh://git@github.com/octo/app".to_owned(),
            pinned: false,
            secret_ref: Some("flux-system".to_owned()),
            interval: "1m0s".to_owned(),
            timeout: "5m0s".to_owned(),
            overlay_path: "k8s/app/overlays/ephemeral".to_owned(),
            substitute: [("A".to_owned(), "1".to_owned())].into(),
            expires: None,
            requested_at: None,
        }
    );
}

#[test]
fn the_inputs_decide_what_is_followed_and_with_which_secret() {
    let manifest = |inputs: &[(&str, &str)]| deployed(pull_request(), inputs).unwrap().manifest;
    assert!(manifest(&[("INPUT_TRACK", "commit")]).pinned);
    let odd = PullRequest {
        branch: "refs/heads/dev".to_owned(),
        ..pull_request()
    };
    assert!(deployed(odd, &[]).unwrap().manifest.pinned);
    let public = manifest(&[
        ("INPUT_SECRET-REF", ""),
        ("INPUT_REPOSITORY-URL", "https://a.b/c"),
    ]);
    assert_eq!(
        (public.secret_ref, public.url.as_str()),
        (None, "https://a.b/c")
    );
}

#[test]
fn what_cannot_be_deployed_is_refused() {
    let protected = |pattern: &str| Refusal::ProtectedNamespace {
        namespace: "dev".to_owned(),
        pattern: pattern.to_owned(),
    };
    let closed = PullRequest {
        state: State::Closed,
        ..pull_request()
    };
    let deleted = PullRequest {
        head: Head::Deleted,
        ..pull_request()
    };
    let forks = ("INPUT_ALLOW-FORKS", "true");
    for (pull_request, input, refusal) in [
        (closed, forks, Refusal::Closed),
        (deleted, forks, Refusal::HeadDeleted),
        (
            fork("https://github.com/mallory/app.git"),
            ("INPUT_ALLOW-FORKS", "false"),
            Refusal::Fork,
        ),
        (
            pull_request(),
            ("INPUT_PROTECTED-NAMESPACES", "default,d?v,dev"),
            protected("d?v"),
        ),
    ] {
        assert_eq!(deployed(pull_request, &[input]), Err(refusal));
    }
}

#[test]
fn the_prefix_counts_for_a_protected_namespace() {
    let inputs = [("INPUT_PROTECTED-NAMESPACES", "dev,pr-*")];
    assert!(deployed(pull_request(), &inputs).is_err());
    let prefixed = [inputs[0], ("INPUT_NAMESPACE-PREFIX", "my-")];
    assert!(deployed(pull_request(), &prefixed).is_ok());
    let prefixed = [inputs[0], ("INPUT_NAMESPACE-PREFIX", "pr-")];
    assert!(deployed(pull_request(), &prefixed).is_err());
}

#[test]
fn a_commit_is_deployed_where_it_is_the_head_and_stayed_on() {
    let ask = |commit: Sha| {
        let arguments = DeployArguments {
            commit: Some(commit),
            ttl: None,
        };
        decided(
            &commented(Ok(Command::Deploy(arguments))),
            &permitted(pull_request()),
            &[],
        )
    };
    assert!(matches!(ask(sha("A")), Ok(Decision::Create(create)) if create.manifest.pinned));
    assert_eq!(
        ask(sha("b")),
        Err(Refusal::BranchMoved {
            wanted: sha("b"),
            head: sha("a"),
        })
    );
}

#[test]
fn a_lifetime_is_the_commands_or_else_the_inputs() {
    let hours = |hours: u64| Ttl::For(Duration::from_secs(hours * 3_600));
    for (ttl, input, expires) in [
        (None, "", None),
        (None, "never", None),
        (None, "72h", Some("2026-03-02T12:00:00Z")),
        (Some(hours(1)), "72h", Some("2026-02-27T13:00:00Z")),
        (Some(hours(1)), "", Some("2026-02-27T13:00:00Z")),
        (Some(Ttl::Unlimited), "72h", None),
    ] {
        let arguments = DeployArguments { commit: None, ttl };
        let request = commented(Ok(Command::Deploy(arguments)));
        let decision = decided(
            &request,
            &permitted(pull_request()),
            &[("INPUT_TTL", input)],
        );
        let Ok(Decision::Create(create)) = decision else {
            panic!("{decision:?}");
        };
        assert_eq!(
            create.manifest.expires,
            expires.map(at),
            "{ttl:?} {input:?}"
        );
    }
}

#[test]
fn a_label_deploys_as_a_command_without_arguments_does() {
    let off = permitted(pull_request());
    let on = Facts {
        is_labeled: true,
        ..off.clone()
    };
    for inputs in [
        &[][..],
        &[("INPUT_TTL", "72h"), ("INPUT_MAX-ENVIRONMENTS", "3")],
    ] {
        for is_known in [true, false] {
            assert_eq!(
                decided(&labeled(is_known), &on, inputs),
                decided(&commented(deploy()), &on, inputs)
            );
            assert_eq!(
                decided(&labeled(is_known), &off, inputs),
                decided(&commented(Ok(Command::Destroy)), &off, inputs)
            );
        }
    }
}

#[test]
fn a_label_deploys_the_head_of_a_fork_that_was_there_when_it_was_put_on() {
    let inputs = [("INPUT_ALLOW-FORKS", "true")];
    let mut facts = permitted(fork("https://github.com/mallory/app.git"));
    facts.is_labeled = true;
    assert!(decided(&labeled(true), &facts, &inputs).is_ok());
    facts.pull_request.commit = sha("b");
    assert_eq!(
        decided(&labeled(true), &facts, &inputs),
        Err(Refusal::PushedSince { head: sha("b") })
    );
    // Who may push here is trusted that far.
    facts.pull_request.head = Head::Here;
    assert!(decided(&labeled(true), &facts, &inputs).is_ok());
    facts.is_labeled = false;
    assert!(decided(&labeled(true), &facts, &inputs).is_ok());
}

#[test]
fn a_fork_is_pinned_and_cloned_over_https_without_our_secret() {
    let inputs = [("INPUT_ALLOW-FORKS", "true")];
    let url = "https://github.com/mallory/app.git";
    let create = deployed(fork(url), &inputs).unwrap();
    assert_eq!(create.environment.name, "mallory-dev");
    assert_eq!(create.manifest.url, url);
    assert_eq!(create.manifest.secret_ref, None);
    assert!(create.manifest.pinned);
    assert_eq!(create.manifest.branch, "dev");

    let local = [inputs[0], ("GITHUB_SERVER_URL", "http://127.0.0.1:8080")];
    for (url, inputs, is_taken) in [
        ("http://127.0.0.1:8080/mallory/app.git", &local[..], true),
        (url, &local[..], true),
        ("http://github.com/mallory/app.git", &inputs[..], false),
        ("ssh://git@github.com/mallory/app.git", &inputs[..], false),
        ("git@github.com:mallory/app.git", &inputs[..], false),
        ("file:///etc", &inputs[..], false),
        (
            "https://mallory@github.com/mallory/app.git",
            &inputs[..],
            false,
        ),
        (
            "https://:password@github.com/mallory/app.git",
            &local[..],
            false,
        ),
        ("", &inputs[..], false),
    ] {
        let refusal = (!is_taken).then(|| Refusal::ForkUrl {
            url: url.to_owned(),
        });
        assert_eq!(deployed(fork(url), inputs).err(), refusal, "{url}");
    }
}

#[test]
fn a_fork_is_deployed_as_it_was_when_the_command_was_given() {
    let at = |pushed_at: Option<&str>, created: Option<&str>, arguments: DeployArguments| {
        let mut pull_request = fork("https://github.com/mallory/app.git");
        if let Head::Fork { pushed_at: at, .. } = &mut pull_request.head {
            *at = pushed_at.map(str::to_owned);
        }
        let mut request = commented(Ok(Command::Deploy(arguments)));
        if let Trigger::Comment { created_at, .. } = &mut request.trigger {
            *created_at = created.map(str::to_owned);
        }
        let inputs = [("INPUT_ALLOW-FORKS", "true")];
        decided(&request, &permitted(pull_request), &inputs)
    };
    let given = Some("2026-01-02T03:04:05Z");
    for (pushed_at, created_at, is_deployed) in [
        (Some("2026-01-02T03:04:04Z"), given, true),
        // GitHub's times are to the second, so this one may be either.
        (given, given, false),
        (Some("2026-01-02T03:04:06Z"), given, false),
        (None, given, false),
        (given, None, false),
    ] {
        let decision = at(pushed_at, created_at, DeployArguments::default());
        let refused = Err(Refusal::PushedSince { head: sha("a") });
        assert_eq!(
            decision != refused,
            is_deployed,
            "{pushed_at:?} {created_at:?}"
        );
        // Whoever names the commit has seen it.
        let named = DeployArguments {
            commit: Some(sha("a")),
            ttl: None,
        };
        let decision = at(pushed_at, created_at, named);
        assert!(matches!(decision, Ok(Decision::Create(_))), "{decision:?}");
    }
}

#[test]
fn fluxs_own_namespace_is_protected_whatever_the_patterns_say() {
    for (inputs, namespace) in [
        (
            [
                ("INPUT_FLUX-NAMESPACE", "dev"),
                ("INPUT_PROTECTED-NAMESPACES", "kube-*"),
            ],
            "dev",
        ),
        (
            [
                ("INPUT_FLUX-NAMESPACE", "pr-dev"),
                ("INPUT_NAMESPACE-PREFIX", "pr-"),
            ],
            "pr-dev",
        ),
    ] {
        assert_eq!(
            deployed(pull_request(), &inputs).err(),
            Some(Refusal::ProtectedNamespace {
                namespace: namespace.to_owned(),
                pattern: namespace.to_owned(),
            })
        );
    }
}

#[test]
fn a_destroy_command_works_on_whatever_became_of_the_pull_request() {
    for (pull_request, name) in [
        (pull_request(), "dev"),
        (
            PullRequest {
                state: State::Closed,
                ..pull_request()
            },
            "dev",
        ),
        (
            PullRequest {
                head: Head::Deleted,
                ..pull_request()
            },
            "dev",
        ),
        (fork("ssh://nowhere"), "mallory-dev"),
    ] {
        assert_eq!(
            decided(
                &commented(Ok(Command::Destroy)),
                &permitted(pull_request),
                &[]
            ),
            Ok(Decision::Destroy(Destroy {
                name: name.to_owned(),
                owner: ours(),
                branch: "dev".to_owned(),
                requested_by: "rita".to_owned(),
            }))
        );
    }
}

fn facts() -> impl Strategy<Value = Facts> {
    let heads = prop_oneof![
        Just(Head::Here),
        Just(Head::Deleted),
        ("\\PC{0,9}", "\\PC{0,9}").prop_map(|(owner, clone_url)| Head::Fork {
            owner,
            clone_url,
            pushed_at: before()
        }),
    ];
    let access = prop_oneof![
        Just(None),
        select(&PERMISSIONS[..]).prop_map(|permission| Some(Access::Known(permission))),
        "\\PC{0,9}".prop_map(|answer| Some(Access::Unknown(answer))),
    ];
    let states = select(vec![
        State::Open,
        State::Closed,
        State::Unknown(String::new()),
    ]);
    (states, "\\PC{0,20}", heads, access).prop_map(|(state, branch, head, access)| Facts {
        pull_request: PullRequest {
            state,
            branch,
            head,
            ..pull_request()
        },
        is_labeled: false,
        access,
        now: now(),
    })
}

proptest! {
    #[test]
    fn a_close_destroys_its_own_instance_whoever_did_it(facts in facts(), allow_forks in any::<bool>()) {
        let inputs = [("INPUT_ALLOW-FORKS", if allow_forks { "true" } else { "false" })];
        let Ok(Decision::Destroy(destroy)) = decided(&closed(), &facts, &inputs) else {
            panic!("{facts:?}");
        };
        prop_assert_eq!(destroy.owner, ours());
    }

    #[test]
    fn nothing_is_deployed_for_who_may_not(facts in facts()) {
        let may = matches!(facts.access, Some(Access::Known(permission)) if permission >= Permission::Write);
        let decision = decided(&commented(deploy()), &facts, &[("INPUT_ALLOW-FORKS", "true")]);
        if let Ok(Decision::Create(create)) = decision {
            prop_assert!(may && facts.pull_request.state == State::Open);
            if facts.pull_request.head != Head::Here {
                prop_assert!(create.manifest.pinned && create.manifest.secret_ref.is_none());
            }
        }
    }
}
