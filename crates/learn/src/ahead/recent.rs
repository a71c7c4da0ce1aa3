//! Weighs the ways to expect a metric by their skill lately, and takes its bands from what the weighted ones missed.
//!
//! Forecasts are made from earlier rows as if those were now (rolling origins: Tashman, International Journal of
//! Forecasting 16, 2000), so that both weights and bands follow the present instead of what was held out once. Averages
//! of forecasts are hard to beat (Bates and Granger, Operational Research Quarterly 20, 1969).

use super::band::{LEVELS, NORMAL};

/// Rows that are looked back on, or so many leads if those are more.
const ROWS: usize = 256;
const LEADS: usize = 4;
/// Origins to a lead at most: more of them would differ little.
const PER_LEAD: usize = 64;
/// Rows or leads, whichever is longer, after which an origin weighs a third.
const FADE: f32 = 100.0;
/// Held-out errors weigh as much as so many recent independent ones, if there were so many.
const HELD_OUT: f32 = 10.0;
/// The same where the size of errors is concerned, which changes faster than who makes the smaller ones.
const HELD_OUT_SIZE: f32 = 0.5;
/// So many independent errors say as much of the shape of errors as the assumption that they are normal.
const FEW: f32 = 20.0;
/// What the variance of few independent errors falls short of, as a part of one over their number.
const SHORT: f32 = 0.3;

/// An earlier row that forecasts are made from again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Past {
    pub row: usize,
    weight: f32,
}

/// Earlier origins of a lead, the latest first, and how many independent ones they are worth.
pub(super) struct Origins {
    pub all: Vec<Past>,
    independent: f32,
}

impl Origins {
    /// Those whose truth is known at row `now`; forecasts `lead` rows ahead from neighbouring rows share most of their
    /// errors, so that only one in `lead` is independent.
    pub fn before(now: usize, lead: usize, seen: impl Fn(usize) -> bool) -> Self {
        let end = (now + 1).saturating_sub(lead);
        let window = ROWS.max(LEADS * lead);
        let (stride, fade) = ((lead / PER_LEAD).max(1), FADE.max(lead as f32));
        let rows = (0..end).rev().take(window).step_by(stride).filter(|&row| row >= 3 && seen(row));
        let weight = |row: usize| (-((end - 1 - row) as f32) / fade).exp();
        let mut all: Vec<Past> = rows.map(|row| Past { row, weight: weight(row) }).collect();
        let sum: f32 = all.iter().map(|past| past.weight).sum();
        all.iter_mut().for_each(|past| past.weight /= sum);
        // Kish's effective sample size.
        let squares: f32 = all.iter().map(|past| past.weight * past.weight).sum();
        let independent = if all.is_empty() { 0.0 } else { stride as f32 / (lead as f32 * squares) };
        Self { all, independent }
    }
}

/// One way to expect a metric: what it missed at each of the origins, in their order, and its held-out mean absolute error
/// where that is known.
pub(super) struct Way {
    pub missed: Vec<f32>,
    pub held_out: Option<f32>,
}

/// How a metric is expected now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recent {
    /// Of each way; they sum to 1.
    pub weights: Vec<f32>,
    /// Root mean square of what the weighted ways missed, on the common scale.
    pub scale: f32,
    /// Quantiles of the same at [`LEVELS`].
    pub quantiles: [f32; 7],
    /// Independent errors that all this rests on.
    pub independent: f32,
    /// What the weighted ways missed over what the way that held-out errors chose missed.
    pub gain: f32,
}

/// What is known of held-out data.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeldOut {
    /// Root mean square error of the chosen way, on the common scale, and which of the ways that is.
    pub scale: f32,
    pub chosen: usize,
    /// Errors that are independent.
    pub independent: f32,
}

impl Recent {
    /// Weighs the ways and takes the bands.
    pub fn weigh(origins: &Origins, ways: &[Way], held_out: HeldOut) -> Self {
        let weights = weights(origins, ways, held_out.independent.min(HELD_OUT));
        let missed = |at: usize| ways.iter().zip(&weights).map(|(way, weight)| weight * way.missed[at]).sum();
        let missed: Vec<f32> = (0..origins.all.len()).map(missed).collect();
        let n = origins.independent;
        let square = weighted(origins, &missed, |missed| missed * missed);
        let few = 1.0 + SHORT / n.max(1.0);
        let prior = HELD_OUT_SIZE * held_out.scale * held_out.scale;
        let with_prior = |square: f32| ((n * square * few + prior) / (n + HELD_OUT_SIZE)).sqrt();
        let scale = with_prior(square);
        let chosen = ways.get(held_out.chosen).map_or(&[][..], |way| &way.missed);
        let gain = scale / with_prior(weighted(origins, chosen, |missed| missed * missed));
        let shape = n / (n + FEW);
        let mut quantiles = NORMAL.map(|normal| normal * scale);
        if !missed.is_empty() {
            let found = shaped(origins, &missed, shape);
            let mix = |(all, found): (&mut f32, f32)| *all += shape * (found * few.sqrt() - *all);
            quantiles.iter_mut().zip(found).for_each(mix);
        }
        Self { weights, scale, quantiles, independent: n, gain }
    }
}

fn weighted(origins: &Origins, missed: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    origins.all.iter().zip(missed).map(|(past, &missed)| past.weight * of(missed)).sum()
}

/// A power of the mean absolute errors, recent and held-out: the more there are, the more the better way gets.
fn weights(origins: &Origins, ways: &[Way], held_out: f32) -> Vec<f32> {
    let recent: Vec<f32> = ways.iter().map(|way| weighted(origins, &way.missed, f32::abs)).collect();
    let floor = 1e-4 * recent.iter().copied().fold(1e-4, f32::max);
    let n = origins.independent;
    let log = |(way, recent): (&Way, &f32)| {
        let before = way.held_out.map_or(0.0, |error| (error + 1e-4).ln());
        n * (recent + floor).ln() + held_out * before
    };
    let logs: Vec<f32> = ways.iter().zip(&recent).map(log).collect();
    let power = (2.0 + (n + held_out).sqrt()) / (n + held_out).max(1e-3);
    let least = logs.iter().copied().fold(f32::INFINITY, f32::min);
    let mut weights: Vec<f32> = logs.iter().map(|log| (power * (least - log)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
    weights
}

/// Quantiles of the errors: of their size on either side where few are independent, of the errors themselves where many
/// are (`own` is the part that these get).
fn shaped(origins: &Origins, missed: &[f32], own: f32) -> [f32; 7] {
    let sorted = |of: fn(f32) -> f32| {
        let weights = origins.all.iter().map(|past| past.weight);
        let mut sorted: Vec<(f32, f32)> = missed.iter().map(|&missed| of(missed)).zip(weights).collect();
        sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        sorted
    };
    let (errors, sizes) = (sorted(|missed| missed), sorted(f32::abs));
    LEVELS.map(|level| {
        let even = quantile(&sizes, (2.0 * level - 1.0).abs()) * (level - 0.5).signum();
        let even = if level == 0.5 { 0.0 } else { even };
        even + own * (quantile(&errors, level) - even)
    })
}

/// The value that so much of the weight does not exceed.
fn quantile(sorted: &[(f32, f32)], level: f32) -> f32 {
    let mut below = 0.0;
    let reached = sorted.iter().find(|(_, weight)| {
        below += weight;
        below >= level
    });
    reached.or(sorted.last()).map_or(0.0, |(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use foretwin_core::Rng;

    use super::*;

    fn held_out(scale: f32) -> HeldOut {
        HeldOut { scale, chosen: 0, independent: 100.0 }
    }

    #[test]
    fn origins_are_known_now_and_fade() {
        let origins = Origins::before(1000, 10, |row| row != 985);
        assert_eq!(origins.all[0].row, 990);
        assert!(origins.all.iter().all(|past| past.row <= 990 && past.row != 985));
        assert!(origins.all.is_sorted_by(|a, b| a.row > b.row && a.weight > b.weight));
        assert!((origins.all.iter().map(|past| past.weight).sum::<f32>() - 1.0).abs() < 1e-5);
        // 2 x 100 rows by the fading, of which one in ten is independent.
        assert!((17.0..20.0).contains(&origins.independent), "{}", origins.independent);
        assert_eq!(Origins::before(5, 10, |_| true).independent, 0.0);
        assert!(Origins::before(100_000, 2000, |_| true).all.len() <= LEADS * PER_LEAD + 3);
    }

    #[test]
    fn the_better_way_gets_the_more_the_more_is_known() {
        let mut rng = Rng::new(1);
        let mut share = |rows: usize| {
            let origins = Origins::before(rows, 1, |_| true);
            let mut way = |size: f64| {
                let missed = origins.all.iter().map(|_| (size * rng.normal()) as f32).collect();
                Way { missed, held_out: None }
            };
            let ways = [way(1.0), way(0.7)];
            Recent::weigh(&origins, &ways, held_out(1.0)).weights[1]
        };
        let (few, many) = (share(20), share(400));
        assert!(0.5 < few && few < many && many > 0.95, "{few}, {many}");
    }

    #[test]
    fn without_a_past_it_is_the_held_out_errors() {
        let origins = Origins::before(4, 60, |_| true);
        let way = |held_out: f32| Way { missed: Vec::new(), held_out: Some(held_out) };
        let recent = Recent::weigh(&origins, &[way(1.0), way(0.5)], held_out(2.0));
        assert!(recent.weights[1] > 0.9 && (recent.scale - 2.0).abs() < 1e-5, "{recent:?}");
        assert_eq!(recent.quantiles, NORMAL.map(|normal| normal * recent.scale));
    }

    #[test]
    fn quantiles_follow_the_shape_of_many_errors() {
        let mut rng = Rng::new(2);
        let origins = Origins::before(5000, 1, |_| true);
        let missed = origins.all.iter().map(|_| -(rng.uniform().max(1e-9).ln()) as f32).collect();
        let recent = Recent::weigh(&origins, &[Way { missed, held_out: None }], held_out(1.0));
        let [p05, .., p95] = recent.quantiles;
        // Exponential errors are above 0; 95 % of them are below 3.0.
        assert!((-0.4..0.2).contains(&p05) && (2.0..3.6).contains(&p95), "{recent:?}");
        assert!(recent.quantiles.is_sorted());
    }
}
