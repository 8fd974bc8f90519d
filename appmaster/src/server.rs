//! The one port of the application master: REST for people and clients, gRPC for task executors.

use crate::handle::ClusterHandle;
use crate::{gateway, rest};
use anyhow::{Context, Result, bail};
use kvick_core::config::options::{self, ConfigOption};
use kvick_core::config::{Configuration, PortRange};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tonic::service::Routes;

/// Binds a port that `rest.bind-port` allows, else `yarn.application-master.port` (any free one where neither is set): with
/// Flink the latter is for task executors alone, who use the same port here.
///
/// # Errors
/// If no allowed port is free.
pub async fn bind(config: &Configuration) -> Result<TcpListener> {
    let address = config.raw("rest.bind-address").filter(|a| *a != "localhost").unwrap_or("0.0.0.0");
    let option = allowed_ports(config);
    let ports = config.get(option)?;
    let mut refused = None;
    for port in ports.ports() {
        match TcpListener::bind((address, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) => bail!("no port of {} can be bound on {address}: {error}", option.key()),
        None => bail!("{} names no port", option.key()),
    }
}

fn allowed_ports(config: &Configuration) -> &'static ConfigOption<PortRange> {
    if config.is_set(&options::REST_BIND_PORT) { &options::REST_BIND_PORT } else { &options::YARN_AM_PORT }
}

/// Serves until the listener's task is dropped.
pub async fn serve(listener: TcpListener, cluster: ClusterHandle) -> Result<()> {
    let grpc = Routes::new(gateway::service(cluster.clone())).prepare().into_axum_router();
    let app = rest::router(cluster).merge(grpc);
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await.context("serving REST and RPC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_port_is_one_that_either_option_allows_the_one_for_rest_first() {
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut config: Configuration = [("rest.bind-address", "127.0.0.1")].into_iter().collect();
        config.set("yarn.application-master.port", taken.local_addr().unwrap().port().to_string());
        let refused = bind(&config).await.unwrap_err().to_string();
        assert!(refused.starts_with("no port of yarn.application-master.port can be bound"), "{refused}");
        config.set("rest.bind-port", "0");
        bind(&config).await.unwrap();
    }
}
