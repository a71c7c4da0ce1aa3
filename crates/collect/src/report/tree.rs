//! Reading a machine's files, or a copy of them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Most bytes taken of one file.
const MOST_BYTES: u64 = 4 << 20;
/// How long another program may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a report is made from.
pub(super) struct Tree {
    root: PathBuf,
    live: bool,
}

impl Tree {
    /// This machine.
    pub(super) fn live() -> Self {
        Self { root: "/".into(), live: true }
    }

    /// A copy of a machine's files.
    pub(super) fn below(root: &Path) -> Self {
        Self { root: root.into(), live: false }
    }

    /// Whether system calls and other programs speak of the machine that the files are of.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Where a path of the machine lies.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The text of a file, bounded, with replacement characters for what is not UTF-8.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let mut bytes = Vec::new();
        fs::File::open(self.at(path)).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The first line of a file, without blanks around it; none if it is empty.
    pub(super) fn line(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        let line = text.lines().next()?.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned();
        (!line.is_empty()).then_some(line)
    }

    /// A file that is one number.
    pub(super) fn number(&self, path: &str) -> Option<f64> {
        self.line(path)?.parse().ok()
    }

    /// Names in a directory, sorted.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Whether something is there.
    pub(super) fn has(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// What a program of the machine answers; none if it is not there, fails or takes too long.
    pub(super) fn ask(&self, program: &str, arguments: &[&str]) -> Option<String> {
        if !self.live {
            return None;
        }
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.env("LC_ALL", "C").spawn().ok()?;
        let mut output = child.stdout.take()?.take(MOST_BYTES);
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            output.read_to_end(&mut bytes).map(|_| bytes)
        });
        let began = Instant::now();
        while !reader.is_finished() && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Ends the reader too; of a program that has ended already this asks nothing.
        let _ = child.kill();
        let _ = child.wait();
        let bytes = reader.join().ok()?.ok()?;
        (began.elapsed() < PATIENCE && !bytes.is_empty())
            .then(|| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// `key: value` and `key value unit` lines as numbers.
pub(super) fn keyed(text: &str) -> impl Iterator<Item = (&str, f64)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.trim_end_matches(':'), words.next()?.parse().ok()?))
    })
}

/// The number with a key in such a text.
pub(super) fn value(text: &str, key: &str) -> Option<f64> {
    keyed(text).find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// A part of a whole; none of nothing.
pub(super) fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// Seconds since the epoch of a file's last change.
pub(super) fn changed(path: &Path) -> Option<i64> {
    let modified: SystemTime = fs::symlink_metadata(path).ok()?.modified().ok()?;
    Some(modified.duration_since(UNIX_EPOCH).ok()?.as_secs().cast_signed())
}

/// Seconds since the epoch as RFC 3339, UTC. Days to dates as Howard Hinnant's "chrono-Compatible Low-Level Date
/// Algorithms" has it.
pub(super) fn date(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_763_632_799, "2025-11-20T09:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn programs_that_do_not_answer_are_not_waited_for() {
        let tree = Tree::live();
        assert_eq!(tree.ask("echo", &["yes"]).as_deref(), Some("yes\n"));
        assert_eq!(tree.ask("/no/such/program", &[]), None);
        let began = Instant::now();
        assert_eq!(tree.ask("sleep", &["60"]), None);
        assert!(began.elapsed() < Duration::from_secs(30));
        assert_eq!(Tree::below(Path::new("/")).ask("echo", &["no"]), None);
    }
}
