//! `GET /api/v1/reliability`: whether what was said came true.

use axum::Json;
use axum::extract::State as Extract;
use foretwin_core::InstanceId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::blocking::blocking;
use crate::error::ApiError;
use crate::extract::Asked;
use crate::{State, when};

/// Where nothing else is asked for.
const FROM: &str = "-7d";

/// What may be asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// Only of this instance.
    instance: Option<String>,
    /// First statement that is judged.
    from: Option<String>,
}

/// Brier score, calibration error and reliability diagram of the stored probabilities, by horizon.
pub(crate) async fn reliability(
    Extract(state): Extract<State>,
    Asked(query): Asked<Query>,
) -> Result<Json<Value>, ApiError> {
    let from = when::moment("from", query.from.as_deref().unwrap_or(FROM), state.handle.now())?;
    let id = query.instance.as_deref().map(InstanceId::new);
    let found = blocking(&state.handle, move |handle| handle.reliability(id.as_ref(), from)).await?;
    Ok(Json(json!({"reliability": found})))
}
