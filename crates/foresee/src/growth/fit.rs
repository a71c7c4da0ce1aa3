//! Which shape the present growth has and since when, by Bayesian model comparison.
//!
//! The rates of the bins before a change are noise around one or two levels, those after it follow a shape: nothing,
//! even, with the work done, ever faster (a power of the time since the change), or running out (an exponential
//! approach). Noise is white in the rates, of unknown size, with a weak prior that keeps it off zero; rates and noise
//! are integrated out (Gelman et al., "Bayesian Data Analysis", 3rd edition, chapter 14), so that every change and shape
//! has a marginal likelihood, and everything is averaged by it (Kass and Raftery, "Bayes factors", JASA 90, 1995).

use crate::growth::bins::Bins;

/// Prior of the noise: degrees of freedom, and its relative size over the whole span.
const FREEDOM: f64 = 2.0;
const NOISE: f64 = 0.03;
/// Prior density of a relative rate: it may be anything up to several times the mean.
const RATE_DENSITY: f64 = 0.2;
/// Fewest bins after a change.
const LEAST_BINS: usize = 4;
/// Powers of time that a rate may follow.
const POWERS: [f64; 4] = [0.5, 1.0, 1.5, 2.0];
/// Time constants of an approach, in durations of the growth.
const CONSTANTS: [f64; 6] = [0.15, 0.25, 0.4, 0.6, 1.0, 1.6];
/// Prior weight of bent shapes, each family, against even growth.
const BENT: f64 = 0.5;
/// Components below this share of the best are forgotten.
const LEAST_SHARE: f64 = 1e-4;

/// How a rate goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Course {
    /// It is over.
    Ended,
    /// Constant.
    Even,
    /// Constant per unit of work.
    Worked,
    /// A power of the time since the beginning.
    Faster(f64),
    /// Decays with this time constant, in durations so far.
    Slower(f64),
}

/// A shape since one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Component {
    pub(crate) course: Course,
    /// Seconds since the growth began.
    pub(crate) lasted_s: f64,
    /// Factor of the shape, relative to the mean rate, its standard deviation, and the degrees of freedom.
    pub(crate) factor: f64,
    pub(crate) factor_sd: f64,
    pub(crate) freedom: f64,
    /// Relative noise of a rate over the whole span.
    pub(crate) noise: f64,
    /// Posterior probability.
    pub(crate) weight: f64,
}

/// All shapes since all moments, likeliest first.
pub(crate) fn components(bins: &Bins) -> Vec<Component> {
    let sums = Sums::new(bins);
    let before = sums.before();
    let mut found = Vec::new();
    let choice = (bins.len() as f64).ln();
    for (first, known) in before.iter().enumerate().take(bins.len().saturating_sub(LEAST_BINS - 1)) {
        let prior = if first == 0 { 0.0 } else { known - choice };
        since(bins, &sums, (first, prior), &mut found);
    }
    let best = found.iter().map(|one| one.weight).fold(f64::NEG_INFINITY, f64::max);
    found.retain_mut(|one| {
        one.weight = (one.weight - best).exp();
        one.weight > LEAST_SHARE
    });
    let total: f64 = found.iter().map(|one| one.weight).sum();
    found.iter_mut().for_each(|one| one.weight /= total);
    found.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    found
}

/// Fits every shape to the bins from `first` on; weights are logarithms.
fn since(bins: &Bins, sums: &Sums, (first, prior): (usize, f64), found: &mut Vec<Component>) {
    let count = (bins.len() - first) as f64;
    let lasted_s = bins.since(first);
    let squares = sums.range(first, bins.len()).squares;
    let stays = prior + sums.range(first, bins.len()).log_weights + sums.evidence(count, squares);
    let flat = Component {
        course: Course::Ended,
        lasted_s,
        factor: 0.0,
        factor_sd: 0.0,
        freedom: FREEDOM + count,
        noise: 0.0,
        weight: stays,
    };
    found.push(flat);
    let bent = |family: usize| prior + (BENT / family as f64).ln();
    let mut basis = vec![1.0; bins.len() - first];
    let mut add = |course: Course, basis: &[f64], prior: f64| {
        found.extend(fit(bins, sums, (first, course), basis).map(|mut one| {
            one.weight += prior;
            one
        }));
    };
    add(Course::Even, &basis, prior);
    if let Some(work) = bins.work.get(first..) {
        add(Course::Worked, work, prior);
    }
    for power in POWERS {
        let risen = |u: f64| u.powf(power + 1.0) / (power + 1.0);
        fill(&mut basis, bins, first, risen);
        add(Course::Faster(power), &basis, bent(POWERS.len()));
    }
    for constant in CONSTANTS {
        let risen = |u: f64| -(-u / constant).exp() * constant;
        fill(&mut basis, bins, first, risen);
        add(Course::Slower(constant), &basis, bent(CONSTANTS.len()));
    }
}

/// Mean rates of a shape over the bins, from its integral over the time since the beginning, in durations.
fn fill(basis: &mut [f64], bins: &Bins, first: usize, risen: impl Fn(f64) -> f64) {
    let (begin, lasted) = (bins.edges[first], bins.since(first));
    let mut before = risen(0.0);
    for (value, pair) in basis.iter_mut().zip(bins.edges[first..].windows(2)) {
        let now = risen((pair[1] - begin) / lasted);
        *value = (now - before) / (pair[1] - pair[0]) * lasted;
        before = now;
    }
}

/// Weighted least squares of the rates on one basis; nothing where the growth would be negative.
fn fit(bins: &Bins, sums: &Sums, (first, course): (usize, Course), basis: &[f64]) -> Option<Component> {
    let (mut power, mut product) = (0.0, 0.0);
    for ((b, rate), width) in basis.iter().zip(&bins.rates[first..]).zip(&bins.widths[first..]) {
        power += width * b * b;
        product += width * b * rate;
    }
    let factor = product / power;
    if !(factor > 0.0 && factor.is_finite()) {
        return None;
    }
    let range = sums.range(first, bins.len());
    let left = (range.squares - factor * product).max(0.0);
    let count = (bins.len() - first) as f64 - 1.0;
    let freedom = FREEDOM + count;
    let noise = ((FREEDOM * NOISE * NOISE + left) / freedom).sqrt();
    Some(Component {
        course,
        lasted_s: bins.since(first),
        factor,
        factor_sd: noise / power.sqrt(),
        freedom,
        noise,
        weight: range.log_weights + RATE_DENSITY.ln() - 0.5 * power.ln() + sums.evidence(count, left),
    })
}

/// Running sums over the bins, from which the evidence of any range follows at once.
struct Sums {
    /// Weight, weight · rate, weight · rate², half the logarithm of the weight.
    running: Vec<[f64; 4]>,
    /// ln Γ((FREEDOM + n) / 2) by n.
    log_gamma: Vec<f64>,
}

/// What a range of bins sums to.
struct Range {
    weight: f64,
    product: f64,
    squares: f64,
    log_weights: f64,
}

impl Sums {
    fn new(bins: &Bins) -> Self {
        let mut running = vec![[0.0; 4]];
        let mut sum = [0.0; 4];
        for (width, rate) in bins.widths.iter().zip(&bins.rates) {
            let terms = [*width, width * rate, width * rate * rate, 0.5 * width.ln()];
            sum = [0, 1, 2, 3].map(|i| sum[i] + terms[i]);
            running.push(sum);
        }
        // Γ(1) = 1, Γ(3/2) = √π / 2, and Γ(x + 1) = x Γ(x).
        let mut log_gamma = vec![0.0, (0.5 * std::f64::consts::PI.sqrt()).ln()];
        for n in 2..=bins.len() {
            log_gamma.push(log_gamma[n - 2] + (0.5 * n as f64).ln());
        }
        Self { running, log_gamma }
    }

    fn range(&self, from: usize, to: usize) -> Range {
        let [weight, product, squares, log_weights] =
            [0, 1, 2, 3].map(|i| self.running[to][i] - self.running[from][i]);
        Range { weight, product, squares: squares.max(0.0), log_weights }
    }

    /// The logarithm of the marginal likelihood of `count` rates that leave weighted squares `left`, up to what all
    /// divisions of the same bins have in common.
    fn evidence(&self, count: f64, left: f64) -> f64 {
        let prior = FREEDOM * NOISE * NOISE;
        let half = 0.5 * (FREEDOM + count);
        self.log_gamma[count as usize] + 0.5 * FREEDOM * prior.ln() - half * (prior + left).ln()
    }

    /// The evidence for noise around one unknown level.
    fn level(&self, from: usize, to: usize) -> f64 {
        let range = self.range(from, to);
        let left = (range.squares - range.product * range.product / range.weight).max(0.0);
        let count = (to - from) as f64 - 1.0;
        range.log_weights + RATE_DENSITY.ln() - 0.5 * range.weight.ln() + self.evidence(count, left)
    }

    /// The evidence of all bins before each one: one level, or two with a change between them.
    fn before(&self) -> Vec<f64> {
        let n = self.running.len() - 1;
        let choice = (n as f64).ln();
        let mut all = vec![0.0; n + 1];
        let first: Vec<f64> = (0..=n).map(|end| if end == 0 { 0.0 } else { self.level(0, end) }).collect();
        let mut two = Vec::with_capacity(n);
        for (end, evidence) in all.iter_mut().enumerate().skip(1) {
            two.clear();
            two.extend((1..end).map(|change| first[change] + self.level(change, end) - choice));
            let one = first[end];
            let best = two.iter().copied().fold(one, f64::max);
            // What is far less likely than the best adds nothing.
            let near = two.iter().map(|two| two - best).filter(|less| *less > -30.0);
            *evidence = best + (near.map(f64::exp).sum::<f64>() + (one - best).exp()).ln();
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::bins::tests::path;
    use crate::growth::bins::{Regime, Work};
    use crate::path::Path;

    fn shares(path: &Path, work: &Work) -> [f64; 5] {
        let found = components(&Bins::new(&Regime::new(path), work));
        let mut shares = [0.0; 5];
        for one in found {
            let family = match one.course {
                Course::Ended => 0,
                Course::Even => 1,
                Course::Worked => 2,
                Course::Faster(_) => 3,
                Course::Slower(_) => 4,
            };
            shares[family] += one.weight;
        }
        shares
    }

    #[test]
    fn each_shape_is_recognised_after_a_quiet_start() {
        let none = Work::default();
        let even = shares(&path(80, |t| 10.0 + (t + 40.0).max(0.0)), &none);
        assert!(even[1] > 0.9, "{even:?}");
        let faster = shares(&path(80, |t| 10.0 + (t + 40.0).max(0.0).powi(2)), &none);
        assert!(faster[3] > 0.9, "{faster:?}");
        let slower = shares(&path(80, |t| 10.0 - 50.0 * (-(t + 40.0).max(0.0) / 15.0).exp()), &none);
        assert!(slower[4] > 0.9, "{slower:?}");
        let ended = shares(&path(80, |t| 10.0 + (t + 60.0).clamp(0.0, 30.0)), &none);
        assert!(ended[0] > 0.9, "{ended:?}");
    }

    #[test]
    fn growth_with_the_work_is_told_from_growth_with_time() {
        let rate = |t: f64| 10.0 + 6.0 * (t / 7.0).sin();
        let work = Work::new((0..=160).map(|i| f64::from(i) / 2.0 - 80.0).map(|t| (t, rate(t))));
        let begin = work.at(-40.0);
        let coupled = shares(&path(80, |t| 5.0 + 0.3 * (work.at(t) - begin).max(0.0)), &work);
        assert!(coupled[2] > 0.95, "{coupled:?}");
    }
}
