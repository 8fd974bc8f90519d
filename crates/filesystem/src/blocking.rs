//! The same file systems for threads that have no runtime: subtasks, readers of input, writers of state.
//!
//! Owns a small private runtime, started at the first remote operation; local files never touch it. Everything here blocks
//! its thread: in a task of an asynchronous runtime it works, but holds up the tasks that share the thread.

mod reader;
mod writer;

use std::future::Future;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::context::Context;
use crate::error::{FsError, Result};
use crate::filesystem::{CreateOptions, FileStatus};
use crate::local::LocalFileSystem;
use crate::path::FsPath;

pub use reader::Reader;
pub use writer::Writer;

/// Threads of the private runtime: they move bytes between sockets and buffers, the work on them is done elsewhere.
const RUNTIME_THREADS: usize = 2;

/// The private runtime. Starting one fails only when the system refuses threads.
fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let started = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .thread_name("kvick-files")
            .enable_all()
            .build()
    });
    started.as_ref().map_err(|error| FsError::Other {
        operation: "start threads for",
        path: "remote files".to_owned(),
        reason: error.to_string(),
    })
}

/// Runs `work` on the private runtime and waits for it. A thread that belongs to another runtime may not wait itself (tokio
/// panics), so there a short-lived thread does.
fn wait_for<T: Send>(work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let runtime = runtime()?;
    if Handle::try_current().is_err() {
        return runtime.block_on(work);
    }
    let waited = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(work)).join());
    waited.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// [`crate::FileSystems`] for threads without a runtime.
pub struct FileSystems {
    systems: crate::FileSystems,
}

impl FileSystems {
    /// No connection is made yet.
    pub fn new(context: Context) -> Self {
        Self { systems: crate::FileSystems::new(context) }
    }

    /// What it was made with.
    pub fn context(&self) -> &Context {
        self.systems.context()
    }

    /// Adds a file system of one's own; see [`crate::FileSystems::insert`]. Local files cannot be replaced.
    pub fn insert(&self, authority: &str, file_system: Arc<dyn crate::FileSystem>) {
        self.systems.insert(authority, file_system);
    }

    /// The complete name that `text` stands for; see [`Context::resolve`].
    ///
    /// # Errors
    /// [`FsError::InvalidPath`].
    pub fn resolve(&self, text: &str) -> Result<FsPath> {
        self.systems.resolve(text)
    }

    /// The file system that `path` is in.
    ///
    /// # Errors
    /// [`FsError::UnsupportedScheme`], or what is wrong with the configuration.
    pub fn get(&self, path: &FsPath) -> Result<FileSystem> {
        if path.scheme() == "file" {
            return Ok(FileSystem { remote: None });
        }
        // The connection's own tasks are to run on the private runtime, whoever calls.
        let _entered = runtime()?.enter();
        Ok(FileSystem { remote: Some(self.systems.get(path)?) })
    }

    /// [`FileSystems::resolve`] and [`FileSystems::get`] in one.
    ///
    /// # Errors
    /// Theirs.
    pub fn locate(&self, text: &str) -> Result<(FileSystem, FsPath)> {
        let path = self.resolve(text)?;
        Ok((self.get(&path)?, path))
    }
}

/// A file system whose operations block. Each does what [`crate::FileSystem`]'s of the same name does, with its errors.
#[derive(Clone)]
pub struct FileSystem {
    /// `None`: local files, by the operating system directly.
    remote: Option<Arc<dyn crate::FileSystem>>,
}

#[allow(clippy::missing_errors_doc, reason = "said once, above")]
impl FileSystem {
    /// The local disk.
    pub fn local() -> Self {
        Self { remote: None }
    }

    /// What is known of one file or directory.
    pub fn stat(&self, path: &FsPath) -> Result<FileStatus> {
        match &self.remote {
            None => LocalFileSystem::stat_now(path),
            Some(remote) => wait_for(remote.stat(path)),
        }
    }

    /// Whether something has this name.
    pub fn exists(&self, path: &FsPath) -> Result<bool> {
        match self.stat(path) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A directory's entries sorted by name; of a file, that file alone.
    pub fn list(&self, path: &FsPath) -> Result<Vec<FileStatus>> {
        match &self.remote {
            None => LocalFileSystem::list_now(path),
            Some(remote) => wait_for(remote.list(path)),
        }
    }

    /// Opens a file for reading from its beginning.
    pub fn open(&self, path: &FsPath) -> Result<Reader> {
        match &self.remote {
            None => LocalFileSystem::open_now(path).map(|(file, length)| Reader::local(file, length)),
            Some(remote) => Ok(Reader::remote(wait_for(remote.open(path))?)),
        }
    }

    /// Creates a file for writing.
    pub fn create(&self, path: &FsPath, options: &CreateOptions) -> Result<Writer> {
        match &self.remote {
            None => Ok(Writer::local(path.clone(), LocalFileSystem::create_now(path, options)?)),
            Some(remote) => Ok(Writer::remote(path.clone(), wait_for(remote.create(path, options))?)),
        }
    }

    /// Makes a directory and its missing parents.
    pub fn mkdirs(&self, path: &FsPath, mode: u32) -> Result<()> {
        match &self.remote {
            None => LocalFileSystem::mkdirs_now(path, mode),
            Some(remote) => wait_for(remote.mkdirs(path, mode)),
        }
    }

    /// Moves a file or directory within the file system, atomically.
    pub fn rename(&self, from: &FsPath, to: &FsPath, overwrite: bool) -> Result<()> {
        match &self.remote {
            None => LocalFileSystem::rename_now(from, to, overwrite),
            Some(remote) => wait_for(remote.rename(from, to, overwrite)),
        }
    }

    /// Deletes; `false` when there was nothing.
    pub fn delete(&self, path: &FsPath, recursive: bool) -> Result<bool> {
        match &self.remote {
            None => LocalFileSystem::delete_now(path, recursive),
            Some(remote) => wait_for(remote.delete(path, recursive)),
        }
    }

    /// Returns once no earlier writer of the file can change what is stored of it.
    pub fn settle(&self, path: &FsPath) -> Result<()> {
        match &self.remote {
            None => Ok(()),
            Some(remote) => wait_for(remote.settle(path)),
        }
    }

    /// Sets the permission bits.
    pub fn set_permission(&self, path: &FsPath, mode: u32) -> Result<()> {
        match &self.remote {
            None => LocalFileSystem::set_permission_now(path, mode),
            Some(remote) => wait_for(remote.set_permission(path, mode)),
        }
    }

    /// The whole content of a file.
    pub fn read(&self, path: &FsPath) -> Result<Bytes> {
        let mut content = Vec::new();
        let mut reader = self.open(path)?;
        std::io::Read::read_to_end(&mut reader, &mut content)
            .map_err(|error| FsError::from_io("read", path, &error))?;
        Ok(content.into())
    }

    /// Creates a file with this content.
    pub fn write(&self, path: &FsPath, content: &[u8], options: &CreateOptions) -> Result<()> {
        let mut writer = self.create(path, options)?;
        std::io::Write::write_all(&mut writer, content)
            .map_err(|error| FsError::from_io("write", path, &error))?;
        writer.close().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, SeekFrom, Write};

    /// A local file system behind the remote path, so that its prefetching and buffering run without a cluster.
    fn as_if_remote() -> FileSystem {
        FileSystem { remote: Some(Arc::new(LocalFileSystem::new())) }
    }

    fn both() -> [FileSystem; 2] {
        [FileSystem::local(), as_if_remote()]
    }

    #[test]
    fn what_is_written_in_bits_is_read_back_from_anywhere() {
        for fs in both() {
            let dir = tempfile::tempdir().unwrap();
            let path = FsPath::local(&dir.path().join("deep/down/file")).unwrap();
            let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i * 7 % 251) as u8).collect();
            let mut writer = fs.create(&path, &CreateOptions::default()).unwrap();
            for piece in content.chunks(1 + 99_991) {
                writer.write_all(piece).unwrap();
            }
            assert_eq!(writer.close().unwrap(), content.len() as u64);
            assert_eq!(fs.read(&path).unwrap(), content);
            let mut reader = fs.open(&path).unwrap();
            let mut piece = vec![0; 1000];
            for start in [2_999_000_u64, 0, 1_234_567] {
                reader.seek(SeekFrom::Start(start)).unwrap();
                reader.read_exact(&mut piece).unwrap();
                assert_eq!(piece, content[start as usize..start as usize + 1000]);
            }
            assert_eq!(reader.seek(SeekFrom::End(-1)).unwrap(), 2_999_999);
            assert_eq!(reader.read(&mut piece).unwrap(), 1);
            assert_eq!(reader.read(&mut piece).unwrap(), 0);
        }
    }

    #[test]
    fn creation_is_exclusive_unless_told_otherwise() {
        for fs in both() {
            let dir = tempfile::tempdir().unwrap();
            let path = FsPath::local(&dir.path().join("x")).unwrap();
            fs.write(&path, b"first", &CreateOptions::default()).unwrap();
            assert!(fs.write(&path, b"second", &CreateOptions::default()).unwrap_err().is_already_exists());
            fs.write(&path, b"2", &CreateOptions::overwriting()).unwrap();
            assert_eq!(fs.read(&path).unwrap(), &b"2"[..]);
        }
    }

    #[test]
    fn renames_delete_and_list() {
        for fs in both() {
            let dir = tempfile::tempdir().unwrap();
            let root = FsPath::local(dir.path()).unwrap();
            for name in ["b", "a"] {
                fs.write(&root.join(name), name.as_bytes(), &CreateOptions::default()).unwrap();
            }
            assert!(fs.rename(&root.join("a"), &root.join("b"), false).unwrap_err().is_already_exists());
            assert!(fs.rename(&root.join("zz"), &root.join("c"), false).unwrap_err().is_not_found());
            fs.rename(&root.join("a"), &root.join("c"), false).unwrap();
            fs.rename(&root.join("c"), &root.join("b"), true).unwrap();
            let names: Vec<_> =
                fs.list(&root).unwrap().iter().map(|entry| entry.path.name().to_owned()).collect();
            assert_eq!(names, ["b"]);
            assert_eq!(fs.list(&root.join("b")).unwrap()[0].length, 1);
            assert!(matches!(fs.delete(&root, false), Err(FsError::DirectoryNotEmpty { .. })));
            assert!(fs.delete(&root, true).unwrap());
            assert!(!fs.delete(&root, true).unwrap());
            assert!(fs.list(&root).unwrap_err().is_not_found());
        }
    }

    #[tokio::test]
    async fn a_task_may_block_if_it_must() {
        let dir = tempfile::tempdir().unwrap();
        let path = FsPath::local(&dir.path().join("x")).unwrap();
        let fs = as_if_remote();
        fs.write(&path, &[3; 100_000], &CreateOptions::default()).unwrap();
        assert_eq!(fs.read(&path).unwrap(), vec![3; 100_000]);
    }

    #[test]
    fn a_directory_is_not_opened_as_a_file() {
        for fs in both() {
            let dir = tempfile::tempdir().unwrap();
            let root = FsPath::local(dir.path()).unwrap();
            assert!(matches!(fs.open(&root), Err(FsError::IsADirectory { .. })));
            fs.write(&root.join("file"), b"", &CreateOptions::default()).unwrap();
            assert!(matches!(
                fs.create(&root.join("file/x"), &CreateOptions::default()),
                Err(FsError::NotADirectory { .. } | FsError::AlreadyExists { .. })
            ));
        }
    }
}
