//! What the path of a control group says: which runtime or service manager made it.

use super::Place;

impl Place {
    /// Reads a path below the root of a hierarchy, without leading slash.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let (around, last) = path.rsplit_once('/').unwrap_or(("", path));
        // The cgroupfs driver of containerd, given a path for systemd: `x.slice:cri-containerd:ID`.
        let (tag, last) = last.rsplit_once(':').map_or(("", last), |(tag, last)| (tag, last));
        if let Some((runtime, id)) = container(around, tag, last) {
            return Self::Container { id: id.into(), runtime, pod: pod(path) };
        }
        if let Some(name) = vm(last) {
            return Self::Vm { name };
        }
        if last == "container"
            && around.rsplit('/').next().is_some_and(|parent| parent.starts_with("libpod-"))
        {
            return Self::Inner;
        }
        if let Some(uid) = pod_part(last) {
            return Self::Pod { uid };
        }
        if is_unit(last) {
            return Self::Unit { name: last.into() };
        }
        Self::Group
    }
}

/// Runtime and id, where the last component of a path is a container's.
fn container<'a>(around: &str, tag: &str, last: &'a str) -> Option<(Option<&'static str>, &'a str)> {
    if let Some(name) = last.strip_prefix("lxc.payload.") {
        return Some((Some("lxc"), name));
    }
    let parent = around.rsplit('/').next().unwrap_or_default();
    if matches!(parent, "lxc" | "lxc.payload") {
        return Some((Some("lxc"), last));
    }
    let bare = last.strip_suffix(".scope").unwrap_or(last);
    let (prefix, id) = bare.rsplit_once('-').unwrap_or(("", bare));
    // The monitor beside a container has its id too.
    if !is_id(id) || prefix.contains("conmon") {
        return None;
    }
    let named = |name: &str| match name {
        "docker" => Some("docker"),
        "libpod" | "libpod_parent" => Some("podman"),
        "crio" => Some("cri-o"),
        "cri-containerd" | "containerd" => Some("containerd"),
        _ => None,
    };
    Some((named(prefix).or(named(tag.rsplit(':').next().unwrap_or_default())).or(named(parent)), id))
}

/// The 64 hexadecimal digits that runtimes name containers and images with.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A guest of libvirt under systemd-machined: `machine-qemu\x2d3\x2dweb.scope`.
fn vm(last: &str) -> Option<String> {
    let name = last.strip_prefix("machine-qemu")?.strip_suffix(".scope")?.replace("\\x2d", "-");
    let name = name.trim_start_matches('-');
    let (number, rest) = name.split_once('-').unwrap_or(("", name));
    let plain = if number.bytes().all(|byte| byte.is_ascii_digit()) { rest } else { name };
    Some(plain.into())
}

/// The id of the innermost pod of a path.
fn pod(path: &str) -> Option<String> {
    path.split(['/', ':']).rev().find_map(pod_part)
}

/// `pod<uid>` of the cgroupfs driver, `kubepods-burstable-pod<uid with underscores>.slice` of systemd's.
fn pod_part(part: &str) -> Option<String> {
    let bare = part.strip_suffix(".slice").unwrap_or(part);
    let uid = match bare.strip_prefix("kubepods") {
        Some(rest) => rest.rsplit_once("-pod")?.1.replace('_', "-"),
        None => bare.strip_prefix("pod")?.into(),
    };
    // Static pods have a hash of 32 digits for an id.
    let long = uid.len() == 36 || uid.len() == 32;
    (long && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')).then_some(uid)
}

fn is_unit(name: &str) -> bool {
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    matches!(suffix, "service" | "scope" | "slice" | "socket" | "mount" | "swap")
}
