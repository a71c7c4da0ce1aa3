//! Alerts under `/api/v1/alerts`: what somebody should know, and what operators say of it.

use axum::Json;
use axum::extract::State as Extract;
use foretwin_core::{Alert, AlertId, AlertState, Feedback, InstanceId, Rating};
use foretwin_engine::AlertQuery;
use serde::Deserialize;

use crate::blocking::blocking;
use crate::error::ApiError;
use crate::extract::{Asked, Body, Segment};
use crate::paging::{Listed, Paging, answer, descending};
use crate::{State, when};

/// Longest note that is kept.
const MOST_NOTE: usize = 2000;

/// What may be asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// States, separated by commas; none: all.
    state: Option<String>,
    /// Only those that concern this instance.
    instance: Option<String>,
    /// Open ones, and those that were over no earlier than this.
    since: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /api/v1/alerts?state=firing,held&instance=ID&since=-24h&limit=..&cursor=..`: newest first.
pub(crate) async fn list(
    Extract(state): Extract<State>,
    Asked(filter): Asked<Filter>,
) -> Result<Json<Listed<Alert>>, ApiError> {
    let now = state.handle.now();
    let states = filter.state.as_deref().unwrap_or_default();
    let query = AlertQuery {
        states: states.split(',').filter(|name| !name.is_empty()).map(named).collect::<Result<_, _>>()?,
        instance: filter.instance.as_deref().map(InstanceId::new),
        since: filter.since.as_deref().map(|since| when::moment("since", since, now)).transpose()?,
    };
    let alerts = blocking(&state.handle, move |handle| Ok(handle.alerts(&query))).await?;
    let paging = Paging::new(filter.limit, filter.cursor);
    answer("alerts", alerts, &paging, |alert| descending(&alert.id.0))
}

fn named(name: &str) -> Result<AlertState, ApiError> {
    AlertState::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| {
        let states = AlertState::ALL.map(AlertState::as_str).join(", ");
        ApiError::field("state", format!("state={name:?} is none of {states}"))
    })
}

/// `GET /api/v1/alerts/{id}`
pub(crate) async fn show(
    Extract(state): Extract<State>,
    Segment(id): Segment,
) -> Result<Json<Alert>, ApiError> {
    Ok(Json(blocking(&state.handle, move |handle| handle.alert(&AlertId(id))).await?))
}

/// The body of an operator's word.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedbackRequest {
    rating: String,
    #[serde(default)]
    note: String,
}

/// `POST /api/v1/alerts/{id}/feedback` with `{"rating": "expected" | "false" | "useful", "note": ".."}`
pub(crate) async fn feedback(
    Extract(state): Extract<State>,
    Segment(id): Segment,
    Body(request): Body<FeedbackRequest>,
) -> Result<Json<Alert>, ApiError> {
    let rating: Rating = serde_json::from_value(request.rating.as_str().into()).map_err(|_| {
        let told = format!("rating={:?} is none of expected, false, useful", request.rating);
        ApiError::field("rating", told)
    })?;
    if request.note.len() > MOST_NOTE {
        return Err(ApiError::field("note", format!("note must have at most {MOST_NOTE} bytes")));
    }
    let feedback = Feedback { at: state.handle.now(), rating, note: request.note };
    Ok(Json(blocking(&state.handle, move |handle| handle.rate_alert(&AlertId(id), feedback)).await?))
}
