//! The movement of a series in words that people know: rate, its uncertainty, and shape.

use foretwin_core::{Shape, Trend};

use crate::outlook::Judged;
use crate::path::Path;

/// Blocks into which a series without a climb is cut to name its shape.
const BLOCKS: usize = 16;

/// Describes the climb that the risk was taken from, or without one the whole path.
pub(crate) fn describe(path: &Path, climb: Option<&Judged>, headroom: f64) -> Trend {
    match climb {
        Some(judged) => climbing(path, judged, headroom),
        None => resting(path),
    }
}

fn climbing(path: &Path, judged: &Judged, headroom: f64) -> Trend {
    let (climb, fits) = (&judged.climb, &judged.fits);
    let steps = fits.even.noise > 1.0 && climb.efficiency > 0.95;
    let jump = climb.rates.iter().copied().fold(0.0, f64::max) * climb.bin_s > 0.5 * climb.rise;
    let shape = if jump || judged.persistence.alive < 0.3 {
        // One jump, or it is over: what remains is the shape of the whole.
        resting_shape(path)
    } else if fits.levels_off(headroom / climb.rise) {
        Shape::Plateau
    } else if fits.accelerates() {
        Shape::Accelerating
    } else if steps {
        Shape::Step
    } else if falls(path, path.from(climb.lasted_s), 0.08 * climb.rise) >= 3 {
        Shape::Sawtooth
    } else {
        Shape::Linear
    };
    let rate = climb.rate();
    let rate_sd = rate * fits.even.noise / fits.even.effective.sqrt();
    Trend { shape, rate, rate_sd, span_s: climb.lasted_s }
}

/// How often the samples from `from` on fell by at least `depth` below their peak and rose above it again.
fn falls(path: &Path, from: usize, depth: f64) -> usize {
    let (mut peak, mut deepest, mut count) = (f64::NEG_INFINITY, 0.0f64, 0);
    for &x in &path.used[from..] {
        if x >= peak {
            count += usize::from(deepest >= depth && depth > 0.0);
            (peak, deepest) = (x, 0.0);
        }
        deepest = deepest.max(peak - x);
    }
    count
}

/// Least squares over the whole path, and the shape from block means.
fn resting(path: &Path) -> Trend {
    let n = path.times.len() as f64;
    let (mean_t, mean_x) = (path.times.iter().sum::<f64>() / n, path.used.iter().sum::<f64>() / n);
    let (mut tt, mut tx) = (0.0, 0.0);
    for (t, x) in path.times.iter().zip(&path.used) {
        tt += (t - mean_t) * (t - mean_t);
        tx += (t - mean_t) * (x - mean_x);
    }
    let rate = tx / tt;
    let left: f64 =
        path.times.iter().zip(&path.used).map(|(t, x)| (x - mean_x - rate * (t - mean_t)).powi(2)).sum();
    let rate_sd = (left / (n - 2.0) / tt).sqrt();
    Trend { shape: resting_shape(path), rate, rate_sd, span_s: path.span_s() }
}

fn resting_shape(path: &Path) -> Shape {
    let n = path.used.len();
    let blocks = BLOCKS.min(n / 2);
    let means: Vec<f64> = (0..blocks)
        .map(|b| {
            let block = &path.used[b * n / blocks..(b + 1) * n / blocks];
            block.iter().sum::<f64>() / block.len() as f64
        })
        .collect();
    let (low, high) = means.iter().fold((f64::MAX, f64::MIN), |(l, h), &m| (l.min(m), h.max(m)));
    let range = high - low;
    let within = path.used.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum::<f64>() / (n - 1) as f64;
    let (top, bottom) = (path.highest(0, n), path.used.iter().copied().fold(f64::MAX, f64::min));
    // Noise spans few of its own steps, a movement many.
    if top - bottom <= 9.0 * within || range <= 1e-3 * high.abs() {
        return Shape::Flat;
    }
    let net = means[blocks - 1] - means[0];
    // A step may fall within a block: then two differences share it.
    let largest = means.windows(3).map(|three| three[2] - three[0]).fold(0.0, f64::max);
    if sharp_falls(path, 0.3 * (top - bottom)) >= 2 {
        Shape::Sawtooth
    } else if net > 0.7 * range && largest > 0.8 * net {
        Shape::Step
    } else if net > 0.5 * range && (means[blocks - 1] - means[blocks * 3 / 4]).abs() < 0.1 * range {
        Shape::Plateau
    } else {
        Shape::Flat
    }
}

/// Falls of at least `depth` from one sample to the next.
fn sharp_falls(path: &Path, depth: f64) -> usize {
    path.used.windows(2).filter(|pair| pair[0] - pair[1] >= depth).count()
}
