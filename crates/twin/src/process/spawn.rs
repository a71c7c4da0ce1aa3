//! Starts processes that end with this one, confined before their first instruction.
//!
//! The kernel's parent-death signal follows the *thread* that started a process, so one thread that never ends starts
//! them all.
#![allow(unsafe_code)] // prctl, setpriority, setrlimit and kill have no safe counterpart in the standard library.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use crate::owner::Role;

/// How a process is confined from its start.
#[derive(Debug)]
pub(crate) struct Cage {
    /// `cgroup.procs` of the groups that it joins, open for writing.
    pub joins: Vec<File>,
    /// Decides its nice value.
    pub role: Role,
    /// Limit of its address space in bytes, where no group limits its memory.
    pub address_space: Option<u64>,
}

type Job = Box<dyn FnOnce() + Send>;

/// The thread that starts processes.
fn nursery() -> &'static Mutex<Sender<Job>> {
    static NURSERY: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    NURSERY.get_or_init(|| {
        let (jobs, todo) = mpsc::channel::<Job>();
        // Where it cannot be started, `spawn` finds the channel closed and says so.
        let _ = thread::Builder::new()
            .name("twin-nursery".into())
            .stack_size(256 << 10)
            .spawn(move || todo.into_iter().for_each(|job| job()));
        Mutex::new(jobs)
    })
}

/// Starts a command in a cage. It is killed when this process ends, however that ends.
pub(crate) fn spawn(mut command: Command, cage: Cage) -> io::Result<Child> {
    let parent = std::process::id();
    command.process_group(0);
    // SAFETY: the closure runs between fork and exec and makes only async-signal-safe calls; it allocates nothing.
    unsafe { command.pre_exec(move || confine(&cage, parent)) };
    let (done, result) = mpsc::sync_channel(1);
    let job: Job = Box::new(move || {
        // The asker waits below; if it is gone, the child is dropped, and ends with this process.
        let _ = done.send(command.spawn());
    });
    let closed = || io::Error::other("the thread that starts processes is not there");
    nursery().lock().unwrap_or_else(PoisonError::into_inner).send(job).map_err(|_| closed())?;
    result.recv().map_err(|_| closed())?
}

/// Runs in the child before exec.
fn confine(cage: &Cage, parent: u32) -> io::Result<()> {
    // SAFETY: plain system calls on constants, on descriptors that live as long as the closure, and on live locals.
    unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
            return Err(io::Error::last_os_error());
        }
        // The parent may have ended before the call.
        if libc::getppid().cast_unsigned() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        for group in &cage.joins {
            // Zero is the writer itself.
            if libc::write(group.as_raw_fd(), b"0".as_ptr().cast(), 1) != 1 {
                return Err(io::Error::last_os_error());
            }
        }
        // The first to go when memory is short; not permitted is not fatal, the runner tries again.
        let badness = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if badness >= 0 {
            libc::write(badness, b"1000".as_ptr().cast(), 4);
            libc::close(badness);
        }
        if cage.role == Role::Replay {
            // Lowering one's own priority is always permitted.
            libc::setpriority(libc::PRIO_PROCESS, 0, 19);
        }
        if let Some(bytes) = cage.address_space {
            let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
            if libc::setrlimit(libc::RLIMIT_AS, &raw const limit) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// Changes the limit of the address space of a process that runs.
pub(crate) fn limit_address_space(pid: u32, bytes: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: the pointers are to a live local, and none.
    let done =
        unsafe { libc::prlimit(pid.cast_signed(), libc::RLIMIT_AS, &raw const limit, std::ptr::null_mut()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets writes return instead of waiting.
pub(crate) fn set_nonblocking(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the calls take no pointer, and the descriptor is borrowed, so it is open.
    let done = unsafe {
        let flags = libc::fcntl(file.as_raw_fd(), libc::F_GETFL);
        libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK)
    };
    if done >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: the call takes no pointer.
    if unsafe { libc::kill(pid.cast_signed(), signal) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
