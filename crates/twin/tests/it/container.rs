//! Twins in containers: imported, confined, commanded, resized, paused, started again, and removed.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use foretwin_core::Fidelity;
use foretwin_core::probe::Field;
use foretwin_host::cgroup::{Limits, mounted};
use foretwin_twin::{
    Activity, Config, Confinement, ContainerSubstrate, Desired, Owner, Spec, Status, Substrate,
};

use super::dockerd::Dockerd;
use super::support::{Stage, config, one, print_cost, probes, runner, traces};

#[test]
fn a_container_reports_obeys_and_leaves_nothing() {
    let (Some(runner), Some(daemon)) = (runner(), Dockerd::get()) else { return };
    let config = Config { container_socket: daemon.socket.clone(), ..config(&runner) };
    let mut stage = Stage::new(|owner: &Owner, _| {
        vec![Box::new(ContainerSubstrate::new(owner, &config)) as Box<dyn Substrate>]
    });
    let mut spec = probes("test/container-twin", Fidelity::Container);
    spec.resources.memory_bytes = Some(64 << 20);
    let start = Instant::now();
    let status = stage.until(&one(&spec), 60, |status| status.activity == Activity::Running);
    let took = start.elapsed();
    let pid = status.pid.unwrap();
    let Some(Confinement::Group { path, controllers }) = &status.confinement else { panic!("{status:?}") };
    assert!(!path.is_empty() && controllers.contains(&"memory".into()), "{path} {controllers:?}");
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim(), "1000");
    assert_eq!(stage.next_with(Field::WakeLagP50).fidelity, Fidelity::Container);
    print_cost("container", pid, took);
    assert_eq!(memory(&status), 64 << 20);
    spec.resources.memory_bytes = Some(96 << 20);
    spec.order.probes.as_mut().unwrap().rate_hz = 2.0;
    let larger = |status: &Status| status.activity == Activity::Running && memory(status) == 96 << 20;
    let status = stage.until(&one(&spec), 60, larger);
    // Podman 4.3 changes no limit of what runs: there it is started anew.
    let podman = daemon.socket.to_string_lossy().contains("podman");
    assert!(podman || status.pid == Some(pid), "{status:?}");
    let (pid, restarts) = (status.pid.unwrap(), status.restarts);
    thread::sleep(Duration::from_secs(2));
    stage.drain();
    assert!(stage.next_with(Field::ProbeRate).frame.get(Field::ProbeRate) <= 2.01);
    obeys(&mut stage, &mut spec);
    Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    let status = stage.until(&one(&spec), 60, |status| status.restarts > restarts && status.pid.is_some());
    assert_ne!(status.pid, Some(pid));
    stage.until(&one(&spec), 60, |status| status.activity == Activity::Running);
    assert!(stage.twins.converge(&Desired::default(), Instant::now()).is_empty());
    assert!(traces(&stage.owner).is_empty(), "{:?}", traces(&stage.owner));
}

/// The limit of memory of the group that it runs in.
fn memory(status: &Status) -> u64 {
    let Some(Confinement::Group { path, .. }) = &status.confinement else { return 0 };
    let hierarchies = mounted().unwrap();
    Limits::own(path, &hierarchies.iter().collect::<Vec<_>>()).memory
}

/// Stops where it stands, and goes on.
fn obeys(stage: &mut Stage, spec: &mut Spec) {
    spec.paused = true;
    stage.until(&one(spec), 30, |status| status.activity == Activity::Paused);
    thread::sleep(Duration::from_millis(500));
    stage.drain();
    thread::sleep(Duration::from_secs(1));
    assert!(stage.reports.try_recv().is_err(), "a paused twin says nothing");
    spec.paused = false;
    stage.until(&one(spec), 30, |status| status.activity == Activity::Running);
}

#[test]
fn a_daemon_that_crashes_and_comes_back_gets_its_twin_again() {
    let (Some(runner), Some(mut daemon)) = (runner(), Dockerd::start()) else { return };
    let config = Config { container_socket: daemon.socket.clone(), ..config(&runner) };
    let mut stage = Stage::new(|owner: &Owner, _| {
        vec![Box::new(ContainerSubstrate::new(owner, &config)) as Box<dyn Substrate>]
    });
    let spec = probes("test/orphaned-twin", Fidelity::Container);
    stage.until(&one(&spec), 60, |status| status.activity == Activity::Running);
    daemon.crash();
    for _ in 0..30 {
        // Nothing waits for a daemon that is away.
        let clock = Instant::now();
        stage.until(&one(&spec), 1, |_| true);
        assert!(clock.elapsed() < Duration::from_secs(1));
        thread::sleep(Duration::from_millis(100));
    }
    daemon.come_back();
    stage.drain();
    let before = stage.until(&one(&spec), 60, |status| status.activity == Activity::Running).traffic.frames;
    stage.until(&one(&spec), 90, |status| status.traffic.frames > before + 5);
    let status = stage.until(&one(&spec), 90, |status| status.activity == Activity::Running);
    eprintln!(
        "after the daemon's crash: {} restarts, {} reconnects",
        status.restarts, status.traffic.reconnects
    );
    assert!(stage.twins.converge(&Desired::default(), Instant::now()).is_empty());
    assert!(traces(&stage.owner).is_empty(), "{:?}", traces(&stage.owner));
}
