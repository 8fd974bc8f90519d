//! What is not JSON: the page for people, and paths that lead nowhere.

use super::error::RestError;
use axum::extract::Request;
use axum::http::{Method, Uri, header};
use axum::response::IntoResponse;

/// `GET /`: one page without dependencies. All its links are relative, for behind YARN's proxy the API is not at the root.
pub async fn index() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/html; charset=UTF-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, include_str!("index.html"))
}

/// The request as it came, before any routing, and for `/jobs` where `/jobs/` was asked for: so Flink's router sees it.
pub fn afresh(mut request: Request) -> Request {
    // Else the parameters of the outer route would count among those of the inner one.
    request.extensions_mut().clear();
    let path = request.uri().path();
    let trimmed = path.trim_end_matches('/');
    if !trimmed.is_empty() && trimmed.len() < path.len() {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Ok(uri) = format!("{trimmed}{query}").parse() {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// 404 in Flink's words.
pub async fn no_such_path(method: Method, uri: Uri) -> RestError {
    match method {
        Method::GET | Method::HEAD => {
            RestError::not_found(format!("Unable to load requested file {}.", uri.path()))
        }
        _ => RestError::not_found(format!("Not found: {method} {}", uri.path())),
    }
}
