//! How other tasks reach the cluster: they put inputs into the driver's inbox, or have the driver run a closure.

use crate::cluster::Cluster;
use crate::input::Input;
use crate::settings::Settings;
use kvick_core::time::Millis;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Access to the cluster from other tasks. Cheap to clone.
#[derive(Clone)]
pub struct ClusterHandle {
    inbox: mpsc::UnboundedSender<Input>,
    /// What the process was told at its start.
    pub settings: Arc<Settings>,
}

impl ClusterHandle {
    /// A handle on the driver behind this inbox.
    pub fn new(inbox: mpsc::UnboundedSender<Input>, settings: Arc<Settings>) -> ClusterHandle {
        ClusterHandle { inbox, settings }
    }

    /// Runs a closure in the driver's task and returns its answer; `None` once the driver has ended. Effects that the
    /// closure causes belong into [`Cluster::effects`]; they are performed when it returns.
    pub async fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Cluster, Millis) -> R + Send + 'static,
    ) -> Option<R> {
        let (sender, receiver) = oneshot::channel();
        self.send(Input::Request(Box::new(move |cluster, now| {
            let _ = sender.send(question(cluster, now));
        })));
        receiver.await.ok()
    }

    /// Puts an input into the driver's inbox.
    pub fn send(&self, input: Input) {
        // A driver that has ended needs no more inputs.
        let _ = self.inbox.send(input);
    }
}
