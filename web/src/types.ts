// The API's answers, as far as this page reads them. Times are microseconds since the epoch.

export interface Quantiles { p10: number | null; p50: number | null; p90: number | null }
export interface TopRisk { mode: string; metric: string; probability: number; p50_s: number | null }
export interface Expectation { mean?: number | null; scale?: number | null }
export interface Contribution { metric: string; observed: number | null; expected?: Expectation; share: number }
export interface Learning { phase: string; progress: number; message: string; model_version?: number | null }

export interface Instance {
  id: string; host: string; kind: string; workload: string; parent?: string | null; twin_of?: string | null;
  labels?: Record<string, string>; criticality: number; alive: boolean; metrics: number;
  first_seen_us: number; last_seen_us: number; score: number | null; failure_probability: number;
  learning: Learning; top_risk: TopRisk | null;
  judgement?: { at_us: number; score: number; contributions: Contribution[] } | null;
}

export interface Metric { key: string; kind: string; unit: string; role: string }

export interface Series {
  metric: string; unit: string; at_us: number[]; observed: (number | null)[];
  expected: (number | null)[]; scale: (number | null)[];
}
export interface Window { from_us: number; to_us: number; series: Series[] }

export interface Risk {
  mode: string; metric: string; used: number; limit: number; within: [number, number][];
  time_to_failure: Quantiles; never: number; confidence: number;
  trend: { shape: string; rate: number; rate_sd: number; span_s: number };
}
export interface Evidence { metric: string; statement: string }
export interface Cause { class: string; place: string; probability: number; evidence: Evidence[] }
export interface Action { action: string; description: string; expected_effect: string }
export interface Prediction {
  calibration?: { learned_us: number; failures: number; abstains?: string | null } | null;
  at_us: number; horizon_s: number; failure_probability: number; confidence: number; root_causes: Cause[];
  recommended_actions: Action[]; probabilities: { horizon_s: number; probability: number }[]; risks: Risk[];
}
export interface Anomaly { instance: string; metric: string; strength: number; chance: number; since_us: number | null }
export interface Diagnosis {
  at_us: number; considered: string[]; causes: Cause[]; unknown: number;
  groups: { since_us: number | null; anomalies: Anomaly[] }[];
}

export interface Verdict {
  class: string; probability: number; consumer?: string | null; self_inflicted: boolean; since_us: number | null;
  evidence: Evidence[]; probabilities: [string, number][];
}
export interface DriftOf { model_version: number; shift: number; metric: string | null; distance: number }
export interface Drift { schema: string; surprise: number | null; champion: DriftOf | null; reference: DriftOf | null }
export interface Twin {
  probes?: string | null; fidelity: string | null; score: number | null; twin_score: number | null;
  replay: { state: string; achieved: string; wanted?: string; confinement?: string } | null;
  profile: { version: number } | null; drift: Drift[]; twin_drift: Drift[];
  ahead: { time_to_failure: Quantiles } | null; verdict?: Verdict; verdict_counters_only?: Verdict;
}

export type Method = string | Record<string, { period_s: number }>;
export interface Choice { lead_s: number; method: Method; rms: number; beaten: { method: Method; rms: number }[] }
export interface MetricForecast {
  metric: string; held: boolean; at_us: number[]; p10: (number | null)[]; p50: (number | null)[];
  p90: (number | null)[]; choices: Choice[];
}
export interface Forecasts { by: { message: string; reach_s: number }[]; metrics: MetricForecast[] }

export interface ModelEntry {
  version: number; trained_at: number; rows: number; corrected: number; reason: string; pinned: boolean; phase: string;
  bytes: number; weights: string; held_out: Record<string, unknown>;
}
export interface ModelChange { at_us: number; what: string; version: number; reason: string }
export interface Line {
  schema: string; champion: number | null; judging: number | null; reference: number | null; rollback_to: number | null;
  challengers: number[]; judged_for_all?: string | null; versions: ModelEntry[]; changes: ModelChange[];
}
export interface Feature { metric: string; transform: unknown; duty: unknown; corrected: boolean }
export interface Trial { what: string; before: number; after: number; kept: number; of: number; epochs: number }
export interface Model extends ModelEntry {
  schema: string; step_s: number; features: Feature[]; trials: Trial[];
  gain: { shared?: boolean; own?: number | null; cohort?: number | null };
  cycle?: { period_s: number; metrics: string[] } | null;
  provenance: { from_us: number; to_us: number; config?: { lstm_min_rows?: number } };
}
export interface Comparison {
  from_us: number; to_us: number;
  versions: (ModelEntry & {
    judged: number; score_mean: number | null; score_max: number | null; anomalous: number | null;
    log_error_ratio: number | null; errors: [string, number][];
  })[];
}

export interface Estimate { value: number; low: number; high: number | null }
export interface Expected { probability: number; within: [number, number][]; time_to_failure: Quantiles; never: number }
export interface Effect {
  title: string; before: Expected; after: Expected; probability_change: Estimate; delay_s: Estimate | null;
  verdict: string; on_host?: [string, number, number][]; assumptions: string[]; beyond_experience: string[];
  scenario: unknown;
}
export interface WhatIf { horizon_s: number; effects: Effect[]; abstains: string | null }

export interface Calibration {
  horizon_s: number; statements: number; came: number; brier: number | null; brier_of_base_rate: number | null;
  calibration_error: number | null; bins: { said: number; came: number; statements: number }[];
}

export interface Flag {
  rule: string; severity: string; title: string; cause: string; solution: string; risk: string; mode?: string;
  evidence: { path: string; value: string }[];
}
export interface Report { id: string; instance: string; at_us: number; flags: Flag[]; document: unknown }

export interface Alert {
  id: string; state: string; reason: string; kind: string; mode?: string; class: string; severity: string; title: string;
  opened_us: number; last_us: number; resolved_us?: number; team?: string; common?: string; count: number;
  probability: number; horizon_s: number; confidence: number; time_to_failure: Quantiles;
  members: { instance: string; kind: string; mode?: string; since_us: number; ended_us?: number; probability: number; peak: number }[];
  cause?: Cause; action?: Action;
  outcome?: { what: string; at_us?: number; mode?: string; lead_s?: number };
  feedback?: { at_us: number; rating: string; note: string }[];
}

export interface Rehearsal {
  id: number; instance: string; asked_us: number; ahead_s: number; speed: number; progress: number; done: boolean;
  fidelity: string | null; mode: string | null; after_s: number | null; resolution_s: number | null; message: string;
  comparable: string[]; not_comparable: string[]; scenario?: string; verified?: string;
}

export interface Failed { instance: string; at_us: number; mode: string; note: string }
export interface Work { id: string; instance: string; from_us: number; to_us: number; note: string; active: boolean }
export interface FleetHistory {
  metric: 'score' | 'risk'; from_us: number; step_us: number; cells: number; instances: string[]; values: (number | null)[][];
  next_cursor: string | null;
}

export interface ScoreEvent { instance: string; at_us: number; score: number | null; failure_probability: number }
