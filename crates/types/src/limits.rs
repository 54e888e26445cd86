//! Every bound of the server, each with a name, a default and an overflow behaviour.

use std::time::Duration;

/// The bounds of one server. The field's name is its name in the configuration file and in
/// docs/limits.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest packet taken from a client, in bytes. Larger: 0x95 and close.
    pub packet_size: u32,
    /// Largest CONNECT packet, in bytes. Larger: 0x95 and close.
    pub connect_packet_size: u32,
    /// Most bytes that all links without a finished CONNECT may hold together. Above: the
    /// oldest of them is closed.
    pub unauthenticated_bytes: usize,
    /// Time from accept to a finished CONNECT. Later: close.
    pub connect_deadline: Duration,
    /// Most connections of the server. Above: closed at accept.
    pub connections: usize,
    /// Most sessions of the server, connected or not. Above: 0x97.
    pub sessions: usize,
    /// Longest session expiry granted. Longer: capped, and CONNACK says so.
    pub session_expiry: Duration,
    /// Session expiry of a MQTT 3 client that asked for a session that lasts.
    pub v3_session_expiry: Duration,
    /// Longest keep alive granted. Longer or none: capped, and CONNACK says so. Zero: no cap.
    pub keep_alive: u16,
    /// Most levels of a topic name or filter. More: 0x90 or 0x8F.
    pub topic_levels: u16,
    /// Most user properties in one packet. More: 0x97 and close.
    pub user_properties: u16,
    /// Most filters in one SUBSCRIBE or UNSUBSCRIBE. More: in each place beyond, 0x97 in SUBACK
    /// and 0x83 in UNSUBACK, which has no 0x97.
    pub filters_per_packet: u16,
    /// Most subscriptions of one client. More: 0x97 in SUBACK.
    pub subscriptions_per_client: u32,
    /// Most bytes of filters, share names included, of one client. More: 0x97 in SUBACK.
    pub subscription_bytes_per_client: u32,
    /// Most unacknowledged QoS 1 and 2 messages towards one client. More wait in the queue.
    pub inflight: u16,
    /// Receive Maximum that the server announces: most unacknowledged QoS 1 and 2 messages
    /// from one client. More: 0x93 and close.
    pub receive_maximum: u16,
    /// Highest topic alias taken from a client. Above: 0x94 and close. Zero: none.
    pub topic_alias_maximum: u16,
    /// Most aliases that the server itself uses towards one client.
    pub topic_alias_out: u16,
    /// Most messages waiting for one session. More: drop by `queue_policy`.
    pub queued_messages: u32,
    /// Most bytes of messages waiting for one session. More: drop by `queue_policy`.
    pub queued_bytes: usize,
    /// Which message a full queue drops.
    pub queue_policy: QueuePolicy,
    /// Whether QoS 0 messages wait for a client that is away.
    pub queue_qos0: bool,
    /// Most retained messages. More: 0x97.
    pub retained_messages: usize,
    /// Most bytes of retained messages. More: 0x97.
    pub retained_bytes: usize,
    /// Most bytes waiting to be written to one client. Above: QoS 0 is dropped, QoS 1 and 2
    /// wait in the queue. At twice as many, nothing is read from the client until it takes some.
    pub output_bytes: usize,
    /// Longest time that a client may take nothing while something waits to be written.
    /// Longer: close.
    pub write_stall: Duration,
    /// Most bytes in one worker's mailbox. Above: QoS 0 is dropped, QoS 1 and 2 publishers
    /// are paused. An empty mailbox takes any message.
    pub mailbox_bytes: usize,
    /// Memory budget for messages and buffers of the whole server. Above: QoS 0 is shed
    /// (slowest client first), then QoS 1 and 2 are refused with 0x97, and so are new sessions
    /// and subscriptions, and wills above 1 KiB. Zero: four fifths of what the machine, or the
    /// control group that the server runs in, has.
    pub memory: usize,
    /// Most bytes of messages that wait, queued or retained, and are kept in memory beside the
    /// store. Beyond: they are on the disk only, and read when their turn comes. Zero: an eighth
    /// of `memory`.
    pub stored_memory: usize,
    /// Longest time that a message waits for a session. Longer: dropped and counted. Zero: no
    /// bound.
    pub queued_age: Duration,
    /// Most bytes that the store takes on the disk. A sixth, and as much as it may take to collect
    /// what is owed and to write a checkpoint, is kept for that and for what gives room back; above
    /// the rest: 0x97 to what would be stored, and to new sessions and subscriptions that last. A
    /// message that is larger than what is left when it comes may go beyond it. Zero: as many as
    /// the disk has.
    pub store_bytes: u64,
    /// Most bytes that wait to be written to the store. Above: publishers of QoS 1 and 2 wait, and
    /// whoever begins, resumes or changes a session that lasts.
    pub store_backlog: usize,
    /// New connections of the whole server. Above: they wait to be accepted.
    pub connection_rate: Option<Rate>,
    /// PUBLISH packets from one client. Above: nothing is read from it until its rate is kept.
    pub client_message_rate: Option<Rate>,
    /// Bytes from one client. Above: nothing is read from it until its rate is kept.
    pub client_byte_rate: Option<Rate>,
    /// PUBLISH packets from all clients of one user. Above: nothing is read from the one that
    /// sent more until the rate is kept.
    pub user_message_rate: Option<Rate>,
    /// Bytes from all clients of one user. Above: nothing is read from the one that sent more
    /// until the rate is kept.
    pub user_byte_rate: Option<Rate>,
    /// Failed logins from one address within a minute. More: answers to that address come later
    /// and later, and it is refused without a look at what it says (S64). Zero: no bound.
    pub failed_logins: u32,
    /// Connections of one client within `flapping_window`. More: an alarm, and the client is
    /// banned for `flapping_ban`. Zero: neither.
    pub flapping_connects: u32,
    /// Time in which the connections of one client are counted.
    pub flapping_window: Duration,
    /// How long a client is banned that connects more often than `flapping_connects`. Zero: there
    /// is an alarm only.
    pub flapping_ban: Duration,
    /// Times that connections take the session of one client over from another that lives, within
    /// `flapping_window`. More: an alarm that names both addresses. Zero: none.
    pub duplicate_takeovers: u32,
    /// Most denials that are kept for who asks why. More: the oldest is forgotten.
    pub denials: usize,
    /// Most names of topics that are kept while somebody watches the topics. More: those that were
    /// not seen for longest are forgotten.
    pub watched_topics: usize,
    /// Most events that are kept of all clients together, for their timelines. More: the clients of
    /// whom nothing was heard for longest are forgotten. Zero: none is kept.
    pub timeline_events: usize,
}

/// So many in a period; as many as fit into one period may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u64,
    period: Duration,
}

impl Rate {
    /// `None` if either is zero.
    pub fn new(count: u64, period: Duration) -> Option<Self> {
        (count > 0 && !period.is_zero()).then_some(Self { count, period })
    }

    /// How many: messages, bytes or connections. Never zero.
    pub fn count(self) -> u64 {
        self.count
    }

    /// In which time. Never zero.
    pub fn period(self) -> Duration {
        self.period
    }
}

/// Which message a full queue drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePolicy {
    /// The oldest one makes room.
    DropOldest,
    /// The new one is not taken.
    DropNewest,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packet_size: 1024 * 1024,
            connect_packet_size: 64 * 1024,
            unauthenticated_bytes: 64 * 1024 * 1024,
            connect_deadline: Duration::from_secs(10),
            connections: 1_000_000,
            sessions: 1_000_000,
            session_expiry: Duration::from_secs(7 * 24 * 3600),
            v3_session_expiry: Duration::from_secs(7 * 24 * 3600),
            keep_alive: 0,
            topic_levels: 128,
            user_properties: 64,
            filters_per_packet: 1024,
            subscriptions_per_client: 10_000,
            subscription_bytes_per_client: 1024 * 1024,
            inflight: 1024,
            receive_maximum: 1024,
            topic_alias_maximum: 64,
            topic_alias_out: 64,
            queued_messages: 10_000,
            queued_bytes: 16 * 1024 * 1024,
            queue_policy: QueuePolicy::DropOldest,
            queue_qos0: false,
            retained_messages: 1_000_000,
            retained_bytes: 1024 * 1024 * 1024,
            output_bytes: 2 * 1024 * 1024,
            write_stall: Duration::from_secs(60),
            mailbox_bytes: 64 * 1024 * 1024,
            memory: 0,
            stored_memory: 0,
            queued_age: Duration::ZERO,
            store_bytes: 0,
            store_backlog: 64 * 1024 * 1024,
            connection_rate: None,
            client_message_rate: None,
            client_byte_rate: None,
            user_message_rate: None,
            user_byte_rate: None,
            failed_logins: 20,
            flapping_connects: 0,
            flapping_window: Duration::from_secs(60),
            flapping_ban: Duration::from_secs(5 * 60),
            duplicate_takeovers: 3,
            denials: 10_000,
            watched_topics: 100_000,
            timeline_events: 50_000,
        }
    }
}
