//! The port of metrics, for who cannot sign in: it has metrics and health, and nothing else.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::caller::Door;
use crate::http::refusal::Refusal;
use crate::http::serve::{Conversation, Entrance};
use crate::web::Hosts;

/// The port of metrics as a way in.
pub(crate) struct ScrapeEntrance {
    pub(crate) listener: TcpListener,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) router: Router,
}

impl Entrance for ScrapeEntrance {
    type Link = (TcpStream, SocketAddr);

    async fn accept(&self) -> io::Result<Self::Link> {
        self.listener.accept().await
    }

    fn address((_, peer): &Self::Link) -> Option<IpAddr> {
        Some(peer.ip())
    }

    fn serve(
        &self,
        (stream, peer): Self::Link,
        conversation: Conversation,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (router, hosts) = (self.router.clone(), Arc::clone(&self.hosts));
        conversation.hold(stream, move |request| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Door::Scrape(peer));
            let (router, hosts) = (router.clone(), Arc::clone(&hosts));
            async move {
                // A page of another site that resolves its name to this address reads nothing.
                if hosts.called(request.headers(), request.uri()).is_none() {
                    let words = "this server does not go by the name in Host";
                    return Refusal::new(StatusCode::MISDIRECTED_REQUEST, words).into_response();
                }
                let Ok(response) = router.oneshot(request).await;
                response
            }
        })
    }
}
