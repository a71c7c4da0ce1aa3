//! Comparisons that outlive the process: what a host's scene has learned, as bytes.
//!
//! A checksum (FNV-1a, 64 bits) of all that follows; the length of the head; the head, one JSON document; and the
//! comparisons one after another, as foresee writes them. Little-endian.

use foretwin_core::{Fidelity, InstanceId, Timestamp, fnv64};
use foretwin_foresee::contrast::Comparison;
use serde::{Deserialize, Serialize};

/// Version of the head.
const VERSION: u32 = 1;
/// Comparisons that rested longer say nothing of today: seconds.
const LONGEST_S: f64 = 7.0 * 86_400.0;

/// With what comparisons have learned: they are worth nothing beside other probes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Basis {
    /// The instance that reports the probes.
    pub twin: InstanceId,
    /// What it runs in.
    pub fidelity: Fidelity,
    /// Digest of the costs that it measures; none while it has measured nothing.
    pub probes: Option<u64>,
}

/// A comparison between two lives.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resting {
    pub instance: InstanceId,
    /// The last second that it has taken.
    pub at: Timestamp,
    /// Version of the profile that was pinned for the instance.
    pub profile: Option<u64>,
    pub comparison: Comparison,
}

/// All comparisons of a host.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept {
    pub basis: Basis,
    pub comparisons: Vec<Resting>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    version: u32,
    basis: Basis,
    comparisons: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    instance: InstanceId,
    at_us: Timestamp,
    profile: Option<u64>,
    bytes: usize,
}

impl Resting {
    /// Whether it has not rested for too long at `now`.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.at) <= LONGEST_S
    }
}

impl Kept {
    /// As bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let bodies: Vec<Vec<u8>> = self.comparisons.iter().map(|one| one.comparison.encode()).collect();
        let entry = |(one, body): (&Resting, &Vec<u8>)| Entry {
            instance: one.instance.clone(),
            at_us: one.at,
            profile: one.profile,
            bytes: body.len(),
        };
        let comparisons = self.comparisons.iter().zip(&bodies).map(entry).collect();
        let head = Head { version: VERSION, basis: self.basis.clone(), comparisons };
        let head = serde_json::to_vec(&head).unwrap_or_default();
        let mut bytes = vec![0; 8];
        bytes.extend((head.len() as u32).to_le_bytes());
        bytes.extend(head);
        bodies.iter().for_each(|body| bytes.extend(body));
        let checksum = fnv64(&bytes[8..]);
        bytes[..8].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads what was written; a comparison that cannot be read is left out.
    ///
    /// # Errors
    /// Why none can be used, in words.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let short = || "it ends early".to_owned();
        let (checksum, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
        if fnv64(rest) != u64::from_le_bytes(*checksum) {
            return Err("its checksum is wrong".into());
        }
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (head, mut rest) =
            rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
        let head: Head = serde_json::from_slice(head).map_err(|error| error.to_string())?;
        if head.version != VERSION {
            return Err(format!("it has version {}, this is {VERSION}", head.version));
        }
        let mut comparisons = Vec::new();
        for Entry { instance, at_us, profile, bytes } in head.comparisons {
            let (body, others) = rest.split_at_checked(bytes).ok_or_else(short)?;
            rest = others;
            match Comparison::decode(instance.clone(), head.basis.fidelity, body) {
                Ok(comparison) => comparisons.push(Resting { instance, at: at_us, profile, comparison }),
                // Written by an earlier version, for instance.
                Err(error) => tracing::info!("{instance}: its comparison begins anew: {error}"),
            }
        }
        Ok(Self { basis: head.basis, comparisons })
    }
}
