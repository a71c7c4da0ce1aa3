//! Room in a file system, as an ordinary process sees it.
#![allow(unsafe_code)] // statvfs has no safe counterpart in the standard library.

use std::ffi::CStr;
use std::io;

use crate::Error;

/// Room in a file system. What only root may still use does not count: `limit` is what is used plus what an
/// ordinary process can still write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes used.
    pub used_bytes: u64,
    /// Bytes at which an ordinary process gets "no space left on device".
    pub limit_bytes: u64,
    /// Inodes used.
    pub used_inodes: u64,
    /// Inodes at which nobody can create a file any more; 0 where the file system makes them as needed.
    pub limit_inodes: u64,
}

/// Asks for the room in the file system at `path`. Blocks while a file system of the network does not answer.
///
/// # Errors
/// [`Error::Call`] with what `statvfs` says.
pub fn space(path: &CStr) -> Result<Space, Error> {
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with a nul byte, and the structure is large enough.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        let source = io::Error::last_os_error();
        return Err(Error::Call { call: "statvfs", object: path.to_string_lossy().into_owned(), source });
    }
    // SAFETY: the call succeeded, so it filled the structure.
    let stat = unsafe { stat.assume_init() };
    let used_blocks = stat.f_blocks.saturating_sub(stat.f_bfree);
    let used_inodes = stat.f_files.saturating_sub(stat.f_ffree);
    Ok(Space {
        used_bytes: used_blocks.saturating_mul(stat.f_frsize),
        limit_bytes: used_blocks.saturating_add(stat.f_bavail).saturating_mul(stat.f_frsize),
        used_inodes,
        limit_inodes: if stat.f_files == 0 { 0 } else { used_inodes.saturating_add(stat.f_favail) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_has_room() {
        let space = space(c"/").unwrap();
        assert!(space.used_bytes > 0 && space.used_bytes <= space.limit_bytes);
    }

    #[test]
    fn nothing_there_is_absent() {
        assert!(space(c"/no/such/place").unwrap_err().is_absent());
    }
}
