//! Programs that ask about their jobs: under the `flink` command, in application mode, and from outside of any against a
//! session's REST API.

use kvick_integration::cluster::{KilledAtEnd, application, ended, rest, user};
use kvick_integration::command::{Ran, flink, fs, required, run, yarn_session};
use kvick_integration::expect::application_has;
use kvick_integration::hdfs::HdfsDir;
use kvick_integration::http::json;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the program prints when all goes well.
#[track_caller]
fn all_was_answered(ran: &Ran, dir: &HdfsDir) {
    let line = |start: &str| ran.out.lines().find_map(|line| line.strip_prefix(start)).map(str::to_string);
    assert_eq!(line("squares ").as_deref(), Some("385"), "{}", ran.out);
    let paths = [line("taken "), line("stopped ")].map(|path| path.unwrap_or_else(|| panic!("{}", ran.out)));
    assert_ne!(paths[0], paths[1]);
    for path in paths {
        assert!(path.starts_with(&dir.path("savepoints")), "{path}");
        fs(&["ls", &format!("{path}/_metadata")]).ok();
    }
    assert_eq!(line("ended ").as_deref(), Some("Finished"), "{}", ran.out);
}

#[test]
fn under_the_flink_command_in_a_session_and_from_outside() {
    let session = yarn_session(["-d", "-s", "2", "-jm", "1024", "-tm", "1024"]).ok().application();
    let _end = KilledAtEnd(session.clone());
    let (jar, dir) = (required("KVICK_TEST_JOBS"), HdfsDir::new("asks"));
    let savepoints = dir.path("savepoints");
    let ran = flink(["run", "-yid", &session, "-c", "asks", &jar, "--savepoints", &savepoints]).ok();
    all_was_answered(&ran, &dir);

    // The same program, started by nobody but a person.
    let outside = HdfsDir::new("asks-outside");
    let directory = tempfile::tempdir().expect("no temporary directory");
    let program = program_of(Path::new(&jar), "asks", directory.path());
    let address = rest(&session);
    let (host, port) = address.trim_start_matches("http://").split_once(':').expect("host:port");
    let mut command = Command::new(program);
    command.args([
        "--host",
        host,
        "--port",
        port,
        "--jar",
        &jar,
        "--savepoints",
        &outside.path("savepoints"),
    ]);
    all_was_answered(&run(&mut command).ok(), &outside);
    let jobs = json(&format!("{address}/jobs/overview"))["jobs"].clone();
    assert_eq!(jobs.as_array().map(Vec::len), Some(4), "{jobs:#}");
}

/// Takes a program out of a jar.
fn program_of(jar: &Path, name: &str, into: &Path) -> PathBuf {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(jar).expect("no jar")).expect("no zip");
    let count = archive.len();
    let mut named = |index: &usize| {
        let entry = archive.by_index(*index).expect("no entry");
        entry.name().expect("no name").rsplit('/').next() == Some(name)
    };
    let index = (0..count).find(&mut named).expect("no such program");
    let mut bytes = Vec::new();
    archive.by_index(index).expect("no entry").read_to_end(&mut bytes).expect("it cannot be read");
    let path = into.join(name);
    std::fs::write(&path, bytes).expect("it cannot be written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
        .expect("it cannot be made a program");
    path
}

#[test]
fn in_application_mode() {
    let (jar, dir) = (required("KVICK_TEST_JOBS"), HdfsDir::new("asks-application"));
    let savepoints = dir.path("savepoints");
    let line = ["run-application", "-t", "yarn-application", "-c", "asks", &jar, "--savepoints", &savepoints];
    let id = flink(line).ok().application();
    application_has(&ended(&id), &[("finalStatus", "SUCCEEDED"), ("user", &user())]);
    assert_eq!(application(&id)["state"], "FINISHED");
    let taken = fs(&["ls", &savepoints]).ok().out;
    assert_eq!(taken.lines().filter(|line| line.contains("savepoint-")).count(), 2, "{taken}");
}
