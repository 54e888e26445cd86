//! Listening sockets and the options that their connections inherit.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use types::Peer;

use crate::address::{Address, SocketFile};
use crate::transport::tls::TlsDoor;
use crate::transport::websocket::WebSocket;
use crate::transport::{Door, ProxyProtocol};

/// How a [`Listener`] is made.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Where to listen; see also [`Listener::address`].
    pub address: Address,
    /// Most connections that the system holds until they are accepted. The system may cap it.
    pub backlog: u32,
    /// Whether small writes leave at once (`TCP_NODELAY`). The loop already gathers a turn's
    /// output into one write, so there is little reason to turn it off.
    pub nodelay: bool,
    /// What an IPv6 address stands for.
    pub ipv6: Ipv6,
    /// After how long without any sign of life the system gives a connection up: both the
    /// probing of an idle one and unacknowledged data of a busy one. `None` leaves the
    /// system's defaults, which are hours.
    pub unreachable_after: Option<Duration>,
    /// Whether connections come by a proxy that says for whom it speaks.
    pub proxy: ProxyProtocol,
    /// TLS, after the proxy's header. QUIC cannot be without it, and has neither the header nor
    /// WebSocket.
    pub tls: Option<TlsDoor>,
    /// MQTT over WebSocket, within TLS if there is that too.
    pub websocket: Option<WebSocket>,
}

impl ListenerConfig {
    /// The defaults for an address: a backlog of 4,096, no delay, `[::]` for both families,
    /// unreachable after 15 minutes; plain MQTT.
    pub fn new(address: impl Into<Address>) -> Self {
        Self {
            address: address.into(),
            backlog: 4096,
            nodelay: true,
            ipv6: Ipv6::Both,
            unreachable_after: Some(Duration::from_secs(15 * 60)),
            proxy: ProxyProtocol::Off,
            tls: None,
            websocket: None,
        }
    }
}

/// What an IPv6 listener takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipv6 {
    /// `[::]` takes IPv4 connections too.
    #[default]
    Both,
    /// IPv6 connections only.
    Only,
}

/// A bound and listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    options: Options,
    door: Arc<Door>,
    /// Removes the file at the end.
    _file: Option<SocketFile>,
}

/// What each accepted TCP connection gets.
#[derive(Debug)]
struct Options {
    nodelay: bool,
    unreachable_after: Option<Duration>,
}

impl Listener {
    /// Binds and listens.
    ///
    /// An address that another server listens on is refused: `SO_REUSEADDR` is set where it
    /// means only that connections of a former process do not count, and `SO_REUSEPORT`
    /// never is. A Unix socket's file that nobody listens on any more is replaced; the file
    /// goes away with the listener.
    ///
    /// # Errors
    /// Whatever the system says, mostly that the address is in use, not ours, or privileged.
    pub fn bind(config: &ListenerConfig) -> io::Result<Self> {
        let options = Options {
            nodelay: config.nodelay,
            unreachable_after: config.unreachable_after,
        };
        let (socket, file) = match &config.address {
            Address::Tcp(address) => (bind_tcp(*address, config.ipv6, &options)?, None),
            Address::Udp(address) => {
                let socket = bind_udp(*address, config)?;
                (socket, None)
            }
            Address::Unix { path, mode } => {
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                let file = SocketFile::bind(&socket, path, *mode)?;
                (socket, Some(file))
            }
        };
        socket.set_nonblocking(true)?;
        if config.address.udp().is_none() {
            socket.listen(i32::try_from(config.backlog).unwrap_or(i32::MAX))?;
        }
        let address = match &config.address {
            Address::Udp(asked) => {
                let bound = socket.local_addr()?.as_socket();
                Address::Udp(bound.unwrap_or(*asked))
            }
            Address::Tcp(asked) => socket.local_addr()?.as_socket().unwrap_or(*asked).into(),
            unix @ Address::Unix { .. } => unix.clone(),
        };
        Ok(Self {
            socket,
            address,
            options,
            door: Arc::new(Door {
                proxy: config.proxy.clone(),
                tls: config.tls.clone(),
                websocket: config.websocket.clone().map(Arc::new),
            }),
            _file: file,
        })
    }

    /// The address bound, with the port that the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Takes a connection that waits, ready for the loop.
    pub(crate) fn accept(&self) -> io::Result<(Socket, Peer)> {
        let (socket, address) = accept_nonblocking(&self.socket)?;
        let address = match (&self.address, address) {
            (Address::Unix { .. }, _) => {
                let user = user_of(&socket);
                return Ok((socket, Peer::Local(user)));
            }
            (_, Some(address)) => address,
            // It is gone already; to take it for a process of this machine would be too kind.
            (_, None) => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        // Linux hands a listener's options down; six system calls less a connection.
        if !cfg!(target_os = "linux") {
            self.options.apply(SockRef::from(&socket))?;
        }
        Ok((socket, address.into()))
    }

    pub(crate) fn door(&self) -> &Arc<Door> {
        &self.door
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    #[cfg(all(feature = "quic", unix))]
    pub(crate) fn unreachable_after(&self) -> Option<Duration> {
        self.options.unreachable_after
    }
}

/// A socket for QUIC, which is no use without TLS.
#[cfg(all(feature = "quic", unix))]
fn bind_udp(address: SocketAddr, config: &ListenerConfig) -> io::Result<Socket> {
    if config.tls.is_none() {
        let text = "QUIC needs TLS";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(config.ipv6 == Ipv6::Only)?;
    }
    // One socket has the packets of all connections; the system may cap it.
    socket.set_recv_buffer_size(UDP_BUFFER)?;
    socket.set_send_buffer_size(UDP_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(not(all(feature = "quic", unix)))]
fn bind_udp(_: SocketAddr, _: &ListenerConfig) -> io::Result<Socket> {
    let text = "this build of the server has no QUIC";
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// What the system keeps of packets until they are looked at.
#[cfg(all(feature = "quic", unix))]
const UDP_BUFFER: usize = 2 * 1024 * 1024;

fn bind_tcp(address: SocketAddr, ipv6: Ipv6, options: &Options) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(ipv6 == Ipv6::Only)?;
    }
    // On Windows this option would let two servers share the port.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    options.apply(SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// One system call where the system has it.
#[cfg(target_os = "linux")]
fn accept_nonblocking(listener: &Socket) -> io::Result<(Socket, Option<SocketAddr>)> {
    use rustix::net::{SocketFlags, acceptfrom_with};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, address) = acceptfrom_with(listener, flags)?;
    let address = address.and_then(|address| SocketAddr::try_from(address).ok());
    Ok((socket.into(), address))
}

#[cfg(not(target_os = "linux"))]
fn accept_nonblocking(listener: &Socket) -> io::Result<(Socket, Option<SocketAddr>)> {
    let (socket, address) = listener.accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address.as_socket()))
}

/// The user who connected by a Unix socket, where the system tells.
fn user_of(socket: &Socket) -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        let peer = rustix::net::sockopt::socket_peercred(socket);
        peer.ok().map(|peer| peer.uid.as_raw())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = socket;
        None
    }
}

impl Options {
    fn apply(&self, socket: SockRef<'_>) -> io::Result<()> {
        socket.set_tcp_nodelay(self.nodelay)?;
        let Some(span) = self.unreachable_after else {
            return Ok(());
        };
        // Quiet for two thirds of the span, then PROBES probes in the last third.
        let keepalive = TcpKeepalive::new().with_time((span * 2 / 3).max(SECOND));
        #[cfg(not(any(target_os = "openbsd", target_os = "haiku")))]
        let keepalive = keepalive.with_interval((span / (3 * PROBES)).max(SECOND));
        #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
        let keepalive = keepalive.with_retries(PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(span))?;
        Ok(())
    }
}

/// Probes of an idle connection before it is given up. Systems without the option send their
/// own number.
const PROBES: u32 = 5;
/// The smallest step that these options know.
const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddr, TcpStream};

    use super::*;

    /// What a listener makes of an IPv4 client.
    fn accepted(config: &ListenerConfig) -> (Socket, Peer) {
        let listener = Listener::bind(config).unwrap();
        let port = listener.address().tcp().unwrap().port();
        let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        loop {
            match listener.accept() {
                Ok(accepted) => return accepted,
                // Some systems show a connection to its maker first.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn connections_get_the_options() {
        let mut config = ListenerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let (socket, _) = accepted(&config);
        let options = SockRef::from(&socket);
        assert!(options.tcp_nodelay().unwrap());
        assert!(options.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert!(options.nonblocking().unwrap());
            let minutes = |count: u64| Duration::from_secs(count * 60);
            assert_eq!(options.tcp_user_timeout().unwrap(), Some(minutes(15)));
            assert_eq!(options.tcp_keepalive_time().unwrap(), minutes(10));
            assert_eq!(options.tcp_keepalive_interval().unwrap(), minutes(1));
            assert_eq!(options.tcp_keepalive_retries().unwrap(), PROBES);
        }
        config.nodelay = false;
        config.unreachable_after = None;
        let (socket, _) = accepted(&config);
        let options = SockRef::from(&socket);
        assert!(!options.tcp_nodelay().unwrap());
        assert!(!options.keepalive().unwrap());
    }

    #[test]
    fn an_ipv6_listener_takes_ipv4_unless_told_otherwise() {
        let mut config = ListenerConfig::new(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
        let (_, peer) = accepted(&config);
        assert!(peer.ip().unwrap().is_ipv4(), "{peer}");
        config.ipv6 = Ipv6::Only;
        let listener = Listener::bind(&config).unwrap();
        let port = listener.address().tcp().unwrap().port();
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
