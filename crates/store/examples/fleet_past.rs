//! What it takes to read one output of a whole fleet while its last hours are not sealed: `GET /api/v1/fleet/history`.
//!
//! `cargo run --release -p foretwin-store --example fleet_past [INSTANCES] [HOURS]`

use std::sync::Arc;
use std::time::Instant;

use foretwin_core::{
    Batch, InstanceId, Metric, Partition, Position, Record, Rng, Role, SECOND_US, Schema, Timestamp, Value,
};
use foretwin_disk::OsDisk;
use foretwin_store::{Config, Query, Statistic, Store};

const METRICS: usize = 20;
const OUTPUTS: usize = 5;
const FLUSH_S: i64 = 30;
const MINUTE_US: i64 = 60 * SECOND_US;
const BEGIN: Timestamp = Timestamp(1_700_000_000 * SECOND_US);

fn schema(name: &str, width: usize) -> Arc<Schema> {
    Schema::new((0..width).map(|n| Metric::gauge(&format!("{name}.{n}"), "1", Role::Utilization)).collect())
}

/// One frame of each instance and schema for each second, flushed every half minute and sealed never.
fn fill(store: &Store, ids: &[InstanceId], seconds: i64) -> Result<(), Box<dyn std::error::Error>> {
    let schemas = [schema("metric", METRICS), schema("output", OUTPUTS)];
    let mut rng = Rng::new(1);
    for partition in Partition::all() {
        for (offset, schema) in schemas.iter().enumerate() {
            let position = Position { partition, offset: offset as u64 };
            store.apply(position, &Record::Schema(schema.clone()))?;
        }
    }
    for second in 0..seconds {
        let at = BEGIN + second * SECOND_US;
        for partition in Partition::all() {
            for (n, schema) in schemas.iter().enumerate() {
                let mut batch = Batch::new(schema.id(), schema.width());
                for id in ids.iter().filter(|id| id.partition() == partition) {
                    let values: Vec<Value> = (0..schema.width())
                        .map(|_| Value((rng.below(1000) as f64 / 1000.0).to_bits()))
                        .collect();
                    batch.push(id, at, &values)?;
                }
                let offset = 2 + 2 * second as u64 + n as u64;
                store.apply(Position { partition, offset }, &Record::Batch(batch))?;
            }
        }
        if second % FLUSH_S == FLUSH_S - 1 {
            store.flush(at)?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = |n| std::env::args().nth(n).map(|text| text.parse::<f64>()).transpose();
    let (instances, hours) = (argument(1)?.unwrap_or(1000.0) as usize, argument(2)?.unwrap_or(1.0));
    let seconds = (hours * 3600.0) as i64;
    let dir = tempfile::tempdir()?;
    let config = Config { head_limit_bytes: 8 << 30, ..Config::default() };
    let (store, _) = Store::open(Arc::new(OsDisk), &dir.path().join("store"), config)?;
    let ids: Vec<InstanceId> = (0..instances).map(|n| InstanceId::new(&format!("host-{n:05}"))).collect();
    fill(&store, &ids, seconds)?;
    for round in 0..2 {
        let (started, mut rows) = (Instant::now(), 0);
        let like = Query {
            schema: Some(schema("output", OUTPUTS).id()),
            metrics: Some(vec!["output.0".into()]),
            max_points: Some((seconds * SECOND_US / MINUTE_US).max(1) as usize),
            statistic: Statistic::Maximum,
            ..Query::new(ids[0].clone(), BEGIN, BEGIN + seconds * SECOND_US)
        };
        for window in store.read_each(&ids, &like)?.iter().flatten() {
            rows += window.len();
        }
        println!(
            "{instances} instances, {hours} h, round {round}: {rows} rows in {:.2} s",
            started.elapsed().as_secs_f64()
        );
    }
    Ok(())
}
