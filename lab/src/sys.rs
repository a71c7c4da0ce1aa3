//! The system calls that the standard library does not offer, each behind a safe function.

// Every call below passes valid pointers to memory that outlives it, and checks the result.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

static STOPPED: AtomicBool = AtomicBool::new(false);

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(io::Error::from)
}

/// Seconds on the monotonic clock, which the lab and its workers share.
pub fn monotonic_s() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

/// Processor seconds that the calling thread has used.
pub fn thread_cpu_s() -> f64 {
    let mut used = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut used) };
    used.tv_sec as f64 + used.tv_nsec as f64 * 1e-9
}

/// The effective user.
pub fn user() -> u32 {
    unsafe { libc::geteuid() }
}

extern "C" fn note_stop(_: libc::c_int) {
    // A second signal finds the default action again, so that a hanging lab can still be ended.
    if STOPPED.swap(true, Ordering::SeqCst) {
        unsafe { libc::_exit(130) };
    }
}

/// From now on SIGINT and SIGTERM only set what [`stopped`] reads, so that runs can be cleaned up.
pub fn catch_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        unsafe { libc::signal(signal, note_stop as *const () as libc::sighandler_t) };
    }
}

/// Whether the lab was asked to end.
pub fn stopped() -> bool {
    STOPPED.load(Ordering::SeqCst)
}

/// Has the kernel kill this process when the thread that started it ends.
///
/// # Errors
/// If `parent` is gone already.
pub fn die_with(parent: u32) -> io::Result<()> {
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    if unsafe { libc::getppid() } == parent.cast_signed() {
        Ok(())
    } else {
        Err(io::Error::other("the lab that started this worker is gone"))
    }
}

/// Huge pages would charge two megabytes at the first touched byte and blur every rate.
pub fn refuse_huge_pages() {
    // Old kernels lack it; then rates are blurred, nothing worse.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// Resources that a process may limit for itself.
#[derive(Debug, Clone, Copy)]
pub enum Resource {
    /// Address space, bytes.
    AddressSpace,
    /// Open descriptors.
    Descriptors,
    /// Bytes of a core dump.
    Core,
}

/// Limits a resource of this process, soft and hard.
///
/// # Errors
/// If the hard limit is lower already.
pub fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let name = match resource {
        Resource::AddressSpace => libc::RLIMIT_AS,
        Resource::Descriptors => libc::RLIMIT_NOFILE,
        Resource::Core => libc::RLIMIT_CORE,
    };
    let value = libc::rlimit { rlim_cur: value, rlim_max: value };
    check(unsafe { libc::setrlimit(name, &value) })
}

/// A descriptor that becomes readable when the process ends.
///
/// # Errors
/// If there is no such process, or the kernel is older than 5.3.
pub fn watch_process(pid: u32) -> io::Result<OwnedFd> {
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::pid_t::try_from(pid).unwrap_or(-1), 0) };
    let fd = i32::try_from(fd).unwrap_or(-1);
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}

/// Waits until one of two descriptors can be read or has ended, at most `wait`; says which.
///
/// # Errors
/// What the system says; an interruption by a signal is no error.
pub fn wait_readable(fds: [BorrowedFd<'_>; 2], wait: Duration) -> io::Result<[bool; 2]> {
    let mut polled = fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let wait_ms = i32::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    if unsafe { libc::poll(polled.as_mut_ptr(), 2, wait_ms) } < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok([false; 2]) } else { Err(error) };
    }
    Ok(polled.map(|fd| fd.revents != 0))
}

/// Kills a process; one that is gone already is no error.
pub fn kill(pid: u32) {
    if let Ok(pid) = libc::pid_t::try_from(pid) {
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

/// Moves this process into a network of its own, which ends with it.
///
/// # Errors
/// Where the user may not.
pub fn leave_network() -> io::Result<()> {
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })
}

/// Mounts a small file system in memory under the given source name.
///
/// # Errors
/// Where the user may not mount.
pub fn mount_tmpfs(target: &Path, source: &str, bytes: u64, inodes: u64) -> io::Result<()> {
    let options = CString::new(format!("size={bytes},nr_inodes={inodes},mode=0755"))?;
    let (target, source) = (c_path(target)?, CString::new(source)?);
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    check(unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), flags, options.as_ptr().cast())
    })
}

/// Unmounts, at once if idle and otherwise as soon as it is.
///
/// # Errors
/// What the system says.
pub fn unmount(target: &Path) -> io::Result<()> {
    check(unsafe { libc::umount2(c_path(target)?.as_ptr(), libc::MNT_DETACH) })
}

/// How full a file system is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fullness {
    /// Bytes in use.
    pub used: u64,
    /// Bytes in all.
    pub capacity: u64,
    /// Inodes in use.
    pub inodes_used: u64,
    /// Inodes in all.
    pub inodes: u64,
}

/// How full the file system of `path` is.
///
/// # Errors
/// What the system says.
pub fn fullness(path: &Path) -> io::Result<Fullness> {
    let path = c_path(path)?;
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    check(unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) })?;
    let found = unsafe { found.assume_init() };
    Ok(Fullness {
        used: (found.f_blocks - found.f_bfree) * found.f_frsize,
        capacity: found.f_blocks * found.f_frsize,
        inodes_used: found.f_files - found.f_ffree,
        inodes: found.f_files,
    })
}
