//! Everything that a store holds as OpenMetrics text, so that others can be asked to store the same.
//!
//! `cargo run --release -p foretwin-engine --example openmetrics -- COPY_OF_A_STORE [PREFIX_LEFT_OUT] > FILE`
//!
//! One family, one series per instance and metric; missing values and Foretwin's own outputs are left out. For
//! instance `promtool tsdb create-blocks-from openmetrics FILE DIR` makes Prometheus blocks of it.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use foretwin_core::{InstanceId, Role, Timestamp, Window};
use foretwin_disk::OsDisk;
use foretwin_store::{Config, Query, Store};

/// Times and numbers of one instance by metric, in order, whatever schema they came with.
type Series = BTreeMap<String, BTreeMap<Timestamp, f64>>;

fn gather(window: &Window, into: &mut Series) {
    for (metric, column) in window.schema.metrics().iter().zip(&window.columns) {
        if metric.role == Role::Command {
            continue;
        }
        let present = window.times.iter().zip(column).filter(|(_, value)| !value.is_missing());
        let numbers = present.map(|(at, value)| (*at, value.to_f64(metric.storage)));
        into.entry(metric.key()).or_default().extend(numbers);
    }
}

fn write(instance: &InstanceId, series: &Series, mut out: impl Write) -> std::io::Result<()> {
    for (key, numbers) in series {
        for (at, number) in numbers {
            let seconds = at.seconds();
            writeln!(out, "sample{{instance=\"{instance}\",metric={key:?}}} {number} {seconds:.3}")?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: openmetrics COPY_OF_A_STORE [PREFIX_LEFT_OUT]")?;
    let left_out = args.next();
    let (store, _) = Store::open(Arc::new(OsDisk), Path::new(&dir), Config::default())?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for instance in store.instances().into_keys() {
        if left_out.as_ref().is_some_and(|prefix| instance.as_str().starts_with(prefix.as_str())) {
            continue;
        }
        let everything = Query::new(instance, Timestamp(i64::MIN), Timestamp(i64::MAX));
        let mut series = Series::new();
        store.read(&everything)?.iter().for_each(|window| gather(window, &mut series));
        write(&everything.instance, &series, &mut out)?;
    }
    Ok(writeln!(out, "# EOF")?)
}
