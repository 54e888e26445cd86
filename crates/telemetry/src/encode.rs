//! Requests as JSON, as OTLP's specification has it ("JSON Protobuf Encoding"): identifiers in
//! hexadecimal, 64-bit numbers as text, enumerations as numbers.

use serde_json::{Map, Value as Json, json};

use crate::metric::{Kind, Metric, Number, Point};
use crate::span::{Event, Span, Value};

/// Who sends: what stands around every request.
#[derive(Debug)]
pub(crate) struct Sender {
    resource: Json,
    scope: Json,
    /// In nanoseconds since 1970.
    started: u64,
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u8 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

impl Sender {
    pub(crate) fn new(resource: &[(String, String)], version: &str, started: u64) -> Self {
        let attributes = resource.iter().map(|(key, text)| labelled(key, text));
        Self {
            resource: json!({ "attributes": attributes.collect::<Json>() }),
            scope: json!({ "name": "nightjar", "version": version }),
            started,
        }
    }

    /// An `ExportTraceServiceRequest`.
    pub(crate) fn traces(&self, spans: &[Span]) -> Vec<u8> {
        let spans: Json = spans.iter().map(span).collect();
        let all = json!({ "resourceSpans": [{
            "resource": self.resource,
            "scopeSpans": [{ "scope": self.scope, "spans": spans }],
        }] });
        all.to_string().into_bytes()
    }

    /// An `ExportMetricsServiceRequest`; all is as it is `now`, in nanoseconds since 1970.
    pub(crate) fn metrics(&self, metrics: &[Metric], now: u64) -> Vec<u8> {
        let metrics: Json = metrics.iter().map(|one| self.metric(one, now)).collect();
        let all = json!({ "resourceMetrics": [{
            "resource": self.resource,
            "scopeMetrics": [{ "scope": self.scope, "metrics": metrics }],
        }] });
        all.to_string().into_bytes()
    }

    fn metric(&self, metric: &Metric, now: u64) -> Json {
        let points: Json = metric
            .points
            .iter()
            .map(|it| self.point(metric.kind, it, now))
            .collect();
        let (kind, data) = match metric.kind {
            Kind::Gauge => ("gauge", json!({ "dataPoints": points })),
            Kind::Sum => (
                "sum",
                json!({
                    "dataPoints": points,
                    "aggregationTemporality": CUMULATIVE,
                    "isMonotonic": true,
                }),
            ),
            Kind::Histogram => (
                "histogram",
                json!({ "dataPoints": points, "aggregationTemporality": CUMULATIVE }),
            ),
        };
        json!({
            "name": metric.name,
            "description": metric.description,
            "unit": metric.unit,
            kind: data,
        })
    }

    fn point(&self, kind: Kind, point: &Point, now: u64) -> Json {
        let labels = point.labels.iter();
        let mut all = Map::new();
        let mut put = |key: &str, value: Json| all.insert(key.to_owned(), value);
        put(
            "attributes",
            labels.map(|(key, text)| labelled(key, text)).collect(),
        );
        put("timeUnixNano", now.to_string().into());
        if kind != Kind::Gauge {
            put("startTimeUnixNano", self.started.to_string().into());
        }
        match &point.number {
            Number::Whole(number) => put("asInt", whole(*number)),
            Number::Real(number) => put("asDouble", real(*number)),
            Number::Buckets {
                bounds,
                counts,
                sum,
            } => {
                let all: u64 = counts.iter().fold(0, |sum, one| sum.saturating_add(*one));
                put("count", all.to_string().into());
                if let Some(sum) = sum {
                    put("sum", real(*sum));
                }
                let counts = counts.iter().map(|count| Json::from(count.to_string()));
                put("bucketCounts", counts.collect());
                put(
                    "explicitBounds",
                    bounds.iter().map(|it| real(*it)).collect(),
                )
            }
        };
        Json::Object(all)
    }
}

fn span(span: &Span) -> Json {
    let mut all = json!({
        "traceId": span.trace.to_string(),
        "spanId": span.id.to_string(),
        "flags": flags(span),
        "name": span.name,
        "kind": span.kind.number(),
        "startTimeUnixNano": span.start.to_string(),
        "endTimeUnixNano": span.end.to_string(),
        "attributes": attributes(&span.attributes),
        "events": span.events.iter().map(event).collect::<Json>(),
        "droppedEventsCount": span.dropped_events,
    });
    if let Some(fields) = all.as_object_mut() {
        let mut put = |key: &str, value: Json| fields.insert(key.to_owned(), value);
        if let Some(parent) = span.parent {
            put("parentSpanId", parent.to_string().into());
        }
        if !span.state.is_empty() {
            put("traceState", (*span.state).into());
        }
        if let Some(words) = span.error {
            put("status", json!({ "code": ERROR, "message": words }));
        }
    }
    all
}

/// `SpanFlags`: the low eight bits are those of the context; of the next two, the first says that it is
/// known whether the parent is another program's, and the second that it is.
fn flags(span: &Span) -> u32 {
    match (span.parent, span.is_remote) {
        (None, _) => 0x001,
        (Some(_), false) => 0x101,
        (Some(_), true) => 0x301,
    }
}

fn event(event: &Event) -> Json {
    json!({
        "timeUnixNano": event.at.to_string(),
        "name": event.name,
        "attributes": attributes(&event.attributes),
    })
}

fn attributes(all: &[(&'static str, Value)]) -> Json {
    let all = all.iter().map(|(key, value)| {
        let value = match value {
            Value::Text(text) => json!({ "stringValue": text.as_str() }),
            Value::Number(number) => json!({ "intValue": whole(*number) }),
            Value::Flag(flag) => json!({ "boolValue": flag }),
        };
        json!({ "key": key, "value": value })
    });
    all.collect()
}

fn labelled(key: &str, text: &str) -> Json {
    json!({ "key": key, "value": { "stringValue": text } })
}

/// A signed number of 64 bits, as text.
fn whole(number: u64) -> Json {
    i64::try_from(number).unwrap_or(i64::MAX).to_string().into()
}

/// JSON has no infinity; what stands for it does.
fn real(number: f64) -> Json {
    match number {
        number if number.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        number => number.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    fn sender() -> Sender {
        Sender::new(&[("service.name".into(), "n\"1".into())], "1.2.3", 7)
    }

    fn read(bytes: &[u8]) -> Json {
        serde_json::from_slice(bytes).unwrap()
    }

    fn span_with_all() -> Span {
        let parent =
            Context::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        Span {
            trace: parent.trace,
            id: crate::SpanId::new(0xab).unwrap(),
            parent: Some(parent.span),
            is_remote: true,
            state: "a=b".into(),
            name: "receive",
            kind: crate::span::Kind::Consumer,
            start: 1,
            end: u64::MAX,
            attributes: vec![
                ("text", String::from("a\u{1b}").into()),
                ("number", u64::MAX.into()),
                ("flag", true.into()),
            ],
            events: vec![Event {
                at: 2,
                name: "matched",
                attributes: Vec::new(),
            }],
            dropped_events: 3,
            error: Some("not authorized"),
        }
    }

    #[test]
    fn a_span_is_told_with_what_is_known_of_it() {
        let span = span_with_all();
        let told = read(&sender().traces(std::slice::from_ref(&span)));
        let scope = &told["resourceSpans"][0]["scopeSpans"][0];
        assert_eq!(
            scope["scope"],
            json!({ "name": "nightjar", "version": "1.2.3" })
        );
        assert_eq!(
            told["resourceSpans"][0]["resource"]["attributes"],
            json!([{ "key": "service.name", "value": { "stringValue": "n\"1" } }])
        );
        assert_eq!(
            scope["spans"][0],
            json!({
                "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                "spanId": "00000000000000ab",
                "parentSpanId": "00f067aa0ba902b7",
                "traceState": "a=b",
                "flags": 0x301,
                "name": "receive",
                "kind": 5,
                "startTimeUnixNano": "1",
                "endTimeUnixNano": "18446744073709551615",
                "attributes": [
                    { "key": "text", "value": { "stringValue": "a\u{1b}" } },
                    { "key": "number", "value": { "intValue": "9223372036854775807" } },
                    { "key": "flag", "value": { "boolValue": true } },
                ],
                "events": [{ "timeUnixNano": "2", "name": "matched", "attributes": [] }],
                "droppedEventsCount": 3,
                "status": { "code": 2, "message": "not authorized" },
            })
        );
    }

    #[test]
    fn what_a_span_does_not_have_is_not_told() {
        let span = span_with_all();
        let parent = span.parent;
        let root = Span {
            parent: None,
            state: Box::default(),
            error: None,
            ..span
        };
        let local = Span {
            parent,
            is_remote: false,
            ..root.clone()
        };
        let told = read(&sender().traces(&[root, local]));
        let spans = &told["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(
            (&spans[0]["flags"], &spans[1]["flags"]),
            (&1.into(), &0x101.into())
        );
        let told = spans[0].clone();
        let fields = told.as_object().unwrap();
        assert!(
            ["parentSpanId", "traceState", "status"]
                .iter()
                .all(|key| !fields.contains_key(*key))
        );
    }

    fn told(kind: Kind, number: Number) -> Json {
        let metric = Metric {
            name: "nightjar_x".into(),
            description: "What.",
            unit: "By",
            kind,
            points: vec![Point {
                labels: vec![("qos", "1".into())],
                number,
            }],
        };
        let told = read(&sender().metrics(&[metric], 9));
        let told = told["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0].clone();
        assert_eq!(
            (&told["name"], &told["description"], &told["unit"]),
            (&"nightjar_x".into(), &"What.".into(), &"By".into())
        );
        told
    }

    #[test]
    fn metrics_are_told_as_what_they_are() {
        let labels = json!([{ "key": "qos", "value": { "stringValue": "1" } }]);
        assert_eq!(
            told(Kind::Sum, Number::Whole(3))["sum"],
            json!({
                "aggregationTemporality": 2,
                "isMonotonic": true,
                "dataPoints": [{
                    "attributes": labels, "startTimeUnixNano": "7", "timeUnixNano": "9", "asInt": "3",
                }],
            })
        );
        assert_eq!(
            told(Kind::Gauge, Number::Real(0.5))["gauge"],
            json!({ "dataPoints": [{ "attributes": labels, "timeUnixNano": "9", "asDouble": 0.5 }] })
        );
        let buckets = Number::Buckets {
            bounds: vec![0.1, 1.0],
            counts: vec![1, 0, 2],
            sum: Some(5.5),
        };
        assert_eq!(
            told(Kind::Histogram, buckets)["histogram"],
            json!({
                "aggregationTemporality": 2,
                "dataPoints": [{
                    "attributes": labels, "startTimeUnixNano": "7", "timeUnixNano": "9",
                    "count": "3", "sum": 5.5, "bucketCounts": ["1", "0", "2"],
                    "explicitBounds": [0.1, 1.0],
                }],
            })
        );
    }

    #[test]
    fn what_json_has_no_number_for_is_told_in_words() {
        let said = |number| {
            told(Kind::Gauge, Number::Real(number))["gauge"]["dataPoints"][0]["asDouble"].clone()
        };
        assert_eq!(said(f64::NAN), "NaN");
        assert_eq!(said(f64::INFINITY), "Infinity");
        assert_eq!(said(f64::NEG_INFINITY), "-Infinity");
        let most = told(Kind::Gauge, Number::Whole(u64::MAX));
        assert_eq!(
            most["gauge"]["dataPoints"][0]["asInt"],
            "9223372036854775807"
        );
    }
}
