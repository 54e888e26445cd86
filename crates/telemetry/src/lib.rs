//! Metrics and traces to an OpenTelemetry collector, by OTLP over HTTP in its JSON form.
//!
//! **Never:** nothing here runs on a worker or is waited for by one: what is to be sent is fetched by
//! a thread of its own ([`Source`]), and what does not get through in time is dropped and counted. No
//! header, no password and no address is in an error, a notice or `Debug` (S71). No redirect is
//! followed.
//!
//! OTLP (opentelemetry-proto 1.x) has two encodings over HTTP, and collectors take both. JSON needs no
//! generated code and no further dependency; it costs the collector a little more to read.
//!
//! Entry types: [`Exporter::start`] with [`Settings`] and a [`Source`]; [`Context`], which travels with
//! messages.
//!
//! | module | owns |
//! |---|---|
//! | [`context`] | [`Context`]: `traceparent` (W3C Trace Context), read and written |
//! | [`span`] | [`Span`]: something that took a while, with what happened meanwhile |
//! | [`metric`] | [`Metric`]: numbers as they are now |
//! | [`settings`] | [`Settings`]: where to, and as whom |
//! | [`exporter`] | [`Exporter`]: the thread that sends, and tries again |
//! | [`figures`] | [`Figures`]: what was sent, and what was not; whether it gets through |
//! | `encode` | requests as JSON |
//! | `web` | the way to the collector |

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

pub mod context;
mod encode;
pub mod exporter;
pub mod figures;
pub mod metric;
pub mod settings;
pub mod span;
mod web;

pub use context::{Context, SpanId, TraceId};
pub use exporter::{Exporter, Notice, Source};
pub use figures::{Figures, Signal};
pub use metric::{Metric, Number, Point};
pub use settings::{Problem, Settings};
pub use span::{Span, Value};
