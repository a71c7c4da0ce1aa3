//! Whose a local port is: the control group of the process that listens on it. Asked once per target, since it
//! looks at the descriptors of every process.

use std::fs;

use crate::identity::Place;

/// The group of the process that listens at `host:port`, if that is on this machine and in a group.
pub(super) fn of(authority: &str) -> Option<String> {
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    let is_local = matches!(host, "localhost" | "[::1]") || host.starts_with("127.");
    let port: u16 = port.parse().ok().filter(|_| is_local)?;
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let table = fs::read_to_string(table).ok()?;
        table.lines().find_map(|line| listener(line, port))
    })?;
    let pid = holder(inode)?;
    group(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

/// The inode of a listening socket on a port, in a line of `/proc/net/tcp`.
fn listener(line: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_ascii_whitespace();
    let (_, own) = fields.nth(1)?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    let is_it = state == LISTEN && u16::from_str_radix(own, 16) == Ok(port);
    fields.nth(5)?.parse().ok().filter(|_| is_it)
}

/// The first process that has the socket open.
fn holder(inode: u64) -> Option<u32> {
    let socket = format!("socket:[{inode}]");
    let has = |pid: &u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.into_iter()
            .any(|entry| fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == socket.as_str()))
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(has)
}

/// The most telling of a process's groups in all hierarchies (`/proc/PID/cgroup`): what a runtime or service manager
/// made goes before other groups, and a deeper one before a shallow one.
fn group(text: &str) -> Option<String> {
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2)?.strip_prefix('/'));
    let best = paths.filter(|path| !path.is_empty() && !path.starts_with("..")).max_by_key(|path| {
        let place = Place::of(path);
        (place.is_boundary() || place == Place::Inner, path.matches('/').count())
    })?;
    // What a runtime made inside a container for its own ends is the container.
    let best = if Place::of(best) == Place::Inner { best.rsplit_once('/')?.0 } else { best };
    Some(best.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listener_is_found_with_its_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let inode = table.lines().find_map(|line| super::listener(line, port)).unwrap();
        assert_eq!(holder(inode), Some(std::process::id()));
        assert_eq!(of("elsewhere.example:80"), None);
    }

    #[test]
    fn the_most_telling_group_is_taken() {
        let text = "9:name=systemd:/\n4:memory:/a/b/c\n2:cpu:/system.slice/nginx.service\n0::/\n";
        assert_eq!(group(text).as_deref(), Some("system.slice/nginx.service"));
        assert_eq!(group("4:memory:/jobs/one\n0::/\n").as_deref(), Some("jobs/one"));
        assert_eq!(group("1:cpu:/\n0::/\n"), None);
        assert_eq!(group("0::/../escaped\n"), None);
    }
}
