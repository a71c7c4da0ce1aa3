//! An order as bytes that know their own end, so that a file, an environment variable, firmware or a stream can
//! carry it.

use std::sync::Arc;

use foretwin_core::Order;

use crate::cursor::Cursor;
use crate::{Error, profile};

const MAGIC: &[u8; 4] = b"FTWO";
const VERSION: u16 = 1;
/// Magic, version, and the lengths of the text and of the profile.
const HEADER: usize = 4 + 2 + 4 + 4;
/// Most bytes of an order; the largest profile has 81 KiB.
pub const MOST_BYTES: usize = 1 << 20;

/// Appends the encoding of `order`: magic, version (u16), length of the text (u32), length of the profile (u32), the
/// text as JSON, the profile's bytes, CRC-32 of all before.
pub fn encode(order: &Order, into: &mut Vec<u8>) {
    let start = into.len();
    let mut bytes = Vec::new();
    if let Some(replay) = &order.replay {
        profile::encode(&replay.profile, &mut bytes);
    }
    // Plain data with string keys: writing it to memory cannot fail.
    let text = serde_json::to_vec(order);
    debug_assert!(text.is_ok(), "{text:?}");
    let text = text.unwrap_or_default();
    into.extend_from_slice(MAGIC);
    into.extend_from_slice(&VERSION.to_le_bytes());
    into.extend_from_slice(&(text.len() as u32).to_le_bytes());
    into.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    into.extend_from_slice(&text);
    into.extend_from_slice(&bytes);
    let checksum = crc32fast::hash(&into[start..]);
    into.extend_from_slice(&checksum.to_le_bytes());
}

/// How many bytes the order at the front of `bytes` takes; none while its header is not all there.
///
/// # Errors
/// If these bytes are not the beginning of an order.
pub fn length(bytes: &[u8]) -> Result<Option<usize>, Error> {
    const WHAT: &str = "order";
    let known = bytes.len().min(4);
    if bytes[..known] != MAGIC[..known] {
        return Err(Error::invalid(WHAT, "these bytes are no order; have Foretwin write one"));
    }
    if bytes.len() < HEADER {
        return Ok(None);
    }
    let mut cursor = Cursor(&bytes[4..]);
    let version = cursor.u16(WHAT)?;
    if version != VERSION {
        return Err(Error::invalid(
            WHAT,
            format!("version {version} is not known; use a runner as new as it"),
        ));
    }
    let body = u64::from(cursor.u32(WHAT)?) + u64::from(cursor.u32(WHAT)?);
    if body > MOST_BYTES as u64 {
        return Err(Error::invalid(WHAT, format!("{body} bytes, at most {MOST_BYTES}; send it again")));
    }
    Ok(Some(HEADER + body as usize + 4))
}

/// Reads the order at the front of `bytes`. What follows it is ignored: firmware pads.
///
/// # Errors
/// If it is cut short, damaged, of a newer version, or says what cannot be meant; then the field and the remedy.
pub fn decode(bytes: &[u8]) -> Result<Order, Error> {
    const WHAT: &str = "order";
    let length = length(bytes)?.ok_or(Error::Short { what: WHAT })?;
    let whole = bytes.get(..length).ok_or(Error::Short { what: WHAT })?;
    let (signed, checksum) = whole.split_at(length - 4);
    if crc32fast::hash(signed).to_le_bytes() != checksum {
        return Err(Error::Checksum { what: WHAT });
    }
    let mut cursor = Cursor(&signed[6..]);
    let text_length = cursor.u32(WHAT)? as usize;
    cursor.u32(WHAT)?;
    let text = cursor.take(text_length, WHAT)?;
    let mut order: Order = serde_json::from_slice(text)
        .map_err(|error| Error::invalid(WHAT, format!("{error}; send it again")))?;
    if let Some(replay) = &mut order.replay {
        replay.profile = Arc::new(profile::decode(cursor.0)?);
    }
    match order.fault_in() {
        Some((field, remedy)) => Err(Error::invalid(field, remedy)),
        None => Ok(order),
    }
}

#[cfg(test)]
mod tests {
    use foretwin_core::{Fault, Probes, Replay};
    use proptest::prelude::*;

    use super::*;
    use crate::profile::tests::profiles;

    fn full(profile: foretwin_core::Profile) -> Order {
        Order {
            label: "host/system.slice/\"ü\".service".into(),
            seed: u64::MAX,
            probes: Some(Probes {
                directory: Some("/var/tmp".into()),
                cpus: vec![0, 3],
                ..Probes::default()
            }),
            replay: Some(Replay { profile: Arc::new(profile), work_rate: Some(9e3), ..Replay::default() }),
            fault: Some(Fault { memory_limit_bytes: Some(1 << 30), ..Fault::default() }),
            ..Order::default()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_order_comes_back_and_damage_is_seen(
            profile in profiles(), at in any::<prop::sample::Index>(), flip in 1u8..,
        ) {
            let order = full(profile);
            let mut bytes = Vec::new();
            encode(&order, &mut bytes);
            prop_assert_eq!(length(&bytes).unwrap(), Some(bytes.len()));
            let cut = at.index(bytes.len());
            prop_assert!(decode(&bytes[..cut]).is_err());
            let mut padded = bytes.clone();
            padded.extend_from_slice(&[0; 9]);
            prop_assert_eq!(decode(&padded).unwrap(), order);
            bytes[cut] ^= flip;
            prop_assert!(decode(&bytes).is_err());
        }
    }

    #[test]
    fn an_order_without_replay_has_no_profile() {
        let order = Order { probes: Some(Probes::default()), ..Order::default() };
        let mut bytes = Vec::new();
        encode(&order, &mut bytes);
        assert_eq!(decode(&bytes).unwrap(), order);
        assert!(bytes.len() < 400, "{}", bytes.len());
    }

    #[test]
    fn errors_name_the_field_and_the_remedy() {
        let order = Order { report_hz: 0.0, ..Order::default() };
        let mut bytes = Vec::new();
        encode(&order, &mut bytes);
        let error = decode(&bytes).unwrap_err().to_string();
        assert_eq!(error, "report_hz: give 0.01 to 100 frames per second");
        bytes[4] = 9;
        assert!(decode(&bytes).unwrap_err().to_string().contains("version 9"));
        assert!(decode(b"#!/bin/sh").unwrap_err().to_string().starts_with("order: these bytes are no order"));
    }
}
