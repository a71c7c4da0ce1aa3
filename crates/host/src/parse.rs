//! Scanning of kernel text without allocating.

use std::io::BufRead;

/// The lines of a text, without their ends. A last line without an end counts.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let whole = rest;
        // Reading from a slice cannot fail, and searches with vector instructions.
        let taken = rest.skip_until(b'\n').unwrap_or(whole.len());
        Some(whole[..taken].strip_suffix(b"\n").unwrap_or(&whole[..taken]))
    })
}

/// The fields of one line, split at runs of blanks.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Fields of `line`.
    #[must_use]
    pub fn new(line: &'a [u8]) -> Self {
        Self(line)
    }

    /// The next field as an unsigned number; `None` at the end of the line or if it is no such number.
    pub fn number(&mut self) -> Option<u64> {
        let rest = blanks(self.0);
        let (number, after) = leading_number(rest)?;
        if after.first().is_some_and(|&byte| !is_blank(byte)) {
            return None;
        }
        self.0 = after;
        Some(number)
    }

    /// The fields after the next `count`.
    #[must_use]
    pub fn past(mut self, count: usize) -> Self {
        for _ in 0..count {
            self.next();
        }
        self
    }

    /// What is left of the line.
    #[must_use]
    pub fn rest(self) -> &'a [u8] {
        blanks(self.0)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = blanks(self.0);
        let end = rest.iter().position(|&byte| is_blank(byte)).unwrap_or(rest.len());
        let (field, after) = rest.split_at(end);
        self.0 = after;
        (!field.is_empty()).then_some(field)
    }
}

/// A whole text that is one unsigned number, blanks around it allowed.
#[must_use]
pub fn number(text: &[u8]) -> Option<u64> {
    let (number, after) = leading_number(blanks(text))?;
    blanks(after).is_empty().then_some(number)
}

/// The unsigned number at the start of a text, and what follows it. A number beyond 64 bits is none.
#[must_use]
pub fn leading_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0u64;
    let mut end = 0;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
        end += 1;
    }
    (end > 0).then(|| (number, &text[end..]))
}

/// A decimal fraction without sign or exponent, as in `/proc/loadavg`.
#[must_use]
pub fn decimal(field: &[u8]) -> Option<f64> {
    let (whole, after) = leading_number(field)?;
    let Some(fraction) = after.strip_prefix(b".") else {
        return after.is_empty().then_some(whole as f64);
    };
    let digits = number(fraction)?;
    let scale = 10f64.powi(i32::try_from(fraction.len()).ok()?);
    Some(whole as f64 + digits as f64 / scale)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_blank(byte)).unwrap_or(text.len());
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_or_without_newline() {
        let all: Vec<_> = lines(b"a\n\nb").collect();
        assert_eq!(all, [&b"a"[..], b"", b"b"]);
        assert_eq!(lines(b"").count(), 0);
    }

    #[test]
    fn fields_are_split_at_runs_of_blanks() {
        let mut fields = Fields::new(b"  cpu0 12\t 34x 5 ");
        assert_eq!(fields.next(), Some(&b"cpu0"[..]));
        assert_eq!(fields.number(), Some(12));
        assert_eq!(fields.number(), None, "34x is no number");
        assert_eq!(fields.past(1).number(), Some(5));
        assert_eq!(fields.past(9).number(), None);
        assert_eq!(fields.rest(), b"34x 5 ");
    }

    #[test]
    fn numbers_that_do_not_fit_are_none() {
        assert_eq!(number(b"18446744073709551615\n"), Some(u64::MAX));
        assert_eq!(number(b"18446744073709551616"), None);
        assert_eq!((number(b""), number(b"-1"), number(b"1 2"), number(b"max")), (None, None, None, None));
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal(b"0.93"), Some(0.93));
        assert_eq!(decimal(b"12"), Some(12.0));
        assert_eq!(decimal(b"12.05"), Some(12.05));
        assert_eq!((decimal(b"1."), decimal(b".5"), decimal(b"1.x")), (None, None, None));
    }
}
