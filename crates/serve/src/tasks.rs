//! Long work under `/api/v1/tasks`: what runs, how far it is, and its end on demand.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use foretwin_engine::TaskView;
use serde::Deserialize;

use crate::State;
use crate::blocking::blocking;
use crate::error::ApiError;
use crate::extract::{Asked, Body, Segment};
use crate::paging::{Listed, Paging, answer, latest_first};

/// `GET /api/v1/tasks?limit=..&cursor=..`: newest first.
pub(crate) async fn list(
    Extract(state): Extract<State>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Listed<TaskView>>, ApiError> {
    let tasks = blocking(&state.handle, |handle| Ok(handle.tasks())).await?;
    answer("tasks", tasks, &paging, |task| latest_first(task.asked_us, &task.id))
}

/// What may be begun here; rehearsals begin at their twin, trainings by themselves.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Report,
}

/// The body of a wish for long work.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskRequest {
    kind: Kind,
}

/// `POST /api/v1/tasks` with `{"kind": "report"}`: begins it and returns at once.
pub(crate) async fn begin(
    Extract(state): Extract<State>,
    Body(TaskRequest { kind: Kind::Report }): Body<TaskRequest>,
) -> Result<(StatusCode, Json<TaskView>), ApiError> {
    let task = blocking(&state.handle, foretwin_engine::Handle::start_report).await?;
    Ok((StatusCode::ACCEPTED, Json(task)))
}

/// `GET /api/v1/tasks/{id}`
pub(crate) async fn show(
    Extract(state): Extract<State>,
    Segment(id): Segment,
) -> Result<Json<TaskView>, ApiError> {
    let wanted = id.clone();
    let found = blocking(&state.handle, move |handle| Ok(handle.task(&wanted))).await?;
    found.map(Json).ok_or_else(|| unknown(&id))
}

/// `DELETE /api/v1/tasks/{id}`: asks it to end.
pub(crate) async fn cancel(
    Extract(state): Extract<State>,
    Segment(id): Segment,
) -> Result<Json<TaskView>, ApiError> {
    let wanted = id.clone();
    let found = blocking(&state.handle, move |handle| handle.cancel_task(&wanted)).await?;
    found.map(Json).ok_or_else(|| unknown(&id))
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found(format!(
        "there is no task {id:?}, or it is too long ago; GET /api/v1/tasks lists them"
    ))
}
