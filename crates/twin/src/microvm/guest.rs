//! A guest that runs: its process, its channel, and what it said last.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Instant;

use foretwin_core::{Fidelity, Order};
use serde_json::{Value, json};

use super::machine::{Places, guest_mib, outer};
use super::qmp;
use crate::Error;
use crate::frames::{Channel, LAST_WORDS, Sink, Stream};
use crate::input::Input;
use crate::owner::Role;
use crate::process::{Cell, OrderFile, Reaped, code, last_line, spawn};
use crate::spec::{Confinement, Exit, Resources, Spec, Traffic};
use crate::substrate::Running;

/// One guest. Fields are dropped in this order: QEMU ends before its group and its files are removed.
pub(super) struct Guest {
    label: String,
    channel: Channel,
    input: Input,
    child: Reaped,
    exit: Option<Exit>,
    places: Places,
    _order: OrderFile,
    cell: Cell,
    role: Role,
    mib: u64,
}

/// What a guest is made of, before it runs.
pub(super) struct Parts {
    pub command: Command,
    pub places: Places,
    pub order: OrderFile,
    pub cell: Cell,
}

impl Guest {
    /// Starts QEMU and listens to its guest.
    pub fn start(parts: Parts, spec: &Spec, sink: &Sink) -> Result<Self, Error> {
        let Parts { command, places, order, cell } = parts;
        let program = command.get_program().into();
        // QEMU maps far more than it touches: without a group that holds its memory, nothing here does.
        let cage = cell.cage(&Spec { resources: Resources::default(), ..spec.clone() });
        let child = cage.and_then(|cage| spawn(command, cage));
        let child = Reaped(child.map_err(|source| Error::Start { program, source })?);
        let (socket, input) = (places.frames.clone(), Input::default());
        let theirs = input.clone();
        let open = move || {
            let stream = UnixStream::connect(&socket)?;
            theirs.connect(&stream)?;
            Ok(Some(Box::new(stream) as Stream))
        };
        let channel = Channel::read((spec.label.clone(), Fidelity::Microvm), sink.clone(), open);
        let label = spec.label.as_str().to_owned();
        let channel = channel.map_err(Error::twin("read", &label))?;
        let (role, mib) = (spec.role(), guest_mib(&spec.resources));
        Ok(Self { label, channel, input, child, exit: None, places, _order: order, cell, role, mib })
    }

    /// What the guest, or QEMU itself, said last.
    fn last_words(&mut self) -> Option<String> {
        let theirs = self.child.0.stderr.take().and_then(last_line);
        theirs.or_else(|| fs::File::open(&self.places.serial).ok().and_then(last_line))
    }
}

impl Running for Guest {
    fn poll(&mut self) -> Option<Exit> {
        if self.exit.is_none()
            && let Ok(Some(status)) = self.child.0.try_wait()
        {
            self.channel.settle(LAST_WORDS);
            let said = self.last_words();
            self.exit = Some(Exit { code: code(status), out_of_memory: self.cell.out_of_memory(), said });
        }
        self.exit.clone()
    }

    fn command(&mut self, order: &Order) -> Result<(), Error> {
        self.input.tell(order).map_err(Error::twin("command", &self.label))
    }

    fn resize(&mut self, resources: &Resources) -> Result<(), Error> {
        let mib = guest_mib(resources);
        if mib > self.mib {
            let source =
                io::Error::new(io::ErrorKind::Unsupported, "a guest cannot grow beyond what it booted with");
            return Err(Error::twin("resize", &self.label)(source));
        }
        let value = json!({ "value": mib << 20 });
        let told = qmp::execute(&self.places.control, "balloon", &value);
        told.map_err(Error::twin("resize", &self.label))?;
        // The group keeps room for the whole guest: the balloon takes its time.
        let memory_bytes =
            outer(&Resources { memory_bytes: Some(self.mib << 20), ..*resources }).memory_bytes;
        self.cell.resize(self.child.0.id(), self.role, &Resources { memory_bytes, pids: None, ..*resources })
    }

    fn pause(&mut self, paused: bool) -> Result<(), Error> {
        let command = if paused { "stop" } else { "cont" };
        let told = qmp::execute(&self.places.control, command, &Value::Object(serde_json::Map::new()));
        told.map(|_| ()).map_err(Error::twin("pause", &self.label))
    }

    fn confinement(&self) -> Confinement {
        self.cell.confinement()
    }

    fn pid(&self) -> Option<u32> {
        self.exit.is_none().then(|| self.child.0.id())
    }

    fn traffic(&self) -> (Traffic, Option<Instant>) {
        (self.channel.traffic(), self.channel.last())
    }
}
