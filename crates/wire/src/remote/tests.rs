//! Remote write and read, as Prometheus writes them and as nobody should.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn text(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn series(name: &str, points: &[(i64, f64)]) -> ReadSeries {
    let labels = text(&[("__name__", name), ("instance", "h:1"), ("job", "j")]);
    ReadSeries { labels, points: points.to_vec() }
}

#[test]
fn a_write_request_is_read() {
    let mut bytes =
        encode(&[series("up", &[(1000, 1.0), (2000, f64::NAN)]), series("a_total", &[(-5, 7.5)])]);
    let mut metadata = Vec::new();
    put_number(1, 1, &mut metadata);
    put_bytes(2, b"a_total", &mut metadata);
    put_bytes(3, &metadata, &mut bytes);
    let arrival = decode(&bytes).unwrap();
    assert_eq!((arrival.samples(), arrival.origins.len()), (3, 1));
    assert_eq!(arrival.families, [("a_total".to_owned(), Nature::Counter)]);
    let [up, total] = &arrival.origins[0].series[..] else { panic!() };
    assert_eq!((up.name.as_str(), &up.labels), ("up", &text(&[("instance", "h:1"), ("job", "j")])));
    assert!(up.points[0] == (Timestamp(1_000_000), 1.0) && up.points[1].1.is_nan());
    assert_eq!(total.points, [(Timestamp(-5000), 7.5)]);
}

#[test]
fn strings_of_version_two_are_numbered_and_checked() {
    let request = |refs: &[u64]| {
        let (mut bytes, mut one, mut packed, mut sample) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for symbol in ["", "__name__", "up", "job", "node"] {
            put_bytes(4, symbol.as_bytes(), &mut bytes);
        }
        refs.iter().for_each(|&number| crate::cursor::put_varint(number, &mut packed));
        put_bytes(1, &packed, &mut one);
        put_double(1, 1.0, &mut sample);
        put_number(2, 1000, &mut sample);
        put_bytes(2, &sample, &mut one);
        put_bytes(5, &[0x08, 2], &mut one);
        put_bytes(5, &one, &mut bytes);
        bytes
    };
    let arrival = decode_v2(&request(&[1, 2, 3, 4])).unwrap();
    let series = &arrival.origins[0].series[0];
    assert_eq!((series.name.as_str(), series.nature), ("up", Nature::Gauge));
    assert_eq!(series.labels, text(&[("job", "node")]));
    for wrong in [&[1, 9][..], &[1], &[3, 4]] {
        assert!(decode_v2(&request(wrong)).is_err(), "{wrong:?}");
    }
}

#[test]
fn few_bytes_cannot_take_much_memory() {
    // One large symbol, named again and again: 200 kB that would become 20 GB.
    let (mut bytes, mut packed, mut one) = (Vec::new(), Vec::new(), Vec::new());
    put_bytes(4, &vec![b'a'; 100_000], &mut bytes);
    for _ in 0..100_000 {
        crate::cursor::put_varint(0, &mut packed);
    }
    put_bytes(1, &packed, &mut one);
    put_bytes(5, &one, &mut bytes);
    assert!(decode_v2(&bytes).unwrap_err().to_string().contains("96 MiB"));
}

#[test]
fn native_histograms_are_number_and_sum() {
    let (mut histogram, mut one, mut bytes, mut label) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    put_bytes(1, b"__name__", &mut label);
    put_bytes(2, b"d", &mut label);
    put_bytes(1, &label, &mut one);
    put_number(1, 12, &mut histogram);
    put_double(3, 3.5, &mut histogram);
    put_number(15, 7, &mut histogram);
    put_bytes(4, &histogram, &mut one);
    put_bytes(1, &one, &mut bytes);
    let arrival = decode(&bytes).unwrap();
    let read: Vec<_> = arrival.origins[0].series.iter().map(|s| (s.name.as_str(), s.points[0].1)).collect();
    assert_eq!(read, [("d_count", 12.0), ("d_sum", 3.5)]);
}

#[test]
fn a_read_request_is_read_and_its_answer_is_a_list_of_series() {
    let (mut matcher, mut query, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    put_number(1, 2, &mut matcher);
    put_bytes(2, b"__name__", &mut matcher);
    put_bytes(3, b"up|x", &mut matcher);
    put_number(1, 1000, &mut query);
    put_number(2, 9000, &mut query);
    put_bytes(3, &matcher, &mut query);
    put_bytes(1, &query, &mut bytes);
    let asked = decode_read(&bytes).unwrap();
    let matchers = vec![("__name__".to_owned(), Relation::Matches, "up|x".to_owned())];
    assert_eq!(asked, [ReadQuery { from_ms: 1000, to_ms: 9000, matchers }]);
    // A query result has the form of a write request.
    let answer = encode_read(&[vec![series("up", &[(1, 2.0)])], vec![]]);
    let results: Vec<_> = Fields::of(&answer, "answer").map(Result::unwrap).collect();
    assert_eq!(results.len(), 2);
    let first = decode(results[0].1.bytes("result").unwrap()).unwrap();
    assert_eq!(first.origins[0].series[0].points, [(Timestamp(1000), 2.0)]);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        names in proptest::collection::vec("[a-z_:]{1,9}", 0..6),
        points in proptest::collection::vec((any::<i32>(), any::<f64>()), 1..6),
        cut in 1usize..40,
    ) {
        let points: Vec<_> = points.into_iter().map(|(at, value)| (i64::from(at), value)).collect();
        let written: Vec<_> = names.iter().map(|name| series(name, &points)).collect();
        let bytes = encode(&written);
        let arrival = decode(&bytes).unwrap();
        prop_assert_eq!(arrival.samples(), names.len() * points.len());
        let read: Vec<_> = arrival.origins[0].series.iter().map(|one| one.name.clone()).collect();
        prop_assert_eq!(read, names.clone());
        // Cut short it is refused, or is fewer series at the border between two.
        if let Ok(less) = decode(&bytes[..bytes.len().saturating_sub(cut)]) {
            prop_assert!(less.samples() < arrival.samples() || bytes.is_empty());
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (decode(&bytes), decode_v2(&bytes), decode_read(&bytes));
    }
}
