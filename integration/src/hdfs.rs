//! Files on HDFS that a test makes.

use crate::command::{Ran, fs};
use crate::text::sorted_lines;
use std::io::Write;

/// A directory on HDFS of a test's own, deleted when the test is over.
pub struct HdfsDir(String);

impl HdfsDir {
    /// A directory that nothing else uses; it comes into being with the first file in it.
    pub fn new(name: &str) -> HdfsDir {
        let dir = format!("kvick-test-{}-{name}", std::process::id());
        HdfsDir(uri(&dir))
    }

    /// The directory itself, with scheme and authority.
    pub fn root(&self) -> &str {
        &self.0
    }

    /// A path in it, with scheme and authority.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    /// The paths of all files below a directory of it, which need not be there.
    pub fn files(&self, name: &str) -> Vec<String> {
        let (mut files, mut directories) = (Vec::new(), vec![self.path(name)]);
        while let Some(directory) = directories.pop() {
            let listed = fs(&["ls", &directory]).out;
            for line in listed.lines() {
                let path = line.rsplit(' ').next().unwrap_or_default().to_string();
                if line.starts_with('d') { directories.push(path) } else { files.push(path) }
            }
        }
        files
    }

    /// Writes a file; answers its path.
    ///
    /// # Panics
    /// If it cannot be written.
    #[track_caller]
    pub fn put(&self, name: &str, content: &str) -> String {
        let mut local = tempfile::NamedTempFile::new().expect("no temporary file");
        local.write_all(content.as_bytes()).expect("the temporary file cannot be written");
        let path = self.path(name);
        fs(&["put", &local.path().display().to_string(), &path]).ok();
        path
    }

    /// The text of a file, or of all files in a directory.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        fs(&["cat", &self.path(name)]).ok().out
    }
}

impl Drop for HdfsDir {
    fn drop(&mut self) {
        fs(&["rm", &self.0]);
    }
}

/// A path with the scheme and authority of `fs.defaultFS`.
#[track_caller]
pub fn uri(path: &str) -> String {
    fs(&["uri", path]).ok().out.trim().to_string()
}

/// The directories of applications in the user's staging directory, one line each.
pub fn staging() -> Vec<String> {
    let Ran { code, out, .. } = fs(&["ls", ".flink"]);
    let lines = if code == 0 { out } else { String::new() };
    lines.lines().filter(|line| line.contains("application_")).map(str::to_string).collect()
}

/// The committed lines of all buckets below a directory of HDFS, sorted.
pub fn committed(directory: &str) -> Vec<String> {
    let entries = |path: &str| -> Vec<String> {
        let listed = fs(&["ls", path]).out;
        let paths = listed.lines().filter_map(|line| line.rsplit(' ').next().map(str::to_string));
        paths.filter(|path| !path.rsplit('/').next().unwrap_or_default().starts_with('.')).collect()
    };
    let parts = entries(directory).into_iter().flat_map(|bucket| entries(&bucket));
    sorted_lines(&parts.map(|part| fs(&["cat", &part]).ok().out).collect::<String>())
}
