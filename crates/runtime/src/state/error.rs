//! What can go wrong with state.

use crate::error::TaskError;
use kvick_filesystem::FsError;

/// An operation on state that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A key belongs to a key group of another subtask.
    #[error(
        "a key of key group {group} reached the subtask that owns the groups from {start} up to {end}: the function that takes \
         the key from a record must give the same key each time"
    )]
    ForeignKey {
        /// The key's group.
        group: u32,
        /// The first group of the subtask.
        start: u32,
        /// One after its last.
        end: u32,
    },
    /// Two states of one operator have the same name.
    #[error(
        "the state \"{0}\" was opened twice by one operator: names of states must be unique within an operator"
    )]
    OpenTwice(String),
    /// A handle was used that no `open` has filled.
    #[error(
        "a state was used before it was opened: keep what value_state(), list_state(), … return in open()"
    )]
    NotOpened,
    /// A handle was used with another operator's states, or as another type.
    #[error("a state handle does not belong to the operator that used it")]
    ForeignHandle,
    /// Keyed state was used where no key is current.
    #[error(
        "keyed state was used while no key is current: it is reachable while a record or a timer is processed"
    )]
    NoKey,
    /// A key, namespace or value refuses to be serialised.
    #[error("cannot serialise the state \"{state}\" (type {type_name}): {source}")]
    Encode {
        /// The state's name.
        state: String,
        /// The type.
        type_name: &'static str,
        /// Why.
        source: postcard::Error,
    },
    /// Bytes that the state's type does not understand, though their checksum is right.
    #[error("cannot restore the state \"{state}\" as type {type_name}: {reason}")]
    Decode {
        /// The state's name.
        state: String,
        /// The type.
        type_name: &'static str,
        /// Why.
        reason: String,
    },
    /// A file, or what is inline, is not what was written.
    #[error("the state in {place} is damaged: {reason}")]
    Damaged {
        /// Path, offset and length.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A file of a snapshot cannot be read.
    #[error("cannot read the state in {path}: {source}")]
    Read {
        /// Its path.
        path: String,
        /// Why.
        source: FsError,
    },
    /// A file of a snapshot cannot be written.
    #[error("cannot write state to {path}: {source}")]
    Write {
        /// Its path.
        path: String,
        /// Why.
        source: FsError,
    },
    /// The state is too large to be kept by the application master.
    #[error(
        "the state \"{state}\" has more than {limit} bytes, the most that the application master keeps itself: set \
         execution.checkpointing.dir to a directory"
    )]
    TooLarge {
        /// The state's name, or what it is.
        state: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// State that this engine or this backend cannot read.
    #[error("cannot restore the state \"{state}\": {reason}")]
    Unreadable {
        /// Its kind and name.
        state: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The state's type has no schema, or another one than what was written.
    #[error("the state \"{state}\": {source}")]
    Schema {
        /// The state's name.
        state: String,
        /// Why.
        source: Box<super::schema::SchemaError>,
    },
    /// The state backend is a plugin that is not there, or cannot be used.
    #[error(
        "the state backend \"{name}\" cannot be used: {reason}. Its plugin is made by scripts/build-plugins.sh and belongs \
         into the directory plugins of the distribution; KVICK_PLUGINS_DIR names another one"
    )]
    Plugin {
        /// The backend.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// A local directory or file of the state backend failed.
    #[error("cannot {act} {path}: {source}")]
    Local {
        /// What was to be done.
        act: &'static str,
        /// With what.
        path: std::path::PathBuf,
        /// Why it was not.
        source: std::io::Error,
    },
    /// The state backend failed.
    #[error("the state backend failed to {act}: {reason}")]
    Backend {
        /// What it was to do.
        act: &'static str,
        /// Why it did not.
        reason: String,
    },
}

impl From<StateError> for TaskError {
    fn from(error: StateError) -> TaskError {
        TaskError::Failed(crate::error::failure_of(&error))
    }
}

impl StateError {
    /// Whether what was written is not there any more as it was: reading it again would not help.
    pub fn is_damage(&self) -> bool {
        match self {
            StateError::Damaged { .. } => true,
            StateError::Read { source, .. } => source.is_not_found(),
            _ => false,
        }
    }

    /// Whether this program cannot read what was written, however often it tries, or has state that nobody could read back.
    pub fn is_incompatible(&self) -> bool {
        matches!(self, StateError::Decode { .. } | StateError::Unreadable { .. } | StateError::Schema { .. })
    }
}

/// A schema that cannot be found or followed, of a state.
pub(crate) fn schema_failed(state: &str, source: super::schema::SchemaError) -> StateError {
    StateError::Schema { state: state.to_string(), source: Box::new(source) }
}
