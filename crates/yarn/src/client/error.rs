//! Why the ResourceManager did not do what was asked. Owns the errors of [`client`](super).

use crate::conf::ConfError;
use crate::credentials::CredentialsError;
use crate::records::LocalResourceError;
use crate::rpc::RpcError;
use std::time::Duration;

/// Why the ResourceManager did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The configuration names no usable address.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// The environment's token file is unusable.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The call failed.
    #[error("{act}: {source}")]
    Call {
        /// What was to be done.
        act: &'static str,
        /// Why it was not.
        source: RpcError,
    },
    /// A local resource of the submission has no usable URL.
    #[error(transparent)]
    Resource(#[from] LocalResourceError),
    /// The answer lacks what it must have.
    #[error("{act}: the answer has no {missing}")]
    Incomplete {
        /// What was to be done.
        act: &'static str,
        /// What is missing.
        missing: &'static str,
    },
    /// It took longer than the caller allows.
    #[error("{act}: not done within {} ms", after.as_millis())]
    TooLate {
        /// What was to be done.
        act: &'static str,
        /// How long was waited.
        after: Duration,
    },
}

impl ClientError {
    /// Whether the ResourceManager knows no such application.
    pub fn is_application_not_found(&self) -> bool {
        self.rpc().and_then(RpcError::remote).is_some_and(|exception| exception.is_application_not_found())
    }

    /// The failed call's error, if a call failed.
    pub fn rpc(&self) -> Option<&RpcError> {
        match self {
            Self::Call { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Result of a call to the ResourceManager.
pub type Result<T> = std::result::Result<T, ClientError>;
