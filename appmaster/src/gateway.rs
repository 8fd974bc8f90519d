//! The gRPC end that task executors connect to: authenticates, learns who it is, then carries frames both ways.

use crate::handle::ClusterHandle;
use crate::input::Input;
use kvick_core::executor::FromExecutor;
use kvick_core::ids::ExecutorId;
use kvick_rpc::gateway::{MAX_FRAME_BYTES, MasterGateway, MasterGatewayServer, authenticate, decode};
use kvick_rpc::generated::v1::Frame;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, warn};

/// The service, ready to be mounted beside REST.
pub fn service(cluster: ClusterHandle) -> MasterGatewayServer<Gateway> {
    MasterGatewayServer::new(Gateway { cluster, connections: Arc::new(AtomicU64::new(0)) })
        .max_decoding_message_size(MAX_FRAME_BYTES)
        .max_encoding_message_size(MAX_FRAME_BYTES)
}

/// Takes the conversations of task executors.
pub struct Gateway {
    cluster: ClusterHandle,
    connections: Arc<AtomicU64>,
}

#[tonic::async_trait]
impl MasterGateway for Gateway {
    type ConverseStream =
        tokio_stream::adapters::Map<UnboundedReceiverStream<Frame>, fn(Frame) -> Result<Frame, Status>>;

    async fn converse(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::ConverseStream>, Status> {
        authenticate(request.metadata(), &self.cluster.settings.secret)?;
        let mut incoming = request.into_inner();
        let first = incoming.message().await?.ok_or_else(|| Status::invalid_argument("nothing was said"))?;
        let (info, holdings, connection) = match self.understand(&first)? {
            FromExecutor::Register { info, holdings, connection } => (info, holdings, connection),
            _ => return Err(Status::invalid_argument("a task executor has to register first")),
        };
        let executor = info.id.clone();
        let serial = self.connections.fetch_add(1, Ordering::Relaxed);
        let (frames, receiver) = mpsc::unbounded_channel();
        self.cluster.send(Input::Connected { info, holdings, connection, serial, frames });
        tokio::spawn(listen(self.cluster.clone(), executor, serial, incoming));
        Ok(Response::new(UnboundedReceiverStream::new(receiver).map(Ok)))
    }
}

impl Gateway {
    fn understand(&self, frame: &Frame) -> Result<FromExecutor, Status> {
        let (epoch, message) = decode(frame).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let own = self.cluster.settings.epoch.attempt;
        if epoch != own {
            return Err(Status::failed_precondition(format!(
                "this is attempt {own}, the message is for {epoch}"
            )));
        }
        Ok(message)
    }
}

/// Passes on what a task executor says, until its connection ends.
async fn listen(cluster: ClusterHandle, executor: ExecutorId, serial: u64, mut incoming: Streaming<Frame>) {
    loop {
        match incoming.message().await {
            Ok(Some(frame)) => match decode::<FromExecutor>(&frame) {
                Ok((epoch, message)) if epoch == cluster.settings.epoch.attempt => {
                    cluster.send(Input::Executor(executor.clone(), serial, message));
                }
                Ok((epoch, _)) => warn!(%executor, "dropped a message for attempt {epoch}"),
                Err(error) => warn!(%executor, "dropped a message: {error}"),
            },
            Ok(None) => break,
            Err(status) => {
                // The driver warns if that executor is still wanted; one that was sent home just goes.
                debug!(%executor, "connection: {}", status.message());
                break;
            }
        }
    }
    cluster.send(Input::Disconnected(executor, serial));
}
