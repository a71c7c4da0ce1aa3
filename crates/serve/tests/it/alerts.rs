//! Alerts, failures and planned work as clients see them.

use foretwin_core::Timestamp;
use serde_json::Value;

use super::server::{Server, server};

fn firing(server: &Server, instance: &str) -> Vec<Value> {
    let path = format!("/api/v1/alerts?state=firing,silenced&instance={instance}");
    server.get(&path).json()["alerts"].as_array().unwrap().clone()
}

/// A client whose memory has run against its limit for five minutes, and goes on.
fn leak(server: &Server, instance: &str) {
    let began = Timestamp::from_seconds(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() - 300.0);
    let sent = std::cell::Cell::new(0);
    server.wait_until("alerted", || {
        let now = Timestamp::from_seconds(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64());
        let until = now.since(began) as usize;
        let value = |n: usize| 200.0 + 2.0 * n as f64 + (n % 3) as f64;
        let answer = server.ingest_at(began, (instance, sent.get()..until), value);
        assert_eq!(answer.status, 200, "{}", answer.body);
        sent.set(until);
        !firing(server, instance).is_empty()
    });
}

#[test]
fn a_leak_opens_one_alert_that_a_recorded_failure_ends() {
    let server = server();
    leak(server, "alerted");
    let alerts = firing(server, "alerted");
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let (alert, id) = (&alerts[0], alerts[0]["id"].as_str().unwrap());
    assert_eq!((alert["kind"].as_str(), alert["count"].as_u64()), (Some("failure"), Some(1)), "{alert}");
    assert_eq!(alert["cause"]["class"], "leak", "{alert}");
    assert!(alert["action"]["description"].is_string() && alert["probability"].as_f64().unwrap() > 0.5);
    let said = r#"{"rating": "useful", "note": "restarted it"}"#;
    let told = server.post_json(&format!("/api/v1/alerts/{id}/feedback"), said).json();
    assert_eq!(told["feedback"][0]["rating"], "useful", "{told}");
    let failed = r#"{"instance": "alerted", "mode": "memory_exhaustion", "note": "killed"}"#;
    assert_eq!(server.post_json("/api/v1/failures", failed).status, 201);
    server.wait_until("joined", || {
        server.get(&format!("/api/v1/alerts/{id}")).json()["outcome"]["what"] == "failed"
    });
    let alert = server.get(&format!("/api/v1/alerts/{id}")).json();
    assert_eq!(alert["state"], "resolved", "{alert}");
    let failures = server.get("/api/v1/failures?instance=alerted&since=-1h").json();
    assert_eq!(failures["failures"][0]["note"], "killed", "{failures}");
}

#[test]
fn planned_work_is_listed_and_ended() {
    let server = server();
    server.known("planned");
    let planned = r#"{"instance": "planned", "duration": "1h", "note": "kernel"}"#;
    assert_eq!(server.post_json("/api/v1/maintenance", planned).status, 201);
    let find = || {
        let all = server.get("/api/v1/maintenance").json();
        all["maintenance"].as_array().unwrap().iter().find(|one| one["note"] == "kernel").cloned()
    };
    server.wait_until("listed", || find().is_some());
    let work = find().unwrap();
    assert_eq!(work["active"], true);
    let path = format!("/api/v1/maintenance/{}", work["id"].as_str().unwrap());
    let ended = server.delete(&path);
    assert_eq!((ended.status, ended.json()["active"].as_bool()), (200, Some(false)));
    server.wait_until("ended", || find().is_none_or(|work| work["active"] == false));
    assert_eq!(server.delete("/api/v1/maintenance/none").status, 404);
}

#[test]
fn wrong_questions_name_their_field() {
    let server = server();
    for (path, field) in [
        ("/api/v1/alerts?state=burning", "state"),
        ("/api/v1/alerts?since=yesterday", "since"),
        ("/api/v1/failures?since=soon", "since"),
        ("/api/v1/alerts?colour=red", "query"),
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.json()["error"]["field"].as_str()), (400, Some(field)), "{path}");
    }
    let missing = server.get("/api/v1/alerts/none");
    assert_eq!((missing.status, missing.json()["error"]["code"].as_str()), (404, Some("unknown_alert")));
    let rated = server.post_json("/api/v1/alerts/none/feedback", r#"{"rating": "great"}"#);
    assert_eq!((rated.status, rated.json()["error"]["field"].as_str()), (400, Some("rating")));
}
