//! Two archive formats, written whole in memory: tar for images of containers, cpio for the first file system of a
//! guest.

/// One file of an archive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// Path without a leading slash.
    pub path: &'a str,
    /// Permissions and, for directories and devices, the type.
    pub kind: Kind,
    /// Content of a file.
    pub content: &'a [u8],
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// A file that may be read.
    File,
    /// A file that may be run.
    Program,
    /// The character device with these numbers.
    Device(u32, u32),
}

impl<'a> Entry<'a> {
    /// A directory.
    pub fn directory(path: &'a str) -> Self {
        Self { path, kind: Kind::Directory, content: &[] }
    }

    /// A file that may be read.
    pub fn file(path: &'a str, content: &'a [u8]) -> Self {
        Self { path, kind: Kind::File, content }
    }

    /// A file that may be run.
    pub fn program(path: &'a str, content: &'a [u8]) -> Self {
        Self { path, kind: Kind::Program, content }
    }

    /// A character device.
    pub fn device(path: &'a str, major: u32, minor: u32) -> Self {
        Self { path, kind: Kind::Device(major, minor), content: &[] }
    }

    fn permissions(&self) -> u32 {
        match self.kind {
            Kind::Directory | Kind::Program => 0o755,
            Kind::File => 0o644,
            Kind::Device(..) => 0o600,
        }
    }
}

/// POSIX ustar (IEEE 1003.1, pax): paths of at most 100 bytes, content of less than 8 GiB, no devices.
pub(crate) fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        let mut header = [0u8; 512];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, &entry.path[..entry.path.len().min(100)]);
        put(100, &format!("{:07o}", entry.permissions()));
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{:011o}", entry.content.len()));
        put(136, "00000000000");
        // The checksum is taken with blanks in its own place.
        put(148, "        ");
        put(156, if entry.kind == Kind::Directory { "5" } else { "0" });
        put(257, "ustar");
        put(263, "00");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(entry.content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// The "newc" cpio format (Documentation/driver-api/early-userspace/buffer-format.rst).
pub(crate) fn cpio(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let (kind, major, minor) = match entry.kind {
            Kind::Directory => (0o040_000, 0, 0),
            Kind::File | Kind::Program => (0o100_000, 0, 0),
            Kind::Device(major, minor) => (0o020_000, major, minor),
        };
        let inode = u32::try_from(at + 1).unwrap_or(u32::MAX);
        cpio_entry(&mut out, [inode, kind | entry.permissions(), major, minor], (entry.path, entry.content));
    }
    cpio_entry(&mut out, [0; 4], ("TRAILER!!!", &[]));
    out
}

fn cpio_entry(out: &mut Vec<u8>, [inode, mode, major, minor]: [u32; 4], (path, content): (&str, &[u8])) {
    let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let name_size = u32::try_from(path.len() + 1).unwrap_or(u32::MAX);
    let fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name_size, 0];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// What a system's own tool lists of an archive; none where the tool is missing.
    fn listed(program: &str, arguments: &[&str], archive: &[u8]) -> Option<String> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        child.stdin.take().unwrap().write_all(archive).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{program} refuses the archive");
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn tar_reads_what_tar_writes() {
        let archive =
            tar(&[Entry::directory("tmp"), Entry::program("run", &[7; 700]), Entry::file("a", b"x")]);
        assert_eq!(archive.len(), 512 * (1 + 1 + 2 + 1 + 1 + 2));
        match listed("tar", &["-tvf", "-"], &archive) {
            Some(text) => {
                let lines: Vec<&str> = text.lines().collect();
                assert!(lines[0].starts_with("drwxr-xr-x") && lines[1].starts_with("-rwxr-xr-x"), "{text}");
                assert!(lines[1].contains(" 700 ") && lines[2].ends_with(" a"), "{text}");
            }
            None => eprintln!("SKIPPED: tar is not installed"),
        }
    }

    #[test]
    fn cpio_reads_what_cpio_writes() {
        let entries =
            [Entry::directory("dev"), Entry::device("dev/console", 5, 1), Entry::program("init", b"12345")];
        let archive = cpio(&entries);
        assert_eq!(archive.len() % 4, 0);
        match listed("cpio", &["-tv", "--quiet"], &archive) {
            Some(text) => {
                let lines: Vec<&str> = text.lines().collect();
                assert!(lines[0].starts_with("drwxr-xr-x") && lines[1].contains("5,   1"), "{text}");
                assert!(lines[2].starts_with("-rwxr-xr-x") && lines[2].ends_with("init"), "{text}");
            }
            None => eprintln!("SKIPPED: cpio is not installed"),
        }
    }
}
