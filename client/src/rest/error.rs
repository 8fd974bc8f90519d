//! Why a request to an application master failed, in words for the person who asked for it.

use serde::Deserialize;
use std::error::Error;
use std::time::Duration;

/// A request that was not answered as hoped.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// Nobody listens there, or the connection broke.
    #[error("{reason}: {address}")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// `Connection refused` and the like.
        reason: String,
    },
    /// No answer in time.
    #[error("{address} did not answer within {} ms", after.as_millis())]
    Timeout {
        /// `host:port`.
        address: String,
        /// How long was waited.
        after: Duration,
    },
    /// An operation that was accepted has not ended in time.
    #[error("the operation has not ended within {} ms; it may still do so", after.as_millis())]
    Unfinished {
        /// How long was waited.
        after: Duration,
    },
    /// The server said no.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// An operation that was accepted failed later.
    #[error("{0}")]
    Failed(String),
    /// The answer is not what was asked for: another kind of server.
    #[error("{address} does not answer as a Flink cluster does")]
    Body {
        /// `host:port`.
        address: String,
        /// What is wrong with the answer.
        source: serde_json::Error,
    },
}

impl RestError {
    pub(super) fn lost(address: &str, error: reqwest::Error) -> RestError {
        let address = address.to_string();
        if error.is_timeout() && !error.is_connect() {
            return RestError::Timeout { address, after: super::LONG_POLL + super::PATIENCE };
        }
        let mut innermost: &dyn Error = &error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        let reason = innermost.to_string();
        // `Connection refused (os error 111)`: the number helps nobody.
        let reason = reason.split(" (os error").next().unwrap_or_default().to_string();
        RestError::Unreachable { address, reason }
    }

    pub(super) fn refused(status: u16, body: &[u8]) -> RestError {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<String>,
        }
        let message = match serde_json::from_slice::<Errors>(body) {
            Ok(errors) => errors.errors.join("\n"),
            Err(_) => {
                format!("The server answered with status {status}: {}", String::from_utf8_lossy(body).trim())
            }
        };
        RestError::Refused { status, message }
    }

    /// Whether there may be another server by now: this one is gone, or silent.
    pub fn is_gone(&self) -> bool {
        self.is_worth_a_retry() || matches!(self, RestError::Timeout { .. })
    }

    /// Whether trying again may help: nobody listens yet, or the server has no leader yet.
    pub(super) fn is_worth_a_retry(&self) -> bool {
        matches!(self, RestError::Unreachable { .. } | RestError::Refused { status: 503, .. })
    }
}
