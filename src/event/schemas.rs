//! What [`parse`] requires of a payload, held to GitHub's published schemas. `.ci/run schemas` fetches these.

use std::path::Path;
use std::{env, fs};

use serde_json::{Map, Value};

use super::*;

/// Where npm has put its packages.
const DIRECTORY: &str = "FLUX_EPHEMERAL_ENV_SCHEMAS";

/// The events whose payload is read any further than its action.
const READ: [(&str, &str); 5] = [
    ("issue_comment", "created"),
    ("pull_request", "closed"),
    ("pull_request", "labeled"),
    ("pull_request", "unlabeled"),
    // It has no action.
    ("status", ""),
];

fn package(file: &str) -> Value {
    let directory = env::var(DIRECTORY).expect("the directory of the packages");
    let text = fs::read_to_string(Path::new(&directory).join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The schemas that a value has to match one of, references followed.
fn alternatives<'a>(schemas: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let mut found = vec![schema];
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        found.extend(alternatives(schemas, schemas.pointer(pointer).unwrap()));
    }
    for several in ["anyOf", "oneOf", "allOf"] {
        for schema in schema[several].as_array().into_iter().flatten() {
            found.extend(alternatives(schemas, schema));
        }
    }
    found
}

fn is_nullable(schemas: &[&Value]) -> bool {
    schemas.iter().any(|schema| {
        let is_null = |kind: &Value| kind == "null";
        let kinds = schema["type"].as_array();
        is_null(&schema["type"])
            || kinds.is_some_and(|kinds| kinds.iter().any(is_null))
            || schema.get("const").is_some_and(Value::is_null)
    })
}

/// Returns the places in `payload` that may be missing and those that may be `null`, as JSON pointers.
fn optional(schemas: &Value, payload: &Value, schema: &Value) -> (Vec<String>, Vec<String>) {
    let (mut missing, mut null) = (Vec::new(), Vec::new());
    let mut open = vec![(String::new(), payload, alternatives(schemas, schema))];
    while let Some((place, value, known)) = open.pop() {
        for (field, inner) in value.as_object().into_iter().flatten() {
            let place = format!("{place}/{}", field.replace('~', "~0").replace('/', "~1"));
            let describing = known
                .iter()
                .filter(|schema| schema["properties"].get(field).is_some());
            let properties = describing
                .clone()
                .map(|schema| &schema["properties"][field]);
            let properties: Vec<&Value> = properties
                .flat_map(|schema| alternatives(schemas, schema))
                .collect();
            let is_required = known.iter().any(|schema| {
                let required = schema["required"].as_array();
                required.is_some_and(|names| names.iter().any(|name| name == field))
            });
            if !is_required {
                missing.push(place.clone());
            }
            if is_nullable(&properties) {
                null.push(place.clone());
            }
            open.push((place, inner, properties));
        }
    }
    (missing, null)
}

fn without(payload: &Value, place: &str) -> Value {
    let mut changed = payload.clone();
    let (parent, field) = place.rsplit_once('/').unwrap();
    let field = field.replace("~1", "/").replace("~0", "~");
    let parent: Option<&mut Map<_, _>> = changed.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.unwrap().remove(&field).unwrap();
    changed
}

fn with_null(payload: &Value, place: &str) -> Value {
    let mut changed = payload.clone();
    *changed.pointer_mut(place).unwrap() = Value::Null;
    changed
}

#[test]
#[ignore = "needs GitHub's published schemas: .ci/run schemas"]
fn nothing_is_required_that_githubs_schemas_call_optional() {
    // The first is what people saw in payloads, the second what GitHub itself says of them; each calls something optional
    // that the other does not.
    let published = [
        (package("@octokit/webhooks-schemas/schema.json"), false),
        (
            package("@octokit/openapi-webhooks/generated/api.github.com.json"),
            true,
        ),
    ];
    let examples = package("@octokit/webhooks-examples/api.github.com/index.json");
    let mut required = Vec::new();
    for (name, action) in READ {
        let event = examples.as_array().unwrap();
        let event = event.iter().find(|event| event["name"] == name).unwrap();
        let of_action = |example: &&Value| example["action"].as_str().unwrap_or_default() == action;
        let payloads: Vec<&Value> = event["examples"]
            .as_array()
            .unwrap()
            .iter()
            .filter(of_action)
            .collect();
        assert!(!payloads.is_empty(), "no example of {name} {action}");
        for payload in payloads {
            let label = payload["label"]["name"].as_str().unwrap_or("preview");
            let read = |payload: &Value| parse(name, payload.to_string().as_bytes(), Some(label));
            let event = read(payload).unwrap();
            assert!(!matches!(event, Event::Ignored(_)), "{name} {action}");
            for (schemas, is_openapi) in &published {
                let pointer = match is_openapi {
                    true => {
                        let schema = format!("/components/schemas/webhook-{name}-{action}");
                        schema.trim_end_matches('-').replace('_', "-")
                    }
                    false if action.is_empty() => format!("/definitions/{name}$event"),
                    false => format!("/definitions/{name}${action}"),
                };
                let schema = schemas.pointer(&pointer).expect(&pointer);
                let (missing, null) = optional(schemas, payload, schema);
                // It has seen something of the schemas.
                let is_seen = !missing.is_empty() && !null.is_empty();
                assert!(is_seen, "{pointer}: {missing:?} {null:?}");
                let missing = missing.iter().map(|place| (place, without(payload, place)));
                let null = null.iter().map(|place| (place, with_null(payload, place)));
                for (place, changed) in missing.chain(null) {
                    if let Err(error) = read(&changed) {
                        required.push(format!("{pointer}{place}: {error:#}"));
                    }
                }
            }
        }
    }
    assert_eq!(required, [] as [String; 0]);
}
