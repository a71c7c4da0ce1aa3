//! Room in each file system that a process can fill, from `/proc/self/mountinfo` and `statvfs`.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use foretwin_core::{FailureMode, Metric, Role, Value, fnv64};
use foretwin_host::Error;
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::proc::{Mount, Space, mounts, space};

use super::section::{Layout, Section, fill, limit};

/// Cells of each file system.
const WIDTH: usize = 4;
/// Most file systems watched.
const MOST: usize = 64;

/// Types that hold no files of anybody, or only ever the same.
const PSEUDO: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "udf",
];

/// Types whose server may stop answering, and collection with it.
const REMOTE: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "davfs",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
    "virtiofs",
];

/// All file systems that are watched.
pub(super) struct FileSystems {
    file: ProcFile,
    skip: Vec<String>,
    /// Hash of the list of mounts that `points` was made from.
    seen: u64,
    points: Vec<CString>,
}

impl FileSystems {
    pub(super) fn open(skip: &[String]) -> Result<Option<Self>, Error> {
        let file = ProcFile::open_if_present("/proc/self/mountinfo")?;
        Ok(file.map(|file| Self { file, skip: skip.to_vec(), seen: 0, points: Vec::new() }))
    }

    fn update(&mut self, buffer: &mut Buffer) -> Result<Layout, Error> {
        let text = self.file.read(buffer)?;
        let seen = fnv64(text);
        if seen == self.seen {
            return Ok(Layout::Same);
        }
        self.seen = seen;
        let points = fillable(mounts(text), &self.skip);
        if points == self.points {
            return Ok(Layout::Same);
        }
        self.points = points;
        Ok(Layout::Changed)
    }
}

impl Section for FileSystems {
    fn name(&self) -> &'static str {
        "file systems"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        metrics.extend(self.points.iter().flat_map(|point| describe(&point.to_string_lossy())));
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        if self.update(buffer)? == Layout::Changed {
            return Ok(Layout::Changed);
        }
        let mut outcome = Ok(Layout::Same);
        for (point, cells) in self.points.iter().zip(cells.chunks_exact_mut(WIDTH)) {
            match space(point) {
                Ok(space) => fill(cells, values(&space)),
                // One that was just unmounted is not an error; the list tells at the next reading.
                Err(error) if error.is_absent() => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    fn good_for_ms(&self) -> i64 {
        5_000
    }
}

fn describe(point: &str) -> [Metric; WIDTH] {
    let gauge =
        |name, unit, role| Metric::gauge(name, unit, role).with("system.filesystem.mountpoint", point);
    let bytes = gauge("system.filesystem.limit", "By", Role::Limit);
    let inodes = gauge("system.filesystem.inode.limit", "{inode}", Role::Limit);
    [
        gauge("system.filesystem.usage", "By", Role::Utilization)
            .against(&bytes.key(), FailureMode::DiskFull),
        bytes,
        gauge("system.filesystem.inode.usage", "{inode}", Role::Utilization)
            .against(&inodes.key(), FailureMode::InodeExhaustion),
        inodes,
    ]
}

fn values(space: &Space) -> [u64; WIDTH] {
    [space.used_bytes, limit(space.limit_bytes), space.used_inodes, limit(space.limit_inodes)]
}

/// The mount points to watch: one for each file system that can be filled. Of several mounts of one file system the
/// one of its root with the shortest path stands for all.
fn fillable(mounts: Vec<Mount>, skip: &[String]) -> Vec<CString> {
    let mut chosen: Vec<Mount> = Vec::new();
    for mount in visible(mounts).into_iter().filter(|mount| is_fillable(mount, skip)) {
        match chosen.iter_mut().find(|other| other.device == mount.device) {
            Some(other) if rank(&mount) < rank(other) => *other = mount,
            Some(_) => {}
            None => chosen.push(mount),
        }
    }
    chosen.sort_by(|a, b| a.point.cmp(&b.point));
    let paths = chosen.into_iter().map(|mount| CString::new(mount.point.as_os_str().as_bytes()));
    // A path that came from the kernel has no nul byte in it.
    paths.flatten().take(MOST).collect()
}

/// A later mount hides an earlier one at the same point.
fn visible(mounts: Vec<Mount>) -> Vec<Mount> {
    let mut seen: Vec<Mount> = Vec::with_capacity(mounts.len());
    for mount in mounts {
        seen.retain(|other| other.point != mount.point);
        seen.push(mount);
    }
    seen
}

fn is_fillable(mount: &Mount, skip: &[String]) -> bool {
    let kind = mount.kind.as_str();
    let is_elsewhere = REMOTE.contains(&kind) || kind.starts_with("fuse");
    let point = mount.point.as_os_str().as_bytes();
    // A container's layers are told by the disk they lie on, except where this is that container.
    let is_layer = kind == "overlay" && point != b"/";
    let is_skipped = skip.iter().any(|start| point.starts_with(start.as_bytes()));
    !(mount.read_only || PSEUDO.contains(&kind) || is_elsewhere || is_layer || is_skipped)
}

fn rank(mount: &Mount) -> (bool, usize) {
    (mount.root.as_os_str() != "/", mount.point.as_os_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"\
22 27 0:21 / /proc rw - proc proc rw
25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw,size=24684084k
26 24 0:40 / /dev/shm rw - tmpfs tmpfs rw,size=1000k
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
28 27 0:25 / /mnt/tools ro,nosuid - tmpfs tools ro,size=4k
40 27 254:0 /srv /home/srv rw - ext4 /dev/vda rw
41 27 254:16 /sub /d rw - btrfs /dev/vdb rw
42 27 254:16 / /mnt/data rw - btrfs /dev/vdb rw
43 27 0:50 / /mnt/nfs rw - nfs4 server:/x rw
44 27 0:51 / /var/lib/docker/overlay2/1/merged rw - overlay overlay rw
45 27 0:52 / /mnt/sshfs rw - fuse.sshfs host:/ rw
46 27 254:32 / /snap/core rw - ext4 /dev/vdc rw
";

    #[test]
    fn one_point_for_each_file_system_that_can_fill() {
        let points = fillable(mounts(MOUNTS), &["/snap/".into()]);
        let points: Vec<_> = points.iter().map(|point| point.to_str().unwrap()).collect();
        assert_eq!(points, ["/", "/dev/shm", "/mnt/data"]);
    }

    #[test]
    fn the_root_of_a_container_counts() {
        let points = fillable(mounts(b"1 0 0:50 / / rw - overlay overlay rw,lowerdir=/a\n"), &[]);
        assert_eq!(points, [c"/".to_owned()]);
    }

    #[test]
    fn inodes_made_as_needed_have_no_limit() {
        let space = Space { used_bytes: 1, limit_bytes: 2, used_inodes: 0, limit_inodes: 0 };
        assert_eq!(values(&space), [1, 2, 0, foretwin_host::ABSENT]);
        let [usage, limit, ..] = describe("/mnt");
        assert_eq!(usage.capacity.unwrap().limit, limit.key());
    }
}
