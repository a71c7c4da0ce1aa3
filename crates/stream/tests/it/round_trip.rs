//! Whatever is appended reads back, in order, across restarts.

use std::sync::Arc;

use foretwin_core::Partition;
use foretwin_disk::SimDisk;
use foretwin_stream::{Config, Log};
use proptest::prelude::{ProptestConfig, Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use crate::support::{DIR, LONG, START};

fn appends() -> impl Strategy<Value = Vec<Vec<(u8, Vec<u8>)>>> {
    let payload = prop::collection::vec(any::<u8>(), 0..400);
    prop::collection::vec(prop::collection::vec((0u8..64, payload), 1..6), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_sequence_reads_back(batches in appends(), restarts: u64, segment_bytes in 4096u64..20_000) {
        let disk = SimDisk::new(restarts);
        let config = Config { segment_bytes, commit_interval_ms: 0, ..Config::default() };
        let open = || Log::open(Arc::new(disk.clone()), DIR.as_ref(), config.clone()).unwrap();
        let mut log = open().0;
        let mut written = Vec::new();
        let mut next = START;
        for (i, batch) in batches.into_iter().enumerate() {
            let records: Vec<_> = batch.iter().map(|(p, bytes)| (Partition(*p), &bytes[..])).collect();
            let ticket = log.append_all(&records).unwrap();
            ticket.wait(LONG).unwrap();
            for (position, (partition, payload)) in ticket.positions().iter().zip(batch) {
                prop_assert_eq!((position.partition.0, position.offset), (partition, next[usize::from(partition)]));
                next[usize::from(partition)] += 1;
                written.push((*position, payload));
            }
            if restarts >> (i % 64) & 1 == 1 {
                drop(log);
                let (opened, recovery) = open();
                prop_assert!(recovery.is_clean() && recovery.torn_tail_bytes == 0);
                prop_assert_eq!(recovery.next_offset, next);
                prop_assert_eq!(recovery.entries, written.len() as u64);
                log = opened;
            }
        }
        let read: Vec<_> = log.read_from(&START).map(Result::unwrap).map(|e| (e.position, e.payload)).collect();
        prop_assert_eq!(read, written);
    }
}
