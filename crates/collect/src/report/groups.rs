//! Control groups: what each may use, and how close it is to that.

use foretwin_host::ABSENT;
use foretwin_host::cgroup::{self, Budget, Hierarchy, Limits, Reader, Stats, Version};
use serde_json::{Value, json};

use super::tree::Tree;

/// Most groups that are told of: those nearest to a limit first.
const MOST: usize = 200;

pub(super) fn section(tree: &Tree) -> Value {
    if !tree.is_live() {
        return json!({"groups": []});
    }
    let hierarchies = cgroup::mounted().unwrap_or_default();
    let version = hierarchies.iter().map(|one| if one.version == Version::V2 { 2 } else { 1 }).min();
    let mut groups: Vec<(f64, Value)> =
        paths(&hierarchies).iter().filter_map(|path| group(path, &hierarchies)).collect();
    groups.sort_by(|a, b| b.0.total_cmp(&a.0));
    groups.truncate(MOST);
    let groups: Vec<Value> = groups.into_iter().map(|(_, told)| told).collect();
    json!({"version": version, "groups": groups})
}

/// Groups of the hierarchy that counts memory, or of the unified one.
fn paths(hierarchies: &[Hierarchy]) -> Vec<String> {
    let counts = |one: &&Hierarchy| one.has("memory");
    let unified = |one: &&Hierarchy| one.version == Version::V2;
    let Some(home) = hierarchies.iter().find(counts).or_else(|| hierarchies.iter().find(unified)) else {
        return Vec::new();
    };
    let mut known = cgroup::Tree::new(&home.root);
    if known.refresh().is_err() {
        return Vec::new();
    }
    known.paths().filter(|path| !path.is_empty()).map(str::to_owned).collect()
}

/// How close the group is to any limit, and what is told of it.
fn group(path: &str, hierarchies: &[Hierarchy]) -> Option<(f64, Value)> {
    let within: Vec<&Hierarchy> = hierarchies.iter().filter(|one| one.dir(path).is_dir()).collect();
    let limits = Limits::effective(path, &within);
    let stats = read(path, &within)?;
    let number = |value: u64| (value != ABSENT).then_some(value);
    let of = |used: u64, limit: u64| {
        let (used, limit) = (number(used)?, number(limit)?);
        super::tree::share(used as f64, limit as f64)
    };
    let memory = of(stats.unreclaimable(), limits.memory);
    let throttled = of(stats.throttled_periods, stats.periods);
    let pids = of(stats.pids, limits.pids);
    let nearest = [memory, throttled, pids].into_iter().flatten().fold(0.0, f64::max);
    let told = json!({
        "path": format!("/{path}"),
        "memory_bytes": number(stats.memory),
        "memory_limit_bytes": number(limits.memory),
        "memory_share": memory,
        "throttled_share": throttled,
        "oom_kills": number(stats.oom_kills),
        "pids": number(stats.pids),
        "pids_limit": number(limits.pids),
        "pids_share": pids,
    });
    Some((nearest, told))
}

fn read(path: &str, hierarchies: &[&Hierarchy]) -> Option<Stats> {
    let mut stats = Stats::ABSENT;
    Reader::open(path, hierarchies, &Budget::new(0)).read(&mut stats, &mut [0; 16 << 10]);
    (stats != Stats::ABSENT).then_some(stats)
}
