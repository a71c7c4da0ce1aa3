//! Every endpoint: what it is for, what it takes, what it answers.

use super::{Endpoint, Sort};

const NONE: &[&str] = &[];
const PAGES: &[&str] = &["limit", "cursor"];
const LINE: &[&str] = &["schema"];

/// An endpoint that is asked.
const fn get(path: &'static str, answer: Sort, about: &'static str) -> Endpoint {
    Endpoint { method: "get", path, about, query: NONE, body: None, status: "200", answer }
}

/// An endpoint that ends or removes something.
const fn delete(path: &'static str, answer: Sort, about: &'static str) -> Endpoint {
    Endpoint { method: "delete", path, about, query: NONE, body: None, status: "200", answer }
}

/// An endpoint that takes JSON of a shape.
const fn post(
    path: &'static str,
    body: (&'static str, &'static str),
    answer: Sort,
    about: &'static str,
) -> Endpoint {
    let (shape, example) = body;
    let body = Some((Sort::Json(shape), example));
    Endpoint { method: "post", path, about, query: NONE, body, status: "200", answer }
}

/// An endpoint that takes bytes.
const fn octets(path: &'static str, answer: Sort, about: &'static str) -> Endpoint {
    Endpoint {
        method: "post",
        path,
        about,
        query: NONE,
        body: Some((Sort::Octets, "")),
        status: "200",
        answer,
    }
}

/// An endpoint of Prometheus that takes a form.
const fn form(path: &'static str, about: &'static str) -> Endpoint {
    let body = Some((Sort::Form, ""));
    Endpoint { method: "post", path, about, query: NONE, body, status: "200", answer: Sort::Foreign }
}

impl Endpoint {
    const fn with(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    const fn says(self, status: &'static str) -> Self {
        Self { status, ..self }
    }
}

/// The whole surface.
pub(super) fn all() -> Vec<Endpoint> {
    [
        &NODE[..],
        &INSTANCES,
        &QUESTIONS,
        &RECORDS,
        &MODELS,
        &REPORTS,
        &TWINS,
        &TASKS,
        &ALERTS,
        &SENDERS,
        &QUERIES,
    ]
    .concat()
}

const NODE: [Endpoint; 8] = [
    get("/-/healthy", Sort::Text, "Whether the process answers"),
    get(
        "/-/ready",
        Sort::Json("Readiness"),
        "Whether telemetry is collected, stored and scored; 503 until then",
    ),
    get("/metrics", Sort::Text, "The node's own counters and the latest verdicts, as Prometheus text"),
    get("/api/v1/openapi.json", Sort::Json("Changed"), "This document"),
    get("/api/v1/audit", Sort::Json("Audit"), "Who changed what, when, and what became of it").with(PAGES),
    get("/api/v1/stream", Sort::Events, "Scores, verdicts and comings and goings as they happen")
        .with(&["instance"]),
    get("/", Sort::Page, "The dashboard"),
    get("/{file}", Sort::Page, "A file of the dashboard"),
];

const INSTANCES: [Endpoint; 10] = [
    get("/api/v1/instances", Sort::Json("Instances"), "All instances; with limit or cursor in pages by id")
        .with(PAGES),
    get(
        "/api/v1/fleet/history",
        Sort::Json("FleetHistory"),
        "Scores or probabilities of all instances by time, the largest of each cell; in pages by id",
    )
    .with(&["metric:output", "from", "to", "step", "limit", "cursor"]),
    get("/api/v1/instances/{id}", Sort::Json("Instance"), "One instance"),
    get("/api/v1/instances/{id}/metrics", Sort::Json("Metrics"), "Its series"),
    get(
        "/api/v1/instances/{id}/window",
        Sort::Json("Window"),
        "Series over a span of time, with expectation and band",
    )
    .with(&["metric", "from", "to", "points"]),
    get("/api/v1/instances/{id}/risks", Sort::Json("Risks"), "What may run out, likeliest first"),
    get("/api/v1/instances/{id}/drift", Sort::Json("Drift"), "How far it has left what its models saw"),
    get(
        "/api/v1/instances/{id}/forecasts",
        Sort::Json("Forecasts"),
        "What its metrics may be next, with bands",
    )
    .with(&["metric", "horizon", "points"]),
    get("/api/v1/instances/{id}/diagnosis", Sort::Json("Diagnosis"), "Where its trouble comes from"),
    get(
        "/api/v1/reliability",
        Sort::Json("Reliability"),
        "Whether the probabilities that were said came true",
    )
    .with(&["instance", "from"]),
];

const QUESTIONS: [Endpoint; 2] = [
    post(
        "/api/v1/twin/predict",
        ("PredictRequest", r#"{"instance": "web-1", "horizon": "1h"}"#),
        Sort::Json("Prediction"),
        "What will fail, when, why, and what to do; of an instance or a report",
    ),
    post(
        "/api/v1/twin/whatif",
        ("WhatIfRequest", r#"{"instance": "web-1", "scenarios": [{"memory": "1.5x"}, {"restart": true}]}"#),
        Sort::Json("WhatIf"),
        "What interventions would change, side by side",
    ),
];

const RECORDS: [Endpoint; 6] = [
    get("/api/v1/failures", Sort::Json("Failures"), "Recorded failures")
        .with(&["instance", "since", "limit", "cursor"]),
    get("/api/v1/maintenance", Sort::Json("Works"), "Recorded maintenance")
        .with(&["instance", "limit", "cursor"]),
    delete("/api/v1/maintenance/{id}", Sort::Json("Changed"), "Ends or calls off maintenance"),
    octets(
        "/api/v1/ingest",
        Sort::Json("Ingested"),
        "Telemetry of an agent; 200 says that every record is durable",
    ),
    post(
        "/api/v1/failures",
        ("FailureRequest", r#"{"instance": "web-1", "mode": "crash", "at": "-5m", "note": "disk pulled"}"#),
        Sort::Json("Failure"),
        "Records a failure: it becomes training data",
    )
    .says("201"),
    post(
        "/api/v1/maintenance",
        ("MaintenanceRequest", r#"{"instance": "web-1", "duration": "1h", "note": "kernel update"}"#),
        Sort::Json("Maintenance"),
        "Records planned work: what happens during it is not learned",
    )
    .says("201"),
];

const WHY: (&str, &str) = ("Reason", r#"{"reason": "7 is deaf"}"#);

const MODELS: [Endpoint; 12] = [
    get(
        "/api/v1/models/{id}",
        Sort::Json("ModelLines"),
        "All versions of an instance's models; with limit or cursor in pages of versions",
    )
    .with(PAGES),
    get("/api/v1/models/{id}/compare", Sort::Json("Comparison"), "Versions on one stretch of history")
        .with(&["schema", "versions", "span"]),
    post("/api/v1/models/{id}/rollback", WHY, Sort::Json("Switched"), "Lets the champion before judge again")
        .with(LINE),
    octets("/api/v1/models/{id}/import", Sort::Json("Imported"), "Takes a safetensors file as a challenger")
        .with(LINE)
        .says("201"),
    post(
        "/api/v1/models/{id}/prune",
        ("Keep", r#"{"keep": 5}"#),
        Sort::Json("Changed"),
        "Deletes versions without a role",
    )
    .with(LINE),
    get("/api/v1/models/{id}/{version}", Sort::Json("Model"), "One version").with(LINE),
    post("/api/v1/models/{id}/{version}/promote", WHY, Sort::Json("Switched"), "Lets a version judge")
        .with(LINE),
    post(
        "/api/v1/models/{id}/{version}/reference",
        WHY,
        Sort::Json("Changed"),
        "Freezes a version as the reference",
    )
    .with(LINE),
    post(
        "/api/v1/models/{id}/{version}/dismiss",
        WHY,
        Sort::Json("Changed"),
        "Says that a challenger is of no use",
    )
    .with(LINE),
    post(
        "/api/v1/models/{id}/{version}/pin",
        ("Pin", r#"{"pinned": true}"#),
        Sort::Json("Changed"),
        "Keeps it from pruning",
    )
    .with(LINE),
    get("/api/v1/models/{id}/{version}/export", Sort::Octets, "The safetensors file").with(LINE),
    get(
        "/api/v1/models/{id}/{version}/vectors",
        Sort::Json("Vectors"),
        "Stored frames and what it expects of them",
    )
    .with(&["schema", "rows"]),
];

const REPORTS: [Endpoint; 4] = [
    get("/api/v1/reports", Sort::Json("Reports"), "Names of reports, newest first").with(PAGES),
    post(
        "/api/v1/reports",
        ("Document", "{}"),
        Sort::Json("Report"),
        "Makes a report of this machine, or takes one in",
    )
    .says("201"),
    get("/api/v1/reports/{id}", Sort::Json("Report"), "A report and the known issues in it"),
    get("/api/v1/issues", Sort::Json("Issues"), "The known issues"),
];

const TWINS: [Endpoint; 7] = [
    get("/api/v1/twins", Sort::Json("Twins"), "What runs beside production, and what it says"),
    get(
        "/api/v1/twins/{id}",
        Sort::Json("Twin"),
        "Fidelity, probes, replay, drift and verdict of one instance",
    ),
    post(
        "/api/v1/twins/{id}/replay",
        ("ReplayRequest", r#"{"level": "process"}"#),
        Sort::Json("Twin"),
        "Asks for a replay, or ends it",
    ),
    post(
        "/api/v1/twins/{id}/rehearsals",
        ("RehearsalRequest", r#"{"ahead": "6h", "speed": 60}"#),
        Sort::Json("Rehearsal"),
        "Begins to rehearse what is coming, and returns at once",
    )
    .says("202"),
    get(
        "/api/v1/rehearsals/{number}",
        Sort::Json("Rehearsal"),
        "How far a rehearsal is, and what came of it",
    ),
    get("/api/v1/instances/{id}/profile", Sort::Json("Profile"), "The newest captured profile"),
    get(
        "/api/v1/instances/{id}/contrast",
        Sort::Json("Contrast"),
        "The latest verdict, with the twin and without",
    ),
];

const TASKS: [Endpoint; 4] = [
    get("/api/v1/tasks", Sort::Json("Tasks"), "Long work, newest first").with(PAGES),
    post(
        "/api/v1/tasks",
        ("TaskRequest", r#"{"kind": "report"}"#),
        Sort::Json("Task"),
        "Begins long work and returns at once",
    )
    .says("202"),
    get("/api/v1/tasks/{id}", Sort::Json("Task"), "How far it is, and what came of it"),
    delete("/api/v1/tasks/{id}", Sort::Json("Task"), "Asks it to end"),
];

const ALERTS: [Endpoint; 3] = [
    get("/api/v1/alerts", Sort::Json("Alerts"), "Alerts, newest first")
        .with(&["state", "instance", "since", "limit", "cursor"]),
    get("/api/v1/alerts/{id}", Sort::Json("Alert"), "One alert"),
    post(
        "/api/v1/alerts/{id}/feedback",
        ("FeedbackRequest", r#"{"rating": "useful", "note": "it was the disk"}"#),
        Sort::Json("Alert"),
        "What an alert was worth",
    ),
];

/// Where other programs send metrics: bodies and errors are those of their protocols.
const SENDERS: [Endpoint; 7] = [
    octets("/api/v1/write", Sort::Foreign, "Prometheus remote write"),
    octets("/v1/metrics", Sort::Foreign, "OpenTelemetry metrics, OTLP over HTTP"),
    octets(
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Sort::Foreign,
        "OTLP over gRPC",
    ),
    octets("/write", Sort::Foreign, "Influx line protocol, version 1"),
    octets("/api/v2/write", Sort::Foreign, "Influx line protocol, version 2"),
    octets("/query", Sort::Foreign, "What Influx clients ask before they write"),
    get("/ping", Sort::Foreign, "Whether the node answers, for Influx clients"),
];

const QUERY: &[&str] = &["query", "time"];
const RANGE: &[&str] = &["query", "start", "end", "step"];
const MATCH: &[&str] = &["match[]", "start", "end"];

/// The HTTP API of Prometheus; by POST the parameters come as a form.
const QUERIES: [Endpoint; 15] = [
    get("/api/v1/query", Sort::Foreign, "PromQL at one moment").with(QUERY),
    form("/api/v1/query", "PromQL at one moment"),
    get("/api/v1/query_range", Sort::Foreign, "PromQL over a span").with(RANGE),
    form("/api/v1/query_range", "PromQL over a span"),
    get("/api/v1/series", Sort::Foreign, "Series that match").with(MATCH),
    form("/api/v1/series", "Series that match"),
    get("/api/v1/labels", Sort::Foreign, "Names of labels").with(MATCH),
    form("/api/v1/labels", "Names of labels"),
    get("/api/v1/label/{name}/values", Sort::Foreign, "Values of a label").with(MATCH),
    get("/api/v1/metadata", Sort::Foreign, "What metrics are"),
    get("/api/v1/query_exemplars", Sort::Foreign, "No exemplars are kept").with(QUERY),
    form("/api/v1/query_exemplars", "No exemplars are kept"),
    get("/api/v1/status/buildinfo", Sort::Foreign, "The version, for data sources that ask"),
    octets("/api/v1/read", Sort::Foreign, "Prometheus remote read"),
    get("/federate", Sort::Foreign, "Latest values, for a Prometheus that federates").with(MATCH),
];
