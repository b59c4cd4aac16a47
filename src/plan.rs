//! What a decision changes in the target branch, given what is there. Computed anew for every tip, printed in a dry run,
//! applied by [`crate::git`]; an empty change is the no-op.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;

use crate::decide::{Create, Destroy, Refusal};
use crate::environment::instance_name;
use crate::manifest::{self, Instance, Manifest, Owner};

/// The part of the target branch's tip that a decision depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tip {
    /// What stands in the instances directory under the name of an instance, by path.
    pub instances: BTreeMap<String, Entry>,
    /// The `kustomization.yaml` of the overlays beside ours, by path.
    pub overlays: BTreeMap<String, Vec<u8>>,
    /// Whether the instances directory exists.
    pub instances_directory: Directory,
}

/// What a path of the instances directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file with this content.
    File(Vec<u8>),
    /// A symbolic link, a submodule or a directory.
    Other,
}

/// What stands where a directory should.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Directory {
    /// It.
    #[default]
    Present,
    /// Nothing.
    Absent,
    /// A file, a symbolic link or a submodule, at or above it.
    Obstructed(String),
}

/// Writes and removals that make one commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// New content by path.
    pub writes: BTreeMap<String, String>,
    /// Paths to remove, each of which is there.
    pub removals: BTreeSet<String>,
    /// The commit's message.
    pub message: String,
}

impl Change {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.removals.is_empty()
    }
}

impl fmt::Display for Change {
    /// What a person reads in a dry run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "nothing to commit");
        }
        writeln!(f, "{}", self.message.trim_end())?;
        for path in &self.removals {
            writeln!(f, "\nremove {path}")?;
        }
        for (path, content) in &self.writes {
            writeln!(f, "\nwrite {path}\n{}", content.trim_end())?;
        }
        Ok(())
    }
}

/// A change and whose instances it removes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What to commit.
    pub change: Change,
    /// The instances that go away.
    pub removed: Vec<Removed>,
    /// Whether the instances directory comes into being with it.
    pub makes_directory: bool,
}

/// An instance that goes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The environment's name.
    pub name: String,
    /// The file.
    pub path: String,
    /// What the file says.
    pub instance: Instance,
}

/// Plans the file of one environment.
///
/// An instance of the same pull request under another name (its branch was renamed) makes way in the same commit.
///
/// # Errors
/// The outer error is the serializer's; the inner one says why the tip does not allow it.
pub fn create(create: &Create, tip: &Tip) -> Result<Result<Plan, Refusal>> {
    if let Some(refusal) = refuse(create, tip) {
        return Ok(Err(refusal));
    }
    let Create {
        environment,
        manifest,
    } = create;
    let mut change = Change {
        message: message(
            "create",
            &manifest.branch,
            &manifest.owner,
            &manifest.requested_by,
        ),
        ..Change::default()
    };
    let removed: Vec<Removed> = instances_of(&manifest.owner, tip)
        .filter(|removed| removed.path != environment.path)
        .collect();
    change.removals = removed.iter().map(|removed| removed.path.clone()).collect();
    if !is_deployed(manifest, tip.instances.get(&environment.path))? {
        change
            .writes
            .insert(environment.path.clone(), manifest.render()?);
    }
    Ok(Ok(Plan {
        change,
        removed,
        makes_directory: tip.instances_directory == Directory::Absent,
    }))
}

/// Plans the removal of every instance of one pull request, whatever it is called.
pub fn destroy(destroy: &Destroy, tip: &Tip) -> Plan {
    let removed: Vec<Removed> = instances_of(&destroy.owner, tip).collect();
    Plan {
        change: Change {
            writes: BTreeMap::new(),
            removals: removed.iter().map(|removed| removed.path.clone()).collect(),
            message: message(
                "destroy",
                &destroy.branch,
                &destroy.owner,
                &destroy.requested_by,
            ),
        },
        removed,
        makes_directory: false,
    }
}

/// Whether the file is there already; who asked for it first stays in it.
fn is_deployed(manifest: &Manifest, entry: Option<&Entry>) -> Result<bool> {
    let Some(Entry::File(content)) = entry else {
        return Ok(false);
    };
    let requested_by = manifest::read(content).map(|instance| instance.requested_by);
    let as_first_asked = Manifest {
        requested_by: requested_by.unwrap_or_default(),
        ..manifest.clone()
    };
    Ok(as_first_asked.render()?.as_bytes() == content)
}

fn refuse(create: &Create, tip: &Tip) -> Option<Refusal> {
    let Create {
        environment,
        manifest,
    } = create;
    let namespace = &environment.namespace;
    if let Directory::Obstructed(path) = &tip.instances_directory {
        return Some(Refusal::NotOurs { path: path.clone() });
    }
    if let Some(entry) = tip.instances.get(&environment.path) {
        let path = environment.path.clone();
        match instance_in(entry) {
            None => return Some(Refusal::NotOurs { path }),
            Some(instance) if !instance.owner.is(&manifest.owner) => {
                return Some(Refusal::OwnedByAnother {
                    path,
                    owner: instance.owner,
                });
            }
            Some(_) => {}
        }
    }
    let claimed = tip
        .overlays
        .iter()
        .find(|(_, overlay)| manifest::claimed_namespace(overlay).as_ref() == Some(namespace));
    if let Some((path, _)) = claimed {
        return Some(Refusal::ClaimedNamespace {
            namespace: namespace.clone(),
            path: path.clone(),
        });
    }
    tip.instances
        .values()
        .filter_map(instance_in)
        .find(|instance| instance.namespace == *namespace && !instance.owner.is(&manifest.owner))
        .map(|instance| Refusal::NamespaceTaken {
            namespace: namespace.clone(),
            owner: instance.owner,
        })
}

fn instance_in(entry: &Entry) -> Option<Instance> {
    match entry {
        Entry::File(content) => manifest::read(content),
        Entry::Other => None,
    }
}

fn instances_of(owner: &Owner, tip: &Tip) -> impl Iterator<Item = Removed> {
    tip.instances.iter().filter_map(move |(path, entry)| {
        let instance = instance_in(entry).filter(|instance| instance.owner.is(owner))?;
        Some(Removed {
            name: instance_name(path)?.to_owned(),
            path: path.clone(),
            instance,
        })
    })
}

fn message(verb: &str, branch: &str, owner: &Owner, requested_by: &str) -> String {
    // A trailer or a second subject cannot come from a name.
    let one_line = |text: &str| text.replace(char::is_control, " ");
    format!(
        "[ci skip] {verb} ephemeral env from {}\n\nPull-request: #{}\nRequested-by: @{}\n",
        one_line(branch),
        owner.pull_request,
        one_line(requested_by)
    )
}
