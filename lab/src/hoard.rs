//! Memory that is really taken: anonymous pages, each of them touched.

// The mapping is private to its owner, never shared, and its length is kept beside it.
#![allow(unsafe_code)]

use std::io;

const CHUNK: usize = 64 * 1024;
const PAGE: usize = 4096;

/// One anonymous mapping. The allocator is passed by: it keeps freed memory, and the lab means what it frees.
#[derive(Debug)]
struct Chunk(*mut libc::c_void);

impl Chunk {
    fn new(salt: u8) -> io::Result<Self> {
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
        );
        let start = unsafe { libc::mmap(std::ptr::null_mut(), CHUNK, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let chunk = Self(start);
        // The salt keeps the pages of different chunks apart, so that no merging of same pages frees them.
        for page in (0..CHUNK).step_by(PAGE) {
            let mark = salt.wrapping_add((page / PAGE) as u8) | 1;
            unsafe { start.cast::<u8>().add(page).write_volatile(mark) };
        }
        Ok(chunk)
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        unsafe { libc::munmap(self.0, CHUNK) };
    }
}

/// A pile of touched memory that grows and shrinks in chunks of 64 KiB.
#[derive(Debug, Default)]
pub struct Hoard {
    chunks: Vec<Chunk>,
    target: f64,
}

impl Hoard {
    /// Takes about `bytes` more; parts of a chunk are carried over.
    ///
    /// # Errors
    /// If the system gives no more.
    pub fn grow(&mut self, bytes: f64) -> io::Result<()> {
        self.set(self.target + bytes)
    }

    /// Grows or shrinks to about `bytes`.
    ///
    /// # Errors
    /// If the system gives no more.
    pub fn set(&mut self, bytes: f64) -> io::Result<()> {
        self.target = bytes.max(0.0);
        let wanted = (self.target / CHUNK as f64) as usize;
        self.chunks.truncate(wanted);
        while self.chunks.len() < wanted {
            self.chunks.push(Chunk::new(self.chunks.len() as u8)?);
        }
        Ok(())
    }

    /// What was asked for, in bytes.
    pub fn bytes(&self) -> f64 {
        self.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident() -> f64 {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * PAGE as f64
    }

    #[test]
    fn grows_and_shrinks_for_real() {
        let (mut hoard, before) = (Hoard::default(), resident());
        for _ in 0..1000 {
            hoard.grow(32.0 * 1024.0).unwrap();
        }
        assert!(resident() - before > 28e6, "{} bytes more are resident", resident() - before);
        hoard.set(1e6).unwrap();
        assert!(resident() - before < 12e6);
        assert_eq!(hoard.bytes(), 1e6);
    }
}
