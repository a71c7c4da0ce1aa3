//! What container runtimes write about their containers, read from their files: no daemon need answer.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::identity::Container;

/// Where runtimes keep their files.
#[derive(Debug, Clone)]
pub(super) struct Runtimes {
    roots: Vec<PathBuf>,
}

/// Longest file read; the configuration of one container is some kilobytes.
const LONGEST: u64 = 16 << 20;

impl Runtimes {
    /// The usual places below `root`, and further data directories of Docker or Podman.
    pub fn new(root: &Path, further: &[PathBuf]) -> Self {
        let usual =
            ["var/lib/docker", "var/lib/containers/storage", "run/containerd/io.containerd.runtime.v2.task"];
        let mut roots: Vec<PathBuf> = usual.iter().map(|dir| root.join(dir)).collect();
        // A data directory that the operator moved.
        let moved = json(&root.join("etc/docker/daemon.json")).and_then(|file| text(file.get("data-root")?));
        roots.extend(moved.map(PathBuf::from));
        roots.extend_from_slice(further);
        Self { roots }
    }

    /// What is known of a container; empty where no file tells.
    pub fn container(&self, id: &str) -> Container {
        let found = self
            .roots
            .iter()
            .find_map(|root| docker(root, id).or_else(|| podman(root, id)).or_else(|| oci(root, id)));
        found.unwrap_or_default()
    }
}

fn json(path: &Path) -> Option<Value> {
    if fs::metadata(path).ok()?.len() > LONGEST {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Docker: `containers/ID/config.v2.json`, with the labels that Kubernetes gives.
fn docker(root: &Path, id: &str) -> Option<Container> {
    let file = json(&root.join("containers").join(id).join("config.v2.json"))?;
    let label = |name: &str| text(file.pointer("/Config/Labels")?.get(name)?);
    Some(Container {
        name: label("io.kubernetes.container.name")
            .or_else(|| text(file.get("Name")?).map(|name| name.trim_start_matches('/').to_owned())),
        image: file.pointer("/Config/Image").and_then(text),
        namespace: label("io.kubernetes.pod.namespace"),
        pod: label("io.kubernetes.pod.name"),
    })
}

/// Podman and CRI-O: the list of `overlay-containers/containers.json` (or of another storage driver), whose
/// `metadata` is JSON in a string; CRI-O adds the bundle's annotations.
fn podman(root: &Path, id: &str) -> Option<Container> {
    for driver in ["overlay", "vfs", "btrfs", "zfs"] {
        let storage = root.join(format!("{driver}-containers"));
        let Some(list) = json(&storage.join("containers.json")) else { continue };
        let Some(entry) = list.as_array()?.iter().find(|entry| entry["id"] == id) else { continue };
        if let Some(container) = annotated(&storage.join(id).join("userdata/config.json")) {
            return Some(container);
        }
        let metadata: Value = entry["metadata"].as_str().and_then(|text| serde_json::from_str(text).ok())?;
        return Some(Container {
            name: text(&entry["names"][0]).or_else(|| text(&metadata["name"])),
            image: text(&metadata["image-name"]),
            ..Container::default()
        });
    }
    None
}

/// Containerd: the bundle of the running task, in one of its namespaces.
fn oci(root: &Path, id: &str) -> Option<Container> {
    let namespaces = fs::read_dir(root).ok()?;
    namespaces.flatten().find_map(|namespace| annotated(&namespace.path().join(id).join("config.json")))
}

/// What containerd's or CRI-O's annotations in an OCI bundle say; nothing if they say nothing.
fn annotated(path: &Path) -> Option<Container> {
    let file = json(path)?;
    let annotation = |names: &[&str]| names.iter().find_map(|name| text(file.get("annotations")?.get(name)?));
    let container = Container {
        name: annotation(&[
            "io.kubernetes.cri.container-name",
            "io.kubernetes.container.name",
            "nerdctl/name",
        ]),
        image: annotation(&["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"]),
        namespace: annotation(&["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"]),
        pod: annotation(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]),
    };
    (container != Container::default()).then_some(container)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "8d1f0cf3a9a1b60a4d6c6e0c5a9f7b1e2d3c4b5a69788796a5b4c3d2e1f00112";

    fn with(path: &str, content: &str) -> Container {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(path.replace("ID", ID));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content.replace("ID", ID)).unwrap();
        Runtimes::new(root.path(), &[]).container(ID)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.into())
    }

    #[test]
    fn docker_tells_name_and_image() {
        let file = "var/lib/docker/containers/ID/config.v2.json";
        let plain = with(file, r#"{"ID":"ID","Name":"/web","Config":{"Image":"nginx:1.25","Labels":null}}"#);
        assert_eq!((plain.name, plain.image, plain.pod), (some("web"), some("nginx:1.25"), None));
        let labels = r#"{"io.kubernetes.container.name":"app","io.kubernetes.pod.name":"web-0",
            "io.kubernetes.pod.namespace":"shop"}"#;
        let pod = with(file, &format!(r#"{{"Name":"/k8s_app","Config":{{"Image":"x","Labels":{labels}}}}}"#));
        assert_eq!((pod.name, pod.pod, pod.namespace), (some("app"), some("web-0"), some("shop")));
    }

    #[test]
    fn podman_hides_json_in_a_string() {
        let list = r#"[{"id":"other"},{"id":"ID","names":["db"],
            "metadata":"{\"image-name\":\"docker.io/library/postgres:16\",\"name\":\"db\"}"}]"#;
        let container = with("var/lib/containers/storage/overlay-containers/containers.json", list);
        assert_eq!((container.name, container.image), (some("db"), some("docker.io/library/postgres:16")));
    }

    #[test]
    fn containerd_annotates_the_bundle() {
        let bundle = r#"{"annotations":{"io.kubernetes.cri.container-name":"app",
            "io.kubernetes.cri.image-name":"redis:7","io.kubernetes.cri.sandbox-name":"cache-5d4f8c7b9-x2x7k"}}"#;
        let container = with("run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json", bundle);
        assert_eq!((container.name, container.image), (some("app"), some("redis:7")));
        assert_eq!(container.pod, some("cache-5d4f8c7b9-x2x7k"));
    }

    #[test]
    fn broken_and_absent_files_tell_nothing() {
        assert_eq!(with("var/lib/docker/containers/ID/config.v2.json", "{\"Name\": "), Container::default());
        assert_eq!(with("etc/docker/daemon.json", "{\"data-root\": 7}"), Container::default());
    }
}
