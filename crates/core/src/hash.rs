//! FNV-1a, the specified stable hash: partitions and content ids depend on it and must never change.

/// Incremental 64-bit FNV-1a (Fowler, Noll, Vo; draft-eastlake-fnv).
#[derive(Debug, Clone, Copy)]
pub struct Fnv64(u64);

impl Default for Fnv64 {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv64 {
    /// Feeds bytes.
    #[must_use]
    pub fn write(mut self, bytes: &[u8]) -> Self {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }

    /// Feeds a string and an end mark, so that ("ab", "c") and ("a", "bc") differ.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.write(text.as_bytes()).write(&[0xff])
    }

    /// The hash of everything fed so far.
    #[must_use]
    pub fn finish(self) -> u64 {
        self.0
    }
}

/// The hash of one byte string.
#[must_use]
pub fn fnv64(bytes: &[u8]) -> u64 {
    Fnv64::default().write(bytes).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors published with the algorithm; a change here would orphan every data directory.
    #[test]
    fn known_vectors() {
        assert_eq!(fnv64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv64(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv64(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
