//! The wire format of Protocol Buffers: fields one after the other, without a schema compiler.
//!
//! Only what the few messages need that cross our border; unknown fields are skipped, as the format wants it
//! (<https://protobuf.dev/programming-guides/encoding/>).

use crate::Error;
use crate::cursor::{Cursor, put_varint};

/// One field's value, as the wire type says it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The fields of a message in the order written.
pub(crate) struct Fields<'a> {
    cursor: Cursor<'a>,
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// `what` names the message in errors.
    pub(crate) fn of(bytes: &'a [u8], what: &'static str) -> Self {
        Self { cursor: Cursor(bytes), what }
    }

    fn field(&mut self) -> Result<(u64, Field<'a>), Error> {
        let (what, cursor) = (self.what, &mut self.cursor);
        let tag = cursor.varint(what)?;
        let value = match tag & 7 {
            0 => Field::Varint(cursor.varint(what)?),
            1 => Field::Fixed64(cursor.u64(what)?),
            2 => {
                let length = usize::try_from(cursor.varint(what)?).map_err(|_| Error::Short { what })?;
                Field::Bytes(cursor.take(length, what)?)
            }
            5 => Field::Fixed32(cursor.u32(what)?),
            other => return Err(Error::invalid(what, format!("wire type {other} does not exist"))),
        };
        match tag >> 3 {
            0 => Err(Error::invalid(what, "field number 0 does not exist")),
            number => Ok((number, value)),
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.cursor.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    /// A message, bytes, or packed numbers.
    pub(crate) fn bytes(self, what: &'static str) -> Result<&'a [u8], Error> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Error::invalid(what, "has another wire type than its field")),
        }
    }

    pub(crate) fn text(self, what: &'static str) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes(what)?).map_err(|error| Error::invalid(what, error))
    }

    /// An integer or boolean.
    pub(crate) fn number(self, what: &'static str) -> Result<u64, Error> {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => Ok(number),
            Self::Fixed32(number) => Ok(u64::from(number)),
            Self::Bytes(_) => Err(Error::invalid(what, "has another wire type than its field")),
        }
    }

    pub(crate) fn double(self, what: &'static str) -> Result<f64, Error> {
        Ok(f64::from_bits(self.number(what)?))
    }

    /// Appends a repeated number: one element, or many packed into eight bytes each.
    pub(crate) fn fixed(self, what: &'static str, into: &mut Vec<u64>) -> Result<(), Error> {
        let Self::Bytes(bytes) = self else {
            into.push(self.number(what)?);
            return Ok(());
        };
        if !bytes.len().is_multiple_of(8) {
            return Err(Error::Short { what });
        }
        let mut cursor = Cursor(bytes);
        while !cursor.0.is_empty() {
            into.push(cursor.u64(what)?);
        }
        Ok(())
    }

    /// Appends a repeated number: one element, or many packed as varints.
    pub(crate) fn varints(self, what: &'static str, into: &mut Vec<u64>) -> Result<(), Error> {
        let Self::Bytes(bytes) = self else {
            into.push(self.number(what)?);
            return Ok(());
        };
        let mut cursor = Cursor(bytes);
        while !cursor.0.is_empty() {
            into.push(cursor.varint(what)?);
        }
        Ok(())
    }
}

/// Appends a varint field.
pub(crate) fn put_number(number: u64, value: u64, into: &mut Vec<u8>) {
    put_varint(number << 3, into);
    put_varint(value, into);
}

/// Appends a double field.
pub(crate) fn put_double(number: u64, value: f64, into: &mut Vec<u8>) {
    put_varint(number << 3 | 1, into);
    into.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Appends bytes, text or a message.
pub(crate) fn put_bytes(number: u64, bytes: &[u8], into: &mut Vec<u8>) {
    put_varint(number << 3 | 2, into);
    put_varint(bytes.len() as u64, into);
    into.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_come_back() {
        let mut bytes = Vec::new();
        put_number(1, 300, &mut bytes);
        put_double(2, -0.5, &mut bytes);
        put_bytes(17, b"abc", &mut bytes);
        let fields: Vec<_> = Fields::of(&bytes, "test").map(Result::unwrap).collect();
        let half = Field::Fixed64((-0.5f64).to_bits());
        assert_eq!(fields, [(1, Field::Varint(300)), (2, half), (17, Field::Bytes(b"abc"))]);
    }

    #[test]
    fn what_cannot_be_is_refused_once() {
        // A length beyond the end, a wire type that does not exist, the field number 0, an endless varint.
        for bytes in [&[0x0a, 0x7f, 1][..], &[0x0b], &[0x00, 1], &[0xff; 12]] {
            let fields: Vec<_> = Fields::of(bytes, "test").collect();
            assert!(fields.len() == 1 && fields[0].is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Fields::of(&bytes, "test").count() <= bytes.len());
        }
    }
}
