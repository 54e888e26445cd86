//! Metrics and traces for a collector.

use std::path::PathBuf;
use std::time::Duration;

use super::{Header, Url};

/// Metrics and traces for an OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Address of a collector that takes OTLP over HTTP: `/v1/metrics` and `/v1/traces` are put behind
    /// it. A name and a password in it are sent as `Authorization: Basic`. Without it nothing is sent.
    pub endpoint: Option<Url>,
    /// Further headers of each request, such as a token. Never shown.
    pub headers: Vec<Header>,
    /// File of the authorities that vouch for the collector (PEM), for `https://`. Without it those that
    /// browsers trust.
    pub ca: Option<PathBuf>,
    /// How long the collector may take for an answer.
    pub timeout: Duration,
    /// How often all metrics are sent. 0: never.
    pub metrics_interval: Duration,
    /// Whether messages are followed: what happens to each that is sampled is sent as spans, and the
    /// message carries `traceparent`.
    pub traces: bool,
    /// One of so many messages is followed, on average. 0: none.
    pub sample_one_in: u32,
    /// Whether a message whose publisher says by `traceparent` that it is sampled is followed without
    /// being chosen. Clients then decide what is sent to the collector, within the bounds below.
    pub honor_traceparent: bool,
    /// Most messages of one client that are followed in a second because it says so.
    pub client_messages_per_second: u32,
    /// Most messages that are followed in a second, whoever asks for it. Those beyond go their way as
    /// they came, and are counted.
    pub messages_per_second: u32,
    /// Most spans that begin in a second. Of a message that is followed, deliveries beyond are not told,
    /// and are counted.
    pub spans_per_second: u32,
    /// Whether `OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_SERVICE_NAME` of the environment stand for
    /// `endpoint` and `service_name` where nothing else says these. What makes no sense in them refuses
    /// the start then, as anywhere else.
    pub standard_variables: bool,
    /// Name of the service (`service.name`).
    pub service_name: String,
    /// Further attributes of the resource, each `key=value`, such as `deployment.environment.name=plant`.
    pub attributes: Vec<String>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: Vec::new(),
            ca: None,
            timeout: Duration::from_secs(10),
            metrics_interval: Duration::from_secs(60),
            traces: false,
            sample_one_in: 0,
            honor_traceparent: false,
            client_messages_per_second: 100,
            messages_per_second: 1000,
            spans_per_second: 10_000,
            standard_variables: false,
            service_name: "nightjar".into(),
            attributes: Vec::new(),
        }
    }
}
