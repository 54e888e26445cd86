//! Who bridges are at this server.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use auth::{Admitted, Answer, Authenticator, Grant, Identity, Outcome, Refresh, Refused, Request};
use config::Config;
use types::{LinkInfo, ReasonCode};

/// Who bridges are at this server, by their client ids.
///
/// A link from within is a bridge's and nobody else's; whoever comes by a listener cannot have a
/// bridge's client id, whatever he can prove (S25).
pub(crate) struct Guests {
    known: RwLock<HashMap<String, Admitted>>,
    others: Arc<dyn Authenticator>,
}

impl Guests {
    /// Nobody yet; `others` says who all others are.
    pub(crate) fn new(others: Arc<dyn Authenticator>) -> Self {
        Self {
            known: RwLock::default(),
            others,
        }
    }

    /// From now on the bridges are these.
    pub(crate) fn replace(&self, config: &Config) {
        let known = config.bridges.iter();
        let known = known.map(|one| (one.local_id(), admitted(one))).collect();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn of(&self, client_id: &str) -> Option<Admitted> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(client_id).cloned()
    }

    fn guest(&self, client_id: &str) -> Answer {
        Answer::Now(match self.of(client_id) {
            Some(admitted) => Outcome::Admitted(admitted),
            None => refused("no bridge has this client id"),
        })
    }
}

impl Authenticator for Guests {
    fn authenticate(&self, request: Request) -> Answer {
        if request.listener == LinkInfo::WITHIN {
            return self.guest(&request.client_id);
        }
        if self.of(&request.client_id).is_some() {
            return Answer::Now(refused("the client id is that of a bridge of this server"));
        }
        self.others.authenticate(request)
    }

    fn refresh(&self, request: Refresh) -> Answer {
        if request.listener == LinkInfo::WITHIN {
            return self.guest(&request.client_id);
        }
        self.others.refresh(request)
    }

    fn takes_secret_names(&self, listener: u16) -> bool {
        self.others.takes_secret_names(listener)
    }
}

/// Who a bridge is.
pub(crate) fn admitted(bridge: &config::Bridge) -> Admitted {
    match &bridge.user {
        Some(user) => Admitted::plain(Identity::User(user.as_str().into())),
        // Nobody's: the operator's own, who may do everything.
        None => Admitted {
            identity: Identity::User(format!("$bridge/{}", bridge.name).into()),
            grant: Some(Arc::new(Grant {
                superuser: true,
                ..Grant::default()
            })),
            data: None,
        },
    }
}

fn refused(why: &str) -> Outcome {
    Outcome::Refused(Refused {
        reason: ReasonCode::NotAuthorized,
        why: why.into(),
    })
}

#[cfg(test)]
mod tests {
    use auth::{Anyone, AskedFor, Asker};
    use types::{ConnId, Peer, ProtocolVersion, WorkerId};

    use super::*;

    fn request(client_id: &str, listener: u16) -> Request {
        Request {
            asker: Asker {
                worker: WorkerId(0),
                of: AskedFor::Connection(ConnId {
                    slot: 0,
                    generation: 0,
                }),
            },
            client_id: client_id.into(),
            username: None,
            password: None,
            enhanced: None,
            peer: Peer::Local(None),
            certificate: None,
            listener,
            version: ProtocolVersion::V5,
        }
    }

    fn user(answer: Answer) -> Option<Identity> {
        match answer {
            Answer::Now(Outcome::Admitted(admitted)) => Some(admitted.identity),
            _ => None,
        }
    }

    #[test]
    fn s25_nobody_outside_is_a_bridge() {
        let guests = Guests::new(Arc::new(Anyone));
        let mut config = Config::default();
        config.bridges.push(config::Bridge {
            name: "cloud".into(),
            ..config::Bridge::default()
        });
        config.bridges.push(config::Bridge {
            name: "plant".into(),
            local_client_id: Some("relay".into()),
            user: Some("plant".into()),
            ..config::Bridge::default()
        });
        guests.replace(&config);
        let ask = |id, listener| user(guests.authenticate(request(id, listener)));
        let named = |name: &str| Some(Identity::User(name.into()));
        assert_eq!(
            ask("bridge.cloud", LinkInfo::WITHIN),
            named("$bridge/cloud")
        );
        assert_eq!(ask("relay", LinkInfo::WITHIN), named("plant"));
        assert_eq!(ask("bridge.plant", LinkInfo::WITHIN), None);
        for id in ["bridge.cloud", "relay"] {
            assert_eq!(ask(id, 0), None, "{id}");
        }
        assert_eq!(ask("other", 0), Some(Identity::Anonymous));
        guests.replace(&Config::default());
        assert_eq!(ask("relay", 0), Some(Identity::Anonymous));
    }
}
