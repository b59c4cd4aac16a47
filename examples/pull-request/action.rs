//! The action's executable.

use std::path::PathBuf;
use std::process::Command;

/// Builds the executable beside this example, with the same profile. It is there already if the tests ran.
pub(crate) fn build_action() -> PathBuf {
    let example = std::env::current_exe().expect("the path of this example");
    let directory = example
        .ancestors()
        .nth(2)
        .expect("an example lies in <profile>/examples");
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What `cargo run` sets for us: a dependency's build script watches it, and would be run anew each time.
    for (name, _) in std::env::vars_os() {
        let is_about_us =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(is_about_us) {
            cargo.env_remove(name);
        }
    }
    let status = cargo
        .args([
            "build",
            "--quiet",
            "--package",
            "flux-ephemeral-env",
            "--bins",
            "--profile",
            profile,
        ])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .arg("--target-dir")
        .arg(
            directory
                .parent()
                .expect("a profile lies in a target directory"),
        )
        .status()
        .expect("cargo builds the action");
    assert!(status.success(), "the action does not build");
    directory.join("flux-ephemeral-env")
}
