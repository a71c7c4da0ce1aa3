//! `POST /api/v1/twin/whatif`: scenarios side by side.

use axum::Json;
use axum::extract::State as Extract;
use foretwin_core::{InstanceId, Scenario, WhatIf};
use serde::Deserialize;
use serde_json::Value;

use crate::State;
use crate::api::lasting;
use crate::blocking::blocking;
use crate::error::ApiError;
use crate::extract::Body;

/// Scenarios of one request.
const MOST: usize = 32;

/// The body of a what-if request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhatIfRequest {
    instance: String,
    scenarios: Vec<Scenario>,
    /// Seconds, or text such as `1h`.
    #[serde(default)]
    horizon: Option<Value>,
}

/// Answers with before and after of every scenario.
pub(crate) async fn what_if(
    Extract(state): Extract<State>,
    Body(request): Body<WhatIfRequest>,
) -> Result<Json<WhatIf>, ApiError> {
    let horizon_s = request.horizon.as_ref().map_or(Ok(3600.0), |asked| lasting("horizon", asked))?;
    if request.scenarios.is_empty() || request.scenarios.len() > MOST {
        let message = format!("scenarios must hold 1 to {MOST}, such as {{\"memory\": \"1.5x\"}}");
        return Err(ApiError::field("scenarios", message));
    }
    for (index, scenario) in request.scenarios.iter().enumerate() {
        if let Err((field, want)) = scenario.check() {
            return Err(ApiError::field("scenarios", format!("scenarios[{index}].{field} must be {want}")));
        }
    }
    let id = InstanceId::new(&request.instance);
    let answer = blocking(&state.handle, move |handle| handle.what_if(&id, horizon_s, &request.scenarios));
    Ok(Json(answer.await?))
}
