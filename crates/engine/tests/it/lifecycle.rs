//! Starting, stopping, restarting, and refusing.

use foretwin_core::{InstanceId, InstanceKind, Origin, Phase, Record};
use foretwin_engine::{Agent, Node, Roles};

use super::world::{config, quiet, recording, records, stored, until};

#[test]
fn a_node_watches_this_machine_and_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(&config(dir.path()), Roles { collect: true }).unwrap();
    let handle = node.handle();
    assert!(!handle.readiness().ready, "nothing was seen yet");
    until("ready", || handle.readiness().ready);
    let host = handle.instances().into_iter().find(|one| one.instance.kind == InstanceKind::Host).unwrap();
    assert!(host.score.is_some() && host.learning.phase == Phase::Provisional);
    let id = host.instance.id.clone();
    node.stop().unwrap();
    let states = std::fs::read_dir(dir.path().join("states")).unwrap().count();
    assert!(states > 0, "a clean stop leaves a checkpoint");

    let node = Node::start(&config(dir.path()), Roles { collect: true }).unwrap();
    let handle = node.handle();
    until("scored by the model from before", || {
        handle.instance(&id).is_ok_and(|one| one.learning.model_version >= 1 && one.score.is_some())
    });
    node.stop().unwrap();
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let window = recording("survivor", (0..200).map(f64::from));
    {
        let node = quiet(dir.path());
        node.handle().ingest(records(&window, Origin::default())).unwrap();
        // As close to a kill as a test in one process comes: nothing is flushed, nothing is sealed.
        std::mem::forget(node.handle());
        let leaked = std::mem::ManuallyDrop::new(node);
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let again = quiet(copy.path());
        assert_eq!(stored(&again.handle(), "survivor").len(), 200);
        again.stop().unwrap();
        drop(std::mem::ManuallyDrop::into_inner(leaked));
    }
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn two_nodes_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let node = quiet(dir.path());
    let second = Node::start(&config(dir.path()), Roles { collect: false }).err().unwrap();
    assert_eq!(second.code(), "log");
    node.stop().unwrap();
}

#[test]
fn a_batch_sent_again_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let node = quiet(dir.path());
    let handle = node.handle();
    let window = recording("twice", (0..50).map(f64::from));
    let origin = Origin { source: 7, epoch: 1, sequence: 1 };
    handle.ingest(records(&window, origin)).unwrap();
    handle.ingest(records(&window, origin)).unwrap();
    until("stored", || stored(&handle, "twice").len() == 50);
    assert!(handle.exposition().contains("foretwin_duplicate_batches_total 1"));
    node.stop().unwrap();
}

#[test]
fn late_and_stepping_back_frames_are_stored_and_stop_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let node = quiet(dir.path());
    let handle = node.handle();
    let mut window = recording("jumpy", (0..60).map(f64::from));
    window.times.swap(10, 40);
    handle.ingest(records(&window, Origin::default())).unwrap();
    until("stored", || stored(&handle, "jumpy").len() == 60);
    let times = stored(&handle, "jumpy");
    assert!(times.is_sorted());
    node.stop().unwrap();
}

#[test]
fn a_batch_of_an_unknown_schema_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let node = quiet(dir.path());
    let window = recording("orphan", [1.0]);
    let only_batch: Vec<Record> = records(&window, Origin::default()).split_off(2);
    let error = node.handle().ingest(only_batch).unwrap_err();
    assert_eq!(error.code(), "unknown_schema");
    assert!(node.handle().instance(&InstanceId::new("orphan")).is_err());
    node.stop().unwrap();
}

#[test]
fn an_agent_keeps_its_telemetry_while_the_server_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    // Nothing listens there: port 9 is discard, and nobody runs it.
    config.forward.server = "http://127.0.0.1:9".into();
    let agent = Agent::start(&config).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    agent.stop().unwrap();
    let spooled: u64 = std::fs::read_dir(dir.path().join("spool"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(spooled > 10_000, "only {spooled} bytes are spooled");
}

/// A mount appears, the machine's schema changes: what is known of its memory must not begin anew.
#[test]
fn a_changed_schema_keeps_the_history_of_its_series() {
    let dir = tempfile::tempdir().unwrap();
    let node = quiet(dir.path());
    let handle = node.handle();
    let leak = |n: usize| 200.0 + 2.0 * n as f64 + (n % 3) as f64;
    let before = recording("mounting", (0..200).map(leak));
    handle.ingest(records(&before, Origin::default())).unwrap();

    let mut metrics = before.schema.metrics().to_vec();
    metrics.push(foretwin_core::Metric::gauge("mounted", "By", foretwin_core::Role::Utilization));
    let mut after = foretwin_core::Window::new(before.instance.clone(), foretwin_core::Schema::new(metrics));
    for n in 200..260 {
        let at = before.times[0] + n as i64 * 1_000_000;
        let number = foretwin_core::Value::float;
        after.push(at, &[number(leak(n)), number(1000.0), foretwin_core::Value(7)]);
    }
    handle.ingest(records(&after, Origin::default())).unwrap();
    until("stored", || stored(&handle, "mounting").len() == 260);
    let risks = handle.risks(&before.instance).unwrap();
    let memory = risks.iter().find(|risk| risk.metric == "used").unwrap();
    assert!(memory.trend.span_s > 150.0 && memory.at(3600.0) > 0.5, "{memory:?}");
    node.stop().unwrap();
}

#[test]
fn who_fell_silent_long_ago_is_kept_at_hand_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let node = quiet(dir.path());
    let handle = node.handle();
    // Telemetry of years ago, of one host: one of its instances ends early.
    for (id, frames) in [("ended", 2), ("went-on", 200)] {
        let window = recording(id, (0..frames).map(f64::from));
        handle.ingest(records(&window, Origin::default())).unwrap();
    }
    let ended = InstanceId::new("ended");
    until("gone", || handle.instance(&ended).is_ok_and(|one| !one.alive));
    // Who is gone is looked through every second.
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(!handle.instance(&ended).unwrap().alive);
    assert!(handle.instance(&InstanceId::new("went-on")).unwrap().alive);
    node.stop().unwrap();
}
