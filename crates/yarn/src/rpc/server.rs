//! A server for tests that speaks the protocol's own frames: it takes names and tokens, and answers calls as it is told to.
//! Owns what a server sees of a connection; what real servers do in trouble is scripted by the tests.

use super::frame::{self, CONTEXT_CALL, PING_CALL, SASL_CALL};
use super::{Address, Identity, Options, RpcClient};
use crate::credentials::Token;
use crate::proto::common::{
    IpcConnectionContext, RequestHeader, RpcRequestHeader, RpcResponseHeader, RpcSasl, RpcStatus, SaslAuth,
    SaslState,
};
use crate::sasl::digest_md5::{Challenge, Secret, Session};
use base64::Engine;
use bytes::Bytes;
use prost::Message;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What a client did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It was authenticated, by the token with this identifier or as this user.
    Identified(String),
    /// It called a method, with this retry count.
    Called(String, i32),
    Ping,
}

/// What a server does with a call.
pub(crate) enum Answer {
    /// A successful response with this message.
    Message(Vec<u8>),
    /// An exception of this class.
    Throw(&'static str),
    /// An exception after which the server closes the connection.
    Fatal(&'static str),
    /// It closes the connection without a word.
    Close,
    /// It says nothing.
    Silence,
}

type Script = dyn FnMut(&str, Bytes) -> Answer + Send;

/// A running server.
pub(crate) struct Server {
    pub(crate) address: Address,
    pub(crate) seen: mpsc::UnboundedReceiver<Seen>,
    /// Tokens that it knows: password by identifier.
    tokens: Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// A server at a free port; `script` is given every call's method and request.
    pub(crate) async fn start(script: impl FnMut(&str, Bytes) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
        let (sender, seen) = mpsc::unbounded_channel();
        let tokens = Arc::new(Mutex::new(HashMap::new()));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(script));
        let known = tokens.clone();
        let accept = async move {
            let mut peers = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, tokens, script) = (sender.clone(), known.clone(), script.clone());
                peers.spawn(Peer { stream, seen, tokens, script }.serve());
            }
        };
        Self { address, seen, tokens, task: tokio::spawn(accept) }
    }

    /// From now on no token but these is accepted.
    pub(crate) fn accept_only(&self, tokens: &[&Token]) {
        let known = tokens.iter().map(|token| (token.identifier.to_vec(), token.password.to_vec()));
        *self.tokens.lock().unwrap() = known.collect();
    }

    /// What a client did next.
    pub(crate) async fn next(&mut self) -> Seen {
        let limit = std::time::Duration::from_secs(10);
        tokio::time::timeout(limit, self.seen.recv()).await.unwrap().unwrap()
    }

    /// What was seen and not yet asked for.
    pub(crate) fn drain(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.seen.try_recv().ok()).collect()
    }
}

/// A client of these servers, in this order.
pub(crate) fn client(servers: &[&Server], identity: Identity) -> RpcClient {
    let targets = servers.iter().map(|server| server.address.clone()).collect();
    RpcClient::new("test.Protocol", targets, identity, Options::default())
}

/// A token that differs from others in its identifier.
pub(crate) fn token(identifier: &str) -> Token {
    Token {
        identifier: identifier.as_bytes().to_vec().into(),
        password: format!("secret of {identifier}").into_bytes().into(),
        kind: crate::credentials::AM_RM_TOKEN.to_owned(),
        service: String::new(),
    }
}

/// One connection.
struct Peer {
    stream: TcpStream,
    seen: mpsc::UnboundedSender<Seen>,
    tokens: Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>,
    script: Arc<Mutex<Script>>,
}

const CHALLENGE: &str = "realm=\"default\",nonce=\"n0nce\",qop=\"auth\",charset=utf-8,algorithm=md5-sess";

impl Peer {
    async fn serve(mut self) {
        let mut preamble = [0; 7];
        if self.stream.read_exact(&mut preamble).await.is_err() || &preamble[..4] != b"hrpc" {
            return;
        }
        while let Ok(Some(mut frame)) = frame::read(&mut self.stream, 1 << 20).await {
            let header: RpcRequestHeader = frame::take(&mut frame).unwrap();
            let goes_on = match header.call_id {
                SASL_CALL => self.sasl(frame::take(&mut frame).unwrap()).await,
                CONTEXT_CALL => self.context(frame::take(&mut frame).unwrap()),
                PING_CALL => self.tell(Seen::Ping),
                _ => self.call(&header, frame).await,
            };
            if !goes_on {
                return;
            }
        }
    }

    fn tell(&self, seen: Seen) -> bool {
        self.seen.send(seen).is_ok()
    }

    /// With a token the context names no user: the token has said who it is.
    fn context(&self, context: IpcConnectionContext) -> bool {
        let user = context.user_info.and_then(|info| info.effective_user);
        user.is_none_or(|user| self.tell(Seen::Identified(user)))
    }

    async fn sasl(&mut self, message: RpcSasl) -> bool {
        if message.state == SaslState::Negotiate as i32 {
            return self.offer().await;
        }
        let response = String::from_utf8(message.token().to_vec()).unwrap();
        let field = |name: &str| {
            let rest = response.split_once(&format!("{name}=\"")).unwrap().1;
            rest.split_once('"').unwrap().0.to_owned()
        };
        let identifier = base64::engine::general_purpose::STANDARD.decode(field("username")).unwrap();
        let password = self.tokens.lock().unwrap().get(&identifier).cloned();
        let proof = password.and_then(|password| {
            let challenge = Challenge::parse(CHALLENGE.as_bytes()).unwrap();
            let secret = Secret::from_token(&identifier, &password);
            let session = Session::answer(&challenge, &secret, "/default", &field("cnonce")).unwrap();
            (session.response() == response).then(|| session.expected().to_owned())
        });
        let Some(proof) = proof else {
            let class = "org.apache.hadoop.security.token.SecretManager$InvalidToken";
            return self.throw(SASL_CALL, RpcStatus::Fatal, class).await;
        };
        self.tell(Seen::Identified(String::from_utf8(identifier).unwrap()));
        let success = RpcSasl {
            state: SaslState::Success as i32,
            token: Some(proof.into_bytes().into()),
            ..RpcSasl::default()
        };
        self.respond(SASL_CALL, &success.encode_to_vec()).await
    }

    async fn offer(&mut self) -> bool {
        let token = SaslAuth {
            method: "TOKEN".into(),
            mechanism: "DIGEST-MD5".into(),
            protocol: Some(String::new()),
            server_id: Some("default".into()),
            challenge: Some(CHALLENGE.into()),
        };
        let offer = RpcSasl { state: SaslState::Negotiate as i32, auths: vec![token], ..RpcSasl::default() };
        self.respond(SASL_CALL, &offer.encode_to_vec()).await
    }

    async fn call(&mut self, header: &RpcRequestHeader, mut body: Bytes) -> bool {
        let request: RequestHeader = frame::take(&mut body).unwrap();
        self.tell(Seen::Called(request.method_name.clone(), header.retry_count()));
        let length = prost::decode_length_delimiter(&mut body).unwrap();
        let answer = (self.script.lock().unwrap())(&request.method_name, body.slice(..length));
        match answer {
            Answer::Message(message) => self.respond(header.call_id, &message).await,
            Answer::Throw(class) => self.throw(header.call_id, RpcStatus::Error, class).await,
            Answer::Fatal(class) => self.throw(header.call_id, RpcStatus::Fatal, class).await,
            Answer::Close => false,
            Answer::Silence => true,
        }
    }

    async fn respond(&mut self, call: i32, message: &[u8]) -> bool {
        let header = RpcResponseHeader {
            call_id: call as u32,
            status: RpcStatus::Success as i32,
            ..RpcResponseHeader::default()
        };
        let mut body = header.encode_length_delimited_to_vec();
        prost::encode_length_delimiter(message.len(), &mut body).unwrap();
        body.extend(message);
        self.write(&body).await
    }

    /// Whether the connection goes on.
    async fn throw(&mut self, call: i32, status: RpcStatus, class: &str) -> bool {
        let header = RpcResponseHeader {
            call_id: call as u32,
            status: status as i32,
            exception_class: Some(class.to_owned()),
            error_message: Some("as the test wants\n\tat a.B.c(B.java:1)".to_owned()),
            ..RpcResponseHeader::default()
        };
        self.write(&header.encode_length_delimited_to_vec()).await && status == RpcStatus::Error
    }

    async fn write(&mut self, body: &[u8]) -> bool {
        let bytes = [&(body.len() as u32).to_be_bytes()[..], body].concat();
        self.stream.write_all(&bytes).await.is_ok()
    }
}
