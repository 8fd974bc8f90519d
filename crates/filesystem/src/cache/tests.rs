//! The cache on a local directory: the behaviour does not depend on the file system, and live tests repeat the essence on HDFS.

use std::sync::Mutex;
use std::time::Duration;

use super::*;

struct Fixture {
    dir: tempfile::TempDir,
    staging: Staging,
    cache: UploadCache,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let base = FsPath::local(&dir.path().join("staging")).unwrap();
    let staging = Staging::new(Arc::new(LocalFileSystem::new()), Some(&base));
    let cache = staging.cache();
    Fixture { dir, staging, cache }
}

impl Fixture {
    fn file(&self, name: &str, content: &[u8]) -> Upload {
        let local = self.dir.path().join(name);
        std::fs::write(&local, content).unwrap();
        Upload { local, name: name.to_owned() }
    }

    async fn put(&self, uploads: &[Upload]) -> Vec<CachedFile> {
        self.cache.put(uploads, &UploadOptions::default(), &|_| {}).await.unwrap()
    }
}

#[tokio::test]
async fn a_second_upload_of_the_same_content_sends_nothing() {
    let f = fixture();
    let uploads = [f.file("a.jar", &[7; 700_000]), f.file("b.yaml", b"x")];
    let steps = Mutex::new(Vec::new());
    let note = |step: Progress| steps.lock().unwrap().push(step);
    let first = f.cache.put(&uploads, &UploadOptions::default(), &note).await.unwrap();
    assert!(first.iter().all(|file| file.uploaded));
    let sent: Vec<_> =
        steps.lock().unwrap().iter().filter(|step| step.upload == 0).map(|step| step.sent).collect();
    assert!(sent.is_sorted() && sent.len() > 1 && sent.last() == Some(&700_000), "{sent:?}");
    let second = f.put(&uploads).await;
    for (one, other) in first.iter().zip(&second) {
        assert_eq!(
            *one,
            CachedFile { uploaded: true, ..other.clone() },
            "path, length and time stamp stay as YARN was told"
        );
        assert!(!other.uploaded);
    }
    assert_eq!(
        first[1].sha256, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
        "sha256 of 'x'"
    );
}

#[tokio::test]
async fn the_content_of_a_file_is_named_without_any_cache() {
    let f = fixture();
    let upload = f.file("a.jar", b"x");
    let cached = f.put(std::slice::from_ref(&upload)).await.remove(0);
    assert_eq!(content_of(&upload.local).await.unwrap(), (cached.sha256, 1));
}

#[tokio::test]
async fn a_damaged_entry_is_replaced() {
    let f = fixture();
    let uploads = [f.file("a.jar", b"whole")];
    let cached = f.put(&uploads).await.remove(0);
    std::fs::write(cached.path.to_local().unwrap(), b"torn").unwrap();
    let again = f.put(&uploads).await.remove(0);
    assert!(again.uploaded);
    assert_eq!(std::fs::read(again.path.to_local().unwrap()).unwrap(), b"whole");
}

#[tokio::test]
async fn rivals_uploading_the_same_file_both_get_it() {
    let f = fixture();
    let uploads: Vec<_> = std::iter::repeat_n(f.file("a.jar", &[1; 500_000]), 8).collect();
    let options = UploadOptions { parallel: 8, ..UploadOptions::default() };
    let cached = f.cache.put(&uploads, &options, &|_| {}).await.unwrap();
    assert!(
        cached
            .iter()
            .all(|file| file.path == cached[0].path && file.modification_time == cached[0].modification_time)
    );
    let left = f.staging.file_system().list(&cached[0].path.parent().unwrap()).await.unwrap();
    let names: Vec<_> = left.iter().map(|entry| entry.path.name()).collect();
    assert_eq!(names, [".used", "a.jar"], "no temporary file stays");
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_refused() {
    let f = fixture();
    for name in ["", "../x", ".used", "a/b"] {
        let upload = Upload { name: name.to_owned(), ..f.file("x", b"x") };
        let error = f.cache.put(&[upload], &UploadOptions::default(), &|_| {}).await.unwrap_err();
        assert!(matches!(error, FsError::InvalidPath { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn cleaning_keeps_what_is_recent_or_referred_to() {
    let f = fixture();
    assert_eq!(f.cache.clean(Duration::ZERO).await.unwrap().kept, 0, "nothing there yet");
    let cached = f.put(&[f.file("old.jar", b"old"), f.file("used.jar", b"used")]).await;
    f.staging.create("application_1_0001").await.unwrap();
    f.cache.refer("application_1_0001", &cached[1..]).await.unwrap();

    let recent = f.cache.clean(Duration::from_secs(3600)).await.unwrap();
    assert_eq!((recent.removed.len(), recent.kept), (0, 2));

    let cleaned = f.cache.clean(Duration::ZERO).await.unwrap();
    assert_eq!(cleaned.removed, [cached[0].sha256.clone()]);
    assert!(cached[1].path.to_local().unwrap().exists() && !cached[0].path.to_local().unwrap().exists());

    f.staging.delete("application_1_0001").await.unwrap();
    assert_eq!(f.cache.clean(Duration::ZERO).await.unwrap().removed, [cached[1].sha256.clone()]);
}
