//! Stories on a durable server: who connects, what the store does meanwhile, how it ends.

use broker::BrokerConfig;
use codec::{Connect, Packet};
use journal::engine::{OpenError, Options, Report};
use journal::faulty::MemoryDisk;
use journal::server::Settings;
use types::{ProtocolVersion, ReasonCode};

use super::server::{Server, Setup, Turn};
use crate::peer::{Peer, Received, connect};
use crate::universe::Universe;

/// The wall clock of the first life, in milliseconds since 1970.
const WALL: u64 = 1_700_000_000_000;

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// kill -9.
    Kill,
    /// The power is cut; the seed says what survives of what was not synced.
    Cut(u64),
    /// As it should.
    Stop,
}

/// A server on a faulty disk. Nothing happens in its store unless it is told.
pub struct Story {
    /// The server.
    pub server: Server,
}

impl Story {
    /// A server with so many workers and defaults.
    ///
    /// # Panics
    ///
    /// If it does not start, as all that follows.
    pub fn new(workers: usize) -> Self {
        Self::with(workers, |_| {})
    }

    /// The same, with a change to each life's configuration.
    pub fn with(workers: usize, change: impl Fn(&mut BrokerConfig) + 'static) -> Self {
        let mut options = Options::default();
        options.log.segment_bytes = 64 << 10;
        Self::of(options, workers, change)
    }

    /// The same, with a store of one's own.
    pub fn of(
        options: Options,
        workers: usize,
        change: impl Fn(&mut BrokerConfig) + 'static,
    ) -> Self {
        let config = move |life: u64| {
            let mut config = BrokerConfig::open(workers, 3 + life);
            change(&mut config);
            config
        };
        let setup = Setup {
            options,
            settings: Settings::default(),
            config: Box::new(config),
        };
        match Server::start(MemoryDisk::new(), setup, WALL) {
            Ok(server) => Self { server },
            Err(error) => panic!("an empty disk is refused: {error}"),
        }
    }

    /// The workers.
    pub fn universe(&mut self) -> &mut Universe {
        self.server.universe()
    }

    /// Sends CONNECT; the store syncs all, so that CONNACK comes in any case.
    pub fn connect(&mut self, packet: Connect<'_>) -> Peer {
        let peer = Peer::connect(self.universe(), packet);
        self.server.settle();
        peer
    }

    /// A client that connects with Clean Start and without a session that lasts.
    pub fn clean(&mut self, version: ProtocolVersion, client_id: &str) -> Peer {
        let mut peer = self.connect(connect(version, client_id));
        let present = self.let_in(&mut peer);
        assert!(!present);
        peer
    }

    /// A client of MQTT 5.0 whose session outlives its connection by an hour. Whether it was
    /// there.
    pub fn durable(&mut self, client_id: &str) -> (Peer, bool) {
        let mut packet = connect(ProtocolVersion::V5, client_id);
        packet.clean_start = false;
        packet.properties.session_expiry = Some(3_600);
        let mut peer = self.connect(packet);
        let present = self.let_in(&mut peer);
        (peer, present)
    }

    /// The same without a look at what came, CONNACK first.
    pub fn back(&mut self, client_id: &str) -> Peer {
        let mut packet = connect(ProtocolVersion::V5, client_id);
        packet.clean_start = false;
        packet.properties.session_expiry = Some(3_600);
        self.connect(packet)
    }

    fn let_in(&mut self, peer: &mut Peer) -> bool {
        let received = peer.received(self.universe());
        match received.first().map(Received::packet) {
            Some(Packet::ConnAck(connack)) => {
                assert_eq!(connack.reason, ReasonCode::Success);
                connack.session_present
            }
            other => panic!("not CONNACK: {other:?}"),
        }
    }

    /// The store has a turn, and workers look at what it did.
    pub fn store(&mut self, turn: Turn) {
        self.server.store_turn(turn);
        self.universe().settle();
    }

    /// Ends this life and begins the next one, a second later.
    pub fn restart(&mut self, end: End) -> Report {
        match self.try_restart(end, 1_000) {
            Ok(report) => report,
            Err(error) => panic!("the store is refused after {end:?}: {error}"),
        }
    }

    /// The same, so many milliseconds later by the wall clock.
    ///
    /// # Errors
    ///
    /// The store is refused.
    pub fn try_restart(&mut self, end: End, step: i64) -> Result<Report, OpenError> {
        match end {
            End::Kill => self.server.kill(),
            End::Cut(seed) => self.server.cut_power(seed),
            End::Stop => self.server.stop(),
        }
        self.server.restart(step)
    }
}
