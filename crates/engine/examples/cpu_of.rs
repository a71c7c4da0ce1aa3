//! What running processes use over a span: processor time of each thread, and resident memory at its end.
//!
//! `cargo run --release -p foretwin-engine --example cpu_of -- SECONDS REPETITIONS PID...`
//!
//! Counts nanoseconds on a processor (`/proc/PID/task/*/schedstat`), which the 10 ms of `/proc/PID/stat` would blur.
//! What the kernel does in threads of its own, for instance to write back, is in nobody's account.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

/// Nanoseconds on a processor by thread, with the thread's name.
type Threads = BTreeMap<u32, (String, u64)>;

fn threads(pid: u32) -> Result<Threads, Box<dyn Error>> {
    let mut threads = Threads::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path();
        // A thread may end while one looks.
        let Ok(spent) = fs::read_to_string(path.join("schedstat")) else { continue };
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default().trim().to_owned();
        let tid = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().parse()?;
        let on_ns = spent.split_whitespace().next().unwrap_or_default().parse()?;
        threads.insert(tid, (name, on_ns));
    }
    Ok(threads)
}

/// Resident bytes: of everything, and of memory that no file stands behind.
fn resident(pid: u32) -> Result<(f64, f64), Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().unwrap_or_default().parse::<f64>().map(|kb| kb * 1024.0)
    };
    Ok((field("VmRSS:")?, field("RssAnon:")?))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: cpu_of SECONDS REPETITIONS PID...";
    let mut args = std::env::args().skip(1);
    let (seconds, repetitions): (u64, usize) =
        (args.next().ok_or(usage)?.parse()?, args.next().ok_or(usage)?.parse()?);
    let pids = args.map(|pid| pid.parse()).collect::<Result<Vec<u32>, _>>()?;
    // Shares of a core by process and thread name, one for each repetition.
    let mut shares: BTreeMap<(u32, String), Vec<f64>> = BTreeMap::new();
    for repetition in 0..repetitions {
        let before = pids.iter().map(|&pid| threads(pid)).collect::<Result<Vec<_>, _>>()?;
        let begun = Instant::now();
        std::thread::sleep(Duration::from_secs(seconds));
        let span_ns = begun.elapsed().as_nanos() as f64;
        for (&pid, before) in pids.iter().zip(before) {
            for (tid, (name, ns)) in threads(pid)? {
                let share = 100.0 * (ns - before.get(&tid).map_or(0, |(_, ns)| *ns)) as f64 / span_ns;
                for name in [name, "all threads".to_owned()] {
                    let shares = shares.entry((pid, name)).or_default();
                    shares.resize(repetition + 1, 0.0);
                    shares[repetition] += share;
                }
            }
        }
    }
    for ((pid, name), mut shares) in shares {
        let each: Vec<String> = shares.iter().map(|share| format!("{share:.3}")).collect();
        println!(
            "{pid:>8} {name:<16} {:>8.3} % of a core, median of {}",
            median(&mut shares),
            each.join(" ")
        );
    }
    for pid in pids {
        let (all, anonymous) = resident(pid)?;
        println!("{pid:>8} resident {:.1} MB, of which {:.1} MB anonymous", all / 1e6, anonymous / 1e6);
    }
    Ok(())
}
