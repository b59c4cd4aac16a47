use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::DateTime;
use kcr_kustomize_toolkit_fluxcd_io::v1::kustomizations::Kustomization;
use kcr_source_toolkit_fluxcd_io::v1::gitrepositories::GitRepository;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::manifest::overlay::claimed_namespaces;
use crate::manifest::read::read;
use crate::manifest::render::Manifest;
use crate::manifest::search::Search;
use crate::model::instance::{Instance, Owner, RESERVED_VARIABLES};
use crate::model::names::can_be_followed;
use crate::model::names::tests::not_a_string;
use crate::model::repository::RepositoryIdentity;
use crate::model::ttl::Expiry;
use crate::model::ttl::tests::at;

/// The file of pull request 7 with the branch `dev`, as the defaults make it.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        object_name: "ephemeral-dev".to_owned(),
        name: "dev".to_owned(),
        namespace: "dev".to_owned(),
        flux_namespace: "flux-system".to_owned(),
        owner: Owner {
            repository: RepositoryIdentity::new("octo/app", Some(1)),
            pull_request: 7,
        },
        branch: "dev".to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        requested_by: "rita".to_owned(),
        url: "ssh://git@github.com/octo/app".to_owned(),
        pinned: false,
        secret_ref: Some("flux-system".to_owned()),
        interval: "1m0s".to_owned(),
        timeout: "5m0s".to_owned(),
        overlay_path: "k8s/app/overlays/ephemeral".to_owned(),
        substitute: BTreeMap::new(),
        expires: None,
        requested_at: None,
    }
}

/// The file that it renders to, which the stories compare with, too.
static RENDERED: LazyLock<String> = LazyLock::new(|| {
    include_str!("../../tests/action/current.yaml")
        .replace("<name>", "dev")
        .replace("<number>", "7")
        .replace("<commit>", "0123456789abcdef0123456789abcdef01234567")
        .replace("1000001", "1")
        .replace("127.0.0.1/octo-org/demo", "github.com/octo/app")
        .replace("octo-org/demo", "octo/app")
});

fn rendered(manifest: &Manifest) -> String {
    manifest.render().unwrap()
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::from_multiple(text).unwrap()
}

/// The documents a manifest stands for; each string in them is meant as a string.
fn meant(manifest: &Manifest) -> Vec<Value> {
    let number = manifest.owner.pull_request.to_string();
    let mut metadata = json!({
        "name": manifest.object_name,
        "namespace": manifest.flux_namespace,
        "labels": {
            "app.kubernetes.io/managed-by": "flux-ephemeral-env",
            "flux-ephemeral-env/pull-request": number,
        },
        "annotations": {
            "event.toolkit.fluxcd.io/change_request": number,
            "flux-ephemeral-env/branch": manifest.branch,
            "flux-ephemeral-env/commit": manifest.commit,
            "flux-ephemeral-env/repository": manifest.owner.repository.name,
            "flux-ephemeral-env/requested-by": manifest.requested_by,
            "kustomize.toolkit.fluxcd.io/substitute": "disabled",
        },
    });
    if let Some(id) = manifest.owner.repository.id {
        metadata["annotations"]["flux-ephemeral-env/repository-id"] = json!(id.to_string());
    }
    if let Some(time) = manifest.expires {
        let text = time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        metadata["annotations"]["flux-ephemeral-env/expires"] = json!(text);
    }
    let mut git_repository = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": metadata,
        "spec": {
            "interval": manifest.interval,
            "url": manifest.url,
            "ref": { "branch": manifest.branch },
        },
    });
    if !can_be_followed(&manifest.branch) {
        git_repository["spec"]["ref"] = json!({ "commit": manifest.commit });
    }
    if manifest.pinned {
        git_repository["spec"]["ref"]["commit"] = json!(manifest.commit);
    }
    if let Some(secret) = &manifest.secret_ref {
        git_repository["spec"]["secretRef"] = json!({ "name": secret });
    }
    let mut substitute = json!({
        "BRANCH_NAME": manifest.namespace,
        "COMMIT": manifest.commit,
        "EPHEMERAL_NAME": manifest.name,
        "PULL_REQUEST": number,
        "quote": "\"",
    });
    for (variable, value) in &manifest.substitute {
        substitute[variable] = json!(value);
    }
    let kustomization = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": metadata,
        "spec": {
            "interval": "10m0s",
            "retryInterval": "30s",
            "timeout": manifest.timeout,
            "path": format!("./{}", manifest.overlay_path),
            "prune": true,
            "wait": true,
            "sourceRef": { "kind": "GitRepository", "name": manifest.object_name },
            "postBuild": { "substitute": substitute },
        },
    });
    vec![git_repository, kustomization]
}

/// Paths in `document` that Flux's own type `T` does not know.
fn unknown_to<T: DeserializeOwned>(document: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    let _: T = serde_ignored::deserialize(document.clone(), |path| {
        unknown.push(path.to_string());
    })
    .unwrap();
    // The types hold these two as constants.
    unknown.retain(|path| path != "apiVersion" && path != "kind");
    unknown
}

#[test]
fn the_defaults_render_to_these_two_documents() {
    assert_eq!(rendered(&manifest()), *RENDERED);
    assert_eq!(documents(&RENDERED), meant(&manifest()));
}

#[test]
fn flux_knows_every_field_of_every_variant() {
    let variables = BTreeMap::from([("REPLICAS".to_owned(), "2".to_owned())]);
    for pinned in [false, true] {
        for secret_ref in [None, Some("git".to_owned())] {
            for substitute in [BTreeMap::new(), variables.clone()] {
                let manifest = Manifest {
                    pinned,
                    secret_ref: secret_ref.clone(),
                    substitute,
                    ..manifest()
                };
                let documents = documents(&rendered(&manifest));
                assert_eq!(documents, meant(&manifest));
                assert!(unknown_to::<GitRepository>(&documents[0]).is_empty());
                assert!(unknown_to::<Kustomization>(&documents[1]).is_empty());
            }
        }
    }
}

#[test]
fn a_branch_that_flux_cannot_follow_is_not_named_to_it() {
    for (branch, followed) in [
        ("dev", true),
        ("refs/dev", true),
        ("@team/a@b", true),
        ("a-b", true),
        ("refs/heads/dev", false),
        ("a/refs/heads/dev", false),
        ("team/@/x", false),
        ("-b", false),
    ] {
        assert_eq!(can_be_followed(branch), followed, "{branch}");
    }
    for pinned in [false, true] {
        let manifest = Manifest {
            branch: "refs/heads/dev".to_owned(),
            pinned,
            ..manifest()
        };
        assert_eq!(documents(&rendered(&manifest)), meant(&manifest));
    }
}

#[test]
fn a_field_that_flux_does_not_know_is_noticed() {
    let mut document = meant(&manifest()).remove(1);
    document["spec"]["postBuild"]["substitutes"] = json!({});
    document["metadata"]["label"] = json!({});
    assert_eq!(
        unknown_to::<Kustomization>(&document),
        ["metadata.label", "spec.postBuild.?.substitutes"]
    );
}

#[test]
fn a_variable_of_our_own_is_not_given_away() {
    let manifest = Manifest {
        substitute: RESERVED_VARIABLES
            .map(|variable| (variable.to_owned(), "stolen".to_owned()))
            .into(),
        ..manifest()
    };
    assert_eq!(rendered(&manifest), *RENDERED);
}

const NASTY: [&str; 35] = [
    "\u{a0}",
    "on",
    "Off",
    "yes",
    "y",
    "N",
    "null",
    "Null",
    "~",
    "",
    "true",
    "2024_01",
    "0x1F",
    "0b1",
    "0o7",
    "017",
    "1e3",
    "1_0e5",
    "12:30:45",
    "1.",
    ".5",
    ".inf",
    ".nan",
    "2024-01-01",
    "2024-1-1 1:02:03 Z",
    "=",
    "<<",
    "\"; rm -rf /",
    "${x}",
    "a: b",
    "a #b",
    "---",
    "- a",
    "'\n---\n\"",
    "🚀\u{2028}\u{85}\u{feff}\0",
];

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&NASTY[..]).prop_map(str::to_owned),
        "[0-9a-fxobTZ_:.eE+-]{1,12}",
        "[ \t\r\n#:'\"\\\\{}\\[\\]&*!|>%@`,~=<?a-]{0,20}",
        "[a-z ]{70,120}",
        vec(any::<char>(), 0..20).prop_map(String::from_iter),
    ]
}

fn variables() -> impl Strategy<Value = BTreeMap<String, String>> {
    let names = prop_oneof![
        "[A-Za-z_][A-Za-z0-9_]{0,8}",
        select(&["y", "NO", "on", "null", "_1", "True"][..]).prop_map(str::to_owned),
    ];
    btree_map(names, texts(), 0..4).prop_map(|mut variables| {
        variables.retain(|variable, _| !RESERVED_VARIABLES.contains(&variable.as_str()));
        variables
    })
}

fn manifests() -> impl Strategy<Value = Manifest> {
    (
        texts(),
        texts(),
        texts(),
        variables(),
        any::<bool>(),
        any::<u64>(),
        proptest::option::of(0_i64..4_102_444_800),
    )
        .prop_map(
            |(branch, requested_by, overlay_path, substitute, pinned, pull_request, expires)| {
                Manifest {
                    expires: expires.and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
                    branch,
                    requested_by,
                    overlay_path,
                    substitute,
                    pinned,
                    owner: Owner {
                        pull_request,
                        ..manifest().owner
                    },
                    ..manifest()
                }
            },
        )
}

/// What somebody may do to a line of a file.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Drop(usize),
    Repeat(usize, usize),
    Indent(usize, isize),
    Value(usize, String),
    Insert(usize, String),
}

impl Edit {
    fn apply(&self, text: &str) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let count = lines.len();
        match self {
            Edit::Drop(at) => drop(lines.remove(at % count)),
            Edit::Repeat(from, to) => {
                let line = lines[from % count].clone();
                lines.insert(to % count, line);
            }
            Edit::Indent(at, by) => {
                let line = &mut lines[at % count];
                *line = match usize::try_from(*by) {
                    Ok(more) => " ".repeat(more) + line,
                    Err(_) => line.strip_prefix("  ").unwrap_or(line).to_owned(),
                };
            }
            Edit::Value(at, value) => {
                let line = &mut lines[at % count];
                if let Some((key, _)) = line.clone().split_once(':') {
                    *line = format!("{key}: {value}");
                }
            }
            Edit::Insert(at, line) => lines.insert(at % count, line.clone()),
        }
        lines.join("\n") + "\n"
    }
}

pub(crate) fn edited(text: &str, edits: &[Edit]) -> String {
    edits
        .iter()
        .fold(text.to_owned(), |text, edit| edit.apply(&text))
}

pub(crate) fn edits() -> impl Strategy<Value = Edit> {
    let at = || any::<usize>();
    let values = select(vec![
        "",
        "~",
        "null",
        "NULL",
        "7",
        "007",
        "+7",
        "0x7",
        "\"\\x37\"",
        "!!str 7",
        "!!binary Nw==",
        "\"7\"",
        "|-\n      7",
        "&n \"7\"",
        "*n",
        "\"o\\x63to/app\"",
        "OCTO/app",
        "dev",
        "\"d\\\n      ev\"",
        "1e3",
        "on",
        "a b",
        "a:",
        "a: b",
        "a#b",
        "a #b",
        "\"a\"",
        "'a'",
        "'it''s'",
        "\"a\\tb\"",
        "\"\"",
        "''",
        "&a b",
        "*a",
        "!x y",
        "|",
        ">",
        "[]",
        "{}",
        "- a",
        "-",
        "--",
        "@a",
        ".5",
        "a\u{85}b",
        "ä",
        "\"open",
        "2026-02-27T12:00:00Z",
        "a/b@c+d",
        "flux-ephemeral-env",
    ]);
    let lines = select(vec![
        "",
        "---",
        "...",
        "# note",
        "  # note",
        "metadata:",
        "spec:",
        "  labels:",
        "  annotations:",
        "    labels:",
        "metadata: {}",
        "    app.kubernetes.io/managed-by: flux-ephemeral-env",
        "    flux-ephemeral-env/pull-request: 9",
        "      BRANCH_NAME: x",
        "    flux-ephemeral-env/repository: o/r",
        "    <<: *a",
        "    null: x",
        "    ~: x",
        "? a",
        "- a",
        "%YAML 1.1",
        "\t",
        "kind: List",
        "  a:",
        "    b: c",
        "    substitute:",
        "  postBuild:",
        "a:b",
        "a :b",
        "\"kind\": x",
    ]);
    let long = |(place, length): (usize, usize)| {
        Edit::Insert(place, format!("    {}: x", "k".repeat(length)))
    };
    prop_oneof![
        (at(), 100_usize..1_100).prop_map(long),
        at().prop_map(Edit::Drop),
        (at(), at()).prop_map(|(from, to)| Edit::Repeat(from, to)),
        (at(), -2_isize..4).prop_map(|(line, by)| Edit::Indent(line, by)),
        (at(), values).prop_map(|(line, value)| Edit::Value(line, value.to_owned())),
        (at(), lines).prop_map(|(place, line)| Edit::Insert(place, line.to_owned())),
    ]
}

/// Every key and plain scalar that some reader of YAML 1.1 or 1.2 might take for something else than a string.
fn mistakable(text: &str) -> Vec<String> {
    let not_a_string = not_a_string();
    let is_mistakable = |scalar: &str| {
        // Go's reader drops underscores before it looks for a number, but not for one of base 60 or a date.
        let joined = scalar.replace('_', "");
        let may_be_number = scalar.starts_with(|c: char| "-+.0123456789".contains(c))
            && !joined.contains(':')
            && joined.get(4..5) != Some("-");
        let is_quoted = scalar.len() > 1 && scalar.starts_with('"') && scalar.ends_with('"')
            || scalar.starts_with('\'') && scalar.ends_with('\'');
        !is_quoted
            && (not_a_string.is_match(scalar)
                || may_be_number && not_a_string.is_match(&joined)
                || scalar.starts_with(|c: char| "\"'#&*!|>%@`{}[],".contains(c))
                || scalar.starts_with("- ") || scalar.starts_with("? ")
                || scalar.contains(": ") || scalar.contains(" #")
                // The white space that is none to YAML is text like any other.
                || scalar.trim_matches([' ', '\t']) != scalar)
    };
    let scalars =
        text.lines()
            .flat_map(|line| match line.trim_start_matches(' ').split_once(": ") {
                Some((key @ ("prune" | "wait"), "true")) => vec![key],
                Some((key, value)) => vec![key, value],
                None => vec![line.trim_start_matches(' ').trim_end_matches(':')],
            });
    scalars
        .filter(|scalar| is_mistakable(scalar))
        .map(str::to_owned)
        .collect()
}

fn keys(text: &str) -> Vec<&str> {
    text.split('\n')
        .map(|line| line.split_once(": ").map_or(line, |(key, _)| key))
        .collect()
}

#[test]
fn a_scalar_that_is_no_string_to_some_reader_is_noticed() {
    for scalar in [
        "on",
        "2024_01",
        "1_0e5",
        "12:30:45",
        "~",
        "",
        "a #b",
        "2024-01-01T1:02:03",
        "=",
        "'a",
    ] {
        assert_eq!(mistakable(&format!("key: {scalar}")), [scalar]);
    }
    assert_eq!(mistakable("- on: 'on'\ny: \"n\""), ["- on", "y"]);
    for scalar in ["1:5_9", "2024-0_1-01", "_1"] {
        assert_eq!(mistakable(&format!("key: {scalar}")), [""; 0], "{scalar}");
    }
}

proptest! {
    #[test]
    fn what_is_read_back_is_what_went_in(manifest in manifests()) {
        prop_assert_eq!(documents(&rendered(&manifest)), meant(&manifest));
    }

    #[test]
    fn no_value_changes_the_shape(manifest in manifests()) {
        let text = rendered(&manifest);
        // What of a branch is named to Flux depends on whether that can follow it, and on nothing else.
        let harmless_branch = if can_be_followed(&manifest.branch) { "dev" } else { "refs/heads/dev" };
        let harmless = rendered(&Manifest {
            branch: harmless_branch.to_owned(),
            requested_by: "rita".to_owned(),
            overlay_path: "overlay".to_owned(),
            substitute: manifest.substitute.keys().map(|key| (key.clone(), "value".to_owned())).collect(),
            ..manifest
        });
        prop_assert_eq!(keys(&text), keys(&harmless));
        prop_assert!(text.ends_with('\n') && !text.ends_with("\n\n"));
        // Line breaks to a YAML 1.1 reader, and what no YAML reader takes.
        let steers = |c: char| matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') || c.is_control();
        prop_assert!(!text.replace('\n', "").contains(steers));
    }

    #[test]
    fn every_string_is_a_string_to_a_reader_of_yaml_1_1(manifest in manifests()) {
        prop_assert_eq!(mistakable(&rendered(&manifest)), Vec::<String>::new());
    }

    #[test]
    fn the_instance_is_read_back(manifest in manifests()) {
        let text = rendered(&manifest);
        let branch = manifest.branch.clone();
        prop_assert_eq!(
            read(text.as_bytes()),
            Some(Instance {
                owner: manifest.owner,
                namespace: manifest.namespace,
                branch: manifest.branch,
                pinned: (manifest.pinned || !can_be_followed(&branch)).then(|| manifest.commit.clone()),
                commit: manifest.commit,
                requested_by: manifest.requested_by,
                requested_at: manifest.requested_at,
                expires: manifest.expires.map_or(Expiry::Never, Expiry::At),
            })
        );
    }

    #[test]
    fn no_search_leaves_out_a_file_that_has_the_value(manifest in prop_oneof![3 => Just(manifest()), 1 => manifests()], edits in vec(edits(), 0..4)) {
        let text = edited(&rendered(&manifest), &edits);
        if let Some(instance) = read(text.as_bytes()) {
            let search = Search::pull_request(instance.owner.pull_request);
            prop_assert!(search.may_match(text.as_bytes()), "{}", text);
            let namespace = &instance.namespace;
            if namespace.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-')) {
                prop_assert!(Search::namespace(namespace).may_match(text.as_bytes()), "{}", text);
            }
        }
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(read(&bytes), None);
        let _ = claimed_namespaces(&bytes);
    }

    #[test]
    fn no_damage_to_a_file_is_a_panic(at in 0..RENDERED.len(), length in 0..40usize, text in texts()) {
        let mut file = RENDERED.as_bytes().to_vec();
        file.splice(at..RENDERED.len().min(at + length), text.bytes());
        let _ = read(&file);
        let _ = claimed_namespaces(&file);
    }
}

fn instance() -> Instance {
    Instance {
        owner: manifest().owner,
        namespace: "dev".to_owned(),
        branch: "dev".to_owned(),
        commit: manifest().commit,
        pinned: None,
        requested_by: "rita".to_owned(),
        requested_at: None,
        expires: Expiry::Never,
    }
}

#[test]
fn the_end_of_its_time_is_an_annotation_of_both_objects() {
    let expires = at("2026-02-27T12:00:00Z");
    let manifest = Manifest {
        expires: Some(expires),
        ..manifest()
    };
    let line = "    flux-ephemeral-env/expires: \"2026-02-27T12:00:00Z\"\n";
    let text = rendered(&manifest);
    assert_eq!(text.matches(line).count(), 2, "{text}");
    assert_eq!(text.replace(line, ""), *RENDERED);
    for (value, read_back) in [
        ("\"2026-02-27T12:00:00Z\"", Expiry::At(expires)),
        ("2026-02-27T13:00:00+01:00", Expiry::At(expires)),
        ("", Expiry::Never),
        ("~", Expiry::Never),
        ("soon", Expiry::Unreadable("soon".to_owned())),
        ("\"\"", Expiry::Unreadable(String::new())),
    ] {
        let edited = text.replace("\"2026-02-27T12:00:00Z\"", value);
        let instance = Instance {
            expires: read_back,
            ..instance()
        };
        assert_eq!(read(edited.as_bytes()), Some(instance), "{value}");
    }
}

#[test]
fn a_file_edited_by_hand_stays_ours() {
    let without_kustomization = RENDERED.split("---\n").nth(1).unwrap();
    let no_namespace = Instance {
        namespace: String::new(),
        ..instance()
    };
    for (edit, file, read_back) in [
        ("number", RENDERED.replace("\"7\"", "7"), instance()),
        ("line ends", RENDERED.replace('\n', "\r\n"), instance()),
        (
            "byte order mark",
            format!("\u{feff}{}", *RENDERED),
            instance(),
        ),
        (
            "comments",
            RENDERED.replace("\nspec:", " # a\n# b\nspec: # c"),
            instance(),
        ),
        (
            "another field",
            RENDERED.replace("  interval:", "  suspend: true\n  interval:"),
            instance(),
        ),
        (
            "an empty field",
            RENDERED.replace("  annotations:", "  finalizers:\n  annotations:"),
            instance(),
        ),
        (
            "an empty annotation",
            RENDERED.replace("  annotations:", "  annotations:\n    note:"),
            instance(),
        ),
        (
            "no labels in one of both",
            RENDERED.replacen("  labels:", "  tags:", 1),
            instance(),
        ),
        (
            "an object without labels",
            format!("{}---\nmetadata:\n  labels:\n  annotations:\n", *RENDERED),
            instance(),
        ),
        (
            "no value of ours",
            RENDERED.replace("by: rita", "by:"),
            Instance {
                requested_by: String::new(),
                ..instance()
            },
        ),
        (
            "an empty document",
            format!("{}---\n", *RENDERED),
            instance(),
        ),
        (
            "another object",
            format!(
                "{}---\nkind: ConfigMap\nmetadata:\ndata:\n  a: b\n",
                *RENDERED
            ),
            instance(),
        ),
        (
            "no Kustomization",
            without_kustomization.to_owned(),
            no_namespace.clone(),
        ),
        (
            "no variables",
            RENDERED.replace("BRANCH_NAME", "OTHER"),
            no_namespace,
        ),
    ] {
        assert_eq!(read(file.as_bytes()), Some(read_back), "{edit}");
    }
}

#[test]
fn a_file_without_our_marker_or_an_owner_is_not_ours() {
    for file in [
        "",
        "---\n",
        "a: b",
        "- a",
        "text",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n",
        "metadata:\n  labels: [flux-ephemeral-env]\n",
        "metadata: {",
        "\"",
        "%TAG\n",
        "*a",
        &RENDERED.replace(": flux-ephemeral-env\n", ": kustomize-controller\n"),
        &RENDERED.replace("managed-by", "part-of"),
        &RENDERED.replace("flux-ephemeral-env/pull-request", "pull-request"),
        &RENDERED.replace("pull-request: \"7\"", "pull-request: seven"),
        &RENDERED.replace("pull-request: \"7\"", "pull-request: \"-7\""),
        &RENDERED.replace("flux-ephemeral-env/repository:", "repository:"),
        &RENDERED.replace("kind:", "kind: ["),
        &"[".repeat(100_000),
        &"- ".repeat(100_000),
    ] {
        let start: String = file.chars().take(300).collect();
        assert_eq!(read(file.as_bytes()), None, "{start}");
    }
    let mut not_text = RENDERED.as_bytes().to_vec();
    not_text.push(0xff);
    assert_eq!(read(&not_text), None);
}

#[test]
fn an_owner_is_compared_as_github_compares() {
    let owner = |repository: &str, id, pull_request| Owner {
        repository: RepositoryIdentity::new(repository, id),
        pull_request,
    };
    let ours = owner("octo/app", Some(1), 7);
    for (other, is_ours) in [
        (owner("octo/app", Some(1), 7), true),
        (owner("octo/app", Some(1), 8), false),
        // Renamed, and a new repository of the old name.
        (owner("octo/former", Some(1), 7), true),
        (owner("octo/app", Some(2), 7), false),
        // Of an earlier version.
        (owner("Octo/App", None, 7), true),
        (owner("octo/apps", None, 7), false),
    ] {
        assert_eq!(ours.is(&other), is_ours, "{other:?}");
        assert_eq!(other.is(&ours), is_ours, "{other:?}");
    }
    let mut repository = ours.repository;
    let former = RepositoryIdentity::new("octo/former", None);
    assert!(repository.is_unclear(&former) && !repository.is(&former));
    for is_former in [true, false] {
        repository.note_name("Octo/Former", is_former);
        assert_eq!(repository.is(&former), is_former);
        assert!(!repository.is_unclear(&former));
    }
}

#[test]
fn an_overlay_claims_the_namespace_it_names() {
    for (kustomization, namespaces) in [
        ("namespace: app", &["app"][..]),
        (
            "---\n# ours\nresources:\n- ../base\nnamespace: \"app\" # always\n",
            &["app"][..],
        ),
        ("kind: Kustomization\r\nnamespace: app\r\n", &["app"][..]),
        ("\u{feff}namespace: app\n", &["app"][..]),
        ("namespace: 12", &[]),
        ("namespace: ${BRANCH_NAME}", &["${BRANCH_NAME}"][..]),
        ("namespace:", &[]),
        ("namespace: ~", &[]),
        ("resources: [../base]", &[]),
        ("# namespace: app", &[]),
        ("metadata:\n  namespace: app", &[]),
        ("", &[]),
        ("- namespace: app", &[]),
        ("namespace: app\nnamespace: other", &["other"]),
        ("namespace: app\nresources: [a]\nresources: [b]\n", &["app"]),
        ("namespace: app\n---\n", &["app"]),
        ("namespace: app\n---\nkind: Component\n", &["app"]),
        ("Namespace: app\nNAMESPACE: other\n", &["other", "app"]),
        ("namespace: |\n  app\n", &["app"]),
        ("namespace: [app]", &[]),
        ("namespace: app\n  broken: [", &[]),
    ] {
        assert_eq!(
            claimed_namespaces(kustomization.as_bytes()),
            namespaces,
            "{kustomization}"
        );
    }
    assert!(claimed_namespaces(b"namespace: app # \xff").is_empty());
}
