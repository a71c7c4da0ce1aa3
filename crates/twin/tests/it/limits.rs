//! What groups hold: memory that a leak runs into, and sizes that change while a twin runs.

use std::fs;
use std::time::Instant;

use foretwin_core::{Fault, Fidelity, Order, Replay};
use foretwin_host::cgroup::{Limits, mounted};
use foretwin_twin::{Activity, Confinement, Owner, ProcessSubstrate, Resources, Substrate};

use super::support::{Stage, config, one, probes, runner, skip};

fn stage() -> Option<Stage> {
    let runner = runner()?;
    Some(Stage::new(|owner: &Owner, directory| {
        let substrate = ProcessSubstrate::new(owner, &config(&runner), directory).unwrap();
        vec![Box::new(substrate) as Box<dyn Substrate>]
    }))
}

#[test]
fn limits_change_while_a_twin_runs() {
    let Some(mut stage) = stage() else { return };
    let mut spec = probes("test/resized-twin", Fidelity::Process);
    spec.resources = Resources { cores: Some(0.5), memory_bytes: Some(64 << 20), pids: Some(64) };
    let status = stage.until(&one(&spec), 20, |status| status.activity == Activity::Running);
    let Some(Confinement::Group { path, controllers }) = status.confinement else {
        return skip("groups may not be made here");
    };
    let limits = || {
        let hierarchies = mounted().unwrap();
        Limits::own(&path, &hierarchies.iter().collect::<Vec<_>>())
    };
    assert_eq!(limits().cpu_us_per_s, 500_000, "{controllers:?}");
    assert!(limits().memory <= 64 << 20);
    spec.resources.memory_bytes = Some(96 << 20);
    spec.resources.cores = Some(0.25);
    let resized = stage.until(&one(&spec), 20, |_| true);
    assert_eq!((resized.pid, resized.restarts), (status.pid, 0));
    assert_eq!((limits().cpu_us_per_s, limits().memory), (250_000, 96 << 20));
}

#[test]
fn a_leak_ends_at_the_limit_of_the_group() {
    let Some(mut stage) = stage() else { return };
    let mut spec = probes("test/leaking-twin", Fidelity::Process);
    spec.order = Order {
        report_hz: 5.0,
        replay: Some(Replay::default()),
        fault: Some(Fault { memory_bytes_per_s: 20e6, ..Fault::default() }),
        ..Order::default()
    };
    spec.resources.memory_bytes = Some(40 << 20);
    spec.restarts = false;
    let start = Instant::now();
    let first = stage.until(&one(&spec), 10, |status| status.confinement.is_some());
    if !matches!(first.confinement, Some(Confinement::Group { .. })) {
        return skip("groups may not be made here");
    }
    let status = stage.until(&one(&spec), 30, |status| matches!(status.activity, Activity::Ended(_)));
    let Activity::Ended(exit) = status.activity else { unreachable!() };
    eprintln!("ended after {:.1} s: {exit:?}", start.elapsed().as_secs_f64());
    assert!(exit.out_of_memory && exit.code == 137, "{exit:?}");
    assert!(fs::read_dir(stage.directory.path()).unwrap().count() == 1);
}
