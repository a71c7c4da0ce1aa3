//! `POST /api/v1/twin/whatif`: scenarios side by side.

use axum::Json;
use axum::extract::State as Extract;
use foretwin_core::{InstanceId, ReportId, Scenario, WhatIf};
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
    #[serde(default)]
    instance: Option<String>,
    /// A report instead: the instance that it is of.
    #[serde(default)]
    report_id: Option<String>,
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
    let id = whose(&state, request.instance, request.report_id).await?;
    let answer = blocking(&state.handle, move |handle| handle.what_if(&id, horizon_s, &request.scenarios));
    Ok(Json(answer.await?))
}

/// The instance that is named, or that a report is of.
async fn whose(
    state: &State,
    instance: Option<String>,
    report: Option<String>,
) -> Result<InstanceId, ApiError> {
    let report = match (instance, report) {
        (Some(instance), None) => return Ok(InstanceId::new(&instance)),
        (None, Some(report)) => ReportId(report),
        _ => return Err(ApiError::field("instance", "give either instance or report_id")),
    };
    let id = blocking(&state.handle, move |handle| Ok(handle.report(&report)?.instance)).await?;
    let known = state.handle.instance(&id).is_ok();
    let message = || {
        format!("that report is of {id}, which sends no telemetry here: futures are replayed from telemetry")
    };
    if known { Ok(id) } else { Err(ApiError::field("report_id", message())) }
}
