//! The AMRM token is rolled over: the machine tells each new one once, the shell connects with the newest.

use super::*;
use crate::am::{AmClient, AmEvents};
use crate::conf::HadoopConf;
use crate::credentials::{Credentials, Token};
use crate::rpc::server::{Answer, Seen, Server, token};
use prost::Message;

fn with_token(id: i32, token: &Token) -> pb::AllocateResponse {
    pb::AllocateResponse { am_rm_token: Some(token.into()), ..answer(id) }
}

#[test]
fn a_token_is_told_once_however_often_it_is_sent() {
    let mut machine = registered();
    let mut told = Vec::new();
    for (id, name) in (1..).zip(["first", "first", "first", "second", "second"]) {
        let now = SECOND * 2 * id as u32;
        let (number, _) = allocate(&mut machine, now);
        machine.handle(now, number, Outcome::Allocated(with_token(id, &token(name))));
        told.extend(machine.take_outputs());
    }
    assert_eq!(told, [Output::AmRmToken(token("first")), Output::AmRmToken(token("second"))]);
}

/// Answers as a ResourceManager whose key is rolled over at heartbeat 2 and which drops its connections at heartbeat 4.
fn rolling() -> impl FnMut(&str, bytes::Bytes) -> Answer + Send {
    let mut heartbeats = 0;
    let mut connection = "old";
    move |method, request| {
        if method == "registerApplicationMaster" {
            return Answer::Message(pb::RegisterApplicationMasterResponse::default().encode_to_vec());
        }
        let id = pb::AllocateRequest::decode(request).unwrap().response_id() + 1;
        heartbeats += 1;
        match heartbeats {
            4 => {
                connection = "new";
                Answer::Close
            }
            2.. if connection == "old" => Answer::Message(with_token(id, &token("new")).encode_to_vec()),
            _ => Answer::Message(answer(id).encode_to_vec()),
        }
    }
}

async fn master(server: &Server) -> (AmClient, AmEvents) {
    let mut conf = HadoopConf::default();
    conf.set("yarn.resourcemanager.scheduler.address", server.address.to_string());
    let mut credentials = Credentials::new();
    credentials.add_token("", token("old"));
    let config = AmConfig { idle_interval: Duration::from_millis(10), ..AmConfig::default() };
    AmClient::register(&conf, &credentials, config).await.unwrap()
}

#[tokio::test]
async fn a_new_connection_is_opened_with_the_new_token() {
    let mut server = Server::start(rolling()).await;
    server.accept_only(&[&token("old"), &token("new")]);
    let (_master, _events) = master(&server).await;
    let heartbeat = |retry| Seen::Called("allocate".into(), retry);
    let identified = |name: &str| Seen::Identified(name.into());
    let mut expected = vec![identified("old"), Seen::Called("registerApplicationMaster".into(), 0)];
    expected.extend([0; 4].map(heartbeat));
    // The heartbeat whose answer was lost is repeated, by the new token.
    expected.extend([identified("new"), heartbeat(1), heartbeat(0)]);
    for one in expected {
        assert_eq!(server.next().await, one);
    }
}
