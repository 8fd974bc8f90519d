//! For how long a file system is waited for that may come back.

use kvick_ha::AWAY_PATIENCE;
use kvick_storage::StorageError;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;
use tracing::warn;

/// For how long what may pass is waited for.
struct Patience {
    /// A file system that is away: as for the records themselves.
    away: Duration,
    /// Nobody has a copy of a file: that of DataNodes that are just starting.
    no_copies: Duration,
}

const PATIENCE: Patience = Patience { away: AWAY_PATIENCE, no_copies: Duration::from_secs(60) };

/// The first pause; each further one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Does something until it is done, or can never be: the inner error says why not.
///
/// # Errors
/// Whatever it is that may pass has not, for too long.
pub async fn patiently<T, F>(operation: impl FnMut() -> F) -> Result<Result<T, String>, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    within(&PATIENCE, operation).await
}

async fn within<T, F>(
    patience: &Patience,
    mut operation: impl FnMut() -> F,
) -> Result<Result<T, String>, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        let error = match operation().await {
            Ok(done) => return Ok(Ok(done)),
            Err(error) => error,
        };
        match (error.may_pass(), error.lacks_copies(), began.elapsed()) {
            (true, _, elapsed) if elapsed >= patience.away => return Err(error),
            (true, ..) => {}
            (_, true, elapsed) if elapsed < patience.no_copies => {}
            _ => return Ok(Err(error.to_string())),
        }
        // There may be many to read, and all of them wait for the same.
        if pause == FIRST_PAUSE {
            warn!("what an earlier attempt left cannot be read yet, trying again: {error}");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_filesystem::FsError;

    fn away() -> StorageError {
        let (path, reason) = ("hdfs://n/c".to_string(), "the NameNode starts".to_string());
        FsError::SafeMode { operation: "read", path, reason }.into()
    }

    fn no_copies() -> StorageError {
        let (path, reason) = ("hdfs://n/c".to_string(), "no DataNode has the block".to_string());
        FsError::Corrupt { operation: "read", path, reason }.into()
    }

    const NONE: Patience = Patience { away: Duration::ZERO, no_copies: Duration::ZERO };

    #[tokio::test]
    async fn who_is_away_for_a_while_is_waited_for() {
        for error in [away, no_copies] {
            let mut tries = 0;
            let read = patiently(|| {
                tries += 1;
                std::future::ready(if tries < 4 { Err(error()) } else { Ok(tries) })
            });
            assert_eq!(read.await.unwrap(), Ok(4));
        }
    }

    #[tokio::test]
    async fn nothing_is_concluded_from_a_file_system_that_stays_away() {
        let read = within(&NONE, || std::future::ready(Err::<(), _>(away())));
        assert!(read.await.unwrap_err().to_string().contains("the NameNode starts"));
    }

    #[tokio::test]
    async fn what_is_missing_or_lost_for_good_is_told_as_such() {
        let missing = || StorageError::NoMetadata { path: "hdfs://n/c".into() };
        let read = patiently(|| std::future::ready(Err::<(), _>(missing())));
        assert!(read.await.unwrap().unwrap_err().contains("hdfs://n/c"));
        let read = within(&NONE, || std::future::ready(Err::<(), _>(no_copies())));
        assert!(read.await.unwrap().unwrap_err().contains("no DataNode"));
    }
}
