//! The tokio shell around the machine: one task that makes its calls and passes on what it says.
//! Owns the connection to the scheduler and the NodeManagers' tokens; decides nothing.

use super::machine::{Call, Ending, Failure, Machine, Outcome, Output};
use super::updates::Updated;
use super::{AmConfig, AmEvent, ContainerUpdate, UpdateRefused, Wanted};
use crate::conf::{ConfError, HadoopConf};
use crate::credentials::{AM_RM_TOKEN, Credentials, Token};
use crate::ids::ContainerId;
use crate::nm::NmTokens;
use crate::proto::yarn as pb;
use crate::records::{Container, FinalStatus, Resource};
use crate::rpc::{Identity, RpcClient, RpcError};
use futures::future::{BoxFuture, FutureExt, OptionFuture};
use prost::Message;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Java name of the protocol.
const PROTOCOL: &str = "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB";
/// Longest that the scheduler may take to answer before the call is made again.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest that connecting to one ResourceManager may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a master cannot work.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AmError {
    /// The credentials have no AMRM token.
    #[error(
        "there is no {AM_RM_TOKEN} token: a master must be started by YARN (HADOOP_TOKEN_FILE_LOCATION names its token file)"
    )]
    NoToken,
    /// The configuration names no usable scheduler address.
    #[error("{0}")]
    Conf(String),
    /// The attempt ended before this could be done.
    #[error("this attempt is over: {0}")]
    Over(String),
}

impl From<ConfError> for AmError {
    fn from(error: ConfError) -> Self {
        Self::Conf(error.to_string())
    }
}

/// What the ResourceManager says at registration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registration {
    /// The most that one container can have in the queue.
    pub max_resource: Resource,
    /// The queue.
    pub queue: String,
    /// Key by which clients' tokens can be checked (secure clusters).
    pub client_to_am_key: Option<Vec<u8>>,
    /// Containers of earlier attempts that still run; [`AmEvent::PreviousContainers`] tells of the same.
    pub previous_containers: Vec<ContainerId>,
}

/// What the master is told, in order; ends when the attempt does.
pub type AmEvents = mpsc::UnboundedReceiver<AmEvent>;

/// What a handle asks of the task.
enum Request {
    Want(Wanted),
    Release(ContainerId),
    Update(Box<Container>, ContainerUpdate, oneshot::Sender<Updated>),
    Blacklist(Vec<String>, Vec<String>),
    Hurry,
    Progress(f32),
    TrackingUrl(String),
    Finish(Ending, oneshot::Sender<Result<(), AmError>>),
}

/// A registered master. Cheap to clone; the heartbeats go on until [`finish`](Self::finish) or the last clone is dropped.
#[derive(Clone)]
pub struct AmClient {
    requests: mpsc::UnboundedSender<Request>,
    tokens: Arc<NmTokens>,
    registration: Registration,
}

impl AmClient {
    /// Registers, retrying for as long as `config` allows, and begins to heartbeat.
    ///
    /// # Errors
    /// Without an AMRM token or usable address, and when the attempt turns out to be over.
    pub async fn register(
        conf: &HadoopConf,
        credentials: &Credentials,
        config: AmConfig,
    ) -> Result<(Self, AmEvents), AmError> {
        let token = credentials.token_of_kind(AM_RM_TOKEN).ok_or(AmError::NoToken)?.clone();
        let mut options = conf.rpc_options()?;
        options.call_timeout = options.call_timeout.min(CALL_TIMEOUT);
        options.connect_timeout = options.connect_timeout.min(CONNECT_TIMEOUT);
        options.caller_context.clone_from(&config.caller_context);
        let rpc =
            Arc::new(RpcClient::new(PROTOCOL, conf.scheduler_addresses()?, Identity::token(token), options));
        let (requests, inbox) = mpsc::unbounded_channel();
        let (events, receiver) = mpsc::unbounded_channel();
        let (registered, registration) = oneshot::channel();
        let tokens = Arc::new(NmTokens::default());
        let origin = Instant::now();
        let shell = Shell {
            machine: Machine::new(config, Duration::ZERO),
            origin,
            rpc,
            events,
            tokens: tokens.clone(),
            registered: Some(registered),
            finishing: Vec::new(),
            updating: HashMap::new(),
            failures: 0,
        };
        tokio::spawn(shell.run(inbox));
        let registration =
            registration.await.unwrap_or_else(|_| Err(AmError::Over("the heartbeat task ended".into())))?;
        Ok((Self { requests, tokens, registration }, receiver))
    }

    /// What the ResourceManager said at registration.
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// The NodeManagers' tokens, kept up to date.
    pub fn nm_tokens(&self) -> &Arc<NmTokens> {
        &self.tokens
    }

    fn send(&self, request: Request) {
        // Without a task the attempt is over, and the event stream has said so.
        let _ = self.requests.send(request);
    }

    /// Sets how many containers of a shape there shall be, those held included.
    pub fn set_wanted(&self, wanted: Wanted) {
        self.send(Request::Want(wanted));
    }

    /// Gives a container back, started or not. Lower what is wanted first unless it is to be replaced.
    pub fn release(&self, id: ContainerId) {
        self.send(Request::Release(id));
    }

    /// Asks for a change to a held container's resource and waits for the answer: the container as it then is, which its
    /// NodeManager must be told of ([`NmClients::update`](crate::nm::NmClients::update)) for the change to take effect.
    /// An increase is answered only once the node has room.
    ///
    /// # Errors
    /// When the ResourceManager refuses it, another change is asked for meanwhile, or the container or attempt ends.
    pub async fn update_container(
        &self,
        container: &Container,
        update: ContainerUpdate,
    ) -> Result<Container, UpdateRefused> {
        let (done, answer) = oneshot::channel();
        self.send(Request::Update(Box::new(container.clone()), update, done));
        let over = || UpdateRefused { container: container.id, reason: "this attempt is over".to_owned() };
        answer.await.unwrap_or_else(|_| Err(over()))
    }

    /// Hosts to take no containers of, and those to take them of again.
    pub fn blacklist(&self, additions: Vec<String>, removals: Vec<String>) {
        self.send(Request::Blacklist(additions, removals));
    }

    /// Something is about to be known of containers: the ResourceManager is asked often for a few seconds.
    pub fn hurry(&self) {
        self.send(Request::Hurry);
    }

    /// How far the application is, 0 to 1.
    pub fn set_progress(&self, progress: f32) {
        self.send(Request::Progress(progress));
    }

    /// Where the master's web pages are from now on.
    pub fn set_tracking_url(&self, url: impl Into<String>) {
        self.send(Request::TrackingUrl(url.into()));
    }

    /// Ends the application; YARN then kills what containers there are. The process should end soon after.
    ///
    /// # Errors
    /// When the attempt was over before.
    pub async fn finish(
        &self,
        status: FinalStatus,
        diagnostics: &str,
        tracking_url: &str,
    ) -> Result<(), AmError> {
        let ending =
            Ending { status, diagnostics: diagnostics.to_owned(), tracking_url: tracking_url.to_owned() };
        let (done, answer) = oneshot::channel();
        self.send(Request::Finish(ending, done));
        answer.await.unwrap_or_else(|_| Err(AmError::Over("the heartbeats had ended".into())))
    }
}

/// The task.
struct Shell {
    machine: Machine,
    origin: Instant,
    rpc: Arc<RpcClient>,
    events: mpsc::UnboundedSender<AmEvent>,
    tokens: Arc<NmTokens>,
    registered: Option<oneshot::Sender<Result<Registration, AmError>>>,
    finishing: Vec<oneshot::Sender<Result<(), AmError>>>,
    updating: HashMap<ContainerId, oneshot::Sender<Updated>>,
    /// Failed calls in a row.
    failures: u32,
}

impl Shell {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Request>) {
        let mut under_way: Option<BoxFuture<'static, (u64, Outcome)>> = None;
        loop {
            if let Some((number, call)) = self.machine.next_call(self.now()) {
                under_way = Some(perform(self.rpc.clone(), number, call, self.failures).boxed());
            }
            self.pass_on();
            if self.machine.is_over() {
                return;
            }
            let due = self.machine.next_due().map(|due| tokio::time::sleep_until(self.origin + due));
            tokio::select! {
                Some((number, outcome)) = OptionFuture::from(under_way.as_mut()) => {
                    under_way = None;
                    self.failures = if matches!(outcome, Outcome::Failed(Failure::Unknown(_))) { self.failures + 1 } else { 0 };
                    self.machine.handle(self.now(), number, outcome);
                }
                request = inbox.recv() => match request {
                    Some(request) => self.take(request),
                    None => return,
                },
                Some(()) = OptionFuture::from(due) => {}
            }
        }
    }

    fn take(&mut self, request: Request) {
        let now = self.now();
        match request {
            Request::Want(wanted) => self.machine.set_wanted(now, wanted),
            Request::Release(id) => self.machine.release(now, id),
            Request::Update(container, update, done) => {
                self.machine.update(&container, &update);
                // The refusal of a former change is for whoever asked for that one.
                self.pass_on();
                self.updating.insert(container.id, done);
            }
            Request::Blacklist(additions, removals) => self.machine.blacklist(additions, &removals),
            Request::Hurry => self.machine.hurry(now),
            Request::Progress(progress) => self.machine.set_progress(progress),
            Request::TrackingUrl(url) => self.machine.set_tracking_url(url),
            Request::Finish(ending, done) => {
                self.machine.finish(ending);
                self.finishing.push(done);
            }
        }
    }

    fn pass_on(&mut self) {
        for output in self.machine.take_outputs() {
            match output {
                Output::Registered(response) => self.answer_registration(Ok(registration(&response))),
                Output::AmRmToken(token) => self.roll(token),
                Output::Updated(id, answer) => {
                    if let Some(waiting) = self.updating.remove(&id) {
                        let _ = waiting.send(answer);
                    }
                }
                Output::Finished => self.answer_finishing(&Ok(())),
                Output::Event(event) => self.tell(event),
            }
        }
    }

    fn tell(&mut self, event: AmEvent) {
        match &event {
            AmEvent::NmToken { node, token } => self.tokens.put(node.clone(), token.clone()),
            AmEvent::ShutdownRequested { reason } => {
                let over = AmError::Over(reason.clone());
                self.answer_registration(Err(over.clone()));
                self.answer_finishing(&Err(over));
            }
            _ => {}
        }
        let _ = self.events.send(event);
    }

    fn roll(&self, token: Token) {
        tracing::info!("the AMRM token was rolled over");
        self.rpc.set_identity(Identity::token(token));
    }

    fn answer_registration(&mut self, answer: Result<Registration, AmError>) {
        if let Some(waiting) = self.registered.take() {
            let _ = waiting.send(answer);
        }
    }

    fn answer_finishing(&mut self, answer: &Result<(), AmError>) {
        for waiting in self.finishing.drain(..) {
            let _ = waiting.send(answer.clone());
        }
    }
}

fn registration(response: &pb::RegisterApplicationMasterResponse) -> Registration {
    Registration {
        max_resource: response.maximum_capability.as_ref().map(Resource::from).unwrap_or_default(),
        queue: response.queue().to_owned(),
        client_to_am_key: response.client_to_am_token_master_key.as_ref().map(|key| key.to_vec()),
        previous_containers: response
            .containers_from_previous_attempts
            .iter()
            .filter_map(|container| Some(Container::from_wire(container)?.id))
            .collect(),
    }
}

async fn perform(rpc: Arc<RpcClient>, number: u64, call: Call, retry: u32) -> (u64, Outcome) {
    let outcome = match call {
        Call::Register(request) => {
            ask(&rpc, "registerApplicationMaster", &request, retry).await.map(Outcome::Registered)
        }
        Call::Allocate(request) => ask(&rpc, "allocate", &request, retry).await.map(Outcome::Allocated),
        Call::Finish(request) => {
            ask::<_, pb::FinishApplicationMasterResponse>(&rpc, "finishApplicationMaster", &request, retry)
                .await
                .map(|response| Outcome::Finished(response.is_unregistered()))
        }
    };
    (number, outcome.unwrap_or_else(Outcome::Failed))
}

async fn ask<Q: Message, R: Message + Default>(
    rpc: &RpcClient,
    method: &str,
    request: &Q,
    retry: u32,
) -> Result<R, Failure> {
    rpc.call_once(method, request, retry).await.map_err(|error| failure(&error))
}

fn failure(error: &RpcError) -> Failure {
    let text = error.to_string();
    match error.remote() {
        Some(exception) if exception.is_not_registered() => Failure::NotRegistered,
        Some(exception) if exception.is_already_registered() => Failure::AlreadyRegistered,
        Some(exception) if exception.is_attempt_over() => Failure::AttemptOver(text),
        Some(exception) if exception.is_invalid_resource_request() => Failure::InvalidRequest(text),
        Some(exception) => {
            exception.expected_response_id().map_or(Failure::Unknown(text), Failure::OutOfStep)
        }
        None => Failure::Unknown(text),
    }
}
