//! Twins in the engine: a keeper lets them run as they shall, and every host with one has a scene in which production
//! is compared with it.
//!
//! The keeper (`keeper`) runs where the machine is: it makes the runner's reports telemetry of an instance of their own,
//! which is logged, stored, learned and judged like any other. Whoever applies the log, here or on a server, builds the
//! scenes (`scene`) from the frames of a host's instances and of its twin, and has a contrast for each that works.

mod archive;
mod frames;
mod handle;
mod keeper;
mod kept;
mod rehearsals;
mod replays;
mod requests;
mod scene;
#[cfg(test)]
mod tests;
mod usage;
mod verify;
mod view;
mod wishes;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use foretwin_core::{Contrast, Fidelity, Instance, InstanceId, Risk, Schema, Timestamp, Value, VerdictClass};

use scene::Scene;

pub(crate) use keeper::Keeper;
pub use view::{LevelView, RehearsalView, TwinState, TwinStatus, TwinView, TwinsView};
pub(crate) use wishes::Wishes;

/// The name of a host's own twin, below the host.
const PROBES: &str = "foretwin-twin";

/// The instance that reports a host's probes.
fn probes_of(host: &str) -> InstanceId {
    InstanceId::new(&format!("{host}/{PROBES}"))
}

/// The scenes of all hosts that have a twin.
#[derive(Default)]
pub(crate) struct Contrasts {
    config: Arc<foretwin_twin::Config>,
    scenes: RwLock<HashMap<String, Arc<Mutex<Scene>>>>,
    /// How many there are, so that a fleet without twins pays nothing.
    count: AtomicUsize,
    /// Where comparisons rest between two lives; nowhere in a replay.
    archive: OnceLock<archive::Archive>,
}

impl Contrasts {
    /// None yet; instances have to keep what `config` says.
    pub(crate) fn new(config: &foretwin_twin::Config) -> Self {
        Self { config: Arc::new(config.clone()), ..Self::default() }
    }

    /// Takes what is known of an instance. A host's first twin opens its scene, which `others` then introduces.
    pub(crate) fn describe(&self, instance: &Instance, others: impl FnOnce() -> Vec<Instance>) {
        let opens = instance.twin_of.as_ref().is_some_and(|original| original.as_str() == instance.host);
        if !opens && !self.any() {
            return;
        }
        let known = self.scene(&instance.host);
        if known.is_none() && !opens {
            return;
        }
        let scene = known.clone().unwrap_or_else(|| self.open(&instance.host));
        if known.is_none() {
            let others = others();
            let mut scene = locked(&scene);
            others.iter().filter(|other| other.host == instance.host).for_each(|other| scene.describe(other));
        }
        locked(&scene).describe(instance);
    }

    fn open(&self, host: &str) -> Arc<Mutex<Scene>> {
        let mut scenes = self.scenes.write().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Mutex::new(Scene::new(host, self.config.clone())));
        let scene = scenes.entry(host.into()).or_insert_with(fresh).clone();
        self.count.store(scenes.len(), Ordering::Relaxed);
        scene
    }

    fn scene(&self, host: &str) -> Option<Arc<Mutex<Scene>>> {
        self.scenes.read().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }

    /// An instance is gone.
    pub(crate) fn vanished(&self, instance: &Instance) {
        if let Some(scene) = self.scene(&instance.host) {
            locked(&scene).vanished(&instance.id);
        }
    }

    /// Takes a frame of an instance with what its model made of it. Contrasts whose class has changed are handed to
    /// `say`.
    pub(crate) fn take(
        &self,
        instance: &Instance,
        frame: (&Arc<Schema>, Timestamp, &[Value]),
        score: Option<f64>,
        say: &mut dyn FnMut(&Contrast),
    ) {
        if !self.any() {
            return;
        }
        if let Some(scene) = self.scene(&instance.host) {
            locked(&scene).take(&instance.id, frame, score, say);
        }
    }

    /// Whether there may be any.
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// The latest contrast of an instance.
    pub(crate) fn contrast(&self, instance: &Instance) -> Option<Contrast> {
        locked(&*self.scene(&instance.host)?).contrast(&instance.id).cloned()
    }

    /// When an instance's latency will break, by the twin's drift.
    pub(crate) fn ahead(&self, instance: &Instance, config: &foretwin_foresee::Config) -> Option<Risk> {
        locked(&*self.scene(&instance.host)?).ahead(&instance.id, config)
    }

    /// The probes of a host: which instance reports them, and what they run in.
    fn twin(&self, host: &str) -> Option<(InstanceId, Fidelity)> {
        let scene = self.scene(host)?;
        let scene = locked(&scene);
        scene.twin().map(|(id, fidelity)| (id.clone(), fidelity))
    }

    /// All contrasts there are.
    fn all(&self) -> Vec<Contrast> {
        self.those(|_| true)
    }

    /// Contrasts that say that something is wrong.
    pub(crate) fn troubled(&self) -> Vec<Contrast> {
        self.those(|contrast| contrast.verdict.class != VerdictClass::Healthy)
    }

    fn those(&self, wanted: impl Fn(&Contrast) -> bool) -> Vec<Contrast> {
        let scenes: Vec<_> =
            self.scenes.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let of = |scene: &Arc<Mutex<Scene>>| -> Vec<Contrast> {
            let scene = locked(scene);
            let contrasts = scene.compared().map(|(_, contrast)| contrast);
            contrasts.filter(|contrast| wanted(contrast)).cloned().collect()
        };
        scenes.iter().flat_map(of).collect()
    }
}

fn locked(scene: &Mutex<Scene>) -> MutexGuard<'_, Scene> {
    scene.lock().unwrap_or_else(PoisonError::into_inner)
}
