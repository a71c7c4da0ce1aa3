//! What is mounted where: control group hierarchies and the lab's own small file systems.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// One line of `mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub point: PathBuf,
    /// File system type.
    pub kind: String,
    /// The name it was mounted under.
    pub source: String,
    /// Options of the file system, for `cgroup` its controllers among them.
    pub options: Vec<String>,
}

/// Everything mounted in this process's namespace.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn read() -> Result<Vec<Mount>> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").context("reading /proc/self/mountinfo")?;
    Ok(text.lines().filter_map(parse).collect())
}

/// `36 35 98:0 /root /point rw,opt shared:1 - type source superoptions` (proc_pid_mountinfo(5)).
fn parse(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let point = unescape(left.split(' ').nth(4)?);
    let mut right = right.split(' ');
    Some(Mount {
        point: point.into(),
        kind: right.next()?.into(),
        source: unescape(right.next()?),
        options: right.next().unwrap_or_default().split(',').map(Into::into).collect(),
    })
}

/// Blanks in paths are written as octal escapes.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_cgroup_versions() {
        let one = parse(
            "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct",
        );
        let one = one.unwrap();
        assert_eq!(one.point, PathBuf::from("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!((one.kind.as_str(), one.options.len()), ("cgroup", 3));
        let two = parse("41 31 0:38 / /a\\040b rw,relatime - cgroup2 none rw").unwrap();
        assert_eq!((two.point, two.kind.as_str()), (PathBuf::from("/a b"), "cgroup2"));
        assert_eq!(parse("nonsense"), None);
    }
}
