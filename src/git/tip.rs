//! Reads what a plan needs of the tip.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use git2::{ObjectType, Oid, Tree};

use crate::git::Session;
use crate::model::names::is_instance_file;
use crate::plan::{Directory, Entry, Tip};

/// What an overlay's own file may be called
/// ([kustomize](https://pkg.go.dev/sigs.k8s.io/kustomize/api/konfig#RecognizedKustomizationFileNames)).
const KUSTOMIZATION: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// A directory in a tree.
enum Lookup<'repository> {
    Found(Tree<'repository>),
    Absent,
    /// The part of the path that is something else: a file, a link or a submodule.
    Obstructed(String),
}

impl Session {
    /// Reads what a plan needs of the tip. Returns `None` where an object is missing that the workspace should have.
    pub(crate) fn read_tip(&self, tip: Oid) -> Result<Option<Tip>> {
        match self.try_read_tip(tip) {
            Ok(tip) => Ok(Some(tip)),
            Err(_) if self.workspace.is_some() => Ok(None),
            Err(error) => {
                Err(error).with_context(|| format!("reading the tip of `{}`", self.target.branch))
            }
        }
    }

    fn try_read_tip(&self, tip: Oid) -> Result<Tip, git2::Error> {
        let root = self.repository.find_commit(tip)?.tree()?;
        let mut contents = Tip {
            overlays: self.overlays(&root)?,
            ..Tip::default()
        };
        match self.lookup(&root, &self.target.instances_path)? {
            Lookup::Found(directory) => {
                contents.instances = self.instances(&directory)?;
                contents.kustomization = self.kustomization(&directory)?;
                contents.holds_only_instances = directory.len() == contents.instances.len();
            }
            Lookup::Absent => contents.instances_directory = Directory::Absent,
            Lookup::Obstructed(path) => {
                contents.instances_directory = Directory::Obstructed(path);
            }
        }
        Ok(contents)
    }

    fn lookup(&self, root: &Tree<'_>, path: &str) -> Result<Lookup<'_>, git2::Error> {
        let mut tree = self.repository.find_tree(root.id())?;
        let mut walked = String::new();
        for part in path.split('/') {
            walked = if walked.is_empty() {
                part.to_owned()
            } else {
                format!("{walked}/{part}")
            };
            let entry = tree.get_name(part).map(|entry| (entry.kind(), entry.id()));
            match entry {
                None => return Ok(Lookup::Absent),
                Some((Some(ObjectType::Tree), id)) => tree = self.repository.find_tree(id)?,
                Some(_) => return Ok(Lookup::Obstructed(walked)),
            }
        }
        Ok(Lookup::Found(tree))
    }

    fn instances(&self, directory: &Tree<'_>) -> Result<BTreeMap<String, Entry>, git2::Error> {
        let mut instances = BTreeMap::new();
        let mut blobs = HashMap::new();
        let before = self.blobs.take();
        for entry in directory {
            let Ok(name) = entry.name() else { continue };
            if !is_instance_file(name) {
                continue;
            }
            let is_file = matches!(
                u32::try_from(entry.filemode()),
                Ok(0o100_644 | 0o100_755 | 0o100_664)
            );
            let path = format!("{}/{name}", self.target.instances_path);
            if !is_file {
                instances.insert(path, Entry::Other);
                continue;
            }
            let content = match before.get(&entry.id()) {
                Some(content) => content.clone(),
                None => self.repository.find_blob(entry.id())?.content().to_vec(),
            };
            blobs.insert(entry.id(), content.clone());
            instances.insert(path, Entry::File(content));
        }
        self.blobs.replace(blobs);
        Ok(instances)
    }

    fn kustomization(
        &self,
        directory: &Tree<'_>,
    ) -> Result<Option<(String, Vec<u8>)>, git2::Error> {
        for name in KUSTOMIZATION {
            let entry = directory.get_name(name);
            if let Some(entry) = entry.filter(|entry| entry.kind() == Some(ObjectType::Blob)) {
                let content = self.repository.find_blob(entry.id())?.content().to_vec();
                let path = format!("{}/{name}", self.target.instances_path);
                return Ok(Some((path, content)));
            }
        }
        Ok(None)
    }

    fn overlays(&self, root: &Tree<'_>) -> Result<BTreeMap<String, Vec<u8>>, git2::Error> {
        let mut overlays = BTreeMap::new();
        let (parent, own) = match self.target.overlay_path.rsplit_once('/') {
            Some((parent, own)) => match self.lookup(root, parent)? {
                Lookup::Found(tree) => (Some((parent, tree)), own),
                Lookup::Absent | Lookup::Obstructed(_) => return Ok(overlays),
            },
            None => (None, self.target.overlay_path.as_str()),
        };
        let (prefix, tree) = match &parent {
            Some((parent, tree)) => (format!("{parent}/"), tree),
            None => (String::new(), root),
        };
        for entry in tree {
            let Ok(name) = entry.name() else { continue };
            if name == own || entry.kind() != Some(ObjectType::Tree) {
                continue;
            }
            let overlay = self.repository.find_tree(entry.id())?;
            for file in KUSTOMIZATION {
                let Some(file_entry) = overlay.get_name(file) else {
                    continue;
                };
                if file_entry.kind() == Some(ObjectType::Blob) {
                    let content = self
                        .repository
                        .find_blob(file_entry.id())?
                        .content()
                        .to_vec();
                    overlays.insert(format!("{prefix}{name}/{file}"), content);
                }
            }
        }
        Ok(overlays)
    }
}
