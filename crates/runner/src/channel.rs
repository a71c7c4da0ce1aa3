//! Where frames go, and where further orders come from: never waits for whoever reads, and finds a reader again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::time::Duration;

use foretwin_core::Order;
use foretwin_wire::order;

use crate::fault::Failure;
use crate::options::{Control, Report};
use crate::sys;

/// What happens to a runner from outside.
#[derive(Debug)]
pub enum Event {
    /// Do this from now on.
    Order(Box<Order>),
    /// A commanded fault has met its limit: say so and end.
    Failed(Failure),
    /// Say a last word and end.
    End,
}

#[derive(Debug)]
enum Open {
    Stdout(io::Stdout),
    File(File),
    Unix(UnixStream),
}

impl Open {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdout(stdout) => stdout.as_fd(),
            Self::File(file) => file.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            // Past the line buffer of the standard library, which would hold a part back.
            Self::Stdout(stdout) => stdout.write_all(bytes).and_then(|()| stdout.flush()),
            Self::File(file) => file.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }

    fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Stdout(_) => Box::new(io::stdin()),
            Self::File(file) => Box::new(file.try_clone()?),
            Self::Unix(stream) => Box::new(stream.try_clone()?),
        })
    }
}

/// The way out.
#[derive(Debug)]
pub struct Channel {
    to: Report,
    control: Control,
    events: Sender<Event>,
    open: Option<Open>,
}

impl Channel {
    /// Nothing is opened before the first frame.
    pub fn new(to: Report, control: Control, events: Sender<Event>) -> Self {
        if control == Control::Stdin {
            listen(Box::new(io::stdin()), events.clone(), false);
        }
        Self { to, control, events, open: None }
    }

    /// Sends bytes if somebody takes them now; else they are lost, and the numbers of the frames will tell.
    pub fn send(&mut self, bytes: &[u8]) {
        if self.open.is_none() {
            self.open = self.connect().ok();
        }
        let Some(open) = &mut self.open else { return };
        // A reader that is full is not waited for: probes that pile up would no longer tell of the present.
        if !sys::is_writable(open.fd()) {
            return;
        }
        if open.write(bytes).is_err() {
            self.open = None;
            // Whoever started us through a pipe is gone for good.
            if self.to == Report::Stdout {
                let _ = self.events.send(Event::End);
            }
        }
    }

    fn connect(&self) -> io::Result<Open> {
        let device = |path: PathBuf| OpenOptions::new().read(true).write(true).open(path).map(Open::File);
        let open = match &self.to {
            Report::Stdout => Open::Stdout(io::stdout()),
            Report::File(path) => Open::File(OpenOptions::new().create(true).append(true).open(path)?),
            Report::Unix(path) => Open::Unix(UnixStream::connect(path)?),
            Report::Virtio(name) => device(virtio_port(name)?)?,
            Report::Serial => {
                let open = device("/dev/ttyS0".into())?;
                sys::make_raw(open.fd());
                open
            }
        };
        if self.control == Control::Report {
            // A device outlives whoever reads it at the other end.
            let stays = matches!(open, Open::File(_));
            listen(open.reader()?, self.events.clone(), stays);
        }
        Ok(open)
    }
}

/// The device of the port with this name, as the kernel lists it; no udev is needed to find it.
fn virtio_port(name: &str) -> io::Result<PathBuf> {
    for entry in fs::read_dir("/sys/class/virtio-ports")? {
        let entry = entry?;
        let told = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if told.trim() == name {
            return Ok(PathBuf::from("/dev").join(entry.file_name()));
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Reads orders until the far end is gone, or for ever where it may come back.
fn listen(mut from: Box<dyn Read + Send>, events: Sender<Event>, stays: bool) {
    let work = move || {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(length) = from.read(&mut piece) {
            if length == 0 && stays {
                std::thread::sleep(Duration::from_millis(500));
            } else if length == 0 {
                break;
            }
            bytes.extend_from_slice(&piece[..length]);
            if let Err(error) = take_orders(&mut bytes, &events) {
                // Where the next order begins is not known any more.
                eprintln!("{error}");
                bytes.clear();
            }
        }
    };
    // Without the thread there is no control, and the runner goes on with what it has.
    let _ = std::thread::Builder::new().name("control".into()).stack_size(128 << 10).spawn(work);
}

fn take_orders(bytes: &mut Vec<u8>, events: &Sender<Event>) -> Result<(), foretwin_wire::Error> {
    while let Some(length) = order::length(bytes)? {
        if bytes.is_empty() || bytes.len() < length {
            break;
        }
        let order = order::decode(&bytes[..length]);
        bytes.drain(..length);
        let _ = events.send(Event::Order(Box::new(order?)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_taken_as_they_come() {
        let (events, seen) = std::sync::mpsc::channel();
        let mut stream = Vec::new();
        for seed in [3, 4] {
            order::encode(&Order { seed, ..Order::default() }, &mut stream);
        }
        let mut bytes = Vec::new();
        for byte in stream {
            bytes.push(byte);
            take_orders(&mut bytes, &events).unwrap();
        }
        let seeds: Vec<u64> = seen
            .try_iter()
            .map(|event| match event {
                Event::Order(order) => order.seed,
                Event::End | Event::Failed(_) => 0,
            })
            .collect();
        assert_eq!(seeds, [3, 4]);
        assert!(take_orders(&mut b"garbage".to_vec(), &events).is_err());
    }

    #[test]
    fn a_reader_that_comes_late_gets_what_is_sent_then() {
        let path = std::env::temp_dir().join(format!("foretwin-channel-{}", std::process::id()));
        let (events, _seen) = std::sync::mpsc::channel();
        let mut channel = Channel::new(Report::Unix(path.clone()), Control::None, events);
        channel.send(b"lost");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        channel.send(b"here");
        let mut told = [0; 4];
        listener.accept().unwrap().0.read_exact(&mut told).unwrap();
        assert_eq!(&told, b"here");
        fs::remove_file(&path).unwrap();
    }
}
