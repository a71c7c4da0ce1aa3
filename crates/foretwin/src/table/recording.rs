//! What the columns of a recording mean: counts and levels, and which of them runs against which limit.
//!
//! A replay knows as much of a limit as a live node would. So names that Foretwin gives itself, in its own spelling or in
//! that of its Prometheus API, mean what they mean there; beyond that `x_limit` is the limit of `x`, `x_used` or `x_usage`;
//! and an operator may say the rest.

use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use foretwin_collect::{groups, scrape};
use foretwin_core::{FailureMode, InstanceId, Kind, Metric, Role, Schema, Storage, Value, Window};

use super::Table;

/// A limit as an operator says it: `used=limit`, where the limit is another column or a number in the same unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    used: String,
    limit: String,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Keys may hold an equals sign among their attributes, a limit of them does so rarely: split at the last one
        // outside of braces.
        let mut depth = 0i32;
        let outside = |(at, sign): (usize, char)| {
            depth += i32::from(sign == '{') - i32::from(sign == '}');
            (sign == '=' && depth == 0).then_some(at)
        };
        let at = text.char_indices().filter_map(outside).last();
        let (used, limit) = at.map_or(("", ""), |at| (&text[..at], &text[at + 1..]));
        if used.is_empty() || limit.is_empty() {
            return Err("expected USED=LIMIT, a column and another column or a number".into());
        }
        Ok(Self { used: used.into(), limit: limit.into() })
    }
}

/// Series that Foretwin has of machines, with their limits, in the spelling of Prometheus; those of groups are in their
/// schema.
const MACHINE: [(&str, &str, FailureMode); 7] = [
    ("system_memory_unreclaimable", "system_memory_limit", FailureMode::MemoryExhaustion),
    ("system_paging_usage", "system_paging_limit", FailureMode::SwapExhaustion),
    ("system_filesystem_usage", "system_filesystem_limit", FailureMode::DiskFull),
    ("system_filesystem_inode_usage", "system_filesystem_inode_limit", FailureMode::InodeExhaustion),
    ("system_file_descriptor_count", "system_file_descriptor_limit", FailureMode::DescriptorExhaustion),
    ("system_thread_count", "system_thread_limit", FailureMode::PidExhaustion),
    ("system_network_conntrack_count", "system_network_conntrack_limit", FailureMode::Outage),
];

/// What cAdvisor and client libraries say, with the limits.
const CONVENTIONS: [(&str, &str, FailureMode); 3] = [
    (
        "container_memory_working_set_bytes",
        "container_spec_memory_limit_bytes",
        FailureMode::MemoryExhaustion,
    ),
    ("container_threads", "container_threads_max", FailureMode::PidExhaustion),
    ("process_open_fds", "process_max_fds", FailureMode::DescriptorExhaustion),
];

/// What makes a name that of a limit, and what the name of the use may end in instead.
const LIMIT_ENDS: [&str; 5] = ["limit_bytes", "limit", "capacity", "quota", "cap"];
const USED_ENDS: [&str; 8] = ["usage_bytes", "used_bytes", "bytes", "usage", "used", "count", "current", ""];

/// Words of a name, in their order of weight, and what running out of it means.
const MODES: [(&[&str], FailureMode); 6] = [
    (&["inode", "inodes"], FailureMode::InodeExhaustion),
    (&["swap", "paging"], FailureMode::SwapExhaustion),
    (&["disk", "fs", "filesystem", "volume"], FailureMode::DiskFull),
    (&["fd", "fds", "nfds", "descriptor", "descriptors"], FailureMode::DescriptorExhaustion),
    (&["pid", "pids", "thread", "threads", "processes"], FailureMode::PidExhaustion),
    (&["memory", "mem", "rss", "heap", "vsize"], FailureMode::MemoryExhaustion),
];

/// A level of which a limit is full makes `mode` happen.
struct Pair {
    used: usize,
    limit: usize,
    mode: FailureMode,
}

impl Table {
    /// As a window whose metrics mean what their names say, with their limits.
    ///
    /// # Errors
    /// If a limit names no column.
    pub fn recording(&self, instance: &str, limits: &[Limit]) -> Result<Window> {
        let plain = self.window(instance);
        let mut metrics: Vec<Metric> = self.names.iter().map(|name| metric(name)).collect();
        let mut columns = plain.columns;
        let mut pairs = pairs(&metrics);
        for said in limits {
            let pair = said_pair(said, &mut metrics, &mut columns)?;
            pairs.retain(|known| known.used != pair.used);
            pairs.push(pair);
        }
        for metric in &mut metrics {
            metric.capacity = None;
        }
        for Pair { used, limit, mode } in pairs {
            let key = metrics[limit].key();
            metrics[limit].role = Role::Limit;
            let level = metrics[used].clone();
            metrics[used] = level.against(&key, mode);
        }
        let schema: Arc<Schema> = Schema::new(metrics);
        Ok(Window { instance: InstanceId::new(instance), schema, times: plain.times, columns })
    }
}

/// The column that an operator means.
fn column(metrics: &[Metric], name: &str) -> Option<usize> {
    metrics.iter().position(|metric| metric.key() == name)
}

fn said_pair(said: &Limit, metrics: &mut Vec<Metric>, columns: &mut Vec<Vec<Value>>) -> Result<Pair> {
    let used = column(metrics, &said.used);
    let used = used.with_context(|| format!("--limit {}={}: no column {0}", said.used, said.limit))?;
    let limit = match (column(metrics, &said.limit), said.limit.parse::<f64>()) {
        (Some(limit), _) => limit,
        (None, Ok(level)) if level > 0.0 => {
            let stated = Metric { name: format!("{}.limit", metrics[used].name), ..metrics[used].clone() };
            let levels = vec![Value::float(level); columns[used].len()];
            // What an operator says goes before what was recorded under that name.
            match column(metrics, &stated.key()) {
                Some(known) => {
                    columns[known] = levels;
                    known
                }
                None => {
                    metrics.push(stated);
                    columns.push(levels);
                    metrics.len() - 1
                }
            }
        }
        _ => bail!("--limit {}={}: {1} is neither a column nor a number above zero", said.used, said.limit),
    };
    let words = format!("{} {}", said.used, said.limit);
    Ok(Pair { used, limit, mode: mode(&words).unwrap_or(FailureMode::Custom) })
}

/// Name and attributes of a key as [`Metric::key`] writes it.
fn metric(key: &str) -> Metric {
    let (name, rest) = key.split_once('{').unwrap_or((key, ""));
    let pairs = rest.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
    let mut labels: Vec<(String, String)> =
        pairs.map(|(label, value)| (label.to_owned(), value.to_owned())).collect();
    labels.sort();
    let said = Metric { attributes: labels.clone(), ..Metric::gauge(name, "1", Role::Utilization) };
    // A key that is written otherwise is a name as it stands.
    let (name, labels) = if said.key() == key { (name, labels) } else { (key, Vec::new()) };
    let metric = match own(&spelling(name)) {
        Some(own) => Metric { name: name.into(), attributes: labels, ..own.clone() },
        None => scrape::guessed(name, labels),
    };
    metric.stored(Storage::F64)
}

/// As Prometheus writes it.
fn spelling(name: &str) -> String {
    name.replace('.', "_").to_lowercase()
}

/// What runs against what, by its names; a limit is of one series only.
fn pairs(metrics: &[Metric]) -> Vec<Pair> {
    let names: Vec<String> = metrics.iter().map(|metric| spelling(&metric.name)).collect();
    let find = |used: usize, name: &str| {
        (0..metrics.len()).find(|&at| at != used && names[at] == name && same_place(metrics, (used, at)))
    };
    let known = |used: usize| {
        let (limit, mode) = meant(&names[used])?;
        find(used, &limit).map(|limit| Pair { used, limit, mode })
    };
    let mut pairs: Vec<Pair> = (0..metrics.len()).filter_map(known).collect();
    for (used, metric) in metrics.iter().enumerate() {
        // Names of Foretwin's own are known: use that page cache is part of runs against no limit.
        let open = metric.kind == Kind::Gauge && !is_own(&names[used]);
        let limit = by_ending(&names[used], |limit| find(used, limit)).filter(|_| open);
        let taken = |limit: usize| pairs.iter().any(|pair| pair.limit == limit || pair.used == used);
        if let Some(limit) = limit.filter(|&limit| !taken(limit)) {
            pairs.push(Pair { used, limit, mode: mode(&names[used]).unwrap_or(FailureMode::Custom) });
        }
    }
    pairs
}

/// The limit that a name has by definition or convention.
fn meant(name: &str) -> Option<(String, FailureMode)> {
    let known = MACHINE.iter().chain(&CONVENTIONS).find(|(known, ..)| *known == name);
    known.map(|(_, limit, mode)| ((*limit).to_owned(), *mode)).or_else(|| {
        let capacity = own(name)?.capacity.as_ref()?;
        Some((spelling(&capacity.limit), capacity.mode))
    })
}

/// The series of a group that has this name.
fn own(spelled: &str) -> Option<&'static Metric> {
    groups::schema().metrics().iter().find(|own| spelling(&own.name) == spelled)
}

/// Whether Foretwin gives this name itself.
fn is_own(spelled: &str) -> bool {
    own(spelled).is_some() || spelled.starts_with("system_")
}

/// Whether two series have the same attributes, but for states, which limits do not have.
fn same_place(metrics: &[Metric], (used, limit): (usize, usize)) -> bool {
    let own = &metrics[used].attributes;
    let of = &metrics[limit].attributes;
    of.iter().all(|pair| own.contains(pair))
        && own.iter().all(|pair| of.contains(pair) || pair.0.ends_with("state"))
}

/// The limit that the name of a use leads to: `disk_used` and `disk` to `disk_limit`, `disk_cap` and the like.
fn by_ending(name: &str, find: impl Fn(&str) -> Option<usize>) -> Option<usize> {
    USED_ENDS
        .iter()
        .filter_map(|end| base(name, end))
        .find_map(|base| LIMIT_ENDS.iter().find_map(|end| find(&format!("{base}_{end}"))))
}

/// A name without a last word; nothing where it does not end in it.
fn base<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    if end.is_empty() { Some(name) } else { name.strip_suffix(end)?.strip_suffix('_') }
}

/// What running out of something of this name means.
fn mode(name: &str) -> Option<FailureMode> {
    let spelled = name.to_lowercase();
    let words: Vec<&str> = spelled.split(|sign: char| !sign.is_alphanumeric()).collect();
    let holds = |(known, _): &&(&[&str], FailureMode)| known.iter().any(|word| words.contains(word));
    MODES.iter().find(holds).map(|(_, mode)| *mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&str]) -> Table {
        let columns = vec![vec![1.0, 2.0]; names.len()];
        Table { times: vec![0.0, 1.0], names: names.iter().map(|name| (*name).into()).collect(), columns }
    }

    /// Pairs of use and limit with the mode, as the schema has them.
    fn limits(names: &[&str], said: &[&str]) -> Vec<(String, String, FailureMode)> {
        let said: Vec<Limit> = said.iter().map(|text| text.parse().unwrap()).collect();
        let window = table(names).recording("x", &said).unwrap();
        let metrics = window.schema.metrics().iter();
        let pairs = metrics.filter_map(|metric| Some((metric.key(), metric.capacity.clone()?)));
        pairs.map(|(key, capacity)| (key, capacity.limit, capacity.mode)).collect()
    }

    fn one(used: &str, limit: &str, mode: FailureMode) -> Vec<(String, String, FailureMode)> {
        vec![(used.into(), limit.into(), mode)]
    }

    #[test]
    fn own_names_mean_what_they_mean_live_in_both_spellings() {
        let (used, limit) = ("container.memory.unreclaimable", "container.memory.limit");
        let cached = "container.memory.usage";
        let found = limits(&[cached, used, limit], &[]);
        assert_eq!(
            found,
            one(used, limit, FailureMode::MemoryExhaustion),
            "page cache runs against no limit"
        );
        let (used, limit) = (
            "container_memory_unreclaimable{instance=h/a,job=foretwin}",
            "container_memory_limit{instance=h/a,job=foretwin}",
        );
        assert_eq!(limits(&[used, limit], &[]), one(used, limit, FailureMode::MemoryExhaustion));
        let (used, limit) =
            ("system_filesystem_usage{mountpoint=/a}", "system_filesystem_limit{mountpoint=/b}");
        assert_eq!(limits(&[used, limit], &[]), [], "the limit of another place is no limit");
    }

    #[test]
    fn counts_are_counts() {
        let names = ["container.cpu.busy", "http_requests_total", "container.memory.usage"];
        let window = table(&names).recording("x", &[]).unwrap();
        let kinds: Vec<Kind> = window.schema.metrics().iter().map(|metric| metric.kind).collect();
        assert_eq!(kinds, [Kind::Counter, Kind::Counter, Kind::Gauge]);
    }

    #[test]
    fn endings_tell_limits() {
        assert_eq!(
            limits(&["disk_used", "disk_cap"], &[]),
            one("disk_used", "disk_cap", FailureMode::DiskFull)
        );
        assert_eq!(
            limits(&["heap", "heap.limit"], &[]),
            one("heap", "heap.limit", FailureMode::MemoryExhaustion)
        );
        assert_eq!(
            limits(&["sessions_count", "sessions_limit"], &[]),
            one("sessions_count", "sessions_limit", FailureMode::Custom)
        );
        assert_eq!(limits(&["latency", "latency_max", "rate_limit"], &[]), []);
    }

    #[test]
    fn an_operator_says_the_rest() {
        assert_eq!(limits(&["rss", "box"], &["rss=box"]), one("rss", "box", FailureMode::MemoryExhaustion));
        let window = table(&["rss"]).recording("x", &["rss=4e9".parse().unwrap()]).unwrap();
        assert_eq!(window.schema.metrics()[0].capacity.as_ref().unwrap().limit, "rss.limit");
        assert_eq!(window.numbers("rss.limit").unwrap(), [4e9, 4e9]);
        for wrong in ["rss=nothing", "none=4", "rss=-1"] {
            assert!(table(&["rss"]).recording("x", &[wrong.parse().unwrap()]).is_err(), "{wrong}");
        }
        assert!("rss".parse::<Limit>().is_err());
        assert_eq!("a{b=c}=d".parse(), Ok(Limit { used: "a{b=c}".into(), limit: "d".into() }));
    }
}
