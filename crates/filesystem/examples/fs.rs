//! A few file operations on any file system, for scripts and tests: much quicker than starting a JVM for each.
//!
//!     fs put LOCAL PATH | cat PATH | ls PATH | rm PATH | mkdir PATH | chmod OCTAL PATH | uri PATH
//!
//! A path without a scheme is on the file system that `fs.defaultFS` names. `cat` of a directory gives all its files.

use kvick_filesystem::{Context, CreateOptions, FileSystem, FileSystems, FsPath};
use kvick_yarn::conf::HadoopConf;
use std::error::Error;
use std::io::Write;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let filesystems = filesystems()?;
    match words.as_slice() {
        ["put", local, path] => put(&filesystems, local, path).await,
        ["cat", path] => cat(&filesystems, path).await,
        ["ls", path] => ls(&filesystems, path).await,
        ["rm", path] => {
            let (fs, path) = filesystems.locate(path)?;
            fs.delete(&path, true).await?;
            Ok(())
        }
        ["mkdir", path] => {
            let (fs, path) = filesystems.locate(path)?;
            Ok(fs.mkdirs(&path, 0o755).await?)
        }
        ["chmod", mode, path] => {
            let (fs, path) = filesystems.locate(path)?;
            Ok(fs.set_permission(&path, u32::from_str_radix(mode, 8)?).await?)
        }
        ["uri", path] => {
            println!("{}", filesystems.resolve(path)?);
            Ok(())
        }
        _ => Err("usage: fs put LOCAL PATH | cat PATH | ls PATH | rm PATH | mkdir PATH | chmod OCTAL PATH | uri PATH".into()),
    }
}

fn filesystems() -> Result<FileSystems> {
    let conf = HadoopConf::load_default()?;
    let default = conf.get("fs.defaultFS").unwrap_or_else(|| "file:///".to_string());
    Ok(FileSystems::new(Context::new(conf.iter()).with_default_scheme(default)))
}

async fn put(filesystems: &FileSystems, local: &str, path: &str) -> Result<()> {
    let (fs, path) = filesystems.locate(path)?;
    let content = std::fs::read(local)?;
    Ok(fs.write(&path, content.into(), &CreateOptions::overwriting()).await?)
}

async fn cat(filesystems: &FileSystems, path: &str) -> Result<()> {
    let (fs, path) = filesystems.locate(path)?;
    for file in files(fs.as_ref(), &path).await? {
        std::io::stdout().write_all(&fs.read(&file).await?)?;
    }
    Ok(())
}

/// The file itself, or every file in the directory that is no side file.
async fn files(fs: &dyn FileSystem, path: &FsPath) -> Result<Vec<FsPath>> {
    let entries = fs.list(path).await?;
    Ok(entries.into_iter().filter(|e| !e.is_directory).map(|e| e.path).collect())
}

async fn ls(filesystems: &FileSystems, path: &str) -> Result<()> {
    let (fs, path) = filesystems.locate(path)?;
    for entry in fs.list(&path).await? {
        let kind = if entry.is_directory { 'd' } else { '-' };
        println!("{kind}{:o} {} {} {}", entry.permission, entry.owner, entry.length, entry.path);
    }
    Ok(())
}
