//! The first process of a microVM: makes a kernel usable for the runner, and turns the machine off afterwards.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::options::FIRMWARE;
use crate::sys;

/// What, of which type, and where.
const MOUNTS: [(&str, &str, &str); 5] = [
    ("proc", "proc", "/proc"),
    ("sysfs", "sysfs", "/sys"),
    ("devtmpfs", "devtmpfs", "/dev"),
    ("tmpfs", "tmpfs", "/tmp"),
    ("cgroup2", "cgroup2", "/sys/fs/cgroup"),
];
/// Where the initial file system keeps the modules that the runner needs.
const MODULES: &str = "/mod";
/// How long devices may take to appear.
const PATIENCE_STEPS: u32 = 150;
const PATIENCE_STEP: Duration = Duration::from_millis(20);

/// Mounts, loads, and waits for the order. What is missing is told on the console; the order decides what is needed.
pub fn prepare() {
    for (what, kind, place) in MOUNTS {
        let _ = fs::create_dir_all(place);
        if let Err(error) = sys::mount(what, kind, place)
            && error.kind() != std::io::ErrorKind::ResourceBusy
        {
            eprintln!("init: {place} cannot be mounted: {error}");
        }
    }
    for path in load_modules(Path::new(MODULES)) {
        eprintln!("init: {} cannot be loaded; give the module of the same kernel", path.display());
    }
    sys::raise_loopback();
    for _ in 0..PATIENCE_STEPS {
        if Path::new(FIRMWARE).exists() {
            return;
        }
        std::thread::sleep(PATIENCE_STEP);
    }
}

/// Splits off a child, which goes on; here, once it has ended, how. None in the child, or if there can be none.
pub fn watch() -> Option<sys::Ended> {
    let child = sys::fork()?;
    sys::await_child(child)
}

/// Turns the machine off. Nothing on it is worth a sync.
pub fn finish() {
    sys::power_off();
}

/// Loads what depends on nothing, then what depends on that, until nothing more loads; returns what is left. So no
/// list of dependencies is needed.
fn load_modules(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut left: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    left.sort();
    loop {
        let before = left.len();
        left.retain(|path| {
            File::open(path).and_then(|file| sys::load_module(&file, is_packed(path))).is_err()
        });
        if left.is_empty() || left.len() == before {
            return left;
        }
    }
}

/// Whether the kernel has to unpack it.
fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension != "ko")
}
