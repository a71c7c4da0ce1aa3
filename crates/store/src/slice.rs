//! A partition of a run of hot files, cut by instance into slices that fit in memory.

use foretwin_core::InstanceId;

use crate::files::Counted;
use crate::hot::{Block, HotFile};
use crate::planes::BLOCK_BYTES;

/// The instances of a partition from one name on and before another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    partition: u8,
    /// None where it begins with the first there is.
    from: Option<InstanceId>,
    /// None where it goes to the last there is.
    to: Option<InstanceId>,
}

impl Slice {
    /// Slices of a partition in order of name, each with about as many bytes of frames, or with one instance that
    /// alone has more.
    pub(crate) fn all(run: &[Counted<HotFile>], partition: u8, bytes: u64) -> Vec<Self> {
        let mut blocks: Vec<&Block> = run.iter().flat_map(|hot| hot.file.of(partition)).collect();
        blocks.sort_by(|a, b| a.instance.cmp(&b.instance));
        let mut slices = vec![Self { partition, from: None, to: None }];
        let (mut sum, mut before) = (0, None);
        for block in blocks {
            if sum >= bytes && before.is_some_and(|before| before != &block.instance) {
                let from = Some(block.instance.clone());
                if let Some(last) = slices.last_mut() {
                    last.to.clone_from(&from);
                }
                slices.push(Self { partition, from, to: None });
                sum = 0;
            }
            // A block has at least so many bytes of frames, but for the last of each file, and hardly more.
            sum += BLOCK_BYTES.max(u64::from(block.place.length));
            before = Some(&block.instance);
        }
        slices
    }

    /// Whether an instance is in it.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.from.as_ref().is_none_or(|from| from.as_str() <= name)
            && self.to.as_ref().is_none_or(|to| name < to.as_str())
    }

    /// The blocks of a hot file that may hold some of it.
    pub(crate) fn blocks<'a>(&self, file: &'a HotFile) -> impl Iterator<Item = &'a Block> + use<'a> {
        let blocks = file.of(self.partition);
        // A block goes on to where the next begins, which may be with the same instance.
        let first = self
            .from
            .as_ref()
            .map_or(0, |from| blocks.partition_point(|block| block.instance < *from).saturating_sub(1));
        let end =
            self.to.as_ref().map_or(blocks.len(), |to| blocks.partition_point(|block| block.instance < *to));
        blocks[first.min(end)..end].iter()
    }
}
