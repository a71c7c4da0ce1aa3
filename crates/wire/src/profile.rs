//! A profile as bytes: numbers as they are, so that its size follows from its shape.

use foretwin_core::profile::{PROBABILITIES, Track, Transition};
use foretwin_core::{Cycle, Dimension, Profile, Timestamp};

use crate::Error;
use crate::cursor::{Cursor, put_varint};

const MAGIC: &[u8; 4] = b"FTWP";
/// The first version did not keep idle shares; it stays readable.
const VERSION: u8 = 2;

/// Appends the encoding of `profile`: magic, version, the header, the tracks, the correlation, CRC-32.
pub fn encode(profile: &Profile, into: &mut Vec<u8>) {
    let start = into.len();
    into.extend_from_slice(MAGIC);
    into.push(VERSION);
    into.push(match profile.cycle {
        Cycle::Flat => 0,
        Cycle::Day => 1,
        Cycle::Week => 2,
    });
    put_varint(profile.version, into);
    into.extend_from_slice(&profile.made.0.to_le_bytes());
    into.extend_from_slice(&profile.step_s.to_le_bytes());
    put_varint(profile.rows, into);
    put_varint(profile.tracks.len() as u64, into);
    for track in &profile.tracks {
        into.push(track.dimension.index() as u8);
        let transition = track.transition;
        let mut idle = track.idle.clone();
        idle.resize(profile.cycle.slots(), 0.0);
        let memory = [transition.white, transition.fast, transition.fast_s, transition.slow_s];
        for value in memory.iter().chain(track.quantiles.iter().flatten()).chain(&idle) {
            into.extend_from_slice(&value.to_le_bytes());
        }
    }
    profile.correlation.iter().for_each(|value| into.extend_from_slice(&value.to_le_bytes()));
    let checksum = crc32fast::hash(&into[start..]);
    into.extend_from_slice(&checksum.to_le_bytes());
}

/// Reads a profile that takes all of `bytes`.
///
/// # Errors
/// If they are damaged, of a newer version, or say what no profile can.
pub fn decode(bytes: &[u8]) -> Result<Profile, Error> {
    const WHAT: &str = "profile";
    let body = bytes.len().checked_sub(4).ok_or(Error::Short { what: WHAT })?;
    let mut cursor = Cursor(&bytes[..body]);
    if cursor.take(4, WHAT)? != MAGIC {
        return Err(Error::invalid(
            WHAT,
            "these bytes are no profile; export one with `foretwin twin profile`",
        ));
    }
    let version = cursor.take(1, WHAT)?[0];
    if !(1..=VERSION).contains(&version) {
        return Err(Error::invalid(
            WHAT,
            format!("version {version} is not known; use a runner as new as it"),
        ));
    }
    if crc32fast::hash(&bytes[..body]).to_le_bytes() != bytes[body..] {
        return Err(Error::Checksum { what: WHAT });
    }
    let profile = read(&mut cursor, version)?;
    if !cursor.0.is_empty() {
        return Err(Error::invalid(WHAT, "there are bytes after its end"));
    }
    match profile.fault() {
        Some(fault) => Err(Error::invalid(WHAT, fault)),
        None => Ok(profile),
    }
}

fn read(cursor: &mut Cursor, format: u8) -> Result<Profile, Error> {
    let cycle = match cursor.take(1, "profile cycle")?[0] {
        0 => Cycle::Flat,
        1 => Cycle::Day,
        2 => Cycle::Week,
        other => return Err(Error::invalid("profile cycle", format!("{other} is not known"))),
    };
    let version = cursor.varint("profile version")?;
    let made = Timestamp(cursor.u64("profile time")?.cast_signed());
    let step_s = cursor.f32("profile step")?;
    let rows = cursor.varint("profile rows")?;
    let tracks = cursor.count(1 + 16 + 4 * PROBABILITIES.len() * cycle.slots(), "profile dimensions")?;
    let tracks = (0..tracks).map(|_| track(cursor, cycle, format)).collect::<Result<Vec<_>, _>>()?;
    let correlation = (0..tracks.len().pow(2)).map(|_| cursor.f32("profile correlation"));
    let correlation = correlation.collect::<Result<Vec<_>, _>>()?;
    Ok(Profile { version, made, step_s, rows, cycle, tracks, correlation })
}

fn track(cursor: &mut Cursor, cycle: Cycle, format: u8) -> Result<Track, Error> {
    const WHAT: &str = "profile dimension";
    let index = cursor.take(1, WHAT)?[0];
    let dimension = Dimension::from_index(u16::from(index))
        .ok_or_else(|| Error::invalid(WHAT, format!("{index} is not known; use a runner as new as it")))?;
    let [white, fast, fast_s, slow_s] = numbers(cursor, "profile transition")?;
    let quantiles = (0..cycle.slots()).map(|_| numbers(cursor, "profile quantiles"));
    let quantiles = quantiles.collect::<Result<Vec<_>, _>>()?;
    let idle = (0..if format < 2 { 0 } else { cycle.slots() }).map(|_| cursor.f32("profile idle share"));
    let idle = idle.collect::<Result<Vec<_>, _>>()?;
    Ok(Track { dimension, quantiles, idle, transition: Transition { white, fast, fast_s, slow_s } })
}

fn numbers<const N: usize>(cursor: &mut Cursor, what: &'static str) -> Result<[f32; N], Error> {
    let mut numbers = [0.0; N];
    for number in &mut numbers {
        *number = cursor.f32(what)?;
    }
    Ok(numbers)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn profiles() -> impl Strategy<Value = Profile> {
        let cycle = prop_oneof![Just(Cycle::Flat), Just(Cycle::Day), Just(Cycle::Week)];
        (any::<(u64, i64, u64)>(), cycle, prop::sample::subsequence(&Dimension::ALL[..], 0..5)).prop_flat_map(
            |((version, made, rows), cycle, dimensions)| {
                let (count, slots) = (dimensions.len(), cycle.slots());
                let row = [(); PROBABILITIES.len()].map(|()| 0.0f32..1e9);
                let shares = prop::collection::vec(0.0f32..1.0, slots);
                let track =
                    (prop::collection::vec(row, slots), shares, 0.0f32..0.5, 0.0f32..0.5, 0.1f32..1e5);
                let correlation = prop::collection::vec(-1.0f32..1.0, count * count);
                (prop::collection::vec(track, count), correlation, 0.01f32..100.0).prop_map(
                    move |(raw, correlation, step_s)| {
                        let tracks = raw.into_iter().zip(&dimensions).map(|(raw, dimension)| {
                            let (mut quantiles, idle, white, fast, fast_s) = raw;
                            quantiles.iter_mut().for_each(|row| row.sort_by(f32::total_cmp));
                            let transition = Transition { white, fast, fast_s, slow_s: fast_s * 10.0 };
                            Track { dimension: *dimension, quantiles, idle, transition }
                        });
                        let (made, tracks) = (Timestamp(made), tracks.collect());
                        Profile { version, made, step_s, rows, cycle, tracks, correlation }
                    },
                )
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_profile_comes_back_and_damage_is_seen(
            profile in profiles(), at in any::<prop::sample::Index>(), flip in 1u8..,
        ) {
            let mut bytes = Vec::new();
            encode(&profile, &mut bytes);
            prop_assert_eq!(decode(&bytes).unwrap(), profile);
            let cut = at.index(bytes.len());
            prop_assert!(decode(&bytes[..cut]).is_err());
            bytes[cut] ^= flip;
            prop_assert!(decode(&bytes).is_err());
        }
    }

    #[test]
    fn the_largest_profile_fits_the_environment() {
        let track = |dimension| Track {
            dimension,
            quantiles: vec![[1.0; 9]; 168],
            idle: vec![0.0; 168],
            transition: Transition { white: 0.2, fast: 0.3, fast_s: 5.0, slow_s: 500.0 },
        };
        let tracks: Vec<Track> = Dimension::ALL.into_iter().map(track).collect();
        let correlation = vec![0.0; tracks.len().pow(2)];
        let profile = Profile { cycle: Cycle::Week, tracks, correlation, ..Profile::default() };
        let mut bytes = Vec::new();
        encode(&profile, &mut bytes);
        // One string of the environment holds 128 KiB, base64 takes four bytes for three.
        assert!(bytes.len() * 4 / 3 < 112 << 10, "{} bytes", bytes.len());
        assert_eq!(decode(&bytes).unwrap(), profile);
    }

    #[test]
    fn the_first_version_is_still_read() {
        let profile = Profile { version: 7, ..Profile::default() };
        let mut bytes = Vec::new();
        encode(&profile, &mut bytes);
        let body = bytes.len() - 4;
        bytes[4] = 1;
        let checksum = crc32fast::hash(&bytes[..body]);
        bytes[body..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(decode(&bytes).unwrap(), profile);
    }

    #[test]
    fn what_no_profile_can_say_is_refused() {
        let mut profile = Profile { step_s: -1.0, ..Profile::default() };
        let mut bytes = Vec::new();
        encode(&profile, &mut bytes);
        assert!(decode(&bytes).unwrap_err().to_string().contains("step"));
        profile.step_s = f32::NAN;
        bytes.clear();
        encode(&profile, &mut bytes);
        assert!(decode(&bytes).is_err());
    }
}
