//! Subscriptions and what is retained for them.

use std::num::NonZeroU32;

use codec::{Subscribe, Unsubscribe};
use types::{PacketId, ReasonCode, RetainHandling, SubscriptionFilter};

use super::publish::wants;
use super::{Due, Reference, Subscription};
use crate::failure::{Failure, ensure};
use crate::messages::Messages;
use crate::universe::LinkId;

impl Reference {
    fn parse(text: &str) -> Result<SubscriptionFilter, Failure> {
        SubscriptionFilter::parse(text, u16::MAX)
            .map_err(|error| Failure(format!("a client sent {text}: {error:?}")))
    }

    /// SUBSCRIBE reached the server: as if each filter came alone (MQTT-3.8.4-5).
    pub(super) fn subscribing(
        &mut self,
        session: usize,
        subscribe: &Subscribe<'_>,
    ) -> Result<(), Failure> {
        let step = self.step;
        let record = &mut self.sessions[session];
        let mut asked = Vec::new();
        for place in subscribe.filters.iter() {
            let filter = Self::parse(place.filter)?;
            let old = record.present(&filter);
            if let Some(old) = old {
                let old = &mut record.subscriptions[old];
                old.until = Some(step);
                old.replaced = true;
            }
            let replays = filter.share.is_none()
                && match place.options.retain_handling {
                    RetainHandling::Send => true,
                    RetainHandling::SendIfNew => old.is_none(),
                    RetainHandling::DoNotSend => false,
                };
            asked.push(record.subscriptions.len());
            record.subscriptions.push(Subscription {
                filter,
                options: place.options,
                id: subscribe.subscription_id.and_then(NonZeroU32::new),
                replays,
                from: step,
                sure: None,
                until: None,
                gone: None,
                replaced: false,
            });
        }
        record.asked.insert(subscribe.packet_id, asked);
        Ok(())
    }

    /// UNSUBSCRIBE reached the server.
    pub(super) fn unsubscribing(
        &mut self,
        session: usize,
        unsubscribe: &Unsubscribe<'_>,
    ) -> Result<(), Failure> {
        let step = self.step;
        let record = &mut self.sessions[session];
        let mut removed = Vec::new();
        let mut reasons = Vec::new();
        for text in unsubscribe.filters.iter() {
            let filter = Self::parse(text)?;
            let old = record.present(&filter);
            reasons.push(match old {
                Some(_) => ReasonCode::Success.byte(),
                None => ReasonCode::NoSubscriptionExisted.byte(),
            });
            if let Some(old) = old {
                record.subscriptions[old].until = Some(step);
                removed.push(old);
                for earlier in &mut record.subscriptions[..old] {
                    if earlier.filter == filter {
                        earlier.replaced = false;
                    }
                }
                // A replay ends with its subscription.
                record.owed.retain(|due| !due.replay);
            }
        }
        record
            .unasked
            .insert(unsubscribe.packet_id, (removed, reasons));
        Ok(())
    }

    /// SUBACK: everything is in place, and what is retained is on its way.
    pub fn subscribed(&mut self, link: LinkId, id: PacketId, messages: &Messages) {
        let Some(session) = self.links.get(&link).and_then(|link| link.session) else {
            return;
        };
        let step = self.step;
        for place in self.sessions[session].asked.remove(&id).unwrap_or_default() {
            let record = &mut self.sessions[session];
            record.subscriptions[place].sure = Some(step);
            let filter = record.subscriptions[place].filter.clone();
            for old in &mut record.subscriptions[..place] {
                if old.filter == filter && old.gone.is_none() {
                    old.gone = Some(step);
                }
            }
            self.owe_replay(session, place, messages);
        }
    }

    fn owe_replay(&mut self, session: usize, place: usize, messages: &Messages) {
        let record = &self.sessions[session];
        let subscription = &record.subscriptions[place];
        let unsure = self.plan.tight_queue || self.plan.is_loose();
        // Another subscription in the same packet may have replaced this one already.
        if !subscription.replays || subscription.until.is_some() || unsure || record.conn.is_none()
        {
            return;
        }
        let due: Vec<Due> = self
            .retained
            .iter()
            .filter(|(topic, kept)| wants(subscription, topic) && kept.since < subscription.from)
            .filter(|(_, kept)| kept.or.is_empty())
            .map(|(_, kept)| Due {
                message: kept.message,
                qos: messages.at(kept.message).qos.min(subscription.options.qos),
                expires: kept.expires,
                replay: true,
            })
            .collect();
        self.sessions[session].owed.extend(due);
    }

    /// UNSUBACK: nobody sends by these subscriptions any more.
    pub fn unsubscribed(
        &mut self,
        link: LinkId,
        id: PacketId,
        reasons: &[u8],
    ) -> Result<(), Failure> {
        let Some(session) = self.links.get(&link).and_then(|link| link.session) else {
            return Ok(());
        };
        let step = self.step;
        let record = &mut self.sessions[session];
        let Some((removed, expected)) = record.unasked.remove(&id) else {
            return Ok(());
        };
        ensure!(
            reasons.is_empty() || reasons == expected || self.plan.is_loose(),
            "client{}: UNSUBACK with {reasons:?}, not {expected:?} (MQTT-3.11.3-1)",
            record.client
        );
        for place in removed {
            let filter = record.subscriptions[place].filter.clone();
            for old in &mut record.subscriptions[..=place] {
                if old.filter == filter && old.gone.is_none() {
                    old.gone = Some(step);
                }
            }
        }
        Ok(())
    }
}
