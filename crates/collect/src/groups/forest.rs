//! All groups of all hierarchies, each path once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use foretwin_core::Fnv64;
use foretwin_host::cgroup::{Hierarchy, Tree, pids_of};

use crate::identity::Place;

/// A group that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// One bit per hierarchy that has it.
    pub mask: u64,
    /// Differs for a group made again under the same path.
    pub life: u64,
    pub place: Place,
    /// Its lists of processes, one per hierarchy.
    pub lists: Vec<PathBuf>,
}

/// The hierarchies and the groups in them.
#[derive(Debug)]
pub(super) struct Forest {
    hierarchies: Vec<Hierarchy>,
    trees: Vec<Tree>,
    known: BTreeMap<String, Known>,
}

impl Forest {
    /// Nothing known yet. More hierarchies than a mask has bits cannot be mounted.
    pub fn new(mut hierarchies: Vec<Hierarchy>) -> Self {
        hierarchies.truncate(u64::BITS as usize);
        let trees = hierarchies.iter().map(|hierarchy| Tree::new(&hierarchy.root)).collect();
        Self { hierarchies, trees, known: BTreeMap::new() }
    }

    /// Looks at all hierarchies again; returns whether groups came or went. One that is not there has no groups.
    pub fn refresh(&mut self) -> bool {
        let mut changed = false;
        for tree in &mut self.trees {
            changed |= tree.refresh().unwrap_or(true);
        }
        if changed {
            self.unite();
        }
        changed
    }

    fn unite(&mut self) {
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        for (at, tree) in self.trees.iter().enumerate() {
            for path in tree.paths().filter(|path| !path.is_empty()) {
                let group = known.entry(path.into()).or_insert_with(|| Known {
                    mask: 0,
                    life: 0,
                    place: Place::of(path),
                    lists: Vec::new(),
                });
                group.mask |= 1 << at;
                let inode = tree.inode(path).unwrap_or_default();
                group.life =
                    Fnv64::default().write(&group.life.to_le_bytes()).write(&inode.to_le_bytes()).finish();
                group.lists.push(self.hierarchies[at].dir(path).join("cgroup.procs"));
            }
        }
        self.known = known;
    }

    /// Paths and groups, parents first; root groups are the machine itself and not among them.
    pub fn groups(&self) -> &BTreeMap<String, Known> {
        &self.known
    }

    /// Groups below this one.
    pub fn below<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a str, &'a Known)> {
        let inside = move |other: &str| other.as_bytes().get(path.len()) == Some(&b'/');
        self.known
            .range::<str, _>((std::ops::Bound::Excluded(path), std::ops::Bound::Unbounded))
            .map(|(other, known)| (other.as_str(), known))
            .take_while(move |(other, _)| other.starts_with(path))
            .filter(move |(other, _)| inside(other))
    }

    /// The hierarchies that have a group.
    pub fn hierarchies(&self, mask: u64) -> Vec<&Hierarchy> {
        let has = |(at, hierarchy)| (mask >> at & 1 == 1).then_some(hierarchy);
        self.hierarchies.iter().enumerate().filter_map(has).collect()
    }

    /// The lists of all processes that count as the group's own: with those of a group inside it that a runtime
    /// made for its own ends.
    pub fn lists(&self, path: &str, known: &Known) -> Vec<PathBuf> {
        let inner = self.below(path).filter(|(_, known)| known.place == Place::Inner);
        known.lists.iter().cloned().chain(inner.flat_map(|(_, known)| known.lists.iter().cloned())).collect()
    }
}

impl Known {
    /// Whether it holds processes itself, in any hierarchy. `pids` is reused.
    pub fn is_occupied(&self, pids: &mut Vec<u32>) -> bool {
        pids.clear();
        self.lists.iter().any(|list| pids_of(list, pids).is_ok() && !pids.is_empty())
    }
}

/// The paths of the groups around a group, innermost first.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').map(|(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_host::cgroup::below;
    use std::fs;

    #[test]
    fn one_path_in_two_hierarchies_is_one_group() {
        let root = tempfile::tempdir().unwrap();
        for dir in ["memory/a/b", "pids/a", "pids/a-b", "pids/ab"] {
            fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        let mut forest = Forest::new(below(root.path()).unwrap());
        assert!(forest.refresh() && !forest.refresh());
        let masks: Vec<_> = forest.groups().iter().map(|(path, known)| (path.as_str(), known.mask)).collect();
        assert_eq!(masks, [("a", 0b11), ("a-b", 0b10), ("a/b", 0b01), ("ab", 0b10)]);
        assert_eq!(forest.below("a").map(|(path, _)| path).collect::<Vec<_>>(), ["a/b"]);
        assert_eq!(forest.hierarchies(0b10).len(), 1);
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
    }
}
