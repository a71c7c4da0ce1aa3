//! Pressure stall information: how long work was held up for want of a resource (Documentation/accounting/psi.rst).

use crate::parse::{Fields, lines, number};
use crate::{ABSENT, Error};

/// Stall times since boot, of the machine or of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pressure {
    /// Microseconds in which some work was held up.
    pub some_us: u64,
    /// Microseconds in which all work was held up; [`ABSENT`] for the machine's processors before Linux 5.13.
    pub full_us: u64,
}

impl Pressure {
    /// Reads the text of `/proc/pressure/*` or a group's `*.pressure`.
    ///
    /// # Errors
    /// [`Error::Parse`] if there is no line `some` with a total.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let mut pressure = Self { some_us: ABSENT, full_us: ABSENT };
        for line in lines(text) {
            let mut fields = Fields::new(line);
            let slot = match fields.next() {
                Some(b"some") => &mut pressure.some_us,
                Some(b"full") => &mut pressure.full_us,
                _ => continue,
            };
            *slot = fields.find_map(|field| number(field.strip_prefix(b"total=")?)).unwrap_or(ABSENT);
        }
        if pressure.some_us == ABSENT {
            return Err(Error::Parse { format: "pressure", expected: "a line `some` with a total" });
        }
        Ok(pressure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines() {
        let text = b"some avg10=2.14 avg60=4.05 avg300=3.15 total=49762257\n\
                     full avg10=0.00 avg60=0.00 avg300=0.00 total=17\n";
        assert_eq!(Pressure::parse(text).unwrap(), Pressure { some_us: 49_762_257, full_us: 17 });
    }

    #[test]
    fn processors_before_5_13_have_no_full_line() {
        let text = b"some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n";
        assert_eq!(Pressure::parse(text).unwrap(), Pressure { some_us: 5, full_us: ABSENT });
    }

    #[test]
    fn without_a_total_it_is_an_error() {
        for text in ["", "full avg10=0.00 total=1\n", "some avg10=0.00\n", "some total=x\n"] {
            assert!(Pressure::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
