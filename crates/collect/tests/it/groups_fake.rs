//! The groups of trees made of plain files, as kernels of all kinds lay them out.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use foretwin_collect::Source;
use foretwin_collect::groups::{Config, Groups};
use foretwin_core::{InstanceKind, Timestamp};

use crate::journal::Journal;

const ID: &str = "8d1f0cf3a9a1b60a4d6c6e0c5a9f7b1e2d3c4b5a69788796a5b4c3d2e1f00112";

/// A tree of control groups, the source that reads it, and what it told.
struct Fake {
    root: tempfile::TempDir,
    groups: Option<Groups>,
    now_s: i64,
    journal: Journal,
}

impl Fake {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let fake = Self { root, groups: None, now_s: 1_000_000, journal: Journal::default() };
        for (path, text) in files {
            fake.write(path, text);
        }
        fake
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn tick(&mut self, seconds: i64) {
        self.now_s += seconds;
        let config = Config { root: Some(self.root.path().into()), ..Config::default() };
        let groups = self.groups.get_or_insert_with(|| Groups::new("h", &config).unwrap());
        groups.read(Timestamp(self.now_s * 1_000_000), &mut self.journal).unwrap();
    }
}

fn me() -> String {
    format!("{}\n", std::process::id())
}

#[test]
fn version_2_services_and_containers() {
    let scope = format!("system.slice/docker-{ID}.scope");
    let procs = |path: &str| format!("{path}/cgroup.procs");
    let mut fake = Fake::new(&[
        ("cgroup.controllers", "cpu io memory pids\n"),
        ("cgroup.procs", "1\n"),
        (&procs("system.slice"), ""),
        (&procs("system.slice/nginx.service"), &me()),
        ("system.slice/nginx.service/memory.current", "1000\n"),
        (
            "system.slice/nginx.service/memory.stat",
            "inactive_file 100\nactive_file 50\nslab_reclaimable 50\n",
        ),
        ("system.slice/nginx.service/memory.max", "max\n"),
        ("system.slice/nginx.service/cpu.stat", "usage_usec 700\nuser_usec 500\nsystem_usec 200\n"),
        ("system.slice/memory.max", "5000\n"),
        (&procs(&scope), &me()),
        (&procs("idle.slice"), ""),
    ]);
    fake.tick(0);
    let (nginx, docker) = ("h/system.slice/nginx.service", format!("h/{scope}"));
    assert_eq!(fake.journal.ids(), ["h/system.slice", docker.as_str(), nginx]);
    let instance = &fake.journal.here[nginx];
    assert_eq!((instance.kind, instance.workload.0.as_str()), (InstanceKind::Service, "unit:nginx.service"));
    assert_eq!(
        instance.parent.as_ref().unwrap().as_str(),
        "h/system.slice",
        "its limit makes the slice watched"
    );
    assert_eq!(fake.journal.here["h/system.slice"].parent.as_ref().unwrap().as_str(), "h");
    assert_eq!(fake.journal.here[&docker].kind, InstanceKind::Container);
    let value = |key| fake.journal.value(nginx, key);
    assert_eq!(value("container.memory.unreclaimable"), Some(800.0));
    assert_eq!(value("container.memory.limit"), Some(5000.0), "the slice's");
    assert_eq!(value("container.cpu.time{cpu.mode=user}"), Some(500.0));
    assert_eq!((value("container.process.count"), value("container.pids.count")), (Some(1.0), None));
    assert!(value("container.file_descriptor.count") > Some(2.0) && value("container.uptime").is_some());
    assert_eq!(
        fake.journal.value("h/system.slice", "container.process.count"),
        Some(2.0),
        "those below count"
    );
}

#[test]
fn version_1_has_one_tree_per_controller() {
    let mut fake = Fake::new(&[
        ("memory/leaktest/cgroup.procs", &me()),
        ("memory/leaktest/memory.usage_in_bytes", "9000\n"),
        (
            "memory/leaktest/memory.stat",
            "total_inactive_file 1000\ntotal_active_file 0\nhierarchical_memory_limit 16000\n",
        ),
        ("cpu,cpuacct/batch/cgroup.procs", &me()),
        ("cpu,cpuacct/batch/cpuacct.usage", "5000000\n"),
        ("cpu,cpuacct/batch/cpu.cfs_quota_us", "20000\n"),
        ("cpu,cpuacct/batch/cpu.cfs_period_us", "100000\n"),
        ("pids/batch/cgroup.procs", ""),
        ("pids/batch/pids.current", "4\n"),
        ("pids/batch/pids.max", "10\n"),
        ("freezer/frozen/cgroup.procs", &me()),
        ("freezer/empty/cgroup.procs", ""),
    ]);
    fake.tick(0);
    assert_eq!(fake.journal.ids(), ["h/batch", "h/frozen", "h/leaktest"]);
    let value = |id: &str, key| fake.journal.value(id, key);
    assert_eq!(value("h/leaktest", "container.memory.unreclaimable"), Some(8000.0));
    assert_eq!(value("h/leaktest", "container.memory.limit"), Some(16000.0));
    assert_eq!(value("h/leaktest", "container.cpu.busy"), None, "that hierarchy does not have the group");
    assert_eq!(value("h/batch", "container.cpu.busy"), Some(5000.0));
    assert_eq!(value("h/batch", "container.cpu.limit"), Some(200_000.0));
    assert_eq!(
        (value("h/batch", "container.pids.count"), value("h/batch", "container.pids.limit")),
        (Some(4.0), Some(10.0))
    );
    assert_eq!(value("h/frozen", "container.process.count"), Some(1.0));
}

#[test]
fn a_hybrid_tells_pressure_beside_version_1() {
    let mut fake = Fake::new(&[
        ("unified/cgroup.controllers", ""),
        ("unified/app/cgroup.procs", &me()),
        ("unified/app/memory.pressure", "some avg10=0.00 total=55\nfull avg10=0.00 total=5\n"),
        ("unified/app/cpu.stat", "usage_usec 1\n"),
        ("cpuacct/app/cpuacct.usage", "2000\n"),
        ("cpuacct/app/cgroup.procs", &me()),
    ]);
    fake.tick(0);
    let value = |key| fake.journal.value("h/app", key);
    assert_eq!(value("container.pressure.time{pressure.kind=some,pressure.resource=memory}"), Some(55.0));
    assert_eq!(value("container.cpu.busy"), Some(2.0));
}

#[test]
fn groups_come_go_and_come_back_as_the_same_instance() {
    let mut fake = Fake::new(&[("cgroup.controllers", ""), ("a/cgroup.procs", &me())]);
    fake.tick(0);
    fake.write("b/cgroup.procs", &me());
    fake.tick(1);
    assert_eq!(fake.journal.ids(), ["h/a", "h/b"]);
    fs::remove_dir_all(fake.path("b")).unwrap();
    fake.tick(1);
    assert_eq!(
        (fake.journal.ids(), fake.journal.gone.as_slice()),
        (vec!["h/a"], ["h/b".to_owned()].as_slice())
    );
    fake.write("b/cgroup.procs", &me());
    fake.tick(1);
    assert_eq!(fake.journal.ids(), ["h/a", "h/b"]);
    assert_eq!(fake.journal.here["h/a"].workload, fake.journal.here["h/b"].workload);
}

#[test]
fn a_group_around_others_becomes_their_parent() {
    let mut fake =
        Fake::new(&[("cgroup.controllers", ""), ("jobs/cgroup.procs", ""), ("jobs/one/cgroup.procs", &me())]);
    fake.tick(0);
    assert_eq!(fake.journal.here["h/jobs/one"].parent.as_ref().unwrap().as_str(), "h");
    fake.write("jobs/cgroup.procs", &me());
    fake.tick(1);
    assert_eq!(fake.journal.here["h/jobs/one"].parent.as_ref().unwrap().as_str(), "h/jobs");
    let before = fake.journal.announcements;
    (0..20).for_each(|_| fake.tick(1));
    assert_eq!(fake.journal.announcements, before, "what is known is not told again");
}

#[test]
fn a_controller_enabled_later_is_told_within_a_minute() {
    let mut fake =
        Fake::new(&[("cgroup.controllers", ""), ("a/cgroup.procs", &me()), ("a/cpu.stat", "usage_usec 1\n")]);
    fake.tick(0);
    fake.write("a/memory.current", "77\n");
    // On a slow machine looks are rarer than asked for, by the machine's own clock.
    let deadline = Instant::now() + Duration::from_secs(60);
    let told = |fake: &Fake| fake.journal.value("h/a", "container.memory.usage").is_some();
    for ticks in 0.. {
        fake.tick(1);
        if ticks >= 60 && told(&fake) {
            break;
        }
        assert!(Instant::now() < deadline, "not told after {ticks} ticks");
    }
    assert_eq!(fake.journal.value("h/a", "container.memory.usage"), Some(77.0));
    assert_eq!(
        fake.journal.value("h/a", "container.restarts"),
        Some(0.0),
        "opened again is not started again"
    );
}

#[test]
fn an_empty_group_stays_for_ten_minutes() {
    let mut fake = Fake::new(&[("cgroup.controllers", ""), ("a/cgroup.procs", &me())]);
    fake.tick(0);
    fake.write("a/cgroup.procs", "");
    fake.tick(1);
    fake.tick(1);
    assert_eq!(fake.journal.value("h/a", "container.process.count"), Some(0.0));
    for _ in 0..61 {
        fake.tick(10);
    }
    assert!(fake.journal.ids().is_empty());
    fake.write("a/cgroup.procs", &me());
    fake.tick(10);
    assert_eq!(fake.journal.ids(), ["h/a"]);
}

#[test]
fn what_a_runtime_makes_inside_a_container_is_the_container() {
    let scope = format!("machine.slice/libpod-{ID}.scope");
    let inner = format!("{scope}/container/cgroup.procs");
    let mut fake =
        Fake::new(&[("cgroup.controllers", ""), (&format!("{scope}/cgroup.procs"), ""), (&inner, &me())]);
    fake.tick(0);
    let id = format!("h/{scope}");
    assert_eq!(fake.journal.ids(), [id.as_str()]);
    assert_eq!(fake.journal.value(&id, "container.process.count"), Some(1.0));
}

#[test]
fn a_machine_without_groups_is_no_error() {
    let mut fake = Fake::new(&[]);
    fake.tick(0);
    assert!(fake.journal.ids().is_empty());
    let config = Config { root: Some(Path::new("/nowhere/at/all").into()), ..Config::default() };
    assert!(Groups::new("h", &config).is_err());
}
