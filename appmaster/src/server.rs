//! The one port of the application master: REST for people and clients, gRPC for task executors.

use crate::handle::ClusterHandle;
use crate::{gateway, rest};
use anyhow::{Context, Result, bail};
use kvick_core::config::options;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tonic::service::Routes;

/// Binds the port that `rest.bind-port` allows (on YARN any free one unless it is set).
///
/// # Errors
/// If no allowed port is free.
pub async fn bind(config: &kvick_core::config::Configuration) -> Result<TcpListener> {
    let address = config.raw("rest.bind-address").filter(|a| *a != "localhost").unwrap_or("0.0.0.0");
    let ports: Vec<u16> = if config.is_set(&options::REST_BIND_PORT) {
        config.get(&options::REST_BIND_PORT)?.ports().collect()
    } else {
        vec![0]
    };
    let mut refused = None;
    for port in ports {
        match TcpListener::bind((address, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) => bail!("no port of rest.bind-port can be bound on {address}: {error}"),
        None => bail!("rest.bind-port names no port"),
    }
}

/// Serves until the listener's task is dropped.
pub async fn serve(listener: TcpListener, cluster: ClusterHandle) -> Result<()> {
    let grpc = Routes::new(gateway::service(cluster.clone())).prepare().into_axum_router();
    let app = rest::router(cluster).merge(grpc);
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await.context("serving REST and RPC")
}
