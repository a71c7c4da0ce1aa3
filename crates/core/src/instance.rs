//! Who is watched: machines, VMs, containers, services, and their twins.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::hash::fnv64;
use crate::record::{PARTITIONS, Partition};

/// The name of an instance, unique in a fleet: `HOST` for a machine, `HOST/PATH` for a group on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// Names an instance.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where everything about the instance lives: its FNV-1a hash modulo [`PARTITIONS`].
    #[must_use]
    pub fn partition(&self) -> Partition {
        Partition((fnv64(self.0.as_bytes()) % PARTITIONS as u64) as u8)
    }
}

impl Borrow<str> for InstanceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceKind {
    /// A machine, physical or as seen from inside.
    Host,
    /// A guest, as its hypervisor sees it.
    Vm,
    /// A group that a container runtime made.
    Container,
    /// A group that a service manager made.
    Service,
    /// Any other group of processes.
    Group,
    /// A source of application metrics that belongs to no group we see.
    Application,
}

/// What an instance runs, as opposed to where: it outlives restarts, and models and history belong to it.
/// For instance `unit:nginx.service`, `image:redis:7/cache`, `command:/usr/bin/worker`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkloadId(pub String);

/// A monitored machine, VM, container or service, or the twin of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Unique name.
    pub id: InstanceId,
    /// What it is.
    pub kind: InstanceKind,
    /// Name of the machine it runs on.
    pub host: String,
    /// What it runs.
    pub workload: WorkloadId,
    /// The instance that contains it, for groups their nearest watched ancestor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<InstanceId>,
    /// The original, where this is a twin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin_of: Option<InstanceId>,
    /// Operators' names and values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How much it matters, 0 to 100; the twin's budget follows it.
    #[serde(default = "ordinary")]
    pub criticality: u8,
}

fn ordinary() -> u8 {
    50
}

impl Instance {
    /// An instance of ordinary criticality without parent or labels.
    #[must_use]
    pub fn new(id: &str, kind: InstanceKind, host: &str, workload: &str) -> Self {
        Self {
            id: InstanceId::new(id),
            kind,
            host: host.into(),
            workload: WorkloadId(workload.into()),
            parent: None,
            twin_of: None,
            labels: BTreeMap::new(),
            criticality: ordinary(),
        }
    }

    /// Whether it is `other`, or lives on it or in it, by its name, its parent or its host: work on `other` is work on this,
    /// and what `other` suffers this suffers too.
    #[must_use]
    pub fn lives_on(&self, other: &InstanceId) -> bool {
        let below = self.id.as_str().strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('/'));
        *other == self.id || below || self.parent.as_ref() == Some(other) || self.host == other.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data directory depends on these numbers.
    #[test]
    fn partitions_are_fixed() {
        assert_eq!(InstanceId::new("").partition(), Partition((0xcbf2_9ce4_8422_2325_u64 % 64) as u8));
        assert_eq!(InstanceId::new("foobar").partition(), Partition(0x28));
    }

    #[test]
    fn an_instance_lives_on_its_host_its_parent_and_itself() {
        let mut app = Instance::new("web-1/system.slice/app", InstanceKind::Service, "web-1", "unit:app");
        for (other, lives) in [
            ("web-1", true),
            ("web-1/system.slice", true),
            ("web-1/system.slice/app", true),
            ("web-1/system.slice/ap", false),
            ("web", false),
            ("pod-7", false),
        ] {
            assert_eq!(app.lives_on(&InstanceId::new(other)), lives, "{other}");
        }
        app.parent = Some(InstanceId::new("pod-7"));
        assert!(app.lives_on(&InstanceId::new("pod-7")));
    }

    #[test]
    fn partitions_are_used_evenly() {
        let mut counts = [0u32; PARTITIONS];
        for n in 0..64_000 {
            counts[InstanceId::new(&format!("host-{n}/system.slice/app.service")).partition().0 as usize] +=
                1;
        }
        assert!(counts.iter().all(|&n| (850..1150).contains(&n)), "{counts:?}");
    }
}
