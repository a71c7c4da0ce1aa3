//! An agent: collects, keeps everything in its own log until the server has acknowledged it, and forgets it then.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foretwin_core::PARTITIONS;
use foretwin_disk::{Disk, OsDisk};
use foretwin_stream::{DirectoryLock, Log, Reader};

use crate::Error;
use crate::config::Config;
use crate::descriptions::Descriptions;
use crate::error::Chain;
use crate::ingest::{Ingest, LocalSink};
use crate::node::{identity, open_dir, start_collector, start_twins};
use crate::threads::{Threads, pause};
use crate::uplink::{Credentials, is_in_the_open};

/// Bytes of telemetry in one request.
const REQUEST_BYTES: usize = 1 << 20;
/// Pause between two looks at the log, and after a refusal.
const LOOK: Duration = Duration::from_millis(1000);
const RETRY: Duration = Duration::from_secs(2);

/// File that remembers what was acknowledged.
const CURSOR: &str = "sent";

/// Where sending goes on, per partition.
type Offsets = [u64; PARTITIONS];

/// A running agent.
pub struct Agent {
    log: Arc<Log>,
    threads: Threads,
    _lock: DirectoryLock,
}

impl Agent {
    /// Starts collecting and sending.
    ///
    /// # Errors
    /// If the directory is in use or cannot be used, or a source cannot be opened.
    pub fn start(config: &Config) -> Result<Self, Error> {
        let lock = open_dir(&config.data_dir)?;
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let dir = config.data_dir.join("spool");
        // What the server has acknowledged is never numbered again, even if the spool was removed.
        let sent = read_cursor(&config.data_dir.join(CURSOR));
        let (log, recovery) = Log::open_after(disk, &dir, config.stream.clone(), &sent)?;
        if !recovery.is_clean() {
            tracing::warn!("spool: {recovery:?}");
        }
        let log = Arc::new(log);
        let mut threads = Threads::new();
        let (ingest, (source, epoch)) = (Arc::new(Ingest::new(log.clone())), identity(&config.data_dir)?);
        start_collector(&mut threads, config, LocalSink::new(ingest.clone(), (source, epoch), None))?;
        start_twins(&mut threads, (config, Arc::default()), ingest, None)?;
        let sender = Sender::new(config, log.clone())?;
        let stop = threads.stop.clone();
        threads.start("sender", move || sender.run(&stop))?;
        Ok(Self { log, threads, _lock: lock })
    }

    /// Stops; what the server has not acknowledged stays in the spool for the next start.
    ///
    /// # Errors
    /// If the end of the spool cannot be sealed; what was acknowledged is safe all the same.
    pub fn stop(mut self) -> Result<(), Error> {
        self.threads.join("collector");
        self.threads.join("twin");
        self.threads.join("sender");
        Ok(self.log.close()?)
    }
}

/// Sends the log, in order.
struct Sender {
    log: Arc<Log>,
    url: String,
    http: ureq::Agent,
    credentials: Credentials,
    cursor: PathBuf,
    descriptions: Descriptions,
    sent: Offsets,
    /// Goes on where it stopped; made anew after a refusal.
    reader: Reader,
    spool_bytes: u64,
}

impl Sender {
    fn new(config: &Config, log: Arc<Log>) -> Result<Self, Error> {
        let credentials = config.forward.credentials();
        // A token that is not there is said now, not when the spool is full.
        if credentials.authorization()?.is_some() && is_in_the_open(&config.forward.server) {
            tracing::warn!("forward.server: the token goes over the network in the open; use https");
        }
        let cursor = config.data_dir.join(CURSOR);
        let http = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A redirect turns a POST into a GET, and its 200 would pass for an acknowledgement.
            .max_redirects(0)
            .tls_config(credentials.tls()?)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .into();
        let url = format!("{}/api/v1/ingest", config.forward.server.trim_end_matches('/'));
        let sent = read_cursor(&cursor);
        let reader = log.read_from(&sent);
        let descriptions = Descriptions::open(config.data_dir.join("described"));
        let spool_bytes = config.forward.spool_bytes;
        Ok(Self { log, url, http, credentials, cursor, descriptions, sent, reader, spool_bytes })
    }

    fn run(mut self, stop: &AtomicBool) {
        let mut away = false;
        while !stop.load(Ordering::Relaxed) {
            let rest = match self.send_some() {
                Ok(sent) => {
                    if away {
                        tracing::info!("{}: reached again", self.url);
                    }
                    away = false;
                    if sent { Duration::ZERO } else { LOOK }
                }
                Err(reason) => {
                    self.reader = self.log.read_from(&self.sent);
                    self.descriptions.due = true;
                    if !away {
                        tracing::warn!("{}: {reason}; telemetry is spooled", self.url);
                    }
                    away = true;
                    self.bound();
                    RETRY
                }
            };
            pause(stop, rest);
        }
        // What was collected last has its chance too.
        let _ = self.send_some();
    }

    /// Sends up to one request of records; false if there was nothing to send.
    fn send_some(&mut self) -> Result<bool, String> {
        let (mut envelope, mut records) = self.descriptions.envelope();
        let described = records;
        let mut next = self.sent;
        for entry in self.reader.by_ref() {
            let entry = match entry {
                Ok(entry) => entry,
                // Reading goes on behind the damage.
                Err(damage @ foretwin_stream::Error::Damaged { .. }) => {
                    tracing::warn!("spool: {damage}");
                    continue;
                }
                Err(error) => return Err(Chain(&error).to_string()),
            };
            self.descriptions.hear(&entry.payload);
            foretwin_wire::envelope::push_encoded(&entry.payload, &mut envelope);
            records += 1;
            next[entry.position.partition.index()] = entry.position.offset + 1;
            if envelope.len() >= REQUEST_BYTES {
                break;
            }
        }
        if records == described {
            return Ok(false);
        }
        self.post(&envelope, records)?;
        self.descriptions.told();
        self.sent = next;
        write_cursor(&self.cursor, &next).map_err(|error| Chain(&error).to_string())?;
        self.log.trim(&next).map_err(|error| Chain(&error).to_string())?;
        Ok(true)
    }

    /// Acknowledged is what the server says it made durable, record by record; any other 200 is somebody else's.
    fn post(&self, envelope: &[u8], records: usize) -> Result<(), String> {
        let token = self.credentials.authorization().map_err(|error| Chain(&error).to_string())?;
        let mut request = self.http.post(&self.url).content_type("application/octet-stream");
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let response = request.send(envelope);
        let mut response = response.map_err(|error| Chain(&error).to_string())?;
        let status = response.status();
        let body = response.body_mut().read_to_string().unwrap_or_default();
        let answer: Option<serde_json::Value> = serde_json::from_str(&body).ok();
        let acknowledged = answer.and_then(|answer| answer["records"].as_u64());
        if status.is_success() && acknowledged == Some(records as u64) {
            return Ok(());
        }
        Err(format!("{status} {}", body.chars().take(300).collect::<String>()))
    }

    /// Lets go of the oldest telemetry when the spool is over its bound: a tenth of it, so that whole segments go.
    fn bound(&mut self) {
        if self.log.stats().segment_bytes <= self.spool_bytes {
            return;
        }
        let (mut lost, mut bytes) = (0u64, 0u64);
        for entry in self.log.read_from(&self.sent).filter_map(Result::ok) {
            self.descriptions.hear(&entry.payload);
            self.sent[entry.position.partition.index()] = entry.position.offset + 1;
            (lost, bytes) = (lost + 1, bytes + entry.payload.len() as u64);
            if bytes > self.spool_bytes / 10 {
                break;
            }
        }
        tracing::warn!("the spool is over forward.spool_bytes; {lost} records were dropped, oldest first");
        let kept = write_cursor(&self.cursor, &self.sent).map_err(|error| Chain(&error).to_string());
        self.reader = self.log.read_from(&self.sent);
        self.descriptions.due = true;
        let trimmed =
            kept.and_then(|()| self.log.trim(&self.sent).map_err(|error| Chain(&error).to_string()));
        if let Err(error) = trimmed {
            tracing::warn!("trimming the spool: {error}");
        }
    }
}

/// One offset a line. A file that is not there or not whole means: from the start; the server knows duplicates.
fn read_cursor(path: &Path) -> Offsets {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let offsets: Vec<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    offsets.try_into().unwrap_or([0; PARTITIONS])
}

fn write_cursor(path: &Path, offsets: &Offsets) -> std::io::Result<()> {
    let text: String = offsets.iter().map(|offset| format!("{offset}\n")).collect();
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text)?;
    // Losing the newest cursor to a crash only sends some records again.
    std::fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_survives_and_damage_means_from_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sent");
        let mut offsets = [0; PARTITIONS];
        offsets[5] = 77;
        assert_eq!(read_cursor(&path), [0; PARTITIONS]);
        write_cursor(&path, &offsets).unwrap();
        assert_eq!(read_cursor(&path), offsets);
        std::fs::write(&path, "1\n2\n").unwrap();
        assert_eq!(read_cursor(&path), [0; PARTITIONS]);
    }
}
