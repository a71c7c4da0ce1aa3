//! `GET /api/v1/instances/{id}/forecasts?metric=..&metric=..&horizon=1h&points=60`: what every metric may be next, and which
//! way of expecting it is used.

use axum::Json;
use axum::extract::{RawQuery, State as Extract};
use foretwin_core::InstanceId;
use foretwin_engine::{ForecastQuery, ForecastView};

use crate::api::pairs;
use crate::blocking::blocking;
use crate::error::ApiError;
use crate::extract::Id;
use crate::{State, when};

/// How far ahead if nothing is asked for, and at most: the farthest lead that is ever learned.
const HORIZON_S: f64 = 3600.0;
const MOST_S: f64 = 7.0 * 86_400.0;
/// Moments of a path if none are asked for, and at most.
const POINTS: usize = 60;
const MOST_POINTS: usize = 1000;

/// The answer: paths by metric with the quantiles 0.1, 0.5 and 0.9.
pub(crate) async fn forecasts(
    Extract(state): Extract<State>,
    Id(id): Id,
    RawQuery(query): RawQuery,
) -> Result<Json<ForecastView>, ApiError> {
    let query = forecast_query(id, &query.unwrap_or_default())?;
    Ok(Json(blocking(&state.handle, move |handle| handle.forecasts(&query)).await?))
}

fn forecast_query(instance: InstanceId, query: &str) -> Result<ForecastQuery, ApiError> {
    let mut asked = ForecastQuery { instance, metrics: Vec::new(), horizon_s: HORIZON_S, points: POINTS };
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "metric" => asked.metrics.push(value),
            "horizon" => asked.horizon_s = horizon_s(&value)?,
            "points" => asked.points = points(&value)?,
            _ => {
                let message = format!("{name:?} is not asked for here; use metric, horizon, points");
                return Err(ApiError::field("query", message));
            }
        }
    }
    Ok(asked)
}

fn horizon_s(text: &str) -> Result<f64, ApiError> {
    let found = when::seconds(text).filter(|&seconds| seconds > 0.0 && seconds <= MOST_S);
    found.ok_or_else(|| {
        ApiError::field("horizon", "horizon must be above 0 and at most 7 days, such as 90, 15m, 6h or 7d")
    })
}

fn points(text: &str) -> Result<usize, ApiError> {
    let found = text.parse().ok().filter(|points| (2..=MOST_POINTS).contains(points));
    let wrong = || ApiError::field("points", format!("points must be a number from 2 to {MOST_POINTS}"));
    found.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_and_mistakes_are_named() {
        let query = |text: &str| forecast_query(InstanceId::new("h"), text);
        let asked = query("metric=a%7Bb%3Dc%7D&metric=d&horizon=6h&points=10").unwrap();
        assert_eq!((asked.metrics.len(), asked.horizon_s, asked.points), (2, 21_600.0, 10));
        assert_eq!((query("").unwrap().horizon_s, query("").unwrap().points), (3600.0, 60));
        for (bad, field) in [
            ("horizon=soon", "horizon"),
            ("horizon=0", "horizon"),
            ("horizon=8d", "horizon"),
            ("points=1", "points"),
            ("points=1001", "points"),
            ("from=-1h", "query"),
        ] {
            let error = format!("{:?}", query(bad).unwrap_err());
            assert!(error.contains(&format!("Some({field:?})")), "{bad}: {error}");
        }
    }
}
