//! A thread with its clients.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use client::{
    CloseReason, ConnectOptions, DisconnectOptions, Event, Filter, Message, PublishResult, Session,
    SubscribeRequest, Swarm,
};
use types::{QoS, Ticket, Time};

use super::figures::{Figures, Phase, Shared};
use super::plan::{Plan, Role};
use crate::cli::failure::Failure;

/// What a client's payload begins with, if there is room: a mark, and when it was sent.
const MARK: u64 = 0x6e69_6768_746a_6172;
pub(super) const STAMP: usize = 16;
/// A client with so many bytes to write waits with more.
const AHEAD: usize = 64 * 1024;
/// Messages of one client before the others have their turn.
const BURST: usize = 256;

/// One client.
struct Member {
    role: Role,
    options: ConnectOptions,
    opened: Option<Instant>,
    is_ready: bool,
    is_over: bool,
    is_done: bool,
    sent: u64,
    /// Publishes that wait for their acknowledgement, in order.
    waiting: VecDeque<(Ticket, u64)>,
}

/// A thread with its clients.
pub(super) struct Worker {
    plan: Arc<Plan>,
    shared: Arc<Shared>,
    swarm: Swarm,
    members: Vec<Member>,
    /// Which client a member of the swarm is.
    owners: Vec<usize>,
    figures: Figures,
    payload: Vec<u8>,
    began: Option<Instant>,
}

impl Worker {
    /// With the clients of these numbers.
    pub(super) fn new(
        plan: Arc<Plan>,
        shared: Arc<Shared>,
        numbers: impl Iterator<Item = usize>,
    ) -> io::Result<Self> {
        let members = numbers.map(|number| Member {
            role: plan.role(number),
            options: plan.options(number),
            opened: None,
            is_ready: false,
            is_over: false,
            is_done: false,
            sent: 0,
            waiting: VecDeque::new(),
        });
        let members = members.collect();
        Ok(Self {
            payload: vec![b'x'; plan.size],
            plan,
            shared,
            swarm: Swarm::new()?,
            members,
            owners: Vec::new(),
            figures: Figures::default(),
            began: None,
        })
    }

    /// Runs to the end of the last phase.
    pub(super) fn run(mut self) -> io::Result<Figures> {
        let mut next = 0;
        loop {
            let phase = self.shared.phase();
            let mut is_busy = false;
            match phase {
                Phase::Opening => self.open(&mut next),
                Phase::Running => is_busy = self.publish(),
                Phase::Draining => {}
                Phase::Ending => return self.leave(),
            }
            let patience = match is_busy {
                true => Duration::ZERO,
                false => Duration::from_millis(1),
            };
            self.turn(patience)?;
        }
    }

    /// Opens as many as may be open by now.
    fn open(&mut self, next: &mut usize) {
        let allowed = self.plan.allowed_by_now(self.members.len());
        while *next < self.members.len().min(allowed) {
            let number = *next;
            *next += 1;
            let Some(member) = self.members.get_mut(number) else {
                return;
            };
            let place = self.owners.len();
            member.opened = Some(Instant::now());
            let local = self.plan.local(number);
            let options = member.options.clone();
            match self.swarm.open(self.plan.address, local, options) {
                Ok(_) => self.owners.push(number),
                Err(error) => {
                    debug_assert_eq!(place, self.owners.len());
                    member.is_over = true;
                    self.shared.failed.fetch_add(1, Relaxed);
                    self.figures
                        .error(&self.shared, format!("cannot connect: {error}"));
                }
            }
        }
    }

    fn turn(&mut self, patience: Duration) -> io::Result<()> {
        let mut hearing = Hearing {
            plan: &self.plan,
            shared: &self.shared,
            members: &mut self.members,
            owners: &self.owners,
            figures: &mut self.figures,
        };
        self.swarm.turn(patience, &mut |at, session, event, now| {
            hearing.hear(at, session, event, now);
        })
    }

    /// Publishes what is due; whether somebody could publish more at once.
    fn publish(&mut self) -> bool {
        let began = *self.began.get_or_insert_with(Instant::now);
        let mut is_busy = false;
        for place in 0..self.owners.len() {
            let Some(&number) = self.owners.get(place) else {
                continue;
            };
            let (plan, swarm) = (&self.plan, &mut self.swarm);
            let mut hearing = Hearing {
                plan,
                shared: &self.shared,
                members: &mut self.members,
                owners: &self.owners,
                figures: &mut self.figures,
            };
            let room = swarm.unwritten(place) < AHEAD;
            let Some(wanted) = hearing.wanted(number, room, began) else {
                continue;
            };
            is_busy |= wanted.is_all_that_fits;
            let (payload, mut handed) = (&mut self.payload, Vec::new());
            let act = |session: &mut Session, now: Time| {
                for _ in 0..wanted.count {
                    let at = plan.wall();
                    stamp(payload, at);
                    let message = Message {
                        qos: plan.qos,
                        retain: plan.retain,
                        ..Message::new(wanted.topic.clone(), payload.clone())
                    };
                    match session.publish(message, now) {
                        Ok(ticket) => handed.push((ticket, at)),
                        Err(error) => return Err(error.to_string()),
                    }
                }
                Ok(())
            };
            let mut early = Vec::new();
            let done = swarm.act(place, act, &mut |_, _, event, _| early.push(event));
            hearing.handed(number, handed);
            if let Some(Err(words)) = done {
                hearing
                    .figures
                    .error(hearing.shared, format!("cannot publish: {words}"));
            }
            early
                .into_iter()
                .for_each(|event| hearing.told(number, event));
        }
        is_busy
    }

    /// Says goodbye, and waits a little until the goodbyes are written.
    fn leave(mut self) -> io::Result<Figures> {
        let goodbye = DisconnectOptions::default();
        for place in 0..self.owners.len() {
            let leave = |session: &mut Session, now: Time| {
                // Who is not connected has nobody to leave.
                drop(session.disconnect(&goodbye, now));
            };
            self.swarm.act(place, leave, &mut |_, _, _, _| {});
        }
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline
            && (0..self.owners.len()).any(|it| self.swarm.unwritten(it) > 0)
        {
            self.swarm
                .turn(Duration::from_millis(10), &mut |_, _, _, _| {})?;
        }
        self.swarm.abandon();
        Ok(self.figures)
    }
}

/// What a client is to publish now.
struct Wanted {
    count: usize,
    topic: String,
    /// It could do as much again.
    is_all_that_fits: bool,
}

/// What hears of events, apart from the swarm that tells them.
struct Hearing<'a> {
    plan: &'a Plan,
    shared: &'a Shared,
    members: &'a mut Vec<Member>,
    owners: &'a [usize],
    figures: &'a mut Figures,
}

impl Hearing<'_> {
    /// What a client is to publish now, if it is to publish at all.
    fn wanted(&mut self, number: usize, room: bool, began: Instant) -> Option<Wanted> {
        let member = self.members.get_mut(number)?;
        let Role::Publish(topic) = &member.role else {
            return None;
        };
        if !member.is_ready || member.is_over || member.is_done || !room {
            return None;
        }
        let left = self
            .plan
            .count
            .map_or(u64::MAX, |count| count - member.sent.min(count));
        if left == 0 {
            member.is_done = true;
            self.shared.done.fetch_add(1, Relaxed);
            return None;
        }
        let window = match self.plan.qos {
            QoS::AtMostOnce => BURST,
            _ => usize::from(self.plan.inflight).saturating_sub(member.waiting.len()),
        };
        let due = self.plan.due(member.sent, began.elapsed());
        let most = u64::try_from(window.min(BURST)).unwrap_or(0);
        let count = due.min(left).min(most);
        (count > 0).then(|| Wanted {
            count: usize::try_from(count).unwrap_or(BURST),
            topic: topic.clone(),
            is_all_that_fits: count == most && self.plan.qos == QoS::AtMostOnce,
        })
    }

    /// These were handed over.
    fn handed(&mut self, number: usize, handed: Vec<(Ticket, u64)>) {
        let count = u64::try_from(handed.len()).unwrap_or(0);
        self.shared.sent.fetch_add(count, Relaxed);
        if let Some(member) = self.members.get_mut(number) {
            member.sent += count;
            if self.plan.qos != QoS::AtMostOnce {
                member.waiting.extend(handed);
            }
        }
    }

    fn hear(&mut self, at: usize, session: &mut Session, event: Event, now: Time) {
        let Some(&number) = self.owners.get(at) else {
            return;
        };
        if let Event::Connected(_) = event
            && let Some(member) = self.members.get_mut(number)
        {
            let took = member
                .opened
                .map(|opened| opened.elapsed())
                .unwrap_or_default();
            self.figures
                .connects
                .add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            let Role::Subscribe(filter) = &member.role else {
                return self.ready(number);
            };
            let request = SubscribeRequest {
                filters: vec![Filter {
                    filter: filter.clone(),
                    options: types::SubscriptionOptions::plain(self.plan.qos),
                }],
                ..SubscribeRequest::default()
            };
            if let Err(error) = session.subscribe(&request, now) {
                self.figures
                    .error(self.shared, format!("cannot subscribe: {error}"));
                self.failed(number);
            }
            return;
        }
        self.told(number, event);
    }

    fn told(&mut self, number: usize, event: Event) {
        match event {
            Event::Message(received) => {
                self.shared.received.fetch_add(1, Relaxed);
                if let Some(sent) = stamped(&received.message.payload) {
                    let took = self.plan.wall().checked_sub(sent);
                    took.into_iter()
                        .for_each(|took| self.figures.latencies.add(took));
                }
            }
            Event::Published { ticket, result } => self.published(number, ticket, result),
            Event::Subscribed { reasons, .. } => match reasons.iter().find(|it| it.is_error()) {
                None => self.ready(number),
                Some(reason) => {
                    let words = format!("subscription refused: {}", reason.as_str());
                    self.figures.error(self.shared, words);
                    self.failed(number);
                }
            },
            Event::Closed(reason) => self.closed(number, &reason),
            Event::Connected(_) | Event::Unsubscribed { .. } | Event::Packet { .. } => {}
        }
    }

    fn published(&mut self, number: usize, ticket: Ticket, result: PublishResult) {
        let Some(member) = self.members.get_mut(number) else {
            return;
        };
        let place = member
            .waiting
            .iter()
            .position(|(waiting, _)| *waiting == ticket);
        let at = place.and_then(|place| member.waiting.remove(place));
        match result {
            PublishResult::Done(_) => {
                if let Some((_, at)) = at {
                    self.shared.acknowledged.fetch_add(1, Relaxed);
                    let took = self.plan.wall().saturating_sub(at);
                    self.figures.acknowledgements.add(took);
                }
            }
            PublishResult::Refused { reason, .. } => {
                let words = format!("message refused: {}", reason.as_str());
                self.figures.error(self.shared, words);
            }
            PublishResult::NotSent(why) => {
                self.figures
                    .error(self.shared, Failure::not_sent(why).message);
            }
        }
    }

    fn ready(&mut self, number: usize) {
        if let Some(member) = self.members.get_mut(number) {
            member.is_ready = true;
            self.shared.ready.fetch_add(1, Relaxed);
        }
    }

    fn failed(&mut self, number: usize) {
        if let Some(member) = self.members.get_mut(number)
            && !member.is_ready
            && !member.is_over
        {
            member.is_over = true;
            self.shared.failed.fetch_add(1, Relaxed);
        }
    }

    fn closed(&mut self, number: usize, reason: &CloseReason) {
        let Some(member) = self.members.get_mut(number) else {
            return;
        };
        let was_ready = member.is_ready;
        let words = match (reason, was_ready) {
            (CloseReason::Link(_), false) => "cannot connect: the link was refused or broke".into(),
            _ => Failure::closed(reason, self.plan.version).message,
        };
        let words = words.strip_prefix("Error: ").unwrap_or(&words).to_owned();
        self.figures.error(self.shared, words);
        self.failed(number);
        if let Some(member) = self.members.get_mut(number)
            && !std::mem::replace(&mut member.is_over, true)
            && !member.is_done
            && matches!(member.role, Role::Publish(_))
        {
            member.is_done = true;
            self.shared.done.fetch_add(1, Relaxed);
        }
    }
}

/// Puts the mark and the time into a payload that has room for them.
fn stamp(payload: &mut [u8], at: u64) {
    if let Some(head) = payload.get_mut(..STAMP) {
        let (mark, time) = head.split_at_mut(8);
        mark.copy_from_slice(&MARK.to_be_bytes());
        time.copy_from_slice(&at.to_be_bytes());
    }
}

/// When a payload was sent, if it is one of ours.
fn stamped(payload: &[u8]) -> Option<u64> {
    let (mark, rest) = payload.split_first_chunk::<8>()?;
    let at = rest.first_chunk::<8>()?;
    (*mark == MARK.to_be_bytes()).then(|| u64::from_be_bytes(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_say_when_they_were_sent() {
        let mut payload = vec![0; 20];
        stamp(&mut payload, 77);
        assert_eq!(stamped(&payload), Some(77));
        payload[0] ^= 1;
        assert_eq!(stamped(&payload), None);
        let mut short = vec![0; 15];
        stamp(&mut short, 77);
        assert_eq!((stamped(&short), short), (None, vec![0; 15]));
    }
}
