//! One request on its way to a file or a route.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use tower::ServiceExt;

use super::host::{Called, Hosts, is_own};
use super::{Asset, Settings, identity};
use crate::caller::Door;
use crate::http::refusal::Refusal;
use crate::staff::Staff;

/// What stands in front of files and routes.
pub(crate) struct Front {
    hosts: Hosts,
    prefix: String,
    is_encrypted: bool,
    files: fn(&str) -> Option<Asset>,
    policy: &'static str,
    staff: Arc<Staff>,
    router: Router,
}

/// What is answered with everything: nothing is guessed, framed, or told to other sites.
const HEADERS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

impl Front {
    pub(crate) fn new(settings: &Settings, staff: Arc<Staff>, router: Router) -> Self {
        Self {
            hosts: Hosts::new(&settings.hosts),
            prefix: settings.prefix.clone(),
            is_encrypted: settings.tls.is_some(),
            files: settings.files,
            policy: settings.policy,
            staff,
            router,
        }
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response {
        let mut response = match self.hosts.called(request.headers(), request.uri()) {
            Some(called) => {
                let mut response = self.meant(request, peer, &called).await;
                self.bind(&mut response, &called);
                response
            }
            None => {
                let words = "this server does not go by the name in Host; see `dashboard.hosts`";
                Refusal::new(StatusCode::MISDIRECTED_REQUEST, words).into_response()
            }
        };
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        if self.is_encrypted {
            let year = HeaderValue::from_static("max-age=31536000");
            headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
        }
        response
    }

    /// Answers a request that means this server.
    async fn meant(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        called: &Called,
    ) -> Response {
        let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
        if is_change && !is_own(request.headers(), called) {
            let words = "this comes from a page of another site";
            return Refusal::new(StatusCode::FORBIDDEN, words).into_response();
        }
        let path = request.uri().path();
        let Some(rest) = path.strip_prefix(&*self.prefix) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        if rest.is_empty() {
            // The addresses in the page are relative to its folder. The prefix is the
            // configuration's, not the request's.
            return match HeaderValue::try_from(format!("{}/", self.prefix)) {
                Ok(to) => {
                    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, to)]).into_response()
                }
                Err(_) => StatusCode::NOT_FOUND.into_response(),
            };
        }
        let Some(name) = rest.strip_prefix('/') else {
            return StatusCode::NOT_FOUND.into_response();
        };
        if let Some(asset) = (self.files)(name) {
            return file(request.method(), asset);
        }
        self.route(request, peer).await
    }

    /// Hands a request to the routes, with who asks.
    async fn route(&self, request: Request<Incoming>, peer: SocketAddr) -> Response {
        let caller = match identity::caller(request.headers(), peer, &self.staff) {
            Ok(caller) => caller,
            Err(refusal) => return refusal.into_response(),
        };
        let mut request = request.map(Body::new);
        let Some(uri) = self.below(request.uri()) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        *request.uri_mut() = uri;
        request.extensions_mut().insert(Door::Web(caller));
        let Ok(response) = self.router.clone().oneshot(request).await;
        response
    }

    /// An address as the routes know it: without the prefix.
    fn below(&self, uri: &Uri) -> Option<Uri> {
        let path = uri.path_and_query()?.as_str().strip_prefix(&*self.prefix)?;
        PathAndQuery::try_from(path).ok().map(Uri::from)
    }

    /// Says what a browser may do with what is answered. The test client of the dashboard may connect
    /// to any port of the host that the page came from: the listeners for WebSocket are there.
    fn bind(&self, response: &mut Response, called: &Called) {
        let host = &called.name;
        let connect = if host.starts_with('[') {
            // The policy's language has no words for addresses of IPv6.
            "ws: wss:".to_owned()
        } else {
            format!("ws://{host}:* wss://{host}:*")
        };
        let policy = format!("{}; connect-src 'self' {connect}", self.policy);
        // What a host may be called has no characters that a header could not have.
        if let Ok(policy) = HeaderValue::try_from(policy) {
            response
                .headers_mut()
                .insert(header::CONTENT_SECURITY_POLICY, policy);
        }
    }
}

fn file(method: &Method, asset: Asset) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(asset.media_type),
    );
    let kept = if asset.is_immutable {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    match *method {
        Method::GET => (headers, asset.content).into_response(),
        Method::HEAD => {
            headers.insert(
                header::CONTENT_LENGTH,
                HeaderValue::from(asset.content.len()),
            );
            headers.into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}
