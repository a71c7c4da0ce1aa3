//! The linear part: every metric from its own past, then from the past of the others where that helps.
//!
//! A vector autoregression in two closed-form steps. First each metric is regressed on its own lags, shrunk towards
//! persistence (the next value is the last); then what is left on the lags of all inputs together, shrunk towards
//! zero. Without shrinkage the two steps equal ordinary least squares on all lags (Frisch and Waugh, 1933); with it
//! the prior is Litterman's (1986): own lags first, others only where data insist.

use serde::{Deserialize, Serialize};

use crate::Config;
use crate::solve::{add_cross, multiply, solve_ridge};
use crate::table::Table;

/// Rows whose products are summed in `f32`.
const BLOCK_ROWS: usize = 512;
/// Weight of the ridge of the second step, relative to the first: others explain less than one's own past.
const OTHERS_RIDGE: f64 = 1.0;
/// Rows that rank the inputs when there are more than the budget.
const RANKING_ROWS: usize = 8192;

/// Weights of the linear part. Vectors over metrics are in the order of `targets`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Linear {
    pub shape: Shape,
    /// Own lags, newest first, then the constant: targets × (lags + 1). They give the change from the last value.
    pub own: Vec<f32>,
    /// Lags of all inputs, newest first, what is known of the frame itself, then the constant:
    /// (lags × inputs + known + 1) × joint targets.
    pub others: Vec<f32>,
}

/// Which columns take part in the linear part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub lags: usize,
    /// Columns that are expected.
    pub targets: Vec<u32>,
    /// Columns whose past explains.
    pub inputs: Vec<u32>,
    /// Columns that are commanded: known of the frame that is expected, not only of those before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<u32>,
    /// Which targets, as indices into `targets`, are also explained by the past of others.
    pub joint: Vec<u32>,
}

impl Shape {
    /// Regressors of the second step.
    pub fn regressors(&self) -> usize {
        self.lags * self.inputs.len() + self.known.len() + 1
    }

    /// Appends the regressors of the second step for a row of a table, the constant last.
    pub fn gather(&self, table: &Table, row: usize, x: &mut Vec<f32>) {
        for k in 0..self.lags {
            let past = table.row(row - 1 - k);
            x.extend(self.inputs.iter().map(|&column| past[column as usize]));
        }
        let now = table.row(row);
        x.extend(self.known.iter().map(|&column| now[column as usize]));
        x.push(1.0);
    }
}

impl Linear {
    /// Fits weights to the usable `rows` of a table.
    pub fn fit(table: &Table, rows: &[u32], shape: Shape, config: &Config) -> Self {
        let own = (0..shape.targets.len())
            .flat_map(|t| own_weights(table, rows, (&shape, t, 1), config.ridge))
            .collect();
        let mut linear = Self { shape, own, others: Vec::new() };
        if !linear.shape.joint.is_empty() {
            linear.others = others_weights(table, rows, &linear, OTHERS_RIDGE * config.ridge);
        }
        linear
    }

    /// Expects the next frame on the common scale. `lag(k)` is the full-width row k + 1 frames ago, `now` the row that
    /// is expected, of which only what is known beforehand is read; NaN there stands for what it was.
    pub fn expect<'a>(
        &self,
        lag: impl Fn(usize) -> &'a [f32],
        now: &[f32],
        room: &mut Room,
        mean: &mut [f32],
    ) {
        let Shape { lags, targets, inputs, known, joint } = &self.shape;
        mean[..targets.len()].fill(0.0);
        room.past.clear();
        for k in 0..*lags {
            let row = lag(k);
            for ((mean, weights), &column) in
                mean.iter_mut().zip(self.own.chunks_exact(lags + 1)).zip(targets)
            {
                *mean += weights[k] * row[column as usize];
            }
            room.past.extend(inputs.iter().map(|&column| row[column as usize]));
        }
        let last = lag(0);
        for ((mean, weights), &column) in mean.iter_mut().zip(self.own.chunks_exact(lags + 1)).zip(targets) {
            *mean = last[column as usize] + *mean + weights[*lags];
        }
        if joint.is_empty() {
            return;
        }
        room.past.extend(known.iter().map(|&column| {
            let told = now[column as usize];
            if told.is_nan() { last[column as usize] } else { told }
        }));
        room.joint.clear();
        room.joint.extend_from_slice(&self.others[self.others.len() - joint.len()..]);
        add_products(&room.past, &self.others, &mut room.joint);
        for (&t, more) in joint.iter().zip(&room.joint) {
            mean[t as usize] += more;
        }
    }

    /// The same with the second step only for the targets that are `worth` it.
    pub fn keep_joint(self, worth: impl Fn(usize) -> bool) -> Self {
        let before = self.shape.joint.len();
        let kept: Vec<usize> = (0..before).filter(|&n| worth(self.shape.joint[n] as usize)).collect();
        let joint = kept.iter().map(|&n| self.shape.joint[n]).collect();
        let rows = self.others.chunks_exact(before.max(1));
        let others = rows.flat_map(|row| kept.iter().map(|&n| row[n])).collect();
        Self { shape: Shape { joint, ..self.shape }, own: self.own, others }
    }

    /// What each target did beyond its expectation at the given rows: rows × targets; 0 where it was not seen.
    pub fn residuals(&self, table: &Table, rows: &[u32]) -> Vec<f32> {
        let (targets, mut room) = (&self.shape.targets, Room::default());
        let mut residuals = vec![0.0; rows.len() * targets.len()];
        let mut mean = vec![0.0; targets.len()];
        for (&row, residual) in rows.iter().zip(residuals.chunks_exact_mut(targets.len().max(1))) {
            let row = row as usize;
            self.expect(|k| table.row(row - 1 - k), table.row(row), &mut room, &mut mean);
            for (t, (&column, mean)) in targets.iter().zip(&mean).enumerate() {
                if table.is_seen(row, column as usize) {
                    residual[t] = table.row(row)[column as usize] - mean;
                }
            }
        }
        residuals
    }
}

/// Room for the sums of the second step, kept between frames so that none is allocated.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Room {
    joint: Vec<f32>,
    /// The lags of all inputs, newest first.
    past: Vec<f32>,
}

/// Outputs that are summed together, so that their sums stay in registers.
const TOGETHER: usize = 16;

/// Adds x times `weights` (x × sums, row by row) to `sums`; every sum in the order of x.
fn add_products(x: &[f32], weights: &[f32], sums: &mut [f32]) {
    let width = sums.len();
    let mut start = 0;
    let mut blocks = sums.chunks_exact_mut(TOGETHER);
    for block in &mut blocks {
        let mut held = [0.0; TOGETHER];
        held.copy_from_slice(block);
        for (x, row) in x.iter().zip(weights.chunks_exact(width)) {
            let row = &row[start..start + TOGETHER];
            held.iter_mut().zip(row).for_each(|(sum, w)| *sum += x * w);
        }
        block.copy_from_slice(&held);
        start += TOGETHER;
    }
    let rest = blocks.into_remainder();
    for (x, row) in x.iter().zip(weights.chunks_exact(width)) {
        rest.iter_mut().zip(&row[start..]).for_each(|(sum, w)| *sum += x * w);
    }
}

/// Regresses the change of one target over `frames` frames on its own lags before them and a constant.
pub(crate) fn own_weights(
    table: &Table,
    rows: &[u32],
    (shape, target, frames): (&Shape, usize, usize),
    ridge: f64,
) -> Vec<f32> {
    let (column, n) = (shape.targets[target] as usize, shape.lags + 1);
    let (mut g, mut c, mut x) = (vec![0.0; n * n], vec![0.0; n], vec![1.0; n]);
    for &row in rows {
        let row = row as usize;
        if !table.is_seen(row, column) {
            continue;
        }
        let at = |row: usize| f64::from(table.z[row * table.width + column]);
        x[..shape.lags].iter_mut().enumerate().for_each(|(k, x)| *x = at(row - frames - k));
        let change = at(row) - x[0];
        for i in 0..n {
            c[i] += x[i] * change;
            g[i * n..=i * n + i].iter_mut().zip(&x).for_each(|(sum, other)| *sum += x[i] * other);
        }
    }
    solve_ridge(&mut g, n, ridge, &mut c);
    c.into_iter().map(|w| w as f32).collect()
}

/// Regresses what own lags leave on the lags of all inputs.
fn others_weights(table: &Table, rows: &[u32], own: &Linear, ridge: f64) -> Vec<f32> {
    let joint = &own.shape.joint;
    let (n, m) = (own.shape.regressors(), joint.len());
    let own_only = Linear {
        shape: Shape { joint: Vec::new(), ..own.shape.clone() },
        own: own.own.clone(),
        others: Vec::new(),
    };
    let (mut g, mut c, mut scratch) = (vec![0.0; n * n], vec![0.0; n * m], Vec::new());
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for block in rows.chunks(BLOCK_ROWS) {
        x.clear();
        y.clear();
        for &row in block {
            own.shape.gather(table, row as usize, &mut x);
        }
        let left = own_only.residuals(table, block);
        for left in left.chunks_exact(own.shape.targets.len()) {
            y.extend(joint.iter().map(|&t| left[t as usize]));
        }
        add_cross(&mut g, (&x, n), (&x, n), &mut scratch);
        add_cross(&mut c, (&x, n), (&y, m), &mut scratch);
    }
    solve_ridge(&mut g, n, ridge, &mut c);
    c.into_iter().map(|w| w as f32).collect()
}

/// The `most` candidate columns whose last value says most about the next change of the targets: the sum over
/// targets of squared correlations.
pub(crate) fn rank_inputs(
    table: &Table,
    rows: &[u32],
    candidates: Vec<u32>,
    targets: &[u32],
    most: usize,
) -> Vec<u32> {
    if candidates.len() <= most {
        return candidates;
    }
    let rows = &rows[rows.len().saturating_sub(RANKING_ROWS)..];
    let (n, m) = (candidates.len(), targets.len());
    let (mut cross, mut x_power, mut y_power) = (vec![0.0f32; n * m], vec![1e-6f32; n], vec![1e-6f32; m]);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for block in rows.chunks(BLOCK_ROWS) {
        x.clear();
        y.clear();
        for &row in block {
            let (now, past) = (table.row(row as usize), table.row(row as usize - 1));
            x.extend(candidates.iter().map(|&c| past[c as usize].clamp(-10.0, 10.0)));
            y.extend(targets.iter().map(|&t| (now[t as usize] - past[t as usize]).clamp(-10.0, 10.0)));
        }
        for (sums, values, width) in [(&mut x_power, &x, n), (&mut y_power, &y, m)] {
            for row in values.chunks_exact(width) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * value);
            }
        }
        multiply((&x, [1, n]), (&y, [m, 1]), [n, block.len(), m], &mut cross);
    }
    let worth = |i: usize| -> f32 {
        let row = &cross[i * m..(i + 1) * m];
        row.iter().zip(&y_power).map(|(xy, yy)| xy * xy / (x_power[i] * yy)).sum()
    };
    let mut ranked: Vec<(f32, u32)> =
        candidates.iter().enumerate().map(|(i, &column)| (worth(i), column)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut best: Vec<u32> = ranked.into_iter().take(most).map(|(_, column)| column).collect();
    best.sort_unstable();
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::{Rng, Timestamp};

    #[test]
    fn products_are_summed_in_order_whatever_the_width() {
        let mut rng = Rng::new(5);
        for width in [1, 15, 16, 17, 38] {
            let x: Vec<f32> = (0..7).map(|_| rng.normal() as f32).collect();
            let weights: Vec<f32> = (0..7 * width).map(|_| rng.normal() as f32).collect();
            let mut sums: Vec<f32> = (0..width).map(|n| n as f32).collect();
            let mut plain = sums.clone();
            for (x, row) in x.iter().zip(weights.chunks_exact(width)) {
                plain.iter_mut().zip(row).for_each(|(sum, w)| *sum += x * w);
            }
            add_products(&x, &weights, &mut sums);
            assert_eq!(sums, plain);
        }
    }

    /// `a` is noise with memory, `b` follows `a` one frame later, `c` is noise.
    fn table(rows: usize) -> Table {
        let (mut rng, mut z, mut last) = (Rng::new(3), Vec::new(), [0.0f64; 3]);
        for _ in 0..rows {
            let next = [0.8 * last[0] + 0.6 * rng.normal(), 0.9 * last[0] + 0.3 * rng.normal(), rng.normal()];
            z.extend(next.map(|x| x as f32));
            last = next;
        }
        let times = (0..rows as i64).map(Timestamp).collect();
        Table { width: 3, z, seen: vec![true; rows * 3], age: (0..rows as u32).collect(), times }
    }

    fn shape(joint: Vec<u32>) -> Shape {
        Shape { lags: 2, targets: vec![0, 1, 2], inputs: vec![0, 1, 2], known: vec![], joint }
    }

    fn errors(linear: &Linear, table: &Table, rows: &[u32]) -> Vec<f32> {
        let residuals = linear.residuals(table, rows);
        (0..3)
            .map(|t| residuals.iter().skip(t).step_by(3).map(|r| r * r).sum::<f32>() / rows.len() as f32)
            .collect()
    }

    #[test]
    fn others_explain_what_own_lags_cannot() {
        let table = table(4000);
        let (train, test): (Vec<u32>, Vec<u32>) = ((2..3000).collect(), (3000..4000).collect());
        let config = Config::default();
        let own = errors(&Linear::fit(&table, &train, shape(vec![]), &config), &table, &test);
        let joint = errors(&Linear::fit(&table, &train, shape(vec![0, 1, 2]), &config), &table, &test);
        assert!((own[0] - 0.36).abs() < 0.04 && (own[2] - 1.0).abs() < 0.15, "{own:?}");
        assert!(joint[1] < 0.11 && own[1] > 0.3, "{own:?} {joint:?}");
        let some = errors(&Linear::fit(&table, &train, shape(vec![1]), &config), &table, &test);
        assert!((some[1] - joint[1]).abs() < 1e-4 && (some[0] - own[0]).abs() < 1e-6);
    }

    #[test]
    fn what_is_commanded_explains_the_frame_it_is_commanded_in() {
        // Column 0 is a command, column 1 obeys it at once: its past alone says nothing of it.
        let (mut rng, mut z, rows) = (Rng::new(4), Vec::new(), 3000);
        for _ in 0..rows {
            let command = rng.normal();
            z.extend([command as f32, (0.9 * command + 0.1 * rng.normal()) as f32]);
        }
        let times = (0..rows as i64).map(Timestamp).collect();
        let table = Table { width: 2, z, seen: vec![true; rows * 2], age: (0..rows as u32).collect(), times };
        let shape = |known| Shape { lags: 2, targets: vec![1], inputs: vec![0, 1], known, joint: vec![0] };
        let (train, test): (Vec<u32>, Vec<u32>) = ((2..2000).collect(), (2000..3000).collect());
        let error = |known| {
            let linear = Linear::fit(&table, &train, shape(known), &Config::default());
            linear.residuals(&table, &test).iter().map(|r| r * r).sum::<f32>() / test.len() as f32
        };
        assert!(error(vec![0]) < 0.02 && error(vec![]) > 0.7, "{} {}", error(vec![0]), error(vec![]));
        // A command that was not heard is taken to stand.
        let linear = Linear::fit(&table, &train, shape(vec![0]), &Config::default());
        let lag = |_: usize| &[2.0f32, 1.8][..];
        let (mut room, mut mean) = (Room::default(), [0.0]);
        linear.expect(lag, &[f32::NAN, 0.0], &mut room, &mut mean);
        assert!((mean[0] - 1.8).abs() < 0.1, "{mean:?}");
    }

    #[test]
    fn few_rows_stay_near_persistence() {
        let table = table(8);
        let linear =
            Linear::fit(&table, &[2, 3, 4], shape(vec![]), &Config { ridge: 1000.0, ..Config::default() });
        assert!(linear.own.iter().all(|w| w.abs() < 0.05));
    }

    #[test]
    fn ranking_finds_the_input_that_others_follow() {
        let table = table(2000);
        let rows: Vec<u32> = (2..2000).collect();
        assert_eq!(rank_inputs(&table, &rows, vec![0, 2], &[1], 1), [0]);
        assert_eq!(rank_inputs(&table, &rows, vec![0, 1, 2], &[1], 5), [0, 1, 2]);
    }
}
