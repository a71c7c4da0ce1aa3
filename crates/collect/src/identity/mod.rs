//! What a control group runs, told from its path and its first process: pure functions, no reading.

mod command;
mod name;
mod path;

use std::collections::BTreeMap;

use foretwin_core::InstanceKind;

pub use command::command;
use name::{pod_owner, steady_unit};
use path::is_id;

/// What the path of a control group says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A container.
    Container {
        /// Its id, 64 hexadecimal digits for most runtimes.
        id: String,
        /// The runtime's name, where the path tells.
        runtime: Option<&'static str>,
        /// The id of the Kubernetes pod around it.
        pod: Option<String>,
    },
    /// A virtual machine of libvirt.
    Vm {
        /// Its name.
        name: String,
    },
    /// All containers of a Kubernetes pod.
    Pod {
        /// The pod's id.
        uid: String,
    },
    /// A unit of systemd.
    Unit {
        /// Its name, for instance `nginx.service`.
        name: String,
    },
    /// A group inside a container that holds all its processes and says nothing new.
    Inner,
    /// Any other group.
    Group,
}

/// What a container runtime's files say of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: Option<String>,
    /// Its image, as the operator wrote it.
    pub image: Option<String>,
    /// The Kubernetes namespace it runs in.
    pub namespace: Option<String>,
    /// Name of its Kubernetes pod.
    pub pod: Option<String>,
}

impl Place {
    /// What it is as an instance.
    #[must_use]
    pub fn kind(&self) -> InstanceKind {
        match self {
            Self::Container { .. } => InstanceKind::Container,
            Self::Vm { .. } => InstanceKind::Vm,
            Self::Unit { .. } => InstanceKind::Service,
            Self::Pod { .. } | Self::Inner | Self::Group => InstanceKind::Group,
        }
    }

    /// Whether the group is something an operator started, so that it is watched even where only groups inside it
    /// hold processes.
    #[must_use]
    pub fn is_boundary(&self) -> bool {
        match self {
            Self::Container { .. } | Self::Vm { .. } | Self::Pod { .. } => true,
            Self::Unit { name } => !name.ends_with(".slice"),
            Self::Inner | Self::Group => false,
        }
    }

    /// Whether it is a service of systemd: one job, which another process of any command goes on with.
    #[must_use]
    pub fn is_service(&self) -> bool {
        matches!(self, Self::Unit { name } if name.ends_with(".service"))
    }

    /// The workload identity: what outlives a restart of the group. `command` is that of the first process, as
    /// [`command()`] tells it.
    #[must_use]
    pub fn workload(&self, path: &str, container: &Container, command: Option<&str>) -> String {
        let run = command.map(|command| format!("command:{command}"));
        let by_path = || format!("group:{path}");
        match self {
            Self::Container { .. } => container.workload().or(run).unwrap_or_else(by_path),
            Self::Vm { name } => format!("vm:{name}"),
            Self::Pod { .. } => match container.owner() {
                Some(owner) => format!("deployment:{owner}"),
                None => by_path(),
            },
            Self::Unit { name } => {
                let steady = steady_unit(name);
                // Units that a program made up and nobody named say less than what runs in them.
                let nameless = steady.starts_with("run-*") || steady.starts_with('*');
                if nameless { run } else { None }.unwrap_or_else(|| format!("unit:{steady}"))
            }
            Self::Inner | Self::Group => run.unwrap_or_else(by_path),
        }
    }

    /// Labels, named by the OpenTelemetry semantic conventions where they have a name.
    #[must_use]
    pub fn labels(&self, container: &Container) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        let mut label = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                labels.insert(name.to_owned(), value.to_owned());
            }
        };
        match self {
            Self::Container { id, runtime, pod } => {
                label("container.id", Some(id));
                label("container.runtime", *runtime);
                label("k8s.pod.uid", pod.as_deref());
            }
            Self::Pod { uid } => label("k8s.pod.uid", Some(uid)),
            Self::Vm { name } => label("vm.name", Some(name)),
            Self::Unit { name } => label("systemd.unit", Some(name)),
            Self::Inner | Self::Group => {}
        }
        label("container.name", container.name.as_deref());
        label("container.image.name", container.image.as_deref());
        label("k8s.namespace.name", container.namespace.as_deref());
        label("k8s.pod.name", container.pod.as_deref());
        labels
    }
}

impl Container {
    /// Namespace and controller of the pod, with the container's name where there is one.
    fn owner(&self) -> Option<String> {
        let pod = pod_owner(self.pod.as_deref()?);
        let namespace = self.namespace.as_deref().unwrap_or("default");
        Some(match &self.name {
            Some(name) => format!("{namespace}/{pod}/{name}"),
            None => format!("{namespace}/{pod}"),
        })
    }

    fn workload(&self) -> Option<String> {
        if let Some(owner) = self.owner() {
            return Some(format!("deployment:{owner}"));
        }
        // An image known only by its digest is another one after each build.
        let image =
            self.image.as_deref().map(|image| image.split_once('@').map_or(image, |(image, _)| image));
        let image = image.filter(|image| !image.starts_with("sha256:") && !is_id(image));
        match (image, self.name.as_deref()) {
            (Some(image), Some(name)) => Some(format!("image:{image}/{name}")),
            (Some(image), None) => Some(format!("image:{image}")),
            (None, Some(name)) => Some(format!("container:{name}")),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests;
