//! What the tests share: the runner's binary, a stage to keep twins on, and skips that are heard.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use foretwin_core::probe::Field;
use foretwin_core::{Fidelity, InstanceId, Order, Probes};
use foretwin_twin::{
    CONTAINER_LABEL, Config, Desired, LABEL, Owner, Report, Resources, Sink, Spec, Status, Substrate, Twins,
};

/// Says aloud that a test is skipped; where substrates are required, that is a failure.
pub fn skip(what: &str) {
    eprintln!("SKIPPED: {what}");
    assert!(std::env::var_os("FORETWIN_REQUIRE_SUBSTRATES").is_none(), "required, but {what}");
}

/// The static runner: named by FORETWIN_RUNNER, or as cargo builds it for musl.
pub fn runner() -> Option<PathBuf> {
    let named = std::env::var_os("FORETWIN_RUNNER").map(PathBuf::from);
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_path_buf();
    let built = ["release", "debug"]
        .map(|profile| target.join("x86_64-unknown-linux-musl").join(profile).join("foretwin-runner"));
    let found = named.into_iter().chain(built).find(|path| path.is_file());
    if found.is_none() {
        skip("no static runner: cargo build -p foretwin-runner --target x86_64-unknown-linux-musl");
    }
    found
}

/// Twins of one owner, and what they report.
pub struct Stage {
    pub twins: Twins,
    pub reports: Receiver<Report>,
    pub directory: tempfile::TempDir,
    pub owner: Owner,
}

impl Stage {
    /// A stage with the substrates that `make` gives for an owner, a directory and a sink.
    pub fn new(make: impl FnOnce(&Owner, &Path) -> Vec<Box<dyn Substrate>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let owner = Owner::of(directory.path()).unwrap();
        let (sink, reports): (Sink, _) = mpsc::sync_channel(10_000);
        let twins = Twins::new(make(&owner, directory.path()), sink);
        Self { twins, reports, directory, owner }
    }

    /// Converges until a condition on the status of the only twin holds.
    pub fn until(&mut self, desired: &Desired, within_s: u64, holds: impl Fn(&Status) -> bool) -> Status {
        let deadline = Instant::now() + Duration::from_secs(within_s);
        loop {
            let status = self.twins.converge(desired, Instant::now()).remove(0);
            if holds(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "not within {within_s} s: {status:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The next report that has a number for a field.
    pub fn next_with(&self, field: Field) -> Report {
        loop {
            let report = self.reports.recv_timeout(Duration::from_secs(20)).expect("a report");
            if !report.frame.get(field).is_nan() {
                return report;
            }
        }
    }

    /// Forgets reports that have arrived.
    pub fn drain(&self) {
        while self.reports.try_recv().is_ok() {}
    }
}

pub fn config(runner: &Path) -> Config {
    Config { runner: Some(runner.into()), ..Config::default() }
}

/// Probes at 5 reports a second, so that tests are short.
pub fn probes(label: &str, level: Fidelity) -> Spec {
    let order = Order {
        label: label.into(),
        report_hz: 5.0,
        probes: Some(Probes { directory: Some("/tmp".into()), ..Probes::default() }),
        ..Order::default()
    };
    Spec {
        label: InstanceId::new(label),
        order,
        resources: Resources::default(),
        level,
        parent: String::new(),
        paused: false,
        restarts: true,
    }
}

pub fn one(spec: &Spec) -> Desired {
    Desired { twins: vec![spec.clone()] }
}

/// Everything on this machine that carries an owner's name: processes and groups.
pub fn traces(owner: &Owner) -> Vec<String> {
    let mut found = Vec::new();
    let marks = [LABEL, CONTAINER_LABEL].map(|name| format!("{name}={}/", owner.as_str()));
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment
            .split(|&byte| byte == 0)
            .any(|pair| marks.iter().any(|mark| pair.starts_with(mark.as_bytes())))
        {
            found.push(format!("process {}", entry.file_name().display()));
        }
    }
    for hierarchy in foretwin_host::cgroup::mounted().unwrap() {
        walk(&hierarchy.root, owner, &mut found);
    }
    found
}

fn walk(dir: &Path, owner: &Owner, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        walk(&entry.path(), owner, found);
        if entry.file_name().to_str().is_some_and(|name| owner.owns(name)) {
            found.push(format!("group {}", entry.path().display()));
        }
    }
}

/// Processor seconds and resident bytes of a process.
pub fn usage(pid: u32) -> (f64, f64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .map(|text| text.parse().unwrap_or(0.0))
        .collect();
    if fields.len() < 21 { (0.0, 0.0) } else { ((fields[10] + fields[11]) / 100.0, fields[20] * 4096.0) }
}

/// Prints what a twin costs: processor share while it runs, memory, and seconds until its first report.
pub fn print_cost(level: &str, pid: u32, start: Duration) {
    let (before, _) = usage(pid);
    let clock = Instant::now();
    thread::sleep(Duration::from_secs(4));
    let (after, resident) = usage(pid);
    let share = (after - before) / clock.elapsed().as_secs_f64();
    eprintln!(
        "COST {level}: {:.2} s to the first report, {:.2} % of a core, {:.1} MB resident",
        start.as_secs_f64(),
        100.0 * share,
        resident / 1e6
    );
}
