//! The groups of the contrast lab and the processes in them; dropping it ends and removes them all.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

use super::neighbour::{BURSTS_S, STEADY_S, WRITERS};
use super::plan::ContrastConfig;
use super::service::Fared;
use super::worker::{Order, Part, Tell};
use crate::group::{Group, Hierarchies, Limits};
use crate::host::HostConfig;
use crate::ledger::OWNER;

/// The group around everything: a host of its own, so that no other lab shares its core.
pub const HOST: &str = "/foretwin-contrast";
/// Groups below it, parents first.
pub const GROUPS: [&str; 8] = [
    "pod",
    "pod/original",
    "pod/foretwin-probe",
    "pod/sidecar",
    "batch",
    "cpu-hog",
    "disk-hog",
    "memory-hog",
];
/// Bytes that the original may use.
const ORIGINAL_BYTES: u64 = 480 << 20;

/// Weight of the batch neighbour, of 1024: it works when nobody else does.
const BATCH_SHARES: u64 = 20;

/// Groups and processes.
#[derive(Debug)]
pub struct Pod {
    groups: Vec<Group>,
    actors: Vec<Actor>,
    /// What the runner writes.
    pub frames: Option<ChildStdout>,
    fared: Arc<Mutex<Vec<Fared>>>,
    scratch: PathBuf,
    _lock: File,
}

/// A process that is told what to do.
#[derive(Debug)]
struct Actor {
    name: &'static str,
    child: Child,
    orders: Option<ChildStdin>,
    tell: Tell,
}

impl Pod {
    /// Removes what an earlier campaign left, makes the groups and starts the processes.
    ///
    /// # Errors
    /// If groups or processes cannot be made, or another campaign is under way.
    pub fn open(host: &HostConfig, config: &ContrastConfig) -> Result<Self> {
        let lock = lock()?;
        let hierarchies = Hierarchies::find()?;
        remove(&hierarchies)?;
        let scratch = scratch_of(&host.scratch);
        fs::create_dir_all(&scratch).with_context(|| format!("making {}", scratch.display()))?;
        let fared = Arc::default();
        let mut pod =
            Self { groups: Vec::new(), actors: Vec::new(), frames: None, fared, scratch, _lock: lock };
        pod.make_groups(&hierarchies, host, config)?;
        let actors = [
            ("pod/original", Part::Service),
            ("pod/sidecar", Part::CpuHog { period_s: STEADY_S }),
            ("batch", Part::CpuHog { period_s: STEADY_S }),
            ("cpu-hog", Part::CpuHog { period_s: BURSTS_S }),
            ("disk-hog", Part::DiskHog { writers: WRITERS * config.neighbours as usize }),
            ("memory-hog", Part::MemoryHog),
        ];
        for (name, part) in actors {
            pod.start(name, part, config.seed)?;
        }
        if let Some(runner) = &config.runner {
            pod.start_runner(runner, config.seed)?;
        }
        Ok(pod)
    }

    fn make_groups(
        &mut self,
        hierarchies: &Hierarchies,
        host: &HostConfig,
        config: &ContrastConfig,
    ) -> Result<()> {
        let around = Limits {
            memory: Some(host.host_memory_mb << 20),
            cores: Some(host.host_cores),
            pids: Some(512),
            shares: None,
        };
        self.groups.push(Group::create(hierarchies, HOST, &around)?);
        for name in GROUPS {
            let mut limits = Limits::default();
            match name {
                "pod" => limits.cores = Some(config.pod_cores),
                "pod/original" => limits.memory = Some(ORIGINAL_BYTES),
                "batch" => limits.shares = Some(BATCH_SHARES),
                _ => {}
            }
            self.groups.push(Group::create(hierarchies, &format!("{HOST}/{name}"), &limits)?);
        }
        Ok(())
    }

    /// A group by its name below the host; the host itself has the empty name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        let path = if name.is_empty() { HOST.to_owned() } else { format!("{HOST}/{name}") };
        self.groups.iter().find(|group| group.path == path)
    }

    fn start(&mut self, name: &'static str, part: Part, seed: u64) -> Result<()> {
        let doors =
            self.group(name).map(Group::doors).with_context(|| format!("there is no group {name}"))?;
        let scratch = self.scratch.join(name.replace('/', "-"));
        fs::create_dir_all(&scratch).with_context(|| format!("making {}", scratch.display()))?;
        let is_service = part == Part::Service;
        let is_program = matches!(part, Part::Program(_));
        let order = Order { part, lab_pid: std::process::id(), doors, scratch, seed };
        let mut child = Command::new("/proc/self/exe")
            .arg0(OWNER)
            .args(["contrast-worker", &serde_json::to_string(&order)?])
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::piped())
            .stdout(if is_service || is_program { Stdio::piped() } else { Stdio::null() })
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let (orders, told) = (child.stdin.take(), child.stdout.take());
        self.actors.push(Actor { name, child, orders, tell: Tell::default() });
        match told {
            Some(told) if is_service => self.hear(told)?,
            told => self.frames = told,
        }
        Ok(())
    }

    /// The runner is told by a file, and writes frames to its standard output.
    fn start_runner(&mut self, runner: &Path, seed: u64) -> Result<()> {
        let directory = self.scratch.join("probe");
        fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
        let file = self.scratch.join("order");
        fs::write(&file, super::order::probes(&directory, seed))
            .with_context(|| format!("writing {}", file.display()))?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let words = vec![text(runner), "--order".into(), text(&file), "--report".into(), "stdout".into()];
        self.start("pod/foretwin-probe", Part::Program(words), 0)
    }

    fn hear(&self, told: ChildStdout) -> Result<()> {
        let fared = Arc::clone(&self.fared);
        let act = move || {
            for line in BufReader::new(told).lines().map_while(Result::ok) {
                let Ok(second) = serde_json::from_str(&line) else { return };
                fared.lock().unwrap_or_else(PoisonError::into_inner).push(second);
            }
        };
        thread::Builder::new().spawn(act).context("starting the listener")?;
        Ok(())
    }

    /// What the original has told since last asked.
    pub fn fared(&self) -> Vec<Fared> {
        std::mem::take(&mut *self.fared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what a process is told.
    ///
    /// # Errors
    /// If it is gone: the campaign is then worth nothing.
    pub fn tell(&mut self, name: &str, change: impl FnOnce(&mut Tell)) -> Result<()> {
        let actor = self.actors.iter_mut().find(|actor| actor.name == name);
        let Some(actor) = actor else { bail!("there is no process {name}") };
        let before = actor.tell;
        change(&mut actor.tell);
        if actor.tell == before {
            return Ok(());
        }
        let mut line = serde_json::to_vec(&actor.tell)?;
        line.push(b'\n');
        let orders = actor.orders.as_mut().context("its standard input is closed")?;
        orders.write_all(&line).with_context(|| format!("{name} has ended"))
    }

    /// The process numbers of the original.
    pub fn original(&self) -> u32 {
        self.actors.first().map_or(0, |actor| actor.child.id())
    }

    /// The name of a process that has ended though it should not have.
    pub fn fallen(&mut self) -> Option<&'static str> {
        let ended = |actor: &mut Actor| !matches!(actor.child.try_wait(), Ok(None));
        self.actors.iter_mut().find_map(|actor| ended(actor).then_some(actor.name))
    }

    /// Starts a hog anew that the kernel has killed for the memory it took.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn revive(&mut self, name: &'static str, seed: u64) -> Result<()> {
        self.actors.retain(|actor| actor.name != name);
        self.start(name, Part::MemoryHog, seed)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        for actor in &mut self.actors {
            // Gone already is as good.
            let _ = actor.child.kill();
            let _ = actor.child.wait();
        }
        if let Err(error) = Hierarchies::find().and_then(|found| remove(&found)) {
            eprintln!("could not remove everything ({error:#}); the next campaign tries again");
        }
        if let Err(error) = fs::remove_dir_all(&self.scratch) {
            eprintln!("could not remove {} ({error})", self.scratch.display());
        }
    }
}

/// Removes what a killed campaign left, unless one is under way; whether there was anything.
///
/// # Errors
/// If something cannot be removed.
pub fn clean(scratch: &Path) -> Result<bool> {
    let hierarchies = Hierarchies::find()?;
    let left = Group::named(&hierarchies, HOST).exists();
    if !left {
        return Ok(false);
    }
    let Ok(_lock) = lock() else { return Ok(false) };
    remove(&hierarchies)?;
    let dir = scratch_of(scratch);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
    }
    Ok(true)
}

fn scratch_of(scratch: &Path) -> PathBuf {
    scratch.join(format!("{OWNER}-contrast"))
}

/// Held while a campaign lasts.
fn lock() -> Result<File> {
    let dir = PathBuf::from("/run").join(OWNER);
    fs::create_dir_all(&dir).with_context(|| format!("making {} (this needs root)", dir.display()))?;
    let path = dir.join("contrast.lock");
    let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
    file.try_lock().with_context(|| format!("another contrast campaign holds {}", path.display()))?;
    Ok(file)
}

/// Removes all groups, children first.
fn remove(hierarchies: &Hierarchies) -> Result<()> {
    for name in GROUPS.iter().rev() {
        Group::named(hierarchies, &format!("{HOST}/{name}")).remove()?;
    }
    Group::named(hierarchies, HOST).remove()?;
    Ok(())
}
