//! What YARN tells a container by its environment (`ApplicationConstants.Environment`).

use std::env;
use std::path::PathBuf;

/// A variable that every container has is missing: the process was not started by YARN.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {0} is not set: is this a YARN container?")]
pub struct NotSet(pub String);

/// A variable that must be there.
///
/// # Errors
/// It is not, or is no text.
pub fn required(name: &str) -> Result<String, NotSet> {
    env::var(name).map_err(|_| NotSet(name.to_string()))
}

/// The directories of a list that is separated by commas: `LOCAL_DIRS`, `LOG_DIRS`.
pub fn directories(name: &str) -> Vec<String> {
    let value = env::var(name).unwrap_or_default();
    value.split(',').filter(|dir| !dir.is_empty()).map(str::to_string).collect()
}

/// The first of the container's log directories; the system's temporary directory where YARN names none.
pub fn log_dir() -> PathBuf {
    directories("LOG_DIRS").first().map_or_else(env::temp_dir, PathBuf::from)
}
