//! The wall clock, the monotonic clock, and sleeping until a moment of the latter.
#![allow(unsafe_code)] // The standard library can sleep for a while, but not until a moment.

use crate::Error;

/// Nanoseconds in a second.
const SECOND_NS: u64 = 1_000_000_000;

/// Nanoseconds on a clock that only goes forward and stands still while the machine is suspended.
#[must_use]
pub fn monotonic_ns() -> u64 {
    now_ns(libc::CLOCK_MONOTONIC)
}

/// Microseconds since the Unix epoch.
#[must_use]
pub fn wall_us() -> i64 {
    (now_ns(libc::CLOCK_REALTIME) / 1000).cast_signed()
}

fn now_ns(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live local of the type the call fills. These two clocks always exist.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now.tv_sec.cast_unsigned() * SECOND_NS + now.tv_nsec.cast_unsigned()
}

/// Sleeps until `deadline_ns` on the monotonic clock. A deadline, not a duration: what delays the call does not
/// delay what follows. Returns early when a signal is handled.
///
/// # Errors
/// [`Error::Call`] if the system refuses to sleep.
pub fn sleep_until(deadline_ns: u64) -> Result<(), Error> {
    let seconds = (deadline_ns / SECOND_NS).cast_signed();
    let deadline = libc::timespec { tv_sec: seconds, tv_nsec: (deadline_ns % SECOND_NS).cast_signed() };
    let (clock, flags) = (libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME);
    // SAFETY: the deadline is a live local; the time that remains is not asked for.
    match unsafe { libc::clock_nanosleep(clock, flags, &raw const deadline, std::ptr::null_mut()) } {
        0 | libc::EINTR => Ok(()),
        code => {
            let source = std::io::Error::from_raw_os_error(code);
            Err(Error::Call { call: "clock_nanosleep", object: "the monotonic clock".into(), source })
        }
    }
}

/// How the kernel's clock is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Discipline {
    /// Something corrects it.
    pub synchronised: bool,
    /// Seconds that are still to be corrected.
    pub offset_s: f64,
    /// Most seconds that it may be wrong, as far as the kernel knows.
    pub max_error_s: f64,
}

/// Asks how the clock is kept (adjtimex(2)); none if the system does not say.
#[must_use]
pub fn discipline() -> Option<Discipline> {
    // SAFETY: all its fields are numbers, for which zero is a value; without modes nothing is changed.
    let mut told: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live local of the type the call fills.
    if unsafe { libc::adjtimex(&raw mut told) } < 0 {
        return None;
    }
    let per_second = if told.status & libc::STA_NANO == 0 { 1e6 } else { 1e9 };
    Some(Discipline {
        synchronised: told.status & libc::STA_UNSYNC == 0,
        offset_s: told.offset as f64 / per_second,
        max_error_s: told.maxerror as f64 / 1e6,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_not_less_than_asked() {
        let deadline = monotonic_ns() + 2_000_000;
        sleep_until(deadline).unwrap();
        assert!(monotonic_ns() >= deadline);
        sleep_until(0).unwrap();
        assert!(wall_us() > 1_700_000_000_000_000, "after 2023");
    }
}
