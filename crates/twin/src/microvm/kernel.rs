//! The kernel of a guest: this machine's own where it can be read, else a configured one; unpacked once, since a guest
//! that is translated in software would unpack it slowly at every boot.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use foretwin_core::fnv64;

use crate::{Config, Error};

/// Modules that a guest needs to report and to be told: what is built in is not found, and not missed.
const MODULES: [&str; 6] =
    ["virtio_ring", "virtio", "virtio_mmio", "virtio_console", "virtio_balloon", "qemu_fw_cfg"];

/// A kernel and the directory with its modules, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    pub image: PathBuf,
    pub modules: Option<PathBuf>,
    /// Whether it is the kernel that this machine runs.
    pub is_ours: bool,
}

impl Kernel {
    /// Finds it.
    ///
    /// # Errors
    /// [`Error::Missing`] with the commands that bring one.
    pub fn find(config: &Config) -> Result<Self, Error> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self::among(config, release.trim(), Path::new("/"))
    }

    fn among(config: &Config, release: &str, root: &Path) -> Result<Self, Error> {
        let own_modules = ["lib/modules", "usr/lib/modules"].map(|dir| root.join(dir).join(release));
        if let Some(image) = &config.kernel {
            if !image.is_file() {
                let what = format!("no kernel at {}", image.display());
                return Err(Error::Missing { what, remedy: "correct twin.kernel".into() });
            }
            let modules = config.kernel_modules.clone().or_else(|| beside(image));
            let is_ours = image.file_name().is_some_and(|name| name.to_string_lossy().ends_with(release));
            return Ok(Self { image: image.clone(), modules, is_ours });
        }
        let places = [root.join("boot").join(format!("vmlinuz-{release}"))];
        let places = places.into_iter().chain(own_modules.iter().map(|dir| dir.join("vmlinuz")));
        let Some(image) = places.into_iter().find(|image| fs::File::open(image).is_ok()) else {
            return Err(Error::Missing {
                what: format!("the kernel of this machine ({release}) cannot be read"),
                remedy: "fetch one: apt-get download $(apt-cache depends linux-image-cloud-amd64 | awk \
                         '/Depends: linux-image/{print $2}') && dpkg -x linux-image-*.deb DIR, and name \
                         DIR/boot/vmlinuz-* as twin.kernel"
                    .into(),
            });
        };
        let own = own_modules.into_iter().find(|dir| dir.is_dir());
        Ok(Self { image, modules: config.kernel_modules.clone().or(own), is_ours: true })
    }

    /// The kernel as an ELF file, unpacked into `cache` once; the image itself where no tool can unpack it.
    ///
    /// # Errors
    /// If it cannot be read or is damaged, or the cache cannot be written.
    pub fn unpacked(&self, cache: &Path) -> Result<PathBuf, Error> {
        let metadata = fs::metadata(&self.image).map_err(Error::file("read", &self.image))?;
        let identity = format!("{}|{}|{:?}", self.image.display(), metadata.len(), metadata.modified().ok());
        let target = cache.join(format!("vmlinux-{:016x}", fnv64(identity.as_bytes())));
        if target.is_file() {
            return Ok(target);
        }
        let image = fs::read(&self.image).map_err(Error::file("read", &self.image))?;
        let damaged = |reason: String| Error::Kernel { path: self.image.clone(), reason };
        match vmlinux(&image).map_err(damaged)? {
            Unpacked::Already => Ok(self.image.clone()),
            Unpacked::Needs(tool) => {
                tracing::info!(
                    tool,
                    "guests boot slower, since the tool that unpacks their kernel is not installed"
                );
                Ok(self.image.clone())
            }
            Unpacked::Elf(elf) => {
                // Kernels of earlier versions are not needed any more.
                let old = fs::read_dir(cache).into_iter().flatten().flatten();
                for entry in old.filter(|entry| entry.file_name().to_string_lossy().starts_with("vmlinux-")) {
                    let _ = fs::remove_file(entry.path());
                }
                let beside = target.with_extension("new");
                let written = fs::write(&beside, elf).and_then(|()| fs::rename(&beside, &target));
                written.map_err(Error::file("write", &target))?;
                Ok(target)
            }
        }
    }

    /// The modules that a guest needs, as name and content.
    ///
    /// # Errors
    /// If one is there but cannot be read.
    pub fn modules(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut found = Vec::new();
        if let Some(dir) = &self.modules {
            walk(dir, &mut found)?;
        }
        found.sort();
        Ok(found)
    }
}

/// `lib/modules/RELEASE` of the tree in which a kernel stands as `boot/vmlinuz-RELEASE`.
fn beside(image: &Path) -> Option<PathBuf> {
    let release = image.file_name()?.to_str()?.strip_prefix("vmlinuz-")?;
    let root = image.parent()?.parent()?;
    ["lib/modules", "usr/lib/modules"].iter().map(|dir| root.join(dir).join(release)).find(|dir| dir.is_dir())
}

fn walk(dir: &Path, found: &mut Vec<(String, Vec<u8>)>) -> Result<(), Error> {
    let entries = fs::read_dir(dir).map_err(Error::file("list", dir))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&path, found)?;
            continue;
        }
        let name = entry.file_name().to_string_lossy().replace('-', "_");
        let Some((stem, extension)) = name.split_once(".ko") else { continue };
        if MODULES.contains(&stem) && found.iter().all(|(known, _)| known.strip_suffix(".ko") != Some(stem)) {
            let packed = fs::read(&path).map_err(Error::file("read", &path))?;
            let plain = match extension {
                "" => packed,
                ".gz" => piped("gzip", &packed).map_err(|reason| Error::Kernel { path, reason })?,
                ".xz" => piped("xz", &packed).map_err(|reason| Error::Kernel { path, reason })?,
                ".zst" => piped("zstd", &packed).map_err(|reason| Error::Kernel { path, reason })?,
                _ => continue,
            };
            found.push((format!("{stem}.ko"), plain));
        }
    }
    Ok(())
}

/// What became of a kernel image.
#[derive(Debug, PartialEq, Eq)]
enum Unpacked {
    /// It was none that is packed.
    Already,
    /// The tool for it is missing.
    Needs(&'static str),
    /// The kernel.
    Elf(Vec<u8>),
}

/// Takes the kernel out of a bzImage.
fn vmlinux(image: &[u8]) -> Result<Unpacked, String> {
    if image.starts_with(b"\x7fELF") {
        return Ok(Unpacked::Already);
    }
    let payload = payload(image)?;
    // The kernel's build appends the unpacked length to what the packer wrote.
    let packed = &payload[..payload.len().saturating_sub(4)];
    let tool = match payload {
        [0x02, 0x21, 0x4c, 0x18, ..] => None,
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("xz"),
        _ => return Err("it is packed in a way that is not known here".into()),
    };
    let elf = match tool {
        None => lz4_legacy(packed)?,
        Some(tool) if is_missing(tool) => return Ok(Unpacked::Needs(tool)),
        Some(tool) => piped(tool, packed)?,
    };
    if elf.starts_with(b"\x7fELF") {
        Ok(Unpacked::Elf(elf))
    } else {
        Err("what it unpacks to is no ELF file".into())
    }
}

/// The packed kernel within a bzImage (Documentation/arch/x86/boot.rst: its place and length are told since protocol
/// 2.08).
fn payload(image: &[u8]) -> Result<&[u8], String> {
    if image.get(0x202..0x206) != Some(b"HdrS") {
        return Err("it is neither an ELF file nor a bzImage".into());
    }
    let word = |at: usize| {
        image
            .get(at..at + 4)
            .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    };
    let setup = usize::from(image[0x1f1]).max(1);
    let found = word(0x248).zip(word(0x24c)).and_then(|(offset, length)| {
        let start = (setup + 1) * 512 + offset;
        image.get(start..start.checked_add(length)?)
    });
    found.ok_or_else(|| "its payload is not all there".into())
}

fn is_missing(tool: &str) -> bool {
    Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
}

/// The legacy frame format of LZ4, which the kernel's build uses: blocks of 8 MiB, each with its packed length.
fn lz4_legacy(packed: &[u8]) -> Result<Vec<u8>, String> {
    const BLOCK: usize = 8 << 20;
    const MOST: usize = 512 << 20;
    let mut out = Vec::new();
    let mut rest = &packed[4..];
    let mut block = vec![0; BLOCK];
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some(bytes) = after.get(..length) else { return Err("a block of it is cut short".into()) };
        let unpacked = lz4_flex::block::decompress_into(bytes, &mut block);
        let unpacked = unpacked.map_err(|error| format!("a block of it is damaged: {error}"))?;
        out.extend_from_slice(&block[..unpacked]);
        if out.len() > MOST {
            return Err("it unpacks to more than 512 MiB".into());
        }
        rest = &after[length..];
    }
    Ok(out)
}

/// What a tool unpacks.
fn piped(tool: &'static str, packed: &[u8]) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{tool} cannot unpack it: {error}; install {tool}");
    let mut child = Command::new(tool)
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut unpacked = Vec::new();
    thread::scope(|scope| {
        if let Some(mut stdin) = child.stdin.take() {
            // A tool that has seen enough closes its end.
            scope.spawn(move || stdin.write_all(packed));
        }
        child.stdout.take().map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut unpacked))
    })
    .map_err(failed)?;
    // Some warn about what follows the packed data; what was unpacked is judged by its content.
    child.wait().map_err(failed)?;
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bzImage with this payload, as the kernel's build would make it.
    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248..0x24c].copy_from_slice(&16u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
        image.extend_from_slice(&[9; 16]);
        image.extend_from_slice(payload);
        image
    }

    fn packed_by(tool: &str, content: &[u8]) -> Option<Vec<u8>> {
        let mut child =
            Command::new(tool).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        child.stdin.take().unwrap().write_all(content).unwrap();
        Some(child.wait_with_output().unwrap().stdout)
    }

    #[test]
    fn kernels_come_out_of_their_images() {
        let elf = [b"\x7fELF".to_vec(), (0..300_000u32).map(|n| (n / 700) as u8).collect()].concat();
        let block = lz4_flex::block::compress(&elf);
        let length = u32::try_from(block.len()).unwrap().to_le_bytes();
        let lz4 = [&[0x02, 0x21, 0x4c, 0x18][..], &length, &block, &[1, 2, 3, 4]].concat();
        assert_eq!(vmlinux(&image(&lz4)).unwrap(), Unpacked::Elf(elf.clone()));
        for tool in ["gzip", "zstd", "xz"] {
            match packed_by(tool, &elf) {
                Some(packed) => {
                    let payload = [&packed[..], &[1, 2, 3, 4]].concat();
                    assert_eq!(vmlinux(&image(&payload)).unwrap(), Unpacked::Elf(elf.clone()), "{tool}");
                }
                None => eprintln!("SKIPPED: {tool} is not installed"),
            }
        }
        assert_eq!(vmlinux(&elf).unwrap(), Unpacked::Already);
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        let cut = [&[0x02, 0x21, 0x4c, 0x18][..], &[255, 0, 0, 0], &[0; 20]].concat();
        let beyond = &mut image(b"x")[..1030].to_vec();
        beyond[0x24c] = 200;
        for bytes in [b"#!/bin/sh".to_vec(), image(b"????1234"), image(&cut), beyond.clone()] {
            assert!(vmlinux(&bytes).is_err());
        }
    }

    #[test]
    fn the_own_kernel_comes_first_and_a_missing_one_names_the_commands() {
        let root = tempfile::tempdir().unwrap();
        let error = Kernel::among(&Config::default(), "6.1.0", root.path()).unwrap_err().to_string();
        assert!(error.contains("6.1.0") && error.contains("apt-get download"), "{error}");
        let own = root.path().join("boot/vmlinuz-6.1.0");
        let modules = root.path().join("lib/modules/6.1.0");
        let drivers = modules.join("kernel/drivers");
        fs::create_dir_all(own.parent().unwrap()).unwrap();
        fs::create_dir_all(&drivers).unwrap();
        fs::write(&own, "x").unwrap();
        for (name, content) in [("virtio-mmio.ko", "m"), ("virtio_net.ko", "n"), ("virtio.ko", "v")] {
            fs::write(drivers.join(name), content).unwrap();
        }
        let found = Kernel::among(&Config::default(), "6.1.0", root.path()).unwrap();
        assert_eq!(found, Kernel { image: own.clone(), modules: Some(modules.clone()), is_ours: true });
        let names: Vec<String> = found.modules().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["virtio.ko", "virtio_mmio.ko"]);
        let configured = Config { kernel: Some(own.clone()), ..Config::default() };
        let other = Kernel::among(&configured, "5.10.0", root.path()).unwrap();
        assert_eq!(other, Kernel { image: own, modules: Some(modules), is_ours: false });
    }
}
