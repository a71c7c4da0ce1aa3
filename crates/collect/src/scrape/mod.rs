//! Application metrics in the Prometheus format, fetched from configured targets and joined to the instance they
//! belong to. Each target has a thread of its own, so that a slow one delays nobody.

mod board;
mod config;
pub(crate) mod guess;
mod owner;
mod target;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foretwin_core::{Instance, InstanceId, InstanceKind, Timestamp, Value};

use crate::error::Error;
use crate::sink::{Sink, Source};
use crate::worker::Worker;
use board::Board;

pub use config::{Config, Target};
pub use guess::guessed;

/// The source of scraped metrics.
#[derive(Debug)]
pub struct Scrapes {
    host: InstanceId,
    targets: Vec<Scraped>,
    values: Vec<Value>,
}

/// One target and what it last said.
#[derive(Debug)]
struct Scraped {
    settings: Target,
    board: Arc<Mutex<Board>>,
    instance: Option<InstanceId>,
    owner: Option<String>,
    seen: u64,
    // Stops with the source.
    _worker: Worker,
}

impl Scrapes {
    /// Begins to scrape all targets of the machine with the instance `host`.
    ///
    /// # Errors
    /// If a setting cannot be meant, or no thread can be started.
    pub fn start(host: &str, config: &Config) -> Result<Self, Error> {
        config.validate()?;
        let targets =
            config.targets.iter().map(|target| Scraped::start(target.clone())).collect::<Result<_, _>>()?;
        Ok(Self { host: InstanceId::new(host), targets, values: Vec::new() })
    }
}

impl Scraped {
    fn start(settings: Target) -> Result<Self, Error> {
        let board = Arc::new(Mutex::new(Board::new(settings.most_series)));
        let (shared, mut fetcher) = (Arc::clone(&board), target::Fetcher::new(&settings));
        let work = move || fetcher.scrape(&shared);
        let worker = Worker::start("scrape", Duration::from_millis(settings.interval_ms), work)?;
        Ok(Self { settings, board, instance: None, owner: None, seen: 0, _worker: worker })
    }

    /// Hands on what was scraped since the last call, if anything.
    fn tell(&mut self, host: &InstanceId, at: Timestamp, values: &mut Vec<Value>, sink: &mut dyn Sink) {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        // Held only to copy: the thread writes it once per scrape.
        if board.scrapes() == self.seen {
            return;
        }
        self.seen = board.scrapes();
        values.clear();
        values.extend_from_slice(board.values());
        let schema = Arc::clone(board.schema());
        if board.owner() != self.owner.as_deref() {
            // It was down at first, and an application of its own until it could be found.
            self.owner = board.owner().map(str::to_owned);
            if let Some(before) = self.instance.take() {
                sink.vanished(&before, at);
            }
        }
        drop(board);
        let owner = self.owner.as_deref();
        let id = self.instance.get_or_insert_with(|| identify(&self.settings, host, owner, sink));
        sink.frame(id, &schema, at, values);
    }
}

/// The instance a target belongs to: the one named in its settings; the control group of the process that answers;
/// or an application of its own, which is announced.
fn identify(target: &Target, host: &InstanceId, owner: Option<&str>, sink: &mut dyn Sink) -> InstanceId {
    if let Some(named) = &target.instance {
        return InstanceId::new(named);
    }
    if let Some(group) = owner {
        return InstanceId::new(&format!("{host}/{group}"));
    }
    let (id, workload) = (format!("{host}/app/{}", target.name()), format!("app:{}", target.name()));
    let mut instance = Instance::new(&id, InstanceKind::Application, host.as_str(), &workload);
    instance.parent = Some(host.clone());
    instance.labels.insert("url".into(), target.url.clone());
    sink.instance(&instance);
    instance.id
}

impl Source for Scrapes {
    fn name(&self) -> &'static str {
        "scrape"
    }

    fn read(&mut self, at: Timestamp, sink: &mut dyn Sink) -> Result<(), Error> {
        for target in &mut self.targets {
            target.tell(&self.host, at, &mut self.values, sink);
        }
        Ok(())
    }
}
