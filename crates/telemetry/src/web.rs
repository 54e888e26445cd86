//! The way to the collector: POST of JSON, bounded answers, no redirects (S97).

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    RETRY_AFTER,
};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::settings::{Problem, Settings};

/// Sends to one address.
pub(crate) struct Web {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    timeout: Duration,
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// After how long it wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

impl Web {
    /// The way to a path below the collector's address.
    pub(crate) fn new(settings: &Settings, path: &str) -> Result<Self, Problem> {
        let (uri, login) = address(&settings.endpoint, path).map_err(Problem::new)?;
        let mut headers = HeaderMap::new();
        if let Some(login) = login {
            headers.insert(AUTHORIZATION, login);
        }
        for (name, value) in &settings.headers {
            let none = || Problem::new(format!("the header {name:?} is none"));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| none())?;
            if [HOST, CONTENT_TYPE, CONTENT_LENGTH].contains(&name) {
                let words = format!("the header {:?} is not yours to say", name.as_str());
                return Err(Problem::new(words));
            }
            let mut value = HeaderValue::from_str(value).map_err(|_| none())?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        plain.set_nodelay(true);
        plain.set_connect_timeout(Some(settings.timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(settings.ca.as_deref())?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(plain);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self {
            client,
            uri,
            headers,
            timeout: settings.timeout,
        })
    }

    /// Sends JSON. The error says what failed, without anything that was sent.
    pub(crate) async fn post(&self, json: Bytes) -> Result<Reply, String> {
        let mut request = Request::new(Full::new(json));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let response = tokio::time::timeout(self.timeout, self.client.request(request)).await;
        let (head, body) = response
            .map_err(|_| "no answer in time")?
            .map_err(|error| said("no answer", &error))?
            .into_parts();
        // The status is the answer. What cannot be read behind it changes nothing: to send again what
        // was taken would be to have it twice.
        let rest = Limited::new(body, LONGEST).collect();
        let rest = tokio::time::timeout(self.timeout.min(PATIENCE), rest).await;
        let body = match rest {
            Ok(Ok(body)) => body.to_bytes().into(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        let wait = head.headers.get(RETRY_AFTER);
        // The other form is a date, which needs clocks that agree.
        let seconds = wait.and_then(|it| it.to_str().ok()?.trim().parse().ok());
        Ok(Reply {
            status: head.status,
            retry_after: seconds.map(Duration::from_secs),
            body,
        })
    }
}

/// The address of a path, without its login, and the login.
fn address(endpoint: &str, path: &str) -> Result<(Uri, Option<HeaderValue>), &'static str> {
    let (scheme, rest) = endpoint
        .split_once("://")
        .ok_or("the endpoint has no scheme")?;
    if !matches!(scheme, "http" | "https") {
        return Err("the endpoint begins with neither http:// nor https://");
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, before) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if before.contains(['?', '#']) {
        return Err("the endpoint ends before ? and #");
    }
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, authority),
    };
    let before = before.trim_end_matches('/');
    let uri: Uri = format!("{scheme}://{host}{before}{path}")
        .parse()
        .map_err(|_| "the endpoint is no address")?;
    if uri.host().is_none_or(str::is_empty) {
        return Err("the endpoint names no host");
    }
    let Some(login) = login else {
        return Ok((uri, None));
    };
    let login = decoded(login).ok_or("the login in the endpoint is not right")?;
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(login)))
        .map_err(|_| "the login in the endpoint is not right")?;
    value.set_sensitive(true);
    Ok((uri, Some(value)))
}

/// Text in which `%41` stands for `A`.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from((high << 4) | low).ok()?
            }
            byte => byte,
        });
    }
    Some(bytes)
}

/// There is no way to trust nobody in particular (S79).
fn tls(ca: Option<&Path>) -> Result<ClientConfig, Problem> {
    let mut roots = RootCertStore::empty();
    match ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let bad = |why: &str| Problem::new(format!("{}: {why}", file.display()));
            let text = fs::read(file).map_err(|error| bad(&error.to_string()))?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                let certificate = certificate.map_err(|error| bad(&error.to_string()))?;
                let added = roots.add(certificate);
                added.map_err(|error| bad(&error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(bad("there is no certificate in it"));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Problem::new(format!("TLS: {error}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// An error with what caused it; none of them holds what was sent.
fn said(what: &str, error: &dyn std::error::Error) -> String {
    let mut text = String::from(what);
    let mut cause = Some(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

const IDLE: Duration = Duration::from_secs(90);
/// How long the words behind an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest answer, in bytes.
const LONGEST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_put_behind_the_endpoint() {
        let of = |endpoint| address(endpoint, "/v1/traces").map(|(uri, _)| uri.to_string());
        for endpoint in ["http://h:4318", "http://h:4318/", "http://u:p@h:4318"] {
            assert_eq!(of(endpoint).as_deref(), Ok("http://h:4318/v1/traces"));
        }
        assert_eq!(of("https://h/otlp/").unwrap(), "https://h/otlp/v1/traces");
        for wrong in [
            "h:4318",
            "grpc://h",
            "http://",
            "http://h/?a=b",
            "http://a b",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        let (_, login) = address("http://u:p%40@h", "/").unwrap();
        let login = login.unwrap();
        assert!(login.is_sensitive());
        assert_eq!(login, format!("Basic {}", STANDARD.encode("u:p@")));
    }

    #[test]
    fn s79_a_file_without_an_authority_is_a_problem() {
        assert!(tls(None).is_ok());
        let problem = tls(Some(Path::new("/nowhere.pem"))).unwrap_err();
        assert!(problem.to_string().starts_with("/nowhere.pem: "));
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let problem = tls(Some(&here)).unwrap_err().to_string();
        assert!(
            problem.ends_with("there is no certificate in it"),
            "{problem}"
        );
    }
}
