//! The few shapes of text that control groups speak.

use crate::ABSENT;

/// A decimal number with blanks around it; `max`, signs and anything else are [`ABSENT`].
pub(super) fn number(text: &[u8]) -> u64 {
    let text = text.trim_ascii();
    if text.is_empty() {
        return ABSENT;
    }
    text.iter()
        .try_fold(0u64, |sum, &byte| {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 { None } else { sum.checked_mul(10)?.checked_add(u64::from(digit)) }
        })
        .unwrap_or(ABSENT)
}

/// Lines, without their ends.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// Lines of `key value`.
pub(super) fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    lines(text).filter_map(|line| {
        let blank = line.iter().position(|&byte| byte == b' ')?;
        Some((&line[..blank], number(&line[blank..])))
    })
}

/// Words between single blanks.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b' ').filter(|word| !word.is_empty())
}

/// Adds to a sum that may not have begun.
pub(super) fn add(sum: &mut u64, more: u64) {
    if more != ABSENT {
        *sum = if *sum == ABSENT { more } else { sum.saturating_add(more) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_numbers() {
        assert_eq!(number(b" 42\n"), 42);
        for bad in [&b"max\n"[..], b"-1", b"", b"12x", b"99999999999999999999"] {
            assert_eq!(number(bad), ABSENT);
        }
    }

    #[test]
    fn sums_begin_with_the_first_number() {
        let mut sum = ABSENT;
        for more in [ABSENT, 3, ABSENT, 4] {
            add(&mut sum, more);
        }
        assert_eq!(sum, 7);
    }
}
