//! The root of the configuration: one field per stage; flags over environment over file over defaults.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Everything that can be set in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub serve: foretwin_serve::Config,
    pub forward: foretwin_engine::Forward,
    pub reports: foretwin_engine::ReportsConfig,
    pub training: foretwin_engine::Training,
    pub collect: foretwin_collect::Config,
    pub stream: foretwin_stream::Config,
    pub store: foretwin_store::Config,
    pub learn: foretwin_learn::Config,
    pub foresee: foretwin_foresee::Config,
    pub alerts: foretwin_foresee::policy::Config,
    pub notify: Vec<foretwin_notify::Sink>,
    pub twin: foretwin_twin::Config,
}

impl Default for Settings {
    fn default() -> Self {
        let engine = foretwin_engine::Config::default();
        Self {
            data_dir: engine.data_dir,
            serve: foretwin_serve::Config::default(),
            forward: engine.forward,
            reports: engine.reports,
            training: engine.training,
            collect: engine.collect,
            stream: engine.stream,
            store: engine.store,
            learn: engine.learn,
            foresee: engine.foresee,
            alerts: engine.alerts,
            notify: engine.notify,
            twin: engine.twin,
        }
    }
}

impl Settings {
    /// The defaults, or what a file says over them.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let Some(path) = file else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("{}: cannot be read; foretwin.example.toml is a start", path.display())
        })?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Who is told of alerts; links lead to where this node listens, unless told otherwise.
    pub fn receivers(&self) -> Vec<foretwin_notify::Sink> {
        let scheme = if self.serve.has_tls() { "https" } else { "http" };
        let mut sinks = self.notify.clone();
        for sink in sinks.iter_mut().filter(|sink| sink.external_url.is_empty()) {
            sink.external_url = format!("{scheme}://{}", self.serve.listen);
        }
        sinks
    }

    /// The engine's part, checked.
    pub fn engine(&self) -> Result<foretwin_engine::Config> {
        let config = foretwin_engine::Config {
            data_dir: self.data_dir.clone(),
            collect: self.collect.clone(),
            stream: self.stream.clone(),
            store: self.store.clone(),
            learn: self.learn.clone(),
            training: self.training.clone(),
            foresee: self.foresee.clone(),
            alerts: self.alerts.clone(),
            notify: self.receivers(),
            twin: self.twin.clone(),
            forward: self.forward.clone(),
            reports: self.reports.clone(),
        };
        config.validate()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_states_the_defaults() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../foretwin.example.toml");
        assert_eq!(Settings::load(Some(&example)).unwrap(), Settings::default());
    }

    #[test]
    fn an_unknown_field_is_named() {
        let error = toml::from_str::<Settings>("[serve]\nport = 3\n").unwrap_err().to_string();
        assert!(error.contains("port"), "{error}");
    }

    #[test]
    fn limits_are_set_by_name_and_printed_again() {
        let text = "[twin.limits.\"h/shop\"]\nlatency_p90_s = 0.25\nthroughput = 100.0\n";
        let settings: Settings = toml::from_str(text).unwrap();
        assert_eq!(settings.twin.limits["h/shop"].latency_p90_s, Some(0.25));
        let printed = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<Settings>(&printed).unwrap(), settings);
        let wrong: Settings = toml::from_str(&text.replace("100.0", "-1.0")).unwrap();
        let error = format!("{:#}", wrong.engine().unwrap_err());
        assert!(error.contains("h/shop") && error.contains("throughput"), "{error}");
    }

    #[test]
    fn validation_names_field_and_remedy() {
        let mut settings = Settings::default();
        settings.training.cpu_share = 3.0;
        let error = settings.engine().unwrap_err().to_string();
        assert!(error.contains("training.cpu_share") && error.contains("0.25"), "{error}");
    }
}
