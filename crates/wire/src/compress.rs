//! Compressed bodies of requests, unpacked within a bound: what a bomb would take is never taken.

use std::io::Read;

use crate::Error;

/// Unpacks gzip (RFC 1952), all members.
///
/// # Errors
/// If the bytes are no gzip, end early, or unpack to more than `most` bytes.
pub fn gunzip(bytes: &[u8], most: usize) -> Result<Vec<u8>, Error> {
    let mut unpacked = Vec::new();
    let mut limited = flate2::read::MultiGzDecoder::new(bytes).take(most as u64 + 1);
    limited.read_to_end(&mut unpacked).map_err(|error| Error::invalid("gzip", error))?;
    within("gzip", unpacked, most)
}

/// Unpacks the block format of Snappy, which remote write uses.
///
/// # Errors
/// If the bytes are no such block, or say that they unpack to more than `most` bytes.
pub fn unsnap(bytes: &[u8], most: usize) -> Result<Vec<u8>, Error> {
    let length = snap::raw::decompress_len(bytes).map_err(|error| Error::invalid("snappy", error))?;
    // A byte of Snappy is at most 32 of what it unpacks to (a copy of 64 bytes takes two at least), so that a length
    // that is a lie is found before memory is taken for it.
    if length > most || length > 64 * bytes.len() {
        return Err(too_large("snappy", most));
    }
    snap::raw::Decoder::new().decompress_vec(bytes).map_err(|error| Error::invalid("snappy", error))
}

/// Packs bytes into the block format of Snappy.
///
/// # Errors
/// If they are 4 GiB or more.
pub fn snap(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    snap::raw::Encoder::new().compress_vec(bytes).map_err(|error| Error::invalid("snappy", error))
}

fn within(what: &'static str, unpacked: Vec<u8>, most: usize) -> Result<Vec<u8>, Error> {
    if unpacked.len() > most { Err(too_large(what, most)) } else { Ok(unpacked) }
}

fn too_large(what: &'static str, most: usize) -> Error {
    Error::invalid(what, format!("unpacks to more than {} MiB; send fewer samples at once", most >> 20))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn bombs_do_not_go_off() {
        let zeros = vec![0u8; 40 << 20];
        let (packed, snapped) = (gzip(&zeros), snap(&zeros).unwrap());
        assert!(packed.len() < 100_000);
        assert!(gunzip(&packed, 32 << 20).unwrap_err().to_string().contains("more than 32 MiB"));
        assert!(unsnap(&snapped, 32 << 20).unwrap_err().to_string().contains("more than 32 MiB"));
        assert_eq!(gunzip(&packed, 40 << 20).unwrap().len(), zeros.len());
        assert_eq!(unsnap(&snapped, 40 << 20).unwrap().len(), zeros.len());
        // A length of 30 MiB in front of nothing.
        assert!(unsnap(&[0x80, 0x80, 0x80, 0x0f, 0, 1], 32 << 20).is_err());
    }

    proptest! {
        #[test]
        fn bytes_come_back_and_damage_is_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..300,
        ) {
            let (packed, snapped) = (gzip(&bytes), snap(&bytes).unwrap());
            prop_assert_eq!(gunzip(&packed, 300).unwrap(), bytes.clone());
            prop_assert_eq!(unsnap(&snapped, 300).unwrap(), bytes.clone());
            prop_assert!(gunzip(&packed[..cut.min(packed.len() - 1)], 300).is_err());
            prop_assert!(unsnap(&snapped[..cut.min(snapped.len() - 1)], 300).is_err());
            let _ = (gunzip(&bytes, 300), unsnap(&bytes, 300));
        }
    }
}
