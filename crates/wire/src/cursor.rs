//! Reading fields off the front of a byte slice, and writing them.

use crate::Error;

/// Most bytes that the records of one envelope may unpack to: 256 MiB.
const MOST_UNPACKED: usize = 256 << 20;

/// Memory that decoding may still take. Compressed bytes say little about it, so it is counted before it is taken.
pub(crate) struct Budget(usize);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(MOST_UNPACKED)
    }

    pub(crate) fn spend(&mut self, bytes: usize, what: &'static str) -> Result<(), Error> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| {
            Error::invalid(what, "unpacks to more than 256 MiB with what came before; send fewer at once")
        })?;
        Ok(())
    }
}

/// Bytes not yet read.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Error> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(Error::Short { what })?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, Error> {
        let bytes = self.take(8, what)?;
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| Error::Short { what })?))
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Error> {
        let bytes = self.take(4, what)?;
        Ok(u32::from_le_bytes(bytes.try_into().map_err(|_| Error::Short { what })?))
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, Error> {
        let bytes = self.take(2, what)?;
        Ok(u16::from_le_bytes(bytes.try_into().map_err(|_| Error::Short { what })?))
    }

    pub(crate) fn f32(&mut self, what: &'static str) -> Result<f32, Error> {
        Ok(f32::from_bits(self.u32(what)?))
    }

    pub(crate) fn f64(&mut self, what: &'static str) -> Result<f64, Error> {
        Ok(f64::from_bits(self.u64(what)?))
    }

    /// LEB128, at most ten bytes.
    pub(crate) fn varint(&mut self, what: &'static str) -> Result<u64, Error> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1, what)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::invalid(what, "a number takes more than ten bytes"))
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str, Error> {
        let length = self.varint(what)?;
        let length = usize::try_from(length).map_err(|_| Error::Short { what })?;
        std::str::from_utf8(self.take(length, what)?).map_err(|error| Error::invalid(what, error))
    }

    /// A count of things that take at least `least` bytes each, so that a false count cannot allocate much.
    pub(crate) fn count(&mut self, least: usize, what: &'static str) -> Result<usize, Error> {
        let count = usize::try_from(self.varint(what)?).map_err(|_| Error::Short { what })?;
        if count.saturating_mul(least) > self.0.len() {
            return Err(Error::Short { what });
        }
        Ok(count)
    }
}

pub(crate) fn put_varint(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

pub(crate) fn put_text(text: &str, into: &mut Vec<u8>) {
    put_varint(text.len() as u64, into);
    into.extend_from_slice(text.as_bytes());
}

/// Small numbers of either sign to small unsigned ones.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}
