//! Twins as plain processes: in a control group of their own under the original's parent where that is permitted,
//! within rlimits and a nice value where not.

mod groups;
mod leftovers;
mod spawn;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use foretwin_core::{Fidelity, Order};

use crate::frames::{Channel, LAST_WORDS, Sink, Stream};
use crate::input::tell_pipe;
use crate::owner::{LABEL, Owner, Role};
use crate::runner::{self, Runner};
use crate::spec::{Confinement, Exit, Resources, Spec, Traffic};
use crate::substrate::{Running, Substrate};
use crate::{Config, Error};

pub(crate) use groups::{Group, Groups, group_of};
pub(crate) use spawn::{Cage, set_nonblocking, signal, spawn};

/// Address space that a runner needs beside the memory that it is to use: code, stacks, buffers.
const SLACK_BYTES: u64 = 64 << 20;
/// How long a runner may take to write its last frame.
const PARTING: Duration = Duration::from_millis(700);

/// The substrate of plain processes.
#[derive(Debug)]
pub struct ProcessSubstrate {
    owner: Owner,
    config: Config,
    /// Where orders are written for runners to read.
    directory: PathBuf,
    groups: Groups,
}

impl ProcessSubstrate {
    /// Twins of `owner`; `directory` holds what their runners are told.
    ///
    /// # Errors
    /// If the mounted control groups cannot be read.
    pub fn new(owner: &Owner, config: &Config, directory: &Path) -> Result<Self, Error> {
        let groups = Groups::find()?;
        Ok(Self { owner: owner.clone(), config: config.clone(), directory: directory.into(), groups })
    }
}

impl Substrate for ProcessSubstrate {
    fn fidelity(&self) -> Fidelity {
        Fidelity::Process
    }

    fn check(&mut self) -> Result<(), Error> {
        Runner::find(&self.config).map(|_| ())
    }

    fn start(&mut self, spec: &Spec, sink: &Sink) -> Result<Box<dyn Running>, Error> {
        let runner = Runner::find(&self.config)?;
        let name = self.owner.name(spec.role(), &spec.label);
        let order = OrderFile::write(&self.directory, &name, &spec.order)?;
        let label = spec.label.as_str().to_owned();
        let cell = Cell::make(&self.groups, spec, &name)?;
        let mut command = Command::new(&runner.path);
        command
            .args(runner.prefix())
            .arg("--order")
            .arg(&order.0)
            .args(["--report", "stdout", "--control", "stdin", "--die-with-parent"])
            .env_clear()
            .env(LABEL, self.owner.label(&spec.label))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let start = |source| Error::Start { program: runner.path.clone(), source };
        let mut child = spawn(command, cell.cage(spec).map_err(start)?).map_err(start)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        // A pipe has no read time-out, but ends when its runner does, and dropping this twin ends its runner.
        let mut streams = stdout.map(|stdout| Box::new(stdout) as Stream);
        let who = (spec.label.clone(), Fidelity::Process);
        let channel = Channel::read(who, sink.clone(), move || Ok(streams.take()));
        let child = Reaped(child);
        let channel = channel.map_err(Error::twin("read", &label))?;
        Ok(Box::new(ProcessTwin {
            label,
            child,
            stdin,
            channel,
            exit: None,
            _order: order,
            cell,
            role: spec.role(),
        }))
    }

    fn sweep(&mut self, _keep: &[Spec]) -> Result<Vec<String>, Error> {
        // A runner dies with its parent, and its frames went into a pipe that is gone: nothing can be taken over.
        let mut removed = kill_leftovers(&self.owner)?;
        removed.extend(self.groups.remove_owned(&self.owner)?);
        removed.extend(remove_files(&self.directory, &self.owner)?);
        Ok(removed)
    }
}

/// Ends processes of an earlier run.
pub(crate) fn kill_leftovers(owner: &Owner) -> Result<Vec<String>, Error> {
    let killed = leftovers::kill(owner).map_err(Error::file("end processes listed in", "/proc"))?;
    Ok(killed.into_iter().map(|pid| format!("process {pid}")).collect())
}

/// Removes files of a directory whose names the owner gives, whatever their extension.
pub(crate) fn remove_files(directory: &Path, owner: &Owner) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::File { operation: "list", path: directory.into(), source }),
    };
    let mut removed = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| owner.owns(stem)) {
            fs::remove_file(&path).map_err(Error::file("remove", &path))?;
            removed.push(format!("file {}", path.display()));
        }
    }
    Ok(removed)
}

/// A file with an order, removed when dropped.
#[derive(Debug)]
pub(crate) struct OrderFile(pub PathBuf);

impl OrderFile {
    pub fn write(directory: &Path, name: &str, order: &Order) -> Result<Self, Error> {
        let file = Self(directory.join(format!("{name}.order")));
        fs::create_dir_all(directory).map_err(Error::file("make", directory))?;
        // A profile tells when a machine is busy: not for everybody.
        let opened = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&file.0);
        let written = opened.and_then(|mut to| to.write_all(&runner::encode(order)));
        written.map_err(Error::file("write", &file.0))?;
        Ok(file)
    }
}

impl Drop for OrderFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What confines a process: its group, or where there can be none, its rlimits.
#[derive(Debug)]
pub(crate) struct Cell(Option<Group>);

impl Cell {
    pub fn make(groups: &Groups, spec: &Spec, name: &str) -> Result<Self, Error> {
        let group = groups.make(&spec.parent, name);
        if let Some(group) = &group {
            group.limit(spec.role(), &spec.resources)?;
        }
        Ok(Self(group))
    }

    pub fn cage(&self, spec: &Spec) -> io::Result<Cage> {
        let joins = self.0.as_ref().map_or(Ok(Vec::new()), Group::joins)?;
        let bytes = spec.resources.memory_bytes.filter(|_| !self.holds_memory());
        let address_space = bytes.map(|bytes| bytes.saturating_add(SLACK_BYTES));
        Ok(Cage { joins, role: spec.role(), address_space })
    }

    pub fn resize(&self, pid: u32, role: Role, resources: &Resources) -> Result<(), Error> {
        if let Some(group) = &self.0 {
            group.limit(role, resources)?;
        }
        if self.holds_memory() {
            return Ok(());
        }
        let bytes =
            resources.memory_bytes.map_or(libc::RLIM_INFINITY, |bytes| bytes.saturating_add(SLACK_BYTES));
        spawn::limit_address_space(pid, bytes).map_err(Error::twin("resize", &format!("process {pid}")))
    }

    pub fn confinement(&self) -> Confinement {
        match &self.0 {
            Some(group) => {
                Confinement::Group { path: group.path.clone(), controllers: group.controllers().to_vec() }
            }
            None => Confinement::Rlimits,
        }
    }

    pub fn out_of_memory(&self) -> bool {
        self.0.as_ref().is_some_and(|group| group.out_of_memory_kills() > 0)
    }

    fn holds_memory(&self) -> bool {
        self.0.as_ref().is_some_and(|group| group.has("memory"))
    }
}

/// A child that is ended and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Reaped(pub Child);

impl Reaped {
    /// Asks it to end, and waits a little until it has.
    pub fn part(&mut self) {
        if signal(self.0.id(), libc::SIGTERM).is_err() {
            return;
        }
        let deadline = Instant::now() + PARTING;
        while Instant::now() < deadline && matches!(self.0.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail only where it has been reaped already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Most characters of a last line that are told.
const MOST_SAID: usize = 300;

/// What stands last in the pipe of a process that has ended. Runners write there only why they end, so that it does
/// not fill while nobody reads.
pub(crate) fn last_line(mut pipe: impl io::Read) -> Option<String> {
    let mut text = Vec::new();
    // What could be read before an error is worth telling.
    let _ = pipe.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(last.chars().take(MOST_SAID).collect())
}

/// Exit code as a shell tells it.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// One runner as a process. Fields are dropped in this order: the process ends before its group is removed.
struct ProcessTwin {
    label: String,
    child: Reaped,
    stdin: Option<ChildStdin>,
    channel: Channel,
    exit: Option<Exit>,
    _order: OrderFile,
    cell: Cell,
    role: Role,
}

impl Running for ProcessTwin {
    fn poll(&mut self) -> Option<Exit> {
        if self.exit.is_none()
            && let Ok(Some(status)) = self.child.0.try_wait()
        {
            self.channel.settle(LAST_WORDS);
            let said = self.child.0.stderr.take().and_then(last_line);
            self.exit = Some(Exit { code: code(status), out_of_memory: self.cell.out_of_memory(), said });
        }
        self.exit.clone()
    }

    fn command(&mut self, order: &Order) -> Result<(), Error> {
        let stdin = self.stdin.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe));
        let told = stdin.and_then(|stdin| tell_pipe(stdin, order));
        told.map_err(Error::twin("command", &self.label))
    }

    fn resize(&mut self, resources: &Resources) -> Result<(), Error> {
        self.cell.resize(self.child.0.id(), self.role, resources)
    }

    fn pause(&mut self, paused: bool) -> Result<(), Error> {
        let number = if paused { libc::SIGSTOP } else { libc::SIGCONT };
        signal(self.child.0.id(), number).map_err(Error::twin("pause", &self.label))
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

impl Drop for ProcessTwin {
    fn drop(&mut self) {
        if self.exit.is_none() {
            // A stopped process takes no signal but this one.
            let _ = signal(self.child.0.id(), libc::SIGCONT);
            self.child.part();
        }
    }
}
