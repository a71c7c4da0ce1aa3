//! The questions under `/api/v1`.

use axum::Json;
use axum::extract::{RawQuery, State as Extract};
use axum::http::StatusCode;
use foretwin_core::{
    Diagnosis, Failure, FailureMode, InstanceId, Maintenance, Metric, Prediction, ReportId, Timestamp,
};
use foretwin_engine::{InstanceView, WindowQuery, WindowView};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::blocking::blocking;
use crate::error::ApiError;
use crate::extract::{Asked, Body, Id};
use crate::paging::{Listed, Paging, answer, made, page};
use crate::{State, when};

/// Points of a series if none are asked for, and at most.
const POINTS: usize = 600;
const MOST_POINTS: usize = 20_000;
/// Longest horizon that may be asked for, and longest maintenance: 30 days.
const MOST_S: f64 = 30.0 * 86_400.0;

/// `GET /api/v1/instances?limit=..&cursor=..`: all, those that vanished last; in pages by id where a limit is given.
pub(crate) async fn instances(
    Extract(state): Extract<State>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Listed<InstanceView>>, ApiError> {
    if !paging.is_asked() {
        let instances = blocking(&state.handle, |handle| Ok(handle.instances())).await?;
        return answer("instances", instances, &paging, |one| one.instance.id.to_string());
    }
    let ids = blocking(&state.handle, |handle| Ok(handle.instance_ids())).await?;
    let page = page(ids, &paging, InstanceId::to_string)?;
    blocking(&state.handle, move |handle| Ok(made("instances", page, |id| handle.instance(&id).ok()))).await
}

/// `GET /api/v1/instances/{id}`
pub(crate) async fn instance(
    Extract(state): Extract<State>,
    Id(id): Id,
) -> Result<Json<InstanceView>, ApiError> {
    Ok(Json(blocking(&state.handle, move |handle| handle.instance(&id)).await?))
}

/// `GET /api/v1/instances/{id}/metrics`
pub(crate) async fn metrics(Extract(state): Extract<State>, Id(id): Id) -> Result<Json<Value>, ApiError> {
    let metrics = blocking(&state.handle, move |handle| handle.metrics(&id)).await?;
    let described: Vec<Value> = metrics.iter().map(describe).collect();
    Ok(Json(json!({"metrics": described})))
}

fn describe(metric: &Metric) -> Value {
    let mut described = json!(metric);
    described["key"] = metric.key().into();
    described
}

/// `GET /api/v1/instances/{id}/risks`
pub(crate) async fn risks(Extract(state): Extract<State>, Id(id): Id) -> Result<Json<Value>, ApiError> {
    let risks = blocking(&state.handle, move |handle| handle.risks(&id)).await?;
    Ok(Json(json!({"risks": risks})))
}

/// `GET /api/v1/instances/{id}/diagnosis`: ranked causes with evidence, and the anomalies that belong together.
pub(crate) async fn diagnosis(
    Extract(state): Extract<State>,
    Id(id): Id,
) -> Result<Json<Diagnosis>, ApiError> {
    Ok(Json(blocking(&state.handle, move |handle| handle.diagnosis(&id)).await?))
}

/// `GET /api/v1/instances/{id}/drift`: how far it is from where its champion and its reference saw it, by schema.
pub(crate) async fn drift(Extract(state): Extract<State>, Id(id): Id) -> Result<Json<Value>, ApiError> {
    let drift = blocking(&state.handle, move |handle| handle.drift(&id)).await?;
    Ok(Json(json!({"drift": drift})))
}

/// `GET /api/v1/instances/{id}/window?metric=..&metric=..&from=-15m&to=now&points=600`
pub(crate) async fn window(
    Extract(state): Extract<State>,
    Id(id): Id,
    RawQuery(query): RawQuery,
) -> Result<Json<WindowView>, ApiError> {
    let query = window_query(id, &query.unwrap_or_default(), state.handle.now())?;
    Ok(Json(blocking(&state.handle, move |handle| handle.window(&query)).await?))
}

fn window_query(id: InstanceId, query: &str, now: Timestamp) -> Result<WindowQuery, ApiError> {
    let mut asked = WindowQuery {
        instance: id,
        metrics: Vec::new(),
        from: now - 15 * foretwin_core::MINUTE_US,
        to: now,
        points: POINTS,
    };
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "metric" => asked.metrics.push(value),
            "from" => asked.from = when::moment("from", &value, now)?,
            "to" => asked.to = when::moment("to", &value, now)?,
            "points" => asked.points = points(&value)?,
            _ => {
                let message = format!("{name:?} is not asked for here; use metric, from, to, points");
                return Err(ApiError::field("query", message));
            }
        }
    }
    if asked.from > asked.to {
        return Err(ApiError::field("from", "from must not be later than to"));
    }
    Ok(asked)
}

fn points(text: &str) -> Result<usize, ApiError> {
    let wrong = || ApiError::field("points", format!("points must be a number from 2 to {MOST_POINTS}"));
    let points = text.parse().map_err(|_| wrong())?;
    (2..=MOST_POINTS).contains(&points).then_some(points).ok_or_else(wrong)
}

/// Names and values of a query string, decoded; names may repeat, which maps cannot say.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

/// Percent decoding (RFC 3986, and `+` for a space as forms write it).
pub(crate) fn decoded(text: &str) -> Result<String, ApiError> {
    let wrong = || ApiError::field("query", format!("{text:?} is not percent-encoded UTF-8"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16)).ok_or_else(wrong);
                (digit()? * 16 + digit()?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// The body of a prediction request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PredictRequest {
    #[serde(default)]
    instance: Option<String>,
    /// Instead of an instance: a report of one.
    #[serde(default)]
    report_id: Option<String>,
    /// Seconds, or text such as `1h`.
    #[serde(default)]
    horizon: Option<Value>,
}

/// `POST /api/v1/twin/predict`
pub(crate) async fn predict(
    Extract(state): Extract<State>,
    Body(request): Body<PredictRequest>,
) -> Result<Json<Prediction>, ApiError> {
    let horizon_s = request.horizon.as_ref().map_or(Ok(3600.0), |asked| lasting("horizon", asked))?;
    let answer = match (request.instance, request.report_id) {
        (Some(instance), None) => {
            let id = InstanceId::new(&instance);
            blocking(&state.handle, move |handle| handle.predict(&id, horizon_s)).await?
        }
        (None, Some(report)) => {
            let id = ReportId(report);
            blocking(&state.handle, move |handle| handle.predict_report(&id, horizon_s)).await?
        }
        _ => return Err(ApiError::field("instance", "give either instance or report_id")),
    };
    Ok(Json(answer))
}

/// Seconds, or text such as `1h`.
pub(crate) fn lasting(field: &'static str, asked: &Value) -> Result<f64, ApiError> {
    let seconds = match asked {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => when::seconds(text),
        _ => None,
    };
    seconds.filter(|&s| s > 0.0 && s <= MOST_S).ok_or_else(|| {
        let remedy = "must be seconds above 0 and at most 30 days, such as 3600 or \"1h\"";
        ApiError::field(field, format!("{field} {remedy}"))
    })
}

/// The body of a recorded failure.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FailureRequest {
    instance: String,
    mode: FailureMode,
    /// Default: now.
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    note: String,
}

/// `POST /api/v1/failures`: what failed, and when; it becomes training data.
pub(crate) async fn failure(
    Extract(state): Extract<State>,
    Body(request): Body<FailureRequest>,
) -> Result<(StatusCode, Json<Failure>), ApiError> {
    let now = state.handle.now();
    let at = request.at.as_deref().map_or(Ok(now), |text| when::moment("at", text, now))?;
    let instance = InstanceId::new(&request.instance);
    let failure = Failure { instance, at, mode: request.mode, note: request.note };
    let recorded = failure.clone();
    blocking(&state.handle, move |handle| handle.record_failure(recorded)).await?;
    Ok((StatusCode::CREATED, Json(failure)))
}

/// The body of recorded maintenance.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MaintenanceRequest {
    instance: String,
    /// When it begins. Default: now.
    #[serde(default)]
    from: Option<String>,
    /// Seconds, or text such as `1h`.
    duration: Value,
    #[serde(default)]
    note: String,
}

/// `POST /api/v1/maintenance`: planned work; what happens during it is not learned.
pub(crate) async fn maintenance(
    Extract(state): Extract<State>,
    Body(request): Body<MaintenanceRequest>,
) -> Result<(StatusCode, Json<Maintenance>), ApiError> {
    let now = state.handle.now();
    let from = request.from.as_deref().map_or(Ok(now), |text| when::moment("from", text, now))?;
    let to = from + (lasting("duration", &request.duration)? * 1e6) as i64;
    let work = Maintenance { instance: InstanceId::new(&request.instance), from, to, note: request.note };
    let recorded = work.clone();
    blocking(&state.handle, move |handle| handle.record_maintenance(recorded)).await?;
    Ok((StatusCode::CREATED, Json(work)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_queries_repeat_metrics_and_reject_what_they_do_not_know() {
        let now = Timestamp::from_seconds(10_000.0);
        let query = "metric=a%7Bb%3Dc%7D&metric=d+e&from=-1h&points=50";
        let asked = window_query(InstanceId::new("h"), query, now).unwrap();
        assert_eq!(asked.metrics, ["a{b=c}", "d e"]);
        assert_eq!((asked.points, asked.from), (50, Timestamp::from_seconds(6_400.0)));
        for bad in ["points=1", "points=x", "from=now&to=-5m", "metrics=a", "metric=%zz", "metric=%ff"] {
            assert!(window_query(InstanceId::new("h"), bad, now).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_are_seconds_or_text_and_the_field_is_named() {
        assert_eq!(lasting("horizon", &json!(60)).unwrap(), 60.0);
        assert_eq!(lasting("horizon", &json!("6h")).unwrap(), 21_600.0);
        for bad in [json!(0), json!(-1), json!("soon"), json!([]), json!(null), json!(1e12)] {
            let error = format!("{:?}", lasting("duration", &bad).unwrap_err());
            assert!(error.contains("duration must be"), "{bad}: {error}");
        }
    }
}
