//! Twins in containers, through the API of Docker or Podman. The image is made from the static runner alone: nothing
//! is fetched from a registry.

mod attached;
mod daemon;
mod http;

use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use foretwin_core::{Fidelity, Order, fnv64};
use serde_json::{Value, json};

use crate::archive::{Entry, tar};
use crate::frames::{Channel, Sink, Stream};
use crate::input::Input;
use crate::owner::{CONTAINER_LABEL, Owner, Role};
use crate::process::group_of;
use crate::runner::{self, Runner};
use crate::spec::{Confinement, Exit, Resources, Spec, Traffic};
use crate::substrate::{Running, Substrate};
use crate::{Config, Error};

use attached::Attached;
use daemon::{Daemon, Recipe, limits};

const IMAGE: &str = "foretwin-runner";
const OWNER_LABEL: &str = "foretwin.owner";
/// What a container was made from; another hash is another container.
const RECIPE_LABEL: &str = "foretwin.recipe";
/// More open files, and more processes, than any rehearsal leaks.
const MOST_OWN: u64 = 16_384;
/// How often the daemon is asked whether a container still lives.
const LOOK: Duration = Duration::from_secs(2);

/// The substrate of containers.
#[derive(Debug)]
pub struct ContainerSubstrate {
    owner: Owner,
    config: Config,
    daemon: Daemon,
    /// What is to be kept of a sweep that the daemon was not there for.
    unswept: Option<Vec<Spec>>,
}

impl ContainerSubstrate {
    /// Twins of `owner` through the configured socket.
    #[must_use]
    pub fn new(owner: &Owner, config: &Config) -> Self {
        let daemon = Daemon::new(&config.container_socket);
        Self { owner: owner.clone(), config: config.clone(), daemon, unswept: None }
    }

    fn owned(&self) -> String {
        format!("{OWNER_LABEL}={}", self.owner.as_str())
    }

    /// Brings the image of the present runner, and drops those of earlier ones.
    fn image(&self, runner: &Runner) -> Result<String, Error> {
        let (program, hash) = runner.alone()?;
        let tag = format!("{}-{hash:016x}", self.owner.as_str());
        let root = tar(&[Entry::directory("tmp"), Entry::program(IMAGE, &program)]);
        self.daemon.import((IMAGE, &tag), &root, (OWNER_LABEL, self.owner.as_str()))?;
        let image = format!("{IMAGE}:{tag}");
        for (id, tags) in self.daemon.images(&self.owned())? {
            if !tags.iter().any(|name| name.ends_with(&image)) {
                self.daemon.remove_image(&id)?;
            }
        }
        Ok(image)
    }

    /// What a container is made from, as text: whatever changes it needs another container.
    fn recipe<'a>(&self, spec: &Spec, name: &'a str, image: &'a str, runner: &Runner) -> Recipe<'a> {
        let lowest = spec.role() == Role::Replay;
        let mut host = limits(&spec.resources);
        let more = json!({
            "CpuShares": if lowest { 2 } else { 1024 },
            "OomScoreAdj": 1000,
            "NetworkMode": if has_peers(&spec.order) { "host" } else { "none" },
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Ulimits": own_limits(),
            // Binary frames would be kept as text on disk.
            "LogConfig": { "Type": "none" },
            "CgroupParent": cgroup_parent(&spec.parent),
        });
        if let (Value::Object(host), Value::Object(more)) = (&mut host, more) {
            host.extend(more);
        }
        let mut command = vec!["/foretwin-runner"];
        command.extend(runner.prefix());
        command.extend(["--order", "/order", "--report", "stdout", "--control", "stdin"]);
        Recipe {
            name,
            image,
            labels: Value::Null,
            environment: vec![format!("{CONTAINER_LABEL}={}", self.owner.label(&spec.label))],
            command,
            host,
        }
    }
}

/// What a container may have of open files and processes: as many as this process at most. Podman's own defaults are
/// millions, which a machine that allows fewer refuses.
fn own_limits() -> Value {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let most = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name));
        let hard = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|hard| hard.parse().ok());
        hard.map_or(MOST_OWN, |hard: u64| hard.min(MOST_OWN))
    };
    let limit = |name: &str, most: u64| json!({ "Name": name, "Soft": most, "Hard": most });
    json!([limit("nofile", most("Max open files")), limit("nproc", most("Max processes"))])
}

fn has_peers(order: &Order) -> bool {
    order.probes.as_ref().is_some_and(|probes| !probes.peers.is_empty())
}

fn cgroup_parent(parent: &str) -> String {
    let parent = parent.trim_matches('/');
    if parent.is_empty() { String::new() } else { format!("/{parent}") }
}

impl Substrate for ContainerSubstrate {
    fn fidelity(&self) -> Fidelity {
        Fidelity::Container
    }

    fn check(&mut self) -> Result<(), Error> {
        Runner::find(&self.config)?.alone()?;
        match self.daemon.ping() {
            Ok(true) => {
                if let Some(keep) = self.unswept.take() {
                    self.sweep(&keep)?;
                }
                Ok(())
            }
            other => Err(Error::Missing {
                what: format!(
                    "no container daemon answers at {} ({})",
                    self.config.container_socket.display(),
                    other.map_or_else(|error| error.to_string(), |_| "it does not say OK".into())
                ),
                remedy:
                    "start one (systemctl start docker, or podman system service), or name its socket as \
                         twin.container_socket"
                        .into(),
            }),
        }
    }

    fn start(&mut self, spec: &Spec, sink: &Sink) -> Result<Box<dyn Running>, Error> {
        let runner = Runner::find(&self.config)?;
        let image = self.image(&runner)?;
        let name = self.owner.name(spec.role(), &spec.label);
        let mut recipe = self.recipe(spec, &name, &image, &runner);
        let order = runner::encode(&spec.order);
        let hash = format!("{:016x}", fnv64(format!("{recipe:?}").as_bytes()) ^ fnv64(&order));
        recipe.labels = json!({ OWNER_LABEL: self.owner.as_str(), RECIPE_LABEL: hash,
            "foretwin.twin": spec.label.as_str() });
        let state = self.daemon.inspect(&name)?;
        let same = state.filter(|state| state.lives() && state.labels.get(RECIPE_LABEL) == Some(&hash));
        let mut twin = ContainerTwin::new(self.daemon.clone(), &name);
        if let Some(state) = same {
            tracing::info!(twin = %spec.label, container = %name, "took over a container that runs");
            if state.status == "paused" {
                self.daemon.order(&name, "unpause")?;
            }
            twin.attach(spec, sink)?;
        } else {
            self.daemon.remove(&name)?;
            self.daemon.create(&recipe)?;
            self.daemon.unpack(&name, &tar(&[Entry::file("order", &order)]))?;
            // Before the start, so that no frame is missed.
            twin.attach(spec, sink)?;
            self.daemon.order(&name, "start")?;
        }
        twin.pid = self.daemon.inspect(&name)?.map_or(0, |state| state.pid);
        Ok(Box::new(twin))
    }

    fn sweep(&mut self, keep: &[Spec]) -> Result<Vec<String>, Error> {
        if !self.daemon.ping().unwrap_or(false) {
            // What it kept comes back with it.
            self.unswept = Some(keep.to_vec());
            return Ok(Vec::new());
        }
        let kept: Vec<String> = keep.iter().map(|spec| self.owner.name(spec.role(), &spec.label)).collect();
        let mut removed = Vec::new();
        for name in self.daemon.containers(&self.owned())? {
            if !kept.contains(&name) {
                self.daemon.remove(&name)?;
                removed.push(format!("container {name}"));
            }
        }
        Ok(removed)
    }
}

/// One container.
struct ContainerTwin {
    daemon: Daemon,
    name: String,
    pid: u32,
    input: Input,
    channel: Option<Channel>,
    exit: Option<Exit>,
    looked: Instant,
}

impl ContainerTwin {
    fn new(daemon: Daemon, name: &str) -> Self {
        Self {
            daemon,
            name: name.into(),
            pid: 0,
            input: Input::default(),
            channel: None,
            exit: None,
            looked: Instant::now(),
        }
    }

    fn attach(&mut self, spec: &Spec, sink: &Sink) -> Result<(), Error> {
        let mut first = Some(open(&self.daemon, &self.name, &self.input)?);
        let (daemon, name, input) = (self.daemon.clone(), self.name.clone(), self.input.clone());
        let again = move || match first.take() {
            Some(stream) => Ok(Some(stream)),
            None => match daemon.inspect(&name) {
                Ok(None) => Ok(None),
                Ok(Some(state)) if !state.lives() => Ok(None),
                // The daemon may be on its way back.
                Ok(Some(_)) => open(&daemon, &name, &input).map(Some).map_err(io::Error::other),
                Err(error) => Err(io::Error::other(error)),
            },
        };
        let channel = Channel::read((spec.label.clone(), Fidelity::Container), sink.clone(), again);
        self.channel = Some(channel.map_err(Error::twin("read", spec.label.as_str()))?);
        Ok(())
    }
}

fn open(daemon: &Daemon, name: &str, input: &Input) -> Result<Stream, Error> {
    let stream: BufReader<UnixStream> = daemon.attach(name)?;
    input.connect(stream.get_ref()).map_err(Error::twin("attach to", name))?;
    Ok(Box::new(Attached::new(stream)))
}

impl Running for ContainerTwin {
    fn poll(&mut self) -> Option<Exit> {
        if self.exit.is_none() && self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            // A daemon that does not answer says nothing about its containers.
            if let Ok(state) = self.daemon.inspect(&self.name) {
                let gone = Exit::silent(-1, false);
                self.exit = state.map_or(Some(gone), |state| {
                    self.pid = state.pid;
                    let exit = Exit::silent(state.exit_code, state.out_of_memory);
                    (!state.lives()).then_some(exit)
                });
            }
        }
        self.exit.clone()
    }

    fn command(&mut self, order: &Order) -> Result<(), Error> {
        self.input.tell(order).map_err(Error::twin("command", &self.name))
    }

    fn resize(&mut self, resources: &Resources) -> Result<(), Error> {
        self.daemon.update(&self.name, resources)
    }

    fn pause(&mut self, paused: bool) -> Result<(), Error> {
        self.daemon.order(&self.name, if paused { "pause" } else { "unpause" })
    }

    fn confinement(&self) -> Confinement {
        // The daemon names the group; the kernel tells how.
        let (path, controllers) = group_of(self.pid).unwrap_or_default();
        Confinement::Group { path, controllers }
    }

    fn pid(&self) -> Option<u32> {
        (self.pid > 0 && self.exit.is_none()).then_some(self.pid)
    }

    fn traffic(&self) -> (Traffic, Option<Instant>) {
        self.channel.as_ref().map_or_else(Default::default, |channel| (channel.traffic(), channel.last()))
    }
}

impl Drop for ContainerTwin {
    fn drop(&mut self) {
        // The channel first: it would try to attach again.
        self.channel = None;
        if let Err(error) = self.daemon.remove(&self.name) {
            tracing::warn!(container = %self.name, error = error.chain(), "a twin's container cannot be removed");
        }
    }
}
