//! How often somebody may ask: token buckets, as many as fit a bound.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Buckets that are remembered at most. Those that are full again are forgotten first.
const MOST: usize = 10_000;

/// Buckets that fill at one rate, by whom they belong to.
pub(crate) struct Rates<K> {
    per_s: f64,
    burst: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

struct Bucket {
    level: f64,
    at: Instant,
}

impl<K: Hash + Eq> Rates<K> {
    pub(crate) fn new(per_s: f64, burst: f64) -> Self {
        Self { per_s, burst: burst.max(1.0), buckets: Mutex::default() }
    }

    /// Takes one out; if there is none, the seconds until there is.
    pub(crate) fn take(&self, key: K, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST && !buckets.contains_key(&key) {
            let full = |bucket: &Bucket| self.level(bucket, now) >= self.burst;
            buckets.retain(|_, bucket| !full(bucket));
            if buckets.len() >= MOST {
                // So many at once are an attack; whoever is new waits.
                return Err(1);
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { level: self.burst, at: now });
        let level = self.level(bucket, now);
        *bucket = Bucket { level, at: now };
        if level < 1.0 {
            return Err(((1.0 - level) / self.per_s).ceil().max(1.0) as u64);
        }
        bucket.level -= 1.0;
        Ok(())
    }

    fn level(&self, bucket: &Bucket, now: Instant) -> f64 {
        let passed_s = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.level + passed_s * self.per_s).min(self.burst)
    }
}

/// Whom an address stands for: a network of IPv6 (/64) is one client, which owns all of it.
pub(crate) fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_comes_at_the_rate() {
        let rates = Rates::new(2.0, 3.0);
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert!((0..3).all(|_| rates.take("a", at(0)).is_ok()));
        assert_eq!(rates.take("a", at(0)), Err(1));
        assert!(rates.take("b", at(0)).is_ok(), "one does not pay for another");
        assert!(rates.take("a", at(500)).is_ok() && rates.take("a", at(500)).is_err());
        assert!((0..3).all(|_| rates.take("a", at(60_000)).is_ok()), "it fills up to the burst");
        assert!(rates.take("a", at(60_000)).is_err());
    }

    #[test]
    fn memory_is_bounded_and_idle_buckets_make_room() {
        let rates = Rates::new(1.0, 2.0);
        let start = Instant::now();
        assert!((0..MOST).all(|n| rates.take(n, start).is_ok()));
        assert_eq!(rates.take(MOST, start), Err(1));
        assert!(rates.take(0, start).is_ok(), "who is known goes on");
        let later = start + Duration::from_secs(10);
        assert!(rates.take(MOST, later).is_ok());
        assert_eq!(rates.buckets.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_network_is_one_client() {
        let client = |text: &str| client(text.parse().unwrap());
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:2"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:10.0.0.1"), client("10.0.0.1"));
        assert_ne!(client("10.0.0.1"), client("10.0.0.2"));
    }
}
