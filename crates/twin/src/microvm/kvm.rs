//! Whether KVM runs guests at a useful speed: `/dev/kvm` may answer and still emulate, so a small loop is timed.
#![allow(unsafe_code)] // KVM is a set of ioctls on shared memory; none has a safe counterpart in the standard library.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

// Documentation/virt/kvm/api.rst; numbers as <linux/kvm.h> makes them for x86-64.
const CREATE_VM: u64 = 0xae01;
const VCPU_MMAP_SIZE: u64 = 0xae04;
const CREATE_VCPU: u64 = 0xae41;
const SET_USER_MEMORY_REGION: u64 = 0x4020_ae46;
const RUN: u64 = 0xae80;
const SET_REGS: u64 = 0x4090_ae82;
const GET_SREGS: u64 = 0x8138_ae83;
const SET_SREGS: u64 = 0x4138_ae84;
const EXIT_HLT: u32 = 5;

/// Below this many guest instructions a second, translating in software (TCG) is no slower.
pub(super) const USABLE_PER_S: f64 = 1e8;
const GUEST_BYTES: usize = 2 << 12;
const CODE_AT: usize = 0x1000;
/// `dec ecx; jnz -4; hlt` in 16-bit mode: two instructions a round.
const LOOP: [u8; 5] = [0x66, 0x49, 0x75, 0xfc, 0xf4];
/// A first, short run shows what a longer one would take.
const SHORT_ROUNDS: u64 = 50_000;
const LONG_ROUNDS: u64 = 10_000_000;
const PATIENCE: Duration = Duration::from_secs(3);

/// Guest instructions per second, measured in about 0.1 s.
///
/// # Errors
/// If there is no KVM, it may not be used, or it does not get through a short loop.
pub(super) fn instructions_per_s() -> io::Result<f64> {
    let (done, result) = mpsc::sync_channel(1);
    // On a thread of its own: a hypervisor that hangs shall not hang us.
    thread::Builder::new().name("twin-kvm".into()).spawn(move || {
        let _ = done.send(measure());
    })?;
    result.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn measure() -> io::Result<f64> {
    let short = run(SHORT_ROUNDS)?;
    let rate = |rounds: u64, took: Duration| 2.0 * rounds as f64 / took.as_secs_f64().max(1e-9);
    // A machine so slow that the longer run would take seconds is known well enough.
    if rate(SHORT_ROUNDS, short) < USABLE_PER_S / 10.0 {
        return Ok(rate(SHORT_ROUNDS, short));
    }
    Ok(rate(LONG_ROUNDS, run(LONG_ROUNDS)?))
}

/// A mapping that ends with it.
struct Mapping {
    at: *mut u8,
    length: usize,
}

impl Mapping {
    fn new(length: usize, file: Option<&File>) -> io::Result<Self> {
        let kind = if file.is_some() { libc::MAP_SHARED } else { libc::MAP_PRIVATE | libc::MAP_ANONYMOUS };
        let descriptor = file.map_or(-1, AsRawFd::as_raw_fd);
        // SAFETY: a new mapping at an address that the kernel chooses.
        let at = unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(std::ptr::null_mut(), length, access, kind, descriptor, 0)
        };
        if at == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(Self { at: at.cast(), length })
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this length and nothing refers to it any more.
        unsafe { libc::munmap(self.at.cast(), self.length) };
    }
}

/// `struct kvm_userspace_memory_region`.
#[repr(C)]
struct Region {
    slot: u32,
    flags: u32,
    guest_at: u64,
    bytes: u64,
    host_at: u64,
}

/// Runs the loop in a fresh guest and returns how long it took.
fn run(rounds: u64) -> io::Result<Duration> {
    let kvm = OpenOptions::new().read(true).write(true).open("/dev/kvm")?;
    let vm = descriptor(call(&kvm, CREATE_VM, 0)?);
    let memory = Mapping::new(GUEST_BYTES, None)?;
    // SAFETY: the mapping is larger than `CODE_AT` and the loop together.
    unsafe { memory.at.add(CODE_AT).copy_from_nonoverlapping(LOOP.as_ptr(), LOOP.len()) };
    let (bytes, host_at) = (GUEST_BYTES as u64, memory.at as u64);
    let region = Region { slot: 0, flags: 0, guest_at: 0, bytes, host_at };
    call(&vm, SET_USER_MEMORY_REGION, &raw const region as u64)?;
    let cpu = descriptor(call(&vm, CREATE_VCPU, 0)?);
    let shared = usize::try_from(call(&kvm, VCPU_MMAP_SIZE, 0)?).unwrap_or(0);
    let state = Mapping::new(shared.max(4096), Some(&cpu))?;
    set_registers(&cpu, rounds)?;
    let start = Instant::now();
    loop {
        match call(&cpu, RUN, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => {
                other?;
                break;
            }
        }
    }
    let took = start.elapsed();
    // SAFETY: `struct kvm_run` has the reason of the exit at byte 8, within the mapping and aligned.
    let reason = unsafe { state.at.add(8).cast::<u32>().read_volatile() };
    if reason == EXIT_HLT {
        Ok(took)
    } else {
        Err(io::Error::other(format!("the guest ended for reason {reason}")))
    }
}

/// Points a processor to the loop.
fn set_registers(cpu: &File, rounds: u64) -> io::Result<()> {
    // `struct kvm_sregs`, 312 bytes; it begins with the code segment: base (8), limit (4), selector (2).
    let mut segments = [0u64; 39];
    call(cpu, GET_SREGS, segments.as_mut_ptr() as u64)?;
    segments[0] = 0;
    segments[1] &= !(0xffff << 32);
    call(cpu, SET_SREGS, segments.as_ptr() as u64)?;
    // `struct kvm_regs`: rax, rbx, rcx, ..., r15, rip, rflags; one flag is always set.
    let mut registers = [0u64; 18];
    (registers[2], registers[16], registers[17]) = (rounds, CODE_AT as u64, 2);
    call(cpu, SET_REGS, registers.as_ptr() as u64).map(|_| ())
}

fn call(file: &File, request: u64, argument: u64) -> io::Result<i32> {
    // SAFETY: the argument is a number or the address of a live structure of the size that the request states.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), request as _, argument) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn descriptor(number: i32) -> File {
    // SAFETY: KVM has just made this descriptor for us alone.
    unsafe { File::from_raw_fd(number) }
}

/// Thousands of ticks of the time stamp counter per second, measured over 20 ms. Guests under TCG read the host's
/// counter and cannot calibrate it themselves.
pub(super) fn tsc_khz() -> u64 {
    // SAFETY: every x86-64 processor has the counter.
    let ticks = || unsafe { std::arch::x86_64::_rdtsc() };
    let (start, first) = (Instant::now(), ticks());
    thread::sleep(Duration::from_millis(20));
    let (took, last) = (start.elapsed(), ticks());
    (last.wrapping_sub(first) as f64 / took.as_secs_f64() / 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_timed_or_refused() {
        match instructions_per_s() {
            Ok(rate) => {
                eprintln!("KVM runs {:.1} M instructions/s", rate / 1e6);
                assert!(rate > 1e3, "{rate}");
            }
            Err(error) => eprintln!("SKIPPED: no KVM here: {error}"),
        }
    }

    #[test]
    fn the_counter_ticks() {
        let khz = tsc_khz();
        assert!((100_000..10_000_000).contains(&khz), "{khz}");
    }
}
