//! Metrics that others send, in their formats, and what may be asked of them afterwards.

use foretwin_wire::compress::snap;
use foretwin_wire::remote::{ReadSeries, encode};

use super::server::{Answer, Server, server};

/// A request with headers of its own.
fn send(server: &Server, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let http: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = http.post(format!("{}{path}", server.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.send(body).unwrap();
    let status = response.status().as_u16();
    Answer { status, body: response.body_mut().read_to_string().unwrap() }
}

const REMOTE: [(&str, &str); 2] =
    [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn labels(job: &str, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = [("instance", "sender:9100"), ("job", job)];
    let mut labels: Vec<(String, String)> =
        own.iter().chain(pairs).map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    labels.sort();
    labels
}

fn encoded(query: &str) -> String {
    query.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The value of a query that has one element.
fn ask(query: &str, at_ms: i64) -> Option<f64> {
    let path = format!("/api/v1/query?query={}&time={}", encoded(query), at_ms as f64 / 1000.0);
    let answer = server().get(&path).json();
    assert_eq!(answer["status"], "success", "{query}: {answer}");
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

/// Sends one scrape in two parts whose border moves, and one of them twice, as after a lost answer.
fn scrape(start: i64, series: i64, n: i64) {
    let at = start + 15_000 * n;
    let one = |s: i64| {
        let part = s.to_string();
        let labels = labels("whole", &[("__name__", "work_done_total"), ("part", &part)]);
        ReadSeries { labels, points: vec![(at, (n * (s + 1)) as f64)] }
    };
    let all: Vec<ReadSeries> = (0..series).map(one).collect();
    let (first, rest) = all.split_at((10 + 7 * n as usize) % all.len());
    for part in [first, rest, rest] {
        let answer = send(server(), "/api/v1/write", &REMOTE, &snap(&encode(part)).unwrap());
        assert_eq!(answer.status, 204, "{}", answer.body);
    }
}

#[test]
fn what_is_remotely_written_is_stored_whole_learned_and_answered() {
    let (server, start) = (server(), now_ms() - 600_000);
    let (series, scrapes) = (120, 40);
    let scrape = |n: i64| scrape(start, series, n);
    (0..scrapes).for_each(scrape);
    let end = start + 15_000 * (scrapes - 1);
    let count = || ask("sum(count_over_time(work_done_total{job=\"whole\"}[20m]))", end).unwrap_or(0.0);
    server.wait_until("stored", || count() >= (series * scrapes) as f64);
    assert_eq!(count(), (series * scrapes) as f64);
    assert_eq!(
        ask("sum(work_done_total{job=\"whole\"})", end),
        Some((39 * series * (series + 1) / 2) as f64)
    );
    let rate = ask("rate(work_done_total{job=\"whole\",part=\"0\"}[5m])", end).unwrap();
    assert!((rate - 1.0 / 15.0).abs() < 1e-9, "{rate}");
    // What is sent while one waits must not come to lie an hour ahead of the clock, so a model is awaited first.
    let of_sender = "sender:9100%2Fwhole";
    let learned = || server.get(&format!("/api/v1/models/{of_sender}")).json();
    server.wait_until("learned", || learned()["lines"][0]["champion"].is_number());
    let further = std::cell::Cell::new(scrapes);
    server.wait_until("scored", || {
        // A model judges what comes after it.
        scrape(further.replace(further.get() + 1));
        server.get(&format!("/api/v1/instances/{of_sender}")).json()["score"].is_number()
    });
    let newest = start + 15_000 * further.get();
    server.wait_until("answered", || {
        ask("foretwin_anomaly_score{job=\"whole\",instance=\"sender:9100\"}", newest).is_some()
    });
    let sets =
        server.get(&format!("/api/v1/series?match[]={}", encoded("work_done_total{job=\"whole\"}"))).json();
    assert_eq!(sets["data"].as_array().unwrap().len(), series as usize);
    // No more than the labels it came with.
    assert_eq!(sets["data"][0].as_object().unwrap().len(), 4, "{}", sets["data"][0]);
    let values =
        server.get(&format!("/api/v1/label/job/values?match[]={}", encoded("work_done_total"))).json();
    assert_eq!(values["data"], serde_json::json!(["whole"]));
}

#[test]
fn lines_are_stored_and_those_that_cannot_be_read_are_named() {
    let (server, at) = (server(), now_ms());
    let lines = format!(
        "cpu,host=liner,cpu=0 usage=12.5,text=\"x\" {at}\nbroken\ncpu,host=liner,cpu=1 usage=7i {at}\n"
    );
    let answer = send(server, "/api/v2/write?bucket=b&precision=ms", &[], lines.as_bytes());
    assert_eq!(answer.status, 400);
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("unable to parse 'broken': missing fields dropped=1"), "{message}");
    server.wait_until("stored", || ask("sum(cpu_usage{host=\"liner\"})", at + 1000) == Some(19.5));
    let answer = send(server, "/write?db=x&precision=d", &[], b"m v=1");
    assert!(
        answer.status == 400 && answer.json()["error"].as_str().unwrap().contains("precision"),
        "{}",
        answer.body
    );
    assert_eq!(send(server, "/write?db=x", &[], b"m,host=liner v=1").status, 204);
    assert_eq!(server.get("/ping").status, 204);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(send(server, "/query", &form, b"q=CREATE+DATABASE+telegraf").status, 200);
    assert_eq!(send(server, "/query", &form, b"q=SELECT+1").status, 400);
}

#[test]
fn otlp_as_json_is_stored() {
    let (server, at) = (server(), now_ms());
    let body = format!(
        r#"{{"resourceMetrics": [{{"resource": {{"attributes": [
          {{"key": "service.name", "value": {{"stringValue": "shop"}}}},
          {{"key": "host.name", "value": {{"stringValue": "otelhost"}}}}]}},
         "scopeMetrics": [{{"metrics": [{{"name": "queue.length", "unit": "1", "gauge": {{"dataPoints": [
          {{"timeUnixNano": "{at}000000", "asDouble": 3.5, "attributes": []}}]}}}}]}}]}}]}}"#
    );
    let answer = send(server, "/v1/metrics", &[("content-type", "application/json")], body.as_bytes());
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    server.wait_until("stored", || ask("queue_length{job=\"shop\"}", at + 1000) == Some(3.5));
    assert_eq!(server.get("/api/v1/instances/otelhost%2Fshop").json()["kind"], "application");
}

#[test]
fn hostile_bodies_are_refused_and_the_service_goes_on() {
    let server = server();
    let bomb = snap(&vec![0u8; 64 << 20]).unwrap();
    let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    for body in [&b""[..], b"nonsense", &bomb, &lie, &snap(&[0x0a, 0x7f, 1]).unwrap()] {
        let answer = send(server, "/api/v1/write", &REMOTE, body);
        assert!([400, 204].contains(&answer.status), "{}", answer.body);
        let otlp = send(
            server,
            "/v1/metrics",
            &[("content-type", "application/x-protobuf"), ("content-encoding", "gzip")],
            body,
        );
        assert!([400, 200].contains(&otlp.status), "{}", otlp.body);
    }
    assert_eq!(send(server, "/api/v1/write", &[("content-type", "text/plain")], b"x").status, 415);
    assert_eq!(send(server, "/api/v1/write", &REMOTE[..1], b"x").status, 415);
    // Just beyond the limit, so that all of it is on its way before the server says no.
    assert_eq!(send(server, "/write", &[], &vec![b'#'; (16 << 20) + 1000]).status, 413);
    // A page in a browser says where it comes from; senders do not.
    assert_eq!(send(server, "/write", &[("origin", "http://evil.example")], b"m v=1").status, 421);
    let nameless = ReadSeries { labels: labels("nameless", &[]), points: vec![(now_ms(), 1.0)] };
    assert_eq!(send(server, "/api/v1/write", &REMOTE, &snap(&encode(&[nameless])).unwrap()).status, 400);
    let future =
        ReadSeries { labels: labels("f", &[("__name__", "f")]), points: vec![(now_ms() + 86_400_000, 1.0)] };
    let answer = send(server, "/api/v1/write", &REMOTE, &snap(&encode(&[future])).unwrap());
    assert!(answer.status == 400 && answer.body.contains("1 samples are refused"), "{}", answer.body);
    assert_eq!(server.get("/-/healthy").status, 200);
}

#[test]
fn queries_that_make_no_sense_are_refused_in_the_shape_of_prometheus() {
    let server = server();
    for (path, status, kind, says) in [
        ("query", 400, "bad_data", "query"),
        ("query?query=rate(", 400, "bad_data", "parse error"),
        ("query?query=up&time=soon", 400, "bad_data", "time"),
        ("query?query=holt_winters(up[5m],0.1,0.1)", 400, "bad_data", "not supported"),
        ("query?query=foretwin_expected", 422, "execution", "metric="),
        ("query_range?query=up&start=0&end=100000&step=1", 400, "bad_data", "11,000"),
        ("query_range?query=up&start=0&end=10&step=0", 400, "bad_data", "step"),
        ("query_range?query=up&start=10&end=0&step=1", 400, "bad_data", "end"),
        ("query_range?query=up[5m]&start=0&end=10&step=1", 422, "execution", "range vector"),
        ("series", 400, "bad_data", "match[]"),
        ("label/a-b/values", 400, "bad_data", "label name"),
    ] {
        let answer = server.get(&format!("/api/v1/{path}"));
        let json = answer.json();
        assert_eq!((answer.status, json["errorType"].as_str()), (status, Some(kind)), "{path}: {json}");
        assert!(
            json["status"] == "error" && json["error"].as_str().unwrap().contains(says),
            "{path}: {json}"
        );
    }
}

/// Every expression of the shipped dashboard and rules is understood, and finds what it is about.
#[test]
fn shipped_queries_are_answered() {
    let deploy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    let dashboard = std::fs::read_to_string(deploy.join("grafana/foretwin.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let targets =
        dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut queries: Vec<String> =
        targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    let rules = std::fs::read_to_string(deploy.join("prometheus/foretwin.rules.yml")).unwrap();
    queries.extend(rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned));
    assert!(queries.len() >= 20, "{queries:?}");
    let (server, host) = (server(), server().host());
    server.wait_until("scored", || ask("count(foretwin_anomaly_score)", now_ms()).is_some());
    for query in queries {
        let query = query.replace("$instance", &host).replace("$__rate_interval", "1m");
        let end = now_ms() / 1000;
        let path =
            format!("/api/v1/query_range?query={}&start={}&end={end}&step=15", encoded(&query), end - 60);
        let answer = server.get(&path).json();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        // What Foretwin counts of itself stands in /metrics until somebody scrapes and sends it; what compares may find
        // nothing.
        let counts = query.contains("_total") || query.contains('>');
        assert!(
            counts || answer["data"]["result"].as_array().is_some_and(|found| !found.is_empty()),
            "{query}"
        );
    }
}
