//! An agent on another data directory sends to the server, over the network.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use foretwin_core::{PARTITIONS, Record};
use foretwin_disk::OsDisk;
use foretwin_engine::{Agent, Config};
use foretwin_stream::Log;

use super::server::server;

/// A series that every frame of a machine has.
const READING: &str = "system.memory.unreclaimable";

fn agent(dir: &Path, host: &str) -> Agent {
    let mut config = Config { data_dir: dir.to_path_buf(), ..Config::default() };
    config.collect.host = host.into();
    config.collect.machine.interval_ms = 100;
    config.collect.groups.enabled = false;
    config.stream.commit_interval_ms = 10;
    config.forward.server = server().url();
    Agent::start(&config).unwrap()
}

/// Times of every memory reading of the instance that the server holds, in µs.
fn times(from: i64) -> Vec<i64> {
    let query = format!("metric={READING}&from={}&points=20000", from / 1_000_000);
    let window = server().get(&format!("/api/v1/instances/faraway/window?{query}")).json();
    let times = window["series"][0]["at_us"].as_array().cloned().unwrap_or_default();
    times.iter().map(|at| at.as_i64().unwrap()).collect()
}

fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

fn last_seen() -> Option<i64> {
    server().get("/api/v1/instances/faraway").json()["last_seen_us"].as_i64()
}

/// Times of every memory reading in an agent's spool that the server has acknowledged, in µs. The spool is copied first:
/// opening one begins a segment.
fn acknowledged(dir: &Path) -> Vec<i64> {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(dir.join("spool")).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let sent = std::fs::read_to_string(dir.join("sent")).unwrap();
    let sent: Vec<u64> = sent.lines().map(|line| line.trim().parse().unwrap()).collect();
    let (log, _) = Log::open(Arc::new(OsDisk), copy.path(), foretwin_stream::Config::default()).unwrap();
    let (mut times, mut readings) = (Vec::new(), HashSet::new());
    for entry in log.read_from(&[0; PARTITIONS]).map(Result::unwrap) {
        match foretwin_wire::record::decode(&entry.payload).unwrap() {
            Record::Schema(schema) if schema.column(READING).is_some() => drop(readings.insert(schema.id())),
            Record::Batch(batch) if readings.contains(&batch.schema()) => {
                let durable = entry.position.offset < sent[entry.position.partition.index()];
                times.extend(batch.rows().iter().filter(|_| durable).map(|row| row.at.0));
            }
            _ => {}
        }
    }
    times
}

#[test]
fn what_an_agent_collects_is_watched_by_the_server_and_leaves_the_spool() {
    let server = server();
    let dir = tempfile::tempdir().unwrap();
    let began = now_us();
    let running = agent(dir.path(), "faraway");
    let scored = || server.get("/api/v1/instances/faraway").json()["score"].is_number();
    server.wait_until("scored", scored);
    running.stop().unwrap();
    let stopped = now_us();
    let mut sent = acknowledged(dir.path());
    assert!(sent.len() > 10, "{sent:?}");

    // Another life of the same agent goes on where the first stopped: nothing is sent twice, nothing is left out.
    let restarted = now_us();
    let running = agent(dir.path(), "faraway");
    server.wait_until("seen again", || last_seen() > Some(restarted + 1_000_000));
    running.stop().unwrap();
    sent.extend(acknowledged(dir.path()));
    sent.sort_unstable();
    sent.dedup();

    let stored = || times(began);
    server.wait_until("stored", || stored().len() >= sent.len());
    let times = stored();
    assert!(times.is_sorted_by(|a, b| a < b), "twice, or out of order: {times:?}");
    assert_eq!(times, sent, "what the agent heard was taken, and what is stored");
    assert!(times[0] >= began && times.iter().all(|&at| at <= stopped || at >= restarted), "{times:?}");
}
