//! Bad input gets a clear error, and the service goes on.

use super::server::{Answer, server};

/// Status, and an error with code and message that contains `says`.
fn refused(answer: &Answer, status: u16, says: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    let error = answer.json()["error"].clone();
    assert!(error["code"].is_string(), "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(says), "{message:?} does not say {says:?}");
}

#[test]
fn unknown_things_are_named() {
    let server = server();
    refused(&server.get("/api/v1/instances/nobody"), 404, "nobody");
    refused(&server.get("/api/v1/instances/nobody/window"), 404, "nobody");
    refused(&server.get("/api/v1/instances/nobody/drift"), 404, "nobody");
    refused(&server.get("/api/v1/instances/nobody/diagnosis"), 404, "nobody");
    refused(&server.get("/api/v1/nothing"), 404, "/api/v1");
    refused(&server.get("/nothing.js"), 404, "nothing.js");
    refused(&server.post_json("/api/v1/twin/predict", r#"{"instance": "nobody"}"#), 404, "nobody");
}

#[test]
fn wrong_fields_are_named_with_a_remedy() {
    let server = server();
    let host = server.host();
    let window = |query: &str| server.get(&format!("/api/v1/instances/{host}/window?{query}"));
    refused(&window("from=yesterday"), 400, "-15m");
    refused(&window("points=0"), 400, "points");
    refused(&window("from=now&to=-5m"), 400, "from");
    refused(&window("what=ever"), 400, "what");
    let predict = |body: &str| server.post_json("/api/v1/twin/predict", body);
    refused(&predict("{"), 400, "JSON");
    refused(&predict("{}"), 400, "instance");
    refused(&predict(r#"{"instance": "a", "horizon": -1}"#), 400, "horizon");
    refused(&predict(r#"{"instance": "a", "colour": 1}"#), 400, "colour");
    refused(&server.get("/api/v1/reliability?instance=nobody"), 404, "nobody");
    refused(&server.get("/api/v1/reliability?from=yesterday"), 400, "-15m");
    let what_if = |body: &str| server.post_json("/api/v1/twin/whatif", body);
    let of_host =
        |scenarios: &str| what_if(&format!(r#"{{"instance": "{host}", "scenarios": {scenarios}}}"#));
    refused(&of_host("[]"), 400, "scenarios");
    refused(&of_host(r#"[{"memory": "much"}]"#), 400, "1.5x");
    refused(&of_host(r#"[{"restart": true}, {"load": -1}]"#), 400, "scenarios[1].load");
    refused(&of_host(r#"[{"host": "nobody"}]"#), 404, "nobody");
    refused(&what_if(r#"{"instance": "nobody", "scenarios": [{"fix": true}]}"#), 404, "nobody");
    refused(&what_if(r#"{"report_id": "none", "scenarios": [{"fix": true}]}"#), 404, "none");
    refused(&what_if(r#"{"scenarios": [{"fix": true}]}"#), 400, "report_id");
    let maintain = |body: &str| server.post_json("/api/v1/maintenance", body);
    refused(&maintain(r#"{"instance": "nobody", "duration": "1h"}"#), 404, "nobody");
    refused(&maintain(&format!(r#"{{"instance": "{host}"}}"#)), 400, "duration");
    refused(&maintain(&format!(r#"{{"instance": "{host}", "duration": "never"}}"#)), 400, "duration");
    refused(&maintain(&format!(r#"{{"instance": "{host}", "duration": 60, "from": "soon"}}"#)), 400, "from");
    let not_json = server.post("/api/v1/twin/predict", "text/plain", b"{}");
    refused(&not_json, 415, "application/json");
}

#[test]
fn a_what_if_may_be_asked_of_a_report_and_needs_telemetry() {
    let server = server();
    let host = server.host();
    let hand_in = |instance: &str| {
        let report = format!(r#"{{"version": 1, "instance": "{instance}", "at_us": 1795870000000000}}"#);
        let answer = server.post_json("/api/v1/reports", &report);
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let ask = |report: &str| {
        let body = format!(r#"{{"report_id": "{report}", "scenarios": [{{"restart": true}}]}}"#);
        server.post_json("/api/v1/twin/whatif", &body)
    };
    let answer = ask(&hand_in(&host));
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["instance"].as_str(), Some(host.as_str()));
    refused(&ask(&hand_in("elsewhere-without-telemetry")), 400, "elsewhere-without-telemetry");
}

#[test]
fn whatever_is_refused_is_refused_in_one_shape() {
    let server = server();
    refused(&server.get("/api/v1/twin/predict"), 405, "GET");
    refused(&server.post_json("/-/healthy", "{}"), 405, "POST");
    refused(&server.get("/api/v1/instances/%ff"), 400, "UTF-8");
    refused(&server.get("/%ff"), 400, "UTF-8");
    refused(&server.get("/api/v1/stream?instance=a&instance=b"), 400, "instance");
    refused(&server.post_json("/api/v1/ingest", "{}"), 415, "application/octet-stream");
    let padded = format!("{{\"instance\": \"{}\"}}", "a".repeat(64 << 10));
    refused(&server.post_json("/api/v1/twin/predict", &padded), 413, "limit");
    let octets = "application/octet-stream";
    // Telemetry may be larger: it is read, and found to be none.
    refused(&server.post("/api/v1/ingest", octets, &vec![0xff; 1 << 20]), 400, "envelope");
}

#[test]
fn names_from_elsewhere_are_refused() {
    let server = server();
    let ask = |host: &str| {
        server.raw(format!("GET /-/healthy HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes())
    };
    for fine in ["localhost:7878", "127.0.0.1", "[::1]:80"] {
        assert!(ask(fine).starts_with("HTTP/1.1 200"), "{fine}");
    }
    let refused = ask("evil.example:7878");
    assert!(refused.starts_with("HTTP/1.1 421") && refused.contains("\"misdirected\""), "{refused}");
}

#[test]
fn damaged_telemetry_is_refused_whole() {
    let server = server();
    let kind = "application/octet-stream";
    refused(&server.post("/api/v1/ingest", kind, b"rubbish that is no envelope"), 400, "envelope");
    let schema = foretwin_core::SchemaId(12345);
    let mut batch = foretwin_core::Batch::new(schema, 1);
    let id = foretwin_core::InstanceId::new("orphan");
    batch.push(&id, foretwin_core::Timestamp(1), &[foretwin_core::Value(1)]).unwrap();
    let mut envelope = Vec::new();
    foretwin_wire::envelope::push(&foretwin_core::Record::Batch(batch), &mut envelope);
    refused(&server.post("/api/v1/ingest", kind, &envelope), 400, "schema");
    assert_eq!(server.get("/-/healthy").status, 200);
}
