//! Stories for each promise, and properties against the plain walk along all rules.

mod properties;
mod stories;

use std::sync::Arc;

use types::{QoS, TopicFilter, TopicName};

use super::*;
use crate::rules::{Action, Pattern};
use crate::{Grant, Identity};

#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: &'static str,
    pub(super) identity: Identity,
    pub(super) grant: Option<Grant>,
    pub(super) address: Option<std::net::IpAddr>,
    pub(super) listener: Option<u16>,
}

impl Client {
    pub(super) fn new(id: &'static str, user: Option<&str>) -> Self {
        Self {
            id,
            identity: Identity::of(user.map(Arc::from)),
            grant: None,
            address: Some("10.0.0.1".parse().unwrap()),
            listener: Some(1),
        }
    }

    pub(super) fn granted(mut self, grant: Grant) -> Self {
        self.grant = Some(grant);
        self
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            identity: &self.identity,
            client_id: self.id,
            grant: self.grant.as_ref(),
            address: self.address,
            certificate: None,
            listener: self.listener,
        }
    }

    pub(super) fn publish(&self, book: &Rulebook, topic: &str) -> Verdict {
        self.publish_as(book, topic, QoS::AtMostOnce, false)
    }

    pub(super) fn publish_as(
        &self,
        book: &Rulebook,
        topic: &str,
        qos: QoS,
        retain: bool,
    ) -> Verdict {
        let topic = TopicName::parse(topic, u16::MAX).unwrap();
        self.ask(book, &Access::Publish { topic, qos, retain })
            .verdict
    }

    pub(super) fn subscribe(&self, book: &Rulebook, filter: &str) -> Verdict {
        self.subscribe_as(book, filter, QoS::AtMostOnce)
    }

    pub(super) fn subscribe_as(&self, book: &Rulebook, filter: &str, qos: QoS) -> Verdict {
        let filter = &TopicFilter::parse(filter, u16::MAX).unwrap();
        self.ask(book, &Access::Subscribe { filter, qos }).verdict
    }

    pub(super) fn receive(&self, book: &Rulebook, topic: &str) -> Verdict {
        self.receive_as(book, topic, QoS::AtMostOnce)
    }

    pub(super) fn receive_as(&self, book: &Rulebook, topic: &str, qos: QoS) -> Verdict {
        let topic = TopicName::parse(topic, u16::MAX).unwrap();
        self.ask(book, &Access::Receive { topic, qos }).verdict
    }

    /// Asks in each way, which must not make a difference.
    pub(super) fn ask(&self, book: &Rulebook, access: &Access<'_>) -> Decision {
        let who = self.subject();
        let decision = book.decide(&who, access);
        let prepared = book.prepare(&who);
        let faster = book.decide_prepared(&who, prepared.as_deref(), access);
        assert_eq!(faster, decision, "{access:?}");
        let steps = book.decide_traced(&who, access);
        let last = steps.last().unwrap();
        assert_eq!(
            last.why,
            crate::Why::Decides(decision),
            "{access:?} {steps:?}"
        );
        decision
    }
}

pub(super) fn rule(effect: Effect, action: Action, topics: &[&str]) -> Rule {
    Rule {
        effect,
        who: Vec::new(),
        action,
        topics: topics
            .iter()
            .map(|text| Pattern::parse(text).unwrap())
            .collect(),
        qos: Vec::new(),
        retain: None,
        source: "test".into(),
    }
}

pub(super) fn allow(action: Action, topics: &[&str]) -> Rule {
    rule(Effect::Allow, action, topics)
}

pub(super) fn deny(action: Action, topics: &[&str]) -> Rule {
    rule(Effect::Deny, action, topics)
}

impl Rule {
    pub(super) fn only(mut self, who: Who) -> Self {
        self.who.push(who);
        self
    }
}

pub(super) fn names(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|&name| name.into()).collect()
}

pub(super) fn contents(list: Vec<Rule>) -> Contents {
    Contents {
        rules: Rules { list },
        ..Contents::default()
    }
}

pub(super) fn book(list: Vec<Rule>) -> Rulebook {
    Rulebook::new(contents(list))
}
