//! What a runner tells once a second: the cost of fixed units of work, and how its replay gets along.

use std::sync::Arc;

use crate::metric::{Metric, Role, Storage};
use crate::profile::Dimension;
use crate::schema::Schema;

/// First identifier of the fields that say what a dimension of the replay was told to do.
const COMMANDED: u16 = 200;
/// First identifier of the fields that say what a dimension of the replay did.
const ACHIEVED: u16 = 220;
/// First identifier of the fields that say how far a dimension of the replay is behind.
const BEHIND: u16 = 240;

macro_rules! fields {
    ($($set:ident { $($id:literal $name:ident $metric:literal $stat:literal $unit:literal $role:ident, $doc:literal;)* })*) => {
        /// One number of a runner's frame. Numbers that were not measured in a period are missing (NaN). Identifiers
        /// are never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $($(#[doc = $doc] $name,)*)*
            /// What the replay was told to do in a dimension, in its unit.
            Commanded(Dimension),
            /// What it did.
            Achieved(Dimension),
            /// How many seconds of commanded work wait to be done.
            Behind(Dimension),
        }

        impl Field {
            /// The number that stands for the field in a frame's bytes.
            #[must_use]
            pub fn id(self) -> u16 {
                match self {
                    $($(Self::$name => $id,)*)*
                    Self::Commanded(dimension) => COMMANDED + dimension.index() as u16,
                    Self::Achieved(dimension) => ACHIEVED + dimension.index() as u16,
                    Self::Behind(dimension) => BEHIND + dimension.index() as u16,
                }
            }

            /// The field with this number; none if a newer runner wrote it.
            #[must_use]
            pub fn from_id(id: u16) -> Option<Self> {
                match id {
                    $($($id => Some(Self::$name),)*)*
                    BEHIND.. => Some(Self::Behind(Dimension::from_index(id - BEHIND)?)),
                    ACHIEVED.. => Some(Self::Achieved(Dimension::from_index(id - ACHIEVED)?)),
                    COMMANDED.. => Some(Self::Commanded(Dimension::from_index(id - COMMANDED)?)),
                    _ => None,
                }
            }

            /// The series of the field: costs are durations in seconds (or ratios of durations), commands are inputs.
            #[must_use]
            pub fn metric(self) -> Metric {
                let (name, stat, unit, role) = match self {
                    $($(Self::$name => ($metric, $stat, $unit, Role::$role),)*)*
                    Self::Commanded(dimension) => return replay("commanded", dimension, Role::Command),
                    Self::Achieved(dimension) => return replay("achieved", dimension, Role::Rate),
                    Self::Behind(dimension) => return replay("behind", dimension, Role::Saturation),
                };
                let metric = Metric::gauge(name, unit, role).stored(Storage::F64);
                if stat.is_empty() { metric } else { metric.with("stat", stat) }
            }

            /// The fields of the probes and of the runner that makes them.
            pub fn probes() -> impl Iterator<Item = Self> {
                Self::plain().filter_map(|(set, field)| (set == "probe").then_some(field))
            }

            /// The fields of a replay.
            pub fn replay() -> impl Iterator<Item = Self> {
                let plain = Self::plain().filter_map(|(set, field)| (set == "replay").then_some(field));
                plain.chain(Dimension::ALL.into_iter().flat_map(|dimension| {
                    [Self::Commanded(dimension), Self::Achieved(dimension), Self::Behind(dimension)]
                }))
            }

            fn plain() -> impl Iterator<Item = (&'static str, Self)> {
                [$($((stringify!($set), Self::$name),)*)*].into_iter()
            }
        }
    };
}

fields! {
probe {
    1 ProbesOn "foretwin.probe.on" "" "1" Command, "Share of the period in which the probes were switched on.";
    2 ProbeRate "foretwin.probe.rate" "" "Hz" Command, "Ticks per second that the probes' own cap admits now.";
    3 Ticks "foretwin.probe.ticks" "" "{tick}" Command, "Ticks made in the period.";
    4 TicksMissed "foretwin.probe.ticks.missed" "" "{tick}" Saturation, "Ticks left out because the one before was late.";
    5 WorkRate "foretwin.runner.work.rate" "" "{unit}/s" Command, "Work units per second of CPU time, calibrated at start.";
    6 Uptime "foretwin.runner.uptime" "" "s" Command, "Seconds since the runner started.";
    7 RunnerMemory "foretwin.runner.memory.usage" "" "By" Command, "Resident bytes of the whole runner.";
    10 WakeLagMean "foretwin.probe.wake.lag" "mean" "s" Duration, "From the moment a sleep should end to the moment it does: mean.";
    11 WakeLagP50 "foretwin.probe.wake.lag" "p50" "s" Duration, "Wake lag: median.";
    12 WakeLagP90 "foretwin.probe.wake.lag" "p90" "s" Duration, "Wake lag: 90th percentile.";
    13 WakeLagMax "foretwin.probe.wake.lag" "max" "s" Duration, "Wake lag: largest.";
    20 ShortStretchMean "foretwin.probe.unit.short.stretch" "mean" "1" Duration, "Wall over CPU time of a short unit (0.33 ms): mean.";
    21 ShortStretchP90 "foretwin.probe.unit.short.stretch" "p90" "1" Duration, "Wall over CPU time of a short unit: 90th percentile.";
    22 ShortCpu "foretwin.probe.unit.short.cpu" "mean" "s" Duration, "CPU seconds of a work unit, in the short probe: mean.";
    30 LongStretch "foretwin.probe.unit.long.stretch" "mean" "1" Duration, "Wall over CPU time of a long unit (3.3 ms): mean.";
    31 LongCpu "foretwin.probe.unit.long.cpu" "mean" "s" Duration, "CPU seconds of a work unit, in the long probe: mean.";
    40 TouchP50 "foretwin.probe.memory.touch" "p50" "s" Duration, "One dependent load from 4 MiB: median.";
    41 TouchP90 "foretwin.probe.memory.touch" "p90" "s" Duration, "One dependent load from 4 MiB: 90th percentile.";
    50 FaultP50 "foretwin.probe.memory.fault" "p50" "s" Duration, "First touch of a fresh anonymous page: median.";
    51 FaultP90 "foretwin.probe.memory.fault" "p90" "s" Duration, "First touch of a fresh anonymous page: 90th percentile.";
    60 ReclaimP90 "foretwin.probe.memory.reclaim" "p90" "s" Duration, "Reclaim of one clean page of a file: 90th percentile.";
    61 RefaultP90 "foretwin.probe.memory.refault" "p90" "s" Duration, "Touch of a file's page that was reclaimed: 90th percentile.";
    70 WriteP50 "foretwin.probe.disk.write" "p50" "s" Duration, "Write of 4 KiB into the page cache: median.";
    71 WriteP90 "foretwin.probe.disk.write" "p90" "s" Duration, "Write of 4 KiB into the page cache: 90th percentile.";
    72 SyncP50 "foretwin.probe.disk.sync" "p50" "s" Duration, "Sync of 4 KiB: median.";
    73 SyncP90 "foretwin.probe.disk.sync" "p90" "s" Duration, "Sync of 4 KiB: 90th percentile.";
    80 TcpP50 "foretwin.probe.tcp.round_trip" "p50" "s" Duration, "Round trip of 64 bytes over loopback TCP: median.";
    81 TcpP90 "foretwin.probe.tcp.round_trip" "p90" "s" Duration, "Round trip of 64 bytes over loopback TCP: 90th percentile.";
    85 PeerP50 "foretwin.probe.peer.connect" "p50" "s" Duration, "TCP connection to a peer: median.";
    86 PeerP90 "foretwin.probe.peer.connect" "p90" "s" Duration, "TCP connection to a peer: 90th percentile.";
    87 PeerErrors "foretwin.probe.peer.errors" "" "{error}" Errors, "Connections to peers that failed in the period.";
    90 SojournP50 "foretwin.probe.request.sojourn" "p50" "s" Duration, "From queueing a request to its answer: median.";
    91 SojournP90 "foretwin.probe.request.sojourn" "p90" "s" Duration, "From queueing a request to its answer: 90th percentile.";
    100 ProbeCpu "foretwin.probe.cpu" "" "1" Command, "Cores that the probes' threads used.";
    101 ProbeRunDelay "foretwin.probe.run_delay" "" "1" Saturation, "Seconds per second that the probes' threads waited for a CPU.";
    102 ProbePreempted "foretwin.probe.context_switches.involuntary" "" "{switch}/s" Saturation, "Involuntary switches of the ticking thread.";
    103 ProbeMinorFaults "foretwin.probe.faults.minor" "" "{fault}/s" Rate, "Minor faults of the ticking thread.";
    104 ProbeMajorFaults "foretwin.probe.faults.major" "" "{fault}/s" Saturation, "Major faults of the ticking thread.";
}
replay {
    150 ReplayCpu "foretwin.replay.cpu" "" "1" Rate, "Cores that the replay's threads used.";
    151 ReplayRunDelay "foretwin.replay.run_delay" "" "1" Saturation, "Seconds per second that the replay's threads waited for a CPU.";
    152 ReplayPace "foretwin.replay.pace" "" "1" Command, "Share of the commanded load left after yielding to pressure and keeping the cap.";
    153 ReplayClock "foretwin.replay.clock" "" "s" Command, "The replay's own time: seconds since Monday 00:00 UTC of its week.";
    154 RequestSojournP50 "foretwin.replay.request.sojourn" "p50" "s" Duration, "From queueing a replayed request to its answer: median.";
    155 RequestSojournP90 "foretwin.replay.request.sojourn" "p90" "s" Duration, "From queueing a replayed request to its answer: 90th percentile.";
    156 ReplayBehind "foretwin.replay.behind" "" "s" Saturation, "Seconds that the slowest dimension is behind.";
    160 LeakedMemory "foretwin.fault.memory" "" "By" Command, "Bytes leaked on command.";
    161 LeakedDescriptors "foretwin.fault.descriptors" "" "{descriptor}" Command, "Descriptors leaked on command.";
    162 LeakedThreads "foretwin.fault.threads" "" "{thread}" Command, "Threads leaked on command.";
    163 LeakedDisk "foretwin.fault.disk" "" "By" Command, "Bytes left on disk on command.";
    164 Failed "foretwin.fault.failed" "" "1" Errors, "Which limit ended the runner: 1 memory, 2 descriptors, 3 threads, 4 disk; 0 while it lives.";
}
}

fn replay(what: &str, dimension: Dimension, role: Role) -> Metric {
    let unit = if what == "behind" { "s" } else { dimension.unit() };
    Metric::gauge(&format!("foretwin.replay.{what}"), unit, role)
        .stored(Storage::F64)
        .with("dimension", dimension.as_str())
}

/// The schema of a list of fields, in its order.
#[must_use]
pub fn schema(fields: impl Iterator<Item = Field>) -> Arc<Schema> {
    Schema::new(fields.map(Field::metric).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_number_and_a_series_of_its_own() {
        let all: Vec<Field> = Field::probes().chain(Field::replay()).collect();
        for field in &all {
            assert_eq!(Field::from_id(field.id()), Some(*field));
        }
        assert_eq!(schema(all.iter().copied()).width(), all.len());
        let mut ids: Vec<u16> = all.iter().map(|field| field.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all.len());
        assert_eq!(Field::from_id(9), None);
        assert_eq!(Field::from_id(u16::MAX), None);
    }

    #[test]
    fn commands_are_inputs_and_costs_are_scored() {
        assert!(!Field::Commanded(Dimension::Cpu).metric().is_scored());
        assert!(Field::WakeLagP90.metric().is_scored());
        assert_eq!(Field::WakeLagP90.metric().key(), "foretwin.probe.wake.lag{stat=p90}");
    }
}
