//! Threads with small stacks that are joined at the end.

use std::io;
use std::thread::{Builder, JoinHandle};

/// None of them recurses or keeps much on its stack.
const STACK_BYTES: usize = 96 << 10;

/// Threads that end when told so by other means.
#[derive(Debug, Default)]
pub struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    /// Starts one.
    ///
    /// # Errors
    /// If the system has no thread left to give.
    pub fn start(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.0.push(Builder::new().name(name.into()).stack_size(STACK_BYTES).spawn(work)?);
        Ok(())
    }

    /// Waits until all have ended.
    pub fn join(&mut self) {
        for thread in self.0.drain(..) {
            // A thread that panicked has said so on standard error; the others go on without it.
            let _ = thread.join();
        }
    }
}
