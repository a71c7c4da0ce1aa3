//! The shapes of what is asked and answered, in the short notation.

/// Name, what it is, and its members.
pub(super) const SHAPES: &[(&str, &str, &str)] = &[
    ("Error", "Whatever was refused, was refused in this shape.", "error: ErrorBody"),
    (
        "ErrorBody",
        "A stable code, a message that names the remedy, and the field it is about.",
        "code: string, message: string, field?: string",
    ),
    (
        "Readiness",
        "Whether a node can be used, and if not why.",
        "ready: boolean, waiting_for: [string], instances: integer, scored: integer",
    ),
    (
        "Learning",
        "How far learning has come.",
        "phase: 'gathering'|'provisional'|'learned', progress: number?, model_version: integer, message: string",
    ),
    (
        "Judgement",
        "A score above 1 is anomalous; the metrics that made it.",
        "at_us: integer, score: number?, model_version: integer, phase: string, contributions: [object]",
    ),
    (
        "TopRisk",
        "The likeliest way to fail within an hour.",
        "mode: string, metric: string, probability: number?, p50_s: number?",
    ),
    (
        "Instance",
        "A machine, group, container, service or application at a glance.",
        "id: string, kind: string, host: string, workload: string, parent?: string, twin_of?: string, labels?: object, \
      criticality: integer, first_seen_us: integer, last_seen_us: integer, silent_s: number?, alive: boolean, \
      metrics: integer, score: number?, judgement: Judgement?, learning: Learning, failure_probability: number?, \
      top_risk: TopRisk?",
    ),
    (
        "Instances",
        "Instances, and where the next page begins.",
        "instances: [Instance], next_cursor: string?",
    ),
    (
        "FleetHistory",
        "A row for each instance; cells begin at from_us and are step_us long; null where nothing was said.",
        "metric: 'score'|'risk', from_us: integer, step_us: integer, cells: integer, instances: [string], values: array, \
      next_cursor: string?",
    ),
    (
        "Metric",
        "A series: gauges as they are, counters as rates per second.",
        "key: string, name: string, unit: string, kind: 'gauge'|'counter', role: string, storage: string, \
      attributes?: array, capacity?: object",
    ),
    ("Metrics", "The series of an instance.", "metrics: [Metric]"),
    (
        "Series",
        "A series with what was expected; null where nothing was seen or expected.",
        "metric: string, unit: string, kind: string, role: string, at_us: [integer], observed: [number?], \
      expected: [number?], scale: [number?]",
    ),
    (
        "Window",
        "Series over a span of time.",
        "instance: string, from_us: integer, to_us: integer, series: [Series]",
    ),
    ("Quantiles", "Seconds; null lies beyond all times.", "p10: number?, p50: number?, p90: number?"),
    (
        "Risk",
        "How likely a resource runs out, and when.",
        "mode: string, metric: string, used: number?, limit: number?, within: array, time_to_failure: Quantiles, \
      never: number?, confidence: number?, trend: object",
    ),
    ("Risks", "Risks, likeliest first.", "risks: [Risk]"),
    ("Drift", "How far an instance is from where its models saw it, by schema.", "drift: array"),
    (
        "Forecasts",
        "Paths of metrics ahead of now: p50 within 80 % (p10 to p90) and 90 % (p05 to p95), and how many independent errors of late that rests on.",
        "instance: string, horizon_s: number, by: array, metrics: array",
    ),
    ("Evidence", "What speaks for a cause.", "metric: string, statement: string"),
    (
        "Cause",
        "Why, with what probability.",
        "class: string, place: string, probability: number?, evidence: [Evidence]",
    ),
    (
        "Action",
        "What to do, and what that is expected to change.",
        "action: string, description: string, expected_effect: string",
    ),
    (
        "Diagnosis",
        "Ranked causes, and the anomalies that belong together.",
        "instance: string, at_us: integer, considered: [string], causes: [Cause], unknown: number?, groups: array",
    ),
    ("Probability", "Of failing within a horizon.", "horizon_s: number, probability: number?"),
    (
        "PredictRequest",
        "Either an instance or a report.",
        "instance?: string, report_id?: string, horizon?: span",
    ),
    (
        "Prediction",
        "What will fail, when, why, and what to do.",
        "instance: string, at_us: integer, horizon_s: number, failure_probability: number?, confidence: number?, \
      root_causes: [Cause], recommended_actions: [Action], probabilities: [Probability], risks: [Risk], \
      anomaly: Judgement?, learning: Learning, contrast?: object, report_id?: string, flags?: array",
    ),
    (
        "Scenario",
        "An intervention.",
        "name?: string, memory?: change, cpu?: change, disk?: change, descriptors?: change, load?: factor, \
      replicas?: array, host?: string, restart?: boolean, fix?: boolean",
    ),
    (
        "WhatIfRequest",
        "Scenarios to hold side by side, 1 to 32.",
        "instance?: string, report_id?: string, scenarios: [Scenario], horizon?: span",
    ),
    (
        "WhatIf",
        "Before and after of every scenario.",
        "instance: string, at_us: integer, horizon_s: number, effects: array, abstains: string?",
    ),
    ("Reliability", "Whether what was said came true, by horizon.", "reliability: array"),
    (
        "FailureRequest",
        "What failed, how, and when (now, -15m, or seconds since the epoch).",
        "instance: string, mode: string, at?: string?, note?: string",
    ),
    ("Failure", "A recorded failure.", "instance: string, at_us: integer, mode: string, note: string"),
    (
        "MaintenanceRequest",
        "Planned work: from when, how long.",
        "instance: string, from?: string?, duration: span, note?: string",
    ),
    (
        "Maintenance",
        "Recorded maintenance.",
        "instance: string, from_us: integer, to_us: integer, note: string",
    ),
    (
        "Work",
        "Planned work with its name; active while it is under way.",
        "id: string, instance: string, from_us: integer, to_us: integer, note: string, active: boolean",
    ),
    ("Failures", "Recorded failures, newest first.", "failures: [Failure], next_cursor: string?"),
    ("Works", "Planned work, latest first.", "maintenance: [Work], next_cursor: string?"),
    (
        "Alert",
        "What somebody should know: how likely, when, why, and what to do.",
        "id: string, state: string, reason: string, class: string, severity: string, title: string, opened_us: integer, \
      last_us: integer, resolved_us?: integer, shown: boolean, members: array, count: integer, probability: number?, \
      horizon_s: number?, confidence: number?, time_to_failure: Quantiles, cause?: Cause, action?: Action, link: string, \
      outcome?: any, feedback?: array",
    ),
    ("Alerts", "Alerts, newest first.", "alerts: [Alert], next_cursor: string?"),
    (
        "FeedbackRequest",
        "What an alert was worth, in a word.",
        "rating: 'expected'|'false'|'useful', note?: string",
    ),
    ("Ingested", "So many records are durable.", "records: integer"),
    (
        "ModelLines",
        "The versions of an instance's models, its main schema first.",
        "instance: string, lines: [ModelLine], next_cursor: string?",
    ),
    (
        "ModelLine",
        "The versions for one schema, and their roles.",
        "instance: string, schema: string, main: boolean, champion: integer?, judging: integer?, judged_for_all?: string, \
      reference: integer?, challengers: [integer], rollback_to: integer?, versions: [ModelEntry], changes: array",
    ),
    (
        "ModelEntry",
        "A version at a glance.",
        "version: integer, parent: integer?, phase: string, trained_at: integer, rows: integer, reason: string",
    ),
    (
        "Model",
        "A version: where it came from, what it looks at.",
        "version: integer, phase: string, trained_at: integer, rows: integer, reason: string, bytes: integer, \
      schema: string, roles: [string], step_s: number, provenance: object, trials: array, features: array, \
      influences: array, forecasts: array",
    ),
    (
        "Comparison",
        "Versions on one stretch of history.",
        "schema: string, from_us: integer, to_us: integer, versions: array",
    ),
    (
        "Vectors",
        "Stored frames and what a version expects of them.",
        "instance: string, schema: string, version: integer, metrics: [string], times_us: [integer], frames: array, \
      expected: array, scale: array, scores: [number?]",
    ),
    ("Reason", "Why it is changed; kept beside the change.", "reason?: string"),
    (
        "Switched",
        "Which version judges now.",
        "instance: string, schema: string, from: integer?, to: integer",
    ),
    ("Pin", "Whether it is kept from pruning.", "pinned?: boolean"),
    ("Keep", "How many versions without a role stay.", "keep: integer"),
    ("Changed", "What was done.", ""),
    ("Imported", "The version that it became: a challenger.", "version: integer"),
    (
        "Flag",
        "A known issue in a report.",
        "rule: string, severity: 'notice'|'warning'|'serious'|'critical', title: string, cause: string, \
      solution: string, risk: string, mode?: string, evidence: array",
    ),
    (
        "Document",
        "An operating information report to hand in; {} asks for one of the node's own machine.",
        "",
    ),
    (
        "Report",
        "A report with the known issues in it, worst first.",
        "id: string, instance: string, at_us: integer, flags: [Flag], document: object",
    ),
    (
        "Reports",
        "Names of reports, newest first, and where the next page begins.",
        "reports: [string], next_cursor: string?",
    ),
    ("Issues", "The known issues.", "issues: array"),
    (
        "Verdict",
        "The application, or the machine underneath?",
        "class: string, self_inflicted: boolean, consumer: string?, probability: number?, since_us: integer?, \
      evidence: [Evidence], probabilities: array",
    ),
    (
        "Contrast",
        "The verdict with the twin, and made without it.",
        "instance: string, at_us: integer, fidelity: string, verdict: Verdict, verdict_counters_only: Verdict",
    ),
    (
        "Twin",
        "What runs beside an instance, and what it says.",
        "instance: string, at_us: integer, verdict: Verdict, verdict_counters_only: Verdict, probes: string?, \
      replay: object?, profile: object?, drift: array, twin_drift: array, score: number?, twin_score: number?",
    ),
    (
        "Twins",
        "All twins of this node.",
        "enabled: boolean, levels: array, runners: array, decisions: [string], contrasts: [Contrast]",
    ),
    (
        "ReplayRequest",
        "The highest level; null ends the replay.",
        "level: 'model'|'process'|'container'|'microvm'?",
    ),
    ("Profile", "The newest captured profile; null while too little was seen.", "profile: object?"),
    (
        "RehearsalRequest",
        "How far ahead, how much faster, in what; with a scenario, what a what-if says of it is verified.",
        "ahead: span, speed?: factor, level?: 'model'|'process'|'container'|'microvm', scenario?: Scenario",
    ),
    (
        "Rehearsal",
        "What came of a rehearsal, so far.",
        "id: integer, instance: string, asked_us: integer, ahead_s: number, speed: number, progress: number, \
      done: boolean, fidelity: string?, mode: string?, after_s: number?, message: string, scenario?: string, \
      verified?: string",
    ),
    (
        "Task",
        "Long work. state is waiting, running, done, failed or cancelled; progress goes from 0 to 1.",
        "id: string, kind: string, instance: string?, state: 'waiting'|'running'|'done'|'failed'|'cancelled', \
      progress: number?, cancellable: boolean, asked_us: integer, message: string, result: string?",
    ),
    (
        "TaskRequest",
        "What to begin; rehearsals begin at their twin, trainings by themselves.",
        "kind: 'report'",
    ),
    ("Tasks", "Long work, newest first.", "tasks: [Task], next_cursor: string?"),
    (
        "AuditLine",
        "A change, with the digest of itself and the line before.",
        "number: integer, change: object, previous: string, digest: string",
    ),
    (
        "Audit",
        "Changes, newest first; intact says that none was altered or taken out.",
        "changes: [AuditLine], intact: boolean, next_cursor: string?",
    ),
];
