//! A connection to a back end whose language is spoken here: TCP, or TLS over it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, BufStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{Problem, settings, tls};

/// Bytes in both directions.
pub(crate) type Link = BufStream<Box<dyn Stream>>;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where a back end is.
#[derive(Clone)]
pub(crate) struct Target {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Target {
    /// Reads `host`, `host:port` or `[address]:port`; `None`: it is neither.
    pub(crate) fn parse(authority: &str, usual_port: u16) -> Option<Self> {
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, usual_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| Self {
            host: host.to_owned(),
            port,
            tls: None,
        })
    }

    /// The same with TLS.
    pub(crate) fn with_tls(mut self, settings: &settings::Tls) -> Result<Self, Problem> {
        let name = ServerName::try_from(self.host.clone());
        let name = name.map_err(|_| Problem::new("the address has no name that TLS can verify"))?;
        let config = Arc::new(tls::client(settings)?);
        self.tls = Some((TlsConnector::from(config), name));
        Ok(self)
    }

    /// Connects, in `patience` at most, the handshake of TLS included.
    pub(crate) async fn connect(&self, patience: Duration) -> io::Result<Link> {
        let connected = tokio::time::timeout(patience, self.connect_in_time()).await;
        connected.unwrap_or_else(|_| Err(io::Error::other("no connection in time")))
    }

    async fn connect_in_time(&self) -> io::Result<Link> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
        };
        Ok(BufStream::new(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read() {
        for (text, shown) in [
            ("h", Some("h:7")),
            ("h:1", Some("h:1")),
            ("[::1]", Some("::1:7")),
            ("[::1]:9", Some("::1:9")),
            ("", None),
            (":1", None),
            ("h:x", None),
            ("h:65536", None),
        ] {
            let target = Target::parse(text, 7).map(|it| format!("{it:?}"));
            assert_eq!(target.as_deref(), shown, "{text}");
        }
        let nameless = Target::parse("a b", 7).unwrap();
        assert!(nameless.with_tls(&settings::Tls::default()).is_err());
    }
}
