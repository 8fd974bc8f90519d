//! Text from a TCP server, cut at a delimiter; one subtask.
//!
//! A socket cannot be read twice: what was received and not yet in a completed checkpoint is lost in a failure. At most once.

use crate::error::{TaskError, TaskResult};
use crate::log;
use crate::operator::Output;
use crate::task::{Poll, Source, TaskContext};
use std::io::{ErrorKind, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const READ_TIMEOUT: Duration = Duration::from_millis(50);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_DELAY: Duration = Duration::from_millis(500);
const BUFFER: usize = 64 * 1024;

/// Lines of a TCP server. A connection that is lost or refused is tried again as often as asked.
pub struct SocketSource {
    address: (String, u16),
    delimiter: Vec<u8>,
    retries: i64,
    attempts: i64,
    connection: Option<TcpStream>,
    buffer: Vec<u8>,
    read: Vec<u8>,
}

impl SocketSource {
    /// A source of the text between delimiters. `retries`: -1 for ever, 0 not at all: the end of the connection is the
    /// end of the input.
    pub fn new(host: String, port: u16, delimiter: String, retries: i64) -> Self {
        SocketSource {
            address: (host, port),
            delimiter: delimiter.into_bytes(),
            retries,
            attempts: 0,
            connection: None,
            buffer: Vec::new(),
            read: vec![0; BUFFER],
        }
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let (host, port) = (self.address.0.as_str(), self.address.1);
        let mut last = std::io::Error::new(ErrorKind::NotFound, "the name resolves to no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(READ_TIMEOUT))?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn may_retry(&mut self) -> bool {
        self.attempts += 1;
        self.retries < 0 || self.attempts <= self.retries
    }

    fn emit_lines(&mut self, out: &mut Output<String>) {
        let mut start = 0;
        let finder = memchr::memmem::Finder::new(&self.delimiter);
        while let Some(at) = finder.find(&self.buffer[start..]) {
            out.push(line(&self.buffer[start..start + at], &self.delimiter));
            start += at + self.delimiter.len();
        }
        self.buffer.drain(..start);
    }

    fn ended(&mut self, out: &mut Output<String>) -> Poll {
        self.connection = None;
        if self.may_retry() {
            log::info(&format!("lost the connection to {}:{}; trying again", self.address.0, self.address.1));
            return Poll::Wait(RETRY_DELAY);
        }
        if !self.buffer.is_empty() {
            out.push(line(&self.buffer, &self.delimiter));
            self.buffer.clear();
        }
        Poll::End
    }
}

/// With `\n` as delimiter a `\r` before it is no part of the line.
fn line(bytes: &[u8], delimiter: &[u8]) -> String {
    let bytes = if delimiter == b"\n" { bytes.strip_suffix(b"\r").unwrap_or(bytes) } else { bytes };
    String::from_utf8_lossy(bytes).into_owned()
}

impl Source for SocketSource {
    type Out = String;

    fn open(&mut self, _context: &mut TaskContext) -> TaskResult {
        if self.delimiter.is_empty() {
            return Err(TaskError::failed("the delimiter of a socket stream must not be empty"));
        }
        Ok(())
    }

    fn poll(&mut self, out: &mut Output<String>) -> TaskResult<Poll> {
        let Some(connection) = &mut self.connection else {
            match self.connect() {
                Ok(stream) => self.connection = Some(stream),
                Err(_) if self.may_retry() => return Ok(Poll::Wait(RETRY_DELAY)),
                Err(error) => {
                    let (host, port) = &self.address;
                    return Err(TaskError::caused(
                        format!("cannot connect to the text server {host}:{port}"),
                        &error,
                    ));
                }
            }
            return Ok(Poll::More);
        };
        match connection.read(&mut self.read) {
            Ok(0) => Ok(self.ended(out)),
            Ok(count) => {
                self.attempts = 0;
                self.buffer.extend_from_slice(&self.read[..count]);
                self.emit_lines(out);
                Ok(Poll::More)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(Poll::More)
            }
            Err(_) => Ok(self.ended(out)),
        }
    }
}
