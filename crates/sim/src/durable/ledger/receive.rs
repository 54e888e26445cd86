//! What a client got, held against what was sent.

use std::collections::BTreeSet;

use types::QoS;

use super::{Ledger, MessageId, Posted};
use crate::durable::listen::Told;
use crate::failure::{Failure, ensure};

/// How often a session may get a message.
struct Allowed {
    /// By subscriptions that held when it was taken over: one for all that are its own, and one
    /// for each group.
    live: usize,
    /// By groups among them.
    shared: usize,
    /// By subscriptions for which what is retained is sent.
    replays: usize,
    /// Some subscription keeps the retain flag.
    keeps_flag: bool,
    /// The highest QoS of any of them.
    qos: QoS,
}

impl Ledger {
    /// A client got a message.
    pub fn got(&mut self, client: usize, told: &Told) -> Result<(), Failure> {
        let Some(message) = told.message else {
            return Ok(());
        };
        let Some(place) = self.current[client] else {
            return Err(Failure(format!(
                "client{client} gets {told:?} without a session"
            )));
        };
        let allowed = self.allowed(place, message);
        self.check_details(place, message, told, &allowed)?;
        if !told.fresh {
            return Ok(());
        }
        self.check_expiry(message, told)?;
        self.check_order(place, message, told)?;
        self.count(place, message, told, &allowed)
    }

    fn allowed(&self, place: usize, message: MessageId) -> Allowed {
        let posted = &self.posted[message.0];
        let session = &self.sessions[place];
        let all = || session.subscriptions.iter();
        let live = || all().filter(|one| one.may_match(posted));
        let own = live().any(|one| !one.is_shared());
        let groups: BTreeSet<&str> = live()
            .filter(|one| one.is_shared())
            .map(|one| one.filter)
            .collect();
        let replays = all()
            .filter(|one| posted.retain && !one.is_shared() && one.wants(posted.topic))
            .count();
        let qos = all().filter(|one| one.wants(posted.topic));
        Allowed {
            live: usize::from(own) + groups.len(),
            shared: groups.len(),
            replays,
            keeps_flag: live().any(|one| one.options.retain_as_published),
            qos: qos
                .map(|one| one.options.qos)
                .max()
                .unwrap_or(QoS::AtMostOnce),
        }
    }

    fn check_details(
        &self,
        place: usize,
        message: MessageId,
        told: &Told,
        allowed: &Allowed,
    ) -> Result<(), Failure> {
        let posted = &self.posted[message.0];
        let session = &self.sessions[place];
        let client = session.client;
        ensure!(
            allowed.live + allowed.replays > 0,
            "client{client} gets {message:?} on {} without a subscription: {:?}",
            posted.topic,
            session.subscriptions
        );
        let most = posted.qos.min(allowed.qos);
        ensure!(
            told.qos <= most,
            "client{client} gets {message:?} at {:?} above {most:?} (MQTT-3.8.4-8)",
            told.qos
        );
        for id in &told.ids {
            let known = session.subscriptions.iter().any(|one| {
                one.id.is_some_and(|known| known.get() == *id) && one.wants(posted.topic)
            });
            ensure!(
                known,
                "client{client} gets {message:?} with identifier {id} of no subscription"
            );
        }
        let five = self.plan.clients[client].version.has_properties();
        let said = told.expiry.is_some();
        ensure!(
            said == (posted.expiry.is_some() && five) && told.expiry <= posted.expiry,
            "client{client}: {message:?} says expiry {:?} and was sent with {:?}",
            told.expiry,
            posted.expiry
        );
        Ok(())
    }

    fn check_expiry(&self, message: MessageId, told: &Told) -> Result<(), Failure> {
        let over = self.posted[message.0].expires();
        ensure!(
            told.dup || over.is_none_or(|over| self.clock < over),
            "{message:?} arrives at {} and expired at {over:?} (MQTT-3.3.2-5)",
            self.clock
        );
        Ok(())
    }

    /// Messages of one publisher, topic and QoS come in order (MQTT-4.6.0-5), whatever comes
    /// again.
    fn check_order(
        &mut self,
        place: usize,
        message: MessageId,
        told: &Told,
    ) -> Result<(), Failure> {
        if self.unreadable {
            return Ok(());
        }
        let posted = &self.posted[message.0];
        let session = &mut self.sessions[place];
        let known = session.got.get(&message);
        let first = known.is_none_or(|got| got.live + got.retained == 0);
        // A client of MQTT 3.1.1 is not told that there is no room for a message, and sends it
        // again only on another connection, behind others.
        let version = self.plan.clients[posted.publisher].version;
        let refuses = self.plan.refuses() && (posted.resent || !version.has_properties());
        // What is sent again may have come first before there was a subscription, or may have
        // expired since.
        let sure = session.is_sure_of(posted) && told.qos > QoS::AtMostOnce;
        let too_early = posted.resent && !sure || posted.expiry.is_some();
        if told.retain || !first || refuses || too_early || !posted.topic.starts_with('t') {
            return Ok(());
        }
        let key = (posted.publisher, posted.topic, told.qos);
        let last = session.last.insert(key, message);
        ensure!(
            last.is_none_or(|last| last < message),
            "client{} gets {message:?} after {last:?} of client{} on {} (MQTT-4.6.0-6)",
            session.client,
            posted.publisher,
            posted.topic
        );
        Ok(())
    }

    fn count(
        &mut self,
        place: usize,
        message: MessageId,
        told: &Told,
        allowed: &Allowed,
    ) -> Result<(), Failure> {
        let posted = &self.posted[message.0];
        let session = &mut self.sessions[place];
        let client = session.client;
        let got = session.got.entry(message).or_default();
        if told.retain {
            got.retained += 1;
        } else {
            got.live += 1;
        }
        if told.qos == QoS::ExactlyOnce {
            got.twice += 1;
        }
        let all = allowed.live + allowed.replays;
        ensure!(
            got.twice <= all,
            "client{client} gets {message:?} {} times at QoS 2 and may {all} times \
             (MQTT-4.3.3-10): {got:?}",
            got.twice
        );
        let flagged = allowed.replays + if allowed.keeps_flag { allowed.live } else { 0 };
        let again = may_come_again(posted, told, allowed);
        let times = got.forgiven + 1;
        ensure!(
            again || got.retained <= flagged * times,
            "client{client} gets {message:?} {} times with retain and may {flagged} times \
             (MQTT-3.3.1-12): {got:?}",
            got.retained
        );
        ensure!(
            again || got.live + got.retained <= all * times,
            "client{client} gets {message:?} {} times and may {all} times: {got:?}",
            got.live + got.retained
        );
        got.closed = false;
        self.count_group(message)
    }

    /// A group gives a message of QoS 2 to one member only (MQTT-4.8.2-4).
    fn count_group(&self, message: MessageId) -> Result<(), Failure> {
        let posted = &self.posted[message.0];
        if !posted.topic.starts_with('s') || self.plan.mixed_groups {
            return Ok(());
        }
        let groups: BTreeSet<&str> = self
            .sessions
            .iter()
            .flat_map(|session| &session.subscriptions)
            .filter(|one| one.may_match(posted))
            .map(|one| one.filter)
            .collect();
        let got = self
            .sessions
            .iter()
            .filter_map(|session| session.got.get(&message));
        let copies: usize = got.map(|got| got.twice).sum();
        ensure!(
            copies <= groups.len(),
            "{message:?} comes {copies} times at QoS 2 by {} groups (MQTT-4.8.2-4)",
            groups.len()
        );
        Ok(())
    }
}

/// Whether a message may be there as often as it likes, but for QoS 2: its publisher sent it
/// again, or a group gave it to and fro.
fn may_come_again(posted: &Posted, told: &Told, allowed: &Allowed) -> bool {
    allowed.shared > 0 || told.qos < QoS::ExactlyOnce && posted.resent
}
