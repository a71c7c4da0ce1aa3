//! The thread that looks for what somebody should be told, once a second; and the one that learns from failures.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foretwin_core::{Contrast, Failure, FailureMode, Instance, InstanceId, Quantiles, Record, Timestamp};
use foretwin_foresee::combine;
use foretwin_foresee::policy::{Chance, Change, Explanation, Signal};

use super::Alerts;
use crate::Error;
use crate::error::Chain;
use crate::handle::{Handle, predict, wall_clock};
use crate::lessons;
use crate::node::guarded;
use crate::outputs::HORIZONS;
use crate::pipeline::Pipeline;
use crate::shard::Watched;
use crate::threads::{Threads, lower_priority, pause};

const LOOK: Duration = Duration::from_secs(1);
/// Horizon of the reasons that are given.
const REASONS_S: f64 = 3600.0;
/// Instances whose reasons are asked for in one look.
const REASONS_A_LOOK: usize = 20;
/// What was learned of failures is learned again after so long, and no sooner than so long after a failure was told.
const LEARN: Duration = Duration::from_secs(6 * 3600);
const LEARN_SOON: Duration = Duration::from_secs(30);
/// A probability at the longest horizon below which nothing needs to be said of an instance that nothing was said of.
const QUIET: f64 = 0.05;

/// Starts both threads.
pub(crate) fn start(threads: &mut Threads, handle: Handle) -> Result<(), Error> {
    let told = Arc::new(AtomicU64::new(0));
    start_learning(threads, &handle, told.clone())?;
    let stop = threads.stop.clone();
    threads.start("sentinel", move || {
        let pipeline = handle.pipeline.clone();
        let mut sentinel = Sentinel::new(pipeline.clone(), handle.alerts.clone());
        while pause(&stop, LOOK) {
            guarded(&pipeline, "alerting", || {
                sentinel.look(wall_clock(), &mut |records| handle.ingest(records));
            });
            told.store(sentinel.failures() as u64, Ordering::Relaxed);
        }
    })
}

/// Learns from failures when new ones were told, and from time to time.
fn start_learning(threads: &mut Threads, handle: &Handle, told: Arc<AtomicU64>) -> Result<(), Error> {
    let (stop, pipeline) = (threads.stop.clone(), handle.pipeline.clone());
    threads.start("lessons", move || {
        lower_priority();
        let (mut learned, mut known) = (Instant::now(), 0);
        while pause(&stop, LOOK) {
            let news = told.load(Ordering::Relaxed) != known && learned.elapsed() >= LEARN_SOON;
            if news || (known > 0 && learned.elapsed() >= LEARN) {
                known = told.load(Ordering::Relaxed);
                guarded(&pipeline, "learning from failures", || {
                    lessons::learn(&pipeline, wall_clock(), &stop);
                });
                learned = Instant::now();
            }
        }
    })
}

/// Looks at a pipeline once a second, live by the wall clock, in a replay by that of the recording.
pub(crate) struct Sentinel {
    pipeline: Arc<Pipeline>,
    alerts: Arc<Alerts>,
    /// When what is said of an instance was last looked at.
    seen: HashMap<InstanceId, Timestamp>,
    /// Who was gone at the last look: that it failed may be recorded by now.
    gone: Vec<(InstanceId, Timestamp)>,
    /// Failures that alerts were joined with.
    joined: HashSet<(InstanceId, Timestamp)>,
    /// How many failures were known at the last look.
    told: usize,
}

/// Takes failures that telemetry showed into the log.
type Ingest<'a> = &'a mut dyn FnMut(Vec<Record>) -> Result<(), Error>;

/// What is said of an instance, copied so that nobody waits.
struct Said {
    instance: Instance,
    at: Timestamp,
    chances: Vec<Chance>,
    anomaly: Option<f64>,
    contrast: Option<Contrast>,
}

impl Sentinel {
    pub(crate) fn new(pipeline: Arc<Pipeline>, alerts: Arc<Alerts>) -> Self {
        let (seen, gone, joined) = (HashMap::new(), Vec::new(), HashSet::new());
        Self { pipeline, alerts, seen, gone, joined, told: 0 }
    }

    /// How many failures were known at the last look, for whoever learns from them.
    pub(crate) fn failures(&self) -> usize {
        self.told
    }

    /// One look; what changed in the alerts by it.
    pub(crate) fn look(&mut self, now: Timestamp, ingest: Ingest<'_>) -> Vec<Change> {
        self.record(ingest);
        self.join();
        let (alerts, pipeline) = (self.alerts.clone(), self.pipeline.clone());
        alerts.lock().policy.plan(pipeline.store.maintenance());
        let known = alerts.lock().policy.suspects();
        let (said, gone) = self.listen(&known);
        let gone = std::mem::replace(&mut self.gone, gone);
        let mut wanted = Vec::new();
        {
            let mut inner = alerts.lock();
            for (id, at) in gone {
                inner.policy.vanish(&id, at);
            }
            for Said { instance, at, chances, anomaly, contrast } in &said {
                let verdict = contrast.as_ref().map(|contrast| &contrast.verdict);
                let signal = Signal { instance, at: *at, chances, anomaly: *anomaly, verdict };
                if inner.policy.observe(&signal) {
                    wanted.push(instance.id.clone());
                }
            }
        }
        // Whoever is left waits for the next look: where so much goes wrong, seconds of reasoning help nobody.
        for id in wanted.iter().take(REASONS_A_LOOK) {
            self.explain(&alerts, id);
        }
        alerts.settle(&pipeline, now)
    }

    /// Records failures that telemetry showed.
    fn record(&self, ingest: Ingest<'_>) {
        let pipeline = &self.pipeline;
        let known = pipeline.store.failures();
        let work = pipeline.store.maintenance();
        let planned = |failure: &Failure| {
            let during = |from: Timestamp, to: Timestamp| (from..to).contains(&failure.at);
            work.iter().any(|one| one.instance == failure.instance && during(one.from, one.to))
        };
        let found = pipeline.detected.take(&known).into_iter().filter(|failure| !planned(failure));
        let records: Vec<Record> = found
            .map(|failure| {
                tracing::info!("{} failed, {}: {}", failure.instance, failure.mode, failure.note);
                Record::Failure(failure)
            })
            .collect();
        if records.is_empty() {
            return;
        }
        if let Err(error) = ingest(records) {
            tracing::warn!("detected failures are not recorded: {}", Chain(&error));
        }
    }

    /// Joins alerts with failures that were recorded since the last look, whoever recorded them.
    fn join(&mut self) {
        let failures = self.pipeline.store.failures();
        self.told = failures.len();
        let joined = &mut self.joined;
        let fresh = failures.into_iter().filter(|one| joined.insert((one.instance.clone(), one.at)));
        let fresh: Vec<Failure> = fresh.collect();
        if !fresh.is_empty() {
            self.alerts.fail(&fresh);
        }
    }

    /// What was newly said of instances, and who of those that are `known` is gone. Nothing needs to be said of the calm.
    fn listen(&mut self, known: &HashSet<InstanceId>) -> (Vec<Said>, Vec<(InstanceId, Timestamp)>) {
        let (mut said, mut gone) = (Vec::new(), Vec::new());
        let pipeline = &self.pipeline;
        let troubled = pipeline.contrasts.troubled().into_iter().map(|one| (one.instance.clone(), one));
        let mut troubled: HashMap<InstanceId, Contrast> = troubled.collect();
        let seen = &mut self.seen;
        pipeline.each(|watched| {
            let id = &watched.instance.id;
            if watched.instance.twin_of.is_some() {
                return;
            }
            if let Some(at) = watched.vanished {
                gone.extend(known.contains(id).then(|| (id.clone(), at)));
                seen.remove(id);
                return;
            }
            // Of those that are known, it matters that they are well again.
            let well =
                || known.contains(id).then(|| pipeline.contrasts.contrast(&watched.instance)).flatten();
            let contrast = troubled.remove(id).or_else(well);
            let anomalous = watched.score().is_some_and(|score| score > 1.0);
            let speaks = watched.probabilities[HORIZONS.len() - 1] >= QUIET || contrast.is_some();
            if !(speaks || anomalous || known.contains(id)) {
                seen.remove(id);
            } else if seen.insert(id.clone(), watched.assessed) != Some(watched.assessed) {
                said.push(statement(watched, contrast));
            }
        });
        (said, gone)
    }

    /// Asks why something is said of an instance, and what to do.
    fn explain(&self, alerts: &Alerts, id: &InstanceId) {
        let pipeline = &self.pipeline;
        let Ok(mut prediction) = predict(pipeline, id, REASONS_S) else { return };
        crate::whatif::sharpen(pipeline, &mut prediction);
        let mut why = Explanation { causes: prediction.root_causes, actions: prediction.recommended_actions };
        if let (Some(first), Some(contrast)) = (why.causes.first_mut(), prediction.contrast) {
            first.evidence.extend(contrast.verdict.evidence.into_iter().take(3));
        }
        alerts.lock().policy.explain(id, why);
    }
}

/// What is said of an instance now.
fn statement(watched: &Watched, contrast: Option<Contrast>) -> Said {
    let mut chances = Chance::of(&watched.risks);
    let support = watched.calibration.as_ref().map_or(&[][..], |calibration| &calibration.confidence);
    if let Some(confidence) = support.iter().map(|(_, confidence)| *confidence).reduce(f64::max) {
        chances.iter_mut().for_each(|chance| chance.confidence = chance.confidence.max(confidence));
    }
    // What recorded failures taught beyond all risks that have a name.
    let beyond = |(index, &(_, horizon_s)): (usize, &(&str, f64))| {
        let named = 1.0 - combine(&watched.risks, horizon_s);
        let unnamed = 1.0 - (1.0 - watched.probabilities[index]) / named.max(1e-9);
        (horizon_s, unnamed.clamp(0.0, 1.0))
    };
    if watched.calibration.is_some() {
        let within = HORIZONS.iter().enumerate().map(beyond).collect();
        let (mode, time_to_failure) = (FailureMode::Crash, Quantiles::default());
        let confidence = support.first().map_or(0.0, |(_, confidence)| *confidence);
        chances.push(Chance { mode, within, time_to_failure, confidence });
    }
    let (instance, at) = (watched.instance.clone(), watched.assessed);
    Said { instance, at, chances, anomaly: watched.score(), contrast }
}
