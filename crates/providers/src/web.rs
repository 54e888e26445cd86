//! A small client for HTTP/1.1: one address, bounded answers, no redirects (S97).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::settings::{Address, Tls};
use crate::{Problem, tls};
use auth::Secret;

/// Asks one address. Connections are kept for the next question.
#[derive(Debug)]
pub(crate) struct Web {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    /// Longest answer, in bytes.
    limit: usize,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Web {
    pub(crate) fn new(
        url: &Address,
        headers: &[(String, Secret)],
        tls: &Tls,
        limit: usize,
    ) -> Result<Self, Problem> {
        let (uri, login) = address(url.reveal()).map_err(Problem::new)?;
        let mut map = HeaderMap::new();
        if let Some(login) = login {
            map.insert(AUTHORIZATION, login);
        }
        for (name, value) in headers {
            let shown = || Problem::new(format!("the header {name:?} is none"));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| shown())?;
            if name == HOST || name == CONTENT_TYPE || name.as_str() == "content-length" {
                return Err(Problem::new(format!(
                    "the header {name:?} is not yours to say"
                )));
            }
            let mut value = HeaderValue::from_bytes(value.reveal()).map_err(|_| shown())?;
            value.set_sensitive(true);
            map.append(name, value);
        }
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        plain.set_nodelay(true);
        plain.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client(tls)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(plain);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(MOST_IDLE)
            .build(connector);
        Ok(Self {
            client,
            uri,
            headers: map,
            limit,
        })
    }

    pub(crate) async fn get(&self) -> Result<Reply, Arc<str>> {
        self.send(Method::GET, Bytes::new()).await
    }

    /// JSON there, JSON back.
    pub(crate) async fn post(&self, json: Vec<u8>) -> Result<Reply, Arc<str>> {
        self.send(Method::POST, json.into()).await
    }

    async fn send(&self, method: Method, body: Bytes) -> Result<Reply, Arc<str>> {
        let mut request = Request::new(Full::new(body));
        *request.headers_mut() = self.headers.clone();
        if method == Method::POST {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
        }
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        let response = self.client.request(request).await;
        let response = response.map_err(|error| said("no answer", &error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.limit).collect().await;
        let body = body.map_err(|error| said("the answer broke off or is too long", &*error))?;
        Ok(Reply {
            status: head.status,
            body: body.to_bytes().into(),
        })
    }
}

/// An address without its login, and the login.
fn address(text: &str) -> Result<(Uri, Option<HeaderValue>), &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or("the address has no scheme")?;
    if !matches!(scheme, "http" | "https") {
        return Err("the address begins with neither http:// nor https://");
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, authority),
    };
    let uri: Uri = format!("{scheme}://{host}{path}")
        .parse()
        .map_err(|_| "not an address")?;
    if uri.host().is_none_or(str::is_empty) {
        return Err("the address names no host");
    }
    let Some(login) = login else {
        return Ok((uri, None));
    };
    let login = crate::url::decode(login).ok_or("the login in the address is not right")?;
    let value = format!("Basic {}", STANDARD.encode(login));
    let mut value = HeaderValue::try_from(value).map_err(|_| "the login is not right")?;
    value.set_sensitive(true);
    Ok((uri, Some(value)))
}

/// An error with what caused it; none of them holds what was sent.
fn said(what: &str, error: &dyn std::error::Error) -> Arc<str> {
    let mut text = String::from(what);
    let mut cause = Some(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.into()
}

const CONNECT: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(30);
const MOST_IDLE: usize = 32;

#[cfg(test)]
pub(crate) mod tests;
