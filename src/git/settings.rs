//! What the workspace's own configuration says of its files, read as data.
//!
//! libgit2 never sees that configuration: a pull request may have written it, with programs to run and files to include. A few
//! plain values are worth knowing all the same: without them a file that nobody touched looks as if somebody had.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Those values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `core.filemode`: whether the file system keeps who may execute a file.
    filemode: bool,
    /// `core.symlinks`: whether a link is a link, and not a file with its target.
    symlinks: bool,
    /// `core.autocrlf`: whether text may have CRLF in the workspace that has LF in a commit.
    autocrlf: bool,
    /// The filters that programs are configured for.
    drivers: BTreeSet<String>,
}

impl Settings {
    /// What the configuration in a `.git` says.
    pub(crate) fn read(git: &Path) -> Settings {
        let text = |name| fs::read(git.join(name)).unwrap_or_default();
        let mut lines = variables(&String::from_utf8_lossy(&text("config")));
        if is_set(&lines, "extensions", "worktreeconfig", false) {
            lines.extend(variables(&String::from_utf8_lossy(&text(
                "config.worktree",
            ))));
        }
        let autocrlf = last(&lines, "core", "autocrlf");
        Settings {
            filemode: is_set(&lines, "core", "filemode", true),
            symlinks: is_set(&lines, "core", "symlinks", true),
            autocrlf: autocrlf.is_some_and(|value| {
                value.eq_ignore_ascii_case("input") || truth(value).unwrap_or(false)
            }),
            drivers: lines
                .into_iter()
                .filter(|line| line.section == "filter")
                .map(|line| line.subsection)
                .collect(),
        }
    }

    /// Whether a program is configured for a filter. Elsewhere than in the workspace there may be one as well.
    pub(crate) fn has_driver(&self, filter: &str) -> bool {
        self.drivers.contains(filter)
    }

    /// A configuration for libgit2 that says this and no more, written to `path`.
    pub(crate) fn configuration(&self, path: &Path) -> Result<git2::Config> {
        // `input` and not `true`: to Git a file with LF is as good, and what a commit holds is what gets written.
        let autocrlf = if self.autocrlf { "input" } else { "false" };
        let text = format!(
            "[core]\n\tfilemode = {}\n\tsymlinks = {}\n\tautocrlf = {autocrlf}\n",
            self.filemode, self.symlinks
        );
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(git2::Config::open(path)?)
    }
}

/// One line of a configuration.
struct Variable {
    section: String,
    subsection: String,
    key: String,
    value: String,
}

/// The lines of a configuration, as far as plain values need it
/// ([syntax](https://git-scm.com/docs/git-config#_syntax)).
fn variables(text: &str) -> Vec<Variable> {
    let text = text.replace("\r\n", "\n").replace("\\\n", "");
    let (mut section, mut subsection) = (String::new(), String::new());
    let mut variables = Vec::new();
    for line in text.lines() {
        let mut line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let (header, rest) = header.split_once(']').unwrap_or((header, ""));
            let (name, sub) = header.split_once([' ', '\t', '.']).unwrap_or((header, ""));
            section = name.to_ascii_lowercase();
            subsection = sub.trim().trim_matches('"').replace('\\', "");
            line = rest.trim();
        }
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        // A key alone is as good as a yes.
        let (key, value) = line.split_once('=').unwrap_or((line, "true"));
        let value = value.split(['#', ';']).next().unwrap_or_default();
        variables.push(Variable {
            section: section.clone(),
            subsection: subsection.clone(),
            key: key.trim().to_ascii_lowercase(),
            value: value.trim().trim_matches('"').to_owned(),
        });
    }
    variables
}

/// The value that counts, which is the last.
fn last<'a>(lines: &'a [Variable], section: &str, key: &str) -> Option<&'a str> {
    let is_it =
        |line: &&Variable| line.section == section && line.subsection.is_empty() && line.key == key;
    let line = lines.iter().rev().find(is_it)?;
    Some(&line.value)
}

fn is_set(lines: &[Variable], section: &str, key: &str, default: bool) -> bool {
    last(lines, section, key).and_then(truth).unwrap_or(default)
}

/// What Git takes for a yes and a no.
fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" | "" => Some(false),
        number => number.parse::<i64>().ok().map(|number| number != 0),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Settings;

    fn settings(config: &str) -> Settings {
        let git = tempfile::TempDir::new().unwrap();
        fs::write(git.path().join("config"), config).unwrap();
        fs::write(git.path().join("config.worktree"), "[core]\nsymlinks=no").unwrap();
        Settings::read(git.path())
    }

    fn plain() -> Settings {
        Settings {
            filemode: true,
            symlinks: true,
            autocrlf: false,
            drivers: [].into(),
        }
    }

    #[test]
    fn plain_values_are_read_as_git_writes_them() {
        assert_eq!(settings(""), plain());
        let text = "[core]\n\tfileMode = false\r\n\tsymlinks = \"off\" ; a comment\n\tautoCRLF\n[filter \"lfs\"]\n\tclean = x\n";
        let expected = Settings {
            filemode: false,
            symlinks: false,
            autocrlf: true,
            drivers: ["lfs".to_owned()].into(),
        };
        assert_eq!(settings(text), expected);
        let input = Settings {
            autocrlf: true,
            ..plain()
        };
        assert_eq!(settings("[CORE] autocrlf = Input"), input);
    }

    #[test]
    fn the_last_value_counts() {
        let text = "[core]\nfilemode = false\n[other]\nsymlinks = false\n[core]\nfilemode = 1\n";
        assert_eq!(settings(text), plain());
    }

    #[test]
    fn what_includes_and_comments_say_does_not_count() {
        let text = "[include]\npath = /dev/zero\n# [core]\n[core \"x\"]\nfilemode = false\n[core]\n;symlinks = no\n";
        assert_eq!(settings(text), plain());
    }

    #[test]
    fn a_work_trees_own_configuration_counts_where_there_is_one() {
        let expected = Settings {
            symlinks: false,
            ..plain()
        };
        assert_eq!(
            settings("[extensions]\n\tworktreeConfig = true\n"),
            expected
        );
    }
}
