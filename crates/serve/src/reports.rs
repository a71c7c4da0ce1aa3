//! Operating information reports under `/api/v1/reports`, and the known issues they are held against.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use foretwin_core::ReportId;
use foretwin_engine::ReportView;
use serde_json::{Value, json};

use crate::State;
use crate::blocking::blocking;
use crate::error::ApiError;
use crate::extract::{Asked, Body, Segment};
use crate::paging::{Listed, Paging, answer, descending};

/// Most bytes of a report that is handed in.
pub(crate) const MOST_BYTES: usize = 16 << 20;

/// `GET /api/v1/reports?limit=..&cursor=..`: names, newest first.
pub(crate) async fn list(
    Extract(state): Extract<State>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Listed<ReportId>>, ApiError> {
    let reports = blocking(&state.handle, |handle| handle.reports()).await?;
    answer("reports", reports, &paging, |id| descending(&id.to_string()))
}

/// `POST /api/v1/reports`: an empty object asks for a report of the node's own machine, a document is handed in.
pub(crate) async fn submit(
    Extract(state): Extract<State>,
    Body(document): Body<Value>,
) -> Result<(StatusCode, Json<ReportView>), ApiError> {
    let asked = document.as_object().is_some_and(serde_json::Map::is_empty);
    let report =
        blocking(
            &state.handle,
            move |handle| {
                if asked { handle.make_report() } else { handle.submit_report(document) }
            },
        );
    Ok((StatusCode::CREATED, Json(report.await?)))
}

/// `GET /api/v1/reports/{id}`
pub(crate) async fn show(
    Extract(state): Extract<State>,
    Segment(id): Segment,
) -> Result<Json<ReportView>, ApiError> {
    Ok(Json(blocking(&state.handle, move |handle| handle.report(&ReportId(id))).await?))
}

/// `GET /api/v1/issues`: the known issues.
pub(crate) async fn issues(Extract(state): Extract<State>) -> Json<Value> {
    Json(json!({"issues": state.handle.issues()}))
}
