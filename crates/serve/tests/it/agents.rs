//! An agent on another data directory sends to the server, over the network.

use foretwin_engine::{Agent, Config};

use super::server::server;

fn agent(dir: &std::path::Path, host: &str) -> Agent {
    let mut config = Config { data_dir: dir.to_path_buf(), ..Config::default() };
    config.collect.host = host.into();
    config.collect.machine.interval_ms = 100;
    config.collect.groups.enabled = false;
    config.stream.commit_interval_ms = 10;
    config.forward.server = server().url();
    Agent::start(&config).unwrap()
}

#[test]
fn what_an_agent_collects_is_watched_by_the_server_and_leaves_the_spool() {
    let server = server();
    let dir = tempfile::tempdir().unwrap();
    let running = agent(dir.path(), "faraway");
    let scored = || server.get("/api/v1/instances/faraway").json()["score"].is_number();
    server.wait_until("scored", scored);
    let seen = server.get("/api/v1/instances/faraway").json()["last_seen_us"].as_i64().unwrap();
    running.stop().unwrap();

    // Another life of the same agent goes on where the first stopped: nothing is sent twice, nothing is left out.
    let cursor = std::fs::read_to_string(dir.path().join("sent")).unwrap();
    assert!(cursor.lines().any(|offset| offset != "0"), "{cursor}");
    let running = agent(dir.path(), "faraway");
    let later = || server.get("/api/v1/instances/faraway").json()["last_seen_us"].as_i64() > Some(seen);
    server.wait_until("seen again", later);
    running.stop().unwrap();
}
