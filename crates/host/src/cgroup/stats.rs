//! What one group uses, and the parsers that fill it. Everything counts the group and all groups below it.

use super::text::{add, lines, number, pairs, words};
use crate::ABSENT;

/// What a group uses; [`ABSENT`] where neither version of the interface tells. Times are microseconds, sizes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Processor time, all modes.
    pub cpu_us: u64,
    /// Processor time in user mode.
    pub cpu_user_us: u64,
    /// Processor time in the kernel.
    pub cpu_system_us: u64,
    /// Enforcement periods in which the group was runnable under a quota.
    pub periods: u64,
    /// Of these, those in which the quota ran out.
    pub throttled_periods: u64,
    /// Time its processors were kept from running.
    pub throttled_us: u64,
    /// Memory charged to the group.
    pub memory: u64,
    /// Anonymous memory.
    pub anon: u64,
    /// Page cache, shared memory included.
    pub file: u64,
    /// Shared memory and tmpfs, which only swap can free.
    pub shmem: u64,
    /// Kernel memory charged to the group.
    pub kernel: u64,
    /// File pages on the inactive list.
    pub inactive_file: u64,
    /// File pages on the active list.
    pub active_file: u64,
    /// Slab that can be reclaimed; version 2 only.
    pub slab_reclaimable: u64,
    /// File pages waiting to be written.
    pub dirty: u64,
    /// Swap used.
    pub swap: u64,
    /// Page faults.
    pub faults: u64,
    /// Page faults that needed the disk.
    pub major_faults: u64,
    /// File pages faulted in soon after they were evicted.
    pub refaults_file: u64,
    /// Anonymous pages faulted in soon after they were swapped out.
    pub refaults_anon: u64,
    /// Pages looked at for reclaim; version 2 only.
    pub scanned: u64,
    /// Pages reclaimed; version 2 only.
    pub reclaimed: u64,
    /// How often usage ran into the limit.
    pub limit_hits: u64,
    /// How often nothing could be reclaimed at the limit; version 2 only.
    pub ooms: u64,
    /// Processes killed for memory.
    pub oom_kills: u64,
    /// Version 1: the smallest memory limit of the group and its ancestors.
    pub memory_limit: u64,
    /// Version 1: the same for memory and swap together.
    pub memory_swap_limit: u64,
    /// Tasks (threads count).
    pub pids: u64,
    /// Bytes read from block devices.
    pub read_bytes: u64,
    /// Bytes written to block devices.
    pub written_bytes: u64,
    /// Read operations on block devices.
    pub reads: u64,
    /// Write operations on block devices.
    pub writes: u64,
    /// Time in which some task waited for a processor.
    pub cpu_some_us: u64,
    /// Time in which all tasks waited for a processor.
    pub cpu_full_us: u64,
    /// Time in which some task waited for memory.
    pub memory_some_us: u64,
    /// Time in which all tasks waited for memory.
    pub memory_full_us: u64,
    /// Time in which some task waited for a block device.
    pub io_some_us: u64,
    /// Time in which all tasks waited for a block device.
    pub io_full_us: u64,
}

impl Stats {
    /// Nothing known.
    pub const ABSENT: Self = Self {
        cpu_us: ABSENT,
        cpu_user_us: ABSENT,
        cpu_system_us: ABSENT,
        periods: ABSENT,
        throttled_periods: ABSENT,
        throttled_us: ABSENT,
        memory: ABSENT,
        anon: ABSENT,
        file: ABSENT,
        shmem: ABSENT,
        kernel: ABSENT,
        inactive_file: ABSENT,
        active_file: ABSENT,
        slab_reclaimable: ABSENT,
        dirty: ABSENT,
        swap: ABSENT,
        faults: ABSENT,
        major_faults: ABSENT,
        refaults_file: ABSENT,
        refaults_anon: ABSENT,
        scanned: ABSENT,
        reclaimed: ABSENT,
        limit_hits: ABSENT,
        ooms: ABSENT,
        oom_kills: ABSENT,
        memory_limit: ABSENT,
        memory_swap_limit: ABSENT,
        pids: ABSENT,
        read_bytes: ABSENT,
        written_bytes: ABSENT,
        reads: ABSENT,
        writes: ABSENT,
        cpu_some_us: ABSENT,
        cpu_full_us: ABSENT,
        memory_some_us: ABSENT,
        memory_full_us: ABSENT,
        io_some_us: ABSENT,
        io_full_us: ABSENT,
    };

    /// Memory that reclaim cannot give back: usage less file pages on both lists and reclaimable slab. This, not
    /// usage, is what runs against the limit, since page cache grows to any limit and then stays there.
    #[must_use]
    pub fn unreclaimable(&self) -> u64 {
        if self.memory == ABSENT || self.inactive_file == ABSENT || self.active_file == ABSENT {
            return ABSENT;
        }
        let slab = if self.slab_reclaimable == ABSENT { 0 } else { self.slab_reclaimable };
        self.memory.saturating_sub(self.inactive_file.saturating_add(self.active_file).saturating_add(slab))
    }
}

/// A limit that version 1 writes for "none": the largest multiple of the page size below 2^63.
pub(super) fn v1_limit(value: u64) -> u64 {
    if value >= 1 << 62 { ABSENT } else { value }
}

pub(super) fn cpuacct_usage(text: &[u8], stats: &mut Stats) {
    let nanoseconds = number(text);
    stats.cpu_us = if nanoseconds == ABSENT { ABSENT } else { nanoseconds / 1000 };
}

/// `cpuacct.stat` counts in USER_HZ, which Linux fixes at 100 for every architecture in use.
pub(super) fn cpuacct_stat(text: &[u8], stats: &mut Stats) {
    for (key, value) in pairs(text) {
        match key {
            b"user" => stats.cpu_user_us = value.saturating_mul(10_000),
            b"system" => stats.cpu_system_us = value.saturating_mul(10_000),
            _ => {}
        }
    }
}

pub(super) fn v1_cpu_stat(text: &[u8], stats: &mut Stats) {
    for (key, value) in pairs(text) {
        match key {
            b"nr_periods" => stats.periods = value,
            b"nr_throttled" => stats.throttled_periods = value,
            b"throttled_time" if value != ABSENT => stats.throttled_us = value / 1000,
            _ => {}
        }
    }
}

pub(super) fn v2_cpu_stat(text: &[u8], stats: &mut Stats) {
    for (key, value) in pairs(text) {
        let field = match key {
            b"usage_usec" => &mut stats.cpu_us,
            b"user_usec" => &mut stats.cpu_user_us,
            b"system_usec" => &mut stats.cpu_system_us,
            b"nr_periods" => &mut stats.periods,
            b"nr_throttled" => &mut stats.throttled_periods,
            b"throttled_usec" => &mut stats.throttled_us,
            _ => continue,
        };
        *field = value;
    }
}

pub(super) fn v1_memory_stat(text: &[u8], stats: &mut Stats) {
    for (key, value) in pairs(text) {
        let field = match key {
            b"total_rss" => &mut stats.anon,
            b"total_cache" => &mut stats.file,
            b"total_shmem" => &mut stats.shmem,
            b"total_swap" => &mut stats.swap,
            b"total_dirty" => &mut stats.dirty,
            b"total_pgfault" => &mut stats.faults,
            b"total_pgmajfault" => &mut stats.major_faults,
            b"total_inactive_file" => &mut stats.inactive_file,
            b"total_active_file" => &mut stats.active_file,
            b"total_workingset_refault_file" | b"total_workingset_refault" => &mut stats.refaults_file,
            b"total_workingset_refault_anon" => &mut stats.refaults_anon,
            b"hierarchical_memory_limit" => {
                stats.memory_limit = v1_limit(value);
                continue;
            }
            b"hierarchical_memsw_limit" => {
                stats.memory_swap_limit = v1_limit(value);
                continue;
            }
            _ => continue,
        };
        *field = value;
    }
}

pub(super) fn v2_memory_stat(text: &[u8], stats: &mut Stats) {
    for (key, value) in pairs(text) {
        let field = match key {
            b"anon" => &mut stats.anon,
            b"file" => &mut stats.file,
            b"shmem" => &mut stats.shmem,
            b"kernel" => &mut stats.kernel,
            b"file_dirty" => &mut stats.dirty,
            b"slab_reclaimable" => &mut stats.slab_reclaimable,
            b"inactive_file" => &mut stats.inactive_file,
            b"active_file" => &mut stats.active_file,
            b"pgfault" => &mut stats.faults,
            b"pgmajfault" => &mut stats.major_faults,
            b"workingset_refault_file" | b"workingset_refault" => &mut stats.refaults_file,
            b"workingset_refault_anon" => &mut stats.refaults_anon,
            b"pgscan" => &mut stats.scanned,
            b"pgsteal" => &mut stats.reclaimed,
            _ => continue,
        };
        *field = value;
    }
}

pub(super) fn memory_events(text: &[u8], stats: &mut Stats) {
    for (key, value) in pairs(text) {
        match key {
            b"max" => stats.limit_hits = value,
            b"oom" => stats.ooms = value,
            b"oom_kill" => stats.oom_kills = value,
            _ => {}
        }
    }
}

pub(super) fn memory(text: &[u8], stats: &mut Stats) {
    stats.memory = number(text);
}

pub(super) fn kernel_memory(text: &[u8], stats: &mut Stats) {
    stats.kernel = number(text);
}

pub(super) fn fail_count(text: &[u8], stats: &mut Stats) {
    stats.limit_hits = number(text);
}

pub(super) fn oom_control(text: &[u8], stats: &mut Stats) {
    if let Some((_, kills)) = pairs(text).find(|(key, _)| *key == b"oom_kill") {
        stats.oom_kills = kills;
    }
}

pub(super) fn swap(text: &[u8], stats: &mut Stats) {
    stats.swap = number(text);
}

pub(super) fn pids(text: &[u8], stats: &mut Stats) {
    stats.pids = number(text);
}

/// Sums of the lines `8:0 Read 4096` over devices; a group without any has done nothing.
fn by_device(text: &[u8], read: &mut u64, write: &mut u64) {
    (*read, *write) = (0, 0);
    for line in lines(text) {
        let mut words = words(line).skip(1);
        match (words.next(), words.next()) {
            (Some(b"Read"), Some(value)) => add(read, number(value)),
            (Some(b"Write"), Some(value)) => add(write, number(value)),
            _ => {}
        }
    }
}

pub(super) fn blkio_bytes(text: &[u8], stats: &mut Stats) {
    by_device(text, &mut stats.read_bytes, &mut stats.written_bytes);
}

pub(super) fn blkio_operations(text: &[u8], stats: &mut Stats) {
    by_device(text, &mut stats.reads, &mut stats.writes);
}

/// Sums of the lines `8:0 rbytes=1 wbytes=2 rios=3 wios=4` over devices.
pub(super) fn io_stat(text: &[u8], stats: &mut Stats) {
    (stats.read_bytes, stats.written_bytes, stats.reads, stats.writes) = (0, 0, 0, 0);
    for word in lines(text).flat_map(words) {
        let Some(equals) = word.iter().position(|&byte| byte == b'=') else { continue };
        let sum = match &word[..equals] {
            b"rbytes" => &mut stats.read_bytes,
            b"wbytes" => &mut stats.written_bytes,
            b"rios" => &mut stats.reads,
            b"wios" => &mut stats.writes,
            _ => continue,
        };
        add(sum, number(&word[equals + 1..]));
    }
}

/// The totals of `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` and of the line `full`.
fn pressure(text: &[u8], some: &mut u64, full: &mut u64) {
    for line in lines(text) {
        let total = words(line).find_map(|word| word.strip_prefix(b"total=")).map_or(ABSENT, number);
        if line.starts_with(b"some") {
            *some = total;
        } else if line.starts_with(b"full") {
            *full = total;
        }
    }
}

pub(super) fn cpu_pressure(text: &[u8], stats: &mut Stats) {
    pressure(text, &mut stats.cpu_some_us, &mut stats.cpu_full_us);
}

pub(super) fn memory_pressure(text: &[u8], stats: &mut Stats) {
    pressure(text, &mut stats.memory_some_us, &mut stats.memory_full_us);
}

pub(super) fn io_pressure(text: &[u8], stats: &mut Stats) {
    pressure(text, &mut stats.io_some_us, &mut stats.io_full_us);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_memory_counts_the_groups_below() {
        let mut stats = Stats::ABSENT;
        let text =
            b"rss 1\ncache 2\ntotal_rss 100\ntotal_cache 200\ntotal_inactive_file 30\ntotal_active_file 40\n\
            hierarchical_memory_limit 9223372036854771712\nhierarchical_memsw_limit 5000\n";
        v1_memory_stat(text, &mut stats);
        memory(b"300\n", &mut stats);
        assert_eq!((stats.anon, stats.file, stats.unreclaimable()), (100, 200, 230));
        assert_eq!((stats.memory_limit, stats.memory_swap_limit), (ABSENT, 5000));
    }

    #[test]
    fn unreclaimable_is_absent_without_its_parts_and_never_negative() {
        let mut stats = Stats { memory: 10, ..Stats::ABSENT };
        assert_eq!(stats.unreclaimable(), ABSENT);
        v2_memory_stat(b"inactive_file 8\nactive_file 8\nslab_reclaimable 1\n", &mut stats);
        assert_eq!(stats.unreclaimable(), 0);
    }

    #[test]
    fn devices_are_summed() {
        let mut stats = Stats::ABSENT;
        blkio_bytes(b"8:0 Read 4096\n8:0 Write 1\n254:0 Read 4\n254:0 Sync 9\nTotal 4101\n", &mut stats);
        assert_eq!((stats.read_bytes, stats.written_bytes), (4100, 1));
        io_stat(b"8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n8:16 rbytes=10\n", &mut stats);
        assert_eq!((stats.read_bytes, stats.written_bytes, stats.reads, stats.writes), (11, 2, 3, 4));
        blkio_operations(b"Total 0\n", &mut stats);
        assert_eq!((stats.reads, stats.writes), (0, 0));
    }

    #[test]
    fn times_become_microseconds() {
        let mut stats = Stats::ABSENT;
        cpuacct_usage(b"391156440820\n", &mut stats);
        cpuacct_stat(b"user 33991\nsystem 5124\n", &mut stats);
        v1_cpu_stat(b"nr_periods 3\nnr_throttled 2\nthrottled_time 5000\nnr_bursts 0\n", &mut stats);
        assert_eq!(
            (stats.cpu_us, stats.cpu_user_us, stats.cpu_system_us),
            (391_156_440, 339_910_000, 51_240_000)
        );
        assert_eq!((stats.periods, stats.throttled_periods, stats.throttled_us), (3, 2, 5));
    }

    #[test]
    fn pressure_takes_totals() {
        let mut stats = Stats::ABSENT;
        io_pressure(
            b"some avg10=1.00 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 total=7\n",
            &mut stats,
        );
        assert_eq!((stats.io_some_us, stats.io_full_us, stats.cpu_some_us), (77, 7, ABSENT));
    }

    #[test]
    fn nonsense_changes_nothing_it_should_not() {
        let mut stats = Stats::ABSENT;
        for parse in
            [v2_cpu_stat, v1_memory_stat, v2_memory_stat, memory_events, oom_control, memory_pressure]
        {
            parse(b"\n \nxyz\nsome\nusage_usec\n\xff\xfe 1\ntotal_rss -5\n", &mut stats);
        }
        assert_eq!(stats, Stats::ABSENT);
    }
}
