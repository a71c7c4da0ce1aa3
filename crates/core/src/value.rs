//! One stored sample: 64 bits, whose meaning the schema gives.

use crate::metric::Storage;

/// The bits of a sample, as [`Storage`] says: an unsigned or signed integer, or an IEEE 754 double. Raw integers
/// are kept as integers because counters then compress to a fifth of what their rates take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Value(pub u64);

/// What could not be read, in any storage: one bit pattern that no counter, size or ordinary number has
/// (as a double it is a NaN).
pub const MISSING: Value = Value(u64::MAX);

impl Value {
    /// From an unsigned integer. `u64::MAX` itself reads as missing.
    #[must_use]
    pub fn unsigned(value: u64) -> Self {
        Self(value)
    }

    /// From a signed integer. −1 shares the bits of [`MISSING`] and is kept as `i64::MIN`.
    #[must_use]
    pub fn signed(value: i64) -> Self {
        if value == -1 { Self(i64::MIN.cast_unsigned()) } else { Self(value.cast_unsigned()) }
    }

    /// From a double; every NaN becomes [`MISSING`].
    #[must_use]
    pub fn float(value: f64) -> Self {
        if value.is_nan() { MISSING } else { Self(value.to_bits()) }
    }

    /// A number in the given storage, rounded to it; NaN, and what the storage cannot hold, become missing.
    #[must_use]
    pub fn from_f64(value: f64, storage: Storage) -> Self {
        match storage {
            _ if value.is_nan() => MISSING,
            Storage::F64 => Self::float(value),
            Storage::U64 if value < 0.0 || value >= u64::MAX as f64 => MISSING,
            Storage::U64 => Self::unsigned(value.round() as u64),
            Storage::I64 => Self::signed(value.round() as i64),
        }
    }

    /// Whether nothing was read.
    #[must_use]
    pub fn is_missing(self) -> bool {
        self == MISSING
    }

    /// The number, NaN where missing. Integers above 2^53 lose their last bits here: take differences first.
    #[must_use]
    pub fn to_f64(self, storage: Storage) -> f64 {
        if self.is_missing() {
            return f64::NAN;
        }
        match storage {
            Storage::U64 => self.0 as f64,
            Storage::I64 if self.0 == i64::MIN.cast_unsigned() => -1.0,
            Storage::I64 => self.0.cast_signed() as f64,
            Storage::F64 => f64::from_bits(self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_their_storage() {
        assert_eq!(Value::unsigned(7).to_f64(Storage::U64), 7.0);
        assert_eq!(Value::signed(-1).to_f64(Storage::I64), -1.0);
        assert_eq!(Value::float(-0.5).to_f64(Storage::F64), -0.5);
    }

    #[test]
    fn every_nan_is_missing_and_reads_as_nan() {
        let other_nan = f64::from_bits(0x7ff8_0000_0000_1234);
        assert!(Value::float(other_nan).is_missing());
        for storage in [Storage::U64, Storage::I64, Storage::F64] {
            assert!(MISSING.to_f64(storage).is_nan());
        }
    }

    #[test]
    fn what_the_storage_cannot_hold_is_missing() {
        assert!(Value::from_f64(-2.0, Storage::U64).is_missing());
        assert!(Value::from_f64(1e300, Storage::U64).is_missing());
        assert_eq!(Value::from_f64(2.6, Storage::U64), Value::unsigned(3));
    }
}
