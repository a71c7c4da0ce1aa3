//! What operators have recorded, to be read again: failures, and planned work, which may also end before its time.

use axum::Json;
use axum::extract::State as Extract;
use foretwin_core::{InstanceId, Timestamp};
use foretwin_engine::MaintenanceView;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::blocking::blocking;
use crate::error::ApiError;
use crate::extract::{Asked, Segment};
use crate::{State, when};

/// What may be asked of failures.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FailureFilter {
    /// Only of this instance.
    instance: Option<String>,
    /// Only from this moment on.
    since: Option<String>,
}

/// `GET /api/v1/failures?instance=ID&since=-7d`: recorded and detected failures, newest first.
pub(crate) async fn failures(
    Extract(state): Extract<State>,
    Asked(filter): Asked<FailureFilter>,
) -> Result<Json<Value>, ApiError> {
    let now = state.handle.now();
    let since = filter.since.as_deref().map(|since| when::moment("since", since, now)).transpose()?;
    let id = filter.instance.as_deref().map(InstanceId::new);
    let since = since.unwrap_or(Timestamp(i64::MIN));
    let failures = blocking(&state.handle, move |handle| Ok(handle.failures(id.as_ref(), since))).await?;
    Ok(Json(json!({"failures": failures})))
}

/// What may be asked of planned work.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkFilter {
    /// Only on this instance.
    instance: Option<String>,
}

/// `GET /api/v1/maintenance?instance=ID`: latest first.
pub(crate) async fn maintenance(
    Extract(state): Extract<State>,
    Asked(filter): Asked<WorkFilter>,
) -> Result<Json<Value>, ApiError> {
    let mut work = blocking(&state.handle, |handle| Ok(handle.maintenance())).await?;
    let wanted = filter.instance.as_deref();
    work.retain(|view| wanted.is_none_or(|id| view.work.instance.as_str() == id));
    Ok(Json(json!({"maintenance": work})))
}

/// `DELETE /api/v1/maintenance/{id}`: ends it now, or calls it off; answers what it is then.
pub(crate) async fn end_maintenance(
    Extract(state): Extract<State>,
    Segment(id): Segment,
) -> Result<Json<MaintenanceView>, ApiError> {
    Ok(Json(blocking(&state.handle, move |handle| handle.end_maintenance(&id)).await?))
}
