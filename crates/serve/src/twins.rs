//! Twins under `/api/v1/twins`: what runs, what it says of production, replays and rehearsals.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use foretwin_core::{Fidelity, InstanceId, Scenario};
use foretwin_engine::{RehearsalView, TwinView, TwinsView};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::State;
use crate::api::lasting;
use crate::blocking::blocking;
use crate::error::ApiError;
use crate::extract::{Body, Id, Segment};

/// `GET /api/v1/twins`
pub(crate) async fn all(Extract(state): Extract<State>) -> Result<Json<TwinsView>, ApiError> {
    Ok(Json(blocking(&state.handle, |handle| Ok(handle.twins())).await?))
}

/// `GET /api/v1/twins/{instance}`
pub(crate) async fn one(Extract(state): Extract<State>, Id(id): Id) -> Result<Json<TwinView>, ApiError> {
    Ok(Json(blocking(&state.handle, move |handle| handle.twin(&id)).await?))
}

/// `GET /api/v1/instances/{id}/profile`: the newest captured profile; null while too little was seen.
pub(crate) async fn profile(Extract(state): Extract<State>, Id(id): Id) -> Result<Json<Value>, ApiError> {
    let profile = blocking(&state.handle, move |handle| handle.profile(&id)).await?;
    Ok(Json(json!({"profile": profile})))
}

/// The body of a wish for a replay.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayRequest {
    /// The highest level; null ends the replay.
    level: Option<Fidelity>,
}

/// `POST /api/v1/twins/{instance}/replay`
pub(crate) async fn replay(
    Extract(state): Extract<State>,
    Id(id): Id,
    Body(request): Body<ReplayRequest>,
) -> Result<Json<TwinView>, ApiError> {
    let answer = blocking(&state.handle, move |handle| {
        handle.replay(&id, request.level)?;
        handle.twin(&id)
    });
    Ok(Json(answer.await?))
}

/// The body of a wish for a rehearsal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RehearsalRequest {
    /// How far ahead: seconds, or text such as `6h`; with a scenario, the horizon that it is foreseen for.
    ahead: Value,
    /// Times faster than real time; of a scenario it follows from what is foreseen.
    #[serde(default)]
    speed: Option<f64>,
    /// A scenario of a what-if to verify.
    #[serde(default)]
    scenario: Option<Scenario>,
    /// What to run it in.
    #[serde(default = "process")]
    level: Fidelity,
}

/// Times faster than real time where nothing else is asked.
const SPEED: f64 = 60.0;

fn process() -> Fidelity {
    Fidelity::Process
}

/// `POST /api/v1/twins/{instance}/rehearsals`: begins one and returns at once.
pub(crate) async fn rehearse(
    Extract(state): Extract<State>,
    Id(id): Id,
    Body(request): Body<RehearsalRequest>,
) -> Result<(StatusCode, Json<RehearsalView>), ApiError> {
    let ahead_s = lasting("ahead", &request.ahead)?;
    let RehearsalRequest { speed, level, scenario, .. } = request;
    if let Some(Err((field, want))) = scenario.as_ref().map(Scenario::check) {
        return Err(ApiError::field("scenario", format!("scenario.{field} must be {want}")));
    }
    if scenario.is_some() && speed.is_some() {
        let why = "speed follows from what is foreseen of a scenario: leave it out";
        return Err(ApiError::field("speed", why));
    }
    let asked = blocking(&state.handle, move |handle| match &scenario {
        Some(scenario) => handle.verify(&id, scenario, (ahead_s, level)),
        None => handle.rehearse(&id, (ahead_s, speed.unwrap_or(SPEED)), level),
    });
    Ok((StatusCode::ACCEPTED, Json(asked.await?)))
}

/// `GET /api/v1/rehearsals/{number}`
pub(crate) async fn rehearsal(
    Extract(state): Extract<State>,
    Segment(number): Segment,
) -> Result<Json<RehearsalView>, ApiError> {
    let number = number.parse().map_err(|_| ApiError::field("number", "number must be a whole number"))?;
    Ok(Json(blocking(&state.handle, move |handle| handle.rehearsal(number)).await?))
}

/// `GET /api/v1/instances/{id}/contrast`: the latest verdict, with the twin and without.
pub(crate) async fn contrast(Extract(state): Extract<State>, Id(id): Id) -> Result<Json<Value>, ApiError> {
    let view = blocking(&state.handle, move |handle| handle.twin(&InstanceId::new(id.as_str()))).await?;
    Ok(Json(json!(view.contrast)))
}
