//! As much of QEMU's machine protocol as twins need: one command on one connection (QEMU, "QMP protocol
//! specification").

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(5);

/// Executes a command and returns what it answers.
pub(super) fn execute(socket: &Path, command: &str, arguments: &Value) -> io::Result<Value> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    answer(&mut reader, "QMP")?;
    for request in
        [json!({"execute": "qmp_capabilities"}), json!({"execute": command, "arguments": arguments})]
    {
        writer.write_all(format!("{request}\n").as_bytes())?;
        let told = answer(&mut reader, "return")?;
        if request["execute"] == command {
            return Ok(told);
        }
    }
    Err(io::Error::other("no command was given"))
}

/// The next message with this key; events on the way are passed over.
fn answer(reader: &mut impl BufRead, key: &str) -> io::Result<Value> {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let message: Value = serde_json::from_str(&line).map_err(io::Error::other)?;
        if let Some(error) = message.get("error") {
            let what = error["desc"].as_str().unwrap_or("QEMU refuses").to_owned();
            return Err(io::Error::other(what));
        }
        if let Some(told) = message.get(key) {
            return Ok(told.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_passed_over_and_errors_are_told() {
        let text =
            "{\"event\":\"STOP\"}\n{\"return\":{\"status\":\"paused\"}}\n{\"error\":{\"desc\":\"no\"}}\n";
        let mut reader = text.as_bytes();
        assert_eq!(answer(&mut reader, "return").unwrap()["status"], "paused");
        assert_eq!(answer(&mut reader, "return").unwrap_err().to_string(), "no");
        assert!(answer(&mut reader, "return").is_err());
    }
}
