//! `$SYS`: the server's state in Mosquitto's names, and presence events.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use codec::Connect;
use store::COMMIT_BOUNDS;
use types::{
    ClientId, Durability, MessageParts, Peer, ProtocolVersion, QoS, SessionKey, Time, TopicName,
};

use super::Worker;
use crate::event::{CloseReason, DropReason};
use crate::metrics::{Counter, Gauge, Totals};
use crate::timers::Timer;

/// What `$SYS` needs to remember between two rounds (worker 0).
#[derive(Debug, Default)]
pub(super) struct SysState {
    last_round: Option<Time>,
    loads: [Load; LOADS.len()],
}

/// Averages over one, five and fifteen minutes, in events a minute.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    seen: u64,
    averages: [f64; 3],
}

const SPANS: [(&str, f64); 3] = [("1min", 60.0), ("5min", 300.0), ("15min", 900.0)];

/// What a load is made of.
type Count = fn(&Totals<'_>) -> u64;

/// The loads, by their name under `$SYS/broker/load/`.
const LOADS: [(&str, Count); 9] = [
    ("messages/received", |all| {
        all.counter(Counter::PacketsReceived)
    }),
    ("messages/sent", |all| all.counter(Counter::PacketsSent)),
    ("publish/received", |all| {
        all.publish_received().iter().sum()
    }),
    ("publish/sent", |all| all.publish_sent().iter().sum()),
    ("publish/dropped", |all| all.all_drops()),
    ("bytes/received", |all| all.counter(Counter::BytesReceived)),
    ("bytes/sent", |all| all.counter(Counter::BytesSent)),
    ("sockets", |all| all.counter(Counter::LinksOpened)),
    ("connections", |all| all.counter(Counter::ConnectsReceived)),
];

impl Worker {
    /// One round of `$SYS`.
    pub(super) fn publish_sys(&mut self, now: Time) {
        self.timers
            .set(now + self.shared.config.sys_interval, Timer::Sys);
        let version = self.shared.config.version.clone();
        self.sys("version", version);
        self.sys("uptime", format!("{} seconds", now.as_millis() / 1000));
        for (name, value) in self.sys_values() {
            self.sys(name, value.to_string());
        }
        for reason in DropReason::ALL {
            let value = self.shared.totals().drops(reason);
            self.sys(&format!("drops/{}", reason.as_str()), value.to_string());
        }
        self.publish_store(now);
        self.publish_loads(now);
        self.publish_node();
    }

    /// What the store shows of itself, and what an acknowledgement promises.
    fn publish_store(&mut self, now: Time) {
        let class = match self.durable {
            true => self.shared.config.durability.default_class(),
            false => Durability::Memory,
        };
        self.sys("store/durability", class.as_str().to_owned());
        let Some(figures) = self.store.figures() else {
            return;
        };
        let health = figures.health;
        self.sys("store/state", health.condition.as_str().to_owned());
        let since = match health.since {
            0 => now.as_millis(),
            since => figures.now.saturating_sub(since),
        };
        self.sys("store/state/seconds", (since / 1000).to_string());
        let oldest = match figures.oldest {
            0 => 0,
            oldest => figures.now.saturating_sub(oldest) / 1000,
        };
        for (name, value) in [
            ("store/disk/bytes", figures.disk_bytes),
            ("store/live/bytes", figures.live_bytes),
            ("store/messages/owed", figures.messages),
            ("store/messages/oldest", oldest),
            ("store/messages/damaged", figures.damaged),
            ("store/syncs", figures.syncs),
            ("store/sync/failures", figures.failures),
            ("store/written/bytes", figures.written_bytes),
            ("store/backlog/bytes", figures.backlog_bytes),
        ] {
            self.sys(name, value.to_string());
        }
        let mut within: u64 = 0;
        let bounds = COMMIT_BOUNDS
            .iter()
            .map(|bound| format!("{}us", bound.as_micros()));
        for (bound, count) in bounds.chain(["all".to_owned()]).zip(figures.commits) {
            within = within.saturating_add(count);
            self.sys(&format!("store/commits/within/{bound}"), within.to_string());
        }
    }

    /// The plain numbers.
    fn sys_values(&self) -> Vec<(&'static str, u64)> {
        let totals = self.shared.totals();
        let index = self.shared.index.stats();
        let connected = totals.gauge(Gauge::Connected);
        let sessions = totals.gauge(Gauge::Sessions).max(connected);
        let away = sessions.saturating_sub(connected);
        let waiting = totals.gauge(Gauge::Waiting);
        let retained = wide(self.shared.retained.count());
        let retained_bytes = wide(self.shared.retained.bytes());
        let (resident, most_resident) = self.shared.resident();
        let most = self.shared.most_connections.load(Ordering::Relaxed);
        vec![
            ("clients/connected", connected),
            ("clients/disconnected", away),
            ("clients/active", connected),
            ("clients/inactive", away),
            ("clients/total", sessions),
            ("clients/maximum", wide(most)),
            ("clients/expired", totals.counter(Counter::SessionsExpired)),
            ("clients/refused", totals.counter(Counter::LinksRefused)),
            (
                "messages/received",
                totals.counter(Counter::PacketsReceived),
            ),
            ("messages/sent", totals.counter(Counter::PacketsSent)),
            ("messages/stored", waiting.saturating_add(retained)),
            ("store/messages/count", waiting.saturating_add(retained)),
            (
                "store/messages/bytes",
                totals
                    .gauge(Gauge::WaitingBytes)
                    .saturating_add(retained_bytes),
            ),
            ("retained messages/count", retained),
            ("subscriptions/count", wide(index.subscriptions)),
            (
                "shared_subscriptions/count",
                wide(index.shared_subscriptions),
            ),
            ("bytes/received", totals.counter(Counter::BytesReceived)),
            ("bytes/sent", totals.counter(Counter::BytesSent)),
            (
                "publish/messages/received",
                totals.publish_received().iter().sum(),
            ),
            ("publish/messages/sent", totals.publish_sent().iter().sum()),
            ("publish/messages/dropped", totals.all_drops()),
            (
                "publish/bytes/dropped",
                totals.counter(Counter::PublishBytesDropped),
            ),
            (
                "publish/bytes/received",
                totals.counter(Counter::PublishBytesReceived),
            ),
            (
                "publish/bytes/sent",
                totals.counter(Counter::PublishBytesSent),
            ),
            ("heap/current", resident),
            ("heap/maximum", most_resident),
        ]
    }

    /// The same under the node's name, in EMQX's names.
    fn publish_node(&mut self) {
        let totals = self.shared.totals();
        let index = self.shared.index.stats();
        let most = self.shared.most_connections.load(Ordering::Relaxed);
        let connected = totals.gauge(Gauge::Connected);
        let values = [
            ("stats/connections/count", connected),
            ("stats/connections/max", wide(most)),
            (
                "stats/sessions/count",
                totals.gauge(Gauge::Sessions).max(connected),
            ),
            ("stats/subscriptions/count", wide(index.subscriptions)),
            (
                "stats/subscriptions/shared/count",
                wide(index.shared_subscriptions),
            ),
            ("stats/topics/count", wide(index.filters)),
            ("stats/retained/count", wide(self.shared.retained.count())),
            (
                "metrics/bytes/received",
                totals.counter(Counter::BytesReceived),
            ),
            ("metrics/bytes/sent", totals.counter(Counter::BytesSent)),
            (
                "metrics/packets/received",
                totals.counter(Counter::PacketsReceived),
            ),
            ("metrics/packets/sent", totals.counter(Counter::PacketsSent)),
            (
                "metrics/messages/received",
                totals.publish_received().iter().sum(),
            ),
            ("metrics/messages/sent", totals.publish_sent().iter().sum()),
            ("metrics/messages/dropped", totals.all_drops()),
        ];
        for (name, value) in values {
            let topic = format!("$SYS/brokers/{}/{name}", self.shared.config.node);
            self.publish_own(&topic, value.to_string().as_bytes(), true);
        }
    }

    fn publish_loads(&mut self, now: Time) {
        let passed = self
            .sys
            .last_round
            .map(|last| now.since(last).as_secs_f64());
        self.sys.last_round = Some(now);
        let totals = self.shared.totals();
        let mut published = Vec::new();
        for (load, (name, count)) in self.sys.loads.iter_mut().zip(LOADS) {
            let seen = count(&totals);
            let events = seen.wrapping_sub(std::mem::replace(&mut load.seen, seen));
            for (average, (span, seconds)) in load.averages.iter_mut().zip(SPANS) {
                if let Some(passed) = passed.filter(|passed| *passed > 0.0) {
                    *average = decay(*average, events, passed, seconds);
                }
                published.push((format!("load/{name}/{span}"), format!("{average:.2}")));
            }
        }
        for (name, value) in published {
            self.sys(&name, value);
        }
    }

    fn sys(&mut self, name: &str, value: String) {
        let topic = format!("$SYS/broker/{name}");
        self.publish_own(&topic, value.as_bytes(), true);
    }

    /// Publishes in the server's own name. Topics of its own are valid by construction, except
    /// that a client id may be too long for one: then there is no such event.
    pub(super) fn publish_own(&mut self, topic: &str, payload: &[u8], retain: bool) {
        let Ok(topic) = TopicName::parse(topic, u16::MAX) else {
            return;
        };
        let parts = MessageParts {
            properties: &[],
            payload,
            qos: QoS::AtMostOnce,
            retain,
            publisher: None,
            expires: None,
            durability: Durability::Memory,
            followed: types::Followed::No,
        };
        self.publish_message(topic, parts, self.last_turn);
    }

    pub(super) fn publish_connected(
        &mut self,
        key: SessionKey,
        peer: Peer,
        connect: &Connect<'_>,
        keep_alive: u16,
        session_present: bool,
        now: Time,
    ) {
        let Some(client) = self.clients.at(key) else {
            return;
        };
        let (client, identity) = (client.id.clone(), client.identity.clone());
        let Some(topic) = self.presence_topic(&client, "connected") else {
            return;
        };
        let version = match connect.version {
            ProtocolVersion::V31 => "3.1",
            ProtocolVersion::V311 => "3.1.1",
            ProtocolVersion::V5 => "5.0",
        };
        let mut payload = String::from("{\"clientid\":");
        json_string(&mut payload, client.as_str());
        payload.push_str(",\"username\":");
        // Who it is, which may be another than it claimed to be; and a claim may be a secret (S71).
        match identity.user() {
            Some(user) => json_string(&mut payload, user),
            None => payload.push_str("null"),
        }
        let clean_start = connect.clean_start;
        // Writing to a String cannot fail.
        let _ = write!(
            payload,
            ",\"peer\":\"{peer}\",\"protocol\":\"{version}\",\"keepalive\":{keep_alive},\
             \"clean_start\":{clean_start},\"session_present\":{session_present},\
             \"uptime_ms\":{}}}",
            now.as_millis()
        );
        self.publish_own(&topic, payload.as_bytes(), false);
    }

    pub(super) fn publish_disconnected(
        &mut self,
        client: &ClientId,
        reason: CloseReason,
        now: Time,
    ) {
        let Some(topic) = self.presence_topic(client, "disconnected") else {
            return;
        };
        let mut payload = String::from("{\"clientid\":");
        json_string(&mut payload, client.as_str());
        let _ = write!(
            payload,
            ",\"reason\":\"{}\",\"uptime_ms\":{}}}",
            reason.as_str(),
            now.as_millis()
        );
        self.publish_own(&topic, payload.as_bytes(), false);
    }

    /// The topic of a presence event, if anybody subscribed to it. A client id fills one
    /// level: what would not is written as percent and two digits.
    fn presence_topic(&mut self, client: &ClientId, what: &str) -> Option<String> {
        let mut topic = format!("$SYS/brokers/{}/clients/", self.shared.config.node);
        for c in client.as_str().chars() {
            match c {
                '/' => topic.push_str("%2F"),
                '+' => topic.push_str("%2B"),
                '#' => topic.push_str("%23"),
                '%' => topic.push_str("%25"),
                c => topic.push(c),
            }
        }
        topic.push('/');
        topic.push_str(what);
        let name = TopicName::parse(&topic, u16::MAX).ok()?;
        let wanted = !self.shared.index.route(name).is_empty();
        wanted.then_some(topic)
    }
}

/// An average over `span` seconds after `passed` seconds with so many events, a minute.
#[allow(clippy::cast_precision_loss)] // an average has no 53 significant bits
fn decay(average: f64, events: u64, passed: f64, span: f64) -> f64 {
    let rate = events as f64 * 60.0 / passed;
    rate + (average - rate) * (-passed / span).exp()
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Appends a text as a JSON string.
fn json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
