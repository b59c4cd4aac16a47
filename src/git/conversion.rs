//! Which files of a commit only Git itself can bring into the workspace, or out of it.
//!
//! A filter is a program, which this action never runs, and libgit2 knows no encodings. So such a file would end up with the
//! commit's own bytes or with its old ones, which Git takes for somebody's change, and the next commit for a reason to take
//! back what others pushed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use git2::{
    AttrCheckFlags, AttrValue, Index, IndexEntry, IndexEntryExtendedFlag, ObjectType, Odb, Oid,
    Repository, Tree,
};

use crate::git::entry::{SUBMODULE, file, new_entry};
use crate::git::settings::Settings;

const ATTRIBUTES: &str = ".gitattributes";
/// How many files tell whether a filter does anything, and how many are looked at to find them.
const SAMPLES: usize = 5;
const SAMPLED_LIMIT: usize = 20_000;

/// What Git does to a file between a commit and the workspace.
#[derive(Debug, PartialEq, Eq)]
enum Conversion {
    Filter(String),
    Encoding,
}

/// The way of the workspace's files from one commit to another.
pub(crate) struct Conversions<'a> {
    root: &'a Path,
    settings: &'a Settings,
    /// The workspace's repository.
    theirs: &'a Repository,
    index: Index,
    before: &'a Tree<'a>,
    after: &'a Tree<'a>,
    attributes_before: Attributes,
    attributes_after: Attributes,
}

impl<'a> Conversions<'a> {
    /// `differing` is where the trees differ.
    pub(crate) fn new(
        root: &'a Path,
        settings: &'a Settings,
        theirs: &'a Repository,
        (before, after): (&'a Tree<'a>, &'a Tree<'a>),
        differing: &BTreeSet<PathBuf>,
    ) -> Result<Conversions<'a>> {
        let index = theirs.index()?;
        let mut files: BTreeMap<PathBuf, Oid> = index
            .iter()
            .map(|entry| (index_path(&entry), entry.id))
            .filter(|(path, _)| path.ends_with(ATTRIBUTES))
            .collect();
        let attributes_before = Attributes::new(theirs.odb()?, &files)?;
        for path in differing.iter().filter(|path| path.ends_with(ATTRIBUTES)) {
            match file(after, path) {
                Some((id, _)) => files.insert(path.clone(), id),
                None => files.remove(path),
            };
        }
        Ok(Conversions {
            attributes_after: Attributes::new(theirs.odb()?, &files)?,
            attributes_before,
            root,
            settings,
            theirs,
            index,
            before,
            after,
        })
    }

    /// Whether only Git itself can have this path follow.
    pub(crate) fn needs_git(&self, path: &Path) -> Result<bool> {
        let (before, after) = (file(self.before, path), file(self.after, path));
        let file = self.root.join(path);
        if [before, after]
            .iter()
            .flatten()
            .any(|(_, mode)| *mode == SUBMODULE)
        {
            // Its files are another repository's. Without any there is nothing to bring.
            return Ok(fs::symlink_metadata(file.join(".git")).is_ok());
        }
        let entry = self.index.get_path(path, 0);
        if entry.as_ref().is_some_and(is_outside) {
            return Ok(false);
        }
        let (before, after) = (before.filter(is_file), after.filter(is_file));
        let mut conversion = match after {
            Some(_) => self.attributes_after.of(path)?,
            None => None,
        };
        if conversion.is_none() && before.is_some() {
            conversion = match self.attributes_before.of(path)? {
                // The workspace may have attributes of its own. They have no say in what is written anew.
                None => conversion_in(self.theirs, path, AttrCheckFlags::FILE_THEN_INDEX)?,
                some => some,
            };
        }
        let Some(conversion) = conversion else {
            return Ok(false);
        };
        let metadata = fs::symlink_metadata(&file).ok();
        match (before, metadata, after) {
            // Somebody removed it, and the index follows.
            (Some(_), None, _) => Ok(false),
            // Whatever was in it, it was nobody's change.
            (Some((id, _)), Some(metadata), None) => {
                let is_known = entry.is_some_and(|entry| self.is_untouched(&entry, &metadata));
                Ok(!is_known && !self.is_as_in_commit(path, id)?)
            }
            (Some((id, _)), Some(metadata), Some(_)) if metadata.size() > 0 => {
                Ok(!self.may_be_idle(&conversion) || !self.is_as_in_commit(path, id)?)
            }
            // Somebody's file is there already, and stays.
            (None, Some(metadata), _) if entry.is_none() && !metadata.is_dir() => Ok(false),
            _ => Ok(!self.is_idle(&conversion)?),
        }
    }

    /// Whether a file holds the very bytes that the commit does.
    pub(crate) fn is_as_in_commit(&self, path: &Path, id: Oid) -> Result<bool> {
        let file = self.root.join(path);
        let Ok(metadata) = fs::symlink_metadata(&file) else {
            return Ok(false);
        };
        // A partial clone may not have it.
        let Ok((size, _)) = self.theirs.odb()?.read_header(id) else {
            return Ok(false);
        };
        let has_size = metadata.is_file() && usize::try_from(metadata.size()) == Ok(size);
        Ok(has_size && Oid::hash_file(ObjectType::Blob, &file)? == id)
    }

    /// Whether nobody wrote into the file since the index was written: what is in it came out of the commit.
    fn is_untouched(&self, entry: &IndexEntry, metadata: &Metadata) -> bool {
        let time = (entry.mtime.seconds(), entry.mtime.nanoseconds());
        let file_time = (metadata.mtime(), metadata.mtime_nsec());
        let Some(written) = self.index.path().and_then(|path| fs::metadata(path).ok()) else {
            return false;
        };
        i64::from(time.0) == file_time.0
            && i64::from(time.1) == file_time.1
            && u64::from(entry.file_size) == metadata.size()
            && file_time < (written.mtime(), written.mtime_nsec())
    }

    /// Whether no program is known of for a filter.
    fn may_be_idle(&self, conversion: &Conversion) -> bool {
        match conversion {
            Conversion::Filter(name) => !self.settings.has_driver(name),
            Conversion::Encoding => false,
        }
    }

    /// Whether a filter does nothing in this workspace: no program is configured for it, or it had nothing to say here, as
    /// LFS in a checkout without LFS. The program may be configured where this action cannot look, so the files have to tell.
    fn is_idle(&self, conversion: &Conversion) -> Result<bool> {
        if !self.may_be_idle(conversion) {
            return Ok(false);
        }
        let mut samples = 0;
        for entry in self.index.iter().take(SAMPLED_LIMIT) {
            let path = index_path(&entry);
            let is_sample = is_file(&(entry.id, entry.mode))
                && !is_outside(&entry)
                && self.attributes_before.of(&path)?.as_ref() == Some(conversion)
                && fs::symlink_metadata(self.root.join(&path)).is_ok_and(|it| it.size() > 0);
            if !is_sample {
                continue;
            }
            if !self.is_as_in_commit(&path, entry.id)? {
                return Ok(false);
            }
            samples += 1;
            if samples == SAMPLES {
                break;
            }
        }
        Ok(samples > 0)
    }
}

/// The attributes that a commit has in its own files, whatever is in the workspace.
struct Attributes {
    repository: Repository,
}

impl Attributes {
    fn new(odb: Odb<'_>, files: &BTreeMap<PathBuf, Oid>) -> Result<Attributes> {
        let repository = Repository::from_odb(odb)?;
        let mut index = Index::new()?;
        for (path, id) in files {
            index.add(&new_entry(path, *id, 0o100_644))?;
        }
        repository.set_index(&mut index)?;
        Ok(Attributes { repository })
    }

    fn of(&self, path: &Path) -> Result<Option<Conversion>> {
        let flags = AttrCheckFlags::INDEX_ONLY | AttrCheckFlags::NO_SYSTEM;
        conversion_in(&self.repository, path, flags)
    }
}

fn conversion_in(
    repository: &Repository,
    path: &Path,
    flags: AttrCheckFlags,
) -> Result<Option<Conversion>> {
    let value = |name| -> Result<Option<String>> {
        Ok(
            match AttrValue::from_bytes(repository.get_attr_bytes(path, name, flags)?) {
                AttrValue::String(value) => Some(value.to_owned()),
                AttrValue::Bytes(value) => Some(String::from_utf8_lossy(value).into_owned()),
                _ => None,
            },
        )
    };
    if let Some(encoding) = value("working-tree-encoding")? {
        let plain = encoding.to_ascii_lowercase().replace('-', "");
        // What commits hold is UTF-8 anyway.
        if plain != "utf8" {
            return Ok(Some(Conversion::Encoding));
        }
    }
    Ok(value("filter")?.map(Conversion::Filter))
}

/// Whether it is a file and no link: Git converts nothing else.
fn is_file((_, mode): &(Oid, u32)) -> bool {
    mode & 0o170_000 == 0o100_000
}

/// Whether an entry is of a file outside of a sparse checkout.
fn is_outside(entry: &IndexEntry) -> bool {
    entry.flags_extended & IndexEntryExtendedFlag::SKIP_WORKTREE.bits() != 0
}

fn index_path(entry: &IndexEntry) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(&entry.path))
}
