//! A cause in words that an operator reads.

use foretwin_core::{Evidence, Timestamp};

use super::evidence::Finding;
use super::network::{Network, WIDTH, state_of};
use super::rank::{belief, sources};
use super::scene::{Scene, Signal};
use crate::words;

/// Findings that are said of one cause, at most.
const SAID: usize = 4;
/// Share of the strongest finding from which another is worth saying.
const WORTH: f64 = 0.3;
/// Share of a belief that must arrive for it to count as explained: three steps away still does.
const EXPLAINS: f64 = 0.3;

/// The evidence for `node`: its own findings, the path to the symptom, and what it explains elsewhere.
pub(super) fn evidence(
    scene: &Scene,
    findings: &[Finding],
    (network, beliefs): (&Network, &[f64]),
    node: usize,
) -> Vec<Evidence> {
    let mut evidence: Vec<Evidence> = metrics(scene, findings, node)
        .into_iter()
        .filter(|at| findings[*at].strength > 1.0)
        .take(SAID)
        .map(|at| Evidence {
            metric: scene.signals[at].metric.clone(),
            statement: statement(&scene.signals[at], &findings[at]),
        })
        .collect();
    let metric = evidence.first().map_or_else(String::new, |first| first.metric.clone());
    if let Some(path) = path(scene, network, beliefs, node) {
        evidence.push(Evidence { metric: metric.clone(), statement: format!("reaches the symptom: {path}") });
    }
    if let Some(elsewhere) = explained(scene, network, beliefs, node) {
        evidence.push(Evidence { metric, statement: elsewhere });
    }
    evidence
}

/// Signals of a node, most surprising first; the machine's last, and weak ones left out beside strong ones.
pub(super) fn metrics(scene: &Scene, findings: &[Finding], node: usize) -> Vec<usize> {
    let mut own: Vec<usize> = (0..findings.len()).filter(|at| scene.signals[*at].node == node).collect();
    let rank = |at: &usize| (scene.signals[*at].shared, -findings[*at].strength);
    own.sort_by(|a, b| {
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let most = own.first().map_or(0.0, |at| findings[*at].strength);
    let worth = own.iter().take_while(|at| findings[**at].strength >= WORTH * most).count();
    own.truncate(worth.max(1));
    own
}

fn statement(signal: &Signal, finding: &Finding) -> String {
    let (low, high) = finding.range;
    let moved = if finding.direction > 0.0 { "rose" } else { "fell" };
    let since = match finding.since_s {
        Some(at) => format!(" since {}", Timestamp::from_seconds(at)),
        None => String::new(),
    };
    let [before, observed, low, high] =
        [finding.before, finding.observed, low, high].map(|value| quantity(value, &signal.unit));
    format!(
        "{} {moved} from {before} to {observed}, normally {low} to {high}{since}: {:.1} standard deviations, chance {:.1e}",
        signal.metric, finding.strength, finding.tail,
    )
}

/// Names of nodes from the cause to the symptom, where one was named and an effect arrives.
fn path(scene: &Scene, network: &Network, beliefs: &[f64], node: usize) -> Option<String> {
    let symptom = &scene.signals[scene.symptom?];
    let target = state_of(symptom.node, symptom.role, symptom.shared)?;
    let sources = sources(node, beliefs);
    let (from, _) = sources.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let mut nodes: Vec<usize> = network.path(*from, target)?.into_iter().map(|state| state / WIDTH).collect();
    nodes.dedup();
    let names: Vec<&str> = nodes.iter().map(|node| scene.nodes[*node].as_str()).collect();
    (names.len() > 1).then(|| names.join(" → "))
}

/// Which troubled nodes it accounts for.
fn explained(scene: &Scene, network: &Network, beliefs: &[f64], node: usize) -> Option<String> {
    let mut sources = sources(node, beliefs);
    // If it is the cause, its strongest state is in trouble for certain.
    let most = sources.iter().map(|(_, belief)| *belief).fold(0.0, f64::max);
    sources.iter_mut().for_each(|(_, belief)| *belief /= most);
    let reached = network.reach(&sources);
    let troubled = |node: usize| (0..WIDTH).map(move |role| node * WIDTH + role);
    let (mut explained, mut all) = (Vec::new(), 0);
    for other in (0..scene.nodes.len()).filter(|other| *other != node) {
        let worst = troubled(other).max_by(|a, b| beliefs[*a].total_cmp(&beliefs[*b]))?;
        if beliefs[worst] > belief(3.0) {
            all += 1;
            if reached[worst] >= EXPLAINS * beliefs[worst] {
                explained.push(scene.nodes[other].as_str());
            }
        }
    }
    let names = explained.join(", ");
    (!explained.is_empty())
        .then(|| format!("explains the trouble of {} of {all} other nodes: {names}", explained.len()))
}

/// A value as people write it, where its unit is one that they would not write as it is.
fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "By" => words::bytes(value),
        "By/s" => format!("{}/s", words::bytes(value)),
        _ => number(value),
    }
}

/// Four digits are as many as people compare.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 || (size < 1e-3 && size > 0.0) {
        return format!("{value:.2e}");
    }
    let digits = if size >= 1000.0 {
        0
    } else if size >= 10.0 {
        1
    } else {
        4
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_as_operators_say_them() {
        assert_eq!(quantity(2.88e7, "By"), "27.5 MiB");
        assert_eq!(quantity(53_248.0, "By/s"), "52 KiB/s");
        assert_eq!(quantity(0.25, "1"), "0.25");
        assert_eq!(quantity(2.88e7, ""), "2.88e7");
    }
}
