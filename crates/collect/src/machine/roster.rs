//! Which of the named rows of a text are watched, and noticing when they change.

use foretwin_core::Fnv64;

/// Most rows watched of one kind; beyond that a frame would be mostly one machine's devices.
const MOST: usize = 64;

/// The names that are watched, in the order of the text. The names in the text are hashed at every reading; only
/// when the hash has changed is it asked anew which to watch.
#[derive(Debug, Default)]
pub(super) struct Roster {
    seen: u64,
    names: Vec<String>,
}

impl Roster {
    /// Takes over the names of a text. Returns whether others are watched now.
    pub(super) fn update<'a>(
        &mut self,
        names: impl Iterator<Item = &'a [u8]> + Clone,
        is_watched: impl Fn(&str) -> bool,
    ) -> bool {
        let seen = names.clone().fold(Fnv64::default(), |hash, name| hash.write(name).write(b"/")).finish();
        if seen == self.seen {
            return false;
        }
        self.seen = seen;
        let known = names.filter_map(|name| std::str::from_utf8(name).ok());
        let mut watched: Vec<String> = Vec::new();
        for name in known.filter(|name| is_watched(name)) {
            if watched.len() < MOST && !watched.iter().any(|other| other == name) {
                watched.push(name.to_owned());
            }
        }
        let changed = watched != self.names;
        self.names = watched;
        changed
    }

    /// The watched names.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The index of a name, looked for from `from` on: rows come in the order of the roster.
    pub(super) fn index(&self, name: &[u8], from: usize) -> Option<usize> {
        let at = self.names.get(from..)?.iter().position(|watched| watched.as_bytes() == name)?;
        Some(from + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(roster: &mut Roster, names: &[&str]) -> bool {
        roster.update(names.iter().map(|name| name.as_bytes()), |name| !name.starts_with("loop"))
    }

    #[test]
    fn only_watched_names_make_a_change() {
        let mut roster = Roster::default();
        assert!(update(&mut roster, &["loop0", "sda", "sdb"]));
        assert!(!update(&mut roster, &["loop0", "sda", "sdb"]));
        assert!(!update(&mut roster, &["loop0", "loop1", "sda", "sdb"]));
        assert!(update(&mut roster, &["loop0", "sdb"]));
        assert_eq!(roster.names(), ["sdb"]);
        assert_eq!(
            (roster.index(b"sdb", 0), roster.index(b"sda", 0), roster.index(b"sdb", 1)),
            (Some(0), None, None)
        );
    }

    #[test]
    fn never_too_many_and_none_twice() {
        let mut roster = Roster::default();
        let names: Vec<String> = (0..500).map(|n| format!("sd{}", n / 2)).collect();
        update(&mut roster, &names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((roster.names().len(), roster.names()[1].as_str()), (MOST, "sd1"));
    }
}
