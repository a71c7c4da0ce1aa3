//! Opening the sources that a configuration asks for.

use std::sync::Arc;

use crate::collector::Slot;
use crate::config::Config;
use crate::error::Error;
use crate::groups::Groups;
use crate::hardware::Hardware;
use crate::ledger::Ledger;
use crate::machine::{self, Machine};
use crate::probe::Probes;
use crate::rtt::RoundTrips;
use crate::scrape::Scrapes;
use crate::sink::Source;

/// How often it is asked what was scraped, if that is not more often.
const ASKED_MS: u64 = 1000;

/// A source and the milliseconds between its readings.
type Paced = (Box<dyn Source>, u64);

/// The sources with their intervals, and a ledger with an account for each, in the same order.
pub(crate) fn open(config: &Config) -> Result<(Vec<Slot>, Arc<Ledger>), Error> {
    let host = config.host_name()?;
    // The machine tells of all sources and so opens last, but stands first: its instance contains the others.
    let others = others(&host, config)?;
    let names = others.iter().map(|(source, _)| source.name());
    let ledger = Arc::new(Ledger::new([machine::NAME].into_iter().chain(names)));
    let machine = Machine::open(machine::instance(&host), &config.machine, Arc::clone(&ledger));
    let first: Paced = (Box::new(machine), config.machine.interval_ms);
    let slots = [first].into_iter().chain(others).map(|(source, interval_ms)| Slot::new(source, interval_ms));
    Ok((slots.collect(), ledger))
}

fn others(host: &str, config: &Config) -> Result<Vec<Paced>, Error> {
    let mut sources: Vec<Paced> = Vec::new();
    if config.groups.enabled {
        sources.push((Box::new(Groups::new(host, &config.groups)?), config.groups.interval_ms));
    }
    if !config.probe.peers.is_empty() {
        sources.push((Box::new(Probes::start(host, &config.probe)?), config.probe.interval_ms));
    }
    if !config.scrape.targets.is_empty() {
        let fastest_ms = config.scrape.targets.iter().map(|target| target.interval_ms).min();
        // What its threads have fetched is asked for once a second, so that it keeps nearly its own time.
        let interval_ms = fastest_ms.unwrap_or(ASKED_MS).min(ASKED_MS);
        sources.push((Box::new(Scrapes::start(host, &config.scrape)?), interval_ms));
    }
    if config.rtt.enabled {
        sources.push((Box::new(RoundTrips::new(host, &config.rtt)), config.rtt.interval_ms));
    }
    if config.hardware.enabled {
        match Hardware::new(host) {
            Ok(hardware) => sources.push((Box::new(hardware), config.hardware.interval_ms)),
            Err(reason) => tracing::info!(%reason, "no hardware counters"),
        }
    }
    Ok(sources)
}
