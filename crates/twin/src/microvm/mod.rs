//! Twins in microVMs of QEMU: a kernel of their own, and the runner as its first and only process. KVM runs them where
//! it is fast, software translation (TCG) where not.

mod guest;
mod kernel;
mod kvm;
mod machine;
mod qmp;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use foretwin_core::Fidelity;

use crate::archive::{Entry, cpio};
use crate::frames::Sink;
use crate::owner::{LABEL, Owner};
use crate::process::{Cell, Groups, OrderFile, kill_leftovers, remove_files};
use crate::runner::Runner;
use crate::spec::Spec;
use crate::substrate::{Running, Substrate};
use crate::{Config, Error};

use guest::{Guest, Parts};
use kernel::Kernel;
pub use machine::PORT;
use machine::{Accelerator, Places, arguments, guest_mib, outer};

/// The substrate of microVMs.
#[derive(Debug)]
pub struct MicrovmSubstrate {
    owner: Owner,
    config: Config,
    directory: PathBuf,
    groups: Groups,
    accelerator: Option<Accelerator>,
}

impl MicrovmSubstrate {
    /// Twins of `owner`; `directory` holds their sockets, orders and the unpacked kernel.
    ///
    /// # Errors
    /// If the mounted control groups cannot be read.
    pub fn new(owner: &Owner, config: &Config, directory: &Path) -> Result<Self, Error> {
        let groups = Groups::find()?;
        let (owner, config) = (owner.clone(), config.clone());
        Ok(Self { owner, config, directory: directory.into(), groups, accelerator: None })
    }

    /// KVM is timed once; it does not get faster.
    fn accelerator(&mut self) -> Accelerator {
        if self.config.qemu_icount {
            return Accelerator::Counted;
        }
        *self.accelerator.get_or_insert_with(Accelerator::measured)
    }

    /// The first file system of a guest: the runner and the modules it needs to report.
    fn file_system(&self, kernel: &Kernel) -> Result<Vec<u8>, Error> {
        let (program, _) = Runner::find(&self.config)?.alone()?;
        let modules: Vec<(String, Vec<u8>)> =
            kernel.modules()?.into_iter().map(|(name, content)| (format!("mod/{name}"), content)).collect();
        let mut entries: Vec<Entry<'_>> = ["dev", "proc", "sys", "tmp", "mod"].map(Entry::directory).to_vec();
        entries.push(Entry::device("dev/console", 5, 1));
        entries.push(Entry::program("init", &program));
        entries.extend(modules.iter().map(|(path, content)| Entry::file(path, content)));
        Ok(cpio(&entries))
    }

    /// QEMU's path, if it can be run.
    fn qemu(&self) -> Result<PathBuf, Error> {
        let wanted = &self.config.qemu;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&path).map(|dir| dir.join(wanted));
        let found = if wanted.is_absolute() {
            Some(wanted.clone())
        } else {
            places.into_iter().find(|at| at.is_file())
        };
        found.filter(|at| at.is_file()).ok_or_else(|| Error::Missing {
            what: format!("QEMU is not installed ({} is not found)", wanted.display()),
            remedy: "apt-get install --no-install-recommends qemu-system-x86, or name it as twin.qemu".into(),
        })
    }
}

impl Substrate for MicrovmSubstrate {
    fn fidelity(&self) -> Fidelity {
        Fidelity::Microvm
    }

    fn check(&mut self) -> Result<(), Error> {
        Runner::find(&self.config)?.alone()?;
        self.qemu()?;
        Kernel::find(&self.config)?;
        self.accelerator();
        Ok(())
    }

    fn start(&mut self, spec: &Spec, sink: &Sink) -> Result<Box<dyn Running>, Error> {
        let (qemu, kernel) = (self.qemu()?, Kernel::find(&self.config)?);
        let name = self.owner.name(spec.role(), &spec.label);
        let order = OrderFile::write(&self.directory, &name, &spec.order)?;
        let vmlinux = kernel.unpacked(&self.directory)?;
        let places = Places::clear(&self.directory, &name);
        let file_system = self.file_system(&kernel)?;
        fs::write(&places.initrd, file_system).map_err(Error::file("write", &places.initrd))?;
        let cell =
            Cell::make(&self.groups, &Spec { resources: outer(&spec.resources), ..spec.clone() }, &name)?;
        let mib = guest_mib(&spec.resources);
        let mut command = Command::new(&qemu);
        command
            .args(arguments(self.accelerator(), mib, [&vmlinux, &order.0], &places))
            .env_clear()
            .env(LABEL, self.owner.label(&spec.label))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Ok(Box::new(Guest::start(Parts { command, places, order, cell }, spec, sink)?))
    }

    fn sweep(&mut self, _keep: &[Spec]) -> Result<Vec<String>, Error> {
        // QEMU dies with its parent: nothing can be taken over.
        let mut removed = kill_leftovers(&self.owner)?;
        removed.extend(self.groups.remove_owned(&self.owner)?);
        removed.extend(remove_files(&self.directory, &self.owner)?);
        removed.extend(remove_files(&std::env::temp_dir(), &self.owner)?);
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_qemu_names_the_command() {
        let owner = Owner::parse("00c0ffee").unwrap();
        let config = Config { qemu: "qemu-system-none".into(), ..Config::default() };
        let substrate = MicrovmSubstrate::new(&owner, &config, Path::new("/nonexistent")).unwrap();
        let error = substrate.qemu().unwrap_err().to_string();
        assert!(error.contains("qemu-system-none") && error.contains("apt-get install"), "{error}");
    }
}
