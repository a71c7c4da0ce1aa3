//! A real Alertmanager (`FORETWIN_ALERTMANAGER`, or `prometheus-alertmanager` in the path): firing, repeated, over, through
//! an outage of its own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use foretwin_core::{Alert, AlertId, AlertState, Severity, Timestamp};
use foretwin_notify::{Kind, Notifier, Sink, test_alert};
use serde_json::Value;

use super::receiver::until;

/// A process that is killed when the test ends.
struct Alertmanager(Child);

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &str, (dir, port): (&Path, u16)) -> Alertmanager {
    let config = dir.join("alertmanager.yml");
    std::fs::write(&config, "route: {receiver: none}\nreceivers: [{name: none}]\n").unwrap();
    let child = Command::new(program)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Alertmanager(child.unwrap())
}

/// The program, or a skip that is said aloud, and is a failure where nothing may be skipped.
fn program() -> Option<String> {
    let program = std::env::var("FORETWIN_ALERTMANAGER").unwrap_or("prometheus-alertmanager".into());
    let there = Command::new(&program).arg("--version").output().is_ok_and(|done| done.status.success());
    if there {
        return Some(program);
    }
    let strict = std::env::var("FORETWIN_TEST_STRICT").is_ok_and(|value| value == "1");
    assert!(!strict, "no Alertmanager: name one in FORETWIN_ALERTMANAGER");
    eprintln!(
        "SKIPPED: no Alertmanager; Debian's is prometheus-alertmanager, FORETWIN_ALERTMANAGER names another"
    );
    None
}

/// What it holds as active: alert and severity.
fn active(url: &str) -> Vec<(String, String)> {
    let Ok(mut answer) = ureq::get(format!("{url}/api/v2/alerts?active=true")).call() else {
        return Vec::new();
    };
    let body = answer.body_mut().read_to_string().unwrap();
    let alerts: Value = serde_json::from_str(&body).unwrap();
    let label = |one: &Value, name: &str| one["labels"][name].as_str().unwrap().to_owned();
    let mut all: Vec<_> =
        alerts.as_array().unwrap().iter().map(|one| (label(one, "alert"), label(one, "severity"))).collect();
    all.sort();
    all
}

fn alert(id: &str, severity: Severity, state: AlertState) -> Alert {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros() as i64;
    let opened = Timestamp(now - 60_000_000);
    let resolved = (state == AlertState::Resolved).then_some(Timestamp(now));
    Alert { id: AlertId(id.into()), severity, state, resolved, ..test_alert(opened) }
}

fn sink(url: &str) -> Sink {
    let (kind, resend_s) = (Kind::Alertmanager, Some(1.0));
    Sink { name: "am".into(), kind, url: url.into(), resend_s, longest_pause_s: 0.5, ..Sink::default() }
}

#[test]
fn an_alertmanager_knows_what_fires_through_changes_and_outages() {
    let Some(program) = program() else { return };
    let dir = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let (notifier, threads) = Notifier::start(&[sink(&url)], "http://127.0.0.1:7878", 3).unwrap();
    let say = |id: &str, severity, state| notifier.take(&alert(id, severity, state), Timestamp(1));
    let (low, high) = (Severity::Warning, Severity::Critical);
    let is = |what: &[(&str, &str)]| {
        let what: Vec<_> = what.iter().map(|(id, severity)| (id.to_string(), severity.to_string())).collect();
        until(&format!("{what:?}"), || active(&url) == what);
    };

    // It opens before there is an Alertmanager, and is known once there is one.
    say("a-1", low, AlertState::Firing);
    let running = start(&program, (dir.path(), port));
    is(&[("a-1", "warning")]);
    // It ends after four seconds of silence, so beyond that only repetition keeps it.
    std::thread::sleep(Duration::from_secs(6));
    is(&[("a-1", "warning")]);
    // Another severity is another alert to it: the old one must be over.
    say("a-1", high, AlertState::Firing);
    say("a-2", low, AlertState::Firing);
    is(&[("a-1", "critical"), ("a-2", "warning")]);
    // One is over, another one opens while it is down; it forgets all that it knew of this minute.
    drop(running);
    say("a-1", high, AlertState::Resolved);
    say("a-3", low, AlertState::Firing);
    let running = start(&program, (dir.path(), port));
    is(&[("a-2", "warning"), ("a-3", "warning")]);
    say("a-2", low, AlertState::Silenced);
    say("a-3", low, AlertState::Resolved);
    is(&[]);
    let counts = notifier.counts().remove(0);
    assert_eq!((counts.standing, counts.refused, counts.dropped), (0, 0, 0));
    assert!(counts.failed_tries > 0);
    notifier.stop(threads, Duration::from_secs(5));
    drop(running);
}
