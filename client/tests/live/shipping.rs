//! Where the files of containers come from and what YARN is told of an application.

use crate::place::{Ended, HdfsDir, Place, Session, containers, dist, example, report, until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn session<'a>(place: &'a Place, options: &str) -> (Session<'a>, Ended) {
    let started = place.run(&format!("yarn-session -d {options}"));
    let started = started.ok();
    (Session { place, id: started.application().to_string() }, started)
}

/// Both kinds of containers, once a job has made YARN start a second one.
fn both_containers(session: &Session) -> Vec<PathBuf> {
    session.place.run(&format!("run -d {}", example("streaming/TopSpeedWindowing.jar"))).ok();
    until("a container for a task executor", || {
        let found = containers(&session.id);
        (found.len() >= 2 && found.iter().all(|dir| dir.join("launch_container.sh").exists()))
            .then_some(found)
    })
}

fn linked(container: &Path, name: &str) -> String {
    let path = container.join(name);
    until(&format!("the text of {}", path.display()), || fs::read_to_string(&path).ok())
}

/// An archive with one file.
fn archive(place: &Place) -> PathBuf {
    place.file("inside.txt", "from an archive");
    let path = place.dir.path().join("pack.tar.gz");
    let mut tar = Command::new("tar");
    let packed = tar.arg("czf").arg(&path).arg("-C").arg(place.dir.path()).arg("inside.txt");
    assert!(packed.status().expect("tar").success());
    path
}

pub fn shipped_files_are_in_every_container() {
    let place = Place::new();
    let hdfs = HdfsDir::new("ship");
    let remote = hdfs.put("remote.txt", b"from hdfs".to_vec());
    hdfs.put("remote-dir/sub/leaf.txt", b"from a directory of hdfs".to_vec());
    let note = place.file("note.txt", "from here");
    place.file("data/deep/b.txt", "from a directory");
    let options = format!(
        "-Dyarn.ship-files={};{};{remote};{}/remote-dir -Dyarn.ship-archives={}",
        note.display(),
        place.dir.path().join("data").display(),
        hdfs.root,
        archive(&place).display(),
    );
    let (session, _) = session(&place, &options);
    for container in both_containers(&session) {
        for (name, text) in [
            ("note.txt", "from here"),
            ("data/deep/b.txt", "from a directory"),
            ("remote.txt", "from hdfs"),
            ("remote-dir/sub/leaf.txt", "from a directory of hdfs"),
            ("pack.tar.gz/inside.txt", "from an archive"),
        ] {
            assert_eq!(linked(&container, name), text, "{}", container.display());
        }
    }
}

pub fn provided_libraries_are_not_uploaded_and_shared_by_all_users() {
    let place = Place::new();
    let hdfs = HdfsDir::new("provided");
    for program in ["kvick-appmaster", "kvick-taskexecutor"] {
        hdfs.put(
            &format!("dist/lib/{program}"),
            fs::read(dist().join("lib").join(program)).expect("a program"),
        );
    }
    // A distribution may have been built without it.
    let plugin = "libkvick_state_rocksdb.so";
    if let Ok(content) = fs::read(dist().join("plugins").join(plugin)) {
        hdfs.put(&format!("dist/lib/{plugin}"), content);
    }
    hdfs.put("dist/plugins/own/extra.txt", b"beside the programs".to_vec());
    let staging = hdfs.root.join("staging");
    let options = format!("-Dyarn.provided.lib.dirs={}/dist -Dyarn.staging-directory={staging}", hdfs.root);
    let (session, started) = session(&place, &options);
    assert!(!started.stdout.contains("Uploading"), "{}", started.stdout);
    let uploaded = hdfs.files("staging/.flink/cache");
    assert!(uploaded.is_empty(), "{uploaded:?}");
    for container in both_containers(&session) {
        assert_eq!(linked(&container, "plugins/own/extra.txt"), "beside the programs");
        let program = ["kvick-appmaster", "kvick-taskexecutor"].map(|name| container.join(name));
        let program = program.iter().find_map(|path| fs::read_link(path).ok()).expect("a program");
        assert!(!program.to_string_lossy().contains("usercache"), "not public: {}", program.display());
    }
}

pub fn the_staging_directory_and_the_number_of_copies_are_as_asked() {
    let place = Place::new();
    let hdfs = HdfsDir::new("staging");
    let options = format!("-Dyarn.staging-directory={} -Dyarn.file-replication=2", hdfs.root);
    let (session, started) = session(&place, &options);
    assert!(started.stdout.contains("Uploading kvick-appmaster ("), "{}", started.stdout);
    let files = hdfs.files(".flink");
    for program in ["kvick-appmaster", "kvick-taskexecutor"] {
        let found = files.iter().find(|(path, _)| path.starts_with("cache/") && path.ends_with(program));
        assert_eq!(found.map(|(_, copies)| *copies), Some(Some(2)), "{program}: {files:?}");
    }
    assert!(files.iter().any(|(path, _)| path.starts_with(&session.id)), "{files:?}");
    place.run(&format!("run -d {}", example("batch/WordCount.jar"))).ok();
    let jar = hdfs.files(".flink/cache").into_iter().find(|(path, _)| path.ends_with("/WordCount.jar"));
    assert_eq!(jar.map(|(_, copies)| copies), Some(Some(2)));

    let again = place.run(&format!("run -m yarn-cluster {options} {}", example("batch/WordCount.jar"))).ok();
    assert!(!again.stdout.contains("Uploading"), "{}", again.stdout);
    until("the directory of the ended application goes", || {
        let left = hdfs.files(".flink");
        (!left.iter().any(|(path, _)| path.starts_with(again.application()))).then_some(())
    });
}

pub fn yarn_knows_the_application_as_it_was_labelled() {
    let place = Place::new();
    let options =
        "-nm labelled -at Own -qu root.default -Dyarn.tags=alpha,beta -Dyarn.application.priority=0";
    let (session, _) = session(&place, options);
    let mut report = report(&session.id);
    report.tags.sort();
    assert_eq!(report.tags, ["alpha", "beta"]);
    assert_eq!((report.name.as_str(), report.application_type.as_str()), ("labelled", "Own"));
    assert_eq!(report.queue.rsplit('.').next(), Some("default"));

    // YARN refuses a label that no node has, so it has been told.
    let refused = place.run("yarn-session -d -nl nosuchlabel");
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains("InvalidLabelResourceRequestException"), "{}", refused.stderr);
}

pub fn a_local_run_has_the_parallelism_that_it_was_given() {
    let place = Place::new();
    let jar = example("batch/WordCount.jar");
    let two = place.run(&format!("run -t local -p 2 {jar}")).ok();
    for prefix in ["1> ", "2> "] {
        assert!(two.stdout.lines().any(|line| line.starts_with(prefix)), "{prefix}: {}", two.stdout);
    }
    let one = place.run(&format!("run -t local -p 1 {jar}")).ok();
    assert!(!one.stdout.contains("1> "), "{}", one.stdout);
    assert!(one.stdout.contains("Program execution finished"), "{}", one.stdout);
}
