//! The file in which `yarn-session` leaves the id of the session that it started, for later calls of `flink`:
//! `<yarn.properties-file.location>/.yarn-properties-<user>`, a Java properties file.

use anyhow::{Context, Result, bail};
use jiff::Zoned;
use kvick_core::config::{Configuration, options};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const APPLICATION_ID: &str = "applicationID";
const DYNAMIC: &str = "dynamicPropertiesString";
/// Between two dynamic properties.
const SEPARATOR: &str = "@@";

/// A session that was left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionProperties {
    /// The file.
    pub path: PathBuf,
    /// The application: `application_<timestamp>_<number>`.
    pub application_id: String,
    /// The dynamic properties that the session was started with.
    pub dynamic: Configuration,
}

/// Where the file is for this user.
pub fn location(config: &Configuration) -> Result<PathBuf> {
    let dir = config.get(&options::YARN_PROPERTIES_LOCATION)?.map_or_else(std::env::temp_dir, PathBuf::from);
    Ok(dir.join(format!(".yarn-properties-{}", crate::user::system_user())))
}

/// Reads the file; `None` where there is none.
///
/// # Errors
/// The file is there and does not name an application.
pub fn read(path: &Path) -> Result<Option<SessionProperties>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => {
            return Err(e)
                .with_context(|| format!("Cannot read the YARN properties file {}", path.display()));
        }
    };
    let pairs = parse(&text);
    let value = |key: &str| pairs.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
    let Some(application_id) = value(APPLICATION_ID) else {
        bail!(
            "Yarn properties file found but doesn't contain a Yarn application id. Please delete the file at {}",
            path.display()
        );
    };
    if !is_application_id(application_id) {
        bail!(
            "YARN properties contain an invalid entry for application id: {application_id}. Please delete the file at {}",
            path.display()
        );
    }
    let dynamic = split_dynamic(value(DYNAMIC).unwrap_or_default());
    Ok(Some(SessionProperties {
        path: path.to_path_buf(),
        application_id: application_id.to_string(),
        dynamic,
    }))
}

/// `application_<timestamp>_<number>`.
fn is_application_id(text: &str) -> bool {
    let numbers = text.strip_prefix("application_").and_then(|rest| rest.split_once('_'));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    numbers.is_some_and(|(timestamp, id)| number(timestamp) && number(id))
}

/// Writes the file, readable for everybody: other tools of the user's look for it.
///
/// # Errors
/// It cannot be written.
pub fn write(properties: &SessionProperties) -> Result<()> {
    let path = &properties.path;
    let failed = || format!("Error writing the properties file {}", path.display());
    let pairs: Vec<String> = properties.dynamic.0.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let text = format!(
        "#Generated YARN properties file\n#{}\n{}{}",
        Zoned::now().strftime("%a %b %d %H:%M:%S %Z %Y"),
        pair(APPLICATION_ID, &properties.application_id),
        pair(DYNAMIC, &pairs.join(SEPARATOR)),
    );
    fs::write(path, text).with_context(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).with_context(failed)
}

/// Deletes the file if it names this application; whether it did.
pub fn delete(path: &Path, application_id: &str) -> bool {
    let names_it = matches!(read(path), Ok(Some(found)) if found.application_id == application_id);
    names_it && fs::remove_file(path).is_ok()
}

fn pair(key: &str, value: &str) -> String {
    format!("{}={}\n", escape(key, true), escape(value, false))
}

/// As `Properties.store` escapes: `=`, `:`, `#`, `!`, backslashes, white space, and what is not Latin-1 text.
fn escape(text: &str, key: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (index, c) in text.chars().enumerate() {
        match c {
            ' ' if key || index == 0 => escaped.push_str("\\ "),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\\' | '=' | ':' | '#' | '!' => escaped.extend(['\\', c]),
            ' '..='~' => escaped.push(c),
            other => {
                let mut units = [0; 2];
                for unit in other.encode_utf16(&mut units) {
                    escaped.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
    escaped
}

/// As `Properties.load` reads: comments, continued lines, `key=value`, `key:value` or `key value`, escapes.
fn parse(text: &str) -> Vec<(String, String)> {
    logical_lines(text).iter().map(|line| parse_pair(line)).collect()
}

fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut continued = false;
    for line in text.lines() {
        let line = line.trim_start();
        if !continued && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let open = line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1;
        let content = if open { &line[..line.len() - 1] } else { line };
        match lines.last_mut() {
            Some(last) if continued => last.push_str(content),
            _ => lines.push(content.to_string()),
        }
        continued = open;
    }
    lines
}

fn parse_pair(line: &str) -> (String, String) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let ends = !escaped && (matches!(c, '=' | ':') || c.is_whitespace());
        escaped = !escaped && *c == '\\';
        ends
    });
    let Some((end, _)) = end else { return (unescape(line), String::new()) };
    let value = line[end..].trim_start();
    let value = value.strip_prefix(['=', ':']).unwrap_or(value).trim_start();
    (unescape(&line[..end]), unescape(value))
}

fn unescape(text: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    let mut buffer = [0; 2];
    while let Some(c) = chars.next() {
        let plain = match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&digits, 16).unwrap_or(0xfffd));
                    continue;
                }
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut buffer));
    }
    String::from_utf16_lossy(&units)
}

fn split_dynamic(text: &str) -> Configuration {
    text.split(SEPARATOR).filter_map(|pair| pair.split_once('=')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(dir: &Path, dynamic: &[(&str, &str)]) -> SessionProperties {
        SessionProperties {
            path: dir.join(".yarn-properties-ada"),
            application_id: "application_1795246407314_0015".to_string(),
            dynamic: dynamic.iter().copied().collect(),
        }
    }

    #[test]
    fn what_is_written_is_read_with_every_character() {
        let dir = tempfile::tempdir().unwrap();
        let written = session(dir.path(), &[("a.url", "hdfs://nn:9000/x=1 #!\\ ü😀"), ("b", "2")]);
        write(&written).unwrap();
        assert_eq!(read(&written.path).unwrap(), Some(written.clone()));
        let text = fs::read_to_string(&written.path).unwrap();
        assert!(text.starts_with("#Generated YARN properties file\n#"), "{text}");
        assert!(text.contains("a.url\\=hdfs\\://nn\\:9000"), "{text}");
        assert_eq!(fs::metadata(&written.path).unwrap().permissions().mode() & 0o777, 0o644);
    }

    #[test]
    fn flinks_own_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        fs::write(
            &path,
            "#Generated YARN properties file\n#Sat Nov 21 07:45:39 UTC 2026\nparallelism=4\n\
             dynamicPropertiesString=a\\=b@@c\\=d\\:e\napplicationID=application_1795246407314_0015\n",
        )
        .unwrap();
        let found = read(&path).unwrap().unwrap();
        assert_eq!(found.application_id, "application_1795246407314_0015");
        assert_eq!(found.dynamic, [("a", "b"), ("c", "d:e")].into_iter().collect());
    }

    #[test]
    fn a_broken_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        let failure = |text: &str| {
            fs::write(&path, text).unwrap();
            read(&path).unwrap_err().to_string()
        };
        let at = format!("Please delete the file at {}", path.display());
        assert_eq!(
            failure("x=y\n"),
            format!("Yarn properties file found but doesn't contain a Yarn application id. {at}")
        );
        assert_eq!(
            failure("applicationID=app_1\n"),
            format!("YARN properties contain an invalid entry for application id: app_1. {at}")
        );
        assert_eq!(read(&dir.path().join("absent")).unwrap(), None);
    }

    #[test]
    fn only_the_own_sessions_file_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let written = session(dir.path(), &[]);
        write(&written).unwrap();
        assert!(!delete(&written.path, "application_1_0001"));
        assert!(delete(&written.path, &written.application_id));
        assert!(!written.path.exists());
    }
}
