//! `GET /api/v1/fleet/history?metric=score|risk&from=-1h&to=now&step=60`: the whole fleet by time, as one matrix.

use axum::Json;
use axum::extract::State as Extract;
use foretwin_core::{InstanceId, Timestamp};
use foretwin_engine::{FleetQuery, Output};
use serde::{Deserialize, Serialize};

use crate::blocking::blocking;
use crate::error::ApiError;
use crate::extract::Asked;
use crate::paging::{Paging, page};
use crate::{State, when};

/// Where nothing else is asked for.
const FROM: &str = "-1h";
const CELLS: i64 = 60;
/// Cells of a row, and of an answer, at most: what a browser reads within a second.
const MOST_CELLS: i64 = 1000;
const MOST_VALUES: usize = 500_000;
/// Below a minute every frame is read, and no more than this of them.
const FINE_US: i64 = 60_000_000;
const MOST_FINE_US: i64 = 2 * 3_600_000_000;

/// What may be asked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// `score`, which is usual, or `risk`.
    metric: Option<String>,
    from: Option<String>,
    to: Option<String>,
    /// Length of a cell.
    step: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

impl Query {
    fn metric(&self) -> Result<Output, ApiError> {
        match self.metric.as_deref() {
            None | Some("score") => Ok(Output::Score),
            Some("risk") => Ok(Output::Risk),
            Some(_) => Err(ApiError::field("metric", "metric must be score or risk")),
        }
    }

    /// Begin, length of a cell, and how many: cells begin at multiples of their length, so that those of two answers
    /// are the same.
    fn cells(&self, now: Timestamp) -> Result<(Timestamp, i64, usize), ApiError> {
        let from = when::moment("from", self.from.as_deref().unwrap_or(FROM), now)?;
        let to = when::moment("to", self.to.as_deref().unwrap_or("now"), now)?;
        if from >= to {
            return Err(ApiError::field("from", "from must be earlier than to"));
        }
        let span_us = to.0 - from.0;
        let step_us = match self.step.as_deref() {
            Some(text) => step_us(text)?,
            None => (span_us / CELLS / 1_000_000).max(1) * 1_000_000,
        };
        let first = from.0.div_euclid(step_us);
        let cells = (to.0 - 1).div_euclid(step_us) - first + 1;
        if cells > MOST_CELLS {
            let message =
                format!("{cells} cells are too many, {MOST_CELLS} is the most: ask for a longer step");
            return Err(ApiError::field("step", message));
        }
        if step_us < FINE_US && span_us > MOST_FINE_US {
            return Err(ApiError::field("step", "beyond two hours step must be at least 1m"));
        }
        Ok((Timestamp(first * step_us), step_us, cells as usize))
    }
}

fn step_us(text: &str) -> Result<i64, ApiError> {
    let found = when::seconds(text).filter(|&seconds| (0.1..=86_400.0).contains(&seconds));
    let wrong = || ApiError::field("step", "step must be 0.1 s to a day, such as 4, 60s or 5m");
    found.map(|seconds| (seconds * 1e6) as i64).ok_or_else(wrong)
}

/// The answer: rows in order of their instances' ids.
pub(crate) async fn history(
    Extract(state): Extract<State>,
    Asked(query): Asked<Query>,
) -> Result<Json<Matrix>, ApiError> {
    let metric = query.metric()?;
    let (from, step_us, cells) = query.cells(state.handle.now())?;
    let most = (MOST_VALUES / cells).clamp(1, 1000);
    let paging = Paging::new(query.limit, query.cursor).or_limit(most).at_most(most)?;
    let ids = blocking(&state.handle, |handle| Ok(handle.instance_ids())).await?;
    let (instances, next_cursor) = page(ids, &paging, |id: &InstanceId| id.as_str().to_owned())?;
    let asked = FleetQuery { metric, instances, from, step_us, cells };
    let (asked, rows) = blocking(&state.handle, move |handle| {
        let rows = handle.fleet_history(&asked)?;
        Ok((asked, rows))
    })
    .await?;
    Ok(Json(Matrix {
        metric,
        from_us: from,
        step_us,
        cells,
        instances: asked.instances,
        values: rows.into_iter().map(|row| row.into_iter().map(short).collect()).collect(),
        next_cursor,
    }))
}

/// A row for each instance.
#[derive(Debug, Serialize)]
pub(crate) struct Matrix {
    metric: Output,
    from_us: Timestamp,
    step_us: i64,
    cells: usize,
    instances: Vec<InstanceId>,
    values: Vec<Vec<Option<f64>>>,
    next_cursor: Option<String>,
}

/// Four digits behind the point are more than a colour shows; null where nothing was said.
fn short(value: f64) -> Option<f64> {
    value.is_finite().then(|| (value * 1e4).round() / 1e4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(from: &str, step: Option<&str>) -> Query {
        Query { from: Some(from.into()), step: step.map(str::to_owned), ..Query::default() }
    }

    #[test]
    fn cells_begin_at_multiples_of_their_length_and_cover_what_is_asked() {
        let now = Timestamp::from_seconds(10_007.0);
        let (from, step_us, cells) = query("-5m", Some("4s")).cells(now).unwrap();
        assert_eq!((from, step_us, cells), (Timestamp::from_seconds(9704.0), 4_000_000, 76));
        let (from, step_us, cells) = query("-1h", None).cells(now).unwrap();
        assert_eq!((from, step_us, cells), (Timestamp::from_seconds(6360.0), 60_000_000, 61));
    }

    #[test]
    fn mistakes_are_named() {
        let now = Timestamp::from_seconds(1e9);
        for (from, step, field) in [
            ("-1h", "1s", "step"),
            ("-3h", "20s", "step"),
            ("-1h", "0", "step"),
            ("-1h", "2d", "step"),
            ("now", "1m", "from"),
            ("soon", "1m", "from"),
        ] {
            let error = format!("{:?}", query(from, Some(step)).cells(now).unwrap_err());
            assert!(error.contains(&format!("Some({field:?})")), "{from} {step}: {error}");
        }
        assert!(Query { metric: Some("speed".into()), ..Query::default() }.metric().is_err());
    }
}
