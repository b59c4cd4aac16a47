//! Entries of trees and of the index.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use git2::{IndexEntry, IndexTime, ObjectType, Oid, Tree};

/// Mode of a submodule, whose commit is another repository's.
pub(crate) const SUBMODULE: u32 = 0o160_000;

/// What of a tree's file an index entry may hold, too: object and mode.
pub(crate) fn file(tree: &Tree<'_>, path: &Path) -> Option<(Oid, u32)> {
    let entry = tree.get_path(path).ok()?;
    let mode = u32::try_from(entry.filemode()).ok()?;
    (entry.kind() != Some(ObjectType::Tree)).then_some((entry.id(), mode))
}

/// An entry of the index that says nothing of a file in the work tree.
pub(crate) fn new_entry(path: &Path, id: Oid, mode: u32) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_os_str().as_bytes().to_vec(),
    }
}
