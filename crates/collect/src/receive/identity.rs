//! Whose a received series is: labels or resource attributes name an instance.

use std::collections::BTreeMap;

use foretwin_core::{Instance, InstanceKind};
use foretwin_wire::series::{Origin, Series};

use super::{Config, Protocol};

/// The label of an instance that says by which protocol it is received.
pub const RECEIVED: &str = "foretwin.receive";
/// Longest name of an instance, in bytes.
const LONGEST: usize = 256;

type Labels = Vec<(String, String)>;

/// The instance of a series, and the labels that are left for its metric. What is wrong with it otherwise.
pub(super) fn identify(
    protocol: Protocol,
    (origin, series): (&Origin, &Series),
    config: &Config,
) -> Result<(Instance, Labels), String> {
    let names = match protocol {
        Protocol::Prometheus => &config.prometheus_identity,
        Protocol::Otlp => &config.otlp_identity,
        Protocol::Influx => &config.influx_identity,
    };
    let (mut identity, mut rest) = (BTreeMap::new(), Vec::new());
    for (name, value) in &origin.resource {
        if names.contains(name) && !value.is_empty() {
            identity.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in &series.labels {
        if value.is_empty() {
            continue;
        }
        if origin.resource.is_empty() && names.contains(name) {
            identity.insert(name.clone(), value.clone());
        } else {
            rest.push((name.clone(), value.clone()));
        }
    }
    // OpenTelemetry's own name for who did not say it.
    identity.retain(|name, value| name != "service.name" || !value.starts_with("unknown_service"));
    rest.sort();
    Ok((instance(protocol, names, &identity)?, rest))
}

fn instance(
    protocol: Protocol,
    names: &[String],
    identity: &BTreeMap<String, String>,
) -> Result<Instance, String> {
    // A slash parts levels of a name; one within a value must not make another instance of it.
    let parts = names.iter().filter_map(|name| identity.get(name));
    let id = parts.map(|value| value.replace('/', "_")).collect::<Vec<_>>().join("/");
    let id = if id.is_empty() { protocol.name().to_owned() } else { id };
    if id.len() > LONGEST || id.chars().any(char::is_control) {
        let shown: String = id.chars().take(60).collect();
        return Err(format!(
            "{shown:?}... is no name of an instance: at most {LONGEST} bytes, all printable"
        ));
    }
    let first = id.split('/').next().unwrap_or_default();
    let host = host(first);
    let one = |name: &str| identity.get(name).map(String::as_str);
    let (kind, workload, job) = match protocol {
        Protocol::Prometheus => (InstanceKind::Application, one("job").unwrap_or(&id), one("job")),
        Protocol::Otlp => match one("service.name") {
            Some(service) => (InstanceKind::Application, service, Some(service)),
            None => (InstanceKind::Host, id.as_str(), None),
        },
        Protocol::Influx => (InstanceKind::Host, id.as_str(), None),
    };
    let mut instance = Instance::new(&id, kind, host, &format!("{}:{workload}", protocol.name()));
    instance.labels = identity.clone();
    instance.labels.insert(RECEIVED.into(), protocol.name().into());
    if protocol != Protocol::Prometheus {
        // As OpenTelemetry maps its resources to Prometheus.
        let named = one("service.instance.id").unwrap_or(&id).to_owned();
        instance.labels.entry("instance".into()).or_insert(named);
        instance.labels.entry("job".into()).or_insert_with(|| job.unwrap_or(protocol.name()).to_owned());
    }
    Ok(instance)
}

/// A name without its port.
fn host(name: &str) -> &str {
    let port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // An address of version 6 has a port only behind brackets.
    let parted = |(host, end): &(&str, &str)| port(end) && (!host.contains(':') || host.ends_with(']'));
    name.rsplit_once(':').filter(parted).map_or(name, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn who(protocol: Protocol, resource: &[(&str, &str)], own: &[(&str, &str)]) -> (Instance, Labels) {
        let origin = Origin { resource: labels(resource), series: Vec::new() };
        let series = Series { labels: labels(own), ..Series::default() };
        identify(protocol, (&origin, &series), &Config::default()).unwrap()
    }

    #[test]
    fn labels_name_an_instance_and_the_rest_is_the_metric() {
        let own = [("job", "node"), ("instance", "web1:9100"), ("mode", "idle"), ("a", ""), ("cpu", "0")];
        let (instance, rest) = who(Protocol::Prometheus, &[], &own);
        assert_eq!((instance.id.as_str(), instance.host.as_str()), ("web1:9100/node", "web1"));
        assert_eq!(instance.workload.0, "prometheus:node");
        assert_eq!(rest, labels(&[("cpu", "0"), ("mode", "idle")]));
        assert_eq!(instance.labels["job"], "node");
    }

    #[test]
    fn resources_name_an_instance_and_labels_do_not() {
        let resource = [("service.name", "shop"), ("host.name", "h"), ("os.type", "linux")];
        let (instance, rest) = who(Protocol::Otlp, &resource, &[("host.name", "other")]);
        assert_eq!((instance.id.as_str(), instance.kind), ("h/shop", InstanceKind::Application));
        assert_eq!(
            (instance.labels["job"].as_str(), instance.labels["instance"].as_str()),
            ("shop", "h/shop")
        );
        assert_eq!(rest, labels(&[("host.name", "other")]));
        let (instance, _) =
            who(Protocol::Otlp, &[("service.name", "unknown_service"), ("host.name", "h")], &[]);
        assert_eq!((instance.id.as_str(), instance.kind), ("h", InstanceKind::Host));
    }

    #[test]
    fn a_sender_without_a_name_has_that_of_its_protocol() {
        assert_eq!(who(Protocol::Influx, &[], &[("cpu", "0")]).0.id.as_str(), "influx");
        assert_eq!(who(Protocol::Influx, &[], &[("host", "a/b")]).0.id.as_str(), "a_b");
        let long = "x".repeat(LONGEST + 1);
        let series = Series { labels: labels(&[("host", &long)]), ..Series::default() };
        assert!(identify(Protocol::Influx, (&Origin::default(), &series), &Config::default()).is_err());
    }

    #[test]
    fn ports_are_not_part_of_a_host() {
        assert_eq!(["a:1", "a", "::1", "a:b", "[::1]:80"].map(host), ["a", "a", "::1", "a:b", "[::1]"]);
    }
}
