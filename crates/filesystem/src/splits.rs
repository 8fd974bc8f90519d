//! Input cut into byte ranges that can be read apart from each other.
//!
//! Owns the listing of an input path and the arithmetic of splits, which is Flink's (`FileInputFormat.createInputSplits`).
//! What a record is, and how one that crosses a boundary is read once, is [`crate::lines`]'s.

use crate::blocking;
use crate::error::{FsError, Result};
use crate::filesystem::{FileStatus, FileSystem};
use crate::path::FsPath;

/// The last split may be this much longer than the others, in tenths, rather than leave a tiny one (Flink's 1.1).
const LAST_SPLIT_TENTHS: u64 = 11;

/// Endings of files that only a decompressor can read.
const COMPRESSED: [&str; 7] = ["gz", "gzip", "deflate", "bz2", "xz", "zst", "snappy"];

/// A range of one file. The record that begins in it may end behind it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Split {
    /// The file.
    pub path: FsPath,
    /// The first byte.
    pub start: u64,
    /// How many bytes; never 0.
    pub length: u64,
    /// The file's length when it was listed.
    pub file_length: u64,
}

impl Split {
    /// The first byte behind the range.
    pub fn end(&self) -> u64 {
        self.start + self.length
    }
}

/// How input is listed and cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitOptions {
    /// At least so many splits, as far as the input has bytes: mostly the source's parallelism.
    pub minimum_splits: usize,
    /// No split is smaller than this, bytes, except where a file ends.
    pub minimum_size: u64,
    /// Look into directories under the path, too (Flink's `recursive.file.enumeration`).
    pub recursive: bool,
}

impl Default for SplitOptions {
    fn default() -> Self {
        Self { minimum_splits: 1, minimum_size: 1, recursive: false }
    }
}

/// Directories still to list and files found: the walk itself, without the waiting, so that tasks and plain threads share it.
struct Walk {
    recursive: bool,
    directories: Vec<FsPath>,
    files: Vec<FileStatus>,
}

impl Walk {
    /// Begins at what the user named, which counts whatever its name begins with.
    fn from(start: FileStatus, recursive: bool) -> Self {
        let mut walk = Self { recursive, directories: Vec::new(), files: Vec::new() };
        if start.is_directory {
            walk.directories.push(start.path)
        } else {
            walk.files.push(start)
        }
        walk
    }

    fn add(&mut self, entries: Vec<FileStatus>) {
        for entry in entries {
            match entry {
                hidden if hidden.path.name().starts_with(['_', '.']) => {}
                directory if directory.is_directory => {
                    self.directories.extend(self.recursive.then_some(directory.path))
                }
                file => self.files.push(file),
            }
        }
    }

    fn finish(mut self) -> Result<Vec<FileStatus>> {
        if let Some(file) = self.files.iter().find(|file| is_compressed(&file.path)) {
            let reason = "compressed input cannot be read yet; decompress it first".to_owned();
            return Err(FsError::Unsupported { operation: "read", path: file.path.to_string(), reason });
        }
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.files)
    }
}

fn is_compressed(path: &FsPath) -> bool {
    let ending = path.name().rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| COMPRESSED.contains(&ending.as_str()))
}

/// The input files of `path`: itself when it is a file, else the directory's, by name, without those that begin with `_`
/// or `.` (which writers use for what is not, or not yet, data).
///
/// # Errors
/// The file system's; [`FsError::Unsupported`] for compressed files.
pub async fn input_files(
    fs: &dyn FileSystem,
    path: &FsPath,
    options: &SplitOptions,
) -> Result<Vec<FileStatus>> {
    let mut walk = Walk::from(fs.stat(path).await?, options.recursive);
    while let Some(directory) = walk.directories.pop() {
        walk.add(fs.list(&directory).await?);
    }
    walk.finish()
}

/// [`input_files`] for threads without a runtime.
///
/// # Errors
/// As there.
pub fn input_files_blocking(
    fs: &blocking::FileSystem,
    path: &FsPath,
    options: &SplitOptions,
) -> Result<Vec<FileStatus>> {
    let mut walk = Walk::from(fs.stat(path)?, options.recursive);
    while let Some(directory) = walk.directories.pop() {
        walk.add(fs.list(&directory)?);
    }
    walk.finish()
}

/// Cuts files into splits: none longer than a block or than the input's share of one of `minimum_splits`, files that are
/// hardly longer left whole, empty files left out.
pub fn split(files: &[FileStatus], options: &SplitOptions) -> Vec<Split> {
    let total: u64 = files.iter().map(|file| file.length).sum();
    let share = total.div_ceil(options.minimum_splits.max(1) as u64).max(1);
    files.iter().flat_map(|file| split_file(file, share, options.minimum_size.max(1))).collect()
}

fn split_file(file: &FileStatus, share: u64, minimum_size: u64) -> Vec<Split> {
    let block = if file.block_size == 0 { u64::MAX } else { file.block_size };
    let size = share.min(block).max(minimum_size);
    let (mut splits, mut start) = (Vec::new(), 0);
    while start < file.length {
        let left = file.length - start;
        let is_last = u128::from(left) * 10 <= u128::from(size) * u128::from(LAST_SPLIT_TENTHS);
        let length = if is_last { left } else { size };
        splits.push(Split { path: file.path.clone(), start, length, file_length: file.length });
        start += length;
    }
    splits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::CreateOptions;
    use proptest::prelude::*;

    fn file(name: &str, length: u64, block_size: u64) -> FileStatus {
        FileStatus {
            path: FsPath::new("file", "", name),
            length,
            is_directory: false,
            modification_time: 0,
            permission: 0o644,
            owner: String::new(),
            group: String::new(),
            replication: None,
            block_size,
        }
    }

    fn ranges(files: &[FileStatus], minimum_splits: usize) -> Vec<(u64, u64)> {
        split(files, &SplitOptions { minimum_splits, ..SplitOptions::default() })
            .iter()
            .map(|s| (s.start, s.end()))
            .collect()
    }

    #[test]
    fn blocks_bound_splits_and_a_small_rest_joins_the_last() {
        assert_eq!(ranges(&[file("/a", 250, 100)], 1), [(0, 100), (100, 200), (200, 250)]);
        assert_eq!(ranges(&[file("/a", 210, 100)], 1), [(0, 100), (100, 210)]);
        assert_eq!(ranges(&[file("/a", 100, 1000)], 4), [(0, 25), (25, 50), (50, 75), (75, 100)]);
        assert_eq!(ranges(&[file("/a", 0, 100)], 4), []);
        assert_eq!(ranges(&[file("/a", 7, 0)], 1), [(0, 7)]);
    }

    #[test]
    fn hidden_files_and_nested_directories_are_no_input() {
        let dir = tempfile::tempdir().unwrap();
        let (fs, root) = (blocking::FileSystem::local(), FsPath::local(dir.path()).unwrap());
        for name in ["b", "a", "_SUCCESS", ".part.inprogress", "nested/c", "_temporary/d"] {
            fs.write(&root.join(name), b"x", &CreateOptions::default()).unwrap();
        }
        let names = |recursive| {
            let options = SplitOptions { recursive, ..SplitOptions::default() };
            let files = input_files_blocking(&fs, &root, &options).unwrap();
            files.iter().map(|f| f.path.path().replace(root.path(), "")).collect::<Vec<_>>()
        };
        assert_eq!(names(false), ["/a", "/b"]);
        assert_eq!(names(true), ["/a", "/b", "/nested/c"]);
        let named = input_files_blocking(&fs, &root.join("_SUCCESS"), &SplitOptions::default()).unwrap();
        assert_eq!(named.len(), 1, "a file that the user names is read");
    }

    #[test]
    fn compressed_input_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let (fs, root) = (blocking::FileSystem::local(), FsPath::local(dir.path()).unwrap());
        fs.write(&root.join("words.txt.GZ"), b"x", &CreateOptions::default()).unwrap();
        let error = input_files_blocking(&fs, &root, &SplitOptions::default()).unwrap_err().to_string();
        assert!(error.contains("words.txt.GZ") && error.contains("decompress"), "{error}");
    }

    proptest! {
        #[test]
        fn splits_cover_every_byte_once(lengths in proptest::collection::vec(0_u64..5000, 1..5), block in 0_u64..700, wanted in 1_usize..20, minimum in 1_u64..50) {
            let files: Vec<_> = lengths.iter().enumerate().map(|(i, length)| file(&format!("/{i}"), *length, block)).collect();
            let splits = split(&files, &SplitOptions { minimum_splits: wanted, minimum_size: minimum, recursive: false });
            for file in &files {
                let mut next = 0;
                for part in splits.iter().filter(|part| part.path == file.path) {
                    prop_assert_eq!(part.start, next);
                    prop_assert!(part.length > 0);
                    next = part.end();
                }
                prop_assert_eq!(next, file.length);
            }
        }
    }
}
