//! The snapshot of the catalog: what hot files said that are gone by now.
//!
//! Two equal copies, written one after the other: there is always one that is whole. The first line of each is a
//! checksum of the rest, which is JSON.

use std::path::{Path, PathBuf};

use foretwin_disk::Disk;

use crate::Error;
use crate::catalog::Changes;
use crate::damage::Damages;

const COPIES: [&str; 2] = ["catalog-a.json", "catalog-b.json"];
const HEAD: &str = "foretwin-catalog 1 ";

/// Writes both copies; durable when this returns.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, catalog: &Changes) -> Result<(), Error> {
    let json = serde_json::to_vec(catalog).unwrap_or_default();
    let mut bytes = format!("{HEAD}{:08x}\n", crc32fast::hash(&json)).into_bytes();
    bytes.extend_from_slice(&json);
    let temporary = dir.join(format!("catalog{}", crate::container::UNFINISHED));
    for copy in COPIES {
        let path = dir.join(copy);
        let _ = disk.remove(&temporary);
        let failed = |operation| {
            let path = path.clone();
            move |error| Error::Disk { operation, path, source: error }
        };
        let mut file = disk.create(&temporary).map_err(failed("create"))?;
        file.write(&bytes).map_err(failed("write"))?;
        file.sync().map_err(failed("sync"))?;
        disk.rename(&temporary, &path).map_err(failed("rename"))?;
        disk.sync_dir(dir).map_err(failed("sync the directory of"))?;
    }
    Ok(())
}

/// Reads whichever copy is whole; the second is the older one if they differ.
pub(crate) fn read(disk: &dyn Disk, dir: &Path, damages: &Damages) -> Result<Option<Changes>, Error> {
    let mut found = None;
    for copy in COPIES {
        let path: PathBuf = dir.join(copy);
        let length = match disk.length(&path) {
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::disk("read", &path, error)),
        };
        let bytes =
            disk.read(&path, 0, length as usize).map_err(|error| Error::disk("read", &path, error))?;
        match parse(&bytes) {
            Some(catalog) if found.is_none() => found = Some(catalog),
            Some(_) => {}
            None => {
                damages.note(&path, "this copy of the catalog is unreadable, the other one is used".into());
            }
        }
    }
    Ok(found)
}

fn parse(bytes: &[u8]) -> Option<Changes> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let crc = u32::from_str_radix(head.strip_prefix(HEAD)?, 16).ok()?;
    let json = &bytes[end + 1..];
    if crc32fast::hash(json) != crc {
        return None;
    }
    serde_json::from_slice(json).ok()
}
