//! The gRPC conversation between a task executor and its application master: frames, fences and the shared secret.

use crate::generated::v1::Frame;
use crate::generated::v1::master_gateway_client::MasterGatewayClient;
use kvick_core::executor::{FromExecutor, ToExecutor};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

pub use crate::generated::v1::master_gateway_server::{MasterGateway, MasterGatewayServer};

/// The format of [`Frame::body`] that this build speaks.
pub const FRAME_VERSION: u32 = 1;

/// The metadata key that carries the application's shared secret.
const SECRET_KEY: &str = "kvick-secret";

/// The largest frame, in bytes: a deployment of a very wide job.
pub const MAX_FRAME_BYTES: usize = 256 * 1024 * 1024;

/// A conversation that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The secret is no valid header value.
    #[error("the shared secret of the application is not made of printable ASCII characters")]
    BadSecret,
    /// No connection.
    #[error("cannot connect to the application master at {address}: {source}")]
    Connect {
        /// `host:port`.
        address: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The call was refused.
    #[error("the application master at {address} refused the conversation: {}", status.message())]
    Refused {
        /// `host:port`.
        address: String,
        /// Its words.
        status: Box<Status>,
    },
    /// The peer speaks a version that this build does not.
    #[error("the peer speaks version {0} of the frame format, this build speaks {FRAME_VERSION}")]
    Version(u32),
    /// A body that is no message.
    #[error("a frame could not be understood: {0}")]
    Body(#[from] serde_json::Error),
}

/// Wraps a message.
///
/// # Errors
/// If the message cannot be written as JSON.
pub fn encode<T: Serialize>(epoch: u64, message: &T) -> Result<Frame, GatewayError> {
    Ok(Frame { version: FRAME_VERSION, epoch, body: serde_json::to_vec(message)? })
}

/// Unwraps a message, with the epoch that it belongs to.
///
/// # Errors
/// If the version is another or the body no message.
pub fn decode<T: DeserializeOwned>(frame: &Frame) -> Result<(u64, T), GatewayError> {
    if frame.version != FRAME_VERSION {
        return Err(GatewayError::Version(frame.version));
    }
    Ok((frame.epoch, serde_json::from_slice(&frame.body)?))
}

/// Checks that a call carries the application's secret.
///
/// # Errors
/// `UNAUTHENTICATED` if it does not.
pub fn authenticate(metadata: &MetadataMap, secret: &str) -> Result<(), Status> {
    let given = metadata.get(SECRET_KEY).map(MetadataValue::as_bytes).unwrap_or_default();
    if same(given, secret.as_bytes()) {
        return Ok(());
    }
    Err(Status::unauthenticated("the call does not carry the secret of this application"))
}

/// Compares in time that does not depend on where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

/// A task executor's end of the conversation.
pub struct Conversation {
    /// What the application master says.
    pub incoming: Streaming<Frame>,
}

impl Conversation {
    /// Opens the conversation with the application master at `host:port`. What is sent into the channel behind `outgoing`
    /// goes to it; the first message must be [`FromExecutor::Register`].
    ///
    /// # Errors
    /// If there is no connection or the call is refused.
    pub async fn open(
        address: &str,
        secret: &str,
        outgoing: tokio_stream::wrappers::UnboundedReceiverStream<Frame>,
    ) -> Result<Conversation, GatewayError> {
        let secret: MetadataValue<Ascii> = secret.parse().map_err(|_| GatewayError::BadSecret)?;
        let channel = connect(address).await?;
        let mut client = MasterGatewayClient::new(channel)
            .max_decoding_message_size(MAX_FRAME_BYTES)
            .max_encoding_message_size(MAX_FRAME_BYTES);
        let mut request = Request::new(outgoing);
        request.metadata_mut().insert(SECRET_KEY, secret);
        let refused =
            |status| GatewayError::Refused { address: address.to_string(), status: Box::new(status) };
        let response = client.converse(request).await.map_err(refused)?;
        Ok(Conversation { incoming: response.into_inner() })
    }

    /// The next message; `None` when the application master has closed the conversation.
    ///
    /// # Errors
    /// If the connection breaks or a frame cannot be understood.
    pub async fn next(
        &mut self,
    ) -> Result<Option<(u64, ToExecutor)>, Box<dyn std::error::Error + Send + Sync>> {
        match self.incoming.message().await? {
            Some(frame) => Ok(Some(decode(&frame)?)),
            None => Ok(None),
        }
    }
}

async fn connect(address: &str) -> Result<Channel, GatewayError> {
    let failed = |source| GatewayError::Connect { address: address.to_string(), source };
    Endpoint::from_shared(format!("http://{address}"))
        .map_err(failed)?
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(20))
        .tcp_nodelay(true)
        .connect()
        .await
        .map_err(failed)
}

/// Wraps what a task executor says.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn from_executor(epoch: u64, message: &FromExecutor) -> Result<Frame, GatewayError> {
    encode(epoch, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_another_version_is_refused_and_not_guessed_at() {
        let mut frame = encode(3, &ToExecutor::Heartbeat).unwrap();
        assert_eq!(decode::<ToExecutor>(&frame).unwrap(), (3, ToExecutor::Heartbeat));
        frame.version = 99;
        assert!(matches!(decode::<ToExecutor>(&frame), Err(GatewayError::Version(99))));
    }

    #[test]
    fn only_the_very_secret_opens_the_conversation() {
        let mut metadata = MetadataMap::new();
        assert!(authenticate(&metadata, "s3cret").is_err());
        metadata.insert(SECRET_KEY, "s3cre".parse().unwrap());
        assert!(authenticate(&metadata, "s3cret").is_err());
        metadata.insert(SECRET_KEY, "s3cret".parse().unwrap());
        assert!(authenticate(&metadata, "s3cret").is_ok());
    }
}
