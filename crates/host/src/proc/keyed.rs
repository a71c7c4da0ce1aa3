//! Texts of one key and one number a line: `/proc/meminfo`, `/proc/vmstat`, `memory.stat` and their like.

use crate::ABSENT;
use crate::parse::{leading_number, lines};

/// Picks the numbers of some keys out of such a text. It remembers on which line each key stood, so that all
/// other lines are only stepped over; when the lines have moved, it searches anew.
#[derive(Debug)]
pub struct KeyedLines {
    keys: Vec<&'static str>,
    values: Vec<u64>,
    /// Line and index of the key, in order of line.
    places: Vec<(usize, usize)>,
    /// Texts followed since the last search.
    followed: u32,
}

/// How many texts are followed before keys that were absent are looked for again.
const PATIENCE: u32 = 256;

impl KeyedLines {
    /// A picker of `keys`. Until [`Self::scan`] all values are [`ABSENT`].
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = &'static str>) -> Self {
        let keys: Vec<_> = keys.into_iter().collect();
        let (values, places) = (vec![ABSENT; keys.len()], Vec::with_capacity(keys.len()));
        Self { keys, values, places, followed: 0 }
    }

    /// Takes over a text. Returns whether any key was found.
    pub fn scan(&mut self, text: &[u8]) -> bool {
        let complete = self.places.len() == self.keys.len();
        if (complete || self.followed < PATIENCE) && self.follow(text) {
            self.followed = self.followed.saturating_add(1);
        } else {
            self.search(text);
            self.followed = 0;
        }
        !self.places.is_empty()
    }

    /// The numbers in the order of the keys, [`ABSENT`] where the key is not there or has no number.
    #[must_use]
    pub fn values(&self) -> &[u64] {
        &self.values
    }

    /// Reads from the remembered lines; false if there are none or a key is no longer where it was.
    fn follow(&mut self, text: &[u8]) -> bool {
        let mut left = lines(text);
        let mut next_line = 0;
        for &(line, key) in &self.places {
            let found = left.nth(line - next_line).and_then(|line| value_of(line, self.keys[key]));
            let Some(value) = found else { return false };
            self.values[key] = value;
            next_line = line + 1;
        }
        next_line > 0
    }

    fn search(&mut self, text: &[u8]) {
        self.places.clear();
        self.values.fill(ABSENT);
        for (at, line) in lines(text).enumerate() {
            let hit = |key: &usize| value_of(line, self.keys[*key]);
            if let Some((key, value)) = (0..self.keys.len()).find_map(|key| Some((key, hit(&key)?)))
                && self.places.len() < self.keys.len()
            {
                self.places.push((at, key));
                self.values[key] = value;
            }
        }
    }
}

/// The number after a key, which a blank or a colon ends.
fn value_of(line: &[u8], key: &str) -> Option<u64> {
    let after = line.strip_prefix(key.as_bytes())?;
    let blank = after.iter().position(|byte| !matches!(byte, b':' | b' ' | b'\t'))?;
    if blank == 0 {
        return None;
    }
    leading_number(&after[blank..]).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[&str] = &["MemTotal", "MemAvailable", "Mem", "pgfault"];

    fn scanned<'k>(keyed: &'k mut KeyedLines, text: &str) -> &'k [u64] {
        keyed.scan(text.as_bytes());
        keyed.values()
    }

    #[test]
    fn keys_are_whole_words_in_any_order() {
        let mut keyed = KeyedLines::new(KEYS.iter().copied());
        let text = "pgfault 7\nMemTotal:       24684084 kB\nMemFree: 1 kB\nMemAvailable:\t9\n";
        assert_eq!(scanned(&mut keyed, text), [24_684_084, 9, ABSENT, 7]);
    }

    #[test]
    fn lines_that_move_are_found_again() {
        let mut keyed = KeyedLines::new(KEYS.iter().copied());
        assert_eq!(scanned(&mut keyed, "MemTotal: 1\nMemAvailable: 2\n"), [1, 2, ABSENT, ABSENT]);
        assert_eq!(scanned(&mut keyed, "MemTotal: 3\nMemAvailable: 4\n"), [3, 4, ABSENT, ABSENT]);
        assert_eq!(scanned(&mut keyed, "x 0\nMemAvailable: 6\nMemTotal: 5\n"), [5, 6, ABSENT, ABSENT]);
        assert_eq!(scanned(&mut keyed, "MemAvailable: 8\n"), [ABSENT, 8, ABSENT, ABSENT]);
    }

    #[test]
    fn keys_that_come_later_are_found_in_time() {
        let mut keyed = KeyedLines::new(KEYS.iter().copied());
        assert_eq!(scanned(&mut keyed, "MemTotal: 1\n"), [1, ABSENT, ABSENT, ABSENT]);
        let found = (0..=PATIENCE).any(|_| scanned(&mut keyed, "MemTotal: 1\npgfault 2\n")[3] == 2);
        assert!(found);
    }

    #[test]
    fn garbage_is_absent() {
        let mut keyed = KeyedLines::new(KEYS.iter().copied());
        assert!(!keyed.scan(b""));
        for text in
            ["MemTotal:\n", "MemTotal: x\n", "MemTotal", "MemTotal9 1", "MemTotal: 99999999999999999999"]
        {
            assert!(!keyed.scan(text.as_bytes()), "{text}");
            assert_eq!(keyed.values(), [ABSENT; 4]);
        }
    }
}
