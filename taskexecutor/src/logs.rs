//! The log files of this container, as the web UI lists and shows them.

use kvick_core::executor::LogFile;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// The files in the log directory, by name.
pub fn list(dir: &Path) -> Vec<LogFile> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<LogFile> = entries.flatten().filter_map(|entry| log_file(&entry)).collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

fn log_file(entry: &std::fs::DirEntry) -> Option<LogFile> {
    let metadata = entry.metadata().ok()?;
    let mtime = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    metadata.is_file().then(|| LogFile {
        name: entry.file_name().to_string_lossy().into_owned(),
        size: metadata.len(),
        mtime: mtime.as_millis() as u64,
    })
}

/// The last `max_bytes` of a file in the log directory.
///
/// # Errors
/// In words: if the name leads out of the directory, or the file cannot be read.
pub fn read(dir: &Path, name: &str, max_bytes: u64) -> Result<String, String> {
    if name.contains('/') || name == ".." {
        return Err(format!("{name} is not the name of a log file"));
    }
    tail(&dir.join(name), max_bytes).map_err(|error| format!("cannot read {name}: {error}"))
}

fn tail(path: &Path, max_bytes: u64) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(max_bytes)))?;
    let mut bytes = Vec::new();
    file.take(max_bytes).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_read_and_nothing_outside_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("taskmanager.log"), "one\ntwo\n").unwrap();
        assert_eq!(list(dir.path())[0].name, "taskmanager.log");
        assert_eq!(read(dir.path(), "taskmanager.log", 4).unwrap(), "two\n");
        assert!(read(dir.path(), "../../etc/passwd", 4).is_err());
        assert!(read(dir.path(), "nosuch", 4).unwrap_err().contains("nosuch"));
    }
}
