//! Kills whoever keeps twins, and looks what the next start finds and leaves.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use foretwin_core::Fidelity;
use foretwin_twin::{
    Activity, Config, ContainerSubstrate, Desired, Owner, ProcessSubstrate, Substrate, Twins,
};

use super::dockerd::Dockerd;
use super::support::{config, one, probes, runner, traces};

const DIRECTORY: &str = "FORETWIN_TEST_DRIVER";
const SOCKET: &str = "FORETWIN_TEST_SOCKET";

fn substrates(owner: &Owner, config: &Config, directory: &Path, container: bool) -> Vec<Box<dyn Substrate>> {
    let mut all: Vec<Box<dyn Substrate>> =
        vec![Box::new(ProcessSubstrate::new(owner, config, directory).unwrap())];
    if container {
        all.push(Box::new(ContainerSubstrate::new(owner, config)));
    }
    all
}

fn level(container: bool) -> Fidelity {
    if container { Fidelity::Container } else { Fidelity::Process }
}

/// Not a test of its own: what the tests below start and kill.
#[test]
#[ignore = "started by other tests as a process of its own"]
fn drive() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let socket = std::env::var_os(SOCKET);
    let mut config = config(&runner().unwrap());
    if let Some(socket) = &socket {
        config.container_socket = socket.into();
    }
    let owner = Owner::of(directory).unwrap();
    let (sink, reports) = mpsc::sync_channel(1000);
    let mut twins = Twins::new(substrates(&owner, &config, directory, socket.is_some()), sink);
    let spec = probes("test/driven-twin", level(socket.is_some()));
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let status = twins.converge(&one(&spec), Instant::now()).remove(0);
        if status.activity == Activity::Running {
            // Not to be taken for a line of the test harness.
            println!("TWIN RUNS {}", status.achieved);
        }
        assert!(Instant::now() < deadline, "nobody killed it: {status:?}");
        while reports.try_recv().is_ok() {}
        thread::sleep(Duration::from_millis(100));
    }
}

/// Starts the driver and kills it once its twin runs.
fn drive_and_kill(directory: &Path, socket: Option<&Path>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::drive", "--ignored", "--nocapture"]).env(DIRECTORY, directory);
    if let Some(socket) = socket {
        command.env(SOCKET, socket);
    }
    let mut child: Child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let running = lines.map_while(Result::ok).any(|line| line.contains("TWIN RUNS "));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(running, "the driver's twin did not run");
}

#[test]
fn a_killed_keeper_of_processes_leaves_only_what_the_next_start_removes() {
    let Some(runner) = runner() else { return };
    let directory = tempfile::tempdir().unwrap();
    drive_and_kill(directory.path(), None);
    let owner = Owner::of(directory.path()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while traces(&owner).iter().any(|trace| trace.starts_with("process")) {
        assert!(Instant::now() < deadline, "runners outlive their keeper: {:?}", traces(&owner));
        thread::sleep(Duration::from_millis(50));
    }
    let (sink, _reports) = mpsc::sync_channel(1000);
    let mut twins = Twins::new(substrates(&owner, &config(&runner), directory.path(), false), sink);
    let (removed, errors) = twins.sweep(&Desired::default());
    assert!(errors.is_empty(), "{errors:?}");
    assert!(removed.iter().any(|what| what.ends_with(".order")), "{removed:?}");
    assert!(traces(&owner).is_empty(), "{:?}", traces(&owner));
    assert_eq!(twins.sweep(&Desired::default()).0, Vec::<String>::new(), "a second sweep finds nothing");
}

#[test]
fn a_container_outlives_its_keeper_and_is_taken_over_or_removed() {
    let Some(runner) = runner() else { return };
    let Some(daemon) = Dockerd::get() else { return };
    let directory = tempfile::tempdir().unwrap();
    drive_and_kill(directory.path(), Some(&daemon.socket));
    let owner = Owner::of(directory.path()).unwrap();
    let config = Config { container_socket: daemon.socket.clone(), ..config(&runner) };
    let before = traces(&owner);
    assert!(before.iter().any(|trace| trace.starts_with("process")), "{before:?}");
    let (sink, reports) = mpsc::sync_channel(1000);
    let mut twins = Twins::new(substrates(&owner, &config, directory.path(), true), sink);
    let wish = one(&probes("test/driven-twin", Fidelity::Container));
    // The sweep of processes must leave the container's alone.
    let (removed, errors) = twins.sweep(&wish);
    assert!(errors.is_empty(), "{errors:?} {removed:?}");
    let status = twins.converge(&wish, Instant::now()).remove(0);
    assert_eq!((status.achieved, status.restarts), (Fidelity::Container, 0));
    assert!(before.contains(&format!("process {}", status.pid.unwrap())), "{before:?} {status:?}");
    let report = reports.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(report.frame.sequence > 0, "it went on counting: {}", report.frame.sequence);
    std::mem::forget(twins);
    let (sink, _reports) = mpsc::sync_channel(1000);
    let mut twins = Twins::new(substrates(&owner, &config, directory.path(), true), sink);
    let (removed, _) = twins.sweep(&Desired::default());
    assert!(removed.iter().any(|what| what.starts_with("container ")), "{removed:?}");
    assert!(traces(&owner).is_empty(), "{:?}", traces(&owner));
}
