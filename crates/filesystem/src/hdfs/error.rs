//! HDFS's exceptions as [`FsError`]s. Owns the table of Java class names; keeps the first line of their messages, since the
//! rest is the server's stack.

use std::io::ErrorKind;
use std::time::Duration;

use hdfs_native::HdfsError;

use super::Endpoint;
use crate::error::FsError;
use crate::path::FsPath;

/// Whether the request surely was not carried out, so that sending it again is harmless: nobody took the connection, or the
/// NameNode that did is a standby or in safe mode.
pub(super) fn was_never_received(error: &HdfsError) -> bool {
    match error {
        HdfsError::IOError(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::NetworkDown
                | ErrorKind::AddrNotAvailable
        ),
        HdfsError::RPCError(class, message) | HdfsError::FatalRPCError(class, message) => {
            match simple_name(class) {
                "StandbyException" | "SafeModeException" => true,
                // An HA NameNode wraps it (FSNamesystem.checkNameNodeSafeMode).
                "RetriableException" => message.contains("SafeModeException"),
                _ => false,
            }
        }
        _ => false,
    }
}

pub(super) fn timed_out(
    operation: &'static str,
    path: &FsPath,
    endpoint: &Endpoint,
    limit: Duration,
) -> FsError {
    FsError::TimedOut {
        operation,
        path: path.to_string(),
        address: endpoint.address.clone(),
        seconds: limit.as_secs(),
    }
}

/// Whether the NameNode says that this client no longer writes the file.
pub(super) fn is_lease_lost(error: &HdfsError) -> bool {
    matches!(error, HdfsError::RPCError(class, _) if simple_name(class) == "LeaseExpiredException")
}

/// An error on the way of a file's data, where it is mostly a DataNode that is away.
pub(super) fn convert_transfer(
    operation: &'static str,
    path: &FsPath,
    endpoint: &Endpoint,
    error: HdfsError,
) -> FsError {
    let reason = match &error {
        HdfsError::IOError(error) => error.to_string(),
        // The rest of the message prints each of them in full.
        HdfsError::DataTransferError(message) => message.split(": [").next().unwrap_or_default().to_owned(),
        _ => return convert(operation, path, endpoint, error),
    };
    let address = format!("a DataNode of {}", endpoint.address);
    FsError::Unreachable { operation, path: path.to_string(), address, reason }
}

/// An error of a call to the NameNode.
pub(super) fn convert(
    operation: &'static str,
    path: &FsPath,
    endpoint: &Endpoint,
    error: HdfsError,
) -> FsError {
    let call = Call { operation, path, endpoint };
    match error {
        HdfsError::IOError(error) => call.unreachable(error.to_string()),
        HdfsError::FileNotFound(_) => call.not_found(),
        HdfsError::AlreadyExists(_) => call.already_exists(),
        HdfsError::IsADirectoryError(_) => call.is_a_directory(),
        HdfsError::ChecksumError => call.corrupt("the checksum of a block does not match".to_owned()),
        HdfsError::BlocksNotFound(reason) => call.corrupt(format!("no DataNode has the block: {reason}")),
        HdfsError::UnsupportedFeature(reason) | HdfsError::UnsupportedErasureCodingPolicy(reason) => {
            call.unsupported(reason)
        }
        HdfsError::RPCError(class, message) | HdfsError::FatalRPCError(class, message) => {
            call.exception(&class, &message)
        }
        other => call.other(other.to_string()),
    }
}

/// A call that failed: what every error about it says.
struct Call<'a> {
    operation: &'static str,
    path: &'a FsPath,
    endpoint: &'a Endpoint,
}

impl Call<'_> {
    /// The table of Java's exceptions, by simple class name.
    fn exception(&self, class: &str, message: &str) -> FsError {
        let reason = first_line(message);
        let says = |text| message.contains(text);
        match simple_name(class) {
            "FileNotFoundException" if says("is a directory") || says("not a file") => self.is_a_directory(),
            "FileNotFoundException" => self.not_found(),
            "FileAlreadyExistsException" | "AlreadyBeingCreatedException" => self.already_exists(),
            "PathIsNotEmptyDirectoryException" => self.not_empty(),
            "ParentNotDirectoryException" | "PathIsNotDirectoryException" => self.not_a_directory(reason),
            "AccessControlException" | "AuthorizationException" => self.permission_denied(reason),
            "SafeModeException" => self.safe_mode(reason),
            // An HA NameNode wraps it (FSNamesystem.checkNameNodeSafeMode).
            "RetriableException" if says("SafeModeException") => self.safe_mode(reason),
            name if name.ends_with("QuotaExceededException") => self.quota(reason),
            "QuotaByStorageTypeExceededException" => self.quota(reason),
            "LeaseExpiredException" => self.lease_lost(reason),
            "StandbyException" | "RetriableException" => self.unreachable(reason),
            "InvalidPathException" | "IllegalArgumentException" => self.invalid_path(reason),
            "IOException" if says("could only be written to") => self.no_data_node(reason),
            name => self.other(format!("{name}: {reason}")),
        }
    }

    fn not_found(&self) -> FsError {
        FsError::NotFound { operation: self.operation, path: self.path.to_string() }
    }

    fn already_exists(&self) -> FsError {
        FsError::AlreadyExists { operation: self.operation, path: self.path.to_string() }
    }

    fn is_a_directory(&self) -> FsError {
        FsError::IsADirectory { operation: self.operation, path: self.path.to_string() }
    }

    fn not_empty(&self) -> FsError {
        FsError::DirectoryNotEmpty { operation: self.operation, path: self.path.to_string() }
    }

    fn not_a_directory(&self, reason: String) -> FsError {
        FsError::NotADirectory { operation: self.operation, path: self.path.to_string(), reason }
    }

    fn permission_denied(&self, reason: String) -> FsError {
        FsError::PermissionDenied {
            operation: self.operation,
            path: self.path.to_string(),
            user: self.endpoint.user.clone(),
            reason,
        }
    }

    fn safe_mode(&self, reason: String) -> FsError {
        FsError::SafeMode { operation: self.operation, path: self.path.to_string(), reason }
    }

    fn quota(&self, reason: String) -> FsError {
        FsError::QuotaExceeded { operation: self.operation, path: self.path.to_string(), reason }
    }

    fn lease_lost(&self, reason: String) -> FsError {
        FsError::LeaseLost { operation: self.operation, path: self.path.to_string(), reason }
    }

    fn no_data_node(&self, reason: String) -> FsError {
        FsError::NoDataNode { operation: self.operation, path: self.path.to_string(), reason }
    }

    fn unreachable(&self, reason: String) -> FsError {
        FsError::Unreachable {
            operation: self.operation,
            path: self.path.to_string(),
            address: self.endpoint.address.clone(),
            reason,
        }
    }

    fn invalid_path(&self, reason: String) -> FsError {
        FsError::InvalidPath { path: self.path.to_string(), reason }
    }

    fn corrupt(&self, reason: String) -> FsError {
        FsError::Corrupt { operation: self.operation, path: self.path.to_string(), reason }
    }

    fn unsupported(&self, reason: String) -> FsError {
        FsError::Unsupported { operation: self.operation, path: self.path.to_string(), reason }
    }

    fn other(&self, reason: String) -> FsError {
        FsError::Other { operation: self.operation, path: self.path.to_string(), reason }
    }
}

fn simple_name(class: &str) -> &str {
    class.rsplit(['.', '$']).next().unwrap_or(class)
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(class: &str, message: &str) -> FsError {
        let endpoint =
            Endpoint { address: "hdfs://nn:1".into(), user: "ada".into(), data_timeout: Duration::ZERO };
        convert(
            "create",
            &FsPath::new("hdfs", "nn:1", "/x"),
            &endpoint,
            HdfsError::RPCError(class.into(), message.into()),
        )
    }

    #[test]
    fn exceptions_become_errors_that_say_what_to_do() {
        let cases = [
            (
                "org.apache.hadoop.hdfs.server.namenode.SafeModeException",
                "Cannot create /x. Name node is in safe mode.",
                "safe mode",
            ),
            ("org.apache.hadoop.ipc.RetriableException", "org…SafeModeException: Cannot create", "safe mode"),
            (
                "org.apache.hadoop.security.AccessControlException",
                "Permission denied: user=ada",
                "as user 'ada'",
            ),
            ("org.apache.hadoop.hdfs.protocol.NSQuotaExceededException", "quota 3", "quota"),
            (
                "java.io.IOException",
                "File /x could only be written to 0 of the 1 minReplication nodes.",
                "no DataNode",
            ),
            ("java.io.FileNotFoundException", "File does not exist: /x", "no such file"),
            ("java.io.IOException", "strange", "IOException: strange"),
        ];
        for (class, message, expected) in cases {
            let text = converted(class, &format!("{message}\n\tat java.Stack(Frame)")).to_string();
            assert!(
                text.contains(expected) && text.contains("cannot create hdfs://nn:1/x"),
                "{class}: {text}"
            );
            assert!(!text.contains("Frame"), "the server's stack is no help: {text}");
        }
    }

    #[test]
    fn only_calls_that_nobody_received_are_repeated() {
        let io = |kind: ErrorKind| HdfsError::IOError(kind.into());
        assert!(was_never_received(&io(ErrorKind::ConnectionRefused)));
        assert!(was_never_received(&HdfsError::RPCError(
            "org.apache.hadoop.ipc.StandbyException".into(),
            String::new()
        )));
        assert!(was_never_received(&HdfsError::RPCError(
            "org.apache.hadoop.hdfs.server.namenode.SafeModeException".into(),
            "Cannot create /x. Name node is in safe mode.".into()
        )));
        assert!(!was_never_received(&io(ErrorKind::ConnectionReset)));
        assert!(!was_never_received(&io(ErrorKind::UnexpectedEof)));
    }
}
