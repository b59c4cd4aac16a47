//! The workspace, and how its checkout follows a pushed commit.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use git2::build::CheckoutBuilder;
use git2::{
    Diff, DiffOptions, IndexEntry, IndexEntryExtendedFlag, IndexEntryFlag, Oid, Repository,
    RepositoryOpenFlags, Revwalk, Sort, Tree,
};
use tokio_util::sync::CancellationToken;

use crate::git::conversion::Conversions;
use crate::git::entry::{SUBMODULE, file, new_entry};
use crate::git::settings::Settings;

/// Whether the checkout has followed a pushed commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Followed {
    Yes,
    /// Only Git itself can have these files follow, so that all of it stays where it is: with the branch moved and a file left
    /// behind, the next commit would take back what others pushed.
    Not(Vec<PathBuf>),
}

/// A checkout that may be of use.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) head: Oid,
    /// Whether the target branch is checked out in it.
    pub(crate) on_target: bool,
}

impl Workspace {
    /// The checkout at `root`; `None` where there is none that libgit2 can read.
    pub(crate) fn open(root: &Path, branch: &str) -> Option<Workspace> {
        // A `.git` that is a file or a link, or has a `commondir`, leads somewhere else, which is not for us to follow.
        let git = root.join(".git");
        let is_here = fs::symlink_metadata(&git).ok()?.is_dir() && !git.join("commondir").exists();
        if !is_here || has_pipes(&git) {
            return None;
        }
        let repository = open_workspace(root).ok()?;
        let head = repository.head().ok()?;
        // `core.worktree` leads somewhere else, too.
        let work_tree = repository
            .workdir()
            .and_then(|path| path.canonicalize().ok());
        Some(Workspace {
            on_target: work_tree == root.canonicalize().ok()
                && head.name().ok() == Some(&format!("refs/heads/{branch}"))
                && !has_links(&git, branch),
            head: head.peel_to_commit().ok()?.id(),
            root: root.to_owned(),
        })
    }

    /// Moves the branch, the index and the files that nobody touched from the old head to the pushed commit.
    pub(crate) fn follow(
        &self,
        ours: &Repository,
        commit: Oid,
        branch: &str,
        cancellation: &CancellationToken,
    ) -> Result<Followed> {
        let mut changed = BTreeSet::new();
        let moved = self.move_to(ours, commit, branch, cancellation, &mut changed);
        // Half of it is somebody's as well.
        let given_back = self.give_back(&changed);
        let followed = moved?;
        given_back.map(|()| followed)
    }

    fn move_to(
        &self,
        ours: &Repository,
        commit: Oid,
        branch: &str,
        cancellation: &CancellationToken,
        changed: &mut BTreeSet<PathBuf>,
    ) -> Result<Followed> {
        if !ours.graph_descendant_of(commit, self.head)? {
            bail!(
                "the checkout has commits that are not on the remote branch, or is far behind it"
            );
        }
        let theirs = open_workspace(&self.root)?;
        let settings = Settings::read(&self.root.join(".git"));
        let configuration = ours.path().join("workspace-config");
        theirs.set_config(&settings.configuration(&configuration)?)?;
        self.copy_commits(ours, &theirs, commit)?;
        let followed = self.check_out(&theirs, &settings, commit, cancellation, changed)?;
        if followed != Followed::Yes {
            return Ok(followed);
        }
        let message = "flux-ephemeral-env: follow the pushed commit";
        theirs
            .reference_matching(
                &format!("refs/heads/{branch}"),
                commit,
                true,
                self.head,
                message,
            )
            .with_context(|| format!("moving `{branch}` in {}", self.root.display()))?;
        Ok(Followed::Yes)
    }

    /// The commits since the old head, the pushed one with them.
    fn came<'a>(&self, ours: &'a Repository, commit: Oid) -> Result<Revwalk<'a>, git2::Error> {
        let mut walk = ours.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL)?;
        walk.push(commit)?;
        walk.hide(self.head)?;
        Ok(walk)
    }

    /// Brings what came into the checkout's objects.
    fn copy_commits(&self, ours: &Repository, theirs: &Repository, commit: Oid) -> Result<()> {
        let mut pack = ours.packbuilder()?;
        pack.insert_walk(&mut self.came(ours, commit)?)?;
        let odb = theirs.odb()?;
        let mut writer = odb.packwriter()?;
        let mut failure = None;
        pack.foreach(|bytes| match writer.write_all(bytes) {
            Ok(()) => true,
            Err(error) => {
                failure = Some(error);
                false
            }
        })?;
        if let Some(error) = failure {
            return Err(error).context("writing the pushed commit into the checkout");
        }
        writer.commit()?;
        self.follow_in_shallow(ours, theirs, commit)
            .with_context(|| format!("writing what {} has no history of", self.root.display()))
    }

    /// Has files and index follow from the old head's tree to the commit's. What is written is put into `changed` before.
    fn check_out(
        &self,
        theirs: &Repository,
        settings: &Settings,
        commit: Oid,
        cancellation: &CancellationToken,
        changed: &mut BTreeSet<PathBuf>,
    ) -> Result<Followed> {
        let tree = theirs.find_commit(commit)?.tree()?;
        let head_tree = theirs.find_commit(self.head)?.tree()?;
        let mut differing =
            paths(&theirs.diff_tree_to_tree(Some(&head_tree), Some(&tree), None)?);
        if let Some(path) = differing.iter().find(|path| self.is_behind_a_pipe(path)) {
            bail!(
                "something that is no file stands where Git reads one for {}",
                path.display()
            );
        }
        // What somebody staged stays as it is.
        let staged = paths(&theirs.diff_tree_to_index(Some(&head_tree), None, None)?);
        let conversions = Conversions::new(
            &self.root,
            settings,
            theirs,
            (&head_tree, &tree),
            &differing,
        )?;
        differing.retain(|path| {
            let mut staged = staged.iter();
            !staged.any(|staged| staged.starts_with(path) || path.starts_with(staged))
        });
        let is_within = |path: &&PathBuf| !self.is_behind_a_link(path);
        let within: BTreeSet<PathBuf> = differing.iter().filter(is_within).cloned().collect();
        let mut left = Vec::new();
        for path in &within {
            if conversions.needs_git(path)? {
                left.push(path.clone());
            }
        }
        if !left.is_empty() {
            return Ok(Followed::Not(left));
        }
        let untouched = untouched(theirs, &conversions, &within, &head_tree)?;
        if cancellation.is_cancelled() {
            bail!("it was stopped");
        }
        *changed = within;
        // Safe: a file with somebody's changes is left as it is, and the others are not held up by it.
        let mut safe = CheckoutBuilder::new();
        safe.safe().allow_conflicts(true);
        // The attributes of the commit say what its other files look like.
        let (attributes, others): (Vec<_>, Vec<_>) = changed
            .iter()
            .partition(|path| path.ends_with(".gitattributes"));
        self.write(theirs, &tree, attributes, safe)?;
        let mut safe = CheckoutBuilder::new();
        safe.safe().allow_conflicts(true);
        self.write(theirs, &tree, others, safe)?;
        // What nobody touched may look as if somebody had, by the attributes that came.
        let index = theirs.index()?;
        let has_not_followed = |path: &&PathBuf| {
            let held = index.get_path(path, 0).map(|entry| (entry.id, entry.mode));
            held.is_some() && held == file(&head_tree, path)
        };
        let forced = untouched.iter().filter(has_not_followed).collect();
        let mut force = CheckoutBuilder::new();
        force.force();
        self.write(theirs, &tree, forced, force)?;
        follow_in_index(theirs, &differing, &head_tree, &tree)
            .with_context(|| format!("writing the index in {}", self.root.display()))?;
        Ok(Followed::Yes)
    }

    /// Writes these files of a tree.
    fn write(
        &self,
        theirs: &Repository,
        tree: &Tree<'_>,
        files: Vec<&PathBuf>,
        mut checkout: CheckoutBuilder<'_>,
    ) -> Result<()> {
        // Without a path it would be everything.
        if files.is_empty() {
            return Ok(());
        }
        checkout.disable_pathspec_match(true);
        for path in files {
            checkout.path(path);
        }
        theirs
            .checkout_tree(tree.as_object(), Some(&mut checkout))
            .with_context(|| format!("writing files in {}", self.root.display()))
    }

    /// Notes which of the commits that came have parents that did not: ours may know by now what is behind the old head, and
    /// does not copy that.
    fn follow_in_shallow(&self, ours: &Repository, theirs: &Repository, commit: Oid) -> Result<()> {
        let odb = theirs.odb()?;
        let mut lines = String::new();
        for came in self.came(ours, commit)? {
            let came = theirs.find_commit(came?)?;
            if came.parent_ids().any(|parent| !odb.exists(parent)) {
                lines += &format!("{}\n", came.id());
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        let shallow = self.root.join(".git/shallow");
        let mut options = fs::OpenOptions::new();
        let mut shallow = options.append(true).create(true).open(shallow)?;
        Ok(shallow.write_all(lines.as_bytes())?)
    }

    /// Whether a directory on the way to `path` is a symbolic link, which may lead out of the workspace.
    fn is_behind_a_link(&self, path: &Path) -> bool {
        let mut parents = path.ancestors().skip(1);
        parents.any(|parent| is_link(&self.root.join(parent)))
    }

    /// Whether libgit2 would read something for `path` that nobody can read to its end.
    fn is_behind_a_pipe(&self, path: &Path) -> bool {
        let mut parents = path.ancestors().skip(1);
        let file = self.root.join(path);
        // A link is read as such.
        !is_link(&file) && is_pipe(&file)
            || parents.any(|parent| {
                let parent = self.root.join(parent);
                is_pipe(&parent.join(".gitattributes")) || is_pipe(&parent.join(".gitignore"))
            })
    }

    /// Gives what root wrote to the owner of the workspace: the next job's checkout has to remove it.
    fn give_back(&self, changed: &BTreeSet<PathBuf>) -> Result<()> {
        let owner = fs::metadata(&self.root)?;
        let git = self.root.join(".git");
        let mut written = vec![
            git.clone(),
            git.join("index"),
            git.join("HEAD"),
            git.join("packed-refs"),
        ];
        for directory in ["refs", "logs", "objects/pack", "objects/info"] {
            list(&git.join(directory), &mut written);
        }
        // By now some may be behind a link that came with the commit.
        for path in changed.iter().flat_map(|path| path.ancestors()) {
            if !path.as_os_str().is_empty() && !self.is_behind_a_link(path) {
                written.push(self.root.join(path));
            }
        }
        for path in written {
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            // What has another name as well may be somebody else's file.
            let is_ours = metadata.is_dir() || metadata.nlink() == 1;
            if is_ours && metadata.uid() == 0 && owner.uid() != 0 {
                lchown(&path, Some(owner.uid()), Some(owner.gid())).with_context(|| {
                    format!("giving {} to the workspace's owner", path.display())
                })?;
            }
        }
        Ok(())
    }
}

/// The files that hold what the old head does, as Git sees it, before anything of the commit is there.
fn untouched(
    theirs: &Repository,
    conversions: &Conversions<'_>,
    within: &BTreeSet<PathBuf>,
    head_tree: &Tree<'_>,
) -> Result<Vec<PathBuf>> {
    let index = theirs.index()?;
    // Git and libgit2 do not look at a file that they were told not to: outside of a sparse checkout, or `assume-unchanged`.
    let is_looked_at = |entry: IndexEntry| {
        entry.flags & IndexEntryFlag::VALID.bits() == 0
            && entry.flags_extended & IndexEntryExtendedFlag::SKIP_WORKTREE.bits() == 0
    };
    let held = |path: &&PathBuf| {
        file(head_tree, path).is_some_and(|(_, mode)| mode != SUBMODULE)
            && index.get_path(path, 0).is_some_and(is_looked_at)
    };
    let held: Vec<&PathBuf> = within.iter().filter(held).collect();
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let mut options = DiffOptions::new();
    options.disable_pathspec_match(true).ignore_submodules(true);
    for path in &held {
        options.pathspec(path);
    }
    let touched = paths(&theirs.diff_index_to_workdir(None, Some(&mut options))?);
    let mut untouched = Vec::new();
    for path in held {
        let is_as_in_commit = || match file(head_tree, path) {
            Some((id, _)) => conversions.is_as_in_commit(path, id),
            None => Ok(false),
        };
        if !touched.contains(path) || is_as_in_commit()? {
            untouched.push(path.clone());
        }
    }
    Ok(untouched)
}

/// The files that differ.
fn paths(diff: &Diff<'_>) -> BTreeSet<PathBuf> {
    diff.deltas()
        .flat_map(|delta| [delta.old_file().path_bytes(), delta.new_file().path_bytes()])
        .flatten()
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
        .collect()
}

/// Has the index follow where the checkout left a file alone: it is somebody's, or outside of a sparse checkout. The index
/// would go on holding what the branch held before, and the next commit would bring that back.
fn follow_in_index(
    repository: &Repository,
    differing: &BTreeSet<PathBuf>,
    before: &Tree<'_>,
    after: &Tree<'_>,
) -> Result<(), git2::Error> {
    let (odb, mut index) = (repository.odb()?, repository.index()?);
    for path in differing {
        let (held, now) = (index.get_path(path, 0), file(after, path));
        let has_followed = held.as_ref().map(|entry| (entry.id, entry.mode)) != file(before, path);
        // What a partial clone does not have cannot be put into the index.
        let is_missing = now.is_some_and(|(id, mode)| mode != SUBMODULE && !odb.exists(id));
        if has_followed || is_missing {
            continue;
        }
        match now {
            Some((id, mode)) => index.add(&IndexEntry {
                id,
                mode,
                file_size: 0,
                ..held.unwrap_or_else(|| new_entry(path, id, mode))
            })?,
            None => index.remove_path(path)?,
        }
    }
    index.write()
}

/// Whether anything in there waits for somebody to write into it, and would keep its reader waiting for ever; or leads to
/// another directory, where something may.
fn has_pipes(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.file_type().ok()?, entry.path())))
        .any(|(kind, path)| match kind {
            _ if kind.is_dir() => has_pipes(&path),
            _ if kind.is_symlink() => fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()),
            _ => !kind.is_file(),
        })
}

/// Whether there is something to read at `path`, and it is no file.
fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Whether following a branch would write through a symbolic link, and so may write somewhere else.
fn has_links(git: &Path, branch: &str) -> bool {
    let branch = format!("refs/heads/{branch}");
    let written = [
        "HEAD".to_owned(),
        "index".to_owned(),
        "packed-refs".to_owned(),
        "shallow".to_owned(),
        "logs/HEAD".to_owned(),
        "objects/info".to_owned(),
        "objects/pack".to_owned(),
        format!("logs/{branch}"),
        branch,
    ];
    written.iter().any(|path| {
        let parts = Path::new(path).ancestors();
        let mut parts = parts.filter(|part| !part.as_os_str().is_empty());
        parts.any(|part| is_link(&git.join(part)))
    })
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

/// Everything below a directory, and the directory itself; links are not followed.
fn list(directory: &Path, into: &mut Vec<PathBuf>) {
    into.push(directory.to_owned());
    if is_link(directory) {
        return;
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&entry.path(), into);
        } else {
            into.push(entry.path());
        }
    }
}

/// The workspace's repository with an empty configuration: what is written in its own names programs and servers.
fn open_workspace(root: &Path) -> Result<Repository> {
    let none: [&OsStr; 0] = [];
    let repository = Repository::open_ext(root, RepositoryOpenFlags::NO_SEARCH, none)
        .with_context(|| format!("opening the checkout in {}", root.display()))?;
    repository.set_config(&git2::Config::new()?)?;
    Ok(repository)
}
