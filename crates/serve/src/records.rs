//! What operators have recorded, to be read again: failures, and planned work, which may also end before its time.

use axum::Json;
use axum::extract::State as Extract;
use foretwin_core::{Failure, InstanceId, Timestamp};
use foretwin_engine::MaintenanceView;
use serde::Deserialize;

use crate::blocking::blocking;
use crate::error::ApiError;
use crate::extract::{Asked, Segment};
use crate::paging::{Listed, Paging, answer, latest_first};
use crate::{State, when};

/// What may be asked of failures.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FailureFilter {
    /// Only of this instance.
    instance: Option<String>,
    /// Only from this moment on.
    since: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /api/v1/failures?instance=ID&since=-7d&limit=..&cursor=..`: recorded and detected failures, newest first.
pub(crate) async fn failures(
    Extract(state): Extract<State>,
    Asked(filter): Asked<FailureFilter>,
) -> Result<Json<Listed<Failure>>, ApiError> {
    let now = state.handle.now();
    let since = filter.since.as_deref().map(|since| when::moment("since", since, now)).transpose()?;
    let id = filter.instance.as_deref().map(InstanceId::new);
    let since = since.unwrap_or(Timestamp(i64::MIN));
    let mut failures = blocking(&state.handle, move |handle| Ok(handle.failures(id.as_ref(), since))).await?;
    // What was recorded twice alike is one.
    let key = |one: &Failure| latest_first(one.at, &format!("{} {} {}", one.instance, one.mode, one.note));
    failures.dedup_by_key(|one| key(one));
    answer("failures", failures, &Paging::new(filter.limit, filter.cursor), key)
}

/// What may be asked of planned work.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkFilter {
    /// Only on this instance.
    instance: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /api/v1/maintenance?instance=ID&limit=..&cursor=..`: latest first.
pub(crate) async fn maintenance(
    Extract(state): Extract<State>,
    Asked(filter): Asked<WorkFilter>,
) -> Result<Json<Listed<MaintenanceView>>, ApiError> {
    let mut work = blocking(&state.handle, |handle| Ok(handle.maintenance())).await?;
    let wanted = filter.instance.as_deref();
    work.retain(|view| wanted.is_none_or(|id| view.work.instance.as_str() == id));
    let paging = Paging::new(filter.limit, filter.cursor);
    answer("maintenance", work, &paging, |view| latest_first(view.work.from, &view.id))
}

/// `DELETE /api/v1/maintenance/{id}`: ends it now, or calls it off; answers what it is then.
pub(crate) async fn end_maintenance(
    Extract(state): Extract<State>,
    Segment(id): Segment,
) -> Result<Json<MaintenanceView>, ApiError> {
    Ok(Json(blocking(&state.handle, move |handle| handle.end_maintenance(&id)).await?))
}
