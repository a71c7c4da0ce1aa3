//! What every substrate can do, whatever it is made of.

use foretwin_core::{Fidelity, Order};

use crate::Error;
use crate::frames::Sink;
use crate::spec::{Confinement, Exit, Resources, Spec, Traffic};

/// Something that twins can run in: it starts them, finds what it left behind, and says when it cannot be had here.
pub trait Substrate: Send {
    /// Its place on the ladder.
    fn fidelity(&self) -> Fidelity;

    /// Whether it can be had on this machine now.
    ///
    /// # Errors
    /// [`Error::Missing`] with what is missing and how to bring it.
    fn check(&mut self) -> Result<(), Error>;

    /// Starts a twin, or takes over one that runs already and is as wanted. What stands in its way and carries its
    /// name is removed.
    ///
    /// # Errors
    /// If it cannot be started; nothing of it is left then.
    fn start(&mut self, spec: &Spec, sink: &Sink) -> Result<Box<dyn Running>, Error>;

    /// Removes everything that carries the owner's label, but for the twins of `keep`, which may be taken over by
    /// [`Substrate::start`]. Returns what was removed, in words.
    ///
    /// # Errors
    /// If what is there cannot be seen, or not be removed.
    fn sweep(&mut self, keep: &[Spec]) -> Result<Vec<String>, Error>;
}

/// A twin that runs. Dropping it ends it and removes all of it.
pub trait Running: Send {
    /// How it ended, once it has.
    fn poll(&mut self) -> Option<Exit>;

    /// Gives it another order without starting it again.
    ///
    /// # Errors
    /// If it cannot be told; start it again then.
    fn command(&mut self, order: &Order) -> Result<(), Error>;

    /// Changes what it may use, while it runs.
    ///
    /// # Errors
    /// If that cannot be changed while it runs; start it again then.
    fn resize(&mut self, resources: &Resources) -> Result<(), Error>;

    /// Stops it where it stands, or lets it go on.
    ///
    /// # Errors
    /// If it cannot be reached.
    fn pause(&mut self, paused: bool) -> Result<(), Error>;

    /// What confines it.
    fn confinement(&self) -> Confinement;

    /// Its outermost process on this machine, where it has one.
    fn pid(&self) -> Option<u32>;

    /// What came over its channel, and when the last frame came.
    fn traffic(&self) -> (Traffic, Option<std::time::Instant>);
}
