//! What a load consists of.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::{ClientLimits, ConnectOptions};
use types::{ProtocolVersion, QoS};

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is connected.
    Idle,
    /// It publishes to this topic.
    Publish(String),
    /// It subscribes to this.
    Subscribe(String),
}

/// What kind of load it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Clients that connect and stay.
    Conn,
    /// Clients that publish.
    Pub,
    /// Clients that subscribe.
    Sub,
    /// Pairs.
    P2p,
    /// One publishes, many receive.
    Fanout,
    /// Many publish, one receives.
    Fanin,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Conn => "conn",
            Self::Pub => "pub",
            Self::Sub => "sub",
            Self::P2p => "p2p",
            Self::Fanout => "fanout",
            Self::Fanin => "fanin",
        }
    }
}

/// A load.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) address: SocketAddr,
    pub(super) locals: Vec<IpAddr>,
    pub(super) version: ProtocolVersion,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) size: usize,
    pub(super) inflight: u16,
    /// Clients of the many: pairs for `p2p`.
    pub(super) clients: usize,
    /// Clients of the few, for `fanout` and `fanin`.
    pub(super) few: usize,
    pub(super) topic: String,
    /// Messages of each publisher.
    pub(super) count: Option<u64>,
    /// Messages a second, all publishers together.
    pub(super) rate: Option<f64>,
    /// Connections a second, all together.
    pub(super) connect_rate: f64,
    pub(super) threads: usize,
    pub(super) prefix: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<Vec<u8>>,
    pub(super) keep_alive: u16,
    pub(super) began: Instant,
    /// Nanoseconds since 1970 at `began`.
    pub(super) wall: u64,
}

impl Plan {
    /// Nanoseconds since 1970: the same for other processes of this machine, and never backwards.
    pub(super) fn wall(&self) -> u64 {
        let passed = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.wall.saturating_add(passed)
    }

    /// How many clients there are.
    pub(super) fn total(&self) -> usize {
        match self.kind {
            Kind::Conn | Kind::Pub | Kind::Sub => self.clients,
            Kind::P2p => self.clients * 2,
            Kind::Fanout | Kind::Fanin => self.clients + self.few,
        }
    }

    /// How many of them publish.
    pub(super) fn publishers(&self) -> usize {
        match self.kind {
            Kind::Conn | Kind::Sub => 0,
            Kind::Pub | Kind::P2p | Kind::Fanin => self.clients,
            Kind::Fanout => self.few,
        }
    }

    /// How many receive each message; none if that is not known.
    pub(super) fn receivers(&self) -> Option<u64> {
        let count = match self.kind {
            Kind::Conn | Kind::Pub | Kind::Sub => return None,
            Kind::P2p => 1,
            Kind::Fanout => self.clients,
            Kind::Fanin => self.few,
        };
        u64::try_from(count).ok()
    }

    /// What the client of this number does.
    pub(super) fn role(&self, number: usize) -> Role {
        let topic = |number: usize| self.topic.replace("%i", &number.to_string());
        let is_few = number < self.few;
        match self.kind {
            Kind::Conn => Role::Idle,
            Kind::Pub => Role::Publish(topic(number)),
            Kind::Sub => Role::Subscribe(topic(number)),
            // Subscribers first: who publishes finds them there.
            Kind::P2p if number < self.clients => Role::Subscribe(topic(number)),
            Kind::P2p => Role::Publish(topic(number - self.clients)),
            Kind::Fanout if is_few => Role::Publish(topic(0)),
            Kind::Fanout => Role::Subscribe(topic(0)),
            Kind::Fanin if is_few => Role::Subscribe(topic(0)),
            Kind::Fanin => Role::Publish(topic(0)),
        }
    }

    /// What the client of this number says when it connects.
    pub(super) fn options(&self, number: usize) -> ConnectOptions {
        ConnectOptions {
            version: self.version,
            client_id: format!("{}{number}", self.prefix),
            keep_alive: self.keep_alive,
            username: self.username.clone(),
            password: self.password.clone(),
            limits: ClientLimits {
                inflight: self.inflight,
                ..ClientLimits::default()
            },
            ..ConnectOptions::default()
        }
    }

    /// From where a client connects.
    pub(super) fn local(&self, number: usize) -> Option<IpAddr> {
        let place = number.checked_rem(self.locals.len())?;
        self.locals.get(place).copied()
    }

    /// How many of a thread's clients may have begun to connect by now.
    pub(super) fn allowed_by_now(&self, own: usize) -> usize {
        let share = own as f64 / self.total().max(1) as f64;
        let allowed = self.began.elapsed().as_secs_f64() * self.connect_rate * share;
        // The first at once.
        (allowed as usize).saturating_add(1)
    }

    /// How many messages a publisher that has sent so many is behind.
    pub(super) fn due(&self, sent: u64, passed: Duration) -> u64 {
        let Some(rate) = self.rate else {
            return u64::MAX;
        };
        let own = rate / self.publishers().max(1) as f64;
        let wanted = (passed.as_secs_f64() * own) as u64;
        wanted.saturating_add(1).saturating_sub(sent)
    }
}

/// Nanoseconds since 1970.
pub(super) fn wall() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in super::super) fn plan(kind: Kind) -> Plan {
        Plan {
            kind,
            address: "127.0.0.1:1".parse().unwrap(),
            locals: vec!["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()],
            version: ProtocolVersion::V311,
            qos: QoS::AtMostOnce,
            retain: false,
            size: 64,
            inflight: 20,
            clients: 3,
            few: 1,
            topic: "t/%i".into(),
            count: None,
            rate: Some(30.0),
            connect_rate: 1000.0,
            threads: 1,
            prefix: "b-".into(),
            username: None,
            password: None,
            keep_alive: 60,
            began: Instant::now(),
            wall: wall(),
        }
    }

    #[test]
    fn each_kind_has_its_clients() {
        let roles = |kind| {
            let plan = plan(kind);
            (0..plan.total())
                .map(|it| plan.role(it))
                .collect::<Vec<_>>()
        };
        let (publish, subscribe) = (
            |topic: &str| Role::Publish(topic.into()),
            |topic: &str| Role::Subscribe(topic.into()),
        );
        assert_eq!(roles(Kind::Conn), [Role::Idle, Role::Idle, Role::Idle]);
        assert_eq!(roles(Kind::Pub)[2], publish("t/2"));
        let pairs = roles(Kind::P2p);
        assert_eq!(
            (pairs.len(), &pairs[1], &pairs[4]),
            (6, &subscribe("t/1"), &publish("t/1"))
        );
        let fanout = roles(Kind::Fanout);
        assert_eq!(
            (fanout.len(), &fanout[0], &fanout[3]),
            (4, &publish("t/0"), &subscribe("t/0"))
        );
        assert_eq!(plan(Kind::Fanout).receivers(), Some(3));
        assert_eq!(plan(Kind::Fanin).receivers(), Some(1));
    }

    #[test]
    fn a_rate_is_shared_by_all_publishers() {
        let plan = plan(Kind::Pub);
        assert_eq!(plan.due(0, Duration::from_secs(1)), 11);
        assert_eq!(plan.due(11, Duration::from_secs(1)), 0);
        assert_eq!(plan.local(3), Some("127.0.0.2".parse().unwrap()));
    }
}
