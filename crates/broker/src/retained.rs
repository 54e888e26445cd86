//! A retained message, and who published it.

use std::sync::Arc;

use auth::{Grant, Identity, Source};
use store::RecoveredPublisher;
use topics::retained::RetainedValue;
use types::{Body, ClientId, Time, TopicName};

use crate::client::Client;

/// A retained message, with its publisher: it is given to others as long as the publisher might
/// publish it still (S47).
#[derive(Clone, Debug)]
pub struct Kept {
    /// The message.
    pub body: Body,
    /// Who published it; `None`: the server, or an earlier version that did not note it. All that
    /// one client publishes refers to one.
    pub(crate) publisher: Option<Arc<Publisher>>,
}

/// Who published a retained message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Publisher {
    pub(crate) client: ClientId,
    pub(crate) identity: Identity,
    /// It had rules, groups or more from a back end.
    pub(crate) granted: bool,
}

impl Publisher {
    /// A client as a publisher; the same one as long as nothing about it changes.
    pub(crate) fn of(client: &mut Client) -> Arc<Self> {
        let known = client.publisher.get_or_insert_with(|| {
            let grant = client.grant.as_deref();
            let granted = grant.is_some_and(Grant::adds_rights);
            Arc::new(Self {
                client: client.id.clone(),
                identity: client.identity.clone(),
                granted,
            })
        });
        Arc::clone(known)
    }

    /// The same, for the store.
    pub(crate) fn as_record(&self) -> store::Publisher<'_> {
        store::Publisher {
            client: self.client.as_str(),
            user: self.identity.user(),
            granted: self.granted,
        }
    }

    /// One that the store gave back.
    pub(crate) fn recovered(publisher: &RecoveredPublisher) -> Option<Self> {
        Some(Self {
            client: ClientId::new(&publisher.client)?,
            identity: Identity::of(publisher.user.clone()),
            granted: publisher.granted,
        })
    }

    /// The same, for the policy.
    pub(crate) fn source<'a>(&'a self, topic: TopicName<'a>) -> Source<'a> {
        Source {
            identity: &self.identity,
            client_id: self.client.as_str(),
            granted: self.granted,
            topic,
        }
    }
}

impl RetainedValue for Kept {
    fn size(&self) -> usize {
        RetainedValue::size(&self.body)
    }

    fn expires(&self) -> Option<Time> {
        RetainedValue::expires(&self.body)
    }

    fn memory(&self) -> usize {
        RetainedValue::memory(&self.body)
    }
}
