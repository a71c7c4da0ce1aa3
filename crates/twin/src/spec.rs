//! What twins there shall be, and what there is.

use std::fmt;

use foretwin_core::{Fidelity, InstanceId, Order};

use crate::owner::Role;

/// All twins that shall run on this machine; what is not named here shall not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Desired {
    /// One for each twin; labels are unique.
    pub twins: Vec<Spec>,
}

/// One twin as it shall be.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The twin's own instance id: `HOST/foretwin-twin` for a host's probes, `INSTANCE~twin` for a replay.
    pub label: InstanceId,
    /// What its runner does. A twin with probes runs at normal priority, one without at the lowest, but
    /// for a rehearsal.
    pub order: Order,
    /// What it may use.
    pub resources: Resources,
    /// What it shall run in; where that cannot be had, it runs in the next lower that can.
    pub level: Fidelity,
    /// The group under which the original stands, below the root of every hierarchy; empty for the root.
    pub parent: String,
    /// Whether it is stopped where it stands, without being ended.
    pub paused: bool,
    /// Whether it is started again after it has ended. A rehearsal ends once.
    pub restarts: bool,
}

impl Spec {
    /// What the twin is for.
    #[must_use]
    pub fn role(&self) -> Role {
        match (&self.order.probes, self.restarts) {
            (Some(_), _) => Role::Probes,
            (None, true) => Role::Replay,
            (None, false) => Role::Rehearsal,
        }
    }

    /// Whether changing from `self` to `other` needs another process.
    pub(crate) fn needs_restart(&self, other: &Self) -> bool {
        self.level != other.level || self.parent != other.parent || self.role() != other.role()
    }
}

/// What a twin may use at most; none is without a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Resources {
    /// Cores. Probes keep their own cap and should have none here: a quota would be what they measure.
    pub cores: Option<f64>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// How a twin is confined, as far as this machine permits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confinement {
    /// Nothing real runs.
    Simulated,
    /// A control group of its own.
    Group {
        /// Its path below the root of every hierarchy.
        path: String,
        /// The controllers that hold it, sorted.
        controllers: Vec<String>,
    },
    /// Limits of the process and its nice value, since groups may not be made.
    Rlimits,
}

/// What a twin does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activity {
    /// It was started and has not yet reported.
    Starting,
    /// It reports.
    Running,
    /// It is stopped where it stands.
    Paused,
    /// It has ended or could not be started, and will be started again.
    Waiting {
        /// Seconds until then, rounded up.
        seconds: u64,
        /// What happened.
        why: String,
    },
    /// It has ended and is not started again.
    Ended(Exit),
}

/// How a runner ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Its code; 128 and the signal's number where a signal ended it.
    pub code: i32,
    /// Whether the kernel killed it for want of memory in its own group.
    pub out_of_memory: bool,
    /// The last line that it wrote beside its frames, where it wrote one.
    pub said: Option<String>,
}

impl Exit {
    /// An end without last words.
    #[must_use]
    pub fn silent(code: i32, out_of_memory: bool) -> Self {
        Self { code, out_of_memory, said: None }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.out_of_memory {
            return formatter.write_str("the kernel killed it for want of memory");
        }
        write!(formatter, "it ended with code {}", self.code)?;
        self.said.iter().try_for_each(|said| write!(formatter, ": {said}"))
    }
}

/// One twin as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Whose.
    pub label: InstanceId,
    /// What it shall run in.
    pub wanted: Fidelity,
    /// What it runs in; the level that every result is to be told with.
    pub achieved: Fidelity,
    /// Why the achieved level is not the wanted one, with the remedy.
    pub shortfall: Option<String>,
    /// What confines it; none while nothing runs.
    pub confinement: Option<Confinement>,
    /// What it does.
    pub activity: Activity,
    /// How often it was started again after it had ended by itself.
    pub restarts: u64,
    /// The outermost process on this machine: runner, container's first process or QEMU.
    pub pid: Option<u32>,
    /// What came over its channel.
    pub traffic: Traffic,
}

/// Frames of a twin since it was first started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Frames that arrived.
    pub frames: u64,
    /// Frames that did not, by their numbers.
    pub lost: u64,
    /// Bytes that were no frame.
    pub damaged_bytes: u64,
    /// Frames that arrived and that nobody took in time.
    pub refused: u64,
    /// Times the channel was opened again.
    pub reconnects: u64,
}
