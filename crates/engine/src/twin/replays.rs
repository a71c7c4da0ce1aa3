//! Replays of instances for which one was asked: their profiles, and what each runner is told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use foretwin_core::{DAY_US, Dimension, Fidelity, InstanceId, Order, Profile, Replay, Timestamp, fnv64};
use foretwin_store::Query;
use foretwin_twin::capture::{Schedule, Shelf, Telemetry};
use foretwin_twin::fidelity::{Candidate, Plan};
use foretwin_twin::{Resources, Spec};

use crate::error::Chain;
use crate::handle::wall_clock;
use crate::pipeline::Pipeline;

/// A profile is made of so much history at most.
const HISTORY_US: i64 = 7 * DAY_US;
/// Points a series of that history: one a minute.
const POINTS: usize = 10_080;
/// A replay may take so much more than its share of the original's work before it is held back.
const ROOM: f64 = 1.5;

/// Where profiles lie below the data directory.
pub(super) const FOLDER: &str = "profiles";

/// Replays of this machine's instances.
pub(super) struct Replays {
    pipeline: Arc<Pipeline>,
    shelf: Shelf,
    schedule: Schedule,
    /// The pinned profile of each replay and when it began.
    running: BTreeMap<InstanceId, (Arc<Profile>, Timestamp)>,
    /// Whose profile is looked at next.
    turn: usize,
}

impl Replays {
    pub(super) fn new(pipeline: Arc<Pipeline>, data_dir: &Path) -> Self {
        let shelf = Shelf::new(&data_dir.join(FOLDER));
        Self { pipeline, shelf, schedule: Schedule::default(), running: BTreeMap::new(), turn: 0 }
    }

    /// Those for whom a replay was asked, with how much each needs one.
    pub(super) fn candidates(&self, asked: &BTreeMap<InstanceId, Fidelity>) -> Vec<Candidate> {
        let one = |(id, level): (&InstanceId, &Fidelity)| {
            let seen = self.pipeline.with(id, |watched| {
                let need = watched.score().unwrap_or(0.0).min(1.0).max(watched.within_the_hour());
                (watched.instance.criticality, need)
            });
            let (criticality, need) = seen.ok()?;
            let profile = self.shelf.latest(id).ok().flatten();
            let mean = |dimension| {
                let track = profile.as_ref()?.track(dimension)?;
                Some(f64::from(*track.quantiles.first()?.get(4)?))
            };
            Some(Candidate {
                instance: id.clone(),
                criticality,
                need,
                asked: Some(*level),
                cores: mean(Dimension::Cpu).unwrap_or(0.1),
                memory_bytes: mean(Dimension::WorkingSet).unwrap_or(64e6),
            })
        };
        asked.iter().filter_map(one).collect()
    }

    /// What runs of the plan: instances with a level above the model and a profile.
    pub(super) fn specs(&mut self, plan: &Plan, directory: &Path, parent: &str) -> Vec<Spec> {
        self.running.retain(|id, _| plan.assignments.contains_key(id));
        let mut specs = Vec::new();
        for (id, assignment) in plan.assignments.iter().filter(|(_, one)| one.level > Fidelity::Model) {
            let Some((profile, start)) = self.pinned(id) else { continue };
            let label = InstanceId::new(&format!("{id}~twin"));
            let order = Order {
                label: label.as_str().into(),
                seed: fnv64(label.as_str().as_bytes()),
                report_hz: assignment.report_hz,
                replay: Some(replay((profile, start), assignment.scale, directory)),
                ..Order::default()
            };
            specs.push(Spec {
                label,
                order,
                resources: Resources::default(),
                level: assignment.level,
                parent: parent.into(),
                paused: false,
                restarts: true,
            });
        }
        specs
    }

    /// The profile that is replayed, and since when. One that follows a leak proves nothing: it stays as it is while it is
    /// compared.
    fn pinned(&mut self, id: &InstanceId) -> Option<(Arc<Profile>, Timestamp)> {
        if !self.running.contains_key(id) {
            let pinned = self.shelf.pin(id).unwrap_or_else(|error| {
                tracing::warn!("twin: the profile of {id}: {}", Chain(&error));
                None
            });
            self.running.insert(id.clone(), (Arc::new(pinned?), wall_clock()));
        }
        self.running.get(id).cloned()
    }

    /// Makes the profile of one instance anew if that is due; each call looks at another one.
    pub(super) fn capture(&mut self) {
        let mut ids = Vec::new();
        self.pipeline.each(|watched| {
            if watched.instance.twin_of.is_none() && watched.vanished.is_none() {
                ids.push((watched.instance.id.clone(), watched.first()));
            }
        });
        if ids.is_empty() {
            return;
        }
        ids.sort();
        self.turn = (self.turn + 1) % ids.len();
        let (id, first) = &ids[self.turn];
        if let Err(error) = self.capture_one(id, *first) {
            tracing::warn!("twin: the profile of {id}: {}", Chain(&error));
        }
    }

    fn capture_one(&self, id: &InstanceId, first: Timestamp) -> Result<(), crate::Error> {
        let now = wall_clock();
        if !self.schedule.is_due(self.shelf.latest(id)?.as_ref(), first, now) {
            return Ok(());
        }
        let all = Query::new(id.clone(), now - HISTORY_US, now);
        let windows = self.pipeline.store.read(&Query { max_points: Some(POINTS), ..all })?;
        let windows: Vec<&foretwin_core::Window> = windows.iter().collect();
        let telemetry = Telemetry { instance: id, windows: &windows, requests: None };
        self.schedule.capture(&self.shelf, &telemetry)?;
        Ok(())
    }
}

/// A share of what a profile asks for, held back somewhat above it.
fn replay((profile, start): (Arc<Profile>, Timestamp), scale: f64, directory: &Path) -> Replay {
    let cores = profile.track(Dimension::Cpu).and_then(|track| track.quantiles.first()?.last().copied());
    Replay {
        start,
        scale: Replay::default().scale.map(|_| scale),
        cap_core: (f64::from(cores.unwrap_or(0.1)) * scale * ROOM).clamp(0.005, 1.0),
        directory: Some(directory.display().to_string()),
        profile,
        ..Replay::default()
    }
}
