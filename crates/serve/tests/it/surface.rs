//! What a client can rely on.

use super::server::server;

/// Percent-encodes an id for a path.
fn encoded(id: &str) -> String {
    id.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[test]
fn health_and_counters() {
    let server = server();
    assert_eq!(server.get("/-/healthy").body, "healthy\n");
    let ready = server.get("/-/ready").json();
    assert_eq!(ready["ready"], true);
    let metrics = server.get("/metrics").body;
    for name in ["foretwin_frames_total", "foretwin_anomaly_score{instance=", "foretwin_log_commits_total"] {
        assert!(metrics.contains(name), "{name} is not in /metrics");
    }
}

#[test]
fn the_machine_is_watched_expected_and_scored() {
    let server = server();
    let host = server.host();
    let path = format!("/api/v1/instances/{}", encoded(&host));
    let view = server.get(&path).json();
    assert_eq!((view["id"].as_str(), view["alive"].as_bool()), (Some(host.as_str()), Some(true)));
    assert!(view["score"].is_number() && view["learning"]["phase"] == "provisional", "{view}");

    let metrics = server.get(&format!("{path}/metrics")).json();
    let keys: Vec<&str> =
        metrics["metrics"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert!(
        keys.contains(&"system.memory.unreclaimable") && keys.contains(&"foretwin.anomaly.score"),
        "{keys:?}"
    );

    let query = "metric=system.memory.unreclaimable&metric=foretwin.anomaly.score&from=-5m&points=100";
    let window = server.get(&format!("{path}/window?{query}")).json();
    let series = window["series"].as_array().unwrap();
    let memory = series.iter().find(|one| one["metric"] == "system.memory.unreclaimable").unwrap();
    assert!(memory["observed"].as_array().unwrap().iter().all(serde_json::Value::is_number));
    assert!(memory["expected"].as_array().unwrap().iter().any(serde_json::Value::is_number), "{memory}");
    let scores = series.iter().find(|one| one["metric"] == "foretwin.anomaly.score").unwrap();
    assert!(scores["observed"].as_array().unwrap().iter().any(serde_json::Value::is_number));

    let risks = server.get(&format!("{path}/risks")).json();
    assert!(risks["risks"].is_array());

    let diagnosis = server.get(&format!("{path}/diagnosis")).json();
    assert_eq!(diagnosis["considered"][0].as_str(), Some(host.as_str()), "{diagnosis}");
    let causes = diagnosis["causes"].as_array().unwrap();
    let total: f64 = causes.iter().map(|cause| cause["probability"].as_f64().unwrap()).sum();
    assert!(total + diagnosis["unknown"].as_f64().unwrap() <= 1.0 + 1e-9, "{diagnosis}");
    assert_eq!(causes.is_empty(), diagnosis["groups"].as_array().unwrap().is_empty(), "{diagnosis}");
}

#[test]
fn scores_are_streamed() {
    let line = server().stream_line("/api/v1/stream", "data: {\"event\":\"score\"");
    let event: serde_json::Value = serde_json::from_str(line.trim_start_matches("data: ")).unwrap();
    assert!(event["instance"].is_string() && event["failure_probability"].is_number(), "{event}");
}

#[test]
fn a_leak_sent_by_a_client_is_predicted() {
    let server = server();
    let sent = server.ingest("leaker", 300, |n| 200.0 + 2.0 * n as f64 + (n % 3) as f64);
    assert_eq!(sent.status, 200, "{}", sent.body);
    server.wait_until("listed", || server.get("/api/v1/instances/leaker").status == 200);
    let asked = r#"{"instance": "leaker", "horizon": "1h"}"#;
    server.wait_until("predicted", || {
        let prediction = server.post_json("/api/v1/twin/predict", asked).json();
        prediction["failure_probability"].as_f64().unwrap() > 0.9
    });
    let prediction = server.post_json("/api/v1/twin/predict", asked).json();
    // 200 units to go at 2 a second.
    let p50 = prediction["risks"][0]["time_to_failure"]["p50"].as_f64().unwrap();
    assert!((50.0..200.0).contains(&p50), "{prediction}");
    assert!(!prediction["root_causes"].as_array().unwrap().is_empty(), "{prediction}");
    assert!(!prediction["recommended_actions"].as_array().unwrap().is_empty(), "{prediction}");
}

#[test]
fn what_was_sent_twice_is_stored_once() {
    let server = server();
    for _ in 0..2 {
        assert_eq!(server.ingest("twice", 50, |n| n as f64).status, 200);
    }
    let path = "/api/v1/instances/twice/window?metric=used&from=1700000000&to=1700000100";
    let points = || {
        let window = server.get(path).json();
        window["series"][0]["at_us"].as_array().map_or(0, Vec::len)
    };
    // One more frame is applied behind both copies.
    assert_eq!(server.ingest_more("twice", 50..51, |n| n as f64).status, 200);
    let last = || server.get("/api/v1/instances/twice").json()["last_seen_us"] == 1_700_000_050_000_000_i64;
    server.wait_until("seen", last);
    server.wait_until("stored", || points() >= 51);
    assert_eq!(points(), 51);
}

#[test]
fn failures_can_be_recorded() {
    let server = server();
    server.known("failed");
    let body = r#"{"instance": "failed", "mode": "crash", "at": "-1m", "note": "test"}"#;
    assert_eq!(server.post_json("/api/v1/failures", body).status, 201);
}

#[test]
fn maintenance_can_be_recorded() {
    let server = server();
    server.known("mended");
    let work = r#"{"instance": "mended", "from": "-2m", "duration": "1m", "note": "a new disk"}"#;
    let answer = server.post_json("/api/v1/maintenance", work);
    assert_eq!(answer.status, 201, "{}", answer.body);
    let work = answer.json();
    assert_eq!(work["to_us"].as_i64().unwrap() - work["from_us"].as_i64().unwrap(), 60_000_000);
    assert_eq!((&work["instance"], &work["note"]), (&"mended".into(), &"a new disk".into()));
}

#[test]
fn the_page_is_there() {
    let server = server();
    let page = server.get("/");
    assert!(page.status == 200 && page.body.contains("<html"));
    for file in ["app.js", "app.css"] {
        assert_eq!(server.get(&format!("/{file}")).status, 200, "{file}");
    }
}
