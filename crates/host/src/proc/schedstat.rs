//! `/proc/schedstat`: how long threads waited for a processor (Documentation/scheduler/sched-stats.rst).

use crate::Error;
use crate::parse::{Fields, lines};

/// Nanoseconds that threads waited ready, summed over processors, since boot.
///
/// # Errors
/// [`Error::Parse`] if there is no processor, or one without that number.
pub fn run_delay_ns(text: &[u8]) -> Result<u64, Error> {
    let wrong = Error::Parse { format: "/proc/schedstat", expected: "nine numbers for each processor" };
    let mut total = None;
    for line in lines(text).filter_map(|line| line.strip_prefix(b"cpu")) {
        // After the processor's number: seven others, among them the time run, then the delay.
        let Some(delay) = Fields::new(line).past(8).number() else { return Err(wrong) };
        total = Some(total.unwrap_or(0u64).wrapping_add(delay));
    }
    total.ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_summed() {
        let text = b"version 15\ntimestamp 4295\ncpu0 0 0 0 0 0 0 700 30 9\ndomain0 3 1 2 3\ncpu1 0 0 0 0 0 0 800 12 5\n";
        assert_eq!(run_delay_ns(text).unwrap(), 42);
        assert!(run_delay_ns(b"version 15\n").is_err());
        assert!(run_delay_ns(b"cpu0 0 0 0 0 0 0 700\n").is_err());
    }
}
