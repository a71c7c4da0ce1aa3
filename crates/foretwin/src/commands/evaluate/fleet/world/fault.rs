//! What goes wrong: faults that grow until something is used up, and ends that nothing announces.

use foretwin_core::FailureMode;

use super::chance::Chance;

/// A way to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A timer forgets what it made.
    LeakTimed,
    /// Every so many requests something is forgotten.
    LeakPerRequest,
    /// What is forgotten makes more be forgotten: retries, lists that are walked.
    LeakFeeding,
    /// A report that is made a few times a day is kept.
    LeakInSteps,
    /// Logs are rotated no more.
    LogsKept,
    /// Somebody left debugging on.
    DebugFlood,
    /// A job leaves its files behind.
    FilesLeft,
    /// Connections that fail are not closed.
    DescriptorLeak,
    /// Another tenant of the host takes more and more of the processors.
    Neighbour,
    /// The same, at once.
    NeighbourAtOnce,
    /// More is asked than there is capacity for.
    Surge,
    /// A bad release dies again and again.
    CrashLoop,
    /// A bug, a panic, a cable: nothing was to be seen.
    SuddenDeath,
}

impl FaultKind {
    /// What befalls one instance by itself, and how often against each other.
    pub const OWN: [(Self, f64); 10] = [
        (Self::LeakTimed, 1.2),
        (Self::LeakPerRequest, 2.0),
        (Self::LeakFeeding, 0.8),
        (Self::LeakInSteps, 1.0),
        (Self::LogsKept, 1.0),
        (Self::DebugFlood, 0.7),
        (Self::FilesLeft, 0.6),
        (Self::DescriptorLeak, 1.0),
        (Self::CrashLoop, 0.5),
        (Self::SuddenDeath, 1.6),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::LeakTimed => "leak, timed",
            Self::LeakPerRequest => "leak, per request",
            Self::LeakFeeding => "leak, accelerating",
            Self::LeakInSteps => "leak, in steps",
            Self::LogsKept => "logs not rotated",
            Self::DebugFlood => "debug log",
            Self::FilesLeft => "files left behind",
            Self::DescriptorLeak => "descriptor leak",
            Self::Neighbour => "noisy neighbour",
            Self::NeighbourAtOnce => "neighbour at once",
            Self::Surge => "surge",
            Self::CrashLoop => "crash loop",
            Self::SuddenDeath => "sudden death",
        }
    }

    /// Whether there is anything to be seen before it strikes.
    pub fn is_foreseeable(self) -> bool {
        !matches!(self, Self::NeighbourAtOnce | Self::Surge | Self::CrashLoop | Self::SuddenDeath)
    }

    /// How it fails.
    pub fn mode(self) -> FailureMode {
        match self {
            Self::LeakTimed | Self::LeakPerRequest | Self::LeakFeeding | Self::LeakInSteps => {
                FailureMode::MemoryExhaustion
            }
            Self::LogsKept | Self::DebugFlood | Self::FilesLeft => FailureMode::DiskFull,
            Self::DescriptorLeak => FailureMode::DescriptorExhaustion,
            Self::Neighbour | Self::NeighbourAtOnce | Self::Surge => FailureMode::LatencyBreach,
            Self::CrashLoop | Self::SuddenDeath => FailureMode::Crash,
        }
    }
}

/// A fault at work.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub kind: FaultKind,
    pub from: u32,
    /// Somebody mends it then.
    pub mended: u32,
    /// Units per minute that would use the headroom up in the intended time under ordinary load.
    pace: f64,
    headroom: f64,
    /// Minute of the next step.
    next: u32,
    between: f64,
}

impl Fault {
    /// A fault that would use `headroom` up within about `lasts` minutes.
    pub fn new(kind: FaultKind, from: u32, (headroom, lasts): (f64, f64), chance: &mut Chance) -> Self {
        let between = (lasts / chance.between(4.0, 14.0)).max(5.0);
        let next = from + chance.exponential(between) as u32;
        Self { kind, from, mended: u32::MAX, pace: headroom / lasts, headroom, next, between }
    }

    /// What is lost in a minute with `load` against the ordinary, after `lost` was.
    pub fn loses(&mut self, minute: u32, (load, lost): (f64, f64), chance: &mut Chance) -> f64 {
        match self.kind {
            // A few objects a minute, of very different sizes.
            FaultKind::LeakTimed | FaultKind::DebugFlood => {
                0.25 * self.pace * chance.count(4.0) * chance.lognormal(0.88, 0.5)
            }
            FaultKind::LeakPerRequest | FaultKind::DescriptorLeak | FaultKind::LogsKept => {
                let errors = chance.lognormal(0.95, 0.3);
                self.pace / 8.0 * chance.count(8.0 * load * errors)
            }
            FaultKind::LeakFeeding => {
                // Grows by what is there: from an eighth of the headroom per ln 9.
                let part = 0.125 * self.headroom;
                self.pace * 0.275 * (1.0 + lost / part) * load.sqrt() * chance.between(0.5, 1.5)
            }
            FaultKind::LeakInSteps | FaultKind::FilesLeft => {
                if minute < self.next {
                    return 0.0;
                }
                self.next =
                    minute + chance.pareto(0.5 * self.between, 2.0).min(6.0 * self.between) as u32 + 1;
                self.pace * self.between * chance.lognormal(0.85, 0.6)
            }
            _ => 0.0,
        }
    }
}
