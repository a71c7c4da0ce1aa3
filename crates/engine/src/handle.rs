//! The typed handle of a node: every question that HTTP, the command line or a test can ask.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foretwin_core::{
    Diagnosis, Failure, InstanceId, Maintenance, Metric, Prediction, Record, Risk, Scenario, Timestamp,
    WhatIf,
};

use foretwin_foresee::Question;

use crate::Error;
use crate::alerts::Alerts;
use crate::events::Listener;
use crate::ingest::Ingest;
use crate::outputs::HORIZONS;
use crate::pipeline::Pipeline;
use crate::receive::Gateway;
use crate::reports::Reports;
use crate::shard::Watched;
use crate::twin::Wishes;
use crate::view::{InstanceView, Readiness, TopRisk, WindowQuery, WindowView};

/// The horizon of what is shown at a glance.
const GLANCE_S: f64 = 3600.0;
/// Silence of everything after which a node that collects is not ready.
const SILENT_S: f64 = 30.0;
/// How long a request waits for the log to acknowledge.
const ACKNOWLEDGE: Duration = Duration::from_secs(10);

/// A shared way to ask a node.
#[derive(Clone)]
pub struct Handle {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) reports: Arc<Reports>,
    pub(crate) wishes: Arc<Wishes>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) notifier: foretwin_notify::Notifier,
    /// Whether this node collects, and so waits for its own telemetry before it is ready.
    pub(crate) collects: bool,
}

impl Handle {
    /// The wall clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        wall_clock()
    }

    /// Whether the node can be used.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let (mut instances, mut scored, mut framed) = (0, 0, 0);
        let mut newest = Timestamp::default();
        self.pipeline.each(|watched| {
            if watched.vanished.is_none() {
                instances += 1;
                framed += usize::from(!watched.feeds.is_empty());
                scored += usize::from(watched.score().is_some());
                newest = newest.max(watched.last());
            }
        });
        let mut waiting_for = Vec::new();
        if self.collects && framed == 0 {
            waiting_for.push("the first telemetry of this machine".into());
        }
        if self.collects && framed > 0 && scored == 0 {
            let frames = self.pipeline.config.training.first_frames;
            waiting_for.push(format!("the first provisional model, after {frames} frames"));
        }
        let silent_s = self.now().since(newest);
        if self.collects && framed > 0 && silent_s > SILENT_S {
            waiting_for.push(format!("telemetry: the newest frame is {silent_s:.0} s old"));
        }
        Readiness { ready: waiting_for.is_empty(), waiting_for, instances, scored }
    }

    /// All instances, those that vanished last.
    #[must_use]
    pub fn instances(&self) -> Vec<InstanceView> {
        let mut views = Vec::new();
        self.pipeline.each(|watched| views.push(self.view(watched)));
        views.sort_by(|a, b| (!a.alive, &a.instance.id).cmp(&(!b.alive, &b.instance.id)));
        views
    }

    /// Who there is, in no order.
    #[must_use]
    pub fn instance_ids(&self) -> Vec<InstanceId> {
        let mut ids = Vec::new();
        self.pipeline.each(|watched| ids.push(watched.instance.id.clone()));
        ids
    }

    /// One instance.
    ///
    /// # Errors
    /// If nobody knows it.
    pub fn instance(&self, id: &InstanceId) -> Result<InstanceView, Error> {
        self.pipeline.with(id, |watched| self.view(watched))
    }

    fn view(&self, watched: &Watched) -> InstanceView {
        let judgement = watched.judgement();
        let alive = watched.vanished.is_none();
        let silent_s = self.now().since(watched.last()).max(0.0);
        let risks: &[Risk] = if alive { &watched.risks } else { &[] };
        let top = risks.iter().map(|risk| (risk.at(GLANCE_S), risk)).max_by(|a, b| a.0.total_cmp(&b.0));
        InstanceView {
            instance: watched.instance.clone(),
            first_seen_us: watched.first(),
            last_seen_us: watched.last(),
            silent_s,
            alive,
            metrics: watched.current().map(|feed| feed.schema.width()).sum(),
            score: judgement.as_ref().map(|judged| judged.score.0),
            judgement,
            learning: watched.learning(&self.pipeline.config.training),
            failure_probability: if alive { watched.within_the_hour() } else { 0.0 },
            top_risk: top.filter(|(probability, _)| *probability > 1e-3).map(|(probability, risk)| TopRisk {
                mode: risk.mode,
                metric: risk.metric.clone(),
                probability,
                p50_s: risk.time_to_failure.p50,
            }),
        }
    }

    /// Every series of an instance, Foretwin's own outputs last.
    ///
    /// # Errors
    /// If nobody knows the instance.
    pub fn metrics(&self, id: &InstanceId) -> Result<Vec<Metric>, Error> {
        self.pipeline.known(id)?;
        let watched = self.pipeline.with(id, |watched| -> Vec<Metric> {
            let own = watched.current().flat_map(|feed| feed.schema.metrics());
            own.chain(crate::outputs::schema().metrics()).cloned().collect()
        });
        let stored = || {
            let schemas = self.pipeline.store.schemas(id);
            schemas.iter().flat_map(|schema| schema.metrics().to_vec()).collect()
        };
        Ok(watched.ok().filter(|metrics| metrics.len() > HORIZONS.len() + 1).unwrap_or_else(stored))
    }

    /// Series over a span of time, with expectation and scale.
    ///
    /// # Errors
    /// If nobody knows the instance, or its history cannot be read.
    pub fn window(&self, query: &WindowQuery) -> Result<WindowView, Error> {
        self.pipeline.window(query)
    }

    /// What may run out, as assessed now, likeliest first.
    ///
    /// # Errors
    /// If nobody knows the instance.
    pub fn risks(&self, id: &InstanceId) -> Result<Vec<Risk>, Error> {
        self.pipeline.with(id, |watched| watched.spoken(&self.pipeline, &self.pipeline.config.foresee).0)
    }

    /// Where its trouble comes from: itself, what it runs on, or what runs on it.
    ///
    /// # Errors
    /// If nobody watches the instance, or its history cannot be read.
    pub fn diagnosis(&self, id: &InstanceId) -> Result<Diagnosis, Error> {
        self.pipeline.diagnosis(id)
    }

    /// What will fail, when, why, and what to do.
    ///
    /// # Errors
    /// If nobody knows the instance.
    pub fn predict(&self, id: &InstanceId, horizon_s: f64) -> Result<Prediction, Error> {
        let mut prediction = predict(&self.pipeline, id, horizon_s)?;
        crate::whatif::sharpen(&self.pipeline, &mut prediction);
        Ok(prediction)
    }

    /// Whether the probabilities stored since `from` came true, by horizon; of one instance or of all.
    ///
    /// # Errors
    /// If nobody knows the instance, or history cannot be read.
    pub fn reliability(
        &self,
        only: Option<&InstanceId>,
        from: Timestamp,
    ) -> Result<Vec<foretwin_foresee::Reliability>, Error> {
        crate::reliability::reliability(&self.pipeline, only, from)
    }

    /// What scenarios would change, side by side.
    ///
    /// # Errors
    /// If nobody knows the instance or a host that is asked about, or history cannot be read.
    pub fn what_if(&self, id: &InstanceId, horizon_s: f64, scenarios: &[Scenario]) -> Result<WhatIf, Error> {
        crate::whatif::what_if(&self.pipeline, id, horizon_s, scenarios)
    }

    /// Takes records from elsewhere; returns once they are durable.
    ///
    /// # Errors
    /// If the log is busy or refuses, or a batch uses a schema that nobody announced. Nothing is taken then.
    pub fn ingest(&self, records: Vec<Record>) -> Result<(), Error> {
        self.ingest.accept(&self.pipeline, records, ACKNOWLEDGE)
    }

    /// Records planned work: what happens during it is not learned.
    ///
    /// # Errors
    /// If the instance is unknown, the span is empty, or the log takes nothing.
    pub fn record_maintenance(&self, work: Maintenance) -> Result<(), Error> {
        self.pipeline.known(&work.instance)?;
        if work.to <= work.from {
            return Err(Error::Refused("maintenance ends before it begins".into()));
        }
        self.ingest.accept(&self.pipeline, vec![Record::Maintenance(work)], ACKNOWLEDGE)
    }

    /// Records a failure that happened.
    ///
    /// # Errors
    /// If nobody knows the instance, or the log refuses.
    pub fn record_failure(&self, failure: Failure) -> Result<(), Error> {
        self.pipeline.known(&failure.instance)?;
        self.ingest.accept(&self.pipeline, vec![Record::Failure(failure)], ACKNOWLEDGE)
    }

    /// Hands every live event to a listener until it says no.
    pub fn subscribe(&self, listener: Listener) {
        self.pipeline.events.subscribe(listener);
    }

    /// The node's counters and its latest verdicts as Prometheus text.
    #[must_use]
    pub fn exposition(&self) -> String {
        crate::exposition::text(self)
    }
}

/// The answer of [`Handle::predict`], for whoever has a pipeline.
pub(crate) fn predict(pipeline: &Pipeline, id: &InstanceId, horizon_s: f64) -> Result<Prediction, Error> {
    let config = pipeline.config.foresee.clone().with_horizon(horizon_s);
    let mut prediction = pipeline.with(id, |watched| {
        let at = watched.last();
        let (risks, learned) = watched.spoken(pipeline, &config);
        let question = Question {
            instance: id.clone(),
            at,
            horizon_s,
            risks,
            anomaly: watched.judgement(),
            learning: watched.learning(&pipeline.config.training),
        };
        let mut prediction = foretwin_foresee::predict(question, &config);
        if let Some((blended, calibration)) = learned {
            prediction.failure_probability = blended.at(horizon_s);
            for stated in &mut prediction.probabilities {
                stated.probability = blended.at(stated.horizon_s);
            }
            prediction.calibration = Some(calibration);
        }
        prediction
    })?;
    let anomalous = prediction.anomaly.as_ref().is_some_and(|judged| judged.score.0 > 1.0);
    if anomalous || !prediction.root_causes.is_empty() {
        let diagnosis = pipeline.diagnosis(id)?;
        prediction.root_causes = foretwin_foresee::explained(prediction.root_causes, &diagnosis.causes);
        prediction.recommended_actions.extend(foretwin_foresee::advice(id, &prediction.root_causes));
    }
    let known = pipeline.with(id, |watched| watched.instance.clone())?;
    prediction.contrast = pipeline.contrasts.contrast(&known);
    Ok(prediction)
}

/// The time of day, in µs since the epoch.
pub(crate) fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_micros() as i64)
}
