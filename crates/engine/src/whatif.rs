//! What if: reads how an instance grows, and what may drive it, and has foresight replay scenarios from where the
//! prediction stands.

use std::collections::BTreeMap;

use foretwin_core::{
    Action, FailureMode, InstanceId, MINUTE_US, Prediction, Risk, Role, Scenario, Timestamp, WhatIf,
};
use foretwin_foresee::{Config, Grounds, Growth, Processors, combine};

use crate::Error;
use crate::pipeline::Pipeline;
use crate::view::{SeriesView, WindowQuery};

/// How far back work is looked for.
const DRIVEN_US: i64 = 60 * MINUTE_US;
/// Points of a series of work.
const POINTS: usize = 1800;
/// Series of work that are tried.
const DRIVERS: usize = 12;

/// How an instance grows, and with what.
struct Grown {
    at: Timestamp,
    growths: Vec<Growth>,
    /// What is stated of failure by any mode, after all calibration: horizon and probability.
    stated: Vec<(f64, f64)>,
    /// The highest rate of the driver over its mean, and whether there is one.
    highest_load: f64,
    driven: bool,
    processors: Option<Processors>,
}

/// Replays scenarios side by side.
pub(crate) fn what_if(
    pipeline: &Pipeline,
    id: &InstanceId,
    horizon_s: f64,
    scenarios: &[Scenario],
) -> Result<WhatIf, Error> {
    let config = pipeline.config.foresee.clone().with_horizon(horizon_s);
    let grown = grown(pipeline, id, &config)?;
    let mut effects = Vec::with_capacity(scenarios.len());
    for scenario in scenarios {
        let host =
            scenario.host.as_ref().map_or(Ok(BTreeMap::new()), |host| room(pipeline, host, &config))?;
        effects.push(foretwin_foresee::what_if(&grown.grounds(&host, horizon_s), scenario, &config));
    }
    let abstains = grown
        .growths
        .is_empty()
        .then(|| format!("nothing of {id} is known to run against a limit: there is nothing to change"));
    Ok(WhatIf { instance: id.clone(), at: grown.at, horizon_s, effects, abstains })
}

/// How the resources of an instance grow, with the work that explains most of it.
pub(crate) fn growths(pipeline: &Pipeline, id: &InstanceId) -> Result<Vec<Growth>, Error> {
    Ok(grown(pipeline, id, &pipeline.config.foresee)?.growths)
}

/// Puts what a replay says into the expected effects of recommended actions.
pub(crate) fn sharpen(pipeline: &Pipeline, prediction: &mut Prediction) {
    if prediction.recommended_actions.is_empty() {
        return;
    }
    let config = pipeline.config.foresee.clone().with_horizon(prediction.horizon_s);
    // Without history the actions keep the effect that follows from the rate.
    let Ok(mut grown) = grown(pipeline, &prediction.instance, &config) else { return };
    // What is promised is counted from this very prediction, not from one a moment later.
    let mut stated: Vec<(f64, f64)> =
        prediction.probabilities.iter().map(|one| (one.horizon_s, one.probability)).collect();
    if !stated.iter().any(|(horizon_s, _)| *horizon_s == prediction.horizon_s) {
        stated.push((prediction.horizon_s, prediction.failure_probability));
        stated.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    grown.hold(&prediction.risks, stated);
    let none = BTreeMap::new();
    let grounds = grown.grounds(&none, prediction.horizon_s);
    let Prediction { recommended_actions, risks, .. } = prediction;
    for action in recommended_actions.iter_mut() {
        let Action { action: name, description, .. } = &*action;
        let meant = risks.iter().find(|risk| description.contains(risk.metric.as_str()));
        let Some(scenario) = foretwin_foresee::scenario_of(name, meant.map(|risk| risk.mode)) else {
            continue;
        };
        let effect = foretwin_foresee::what_if(&grounds, &scenario, &config);
        if let Some(text) = foretwin_foresee::told(&effect, prediction.horizon_s) {
            action.expected_effect = text;
        }
    }
}

impl Grown {
    /// Has what is foreseen begin with what is stated.
    fn hold(&mut self, risks: &[Risk], stated: Vec<(f64, f64)>) {
        let held = |growth: Growth| {
            let same = |risk: &&Risk| risk.metric == growth.metric && risk.mode == growth.mode;
            match risks.iter().find(same) {
                Some(risk) => growth.stated(risk),
                None => growth,
            }
        };
        self.growths = std::mem::take(&mut self.growths).into_iter().map(held).collect();
        self.stated = stated;
    }

    fn grounds<'a>(&'a self, host: &'a BTreeMap<FailureMode, (f64, f64)>, horizon_s: f64) -> Grounds<'a> {
        Grounds {
            growths: &self.growths,
            stated: &self.stated,
            highest_load: self.highest_load,
            knows_work: self.driven,
            processors: self.processors,
            host,
            horizon_s,
        }
    }
}

/// Reads the growths with the series of work that explains most of them.
fn grown(pipeline: &Pipeline, id: &InstanceId, config: &Config) -> Result<Grown, Error> {
    let (at, keys) = pipeline.with(id, |watched| {
        let metrics = watched.current().flat_map(|feed| feed.schema.metrics());
        let rates = metrics.filter(|metric| matches!(metric.role, Role::Rate | Role::Command));
        (watched.last(), rates.map(foretwin_core::Metric::key).take(DRIVERS).collect::<Vec<_>>())
    })?;
    let read = |work: &dyn Fn(Timestamp) -> f64| -> Result<Vec<Growth>, Error> {
        pipeline.with(id, |watched| match watched.vanished {
            Some(_) => Vec::new(),
            None => watched.current().flat_map(|feed| feed.growths((at, id), config, work)).collect(),
        })
    };
    let idle = read(&|_| f64::NAN)?;
    // Nothing that grows needs no driver, and no time to work in.
    if keys.is_empty() || idle.iter().all(|growth| growth.lasted_s <= 0.0) {
        return foreseen(pipeline, id, config, (None, None));
    }
    let processors = processors(pipeline, (id, at))?;
    let (instance, from) = (id.clone(), at - DRIVEN_US);
    let query = WindowQuery { instance, metrics: keys, from, to: at, points: POINTS };
    let (mut most, mut driver) = (driven(&idle), None);
    for series in pipeline.window(&query)?.series {
        let share = driven(&read(&|moment| rate_at(&series, moment))?);
        if share > most {
            (most, driver) = (share, Some(series));
        }
    }
    foreseen(pipeline, id, config, (driver, processors))
}

/// Growths with their driver, and what is stated of them, of one and the same moment.
fn foreseen(
    pipeline: &Pipeline,
    id: &InstanceId,
    config: &Config,
    (driver, processors): (Option<SeriesView>, Option<Processors>),
) -> Result<Grown, Error> {
    let work = |moment: Timestamp| driver.as_ref().map_or(f64::NAN, |series| rate_at(series, moment));
    pipeline.with(id, |watched| {
        let (at, (risks, learned)) = (watched.last(), watched.spoken(pipeline, config));
        let any = |horizon_s: f64| match &learned {
            Some((blended, _)) => blended.at(horizon_s),
            None => combine(&risks, horizon_s),
        };
        let current = watched.current().filter(|_| watched.vanished.is_none());
        let mut grown = Grown {
            at,
            growths: current.flat_map(|feed| feed.lasting_growths((at, id), config, &work)).collect(),
            stated: Vec::new(),
            highest_load: driver.as_ref().map_or(1.0, highest),
            driven: driver.is_some(),
            processors,
        };
        grown.hold(&risks, config.horizons_s.iter().map(|&horizon_s| (horizon_s, any(horizon_s))).collect());
        grown
    })
}

/// Processor time used and to be had, on average over the last hour; nothing where either is not measured.
fn processors(pipeline: &Pipeline, (id, at): (&InstanceId, Timestamp)) -> Result<Option<Processors>, Error> {
    let keys = pipeline.with(id, |watched| {
        let mut metrics = watched.current().flat_map(|feed| feed.schema.metrics());
        metrics.find_map(|metric| {
            let capacity = metric.capacity.as_ref().filter(|one| one.mode == FailureMode::CpuSaturation)?;
            Some(vec![metric.key(), capacity.limit.clone()])
        })
    })?;
    let Some(metrics) = keys else { return Ok(None) };
    let query = WindowQuery {
        instance: id.clone(),
        metrics: metrics.clone(),
        from: at - DRIVEN_US,
        to: at,
        points: POINTS,
    };
    let series = pipeline.window(&query)?.series;
    let mean = |key: &String| {
        let found = series.iter().find(|one| one.metric == *key)?;
        let known: Vec<f64> = found.observed.iter().copied().filter(|value| value.is_finite()).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let both = mean(&metrics[0]).zip(mean(&metrics[1])).filter(|(_, limit)| *limit > 0.0);
    Ok(both.map(|(used, limit)| Processors { used, limit }))
}

/// How much of the growth follows the work.
fn driven(growths: &[Growth]) -> f64 {
    growths.iter().map(|growth| growth.shares.worked).sum()
}

/// The rate at or before a moment; missing before the first.
fn rate_at(series: &SeriesView, moment: Timestamp) -> f64 {
    let after = series.at_us.partition_point(|&at| at <= moment.0);
    after.checked_sub(1).map_or(f64::NAN, |index| series.observed[index])
}

/// The highest rate over the mean rate.
fn highest(series: &SeriesView) -> f64 {
    let known: Vec<f64> = series.observed.iter().copied().filter(|rate| rate.is_finite()).collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let highest = known.iter().copied().fold(0.0, f64::max);
    if mean > 0.0 { highest / mean } else { 1.0 }
}

/// Used and limit of everything on a host that runs against one.
fn room(
    pipeline: &Pipeline,
    host: &InstanceId,
    config: &Config,
) -> Result<BTreeMap<FailureMode, (f64, f64)>, Error> {
    pipeline.with(host, |watched| {
        let at = watched.last();
        let all = watched.current().flat_map(|feed| feed.growths((at, host), config, &|_| f64::NAN));
        all.map(|growth| (growth.mode, (growth.used, growth.limit))).collect()
    })
}
