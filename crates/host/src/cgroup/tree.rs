//! Which groups exist in a hierarchy, found again cheaply: a directory is listed only when its link count, which
//! is two more than its subdirectories, says that something changed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Groups kept of one hierarchy; a runaway creator of groups shall not take the watcher's memory.
const MOST: usize = 20_000;

/// The groups of one hierarchy as last seen.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    nodes: BTreeMap<String, Node>,
    gone: Vec<String>,
    dirty: Vec<String>,
    generation: u64,
    overflow: bool,
}

#[derive(Debug)]
struct Node {
    dir: PathBuf,
    inode: u64,
    links: u64,
}

impl Tree {
    /// An empty tree; [`Tree::refresh`] fills it.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        let (nodes, gone, dirty) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { root: root.into(), nodes, gone, dirty, generation: 0, overflow: false }
    }

    /// Looks again; costs one `stat` per known group and allocates nothing while nothing changes. Returns whether
    /// groups came or went.
    ///
    /// # Errors
    /// If the root group is not there.
    pub fn refresh(&mut self) -> io::Result<bool> {
        let before = self.generation;
        if self.nodes.is_empty() {
            let root = fs::metadata(&self.root)?;
            self.insert(String::new(), self.root.clone(), &root);
        }
        self.look();
        while let Some(gone) = self.gone.pop() {
            self.forget(&gone);
            self.dirty.push(parent(&gone).into());
        }
        while let Some(dirty) = self.dirty.pop() {
            self.list(&dirty);
        }
        if self.nodes.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(self.generation != before)
    }

    /// Paths of all groups, parents first, the root group as an empty path.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// Identifies one life of a group: a group made again under the same path has another number.
    #[must_use]
    pub fn inode(&self, path: &str) -> Option<u64> {
        self.nodes.get(path).map(|node| node.inode)
    }

    /// Whether there are more groups than are kept.
    #[must_use]
    pub fn overflows(&self) -> bool {
        self.overflow
    }

    /// Sorts known groups into gone and changed ones.
    fn look(&mut self) {
        for (path, node) in &mut self.nodes {
            match fs::metadata(&node.dir) {
                Ok(now) if now.ino() == node.inode => {
                    // File systems that count no links (below 2) must be listed each time.
                    if now.nlink() != node.links || now.nlink() < 2 {
                        node.links = now.nlink();
                        self.dirty.push(path.clone());
                    }
                }
                _ => self.gone.push(path.clone()),
            }
        }
    }

    fn forget(&mut self, path: &str) {
        self.generation += u64::from(self.nodes.remove(path).is_some());
    }

    fn insert(&mut self, path: String, dir: PathBuf, metadata: &fs::Metadata) {
        if self.nodes.len() >= MOST {
            self.overflow = true;
            return;
        }
        // More links than a leaf has, or none counted: there may be subdirectories to list.
        if metadata.nlink() != 2 {
            self.dirty.push(path.clone());
        }
        self.nodes.insert(path, Node { dir, inode: metadata.ino(), links: metadata.nlink() });
        self.generation += 1;
    }

    /// Adds the subdirectories of a group that are not yet known. A group that goes meanwhile is found gone at
    /// the next look.
    fn list(&mut self, path: &str) {
        let Some(node) = self.nodes.get(path) else { return };
        let Ok(entries) = fs::read_dir(&node.dir) else { return };
        for entry in entries.flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let below = if path.is_empty() { name.into_owned() } else { format!("{path}/{name}") };
            if self.nodes.contains_key(&below) {
                continue;
            }
            if let Ok(metadata) = entry.metadata() {
                self.insert(below, entry.path(), &metadata);
            }
        }
    }
}

/// The path of the group that contains this one.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of its own below the system's temporary one, removed when dropped.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("foretwin-tree-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }
        fn make(&self, path: &str) {
            fs::create_dir_all(self.0.join(path)).unwrap();
        }
        fn remove(&self, path: &str) {
            fs::remove_dir_all(self.0.join(path)).unwrap();
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.paths().collect()
    }

    #[test]
    fn groups_come_and_go_at_any_depth() {
        let scratch = Scratch::new("depth");
        scratch.make("a/b/c");
        fs::write(scratch.0.join("a/cgroup.procs"), "").unwrap();
        let mut tree = Tree::new(&scratch.0);
        assert!(tree.refresh().unwrap());
        assert_eq!(paths(&tree), ["", "a", "a/b", "a/b/c"]);
        assert!(!tree.refresh().unwrap());
        scratch.make("a/b/d/e");
        assert!(tree.refresh().unwrap());
        assert_eq!(paths(&tree), ["", "a", "a/b", "a/b/c", "a/b/d", "a/b/d/e"]);
        scratch.remove("a/b");
        assert!(tree.refresh().unwrap());
        assert_eq!(paths(&tree), ["", "a"]);
    }

    #[test]
    fn one_gone_and_one_new_at_once_are_both_seen() {
        let scratch = Scratch::new("swap");
        scratch.make("old");
        let mut tree = Tree::new(&scratch.0);
        tree.refresh().unwrap();
        scratch.make("new");
        scratch.remove("old");
        assert!(tree.refresh().unwrap());
        assert_eq!(paths(&tree), ["", "new"]);
    }

    #[test]
    fn a_group_made_again_is_another_life() {
        let scratch = Scratch::new("again");
        scratch.make("x/inner");
        let mut tree = Tree::new(&scratch.0);
        tree.refresh().unwrap();
        let before = tree.inode("x").unwrap();
        // Renamed rather than removed, so that the file system cannot give the same inode again.
        fs::rename(scratch.0.join("x"), scratch.0.join("aside")).unwrap();
        scratch.make("x");
        assert!(tree.refresh().unwrap());
        assert_ne!(tree.inode("x").unwrap(), before);
        assert_eq!(paths(&tree), ["", "aside", "aside/inner", "x"]);
    }

    #[test]
    fn a_missing_root_is_an_error_and_may_come_back() {
        let scratch = Scratch::new("root");
        scratch.make("cg");
        let mut tree = Tree::new(&scratch.0.join("cg"));
        tree.refresh().unwrap();
        scratch.remove("cg");
        assert!(tree.refresh().is_err());
        scratch.make("cg/a");
        assert!(tree.refresh().unwrap());
        assert_eq!(paths(&tree), ["", "a"]);
    }
}
