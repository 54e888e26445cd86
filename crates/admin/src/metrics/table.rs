//! The table.

use std::borrow::Cow;

use super::Kind::{Counter, Gauge, Histogram};
use super::{Alias, Kind, Metric, Number, Of, Reading, Values};
use crate::server::authentication::{Bucket, Provider};
use crate::server::figures::TelemetryCounts;
use crate::server::store::StoreFigures;
use crate::server::{Bridge, Listener};

/// The values of a metric.
type Read = fn(&Reading, &mut Values);

const fn metric(name: &'static str, kind: Kind, help: &'static str, read: Read) -> Metric {
    Metric {
        name,
        kind,
        help,
        labels: &[],
        aliases: &[],
        read,
    }
}

impl Metric {
    const fn labels(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    const fn emqx(self, aliases: &'static [Alias]) -> Self {
        Self { aliases, ..self }
    }
}

/// EMQX's name for the sum of all values.
const fn all(name: &'static str) -> Alias {
    Alias { name, of: Of::All }
}

/// EMQX's name for the values with a last label.
const fn only(name: &'static str, label: &'static str) -> Alias {
    let of = Of::Labelled(label);
    Alias { name, of }
}

/// EMQX's name for each value.
const fn each(name: &'static str) -> Alias {
    Alias { name, of: Of::Each }
}

/// All metrics, in the order in which they are told.
#[rustfmt::skip]
pub(crate) const METRICS: &[Metric] = &[
    metric("build_info", Gauge, "Always 1; the label has the version.", |it, values| {
        values.labelled([("version", it.overview.version.clone().into()), ("node", it.overview.node.clone().into())], 1);
    }).labels(&["version", "node"]),
    metric("start_time_seconds", Gauge, "When the server started, in seconds since 1970.", |it, values| {
        values.one(millis(it.overview.started_at.as_millis()));
    }),
    metric("uptime_seconds", Gauge, "Seconds since the start.", |it, values| {
        values.one(millis(it.overview.uptime_ms));
    }),

    // Clients and sessions.
    metric("connections", Gauge, "Clients that are connected.", |it, values| {
        values.one(it.overview.connections);
    }).emqx(&[all("connections.count"), all("live_connections.count")]),
    metric("connections_max", Gauge, "Most links that were open at once.", |it, values| {
        values.one(it.counts.most_connections);
    }).emqx(&[all("connections.max"), all("live_connections.max")]),
    metric("sessions", Gauge, "Sessions, of connected clients and of those that are away.", |it, values| {
        values.one(it.overview.sessions);
    }).emqx(&[all("sessions.count")]),
    metric("links_opened_total", Counter, "Links that were accepted.", |it, values| {
        values.one(it.counts.links_opened);
    }),
    metric("links_refused_total", Counter, "Links that were closed at once because there are as many as the server takes.", |it, values| {
        values.one(it.counts.links_refused);
    }),
    metric("accept_pauses_total", Counter, "Times that no more links were accepted for want of descriptors or memory.", |it, values| {
        values.one(it.counts.accept_pauses);
    }),
    metric("connects_received_total", Counter, "CONNECT packets that arrived.", |it, values| {
        values.one(it.counts.connects);
    }).emqx(&[all("packets.connect.received"), all("client.connect")]),
    metric("clients_connected_total", Counter, "Clients that were let in.", |it, values| {
        values.one(it.counts.connected);
    }).emqx(&[all("client.connected")]),
    metric("clients_disconnected_total", Counter, "Connections of clients that ended, by reason.", |it, values| {
        by("reason", &it.counts.disconnected, values);
    }).labels(&["reason"]).emqx(&[all("client.disconnected")]),
    metric("clients_rejected_total", Counter, "Links that ended before a client was let in, by reason.", |it, values| {
        by("reason", &it.counts.rejected, values);
    }).labels(&["reason"]),
    metric("takeovers_total", Counter, "Connections that took over another with the same client identifier.", |it, values| {
        values.one(it.counts.takeovers);
    }).emqx(&[all("session.takenover")]),
    metric("sessions_expired_total", Counter, "Sessions that expired.", |it, values| {
        values.one(it.counts.sessions_expired);
    }),
    metric("unauthenticated_bytes", Gauge, "Bytes that links hold whose client is not let in yet.", |it, values| {
        values.one(it.counts.unauthenticated_bytes);
    }),
    metric("connection_panics_total", Counter, "Connections that ended by a mistake of the server's own.", |it, values| {
        values.one(it.counts.panics);
    }),

    // Subscriptions, topics, retained messages.
    metric("subscriptions", Gauge, "Subscriptions, shared ones among them.", |it, values| {
        values.one(it.overview.subscriptions);
    }).emqx(&[all("subscriptions.count"), all("suboptions.count"), all("subscribers.count")]),
    metric("shared_subscriptions", Gauge, "Shared subscriptions.", |it, values| {
        values.one(it.overview.shared_subscriptions);
    }).emqx(&[all("subscriptions.shared.count")]),
    metric("shared_groups", Gauge, "Groups of shared subscriptions.", |it, values| {
        values.one(it.counts.shared_groups);
    }),
    metric("topics", Gauge, "Topic filters that somebody subscribed to.", |it, values| {
        values.one(it.overview.topics);
    }).emqx(&[all("topics.count")]),
    metric("retained_messages", Gauge, "Retained messages.", |it, values| {
        values.one(it.overview.retained);
    }).emqx(&[all("retained.count")]),
    metric("retained_bytes", Gauge, "Bytes of retained messages.", |it, values| {
        values.one(it.counts.retained_bytes);
    }),

    // Traffic.
    metric("packets_received_total", Counter, "Packets of any kind that arrived.", |it, values| {
        values.one(it.counts.packets_received);
    }).emqx(&[all("packets.received")]),
    metric("packets_sent_total", Counter, "Packets of any kind that were sent.", |it, values| {
        values.one(it.counts.packets_sent);
    }).emqx(&[all("packets.sent")]),
    metric("bytes_received_total", Counter, "Bytes that arrived.", |it, values| {
        values.one(it.counts.bytes_received);
    }).emqx(&[all("bytes.received")]),
    metric("bytes_sent_total", Counter, "Bytes that were sent.", |it, values| {
        values.one(it.counts.bytes_sent);
    }).emqx(&[all("bytes.sent")]),
    metric("messages_received_total", Counter, "PUBLISH packets that arrived.", |it, values| {
        by_qos(it.counts.messages_received, values);
    }).labels(&["qos"]).emqx(&[
        all("messages.received"), all("packets.publish.received"), all("messages.publish"), only("messages.qos0.received", "0"),
        only("messages.qos1.received", "1"), only("messages.qos2.received", "2"),
    ]),
    metric("messages_sent_total", Counter, "PUBLISH packets that were sent.", |it, values| {
        by_qos(it.counts.messages_sent, values);
    }).labels(&["qos"]).emqx(&[
        all("messages.sent"), all("packets.publish.sent"), all("messages.delivered"), only("messages.qos0.sent", "0"),
        only("messages.qos1.sent", "1"), only("messages.qos2.sent", "2"),
    ]),
    metric("messages_dropped_total", Counter, "Messages that did not reach a client, or were refused, by reason.", |it, values| {
        by("reason", &it.counts.drops, values);
    }).labels(&["reason"]).emqx(&[
        all("messages.dropped"), all("delivery.dropped"), only("delivery.dropped.queue_full", "queue_full"),
        only("delivery.dropped.expired", "expired"), only("delivery.dropped.too_large", "too_large"),
    ]),
    metric("payload_received_bytes_total", Counter, "Bytes of payloads that arrived.", |it, values| {
        values.one(it.counts.payload_received);
    }),
    metric("payload_sent_bytes_total", Counter, "Bytes of payloads that were sent.", |it, values| {
        values.one(it.counts.payload_sent);
    }),
    metric("payload_dropped_bytes_total", Counter, "Bytes of payloads of messages that were dropped.", |it, values| {
        values.one(it.counts.payload_dropped);
    }),
    metric("queued_messages", Gauge, "Messages that wait in queues, once for each session.", |it, values| {
        values.one(it.counts.queued);
    }),
    metric("queued_bytes", Gauge, "Bytes of messages that wait in queues.", |it, values| {
        values.one(it.counts.queued_bytes);
    }),

    // Who clients are, and what they may do.
    metric("denials_total", Counter, "What clients wanted and were not allowed, by wish.", |it, values| {
        by("wanted", &it.counts.denied, values);
    }).labels(&["wanted"]).emqx(&[
        all("authorization.deny"), only("authentication.failure", "connect"),
    ]),
    metric("auth_asked_total", Counter, "Questions that a provider of identities was asked.", |it, values| {
        providers(it, values, |one| one.asked);
    }).labels(PROVIDER),
    metric("auth_admitted_total", Counter, "Clients that a provider let in.", |it, values| {
        providers(it, values, |one| one.admitted);
    }).labels(PROVIDER).emqx(&[all("authentication.success")]),
    metric("auth_denied_total", Counter, "Clients whose credentials were wrong.", |it, values| {
        providers(it, values, |one| one.denied);
    }).labels(PROVIDER),
    metric("auth_unknown_total", Counter, "Clients that a provider did not know.", |it, values| {
        providers(it, values, |one| one.unknown);
    }).labels(PROVIDER),
    metric("auth_failed_total", Counter, "Questions that a provider could not answer, those out of time aside.", |it, values| {
        providers(it, values, |one| one.failed);
    }).labels(PROVIDER),
    metric("auth_timed_out_total", Counter, "Questions that a provider did not answer in time.", |it, values| {
        providers(it, values, |one| one.timed_out);
    }).labels(PROVIDER),
    metric("auth_refused_by_breaker_total", Counter, "Questions that were not asked because the provider is down.", |it, values| {
        providers(it, values, |one| one.refused_by_breaker);
    }).labels(PROVIDER),
    metric("auth_busy_total", Counter, "Questions that were not asked because too many are asked already.", |it, values| {
        providers(it, values, |one| one.busy);
    }).labels(PROVIDER),
    metric("auth_cached_total", Counter, "Questions that were answered from memory.", |it, values| {
        providers(it, values, |one| one.cached);
    }).labels(PROVIDER),
    metric("auth_inside", Gauge, "Questions that wait for a provider now.", |it, values| {
        providers(it, values, |one| one.inside);
    }).labels(PROVIDER),
    metric("auth_down", Gauge, "1 while a provider is down and left alone, else 0.", |it, values| {
        providers(it, values, |one| u64::from(one.down));
    }).labels(PROVIDER),
    metric("auth_latency_seconds", Histogram, "How long a provider took to answer.", |it, values| {
        for one in &it.chain.data {
            let times = times(&one.latency.buckets, Some(one.latency.sum_ms / 1e3));
            values.labelled([("provider", one.name.clone().into()), ("type", one.kind.clone().into())], times);
        }
    }).labels(PROVIDER),
    metric("auth_throttled_total", Counter, "Logins that were refused unread because too many from their address had failed.", |it, values| {
        values.one(it.chain.throttled);
    }),

    // The store.
    metric("store_class", Gauge, "1 for the class of durability that holds unless a rule says otherwise.", |it, values| {
        for class in ["memory", "os", "disk"] {
            values.labelled([("class", class.into())], u64::from(it.store.durability == class));
        }
    }).labels(&["class"]),
    metric("store_state", Gauge, "1 for how the store fares, else 0.", |it, values| {
        let Some(figures) = &it.store.figures else { return };
        for state in ["ok", "slow", "full", "failed"] {
            values.labelled([("state", state.into())], u64::from(figures.state == state));
        }
    }).labels(&["state"]),
    metric("store_disk_bytes", Gauge, "Bytes of the store's files.", |it, values| {
        values.maybe(store(it).map(|store| store.disk_bytes));
    }),
    metric("store_live_bytes", Gauge, "Bytes of records that are needed.", |it, values| {
        values.maybe(store(it).map(|store| store.live_bytes));
    }),
    metric("store_backlog_bytes", Gauge, "Bytes that wait to be written to the store.", |it, values| {
        values.maybe(store(it).map(|store| store.backlog_bytes));
    }),
    metric("store_messages", Gauge, "Messages in the store that are owed to somebody or retained.", |it, values| {
        values.maybe(store(it).map(|store| store.messages));
    }),
    metric("store_oldest_message_seconds", Gauge, "Seconds since the oldest message of the store came; 0: there is none.", |it, values| {
        values.maybe(store(it).map(|store| store.oldest_seconds.unwrap_or(0)));
    }),
    metric("store_damaged_messages", Gauge, "Messages of the store that were found damaged and are withheld.", |it, values| {
        values.maybe(store(it).map(|store| store.damaged));
    }),
    metric("store_syncs_total", Counter, "Syncs of the store's disk.", |it, values| {
        values.maybe(store(it).map(|store| store.syncs));
    }),
    metric("store_failures_total", Counter, "Writes and syncs of the store that failed.", |it, values| {
        values.maybe(store(it).map(|store| store.failures));
    }),
    metric("store_written_bytes_total", Counter, "Bytes written to the store.", |it, values| {
        values.maybe(store(it).map(|store| store.written_bytes));
    }),
    metric("store_commit_seconds", Histogram, "How long commits took, from the first write to the end of the sync. There is no sum.", |it, values| {
        values.maybe(store(it).map(|store| times(&store.commits, None)));
    }),

    // Event loops, process, machine.
    metric("worker_connections", Gauge, "Clients that are connected to an event loop.", |it, values| {
        for (number, worker) in it.counts.workers.iter().enumerate() {
            values.labelled([("worker", number.to_string().into())], worker.connections);
        }
    }).labels(&["worker"]),
    metric("worker_cpu_seconds_total", Counter, "Processor time that an event loop took. Not there where the system does not tell (Linux does).", |it, values| {
        for (number, worker) in it.counts.workers.iter().enumerate() {
            if let Some(seconds) = worker.cpu_seconds {
                values.labelled([("worker", number.to_string().into())], seconds);
            }
        }
    }).labels(&["worker"]),
    metric("worker_mailbox_bytes", Gauge, "Bytes of mail on its way to an event loop.", |it, values| {
        for (number, worker) in it.counts.workers.iter().enumerate() {
            values.labelled([("worker", number.to_string().into())], worker.mailbox_bytes);
        }
    }).labels(&["worker"]),
    metric("process_cpu_seconds_total", Counter, "Processor time that the process took.", |it, values| {
        values.maybe(it.counts.cpu_seconds);
    }),
    metric("process_cpu_percent", Gauge, "How busy the process keeps the machine's processors, all of them being 100.", |it, values| {
        values.maybe(it.overview.cpu_percent);
    }).emqx(&[all("vm_cpu_use")]),
    metric("process_memory_bytes", Gauge, "Bytes of memory that the process holds.", |it, values| {
        values.maybe(it.overview.memory_bytes);
    }).emqx(&[all("vm_used_memory")]),
    metric("process_memory_max_bytes", Gauge, "Most bytes of memory that the process held at once.", |it, values| {
        values.maybe(it.counts.most_memory);
    }),
    metric("memory_budget_bytes", Gauge, "Bytes of memory that the server may use; 0: no bound.", |it, values| {
        values.one(it.counts.memory_budget);
    }),
    metric("process_open_files", Gauge, "Files and sockets that are open.", |it, values| {
        values.maybe(it.overview.open_files);
    }),
    metric("process_open_files_limit", Gauge, "Most files and sockets that may be open.", |it, values| {
        values.maybe(it.overview.open_files_limit);
    }),
    metric("disk_free_bytes", Gauge, "Bytes that are free where the data folder is.", |it, values| {
        values.maybe(it.overview.disk_free_bytes);
    }),
    metric("disk_size_bytes", Gauge, "Bytes of the disk where the data folder is.", |it, values| {
        values.maybe(it.counts.disk_size);
    }),

    // Listeners.
    metric("listener_connections", Gauge, "Links of a listener.", |it, values| {
        listeners(it, values, |one| one.connections);
    }).labels(LISTENER),
    metric("listener_accepted_total", Counter, "Links that a listener accepted.", |it, values| {
        listeners(it, values, |one| one.accepted);
    }).labels(LISTENER),
    metric("listener_refused_total", Counter, "Links of a listener that were closed unread: by address, by rate, or by a limit.", |it, values| {
        listeners(it, values, |one| one.refused);
    }).labels(LISTENER),
    metric("listener_failed_handshakes_total", Counter, "Handshakes of TLS, WebSocket or PROXY that failed, and links that spoke another protocol.", |it, values| {
        listeners(it, values, |one| one.failed_handshakes);
    }).labels(LISTENER),
    metric("tls_handshakes_total", Counter, "TLS handshakes that succeeded: with a new session, or with one that was resumed.", |it, values| {
        for one in &it.listeners {
            for (kind, count) in [("new", one.new_handshakes), ("resumed", one.resumed_handshakes)] {
                let [name, protocol] = listener(one);
                values.labelled([name, protocol, ("session", kind.into())], count);
            }
        }
    }).labels(&["listener", "protocol", "session"]),
    metric("certificate_expiry_timestamp_seconds", Gauge, "When a listener's certificate ends to be valid, in seconds since 1970.", |it, values| {
        for one in &it.listeners {
            for certificate in &one.certificates {
                let [name, protocol] = listener(one);
                let own = ("certificate", certificate.name.clone().into());
                values.labelled([name, protocol, own], certificate.not_after.as_millis() / 1000);
            }
        }
    }).labels(&["listener", "protocol", "certificate"]).emqx(&[each("cert_expiry_at")]),

    // Bridges.
    metric("bridge_up", Gauge, "1 while a bridge is connected to the other server, else 0.", |it, values| {
        bridges(it, values, |one| one.connected_at.is_some().into());
    }).labels(BRIDGE),
    metric("bridge_messages_total", Counter, "Messages that went over a bridge: to the other server (out) or from it (in).", |it, values| {
        ways(it, values, |one| (one.messages_out, one.messages_in));
    }).labels(WAY),
    metric("bridge_bytes_total", Counter, "Bytes of the packets of these messages.", |it, values| {
        ways(it, values, |one| (one.bytes_out, one.bytes_in));
    }).labels(WAY),
    metric("bridge_inflight_messages", Gauge, "Messages of QoS 1 and 2 that are on their way over a bridge and not acknowledged to the end.", |it, values| {
        ways(it, values, |one| (one.inflight_out, one.inflight_in));
    }).labels(WAY),
    metric("bridge_lag_messages", Gauge, "Messages at this server that the other one has not acknowledged, those on their way among them.", |it, values| {
        bridges(it, values, |one| one.lag);
    }).labels(BRIDGE),
    metric("bridge_dropped_total", Counter, "Messages that did not go over a bridge, by reason.", |it, values| {
        for one in &it.bridges {
            for drops in &one.dropped {
                let labels = [("bridge", one.name.clone().into()), ("reason", drops.reason.clone().into())];
                values.labelled(labels, drops.count);
            }
        }
    }).labels(&["bridge", "reason"]),
    metric("bridge_reconnects_total", Counter, "How often a bridge was connected again.", |it, values| {
        bridges(it, values, |one| one.reconnects);
    }).labels(BRIDGE),
    metric("bridge_failures_total", Counter, "How often a connection of a bridge, or the try of one, has failed.", |it, values| {
        bridges(it, values, |one| one.failures);
    }).labels(BRIDGE),

    // What goes to a collector.
    metric("telemetry_sent_total", Counter, "Spans (traces) and values (metrics) that the OpenTelemetry collector took.", |it, values| {
        telemetry(it, values, |one| one.sent);
    }).labels(SIGNAL),
    metric("telemetry_dropped_total", Counter, "Spans and values that the collector did not take, or that there was no room for.", |it, values| {
        telemetry(it, values, |one| one.dropped);
    }).labels(SIGNAL),
    metric("telemetry_failures_total", Counter, "Requests to the collector that failed, those that were made again among them.", |it, values| {
        telemetry(it, values, |one| one.failures);
    }).labels(SIGNAL),
    metric("telemetry_failing", Gauge, "1 while requests to the collector fail, else 0.", |it, values| {
        telemetry(it, values, |one| u64::from(one.is_failing));
    }).labels(SIGNAL),
    metric("telemetry_unfollowed_total", Counter, "Messages that were to be followed and were not, because there were more than telemetry.messages_per_second.", |it, values| {
        values.maybe(it.counts.unfollowed);
    }),

    // The control plane.
    metric("alarms_active", Gauge, "Alarms that are active, by severity.", |it, values| {
        for (severity, count) in it.alarms {
            values.labelled([("severity", severity.as_str().into())], count);
        }
    }).labels(&["severity"]),
    metric("api_requests_total", Counter, "Requests of the API that were answered, by the class of the status.", |it, values| {
        by("code", &it.requests, values);
    }).labels(&["code"]),
    metric("api_event_streams", Gauge, "Streams of events that are open.", |it, values| {
        values.one(it.streams);
    }),
];

const SIGNAL: &[&str] = &["signal"];
const PROVIDER: &[&str] = &["provider", "type"];
const LISTENER: &[&str] = &["listener", "protocol"];
const BRIDGE: &[&str] = &["bridge"];
const WAY: &[&str] = &["bridge", "direction"];

fn by(label: &'static str, counts: &[(&'static str, u64)], values: &mut Values) {
    for (it, count) in counts {
        values.labelled([(label, (*it).into())], *count);
    }
}

fn by_qos(counts: [u64; 3], values: &mut Values) {
    for (qos, count) in ["0", "1", "2"].into_iter().zip(counts) {
        values.labelled([("qos", qos.into())], count);
    }
}

fn telemetry(reading: &Reading, values: &mut Values, count: impl Fn(&TelemetryCounts) -> u64) {
    for one in &reading.counts.telemetry {
        values.labelled([("signal", one.signal.into())], count(one));
    }
}

fn providers(reading: &Reading, values: &mut Values, count: impl Fn(&Provider) -> u64) {
    for one in &reading.chain.data {
        let labels = [
            ("provider", one.name.clone().into()),
            ("type", one.kind.clone().into()),
        ];
        values.labelled(labels, count(one));
    }
}

fn listeners(reading: &Reading, values: &mut Values, count: impl Fn(&Listener) -> u64) {
    for one in &reading.listeners {
        values.labelled(listener(one), count(one));
    }
}

fn listener(one: &Listener) -> [(&'static str, Cow<'static, str>); 2] {
    [
        ("listener", one.name.clone().into()),
        ("protocol", one.protocol.clone().into()),
    ]
}

fn bridges(reading: &Reading, values: &mut Values, count: impl Fn(&Bridge) -> u64) {
    for one in &reading.bridges {
        values.labelled([("bridge", one.name.clone().into())], count(one));
    }
}

fn ways(reading: &Reading, values: &mut Values, counts: impl Fn(&Bridge) -> (u64, u64)) {
    for one in &reading.bridges {
        let (out, came) = counts(one);
        for (direction, count) in [("out", out), ("in", came)] {
            let own = ("bridge", one.name.clone().into());
            values.labelled([own, ("direction", direction.into())], count);
        }
    }
}

fn store(reading: &Reading) -> Option<&StoreFigures> {
    reading.store.figures.as_ref()
}

/// Buckets that are not cumulative, as Prometheus has them.
fn times(buckets: &[Bucket], sum: Option<f64>) -> Number {
    let mut all: u64 = 0;
    let mut within = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        all = all.saturating_add(bucket.count);
        if let Some(millis) = bucket.at_most_ms {
            within.push((millis / 1e3, all));
        }
    }
    Number::Times { within, all, sum }
}

#[allow(clippy::cast_precision_loss)] // exact for some hundred thousand years
fn millis(millis: u64) -> f64 {
    millis as f64 / 1e3
}
