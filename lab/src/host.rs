//! The lab host: the group around all runs that keeps the machine itself out of danger.

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::clean::clean;
use crate::group::{Group, Hierarchies, Limits};
use crate::ledger::{Entry, HOST_GROUP, Ledger, OWNER};
use crate::plan::Plan;
use crate::sys;

/// How runs are kept within their limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Confine {
    /// Groups where the user may make them, otherwise rlimits, said aloud.
    Auto,
    /// Control groups, or nothing.
    Groups,
    /// Limits that each process sets for itself.
    Rlimits,
}

/// Bounds of the lab host.
#[derive(Debug, Clone, clap::Args)]
pub struct HostConfig {
    /// Memory of all runs together, MB; runs wait until theirs fits
    #[arg(long, default_value_t = 1024)]
    pub host_memory_mb: u64,
    /// Processor time of all runs together, cores
    #[arg(long, default_value_t = 1.0)]
    pub host_cores: f64,
    /// How runs are kept within their limits
    #[arg(long, value_enum, default_value_t = Confine::Auto)]
    pub confine: Confine,
    /// Real disk for runs that need one
    #[arg(long, default_value = "/var/tmp")]
    pub scratch: std::path::PathBuf,
}

impl HostConfig {
    /// Refuses what could take the machine down.
    fn check(&self) -> Result<()> {
        let available_mb = available_mb();
        let most_mb = available_mb / 5 * 4;
        ensure!(
            self.host_memory_mb <= most_mb,
            "--host-memory-mb {}: this machine has {available_mb} MB to spare; give at most {most_mb}",
            self.host_memory_mb
        );
        ensure!(self.host_cores >= 0.1, "--host-cores {}: give at least 0.1", self.host_cores);
        Ok(())
    }
}

/// The open lab host; dropping it removes what is left of it.
#[derive(Debug)]
pub struct Host {
    /// Bounds.
    pub config: HostConfig,
    ledger: Ledger,
    hierarchies: Hierarchies,
    group: Option<Group>,
}

impl Host {
    /// Removes leftovers of earlier labs and makes the group around all runs.
    ///
    /// # Errors
    /// If groups are demanded and cannot be made.
    pub fn open(config: HostConfig) -> Result<Self> {
        config.check()?;
        let (ledger, hierarchies) = (Ledger::open(&config.scratch)?, Hierarchies::find()?);
        for name in clean(&ledger, &hierarchies).context("removing leftovers of an earlier lab")? {
            eprintln!("removed what was left of {name}");
        }
        let mut host = Self { config, ledger, hierarchies, group: None };
        if host.config.confine == Confine::Rlimits {
            return Ok(host);
        }
        match host.make_group() {
            Ok(group) => host.group = Some(group),
            Err(error) if host.config.confine == Confine::Auto => {
                eprintln!(
                    "no control groups here ({error:#}): runs are limited by rlimits; run as root for groups"
                );
            }
            Err(error) => return Err(error),
        }
        Ok(host)
    }

    fn make_group(&self) -> Result<Group> {
        let _lock = self.ledger.lock()?;
        self.surround()
    }

    fn surround(&self) -> Result<Group> {
        let memory = Some(self.config.host_memory_mb << 20);
        let limits = Limits { memory, cores: Some(self.config.host_cores), pids: Some(4096), shares: None };
        Group::create(&self.hierarchies, HOST_GROUP, &limits)
    }

    /// Whether runs have groups.
    pub fn has_groups(&self) -> bool {
        self.group.is_some()
    }

    /// How often all runs together ran against the lab host's own limit, which would blur their deaths.
    pub fn limit_hits(&self) -> u64 {
        self.group.as_ref().and_then(Group::limit_hits).unwrap_or(0)
    }

    /// Makes the place of a run.
    ///
    /// # Errors
    /// If it cannot be made, or the run is under way already.
    pub fn place(&self, plan: &Plan) -> Result<Place<'_>> {
        let _lock = self.ledger.lock()?;
        let entry = self.ledger.claim(&plan.name())?;
        // From here on the place's drop removes whatever the next steps managed to make.
        let mut place = Place { host: self, entry, group: None, disk: false };
        if self.has_groups() {
            self.make_room_for(plan, &mut place)?;
        }
        let needs = plan.scenario.needs();
        if needs.small_disk {
            place.mount(plan)?;
        }
        if needs.scratch {
            let dir = &place.entry.scratch;
            std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
            std::fs::write(dir.join(OWNER), b"").with_context(|| format!("marking {}", dir.display()))?;
        }
        Ok(place)
    }

    fn make_room_for(&self, plan: &Plan, place: &mut Place<'_>) -> Result<()> {
        let limits =
            Limits { memory: Some(plan.memory_bytes()), pids: Some(plan.pids), cores: None, shares: None };
        let path = format!("{HOST_GROUP}/{}", plan.name());
        // Another lab may have removed the host while it was empty.
        if !self.group.as_ref().is_some_and(Group::exists) {
            self.surround()?;
        }
        place.group = Some(Group::create(&self.hierarchies, &path, &limits)?);
        Ok(())
    }
}

/// Memory that new work could have, MB.
fn available_mb() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Err(error) = clean(&self.ledger, &self.hierarchies) {
            eprintln!("could not remove everything ({error:#}); try `foretwin-lab clean`");
        }
    }
}

/// Where one run lives; dropping it kills and removes everything there.
#[derive(Debug)]
pub struct Place<'a> {
    host: &'a Host,
    entry: Entry,
    /// Its group, unless rlimits are used.
    pub group: Option<Group>,
    disk: bool,
}

impl Place<'_> {
    fn mount(&mut self, plan: &Plan) -> Result<()> {
        let target = &self.entry.mount;
        std::fs::create_dir_all(target).with_context(|| format!("making {}", target.display()))?;
        sys::mount_tmpfs(target, OWNER, plan.disk_bytes(), plan.inodes).with_context(|| {
            format!("mounting a small file system on {} (this needs root)", target.display())
        })?;
        self.disk = true;
        Ok(())
    }

    /// The small file system, if the run has one.
    pub fn disk(&self) -> Option<&std::path::Path> {
        self.disk.then_some(self.entry.mount.as_path())
    }

    /// The directory on a real disk; it exists only for runs that need it.
    pub fn scratch(&self) -> &std::path::Path {
        &self.entry.scratch
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let host = self.host;
        let freed = host.ledger.lock().and_then(|_lock| host.ledger.reclaim(&host.hierarchies, &self.entry));
        if let Err(error) = freed {
            eprintln!("could not remove {} ({error:#}); try `foretwin-lab clean`", self.entry.name);
        }
    }
}
