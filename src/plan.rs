//! What a decision changes in the target branch, given what is there. Computed anew for every tip, printed in a dry run,
//! applied by `git`; an empty change is the no-op.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;
use memchr::memmem;

use crate::decide::refusal::Refusal;
use crate::decide::sweep::Removal;
use crate::decide::{Create, Decision, Destroy};
use crate::manifest::overlay::{Listing, claimed_namespaces, listing};
use crate::manifest::read::{applied, deployed_at, read};
use crate::manifest::render::Manifest;
use crate::manifest::search::Search;
use crate::model::instance::{DeployedInstance, Instance, Owner, hexadecimal};
use crate::model::names::instance_name;
use crate::model::repository::RepositoryIdentity;

/// What keeps a directory in Git that holds nothing else.
const KEEP: &str = ".gitkeep";

/// What stays of an instance whose file a `kustomization.yaml` lists: without the file, kustomize would build nothing of the
/// directory. It reads a file without a document as nothing.
const EMPTIED: &str =
    "# The environment is gone. This file stays for the kustomization.yaml that lists it.\n";

/// The part of the target branch's tip that a decision depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tip {
    /// What stands in the instances directory under the name of an instance, by path.
    pub(crate) instances: BTreeMap<String, Entry>,
    /// The `kustomization.yaml` of the overlays beside ours, by path.
    pub(crate) overlays: BTreeMap<String, Vec<u8>>,
    /// Whether the instances directory exists.
    pub(crate) instances_directory: Directory,
    /// The `kustomization.yaml` of the instances directory, if it has one.
    pub(crate) kustomization: Option<(String, Vec<u8>)>,
    /// Whether the instances directory holds instances and nothing else.
    pub(crate) holds_only_instances: bool,
}

/// What a path of the instances directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A file with this content.
    File(Vec<u8>),
    /// A symbolic link, a submodule or a directory.
    Other,
}

/// What stands where a directory should.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Directory {
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
pub(crate) struct Change {
    /// New content by path.
    pub(crate) writes: BTreeMap<String, String>,
    /// Paths to remove, each of which is there.
    pub(crate) removals: BTreeSet<String>,
    /// The commit's message.
    pub(crate) message: String,
}

impl Change {
    /// Whether there is nothing to commit.
    pub(crate) fn is_empty(&self) -> bool {
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

/// A change, and what it means for the pull request's instances.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// What to commit.
    pub(crate) change: Change,
    /// The instances that go away.
    pub(crate) removed: Vec<DeployedInstance>,
    /// The instances that there are afterwards.
    pub(crate) remaining: Vec<DeployedInstance>,
    /// Whether the instances directory comes into being with it.
    pub(crate) creates_directory: bool,
    /// The name of a destroyed environment that no instance has any more, whoever's it was.
    pub(crate) free_name: Option<String>,
}

/// What planning a decision came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlanOutcome {
    Planned(Plan),
    /// Flux applies something else afterwards, so its commit status has to be reset first: it does not repeat what the newest
    /// one says.
    StatusOutdated,
    /// Only GitHub can tell whether these names are former ones of the repository: instances of earlier versions, which hold
    /// no id, say that they are of them.
    Unidentified(BTreeSet<String>),
    /// The tip does not allow it.
    Refused(Refusal),
}

/// What became of a plan.
#[derive(Debug)]
pub(crate) enum Published {
    /// The change is in the target branch.
    Pushed {
        plan: Plan,
        /// The SHA of the commit.
        commit: String,
        /// Why the workspace did not follow, where it did not.
        warning: Option<String>,
    },
    /// There was nothing to change.
    Unchanged(Plan),
    Refused(Refusal),
}

impl Published {
    /// The commit, and what went wrong after it.
    pub(crate) fn landed(&self) -> Option<(String, Option<String>)> {
        match self {
            Published::Pushed {
                commit, warning, ..
            } => Some((commit.clone(), warning.clone())),
            Published::Unchanged(_) | Published::Refused(_) => None,
        }
    }
}

/// Plans what a decision changes at this tip.
pub(crate) fn plan(decision: &Decision, tip: &Tip) -> Result<PlanOutcome> {
    let owner = decision.owner();
    let unidentified: BTreeSet<String> = instances(&Search::pull_request(owner.pull_request), tip)
        .map(|deployed| deployed.instance.owner)
        .filter(|other| other.pull_request == owner.pull_request)
        .filter(|other| owner.repository.is_unclear(&other.repository))
        .map(|other| other.repository.name)
        .collect();
    if !unidentified.is_empty() {
        return Ok(PlanOutcome::Unidentified(unidentified));
    }
    match decision {
        Decision::Create(decision) => create(decision, tip),
        Decision::Destroy(decision) => Ok(PlanOutcome::Planned(destroy(decision, tip))),
    }
}

/// Plans the file of one environment.
///
/// An instance of the same pull request under another name (its branch was renamed) makes way in the same commit.
///
/// # Errors
/// The serializer's.
fn create(create: &Create, tip: &Tip) -> Result<PlanOutcome> {
    if let Some(refusal) = refuse(create, tip) {
        return Ok(PlanOutcome::Refused(refusal));
    }
    let Create {
        environment,
        manifest,
        resets_status,
        ..
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
    let (mut remaining, removed): (Vec<DeployedInstance>, Vec<DeployedInstance>) =
        instances_of(&manifest.owner, tip)
            .into_iter()
            .partition(|deployed| deployed.path == environment.path);
    take_away(&removed, &mut change, tip);
    let entry = tip.instances.get(&environment.path);
    if !is_deployed(manifest, entry)? {
        let content = manifest.render()?;
        if *resets_status && !is_applied(&content, entry) {
            return Ok(PlanOutcome::StatusOutdated);
        }
        remaining = deployed_at(&environment.path, content.as_bytes())
            .into_iter()
            .collect();
        change.writes.insert(environment.path.clone(), content);
    }
    Ok(PlanOutcome::Planned(Plan {
        change,
        removed,
        remaining,
        creates_directory: tip.instances_directory == Directory::Absent,
        free_name: None,
    }))
}

/// Plans the removal of every instance of one pull request, whatever it is called.
fn destroy(destroy: &Destroy, tip: &Tip) -> Plan {
    let message = message(
        "destroy",
        &destroy.branch,
        &destroy.owner,
        &destroy.requested_by,
    );
    let removed = instances_of(&destroy.owner, tip);
    let is_free = removed.iter().any(|removed| removed.name == destroy.name)
        || is_name_free(&destroy.name, tip);
    Plan {
        free_name: Some(destroy.name.clone()).filter(|_| is_free),
        ..removal(removed, message, tip)
    }
}

/// Whether no file is called `sync-<name>.yaml`.
pub(crate) fn is_name_free(name: &str, tip: &Tip) -> bool {
    entry_called(name, tip).is_none()
}

/// What is called `sync-<name>.yaml`, and its path.
fn entry_called<'a>(name: &str, tip: &'a Tip) -> Option<(&'a String, &'a Entry)> {
    let mut entries = tip.instances.iter();
    entries.find(|(path, _)| instance_name(path) == Some(name))
}

/// Plans the removal of what is to go, in one commit: of what is still there as it was when that was judged, for a file that
/// was written anew may be wanted again.
pub(crate) fn sweep(removals: &[Removal], tip: &Tip) -> Plan {
    let removals: Vec<&Removal> = removals
        .iter()
        .filter(|removal| is_there(&removal.deployed, tip))
        .collect();
    let removed: Vec<DeployedInstance> = removals
        .iter()
        .map(|removal| removal.deployed.clone())
        .collect();
    let lines = removals.iter().map(|removal| {
        let Removal { deployed, reason } = removal;
        let pull_request = deployed.instance.owner.pull_request;
        format!(
            "{}: #{pull_request} {}\n",
            one_line(&deployed.name),
            reason.code()
        )
    });
    let message = format!(
        "[ci skip] sweep {} ephemeral envs\n\n{}",
        removed.len(),
        lines.collect::<String>()
    );
    removal(removed, message, tip)
}

/// Git knows no empty directory, and without its directory Flux prunes nothing: the last instance leaves a file behind.
fn removal(removed: Vec<DeployedInstance>, message: String, tip: &Tip) -> Plan {
    let is_emptied = tip.holds_only_instances && removed.len() == tip.instances.len();
    let keep = removed
        .first()
        .filter(|_| is_emptied)
        .and_then(|removed| removed.path.rsplit_once('/'))
        .map(|(directory, _)| (format!("{directory}/{KEEP}"), String::new()));
    let mut change = Change {
        writes: keep.into_iter().collect(),
        removals: BTreeSet::new(),
        message,
    };
    take_away(&removed, &mut change, tip);
    Plan {
        change,
        removed,
        remaining: Vec::new(),
        creates_directory: false,
        free_name: None,
    }
}

/// Removes the files of these instances, or empties those that a `kustomization.yaml` names.
fn take_away(removed: &[DeployedInstance], change: &mut Change, tip: &Tip) {
    for DeployedInstance { path, .. } in removed {
        // Even one that cannot be read now may be repaired later.
        let is_named = tip.kustomization.as_ref().is_some_and(|(_, content)| {
            memmem::find(content, file_name(path).as_bytes()).is_some()
        });
        if is_named {
            change.writes.insert(path.clone(), EMPTIED.to_owned());
        } else {
            change.removals.insert(path.clone());
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What the `kustomization.yaml` of the instances directory says of a file there, with its path. `None` without one.
fn listing_of<'a>(path: &str, tip: &'a Tip) -> Option<(&'a str, Listing)> {
    let (kustomization, content) = tip.kustomization.as_ref()?;
    Some((kustomization, listing(content, file_name(path))))
}

/// Whether the file is there already. The first requester stays in it.
fn is_deployed(manifest: &Manifest, entry: Option<&Entry>) -> Result<bool> {
    let Some(Entry::File(content)) = entry else {
        return Ok(false);
    };
    let Some(instance) = read(content) else {
        return Ok(false);
    };
    let as_first_asked = Manifest {
        requested_by: instance.requested_by,
        requested_at: instance.requested_at,
        ..manifest.clone()
    };
    Ok(as_first_asked.render()?.as_bytes() == content)
}

/// Whether Flux applies the same already: only labels and annotations differ.
fn is_applied(content: &str, entry: Option<&Entry>) -> bool {
    match entry {
        Some(Entry::File(before)) => {
            let before = applied(before);
            before.is_some() && before == applied(content.as_bytes())
        }
        Some(Entry::Other) | None => false,
    }
}

fn refuse(create: &Create, tip: &Tip) -> Option<Refusal> {
    let Create {
        environment,
        manifest,
        limit,
        ..
    } = create;
    let namespace = &environment.namespace;
    if let Directory::Obstructed(path) = &tip.instances_directory {
        return Some(Refusal::NotOurs { path: path.clone() });
    }
    if let Some(entry) = tip.instances.get(&environment.path) {
        let path = environment.path.clone();
        match instance_in(entry) {
            None if is_emptied(entry) => {}
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
    if let Some((kustomization, Listing::NotListed)) = listing_of(&environment.path, tip) {
        return Some(Refusal::NotListed {
            path: environment.path.clone(),
            kustomization: kustomization.to_owned(),
        });
    }
    let claimed = tip
        .overlays
        .iter()
        .find(|(_, overlay)| claimed_namespaces(overlay).contains(namespace));
    if let Some((path, _)) = claimed {
        return Some(Refusal::ClaimedNamespace {
            namespace: namespace.clone(),
            path: path.clone(),
        });
    }
    let taken = instances(&Search::namespace(namespace), tip).find(|deployed| {
        let instance = &deployed.instance;
        instance.namespace == *namespace && !instance.owner.is(&manifest.owner)
    });
    if let Some(deployed) = taken {
        return Some(Refusal::NamespaceTaken {
            namespace: namespace.clone(),
            owner: deployed.instance.owner,
        });
    }
    limit.and_then(|limit| refuse_over_limit(limit.get(), &manifest.owner, tip))
}

/// A refusal where a new instance would be one too many. An instance in place of another of the same pull request is not
/// new.
fn refuse_over_limit(limit: usize, owner: &Owner, tip: &Tip) -> Option<Refusal> {
    if !instances_of(owner, tip).is_empty() {
        return None;
    }
    let mut instances: Vec<(String, u64)> = instances_in(&owner.repository, tip)
        .into_iter()
        .map(|deployed| (deployed.name, deployed.instance.owner.pull_request))
        .collect();
    instances
        .sort_by(|(name, number), (other_name, other)| (number, name).cmp(&(other, other_name)));
    (instances.len() >= limit).then_some(Refusal::LimitReached { limit, instances })
}

fn is_emptied(entry: &Entry) -> bool {
    *entry == Entry::File(EMPTIED.as_bytes().to_vec())
}

fn instance_in(entry: &Entry) -> Option<Instance> {
    match entry {
        Entry::File(content) => read(content),
        Entry::Other => None,
    }
}

/// Returns every instance of a pull request, whatever it is called.
pub(crate) fn instances_of(owner: &Owner, tip: &Tip) -> Vec<DeployedInstance> {
    instances(&Search::pull_request(owner.pull_request), tip)
        .filter(|deployed| deployed.instance.owner.is(owner))
        .collect()
}

/// Returns the instance in the file `sync-<name>.yaml`.
pub(crate) fn instance_called(name: &str, tip: &Tip) -> Option<DeployedInstance> {
    match entry_called(name, tip)? {
        (path, Entry::File(content)) => deployed_at(path, content),
        (_, Entry::Other) => None,
    }
}

/// Returns every instance of a repository.
pub(crate) fn instances_in(repository: &RepositoryIdentity, tip: &Tip) -> Vec<DeployedInstance> {
    all_instances(tip)
        .filter(|deployed| repository.is(&deployed.instance.owner.repository))
        .collect()
}

/// Returns every instance that is or may be of a repository: GitHub has to tell what other names are.
pub(crate) fn instances_perhaps_in(
    repository: &RepositoryIdentity,
    tip: &Tip,
) -> Vec<DeployedInstance> {
    all_instances(tip)
        .filter(|deployed| {
            let other = &deployed.instance.owner.repository;
            repository.is(other) || repository.is_unclear(other)
        })
        .collect()
}

fn all_instances(tip: &Tip) -> impl Iterator<Item = DeployedInstance> + '_ {
    tip.instances
        .iter()
        .filter_map(|(path, entry)| match entry {
            Entry::File(content) => deployed_at(path, content),
            Entry::Other => None,
        })
}

/// Whether an instance is still there, as it was.
fn is_there(deployed: &DeployedInstance, tip: &Tip) -> bool {
    match tip.instances.get(&deployed.path) {
        Some(Entry::File(content)) => hexadecimal(content) == deployed.digest,
        Some(Entry::Other) | None => false,
    }
}

/// The instances whose files may have the value that is searched for.
fn instances<'a>(search: &'a Search, tip: &'a Tip) -> impl Iterator<Item = DeployedInstance> + 'a {
    tip.instances
        .iter()
        .filter_map(|(path, entry)| match entry {
            Entry::File(content) if search.may_match(content) => deployed_at(path, content),
            Entry::File(_) | Entry::Other => None,
        })
}

fn message(verb: &str, branch: &str, owner: &Owner, requested_by: &str) -> String {
    format!(
        "[ci skip] {verb} ephemeral env from {}\n\nPull-request: #{}\nRequested-by: @{}\n",
        one_line(branch),
        owner.pull_request,
        one_line(requested_by)
    )
}

/// A trailer or a second subject cannot come from a name.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::decide::sweep::Reason;
    use crate::manifest::tests::{edited, edits, manifest};
    use crate::model::instance::fingerprint;
    use crate::model::names::Environment;
    use crate::model::ttl::tests::at;

    const DIRECTORY: &str = "k8s/instances";
    const PATH: &str = "k8s/instances/sync-dev.yaml";

    fn owner(repository: &str, pull_request: u64) -> Owner {
        Owner {
            repository: named(repository),
            pull_request,
        }
    }

    /// A repository as files of earlier versions name it.
    fn named(repository: &str) -> RepositoryIdentity {
        RepositoryIdentity::new(repository, None)
    }

    /// Bring up the branch of a pull request of `octo/app`.
    fn up(branch: &str, pull_request: u64) -> Create {
        let environment = Environment::new(branch, None, "", DIRECTORY);
        let manifest = Manifest {
            object_name: environment.object_name(),
            name: environment.name.clone(),
            namespace: environment.namespace.clone(),
            branch: branch.to_owned(),
            owner: owner("octo/app", pull_request),
            ..manifest()
        };
        Create {
            environment,
            manifest,
            limit: None,
            resets_status: false,
        }
    }

    /// Take down whatever a pull request of `octo/app` has.
    fn down(pull_request: u64) -> Destroy {
        Destroy {
            name: "dev".to_owned(),
            owner: owner("octo/app", pull_request),
            branch: "dev".to_owned(),
            requested_by: "rita".to_owned(),
        }
    }

    fn file(content: &str) -> Entry {
        Entry::File(content.as_bytes().to_vec())
    }

    fn file_of(create: &Create) -> Entry {
        file(&create.manifest.render().unwrap())
    }

    fn tip<const N: usize>(instances: [(&str, Entry); N]) -> Tip {
        Tip {
            instances: instances
                .map(|(path, entry)| (path.to_owned(), entry))
                .into(),
            ..Tip::default()
        }
    }

    fn planned(create: &Create, tip: &Tip) -> Result<Plan, Refusal> {
        match super::create(create, tip).unwrap() {
            PlanOutcome::Planned(plan) => Ok(plan),
            PlanOutcome::Refused(refusal) => Err(refusal),
            PlanOutcome::StatusOutdated => panic!("the status is reset"),
            PlanOutcome::Unidentified(names) => panic!("{names:?}"),
        }
    }

    /// The tip once the change is committed.
    fn with(tip: &Tip, change: &Change) -> Tip {
        let mut after = tip.clone();
        for path in &change.removals {
            assert!(
                after.instances.remove(path).is_some(),
                "{path} is not there"
            );
        }
        for (path, content) in &change.writes {
            after.instances.insert(path.clone(), file(content));
            after.instances_directory = Directory::Present;
        }
        after
    }

    #[test]
    fn an_environment_comes_up_as_one_file() {
        let create = up("dev", 7);
        let plan = planned(&create, &Tip::default()).unwrap();
        assert_eq!(
            plan,
            Plan {
                change: Change {
                    writes: [(PATH.to_owned(), create.manifest.render().unwrap())].into(),
                    removals: BTreeSet::new(),
                    message: "[ci skip] create ephemeral env from dev\n\n\
                              Pull-request: #7\nRequested-by: @rita\n"
                        .to_owned(),
                },
                remaining: instances_of(&create.manifest.owner, &tip([(PATH, file_of(&create))])),
                ..Plan::default()
            }
        );
    }

    #[test]
    fn a_new_environment_past_the_limit_is_refused_and_says_which_there_are() {
        let third = |limit: usize| Create {
            limit: NonZeroUsize::new(limit),
            ..up("dev", 7)
        };
        let there = tip([
            ("k8s/instances/sync-b.yaml", file_of(&up("b", 3))),
            ("k8s/instances/sync-a.yaml", file_of(&up("a", 12))),
            ("k8s/instances/sync-mine.yaml", file("kind: ConfigMap\n")),
            (
                "k8s/instances/sync-c.yaml",
                file(
                    &up("c", 2)
                        .manifest
                        .render()
                        .unwrap()
                        .replace("octo/app", "octo/other"),
                ),
            ),
        ]);
        let refusal = Refusal::LimitReached {
            limit: 2,
            instances: vec![("b".to_owned(), 3), ("a".to_owned(), 12)],
        };
        assert_eq!(planned(&third(2), &there), Err(refusal));
        assert!(planned(&third(1), &there).is_err());
        for limit in [3, 0] {
            assert!(planned(&third(limit), &there).is_ok(), "{limit}");
        }
        // What is there already is no new one, under whatever name.
        for branch in ["dev", "old-name"] {
            let mut there = there.clone();
            let own = (
                format!("k8s/instances/sync-{branch}.yaml"),
                file_of(&up(branch, 7)),
            );
            there.instances.extend([own]);
            assert!(planned(&third(2), &there).is_ok(), "{branch}");
        }
    }

    #[test]
    fn a_sweep_is_one_commit_that_names_each() {
        let there = tip([
            ("k8s/instances/sync-a.yaml", file_of(&up("a", 3))),
            ("k8s/instances/sync-b.yaml", file_of(&up("b", 5))),
            ("k8s/instances/sync-c.yaml", file_of(&up("c", 9))),
        ]);
        let reasons = [Reason::Closed, Reason::HeadDeleted];
        let removals: Vec<Removal> = instances_in(&named("Octo/app"), &there)
            .into_iter()
            .zip(reasons)
            .map(|(deployed, reason)| Removal { deployed, reason })
            .collect();
        let were_there: Vec<DeployedInstance> = removals
            .iter()
            .map(|removal| removal.deployed.clone())
            .collect();
        assert_eq!(sweep(&removals, &there).removed, were_there);
        let mut since = there.clone();
        since.instances.remove("k8s/instances/sync-a.yaml");
        let path = "k8s/instances/sync-b.yaml".to_owned();
        since
            .instances
            .insert(path.clone(), file_of(&up("other", 5)));
        assert_eq!(sweep(&removals, &since).removed, []);
        since.instances.insert(path, Entry::Other);
        assert_eq!(sweep(&removals, &since).removed, []);
        assert!(sweep(&removals, &since).change.is_empty());

        let plan = sweep(&removals, &there);
        assert_eq!(
            plan.change.message,
            "[ci skip] sweep 2 ephemeral envs\n\na: #3 closed\nb: #5 head-deleted\n"
        );
        let after = with(&there, &plan.change);
        assert_eq!(
            after.instances.into_keys().collect::<Vec<_>>(),
            ["k8s/instances/sync-c.yaml"]
        );
        assert!(sweep(&[], &there).change.is_empty());
        assert_eq!(instances_in(&named("octo/other"), &there), []);
    }

    #[test]
    fn a_directory_that_a_sweep_empties_is_kept() {
        let there = Tip {
            holds_only_instances: true,
            ..tip([("k8s/instances/sync-a.yaml", file_of(&up("a", 3)))])
        };
        let deployed = instances_in(&named("octo/app"), &there).remove(0);
        let removal = Removal {
            deployed,
            reason: Reason::Closed,
        };
        let plan = sweep(&[removal], &there);
        let kept = [("k8s/instances/.gitkeep".to_owned(), String::new())];
        assert_eq!(plan.change.writes, kept.into());
    }

    /// Flux's status is reset once, and only where Flux applies something else afterwards.
    #[test]
    fn what_flux_applies_anew_has_its_status_reset_first() {
        let reporting = |create: Create| Create {
            resets_status: true,
            ..create
        };
        let there = tip([(PATH, file_of(&up("dev", 7)))]);
        let with = |change: fn(&mut Manifest)| {
            let mut create = reporting(up("dev", 7));
            change(&mut create.manifest);
            create
        };
        let is_outdated = |create: &Create, tip: &Tip| {
            super::create(create, tip).unwrap() == PlanOutcome::StatusOutdated
        };
        for (create, tip, expected) in [
            (with(|_| {}), Tip::default(), true),
            (with(|_| {}), there.clone(), false),
            (
                with(|manifest| manifest.expires = Some(at("2026-02-27T12:00:00Z"))),
                there.clone(),
                false,
            ),
            (
                with(|manifest| manifest.requested_by = "otto".to_owned()),
                there.clone(),
                false,
            ),
            (
                with(|manifest| manifest.commit = "f".repeat(40)),
                there.clone(),
                true,
            ),
            (with(|manifest| manifest.pinned = true), there.clone(), true),
            (
                with(|manifest| manifest.timeout = "9m0s".to_owned()),
                there.clone(),
                true,
            ),
            (
                with(|manifest| manifest.flux_namespace = "flux".to_owned()),
                there.clone(),
                true,
            ),
            // A file that is not as we write it.
            (
                with(|_| {}),
                self::tip([(
                    PATH,
                    file(&format!(
                        "{}spec: {{}}\n",
                        up("dev", 7).manifest.render().unwrap()
                    )),
                )]),
                true,
            ),
            // The branch was renamed.
            (
                with(|_| {}),
                self::tip([("k8s/instances/sync-old.yaml", file_of(&up("old", 7)))]),
                true,
            ),
        ] {
            assert_eq!(is_outdated(&create, &tip), expected, "{create:?}");
            let reset = Create {
                resets_status: false,
                ..create
            };
            assert!(!is_outdated(&reset, &tip));
        }
    }

    #[test]
    fn a_name_is_free_where_nobody_elses_instance_has_it() {
        let free = |tip: &Tip| destroy(&down(7), tip).free_name;
        let dev = || Some("dev".to_owned());
        assert_eq!(free(&Tip::default()), dev());
        assert_eq!(free(&tip([(PATH, file_of(&up("dev", 7)))])), dev());
        assert_eq!(free(&tip([(PATH, file_of(&up("dev", 8)))])), None);
        assert_eq!(free(&tip([(PATH, file("x"))])), None);
    }

    #[test]
    fn an_instance_is_found_by_its_name() {
        let there = tip([
            (PATH, file_of(&up("dev", 7))),
            ("k8s/instances/sync-b.yaml", file("x")),
        ]);
        let found = instance_called("dev", &there).unwrap();
        assert_eq!(found.instance.owner.pull_request, 7);
        assert_eq!(instance_called("b", &there), None);
        assert_eq!(instance_called("", &there), None);
    }

    #[test]
    fn deploying_again_moves_the_end_of_its_time() {
        let ends = |time: &str| {
            let mut create = up("dev", 7);
            create.manifest.expires = Some(at(time));
            create
        };
        let (first, second) = (ends("2026-02-27T12:00:00Z"), ends("2026-02-28T12:00:00Z"));
        let there = tip([(PATH, file_of(&first))]);
        assert!(planned(&first, &there).unwrap().change.is_empty());
        for create in [second, up("dev", 7)] {
            let plan = planned(&create, &there).unwrap();
            assert_eq!(plan.change.writes[PATH], create.manifest.render().unwrap());
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_made() {
        let nothing = Tip {
            instances_directory: Directory::Absent,
            ..Tip::default()
        };
        let plan = planned(&up("dev", 7), &nothing).unwrap();
        assert!(plan.creates_directory);
        let again = planned(&up("dev", 7), &with(&nothing, &plan.change)).unwrap();
        assert!(again.change.is_empty() && !again.creates_directory);
    }

    #[test]
    fn what_is_deployed_already_is_an_empty_change_whoever_asks() {
        let create = up("dev", 7);
        let deployed = tip([(PATH, file_of(&create))]);
        let mut asked_by_another = create.clone();
        asked_by_another.manifest.requested_by = "otto".to_owned();
        let mut renamed_repository = create.clone();
        renamed_repository.manifest.owner.repository = named("Octo/App");
        for again in [create, asked_by_another] {
            let plan = planned(&again, &deployed).unwrap();
            assert!(plan.change.is_empty() && plan.removed.is_empty());
        }
        // The file says the repository's name, so a new spelling is a change, but of its own file.
        let plan = planned(&renamed_repository, &deployed).unwrap();
        assert_eq!(plan.change.writes.keys().collect::<Vec<_>>(), [PATH]);
    }

    #[test]
    fn any_other_difference_writes_the_file_again() {
        let create = up("dev", 7);
        let content = create.manifest.render().unwrap();
        let mut moved = create.clone();
        moved.manifest.commit = "f".repeat(40);
        let mut pinned = create.clone();
        pinned.manifest.pinned = true;
        for (next, there) in [
            (&moved, content.clone()),
            (&pinned, content.clone()),
            (&create, content.replace("5m0s", "9m0s")),
            (
                &create,
                content.replace("annotations:", "annotations:\n    note: mine"),
            ),
            (
                &create,
                content.replace("    flux-ephemeral-env/requested-by: rita\n", ""),
            ),
        ] {
            let plan = planned(next, &tip([(PATH, file(&there))])).unwrap();
            assert_eq!(plan.change.writes[PATH], next.manifest.render().unwrap());
            assert!(plan.change.removals.is_empty() && plan.removed.is_empty());
        }
    }

    #[test]
    fn an_instance_under_another_name_makes_way_in_the_same_change() {
        let old = "k8s/instances/sync-old.yaml";
        let before = tip([
            (old, file_of(&up("old", 7))),
            ("k8s/instances/sync-other.yaml", file_of(&up("other", 8))),
        ]);
        let plan = planned(&up("dev", 7), &before).unwrap();
        assert_eq!(plan.change.removals, [old.to_owned()].into());
        assert_eq!(plan.change.writes.keys().collect::<Vec<_>>(), [PATH]);
        assert_eq!(plan.removed.len(), 1);
        assert_eq!(
            (
                plan.removed[0].name.as_str(),
                plan.removed[0].instance.namespace.as_str()
            ),
            ("old", "old")
        );
    }

    #[test]
    fn what_the_tip_does_not_allow_is_refused_with_the_reason() {
        let not_ours = |path: &str| Refusal::NotOurs {
            path: path.to_owned(),
        };
        let another = |owner| Refusal::OwnedByAnother {
            path: PATH.to_owned(),
            owner,
        };
        let taken = |owner| Refusal::NamespaceTaken {
            namespace: "dev".to_owned(),
            owner,
        };
        let of_another_repository = {
            let mut create = up("dev", 7);
            create.manifest.owner = owner("octo/other", 7);
            create
        };
        let claim = |overlay: &str| Tip {
            overlays: [
                (
                    "k8s/overlays/base/kustomization.yaml".to_owned(),
                    b"resources: []".to_vec(),
                ),
                (
                    "k8s/overlays/broken/kustomization.yaml".to_owned(),
                    b"namespace: dev: [".to_vec(),
                ),
                (
                    "k8s/overlays/main/kustomization.yaml".to_owned(),
                    overlay.as_bytes().to_vec(),
                ),
            ]
            .into(),
            ..Tip::default()
        };
        let elsewhere = "k8s/instances/sync-elsewhere.yaml";
        for (tip, refusal) in [
            (
                tip([(PATH, file_of(&up("dev", 8)))]),
                Some(another(owner("octo/app", 8))),
            ),
            (
                tip([(PATH, file_of(&of_another_repository))]),
                Some(another(owner("octo/other", 7))),
            ),
            (
                tip([(PATH, file("kind: Kustomization"))]),
                Some(not_ours(PATH)),
            ),
            (tip([(PATH, Entry::Other)]), Some(not_ours(PATH))),
            (
                Tip {
                    instances_directory: Directory::Obstructed("k8s".to_owned()),
                    ..Tip::default()
                },
                Some(not_ours("k8s")),
            ),
            (
                claim("namespace: dev"),
                Some(Refusal::ClaimedNamespace {
                    namespace: "dev".to_owned(),
                    path: "k8s/overlays/main/kustomization.yaml".to_owned(),
                }),
            ),
            (
                tip([(elsewhere, file_of(&up("dev", 8)))]),
                Some(taken(owner("octo/app", 8))),
            ),
            (
                tip([(elsewhere, file_of(&of_another_repository))]),
                Some(taken(owner("octo/other", 7))),
            ),
            (claim("namespace: app"), None),
            (tip([(elsewhere, file("metadata:\n  name: dev"))]), None),
            (tip([(elsewhere, Entry::Other)]), None),
            (tip([(elsewhere, file_of(&up("dev", 7)))]), None),
            (tip([(elsewhere, file_of(&up("other", 8)))]), None),
        ] {
            assert_eq!(planned(&up("dev", 7), &tip).err(), refusal);
        }
    }

    #[test]
    fn all_of_a_pull_requests_instances_are_removed_and_nothing_else() {
        let mut in_another_case = up("b", 7);
        in_another_case.manifest.owner.repository = named("Octo/APP");
        let mut of_another_repository = up("e", 7);
        of_another_repository.manifest.owner.repository = named("octo/other");
        let before = tip([
            ("k8s/instances/sync-a.yaml", file_of(&up("a", 7))),
            ("k8s/instances/sync-b.yaml", file_of(&in_another_case)),
            ("k8s/instances/sync-c.yaml", file_of(&up("c", 8))),
            ("k8s/instances/sync-d.yaml", file("kind: Kustomization")),
            ("k8s/instances/sync-e.yaml", file_of(&of_another_repository)),
            ("k8s/instances/sync-f.yaml", Entry::Other),
        ]);
        let plan = destroy(&down(7), &before);
        let paths = ["k8s/instances/sync-a.yaml", "k8s/instances/sync-b.yaml"];
        assert_eq!(plan.change.removals, paths.map(str::to_owned).into());
        assert!(plan.change.writes.is_empty() && !plan.creates_directory);
        assert_eq!(
            plan.change.message,
            "[ci skip] destroy ephemeral env from dev\n\nPull-request: #7\nRequested-by: @rita\n"
        );
        let removed: Vec<_> = plan
            .removed
            .iter()
            .map(|removed| {
                (
                    removed.name.as_str(),
                    removed.path.as_str(),
                    removed.instance.namespace.as_str(),
                )
            })
            .collect();
        assert_eq!(removed, [("a", paths[0], "a"), ("b", paths[1], "b")]);
        assert!(destroy(&down(9), &before).change.is_empty());
    }

    #[test]
    fn a_fingerprint_is_of_these_instances_and_no_others() {
        let deployed = |branch: &str, commit: &str| {
            let mut create = up(branch, 7);
            create.manifest.commit = commit.repeat(40);
            let content = create.manifest.render().unwrap();
            deployed_at(&create.environment.path, content.as_bytes()).unwrap()
        };
        let sets = [
            vec![],
            vec![deployed("dev", "a")],
            vec![deployed("dev", "b")],
            vec![deployed("other", "a")],
            vec![deployed("dev", "a"), deployed("other", "a")],
        ];
        let fingerprints: BTreeSet<String> = sets.iter().map(|set| fingerprint(set)).collect();
        assert_eq!(fingerprints.len(), sets.len());
        assert!(fingerprints.iter().all(|text| text.len() == 16));
        // That of nothing is SHA-256 of nothing.
        assert_eq!(fingerprint(&[]), "e3b0c44298fc1c14");
        assert_eq!(fingerprint(&sets[1]), fingerprint(&[deployed("dev", "a")]));
    }

    #[test]
    fn the_last_instance_leaves_its_directory_behind() {
        let path_of = |name: &str| format!("{DIRECTORY}/sync-{name}.yaml");
        let (dev, other) = (path_of("dev"), path_of("other"));
        let alone = [(dev.as_str(), file_of(&up("dev", 7)))];
        let in_company = [
            (dev.as_str(), file_of(&up("dev", 7))),
            (other.as_str(), file_of(&up("other", 8))),
        ];
        for (before, holds_only_instances, keeps) in [
            (tip(alone.clone()), true, true),
            (tip(alone), false, false),
            (tip(in_company), true, false),
        ] {
            let before = Tip {
                holds_only_instances,
                ..before
            };
            let change = destroy(&down(7), &before).change;
            assert_eq!(change.removals, [dev.clone()].into());
            let keep = (format!("{DIRECTORY}/.gitkeep"), String::new());
            assert_eq!(change.writes, keeps.then_some(keep).into_iter().collect());
            assert!(destroy(&down(9), &before).change.is_empty());
        }
    }

    #[test]
    fn a_change_prints_what_it_does() {
        let change = Change {
            writes: [("w.yaml".to_owned(), "a: b\n".to_owned())].into(),
            removals: ["r.yaml".to_owned()].into(),
            message: "subject\n\ntrailer\n".to_owned(),
        };
        assert_eq!(
            change.to_string(),
            "subject\n\ntrailer\n\nremove r.yaml\n\nwrite w.yaml\na: b\n"
        );
        let nothing = Change {
            message: "subject".to_owned(),
            ..Change::default()
        };
        assert_eq!(nothing.to_string(), "nothing to commit\n");
    }

    proptest! {
        #[test]
        fn a_message_is_one_subject_and_two_trailers(
            branch in "[a-z\\n\\r\\x00\u{85}: #]{0,20}|\\PC{0,20}",
            login in "[a-z\\n\\r\\t: @]{0,20}",
        ) {
            let text = message("create", &branch, &owner("octo/app", 7), &login);
            let lines: Vec<&str> = text.split(char::is_control).collect();
            let [subject, "", number, by, ""] = lines.as_slice() else {
                panic!("{text:?}");
            };
            prop_assert!(subject.starts_with("[ci skip] create ephemeral env from "), "{text:?}");
            prop_assert_eq!(*number, "Pull-request: #7");
            prop_assert!(by.starts_with("Requested-by: @"), "{text:?}");
        }
    }

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    fn entries() -> impl Strategy<Value = Entry> {
        let instances = (
            select(&NAMES[..]),
            1..4_u64,
            select(&["octo/app", "Octo/App", "octo/other"][..]),
        );
        prop_oneof![
            6 => instances.prop_map(|(branch, number, repository)| {
                let mut create = up(branch, number);
                create.manifest.owner.repository = named(repository);
                file_of(&create)
            }),
            1 => "kind: [a-z]{0,9}|\\PC{0,20}".prop_map(|text| file(&text)),
            1 => Just(Entry::Other),
        ]
    }

    /// Tips with instances of several pull requests, some under a name that is not theirs.
    fn tips() -> impl Strategy<Value = Tip> {
        btree_map(select(&NAMES[..]), entries(), 0..4).prop_map(|entries| Tip {
            instances: entries
                .into_iter()
                .map(|(name, entry)| (format!("{DIRECTORY}/sync-{name}.yaml"), entry))
                .collect(),
            ..Tip::default()
        })
    }

    fn retained(tip: &Tip, is_wanted: impl Fn(&DeployedInstance) -> bool) -> Vec<DeployedInstance> {
        all_instances(tip).filter(is_wanted).collect()
    }

    fn is_of(entry: &Entry, owner: &Owner) -> bool {
        matches!(entry, Entry::File(content) if read(content).is_some_and(|instance| instance.owner.is(owner)))
    }

    /// The part of the tip that is none of the pull request's business.
    fn of_others(tip: &Tip, owner: &Owner) -> BTreeMap<String, Entry> {
        let mut entries = tip.instances.clone();
        entries.retain(|_, entry| !is_of(entry, owner));
        entries
    }

    /// Tips whose files somebody edited.
    fn edited_tips() -> impl Strategy<Value = Tip> {
        (tips(), vec((0..4_usize, edits()), 0..6)).prop_map(|(mut tip, edits)| {
            for (index, edit) in edits {
                if let Some(Entry::File(content)) = tip.instances.values_mut().nth(index)
                    && let Ok(text) = String::from_utf8(content.clone())
                    && !text.is_empty()
                {
                    *content = edited(&text, &[edit]).into_bytes();
                }
            }
            tip
        })
    }

    proptest! {
        #[test]
        fn a_search_finds_what_parsing_every_file_finds(tip in edited_tips(), branch in select(&NAMES[..]), number in 1..10_u64) {
            let owner = owner("octo/app", number);
            let ours = retained(&tip, |deployed| deployed.instance.owner.is(&owner));
            prop_assert_eq!(&instances_of(&owner, &tip), &ours);
            let here = retained(&tip, |deployed| named("octo/app").is(&deployed.instance.owner.repository));
            prop_assert_eq!(&instances_in(&named("octo/app"), &tip), &here);

            let create = Create { limit: NonZeroUsize::new(2), ..up(branch, number) };
            let others = retained(&tip, |deployed| {
                let instance = &deployed.instance;
                instance.namespace == create.environment.namespace && !instance.owner.is(&owner)
            });
            match planned(&create, &tip) {
                Err(Refusal::NamespaceTaken { owner, .. }) => {
                    prop_assert_eq!(Some(owner), others.into_iter().next().map(|other| other.instance.owner));
                }
                Err(Refusal::LimitReached { instances, .. }) => {
                    prop_assert!(ours.is_empty() && others.is_empty());
                    prop_assert_eq!(instances.len(), here.len());
                }
                Err(_) => {}
                Ok(_) => prop_assert!(others.is_empty() && (!ours.is_empty() || here.len() < 2)),
            }
        }

        #[test]
        fn no_plan_touches_what_is_not_the_pull_requests(tip in tips(), branch in select(&NAMES[..]), number in 1..4_u64) {
            let owner = owner("octo/app", number);
            let others = of_others(&tip, &owner);
            let after = with(&tip, &destroy(&down(number), &tip).change);
            prop_assert_eq!(&after.instances, &others);
            if let Ok(plan) = planned(&up(branch, number), &tip) {
                let after = with(&tip, &plan.change);
                prop_assert_eq!(of_others(&after, &owner), others);
                prop_assert_eq!(after.instances.values().filter(|entry| is_of(entry, &owner)).count(), 1);
                prop_assert_eq!(instances_of(&owner, &after), plan.remaining);
            }
        }

        #[test]
        fn a_plan_that_is_applied_is_followed_by_an_empty_one(tip in tips(), branch in select(&NAMES[..]), number in 1..4_u64) {
            let create = up(branch, number);
            if let Ok(plan) = planned(&create, &tip) {
                let after = with(&tip, &plan.change);
                let again = planned(&create, &after).unwrap();
                prop_assert!(again.change.is_empty() && again.removed.is_empty());
            }
            let after = with(&tip, &destroy(&down(number), &tip).change);
            prop_assert!(destroy(&down(number), &after).change.is_empty());
        }

        #[test]
        fn a_destroy_after_a_create_leaves_the_tip_as_it_was(tip in tips(), branch in select(&NAMES[..]), number in 1..4_u64) {
            let before = with(&tip, &destroy(&down(number), &tip).change);
            if let Ok(plan) = planned(&up(branch, number), &before) {
                prop_assert!(!plan.change.is_empty());
                let deployed = with(&before, &plan.change);
                let after = with(&deployed, &destroy(&down(number), &deployed).change);
                prop_assert_eq!(after, before);
            }
        }
    }
}
