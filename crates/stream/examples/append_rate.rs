//! How fast the log takes records in and makes them durable, and what that costs in CPU.
//!
//! `cargo run --release -p foretwin-stream --example append_rate -- [DIR] [PAYLOAD_BYTES] [SECONDS] [RECORDS_AT_ONCE]`

use std::sync::Arc;
use std::time::{Duration, Instant};

use foretwin_core::{PARTITIONS, Partition};
use foretwin_disk::OsDisk;
use foretwin_stream::{Config, Error, Log};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "append-rate.log".to_owned());
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (payload_bytes, seconds, at_once) = (number(200)?, number(3)?, number(64)?);
    let (log, recovery) = Log::open(Arc::new(OsDisk), dir.as_ref(), Config::default())?;
    println!("opened {dir}: {} records in {} segments", recovery.entries, recovery.segments);

    let payload = vec![7; payload_bytes];
    let (begun, cpu) = (Instant::now(), cpu_seconds()?);
    let mut partition = 0;
    while begun.elapsed() < Duration::from_secs(seconds as u64) {
        partition = (partition + 1) % PARTITIONS;
        let records = vec![(Partition(partition as u8), &payload[..]); at_once];
        while let Err(error) = log.append_all(&records) {
            let Error::Busy { .. } = error else { return Err(error.into()) };
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    log.close()?;
    let (took, cpu, stats) = (begun.elapsed().as_secs_f64(), cpu_seconds()? - cpu, log.stats());
    let (records, mb) = (stats.committed as f64, stats.bytes as f64 / 1e6);
    println!(
        "{records} records of {payload_bytes} bytes in {} commits, {took:.2} s, {cpu:.2} CPU s",
        stats.commits
    );
    println!("wall clock: {:.0} records/s, {:.0} MB/s", records / took, mb / took);
    println!("per core:   {:.0} records/s, {:.0} MB/s", records / cpu, mb / cpu);

    let begun = Instant::now();
    let read = log.read_from(&recovery.next_offset).try_fold(0u64, |n, entry| entry.map(|_| n + 1))?;
    println!("read back:  {:.0} records/s", read as f64 / begun.elapsed().as_secs_f64());
    log.trim(&log.next_offsets())?;
    Ok(())
}

/// User and system time of this process, in ticks of 10 ms.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').ok_or("/proc/self/stat has no name")?.1;
    let fields: Vec<_> = after_name.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).map_or(Ok(0), |field| field.parse::<u64>());
    Ok((ticks(11)? + ticks(12)?) as f64 / 100.0)
}
