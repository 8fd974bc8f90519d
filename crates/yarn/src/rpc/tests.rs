//! Failing over, retrying and waiting, against servers that speak real frames.

use super::server::{Answer, Seen, Server, client, token};
use super::{Address, Connection, Identity, Options, RpcClient, RpcError};
use crate::proto::yarn::{GetClusterMetricsRequest as Request, GetClusterMetricsResponse as Response};
use prost::Message;
use std::time::Duration;
use tokio::time::Instant;

const STANDBY: &str = "org.apache.hadoop.ipc.StandbyException";
const RETRIABLE: &str = "org.apache.hadoop.ipc.RetriableException";
const SECOND: Duration = Duration::from_secs(1);

fn metrics() -> Vec<u8> {
    Response::default().encode_to_vec()
}

/// A server that does these things with its first calls and then answers.
async fn server(first: Vec<Answer>) -> Server {
    let mut first = first.into_iter();
    Server::start(move |_, _| first.next().unwrap_or(Answer::Message(metrics()))).await
}

async fn call(client: &RpcClient, patience: Duration) -> Result<Response, RpcError> {
    client.call("getClusterMetrics", &Request {}, Instant::now() + patience).await
}

fn alice() -> Identity {
    Identity::simple("alice")
}

fn called(retry: i32) -> Seen {
    Seen::Called("getClusterMetrics".into(), retry)
}

fn identified() -> Seen {
    Seen::Identified("alice".into())
}

/// An address at which nobody listens.
async fn nobody() -> Address {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    Address::new("127.0.0.1", listener.local_addr().unwrap().port())
}

#[tokio::test]
async fn a_standby_is_passed_over_and_the_active_one_kept() {
    let mut standby = server(vec![Answer::Throw(STANDBY)]).await;
    let mut active = server(Vec::new()).await;
    let client = client(&[&standby, &active], alice());
    call(&client, 5 * SECOND).await.unwrap();
    call(&client, 5 * SECOND).await.unwrap();
    assert_eq!(standby.drain(), [identified(), called(0)]);
    assert_eq!(active.drain(), [identified(), called(1), called(0)], "one connection serves both calls");
}

#[tokio::test]
async fn a_refused_connection_leads_to_the_next_address_and_back() {
    let mut second = server(vec![Answer::Throw(STANDBY), Answer::Throw(STANDBY)]).await;
    let targets = vec![nobody().await, second.address.clone()];
    let client = RpcClient::new("test.Protocol", targets, alice(), Options::default());
    call(&client, 10 * SECOND).await.unwrap();
    let calls: Vec<_> = second.drain().into_iter().filter(|seen| *seen != identified()).collect();
    assert_eq!(calls, [called(1), called(3), called(5)], "the refused address is asked in between");
}

#[tokio::test]
async fn a_retriable_exception_is_tried_again_at_the_same_address() {
    let mut first = server(vec![Answer::Throw(RETRIABLE), Answer::Throw(RETRIABLE)]).await;
    let mut second = server(Vec::new()).await;
    let client = client(&[&first, &second], alice());
    let begun = Instant::now();
    call(&client, 10 * SECOND).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(100), "it pauses before each new attempt");
    assert_eq!(first.drain(), [identified(), called(0), called(1), called(2)]);
    assert!(second.drain().is_empty());
}

#[tokio::test]
async fn when_all_stand_by_the_caller_hears_so_in_time() {
    let standby = || Server::start(|_, _| Answer::Throw(STANDBY));
    let (first, second) = (standby().await, standby().await);
    let client = client(&[&first, &second], alice());
    let begun = Instant::now();
    let error = call(&client, SECOND).await.unwrap_err();
    assert!(begun.elapsed() < 2 * SECOND, "{:?}", begun.elapsed());
    assert!(matches!(error, RpcError::GaveUp { attempts: 3.., .. }), "{error}");
    assert!(error.remote().unwrap().is_standby());
}

#[tokio::test]
async fn any_other_exception_is_the_callers_and_the_connection_lives_on() {
    let mut server = server(vec![Answer::Throw("org.apache.hadoop.yarn.exceptions.YarnException")]).await;
    let client = client(&[&server], alice());
    let error = call(&client, 5 * SECOND).await.unwrap_err();
    assert_eq!(error.remote().unwrap().message, "as the test wants");
    call(&client, 5 * SECOND).await.unwrap();
    assert_eq!(server.drain(), [identified(), called(0), called(0)]);
}

#[tokio::test]
async fn a_connection_that_ends_under_a_call_is_opened_again() {
    for trouble in [Answer::Close, Answer::Fatal(STANDBY)] {
        let mut server = server(vec![trouble]).await;
        let client = client(&[&server], alice());
        call(&client, 5 * SECOND).await.unwrap();
        assert_eq!(server.drain(), [identified(), called(0), identified(), called(1)]);
    }
}

#[tokio::test]
async fn a_new_token_is_used_by_the_next_connection_and_not_before() {
    let (old, new) = (token("old"), token("new"));
    let mut closing = false;
    let script = move |_: &str, _| {
        closing = !closing;
        if closing { Answer::Message(metrics()) } else { Answer::Close }
    };
    let mut server = Server::start(script).await;
    server.accept_only(&[&old]);
    let client = client(&[&server], Identity::token(old));
    call(&client, 5 * SECOND).await.unwrap();
    // The old one is worthless for new connections; the present one is not asked again who it is.
    server.accept_only(&[&new]);
    client.set_identity(Identity::token(new));
    call(&client, 5 * SECOND).await.unwrap();
    let seen = server.drain();
    let expected = |name: &str| Seen::Identified(name.into());
    assert_eq!(seen, [expected("old"), called(0), called(0), expected("new"), called(1)]);
}

#[tokio::test]
async fn a_worthless_token_is_refused_with_the_servers_reason() {
    let server = server(Vec::new()).await;
    server.accept_only(&[&token("another")]);
    let error = call(&client(&[&server], Identity::token(token("mine"))), 5 * SECOND).await.unwrap_err();
    assert_eq!(error.remote().unwrap().simple_name(), "InvalidToken");
}

#[tokio::test]
async fn a_silent_connection_is_pinged_while_someone_waits_and_only_then() {
    let mut server = server(vec![Answer::Message(metrics()), Answer::Silence]).await;
    let every = Duration::from_millis(50);
    let options = Options { ping_interval: every, call_timeout: 20 * every, ..Options::default() };
    let connection = Connection::open(&server.address, "test.Protocol", &alice(), &options).await.unwrap();
    let _: Response = connection.call("getClusterMetrics", &Request {}, 0).await.unwrap();
    // Nobody waits during these intervals, in which a ping would come.
    tokio::time::sleep(4 * every).await;
    assert_eq!(server.drain(), [identified(), called(0)]);
    let outcome: Result<Response, _> = connection.call("getClusterMetrics", &Request {}, 0).await;
    assert!(matches!(outcome, Err(RpcError::Timeout { .. })), "{outcome:?}");
    assert_eq!(server.next().await, called(0));
    assert_eq!((server.next().await, server.next().await), (Seen::Ping, Seen::Ping));
    assert!(connection.is_alive(), "a call that took too long does not end the connection");
}
