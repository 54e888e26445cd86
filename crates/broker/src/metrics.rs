//! Counters. Each worker writes its own; anybody may read all of them.

use std::sync::atomic::{AtomicU64, Ordering};

use types::QoS;

use crate::DropReason;

/// What is counted, by worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Packets of any kind that arrived.
    PacketsReceived,
    /// Packets of any kind that were sent.
    PacketsSent,
    /// Bytes that arrived.
    BytesReceived,
    /// Bytes that were sent.
    BytesSent,
    /// PUBLISH packets of QoS 0 that arrived.
    PublishReceivedQos0,
    /// PUBLISH packets of QoS 1 that arrived.
    PublishReceivedQos1,
    /// PUBLISH packets of QoS 2 that arrived.
    PublishReceivedQos2,
    /// PUBLISH packets of QoS 0 that were sent.
    PublishSentQos0,
    /// PUBLISH packets of QoS 1 that were sent.
    PublishSentQos1,
    /// PUBLISH packets of QoS 2 that were sent.
    PublishSentQos2,
    /// Payload bytes of PUBLISH packets that arrived.
    PublishBytesReceived,
    /// Payload bytes of PUBLISH packets that were sent.
    PublishBytesSent,
    /// CONNECT packets that arrived.
    ConnectsReceived,
    /// Links that were accepted.
    LinksOpened,
    /// Links that were closed at once, for `limits.connections`.
    LinksRefused,
    /// Sessions that expired.
    SessionsExpired,
    /// Connections that took over another.
    Takeovers,
    /// Payload bytes of messages that were dropped.
    PublishBytesDropped,
    /// Stores that failed.
    StoreFailures,
    /// Packets of the server's own that could not be encoded.
    Unencodable,
}

impl Counter {
    /// The counter of PUBLISH packets of this QoS that arrived.
    pub fn publish_received(qos: QoS) -> Self {
        match qos {
            QoS::AtMostOnce => Self::PublishReceivedQos0,
            QoS::AtLeastOnce => Self::PublishReceivedQos1,
            QoS::ExactlyOnce => Self::PublishReceivedQos2,
        }
    }

    /// The counter of PUBLISH packets of this QoS that were sent.
    pub fn publish_sent(qos: QoS) -> Self {
        match qos {
            QoS::AtMostOnce => Self::PublishSentQos0,
            QoS::AtLeastOnce => Self::PublishSentQos1,
            QoS::ExactlyOnce => Self::PublishSentQos2,
        }
    }
}

const COUNTERS: usize = 20;
const GAUGES: usize = 4;

/// What is measured, by worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Gauge {
    /// Clients that are connected.
    Connected,
    /// Sessions, connected or not.
    Sessions,
    /// Messages that wait in queues.
    Waiting,
    /// Bytes of messages that wait in queues.
    WaitingBytes,
}

/// The counters of one worker. Only that worker writes, so a plain load and store suffice.
#[derive(Debug, Default)]
pub struct Metrics {
    counters: [AtomicU64; COUNTERS],
    gauges: [AtomicU64; GAUGES],
    drops: [AtomicU64; DropReason::ALL.len()],
}

fn bump(value: &AtomicU64, by: u64) {
    value.store(
        value.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

impl Metrics {
    #[inline]
    pub(crate) fn add(&self, counter: Counter, by: u64) {
        if let Some(value) = self.counters.get(counter as usize) {
            bump(value, by);
        }
    }

    pub(crate) fn set(&self, gauge: Gauge, to: u64) {
        if let Some(value) = self.gauges.get(gauge as usize) {
            value.store(to, Ordering::Relaxed);
        }
    }

    /// Counts lost messages with the bytes of their payloads.
    pub(crate) fn dropped(&self, reason: DropReason, messages: u64, bytes: usize) {
        self.add(
            Counter::PublishBytesDropped,
            u64::try_from(bytes).unwrap_or(u64::MAX),
        );
        if let Some(value) = self.drops.get(reason as usize) {
            bump(value, messages);
        }
    }

    /// Counters that nobody reads.
    pub(crate) fn nowhere() -> &'static Self {
        static NOWHERE: std::sync::OnceLock<Metrics> = std::sync::OnceLock::new();
        NOWHERE.get_or_init(Self::default)
    }

    /// A counter's value.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters
            .get(counter as usize)
            .map_or(0, |value| value.load(Ordering::Relaxed))
    }

    /// A gauge's value.
    pub fn gauge(&self, gauge: Gauge) -> u64 {
        self.gauges
            .get(gauge as usize)
            .map_or(0, |value| value.load(Ordering::Relaxed))
    }

    /// Messages dropped for this reason.
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.drops
            .get(reason as usize)
            .map_or(0, |value| value.load(Ordering::Relaxed))
    }
}

/// The sums over all workers.
#[derive(Clone, Copy, Debug)]
pub struct Totals<'a> {
    workers: &'a [Metrics],
}

impl<'a> Totals<'a> {
    pub(crate) fn new(workers: &'a [Metrics]) -> Self {
        Self { workers }
    }

    fn sum(&self, of: impl Fn(&Metrics) -> u64) -> u64 {
        self.workers.iter().map(of).fold(0, u64::wrapping_add)
    }

    /// A counter over all workers.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.sum(|metrics| metrics.counter(counter))
    }

    /// PUBLISH packets that arrived at all workers, by QoS.
    pub fn publish_received(&self) -> [u64; 3] {
        QOS.map(|qos| self.counter(Counter::publish_received(qos)))
    }

    /// PUBLISH packets that all workers sent, by QoS.
    pub fn publish_sent(&self) -> [u64; 3] {
        QOS.map(|qos| self.counter(Counter::publish_sent(qos)))
    }

    /// A gauge over all workers.
    pub fn gauge(&self, gauge: Gauge) -> u64 {
        self.sum(|metrics| metrics.gauge(gauge))
    }

    /// Drops for this reason over all workers.
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.sum(|metrics| metrics.drops(reason))
    }

    /// Drops for any reason over all workers.
    pub fn all_drops(&self) -> u64 {
        DropReason::ALL
            .iter()
            .map(|&reason| self.drops(reason))
            .fold(0, u64::wrapping_add)
    }
}

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
