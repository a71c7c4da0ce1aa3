//! Joins the probabilities that were stored with the failures that were recorded.

use std::collections::BTreeMap;

use foretwin_core::{InstanceId, Timestamp};
use foretwin_foresee::{Reliability, Tally};
use foretwin_store::Query;

use crate::Error;
use crate::outputs::{self, HORIZONS};
use crate::pipeline::Pipeline;

/// Statements of one instance that are judged: neighbours say nearly the same.
const STATEMENTS: usize = 2000;

/// How good the statements since `from` were, for each horizon, over all instances or one.
pub(crate) fn reliability(
    pipeline: &Pipeline,
    only: Option<&InstanceId>,
    from: Timestamp,
) -> Result<Vec<Reliability>, Error> {
    let mut failures: BTreeMap<InstanceId, Vec<Timestamp>> = BTreeMap::new();
    for failure in pipeline.store.failures() {
        failures.entry(failure.instance).or_default().push(failure.at);
    }
    let mut watched = Vec::new();
    pipeline.each(|one| watched.push((one.instance.id.clone(), one.last())));
    if let Some(id) = only {
        pipeline.known(id)?;
        watched.retain(|(one, _)| one == id);
    }
    let keys: Vec<String> = outputs::schema().metrics()[1..].iter().map(foretwin_core::Metric::key).collect();
    let mut tallies = vec![Tally::default(); HORIZONS.len()];
    for (id, seen_until) in watched {
        let own = failures.get(&id).map_or(&[][..], Vec::as_slice);
        let read = Query {
            schema: Some(outputs::schema().id()),
            max_points: Some(STATEMENTS),
            ..Query::new(id, from, seen_until + 1)
        };
        for window in pipeline.store.read(&read)? {
            for ((key, (_, horizon_s)), tally) in keys.iter().zip(HORIZONS).zip(&mut tallies) {
                let said = window.numbers(key).unwrap_or_default();
                tally.add(window.times.iter().copied().zip(said), own, (horizon_s, seen_until));
            }
        }
    }
    Ok(tallies.iter().zip(HORIZONS).map(|(tally, (_, horizon_s))| tally.finish(horizon_s)).collect())
}
