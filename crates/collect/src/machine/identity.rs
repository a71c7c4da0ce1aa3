//! Who this machine is.

use std::fs;

use foretwin_core::{Instance, InstanceKind};

use crate::error::Error;

/// The machine's name for itself.
///
/// # Errors
/// [`Error::System`] if the kernel does not tell.
pub fn host_name() -> Result<String, Error> {
    let path = "/proc/sys/kernel/hostname";
    match fs::read_to_string(path) {
        Ok(name) => Ok(name.trim().to_owned()),
        Err(source) => Err(Error::System { operation: "read", object: path.into(), source }),
    }
}

/// The machine as an instance called `host`. Its workload is the installation, which outlives a change of name.
#[must_use]
pub fn instance(host: &str) -> Instance {
    let installation = first_line("/etc/machine-id").unwrap_or_else(|| host.to_owned());
    let mut instance = Instance::new(host, InstanceKind::Host, host, &format!("machine:{installation}"));
    let told = [("kernel", "/proc/sys/kernel/osrelease"), ("boot_id", "/proc/sys/kernel/random/boot_id")];
    for (label, path) in told {
        if let Some(value) = first_line(path) {
            instance.labels.insert(label.into(), value);
        }
    }
    instance
}

fn first_line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_knows_itself() {
        let name = host_name().unwrap();
        let machine = instance(&name);
        assert_eq!((machine.id.as_str(), machine.kind), (name.as_str(), InstanceKind::Host));
        assert!(machine.workload.0.starts_with("machine:") && machine.workload.0.len() > 8);
        assert!(machine.labels.contains_key("boot_id"));
    }
}
