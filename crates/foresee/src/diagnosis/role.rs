//! What a metric says, judged by its name, for telemetry that comes without roles.

use foretwin_core::Role;

/// Words of a name, in order of precedence, and the role they stand for. `source` and `destination` are the two
/// reporters of a service mesh: latency as the caller and as the callee see it.
const WORDS: &[(&[&str], Role)] = &[
    (&["latency", "duration", "delay", "rtt", "response_time", "sojourn"], Role::Duration),
    (&["source_", "destination_"], Role::Duration),
    (&["error", "fail", "fault", "5xx", "success", "availab", "dropped", "timeout"], Role::Errors),
    (
        &["pressure", "queue", "throttl", "run_delay", "steal", "iowait", "io_wait", "saturation"],
        Role::Saturation,
    ),
    (&["request", "workload", "ops", "qps", "rps", "throughput", "network", "syscall", "bytes"], Role::Rate),
];

/// The role that a name suggests; what it does not tell is utilization.
#[must_use]
pub fn of(metric: &str) -> Role {
    let name = metric.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    WORDS.iter().find(|(words, _)| says(words)).map_or(Role::Utilization, |(_, role)| *role)
}

/// Whether a metric of a container or pod is its machine's: Kubernetes calls the machine a node.
#[must_use]
pub fn is_shared(metric: &str) -> bool {
    let name = metric.to_lowercase();
    name.starts_with("node") || name.starts_with("host")
}

/// Whether a metric is about the calls that its node makes, and so about whom it calls.
pub(super) fn is_outbound(metric: &str) -> bool {
    let name = metric.to_lowercase();
    name.contains("client") || name.contains("outbound") || name.contains("upstream")
}

/// Whether more is better: shares of success.
#[must_use]
pub fn is_success(metric: &str) -> bool {
    let name = metric.to_lowercase();
    name.contains("success") || name.contains("availab")
}

/// Whether a name speaks of memory, or of a disk: resources that fill up and stay full.
pub(super) fn resource(metric: &str) -> Resource {
    let name = metric.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if says(&["restart", "reboot", "uptime", "start_time"]) {
        Resource::Restarts
    } else if says(&["throttl"]) {
        Resource::Throttling
    } else if says(&["steal", "run_delay"]) {
        Resource::Contention
    } else if says(&["disk", "filesystem", "inode", "io_wait", "iowait", "fsync"]) {
        Resource::Disk
    } else if says(&["mem", "heap", "rss", "swap", "descriptor", "file_handles"]) {
        Resource::Memory
    } else if says(&["network", "packet", "retrans", "tcp", "rtt", "source_"]) {
        Resource::Network
    } else if says(&["cpu", "processor"]) {
        Resource::Cpu
    } else {
        Resource::Other
    }
}

/// What a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Resource {
    Cpu,
    Memory,
    Disk,
    Network,
    Throttling,
    Contention,
    Restarts,
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_roles() {
        let cases = [
            ("latency_Average", Role::Duration),
            ("source_50_from_frontend", Role::Duration),
            ("availability_Average", Role::Errors),
            ("PodSuccessRate(%)", Role::Errors),
            ("requests_Sum", Role::Rate),
            ("NetworkReceiveBytes", Role::Rate),
            ("CpuUsageRate(%)", Role::Utilization),
            ("container.cpu.throttling.time", Role::Saturation),
        ];
        for (name, role) in cases {
            assert_eq!(of(name), role, "{name}");
        }
        assert!(is_shared("NodeCpuUsageRate(%)") && !is_shared("CpuUsage(m)"));
        assert_eq!(resource("MemoryUsage(Mi)"), Resource::Memory);
        assert_eq!(resource("container.cpu.throttling.time"), Resource::Throttling);
    }
}
