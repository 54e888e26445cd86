//! The conversation with an authority (RFC 8555).

use std::error::Error as StdError;
use std::fmt;
use std::fs;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType,
    HttpClient, Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::folder;
use crate::responder::Responder;
use crate::wanted::Wanted;

/// Why there is no certificate.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A file.
    File(io::Error),
    /// What the authority says, or that it says nothing.
    Authority(instant_acme::Error),
    /// The authority does not offer what we can do.
    NoChallenge(String),
    /// It has looked, and not found what it should.
    Refused(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Authority(error) => {
                error.fmt(f)?;
                let mut source = error.source();
                while let Some(cause) = source {
                    write!(f, ": {cause}")?;
                    source = cause.source();
                }
                Ok(())
            }
            Self::NoChallenge(name) => {
                write!(f, "{name}: the authority does not offer http-01 for it")
            }
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

impl From<instant_acme::Error> for Failure {
    fn from(error: instant_acme::Error) -> Self {
        Self::Authority(error)
    }
}

/// Asks for a certificate. Returns its key and its chain, PEM.
pub(crate) async fn ask(wanted: &Wanted) -> Result<String, Failure> {
    let account = account(wanted).await?;
    let domains: Vec<_> = wanted
        .domains
        .iter()
        .cloned()
        .map(Identifier::Dns)
        .collect();
    let mut order = account.new_order(&NewOrder::new(&domains)).await?;
    let responder = Responder::bind(wanted.http).await?;
    let mut authorizations = order.authorizations();
    while let Some(next) = authorizations.next().await {
        let mut authorization = next?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => {
                return Err(Failure::Refused(format!(
                    "the authority's answer is {other:?} before it has looked"
                )));
            }
        }
        let name = authorization.identifier().to_string();
        let challenge = authorization.challenge(ChallengeType::Http01);
        let mut challenge = challenge.ok_or(Failure::NoChallenge(name))?;
        responder.answer(&challenge.token, challenge.key_authorization().as_str());
        challenge.set_ready().await?;
    }
    let patience = RetryPolicy::new().timeout(PATIENCE);
    let status = order.poll_ready(&patience).await?;
    if status != OrderStatus::Ready {
        return Err(Failure::Refused(reason(&mut order).await));
    }
    drop(responder);
    let key = order.finalize().await?;
    let chain = order.poll_certificate(&patience).await?;
    Ok(key + &chain)
}

/// Why the authority does not give a certificate, in its own words.
async fn reason(order: &mut instant_acme::Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        for challenge in &authorization.challenges {
            if let Some(problem) = &challenge.error {
                return format!("{}: {problem}", authorization.identifier());
            }
        }
    }
    "the authority refuses, and does not say why".to_owned()
}

/// The account at the authority, made at need. Asking means to agree to its terms.
async fn account(wanted: &Wanted) -> Result<Account, Failure> {
    let builder = || -> Result<_, Failure> {
        let http = Http::new(wanted.roots.as_deref())?;
        Ok(Account::builder_with_http(Box::new(http)))
    };
    let path = wanted.folder.join("account.json");
    if let Some(known) = known_account(&path, &wanted.directory)? {
        return Ok(builder()?.from_credentials(known).await?);
    }
    let contact = wanted.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.as_deref().into_iter().collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let made = builder()?.create(&new, wanted.directory.clone(), None);
    let (account, credentials) = made.await?;
    let text = serde_json::json!({"directory": wanted.directory, "credentials": credentials});
    folder::replace(&path, &text.to_string())?;
    Ok(account)
}

/// The account of a file, if it is one at this authority.
fn known_account(path: &Path, directory: &str) -> io::Result<Option<AccountCredentials>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let wrong = |error: serde_json::Error| {
        // Its words might quote the key.
        let text = format!("{}: no account in line {}", path.display(), error.line());
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let mut file: serde_json::Value = serde_json::from_str(&text).map_err(wrong)?;
    if file["directory"] != directory {
        return Ok(None);
    }
    let credentials = serde_json::from_value(file["credentials"].take());
    credentials.map(Some).map_err(wrong)
}

/// Requests to an authority: by TLS, with a bound on answers and time.
struct Http {
    client: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
}

impl Http {
    fn new(roots: Option<&Path>) -> io::Result<Self> {
        let mut trusted = RootCertStore::empty();
        match roots {
            None => trusted.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => {
                let wrong = |why: &dyn fmt::Display| {
                    let text = format!("{}: {why}", path.display());
                    io::Error::new(io::ErrorKind::InvalidData, text)
                };
                let text = fs::read(path).map_err(|error| wrong(&error))?;
                for certificate in CertificateDer::pem_slice_iter(&text) {
                    let certificate = certificate.map_err(|error| wrong(&error))?;
                    trusted.add(certificate).map_err(|error| wrong(&error))?;
                }
                if trusted.is_empty() {
                    return Err(wrong(&"no certificate in it"));
                }
            }
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>>;

impl HttpClient for Http {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answer {
        let asked = self.client.request(request);
        Box::pin(async move {
            let answer = async {
                let (head, body) = asked.await?.into_parts();
                let body = Limited::new(body, LONGEST_ANSWER).collect().await?;
                Ok(Response::from_parts(head, Full::new(body.to_bytes())))
            };
            let answer: Result<_, Box<dyn StdError + Send + Sync>> =
                match tokio::time::timeout(ANSWER_TIME, answer).await {
                    Ok(answer) => answer,
                    Err(_) => Err("the authority does not answer in time".into()),
                };
            answer
                .map(BytesResponse::from)
                .map_err(instant_acme::Error::Other)
        })
    }
}

/// How long the authority may take to look, and to sign.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Most bytes of an answer; a chain has some thousand.
const LONGEST_ANSWER: usize = 1024 * 1024;
