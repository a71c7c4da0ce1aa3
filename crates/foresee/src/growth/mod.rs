//! Growth towards a limit: its shapes with their probabilities, and possible futures drawn from them.
//!
//! Where [`risk`](crate::risk()) asks how long an ordinary trend lasts, this asks how the present growth moves: from
//! when on (`fit`), evenly, with the work done, faster, slower, in jumps (`jumps`), or no more; and continues each
//! with its uncertainty and the load to come (`load`). The same futures answer what would happen under an intervention.

mod bins;
mod draw;
mod fit;
mod jumps;
mod load;

use foretwin_core::{FailureMode, Risk, Rng, Timestamp};

use crate::curve::Curve;
use crate::path::Path;
use crate::peaks::Ground;
use crate::persist::Persistence;
use crate::{Config, Series};
use bins::{Bins, Regime, Work};
pub(crate) use draw::{Draw, Turn};
use fit::Course;
use jumps::Jumps;
use load::Load;

/// Futures that are drawn.
const DRAWS: usize = 256;
/// An earlier regime that came so near to the limit may have ended in failure.
const FAILED_SHARE: f64 = 0.93;
/// An earlier peak is passed beyond doubt by this share of the limit.
const PASSED: f64 = 0.02;
/// Share of the futures that follow the load below which its course does not matter.
const FEW: f64 = 0.02;
/// Share of the limit by which a level must exceed what is known to be news beyond doubt.
pub(crate) const NEWS: f64 = 0.02;
/// A rise below this share of the limit is no growth.
const LEAST_RISE: f64 = 1e-3;

/// A resource with the work that may drive it.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What runs against its limit.
    pub series: Series<'a>,
    /// Units of work per second at the series' times, for instance requests; empty if nothing is known of it.
    pub work: &'a [f64],
}

/// How probable each shape is; they sum to 1, or to nothing where there is no growth.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shares {
    /// Over, or never begun.
    pub ended: f64,
    /// As much in every second.
    pub even: f64,
    /// As much for every unit of work.
    pub worked: f64,
    /// Faster and faster.
    pub faster: f64,
    /// Running out.
    pub slower: f64,
    /// In jumps.
    pub jumps: f64,
}

impl Shares {
    fn of(components: &[fit::Component], jumps: f64) -> Self {
        let mut shares = Self { jumps, ..Self::default() };
        for one in components {
            let share = match one.course {
                Course::Ended => &mut shares.ended,
                Course::Even => &mut shares.even,
                Course::Worked => &mut shares.worked,
                Course::Faster(_) => &mut shares.faster,
                Course::Slower(_) => &mut shares.slower,
            };
            *share += (1.0 - jumps) * one.weight;
        }
        shares
    }
}

/// What is known of one growth.
#[derive(Debug, Clone)]
pub struct Growth {
    /// How it would fail.
    pub mode: FailureMode,
    /// Key of the metric.
    pub metric: String,
    /// Amount in use at the last sample.
    pub used: f64,
    /// The limit.
    pub limit: f64,
    /// Where the present regime began: what a restart would go back to.
    pub base: f64,
    /// Probabilities of the shapes.
    pub shares: Shares,
    /// Expected seconds since the growth began, zero without growth.
    pub lasted_s: f64,
    /// Earlier regimes that fell before they reached the limit, and the highest of their peaks.
    pub earlier: (usize, f64),
    /// How far it is above the highest level that is known from earlier days, as a share of the limit; negative below it.
    pub(crate) ground: Option<f64>,
    /// How far it is beyond what it may rise in a day by its nature, from 0 to 1, believed as far as days are known.
    pub(crate) news: f64,
    /// Seconds from the last sample to now.
    pub(crate) age_s: f64,
    /// Equally likely futures; none without growth.
    pub(crate) draws: Vec<Draw>,
    /// Seconds from the last sample to the limit in each of them.
    reached: Vec<f64>,
    /// How long it is expected to go on, as the risk of the same resource has it.
    pub(crate) lasting: Option<Persistence>,
    /// What a prediction states of it, which its futures are held to.
    pub(crate) stated: Option<Curve>,
}

impl Growth {
    /// Reads a resource at `now`. Nothing without a limit or with too few samples. Equal input and seed give equal
    /// output.
    #[must_use]
    pub fn read(evidence: &Evidence<'_>, now: Timestamp, lookback_s: f64, seed: u64) -> Option<Self> {
        let series = &evidence.series;
        if !(series.limit.is_finite() && series.limit > 0.0) {
            return None;
        }
        let path = Path::new(series, now, lookback_s)?;
        let regime = Regime::new(&path);
        let highest = regime.earlier.iter().copied().fold(0.0, f64::max);
        let mut growth = Self {
            mode: series.mode,
            metric: series.metric.into(),
            used: path.last(),
            limit: series.limit,
            base: regime.peaks[0],
            shares: Shares::default(),
            lasted_s: 0.0,
            earlier: (regime.earlier.len(), highest),
            ground: None,
            news: 0.0,
            age_s: path.age_s(),
            draws: Vec::new(),
            reached: Vec::new(),
            lasting: None,
            stated: None,
        };
        if regime.rise() > LEAST_RISE * series.limit {
            let moments = series.times.iter().zip(evidence.work).map(|(at, &rate)| (at.since(now), rate));
            growth.follow(&regime, &Work::new(moments), seed);
        }
        Some(growth)
    }

    /// Compares the shapes and draws futures from them.
    fn follow(&mut self, regime: &Regime, work: &Work, seed: u64) {
        let bins = Bins::new(regime, work);
        let components = fit::components(&bins);
        let grows = components.iter().find(|one| one.course != Course::Ended);
        let since = grows.map_or(bins.span_s, |one| one.lasted_s);
        // Jumps show over the whole regime; where it began otherwise, since the present growth did.
        let jumps = Jumps::new(regime, bins.span_s).or_else(|| Jumps::new(regime, since));
        let jump_share = jumps.as_ref().map_or(0.0, |jumps| jumps.weight);
        self.shares = Shares::of(&components, jump_share);
        let (first, last) = (bins.edges[0], bins.edges[bins.len()]);
        let mean_work = (work.at(last) - work.at(first)) / bins.span_s;
        // Its course costs more than all the rest: where few futures follow the load it is taken as even.
        let load = if self.shares.worked > FEW { Load::new(work) } else { Load::even(mean_work) };
        let mut rng = Rng::new(seed);
        let mut chosen = Chosen { components: components.iter(), reached: 0.0, last: None };
        for index in 0..DRAWS {
            // Systematic sampling: shares are met to within one draw.
            let place = (index as f64 + 0.5) / DRAWS as f64;
            let draw = match &jumps {
                Some(jumps) if place < jump_share => {
                    let fate = rng.uniform();
                    Draw::jumping(jumps.draw(&mut rng), jumps.lasted_s, fate)
                }
                _ => {
                    let rest = (place - jump_share) / (1.0 - jump_share).max(1e-12);
                    let Some(one) = chosen.at(rest.max(0.0)) else { continue };
                    Draw::new(one, &bins, (&load, mean_work), &mut rng)
                }
            };
            self.lasted_s += draw.lasted_s / DRAWS as f64;
            self.reached.push(draw.arrival(self.headroom(), Turn::default()));
            self.draws.push(draw);
        }
    }

    /// The same, held against earlier days. Where nothing is wrong, the next day passes the k days before it with
    /// probability 1 / (k + 1) (records of exchangeable variables: Renyi, 1962): so much is taken off what is news.
    #[must_use]
    pub fn over(mut self, known: Option<Ground>) -> Self {
        let above = |level: f64| (self.used - level) / self.limit;
        (self.ground, self.news) = (None, 0.0);
        if let Some(known) = known {
            let days = known.days as f64;
            self.ground = Some(above(known.level));
            self.news = (above(known.level + known.rise) / NEWS).clamp(0.0, 1.0) * days / (days + 1.0);
        }
        self
    }

    /// Whether it stands above what is known from earlier days.
    #[must_use]
    pub fn is_news(&self) -> bool {
        self.news > 0.0
    }

    /// The same, expected to last as [`risk`](crate::risk()) of the same series does.
    #[must_use]
    pub fn lasting(mut self, series: &Series<'_>, now: Timestamp, config: &Config) -> Self {
        self.lasting = crate::risk::lasting(series, now, config);
        self
    }

    /// The same, with what a prediction states of it: a [`what_if`](crate::what_if()) begins there. What is stated must
    /// be the last word, after all calibration, at the horizons that will be asked.
    #[must_use]
    pub fn stated(mut self, risk: &Risk) -> Self {
        self.stated = Some(Curve::of(risk));
        self
    }

    /// What is left to the limit.
    #[must_use]
    pub fn headroom(&self) -> f64 {
        self.limit - self.used
    }

    /// Probability that the limit is reached within `t` seconds from now if the growth goes on.
    #[must_use]
    pub fn within(&self, t: f64) -> f64 {
        if self.headroom() <= 0.0 {
            return 1.0;
        }
        let (by, headroom) = (t + self.age_s, self.headroom());
        let draws = self.draws.iter().zip(&self.reached);
        let sum: f64 = draws.map(|(draw, &reached)| draw.within(by, headroom, reached)).sum();
        self.passing() * sum / self.draws.len().max(1) as f64
    }

    /// Probability to pass the peak at which earlier growth fell, by Laplace's rule of succession; 1 where there was none,
    /// where it had reached the limit, and where it is passed already.
    #[must_use]
    pub fn passing(&self) -> f64 {
        let (count, highest) = self.earlier;
        let held = count > 0 && highest < FAILED_SHARE * self.limit;
        let passed = ((self.used - highest) / (PASSED * self.limit)).clamp(0.0, 1.0);
        if held { passed + (1.0 - passed) / (count as f64 + 2.0) } else { 1.0 }
    }

    /// Seconds from now to the limit in each of the drawn futures, ascending, infinite where it is never reached.
    #[must_use]
    pub fn arrivals(&self) -> Vec<f64> {
        let mut arrivals: Vec<f64> = self.reached.iter().map(|at| (at - self.age_s).max(0.0)).collect();
        arrivals.sort_by(f64::total_cmp);
        arrivals
    }

    /// Amount per second on average until the limit, in the middle one of the drawn futures: what a load that varies
    /// makes of it. Nothing where fewer than half of them reach the limit.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        let arrivals = self.arrivals();
        let middle = *arrivals.get(arrivals.len() / 2)?;
        (middle.is_finite() && middle > 0.0).then(|| self.headroom() / middle)
    }
}

/// Walks components by their running share.
struct Chosen<'a> {
    components: std::slice::Iter<'a, fit::Component>,
    reached: f64,
    last: Option<&'a fit::Component>,
}

impl<'a> Chosen<'a> {
    /// The component at this share; shares must ascend.
    fn at(&mut self, share: f64) -> Option<&'a fit::Component> {
        while self.last.is_none() || self.reached < share {
            let Some(next) = self.components.next() else { break };
            self.reached += next.weight;
            self.last = Some(next);
        }
        self.last
    }
}
