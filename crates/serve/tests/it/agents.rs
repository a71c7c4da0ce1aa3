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

/// Times of every memory reading of the instance that the server holds, in µs.
fn times(from: i64) -> Vec<i64> {
    let query = format!("metric=system.memory.unreclaimable&from={}&points=20000", from / 1_000_000);
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

#[test]
fn what_an_agent_collects_is_watched_by_the_server_and_leaves_the_spool() {
    /// Ten readings a second: a loaded machine may miss some, while a lost request would be seen.
    const GAP_US: i64 = 2_000_000;
    let server = server();
    let dir = tempfile::tempdir().unwrap();
    let began = now_us();
    let running = agent(dir.path(), "faraway");
    let scored = || server.get("/api/v1/instances/faraway").json()["score"].is_number();
    server.wait_until("scored", scored);
    let stopping = now_us();
    running.stop().unwrap();
    // Longer than a gap, so that the stop is one.
    std::thread::sleep(std::time::Duration::from_micros(GAP_US as u64 + 500_000));

    // Another life of the same agent goes on where the first stopped: nothing is sent twice, nothing is left out.
    let cursor = std::fs::read_to_string(dir.path().join("sent")).unwrap();
    assert!(cursor.lines().any(|offset| offset != "0"), "{cursor}");
    let restarted = now_us();
    let running = agent(dir.path(), "faraway");
    server.wait_until("seen again", || last_seen() > Some(restarted + 1_000_000));
    running.stop().unwrap();

    // Not equal: round-trip times come in frames of their own, which may be the last.
    let stored = |seen: i64| times(began).last().is_some_and(|&last| last > seen - 1_000_000);
    server.wait_until("stored", || last_seen().is_some_and(stored));
    let times = times(began);
    let ended = times[times.len() - 1];
    assert!(times.is_sorted_by(|a, b| a < b), "twice, or out of order: {times:?}");
    assert!(times[0] >= began && times[0] - began < GAP_US, "it began at {began}, not {}", times[0]);
    let gaps: Vec<&[i64]> = times.windows(2).filter(|pair| pair[1] - pair[0] >= GAP_US).collect();
    let [gap] = gaps.as_slice() else { panic!("one gap is expected, there are {gaps:?}") };
    // The last reading before the stop is there, whichever life sent it, and none was made while nobody ran.
    assert!(gap[0] > stopping - GAP_US / 2 && gap[1] >= restarted, "stopped at {stopping}, gap {gap:?}");
    assert!(gap[1] - restarted < GAP_US, "restarted at {restarted}, gap {gap:?}");
    let readings = (gap[0] - times[0]) / 100_000 + (ended - gap[1]) / 100_000;
    assert!(times.len() as i64 > readings * 8 / 10, "{} readings of {readings}", times.len());
}
