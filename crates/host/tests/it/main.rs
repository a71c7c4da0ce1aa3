//! Whatever text the parsers meet, they answer with numbers or an error.

use foretwin_host::proc::{
    HeadedLines, KeyedLines, Pressure, Stat, disks, limits, load, mounts, net, run_delay_ns,
};
use foretwin_host::{ABSENT, parse};
use proptest::prelude::*;

/// Real texts, to be cut and spoilt.
const TEXTS: &[&str] = &[
    "cpu  42163 0 6327 208343 804 0 119 122 0 0\ncpu0 1 0 2 3 4 0 5 6 0 0\nintr 37 0 1\nctxt 5\nbtime 17\n",
    "MemTotal:       24684084 kB\nMemFree:        22819772 kB\nMemAvailable:   23792076 kB\n",
    "some avg10=2.14 avg60=4.05 avg300=3.15 total=49762257\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    " 254       0 vda 75745 26811 5848530 61962 9019 39168 4138344 28252 0 22476 91307 4344 68 459480 1008 765 83\n",
    "  eth0: 301537413    7917    0    0    0     0          0         0   494782    5083    0    0    0     0       0          0\n",
    "Tcp: RtoAlgorithm RtoMin MaxConn RetransSegs OutRsts\nTcp: 1 200 -1 66 2\n",
    "27 1 254:0 / /a\\040b rw,relatime shared:1 - ext4 /dev/vda rw,discard\n",
    "0.93 0.52 0.35 3/104 11652\n",
    "version 15\ncpu0 0 0 0 0 0 0 700 30 9\n",
    "729\t0\t2466170\n",
    "sockets: used 16\nTCP: inuse 1 orphan 0 tw 0 alloc 1 mem 0\n",
];

/// Feeds one text to every parser, whatever it was meant for.
fn parse_all(text: &[u8]) {
    let _ = Stat::default().parse(text);
    let _ = Pressure::parse(text);
    let _ = load::Load::parse(text);
    let _ = limits::Descriptors::parse(text);
    let _ = limits::single(text);
    let _ = run_delay_ns(text);
    let _ = mounts(text);
    let _ = net::sockets(text, b"TCP:", b"orphan");
    let _ = parse::decimal(text);
    for row in disks::rows(text) {
        let _ = row.stats();
    }
    for row in net::rows(text) {
        let _ = row.flows();
    }
    KeyedLines::new(["MemTotal", "MemAvailable"]).scan(text);
    HeadedLines::new("Tcp:", ["RetransSegs", "OutRsts"]).scan(text);
}

proptest! {
    #[test]
    fn cut_and_spoilt_texts_do_no_harm(
        which in 0..TEXTS.len(),
        end in 0usize..200,
        spoilt in proptest::collection::vec((0usize..200, any::<u8>()), 0..6),
    ) {
        let mut text = TEXTS[which].as_bytes().to_vec();
        text.truncate(end);
        for (at, byte) in spoilt {
            if let Some(slot) = text.get_mut(at) {
                *slot = byte;
            }
        }
        parse_all(&text);
    }

    #[test]
    fn any_bytes_do_no_harm(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        parse_all(&text);
    }

    /// A picker that remembers places never gives another number than one that sees the text for the first time;
    /// at worst it has not yet seen that a key has come.
    #[test]
    fn memory_invents_nothing(texts in proptest::collection::vec("((MemTotal|MemFree|x): [0-9]{1,3} kB\n){0,5}", 1..6)) {
        let mut remembers = KeyedLines::new(["MemTotal", "MemFree"]);
        for text in texts {
            remembers.scan(text.as_bytes());
            for (key, &value) in ["MemTotal", "MemFree"].iter().zip(remembers.values()) {
                let stated = text.lines().any(|line| line.starts_with(key) && digits(line) == value);
                prop_assert!(value == ABSENT || stated, "{} is not {} in {:?}", key, value, text);
            }
        }
    }
}

fn digits(line: &str) -> u64 {
    line.split(' ').nth(1).and_then(|digits| digits.parse().ok()).unwrap_or(ABSENT)
}
