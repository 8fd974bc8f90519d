//! `META-INF/MANIFEST.MF`: the JAR File Specification's format — `Name: value` lines of at most 72 bytes, continued by a
//! leading space, sections separated by empty lines.

use std::fmt::Write as _;

/// The longest line, in bytes, without its line break.
const MAX_LINE: usize = 72;

/// A program in a jar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry point that it is.
    pub entry: String,
    /// The target triple that it was built for.
    pub target: String,
    /// Its path in the jar.
    pub path: String,
    /// SHA-256 of it, 64 hexadecimal digits.
    pub sha256: String,
    /// The glibc that it needs, as `2.36`; empty if none.
    pub glibc: String,
}

/// What a jar says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// The entry point to take when `-c` names none.
    pub main_class: Option<String>,
    /// The version of the kvick crate; a jar without it is a Java jar.
    pub engine_version: Option<String>,
    /// The programs.
    pub entries: Vec<Entry>,
}

impl Manifest {
    /// Reads a manifest. Attributes that mean nothing here are passed over, as the specification asks.
    pub fn parse(text: &str) -> Manifest {
        let mut manifest = Manifest::default();
        for section in sections(text) {
            let get = |name: &str| attribute(&section, name);
            match get("Name") {
                None => {
                    manifest.main_class = manifest.main_class.or(get("Main-Class"));
                    manifest.engine_version = manifest.engine_version.or(get("Kvick-Engine-Version"));
                }
                Some(path) => {
                    if let (Some(entry), Some(target)) = (get("Kvick-Entry"), get("Kvick-Target")) {
                        let sha256 = get("SHA-256").unwrap_or_default();
                        let glibc = get("Kvick-Glibc").unwrap_or_default();
                        manifest.entries.push(Entry { entry, target, path, sha256, glibc });
                    }
                }
            }
        }
        manifest
    }

    /// Writes a manifest.
    pub fn write(&self) -> String {
        let mut text = String::new();
        attribute_line(&mut text, "Manifest-Version", "1.0");
        attribute_line(&mut text, "Created-By", concat!("kvick ", env!("CARGO_PKG_VERSION")));
        for (name, value) in
            [("Main-Class", &self.main_class), ("Kvick-Engine-Version", &self.engine_version)]
        {
            if let Some(value) = value {
                attribute_line(&mut text, name, value);
            }
        }
        for entry in &self.entries {
            text.push_str("\r\n");
            attribute_line(&mut text, "Name", &entry.path);
            attribute_line(&mut text, "Kvick-Entry", &entry.entry);
            attribute_line(&mut text, "Kvick-Target", &entry.target);
            attribute_line(&mut text, "SHA-256", &entry.sha256);
            attribute_line(&mut text, "Kvick-Glibc", &entry.glibc);
        }
        text.push_str("\r\n");
        text
    }

    /// The names of the entry points, each once.
    pub fn entry_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.entries.iter().map(|e| e.entry.clone()).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// The sections of a manifest, each a list of attributes, with continued lines joined.
fn sections(text: &str) -> Vec<Vec<(String, String)>> {
    let mut sections: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for line in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        let last = sections.len() - 1;
        if line.is_empty() {
            if !sections[last].is_empty() {
                sections.push(Vec::new());
            }
        } else if let Some(rest) = line.strip_prefix(' ') {
            if let Some((_, value)) = sections[last].last_mut() {
                value.push_str(rest);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            let value = value.strip_prefix(' ').unwrap_or(value);
            sections[last].push((name.to_string(), value.to_string()));
        }
    }
    sections
}

/// Attribute names are compared without regard to case.
fn attribute(section: &[(String, String)], name: &str) -> Option<String> {
    let found = section.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(found.1.trim().to_string())
}

fn attribute_line(text: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    let line = format!("{name}: {value}");
    let mut room = MAX_LINE;
    for character in line.chars() {
        if character.len_utf8() > room {
            text.push_str("\r\n ");
            room = MAX_LINE - 1;
        }
        room -= character.len_utf8();
        // Writing into a string cannot fail.
        let _ = write!(text, "{character}");
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifest(name: &str) -> Manifest {
        let entry = Entry {
            entry: name.to_string(),
            target: "x86_64-unknown-linux-gnu".to_string(),
            path: format!("bin/x86_64-unknown-linux-gnu/{name}"),
            sha256: "0".repeat(64),
            glibc: "2.34".to_string(),
        };
        Manifest {
            main_class: Some(name.to_string()),
            engine_version: Some("0.1.0".to_string()),
            entries: vec![entry],
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(name in "[a-zA-Zäöü0-9_.-]{1,200}") {
            let text = manifest(&name).write();
            prop_assert!(text.lines().all(|line| line.len() <= MAX_LINE));
            prop_assert_eq!(Manifest::parse(&text), manifest(&name));
        }

        #[test]
        fn no_text_makes_reading_panic(text in any::<String>()) {
            Manifest::parse(&text);
        }
    }

    #[test]
    fn a_java_manifest_has_no_engine_version() {
        let text =
            "Manifest-Version: 1.0\nmain-class: org.apache.flink.streaming.examples.wordcount.WordC\n ount\n";
        let manifest = Manifest::parse(text);
        assert_eq!(
            manifest.main_class.as_deref(),
            Some("org.apache.flink.streaming.examples.wordcount.WordCount")
        );
        assert_eq!(manifest.engine_version, None);
    }
}
