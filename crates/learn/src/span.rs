//! Which rows of a window are kept when spans of time are left out.

use std::ops::Range;

use foretwin_core::Timestamp;

/// A span of time that is left out of learning: from its first moment to the first that is no longer part of it.
pub type Span = (Timestamp, Timestamp);

/// Whether a moment lies in one of some `merged` spans.
pub(crate) fn contains(merged: &[Span], at: Timestamp) -> bool {
    let next = merged.partition_point(|span| span.0 <= at);
    next > 0 && at < merged[next - 1].1
}

/// The same spans in order, those that meet made one, empty ones gone.
pub(crate) fn merged(spans: &[Span]) -> Vec<Span> {
    let mut sorted: Vec<Span> = spans.iter().copied().filter(|span| span.0 < span.1).collect();
    sorted.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(sorted.len());
    for span in sorted {
        match merged.last_mut() {
            Some(last) if span.0 <= last.1 => last.1 = last.1.max(span.1),
            _ => merged.push(span),
        }
    }
    merged
}

/// Ranges of the rows outside all spans, in order.
pub(crate) fn kept(times: &[Timestamp], left_out: &[Span]) -> Vec<Range<usize>> {
    if left_out.is_empty() {
        return std::iter::once(0..times.len()).collect();
    }
    let merged = merged(left_out);
    let mut kept: Vec<Range<usize>> = Vec::new();
    for (row, &at) in times.iter().enumerate().filter(|(_, at)| !contains(&merged, **at)) {
        debug_assert_eq!(at, times[row]);
        match kept.last_mut() {
            Some(last) if last.end == row => last.end += 1,
            _ => kept.push(row..row + 1),
        }
    }
    kept
}

/// The rows of a range that counts kept rows only, as ranges of the window.
pub(crate) fn locate(kept: &[Range<usize>], wanted: &Range<usize>) -> Vec<Range<usize>> {
    let mut before = 0;
    let mut found = Vec::new();
    for range in kept {
        let start = wanted.start.max(before);
        let end = wanted.end.min(before + range.len());
        if start < end {
            found.push(range.start + start - before..range.start + end - before);
        }
        before += range.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp(second * 1_000_000)
    }

    #[test]
    fn rows_outside_spans_are_kept_and_located() {
        let times: Vec<Timestamp> = (0..20).map(at).collect();
        let spans = [(at(12), at(14)), (at(3), at(5)), (at(4), at(7)), (at(9), at(9))];
        let kept = kept(&times, &spans);
        assert_eq!(kept, [0..3, 7..12, 14..20]);
        assert_eq!(locate(&kept, &(1..6)), [1..3, 7..10]);
        assert_eq!(locate(&kept, &(8..14)), std::iter::once(14..20).collect::<Vec<_>>());
        assert!(super::kept(&times, &[(at(-5), at(50))]).is_empty());
        assert_eq!(super::kept(&times, &[]), std::iter::once(0..20).collect::<Vec<_>>());
    }

    #[test]
    fn spans_end_before_their_end() {
        let merged = merged(&[(at(3), at(5)), (at(5), at(6))]);
        assert_eq!(merged, [(at(3), at(6))]);
        assert!(contains(&merged, at(3)) && contains(&merged, at(5)));
        assert!(!contains(&merged, at(6)) && !contains(&merged, at(2)));
    }
}
