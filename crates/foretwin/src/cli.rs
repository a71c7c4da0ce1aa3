//! The command line, as clap reads it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::table::Limit;

/// A running stand-in for every machine, VM, container and service: it learns what is normal and says what will fail,
/// when, and why, before production feels it.
#[derive(Debug, Parser)]
#[command(name = "foretwin", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// Log more.
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// File of the token that a node asks for; FORETWIN_TOKEN may hold the token itself
    #[arg(long, global = true, env = "FORETWIN_TOKEN_FILE", help_heading = "Security")]
    pub token_file: Option<PathBuf>,
    /// Certificates (PEM) to trust with https, instead of those of the public web
    #[arg(long, global = true, env = "FORETWIN_CA_FILE", help_heading = "Security")]
    pub ca_file: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  foretwin run                                   watch this machine; then open http://127.0.0.1:7878
  foretwin predict web-1/system.slice/app.service --horizon 6h
  foretwin whatif web-1/app --memory 1.5x        how much later it would fail, and whether that cures it
  foretwin alerts list                           what fires now, what is silenced, and what the budget holds back
  foretwin models show web-1                     what its model looks at and what it does with every metric
  foretwin top                                   the same in this terminal
  foretwin twin list                             the twins of this machine, and what they say
  foretwin report                                what is wrong with this machine, and what to do
  foretwin token create --name web-1 --scope write    what an agent needs to send to a server
  foretwin doctor                                what this machine offers and lacks
  foretwin replay recorded.parquet               judge recorded telemetry as if it were live";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch this machine: collect, store, learn, foresee and serve in one process
    Run(RunArgs),
    /// Only collect, and send to a server
    Agent(AgentArgs),
    /// Everything but collecting: receive from agents
    Server(RunArgs),
    /// Say what will fail, when and why
    Predict(PredictArgs),
    /// Say what metrics will be, with bands, and by which way they are expected
    Forecast(crate::commands::forecast::ForecastArgs),
    /// Say what an intervention would change: probability and time of failure, before and after
    Whatif(WhatifArgs),
    /// What somebody should know: list, show, and say what an alert was worth
    Alerts(crate::commands::alerts::AlertsArgs),
    /// Planned work: list, add, end
    Maintenance(crate::commands::maintenance::MaintenanceArgs),
    /// List, show, compare, switch, export, import and prune models
    Models(crate::commands::models::ModelsArgs),
    /// What runs beside production and says where trouble comes from; rehearse what is coming
    Twin(crate::commands::twin::TwinArgs),
    /// The fleet, and one instance of it, live in this terminal
    Top(crate::commands::top::TopArgs),
    /// Say what this machine is and does, and which known issues it has
    Report(crate::commands::report::ReportArgs),
    /// Try who is told of alerts
    Notify(crate::commands::notify::NotifyArgs),
    /// Make, list and revoke the tokens of a node
    Token(crate::commands::token::TokenArgs),
    /// Check a configuration file
    Check(CheckArgs),
    /// Say what this machine offers and lacks, with remedies
    Doctor(DoctorArgs),
    /// Run recorded telemetry through the pipeline, faster than real time, as if live
    Replay(ReplayArgs),
    /// Measure Foretwin on labelled data
    #[command(subcommand)]
    Evaluate(Evaluate),
    /// Write the completions of a shell to standard output
    Completions(crate::commands::completions::CompletionsArgs),
    /// Write man pages
    Man(crate::commands::completions::ManArgs),
}

/// Settings that every running role takes; they stand over the environment, which stands over the file.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Configuration file (see foretwin.example.toml)
    #[arg(long, env = "FORETWIN_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where everything durable lives [default: ./foretwin-data]
    #[arg(long, env = "FORETWIN_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address and port of the API and page [default: 127.0.0.1:7878]
    #[arg(long, env = "FORETWIN_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Chain of certificates (PEM); with --tls-key, https is spoken
    #[arg(long, env = "FORETWIN_TLS_CERTIFICATE")]
    pub tls_certificate: Option<PathBuf>,
    /// Key of the certificate (PEM)
    #[arg(long, env = "FORETWIN_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct AgentArgs {
    /// Configuration file (see foretwin.example.toml)
    #[arg(long, env = "FORETWIN_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where telemetry waits while the server is away [default: ./foretwin-data]
    #[arg(long, env = "FORETWIN_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// URL of the server, for instance http://foretwin.example:7878
    #[arg(long, env = "FORETWIN_SERVER")]
    pub server: Option<String>,
}

#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Which instance; without one, all that are at risk
    pub instance: Option<String>,
    /// How far ahead: seconds, or 15m, 6h, 7d
    #[arg(long, default_value = "1h")]
    pub horizon: String,
    /// URL of the running node
    #[arg(long, env = "FORETWIN_SERVER", default_value = "http://127.0.0.1:7878")]
    pub server: String,
    /// One JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct WhatifArgs {
    /// Which instance
    pub instance: String,
    /// Of the memory limit: a factor such as 1.5x, or an amount such as 512MiB
    #[arg(long)]
    pub memory: Option<String>,
    /// Of the processors
    #[arg(long)]
    pub cpu: Option<String>,
    /// Of file systems
    #[arg(long)]
    pub disk: Option<String>,
    /// Of descriptors, processes and threads
    #[arg(long)]
    pub descriptors: Option<String>,
    /// Of the load: a factor
    #[arg(long)]
    pub load: Option<String>,
    /// Replicas that share the load, before:after
    #[arg(long)]
    pub replicas: Option<String>,
    /// Move to this host
    #[arg(long)]
    pub host: Option<String>,
    /// Restart now
    #[arg(long)]
    pub restart: bool,
    /// Fix the suspected leak
    #[arg(long)]
    pub fix: bool,
    /// One more scenario beside the flags, such as memory=2x,restart; may repeat
    #[arg(long)]
    pub scenario: Vec<String>,
    /// How far ahead: seconds, or 15m, 6h, 7d
    #[arg(long, default_value = "1h")]
    pub horizon: String,
    /// Rehearse each scenario in a process twin and say whether it comes true; takes about a minute each
    #[arg(long)]
    pub verify: bool,
    /// URL of the running node
    #[arg(long, env = "FORETWIN_SERVER", default_value = "http://127.0.0.1:7878")]
    pub server: String,
    /// One JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Configuration file
    pub config: PathBuf,
    /// Print the whole configuration in force, defaults included
    #[arg(long)]
    pub print: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// One JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Parquet, CSV, or the JSON of a Prometheus range query; a time column (t, time, timestamp) and metrics
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// A limit that the names do not tell: USED=LIMIT, where the limit is a column or a number in the same unit
    #[arg(long, value_name = "USED=LIMIT")]
    pub limit: Vec<Limit>,
    /// Write time and score of each row to this CSV file
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Write what was predicted over time to this file: CSV, or whole predictions where its name ends in .jsonl
    #[arg(long)]
    pub predictions: Option<PathBuf>,
    /// Seconds of the recording between two of those predictions
    #[arg(long, default_value_t = 1.0)]
    pub every: f64,
    /// Then show it on the page at this address, as if its last row were of now, until interrupted
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// One JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Evaluate {
    /// Train on NAME.train.parquet, score NAME.test.parquet, write OUT/NAME.csv with label,score; or stream NAB's files
    Detection(DetectionArgs),
    /// Forecast 1, 10, 60 and 600 steps ahead, against VAR, seasonal naive and ETS
    Forecast(ForecastArgs),
    /// Tell the application from the machine underneath, on campaigns recorded by foretwin-lab contrast
    Contrast(ContrastArgs),
    /// Rank the causes of every fault in DATA/manifest.json, write {"ranks": {case: ["node|metric", ...]}, ...}
    Rca(RcaArgs),
    /// Learn from recorded runs to failure, predict others: rid,t,horizon_s,p_fail,ttf_p10,ttf_p50,ttf_p90,alert
    Failure(RunsArgs),
    /// Simulate a fleet with faults on a virtual clock, foresee its failures, judge alerts and probabilities
    Fleet(crate::commands::evaluate::fleet::FleetArgs),
    /// Say when runs would have failed with more memory: rid,t_fail_base_p50,t_fail_whatif_p50,p10,p90
    Whatif(RunsArgs),
}

#[derive(Debug, Args)]
pub struct ContrastArgs {
    /// Directories of seconds.csv, frames.bin and truth.csv
    #[arg(long, required_unless_present = "simulate", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Simulated hosts with four ramps each and as many stretches that are none
    #[arg(long, default_value_t = 0)]
    pub simulate: u64,
    /// Draws the simulated hosts
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Milliseconds that the 90th percentile of latency has to keep; without it twice the highest while all was well
    #[arg(long)]
    pub limit_ms: Option<f64>,
    /// Leave the second model out
    #[arg(long)]
    pub without_model: bool,
    /// Tell every second
    #[arg(long)]
    pub verbose_runs: bool,
    /// One JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RcaArgs {
    /// Directory of manifest.json and the files it names
    #[arg(long)]
    pub data: PathBuf,
    /// File for ranks, probabilities and evidence
    #[arg(long)]
    pub out: PathBuf,
    /// Also report how well known causes are found: weights fitted on other cases, topology given, absent and permuted,
    /// fault times given late; reads root_cause_nodes
    #[arg(long)]
    pub cross_validate: bool,
    /// Seed of the permutations and intervals
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// One JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RunsArgs {
    /// Directory to learn from: telemetry.parquet and runs.csv
    #[arg(long)]
    pub train: PathBuf,
    /// Directory to predict: telemetry.parquet, for what-if whatif_pairs.csv too; outcomes in it are not read
    #[arg(long)]
    pub data: PathBuf,
    /// CSV file for the predictions
    #[arg(long)]
    pub out: PathBuf,
    /// Probability of failure within 20 s above which, twice in a row, an alert is raised
    #[arg(long, default_value_t = 0.25)]
    pub threshold: f64,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// One JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ForecastArgs {
    /// Directory of series: NAME.train.parquet and NAME.test.parquet, Parquet with a column `series` or `vm`, or CSV with
    /// timestamp,value; single files are split 70 to 30
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Directory for forecast.csv and choices.csv
    #[arg(long)]
    pub out: PathBuf,
    /// Without --data: simulated load of four kinds, this many series each
    #[arg(long)]
    pub simulated: Option<u64>,
    /// Only so many of the series, evenly chosen
    #[arg(long)]
    pub sample: Option<usize>,
    /// Networks whose corrections are averaged
    #[arg(long, default_value_t = 1)]
    pub ensemble: usize,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// One JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DetectionArgs {
    /// Directory of NAME.train.parquet and NAME.test.parquet; of GROUP/FILE.csv for NAB
    #[arg(long)]
    pub data: PathBuf,
    /// Directory for the scores
    #[arg(long)]
    pub out: PathBuf,
    /// How the data lie, and what is written
    #[arg(long, value_enum, default_value_t = Format::Parquet)]
    pub format: Format,
    /// What scores: Foretwin, or a plain linear detector to compare it with
    #[arg(long, value_enum, default_value_t = Method::Foretwin)]
    pub method: Method,
    /// Name that NAB's result files begin with
    #[arg(long, default_value = "foretwin")]
    pub detector: String,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// One JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

/// Layouts of labelled data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One file to learn from and one to score, per series
    Parquet,
    /// The Numenta Anomaly Benchmark: one file per series, learned and scored as it streams
    Nab,
}

/// Detectors of the evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// The product's model
    Foretwin,
    /// Vector autoregression of order 3, residuals by their training deviation, moving average of 5
    Var,
    /// The same with floors under the scales and an exponential average
    VarFloors,
}

impl Method {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Foretwin => "foretwin",
            Self::Var => "var",
            Self::VarFloors => "var-floors",
        }
    }
}
