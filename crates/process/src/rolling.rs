//! A log file that is bounded in size: at its limit it becomes `name.1`, what was `name.1` becomes `name.2`, and so on.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file that is being written, and how much of it there is.
pub struct RollingFile {
    path: PathBuf,
    file: File,
    written: u64,
    max_bytes: u64,
    keep: u32,
}

impl RollingFile {
    /// Opens or continues a file. It rolls at `max_bytes`; `keep` older ones are kept.
    pub fn open(path: &Path, max_bytes: u64, keep: u32) -> io::Result<RollingFile> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let written = file.metadata()?.len();
        Ok(RollingFile { path: path.to_path_buf(), file, written, max_bytes, keep })
    }

    fn roll(&mut self) -> io::Result<()> {
        for number in (1..self.keep).rev() {
            // A missing older file is no fault: there may not be that many yet.
            let _ = std::fs::rename(self.numbered(number), self.numbered(number + 1));
        }
        if self.keep > 0 {
            std::fs::rename(&self.path, self.numbered(1))?;
        }
        self.file = OpenOptions::new().create(true).write(true).truncate(true).open(&self.path)?;
        self.written = 0;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

impl Write for RollingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written > 0 && self.written + bytes.len() as u64 > self.max_bytes {
            self.roll()?;
        }
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_makes_room_and_only_so_many_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let mut file = RollingFile::open(&path, 10, 2).unwrap();
        for line in ["first 67\n", "second 7\n", "third 67\n", "fourth 7\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("x.log"), "fourth 7\n");
        assert_eq!(read("x.log.1"), "third 67\n");
        assert_eq!(read("x.log.2"), "second 7\n");
        assert!(!dir.path().join("x.log.3").exists());
    }
}
