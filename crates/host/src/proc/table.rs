//! Texts of two lines a group, names above numbers: `/proc/net/snmp` and `/proc/net/netstat`.

use crate::ABSENT;
use crate::parse::{Fields, lines};

/// Picks the numbers of some columns out of such a text. It remembers the line of names and where the columns
/// stood in it, and searches anew when that line has changed.
#[derive(Debug)]
pub struct HeadedLines {
    group: &'static str,
    names: Vec<&'static str>,
    values: Vec<u64>,
    /// The line of names that `places` was made from.
    header: Vec<u8>,
    /// Column and index of the name, in order of column.
    places: Vec<(usize, usize)>,
}

impl HeadedLines {
    /// A picker of the columns `names` of the group that starts with `group`, for instance `Tcp:`.
    #[must_use]
    pub fn new(group: &'static str, names: impl IntoIterator<Item = &'static str>) -> Self {
        let names: Vec<_> = names.into_iter().collect();
        let (values, places) = (vec![ABSENT; names.len()], Vec::with_capacity(names.len()));
        Self { group, names, values, header: Vec::new(), places }
    }

    /// Takes over a text. Returns whether the group was found; where not, all values are [`ABSENT`].
    pub fn scan(&mut self, text: &[u8]) -> bool {
        self.values.fill(ABSENT);
        let mut of_group = lines(text).filter_map(|line| line.strip_prefix(self.group.as_bytes()));
        let (Some(header), Some(numbers)) = (of_group.next(), of_group.next()) else { return false };
        if header != self.header {
            self.remember(header);
        }
        let mut fields = Fields::new(numbers);
        let mut next_column = 0;
        for &(column, name) in &self.places {
            fields = fields.past(column - next_column);
            // `MaxConn` may be −1; no column that is picked is negative where it means something.
            let field = fields.next().unwrap_or_default();
            self.values[name] = crate::parse::number(field).unwrap_or(ABSENT);
            next_column = column + 1;
        }
        true
    }

    /// The numbers in the order of the names, [`ABSENT`] where the column is not there.
    #[must_use]
    pub fn values(&self) -> &[u64] {
        &self.values
    }

    fn remember(&mut self, header: &[u8]) {
        self.header.clear();
        self.header.extend_from_slice(header);
        self.places.clear();
        for (column, title) in Fields::new(header).enumerate() {
            let known = self.names.iter().position(|name| name.as_bytes() == title);
            if let Some(name) = known.filter(|_| self.places.len() < self.names.len()) {
                self.places.push((column, name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX_6_18: &str = "\
Ip: Forwarding DefaultTTL
Ip: 2 64
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs \
OutSegs RetransSegs InErrs OutRsts InCsumErrors
Tcp: 1 200 120000 -1 66 2 0 52 3 7809 5020 4 0 58 0
";
    /// 2.6.32 has no checksum errors.
    const LINUX_2_6_32: &str = "\
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs \
OutSegs RetransSegs InErrs OutRsts
Tcp: 1 200 120000 -1 40 3 1 2 5 900 800 7 0 9
";
    const NAMES: &[&str] = &["OutRsts", "RetransSegs", "InCsumErrors"];

    #[test]
    fn columns_follow_the_names() {
        let mut tcp = HeadedLines::new("Tcp:", NAMES.iter().copied());
        assert!(tcp.scan(LINUX_6_18.as_bytes()));
        assert_eq!(tcp.values(), [58, 4, 0]);
        assert!(tcp.scan(LINUX_2_6_32.as_bytes()));
        assert_eq!(tcp.values(), [9, 7, ABSENT]);
    }

    #[test]
    fn what_is_cut_off_is_absent() {
        let mut tcp = HeadedLines::new("Tcp:", NAMES.iter().copied());
        let cut = &LINUX_6_18[..LINUX_6_18.len() - 8];
        assert!(tcp.scan(cut.as_bytes()));
        assert_eq!(tcp.values(), [ABSENT, 4, ABSENT]);
        assert!(!tcp.scan(b"Tcp: RetransSegs\n"));
        assert!(!tcp.scan(b"TcpExt: a\nTcpExt: 1\n"));
        assert_eq!(tcp.values(), [ABSENT; 3]);
    }
}
