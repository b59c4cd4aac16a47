//! Data goes one way: what a file of `src` may import, and that no two files import each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each part of `src`, and the parts that it may import beside its own files. Every part stands below those it imports, so
/// no import points up.
const PARTS: [(&str, &[&str]); 15] = [
    ("model", &[]),
    ("command", &["model"]),
    ("config", &["model"]),
    ("event", &["model"]),
    ("manifest", &["model"]),
    (
        "decide",
        &["model", "command", "config", "event", "manifest"],
    ),
    ("plan", &["model", "manifest", "decide"]),
    ("message", &["model", "command", "decide"]),
    ("report", &["model", "config", "decide", "plan", "message"]),
    ("runner", &["model"]),
    ("http", &["model"]),
    ("github", &["model", "http"]),
    ("git", &["model", "plan", "http"]),
    (
        "publish",
        &["model", "config", "plan", "message", "http", "git"],
    ),
    (
        "run",
        &[
            "model", "config", "event", "decide", "plan", "message", "report", "runner", "http",
            "github", "git", "publish",
        ],
    ),
];

fn files(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(path);
        }
    }
}

/// The module of each file, by the path that other files import it by, and the modules that it imports outside of its tests.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&source, &mut paths);
    let module = |path: &Path| {
        let path = path.strip_prefix(&source).unwrap().with_extension("");
        let path = path.to_str().unwrap().replace('/', "::");
        path.strip_suffix("::mod").unwrap_or(&path).to_owned()
    };
    let is_test = |path: &&PathBuf| {
        let parent = path.parent().unwrap().join("mod.rs");
        let declared = format!("#[cfg(test)]\nmod {};", path.file_stem().unwrap().display());
        let declared = [
            declared.clone(),
            declared.replace("\nmod", "\npub(crate) mod"),
        ];
        let parent = fs::read_to_string(parent).unwrap_or_default();
        declared.iter().any(|declared| parent.contains(declared))
    };
    let modules: BTreeSet<String> = paths.iter().map(|path| module(path)).collect();
    let longest = |import: &str| {
        let parts: Vec<&str> = import.split("::").collect();
        (1..=parts.len())
            .rev()
            .map(|length| parts[..length].join("::"))
            .find(|module| modules.contains(module))
    };
    let imports_of = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let text = text
            .split("#[cfg(test)]\npub(crate) mod tests {")
            .next()
            .unwrap();
        assert!(
            !text.contains("super::") && !text.contains("crate::{"),
            "{}",
            path.display()
        );
        let is_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
        text.split("crate::")
            .skip(1)
            .map(|import| import.split(|c| !is_path(c)).next().unwrap())
            .filter_map(|import| longest(import.trim_end_matches(':')))
            .collect()
    };
    paths
        .iter()
        .filter(|path| !is_test(path) && !path.ends_with("src/main.rs"))
        .map(|path| (module(path), imports_of(path)))
        .collect()
}

fn part(module: &str) -> &str {
    module.split("::").next().unwrap()
}

#[test]
fn no_import_points_up() {
    let parts = BTreeMap::from(PARTS);
    let imports = imports();
    assert!(imports.len() > 40, "{imports:?}");
    for (module, imported) in imports.iter().filter(|(module, _)| *module != "lib") {
        let allowed = parts[part(module)];
        for other in imported {
            let is_allowed = part(other) == part(module) || allowed.contains(&part(other));
            assert!(is_allowed, "{module} imports {other}");
        }
    }
    for (index, (name, allowed)) in PARTS.iter().enumerate() {
        for other in *allowed {
            let below = PARTS.iter().position(|(part, _)| part == other);
            assert!(
                below.is_some_and(|below| below < index),
                "{name} and {other}"
            );
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut imports = imports();
    // What imports nothing that is left is in no circle.
    loop {
        let left: BTreeSet<String> = imports.keys().cloned().collect();
        let before = imports.len();
        imports.retain(|module, imported| {
            imported
                .iter()
                .any(|other| other != module && left.contains(other))
        });
        if imports.len() == before {
            break;
        }
    }
    assert_eq!(imports, BTreeMap::new());
}
