//! Names without what changes from one start to the next.

use std::borrow::Cow;

/// The controller of a pod, from the name it gave: `web-5d4f8c7b9-x2x7k` of a deployment, `db-0` of a stateful
/// set, `logs-x2x7k` of a daemon set. The random parts have Kubernetes' own alphabet, without vowels.
pub(super) fn pod_owner(pod: &str) -> &str {
    let random = |part: &str, sizes: std::ops::RangeInclusive<usize>| {
        sizes.contains(&part.len()) && part.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte))
    };
    let Some((rest, last)) = pod.rsplit_once('-') else { return pod };
    if random(last, 5..=5) {
        return match rest.rsplit_once('-') {
            Some((owner, hash)) if random(hash, 6..=10) => owner,
            _ => rest,
        };
    }
    if last.bytes().all(|byte| byte.is_ascii_digit()) { rest } else { pod }
}

/// The name of a unit with what changes from one start to the next replaced by `*`. Scopes are always made by a
/// program and numbered; services only where they carry a long random id or are `run-...`.
pub(super) fn steady_unit(unit: &str) -> Cow<'_, str> {
    let Some((stem, suffix)) = unit.rsplit_once('.') else { return unit.into() };
    let made_up = suffix == "scope" || stem.starts_with("run-");
    let mut steady = String::with_capacity(unit.len());
    let mut last = "";
    for part in stem.split_inclusive(['-', '@', '_']) {
        let (text, separator) = part.split_at(part.trim_end_matches(['-', '@', '_']).len());
        let shown = if is_random(text, made_up) { "*" } else { text };
        // An id with hyphens in it is one id.
        if !(shown == "*" && last == "*") {
            steady.push_str(shown);
            steady.push_str(separator);
        }
        last = shown;
    }
    let steady = steady.trim_end_matches('-');
    format!("{steady}.{suffix}").into()
}

fn is_random(part: &str, made_up: bool) -> bool {
    let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    // `r`, `u`, `p`, `i` and `c` before a number are what systemd puts there.
    let number = part.strip_prefix(['r', 'u', 'p', 'i', 'c']).unwrap_or(part);
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    if digits > 0 && number.len() >= 16 && hex(number) {
        return true;
    }
    let counted = digits > 0 && digits == number.len();
    made_up && (counted || digits > 0 && hex(part) && matches!(part.len(), 4 | 8 | 12))
}
