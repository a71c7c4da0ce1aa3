//! What an operator can set: one field per stage, each stage's own `Config` behind it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The whole configuration of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where everything durable lives.
    pub data_dir: PathBuf,
    /// Sources of telemetry.
    pub collect: foretwin_collect::Config,
    /// The log.
    pub stream: foretwin_stream::Config,
    /// Stored telemetry.
    pub store: foretwin_store::Config,
    /// Models of normal behaviour.
    pub learn: foretwin_learn::Config,
    /// When models are trained, and how much that may cost.
    pub training: Training,
    /// Twins of this machine's instances.
    pub twin: foretwin_twin::Config,
    /// Extrapolation and risk.
    pub foresee: foretwin_foresee::Config,
    /// What is an alert, and how many a day.
    pub alerts: foretwin_foresee::policy::Config,
    /// Who is told of alerts.
    pub notify: Vec<foretwin_notify::Sink>,
    /// Where an agent sends what it collects.
    pub forward: Forward,
    /// Operating information reports and known issues.
    pub reports: crate::reports::Config,
}

/// Schedule and budget of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Frames of an instance before a first, provisional model is fitted.
    pub first_frames: usize,
    /// Seconds of history after which a model is no longer called provisional.
    pub settled_s: f64,
    /// A model is retrained when its history has grown by this factor, until `interval_s` is reached.
    pub growth: f64,
    /// Seconds between two trainings of one instance once it is settled.
    pub interval_s: f64,
    /// Fewest seconds between a training and one that drift asks for.
    pub drift_interval_s: f64,
    /// Anomalous spans are left out of training up to this part of its window; more is a new normal.
    pub left_out_share: f64,
    /// Share of one core that training may take, 0 to 1.
    pub cpu_share: f64,
    /// Most bytes of models in memory that instances have for themselves before members of large workloads get no more of
    /// them; until then, and those that come later, are judged by the model of their workload.
    pub individual_bytes: u64,
    /// Earlier champions that are kept to roll back to, and challengers.
    pub keep_versions: usize,
    /// Whether forecasters are learned beside the models, when no model is due.
    pub forecasts: bool,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            first_frames: 30,
            settled_s: 3600.0,
            growth: 2.0,
            interval_s: 6.0 * 3600.0,
            drift_interval_s: 3600.0,
            left_out_share: 0.25,
            cpu_share: 0.25,
            individual_bytes: 1 << 30,
            keep_versions: 5,
            forecasts: true,
        }
    }
}

/// Where an agent sends what it collects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Forward {
    /// Base URL of the server, for instance `http://foretwin.example:7878`. Empty: nowhere.
    pub server: String,
    /// File of the token that the server asks for (scope `write`), read again with every request; empty: none.
    pub token_file: PathBuf,
    /// Certificates (PEM) that the server's is signed by, where those of the public web do not; empty: those.
    pub ca_file: PathBuf,
    /// Bytes of telemetry kept on disk while the server is away; beyond it the oldest go, counted.
    pub spool_bytes: u64,
}

impl Forward {
    /// What secures the requests to the server.
    #[must_use]
    pub fn credentials(&self) -> crate::Credentials {
        crate::Credentials { token_file: self.token_file.clone(), ca_file: self.ca_file.clone() }
    }
}

impl Default for Forward {
    fn default() -> Self {
        let (token_file, ca_file) = (PathBuf::new(), PathBuf::new());
        Self { server: String::new(), token_file, ca_file, spool_bytes: 1 << 30 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("foretwin-data"),
            collect: foretwin_collect::Config::default(),
            stream: foretwin_stream::Config::default(),
            store: foretwin_store::Config::default(),
            learn: foretwin_learn::Config::default(),
            training: Training::default(),
            twin: foretwin_twin::Config::default(),
            foresee: foretwin_foresee::Config::default(),
            alerts: foretwin_foresee::policy::Config::default(),
            notify: Vec::new(),
            forward: Forward::default(),
            reports: crate::reports::Config::default(),
        }
    }
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The first field that makes no sense, with what would.
    pub fn validate(&self) -> Result<(), Error> {
        self.collect.validate().map_err(|source| Error::Collect { source })?;
        self.stream.check()?;
        self.store.validate()?;
        self.learn.check()?;
        self.twin.validate()?;
        self.foresee.clone().validate()?;
        self.alerts.clone().validate()?;
        foretwin_notify::check(&self.notify)?;
        self.reports.issues()?.check()?;
        let server = &self.forward.server;
        let checks = [
            (self.reports.keep > 0, "reports.keep", "at least 1, for instance 1000"),
            (
                self.forward.spool_bytes >= 4 * self.stream.segment_bytes,
                "forward.spool_bytes",
                "at least four times stream.segment_bytes",
            ),
            (
                server.is_empty() || server.starts_with("http://"),
                "forward.server",
                "a URL such as http://foretwin.example:7878",
            ),
        ];
        first_wrong(checks.into_iter().chain(self.training.checks()))
    }
}

impl Training {
    /// What must hold, of which field, and what would. Not a number is never good.
    fn checks(&self) -> [(bool, &'static str, &'static str); 7] {
        let minute = |seconds: f64| seconds >= 60.0;
        [
            (
                self.cpu_share > 0.0 && self.cpu_share <= 1.0,
                "training.cpu_share",
                "a share above 0 and at most 1, for instance 0.25",
            ),
            (self.growth >= 1.1, "training.growth", "a factor of at least 1.1, for instance 2.0"),
            (minute(self.settled_s), "training.settled_s", "at least 60 seconds, for instance 3600"),
            (minute(self.interval_s), "training.interval_s", "at least 60 seconds, for instance 21600"),
            (
                minute(self.drift_interval_s),
                "training.drift_interval_s",
                "at least 60 seconds, for instance 3600",
            ),
            (
                (0.0..=0.9).contains(&self.left_out_share),
                "training.left_out_share",
                "a share from 0 to 0.9, for instance 0.25",
            ),
            (self.first_frames >= 10, "training.first_frames", "at least 10 frames, for instance 30"),
        ]
    }
}

fn first_wrong(checks: impl IntoIterator<Item = (bool, &'static str, &'static str)>) -> Result<(), Error> {
    match checks.into_iter().find(|(good, ..)| !good) {
        Some((_, field, remedy)) => Err(Error::Config { field, remedy }),
        None => Ok(()),
    }
}
