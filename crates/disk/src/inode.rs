//! The bytes of one simulated file: what a reader sees, and what the medium holds.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;

use foretwin_core::Rng;

/// The unit in which a crash tears what was not synced.
const SECTOR: usize = 512;

/// A file without its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Ranges of `seen` that a sync would write.
    dirty: Vec<Range<usize>>,
    spoiled: BTreeSet<u64>,
}

impl Inode {
    pub fn length(&self) -> u64 {
        self.seen.len() as u64
    }

    pub fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.seen.len());
        let end = start.saturating_add(length).min(self.seen.len());
        if self.spoiled.range(start as u64..end as u64).next().is_some() {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        Ok(self.seen[start..end].to_vec())
    }

    pub fn write(&mut self, bytes: &[u8]) {
        let start = self.seen.len();
        self.seen.extend_from_slice(bytes);
        self.dirty.push(start..self.seen.len());
    }

    pub fn sync(&mut self) {
        for range in std::mem::take(&mut self.dirty) {
            put(&mut self.durable, range.start, &self.seen[range]);
        }
    }

    /// Linux marks the pages clean whether or not they were written; ext4 and XFS go on showing them to readers,
    /// Btrfs shows the old state (Rebello et al. 2020).
    pub fn fail_sync(&mut self, rng: &mut Rng) {
        self.durable = self.torn(rng);
        self.dirty.clear();
        if rng.below(2) == 0 {
            self.seen.clone_from(&self.durable);
        }
    }

    pub fn cut(&mut self, length: u64) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.seen.truncate(length);
        self.durable.truncate(length);
        for range in &mut self.dirty {
            range.end = range.end.min(length);
            range.start = range.start.min(range.end);
        }
    }

    pub fn flip(&mut self, bit: u64) -> bool {
        let Ok(byte) = usize::try_from(bit / 8) else { return false };
        let images = [&mut self.seen, &mut self.durable];
        let mut flipped = false;
        for byte in images.into_iter().filter_map(|image| image.get_mut(byte)) {
            *byte ^= 1 << (bit % 8);
            flipped = true;
        }
        flipped
    }

    pub fn spoil(&mut self, at: u64) {
        self.spoiled.insert(at);
    }

    /// The file after the machine stopped.
    pub fn after_crash(&self, rng: &mut Rng) -> Self {
        let durable = self.torn(rng);
        Self { seen: durable.clone(), durable, dirty: Vec::new(), spoiled: self.spoiled.clone() }
    }

    /// The medium, with what was not synced there wholly, as a prefix, by the sector, or not at all.
    fn torn(&self, rng: &mut Rng) -> Vec<u8> {
        let mut image = self.durable.clone();
        let dirty: Vec<_> = self.dirty.iter().filter(|range| !range.is_empty()).cloned().collect();
        let Some(end) = dirty.last().map(|range| range.end) else { return image };
        let fate = rng.below(4);
        for range in dirty {
            match fate {
                0 => put(&mut image, range.start, &self.seen[range]),
                1 => {}
                2 => {
                    let kept = range.start + rng.below(range.len() as u64 + 1) as usize;
                    put(&mut image, range.start, &self.seen[range.start..kept]);
                    if kept < range.end {
                        break;
                    }
                }
                _ => sectors(&mut image, &self.seen, range, rng),
            }
        }
        if fate == 3 {
            let grown = end.saturating_sub(self.durable.len()) as u64;
            image.resize(self.durable.len() + rng.below(grown + 1) as usize, 0);
        }
        image
    }
}

/// Each sector for itself: written, zeroes, garbage, or nothing done.
fn sectors(image: &mut Vec<u8>, seen: &[u8], range: Range<usize>, rng: &mut Rng) {
    let mut at = range.start;
    while at < range.end {
        let end = ((at / SECTOR + 1) * SECTOR).min(range.end);
        match rng.below(6) {
            0..3 => put(image, at, &seen[at..end]),
            3 => put(image, at, &vec![0; end - at]),
            4 => {
                let garbage: Vec<u8> = (at..end).map(|_| rng.next_u64() as u8).collect();
                put(image, at, &garbage);
            }
            _ => {}
        }
        at = end;
    }
}

/// Writes into an image, with zeroes where there was nothing before.
fn put(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if image.len() < at + bytes.len() {
        image.resize(at + bytes.len(), 0);
    }
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop};
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        /// Whatever is written and synced when: a crash keeps every synced byte and never adds length.
        #[test]
        fn synced_bytes_stay(writes in prop::collection::vec((0usize..1500, any::<bool>()), 1..8), seed: u64) {
            let (mut inode, mut synced) = (Inode::default(), 0);
            for (i, (length, sync)) in writes.into_iter().enumerate() {
                inode.write(&vec![i as u8 + 1; length]);
                if sync {
                    inode.sync();
                    synced = inode.seen.len();
                }
            }
            let after = inode.after_crash(&mut Rng::new(seed));
            prop_assert!(after.seen.len() >= synced && after.seen.len() <= inode.seen.len());
            prop_assert_eq!(&after.seen[..synced], &inode.seen[..synced]);
        }
    }

    #[test]
    fn a_write_after_a_dropped_one_leaves_a_hole() {
        let mut found = false;
        for seed in 0..60 {
            let mut inode = Inode::default();
            inode.write(&[1; 100]);
            inode.fail_sync(&mut Rng::new(seed));
            inode.write(&[2; 100]);
            inode.sync();
            let after = inode.after_crash(&mut Rng::new(seed));
            found |= after.seen.len() == 200 && after.seen[..100] == [0; 100];
        }
        assert!(found);
    }
}
