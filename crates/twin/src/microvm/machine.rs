//! A machine of QEMU: its files, its memory, its command line.

use std::fs;
use std::path::{Path, PathBuf};

use super::kvm;
use crate::spec::Resources;

/// Least memory of a guest; with 64 MiB the kernel does not boot.
const LEAST_BYTES: u64 = 96 << 20;
/// What QEMU itself takes beside the guest's memory, measured.
const QEMU_BYTES: u64 = 160 << 20;
/// Name of the virtio port through which a guest reports.
pub const PORT: &str = "foretwin.report";
/// Name of the firmware file with the order.
const ORDER: &str = "opt/foretwin/order";
/// Longest path of a socket (`unix(7)`: 108 bytes with the end mark).
const LONGEST_SOCKET: usize = 100;

/// How guests are run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Accelerator {
    /// By the processor.
    Kvm,
    /// Translated, at the host's pace.
    Tcg,
    /// Translated, on a clock that counts instructions: what a guest measures is repeatable, and says nothing about
    /// the host.
    Counted,
}

impl Accelerator {
    /// KVM where a timed guest shows it fast, else TCG.
    pub fn measured() -> Self {
        match kvm::instructions_per_s() {
            Ok(rate) if rate >= kvm::USABLE_PER_S => return Self::Kvm,
            Ok(rate) => tracing::info!(rate, "KVM runs guests too slowly: they are translated in software"),
            Err(error) => tracing::info!(%error, "KVM cannot be used: guests are translated in software"),
        }
        Self::Tcg
    }

    /// Accelerator, processor, and what the kernel must be told of its clock: without `tsc_early_khz` a boot under
    /// TCG may hang, without `tsc=reliable` guest clocks tick in steps of 4 ms (measured).
    fn settings(self) -> (&'static str, &'static str, String) {
        const TRANSLATED: &str = "tcg,thread=single,tb-size=32";
        match self {
            Self::Kvm => ("kvm", "host", String::new()),
            Self::Tcg => (TRANSLATED, "max", format!(" tsc_early_khz={} tsc=reliable", kvm::tsc_khz())),
            // The counter then follows the guest's own clock of nanoseconds.
            Self::Counted => (TRANSLATED, "max", " tsc_early_khz=1000000 tsc=reliable".into()),
        }
    }
}

/// Files of one guest, removed when dropped.
#[derive(Debug)]
pub(super) struct Places {
    pub initrd: PathBuf,
    pub serial: PathBuf,
    pub frames: PathBuf,
    pub control: PathBuf,
}

impl Places {
    /// Names them, and removes what stands there. Sockets stand where their path is short enough.
    pub fn clear(directory: &Path, name: &str) -> Self {
        let file = |extension: &str| directory.join(format!("{name}.{extension}"));
        let socket = |extension: &str| {
            let path = file(extension);
            let fits = path.as_os_str().len() <= LONGEST_SOCKET;
            if fits { path } else { std::env::temp_dir().join(format!("{name}.{extension}")) }
        };
        let places = Self {
            initrd: file("cpio"),
            serial: file("serial"),
            frames: socket("frames"),
            control: socket("qmp"),
        };
        places.remove();
        places
    }

    fn remove(&self) {
        for path in [&self.initrd, &self.serial, &self.frames, &self.control] {
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Memory of a guest in MiB.
pub(super) fn guest_mib(resources: &Resources) -> u64 {
    resources.memory_bytes.unwrap_or(LEAST_BYTES).max(LEAST_BYTES).div_ceil(1 << 20)
}

/// What QEMU as a whole may use, so that its guest has what it is given.
pub(super) fn outer(resources: &Resources) -> Resources {
    let bytes = (guest_mib(resources) << 20) + QEMU_BYTES;
    Resources { memory_bytes: Some(bytes), pids: None, ..*resources }
}

/// The command line of QEMU for a guest with so much memory, a kernel and an order.
pub(super) fn arguments(
    accelerator: Accelerator,
    mib: u64,
    [kernel, order]: [&Path; 2],
    places: &Places,
) -> Vec<String> {
    let (machine, processor, clock) = accelerator.settings();
    let append = format!(
        "console=ttyS0 quiet reboot=t panic=-1{clock} mitigations=off pci=off -- --report virtio:{PORT} --control report"
    );
    let socket = |path: &Path, id: &str| format!("socket,id={id},path={},server=on,wait=off", path.display());
    let pairs = [
        ("-M", "microvm".into()),
        ("-accel", machine.into()),
        ("-cpu", processor.into()),
        ("-display", "none".into()),
        ("-m", mib.to_string()),
        ("-kernel", kernel.display().to_string()),
        ("-initrd", places.initrd.display().to_string()),
        ("-fw_cfg", format!("name={ORDER},file={}", order.display())),
        ("-serial", format!("file:{}", places.serial.display())),
        ("-chardev", socket(&places.frames, "frames")),
        ("-device", "virtio-serial-device".into()),
        ("-device", format!("virtserialport,chardev=frames,name={PORT}")),
        ("-device", "virtio-balloon-device".into()),
        ("-chardev", socket(&places.control, "control")),
        ("-mon", "chardev=control,mode=control".into()),
        ("-append", append),
    ];
    let mut arguments = ["-nodefaults", "-no-user-config", "-no-reboot"].map(str::to_owned).to_vec();
    if accelerator == Accelerator::Counted {
        arguments.extend(["-icount", "shift=1,sleep=off"].map(str::to_owned));
    }
    arguments.extend(pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_have_room_to_boot() {
        assert_eq!(guest_mib(&Resources::default()), 96);
        let resources = Resources { memory_bytes: Some(200_000_000), cores: Some(0.5), pids: Some(3) };
        assert_eq!(guest_mib(&resources), 191);
        assert_eq!(outer(&resources).memory_bytes, Some((191 << 20) + QEMU_BYTES));
        assert_eq!((outer(&resources).cores, outer(&resources).pids), (Some(0.5), None));
    }

    #[test]
    fn sockets_stand_where_their_path_is_short_enough() {
        let name = "foretwin-twin-00c0ffee-0123456789abcdef";
        let long = Places::clear(Path::new(&format!("/{}", "x".repeat(90))), name);
        let temporary = std::env::temp_dir();
        assert!(long.frames.starts_with(&temporary) && !long.initrd.starts_with(&temporary));
        assert_eq!(
            Places::clear(Path::new("/run"), name).control,
            Path::new("/run").join(format!("{name}.qmp"))
        );
    }

    #[test]
    fn only_a_counted_guest_counts() {
        let places = Places::clear(Path::new("/nonexistent"), "x");
        let of =
            |accelerator| arguments(accelerator, 96, [Path::new("k"), Path::new("o")], &places).join(" ");
        assert!(of(Accelerator::Counted).contains("-icount shift=1"));
        assert!(of(Accelerator::Kvm).contains("-accel kvm") && !of(Accelerator::Kvm).contains("tsc"));
        let translated = of(Accelerator::Tcg);
        assert!(translated.contains("tsc_early_khz=") && !translated.contains("-icount"), "{translated}");
    }
}
