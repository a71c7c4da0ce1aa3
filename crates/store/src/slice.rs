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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use foretwin_core::{PARTITIONS, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::bytes::Place;

    const PARTITION: u8 = 3;

    /// A hot file whose blocks hold these names.
    fn hot(blocks: &[Vec<String>]) -> Counted<HotFile> {
        let block = |names: &Vec<String>| Block {
            partition: PARTITION,
            instance: InstanceId::new(&names[0]),
            first: Timestamp(0),
            last: Timestamp(0),
            place: Place { offset: 0, length: 1, crc: 0 },
        };
        let file = HotFile {
            path: "hot".into(),
            sequence: 0,
            written_at: Timestamp(0),
            bytes: 0,
            samples: 0,
            applied: [0; PARTITIONS],
            changes: None,
            blocks: blocks.iter().map(block).collect(),
        };
        Counted { file: Arc::new(file), superseded: 0 }
    }

    /// Blocks of some names in order, each name perhaps with several schemas.
    fn blocks() -> impl Strategy<Value = Vec<Vec<String>>> {
        let names = prop::collection::vec((0u8..12, 1usize..3), 1..20);
        (names, 1usize..5).prop_map(|(mut names, length)| {
            names.sort_unstable();
            let all: Vec<String> =
                names.iter().flat_map(|(n, count)| vec![format!("i{n:02}"); *count]).collect();
            all.chunks(length).map(<[String]>::to_vec).collect()
        })
    }

    proptest! {
        #[test]
        fn every_frame_is_in_one_slice_and_its_block_is_read(
            files in prop::collection::vec(blocks(), 1..4),
            blocks_a_slice in 0u64..6,
        ) {
            let run: Vec<_> = files.iter().map(|blocks| hot(blocks)).collect();
            let slices = Slice::all(&run, PARTITION, blocks_a_slice * BLOCK_BYTES);
            for (hot, blocks) in run.iter().zip(&files) {
                for (at, names) in blocks.iter().enumerate() {
                    for name in names {
                        let holding: Vec<_> = slices.iter().filter(|slice| slice.holds(name)).collect();
                        prop_assert_eq!(holding.len(), 1, "{} in {:?}", name, slices);
                        let read = holding[0].blocks(&hot.file).any(|one| std::ptr::eq(one, &hot.file.blocks[at]));
                        prop_assert!(read, "block {} with {} for {:?}", at, name, holding[0]);
                    }
                }
            }
            // As small as one may ask for, but for an instance with many blocks of its own.
            for slice in &slices {
                let begun = run.iter().flat_map(|hot| hot.file.of(PARTITION));
                let firsts: Vec<_> = begun.filter(|block| slice.holds(block.instance.as_str())).collect();
                let of_one = |name: &InstanceId| firsts.iter().filter(|block| block.instance == *name).count();
                let most = firsts.iter().map(|block| of_one(&block.instance)).max().unwrap_or(0);
                prop_assert!(firsts.len() <= blocks_a_slice as usize + most.max(1), "{:?}", slices);
            }
        }

        #[test]
        fn there_is_always_a_slice(partition in 0u8..64) {
            let slices = Slice::all(&[hot(&[])], partition, 1);
            prop_assert_eq!(slices.len(), 1);
            prop_assert!(slices[0].holds("") && slices[0].holds("z"));
        }
    }
}
