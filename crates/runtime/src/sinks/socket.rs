//! Sends records to a TCP server, one subtask. A socket cannot be rolled back: after a failure records since the last
//! checkpoint are sent again, and what the server had not read when it went away is lost.

use super::Sink;
use super::file::Encoder;
use crate::element::Batch;
use crate::error::{TaskError, TaskResult};
use crate::log;
use crate::task::{TaskContext, TaskControl};
use std::io::Write;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// So that a server that reads nothing cannot keep a task from being cancelled for ever.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// A sink that sends encoded records to a server (Flink's `SocketClientSink`).
pub struct SocketSink<E> {
    address: (String, u16),
    encoder: E,
    retries: u32,
    connection: Option<TcpStream>,
    control: Option<Arc<TaskControl>>,
    bytes: Vec<u8>,
}

impl<E> SocketSink<E> {
    /// Sends to a server. A connection that breaks is made again this many times for each batch of records.
    pub fn new(host: impl Into<String>, port: u16, encoder: E, retries: u32) -> Self {
        SocketSink {
            address: (host.into(), port),
            encoder,
            retries,
            connection: None,
            control: None,
            bytes: Vec::new(),
        }
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let (host, port) = (self.address.0.as_str(), self.address.1);
        let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name resolves to no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn send(&mut self) -> std::io::Result<()> {
        let mut connection = match self.connection.take() {
            Some(open) => open,
            None => self.connect()?,
        };
        connection.write_all(&self.bytes)?;
        self.connection = Some(connection);
        Ok(())
    }

    fn failed(&self, error: &(dyn std::error::Error + 'static)) -> TaskError {
        TaskError::caused(format!("cannot send to {}:{}", self.address.0, self.address.1), error)
    }

    fn flush(&mut self) -> TaskResult {
        let mut tries = 0;
        while let Err(error) = self.send() {
            if tries == self.retries {
                return Err(self.failed(&error));
            }
            tries += 1;
            let (host, port) = &self.address;
            log::warn(&format!(
                "cannot send to {host}:{port} ({error}); trying again ({tries}/{})",
                self.retries
            ));
            if let Some(control) = &self.control {
                control.sleep_through(RETRY_DELAY);
                control.check()?;
            }
        }
        self.bytes.clear();
        Ok(())
    }
}

impl<T: 'static, E: Encoder<T>> Sink<T> for SocketSink<E> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.control = Some(Arc::clone(&context.control));
        let connected = self.connect();
        self.connection = Some(connected.map_err(|error| self.failed(&error))?);
        Ok(())
    }

    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        for record in batch.records.drain(..) {
            let encoded = self.encoder.encode(&record, &mut self.bytes);
            encoded.map_err(|error| self.failed(error.as_ref()))?;
        }
        self.flush()
    }

    fn close(&mut self) {
        self.connection = None;
    }
}
