//! Messages and subscriptions of the fake.

use super::{Fake, none, piece};
use crate::server::message::Bytes;
use crate::server::subscriptions::MatchedReceiver;
use crate::server::*;
use crate::{Failure, Listed, Page, Piece};

impl Subscriptions for Fake {
    fn subscriptions(
        &self,
        wanted: SubscriptionWish,
        cursor: Option<String>,
        limit: usize,
    ) -> Answer<'_, Piece<Subscribed>> {
        let rows = ["a", "b", "c"].map(|topic| Subscribed {
            clientid: wanted.clientid.clone().unwrap_or_else(|| "c1".into()),
            topic: topic.into(),
            qos: wanted.qos.unwrap_or(1),
            nl: false,
            rap: false,
            rh: 0,
            share: wanted.share.clone(),
        });
        let found = piece(rows.into(), cursor, limit);
        Box::pin(async { found })
    }

    fn groups(&self, page: Page) -> Answer<'_, Listed<SharedGroup>> {
        let groups = ["g", "h", "i"].map(|group| SharedGroup {
            group: group.into(),
            topic: "jobs/#".into(),
            members: Vec::new(),
        });
        Box::pin(async move { Ok(page.of(groups.into_iter())) })
    }

    fn receivers(&self, topic: String, from: Option<String>) -> Answer<'_, Matched> {
        Box::pin(async move {
            Ok(Matched {
                receivers: vec![MatchedReceiver {
                    clientid: from.unwrap_or_else(|| "c1".into()),
                    filter: topic,
                    qos: 1,
                    group: None,
                    online: true,
                    denied: false,
                }],
                count: 1,
                truncated: false,
            })
        })
    }
}

impl Retained for Fake {
    fn messages(
        &self,
        filter: String,
        cursor: Option<String>,
        limit: usize,
    ) -> Answer<'_, Piece<RetainedMessage>> {
        let retained = self.retained.lock().unwrap();
        let topics = retained
            .keys()
            .filter(|topic| filter == "#" || **topic == filter);
        let rows = topics.map(|topic| RetainedMessage {
            topic: topic.clone(),
            qos: Some(1),
            ..RetainedMessage::default()
        });
        let found = piece(rows.collect(), cursor, limit);
        Box::pin(async { found })
    }

    fn message(&self, topic: String) -> Answer<'_, RetainedMessage> {
        Box::pin(async move {
            let retained = self.retained.lock().unwrap();
            let payload = retained.get(&topic).ok_or_else(|| none("message"))?;
            Ok(RetainedMessage {
                topic,
                payload: Some(Bytes(payload.clone())),
                ..RetainedMessage::default()
            })
        })
    }

    fn clear(&self, filter: String) -> Answer<'_, u64> {
        Box::pin(async move {
            let mut retained = self.retained.lock().unwrap();
            let before = retained.len();
            retained.retain(|topic, _| filter != "#" && *topic != filter);
            Ok(u64::try_from(before - retained.len()).unwrap())
        })
    }
}

impl Publish for Fake {
    fn publish(&self, publication: Publication) -> Answer<'_, Published> {
        Box::pin(async move {
            match &*publication.topic {
                "$SYS/x" => return Err(Failure::Denied("the server's own".into())),
                "busy" => return Err(Failure::Busy("a worker is behind".into())),
                _ => {}
            }
            let reached = publication.topic != "nobody";
            let mut published = self.published.lock().unwrap();
            published.push(publication);
            let id = format!("m{}", published.len());
            Ok(Published { id, reached })
        })
    }

    fn publish_all(
        &self,
        publications: Vec<Publication>,
    ) -> Answer<'_, Vec<Result<Published, Failure>>> {
        Box::pin(async move {
            let mut outcomes = Vec::new();
            for publication in publications {
                outcomes.push(Publish::publish(self, publication).await);
            }
            Ok(outcomes)
        })
    }
}
