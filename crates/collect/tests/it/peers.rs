//! Probes and scrapes against peers that answer, answer nonsense, hang, or are not there.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use foretwin_collect::Source;
use foretwin_collect::probe::{self, Probes};
use foretwin_collect::rtt::{self, RoundTrips};
use foretwin_collect::scrape::{Config, Scrapes, Target};
use foretwin_core::{InstanceKind, Timestamp};

use crate::journal::Journal;

/// Reads a source until something is so, at most ten seconds; returns whether it came to be.
fn until(source: &mut dyn Source, journal: &mut Journal, so: impl Fn(&Journal) -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut at = Timestamp(0);
    loop {
        source.read(at, journal).unwrap();
        if so(journal) || Instant::now() > deadline {
            return so(journal);
        }
        at = at + 1_000_000;
        thread::sleep(Duration::from_millis(20));
    }
}

/// A port that nobody listens on.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_peer_that_is_down_shows_beside_one_that_is_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (up, down) = (listener.local_addr().unwrap().to_string(), closed());
    let config = probe::Config { peers: vec![up.clone(), down.clone()], interval_ms: 20, timeout_ms: 1000 };
    let mut probes = Probes::start("h", &config).unwrap();
    let key = |what: &str, peer: &str| format!("foretwin.probe.tcp.connect.{what}{{peer={peer}}}");
    let mut journal = Journal::default();
    let both = |journal: &Journal| {
        let enough = |peer| journal.value("h", &key("attempts", peer)) >= Some(3.0);
        enough(&up) && enough(&down)
    };
    assert!(until(&mut probes, &mut journal, both));
    let value = |what, peer| journal.value("h", &key(what, peer));
    assert!(value("duration", &up) < Some(1e6) && value("duration", &up).is_some());
    assert_eq!((value("errors", &up), value("duration", &down)), (Some(0.0), None));
    assert_eq!(value("errors", &down), value("attempts", &down));
}

#[test]
fn round_trips_of_this_machine_are_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.write_all(b"x").unwrap();
    let (mut source, mut journal) = (RoundTrips::new("h", &rtt::Config::default()), Journal::default());
    source.read(Timestamp(0), &mut journal).unwrap();
    assert!(journal.value("h", "system.network.tcp.connections{network.peer=local}") >= Some(2.0));
    let quantile = |share: &str| format!("system.network.tcp.rtt{{network.peer=local,quantile={share}}}");
    let (median, tail) = (journal.value("h", &quantile("0.5")), journal.value("h", &quantile("0.9")));
    assert!(median > Some(0.0) && median <= tail);
}

/// A target that answers with what was last put there, and hangs up without a word where that is empty.
struct Server {
    address: String,
    body: Arc<Mutex<String>>,
}

impl Server {
    fn start(body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let body = Arc::new(Mutex::new(body.to_owned()));
        let shared = Arc::clone(&body);
        thread::spawn(move || {
            for client in listener.incoming() {
                let body = shared.lock().unwrap().clone();
                answer(client.unwrap(), &body);
            }
        });
        Self { address, body }
    }

    fn say(&self, body: &str) {
        *self.body.lock().unwrap() = body.into();
    }

    fn target(&self) -> Target {
        Target { url: format!("http://{}/metrics", self.address), interval_ms: 100, ..Target::default() }
    }
}

fn answer(mut client: TcpStream, body: &str) {
    let mut request = [0; 4096];
    if body.is_empty() || client.read(&mut request).is_err() {
        return;
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // A client that gave up is no concern of the server's.
    let _ = client.write_all((head + body).as_bytes());
}

#[test]
fn a_target_goes_and_comes_back_without_losing_its_series() {
    let server = Server::start("# TYPE jobs_total counter\njobs_total{queue=\"a\"} 5\nthis is { no line\n");
    let target = Target { instance: Some("h/app.service".into()), ..server.target() };
    let mut scrapes = Scrapes::start("h", &Config { targets: vec![target] }).unwrap();
    let (mut journal, id) = (Journal::default(), "h/app.service");
    let up = |expected| {
        move |journal: &Journal| journal.last.contains_key(id) && journal.value(id, "up") == Some(expected)
    };
    assert!(until(&mut scrapes, &mut journal, up(1.0)));
    assert_eq!(journal.value(id, "jobs_total{queue=a}"), Some(5.0));
    assert_eq!(journal.value(id, "foretwin.scrape.lines.malformed"), Some(1.0));
    assert!(journal.here.is_empty(), "an instance that is named is not announced");
    server.say("");
    assert!(until(&mut scrapes, &mut journal, up(0.0)));
    assert_eq!(journal.value(id, "jobs_total{queue=a}"), None);
    server.say("jobs_total{queue=\"a\"} 6\n");
    assert!(until(&mut scrapes, &mut journal, up(1.0)));
    assert_eq!(journal.value(id, "jobs_total{queue=a}"), Some(6.0));
}

#[test]
fn a_target_joins_the_group_that_answers_or_is_an_application() {
    let server = Server::start("x 1\n");
    let mut scrapes = Scrapes::start("h", &Config { targets: vec![server.target()] }).unwrap();
    let mut journal = Journal::default();
    assert!(until(&mut scrapes, &mut journal, |journal| {
        journal.last.keys().any(|id| journal.value(id, "up") == Some(1.0))
    }));
    let id = journal.last.keys().next().unwrap().clone();
    // This very process answers: it is in a group or in none.
    match journal.here.get(&id) {
        Some(instance) => {
            assert_eq!((instance.kind, id), (InstanceKind::Application, format!("h/app/{}", server.address)));
        }
        None => {
            let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap();
            let group = id.strip_prefix("h/").unwrap();
            assert!(
                groups.lines().any(|line| line.ends_with(&format!("/{group}"))),
                "{id} is not in {groups}"
            );
        }
    }
}

#[test]
fn a_target_that_hangs_delays_nobody() {
    // Accepts in the kernel and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start("x 1\n");
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let slow = Target { url, timeout_ms: 300, instance: Some("slow".into()), ..Target::default() };
    let quick = Target { instance: Some("quick".into()), ..server.target() };
    let mut scrapes = Scrapes::start("h", &Config { targets: vec![slow, quick] }).unwrap();
    let mut journal = Journal::default();
    assert!(until(&mut scrapes, &mut journal, |journal| journal.last.len() == 2));
    assert_eq!((journal.value("quick", "up"), journal.value("slow", "up")), (Some(1.0), Some(0.0)));
}
