//! The program's end of the socket to its host: frames of a 4-byte big-endian length and one JSON value.
//!
//! A program that a client or an application master runs has nobody left to speak for when its host ends the conversation:
//! the host has told why, or was ended itself. Such a program ends then, with exit code 1 and without a word. A worker decides
//! for itself how long its tasks go on.

use crate::task::lock;
use kvick_core::host::{FromProgram, HOST_ENV, MAX_FRAME, Role, ToProgram};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

/// A conversation with the host that did not work out.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The environment variable does not say `<role>:<socket>`.
    #[error("{HOST_ENV} must be <role>:<path of a socket>, not \"{0}\"")]
    BadEnvironment(String),
    /// The socket cannot be reached.
    #[error("cannot connect to the host of this program at {path}: {source}")]
    Connect {
        /// The socket.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Reading or writing failed, or the host is gone.
    #[error("the connection to the host of this program was lost: {0}")]
    Lost(#[from] io::Error),
    /// A frame that is no message.
    #[error("the host of this program sent a message that cannot be read: {0}")]
    BadMessage(#[from] serde_json::Error),
    /// A message that does not belong here.
    #[error("the host of this program sent an unexpected message instead of {expected}")]
    Unexpected {
        /// What was expected.
        expected: &'static str,
    },
    /// A frame longer than [`MAX_FRAME`].
    #[error("a message of {0} bytes is longer than the limit of {MAX_FRAME}")]
    TooLong(usize),
}

/// The role and the socket that the environment names; `None` when nobody hosts this program.
///
/// # Errors
/// The variable is there and cannot be read.
pub fn from_environment() -> Result<Option<(Role, String)>, HostError> {
    let Some(value) = std::env::var_os(HOST_ENV) else { return Ok(None) };
    let text = value.to_string_lossy().into_owned();
    let bad = || HostError::BadEnvironment(text.clone());
    let (role, path) = text.split_once(':').ok_or_else(bad)?;
    let roles = [Role::Client, Role::Application, Role::Worker];
    let role = roles.into_iter().find(|r| r.as_str() == role).ok_or_else(bad)?;
    Ok(Some((role, path.to_string())))
}

/// The connection to the host. Writing is shared by threads; one thread reads.
#[derive(Debug, Clone)]
pub struct HostLink {
    writer: Arc<Mutex<UnixStream>>,
    ends_with_host: bool,
}

/// The reading end of the connection to the host.
#[derive(Debug)]
pub struct HostReader {
    stream: UnixStream,
    ends_with_host: bool,
}

/// Connects to a host and says hello.
///
/// # Errors
/// The socket cannot be reached.
pub fn connect(path: &str) -> Result<(HostLink, HostReader), HostError> {
    let failed = |source| HostError::Connect { path: path.to_string(), source };
    let stream = UnixStream::connect(path).map_err(failed)?;
    let writer = stream.try_clone().map_err(failed)?;
    let ends_with_host = !matches!(from_environment()?, None | Some((Role::Worker, _)));
    let link = HostLink { writer: Arc::new(Mutex::new(writer)), ends_with_host };
    link.send(&FromProgram::Hello { engine_version: kvick_core::ENGINE_VERSION.to_string() })?;
    Ok((link, HostReader { stream, ends_with_host }))
}

impl HostLink {
    /// Sends a message.
    ///
    /// # Errors
    /// The host is gone.
    pub fn send(&self, message: &FromProgram) -> Result<(), HostError> {
        let body = serde_json::to_vec(message)?;
        if body.len() > MAX_FRAME {
            return Err(HostError::TooLong(body.len()));
        }
        let mut frame = (body.len() as u32).to_be_bytes().to_vec();
        frame.extend(body);
        let sent = lock(&self.writer).write_all(&frame);
        Ok(sent.map_err(|error| lost(error, self.ends_with_host))?)
    }
}

impl HostReader {
    /// Waits for the next message.
    ///
    /// # Errors
    /// The host is gone, or sent something that is no message.
    pub fn receive(&mut self) -> Result<ToProgram, HostError> {
        let mut length = [0; 4];
        self.read(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_FRAME {
            return Err(HostError::TooLong(length));
        }
        let mut body = vec![0; length];
        self.read(&mut body)?;
        Ok(serde_json::from_slice(&body)?)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(buffer).map_err(|error| lost(error, self.ends_with_host))
    }
}

/// Gives the error back, or ends the process where that is all the host's end means.
fn lost(error: io::Error, ends_with_host: bool) -> io::Error {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    if ends_with_host && matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof) {
        std::process::exit(1);
    }
    error
}
