//! The port of the dashboard: its files, and the API for those who say who they are.
//!
//! A request has to name this server as its host, and come from its own pages if from any; who asks is
//! found out before a route sees it. There is no cookie, so that no other site can make a browser ask
//! in somebody's name (S92).
//!
//! | module | owns |
//! |---|---|
//! | `front` | one request on its way to a file or a route |
//! | `host` | whether a request is meant for this server |
//! | `identity` | who asks |

mod front;
mod host;
mod identity;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::http::serve::{Conversation, Entrance};
pub(crate) use front::Front;
pub(crate) use host::Hosts;
pub(crate) use identity::{bearer, still_holds};

/// A file of the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// What is in it.
    pub content: &'static [u8],
    /// What it is, as HTTP says it.
    pub media_type: &'static str,
    /// Whether its name changes with its content.
    pub is_immutable: bool,
}

/// Where the dashboard listens, and for whom.
#[derive(Clone)]
pub struct Settings {
    /// The address and port.
    pub address: SocketAddr,
    /// Names that requests may call this server by, beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// The path in front of everything: empty, or beginning and not ending with `/`.
    pub prefix: String,
    /// TLS, if it is spoken.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The file at a path, if there is one.
    pub files: fn(&str) -> Option<Asset>,
    /// What a browser may do with the files; where it may connect to is added.
    pub policy: &'static str,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("address", &self.address)
            .field("hosts", &self.hosts)
            .field("prefix", &self.prefix)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// The port as a way in.
pub(crate) struct WebEntrance {
    pub(crate) listener: TcpListener,
    pub(crate) front: Arc<Front>,
    pub(crate) tls: Option<TlsAcceptor>,
}

impl Entrance for WebEntrance {
    type Link = (TcpStream, SocketAddr);

    async fn accept(&self) -> io::Result<Self::Link> {
        self.listener.accept().await
    }

    fn address((_, peer): &Self::Link) -> Option<std::net::IpAddr> {
        Some(peer.ip())
    }

    fn serve(
        &self,
        (stream, peer): Self::Link,
        conversation: Conversation,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (front, tls) = (Arc::clone(&self.front), self.tls.clone());
        async move {
            let answer = move |request| {
                let front = Arc::clone(&front);
                async move { front.answer(request, peer).await }
            };
            let Some(tls) = tls else {
                return conversation.hold(stream, answer).await;
            };
            // A handshake that fails or does not end is its other side's business.
            if let Ok(Ok(stream)) = timeout(conversation.patience(), tls.accept(stream)).await {
                conversation.hold(stream, answer).await;
            }
        }
    }
}
