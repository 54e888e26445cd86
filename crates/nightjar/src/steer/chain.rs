//! The chain of providers, with figures.

use admin::server::authentication::{Latency, Provider};
use admin::server::{Answer, Authentication, Chain, Selector};
use broker::Control;
use providers::Purge;
use providers::figures::{BOUNDS, Histogram, ProviderFigures};

use super::{Steer, buckets, count};

impl Authentication for Steer {
    fn chain(&self) -> Chain {
        let Some(figures) = self.doors.figures() else {
            return Chain::default();
        };
        Chain {
            data: figures.providers.into_iter().map(provider).collect(),
            throttled: figures.throttled,
            addresses: count(figures.addresses),
        }
    }

    fn purge(&self, selector: Selector) -> Answer<'_, ()> {
        Box::pin(async move {
            let whom = match &selector {
                Selector::Client(client) => Purge::Client(client),
                Selector::User(user) => Purge::User(user),
                Selector::All => Purge::All,
            };
            self.doors.forget(whom);
            self.tell(&Control::Refresh(match selector {
                Selector::Client(client) => broker::Selector::Client(client.into()),
                Selector::User(user) => broker::Selector::User(user.into()),
                Selector::All => broker::Selector::All,
            }))
        })
    }
}

fn provider(figures: ProviderFigures) -> Provider {
    Provider {
        name: figures.name.as_ref().into(),
        kind: figures.kind.into(),
        asked: figures.asked,
        admitted: figures.admitted,
        denied: figures.wrong,
        unknown: figures.unknown,
        failed: figures.failed,
        timed_out: figures.timed_out,
        refused_by_breaker: figures.refused_by_breaker,
        busy: figures.busy,
        cached: figures.cached,
        down: figures.down,
        inside: figures.inside.into(),
        latency: latency(&figures.latency),
    }
}

fn latency(times: &Histogram) -> Latency {
    Latency {
        buckets: buckets(&BOUNDS, &times.counts),
        sum_ms: times.sum.as_secs_f64() * 1e3,
    }
}
