//! Answers about models, as people read them.

use std::fmt::Write;
use std::io::IsTerminal;

use serde_json::Value;

/// Whether words are coloured.
#[derive(Debug, Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    /// Colours only on a terminal that wants them.
    pub fn for_stdout() -> Self {
        Self(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    fn bold(self, text: &str) -> String {
        if self.0 { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A line for each instance.
pub fn champions(answer: &Value) -> String {
    let mut text = String::new();
    for one in items(&answer["instances"]) {
        let learning = &one["learning"];
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(
            text,
            "{}  version {}, {}",
            word(&one["id"]),
            learning["model_version"],
            word(&learning["message"])
        );
    }
    text
}

/// All versions of an instance.
pub fn lines(answer: &Value, paint: Paint) -> String {
    let mut text = String::new();
    for line in items(&answer["lines"]) {
        let main = if line["main"] == true { ", main" } else { "" };
        let _ = writeln!(text, "{}", paint.bold(&format!("schema {}{main}", word(&line["schema"]))));
        for entry in items(&line["versions"]).iter().rev() {
            let _ = writeln!(text, "{}", row(line, entry));
        }
        if let Some(leader) = line["judged_for_all"].as_str() {
            let _ =
                writeln!(text, "  judged by version {} of {leader}, made for its workload", line["judging"]);
        }
        if let Some(version) = line["rollback_to"].as_u64() {
            let _ = writeln!(text, "  a rollback leads to version {version}");
        }
        for change in items(&line["changes"]).iter().rev().take(5) {
            let (at, what) = (moment(&change["at_us"]), word(&change["what"]).replace('_', " "));
            let _ = writeln!(text, "  {at}  {} {what}: {}", change["version"], word(&change["reason"]));
        }
    }
    if text.is_empty() {
        text.push_str("no models yet: the first is made after half a minute of telemetry\n");
    }
    text
}

fn row(line: &Value, entry: &Value) -> String {
    let version = &entry["version"];
    let mut roles = Vec::new();
    for role in ["champion", "judging", "reference"] {
        if line[role] == *version {
            roles.push(role);
        }
    }
    if items(&line["challengers"]).contains(version) {
        roles.push("challenger");
    }
    if entry["pinned"] == true {
        roles.push("pinned");
    }
    format!(
        "  {version:>5}  {}  {:>7} frames  {:>3} by LSTM{}  {:<11} {}  {}",
        moment(&entry["trained_at"]),
        entry["rows"],
        entry["corrected"],
        if entry["weights"] == "shared" { " of its workload" } else { "" },
        word(&entry["phase"]),
        word(&entry["reason"]),
        roles.join(", ")
    )
    .trim_end()
    .to_owned()
}

/// One version in full.
pub fn version(answer: &Value, paint: Paint) -> String {
    let mut text = String::new();
    let roles: Vec<&str> = items(&answer["roles"]).iter().filter_map(Value::as_str).collect();
    let title = format!("version {}, schema {}", answer["version"], word(&answer["schema"]));
    let _ = writeln!(text, "{} {}", paint.bold(&title), roles.join(", "));
    let from = &answer["provenance"];
    let _ = writeln!(
        text,
        "  {}; after version {}; {} frames of {} to {}, every {:.3} s",
        word(&answer["reason"]),
        answer["parent"],
        answer["rows"],
        moment(&from["from_us"]),
        moment(&from["to_us"]),
        answer["step_s"].as_f64().unwrap_or(0.0),
    );
    let _ = writeln!(
        text,
        "  trained in {:.1} s, seed {}",
        from["seconds"].as_f64().unwrap_or(0.0),
        from["seed"]
    );
    for span in items(&from["excluded"]) {
        let (start, end) = (moment(&span["from_us"]), moment(&span["to_us"]));
        let _ = writeln!(text, "  left out: {start} to {end}, {}", word(&span["reason"]));
    }
    let _ = writeln!(text, "{}", paint.bold("tried, with held-out error before and after"));
    for trial in items(&answer["trials"]) {
        let error = |key: &str| trial[key].as_f64().unwrap_or(f64::NAN);
        let _ = writeln!(
            text,
            "  {}: {:.5} to {:.5}, kept for {} of {} metrics{}",
            word(&trial["what"]),
            error("before"),
            error("after"),
            trial["kept"],
            trial["of"],
            trial["epochs"].as_u64().filter(|&n| n > 0).map(|n| format!(", {n} epochs")).unwrap_or_default()
        );
    }
    let _ = writeln!(text, "  {}", expectation(answer));
    if let Some(period_s) = answer["cycle"]["period_s"].as_f64() {
        let followers = items(&answer["cycle"]["metrics"]);
        let _ = writeln!(text, "  repeats every {period_s:.0} s: {} metrics", followers.len());
    }
    forecasts(&mut text, answer, paint);
    recipe(&mut text, answer, paint);
    text
}

/// Which ways its forecaster uses at which distance.
fn forecasts(text: &mut String, answer: &Value, paint: Paint) {
    let leads = items(&answer["forecasts"]);
    if leads.is_empty() {
        return;
    }
    let _ =
        writeln!(text, "{}", paint.bold("forecasts: metrics by way, held-out error, that of the last value"));
    for lead in leads {
        let ways: Vec<String> = items(&lead["methods"])
            .iter()
            .map(|way| format!("{} {}", way[1], word(&way[0]).replace('_', " ")))
            .collect();
        let error = |key: &str| lead[key].as_f64().map_or("?".into(), |error| format!("{error:.3}"));
        let (ahead_s, step_s) =
            (lead["lead_s"].as_f64().unwrap_or(0.0), lead["step_s"].as_f64().unwrap_or(0.0));
        let of = if step_s >= 60.0 { ", means of a minute" } else { "" };
        let (rms, last) = (error("rms"), error("last_rms"));
        let _ = writeln!(text, "  in {ahead_s:.0} s{of}: {}; {rms}, {last}", ways.join(", "));
    }
}

/// What the LSTM does, and what it was worth.
fn expectation(answer: &Value) -> String {
    let features = items(&answer["features"]);
    let modelled = features.iter().filter(|one| one["duty"] == "modelled").count();
    let corrected = features.iter().filter(|one| one["corrected"] == true).count();
    let gain = &answer["gain"];
    let shared = gain["shared"] == true;
    let ratio = if shared { &gain["cohort"] } else { &gain["own"] };
    match ratio.as_f64() {
        None if corrected == 0 => {
            format!("expected by the linear part alone: {modelled} metrics, no LSTM tried")
        }
        None => format!("linear + LSTM for {corrected} of {modelled} metrics"),
        Some(ratio) => format!(
            "linear + LSTM for {corrected} of {modelled} metrics: held-out squared error {:+.1} % over all{}",
            100.0 * (ratio - 1.0),
            chosen(gain)
        ),
    }
}

/// Whose weights were chosen, where both were measured; shared ones are said in any case.
fn chosen(gain: &Value) -> String {
    let percent = |key: &str| gain[key].as_f64().map(|ratio| format!("{:+.1} %", 100.0 * (ratio - 1.0)));
    match (gain["shared"] == true, percent("own"), percent("cohort")) {
        (true, Some(own), _) => format!(", by weights of its workload (its own: {own})"),
        (true, None, _) => ", by weights of its workload".into(),
        (false, _, Some(cohort)) => format!(", by weights of its own (its workload's: {cohort})"),
        (false, _, None) => String::new(),
    }
}

fn recipe(text: &mut String, answer: &Value, paint: Paint) {
    let features = items(&answer["features"]);
    let width = features.iter().map(|one| word(&one["metric"]).len()).max().unwrap_or(0).min(60);
    let _ = writeln!(text, "{}", paint.bold("recipe: metric, what it becomes, its use, center, scale"));
    for one in features {
        let corrected = if one["corrected"] == true { "  + LSTM" } else { "" };
        let _ = writeln!(
            text,
            "  {:width$}  {:<12} {:<10} {:>11} {:>11}{corrected}",
            word(&one["metric"]),
            transform(&one["transform"]),
            duty(&one["duty"]),
            short(&one["center"]),
            short(&one["scale"]),
        );
    }
    let influences = items(&answer["influences"]);
    if !influences.is_empty() {
        let _ = writeln!(text, "{}", paint.bold("whose past helps to expect whom, strongest first"));
    }
    for one in influences {
        let gain = one["gain"].as_f64().unwrap_or(0.0);
        let _ = writeln!(text, "  {gain:.3}  {} for {}", word(&one["source"]), word(&one["target"]));
    }
}

/// Versions side by side.
pub fn comparison(answer: &Value) -> String {
    let versions = items(&answer["versions"]);
    let mut text = format!("{} to {}\n", moment(&answer["from_us"]), moment(&answer["to_us"]));
    for one in versions {
        let number = |key: &str| one[key].as_f64().unwrap_or(f64::NAN);
        let _ = writeln!(
            text,
            "version {}: {} frames judged, score {:.3} on average and {:.3} at most, {:.2} % above 1{}",
            one["version"],
            one["judged"],
            number("score_mean"),
            number("score_max"),
            100.0 * number("anomalous"),
            one["log_error_ratio"]
                .as_f64()
                .map(|ratio| format!("; errors {:+.1} %", 100.0 * ratio.exp_m1()))
                .unwrap_or_default()
        );
    }
    let _ = writeln!(text, "root mean squared error of each metric, in its own unit");
    for error in versions.first().map_or(&[][..], |first| items(&first["errors"])) {
        let same = |one: &Value| {
            let found = items(&one["errors"]).iter().find(|other| other[0] == error[0]).cloned();
            short(&found.unwrap_or_default()[1])
        };
        let errors: Vec<String> = versions.iter().map(|one| format!("{:>11}", same(one))).collect();
        let _ = writeln!(text, "  {}  {}", errors.join(" "), word(&error[0]));
    }
    text
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// A name, or a name with details: only the name.
fn name(value: &Value) -> &str {
    let key = value.as_object().and_then(|details| details.keys().next());
    key.map_or_else(|| word(value), String::as_str)
}

fn transform(value: &Value) -> &str {
    match name(value) {
        "log_rate" => "log of rate",
        "ratio" => "share",
        other => other,
    }
}

fn duty(value: &Value) -> &str {
    name(value)
}

fn short(value: &Value) -> String {
    match value.as_f64() {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(x) if (1e-3..1e6).contains(&x.abs()) => format!("{x:.4}"),
        Some(x) => format!("{x:.3e}"),
    }
}

/// Microseconds since the epoch as a time of day in UTC.
fn moment(value: &Value) -> String {
    value.as_i64().map_or_else(|| "?".into(), |us| foretwin_core::Timestamp(us).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_names_roles_and_the_way_back_and_is_plain_when_piped() {
        let entry = |version: u64| {
            json!({"version": version, "trained_at": 1_700_000_000_000_000i64, "rows": 120, "corrected": 2,
                "phase": "learned", "reason": "schedule", "pinned": version == 1})
        };
        let answer = json!({"lines": [{"schema": "00ff", "main": true, "champion": 2, "judging": 2, "reference": 1,
            "challengers": [3], "rollback_to": 1, "versions": [entry(1), entry(2), entry(3)],
            "changes": [{"at_us": 1_700_000_000_000_000i64, "version": 2, "what": "rolled_back", "reason": "noise"}]}]});
        let text = lines(&answer, Paint(false));
        assert!(text.contains("champion, judging") && text.contains("reference, pinned"), "{text}");
        assert!(text.contains("challenger") && text.contains("rollback leads to version 1"), "{text}");
        assert!(text.contains("2 rolled back: noise") && text.contains("2023-11-14"), "{text}");
        assert!(!text.contains('\x1b') && lines(&answer, Paint(true)).contains('\x1b'));
    }

    #[test]
    fn a_version_tells_its_recipe() {
        let feature = |metric: &str, transform: Value, duty: Value, corrected: bool| {
            json!({"metric": metric, "transform": transform, "duty": duty, "center": 0.5, "scale": 1.5e9,
                "corrected": corrected})
        };
        let answer = json!({"version": 7, "schema": "00ff", "roles": ["champion"], "reason": "drift", "parent": 6,
            "rows": 100, "step_s": 1.0, "provenance": {"from_us": 0, "to_us": 1, "seconds": 2.0, "seed": 5,
            "excluded": [{"from_us": 0, "to_us": 1, "reason": "incident"}]},
            "trials": [{"what": "LSTM", "before": 1.0, "after": 0.5, "kept": 1, "of": 2, "epochs": 12}],
            "features": [feature("cpu", json!({"ratio": {"limit": 1}}), json!("modelled"), true),
                feature("copy", json!("level"), json!({"duplicate": {"of": 0}}), false)],
            "gain": {"own": 0.9, "shared": false, "epochs": 12}, "cycle": {"period_s": 86400.0, "metrics": ["cpu"]},
            "influences": [{"source": "cpu", "target": "queue", "gain": 0.25}]});
        let text = version(&answer, Paint(false));
        for part in [
            "share",
            "+ LSTM",
            "duplicate",
            "1.500e9",
            "12 epochs",
            "left out",
            "cpu for queue",
            "every 86400 s: 1 m",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(
            text.contains("LSTM for 1 of 1 metrics: held-out squared error -10.0 % over all\n"),
            "{text}"
        );
    }

    #[test]
    fn whose_weights_are_at_work_is_said_with_the_numbers() {
        let said = |gain: Value| chosen(&gain);
        assert_eq!(
            said(json!({"shared": true, "cohort": 0.9, "own": 0.95})),
            ", by weights of its workload (its own: -5.0 %)"
        );
        assert_eq!(said(json!({"shared": true, "cohort": 0.9})), ", by weights of its workload");
        let own = said(json!({"shared": false, "cohort": 0.99, "own": 0.6}));
        assert_eq!(own, ", by weights of its own (its workload's: -1.0 %)");
        let list = json!({"lines": [{"schema": "00ff", "main": true, "judging": 4, "judged_for_all": "node/a",
            "versions": [], "changes": []}]});
        assert!(lines(&list, Paint(false)).contains("judged by version 4 of node/a, made for its workload"));
    }

    #[test]
    fn a_comparison_sets_errors_side_by_side() {
        let one = |version: u64, error: f64| {
            json!({"version": version, "judged": 60, "score_mean": 0.5, "score_max": 0.9, "anomalous": 0.0,
                "errors": [["cpu", error]], "log_error_ratio": -0.1053605})
        };
        let text = comparison(&json!({"from_us": 0, "to_us": 1, "versions": [one(1, 2.0), one(2, 1.8)]}));
        assert!(text.contains("errors -10.0 %") && text.contains("2.0000      1.8000  cpu"), "{text}");
    }
}
