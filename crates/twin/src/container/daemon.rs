//! What is asked of Docker, or of Podman, which answers the same (Docker Engine API 1.40 and later, without a version
//! in the path: each daemon then speaks its own).

use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use super::http::{Answer, Client, Request};
use crate::Error;
use crate::spec::Resources;

/// A container daemon.
#[derive(Debug, Clone)]
pub(crate) struct Daemon(Client);

/// What a container is made with.
#[derive(Debug)]
pub(crate) struct Recipe<'a> {
    pub name: &'a str,
    pub image: &'a str,
    pub labels: Value,
    pub environment: Vec<String>,
    pub command: Vec<&'a str>,
    pub host: Value,
}

/// A container as the daemon tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub status: String,
    pub exit_code: i32,
    pub out_of_memory: bool,
    pub pid: u32,
    pub labels: std::collections::BTreeMap<String, String>,
}

impl State {
    /// Whether a process of it exists.
    pub fn lives(&self) -> bool {
        matches!(self.status.as_str(), "running" | "paused" | "restarting")
    }
}

impl Daemon {
    pub fn new(socket: &Path) -> Self {
        Self(Client::new(socket))
    }

    /// Whether it answers.
    pub fn ping(&self) -> io::Result<bool> {
        let request = Request { method: "GET", path: "/_ping", content_type: "text/plain", body: &[] };
        Ok(self.0.ask(&request)?.status == 200)
    }

    /// Makes an image from the tar of its file system, unless it is there.
    pub fn import(&self, (name, tag): (&str, &str), tar: &[u8], label: (&str, &str)) -> Result<(), Error> {
        if self.ask("GET", &format!("/images/{name}:{tag}/json"), None, &[404])?.status == 200 {
            return Ok(());
        }
        let change = escape(&format!("LABEL {}={}", label.0, label.1));
        // The tag within the name: Podman 4 takes no notice of one of its own.
        let repository = escape(&format!("{name}:{tag}"));
        let path = format!("/images/create?fromSrc=-&repo={repository}&changes={change}");
        let body = Request { method: "POST", path: &path, content_type: "application/x-tar", body: tar };
        let answer = self.accepted(&body, "import the runner's image", &[])?;
        // Errors during the import come in the body of an answer that began well.
        let text = String::from_utf8_lossy(&answer.body);
        let failed = text.lines().find(|line| line.contains("\"error\""));
        failed.map_or(Ok(()), |line| Err(self.refused("import the runner's image", 200, line)))
    }

    /// Images with a label, as identifier and tags.
    pub fn images(&self, label: &str) -> Result<Vec<(String, Vec<String>)>, Error> {
        let filter = escape(&json!({ "label": [label] }).to_string());
        let list = self.json("GET", &format!("/images/json?filters={filter}"), None)?;
        let texts = |value: &Value| {
            let list = value.as_array().into_iter().flatten();
            list.filter_map(|text| text.as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let images = list.as_array().into_iter().flatten();
        Ok(images.map(|image| (text(&image["Id"]), texts(&image["RepoTags"]))).collect())
    }

    pub fn remove_image(&self, id: &str) -> Result<(), Error> {
        // One that is used stays.
        self.ask("DELETE", &format!("/images/{id}"), None, &[404, 409]).map(|_| ())
    }

    /// Makes a container, stopped.
    pub fn create(&self, recipe: &Recipe<'_>) -> Result<String, Error> {
        let body = json!({
            "Image": recipe.image,
            "Labels": recipe.labels,
            "Env": recipe.environment,
            "Entrypoint": recipe.command,
            "Cmd": [],
            "Tty": false,
            "OpenStdin": true,
            "AttachStdin": true,
            "AttachStdout": true,
            "StopTimeout": 2,
            "HostConfig": recipe.host,
        });
        let made = self.json("POST", &format!("/containers/create?name={}", recipe.name), Some(&body))?;
        Ok(text(&made["Id"]))
    }

    /// Unpacks a tar into the root directory of a container.
    pub fn unpack(&self, id: &str, tar: &[u8]) -> Result<(), Error> {
        let path = format!("/containers/{id}/archive?path=/");
        let request = Request { method: "PUT", path: &path, content_type: "application/x-tar", body: tar };
        self.accepted(&request, "put the order into the container", &[]).map(|_| ())
    }

    /// Opens the standard streams of a container.
    pub fn attach(&self, id: &str) -> Result<BufReader<UnixStream>, Error> {
        let path = format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=0");
        let what = "attach to the container";
        let answer = self.0.upgrade(&path).map_err(|source| self.unreachable(what, source))?;
        answer.map_err(|answer| self.refused(what, answer.status, &String::from_utf8_lossy(&answer.body)))
    }

    /// What is known of a container; none if there is none of that name.
    pub fn inspect(&self, name: &str) -> Result<Option<State>, Error> {
        let answer = self.ask("GET", &format!("/containers/{name}/json"), None, &[404])?;
        if answer.status == 404 {
            return Ok(None);
        }
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let number =
            |value: &Value| value.as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or(-1);
        let labels = told["Config"]["Labels"].as_object().into_iter().flatten();
        Ok(Some(State {
            status: text(&told["State"]["Status"]),
            exit_code: number(&told["State"]["ExitCode"]),
            out_of_memory: told["State"]["OOMKilled"].as_bool().unwrap_or(false),
            pid: told["State"]["Pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
            labels: labels.map(|(name, value)| (name.clone(), text(value))).collect(),
        }))
    }

    /// Names of all containers with a label, running or not.
    pub fn containers(&self, label: &str) -> Result<Vec<String>, Error> {
        let filter = escape(&json!({ "label": [label] }).to_string());
        let list = self.json("GET", &format!("/containers/json?all=1&filters={filter}"), None)?;
        let names = list.as_array().into_iter().flatten();
        Ok(names.map(|found| text(&found["Names"][0]).trim_start_matches('/').to_owned()).collect())
    }

    /// Starts, pauses and the like: what needs no body.
    pub fn order(&self, id: &str, verb: &'static str) -> Result<(), Error> {
        self.ask("POST", &format!("/containers/{id}/{verb}"), None, &[]).map(|_| ())
    }

    pub fn update(&self, id: &str, resources: &Resources) -> Result<(), Error> {
        self.json("POST", &format!("/containers/{id}/update"), Some(&limits(resources))).map(|_| ())
    }

    pub fn remove(&self, id: &str) -> Result<(), Error> {
        self.ask("DELETE", &format!("/containers/{id}?force=1&v=1"), None, &[404]).map(|_| ())
    }

    fn json(&self, method: &'static str, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let answer = self.ask(method, path, body, &[])?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
        fine: &[u16],
    ) -> Result<Answer, Error> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request { method, path, content_type: "application/json", body: body.as_bytes() };
        let bare = path.split('?').next().unwrap_or(path);
        self.accepted(&request, &format!("{method} {bare}"), fine)
    }

    /// Asks, and takes statuses of success and those named as fine.
    fn accepted(&self, request: &Request<'_>, what: &str, fine: &[u16]) -> Result<Answer, Error> {
        let answer = self.0.ask(request).map_err(|source| self.unreachable(what, source))?;
        // 304: it is so already.
        if (200..300).contains(&answer.status) || answer.status == 304 || fine.contains(&answer.status) {
            return Ok(answer);
        }
        Err(self.refused(what, answer.status, &String::from_utf8_lossy(&answer.body)))
    }

    fn unreachable(&self, what: &str, source: io::Error) -> Error {
        Error::Daemon { operation: what.into(), socket: self.0.socket.clone(), source }
    }

    fn refused(&self, what: &str, status: u16, body: &str) -> Error {
        let told: Value = serde_json::from_str(body).unwrap_or_default();
        let message = told["message"].as_str().or(told["error"].as_str()).unwrap_or(body).trim().to_owned();
        Error::Refused { operation: what.into(), status, message }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Limits as the daemon wants them. Zero is none.
pub(crate) fn limits(resources: &Resources) -> Value {
    let quota_us = resources.cores.map_or(0, |cores| (cores * 1e5).max(1000.0).round() as u64);
    let bytes = resources.memory_bytes.unwrap_or(0);
    json!({
        "CpuPeriod": 100_000,
        "CpuQuota": quota_us,
        "Memory": bytes,
        // As much as the memory: no swap.
        "MemorySwap": bytes,
        "PidsLimit": resources.pids.unwrap_or(0),
    })
}

/// Percent-encoding of a query's value (RFC 3986).
fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_query_are_escaped() {
        assert_eq!(escape("{\"a\":[\"b=c\"]}~"), "%7B%22a%22%3A%5B%22b%3Dc%22%5D%7D~");
    }

    #[test]
    fn limits_are_those_of_the_group() {
        let limits = limits(&Resources { cores: Some(0.25), memory_bytes: Some(1 << 26), pids: None });
        assert_eq!((&limits["CpuQuota"], &limits["Memory"]), (&json!(25_000), &json!(1 << 26)));
        assert_eq!(limits["PidsLimit"], 0);
    }

    #[test]
    fn an_absent_daemon_names_its_socket() {
        let daemon = Daemon::new(Path::new("/nonexistent/docker.sock"));
        let error = daemon.inspect("x").unwrap_err();
        assert_eq!(error.to_string(), "cannot GET /containers/x/json through /nonexistent/docker.sock");
    }
}
