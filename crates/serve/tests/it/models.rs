//! Models over HTTP: listed, shown, compared, switched, exported, imported, pruned.

use serde_json::Value as Json;

use super::server::{Server, server};

/// An instance with a slash in its name and some versions, made by sending more and more telemetry until a training is no
/// longer due; and its path.
fn taught(name: &str) -> (&'static Server, String) {
    let (server, id) = (server(), format!("shop/{name}.service"));
    let path = format!("/api/v1/models/shop%2F{name}.service");
    let level = |n: usize| 300.0 + 20.0 * (n as f64 / 30.0).sin() + ((n * 7919) % 13) as f64;
    let sent = std::cell::Cell::new(0);
    server.wait_until("taught", || {
        let versions = line(server, &path)["versions"].as_array().cloned().unwrap_or_default();
        let rows = versions.last().and_then(|last| last["rows"].as_u64()).unwrap_or(0) as usize;
        // A model is renewed when its history has doubled.
        if versions.len() >= 3 && rows >= 500 && 2 * rows > sent.get() + 10 {
            return true;
        }
        let more = sent.get()..sent.get() + 60;
        assert_eq!(server.ingest_more(&id, more.clone(), level).status, 200);
        sent.set(more.end);
        false
    });
    (server, path)
}

fn line(server: &Server, path: &str) -> Json {
    server.get(path).json()["lines"][0].clone()
}

#[test]
fn versions_are_listed_shown_switched_and_rolled_back() {
    let (server, path) = taught("web");
    let before = line(server, &path);
    let champion = before["champion"].as_u64().unwrap();
    assert!(before["main"] == true && before["rollback_to"].is_u64(), "{before}");
    let version = &before["versions"].as_array().unwrap().last().unwrap();
    assert!(version["rows"].as_u64() > Some(100) && version["held_out"].is_object(), "{version}");

    let all = server.get(&path).json();
    let count = |page: &Json| {
        let lines = page["lines"].as_array().unwrap().iter();
        lines.map(|line| line["versions"].as_array().unwrap().len()).sum::<usize>()
    };
    let first = server.get(&format!("{path}?limit=2")).json();
    let rest = server.get(&format!("{path}?cursor={}", first["next_cursor"].as_str().unwrap())).json();
    assert_eq!((count(&first), count(&first) + count(&rest)), (2, count(&all)), "{first}");
    assert_ne!(first["lines"][0]["versions"], rest["lines"][0]["versions"]);

    let shown = server.get(&format!("{path}/{champion}")).json();
    assert!(shown["roles"].as_array().unwrap().contains(&"champion".into()), "{shown}");
    let used =
        shown["features"].as_array().unwrap().iter().find(|one| one["metric"] == "used").unwrap().clone();
    assert!(
        used["duty"] == "modelled" && used["limit"] == "limit" && used["scale"].as_f64() > Some(0.0),
        "{used}"
    );
    assert!(
        shown["provenance"]["config"]["lags"].is_u64() && shown["provenance"]["seed"].is_u64(),
        "{shown}"
    );

    let trials = shown["trials"].as_array().unwrap();
    assert!(trials.iter().all(|one| one["before"].is_f64() && one["after"].is_f64()), "{shown}");
    // The load repeats every 188 s, if so short a history shows it.
    let period = shown["cycle"]["period_s"].as_f64();
    assert!(shown["gain"]["shared"].is_boolean(), "{shown}");
    assert!(period.is_none_or(|period_s| (150.0..230.0).contains(&period_s)), "{shown}");

    let compared = server.get(&format!("{path}/compare?versions=1,{champion}&span=10m")).json();
    let second = &compared["versions"][1];
    assert!(second["judged"].as_u64() > Some(300) && second["log_error_ratio"].is_f64(), "{compared}");

    let back = server.post_json(&format!("{path}/rollback"), r#"{"reason": "false alarms"}"#).json();
    assert_eq!((back["from"].as_u64(), &back["to"]), (Some(champion), &before["rollback_to"]));
    let now = line(server, &path);
    assert!(now["champion"] == back["to"] && now["judging"] == back["to"], "{now}");
    assert_eq!(now["changes"].as_array().unwrap().last().unwrap()["reason"], "false alarms");
    let promoted = server.post_json(&format!("{path}/{champion}/promote"), "{}");
    assert_eq!((promoted.status, promoted.json()["to"].as_u64()), (200, Some(champion)));

    assert_eq!(server.post_json(&format!("{path}/1/pin"), "{}").status, 200);
    assert_eq!(server.post_json(&format!("{path}/{champion}/reference"), "{}").status, 200);
    assert_eq!(line(server, &path)["reference"].as_u64(), Some(champion));
    let pruned = server.post_json(&format!("{path}/prune"), r#"{"keep": 0}"#).json();
    assert!(!pruned["pruned"].as_array().unwrap().contains(&1.into()), "pinned: {pruned}");
    let left: Vec<u64> = line(server, &path)["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["version"].as_u64().unwrap())
        .collect();
    assert!(left.contains(&1) && left.contains(&champion), "{left:?}");
}

#[test]
fn drift_is_told_against_the_model_at_work() {
    let (server, path) = taught("steady");
    let drift = || server.get("/api/v1/instances/shop%2Fsteady.service/drift").json()["drift"][0].clone();
    assert_eq!(drift()["schema"], line(server, &path)["schema"], "{}", drift());
    // Nothing is said before half an hour or so was seen under one model.
    let sent = std::cell::Cell::new(2000);
    server.wait_until("seen for long enough", || {
        let more = sent.get()..sent.get() + 600;
        assert_eq!(
            server.ingest_more("shop/steady.service", more.clone(), |n| 300.0 + (n % 13) as f64).status,
            200
        );
        sent.set(more.end);
        drift()["champion"].is_object()
    });
    let (told, line) = (drift(), line(server, &path));
    let champion = &told["champion"];
    assert!(champion["shift"].is_f64() && champion["model_version"] == line["judging"], "{told} {line}");
}

#[test]
fn files_go_out_and_come_in_and_wrong_ones_are_refused_by_name() {
    let (server, path) = taught("moved");
    let file = server.bytes(&format!("{path}/1/export"));
    let octets = "application/octet-stream";
    let imported = server.post(&format!("{path}/import"), octets, &file);
    assert_eq!(imported.status, 201, "{}", imported.body);
    let version = imported.json()["version"].as_u64().unwrap();
    assert!(line(server, &path)["challengers"].as_array().unwrap().contains(&version.into()));
    let reason = server.get(&format!("{path}/{version}")).json()["reason"].clone();
    assert!(reason.as_str().unwrap().starts_with("imported: first"), "{reason}");
    assert_eq!(server.post_json(&format!("{path}/{version}/dismiss"), "{}").status, 200);
    assert_eq!(line(server, &path)["challengers"], Json::Array(vec![]));

    let refused = |place: &str, body: &[u8], says: &str| {
        let answer = server.post(place, octets, body);
        assert!(answer.status == 400 && answer.body.contains(says), "{}: {}", answer.status, answer.body);
        assert_eq!(answer.json()["error"]["code"], "invalid_model");
    };
    refused(&format!("{path}/import"), &file[..file.len() - 4], "outside of the file");
    let mut renamed = file.clone();
    let at = renamed.windows(9).position(|name| name == b"deviation").unwrap();
    renamed[at..at + 9].copy_from_slice(b"deviatiom");
    refused(&format!("{path}/import"), &renamed, "tensor deviation is missing");
    let mut wild = file.clone();
    let end = wild.len();
    wild[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    refused(&format!("{path}/import"), &wild, "finite");
    let host = server.host();
    refused(&format!("/api/v1/models/{host}/import"), &file, "schema");

    let vectors = server.get(&format!("{path}/1/vectors?rows=50")).json();
    let [times, frames, scores] =
        ["times_us", "frames", "scores"].map(|key| vectors[key].as_array().unwrap().len());
    assert_eq!((times, frames, scores), (50, 50, 50));
    assert!(vectors["expected"][40][0].is_f64() && vectors["metrics"][0] == "used", "{vectors}");
}

#[test]
fn wrong_questions_are_answered_in_the_one_shape() {
    let (server, path) = taught("asked");
    let refused = |answer: super::server::Answer, status: u16, says: &str| {
        assert!(answer.status == status && answer.body.contains(says), "{} {}", answer.status, answer.body);
        assert!(answer.json()["error"]["code"].is_string());
    };
    refused(server.get("/api/v1/models/nobody"), 404, "nobody");
    refused(server.get(&format!("{path}/999")), 404, "999");
    refused(server.get(&format!("{path}/latest")), 400, "number");
    refused(server.get(&format!("{path}/1?schema=xyz")), 400, "hexadecimal");
    refused(server.get(&format!("{path}/1/vectors?rows=0")), 400, "rows");
    refused(server.get(&format!("{path}/compare?versions=a")), 400, "versions");
    refused(server.post(&format!("{path}/rollback"), "text/plain", b""), 415, "application/json");
    refused(server.post_json(&format!("{path}/999/promote"), "{}"), 404, "999");
    refused(server.post_json(&format!("{path}/prune"), "{}"), 400, "keep");
}
