//! The file system against a real HDFS, where nothing is broken. `KVICK_LIVE=1` and `cluster.sh env` are needed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::io::{Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Scratch, context, live, namenode, timed};
use kvick_filesystem::cache::{Upload, UploadOptions};
use kvick_filesystem::output::OutputFile;
use kvick_filesystem::splits::{SplitOptions, input_files_blocking, split};
use kvick_filesystem::staging::Staging;
use kvick_filesystem::{Context, CreateOptions, FileSystems, FsError, FsPath, blocking, lines};

#[tokio::test]
async fn files_are_written_read_renamed_and_deleted() {
    if !live() {
        return;
    }
    let s = Scratch::new("basics").await;
    let (fs, path) = (&s.fs, s.root.join("a b%/x"));
    let content: Bytes = (0..3_000_000_u32).map(|i| (i % 253) as u8).collect::<Vec<_>>().into();
    fs.write(&path, content.clone(), &CreateOptions::default().mode(0o640)).await.unwrap();
    let status = fs.stat(&path).await.unwrap();
    assert_eq!((status.length, status.permission, status.replication), (3_000_000, 0o640, Some(1)));
    assert_eq!(status.owner, fs.user());
    assert!(status.modification_time > 1_700_000_000_000);
    assert_eq!(fs.read(&path).await.unwrap(), content);
    let reader = fs.open(&path).await.unwrap();
    assert_eq!(reader.read_at(2_999_990..9_999_999).await.unwrap(), content.slice(2_999_990..));
    assert!(reader.read_at(5_000_000..6_000_000).await.unwrap().is_empty());

    let exclusive = fs.write(&path, content.clone(), &CreateOptions::default()).await.unwrap_err();
    assert!(exclusive.is_already_exists(), "{exclusive}");
    fs.write(&path, Bytes::from_static(b"new"), &CreateOptions::overwriting()).await.unwrap();
    fs.write(&s.root.join("fresh"), Bytes::from_static(b"f"), &CreateOptions::overwriting()).await.unwrap();

    let other = s.root.join("y");
    fs.rename(&path, &other, false).await.unwrap();
    let taken = fs.rename(&s.root.join("fresh"), &other, false).await.unwrap_err();
    assert!(taken.is_already_exists() && taken.to_string().ends_with("/y: it exists already"), "{taken}");
    fs.rename(&s.root.join("fresh"), &other, true).await.unwrap();
    assert_eq!(fs.read(&other).await.unwrap(), &b"f"[..]);
    let gone = fs.rename(&path, &other, true).await.unwrap_err();
    assert!(gone.is_not_found(), "{gone}");

    let names: Vec<_> =
        fs.list(&s.root).await.unwrap().iter().map(|entry| entry.path.name().to_owned()).collect();
    assert_eq!(names, ["a b%", "y"]);
    assert_eq!(fs.list(&other).await.unwrap()[0].path, other);
    assert!(matches!(fs.delete(&s.root, false).await, Err(FsError::DirectoryNotEmpty { .. })));
    assert!(!fs.delete(&path, false).await.unwrap());
    s.remove().await;
}

#[tokio::test]
async fn modes_replication_and_home() {
    if !live() {
        return;
    }
    let s = Scratch::new("modes").await;
    let secret = s.root.join("one/two");
    s.fs.mkdirs(&secret, 0o700).await.unwrap();
    s.fs.mkdirs(&secret, 0o755).await.unwrap();
    assert_eq!(s.fs.stat(&secret).await.unwrap().permission, 0o700);
    s.fs.set_permission(&secret, 0o711).await.unwrap();
    assert_eq!(s.fs.stat(&secret).await.unwrap().permission, 0o711);
    let file = secret.join("f");
    s.fs.write(&file, Bytes::new(), &CreateOptions::default().replication(Some(2))).await.unwrap();
    assert_eq!(s.fs.stat(&file).await.unwrap().replication, Some(2));
    s.fs.set_replication(&file, 1).await.unwrap();
    assert_eq!(s.fs.stat(&file).await.unwrap().replication, Some(1));
    assert!(s.fs.exists(&s.fs.home_directory()).await.unwrap(), "cluster.sh makes {}", s.fs.home_directory());
    s.remove().await;
}

#[tokio::test]
async fn errors_name_the_path_and_say_what_happened() {
    if !live() {
        return;
    }
    let s = Scratch::new("errors").await;
    let missing = s.root.join("missing");
    for error in [
        s.fs.stat(&missing).await.err().unwrap(),
        s.fs.open(&missing).await.err().unwrap(),
        s.fs.list(&missing).await.err().unwrap(),
    ] {
        assert!(error.is_not_found() && error.to_string().contains(&missing.to_string()), "{error}");
    }
    assert!(
        matches!(s.fs.open(&s.root).await, Err(FsError::IsADirectory { .. })),
        "{:?}",
        s.fs.open(&s.root).await.err()
    );
    s.fs.write(&missing, Bytes::new(), &CreateOptions::default()).await.unwrap();
    let under_a_file = s.fs.mkdirs(&missing.join("child"), 0o755).await.unwrap_err();
    assert!(matches!(under_a_file, FsError::NotADirectory { .. }), "{under_a_file}");

    let stranger = Context { user: Some("mallory".into()), ..context(&namenode()) };
    let (fs, path) = FileSystems::new(stranger).locate(&s.root.join("theirs").to_string()).unwrap();
    let denied = fs.write(&path, Bytes::new(), &CreateOptions::default()).await.unwrap_err();
    assert!(matches!(&denied, FsError::PermissionDenied { user, .. } if user == "mallory"), "{denied}");
    assert!(!denied.to_string().contains("\tat "), "{denied}");
    s.remove().await;
}

/// How long a close takes at least where the client is left to its own sleep.
const FALLBACK: Duration = Duration::from_millis(500);

/// Closing right after writing would take longer than that each.
#[tokio::test]
async fn small_files_close_quickly() {
    if !live() {
        return;
    }
    let s = Scratch::new("close").await;
    let mut times = Vec::new();
    for (number, size) in [5, 5, 5, 1000, 100_000, 5, 5_000_000, 5, 5].into_iter().enumerate() {
        let path = s.root.join(&number.to_string());
        let mut writer = s.fs.create(&path, &CreateOptions::default()).await.unwrap();
        writer.write(vec![1; size].into()).await.unwrap();
        if number == 5 {
            writer.sync().await.unwrap();
            assert_eq!(s.fs.stat(&path).await.unwrap().length, 5, "synced data can be seen");
        }
        let (closed, time) = timed(writer.close()).await;
        closed.unwrap();
        writer.close().await.unwrap();
        assert_eq!(s.fs.read(&path).await.unwrap().len(), size);
        times.push(time);
    }
    eprintln!("closing took {times:?}");
    times.sort();
    assert!(times[times.len() / 2] < FALLBACK, "{times:?}");
    s.remove().await;
}

#[tokio::test]
async fn exactly_one_of_many_exclusive_creations_succeeds() {
    if !live() {
        return;
    }
    let s = Scratch::new("rivals").await;
    let path = s.root.join("leader");
    let rivals = (0..8_u8).map(|rival| {
        let (fs, path) = (s.fs.clone(), path.clone());
        tokio::spawn(async move { fs.write(&path, vec![rival].into(), &CreateOptions::default()).await })
    });
    let outcomes = futures::future::join_all(rivals.collect::<Vec<_>>()).await;
    let won = outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count();
    assert_eq!(won, 1);
    assert!(
        outcomes
            .iter()
            .flatten()
            .filter_map(|outcome| outcome.as_ref().err())
            .all(FsError::is_already_exists)
    );
    s.remove().await;
}

#[tokio::test]
async fn the_cache_uploads_once_and_is_cleaned() {
    if !live() {
        return;
    }
    let s = Scratch::new("cache").await;
    let dir = tempfile::tempdir().unwrap();
    let uploads: Vec<_> = (0..4_u8)
        .map(|number| {
            let local = dir.path().join(format!("lib{number}.so"));
            std::fs::write(&local, vec![number; 2_000_000]).unwrap();
            Upload { local, name: format!("lib{number}.so") }
        })
        .collect();
    let staging = Staging::new(s.fs.clone(), Some(&s.root));
    let (cache, options) = (staging.cache(), UploadOptions::default());
    let (first, slow) = timed(cache.put(&uploads, &options, &|_| {})).await;
    let (second, quick) = timed(cache.put(&uploads, &options, &|_| {})).await;
    eprintln!("4 files of 2 MB: uploaded in {slow:?}, found in {quick:?}");
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.iter().all(|file| file.uploaded) && second.iter().all(|file| !file.uploaded));
    assert!(
        first
            .iter()
            .zip(&second)
            .all(|(a, b)| a.modification_time == b.modification_time && a.path == b.path)
    );
    staging.create("application_1_0001").await.unwrap();
    cache.refer("application_1_0001", &first[..1]).await.unwrap();
    let cleaned = cache.clean(Duration::ZERO).await.unwrap();
    assert_eq!((cleaned.removed.len(), cleaned.kept), (3, 1));
    assert!(s.fs.exists(&first[0].path).await.unwrap());
    s.remove().await;
}

/// Each marks the same entry as used, and each upload but one finds that another has come first.
#[tokio::test]
async fn rivals_put_the_same_file_and_all_succeed() {
    if !live() {
        return;
    }
    let s = Scratch::new("cache-rivals").await;
    let dir = tempfile::tempdir().unwrap();
    let local = dir.path().join("job.jar");
    std::fs::write(&local, vec![3; 300_000]).unwrap();
    let staging = Staging::new(s.fs.clone(), Some(&s.root));
    for round in 0..4 {
        let rivals = (0..8).map(|_| {
            let (cache, upload) = (staging.cache(), Upload { local: local.clone(), name: "job.jar".into() });
            tokio::spawn(async move { cache.put(&[upload], &UploadOptions::default(), &|_| {}).await })
        });
        let outcomes = futures::future::join_all(rivals.collect::<Vec<_>>()).await;
        let files: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap().unwrap().remove(0)).collect();
        assert!(
            files.iter().all(|file| file.path == files[0].path && file.length == 300_000),
            "round {round}"
        );
        assert!(files.iter().all(|file| file.modification_time == files[0].modification_time));
    }
    s.remove().await;
}

fn blocking_scratch(test: &str) -> (blocking::FileSystem, FsPath) {
    let unique = format!("/tmp/kvick-live/{test}-{}-{}", std::process::id(), common::nanos());
    blocking::FileSystems::new(context(&namenode())).locate(&unique).unwrap()
}

/// A file of several blocks, read split by split on plain threads.
#[test]
fn every_line_of_a_file_with_many_blocks_is_read_once() {
    if !live() {
        return;
    }
    let (fs, root) = blocking_scratch("lines");
    let options = CreateOptions { block_size: Some(1 << 20), ..CreateOptions::default() };
    let mut output = OutputFile::create(&fs, &root.join("in/part-0"), &options).unwrap();
    let count = 300_000_u64;
    for number in 0..count {
        writeln!(output, "line {number} {}", "x".repeat((number % 23) as usize)).unwrap();
    }
    output.finish().unwrap();
    let options = SplitOptions { minimum_splits: 3, ..SplitOptions::default() };
    let splits = split(&input_files_blocking(&fs, &root.join("in"), &options).unwrap(), &options);
    assert!(splits.len() >= 5, "one for each block: {}", splits.len());
    let mut next = 0;
    for part in &splits {
        let mut reader = lines::open(&fs, part).unwrap();
        while let Some(line) = reader.next_text().unwrap() {
            assert!(line.starts_with(&format!("line {next} ")), "{line}");
            next += 1;
        }
    }
    assert_eq!(next, count);
    assert!(fs.delete(&root, true).unwrap());
}

#[test]
fn a_remote_file_is_read_from_anywhere() {
    if !live() {
        return;
    }
    let (fs, root) = blocking_scratch("seek");
    let content: Vec<u8> = (0..5_000_000_u32).map(|i| (i % 241) as u8).collect();
    fs.write(&root.join("x"), &content, &CreateOptions::default()).unwrap();
    let mut reader = fs.open(&root.join("x")).unwrap();
    let mut piece = vec![0; 70_000];
    for start in [4_930_000_usize, 0, 2_000_001] {
        reader.seek(SeekFrom::Start(start as u64)).unwrap();
        reader.read_exact(&mut piece).unwrap();
        assert_eq!(piece, content[start..start + 70_000]);
    }
    assert!(fs.delete(&root, true).unwrap());
}

/// The writer of the old file lives on, as after a partition: HDFS takes the file from it, and what it writes is not seen.
#[test]
fn an_output_file_is_gone_on_with_while_its_old_writer_still_has_it_open() {
    if !live() {
        return;
    }
    let (fs, root) = blocking_scratch("resume");
    let target = root.join("out/part-0");
    let mut old = OutputFile::create(&fs, &target, &CreateOptions::default()).unwrap();
    old.write_all(&[b'a'; 300_000]).unwrap();
    let point = old.persist().unwrap();
    old.write_all(&[b'x'; 700_000]).unwrap();
    let started = Instant::now();
    let mut new = OutputFile::resume(&fs, &point).unwrap();
    eprintln!("taking the file over took {:?}", started.elapsed());
    assert!(old.write_all(&[b'y'; 400_000]).and_then(|()| old.flush()).is_err() || old.prepare().is_err());
    new.write_all(b"end").unwrap();
    let pending = new.prepare().unwrap();
    pending.commit(&fs).unwrap();
    pending.commit(&fs).unwrap();
    let content = fs.read(&target).unwrap();
    assert_eq!((content.len(), &content[300_000..]), (300_003, &b"end"[..]));
    assert!(content[..300_000].iter().all(|byte| *byte == b'a'));
    let names: Vec<_> =
        fs.list(&root.join("out")).unwrap().iter().map(|s| s.path.name().to_owned()).collect();
    assert_eq!(names, ["part-0"]);
    assert!(fs.delete(&root, true).unwrap());
}
