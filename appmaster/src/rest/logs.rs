//! Log files: which names may be asked for, how their text is sent, and those of this process.

use super::error::RestError;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use kvick_core::executor::LogFile;
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

/// At most this much of the end of a task executor's log is sent.
pub const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Plain text, as Flink sends logs.
pub struct Text(Body);

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(Body::from(text))
    }
}

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "text/plain; charset=UTF-8")], self.0).into_response()
    }
}

/// Refuses what is not the name of a file in the log directory itself.
///
/// # Errors
/// 400 for a path.
pub fn check_name(name: &str) -> Result<(), RestError> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    plain.then_some(()).ok_or_else(|| RestError::path_parameter("filename", name))
}

/// The files of this process's log directory.
///
/// # Errors
/// 500 if the directory cannot be read.
pub async fn list(dir: &Path) -> Result<Vec<LogFile>, RestError> {
    let failed =
        |e: io::Error| RestError::internal(format!("cannot list the log directory {}: {e}", dir.display()));
    let mut entries = tokio::fs::read_dir(dir).await.map_err(failed)?;
    let mut files = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        // A file may be rolled away while the list is made.
        if let Ok(metadata) = entry.metadata().await
            && metadata.is_file()
        {
            let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            files.push(LogFile {
                name: entry.file_name().to_string_lossy().into_owned(),
                size: metadata.len(),
                mtime: modified.map_or(0, |at| at.as_millis() as u64),
            });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Streams a file of this process's log directory, up to the length that it has now.
///
/// # Errors
/// 400 for a path, 404 if there is no such file.
pub async fn read(dir: &Path, name: &str) -> Result<Text, RestError> {
    check_name(name)?;
    let missing = |e: io::Error| {
        RestError::not_found(format!("cannot read {name} in the log directory {}: {e}", dir.display()))
    };
    let file = tokio::fs::File::open(dir.join(name)).await.map_err(missing)?;
    let metadata = file.metadata().await.map_err(missing)?;
    if !metadata.is_file() {
        return Err(RestError::not_found(format!("{name} is not a file")));
    }
    Ok(Text(Body::from_stream(ReaderStream::new(file.take(metadata.len())))))
}

/// The answer to a request for a thread dump.
pub fn no_thread_dump(why: &str) -> Value {
    let text =
        format!("A thread dump is a view into a JVM; the {why}. Use `top -H` or a debugger on the node.");
    json!({ "threadInfos": [{ "threadName": "not applicable", "stringifiedThreadInfo": text }] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_within_the_directory_are_accepted() {
        assert!(check_name("jobmanager.log.1").is_ok());
        for bad in ["", "..", "../x", "a/b", ".hidden", "a\\b", "a\0"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
