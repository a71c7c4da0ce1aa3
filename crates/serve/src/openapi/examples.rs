//! What the endpoints that are asked most answer, as examples in the document. A test holds them against their shapes.

/// Method, path, and JSON of an answer: of an application that leaks, seen by a node that has learned it.
pub(super) const ANSWERS: &[(&str, &str, &str)] = &[
    ("get", "/-/ready", r#"{"ready": true, "waiting_for": [], "instances": 17, "scored": 17}"#),
    ("get", "/api/v1/instances", INSTANCES),
    ("get", "/api/v1/instances/{id}", INSTANCE),
    ("get", "/api/v1/fleet/history", FLEET),
    ("get", "/api/v1/instances/{id}/window", WINDOW),
    ("get", "/api/v1/instances/{id}/risks", RISKS),
    ("get", "/api/v1/instances/{id}/forecasts", FORECASTS),
    ("get", "/api/v1/instances/{id}/diagnosis", DIAGNOSIS),
    ("get", "/api/v1/instances/{id}/contrast", CONTRAST),
    ("post", "/api/v1/twin/predict", PREDICTION),
    ("post", "/api/v1/twin/whatif", WHAT_IF),
    ("get", "/api/v1/failures", FAILURES),
    ("post", "/api/v1/failures", FAILURE),
    ("get", "/api/v1/maintenance", WORKS),
    ("post", "/api/v1/maintenance", WORK),
    ("get", "/api/v1/alerts", ALERTS),
    ("post", "/api/v1/ingest", r#"{"records": 3}"#),
    ("get", "/api/v1/models/{id}", MODELS),
    (
        "post",
        "/api/v1/models/{id}/rollback",
        r#"{"instance": "web-1", "schema": "72dc9a75954df0d5", "from": 7, "to": 6}"#,
    ),
    ("get", "/api/v1/reports", r#"{"reports": ["00064fc1f0b1c3a5-00000000000000aa"], "next_cursor": null}"#),
    ("post", "/api/v1/tasks", TASK),
    ("get", "/api/v1/tasks/{id}", TASK),
];

const INSTANCE: &str = r#"{"id": "web-1/app", "kind": "service", "host": "web-1", "workload": "unit:app", "parent": "web-1",
    "criticality": 50, "first_seen_us": 1795800000000000, "last_seen_us": 1795861148003860, "silent_s": 0.3, "alive": true,
    "metrics": 42, "score": 1.31, "failure_probability": 0.82,
    "judgement": {"at_us": 1795861148003860, "score": 1.31, "model_version": 7, "phase": "learned", "contributions": [
        {"metric": "memory.usage", "observed": 402653184, "expected": {"mean": 268435456, "scale": 9000000}, "share": 0.6}]},
    "learning": {"phase": "learned", "progress": 1, "model_version": 7, "message": "learned"},
    "top_risk": {"mode": "memory_exhaustion", "metric": "memory.unreclaimable", "probability": 0.82, "p50_s": 1500}}"#;

const INSTANCES: &str = r#"{"instances": [{"id": "web-1", "kind": "host", "host": "web-1", "workload": "machine",
    "labels": {"kernel": "6.1.0"}, "criticality": 50, "first_seen_us": 1795800000000000, "last_seen_us": 1795861148003860,
    "silent_s": 0.3, "alive": true, "metrics": 177, "score": 0.35, "judgement": null,
    "learning": {"phase": "learned", "progress": 1, "model_version": 7, "message": "learned"},
    "failure_probability": 0.001, "top_risk": null}], "next_cursor": "c17765622d31"}"#;

const FLEET: &str = r#"{"metric": "score", "from_us": 1795861080000000, "step_us": 60000000, "cells": 2,
    "instances": ["web-1", "web-1/app"], "values": [[0.35, 0.41], [null, 1.31]], "next_cursor": null}"#;

const WINDOW: &str = r#"{"instance": "web-1", "from_us": 1795861146000000, "to_us": 1795861148000000, "series": [
    {"metric": "system.memory.unreclaimable", "unit": "By", "kind": "gauge", "role": "utilization",
     "at_us": [1795861147003860, 1795861148003860], "observed": [1096149271, 1100343040], "expected": [1096000000, null],
     "scale": [2100000, null]}]}"#;

const RISKS: &str = r#"{"risks": [{"mode": "memory_exhaustion", "metric": "memory.unreclaimable", "used": 402653184,
    "limit": 536870912, "within": [[900, 0.12], [3600, 0.82], [21600, 0.97], [86400, 0.98]],
    "time_to_failure": {"p10": 840, "p50": 1500, "p90": 5400}, "never": 0.02, "confidence": 0.71,
    "trend": {"shape": "linear", "rate": 89478, "rate_sd": 4100, "span_s": 3600}}]}"#;

const FORECASTS: &str = r#"{"instance": "web-1", "horizon_s": 3600, "by": [{"schema": "72dc9a75954df0d5", "model_version": 7,
    "message": "by the forecaster"}], "metrics": [{"metric": "system.memory.unreclaimable", "unit": "By",
    "at_us": [1795862948000000, 1795864748000000], "p05": [999000000, 990000000], "p10": [1020675511, 1015000000], "p50": [1096149271, 1101000000],
    "p90": [1171623031, 1193000000], "p95": [1193000000, 1219000000], "independent": [118.2, 6.4]}]}"#;

const DIAGNOSIS: &str = r#"{"instance": "web-1/app", "at_us": 1795861148003860, "considered": ["web-1", "web-1/app"],
    "causes": [{"class": "leak", "place": "web-1/app", "probability": 0.88, "evidence": [
        {"metric": "memory.unreclaimable", "statement": "grows by 87 KiB a second, and does not follow the load"}]}],
    "unknown": 0.05, "groups": []}"#;

const CONTRAST: &str = r#"{"instance": "web-1/app", "at_us": 1795861148003860, "fidelity": "process",
    "verdict": {"class": "workload", "self_inflicted": false, "consumer": null, "probability": 0.93,
        "since_us": 1795860000000000, "evidence": [{"metric": "", "statement": "its twin works as usual"}],
        "probabilities": [["workload", 0.93], ["infrastructure", 0.04]]},
    "verdict_counters_only": {"class": "undetermined", "self_inflicted": false, "consumer": null, "probability": 0.6,
        "since_us": null, "evidence": [], "probabilities": [["undetermined", 0.6]]}}"#;

const PREDICTION: &str = r#"{"instance": "web-1/app", "at_us": 1795861148003860, "horizon_s": 3600, "failure_probability": 0.82,
    "confidence": 0.71, "root_causes": [{"class": "leak", "place": "web-1/app", "probability": 0.88, "evidence": [
        {"metric": "memory.unreclaimable", "statement": "grows by 87 KiB a second, and does not follow the load"}]}],
    "recommended_actions": [{"action": "restart", "description": "Restart it before its memory is used up.",
        "expected_effect": "82 % to 3 % within the hour; delays, does not cure"}],
    "probabilities": [{"horizon_s": 900, "probability": 0.12}, {"horizon_s": 3600, "probability": 0.82}], "risks": [],
    "anomaly": null, "learning": {"phase": "learned", "progress": 1, "model_version": 7, "message": "learned"}}"#;

const WHAT_IF: &str = r#"{"instance": "web-1/app", "at_us": 1795861148003860, "horizon_s": 3600, "effects": [{
    "title": "restart", "scenario": {"restart": true}, "verdict": "delays_does_not_cure",
    "before": {"probability": 0.82, "time_to_failure": {"p10": 840, "p50": 1500, "p90": 5400}, "never": 0.02},
    "after": {"probability": 0.03, "time_to_failure": {"p10": 4100, "p50": 6200, "p90": null}, "never": 0.1},
    "probability_change": {"value": -0.79, "low": -0.84, "high": -0.7}, "delay_s": {"value": 4700, "low": 3900, "high": 5600},
    "assumptions": ["it leaks again as it did"], "beyond_experience": []}], "abstains": null}"#;

const FAILURE: &str =
    r#"{"instance": "web-1", "at_us": 1795861148003860, "mode": "crash", "note": "disk pulled"}"#;
const FAILURES: &str = r#"{"failures": [{"instance": "web-1", "at_us": 1795861148003860, "mode": "crash",
    "note": "disk pulled"}], "next_cursor": null}"#;
const WORK: &str = r#"{"instance": "web-1", "from_us": 1795861148003860, "to_us": 1795864748003860, "note": "kernel update"}"#;
const WORKS: &str = r#"{"maintenance": [{"id": "00066152c0a1d814-a7c1e4fbb0e3f7d2", "instance": "web-1",
    "from_us": 1795861148003860, "to_us": 1795864748003860, "note": "kernel update", "active": true}], "next_cursor": null}"#;

const ALERTS: &str = r#"{"alerts": [{"id": "00066152c0a1d814-a7c1e4fbb0e3f7d2", "state": "firing", "reason": "", "kind": "failure",
    "mode": "memory_exhaustion", "class": "leak", "severity": "serious",
    "title": "web-1/app will probably run out of memory", "opened_us": 1795861148003860, "last_us": 1795861150003860,
    "shown": true, "count": 1, "members": [{"instance": "web-1/app", "probability": 0.82}], "probability": 0.82,
    "horizon_s": 3600, "confidence": 0.71, "time_to_failure": {"p10": 840, "p50": 1500, "p90": 5400},
    "link": "/#/alerts/00066152c0a1d814-a7c1e4fbb0e3f7d2"}], "next_cursor": null}"#;

const MODELS: &str = r#"{"instance": "web-1", "lines": [{"instance": "web-1", "schema": "72dc9a75954df0d5", "main": true,
    "champion": 7, "judging": 7, "reference": 3, "challengers": [], "rollback_to": 6, "versions": [{"version": 7, "parent": 6,
    "phase": "learned", "trained_at": 1795860000000000, "rows": 86400, "reason": "its time had come"}], "changes": []}],
    "next_cursor": null}"#;

const TASK: &str = r#"{"id": "report-35", "kind": "report", "instance": null, "state": "running", "progress": 0.46,
    "cancellable": false, "asked_us": 1795861148820898, "message": "", "result": null}"#;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::endpoints;
    use super::*;

    #[test]
    fn they_are_json_of_endpoints_that_there_are() {
        for (method, path, text) in ANSWERS {
            serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(endpoints::all().iter().any(|one| one.method == *method && one.path == *path), "{path}");
        }
    }
}
