//! The groups of the kernel that is here: one is made, watched, filled, emptied and removed.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime};

use foretwin_collect::Source;
use foretwin_collect::groups::{Config, Groups};
use foretwin_core::{InstanceKind, Timestamp};
use foretwin_host::cgroup::{Hierarchy, Version, mounted};

use crate::journal::Journal;

const LIMIT: u64 = 64 << 20;

/// A group in every hierarchy that limits memory or tasks, with a sleeping process in it.
struct Real {
    dirs: Vec<PathBuf>,
    child: Option<Child>,
    path: String,
}

impl Real {
    /// Nothing, with the reason, where groups may not be made.
    fn make() -> Result<Self, String> {
        let path = format!("foretwin-test-{}", std::process::id());
        let hierarchies = mounted().map_err(|error| error.to_string())?;
        let limits = |hierarchy: &Hierarchy| {
            let v1 = hierarchy.has("memory") || hierarchy.has("pids");
            let unified = hierarchy.version == Version::V2;
            let offers =
                fs::read_to_string(hierarchy.root.join("cgroup.subtree_control")).unwrap_or_default();
            v1 || unified && offers.contains("memory") && offers.contains("pids")
        };
        let mut real = Self { dirs: Vec::new(), child: None, path };
        for hierarchy in hierarchies.iter().filter(|hierarchy| limits(hierarchy)) {
            let dir = hierarchy.root.join(&real.path);
            fs::create_dir(&dir).map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
            real.dirs.push(dir);
        }
        if real.dirs.is_empty() {
            return Err("no hierarchy limits memory or tasks".into());
        }
        for (file, value) in [("memory.limit_in_bytes", LIMIT), ("memory.max", LIMIT), ("pids.max", 50)] {
            for dir in real.dirs.iter().filter(|dir| dir.join(file).exists()) {
                fs::write(dir.join(file), value.to_string())
                    .map_err(|error| format!("cannot set {file}: {error}"))?;
            }
        }
        Ok(real)
    }

    fn start(&mut self) {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        for dir in &self.dirs {
            fs::write(dir.join("cgroup.procs"), child.id().to_string()).unwrap();
        }
        self.child = Some(child);
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn remove(&mut self) {
        self.stop();
        for dir in self.dirs.drain(..) {
            // The kernel may need a moment to let go of the last process.
            let deadline = Instant::now() + Duration::from_secs(5);
            while fs::remove_dir(&dir).is_err() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.remove();
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp(since.as_micros() as i64)
}

/// Reads until something is so, at most ten seconds; returns whether it came to be.
fn until(groups: &mut Groups, journal: &mut Journal, so: impl Fn(&Journal) -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        groups.read(now(), journal).unwrap();
        if so(journal) || Instant::now() > deadline {
            return so(journal);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn skip(reason: &str) {
    assert!(std::env::var("FORETWIN_TEST_STRICT").is_err(), "cannot run: {reason}");
    eprintln!("SKIPPED: {reason}");
}

#[test]
fn a_group_is_seen_from_its_first_process_to_its_removal() {
    let mut real = match Real::make() {
        Ok(real) => real,
        Err(reason) => return skip(&reason),
    };
    let (config, mut journal) = (Config { rescan_ms: 100, ..Config::default() }, Journal::default());
    let mut groups = Groups::new("here", &config).unwrap();
    groups.read(now(), &mut journal).unwrap();
    let id = format!("here/{}", real.path);
    assert!(!journal.here.contains_key(&id), "an empty group is not watched");

    real.start();
    assert!(until(&mut groups, &mut journal, |journal| journal
        .value(&id, "container.thread.count")
        .is_some()));
    let instance = &journal.here[&id];
    assert_eq!((instance.kind, instance.parent.as_ref().unwrap().as_str()), (InstanceKind::Group, "here"));
    assert!(
        instance.workload.0.starts_with("command:") && instance.workload.0.ends_with("/sleep"),
        "{instance:?}"
    );
    let value = |key| journal.value(&id, key);
    assert_eq!(value("container.memory.limit"), Some(LIMIT as f64));
    assert!(value("container.memory.unreclaimable") < Some(LIMIT as f64));
    assert_eq!((value("container.pids.limit"), value("container.process.count")), (Some(50.0), Some(1.0)));
    assert!(value("container.file_descriptor.count") >= Some(3.0));
    assert!(value("container.file_descriptor.limit") > Some(3.0) && value("container.uptime").is_some());

    real.stop();
    real.start();
    assert!(
        until(&mut groups, &mut journal, |journal| journal.value(&id, "container.restarts") >= Some(1.0)),
        "a process that starts anew is a restart"
    );

    real.remove();
    assert!(until(&mut groups, &mut journal, |journal| journal.gone.contains(&id)));
    assert_eq!(journal.gone.iter().filter(|gone| **gone == id).count(), 1);
}
