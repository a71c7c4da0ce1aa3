//! The document of the API says what the node does.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::server::{Server, server};

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
    "/api/v1/fleet/history",
    "/api/v1/alerts",
    "/api/v1/failures",
    "/api/v1/maintenance",
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

#[test]
fn examples_of_answers_are_of_their_shapes() {
    let document = server().get("/api/v1/openapi.json").json();
    let mut found = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            for answer in operation["responses"].as_object().unwrap().values() {
                let content = &answer["content"]["application/json"];
                if content["example"].is_object() {
                    check(&document, &content["schema"], &content["example"], path);
                    found += 1;
                }
            }
        }
    }
    assert!(found > 15, "{found} examples");
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
    // Two workers apply what was sent, each half of the partitions.
    (0..7).for_each(|n| server.known(&format!("paged-{n}")));
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

/// Members of a list, page by page.
fn paged(server: &Server, path: &str, name: &str) -> Vec<Json> {
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("{path}limit=2{next}")).json();
        let members = page[name].as_array().unwrap_or_else(|| panic!("{path}: {page}"));
        assert!(members.len() <= 2, "{page}");
        seen.extend(members.iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else { return seen };
        next = format!("&cursor={cursor}");
    }
}

#[test]
fn records_come_in_pages_newest_first() {
    let server = server();
    server.known("booked");
    for n in 1..=5 {
        let failed =
            json!({"instance": "booked", "mode": "crash", "at": format!("-{n}m"), "note": n.to_string()});
        assert_eq!(server.post_json("/api/v1/failures", &failed.to_string()).status, 201);
        let work =
            json!({"instance": "booked", "from": format!("-{n}h"), "duration": "1m", "note": n.to_string()});
        assert_eq!(server.post_json("/api/v1/maintenance", &work.to_string()).status, 201);
    }
    for (list, name) in [("failures", "failures"), ("maintenance", "maintenance")] {
        let path = format!("/api/v1/{list}?instance=booked");
        let all = || server.get(&path).json()[name].as_array().unwrap().clone();
        server.wait_until("booked", || all().len() == 5);
        let notes: Vec<Json> =
            paged(server, &format!("{path}&"), name).iter().map(|one| one["note"].clone()).collect();
        assert_eq!(notes, ["1", "2", "3", "4", "5"], "{list}");
        assert_eq!(all(), paged(server, &format!("{path}&"), name), "{list}");
    }
    let wrong = server.get("/api/v1/alerts?limit=0");
    assert_eq!((wrong.status, wrong.json()["error"]["field"].as_str()), (400, Some("limit")));
    assert!(paged(server, "/api/v1/alerts?instance=booked&", "alerts").is_empty());
}

#[test]
fn the_history_of_a_fleet_is_one_matrix() {
    /// Before the first frame that the tests make up, and a multiple of all steps here.
    const FROM: i64 = 1_699_999_920;
    let server = server();
    let sent = std::cell::Cell::new(0);
    server.wait_until("scored", || {
        let more = sent.get()..sent.get() + 30;
        sent.set(more.end);
        server.ingest_more("matrix", more, |n| (n % 7) as f64);
        server.get("/api/v1/instances/matrix").json()["score"].is_number()
    });
    let to = 1_700_000_000 + sent.get() as i64;
    let step = |least: i64| ((to - FROM) / 900 + 1).max(least);
    let asked =
        |step: i64| server.get(&format!("/api/v1/fleet/history?from={FROM}&to={to}&step={step}")).json();
    let row = |answer: &Json| -> Vec<f64> {
        let at = answer["instances"].as_array().unwrap().iter().position(|id| id == "matrix").unwrap();
        answer["values"][at].as_array().unwrap().iter().filter_map(Json::as_f64).collect()
    };
    server.wait_until("stored", || !row(&asked(step(120))).is_empty());
    let answer = asked(step(120));
    let cells = answer["cells"].as_u64().unwrap() as usize;
    assert_eq!((&answer["metric"], answer["values"][0].as_array().unwrap().len()), (&json!("score"), cells));
    assert_eq!(answer["values"].as_array().unwrap().len(), answer["instances"].as_array().unwrap().len());
    // The largest of a cell: what a long one says is the largest of the short ones.
    let largest = |values: Vec<f64>| values.into_iter().fold(f64::NAN, f64::max);
    assert_eq!(largest(row(&answer)), largest(row(&asked(86_400))));

    let risks = server.get("/api/v1/fleet/history?metric=risk&limit=1").json();
    assert_eq!((risks["instances"].as_array().unwrap().len(), &risks["metric"]), (1, &json!("risk")));
    let many = server.get("/api/v1/fleet/history?from=-16h&step=60&limit=1000");
    assert_eq!((many.status, many.json()["error"]["field"].as_str()), (400, Some("limit")));
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
