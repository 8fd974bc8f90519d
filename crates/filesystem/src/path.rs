//! Names of files: scheme, authority and path, as users of Hadoop and Flink write them.
//!
//! Owns parsing, normal form and the arithmetic of parents and children. Does not know which file systems exist, nor
//! what a name without a scheme means: that is [`crate::Context`]'s.
//!
//! Text is taken literally, as `org.apache.hadoop.fs.Path` does: there is no percent-decoding, so `a b` and `50%` are names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{FsError, Result};

/// A complete, absolute file name: `hdfs://nn:8020/user/ada/x`, `file:/tmp/x`.
///
/// The path part starts with `/`, has no empty, `.` or `..` segment and no trailing slash (the root is `/`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FsPath {
    scheme: String,
    authority: String,
    path: String,
}

/// A file name as written: what was left out is `None` or relative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrittenPath {
    pub(crate) scheme: Option<String>,
    pub(crate) authority: Option<String>,
    pub(crate) path: String,
}

impl WrittenPath {
    /// Splits `text` at the scheme's colon and the authority's slashes; judges nothing but the scheme's shape.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text.contains('\0') {
            return Err(invalid(text, "a path must not be empty nor hold a NUL character"));
        }
        let (scheme, rest) = split_scheme(text)?;
        let (authority, path) = split_authority(rest);
        if scheme.is_some() && !path.is_empty() && !path.starts_with('/') {
            return Err(invalid(
                text,
                "what follows the scheme must start with '/' (for a file with a colon in its name write ./NAME)",
            ));
        }
        Ok(Self { scheme, authority: authority.map(str::to_owned), path: path.to_owned() })
    }
}

/// A scheme is what stands before a colon that comes before any slash (RFC 3986, section 3.1).
fn split_scheme(text: &str) -> Result<(Option<String>, &str)> {
    let Some((before, after)) = text.split_once(':') else {
        return Ok((None, text));
    };
    if before.contains('/') {
        return Ok((None, text));
    }
    let well_formed = before.starts_with(|c: char| c.is_ascii_alphabetic())
        && before.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !well_formed {
        return Err(invalid(text, "what stands before the first colon is not a scheme"));
    }
    Ok((Some(before.to_ascii_lowercase()), after))
}

fn split_authority(rest: &str) -> (Option<&str>, &str) {
    match rest.strip_prefix("//") {
        Some(after) => match after.find('/') {
            Some(slash) => (Some(&after[..slash]), &after[slash..]),
            None => (Some(after), ""),
        },
        None => (None, rest),
    }
}

fn invalid(text: &str, reason: &str) -> FsError {
    FsError::InvalidPath { path: text.to_owned(), reason: reason.to_owned() }
}

impl FsPath {
    /// A name from its parts; `path` is brought into normal form (`..` goes up, and stays at the root).
    pub fn new(scheme: &str, authority: &str, path: &str) -> Self {
        Self { scheme: scheme.to_owned(), authority: authority.to_owned(), path: normalize(path) }
    }

    /// The name of a local file; a relative one counts from the current directory.
    ///
    /// # Errors
    /// [`FsError::InvalidPath`] when the path is empty or not UTF-8, which no other file system could store.
    pub fn local(path: &Path) -> Result<Self> {
        let absolute = std::path::absolute(path)
            .map_err(|error| invalid(&path.display().to_string(), &error.to_string()))?;
        let text = absolute
            .to_str()
            .ok_or_else(|| invalid(&absolute.display().to_string(), "the name is not UTF-8"))?;
        Ok(Self::new("file", "", text))
    }

    /// The scheme, lower case: `hdfs`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// What stands between `//` and the path: `nn:8020`, a name service, a bucket; empty for local files.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The absolute path inside the file system.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last segment; empty for the root.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The directory that holds this file; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.path == "/" {
            return None;
        }
        let cut = self.path.rfind('/').unwrap_or(0).max(1);
        Some(self.with_path(&self.path[..cut]))
    }

    /// The file `relative` under this directory; slashes in it separate segments.
    pub fn join(&self, relative: &str) -> Self {
        self.with_path(&format!("{}/{relative}", self.path))
    }

    /// Another path in the same file system.
    pub fn with_path(&self, path: &str) -> Self {
        Self::new(&self.scheme, &self.authority, path)
    }

    /// The operating system's name for it, when it is local.
    pub fn to_local(&self) -> Option<PathBuf> {
        (self.scheme == "file").then(|| PathBuf::from(&self.path))
    }
}

/// Reads a complete name, as printed; one without a scheme is refused (that is for [`crate::Context::resolve`]).
impl FromStr for FsPath {
    type Err = FsError;

    fn from_str(text: &str) -> Result<Self> {
        let written = WrittenPath::parse(text)?;
        let scheme =
            written.scheme.ok_or_else(|| invalid(text, "it has no scheme such as file: or hdfs:"))?;
        Ok(Self::new(&scheme, &written.authority.unwrap_or_default(), &written.path))
    }
}

/// Printed as Hadoop prints it: `file:/x` with one slash, `hdfs://nn:8020/x`.
impl fmt::Display for FsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if !self.authority.is_empty() {
            write!(f, "//{}", self.authority)?;
        }
        f.write_str(&self.path)
    }
}

fn normalize(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> (Option<String>, Option<String>, String) {
        let w = WrittenPath::parse(text).unwrap();
        (w.scheme, w.authority, w.path)
    }

    #[test]
    fn the_usual_ways_to_write_a_path() {
        let s = |text: &str| Some(text.to_owned());
        assert_eq!(written("hdfs://nn:8020/a/b"), (s("hdfs"), s("nn:8020"), "/a/b".into()));
        assert_eq!(written("HDFS:///a"), (s("hdfs"), s(""), "/a".into()));
        assert_eq!(written("hdfs://nn"), (s("hdfs"), s("nn"), String::new()));
        assert_eq!(written("file:/a:b/c"), (s("file"), None, "/a:b/c".into()));
        assert_eq!(written("/plain/a:b"), (None, None, "/plain/a:b".into()));
        assert_eq!(written("./part:1"), (None, None, "./part:1".into()));
        assert_eq!(written("relative/x"), (None, None, "relative/x".into()));
    }

    #[test]
    fn what_cannot_be_a_path_says_why() {
        for text in ["", "hdfs:relative", "a b:/c", "1:/x", "x\0y"] {
            let error = WrittenPath::parse(text).unwrap_err();
            assert!(matches!(error, FsError::InvalidPath { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn parents_children_and_names() {
        let path = FsPath::new("hdfs", "nn:1", "//a/./b/../c//");
        assert_eq!(path.to_string(), "hdfs://nn:1/a/c");
        assert_eq!((path.name(), path.parent().unwrap().path()), ("c", "/a"));
        assert_eq!(path.parent().unwrap().parent().unwrap().path(), "/");
        assert_eq!(FsPath::new("file", "", "/").parent(), None);
        assert_eq!(path.join("d/e").path(), "/a/c/d/e");
        assert_eq!(FsPath::new("file", "", "/x").to_string(), "file:/x");
        assert_eq!(FsPath::new("file", "", "/../..").path(), "/");
    }

    proptest! {
        #[test]
        fn a_printed_path_reads_back_the_same(authority in "[a-z]{0,5}", path in "[a-z./: %]{0,20}") {
            let original = FsPath::new("hdfs", &authority, &path);
            prop_assert_eq!(original.to_string().parse::<FsPath>().unwrap(), original);
        }

        #[test]
        fn a_child_is_under_its_parent(base in "/[a-z/]{0,10}", name in "[a-z]{1,5}") {
            let parent = FsPath::new("file", "", &base);
            let child = parent.join(&name);
            prop_assert_eq!(child.name(), name);
            prop_assert_eq!(child.parent(), Some(parent));
        }
    }
}
