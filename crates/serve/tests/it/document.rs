//! The document of the API says what the node does.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::server::server;

#[test]
fn every_path_answers_the_documented_methods_and_no_others() {
    let server = server();
    let document = server.get("/api/v1/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, methods) in document["paths"].as_object().unwrap() {
        let filled: Vec<&str> =
            path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect();
        let request =
            format!("PATCH {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", filled.join("/"));
        let answer = server.raw(request.as_bytes());
        let allow = answer
            .lines()
            .find_map(|line| line.strip_prefix("allow: "))
            .unwrap_or_else(|| panic!("{path}: {answer}"));
        let allowed: BTreeSet<String> =
            allow.split(',').filter(|name| *name != "HEAD").map(str::to_lowercase).collect();
        let documented: BTreeSet<String> = methods.as_object().unwrap().keys().cloned().collect();
        assert_eq!(allowed, documented, "{path}");
    }
}

/// What a node can be asked without having anything prepared.
const ASKED: &[&str] = &[
    "/-/ready",
    "/api/v1/instances",
    "/api/v1/instances/{id}",
    "/api/v1/instances/{id}/metrics",
    "/api/v1/instances/{id}/window",
    "/api/v1/instances/{id}/risks",
    "/api/v1/instances/{id}/drift",
    "/api/v1/instances/{id}/forecasts",
    "/api/v1/instances/{id}/diagnosis",
    "/api/v1/instances/{id}/profile",
    "/api/v1/reliability",
    "/api/v1/models/{id}",
    "/api/v1/reports",
    "/api/v1/issues",
    "/api/v1/twins",
    "/api/v1/twins/{id}",
    "/api/v1/tasks",
    "/api/v1/audit",
];

#[test]
fn what_is_answered_is_what_is_documented() {
    let server = server();
    let document = server.get("/api/v1/openapi.json").json();
    let host = server.host();
    let of_host = |path: &str| path.replace("{id}", &host);
    for path in ASKED {
        let schema =
            &document["paths"][*path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{path} has no schema");
        let answer = server.get(&of_host(path));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        check(&document, schema, &answer.json(), path);
    }
    let body = json!({"instance": host, "scenarios": [{"restart": true}]}).to_string();
    for (path, body) in
        [("/api/v1/twin/whatif", body), ("/api/v1/twin/predict", json!({"instance": host}).to_string())]
    {
        let schema =
            &document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"];
        check(&document, schema, &server.post_json(path, &body).json(), path);
    }
}

/// Whether a value is of a type of JSON Schema.
fn is(value: &Json, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        _ => value.is_object(),
    }
}

/// Panics where a value is not of a schema, of what the document uses: references, types, members, lists, words.
fn check(document: &Json, schema: &Json, value: &Json, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let shape = document.pointer(reference.trim_start_matches('#')).unwrap();
        return check(document, shape, value, place);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let plain = any.iter().find(|one| one["type"] != "null").unwrap();
        if !value.is_null() {
            check(document, plain, value, place);
        }
        return;
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Json::String(kind) => vec![kind],
        Json::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        _ => return,
    };
    assert!(kinds.iter().any(|kind| is(value, kind)), "{place}: {value} is no {kinds:?}");
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{place}: {value} is none of {words:?}");
    }
    for name in schema["required"].as_array().into_iter().flatten().filter(|_| value.is_object()) {
        let name = name.as_str().unwrap();
        assert!(value.get(name).is_some(), "{place}: {name} is missing in {value:.300}");
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(member) = value.get(name) {
            check(document, schema, member, &format!("{place}.{name}"));
        }
    }
    for member in value.as_array().into_iter().flatten().take(20) {
        check(document, &schema["items"], member, &format!("{place}[]"));
    }
}

#[test]
fn pages_of_instances_show_each_once() {
    let server = server();
    for n in 0..7 {
        assert_eq!(server.ingest(&format!("paged-{n}"), 2, |n| n as f64).status, 200);
    }
    // Two workers apply what was sent, each half of the partitions.
    let listed = |n: usize| server.get(&format!("/api/v1/instances/paged-{n}")).status == 200;
    server.wait_until("listed", || (0..7).all(listed));
    let (mut seen, mut path) = (Vec::new(), "/api/v1/instances?limit=3".to_owned());
    loop {
        let page = server.get(&path).json();
        let instances = page["instances"].as_array().unwrap();
        assert!(instances.len() <= 3);
        seen.extend(instances.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/instances?limit=3&cursor={next}");
    }
    assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
    assert_eq!(seen.iter().filter(|id| id.starts_with("paged-")).count(), 7);
}

#[test]
fn a_report_is_a_task_that_can_be_watched() {
    let server = server();
    let begun = server.post_json("/api/v1/tasks", r#"{"kind": "report"}"#);
    assert_eq!(begun.status, 202, "{}", begun.body);
    let path = format!("/api/v1/tasks/{}", begun.json()["id"].as_str().unwrap());
    server.wait_until("made", || server.get(&path).json()["state"] == "done");
    let result = server.get(&path).json()["result"].as_str().unwrap().to_owned();
    assert!(server.get(&result).json()["document"].is_object());
    let ended = server
        .raw(format!("DELETE {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes());
    assert!(ended.starts_with("HTTP/1.1 409") && ended.contains("it is over"), "{ended}");
    assert_eq!(server.get("/api/v1/tasks/training-x").status, 404);
    // The first model of this machine was trained for the server to be ready.
    let tasks = server.get("/api/v1/tasks").json();
    assert!(tasks["tasks"].as_array().unwrap().iter().any(|task| task["kind"] == "training"), "{tasks}");
}
