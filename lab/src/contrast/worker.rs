//! Processes of the contrast lab: each enters its group, and then does what standard input tells it.

use std::fs;
use std::io::{self, BufRead};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{neighbour, service};
use crate::sys;

/// What a process is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The original.
    Service,
    /// A neighbour that uses the processor a share of each period.
    CpuHog {
        /// Seconds.
        period_s: f64,
    },
    /// A neighbour that writes and syncs.
    DiskHog {
        /// Threads that write at once.
        writers: usize,
    },
    /// A neighbour that takes memory.
    MemoryHog,
    /// Another program with its arguments: the runner.
    Program(Vec<String>),
}

/// What the lab tells a process when it starts, as JSON on its command line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// What it is.
    pub part: Part,
    /// Process of the lab, with which it ends.
    pub lab_pid: u32,
    /// Files to write `0` to, to move into the group.
    pub doors: Vec<PathBuf>,
    /// A directory on a real disk.
    pub scratch: PathBuf,
    /// Draws everything random.
    pub seed: u64,
}

/// What the lab tells a process while it runs, as one JSON object a line.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tell {
    /// Neighbours: share of a core, or of the time, that is used, 0 to 1; above 1 there are several.
    pub duty: f64,
    /// Memory hog: bytes to hold.
    pub bytes: f64,
    /// Service: requests per second, instead of what the wave says.
    pub rate: Option<f64>,
    /// Service: share of work added to each request.
    pub slower: f64,
    /// Service: bytes leaked per second; what has leaked is given back at zero.
    pub leak: f64,
    /// Service: reads its file again, once, when this becomes true.
    pub warm: bool,
}

/// The latest thing told, shared with the thread that listens.
pub type Told = Arc<Mutex<Tell>>;

/// What was told last.
pub fn told(told: &Told) -> Tell {
    *told.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one order until the lab ends.
///
/// # Errors
/// If the lab is gone, or the process cannot enter its group.
pub fn work(order: &str) -> Result<()> {
    let order: Order = serde_json::from_str(order).context("reading the order")?;
    sys::die_with(order.lab_pid)?;
    for door in &order.doors {
        fs::write(door, "0").with_context(|| format!("entering {}", door.display()))?;
    }
    if let Part::Program(words) = &order.part {
        let (program, arguments) = words.split_first().context("no program is named")?;
        return Err(Command::new(program).args(arguments).exec()).context("starting the program");
    }
    sys::refuse_huge_pages();
    // Whoever hogs is the one to go, not what is observed.
    let badness = if order.part == Part::Service { "0" } else { "1000" };
    fs::write("/proc/self/oom_score_adj", badness).context("writing oom_score_adj")?;
    let told = listen()?;
    match order.part {
        Part::Service => service::run(&order, &told)?,
        Part::CpuHog { period_s } => neighbour::cpu(&told, period_s),
        Part::DiskHog { writers } => neighbour::disk(&order.scratch, writers, &told)?,
        Part::MemoryHog => neighbour::memory(&told),
        Part::Program(_) => {}
    }
    Ok(())
}

/// Listens on standard input; its end is the end of the lab.
fn listen() -> io::Result<Told> {
    let told = Told::default();
    let heard = Arc::clone(&told);
    thread::Builder::new().spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(tell) = line.and_then(|line| Ok(serde_json::from_str(&line)?)) else { break };
            *heard.lock().unwrap_or_else(PoisonError::into_inner) = tell;
        }
        std::process::exit(0);
    })?;
    Ok(told)
}
