//! HDFS's exceptions as [`FsError`]s. Owns the table of Java class names; keeps the first line of their messages, since the
//! rest is the server's stack.

use std::io::ErrorKind;
use std::time::Duration;

use hdfs_native::HdfsError;

use super::Endpoint;
use crate::error::FsError;
use crate::path::FsPath;

/// Whether the request surely was not carried out, so that sending it again is harmless: nobody took the connection, or the
/// NameNode that did is a standby.
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
        HdfsError::RPCError(class, _) | HdfsError::FatalRPCError(class, _) => {
            simple_name(class) == "StandbyException"
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
        HdfsError::DataTransferError(message) => {
            message.split(": [").next().unwrap_or_default().to_owned()
        }
        _ => return convert(operation, path, endpoint, error),
    };
    FsError::Unreachable {
        operation,
        path: path.to_string(),
        address: format!("a DataNode of {}", endpoint.address),
        reason,
    }
}

pub(super) fn convert(
    operation: &'static str,
    path: &FsPath,
    endpoint: &Endpoint,
    error: HdfsError,
) -> FsError {
    let named = path.to_string();
    match error {
        HdfsError::IOError(error) => FsError::Unreachable {
            operation,
            path: named,
            address: endpoint.address.clone(),
            reason: error.to_string(),
        },
        HdfsError::FileNotFound(_) => FsError::NotFound {
            operation,
            path: named,
        },
        HdfsError::AlreadyExists(_) => FsError::AlreadyExists {
            operation,
            path: named,
        },
        HdfsError::IsADirectoryError(_) => FsError::IsADirectory {
            operation,
            path: named,
        },
        HdfsError::ChecksumError => FsError::Corrupt {
            operation,
            path: named,
            reason: "the checksum of a block does not match".to_owned(),
        },
        HdfsError::BlocksNotFound(reason) => FsError::Corrupt {
            operation,
            path: named,
            reason: format!("no DataNode has the block: {reason}"),
        },
        HdfsError::UnsupportedFeature(reason)
        | HdfsError::UnsupportedErasureCodingPolicy(reason) => FsError::Unsupported {
            operation,
            path: named,
            reason,
        },
        HdfsError::RPCError(class, message) | HdfsError::FatalRPCError(class, message) => {
            from_exception(operation, named, endpoint, &class, &message)
        }
        other => FsError::Other {
            operation,
            path: named,
            reason: other.to_string(),
        },
    }
}

fn from_exception(
    operation: &'static str,
    path: String,
    endpoint: &Endpoint,
    class: &str,
    message: &str,
) -> FsError {
    let reason = first_line(message);
    match simple_name(class) {
        "FileNotFoundException"
            if message.contains("is a directory") || message.contains("not a file") =>
        {
            FsError::IsADirectory { operation, path }
        }
        "FileNotFoundException" => FsError::NotFound { operation, path },
        "FileAlreadyExistsException" | "AlreadyBeingCreatedException" => {
            FsError::AlreadyExists { operation, path }
        }
        "PathIsNotEmptyDirectoryException" => FsError::DirectoryNotEmpty { operation, path },
        "ParentNotDirectoryException" | "PathIsNotDirectoryException" => FsError::NotADirectory {
            operation,
            path,
            reason,
        },
        "AccessControlException" | "AuthorizationException" => FsError::PermissionDenied {
            operation,
            path,
            user: endpoint.user.clone(),
            reason,
        },
        "SafeModeException" => FsError::SafeMode {
            operation,
            path,
            reason,
        },
        // An HA NameNode wraps it (FSNamesystem.checkNameNodeSafeMode).
        "RetriableException" if message.contains("SafeModeException") => FsError::SafeMode {
            operation,
            path,
            reason,
        },
        "NSQuotaExceededException"
        | "DSQuotaExceededException"
        | "QuotaByStorageTypeExceededException"
        | "QuotaExceededException" => FsError::QuotaExceeded {
            operation,
            path,
            reason,
        },
        "LeaseExpiredException" => FsError::LeaseLost {
            operation,
            path,
            reason,
        },
        "StandbyException" | "RetriableException" => FsError::Unreachable {
            operation,
            path,
            address: endpoint.address.clone(),
            reason,
        },
        "InvalidPathException" | "IllegalArgumentException" => {
            FsError::InvalidPath { path, reason }
        }
        "IOException" if message.contains("could only be written to") => FsError::NoDataNode {
            operation,
            path,
            reason,
        },
        name => FsError::Other {
            operation,
            path,
            reason: format!("{name}: {reason}"),
        },
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
        let endpoint = Endpoint {
            address: "hdfs://nn:1".into(),
            user: "ada".into(),
            data_timeout: Duration::ZERO,
        };
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
            (
                "org.apache.hadoop.ipc.RetriableException",
                "org…SafeModeException: Cannot create",
                "safe mode",
            ),
            (
                "org.apache.hadoop.security.AccessControlException",
                "Permission denied: user=ada",
                "as user 'ada'",
            ),
            (
                "org.apache.hadoop.hdfs.protocol.NSQuotaExceededException",
                "quota 3",
                "quota",
            ),
            (
                "java.io.IOException",
                "File /x could only be written to 0 of the 1 minReplication nodes.",
                "no DataNode",
            ),
            (
                "java.io.FileNotFoundException",
                "File does not exist: /x",
                "no such file",
            ),
            ("java.io.IOException", "strange", "IOException: strange"),
        ];
        for (class, message, expected) in cases {
            let text = converted(class, &format!("{message}\n\tat java.Stack(Frame)")).to_string();
            assert!(
                text.contains(expected) && text.contains("cannot create hdfs://nn:1/x"),
                "{class}: {text}"
            );
            assert!(
                !text.contains("Frame"),
                "the server's stack is no help: {text}"
            );
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
        assert!(!was_never_received(&io(ErrorKind::ConnectionReset)));
        assert!(!was_never_received(&io(ErrorKind::UnexpectedEof)));
    }
}
