//! The system calls that the standard library does not offer: clocks, maps, priorities, signals.
#![allow(unsafe_code)] // Each call is wrapped once, here, so that the rest of the runner is safe code.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes of a page on every machine that this runs on.
pub const PAGE: usize = 4096;

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live local of the type the call fills; the clocks asked for always exist.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds on the clock that only goes forward.
pub fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// Microseconds since the Unix epoch.
pub fn wall_us() -> i64 {
    (clock_ns(libc::CLOCK_REALTIME) / 1000).cast_signed()
}

/// Nanoseconds of CPU time that this thread has used.
pub fn thread_cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Sleeps until a moment of the monotonic clock.
pub fn sleep_until(deadline_ns: u64) {
    let deadline = libc::timespec {
        tv_sec: (deadline_ns / 1_000_000_000) as _,
        tv_nsec: (deadline_ns % 1_000_000_000) as _,
    };
    let (clock, flags) = (libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME);
    // SAFETY: the deadline is a live local; the time that remains is not asked for.
    while unsafe { libc::clock_nanosleep(clock, flags, &raw const deadline, std::ptr::null_mut()) }
        == libc::EINTR
    {}
}

/// Memory of one's own, by pages.
#[derive(Debug)]
pub struct Map {
    at: *mut u8,
    length: usize,
}

// SAFETY: the map is owned by one value and reached only through it; nothing of it is bound to a thread.
unsafe impl Send for Map {}

impl Map {
    /// Fresh anonymous memory of whole pages, without huge ones.
    ///
    /// # Errors
    /// If the system has none left to give.
    pub fn anonymous(length: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let map = Self::new(length, libc::PROT_READ | libc::PROT_WRITE, flags, -1)?;
        map.advise(0..map.length, libc::MADV_NOHUGEPAGE);
        Ok(map)
    }

    /// A file's pages, to read.
    ///
    /// # Errors
    /// If the file cannot be mapped.
    pub fn file(file: &File, length: usize) -> io::Result<Self> {
        let map = Self::new(length, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd())?;
        map.advise(0..map.length, libc::MADV_RANDOM);
        Ok(map)
    }

    fn new(length: usize, protection: i32, flags: i32, fd: i32) -> io::Result<Self> {
        let length = length.next_multiple_of(PAGE).max(PAGE);
        // SAFETY: a new map at a place of the kernel's choice touches no memory that exists.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, fd, 0) };
        if at == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(Self { at: at.cast(), length })
        }
    }

    /// Bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    fn advise(&self, bytes: std::ops::Range<usize>, advice: i32) -> bool {
        let bytes = bytes.start.min(self.length)..bytes.end.min(self.length);
        // SAFETY: the range lies within the map, which is of whole pages and holds no Rust values.
        unsafe { libc::madvise(self.at.add(bytes.start).cast(), bytes.len(), advice) == 0 }
    }

    /// Gives the pages back; they read as zero afterwards.
    pub fn give_back(&self, bytes: std::ops::Range<usize>) -> bool {
        self.advise(bytes, libc::MADV_DONTNEED)
    }

    /// Asks the kernel to reclaim the pages now (Linux 5.4).
    pub fn page_out(&self) -> bool {
        self.advise(0..self.length, libc::MADV_PAGEOUT)
    }

    /// How many pages are in memory.
    pub fn resident_pages(&self) -> usize {
        let mut states = vec![0u8; self.length / PAGE];
        // SAFETY: the vector has one byte per page of the map.
        let done = unsafe { libc::mincore(self.at.cast(), self.length, states.as_mut_ptr()) } == 0;
        if done { states.iter().filter(|state| **state & 1 != 0).count() } else { 0 }
    }

    /// Reads the byte at a place; the compiler cannot leave it out.
    pub fn load(&self, at: usize) -> u8 {
        assert!(at < self.length);
        // SAFETY: within the map, as just checked.
        unsafe { self.at.add(at).read_volatile() }
    }

    /// Writes the byte at a place of anonymous memory; the compiler cannot leave it out.
    pub fn store(&self, at: usize, value: u8) {
        assert!(at < self.length);
        // SAFETY: within the map, as just checked; anonymous maps are writable, and only they are written to.
        unsafe { self.at.add(at).write_volatile(value) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the map was made by `new`, and nothing borrows from it.
        unsafe { libc::munmap(self.at.cast(), self.length) };
    }
}

/// What the kernel counted for this thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Times that it was taken off its CPU.
    pub preempted: u64,
    /// Page faults without I/O.
    pub minor_faults: u64,
    /// Page faults with I/O.
    pub major_faults: u64,
}

/// Counters of this thread.
pub fn thread_usage() -> Usage {
    // SAFETY: all-zero bytes are a valid rusage, and the call fills it.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live local.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    Usage {
        preempted: usage.ru_nivcsw as u64,
        minor_faults: usage.ru_minflt as u64,
        major_faults: usage.ru_majflt as u64,
    }
}

/// Makes this thread the last that the scheduler serves: nice 19, and as a batch.
pub fn lowest_priority() {
    // SAFETY: plain numbers, of which zero is one.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: 0 is the calling thread; the parameters are a live local. A refusal leaves the priority as it was.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters);
        libc::setpriority(libc::PRIO_PROCESS, 0, 19);
    }
}

/// Keeps this thread on some CPUs. None means any; a set without a usable CPU changes nothing.
pub fn stay_on(cpus: &[u32]) {
    if cpus.is_empty() {
        return;
    }
    // SAFETY: all-zero bytes are an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in cpus.iter().filter(|cpu| **cpu < libc::CPU_SETSIZE as u32) {
        // SAFETY: the index was checked against the set's size.
        unsafe { libc::CPU_SET(*cpu as usize, &mut set) };
    }
    // SAFETY: the set is a live local of the size given.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
}

/// Ends sleeps of this thread when they should end, not up to 50 us later.
pub fn exact_timers() {
    // SAFETY: sets one number of the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
}

/// Has the kernel end this process when its parent ends.
pub fn die_with_parent() {
    // SAFETY: sets one number of the calling process.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Number of the parent process.
pub fn parent() -> i32 {
    // SAFETY: reads one number.
    unsafe { libc::getppid() }
}

/// Blocks the signals that end a process politely, in this thread and those it starts; to be called first.
pub fn hold_signals() {
    // SAFETY: the set is made before it is used.
    unsafe {
        let set = ending();
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// Waits for one of them.
pub fn await_signal() {
    let mut signal = 0;
    // SAFETY: the set is made before it is used, and the number is a live local.
    unsafe {
        let set = ending();
        libc::sigwait(&raw const set, &raw mut signal);
    }
}

unsafe fn ending() -> libc::sigset_t {
    // SAFETY: sigemptyset makes any bytes a set.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        [libc::SIGTERM, libc::SIGINT].iter().for_each(|signal| {
            libc::sigaddset(&raw mut set, *signal);
        });
        set
    }
}

/// Whether a frame can be written without waiting.
pub fn is_writable(fd: BorrowedFd) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one live element; a timeout of zero does not wait.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
}

/// Lets a serial line carry bytes as they are. What is no terminal stays as it is.
pub fn make_raw(fd: BorrowedFd) {
    // SAFETY: the settings are a live local, filled by the first call before the others read them.
    unsafe {
        let mut settings = std::mem::zeroed();
        if libc::tcgetattr(fd.as_raw_fd(), &raw mut settings) == 0 {
            libc::cfmakeraw(&raw mut settings);
            libc::tcsetattr(fd.as_raw_fd(), libc::TCSANOW, &raw const settings);
        }
    }
}

/// Has the page cache forget a part of a file, so that the next read comes from the device.
pub fn forget_cached(file: &File, from: u64, bytes: u64) {
    let (from, bytes) = (from as libc::off_t, bytes as libc::off_t);
    // SAFETY: an advice on an open descriptor; it touches no memory of ours.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), from, bytes, libc::POSIX_FADV_DONTNEED) };
}

/// Mounts a file system of the kernel's own.
///
/// # Errors
/// As the kernel says.
pub fn mount(what: &str, kind: &str, place: &str) -> io::Result<()> {
    let [what, kind, place] = [what, kind, place].map(CString::new);
    let (what, kind, place) = (what?, kind?, place?);
    // SAFETY: three strings that end in zero and live until the call returns; no data is passed.
    let done = unsafe { libc::mount(what.as_ptr(), place.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Loads a kernel module; one that is there already is fine.
///
/// # Errors
/// As the kernel says: most often a symbol of a module that is not loaded yet.
pub fn load_module(file: &File, is_packed: bool) -> io::Result<()> {
    // MODULE_INIT_COMPRESSED_FILE (Linux 5.17).
    let flags = if is_packed { 4 } else { 0 };
    // SAFETY: an open file, an empty string that ends in zero, and flags.
    let done = unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), flags) };
    let error = io::Error::last_os_error();
    if done == 0 || error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
}

/// Brings the loopback interface up; nobody else does in a machine of our own.
pub fn raise_loopback() {
    // SAFETY: all-zero bytes are a valid request; the name fits with its zero; the descriptor is ours and closed.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if socket >= 0 {
            libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw mut request);
            libc::close(socket);
        }
    }
}

/// Ends the machine: by a restart, which a microVM without power management turns into its end.
pub fn power_off() {
    // SAFETY: the call takes one number, and does not return if it is allowed.
    unsafe {
        libc::reboot(libc::RB_AUTOBOOT);
    }
}

/// The signal by which the kernel takes a process's memory back.
pub const KILL: i32 = libc::SIGKILL;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this code.
    Code(i32),
    /// By this signal.
    Killed(i32),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "the runner ended with code {code}"),
            Self::Killed(signal) => write!(f, "the runner was killed by signal {signal}"),
        }
    }
}

/// Splits this process in two; in the first one the child's number. None in the child, and if there is none. Only
/// while there is one thread.
pub fn fork() -> Option<i32> {
    // SAFETY: called before any thread starts, so that no lock is held that the child would find taken.
    let child = unsafe { libc::fork() };
    (child > 0).then_some(child)
}

/// Waits for a child; others that end meanwhile, orphans of it, are buried.
pub fn await_child(child: i32) -> Option<Ended> {
    loop {
        let mut status = 0;
        // SAFETY: the status is a live local.
        let ended = unsafe { libc::waitpid(-1, &raw mut status, 0) };
        if ended == child && libc::WIFSIGNALED(status) {
            return Some(Ended::Killed(libc::WTERMSIG(status)));
        } else if ended == child {
            return Some(Ended::Code(libc::WEXITSTATUS(status)));
        } else if ended < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
}
