//! A recorded campaign: seconds of production, counters, neighbours and twin, and the truth.

use std::path::Path;

use anyhow::{Context, Result};
use foretwin_core::probe::Field;
use foretwin_core::{InstanceId, Timestamp};
use foretwin_foresee::contrast::{COSTS, Kernel, Neighbour, Production, Second, TWIN};
use foretwin_wire::frame::{Frame, Reader};

use super::csv::Csv;

/// The instance that is judged.
pub const ORIGINAL: &str = "foretwin-contrast/pod/original";
/// Groups beside it, and whether they share its quota.
const NEIGHBOURS: [(&str, bool); 5] =
    [("pod/sidecar", true), ("batch", false), ("cpu-hog", false), ("disk-hog", false), ("memory-hog", false)];
/// Memory of the lab host.
const HOST_BYTES: f64 = (1u64 << 30) as f64;
/// A frame is of this second if it is at most so old.
const FRAME_AGE_S: f64 = 1.6;

/// A fault as it really was.
#[derive(Debug, Clone)]
pub struct Truth {
    /// The lab's name of it.
    pub kind: String,
    /// 0 to 1.
    pub strength: f64,
    /// Begin and end, seconds since the epoch.
    pub begin: f64,
    pub end: f64,
    /// Who used what the original lacked; empty where nobody did.
    pub consumer: String,
}

/// Everything that was recorded.
pub struct Recording {
    pub seconds: Vec<Second>,
    pub frames: Vec<Frame>,
    pub truth: Vec<Truth>,
}

impl Recording {
    /// Reads a directory.
    pub fn read(dir: &Path) -> Result<Self> {
        let csv = Csv::read(&dir.join("seconds.csv"))?;
        let frames = frames(&dir.join("frames.bin"))?;
        let mut seconds: Vec<Second> = (1..csv.rows.len()).map(|row| second(&csv, row)).collect();
        add_twin(&mut seconds, &frames);
        let truth = Csv::read(&dir.join("truth.csv"))?;
        let faults = (0..truth.rows.len()).map(|row| Truth {
            kind: truth.text(row, "kind").to_owned(),
            strength: truth.number(row, "strength"),
            begin: truth.number(row, "begin"),
            end: truth.number(row, "end"),
            consumer: truth.text(row, "consumer").to_owned(),
        });
        Ok(Self { seconds, frames, truth: faults.collect() })
    }

    /// When the first fault began, or the end of the recording.
    pub fn healthy_until(&self) -> f64 {
        let last = self.seconds.last().map_or(0.0, |second| second.at.seconds());
        self.truth.first().map_or(last, |fault| fault.begin)
    }
}

fn frames(path: &Path) -> Result<Vec<Frame>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::default();
    reader.push(&std::fs::read(path).with_context(|| format!("reading {}", path.display()))?);
    Ok(reader.collect())
}

fn second(csv: &Csv, row: usize) -> Second {
    Second {
        at: Timestamp::from_seconds(csv.number(row, "t")),
        production: production(csv, row),
        kernel: kernel(csv, row),
        neighbours: NEIGHBOURS.map(|(name, inside)| neighbour(csv, row, (name, inside))).to_vec(),
        twin: None,
        twin_score: f64::NAN,
    }
}

fn production(csv: &Csv, row: usize) -> Production {
    let own = |column: &str| csv.rate(row, &format!("pod/original|{column}"));
    let requests = csv.number(row, "original|requests");
    let errors = csv.number(row, "original|errors");
    Production {
        rate: requests,
        errors: errors / (requests + errors).max(1.0),
        latency_p50_s: csv.number(row, "original|p50_s"),
        latency_p90_s: csv.number(row, "original|p90_s"),
        cpu: own("cpu_us") * 1e-6,
        memory: csv.number(row, "pod/original|unreclaimable"),
        io: own("read_bytes") + own("written_bytes"),
        throttled: own("throttled_us") * 1e-6,
    }
}

fn kernel(csv: &Csv, row: usize) -> Kernel {
    let rate = |column: &str| csv.rate(row, column);
    let own = |column: &str| csv.rate(row, &format!("pod/original|{column}"));
    Kernel {
        parent_throttled: rate("pod|throttled_us") * 1e-6,
        parent_cpu: rate("pod|cpu_us") * 1e-6,
        parent_capacity: f64::NAN,
        cpu_stall: own("cpu_some_us") * 1e-6,
        memory_stall: own("memory_some_us") * 1e-6,
        io_stall: own("io_some_us") * 1e-6,
        run_delay: rate("machine|original_run_delay_ns") * 1e-9,
        refaults: own("refaults") + own("major_faults"),
        steal: rate("machine|own_cpu_steal_ticks") * 1e-2,
        memory_full: csv.number(row, "|unreclaimable") / HOST_BYTES,
    }
}

fn neighbour(csv: &Csv, row: usize, (name, inside): (&str, bool)) -> Neighbour {
    let rate = |column: &str| csv.rate(row, &format!("{name}|{column}"));
    Neighbour {
        id: InstanceId::new(&format!("foretwin-contrast/{name}")),
        cpu: rate("cpu_us") * 1e-6,
        io: rate("read_bytes") + rate("written_bytes"),
        io_stall: rate("io_some_us") * 1e-6,
        memory: csv.number(row, &format!("{name}|unreclaimable")),
        inside,
    }
}

/// The fields that the contrast looks at.
fn fields() -> [Option<Field>; COSTS] {
    TWIN.map(|(key, _)| Field::probes().find(|field| field.metric().key() == key))
}

/// Puts the latest frame into each second.
fn add_twin(seconds: &mut [Second], frames: &[Frame]) {
    let fields = fields();
    for second in seconds {
        let Some(frame) = frame_at(frames, second.at) else { continue };
        second.twin = Some(fields.map(|field| field.map_or(f64::NAN, |field| frame.get(field))));
    }
}

/// The latest frame of a moment.
pub fn frame_at(frames: &[Frame], at: Timestamp) -> Option<&Frame> {
    let after = frames.partition_point(|frame| frame.wall <= at);
    let frame = frames.get(after.checked_sub(1)?)?;
    (at.since(frame.wall) <= FRAME_AGE_S).then_some(frame)
}
