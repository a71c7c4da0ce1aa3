//! The command line and the environment: where the order comes from and where the report goes.

use std::fs;
use std::path::{Path, PathBuf};

use foretwin_core::Order;
use foretwin_wire::order;

/// What `--help` prints.
pub const HELP: &str = "foretwin-runner: probes a machine and replays an operational profile
usage: foretwin-runner [--order FILE] [--report stdout|serial|file:PATH|unix:PATH|virtio:NAME]
                       [--control stdin|report] [--die-with-parent]
  --order FILE       what to do; else FORETWIN_ORDER (a path), FORETWIN_ORDER_DATA (base64), as pid 1 firmware
  --report WHERE     where numbered frames go (stdout); a socket is connected to again when it is gone
  --control WHERE    takes further orders from standard input or from the report's own channel
  --die-with-parent  ends when the process that started it ends
";

/// Where firmware hands an order to a guest.
pub const FIRMWARE: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/foretwin/order/raw";

/// Where frames go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    Stdout,
    Serial,
    File(PathBuf),
    Unix(PathBuf),
    /// A virtio port by its name.
    Virtio(String),
}

/// Where further orders come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    None,
    Stdin,
    Report,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub order: Option<PathBuf>,
    pub report: Report,
    pub control: Control,
    pub dies_with_parent: bool,
    pub asks_help: bool,
}

impl Options {
    /// From the arguments after the program's name; `is_init` changes the default report.
    ///
    /// # Errors
    /// One line that names the argument and the remedy.
    pub fn parse(arguments: impl Iterator<Item = String>, is_init: bool) -> Result<Self, String> {
        let report = if is_init { Report::Virtio("foretwin.report".into()) } else { Report::Stdout };
        let control = if is_init { Control::Report } else { Control::None };
        let mut options = Self { order: None, report, control, dies_with_parent: false, asks_help: false };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument}: give it a value; see --help"));
            match argument.as_str() {
                "--order" => options.order = Some(value()?.into()),
                "--report" => options.report = report_of(&value()?)?,
                "--control" => options.control = control_of(&value()?)?,
                "--die-with-parent" => options.dies_with_parent = true,
                "--help" | "-h" => options.asks_help = true,
                // The kernel hands words of its command line that it does not know to init.
                _ if is_init => {}
                _ => return Err(format!("{argument}: not known; see --help")),
            }
        }
        Ok(options)
    }
}

fn report_of(text: &str) -> Result<Report, String> {
    Ok(match text.split_once(':') {
        None if text == "stdout" => Report::Stdout,
        None if text == "serial" => Report::Serial,
        Some(("file", path)) if !path.is_empty() => Report::File(path.into()),
        Some(("unix", path)) if !path.is_empty() => Report::Unix(path.into()),
        Some(("virtio", name)) if !name.is_empty() => Report::Virtio(name.into()),
        _ => return Err(format!("--report: {text} is not known; see --help")),
    })
}

fn control_of(text: &str) -> Result<Control, String> {
    match text {
        "stdin" => Ok(Control::Stdin),
        "report" => Ok(Control::Report),
        "none" => Ok(Control::None),
        _ => Err(format!("--control: {text} is not known; give stdin, report or none")),
    }
}

/// Reads the first order, from the first place that has one.
///
/// # Errors
/// One line that names the place and the remedy.
pub fn first_order(file: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> Result<Order, String> {
    let read = |path: &Path| {
        let bytes = fs::read(path).map_err(|error| {
            format!("order: {} cannot be read: {error}; name a file with an order", path.display())
        })?;
        order::decode(&bytes).map_err(|error| format!("{error} ({})", path.display()))
    };
    if let Some(path) = file {
        return read(path);
    }
    if let Some(path) = variable("FORETWIN_ORDER") {
        return read(Path::new(&path));
    }
    if let Some(text) = variable("FORETWIN_ORDER_DATA") {
        let bytes =
            base64(&text).ok_or("FORETWIN_ORDER_DATA: this is no base64; encode the order's bytes")?;
        return order::decode(&bytes).map_err(|error| format!("{error} (FORETWIN_ORDER_DATA)"));
    }
    if Path::new(FIRMWARE).exists() {
        return read(Path::new(FIRMWARE));
    }
    Err("order: there is none; give --order FILE, or set FORETWIN_ORDER or FORETWIN_ORDER_DATA".into())
}

/// Decodes base64 (RFC 4648), white space and padding ignored.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        Options::parse(arguments.iter().map(ToString::to_string), false)
    }

    #[test]
    fn arguments_are_understood() {
        let options = parse(&["--order", "o", "--report", "unix:/run/a b", "--control", "report"]).unwrap();
        assert_eq!(options.report, Report::Unix("/run/a b".into()));
        assert_eq!((options.control, options.order), (Control::Report, Some("o".into())));
        assert_eq!(parse(&["--report", "virtio:x"]).unwrap().report, Report::Virtio("x".into()));
        for wrong in [&["--report"][..], &["--report", "tcp:1"], &["--control", "x"], &["-v"]] {
            assert!(parse(wrong).unwrap_err().starts_with(wrong[0]));
        }
        let init = Options::parse(["quiet".to_string()].into_iter(), true).unwrap();
        assert_eq!(init.report, Report::Virtio("foretwin.report".into()));
    }

    #[test]
    fn base64_is_decoded() {
        assert_eq!(base64("Zm9v\nYmE=").unwrap(), b"fooba");
        assert_eq!(base64("Zm9vYg").unwrap(), b"foob");
        assert_eq!(base64("+/+/").unwrap(), [0xfb, 0xff, 0xbf]);
        assert!(base64("a-b").is_none());
    }

    #[test]
    fn an_order_comes_from_the_environment_or_not_at_all() {
        let mut bytes = Vec::new();
        order::encode(&Order { label: "twin".into(), ..Order::default() }, &mut bytes);
        let path = std::env::temp_dir().join(format!("foretwin-order-{}", std::process::id()));
        fs::write(&path, &bytes).unwrap();
        let named = path.to_str().unwrap().to_owned();
        let variable = |name: &str| (name == "FORETWIN_ORDER").then(|| named.clone());
        assert_eq!(first_order(None, variable).unwrap().label, "twin");
        fs::write(&path, &bytes[..20]).unwrap();
        let error = first_order(Some(&path), |_| None).unwrap_err();
        assert!(error.starts_with("order: ") && !error.contains('\n'), "{error}");
        fs::remove_file(&path).unwrap();
        let wrong = |name: &str| (name == "FORETWIN_ORDER_DATA").then(|| "?".to_owned());
        assert!(first_order(None, wrong).unwrap_err().starts_with("FORETWIN_ORDER_DATA"));
    }
}
