//! The beginning of a connection: preamble, SASL negotiation, connection context.
//! Owns the order of these messages; what comes after belongs to [`Connection`](super::Connection).

use super::frame::{self, CONTEXT_CALL, Frame, SASL_CALL};
use super::{Address, Identity, RemoteException, RpcError};
use crate::credentials::Token;
use crate::proto::common::{IpcConnectionContext, RpcSasl, RpcStatus, SaslAuth, SaslState, UserInformation};
use crate::sasl::digest_md5::{Challenge, Secret, Session};
use crate::sasl::layer::{Opener, Sealer};
use crate::sasl::{self, SaslError};
use base64::Engine;
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Longest frame accepted while the server is not yet known, bytes.
const HANDSHAKE_LIMIT: usize = 1 << 20;

/// What the handshake leaves behind.
pub(super) struct Established {
    /// What must go out before the first call (and unsealed only if there are no layers).
    pub first: Bytes,
    /// The preamble, if it has not gone out yet; never sealed.
    pub preamble: Option<[u8; 7]>,
    /// Protection of what follows.
    pub layers: Option<(Sealer, Opener)>,
}

/// A connection being opened.
pub(super) struct Handshake<'a> {
    pub stream: &'a mut TcpStream,
    pub address: &'a Address,
    pub protocol: &'static str,
    pub client_id: &'a [u8; 16],
}

impl Handshake<'_> {
    /// Authenticates as `identity`. Without SASL nothing is sent yet, so that all goes out with the first call.
    pub async fn run(mut self, identity: &Identity) -> Result<Established, RpcError> {
        match identity {
            Identity::Kerberos => Err(self.failed(SaslError::KerberosUnsupported)),
            Identity::Simple { user } => Ok(Established {
                first: self.context(Some(user)),
                preamble: Some(frame::preamble(false)),
                layers: None,
            }),
            Identity::Token { token, user } => self.token(token, user).await,
        }
    }

    fn failed(&self, source: SaslError) -> RpcError {
        RpcError::Authenticate { address: self.address.clone(), source }
    }

    fn closed(&self, error: &std::io::Error) -> RpcError {
        RpcError::Closed { address: self.address.clone(), reason: error.to_string() }
    }

    /// The connection context; with a token the user must stay empty, since the token says who calls.
    fn context(&self, user: Option<&str>) -> Bytes {
        let context = IpcConnectionContext {
            user_info: Some(UserInformation { effective_user: user.map(str::to_owned), real_user: None }),
            protocol: Some(self.protocol.to_owned()),
        };
        Frame::new(&frame::header(CONTEXT_CALL, self.client_id, -1, None)).with(&context).finish()
    }

    async fn token(&mut self, token: &Token, user: &str) -> Result<Established, RpcError> {
        let mut hello = BytesMut::from(&frame::preamble(true)[..]);
        hello.extend_from_slice(&sasl_frame(SaslState::Negotiate, None, None));
        self.write(&hello).await?;
        let offer = self.receive().await?;
        match SaslState::try_from(offer.state) {
            // A server without tokens takes anyone by name.
            Ok(SaslState::Success) => {
                Ok(Established { first: self.context(Some(user)), preamble: None, layers: None })
            }
            Ok(SaslState::Negotiate) => self.digest(token, offer.auths).await,
            _ => Err(self.unexpected(&offer)),
        }
    }

    fn unexpected(&self, message: &RpcSasl) -> RpcError {
        self.failed(SaslError::Unexpected(format!("state {} came out of turn", message.state)))
    }

    async fn digest(&mut self, token: &Token, offers: Vec<SaslAuth>) -> Result<Established, RpcError> {
        let offer = pick_token(offers).map_err(|error| self.failed(error))?;
        let session = answer(token, &offer).map_err(|error| self.failed(error))?;
        // The server compares the choice with its offer, in which no challenge was yet.
        let choice = SaslAuth { challenge: None, ..offer };
        self.write(&sasl_frame(
            SaslState::Initiate,
            Some(session.response().to_owned().into()),
            Some(choice),
        ))
        .await?;
        let last = self.receive().await?;
        if last.state != SaslState::Success as i32 {
            return Err(self.unexpected(&last));
        }
        let layers = session.finish(last.token()).map_err(|error| self.failed(error))?;
        Ok(Established { first: self.context(None), preamble: None, layers })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), RpcError> {
        let written = self.stream.write_all(bytes).await;
        written.map_err(|error| self.closed(&error))
    }

    async fn receive(&mut self) -> Result<RpcSasl, RpcError> {
        let read = frame::read(self.stream, HANDSHAKE_LIMIT).await.map_err(|error| self.closed(&error))?;
        let bytes = read.ok_or_else(|| self.closed(&std::io::ErrorKind::UnexpectedEof.into()))?;
        let malformed = |error: prost::DecodeError| self.failed(SaslError::Unexpected(error.to_string()));
        let (call, header, mut body) = frame::response(bytes).map_err(malformed)?;
        if header.status != RpcStatus::Success as i32 {
            let exception = RemoteException::new(
                header.exception_class(),
                header.error_message(),
                true,
                header.error_code(),
            );
            return Err(RpcError::Remote { address: self.address.clone(), exception: Box::new(exception) });
        }
        if call != SASL_CALL {
            return Err(self.failed(SaslError::Unexpected(format!("an answer to call {call}"))));
        }
        frame::take(&mut body).map_err(malformed)
    }
}

fn sasl_frame(state: SaslState, token: Option<Bytes>, auth: Option<SaslAuth>) -> Bytes {
    let message = RpcSasl { version: None, state: state as i32, token, auths: auth.into_iter().collect() };
    Frame::new(&frame::header(SASL_CALL, &[], -1, None)).with(&message).finish()
}

/// The frame that carries a sealed piece of the stream.
pub(super) fn wrapped(sealed: Vec<u8>) -> Bytes {
    sasl_frame(SaslState::Wrap, Some(sealed.into()), None)
}

fn pick_token(offers: Vec<SaslAuth>) -> Result<SaslAuth, SaslError> {
    let names: Vec<&str> = offers.iter().map(|offer| offer.method.as_str()).collect();
    let offered = names.join(", ");
    let found = offers.into_iter().find(|offer| offer.method == "TOKEN" && offer.mechanism == "DIGEST-MD5");
    found.ok_or(SaslError::NoCommonMethod { offered, have: "a token", hint: "" })
}

fn answer(token: &Token, offer: &SaslAuth) -> Result<Session, SaslError> {
    let challenge = Challenge::parse(offer.challenge())?;
    let secret = Secret::from_token(&token.identifier, &token.password);
    let cnonce = base64::engine::general_purpose::STANDARD.encode(sasl::random::<16>()?);
    Session::answer(&challenge, &secret, &format!("{}/{}", offer.protocol(), offer.server_id()), &cnonce)
}
