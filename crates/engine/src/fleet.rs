//! What was thought of a whole fleet over time, as one matrix: instances by cells of time.

use foretwin_core::{HOUR_US, InstanceId, MINUTE_US, Timestamp, Window};
use foretwin_store::{Query, Statistic};
use serde::Serialize;

use crate::Error;
use crate::handle::Handle;
use crate::outputs;

/// Which of the stored outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// The anomaly score; above 1 is anomalous.
    Score,
    /// The probability of failing within an hour.
    Risk,
}

impl Output {
    fn key(self) -> &'static str {
        match self {
            Self::Score => outputs::SCORE,
            Self::Risk => "foretwin.failure.probability{horizon=1h}",
        }
    }
}

/// Which part of the history of which instances.
#[derive(Debug, Clone)]
pub struct FleetQuery {
    /// Which output.
    pub metric: Output,
    /// Whose, in the order of the rows.
    pub instances: Vec<InstanceId>,
    /// Begin of the first cell.
    pub from: Timestamp,
    /// Length of a cell in µs, above 0.
    pub step_us: i64,
    /// Cells of a row.
    pub cells: usize,
}

impl Handle {
    /// One row for each instance that is asked for: the largest value of each cell, NaN where nothing was said.
    ///
    /// # Errors
    /// If history cannot be read.
    pub fn fleet_history(&self, query: &FleetQuery) -> Result<Vec<Vec<f64>>, Error> {
        let key = query.metric.key();
        let span_us = query.step_us.saturating_mul(query.cells as i64);
        // No finer than the cells need: a tier has few rows, raw frames have thousands.
        let tier_us = [HOUR_US, MINUTE_US].into_iter().find(|&width_us| query.step_us >= width_us);
        let Some(any) = query.instances.first() else { return Ok(Vec::new()) };
        let like = Query {
            schema: Some(outputs::schema().id()),
            metrics: Some(vec![key.to_owned()]),
            max_points: tier_us.map(|width_us| (span_us / width_us).max(1) as usize),
            statistic: Statistic::Maximum,
            ..Query::new(any.clone(), query.from, query.from + span_us)
        };
        let windows = self.pipeline.store.read_each(&query.instances, &like)?;
        Ok(windows.iter().map(|window| row(query, window.as_ref())).collect())
    }
}

fn row(query: &FleetQuery, window: Option<&Window>) -> Vec<f64> {
    let mut cells = vec![f64::NAN; query.cells];
    let Some(window) = window else { return cells };
    for (at, value) in window.times.iter().zip(window.numbers(query.metric.key()).unwrap_or_default()) {
        // A row of a tier counts from its begin, which may lie before the first cell.
        let cell = ((at.0 - query.from.0) / query.step_us).max(0) as usize;
        if let Some(cell) = cells.get_mut(cell) {
            *cell = cell.max(value);
        }
    }
    cells
}
