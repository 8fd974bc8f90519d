//! Jars as a person meets them: packed, chosen from, unpacked, damaged, or not ours at all.

#![allow(clippy::unwrap_used)]

use kvick_jar::{HOST_TARGET, Jar, JarError, PackEntry, PackSpec, pack};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn program(dir: &Path, name: &str, says: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\necho {says}\n")).unwrap();
    path
}

fn entry(entry: &str, target: &str, program: PathBuf) -> PackEntry {
    PackEntry { entry: entry.into(), target: target.into(), program }
}

fn packed(dir: &Path) -> PathBuf {
    let jar = dir.join("job.jar");
    let data = dir.join("data.txt");
    fs::write(&data, "extra").unwrap();
    let spec = PackSpec {
        main_class: Some("WordCount".into()),
        entries: vec![
            entry("WordCount", HOST_TARGET, program(dir, "a", "counting")),
            entry("Other", HOST_TARGET, program(dir, "b", "other")),
            entry("Elsewhere", "sparc-unknown-linux", program(dir, "c", "never")),
        ],
        files: vec![("conf/data.txt".into(), data)],
    };
    pack(&spec, &jar).unwrap();
    jar
}

fn run(path: &Path) -> String {
    String::from_utf8(Command::new(path).output().unwrap().stdout).unwrap()
}

#[test]
fn the_main_class_or_the_one_that_was_asked_for_is_unpacked_and_runs() {
    let dir = tempfile::tempdir().unwrap();
    let jar = Jar::open(&packed(dir.path())).unwrap();
    for (asked, said) in
        [(None, "counting\n"), (Some("Other"), "other\n"), (Some("com.example.Other"), "other\n")]
    {
        let to = dir.path().join("unpacked");
        for _ in 0..2 {
            let selected = jar.select(asked, HOST_TARGET).unwrap();
            assert_eq!(run(&jar.unpack(&selected, &to).unwrap()), said);
        }
        assert_eq!(fs::read_to_string(to.join("conf/data.txt")).unwrap(), "extra");
    }
}

#[test]
fn the_same_programs_make_the_same_jar() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(fs::read(packed(one.path())).unwrap(), fs::read(packed(two.path())).unwrap());
}

#[test]
fn what_is_not_in_the_jar_is_said_with_what_is() {
    let dir = tempfile::tempdir().unwrap();
    let jar = Jar::open(&packed(dir.path())).unwrap();
    let text = jar.select(Some("no.such.Main"), HOST_TARGET).unwrap_err().to_string();
    assert!(text.contains("'no.such.Main'") && text.contains("Elsewhere, Other, WordCount"), "{text}");
    let text = jar.select(Some("Elsewhere"), HOST_TARGET).unwrap_err().to_string();
    assert!(text.contains("for sparc-unknown-linux") && text.contains(HOST_TARGET), "{text}");
}

#[test]
fn missing_foreign_and_damaged_files_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    assert!(matches!(Jar::open(&path("none.jar")), Err(JarError::NotFound(_))));
    assert!(matches!(Jar::open(dir.path()), Err(JarError::NotAFile(_))));
    fs::write(path("text.jar"), "not a zip").unwrap();
    assert!(matches!(Jar::open(&path("text.jar")), Err(JarError::NotAZip { .. })));
    let whole = fs::read(packed(dir.path())).unwrap();
    fs::write(path("half.jar"), &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(Jar::open(&path("half.jar")), Err(JarError::NotAZip { .. })));
}

/// A zip with these files, made without our own code.
fn zip_of(path: &Path, files: &[(&str, &str)]) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, content) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, content.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

fn manifest(path: &str, engine: &str) -> String {
    format!(
        "Manifest-Version: 1.0\r\nKvick-Engine-Version: {engine}\r\n\r\nName: {path}\r\nKvick-Entry: Job\r\nKvick-Target: \
         {HOST_TARGET}\r\nSHA-256: {}\r\n\r\n",
        "0".repeat(64)
    )
}

#[test]
fn a_program_that_is_not_what_the_manifest_states_is_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("swapped.jar");
    zip_of(
        &path,
        &[
            ("META-INF/MANIFEST.MF", &manifest("bin/job", kvick_jar::ENGINE_VERSION)),
            ("bin/job", "#!/bin/sh"),
        ],
    );
    let jar = Jar::open(&path).unwrap();
    let unpacked = jar.unpack(&jar.select(None, HOST_TARGET).unwrap(), &dir.path().join("to"));
    assert!(matches!(unpacked, Err(JarError::Corrupt { .. })), "{unpacked:?}");
    assert!(!dir.path().join("to/Job").exists());
}

#[test]
fn a_name_that_leads_out_of_the_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("evil.jar");
    let manifest = manifest("bin/job", kvick_jar::ENGINE_VERSION);
    zip_of(&path, &[("META-INF/MANIFEST.MF", &manifest), ("../escaped", "x"), ("bin/job", "x")]);
    let jar = Jar::open(&path).unwrap();
    assert!(jar.unpack(&jar.select(None, HOST_TARGET).unwrap(), &dir.path().join("to")).is_err());
    assert!(!dir.path().join("escaped").exists());
}

#[test]
fn a_jar_of_another_engine_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.jar");
    zip_of(&path, &[("META-INF/MANIFEST.MF", &manifest("bin/job", "77.0.0")), ("bin/job", "x")]);
    let text = Jar::open(&path).unwrap().select(None, HOST_TARGET).unwrap_err().to_string();
    assert!(text.contains("77.0.0") && text.contains(kvick_jar::ENGINE_VERSION), "{text}");
}

#[test]
fn a_java_jar_is_told_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("java.jar");
    let manifest = "Manifest-Version: 1.0\r\nMain-Class: a.B\r\n\r\n";
    zip_of(&path, &[("META-INF/MANIFEST.MF", manifest), ("a/B.class", "cafebabe")]);
    let text = Jar::open(&path).unwrap_err().to_string();
    assert!(text.contains("is a Java jar") && text.contains("cargo kvick jar"), "{text}");
}
