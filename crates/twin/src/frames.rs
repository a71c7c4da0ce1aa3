//! Reads what runners report, one thread for each channel, and opens a broken channel again.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use foretwin_core::probe::Field;
use foretwin_core::{Fidelity, InstanceId, Storage, Value};
use foretwin_wire::frame::{Frame, Reader};

use crate::spec::Traffic;

/// One frame of a twin, with what it ran in.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Whose.
    pub label: InstanceId,
    /// What it ran in.
    pub fidelity: Fidelity,
    /// What it says.
    pub frame: Frame,
}

impl Report {
    /// Its numbers in the order of `fields`, missing where it has none: a row of the schema that
    /// [`foretwin_core::probe::schema`] makes of the same fields.
    #[must_use]
    pub fn values(&self, fields: &[Field]) -> Vec<Value> {
        fields.iter().map(|field| Value::from_f64(self.frame.get(*field), Storage::F64)).collect()
    }
}

/// Where reports go. It is bounded: what nobody takes is counted, not kept.
pub type Sink = SyncSender<Report>;

/// Pause before a channel is opened again.
const REOPEN: Duration = Duration::from_millis(200);

/// What the reading thread and its owner share.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Whether a stream is being read.
    reading: AtomicBool,
    frames: AtomicU64,
    lost: AtomicU64,
    damaged_bytes: AtomicU64,
    refused: AtomicU64,
    opened: AtomicU64,
    last: Mutex<Option<Instant>>,
}

/// The reading end of a runner's channel. Dropping it ends the reading, at the latest when the channel closes or its
/// read time is out.
#[derive(Debug)]
pub(crate) struct Channel(Arc<Shared>);

/// How long the end of a channel may take to be read once its writer has ended.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(500);

/// A stream of a channel that is open.
pub(crate) type Stream = Box<dyn Read + Send>;

impl Channel {
    /// Reads frames of `label` into `sink`. `open` gives the stream; when that ends, it is asked again, until it says
    /// that there is none any more. Streams should have a read time-out of at most a second, so that dropping the
    /// channel is noticed.
    pub fn read(
        (label, fidelity): (InstanceId, Fidelity),
        sink: Sink,
        open: impl FnMut() -> io::Result<Option<Stream>> + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let reading = Reading { label, fidelity, sink, shared: theirs };
        thread::Builder::new()
            .name("twin-frames".into())
            .stack_size(128 << 10)
            .spawn(move || reading.run(open))?;
        Ok(Self(shared))
    }

    /// What came so far.
    pub fn traffic(&self) -> Traffic {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Traffic {
            frames: load(&self.0.frames),
            lost: load(&self.0.lost),
            damaged_bytes: load(&self.0.damaged_bytes),
            refused: load(&self.0.refused),
            reconnects: load(&self.0.opened).saturating_sub(1),
        }
    }

    /// Waits, not longer than `most`, until a stream whose writer has ended is read to its end: the last frame often
    /// says why.
    pub fn settle(&self, most: Duration) {
        let deadline = Instant::now() + most;
        while self.0.reading.load(Ordering::Acquire) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// When the last frame came.
    pub fn last(&self) -> Option<Instant> {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

struct Reading {
    label: InstanceId,
    fidelity: Fidelity,
    sink: Sink,
    shared: Arc<Shared>,
}

impl Reading {
    fn run(self, mut open: impl FnMut() -> io::Result<Option<Stream>>) {
        // One reader for all streams of the channel: numbers go on across them, so losses between are counted.
        let mut reader = Reader::default();
        while !self.stopped() {
            match open() {
                Ok(None) => return,
                Ok(Some(stream)) => {
                    self.shared.opened.fetch_add(1, Ordering::Relaxed);
                    self.shared.reading.store(true, Ordering::Release);
                    self.drain(stream, &mut reader);
                    self.shared.reading.store(false, Ordering::Release);
                }
                Err(error) => tracing::debug!(twin = %self.label, %error, "channel is not open yet"),
            }
            thread::sleep(REOPEN);
        }
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    fn drain(&self, mut stream: Stream, reader: &mut Reader) {
        let mut buffer = [0; 8192];
        while !self.stopped() {
            match stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => self.take(&buffer[..read], reader),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {}
                    _ => return,
                },
            }
        }
    }

    fn take(&self, bytes: &[u8], reader: &mut Reader) {
        reader.push(bytes);
        for frame in reader.by_ref() {
            self.shared.frames.fetch_add(1, Ordering::Relaxed);
            *self.shared.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            let report = Report { label: self.label.clone(), fidelity: self.fidelity, frame };
            match self.sink.try_send(report) {
                Ok(()) => {}
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    self.shared.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        self.shared.lost.store(reader.lost(), Ordering::Relaxed);
        self.shared.damaged_bytes.store(reader.skipped_bytes(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::{MISSING, Timestamp};
    use foretwin_wire::frame;
    use std::sync::mpsc;

    fn bytes(sequence: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let values = vec![(Field::Ticks, 10.0)];
        frame::encode(&Frame { sequence, monotonic_us: 0, wall: Timestamp(0), values }, &mut bytes);
        bytes
    }

    #[test]
    fn a_broken_channel_is_opened_again_and_losses_are_counted() {
        let (sink, reports) = mpsc::sync_channel(8);
        // The first stream breaks within frame 1; the second begins within frame 3.
        let first = [bytes(0), bytes(1)[..20].to_vec()].concat();
        let second = [bytes(3)[10..].to_vec(), bytes(4), bytes(5)].concat();
        let mut streams = vec![second, first];
        let open = move || Ok(streams.pop().map(|bytes| Box::new(io::Cursor::new(bytes)) as Stream));
        let channel = Channel::read((InstanceId::new("h/a~twin"), Fidelity::Process), sink, open).unwrap();
        let got: Vec<u64> = reports.iter().map(|report| report.frame.sequence).collect();
        assert_eq!(got, [0, 4, 5]);
        let traffic = channel.traffic();
        assert_eq!((traffic.frames, traffic.lost, traffic.reconnects, traffic.refused), (3, 3, 1, 0));
        assert!(traffic.damaged_bytes > 0 && channel.last().is_some());
    }

    #[test]
    fn a_report_becomes_a_row() {
        let frame = Frame {
            sequence: 0,
            monotonic_us: 0,
            wall: Timestamp(0),
            values: vec![(Field::TcpP90, 0.5), (Field::Ticks, 10.0)],
        };
        let report = Report { label: InstanceId::new("x"), fidelity: Fidelity::Process, frame };
        let row = report.values(&[Field::Ticks, Field::TcpP50, Field::TcpP90]);
        assert_eq!(row, [Value::float(10.0), MISSING, Value::float(0.5)]);
    }

    #[test]
    fn what_nobody_takes_is_counted() {
        let (sink, reports) = mpsc::sync_channel(1);
        let mut streams = vec![(0..5).flat_map(bytes).collect::<Vec<u8>>()];
        let open = move || Ok(streams.pop().map(|bytes| Box::new(io::Cursor::new(bytes)) as Stream));
        let channel = Channel::read((InstanceId::new("x"), Fidelity::Model), sink, open).unwrap();
        while channel.traffic().frames < 5 {
            thread::yield_now();
        }
        assert_eq!(reports.iter().count(), 1);
        assert_eq!(channel.traffic().refused, 4);
    }
}
