//! What is not JSON: the page for people, and paths that lead nowhere.

use super::error::RestError;
use axum::http::{Method, Uri, header};
use axum::response::IntoResponse;

/// `GET /`: one page without dependencies. All its links are relative, for behind YARN's proxy the API is not at the root.
pub async fn index() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/html; charset=UTF-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, include_str!("index.html"))
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
