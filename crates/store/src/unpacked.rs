//! Blocks of hot files that were unpacked lately: whoever asks for an instance asks for its neighbours next, which lie in
//! the same blocks, and again a second later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that are kept; a thousand instances over the hours that are not sealed yet need about so many at once, where
/// they are read in order of partition and name.
const MOST_BYTES: usize = 32 << 20;

/// Sequence of the hot file, and place of the block in it. Hot files never change, and no sequence comes twice.
type Key = (u64, u64);

/// The blocks that are kept.
#[derive(Debug, Default)]
pub(crate) struct Unpacked(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    blocks: HashMap<Key, (u64, Arc<[u8]>)>,
    bytes: usize,
    /// Counts what was asked for, so that the least recent is known.
    asked: u64,
}

impl Unpacked {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block that is kept.
    pub(crate) fn get(&self, key: Key) -> Option<Arc<[u8]>> {
        let mut kept = self.kept();
        kept.asked += 1;
        let now = kept.asked;
        let (last, block) = kept.blocks.get_mut(&key)?;
        *last = now;
        Some(block.clone())
    }

    /// Keeps a block, and lets the least recent ones go.
    pub(crate) fn put(&self, key: Key, block: &Arc<[u8]>) {
        if block.len() > MOST_BYTES / 8 {
            return;
        }
        let mut kept = self.kept();
        let kept = &mut *kept;
        if let Some((_, before)) = kept.blocks.insert(key, (kept.asked, block.clone())) {
            kept.bytes -= before.len();
        }
        kept.bytes += block.len();
        while kept.bytes > MOST_BYTES {
            let Some(oldest) = kept.blocks.iter().min_by_key(|(_, (last, _))| *last).map(|(&key, _)| key)
            else {
                return;
            };
            kept.bytes -= kept.blocks.remove(&oldest).map_or(0, |(_, block)| block.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recent_go_and_what_is_large_never_comes() {
        let kept = Unpacked::default();
        let block: Arc<[u8]> = vec![0; MOST_BYTES / 8].into();
        for n in 0..8 {
            kept.put((n, 0), &block);
            assert!(kept.get((0, 0)).is_some(), "{n}");
        }
        kept.put((8, 0), &block);
        let there: Vec<u64> = (0..9).filter(|&n| kept.get((n, 0)).is_some()).collect();
        assert_eq!(there, [0, 2, 3, 4, 5, 6, 7, 8]);
        kept.put((9, 0), &vec![0; MOST_BYTES / 8 + 1].into());
        assert!(kept.get((9, 0)).is_none());
        kept.put((8, 0), &block);
        assert_eq!(kept.kept().bytes, MOST_BYTES);
    }
}
