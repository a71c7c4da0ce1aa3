//! The LSTM's correction of forecasts far ahead: one network, an output for every metric at a few leads.
//!
//! It sees all metrics, the calendar and what is usual at the next row, remembers, and says how far the chosen
//! expectation will be off. Direct outputs, not a closed loop: the network is trained for the leads that it is asked.

use std::ops::ControlFlow;

use foretwin_core::DAY_US;
use serde::{Deserialize, Serialize};

use super::fit::{Job, Source};
use super::heads::{Head, Part, WILD, origins};
use crate::lstm::{Memory, Series, Size, Training, Weights, train};

/// Corrections are learned up to this many scales.
const LARGEST: f32 = 4.0;
/// The network sees at most this many metrics.
const SEEN: usize = 48;
/// Outputs at most: metrics times leads.
const OUTPUTS: usize = 256;
/// The correction must cut the held-out squared error by this part.
const WORTH: f64 = 0.02;

/// Networks and where their correction is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Correction {
    pub size: Size,
    /// Parameters of each network of the ensemble.
    pub values: Vec<Vec<f32>>,
    /// Metrics it sees, and metrics whose usual next value it sees, as positions.
    pub seen: Vec<u32>,
    /// Whether it sees the time of day, the day of the week.
    pub calendar: [bool; 2],
    /// Which of the leads it has outputs for.
    pub leads: Vec<usize>,
    /// Leads × metrics: what one unit is worth, and 0 where the correction did not help.
    pub unit: Vec<f32>,
    /// Leads × metrics: held-out squared error with the correction over that without, at most 1.
    pub left: Vec<f32>,
    /// The same of the mean absolute error; as `left` where an older file lacks it.
    #[serde(default)]
    pub left_absolute: Vec<f32>,
}

/// Memory of every network of an ensemble.
pub(super) struct Running {
    weights: Vec<Weights>,
    memories: Vec<Memory>,
    room: Vec<f32>,
    output: Vec<f32>,
}

impl Correction {
    /// Trains on what the heads leave; nothing where no metric gains at any lead.
    pub fn fit(
        sources: &[Source],
        job: &Job,
        heads: &[Vec<Head>],
        observe: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> ControlFlow<(), Option<Self>> {
        let leads = some_leads(&job.leads, OUTPUTS / job.width.max(1));
        if leads.is_empty() {
            return ControlFlow::Continue(None);
        }
        let (seen, outputs) = ((0..job.width.min(SEEN) as u32).collect::<Vec<_>>(), leads.len() * job.width);
        let day = (DAY_US / sources[0].grid.step_us) as usize;
        let calendar = [job.seasons.contains(&day), job.seasons.contains(&(7 * day))];
        let inputs = 2 * seen.len() + 4 * calendar.iter().filter(|&&on| on).count();
        let size = Size { inputs, hidden: job.hidden, outputs };
        let unit = leads.iter().flat_map(|&lead| heads[lead].iter().map(|head| head.scale)).collect();
        let left = vec![1.0; outputs];
        let mut correction =
            Self { size, values: Vec::new(), seen, calendar, leads, unit, left, left_absolute: Vec::new() };
        let series = correction.series(sources, job, heads);
        for member in 0..job.ensemble {
            let training = Training { size, epochs: job.epochs, seed: job.seed.wrapping_add(member as u64) };
            let (weights, ..) = train(&series, training, observe)?;
            correction.values.push(weights.values);
        }
        correction.gate(sources, job, heads);
        let helps = correction.unit.iter().any(|&unit| unit > 0.0);
        ControlFlow::Continue(helps.then_some(correction))
    }

    /// Opens the correction for the leads and metrics where it cuts absolute and squared error, on held-out rows that
    /// did not stop the training either.
    fn gate(&mut self, sources: &[Source], job: &Job, heads: &[Vec<Head>]) {
        let mut sums = vec![[1e-9f64; 4]; self.unit.len()];
        let (mut others, mut room, mut add) = (Vec::new(), Vec::new(), Vec::new());
        for source in sources.iter().filter(|source| source.judged() < source.grid.rows()) {
            let mut running = self.start();
            for t in source.warm..source.grid.rows() {
                self.step(&mut running, (source, t), &mut add);
                others.clear();
                source.seen_by_others(&job.inputs, t, &mut others);
                for (place, &lead) in self.leads.iter().enumerate() {
                    let h = job.leads[lead];
                    if t + h < source.judged() || t + h >= source.grid.rows() {
                        continue;
                    }
                    for (n, head) in
                        heads[lead].iter().enumerate().filter(|(n, _)| source.grid.is_seen(t + h, *n))
                    {
                        let trace = &source.traces[n];
                        let without = trace.y[t + h] - head.expect(trace, (t, h), (&others, &mut room));
                        let with = without - add[place * job.width + n];
                        let [without, with] = [without, with].map(|e| f64::from(e.clamp(-WILD, WILD)));
                        let sums = &mut sums[place * job.width + n];
                        let more = [without.abs(), with.abs(), without * without, with * with];
                        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
                    }
                }
            }
        }
        for (n, [absolute, absolute_with, squared, squared_with]) in sums.into_iter().enumerate() {
            let worth = absolute_with < (1.0 - WORTH) * absolute && squared_with < (1.0 - WORTH) * squared;
            self.unit[n] *= f32::from(u8::from(worth));
            self.left[n] = if worth { (squared_with / squared) as f32 } else { 1.0 };
            self.left_absolute.push(if worth { (absolute_with / absolute) as f32 } else { 1.0 });
        }
    }

    /// What is learned: rows whose later value is held out come last.
    fn series(&self, sources: &[Source], job: &Job, heads: &[Vec<Head>]) -> Series {
        let mut series = Series { inputs: Vec::new(), targets: Vec::new(), keep: Vec::new(), head: 0 };
        let later: Vec<_> = sources.iter().filter(|source| source.split == 0).collect();
        let earlier: Vec<_> = sources.iter().filter(|source| source.split > 0).collect();
        for source in earlier.iter().chain(&later) {
            self.rows(source, job, heads, &mut series);
        }
        series.head = match later.is_empty() {
            true => sources.iter().map(|source| source.split.saturating_sub(source.warm)).sum(),
            false => earlier.iter().map(|source| source.judged().saturating_sub(source.warm)).sum(),
        };
        series
    }

    fn rows(&self, source: &Source, job: &Job, heads: &[Vec<Head>], series: &mut Series) {
        let (mut others, mut room) = (Vec::new(), Vec::new());
        for t in source.warm..source.judged() {
            self.gather(source, t, &mut room);
            series.inputs.extend_from_slice(&room);
            series.keep.push(if t == source.warm { 0.0 } else { 1.0 });
            others.clear();
            source.seen_by_others(&job.inputs, t, &mut others);
            for (place, &lead) in self.leads.iter().enumerate() {
                let h = job.leads[lead];
                // A row before the split whose later value lies after it would teach what is held out.
                let known = t + h < source.judged() && source.held_out(t) == source.held_out(t + h);
                series.targets.extend(heads[lead].iter().enumerate().map(|(n, head)| {
                    if !known || !source.grid.is_seen(t + h, n) {
                        return f32::NAN;
                    }
                    let trace = &source.traces[n];
                    let left = trace.y[t + h] - head.expect(trace, (t, h), (&others, &mut room));
                    (left / self.unit[place * job.width + n]).clamp(-LARGEST, LARGEST)
                }));
            }
        }
    }

    fn gather(&self, source: &Source, t: usize, into: &mut Vec<f32>) {
        into.clear();
        into.extend(self.seen.iter().map(|&n| source.traces[n as usize].y[t].clamp(-LARGEST, LARGEST)));
        let usual = |&n: &u32| source.traces[n as usize].usual_next(t).clamp(-LARGEST, LARGEST);
        into.extend(self.seen.iter().map(usual));
        let at = source.grid.time(t).0;
        for (length, _) in [DAY_US, 7 * DAY_US].iter().zip(self.calendar).filter(|(_, on)| *on) {
            let turn: f64 = at.rem_euclid(*length) as f64 / *length as f64 * std::f64::consts::TAU;
            let waves = [turn.sin(), turn.cos(), (2.0 * turn).sin(), (2.0 * turn).cos()];
            into.extend(waves.map(|wave| wave as f32));
        }
    }

    /// Networks that have seen nothing.
    pub fn start(&self) -> Running {
        let weights: Vec<Weights> =
            self.values.iter().map(|values| Weights { size: self.size, values: values.clone() }).collect();
        let memories = weights.iter().map(|_| Memory::new(self.size.hidden)).collect();
        Running { weights, memories, room: Vec::new(), output: vec![0.0; self.size.outputs] }
    }

    /// Takes row `t` and gives what to add at each lead and metric, in `into` (leads × metrics).
    pub fn step(&self, running: &mut Running, (source, t): (&Source, usize), into: &mut Vec<f32>) {
        self.gather(source, t, &mut running.room);
        into.clear();
        into.resize(self.size.outputs, 0.0);
        let part = 1.0 / running.weights.len().max(1) as f32;
        for (weights, memory) in running.weights.iter().zip(&mut running.memories) {
            weights.step(&running.room, memory, &mut running.output);
            let each = into.iter_mut().zip(&running.output).zip(&self.unit);
            each.for_each(|((sum, y), unit)| *sum += y * unit * part);
        }
    }
}

/// As many leads as the outputs allow, evenly chosen.
fn some_leads(leads: &[usize], most: usize) -> Vec<usize> {
    let count = leads.len().min(most);
    let mut some: Vec<usize> = (0..count).map(|n| n * (leads.len() - 1) / (count.max(2) - 1)).collect();
    some.dedup();
    some
}

/// Whether there are enough rows to train on.
pub(super) fn enough(sources: &[Source], job: &Job, least: usize) -> bool {
    origins(sources, job, 1, Part::Learned).len() > 100
        && sources.iter().map(|source| source.grid.rows()).sum::<usize>() >= least
}
