//! The methods that are compared, and their errors on one series.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use foretwin_core::{DAY_US, Expectation, Storage, Timestamp};
use foretwin_learn::{Ahead, AheadConfig, Band, Choice, Config, Job, Member, Model, Outcome, fit};

use super::bands::{Worth, line, spread};
use super::ets::Ets;
use super::load::Series;
use super::report::{Error, HORIZONS, Measured};
use crate::cli::ForecastArgs;
use crate::commands::evaluate::cpu_s;

/// Forecasts per series and horizon, at most.
const ORIGINS: usize = 100;
/// Which of a band's quantiles is the median, by which absolute errors are judged.
const MIDDLE: usize = 3;
/// Members of a cohort that its weights are learned from, at most.
const MEMBERS: usize = 400;
/// An error is measured by at least this part of the deviation, so that nearly constant series do not rule the mean.
const LEAST_SCALE: f64 = 0.05;

/// Shared weights of the series of one file.
pub struct Cohort {
    /// With the LSTM, and without.
    shared: [Option<Ahead>; 2],
}

impl Cohort {
    /// One for every group.
    pub fn of(series: &[&Series], args: &ForecastArgs) -> HashMap<String, Self> {
        let mut groups: BTreeMap<&String, Vec<&Series>> = BTreeMap::new();
        for series in series {
            if let Some(group) = &series.group {
                groups.entry(group).or_default().push(series);
            }
        }
        groups.into_iter().map(|(group, series)| (group.clone(), Self::learn(&series, args))).collect()
    }

    fn learn(series: &[&Series], args: &ForecastArgs) -> Self {
        let stride = series.len().div_ceil(MEMBERS);
        let learned: Vec<_> = series.iter().step_by(stride).map(|series| series.learned()).collect();
        let models: Vec<Option<Model>> =
            learned.iter().map(|window| model(window, false, args.seed)).collect();
        let members: Vec<Member> = learned
            .iter()
            .zip(&models)
            .filter_map(|(window, model)| Some(Member { window, recipe: model.as_ref()?.recipe() }))
            .collect();
        let shared = [true, false].map(|lstm| Ahead::fit(&members, &config(args, lstm), &mut go));
        Self { shared }
    }
}

fn go(_: f64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn config(args: &ForecastArgs, lstm: bool) -> AheadConfig {
    let default = AheadConfig::default();
    let hidden = if lstm { default.hidden } else { 0 };
    AheadConfig { step_s: 0.0, hidden, ensemble: args.ensemble, seed: args.seed, ..default }
}

fn model(window: &foretwin_core::Window, lstm: bool, seed: u64) -> Option<Model> {
    let config = Config::default();
    fit(&Job { seed, lstm, ..Job::new(window, &config) }, &mut |_| ControlFlow::Continue(())).ok()
}

/// The forecasts of one method at every origin: origins × horizons × metrics.
type Forecasts = Vec<Vec<Vec<Band>>>;

/// Errors of every method on one series; nothing where it is too short.
pub fn measure(series: &Series, cohort: Option<&Cohort>, args: &ForecastArgs) -> Option<Measured> {
    let learned = series.learned();
    let linear_model = model(&learned, false, args.seed)?;
    let before = cpu_s();
    let member = [Member { window: &learned, recipe: linear_model.recipe() }];
    let own = Ahead::fit(&member, &config(args, true), &mut go);
    let train_cpu_s = cpu_s() - before;
    let plain = Ahead::fit(&member, &config(args, false), &mut go);
    let recurrent_model = model(&learned, true, args.seed)?;
    let plan = Plan::new(series, own.as_ref())?;
    let mut methods: Vec<(&'static str, Forecasts)> = Vec::new();
    let ahead = |ahead: &Ahead| plan.ahead(series, ahead, &linear_model);
    let own = own?;
    let (direct, closed) = (ahead(&own), plan.closed(series, &recurrent_model));
    let chosen = plan.beside((&closed, recurrent_model.measured_steps()), &direct);
    methods.push(("foretwin", chosen));
    methods.push(("direct", direct));
    if let Some(plain) = &plain {
        methods.push(("direct_linear", ahead(plain)));
    }
    let shared = cohort.map_or(&[None, None], |cohort| &cohort.shared);
    for (name, shared) in ["cohort", "cohort_linear"].iter().zip(shared) {
        methods.extend(shared.as_ref().map(|shared| (*name, ahead(shared))));
    }
    methods.push(("closed_loop", closed));
    methods.push(("var", plan.closed(series, &linear_model)));
    methods.push(("seasonal_naive", plan.banded(series, Plan::seasonal_naive)));
    methods.push(("ets", plan.banded(series, Plan::ets)));
    methods.push(("predict_linear", plan.banded(series, Plan::straight)));
    let errors = methods.iter().map(|(name, forecasts)| (*name, plan.errors(series, forecasts))).collect();
    let choices: Vec<Choice> = own.choices_beside(&recurrent_model);
    Some(Measured { name: series.name.clone(), errors, choices, train_cpu_s })
}

/// From where, how far and by which measure.
#[derive(Clone)]
struct Plan {
    /// Rows.
    origins: Vec<usize>,
    /// Horizons that fit.
    horizons: Vec<usize>,
    /// Per metric, the values of the series.
    values: Vec<Vec<f64>>,
    /// Per metric, what an error is measured by.
    scales: Vec<f64>,
    /// Rows of the season that repeats best, or 1.
    period: usize,
}

impl Plan {
    fn new(series: &Series, ahead: Option<&Ahead>) -> Option<Self> {
        let (rows, split) = (series.window.len(), series.split);
        let room = rows.checked_sub(split + 1)?;
        let horizons: Vec<usize> = HORIZONS.into_iter().filter(|&h| h + 5 <= room).collect();
        horizons.first()?;
        let stride = (room / ORIGINS).max(1);
        let origins = (split - 1..rows - 1).step_by(stride).collect();
        let values: Vec<Vec<f64>> = series
            .window
            .columns
            .iter()
            .map(|column| column.iter().map(|value| value.to_f64(Storage::F64)).collect())
            .collect();
        let step_s = series.window.times[1].since(series.window.times[0]);
        let mut periods: Vec<usize> =
            [DAY_US, 7 * DAY_US].iter().map(|&us| (us as f64 / 1e6 / step_s).round() as usize).collect();
        periods.extend(
            ahead
                .into_iter()
                .flat_map(|ahead| ahead.periods_s().collect::<Vec<_>>())
                .map(|s| (s / step_s).round() as usize),
        );
        periods.push(1);
        periods.retain(|&period| period >= 1 && 2 * period < split);
        let off = |period: usize| -> f64 {
            values.iter().map(|v| change(&v[..split], period) / deviation(&v[..split])).sum()
        };
        let period = periods.into_iter().min_by(|&a, &b| off(a).total_cmp(&off(b)))?;
        let scale = |v: &Vec<f64>| change(&v[..split], period).max(LEAST_SCALE * deviation(&v[..split]));
        let scales = values.iter().map(scale).collect();
        Some(Self { origins, horizons, values, scales, period })
    }

    fn ahead(&self, series: &Series, ahead: &Ahead, model: &Model) -> Forecasts {
        let moments: Vec<Timestamp> = self.origins.iter().map(|&row| series.window.times[row]).collect();
        ahead.bands_from(model.recipe(), &series.window, (&moments, &self.horizons))
    }

    /// Direct forecasts, with the closed loop beside them as far as its errors were measured: as they are served.
    fn beside(&self, (closed, measured): (&Forecasts, usize), direct: &Forecasts) -> Forecasts {
        let mut all = direct.clone();
        for (all, closed) in all.iter_mut().zip(closed) {
            let near = all.iter_mut().zip(closed).zip(&self.horizons).filter(|(_, h)| **h <= measured);
            let pairs = near.flat_map(|((direct, closed), _)| direct.iter_mut().zip(closed));
            pairs.for_each(|(direct, closed)| *direct = direct.beside(closed.expected));
        }
        all
    }

    /// The forecasts of a method that says nothing of its errors, with bands from those it made while learning.
    fn banded(&self, series: &Series, method: impl Fn(&Self, &Series) -> Forecasts) -> Forecasts {
        let farthest = self.horizons.last().copied().unwrap_or(1);
        let end = series.split.saturating_sub(farthest + 1);
        let stride = (end / 2 / ORIGINS).max(1);
        let earlier = Self { origins: (end / 2..end).step_by(stride).collect(), ..self.clone() };
        let (tried, mut forecasts) = (method(&earlier, series), method(self, series));
        for (n, &h) in self.horizons.iter().enumerate() {
            for (metric, values) in self.values.iter().enumerate() {
                let tries = earlier.origins.iter().zip(&tried);
                let scale =
                    spread(tries.map(|(&row, forecast)| values[row + h] - forecast[n][metric].expected.mean));
                forecasts.iter_mut().for_each(|forecast| {
                    let mean = forecast[n][metric].expected.mean;
                    forecast[n][metric] = Band::normal(Expectation { mean, scale });
                });
            }
        }
        forecasts
    }

    /// A line through the last rows.
    fn straight(&self, _series: &Series) -> Forecasts {
        let from = |&row: &usize| {
            let at = |&h: &usize| self.values.iter().map(|v| sure(line(v, row, h))).collect();
            self.horizons.iter().map(at).collect()
        };
        self.origins.iter().map(from).collect()
    }

    /// One-step expectations fed back.
    fn closed(&self, series: &Series, model: &Model) -> Forecasts {
        let (mut state, mut out, mut frame) = (model.start(), Outcome::default(), Vec::new());
        let mut forecasts = Forecasts::new();
        let farthest = self.horizons.last().copied().unwrap_or(1);
        let mut wanted = self.origins.iter().peekable();
        for row in 0..series.window.len() {
            series.window.frame(row, &mut frame);
            model.step(&mut state, series.window.times[row], &frame, &mut out);
            if wanted.next_if(|&&origin| origin == row).is_some() {
                let all = model.forecast(&state, farthest);
                let at = |&h: &usize| all[h - 1].iter().copied().map(Band::normal).collect();
                forecasts.push(self.horizons.iter().map(at).collect());
            }
        }
        forecasts
    }

    fn seasonal_naive(&self, series: &Series) -> Forecasts {
        let at = |row: usize, h: usize, values: &Vec<f64>| {
            let back = h.div_ceil(self.period) * self.period;
            let known = (row + h).checked_sub(back).map_or(f64::NAN, |at| values[at]);
            if known.is_finite() { known } else { last_known(values, row) }
        };
        debug_assert!(series.window.len() >= self.origins.len());
        let from = |&row: &usize| {
            self.horizons.iter().map(|&h| self.values.iter().map(|v| sure(at(row, h, v))).collect()).collect()
        };
        self.origins.iter().map(from).collect()
    }

    fn ets(&self, series: &Series) -> Forecasts {
        let width = self.values.len();
        let mut forecasts = vec![vec![vec![sure(f64::NAN); width]; self.horizons.len()]; self.origins.len()];
        for (n, values) in self.values.iter().enumerate() {
            let ets = Ets::fit(&values[..series.split], self.period);
            let (mut state, mut wanted) = (ets.start(), self.origins.iter().enumerate().peekable());
            for (row, &value) in values.iter().enumerate() {
                ets.take(&mut state, value);
                if let Some((place, _)) = wanted.next_if(|(_, origin)| **origin == row) {
                    for (at, &h) in self.horizons.iter().enumerate() {
                        forecasts[place][at][n] = sure(ets.ahead(&state, h));
                    }
                }
            }
        }
        forecasts
    }

    /// Mean absolute and root mean square error, scaled, per horizon. Metrics that no method expects are left out.
    fn errors(&self, series: &Series, forecasts: &Forecasts) -> Vec<Error> {
        let of = |(n, &h): (usize, &usize)| {
            let (mut absolute, mut squares, mut count) = (0.0, 0.0, 0.0);
            let mut worth = Worth::default();
            for (&row, forecast) in self.origins.iter().zip(forecasts) {
                if row + h >= series.window.len() {
                    continue;
                }
                for (metric, band) in forecast[n].iter().enumerate() {
                    // A metric that did not move while learning is expected by no model: it is its last value.
                    let last = last_known(&self.values[metric], row);
                    let band = if band.expected.mean.is_finite() { *band } else { sure(last) };
                    let (truth, size) = (self.values[metric][row + h], self.scales[metric]);
                    worth.take(&band, truth, size);
                    let off = (truth - band.expected.mean) / size;
                    if off.is_finite() {
                        absolute += (truth - band.quantiles[MIDDLE]).abs() / size;
                        squares += off * off;
                        count += 1.0;
                    }
                }
            }
            let (crps, coverage) = worth.finish();
            Error {
                horizon: h,
                crps,
                coverage,
                mase: absolute / f64::max(count, 1.0),
                rmse: (squares / f64::max(count, 1.0)).sqrt(),
            }
        };
        self.horizons.iter().enumerate().map(of).collect()
    }
}

/// A reference says nothing of its errors.
fn sure(mean: f64) -> Band {
    let mut band = Band::normal(Expectation { mean, scale: f64::NAN });
    band.quantiles[MIDDLE] = mean;
    band
}

fn last_known(values: &[f64], row: usize) -> f64 {
    values[..=row].iter().rev().find(|value| value.is_finite()).copied().unwrap_or(f64::NAN)
}

/// Mean absolute change over `period` rows.
fn change(values: &[f64], period: usize) -> f64 {
    let changes = values[period.min(values.len())..].iter().zip(values).map(|(a, b)| (a - b).abs());
    let known: Vec<f64> = changes.filter(|change| change.is_finite()).collect();
    known.iter().sum::<f64>() / known.len().max(1) as f64
}

fn deviation(values: &[f64]) -> f64 {
    let known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let variance = known.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / known.len().max(1) as f64;
    variance.sqrt().max(1e-9 * mean.abs()).max(1e-12)
}
