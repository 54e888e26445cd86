//! The subscriptions of all clients.

use std::collections::BTreeMap;

use admin::server::subscriptions::{GroupMember, MEMBERSHIPS, MatchedReceiver, RECEIVERS};
use admin::server::{Answer, Matched, SharedGroup, Subscribed, SubscriptionWish, Subscriptions};
use admin::{Failure, Listed, Page, Piece};
use broker::question::{self, Gets, Subscriber, SubscriptionPlace, WantedSubscriptions};
use broker::{Findings, Question};
use types::{QoS, SessionKey, SubscriptionFilter, TopicName, WorkerId};

use super::ask::mistaken;
use super::{Steer, count};

/// Who would get a message, and the group that would choose it.
pub(super) type Receiver = (Subscriber, Option<SubscriptionFilter>);

impl Subscriptions for Steer {
    fn subscriptions(
        &self,
        wish: SubscriptionWish,
        cursor: Option<String>,
        limit: usize,
    ) -> Answer<'_, Piece<Subscribed>> {
        Box::pin(async move {
            let mut place = cursor.map_or(Ok(Place::FIRST), |text| Place::parse(&text))?;
            let home = wish.clientid.as_deref().map(|id| self.shared.home_of(id));
            let wanted = Box::new(wanted(wish));
            let mut rows = Vec::new();
            // One answer of each worker at most, as for clients.
            for _ in self.workers() {
                if let Some(home) = home.filter(|home| place.worker < *home) {
                    place = Place::at(home);
                }
                if !self.has(&place, home) || rows.len() >= limit {
                    break;
                }
                let most = (limit - rows.len()).min(Question::MOST);
                let found = self.some_of(&place, &wanted, most).await?;
                rows.extend(found.rows.into_iter().map(row));
                place.go_on(found.next);
            }
            let more = self.has(&place, home);
            Ok(Piece {
                rows,
                cursor: more.then(|| place.to_text()),
            })
        })
    }

    fn groups(&self, page: Page) -> Answer<'_, Listed<SharedGroup>> {
        Box::pin(async move {
            let wanted = WantedSubscriptions {
                is_shared: true,
                ..WantedSubscriptions::default()
            };
            let mut groups: BTreeMap<(String, String), Vec<GroupMember>> = BTreeMap::new();
            let (mut place, mut looked) = (Place::FIRST, 0);
            while self.has(&place, None) && looked < MEMBERSHIPS {
                let found = self.some_of(&place, &wanted, Question::MOST).await?;
                looked += found.rows.len();
                for one in found.rows {
                    let share = one.filter.share.as_ref();
                    let group = share.map_or_else(String::new, |share| share.as_str().into());
                    let members = groups.entry((group, one.filter.filter.as_str().into()));
                    members.or_default().push(GroupMember {
                        clientid: one.client.as_str().into(),
                        connected: one.is_connected,
                        inflight: count(one.inflight),
                        queued: count(one.waiting),
                    });
                }
                place.go_on(found.next);
            }
            let groups = groups.into_iter().map(|((group, topic), mut members)| {
                members.sort_unstable();
                SharedGroup {
                    group,
                    topic,
                    members,
                }
            });
            Ok(page.of(groups))
        })
    }

    fn receivers(&self, topic: String, from: Option<String>) -> Answer<'_, Matched> {
        Box::pin(async move {
            if TopicName::parse(&topic, self.config().limits.topic_levels).is_err() {
                return Err(Failure::Invalid(format!("topic: {topic:?} is none")));
            }
            let message = (&*topic, QoS::ExactlyOnce, from.as_deref());
            let (found, truncated) = self.receivers_of(message, RECEIVERS).await?;
            Ok(Matched {
                count: count(found.len()),
                receivers: found.into_iter().map(receiver).collect(),
                truncated,
            })
        })
    }
}

impl Steer {
    /// Whether there is something to ask at this place; with a home, it is asked alone.
    fn has(&self, place: &Place, home: Option<WorkerId>) -> bool {
        let is_there = place.worker.index() < self.mailboxes.workers();
        is_there && home.is_none_or(|home| place.worker <= home)
    }

    /// Who would get a message by itself or by a group, `most` of them; and whether there are more.
    pub(super) async fn receivers_of(
        &self,
        message: (&str, QoS, Option<&str>),
        most: usize,
    ) -> Result<(Vec<Receiver>, bool), Failure> {
        let mut found = Vec::new();
        for group in self.subscribers(message, None, most, &mut found).await? {
            if found.len() > most {
                break;
            }
            let group = Some(group);
            self.subscribers(message, group, most, &mut found).await?;
        }
        let more = found.len() > most;
        found.truncate(most);
        Ok((found, more))
    }

    /// Adds who would get a message by itself, or by a group; the groups of the topic.
    async fn subscribers(
        &self,
        (topic, qos, publisher): (&str, QoS, Option<&str>),
        group: Option<SubscriptionFilter>,
        most: usize,
        found: &mut Vec<Receiver>,
    ) -> Result<Vec<SubscriptionFilter>, Failure> {
        let mut groups = Vec::new();
        for worker in self.workers() {
            let mut after = None;
            while found.len() <= most {
                let question = Question::Subscribers {
                    topic: topic.into(),
                    qos,
                    publisher: publisher.map(Into::into),
                    group: group.clone(),
                    after,
                    most: Question::MOST,
                };
                let some = self.some_subscribers(worker, question).await?;
                if groups.is_empty() {
                    // Each worker knows all groups.
                    let all = some.groups.iter();
                    groups = all.map(|(one, _)| (**one).clone()).collect();
                }
                let clients = some.clients.into_iter();
                found.extend(clients.map(|one| (one, group.clone())));
                after = some.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(groups)
    }

    async fn some_of(
        &self,
        place: &Place,
        wanted: &WantedSubscriptions,
        most: usize,
    ) -> Result<question::Subscriptions, Failure> {
        let question = Question::Subscriptions {
            wanted: Box::new(wanted.clone()),
            after: place.after.clone(),
            most,
        };
        match self.ask(place.worker, question).await? {
            Findings::Subscriptions(found) => Ok(found),
            _ => Err(mistaken()),
        }
    }
}

fn wanted(wish: SubscriptionWish) -> WantedSubscriptions {
    WantedSubscriptions {
        client: wish.clientid.map(Into::into),
        filter: wish.topic.map(Into::into),
        matching: wish.matching.map(Into::into),
        share: wish.share.map(Into::into),
        is_shared: false,
        qos: wish.qos.map(super::explain::qos),
    }
}

fn row(one: question::Subscribed) -> Subscribed {
    Subscribed {
        clientid: one.client.as_str().into(),
        topic: one.filter.filter.as_str().into(),
        qos: one.options.qos as u8,
        nl: one.options.no_local,
        rap: one.options.retain_as_published,
        rh: one.options.retain_handling.bits(),
        share: one.filter.share.map(|share| share.as_str().into()),
    }
}

fn receiver((one, group): Receiver) -> MatchedReceiver {
    let filter = one.filter.map(|filter| filter.filter.as_str().into());
    MatchedReceiver {
        clientid: one.client.as_str().into(),
        filter: filter.unwrap_or_default(),
        qos: one.qos as u8,
        group: group.and_then(|group| Some(group.share?.as_str().into())),
        online: one.is_online,
        denied: one.gets == Gets::Denied,
    }
}

/// Where a list of subscriptions goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    worker: WorkerId,
    after: Option<SubscriptionPlace>,
}

impl Place {
    const FIRST: Self = Self::at(WorkerId(0));

    const fn at(worker: WorkerId) -> Self {
        Self {
            worker,
            after: None,
        }
    }

    fn go_on(&mut self, next: Option<SubscriptionPlace>) {
        match next {
            Some(next) => self.after = Some(next),
            None => *self = Self::at(WorkerId(self.worker.0.saturating_add(1))),
        }
    }

    fn to_text(&self) -> String {
        let worker = self.worker.0;
        match &self.after {
            None => format!("{worker:x}"),
            Some((key, None)) => format!("{worker:x}-{:x}", key.slot),
            Some((key, Some(filter))) => format!("{worker:x}-{:x}-{filter}", key.slot),
        }
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let read = || {
            let mut parts = text.splitn(3, '-');
            let worker = u16::from_str_radix(parts.next()?, 16).ok()?;
            let slot = parts.next().map(|slot| u32::from_str_radix(slot, 16));
            let filter = parts
                .next()
                .map(|filter| SubscriptionFilter::parse(filter, u16::MAX));
            let filter = filter.transpose().ok()?;
            // Only the slot counts.
            let key = slot.transpose().ok()?.map(|slot| SessionKey {
                slot,
                generation: 0,
            });
            Some(Self {
                worker: WorkerId(worker),
                after: key.map(|key| (key, filter)),
            })
        };
        read().ok_or_else(|| Failure::Invalid(format!("cursor: {text:?} is none")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s95_a_cursor_of_subscriptions_is_one_that_was_given() {
        let key = SessionKey {
            slot: 4711,
            generation: 0,
        };
        let filter = SubscriptionFilter::parse("$share/g-1/a-b/+", u16::MAX).unwrap();
        for after in [None, Some((key, None)), Some((key, Some(filter)))] {
            let place = Place {
                worker: WorkerId(17),
                after,
            };
            assert_eq!(Place::parse(&place.to_text()).ok(), Some(place));
        }
        for text in [
            "",
            "-",
            "-1",
            "x",
            "1-",
            "10000",
            "0-100000000",
            "0-0-",
            "0-0-a#",
        ] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
    }
}
