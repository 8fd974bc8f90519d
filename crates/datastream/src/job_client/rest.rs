//! As much HTTP as a program needs that submits its jobs to a cluster itself: one request a connection, JSON answers.

use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest that a server may leave a request unanswered: it holds an answer back for much less.
const SILENCE: Duration = Duration::from_secs(90);

/// Why a request was not answered as hoped.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// Nobody listens there, or the connection broke.
    #[error(
        "cannot reach the cluster at {address}: {source}; is the session running, and is this its REST address?"
    )]
    Unreachable {
        /// `host:port`.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The cluster said no.
    #[error("the cluster at {address} refused {what} (HTTP {status}): {message}")]
    Refused {
        /// `host:port`.
        address: String,
        /// Method and path.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The cluster's words.
        message: String,
    },
    /// What answers there is no cluster of this kind.
    #[error("{address} does not answer {what} as a Flink cluster does: {why}")]
    Foreign {
        /// `host:port`.
        address: String,
        /// Method and path.
        what: String,
        /// What is wrong with the answer.
        why: String,
    },
}

/// The REST API of one cluster.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    /// `host:port`.
    pub address: String,
}

/// What is sent.
pub(super) enum Body<'a> {
    Nothing,
    Json(&'a Value),
    /// One file in a form.
    File {
        name: &'a str,
        bytes: &'a [u8],
    },
}

/// Between the parts of a form; no jar contains it.
const BOUNDARY: &str = "----kvick-7d1c0e5b2f9a4c36";

impl Body<'_> {
    fn encode(&self) -> (String, Vec<u8>) {
        match self {
            Body::Nothing => ("application/json".to_string(), Vec::new()),
            Body::Json(value) => ("application/json".to_string(), value.to_string().into_bytes()),
            Body::File { name, bytes } => {
                let mut form = format!(
                    "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"{name}\"\r\n\
                     Content-Type: application/x-java-archive\r\n\r\n"
                )
                .into_bytes();
                form.extend_from_slice(bytes);
                form.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
                (format!("multipart/form-data; boundary={BOUNDARY}"), form)
            }
        }
    }
}

impl Rest {
    /// Sends a request; its answer as JSON.
    ///
    /// # Errors
    /// No answer, none in JSON, or a refusal.
    pub(super) fn call(&self, method: &str, path: &str, body: &Body<'_>) -> Result<Value, RestError> {
        let what = format!("{method} {}", path.split('?').next().unwrap_or(path));
        let unreachable = |source| RestError::Unreachable { address: self.address.clone(), source };
        let answer = self.exchange(method, path, body).map_err(unreachable)?;
        let foreign = |why: &str| self.foreign(&what, why);
        let (status, text) = parse(&answer).ok_or_else(|| foreign("no answer in HTTP"))?;
        let json: Result<Value, _> = serde_json::from_slice(&text);
        if !(200..300).contains(&status) {
            let message = json.ok().and_then(|json| errors(&json));
            let message = message.unwrap_or_else(|| String::from_utf8_lossy(&text).trim().to_string());
            return Err(RestError::Refused { address: self.address.clone(), what, status, message });
        }
        json.map_err(|error| foreign(&error.to_string()))
    }

    /// An answer that no cluster of this kind gives.
    pub(super) fn foreign(&self, what: &str, why: &str) -> RestError {
        RestError::Foreign { address: self.address.clone(), what: what.to_string(), why: why.to_string() }
    }

    fn exchange(&self, method: &str, path: &str, body: &Body<'_>) -> io::Result<Vec<u8>> {
        let (kind, content) = body.encode();
        let mut stream = connect(&self.address)?;
        stream.set_read_timeout(Some(SILENCE))?;
        write!(
            stream,
            "{method} /v1/{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: application/json\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            content.len()
        )?;
        stream.write_all(&content)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for place in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&place, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The message of `{"errors":[…]}`.
fn errors(json: &Value) -> Option<String> {
    let errors = json["errors"].as_array()?;
    Some(errors.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"))
}

/// Status and body of an answer.
fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?.to_ascii_lowercase();
    let status = head.strip_prefix("http/1.")?.split(' ').nth(1)?.parse().ok()?;
    let body = &answer[end + 4..];
    let chunked = head.lines().any(|line| line.starts_with("transfer-encoding:") && line.contains("chunked"));
    Some((status, if chunked { unchunked(body) } else { body.to_vec() }))
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line])
            .ok()
            .and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let after = &rest[line + 2..];
        let Some(chunk) = size.filter(|size| *size > 0).and_then(|size| after.get(..size)) else { break };
        whole.extend_from_slice(chunk);
        rest = after.get(chunk.len() + 2..).unwrap_or_default();
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whole_or_in_chunks() {
        let whole = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parse(whole), Some((202, b"{}".to_vec())));
        let chunks =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n";
        assert_eq!(parse(chunks), Some((200, b"{\"a\":1}".to_vec())));
        assert_eq!(parse(b"SSH-2.0-OpenSSH_9.6\r\n"), None);
    }
}
