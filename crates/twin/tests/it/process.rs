//! Twins as processes: confined, commanded, resized, paused, started again, and gone without a trace.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use foretwin_core::Fidelity;
use foretwin_core::probe::Field;
use foretwin_twin::{Activity, Confinement, Desired, Owner, ProcessSubstrate, Spec, Substrate, Twins};

use super::support::{Stage, config, one, print_cost, probes, runner, skip, traces};

fn stage() -> Option<Stage> {
    let runner = runner()?;
    Some(Stage::new(|owner: &Owner, directory| {
        let substrate = ProcessSubstrate::new(owner, &config(&runner), directory).unwrap();
        vec![Box::new(substrate) as Box<dyn Substrate>]
    }))
}

#[test]
fn a_process_reports_obeys_and_leaves_nothing() {
    let Some(mut stage) = stage() else { return };
    let mut spec = probes("test/process-twin", Fidelity::Process);
    let start = Instant::now();
    let status = stage.until(&one(&spec), 20, |status| status.activity == Activity::Running);
    let took = start.elapsed();
    assert_eq!((status.achieved, status.shortfall), (Fidelity::Process, None));
    let pid = status.pid.unwrap();
    match status.confinement.unwrap() {
        Confinement::Group { path, controllers } => {
            assert!(stage.owner.owns(&path), "{path}");
            let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
            assert!(groups.contains(&path) && controllers.contains(&"cpu".into()), "{groups}");
        }
        other => skip(&format!("groups may not be made here, confined by {other:?}")),
    }
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim(), "1000");
    let report = stage.next_with(Field::WakeLagP50);
    assert_eq!((report.label.as_str(), report.fidelity), ("test/process-twin", Fidelity::Process));
    print_cost("process", pid, took);
    obeys(&mut stage, &mut spec, pid);
    assert!(stage.twins.converge(&Desired::default(), Instant::now()).is_empty());
    assert!(traces(&stage.owner).is_empty(), "{:?}", traces(&stage.owner));
    assert_eq!(fs::read_dir(stage.directory.path()).unwrap().count(), 1, "only the owner's name is left");
}

#[test]
fn a_killed_runner_is_started_again() {
    let Some(mut stage) = stage() else { return };
    let spec = probes("test/killed-twin", Fidelity::Process);
    let first = stage.until(&one(&spec), 20, |status| status.activity == Activity::Running).pid.unwrap();
    std::process::Command::new("kill").args(["-9", &first.to_string()]).status().unwrap();
    let status = stage.until(&one(&spec), 20, |status| status.restarts == 1 && status.pid.is_some());
    assert_ne!(status.pid, Some(first));
    let status = stage.until(&one(&spec), 20, |status| status.activity == Activity::Running);
    assert!(status.traffic.frames > 0);
    drop(stage.twins);
    assert!(traces(&stage.owner).is_empty(), "{:?}", traces(&stage.owner));
}

/// Changes that need no other process.
fn obeys(stage: &mut Stage, spec: &mut Spec, pid: u32) {
    // Another order does not start another process.
    spec.order.probes.as_mut().unwrap().rate_hz = 2.0;
    stage.until(&one(spec), 20, |status| status.activity == Activity::Running);
    thread::sleep(Duration::from_secs(2));
    stage.drain();
    let rate = stage.next_with(Field::ProbeRate).frame.get(Field::ProbeRate);
    let status = stage.until(&one(spec), 20, |_| true);
    assert!(rate <= 2.01 && status.pid == Some(pid) && status.restarts == 0, "{rate} {status:?}");
    spec.paused = true;
    stage.until(&one(spec), 20, |status| status.activity == Activity::Paused);
    thread::sleep(Duration::from_millis(300));
    stage.drain();
    thread::sleep(Duration::from_secs(1));
    assert!(stage.reports.try_recv().is_err(), "a stopped twin says nothing");
    spec.paused = false;
    stage.until(&one(spec), 20, |status| status.activity == Activity::Running);
    assert_eq!(stage.next_with(Field::Ticks).frame.get(Field::Ticks) as u64 / 100, 0);
}

/// The way from the working directory to a path.
fn relative(path: &Path) -> PathBuf {
    let up = std::env::current_dir().unwrap().components().skip(1).map(|_| "..").collect::<PathBuf>();
    up.join(path.strip_prefix("/").unwrap())
}

#[test]
fn a_relative_data_directory_is_found_by_the_runner() {
    let Some(runner) = runner() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (sink, reports) = mpsc::sync_channel(1000);
    let mut twins = Twins::of(&relative(directory.path()), &config(&relative(&runner)), sink).unwrap();
    let spec = probes("test/relative-twin", Fidelity::Process);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = twins.converge(&one(&spec), Instant::now()).remove(0);
        if reports.try_recv().is_ok() {
            break;
        }
        assert!(status.restarts == 0 && Instant::now() < deadline, "{status:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_last_words_of_a_runner_are_told() {
    let Some(mut stage) = stage() else { return };
    let mut spec = probes("test/mute-twin", Fidelity::Process);
    spec.restarts = false;
    spec.order.report_hz = -1.0;
    let status = stage.until(&one(&spec), 20, |status| matches!(status.activity, Activity::Ended(_)));
    let Activity::Ended(exit) = status.activity else { unreachable!() };
    assert!(exit.code == 2 && exit.to_string().contains("report_hz"), "{exit}");
}
