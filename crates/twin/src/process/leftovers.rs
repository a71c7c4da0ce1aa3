//! Processes that carry the owner's label: what a killed predecessor left behind.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::spawn::signal;
use crate::owner::{LABEL, Owner};

/// How long a killed process may take to go.
const GOING: Duration = Duration::from_secs(2);

/// Processes, other than this one and its children, whose environment carries the owner's label.
pub(crate) fn find(owner: &Owner) -> io::Result<Vec<u32>> {
    let mark = format!("{LABEL}={}/", owner.as_str());
    let own = std::process::id();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // What cannot be read is another user's, and not ours.
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        let carries = environment.split(|&byte| byte == 0).any(|pair| pair.starts_with(mark.as_bytes()));
        if carries && pid != own && parent_of(pid) != Some(own) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Kills them and waits until they are gone.
pub(crate) fn kill(owner: &Owner) -> io::Result<Vec<u32>> {
    let deadline = Instant::now() + GOING;
    let first = find(owner)?;
    let mut left = first.clone();
    while !left.is_empty() {
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("processes {left:?} do not end")));
        }
        for pid in &left {
            let _ = signal(*pid, libc::SIGKILL);
        }
        thread::sleep(Duration::from_millis(10));
        left = find(owner)?;
    }
    Ok(first)
}

fn parent_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::InstanceId;
    use std::process::Command;

    #[test]
    fn only_what_carries_the_label_is_killed() {
        let owner = Owner::parse("1eaf0001").unwrap();
        // Started through a shell that ends, so that it is nobody's child here.
        let orphan = |label: &str| {
            let script = "sleep 60 >/dev/null 2>&1 & echo $!";
            let output = Command::new("sh").args(["-c", script]).env(LABEL, label).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse::<u32>().unwrap()
        };
        let ours = orphan(&owner.label(&InstanceId::new("h/a~twin")));
        let other = orphan("1eaf0002/h/a~twin");
        assert_eq!(find(&owner).unwrap(), [ours]);
        assert_eq!(kill(&owner).unwrap(), [ours]);
        assert!(find(&owner).unwrap().is_empty());
        assert!(fs::metadata(format!("/proc/{other}")).is_ok());
        signal(other, libc::SIGKILL).unwrap();
    }
}
