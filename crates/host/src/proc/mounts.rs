//! `/proc/self/mountinfo`: what is mounted where (Documentation/filesystems/proc.rst, 3.5).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::parse::{Fields, lines};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Major and minor number of the file system, equal for all mounts of it.
    pub device: Vec<u8>,
    /// Directory of the file system that is mounted; its root unless this is a bind mount.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// Whether nobody may write, here or at all.
    pub read_only: bool,
    /// Type of the file system.
    pub kind: String,
    /// What is mounted, for instance `/dev/vda1`.
    pub source: PathBuf,
}

/// The mounts of a text, in order of mounting; a later one hides an earlier one at the same place. Garbled lines
/// are left out.
#[must_use]
pub fn mounts(text: &[u8]) -> Vec<Mount> {
    lines(text).filter_map(mount).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = Fields::new(line).past(2);
    let (device, root, point) = (fields.next()?, fields.next()?, fields.next()?);
    let options = fields.next()?;
    // Any number of tags, then a dash.
    fields.find(|&field| field == b"-")?;
    let (kind, source) = (fields.next()?, fields.next()?);
    let of_file_system = fields.next().unwrap_or_default();
    Some(Mount {
        device: device.to_vec(),
        root: path(root),
        point: path(point),
        read_only: is_read_only(options) || is_read_only(of_file_system),
        kind: String::from_utf8_lossy(kind).into_owned(),
        source: path(source),
    })
}

fn is_read_only(options: &[u8]) -> bool {
    options.split(|&byte| byte == b',').any(|option| option == b"ro")
}

/// Blanks, newlines and backslashes are written as three octal digits.
fn path(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let escaped = if first == b'\\' { after.first_chunk::<3>().and_then(octal) } else { None };
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    OsString::from_vec(bytes).into()
}

fn octal(digits: &[u8; 3]) -> Option<u8> {
    digits.iter().try_fold(0u8, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|&digit| digit < 8)?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard
40 27 254:0 /srv/my\\040data /mnt/with\\040blank ro,relatime - ext4 /dev/vda rw
41 27 0:44 / /mnt/squash rw - squashfs /dev/loop1 ro
42 27 0:45 / /broken rw
";

    #[test]
    fn tags_are_skipped_and_escapes_undone() {
        let mounts = mounts(TEXT);
        assert_eq!(mounts.len(), 4, "the broken line is left out");
        assert_eq!((mounts[1].kind.as_str(), mounts[1].read_only), ("ext4", false));
        assert_eq!(mounts[2].point, PathBuf::from("/mnt/with blank"));
        assert_eq!(mounts[2].root, PathBuf::from("/srv/my data"));
        assert!(mounts[2].read_only && mounts[3].read_only);
        assert_eq!(mounts[1].device, mounts[2].device);
    }

    #[test]
    fn strange_escapes_stay_as_they_are() {
        assert_eq!(path(br"/a\040b\134"), PathBuf::from(r"/a b\"));
        assert_eq!(path(br"/a\9x\04"), PathBuf::from(r"/a\9x\04"));
        assert_eq!(path(br"/a\777"), PathBuf::from(r"/a\777"));
    }
}
