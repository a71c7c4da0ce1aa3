//! An append-only file of lines, each with the digest of itself and the one before: what was changed or taken out shows.
//!
//! The chain says that nobody edited the file between two looks. Whoever may write it can forge all of it from one line
//! on; send the digests elsewhere where that matters.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::access::hex;
use crate::fault::Error;

/// Bytes after which a new file is begun; the one before is kept.
const MOST_BYTES: u64 = 16 << 20;
const FILE: &str = "audit.jsonl";
const BEFORE: &str = "audit.before.jsonl";

/// The log of changes below a data directory.
pub(crate) struct Chain {
    path: PathBuf,
    before: PathBuf,
    most_bytes: u64,
    end: Mutex<End>,
}

/// Where it goes on.
struct End {
    file: File,
    bytes: u64,
    number: u64,
    digest: String,
}

impl Chain {
    pub(crate) fn open(data_dir: &Path) -> Result<Self, Error> {
        Self::bounded(data_dir, MOST_BYTES)
    }

    fn bounded(data_dir: &Path, most_bytes: u64) -> Result<Self, Error> {
        let (path, before) = (data_dir.join(FILE), data_dir.join(BEFORE));
        fs::create_dir_all(data_dir).map_err(|error| Error::file("creating", data_dir, error))?;
        let (mut file, bytes) = whole_lines(&path).map_err(|error| Error::file("opening", &path, error))?;
        file.seek(SeekFrom::End(0)).map_err(|error| Error::file("opening", &path, error))?;
        let (lines, intact) = lines(&before, &path)?;
        if !intact {
            tracing::warn!("{}: the chain is broken; somebody changed it", path.display());
        }
        let last = lines.last();
        let number = last.and_then(|line| line["number"].as_u64()).unwrap_or(0);
        let digest = last.and_then(|line| line["digest"].as_str()).unwrap_or_default().to_owned();
        Ok(Self { path, before, most_bytes, end: Mutex::new(End { file, bytes, number, digest }) })
    }

    /// Adds a change and returns once it is on disk.
    pub(crate) fn append(&self, change: &Value) -> Result<(), Error> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error| Error::file("writing", &self.path, error);
        if end.bytes > self.most_bytes {
            fs::rename(&self.path, &self.before).map_err(failed)?;
            (end.file, end.bytes) = whole_lines(&self.path).map_err(failed)?;
        }
        let number = end.number + 1;
        let digest = link(&end.digest, number, change);
        let line = json!({"number": number, "change": change, "previous": end.digest, "digest": digest});
        let line = format!("{line}\n");
        end.file.write_all(line.as_bytes()).map_err(failed)?;
        end.file.sync_data().map_err(failed)?;
        end.bytes += line.len() as u64;
        (end.number, end.digest) = (number, digest);
        Ok(())
    }

    /// All changes that are kept, oldest first, and whether none was changed or taken out.
    pub(crate) fn read(&self) -> Result<(Vec<Value>, bool), Error> {
        let _end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        lines(&self.before, &self.path)
    }
}

/// SHA-256 over the digest before, the number and the change.
fn link(previous: &str, number: u64, change: &Value) -> String {
    hex(digest(&SHA256, format!("{previous}\n{number}\n{change}").as_bytes()).as_ref())
}

/// Opens a file to append to it, without the torn line that a crash may have left.
fn whole_lines(path: &Path) -> std::io::Result<(File, u64)> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = File::options().create(true).read(true).append(true).mode(0o600).open(path)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1) as u64;
    if whole < text.len() as u64 {
        file.set_len(whole)?;
        tracing::warn!("{}: a change that was half written is cut off", path.display());
    }
    Ok((file, whole))
}

/// The lines of two files, and whether they are one chain.
fn lines(before: &Path, path: &Path) -> Result<(Vec<Value>, bool), Error> {
    let (mut lines, mut intact) = (Vec::new(), true);
    for path in [before, path] {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::file("reading", path, error)),
        };
        for line in text.lines() {
            match serde_json::from_str::<Value>(line) {
                Ok(line) => lines.push(line),
                Err(_) => intact = false,
            }
        }
    }
    // Of what was deleted with an older file nothing is known: the first line vouches for itself.
    let mut previous: Option<(String, u64)> = None;
    for line in &lines {
        let text = |name: &str| line[name].as_str().unwrap_or_default();
        let number = line["number"].as_u64().unwrap_or(0);
        intact &= link(text("previous"), number, &line["change"]) == text("digest");
        intact &= previous.is_none_or(|(digest, before)| digest == text("previous") && before + 1 == number);
        previous = Some((text("digest").to_owned(), number));
    }
    Ok((lines, intact))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(chain: &Chain) -> (Vec<u64>, bool) {
        let (lines, intact) = chain.read().unwrap();
        (lines.iter().map(|line| line["number"].as_u64().unwrap()).collect(), intact)
    }

    #[test]
    fn changes_stay_in_order_over_restarts_and_a_torn_end() {
        let dir = tempfile::tempdir().unwrap();
        let chain = Chain::open(dir.path()).unwrap();
        chain.append(&json!({"what": "a", "of": 0.1})).unwrap();
        chain.append(&json!({"what": "b"})).unwrap();
        drop(chain);
        let mut file = File::options().append(true).open(dir.path().join(FILE)).unwrap();
        file.write_all(b"{\"number\":3,\"cha").unwrap();
        let chain = Chain::open(dir.path()).unwrap();
        chain.append(&json!({"what": "c"})).unwrap();
        assert_eq!(numbers(&chain), (vec![1, 2, 3], true));
    }

    #[test]
    fn what_was_changed_or_taken_out_shows() {
        let dir = tempfile::tempdir().unwrap();
        let chain = Chain::open(dir.path()).unwrap();
        for what in ["a", "b", "c"] {
            chain.append(&json!({"what": what})).unwrap();
        }
        let path = dir.path().join(FILE);
        let whole = fs::read_to_string(&path).unwrap();
        let without: Vec<&str> = whole.lines().filter(|line| !line.contains("\"b\"")).collect();
        for forged in [whole.replace("\"b\"", "\"x\""), without.join("\n"), format!("{whole}rubbish\n")] {
            fs::write(&path, forged).unwrap();
            assert!(!numbers(&chain).1);
        }
        fs::write(&path, whole).unwrap();
        assert_eq!(numbers(&chain), (vec![1, 2, 3], true));
    }

    #[test]
    fn a_long_log_keeps_the_newest_and_stays_a_chain() {
        let dir = tempfile::tempdir().unwrap();
        let chain = Chain::bounded(dir.path(), 1000).unwrap();
        for n in 0..40 {
            chain.append(&json!({"n": n})).unwrap();
        }
        let (kept, intact) = numbers(&chain);
        assert!(intact && kept.len() < 20 && kept.ends_with(&[39, 40]), "{kept:?}");
        drop(chain);
        let chain = Chain::bounded(dir.path(), 1000).unwrap();
        chain.append(&json!({})).unwrap();
        assert_eq!(numbers(&chain).0.last(), Some(&41));
    }
}
