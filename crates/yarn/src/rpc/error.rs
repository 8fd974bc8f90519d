//! What can go wrong with a call, and what kind of trouble it is.
//! Owns the errors of [`rpc`](super); decides nothing about retrying.

use super::Address;
use crate::sasl::SaslError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// An exception that the server threw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteException {
    /// Java class name, as `org.apache.hadoop.yarn.exceptions.YarnException`.
    pub class: String,
    /// The message without the stack trace, on one line.
    pub message: String,
    /// The Java stack trace.
    pub stack: String,
    /// Whether the server closed the connection over it.
    pub fatal: bool,
    /// `RpcErrorCodeProto`, 0 when absent.
    pub code: i32,
}

impl fmt::Display for RemoteException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            f.write_str(&self.class)
        } else {
            write!(f, "{} ({})", self.message, self.simple_name())
        }
    }
}

impl RemoteException {
    /// Splits what a response header or a `SerializedExceptionProto` carries.
    pub fn new(class: impl Into<String>, text: &str, fatal: bool, code: i32) -> Self {
        let end = text.find("\n\tat ").unwrap_or(text.len());
        let (message, stack) = text.split_at(end);
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { class: class.into(), message, stack: stack.trim_start_matches('\n').to_owned(), fatal, code }
    }

    /// The class name without its package.
    pub fn simple_name(&self) -> &str {
        self.class.rsplit(['.', '$']).next().unwrap_or(&self.class)
    }

    fn is(&self, name: &str) -> bool {
        self.simple_name() == name
    }

    /// The server is a standby: another one is to be asked (`org.apache.hadoop.ipc.StandbyException`).
    pub fn is_standby(&self) -> bool {
        self.is("StandbyException")
    }

    /// The server asks for the same call again, later (`org.apache.hadoop.ipc.RetriableException`, `NMNotYetReadyException`).
    pub fn is_retriable(&self) -> bool {
        self.is("RetriableException") || self.is("NMNotYetReadyException")
    }

    /// The master must register again (`ApplicationMasterNotRegisteredException`): the ResourceManager restarted.
    pub fn is_not_registered(&self) -> bool {
        self.is("ApplicationMasterNotRegisteredException")
    }

    /// The master had registered already, perhaps by a call whose answer was lost.
    pub fn is_already_registered(&self) -> bool {
        self.is("InvalidApplicationMasterRequestException") && self.message.contains("already registered")
    }

    /// The response id that the ResourceManager expected of a heartbeat with another one.
    pub fn expected_response_id(&self) -> Option<i32> {
        let (_, rest) = self.message.split_once("expect responseId to be ")?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok().filter(|_| self.is("InvalidApplicationMasterRequestException"))
    }

    /// The attempt is over for the ResourceManager (`ApplicationAttemptNotFoundException`, or its token is gone).
    pub fn is_attempt_over(&self) -> bool {
        self.is("ApplicationAttemptNotFoundException")
            || self.is("InvalidToken") && self.message.contains("AMRMTokenSecretManager")
    }

    /// The server knows no such application.
    pub fn is_application_not_found(&self) -> bool {
        self.is("ApplicationNotFoundException")
    }

    /// A resource request was larger than the cluster allows (`InvalidResourceRequestException`).
    pub fn is_invalid_resource_request(&self) -> bool {
        self.is("InvalidResourceRequestException")
    }

    /// The caller may not do this, or is not who it says (`AccessControlException`, `AuthorizationException`).
    pub fn is_access_control(&self) -> bool {
        self.is("AccessControlException") || self.is("AuthorizationException")
    }

    /// A container that runs already was to be started (`ContainerManagementProtocol.startContainers`).
    pub fn is_relaunch(&self) -> bool {
        self.message.contains("Attempt to relaunch the same container")
    }
}

/// Why a call has no result. Cheap to clone: when a connection dies every waiting call is told.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RpcError {
    /// No connection: refused, unreachable, name unknown.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Whom.
        address: Address,
        /// Why not.
        source: Arc<std::io::Error>,
    },
    /// No connection in time.
    #[error("cannot connect to {address}: no answer within {} ms", after.as_millis())]
    ConnectTimeout {
        /// Whom.
        address: Address,
        /// How long was waited.
        after: Duration,
    },
    /// The handshake failed on our side or without the server's reason.
    #[error("cannot authenticate to {address}: {source}")]
    Authenticate {
        /// To whom.
        address: Address,
        /// Why not.
        source: SaslError,
    },
    /// The connection ended before the answer.
    #[error("{address} closed the connection: {reason}")]
    Closed {
        /// The other end.
        address: Address,
        /// What ended it.
        reason: String,
    },
    /// No answer in time.
    #[error("{address} did not answer {method} within {} ms", after.as_millis())]
    Timeout {
        /// Whom was asked.
        address: Address,
        /// What was called.
        method: String,
        /// How long was waited.
        after: Duration,
    },
    /// The server threw.
    #[error("{address}: {exception}")]
    Remote {
        /// The server.
        address: Address,
        /// What it threw.
        exception: Box<RemoteException>,
    },
    /// The answer is not what the protocol allows.
    #[error("{address} answered {method} with a malformed message: {reason}")]
    Malformed {
        /// The server.
        address: Address,
        /// What was called.
        method: String,
        /// What is wrong.
        reason: String,
    },
    /// The caller's time ran out while retrying.
    #[error("gave up after {} ms and {attempts} attempts: {last}", after.as_millis())]
    GaveUp {
        /// How long was tried.
        after: Duration,
        /// How often.
        attempts: u32,
        /// How the last attempt failed.
        last: Box<RpcError>,
    },
    /// There is no address to call.
    #[error("no address is configured for {protocol}")]
    NoAddress {
        /// The protocol's Java name.
        protocol: &'static str,
    },
}

impl RpcError {
    /// Whom the call was meant for, where that is known.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Connect { address, .. }
            | Self::ConnectTimeout { address, .. }
            | Self::Authenticate { address, .. }
            | Self::Closed { address, .. }
            | Self::Timeout { address, .. }
            | Self::Remote { address, .. }
            | Self::Malformed { address, .. } => Some(address),
            Self::GaveUp { last, .. } => last.address(),
            Self::NoAddress { .. } => None,
        }
    }

    /// The server's exception, if that is what went wrong.
    pub fn remote(&self) -> Option<&RemoteException> {
        match self {
            Self::Remote { exception, .. } => Some(exception),
            Self::GaveUp { last, .. } => last.remote(),
            _ => None,
        }
    }

    /// Whether the trouble is the network's or the server's absence: another try, elsewhere or later, may succeed.
    pub fn is_transport(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Closed { .. }
            | Self::Timeout { .. } => true,
            Self::GaveUp { last, .. } => last.is_transport(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_several_lines_is_kept_and_the_stack_split_off() {
        let text = "Unauthorized request to start container. \nAttempt to relaunch the same container with id c.\n\tat a.B.c(B.java:1)\n\tat d";
        let exception =
            RemoteException::new("org.apache.hadoop.yarn.exceptions.YarnException", text, false, 1);
        assert!(exception.is_relaunch());
        let shown = "Unauthorized request to start container. Attempt to relaunch the same container with id c. (YarnException)";
        assert_eq!(exception.to_string(), shown);
        assert!(exception.stack.starts_with("\tat a.B"));
    }

    #[test]
    fn exceptions_are_told_apart_by_class_and_message() {
        let of = |class: &str, message: &str| RemoteException::new(class, message, true, 0);
        assert!(of("org.apache.hadoop.ipc.StandbyException", "").is_standby());
        assert!(of("org.apache.hadoop.yarn.exceptions.NMNotYetReadyException", "").is_retriable());
        let gone = of(
            "org.apache.hadoop.security.token.SecretManager$InvalidToken",
            "appattempt_1_0001_000001 not found in AMRMTokenSecretManager.",
        );
        assert!(gone.is_attempt_over() && !gone.is_not_registered());
        let twice = of(
            "org.apache.hadoop.yarn.exceptions.InvalidApplicationMasterRequestException",
            "Application Master is already registered : application_1_0001",
        );
        assert!(twice.is_already_registered() && twice.expected_response_id().is_none());
        let late = of(
            "org.apache.hadoop.yarn.exceptions.InvalidApplicationMasterRequestException",
            "Invalid responseId in AllocateRequest from application attempt: a, expect responseId to be 3 but get 1",
        );
        assert_eq!(late.expected_response_id(), Some(3));
    }
}
