//! Numbers, texts and checksummed places in byte blocks, written and read without trusting what is read.

/// Bytes not yet read. Every reader gives `None` where the bytes do not hold what is asked for.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    /// LEB128, at most ten bytes.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }

    pub(crate) fn size(&mut self) -> Option<usize> {
        self.varint().and_then(|value| usize::try_from(value).ok())
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = self.size()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// A count of things that take at least one byte each, so that a false count cannot allocate much.
    pub(crate) fn count(&mut self) -> Option<usize> {
        self.size().filter(|&count| count <= self.0.len())
    }
}

pub(crate) fn put_varint(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

pub(crate) fn put_signed(value: i64, into: &mut Vec<u8>) {
    put_varint(zigzag(value), into);
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

/// Where a checksummed run of bytes lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) crc: u32,
}

impl Place {
    pub(crate) fn put(self, into: &mut Vec<u8>) {
        put_varint(self.offset, into);
        put_varint(u64::from(self.length), into);
        into.extend_from_slice(&self.crc.to_le_bytes());
    }

    pub(crate) fn take(from: &mut Cursor<'_>) -> Option<Self> {
        let offset = from.varint()?;
        let length = u32::try_from(from.varint()?).ok()?;
        Some(Self { offset, length, crc: from.u32()? })
    }

    pub(crate) fn end(self) -> u64 {
        self.offset + u64::from(self.length)
    }

    /// Whether `bytes` are what was written there.
    pub(crate) fn holds(self, bytes: &[u8]) -> bool {
        bytes.len() == self.length as usize && crc32fast::hash(bytes) == self.crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_and_short_input_is_refused() {
        for value in [0, 1, 127, 128, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(value, &mut bytes);
            assert_eq!(Cursor(&bytes).varint(), Some(value));
            assert_eq!(Cursor(&bytes[..bytes.len() - 1]).varint(), None);
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
        assert_eq!(Cursor(&[0xff; 11]).varint(), None);
        assert_eq!(Cursor(&[5, 1]).count(), None);
    }
}
