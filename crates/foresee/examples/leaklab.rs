//! Predicts every run of a leak lab folder and writes what the judge of failure prediction reads:
//! `leaklab DIR OUT.csv`. Only rows up to each origin are used; `runs.csv` is not read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};

use foretwin_core::{FailureMode, Quantiles, Risk, Timestamp};
use foretwin_foresee::{Config, Series, risk};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;

type Failure = Box<dyn std::error::Error>;

const HORIZONS: [f64; 3] = [10.0, 20.0, 40.0];
const RESOURCES: [(FailureMode, &str, &str); 3] = [
    (FailureMode::MemoryExhaustion, "vsize", "mem_limit"),
    (FailureMode::DiskFull, "disk_used", "disk_cap"),
    (FailureMode::DescriptorExhaustion, "nfds", "fd_limit"),
];

#[derive(Default)]
struct Run {
    times: Vec<Timestamp>,
    used: [Vec<f64>; 3],
    limits: [Vec<f64>; 3],
}

fn read(path: &str) -> Result<BTreeMap<String, Run>, Failure> {
    let reader = SerializedFileReader::new(File::open(path)?)?;
    let fields = reader.metadata().file_metadata().schema_descr();
    let column = |name: &str| {
        (0..fields.num_columns())
            .find(|&i| fields.column(i).name() == name)
            .ok_or(format!("no column {name}"))
    };
    let (rid, t) = (column("rid")?, column("t")?);
    let columns = RESOURCES.map(|(_, used, limit)| (column(used), column(limit)));
    let mut runs: BTreeMap<String, Run> = BTreeMap::new();
    for row in reader.get_row_iter(None)? {
        let row = row?;
        let run = runs.entry(row.get_string(rid)?.clone()).or_default();
        run.times.push(Timestamp::from_seconds(row.get_double(t)?));
        for (i, (used, limit)) in columns.iter().enumerate() {
            run.used[i].push(row.get_long(used.clone()?)? as f64);
            run.limits[i].push(row.get_long(limit.clone()?)? as f64);
        }
    }
    Ok(runs)
}

fn risks(run: &Run, origin: f64, config: &Config) -> Vec<Risk> {
    let now = Timestamp::from_seconds(origin);
    let seen = run.times.partition_point(|&at| at <= now);
    let each = RESOURCES.iter().enumerate().filter_map(|(i, &(mode, metric, _))| {
        let limit = run.limits[i][seen.checked_sub(1)?];
        let series = Series { metric, mode, times: &run.times[..seen], used: &run.used[i][..seen], limit };
        risk(&series, now, config, origin as u64)
    });
    each.collect()
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let (dir, out) = (args.next().ok_or("want DIR OUT.csv")?, args.next().ok_or("want DIR OUT.csv")?);
    // The lab lives in minutes what production lives in hours, and most that grows there is a leak.
    let transient_s = args.next().map_or(Ok(5.0), |text| text.parse())?;
    let lasting_share = args.next().map_or(Ok(0.4), |text| text.parse())?;
    let config = Config { transient_s, lasting_share, horizons_s: HORIZONS.to_vec(), ..Config::default() };
    let mut out = BufWriter::new(File::create(out)?);
    writeln!(out, "rid,t,horizon_s,p_fail,ttf_p10,ttf_p50,ttf_p90,alert")?;
    let (mut spent, mut calls) = (0.0, 0);
    for (rid, run) in read(&format!("{dir}/telemetry.parquet"))? {
        let end = run.times.last().map_or(0.0, |at| at.seconds());
        for step in 3.. {
            let origin = f64::from(step * 5);
            if origin > end + 5.0 {
                break;
            }
            let begin = std::time::Instant::now();
            let risks = risks(&run, origin, &config);
            spent += begin.elapsed().as_secs_f64();
            calls += 3;
            let worst = risks.iter().max_by(|a, b| a.at(40.0).total_cmp(&b.at(40.0)));
            let Quantiles { p10, p50, p90 } = worst.map(|risk| risk.time_to_failure).unwrap_or_default();
            let [p10, p50, p90] = [p10, p50, p90].map(|quantile| quantile.unwrap_or(f64::INFINITY));
            let at = |horizon: f64| 1.0 - risks.iter().map(|risk| 1.0 - risk.at(horizon)).product::<f64>();
            let alert = u8::from(at(20.0) > 0.5);
            for horizon in HORIZONS {
                writeln!(
                    out,
                    "{rid},{origin},{horizon},{:.4},{p10:.2},{p50:.2},{p90:.2},{alert}",
                    at(horizon)
                )?;
            }
        }
    }
    eprintln!("{:.1} us a risk", spent / f64::from(calls) * 1e6);
    Ok(())
}
