//! What a what-if says of a leak is rehearsed in a process twin, by the kernel's own account.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use foretwin_core::{
    Change, FailureMode, Fidelity, InstanceId, Metric, Origin, Role, Scenario, Schema, Storage, Timestamp,
    Value, Window,
};
use foretwin_engine::{Node, Roles};

use crate::world::{config, records, until};

const MB: f64 = 1e6;

/// The runner: named by FORETWIN_RUNNER, or as cargo builds it.
fn runner() -> Option<PathBuf> {
    let named = std::env::var_os("FORETWIN_RUNNER").map(PathBuf::from);
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_path_buf();
    let places = ["debug", "release", "x86_64-unknown-linux-musl/debug", "x86_64-unknown-linux-musl/release"];
    let built = places.map(|place| target.join(place).join("foretwin-runner"));
    let found = named.into_iter().chain(built).find(|path| path.is_file());
    if found.is_none() {
        let why = "no runner: cargo build -p foretwin-runner";
        eprintln!("SKIPPED: {why}");
        assert!(std::env::var_os("FORETWIN_TEST_STRICT").is_none(), "{why}");
    }
    found
}

/// Ten minutes in which the memory of a service rises by half a megabyte a second, against 600.
fn leak() -> Window {
    let gauge = Metric::gauge("used", "By", Role::Utilization)
        .stored(Storage::F64)
        .against("limit", FailureMode::MemoryExhaustion);
    let limit = Metric::gauge("limit", "By", Role::Limit).stored(Storage::F64);
    let mut window = Window::new(InstanceId::new("elsewhere/leaks"), Schema::new(vec![gauge, limit]));
    for second in 0..600 {
        let at = Timestamp::from_seconds(1_700_000_000.0 + f64::from(second));
        let used = 100.0 * MB + 0.5 * MB * f64::from(second) + 0.1 * MB * f64::from(second * 7 % 5);
        window.push(at, &[Value::float(used), Value::float(600.0 * MB)]);
    }
    window
}

#[test]
fn a_what_if_is_verified_in_a_process_twin() {
    let Some(runner) = runner() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.twin.runner = Some(runner);
    let node = Node::start(&config, Roles { collect: true }).unwrap();
    let handle = node.handle();
    let window = leak();
    handle.ingest(records(&window, Origin { source: 1, epoch: 1, sequence: 1 })).unwrap();
    let (id, last) = (window.instance.clone(), *window.times.last().unwrap());
    until("all is read", || handle.instance(&id).is_ok_and(|view| view.last_seen_us == last));
    until("substrates are known", || handle.twins().levels.iter().any(|one| one.level == Fidelity::Process));
    let hour = (3600.0, Fidelity::Process);
    let elsewhere = Scenario { host: Some(id.clone()), ..Scenario::default() };
    let refused = handle.verify(&id, &elsewhere, hour).unwrap_err().to_string();
    assert!(refused.contains("not verified: elsewhere/leaks is another machine"), "{refused}");

    // 400 MB are left of 500 when the limit is 800: 800 s at half a megabyte a second.
    let more = Scenario { memory: Some(Change::To(800.0 * MB)), ..Scenario::default() };
    let begun = handle.verify(&id, &more, hour).unwrap();
    assert_eq!(begun.scenario.as_deref(), Some("memory 800000000"));
    assert!(handle.verify(&id, &more, hour).is_err(), "one after another");
    let deadline = Instant::now() + Duration::from_secs(180);
    while !handle.rehearsal(begun.id).unwrap().done {
        assert!(Instant::now() < deadline, "{:?}", handle.twins().runners);
        std::thread::sleep(Duration::from_millis(100));
    }
    let view = handle.rehearsal(begun.id).unwrap();
    assert_eq!(view.fidelity, Some(Fidelity::Process), "{view:?}");
    let said = view.verified.clone().unwrap();
    // A busy machine may let the twin fall behind; then that is said of the growth, and times are too long.
    let behind = view.not_comparable.iter().any(|what| what.starts_with("the growth of memory"));
    assert!(said.starts_with("verified in a process twin: "), "{view:?}");
    if !behind {
        assert!(said.contains("memory exhaustion after"), "{view:?}");
        let after_s = view.after_s.unwrap();
        assert!((450.0..1600.0).contains(&after_s), "{after_s} s, 800 by arithmetic: {view:?}");
    }
    node.stop().unwrap();
}
