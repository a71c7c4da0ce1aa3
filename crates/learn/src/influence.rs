//! Interdependencies: which metric's past helps to predict which, and by how much.
//!
//! The gain of a source for a target is the part of the target's squared error that the source's past takes away:
//! `1 - with / without`, Granger's (1969) question, in Geweke's (1982) measure `ln(without / with) = -ln(1 - gain)`. For
//! the linear part `without` is exact and needs no second fit: dropping a block of regressors raises the sum of squares
//! by `b' (S)^-1 b`, where b are its weights and S its block of the inverse of the regressors' products. For the LSTM
//! the source is held at its mean while the others stay (as permutation importance does: Breiman, 2001), without another
//! training, which overstates it where others could stand in.

use serde::{Deserialize, Serialize};

use crate::lstm::Memory;
use crate::model::Model;
use crate::solve::{add_cross, solve_ridge};
use crate::step::gather;
use crate::table::Table;

/// Rows that gains are measured on, the latest.
const ROWS: usize = 8192;
/// Rows that the LSTM is asked about, the latest, and those before them that only warm its memory.
const LSTM_ROWS: usize = 500;
const WARM_ROWS: usize = 50;
/// Inputs of the LSTM that are held at their mean, one by one, at most.
const LSTM_INPUTS: usize = 48;
/// Sources named per target.
const NAMED: usize = 5;
/// Smaller gains are none.
const LEAST: f64 = 0.01;
/// A gain must be this many times what chance gives to a useless block.
const CHANCE: f64 = 4.0;

/// One metric's past helps to predict another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Influence {
    /// Column of the metric that is predicted.
    pub target: usize,
    /// Column of the metric whose past helps.
    pub source: usize,
    /// The part of the target's squared one-step error that the source's past takes away, 0 to 1.
    pub gain: f64,
}

impl Model {
    /// For each metric the most helpful others, largest gain first: measured when the model was fitted, at one step.
    #[must_use]
    pub fn influences(&self) -> &[Influence] {
        &self.header.influences
    }
}

/// Measures all gains on usable rows.
pub(crate) fn measure(model: &Model, table: &Table, usable: &[u32]) -> Vec<Influence> {
    let targets = &model.header.shape.targets;
    let rows = &usable[usable.len().saturating_sub(ROWS)..];
    // What each source leaves without it, relative to with it: factors of linear part and LSTM multiply.
    let width = table.width;
    let mut kept = vec![1.0f64; targets.len() * width];
    linear(model, table, rows, &mut kept);
    recurrent(model, table, rows, &mut kept);
    let mut found = Vec::new();
    for (t, kept) in kept.chunks_exact(width.max(1)).enumerate() {
        let mut gains: Vec<Influence> = kept
            .iter()
            .enumerate()
            .map(|(source, with)| Influence { target: targets[t] as usize, source, gain: 1.0 - with })
            .filter(|influence| influence.gain >= LEAST && influence.source != influence.target)
            .collect();
        gains.sort_by(|a, b| b.gain.total_cmp(&a.gain));
        found.extend(gains.into_iter().take(NAMED));
    }
    found
}

fn linear(model: &Model, table: &Table, rows: &[u32], kept: &mut [f64]) {
    let shape = &model.linear.shape;
    let (inputs, lags, joint) = (shape.inputs.len(), shape.lags, shape.joint.len());
    let n = shape.regressors();
    if joint == 0 || rows.len() < 2 * n {
        return;
    }
    let (mut g, mut x, mut scratch) = (vec![0.0f64; n * n], Vec::new(), Vec::new());
    let mut errors = vec![1e-12f64; shape.targets.len()];
    for block in rows.chunks(512) {
        x.clear();
        for &row in block {
            shape.gather(table, row as usize, &mut x);
        }
        add_cross(&mut g, (&x, n), (&x, n), &mut scratch);
        for left in model.linear.residuals(table, block).chunks_exact(shape.targets.len()) {
            errors.iter_mut().zip(left).for_each(|(sum, left)| *sum += f64::from(left * left));
        }
    }
    let mut inverse = vec![0.0f64; n * n];
    (0..n).for_each(|i| inverse[i * n + i] = 1.0);
    solve_ridge(&mut g, n, 1e-3 * rows.len() as f64, &mut inverse);
    for (i, &source) in shape.inputs.iter().enumerate() {
        for (j, &t) in shape.joint.iter().enumerate() {
            let weights: Vec<f64> =
                (0..lags).map(|k| f64::from(model.linear.others[(k * inputs + i) * joint + j])).collect();
            let mut block: Vec<f64> = (0..lags * lags)
                .map(|at| inverse[((at / lags) * inputs + i) * n + (at % lags) * inputs + i])
                .collect();
            let mut solved = weights.clone();
            solve_ridge(&mut block, lags, 1e-12, &mut solved);
            let more: f64 = weights.iter().zip(&solved).map(|(a, b)| a * b).sum();
            let error = errors[t as usize];
            let by_chance = error * lags as f64 / rows.len() as f64;
            if more > CHANCE * by_chance {
                kept[t as usize * table.width + source as usize] *= error / (error + more);
            }
        }
    }
}

fn recurrent(model: &Model, table: &Table, rows: &[u32], kept: &mut [f64]) {
    let (Some(shape), Some(_)) = (&model.header.recurrent, &model.network) else { return };
    let first = rows.len().saturating_sub(LSTM_ROWS + WARM_ROWS);
    let Some(rows) = rows.get(first..).filter(|rows| rows.len() > 2 * WARM_ROWS) else { return };
    let with = errors_without(model, table, rows, None);
    for (i, &source) in shape.inputs.iter().enumerate().take(LSTM_INPUTS) {
        let without = errors_without(model, table, rows, Some(i));
        for (n, &t) in shape.outputs.iter().enumerate() {
            if without[n] > with[n] {
                kept[t as usize * table.width + source as usize] *= with[n] / without[n];
            }
        }
    }
}

/// Squared errors of the corrected targets while one input of the LSTM is held at its mean.
fn errors_without(model: &Model, table: &Table, rows: &[u32], held: Option<usize>) -> Vec<f64> {
    let (Some(shape), Some(network)) = (&model.header.recurrent, &model.network) else { return Vec::new() };
    let (mut memory, mut room) = (Memory::new(shape.size.hidden), Vec::new());
    let (mut output, mut errors) = (vec![0.0; shape.outputs.len()], vec![1e-12; shape.outputs.len()]);
    for (n, &row) in rows.iter().enumerate() {
        let before = row as usize - 1;
        if table.age[before] == 0 {
            memory.clear();
        }
        gather(shape, table.row(before), table.times[before], &mut room);
        if let Some(held) = held {
            room[held] = 0.0;
        }
        network.step(&room, &mut memory, &mut output);
        if n < WARM_ROWS {
            continue;
        }
        let left = model.linear.residuals(table, &[row]);
        for (place, &t) in shape.outputs.iter().enumerate() {
            let error = left[t as usize] - output[place] * model.unit[place];
            errors[place] += f64::from(error * error);
        }
    }
    errors
}
