//! What a client got, held against what it may get.

use types::message::remaining_seconds;
use types::{QoS, Time};

use super::publish::wants;
use super::{Publication, Reference, Session, Step};
use crate::client::Told;
use crate::failure::{Failure, ensure};
use crate::messages::{MessageId, Messages, Sent};
use crate::universe::LinkId;

/// What may come of a message for one session.
struct Allowed {
    /// Copies by its own subscriptions and by groups, at most.
    live: usize,
    /// Copies as a retained message, at most.
    replays: usize,
    /// The highest QoS granted by any subscription that may match.
    granted: QoS,
    /// A group may have given it.
    shared: bool,
    /// The retain flag may have been kept.
    flag_kept: bool,
}

impl Reference {
    /// A client got a PUBLISH.
    pub fn told(&mut self, link: LinkId, told: &Told, messages: &Messages) -> Result<(), Failure> {
        let Some(session) = self.links.get(&link).and_then(|link| link.session) else {
            return Err(Failure(format!("{link:?} gets a message too early")));
        };
        let client = self.sessions[session].client;
        let Some(message) = told.message else {
            ensure!(
                self.cleared.contains(&told.topic),
                "client{client} gets an empty message on {} that nobody sent",
                told.topic
            );
            return Ok(());
        };
        if !told.fresh {
            return Ok(());
        }
        let sent = messages.at(message);
        let allowed = self.allowed(session, message, sent);
        self.check_allowed(session, message, sent, told, &allowed)?;
        self.check_expiry(link, message, sent, told)?;
        self.check_ids(session, message, sent, told, &allowed)?;
        self.check_order(session, message, sent, told, &allowed)?;
        let record = &mut self.sessions[session];
        let find = |replay| {
            let mut owed = record.owed.iter();
            owed.position(|due| due.message == message && due.replay == replay)
        };
        let due = if told.retain {
            find(true).or_else(|| find(false))
        } else {
            find(false)
        };
        if let Some(due) = due {
            record.owed.remove(due);
        }
        Ok(())
    }

    fn publications_of(&self, message: MessageId) -> impl Iterator<Item = &Publication> {
        self.of_message
            .get(&message)
            .into_iter()
            .flatten()
            .map(|&number| &self.publications[number])
    }

    fn allowed(&self, session: usize, message: MessageId, sent: &Sent) -> Allowed {
        let record = &self.sessions[session];
        let mut allowed = Allowed {
            live: 0,
            replays: 0,
            granted: QoS::AtMostOnce,
            shared: false,
            flag_kept: false,
        };
        for publication in self.publications_of(message) {
            let mut own = 0;
            for one in record.own(session, publication, sent.topic) {
                if one.may_match(publication.from, publication.to) {
                    own = 1;
                    allowed.granted = allowed.granted.max(one.options.qos);
                    allowed.flag_kept |= sent.retain && one.options.retain_as_published;
                }
            }
            let mut groups: Vec<_> = Vec::new();
            for one in record.groups(publication, sent.topic) {
                groups.push(&one.filter);
                allowed.granted = allowed.granted.max(one.options.qos);
                allowed.flag_kept |= sent.retain && one.options.retain_as_published;
            }
            groups.sort();
            groups.dedup();
            allowed.shared |= !groups.is_empty();
            allowed.live += own + groups.len();
        }
        let spans = self.kept.get(&message).map_or(&[][..], Vec::as_slice);
        for one in record.subscriptions.iter().filter(|one| one.replays) {
            if !wants(one, sent.topic) {
                continue;
            }
            // Replays of one filter follow each other and end with what is retained by then.
            let followed = record
                .subscriptions
                .iter()
                .any(|other| other.filter == one.filter && other.from > one.from);
            let last = one.sure.filter(|_| !followed).unwrap_or(Step::MAX);
            let overlaps = spans.iter().any(|(since, until)| {
                until.is_none_or(|until| until >= one.from) && *since <= last
            });
            if overlaps {
                allowed.replays += 1;
                // A replay that goes on takes the options of the last SUBSCRIBE.
                let same = record.subscriptions.iter();
                let same = same.filter(|other| other.filter == one.filter);
                for other in same {
                    allowed.granted = allowed.granted.max(other.options.qos);
                }
            }
        }
        allowed
    }

    fn check_allowed(
        &mut self,
        session: usize,
        message: MessageId,
        sent: &Sent,
        told: &Told,
        allowed: &Allowed,
    ) -> Result<(), Failure> {
        let handed_on = allowed.shared && self.may_be_handed_on(message, sent);
        let record = &mut self.sessions[session];
        let client = record.client;
        let got = record.got.entry(message).or_default();
        if told.retain {
            got.retained += 1;
        } else {
            got.live += 1;
        }
        let got = *got;
        ensure!(
            allowed.live + allowed.replays > 0,
            "client{client} gets {message:?} on {} without a subscription",
            sent.topic
        );
        // A group may give QoS 1 to the same member again after it was away.
        let again = handed_on && record.was_away;
        ensure!(
            got.live <= allowed.live || again,
            "client{client} gets {message:?} {} times and may {} times",
            got.live,
            allowed.live
        );
        let flagged = allowed.replays + if allowed.flag_kept { allowed.live } else { 0 };
        ensure!(
            got.retained <= flagged || again && allowed.flag_kept,
            "client{client} gets {message:?} {} times with retain and may {flagged} times \
             (MQTT-3.3.1-12)",
            got.retained
        );
        ensure!(
            got.live + got.retained <= allowed.live + allowed.replays || again,
            "client{client} gets {message:?} {} times and may {} times",
            got.live + got.retained,
            allowed.live + allowed.replays
        );
        let most = sent.qos.min(allowed.granted);
        ensure!(
            told.qos <= most,
            "client{client} gets {message:?} at {:?} above {most:?} (MQTT-3.8.4-8)",
            told.qos
        );
        Ok(())
    }

    /// Whether some member of a group may get a message at QoS 1 and leave it to another.
    pub(super) fn may_be_handed_on(&self, message: MessageId, sent: &Sent) -> bool {
        self.publications_of(message).any(|publication| {
            self.sessions
                .iter()
                .flat_map(|session| session.groups(publication, sent.topic))
                .any(|one| one.options.qos.min(sent.qos) == QoS::AtLeastOnce)
        })
    }

    fn check_expiry(
        &self,
        link: LinkId,
        message: MessageId,
        sent: &Sent,
        told: &Told,
    ) -> Result<(), Failure> {
        let lagging = self.links.get(&link).is_none_or(|link| link.lagging);
        let five = self
            .links
            .get(&link)
            .is_some_and(|link| self.plan.clients[link.client].version.has_properties());
        ensure!(
            told.expiry.is_some() == (sent.expiry.is_some() && five),
            "{message:?} has expiry {:?} and was sent with {:?}",
            told.expiry,
            sent.expiry
        );
        if lagging || sent.expiry.is_none() || told.dup || self.plan.is_loose() {
            return Ok(());
        }
        let alive = |at: &Time| *at > self.now;
        let ends: Vec<Time> = self
            .publications_of(message)
            .filter_map(|publication| publication.expires)
            .collect();
        ensure!(
            ends.iter().any(alive),
            "{message:?} arrives after its expiry (MQTT-3.3.2-5)"
        );
        let said = told.expiry;
        ensure!(
            !five
                || ends
                    .iter()
                    .any(|end| Some(remaining_seconds(*end, self.now)) == said),
            "{message:?} says {said:?} seconds are left (MQTT-3.3.2-6)"
        );
        Ok(())
    }

    /// Identifiers of all subscriptions that surely match, and of none that cannot
    /// (MQTT-3.3.4-3 to -5).
    fn check_ids(
        &self,
        session: usize,
        message: MessageId,
        sent: &Sent,
        told: &Told,
        allowed: &Allowed,
    ) -> Result<(), Failure> {
        let record = &self.sessions[session];
        let client = record.client;
        for id in &told.ids {
            let known = record.subscriptions.iter().any(|one| {
                one.id.is_some_and(|known| known.get() == *id) && wants(one, sent.topic)
            });
            ensure!(
                known,
                "client{client} gets {message:?} with identifier {id} of no subscription"
            );
        }
        let publications: Vec<&Publication> = self.publications_of(message).collect();
        let [publication] = publications[..] else {
            return Ok(());
        };
        if allowed.shared || told.retain {
            return Ok(());
        }
        let mut sure_qos = QoS::AtMostOnce;
        for one in record.own(session, publication, sent.topic) {
            let sure = one.must_match(publication.from, publication.to)
                && one.until.is_none_or(|until| until > publication.to);
            if !sure {
                continue;
            }
            sure_qos = sure_qos.max(one.options.qos);
            ensure!(
                one.id.is_none_or(|id| told.ids.contains(&id.get())),
                "client{client} gets {message:?} without identifier {:?}",
                one.id
            );
        }
        ensure!(
            told.qos >= sure_qos.min(sent.qos),
            "client{client} gets {message:?} at {:?} below {sure_qos:?} (MQTT-3.3.4-2)",
            told.qos
        );
        Ok(())
    }

    /// Messages of one publisher, topic and QoS come in order (MQTT-4.6.0-5).
    fn check_order(
        &mut self,
        session: usize,
        message: MessageId,
        sent: &Sent,
        told: &Told,
        allowed: &Allowed,
    ) -> Result<(), Failure> {
        let numbers = self.of_message.get(&message);
        let Some([number]) = numbers.map(Vec::as_slice) else {
            return Ok(());
        };
        if allowed.shared || told.retain {
            return Ok(());
        }
        let number = *number;
        let publisher = self.publications[number].publisher;
        // What a link brought that ended may have been taken in only when it was sent again.
        if self.plan.is_loose() && self.sessions[publisher].was_away {
            return Ok(());
        }
        let record: &mut Session = &mut self.sessions[session];
        let key = (publisher, sent.topic.to_owned(), told.qos);
        let last = record.last.insert(key, number);
        ensure!(
            last.is_none_or(|last| last < number),
            "client{} gets {message:?} after a later one of client{} on {} (MQTT-4.6.0-6)",
            record.client,
            sent.client,
            sent.topic
        );
        Ok(())
    }
}
