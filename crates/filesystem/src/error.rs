//! What can go wrong with a file, told so that a person knows which file, doing what, and what to do about it.
//!
//! Owns the error type and its mapping to and from `std::io::Error`. The mapping from HDFS's exceptions is in
//! [`crate::hdfs`], which alone knows them.

use std::io;

use thiserror::Error;

/// The result of a file operation.
pub type Result<T> = std::result::Result<T, FsError>;

/// A failed file operation. `operation` is a verb ("open", "create"), `path` the full name as [`crate::FsPath`] prints it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FsError {
    /// There is no such file or directory, or a parent of it is missing.
    #[error("cannot {operation} {path}: no such file or directory")]
    NotFound {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
    },
    /// The name is taken: by a file, by a directory, or by a file that somebody is writing.
    #[error("cannot {operation} {path}: it exists already")]
    AlreadyExists {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
    },
    /// A file stands where a directory is needed.
    #[error("cannot {operation} {path}: a file is in the place of a directory ({reason})")]
    NotADirectory {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// The file system's own words.
        reason: String,
    },
    /// A directory stands where a file is needed.
    #[error("cannot {operation} {path}: it is a directory")]
    IsADirectory {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
    },
    /// The directory has entries and the operation was not recursive.
    #[error("cannot {operation} {path}: the directory is not empty")]
    DirectoryNotEmpty {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
    },
    /// The user may not do this.
    #[error("cannot {operation} {path} as user '{user}': permission denied ({reason})")]
    PermissionDenied {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// As whom.
        user: String,
        /// The file system's own words.
        reason: String,
    },
    /// The NameNode is in safe mode: nothing can be changed until it leaves it.
    #[error(
        "cannot {operation} {path}: the NameNode is in safe mode, HDFS is read-only until it leaves it (look with: hdfs dfsadmin -safemode get) ({reason})"
    )]
    SafeMode {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// The NameNode's own words.
        reason: String,
    },
    /// A quota on names or space is used up.
    #[error("cannot {operation} {path}: a quota is exceeded ({reason})")]
    QuotaExceeded {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// The NameNode's own words.
        reason: String,
    },
    /// The NameNode knows no DataNode that could take a block.
    #[error(
        "cannot {operation} {path}: no DataNode can take the data; are the DataNodes running, and have they space? ({reason})"
    )]
    NoDataNode {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// The NameNode's own words.
        reason: String,
    },
    /// The file being written was taken away: deleted, recovered or replaced by another writer.
    #[error(
        "cannot {operation} {path}: this writer no longer owns the file, another one replaced or removed it ({reason})"
    )]
    LeaseLost {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// The NameNode's own words.
        reason: String,
    },
    /// Nobody answers at the address.
    #[error(
        "cannot {operation} {path}: {address} cannot be reached ({reason}); is it running, and is the address right?"
    )]
    Unreachable {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// Whom we tried to reach.
        address: String,
        /// The operating system's words.
        reason: String,
    },
    /// Somebody accepted the connection, but no answer came in time.
    #[error("cannot {operation} {path}: no answer from {address} within {seconds} s")]
    TimedOut {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// Who did not answer.
        address: String,
        /// How long we waited.
        seconds: u64,
    },
    /// The text cannot be a path, or not one here.
    #[error("'{path}' is not a usable path: {reason}")]
    InvalidPath {
        /// The text as given.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No file system is built in for this scheme.
    #[error(
        "cannot use {path}: the file system scheme '{scheme}' is not supported yet; supported are {supported}"
    )]
    UnsupportedScheme {
        /// The scheme asked for.
        scheme: String,
        /// In which path.
        path: String,
        /// The schemes that would do.
        supported: &'static str,
    },
    /// The file system, or this program, cannot do that.
    #[error("cannot {operation} {path}: not supported: {reason}")]
    Unsupported {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// What is missing, and what to do instead.
        reason: String,
    },
    /// The bytes are not what they should be: a checksum or a length does not fit.
    #[error("cannot {operation} {path}: the data is damaged: {reason}")]
    Corrupt {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// What does not fit.
        reason: String,
    },
    /// Anything else, in the words of whoever refused.
    #[error("cannot {operation} {path}: {reason}")]
    Other {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// The reason given.
        reason: String,
    },
}

impl FsError {
    /// Whether the file or a parent of it does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the name is taken: what an exclusive creation answers to all but one.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::AlreadyExists { .. })
    }

    /// Whether the same call may succeed later with nothing changed by us: the other side is away, starting, or full.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::SafeMode { .. }
                | Self::NoDataNode { .. }
        )
    }

    /// The error of a local operation.
    pub(crate) fn from_io(operation: &'static str, path: &impl ToString, error: &io::Error) -> Self {
        let (path, reason) = (path.to_string(), error.to_string());
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { operation, path },
            io::ErrorKind::AlreadyExists => Self::AlreadyExists { operation, path },
            io::ErrorKind::NotADirectory => Self::NotADirectory { operation, path, reason },
            io::ErrorKind::IsADirectory => Self::IsADirectory { operation, path },
            io::ErrorKind::DirectoryNotEmpty => Self::DirectoryNotEmpty { operation, path },
            io::ErrorKind::PermissionDenied => {
                Self::PermissionDenied { operation, path, user: crate::user::system_user(), reason }
            }
            io::ErrorKind::QuotaExceeded => Self::QuotaExceeded { operation, path, reason },
            _ => Self::Other { operation, path, reason },
        }
    }

    fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::NotFound { .. } => io::ErrorKind::NotFound,
            Self::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
            Self::NotADirectory { .. } => io::ErrorKind::NotADirectory,
            Self::IsADirectory { .. } => io::ErrorKind::IsADirectory,
            Self::DirectoryNotEmpty { .. } => io::ErrorKind::DirectoryNotEmpty,
            Self::PermissionDenied { .. } => io::ErrorKind::PermissionDenied,
            Self::QuotaExceeded { .. } => io::ErrorKind::QuotaExceeded,
            Self::TimedOut { .. } => io::ErrorKind::TimedOut,
            Self::Unreachable { .. } => io::ErrorKind::NotConnected,
            Self::InvalidPath { .. } => io::ErrorKind::InvalidInput,
            Self::Corrupt { .. } => io::ErrorKind::InvalidData,
            Self::Unsupported { .. } | Self::UnsupportedScheme { .. } => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        }
    }
}

/// For `std::io::Read` and `Write` over any file system; the [`FsError`] stays inside as the source.
impl From<FsError> for io::Error {
    fn from(error: FsError) -> Self {
        io::Error::new(error.io_kind(), error)
    }
}
