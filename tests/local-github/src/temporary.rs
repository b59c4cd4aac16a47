//! Directories that last no longer than what uses them.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};
use tempfile::TempDir;

/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";
/// Far more than everything takes that lasts at a time.
const ROOM: u64 = 1 << 29;

/// A directory that is removed when it is dropped.
///
/// It is in memory where this machine has room for it there and `TMPDIR` does not say otherwise: thousands of small files
/// come and go, and on a disk that alone can take as long as everything else.
///
/// # Panics
/// Where it cannot be made.
pub fn temporary_directory() -> TempDir {
    directory("local-github-")
}

pub(crate) fn directory(prefix: &str) -> TempDir {
    static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
        let memory = Path::new(MEMORY);
        if env::var_os("TMPDIR").is_none() && has_room(memory) {
            memory.to_owned()
        } else {
            env::temp_dir()
        }
    });
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(&*PLACE)
        .unwrap_or_else(|error| panic!("a directory in {}: {error}", PLACE.display()))
}

/// Whether programs can be written and run there, as hooks are.
fn has_room(place: &Path) -> bool {
    let is_open = access(place, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    is_open
        && statvfs(place).is_ok_and(|system| {
            system.f_bavail.saturating_mul(system.f_frsize) >= ROOM
                && !system.f_flag.contains(StatVfsMountFlags::NOEXEC)
        })
}
