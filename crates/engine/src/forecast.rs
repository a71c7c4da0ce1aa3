//! Forecasts of every metric of an instance: the band that four of five values fall into, and which way of expecting
//! them is used at which distance, with what it beat on held-out data.

use std::collections::BTreeMap;
use std::sync::Arc;

use foretwin_core::{InstanceId, Kind, Metric, Phase, Schema, Timestamp, Window};
use foretwin_learn::{Band, Candidate, Duty, Method, Model, Outlook, Recent, State, Tried};
use foretwin_store::Query;
use serde::Serialize;

use crate::Error;
use crate::handle::Handle;
use crate::minutes::ROW_US;
use crate::pipeline::Pipeline;
use crate::registry::{Line, ModelEntry, OutlookEntry};

/// Frames that a near forecast looks at, at least: what the closed loop's fallbacks need.
const LEAST_FRAMES: f64 = 120.0;

/// Which forecasts are asked for.
#[derive(Debug, Clone)]
pub struct ForecastQuery {
    /// Of whom.
    pub instance: InstanceId,
    /// Keys of the series; empty: all.
    pub metrics: Vec<String>,
    /// How far ahead, in seconds.
    pub horizon_s: f64,
    /// Moments of a path, evenly spaced up to the horizon.
    pub points: usize,
}

/// Forecasts of an instance.
#[derive(Debug, Clone, Serialize)]
pub struct ForecastView {
    /// Of whom.
    pub instance: InstanceId,
    /// How far ahead it was asked for.
    pub horizon_s: f64,
    /// What the forecasts are made by, one for each list of metrics that the instance sends.
    pub by: Vec<OutlookView>,
    /// The forecasts. Limits and metrics that nothing is expected of are left out.
    pub metrics: Vec<MetricForecast>,
}

/// What forecasts are made by.
#[derive(Debug, Clone, Serialize)]
pub struct OutlookView {
    /// The schema's id, in hexadecimal digits.
    pub schema: String,
    /// Version of the model at work; 0 while there is none.
    pub model_version: u64,
    /// Forecasts of a provisional model are provisional.
    pub phase: Phase,
    /// The newest frame: forecasts are made from it.
    pub now_us: Timestamp,
    /// End of the data that the forecaster learned from; none while there is only the model.
    pub learned_at: Option<Timestamp>,
    /// Seconds of history that it learned from.
    pub history_s: Option<f64>,
    /// Periods that were found, in seconds.
    pub periods_s: Vec<f64>,
    /// How far ahead there are forecasts, in seconds.
    pub reach_s: f64,
    /// The same in words.
    pub message: String,
}

/// The forecast of one metric.
#[derive(Debug, Clone, Serialize)]
pub struct MetricForecast {
    /// Its key.
    pub metric: String,
    /// Unit; for counters per second.
    pub unit: String,
    /// The schema's id, in hexadecimal digits.
    pub schema: String,
    /// It is expected to stay as it is: it never moved while learning, or is set by somebody.
    pub held: bool,
    /// The path.
    #[serde(flatten)]
    pub path: PathView,
    /// Which way is used at which distance, up to the horizon.
    pub choices: Vec<ChoiceView>,
}

/// Quantiles over time; null where nothing is expected.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PathView {
    /// Times, µs since the epoch.
    pub at_us: Vec<i64>,
    /// One value in twenty lies below: with `p95` the band of 90 %.
    pub p05: Vec<f64>,
    /// One in ten.
    pub p10: Vec<f64>,
    /// One in two.
    pub p50: Vec<f64>,
    /// Nine in ten.
    pub p90: Vec<f64>,
    /// Nineteen in twenty.
    pub p95: Vec<f64>,
    /// How many independent errors of late the band rests on, where it rests on any: with less than a few it is a guess.
    pub independent: Vec<f64>,
}

/// The way that a metric is expected at a distance.
#[derive(Debug, Clone, Serialize)]
pub struct ChoiceView {
    /// Seconds ahead.
    pub lead_s: f64,
    /// Seconds that one value is the mean of.
    pub step_s: f64,
    /// The way and its held-out error.
    #[serde(flatten)]
    pub chosen: CandidateView,
    /// The ways that it beat.
    pub beaten: Vec<CandidateView>,
}

/// A way of expecting a metric, with held-out errors in standard deviations of the metric.
#[derive(Debug, Clone, Serialize)]
pub struct CandidateView {
    /// Which.
    pub method: Method,
    /// Mean absolute error, by which direct ways are chosen; null where only the other was measured.
    pub mae: Option<f64>,
    /// Root mean square error.
    pub rms: f64,
}

/// Which ways a forecaster uses at one distance, over all metrics.
#[derive(Debug, Clone, Serialize)]
pub struct LeadView {
    /// Seconds ahead.
    pub lead_s: f64,
    /// Seconds that one value is the mean of.
    pub step_s: f64,
    /// Names of ways and how many metrics each serves, most first.
    pub methods: Vec<(String, usize)>,
    /// Mean over metrics of the root mean square held-out error, in standard deviations of the metric.
    pub rms: f64,
    /// The same of the last value; none where that was not measured.
    pub last_rms: Option<f64>,
}

impl Handle {
    /// Forecasts of an instance.
    ///
    /// # Errors
    /// If nobody knows the instance or a metric, or its history cannot be read.
    pub fn forecasts(&self, query: &ForecastQuery) -> Result<ForecastView, Error> {
        self.pipeline.forecasts(query)
    }
}

/// A feed as it is now.
struct Now {
    schema: Arc<Schema>,
    last: Timestamp,
    judging: Option<(Arc<Model>, Phase, State)>,
}

/// What is told of one feed.
struct Told<'a> {
    query: &'a ForecastQuery,
    model: &'a Model,
    outlook: &'a Outlook,
    frames: &'a Window,
    moments: &'a [Timestamp],
    bands: &'a [Vec<Band>],
}

impl Pipeline {
    pub(crate) fn forecasts(&self, query: &ForecastQuery) -> Result<ForecastView, Error> {
        self.known(&query.instance)?;
        let feeds = self.now(&query.instance);
        let unknown =
            query.metrics.iter().find(|key| feeds.iter().all(|now| now.schema.column(key).is_none()));
        if let Some(metric) = unknown.filter(|_| !feeds.is_empty()) {
            let instance = query.instance.as_str().to_owned();
            return Err(Error::UnknownMetric { instance, metric: metric.clone() });
        }
        let (instance, horizon_s) = (query.instance.clone(), query.horizon_s);
        let mut view = ForecastView { instance, horizon_s, by: Vec::new(), metrics: Vec::new() };
        for now in feeds {
            let asked = |key: &String| now.schema.column(key).is_some();
            if query.metrics.is_empty() || query.metrics.iter().any(asked) {
                self.forecast(query, &now, &mut view)?;
            }
        }
        Ok(view)
    }

    /// The feeds of an instance that is there, which from now on wants forecasters.
    fn now(&self, id: &InstanceId) -> Vec<Now> {
        let mut shard = self.shard(id.partition());
        let Some(watched) = shard.watched.get_mut(id).filter(|one| one.vanished.is_none()) else {
            return Vec::new();
        };
        let newest = watched.newest;
        let current = watched.feeds.iter_mut().filter(|feed| feed.is_current(newest));
        current
            .map(|feed| {
                feed.sight.asked = true;
                let judging = feed.judging();
                let judging = judging.map(|(model, phase, state)| (model.clone(), phase, state.clone()));
                Now { schema: feed.schema.clone(), last: feed.last, judging }
            })
            .collect()
    }

    fn forecast(&self, query: &ForecastQuery, now: &Now, view: &mut ForecastView) -> Result<(), Error> {
        let Some((model, phase, state)) = &now.judging else {
            view.by.push(unlearned(now));
            return Ok(());
        };
        let (outlook, entry) = self.outlook_of(&query.instance, now, model.version());
        let id = &query.instance;
        let near_s = outlook.near_memory_s().max(LEAST_FRAMES * model.step_s());
        let from = now.last - (near_s * 1e6) as i64;
        let read = Query { schema: Some(now.schema.id()), ..Query::new(id.clone(), from, now.last + 1) };
        let frames = self.store.read(&read)?.into_iter().next();
        let frames = frames.unwrap_or_else(|| Window::new(id.clone(), now.schema.clone()));
        let minutes = match outlook.far_memory_s() {
            far_s if far_s > 0.0 => {
                let from = now.last - (far_s * 1e6) as i64 - ROW_US;
                self.minutes(id, now.schema.id(), (from, now.last + 1))?
            }
            _ => Window::new(id.clone(), now.schema.clone()),
        };
        let reach_s = outlook.reach_s(model);
        let moments = moments(now.last, model.step_s(), query.horizon_s.min(reach_s), query.points);
        let recent = Recent { model, state, frames: &frames, minutes: &minutes };
        let bands = outlook.bands(&recent, &moments);
        let (outlook, moments, bands, frames) = (&outlook, &moments[..], &bands[..], &frames);
        view.metrics.extend(told(&Told { query, model, outlook, frames, moments, bands }));
        view.by.push(OutlookView {
            schema: now.schema.id().to_string(),
            model_version: model.version(),
            phase: *phase,
            now_us: now.last,
            learned_at: entry.as_ref().map(|entry| entry.learned_at),
            history_s: entry.as_ref().map(|entry| entry.history_s),
            periods_s: outlook.periods_s(),
            reach_s,
            message: message(*phase, entry.as_ref(), &outlook.periods_s()),
        });
        Ok(())
    }

    /// Which ways the forecaster of a version uses, by distance.
    pub(crate) fn leads(&self, line: &Line, entry: &ModelEntry, model: &Model) -> Vec<LeadView> {
        let outlook = entry.outlook.as_ref().and_then(|entry| self.registry.outlook(line, entry));
        let mut tried = outlook.map(|outlook| outlook.tried(model)).unwrap_or_default();
        tried.sort_by(|a, b| a.lead_s.total_cmp(&b.lead_s));
        tried.chunk_by(|a, b| a.lead_s == b.lead_s).map(lead).collect()
    }

    /// The forecaster beside the version that judges; an empty one while there is none.
    fn outlook_of(&self, id: &InstanceId, now: &Now, version: u64) -> (Outlook, Option<OutlookEntry>) {
        let instance = self.with(id, |watched| watched.instance.clone()).ok();
        let found = instance.and_then(|one| self.registry.outlook_entry(&one, now.schema.id(), version));
        let read = found.and_then(|(line, entry)| {
            let entry = entry?;
            Some((self.registry.outlook(&line, &entry)?, Some(entry)))
        });
        read.unwrap_or_default()
    }
}

fn unlearned(now: &Now) -> OutlookView {
    OutlookView {
        schema: now.schema.id().to_string(),
        model_version: 0,
        phase: Phase::Gathering,
        now_us: now.last,
        learned_at: None,
        history_s: None,
        periods_s: Vec::new(),
        reach_s: 0.0,
        message: "no forecast before the first model, which is made after half a minute of telemetry".into(),
    }
}

fn message(phase: Phase, entry: Option<&OutlookEntry>, periods_s: &[f64]) -> String {
    let provisional = if phase == Phase::Learned { "" } else { ", provisional" };
    let day = periods_s.contains(&86_400.0);
    match entry {
        None => format!("by the model alone, some minutes ahead; a forecaster is learned next{provisional}"),
        Some(_) if day => format!("with the shape of the day{provisional}"),
        Some(_) => {
            format!("without the shape of the day, which must be seen for two and a half{provisional}")
        }
    }
}

/// Evenly spaced moments from the next frame to the horizon.
fn moments(now: Timestamp, step_s: f64, horizon_s: f64, points: usize) -> Vec<Timestamp> {
    let steps = (horizon_s / step_s).floor().max(0.0);
    let count = points.max(2).min(steps as usize);
    let spacing_s = (horizon_s - step_s).max(0.0) / count.saturating_sub(1).max(1) as f64;
    (0..count).map(|n| now + ((step_s + n as f64 * spacing_s) * 1e6).round() as i64).collect()
}

/// The asked metrics that something is expected of.
fn told(of: &Told) -> Vec<MetricForecast> {
    let tried = of.outlook.tried(of.model);
    let metrics = of.frames.schema.metrics().iter().enumerate();
    let asked =
        metrics.filter(|(_, one)| of.query.metrics.is_empty() || of.query.metrics.contains(&one.key()));
    asked.filter_map(|(column, metric)| metric_forecast(of, (column, metric), &tried)).collect()
}

fn metric_forecast(of: &Told, (column, metric): (usize, &Metric), tried: &[Tried]) -> Option<MetricForecast> {
    let (speaker, held) = match of.model.recipe().features.get(column)?.duty {
        Duty::Modelled => (column, false),
        Duty::Duplicate { of } => (of, false),
        Duty::Constant | Duty::Input => (column, true),
        Duty::Ignored => return None,
    };
    let last = held.then(|| last_known(of.frames, column, metric));
    let mut path = PathView::default();
    for (&moment, bands) in of.moments.iter().zip(of.bands) {
        let band = last.map_or_else(|| bands[column], Band::certain);
        path.at_us.push(moment.0);
        let [p05, p10, _, p50, _, p90, p95] = band.quantiles;
        path.independent.push(band.independent);
        let PathView { p05: a, p10: b, p50: c, p90: d, p95: e, .. } = &mut path;
        [(a, p05), (b, p10), (c, p50), (d, p90), (e, p95)].into_iter().for_each(|(all, one)| all.push(one));
    }
    let own = tried.iter().filter(|one| one.column == speaker && !held);
    let choices = own.filter(|one| one.lead_s <= of.query.horizon_s).map(choice).collect();
    let unit = match metric.kind {
        Kind::Gauge => metric.unit.clone(),
        Kind::Counter => format!("{}/s", metric.unit),
    };
    let schema = of.frames.schema.id().to_string();
    Some(MetricForecast { metric: metric.key(), unit, schema, held, path, choices })
}

/// The newest value that a chart would show.
fn last_known(frames: &Window, column: usize, metric: &Metric) -> f64 {
    let values = (0..frames.len()).rev().map(|row| crate::history::observed(frames, column, metric, row));
    values.take(LEAST_FRAMES as usize).find(|value| value.is_finite()).unwrap_or(f64::NAN)
}

fn choice(one: &Tried) -> ChoiceView {
    let view = |one: &Candidate| CandidateView { method: one.method, mae: one.mae, rms: one.rms };
    let beaten = one.beaten.iter().map(view).collect();
    ChoiceView { lead_s: one.lead_s, step_s: one.step_s, chosen: view(&one.chosen), beaten }
}

fn lead(tried: &[Tried]) -> LeadView {
    let mut methods: BTreeMap<String, usize> = BTreeMap::new();
    tried.iter().for_each(|one| *methods.entry(name(one.chosen.method)).or_default() += 1);
    let mut methods: Vec<(String, usize)> = methods.into_iter().collect();
    methods.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let mean = |errors: &[f64]| errors.iter().sum::<f64>() / errors.len().max(1) as f64;
    let chosen: Vec<f64> = tried.iter().map(|one| one.chosen.rms).collect();
    let last: Vec<f64> = tried.iter().filter_map(last_value).collect();
    let (lead_s, step_s) = (tried[0].lead_s, tried[0].step_s);
    let last_rms = (last.len() == tried.len()).then(|| mean(&last));
    LeadView { lead_s, step_s, methods, rms: mean(&chosen), last_rms }
}

/// The error of the last value.
fn last_value(one: &Tried) -> Option<f64> {
    let mut all = std::iter::once(&one.chosen).chain(&one.beaten);
    all.find(|one| one.method == Method::Last).map(|one| one.rms)
}

/// The name of a way without its numbers.
fn name(method: Method) -> String {
    // A method is a name, or a name with numbers.
    match serde_json::to_value(method).unwrap_or_default() {
        serde_json::Value::Object(tagged) => tagged.keys().next().cloned().unwrap_or_default(),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_go_from_the_next_frame_to_the_horizon() {
        let now = Timestamp::from_seconds(1000.0);
        let after = |horizon_s: f64, points: usize| -> Vec<f64> {
            moments(now, 2.0, horizon_s, points).iter().map(|at| at.since(now)).collect()
        };
        assert_eq!(after(10.0, 3), [2.0, 6.0, 10.0]);
        assert_eq!(after(10.0, 100), [2.0, 4.0, 6.0, 8.0, 10.0], "no finer than the frames");
        assert_eq!(after(2.0, 100), [2.0]);
        assert!(after(1.0, 100).is_empty(), "nothing before the next frame");
    }
}
