use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::pull_request::{Head, State};

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn comment() -> Value {
    json!({
        "action": "created",
        "issue": { "number": 7, "pull_request": { "url": "https://api" } },
        "comment": { "id": 70, "body": "/deploy-ephemeral", "user": { "login": "rita", "type": "User" } },
        "repository": { "default_branch": "main" },
    })
}

fn closed() -> Value {
    json!({
        "action": "closed",
        "pull_request": {
            "number": 7, "state": "closed",
            "head": { "ref": "dev", "sha": SHA,
                "repo": { "id": 1, "clone_url": "https://github.com/o/r.git", "pushed_at": "2026-01-02T03:04:05Z", "owner": { "login": "o" } } },
            "base": { "repo": { "id": 1 } },
        },
        "repository": { "default_branch": "main" },
        "sender": { "login": "rita", "type": "User" },
    })
}

fn parsed(name: &str, payload: &Value) -> Result<Event> {
    parse(name, payload.to_string().as_bytes(), Some("Preview"))
}

fn head_of(payload: &Value) -> Head {
    match parsed("pull_request_target", payload).unwrap() {
        Event::PullRequest(event) => event.pull_request.head,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_comment_is_read_down_to_what_matters() {
    let Event::Comment(event) = parsed("issue_comment", &comment()).unwrap() else {
        panic!("no comment");
    };
    assert_eq!((event.number, event.comment_id), (7, 70));
    assert!(event.on_pull_request && !event.by_bot);
    assert_eq!(event.author, "rita");
}

#[test]
fn a_status_is_read_down_to_what_matters() {
    let payload = json!({
        "sha": SHA.to_uppercase(), "context": "flux/ephemeral-dev", "state": "failure", "description": null,
        "repository": { "id": 1, "default_branch": "main" },
    });
    let status = |state: &str| {
        let mut payload = payload.clone();
        payload["state"] = json!(state);
        match parsed("status", &payload).unwrap() {
            Event::Status(event) => event,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        status("failure"),
        StatusEvent {
            sha: Sha::parse(SHA).unwrap(),
            context: "flux/ephemeral-dev".to_owned(),
            is_pending: false,
            default_branch: "main".to_owned(),
            repository_id: Some(1),
        }
    );
    assert!(status("pending").is_pending && !status("success").is_pending);
    let mut payload = payload;
    payload["sha"] = json!("main");
    let error = parsed("status", &payload).unwrap_err().to_string();
    assert!(error.contains("sha: \"main\" is not a commit's"), "{error}");
}

#[test]
fn what_a_deleted_account_does_is_a_ghosts() {
    let mut payload = comment();
    payload["comment"]["user"] = Value::Null;
    payload["comment"]["body"] = Value::Null;
    let Event::Comment(event) = parsed("issue_comment", &payload).unwrap() else {
        panic!("no comment");
    };
    assert_eq!((event.author.as_str(), event.body.as_str()), ("ghost", ""));
    let mut payload = closed();
    payload["sender"] = Value::Null;
    let parsed = parsed("pull_request_target", &payload).unwrap();
    let Event::PullRequest(event) = parsed else {
        panic!("{parsed:?}");
    };
    assert_eq!(event.sender, "ghost");
}

#[test]
fn the_repositories_ids_tell_a_fork_and_not_its_name() {
    let mut payload = closed();
    assert_eq!(head_of(&payload), Head::Here);
    payload["pull_request"]["head"]["repo"]["id"] = json!(2);
    assert_eq!(
        head_of(&payload),
        Head::Fork {
            owner: "o".to_owned(),
            clone_url: "https://github.com/o/r.git".to_owned(),
            pushed_at: Some("2026-01-02T03:04:05Z".to_owned()),
        }
    );
    // A deleted account's.
    payload["pull_request"]["head"]["repo"]["owner"] = Value::Null;
    let head = head_of(&payload);
    assert!(matches!(head, Head::Fork { owner, .. } if owner == "ghost"));
    payload["pull_request"]["head"]["repo"] = Value::Null;
    assert_eq!(head_of(&payload), Head::Deleted);
}

#[test]
fn what_is_ignored_is_not_read_any_further() {
    let action = |action: &str| json!({ "action": action });
    for (name, payload, ignored) in [
        (
            "issue_comment",
            action("edited"),
            Ignored::CommentNotCreated,
        ),
        (
            "issue_comment",
            action("deleted"),
            Ignored::CommentNotCreated,
        ),
        ("pull_request", action("opened"), Ignored::Action),
        (
            "pull_request_target",
            action("synchronize"),
            Ignored::Action,
        ),
        ("push", json!(null), Ignored::Event),
    ] {
        assert_eq!(
            parsed(name, &payload).unwrap(),
            Event::Ignored(ignored),
            "{name} {payload}"
        );
    }
    assert_eq!(
        parse("push", b"not JSON", None).unwrap(),
        Event::Ignored(Ignored::Event)
    );
    for action in ["labeled", "unlabeled"] {
        let payload = json!({ "action": action }).to_string();
        let ignored = parse("pull_request", payload.as_bytes(), None).unwrap();
        assert_eq!(ignored, Event::Ignored(Ignored::Action));
        let other = json!({ "action": action, "label": { "name": "preview 2" } });
        assert_eq!(
            parsed("pull_request", &other).unwrap(),
            Event::Ignored(Ignored::Label)
        );
    }
}

#[test]
fn the_label_that_deploys_is_known_in_any_case() {
    for (action, read) in [
        ("labeled", PullRequestAction::Labeled),
        ("unlabeled", PullRequestAction::Unlabeled),
    ] {
        let mut payload = closed();
        payload["action"] = json!(action);
        payload["label"] = json!({ "name": "preVIEW" });
        let Event::PullRequest(event) = parsed("pull_request", &payload).unwrap() else {
            panic!("no pull request");
        };
        assert_eq!((event.action, event.sender.as_str()), (read, "rita"));
    }
}

#[test]
fn a_label_that_is_deleted_by_now_is_one_that_nobody_knows() {
    for action in ["labeled", "unlabeled"] {
        for label in [None, Some(Value::Null)] {
            let mut payload = closed();
            payload["action"] = json!(action);
            if let Some(label) = label {
                payload["label"] = label;
            }
            let Event::PullRequest(event) = parsed("pull_request", &payload).unwrap() else {
                panic!("no pull request");
            };
            assert_eq!(event.action, PullRequestAction::LabelUnknown);
            let ignored = parse("pull_request", payload.to_string().as_bytes(), None).unwrap();
            assert_eq!(ignored, Event::Ignored(Ignored::Action));
        }
    }
}

#[test]
fn the_labels_of_a_pull_request_are_known_or_nobody_says_anything_about_them() {
    let label = |name: &str| json!({ "id": 1, "name": name });
    for (labels, has) in [
        (json!([]), Some(false)),
        (json!([label("bug")]), Some(false)),
        (json!([label("bug"), label("preVIEW")]), Some(true)),
        (json!([label("Größe")]), Some(false)),
        (Value::Null, None),
        (json!({}), None),
        (json!([label("preview"), { "id": 1 }]), None),
        (json!(["preview"]), None),
    ] {
        let mut payload = closed();
        payload["pull_request"]["labels"] = labels.clone();
        let Event::PullRequest(event) = parsed("pull_request", &payload).unwrap() else {
            panic!("no pull request");
        };
        assert_eq!(event.pull_request.has_label("Preview"), has, "{labels}");
    }
}

#[test]
fn a_state_is_open_closed_or_unknown() {
    let unknown = |word: &str| State::Unknown(word.to_owned());
    for (word, state) in [
        ("open", State::Open),
        ("closed", State::Closed),
        ("", unknown("")),
        ("OPEN", unknown("OPEN")),
    ] {
        let mut payload = closed();
        payload["pull_request"]["state"] = json!(word);
        let event = parsed("pull_request", &payload).unwrap();
        let Event::PullRequest(event) = event else {
            panic!("{event:?}");
        };
        assert_eq!(event.pull_request.state, state, "{word:?}");
    }
}

#[test]
fn a_payload_is_there_for_what_is_read() {
    for name in ["issue_comment", "pull_request", "pull_request_target"] {
        assert!(has_payload(name), "{name}");
    }
    for name in ["push", "issues", ""] {
        assert!(!has_payload(name), "{name}");
    }
}

#[test]
fn a_sweep_needs_no_repository_in_its_payload() {
    let on_main = json!({ "repository": { "default_branch": "main" } });
    for (name, payload, code, branch) in [
        (
            "schedule",
            json!({ "schedule": "7 * * * *" }),
            "schedule",
            None,
        ),
        (
            "workflow_dispatch",
            on_main,
            "workflow-dispatch",
            Some("main"),
        ),
    ] {
        assert!(has_payload(name));
        let event = SweepEvent {
            code,
            default_branch: branch.map(str::to_owned),
            repository_id: None,
        };
        assert_eq!(parsed(name, &payload).unwrap(), Event::Sweep(event));
    }
}

#[test]
fn a_field_that_is_missing_or_of_another_type_is_named() {
    let mut payload = comment();
    payload["issue"]["number"] = json!("seven");
    let error = format!("{:#}", parsed("issue_comment", &payload).unwrap_err());
    assert!(error.contains("issue.number"), "{error}");

    let mut payload = closed();
    payload["pull_request"]["head"]["sha"] = json!("main");
    let error = format!("{:#}", parsed("pull_request", &payload).unwrap_err());
    assert!(error.contains("\"main\""), "{error}");
}

proptest! {
    #[test]
    fn no_payload_is_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for name in ["issue_comment", "pull_request", "schedule", "workflow_dispatch", "push"] {
            let _ = parse(name, &bytes, Some("preview"));
        }
    }

    #[test]
    fn no_field_of_any_kind_is_a_panic(
        is_comment: bool,
        path in proptest::collection::vec(0_usize..6, 1..5),
        value in json_value(),
    ) {
        let (name, mut payload) = if is_comment { ("issue_comment", comment()) } else { ("pull_request", closed()) };
        let mut place = &mut payload;
        for step in path {
            let fields: Vec<String> = place.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
            let Some(field) = fields.get(step % fields.len().max(1)) else { break };
            place = &mut place[field];
        }
        *place = value;
        let inputs = crate::config::tests::configured(&[]).unwrap().inputs;
        match parsed(name, &payload) {
            Ok(event) => drop(crate::decide::triage::triage(event, &inputs)),
            Err(error) => {
                let words = format!("{error:#}");
                prop_assert!(words.contains(name) || words.contains("not a commit"), "{}", words);
            }
        }
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,10}|/deploy-ephemeral( [0-9a-f]{40})?|open|closed|created".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("[a-z_]{1,8}", inner, 0..4)
                .prop_map(|fields| json!(fields)),
        ]
    })
}
