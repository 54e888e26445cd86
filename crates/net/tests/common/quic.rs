//! Clients of QUIC that block.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::PATIENCE;
use super::pki::TlsClient;

/// A place to connect from.
pub(crate) struct QuicClient {
    runtime: Arc<Runtime>,
    pub(crate) endpoint: Endpoint,
    config: ClientConfig,
}

impl QuicClient {
    pub(crate) fn new(tls: &TlsClient) -> Self {
        Self::speaking(tls, b"mqtt")
    }

    pub(crate) fn speaking(tls: &TlsClient, protocol: &[u8]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let mut tls = (*tls.config).clone();
        tls.alpn_protocols = vec![protocol.to_vec()];
        let crypto = QuicClientConfig::try_from(tls).unwrap();
        let within = runtime.enter();
        let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        drop(within);
        Self {
            runtime: Arc::new(runtime),
            endpoint,
            config: ClientConfig::new(Arc::new(crypto)),
        }
    }

    /// A connection without a stream.
    pub(crate) fn connect(&self, address: SocketAddr) -> Result<Connection, ConnectionError> {
        let _within = self.runtime.enter();
        let connecting = self
            .endpoint
            .connect_with(self.config.clone(), address, "localhost")
            .unwrap();
        self.wait(connecting)
    }

    /// A connection with its stream.
    pub(crate) fn open(&self, address: SocketAddr) -> QuicStream {
        let connection = self.connect(address).unwrap();
        let (send, recv) = self.wait(connection.open_bi()).unwrap();
        QuicStream {
            runtime: Arc::clone(&self.runtime),
            connection,
            send,
            recv,
        }
    }

    /// Goes on from another address.
    pub(crate) fn move_away(&self) {
        let _within = self.runtime.enter();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        self.endpoint.rebind(socket).unwrap();
    }

    /// Is gone, with its connection, without a word.
    pub(crate) fn vanish(self, stream: QuicStream) {
        std::mem::forget((stream.connection, stream.send, stream.recv, self.endpoint));
        drop(stream.runtime);
        let last = Arc::into_inner(self.runtime).expect("nothing else is open");
        last.shutdown_timeout(PATIENCE);
    }

    /// Why a connection ended.
    pub(crate) fn end_of(&self, connection: &Connection) -> ConnectionError {
        self.wait(connection.closed())
    }

    fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        let in_time = self
            .runtime
            .block_on(async { timeout(PATIENCE, what).await });
        in_time.expect("nothing takes so long")
    }
}

/// The stream of a connection.
pub(crate) struct QuicStream {
    runtime: Arc<Runtime>,
    pub(crate) connection: Connection,
    send: SendStream,
    recv: RecvStream,
}

impl QuicStream {
    /// Writes what goes within a moment; how much that was.
    pub(crate) fn write_what_goes(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            let write = self.send.write(&bytes[written..]);
            let went = async { timeout(Duration::from_millis(500), write).await };
            match self.runtime.block_on(went) {
                Ok(count) => written += count.unwrap(),
                Err(_) => break,
            }
        }
        written
    }

    /// Says that no more will come.
    pub(crate) fn finish(&mut self) {
        self.send.finish().unwrap();
    }
}

impl Read for QuicStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = async { timeout(PATIENCE, self.recv.read(buffer)).await };
        let read = self.runtime.block_on(read)?;
        Ok(read.map_err(io::Error::from)?.unwrap_or(0))
    }
}

impl Write for QuicStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = async { timeout(PATIENCE, self.send.write(bytes)).await };
        Ok(self.runtime.block_on(write)??)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
