//! What the process has used so far: processor time by the name of the thread, memory, bytes written.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Threads of the load: they measure themselves, since what they hand in is the node's work and the rest is not.
const LOAD: [&str; 2] = ["sender", "fleet"];

/// Seconds that the calling thread has been on a processor.
pub fn own_s() -> Result<f64, Box<dyn Error + Send + Sync>> {
    let spent = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(spent.split_whitespace().next().unwrap_or_default().parse::<f64>()? / 1e9)
}

/// Processor time that the machine spent on others than this process, by minute: a lag that others make is not ours.
#[derive(Default)]
pub struct Others(Arc<Mutex<Vec<f64>>>);

impl Others {
    /// Looks once a minute from now on, until the process ends.
    pub fn begin(&self) {
        let minutes = Arc::clone(&self.0);
        std::thread::spawn(move || {
            while let Ok((before, begun)) = others_s().map(|spent| (spent, Instant::now())) {
                std::thread::sleep(Duration::from_secs(60));
                let Ok(after) = others_s() else { return };
                let cores = (after - before) / begun.elapsed().as_secs_f64();
                minutes.lock().unwrap_or_else(PoisonError::into_inner).push(cores);
            }
        });
    }

    /// Cores in each minute that is over.
    pub fn cores(&self) -> Vec<f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Seconds of processor time, stolen ones too, that this process has not had.
fn others_s() -> Result<f64, Box<dyn Error + Send + Sync>> {
    let (machine, own) = (fs::read_to_string("/proc/stat")?, fs::read_to_string("/proc/self/stat")?);
    let ticks =
        |fields: &mut dyn Iterator<Item = &str>| fields.filter_map(|n| n.parse::<f64>().ok()).sum::<f64>();
    // user nice system (idle iowait) irq softirq steal; of the process utime and stime, after its name.
    let of = machine.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let all =
        ticks(&mut of.enumerate().filter(|(n, _)| !matches!(n, 3 | 4) && *n < 8).map(|(_, field)| field));
    let after_name = own.rsplit(')').next().unwrap_or_default();
    Ok((all - ticks(&mut after_name.split_whitespace().skip(11).take(2))) / TICKS_A_SECOND)
}

/// Unit of `/proc/stat` on every architecture that Foretwin runs on.
const TICKS_A_SECOND: f64 = 100.0;

/// Use up to a moment.
pub struct Spent {
    /// Seconds on a processor.
    threads: BTreeMap<String, f64>,
    written_bytes: f64,
    most_resident_bytes: f64,
}

impl Spent {
    pub fn now() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let mut threads: BTreeMap<String, f64> = BTreeMap::new();
        for task in fs::read_dir("/proc/self/task")? {
            let path = task?.path();
            // A thread may end while one looks.
            let Ok(spent) = fs::read_to_string(path.join("schedstat")) else { continue };
            let name = fs::read_to_string(path.join("comm")).unwrap_or_default().trim().to_owned();
            let on_ns: f64 = spent.split_whitespace().next().unwrap_or_default().parse()?;
            if LOAD.contains(&name.as_str()) {
                continue;
            }
            *threads.entry(name).or_default() += on_ns / 1e9;
        }
        let field = |file: &str, name: &str| -> Result<f64, Box<dyn Error + Send + Sync>> {
            let text = fs::read_to_string(file)?;
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            Ok(line.split_whitespace().next().unwrap_or_default().parse::<f64>()?)
        };
        let written_bytes = field("/proc/self/io", "write_bytes:")?;
        let most_resident_bytes = 1024.0 * field("/proc/self/status", "VmHWM:")?;
        Ok(Self { threads, written_bytes, most_resident_bytes })
    }

    /// Use since an earlier moment; memory is the most ever.
    pub fn since(&self, before: &Self) -> Self {
        let spent = |(name, s): (&String, &f64)| (name.clone(), s - before.threads.get(name).unwrap_or(&0.0));
        Self {
            threads: self.threads.iter().map(spent).collect(),
            written_bytes: self.written_bytes - before.written_bytes,
            most_resident_bytes: self.most_resident_bytes,
        }
    }

    /// For so many samples in so many seconds; `handing_s` is what it took to hand them in.
    pub fn print(&self, handing_s: f64, samples: f64, wall_s: f64) {
        println!("  {:<16} {handing_s:>9.2} s of processor time", "handing in");
        for (name, seconds) in self.threads.iter().filter(|(_, seconds)| **seconds > 0.005) {
            println!("  {name:<16} {seconds:>9.2} s of processor time");
        }
        let node = handing_s + self.threads.values().sum::<f64>();
        println!(
            "{:.2} M samples in {wall_s:.1} s: {:.3} M samples/s",
            samples / 1e6,
            samples / 1e6 / wall_s
        );
        println!(
            "node: {node:.2} s of processor time, {:.2} cores, {:.2} M samples/s per core",
            node / wall_s,
            samples / 1e6 / node
        );
        println!(
            "written {:.1} MB, {:.2} bytes a sample; most resident {:.0} MB",
            self.written_bytes / 1e6,
            self.written_bytes / samples,
            self.most_resident_bytes / 1e6
        );
    }
}
