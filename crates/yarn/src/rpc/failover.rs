//! A client of one protocol that lives longer than its connections: it reconnects, goes round several addresses and
//! retries until the caller's deadline. Owns the retry rules; a call must be one that may be repeated.

use super::{Address, Connection, Identity, Options, RpcError};
use prost::Message;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// First pause between two rounds.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two rounds.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// What to do about a failed attempt.
enum Remedy {
    /// Give the error to the caller.
    None,
    /// Ask the next address; pause once all have been asked.
    Failover,
    /// Ask the same address again after a pause.
    Pause,
}

fn remedy(error: &RpcError) -> Remedy {
    match error.remote() {
        Some(exception) if exception.is_standby() => Remedy::Failover,
        Some(exception) if exception.is_retriable() => Remedy::Pause,
        Some(_) => Remedy::None,
        None if error.is_transport() => Remedy::Failover,
        None => Remedy::None,
    }
}

/// The address in use and the connection to it.
#[derive(Default)]
struct Current {
    index: usize,
    connection: Option<Arc<Connection>>,
}

/// A client of one protocol at one or several addresses (ResourceManager HA), under one identity.
pub struct RpcClient {
    protocol: &'static str,
    targets: Vec<Address>,
    identity: RwLock<Identity>,
    options: Options,
    current: Mutex<Current>,
}

impl RpcClient {
    /// A client that connects when it is first used.
    pub fn new(protocol: &'static str, targets: Vec<Address>, identity: Identity, options: Options) -> Self {
        Self { protocol, targets, identity: RwLock::new(identity), options, current: Mutex::default() }
    }

    /// The addresses, in the order of asking.
    pub fn targets(&self) -> &[Address] {
        &self.targets
    }

    /// As whom new connections are opened; the present one stays as it is (a rolled-over token).
    pub fn set_identity(&self, identity: Identity) {
        *self.identity.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    /// Calls a method until it succeeds, fails for good, or `deadline` has passed.
    ///
    /// # Errors
    /// The server's exception, or [`RpcError::GaveUp`] with the last trouble.
    pub async fn call<Q: Message, R: Message + Default>(
        &self,
        method: &str,
        request: &Q,
        deadline: Instant,
    ) -> Result<R, RpcError> {
        let begun = Instant::now();
        let mut attempts = 0;
        loop {
            let error = match self.attempt(method, request, attempts, deadline).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            attempts += 1;
            let pause = self.pause_after(&error, attempts).await;
            let Some(pause) = pause else {
                return Err(error);
            };
            if Instant::now() + pause >= deadline {
                return Err(RpcError::GaveUp { after: begun.elapsed(), attempts, last: Box::new(error) });
            }
            tracing::debug!(method, attempts, %error, "a call is tried again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks every address at most once, without pausing.
    ///
    /// # Errors
    /// How the last address failed.
    pub async fn call_once<Q: Message, R: Message + Default>(
        &self,
        method: &str,
        request: &Q,
        retry: u32,
    ) -> Result<R, RpcError> {
        let far = Instant::now() + self.options.call_timeout + self.options.connect_timeout;
        let mut outcome = Err(RpcError::NoAddress { protocol: self.protocol });
        for _ in 0..self.targets.len() {
            outcome = self.attempt(method, request, retry, far).await;
            match &outcome {
                Err(error) if matches!(remedy(error), Remedy::Failover) => self.go_on(error).await,
                _ => break,
            }
        }
        outcome
    }

    async fn attempt<Q: Message, R: Message + Default>(
        &self,
        method: &str,
        request: &Q,
        retry: u32,
        deadline: Instant,
    ) -> Result<R, RpcError> {
        let begun = Instant::now();
        let work = async {
            let connection = self.connection().await?;
            connection.call(method, request, retry as i32).await
        };
        match tokio::time::timeout_at(deadline, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.timed_out(method, begun.elapsed()).await),
        }
    }

    async fn timed_out(&self, method: &str, after: Duration) -> RpcError {
        // Someone else may hold the lock while connecting; the address is then still the same.
        let index = self.current.try_lock().map_or(0, |current| current.index);
        match self.targets.get(index) {
            Some(address) => RpcError::Timeout { address: address.clone(), method: method.to_owned(), after },
            None => RpcError::NoAddress { protocol: self.protocol },
        }
    }

    /// The living connection, or a new one.
    async fn connection(&self) -> Result<Arc<Connection>, RpcError> {
        let mut current = self.current.lock().await;
        if let Some(connection) = current.connection.as_ref().filter(|connection| connection.is_alive()) {
            return Ok(connection.clone());
        }
        current.connection = None;
        let address =
            self.targets.get(current.index).ok_or(RpcError::NoAddress { protocol: self.protocol })?;
        let identity = self.identity.read().unwrap_or_else(PoisonError::into_inner).clone();
        let connection = Arc::new(Connection::open(address, self.protocol, &identity, &self.options).await?);
        current.connection = Some(connection.clone());
        Ok(connection)
    }

    /// Turns to the next address, unless another call has done so since `failed` did.
    async fn go_on(&self, failed: &RpcError) {
        let mut current = self.current.lock().await;
        if self.targets.get(current.index) != failed.address() {
            return;
        }
        current.index = (current.index + 1) % self.targets.len().max(1);
        current.connection = None;
    }

    /// How long to wait before another attempt; `None` when there must be none.
    async fn pause_after(&self, error: &RpcError, attempts: u32) -> Option<Duration> {
        let round = self.targets.len().max(1) as u32;
        match remedy(error) {
            Remedy::None => None,
            Remedy::Pause => Some(pause(attempts)),
            Remedy::Failover => {
                self.go_on(error).await;
                // A connection that ended under a call is opened again at once: the server may only have dropped it.
                let free = !attempts.is_multiple_of(round)
                    || (attempts == 1 && matches!(error, RpcError::Closed { .. }));
                Some(if free { Duration::ZERO } else { pause(attempts / round) })
            }
        }
    }
}

/// 100 ms growing to 3 s, spread by half either way so that many clients do not come in step.
fn pause(round: u32) -> Duration {
    let base = FIRST_PAUSE.saturating_mul(1 << round.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    let spread = crate::sasl::random::<1>().map_or(128, |bytes| bytes[0]);
    base.mul_f64(0.5 + f64::from(spread) / 256.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_within_bounds() {
        for round in 1..100 {
            let pause = pause(round);
            assert!(pause >= FIRST_PAUSE / 2 && pause < LONGEST_PAUSE * 3 / 2, "{pause:?}");
        }
        assert!(pause(20) > pause(1));
    }
}
