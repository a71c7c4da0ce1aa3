//! What is told of twins, as machines read it.

use foretwin_core::{Contrast, Fidelity, InstanceId, Profile, Risk, Timestamp};
use serde::Serialize;

use super::verify::Foreseen;
use crate::view::DriftView;

/// A substrate and whether it can be had here.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LevelView {
    /// Which.
    pub level: Fidelity,
    /// Whether twins can run in it.
    pub available: bool,
    /// Why not, with the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a twin does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TwinState {
    /// It was started and has not reported yet.
    Starting,
    /// It reports.
    Running,
    /// It is stopped where it stands.
    Paused,
    /// It is started again soon.
    Waiting,
    /// It has ended for good.
    Ended,
}

/// One runner of this machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TwinStatus {
    /// The instance that it reports as.
    pub twin: InstanceId,
    /// What it shall run in.
    pub wanted: Fidelity,
    /// What it runs in.
    pub achieved: Fidelity,
    /// Why that is less than wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<String>,
    /// What it does.
    pub state: TwinState,
    /// More on that, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What confines it.
    pub confinement: String,
    /// Its outermost process.
    pub pid: Option<u32>,
    /// How often it was started again after it had ended by itself.
    pub restarts: u64,
    /// Frames that arrived, and frames that did not.
    pub frames: u64,
    /// See above.
    pub frames_lost: u64,
}

/// The twins of this machine, and every contrast.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TwinsView {
    /// Whether this node keeps twins of its own machine.
    pub enabled: bool,
    /// What twins can run in here.
    pub levels: Vec<LevelView>,
    /// The runners of this machine.
    pub runners: Vec<TwinStatus>,
    /// What was decided lately, and why; newest last.
    pub decisions: Vec<String>,
    /// The latest contrast of every instance that is compared.
    pub contrasts: Vec<Contrast>,
}

/// One instance and its twin.
#[derive(Debug, Clone, Serialize)]
pub struct TwinView {
    /// Whose twin; in JSON the contrast says it, and a name stands there once.
    #[serde(skip)]
    pub instance: InstanceId,
    /// The instance that reports the probes of its host; none where no twin runs.
    pub probes: Option<InstanceId>,
    /// What those run in; in JSON the contrast says it.
    #[serde(skip)]
    pub fidelity: Option<Fidelity>,
    /// Its replay, where one was asked for.
    pub replay: Option<TwinStatus>,
    /// The profile that is replayed: version and span.
    pub profile: Option<ProfileHead>,
    /// How far production is from where its models saw it.
    pub drift: Vec<DriftView>,
    /// The same of the twin.
    pub twin_drift: Vec<DriftView>,
    /// Latest anomaly score of production, and of the twin.
    pub score: Option<f64>,
    /// See above.
    pub twin_score: Option<f64>,
    /// When latency will break if the twin goes on drifting as it does.
    pub ahead: Option<Risk>,
    /// Where the trouble is: with the twin, and from counters alone.
    #[serde(flatten)]
    pub contrast: Contrast,
}

/// A profile without its numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProfileHead {
    /// Which.
    pub version: u64,
    /// When it was made.
    pub made_us: Timestamp,
    /// Rows of demand it was made of, and seconds between two.
    pub rows: u64,
    /// See above.
    pub step_s: f64,
    /// Whether it stays while it is compared.
    pub pinned: bool,
}

impl ProfileHead {
    pub(super) fn of(profile: &Profile, pinned: bool) -> Self {
        Self {
            version: profile.version,
            made_us: profile.made,
            rows: profile.rows,
            step_s: f64::from(profile.step_s),
            pinned,
        }
    }
}

impl RehearsalView {
    /// One that was asked for just now.
    pub(super) fn asked(id: u64, instance: &InstanceId, (ahead_s, speed): (f64, f64)) -> Self {
        Self {
            id,
            instance: instance.clone(),
            asked_us: super::keeper::now(),
            ahead_s,
            speed,
            progress: 0.0,
            done: false,
            cancelled: false,
            fidelity: None,
            mode: None,
            after_s: None,
            resolution_s: None,
            message: "it begins".into(),
            scenario: None,
            foreseen: None,
            verified: None,
            comparable: Vec::new(),
            not_comparable: Vec::new(),
        }
    }
}

/// A rehearsal that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RehearsalView {
    /// Its number.
    pub id: u64,
    /// Whose future.
    pub instance: InstanceId,
    /// When it was asked for.
    pub asked_us: Timestamp,
    /// Seconds of real time ahead.
    pub ahead_s: f64,
    /// Times faster than real time.
    pub speed: f64,
    /// 0 to 1.
    pub progress: f64,
    /// Whether it is over.
    pub done: bool,
    /// Whether it was ended on demand.
    pub cancelled: bool,
    /// What it ran in.
    pub fidelity: Option<Fidelity>,
    /// How it first broke; none while it runs, or if nothing broke.
    pub mode: Option<foretwin_core::FailureMode>,
    /// Seconds of real time from the start until then.
    pub after_s: Option<f64>,
    /// By how much that can be off for the spacing of reports alone.
    pub resolution_s: Option<f64>,
    /// What was seen, or why there is nothing to see.
    pub message: String,
    /// The scenario that is verified, in words; none where what is forecast is rehearsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    #[serde(skip)]
    pub(crate) foreseen: Option<Foreseen>,
    /// What it says of what was foreseen of the scenario, once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
    /// What the rehearsal does like the original.
    pub comparable: Vec<String>,
    /// What it does not, and why.
    pub not_comparable: Vec<String>,
}
