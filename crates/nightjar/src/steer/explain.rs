//! Why: what would be said to a client, by the very policy that the workers ask.

use std::net::IpAddr;
use std::sync::Arc;

use admin::server::explain::{
    Decision, ExplainedIdentity, Gets, Limit, Receiver, Step, StepOutcome, Wish,
};
use admin::server::{Answer, Explain, ExplainRequest, Explained};
use admin::{Failure, server};
use auth::rules::{Effect, Network};
use auth::{Access, Grant, Identity, Policy, Subject, Verdict, Why};
use broker::question::{ClientFacts, Subscriber};
use broker::{Mount, question};
use config::{Config, Method};
use providers::access::BanOn;
use types::{Certificate, LinkInfo, QoS, SubscriptionFilter, TopicFilter, TopicName};

use super::{Steer, bans};
use crate::bridges::guests;

/// Most who are told to get a message.
const RECEIVERS: usize = 1000;

/// Why nobody else has the client identifier of a bridge.
const TAKEN: &str = "the client id is that of a bridge of this server";

/// All that is known or taken for true of a client.
struct Case {
    config: Arc<Config>,
    policy: Arc<dyn Policy>,
    facts: Option<Box<ClientFacts>>,
    client: String,
    identity: Identity,
    grant: Option<Arc<Grant>>,
    address: Option<IpAddr>,
    certificate: Option<Arc<Certificate>>,
    listener: Option<u16>,
    bridge: Option<Joined>,
}

/// What the client identifier has to do with a bridge of this server.
enum Joined {
    /// The client is the bridge of this name.
    Bridge(String),
    /// The client is another one, which asks for the identifier of a bridge.
    Other,
}

impl Case {
    fn subject(&self) -> Subject<'_> {
        Subject {
            identity: &self.identity,
            client_id: &self.client,
            grant: self.grant.as_deref(),
            address: self.address,
            certificate: self.certificate.as_deref(),
            listener: self.listener,
        }
    }

    /// Whether it is about a client as it is connected now.
    fn is_connected(&self) -> bool {
        let facts = self.facts.as_ref();
        facts.is_some_and(|facts| facts.link.is_some() && facts.identity == self.identity)
    }

    fn listener(&self) -> Option<&config::Listener> {
        self.config.listeners.get(usize::from(self.listener?))
    }

    /// The client has the identifier of a bridge: it is the bridge, if nothing else is said of it.
    fn join(&mut self, bridge: &config::Bridge, request: &ExplainRequest) {
        let admitted = guests::admitted(bridge);
        let other_user = request
            .username
            .as_deref()
            .is_some_and(|it| admitted.identity.user() != Some(it));
        if other_user || request.peerhost.is_some() || request.listener.is_some() {
            self.bridge = Some(Joined::Other);
            return;
        }
        (self.identity, self.grant) = (admitted.identity, admitted.grant);
        (self.listener, self.address) = (Some(LinkInfo::WITHIN), None);
        self.bridge = Some(Joined::Bridge(bridge.name.clone()));
    }

    fn mount(&self) -> Option<Mount> {
        Mount::new(self.listener()?.mount.as_deref()?)
    }
}

/// What the rules say.
struct Said {
    steps: Vec<auth::Step>,
    decision: auth::Decision,
}

impl Explain for Steer {
    fn explain(&self, request: ExplainRequest) -> Answer<'_, Explained> {
        Box::pin(async move {
            let case = self.case(&request).await?;
            let refused = self.refused(&case)?;
            let ban = self.ban_of(&case);
            let limits = self.limits(&case, &request);
            let said = match request.action {
                Wish::Connect => None,
                Wish::Publish | Wish::Subscribe => Some(said(&case, &request)?),
            };
            let (decision, mut why) = outcome(&refused, &limits, said.as_ref());
            if let (Some(Joined::Bridge(name)), Some(grant)) = (&case.bridge, &case.grant)
                && grant.superuser
            {
                why.push_str(&format!(
                    "; the bridge {name} has no `user`, and may do everything that is not the server's own"
                ));
            }
            let (mut routing, mut routing_more) = (Vec::new(), false);
            if request.action == Wish::Publish && decision != Decision::Deny {
                let topic = mounted(&case, &request.topic).unwrap_or_default();
                // An order goes to nobody who is subscribed.
                if !topic.starts_with('$') {
                    (routing, routing_more) = self.routing(&topic, qos(request.qos)).await?;
                }
            }
            let decides = said.as_ref().and_then(|said| said.steps.last());
            Ok(Explained {
                authentication: self.identity(&case),
                refused,
                ban,
                rule: decides
                    .filter(|step| step.rule.is_some())
                    .map(|step| step.says.clone()),
                steps: said
                    .map_or_else(Vec::new, |said| said.steps.into_iter().map(step).collect()),
                decision,
                why,
                limits,
                routing,
                routing_more,
            })
        })
    }
}

impl Steer {
    async fn case(&self, request: &ExplainRequest) -> Result<Case, Failure> {
        let config = self.config();
        let facts = self.facts(&request.clientid, None, 0).await?;
        let link = facts.as_ref().and_then(|facts| facts.link.as_ref());
        let identity = match (&request.username, &facts) {
            (Some(user), _) => Identity::User(user.as_str().into()),
            (None, Some(facts)) => facts.identity.clone(),
            (None, None) => Identity::Anonymous,
        };
        let same = facts.as_ref().filter(|facts| facts.identity == identity);
        let connected = same.filter(|facts| facts.link.is_some());
        let grant = match connected {
            Some(facts) => facts.grant.clone(),
            None => self.would_be_granted(&config, &identity)?,
        };
        let address = match &request.peerhost {
            None => link.and_then(|link| link.info.peer.ip()),
            Some(text) => Some(
                text.parse()
                    .map_err(|_| Failure::Invalid(format!("peerhost: {text:?} is no address")))?,
            ),
        };
        let listener = match (&request.listener, link, &self.doors.addresses()[..]) {
            (Some(name), ..) => Some(self.place(name)?),
            (None, Some(link), _) => Some(link.info.listener),
            (None, None, [(only, _)]) => Some(*only),
            (None, None, _) => None,
        };
        let mut bridges = config.bridges.iter();
        let bridge = bridges
            .find(|one| one.local_id() == request.clientid)
            .cloned();
        let mut case = Case {
            bridge: None,
            policy: self.doors.policy(),
            client: request.clientid.clone(),
            certificate: link.and_then(|link| link.info.certificate.clone()),
            identity,
            grant,
            address,
            listener,
            facts,
            config,
        };
        if let Some(bridge) = &bridge {
            case.join(bridge, request);
        }
        Ok(case)
    }

    /// What the built-in database gives a user that proves who he is. What others give is known
    /// when they have been asked.
    fn would_be_granted(
        &self,
        config: &Config,
        identity: &Identity,
    ) -> Result<Option<Arc<Grant>>, Failure> {
        let is_asked = config
            .authentication
            .iter()
            .any(|one| is_database(&one.method));
        let Some(name) = identity.user().filter(|_| is_asked) else {
            return Ok(None);
        };
        let user = self.doors.access().user(name);
        let user = user.map_err(|error| super::failure(error, "user"))?;
        let user = user.filter(|user| user.superuser && user.has_password && !user.disabled);
        Ok(user.map(|_| {
            Arc::new(Grant {
                superuser: true,
                ..Grant::default()
            })
        }))
    }

    /// Why the client would not be let in.
    fn refused(&self, case: &Case) -> Result<Option<String>, Failure> {
        if let Some(ban) = case.policy.ban(&case.subject()) {
            return Ok(Some(
                match ban.on {
                    auth::BanOn::Client => "the client id is banned",
                    auth::BanOn::User => "the user is banned",
                    auth::BanOn::Address => "the address is banned",
                }
                .into(),
            ));
        }
        match &case.bridge {
            Some(Joined::Other) => return Ok(Some(TAKEN.into())),
            Some(Joined::Bridge(_)) => return Ok(None),
            None if case.is_connected() => return Ok(None),
            None => {}
        }
        if let Some(why) = refused_at(case) {
            return Ok(Some(why));
        }
        if let Some(why) = self.refused_as(case)? {
            return Ok(Some(why));
        }
        let facts = case.facts.as_ref();
        let others = facts.filter(|facts| facts.identity != case.identity);
        Ok(others.map(|_| "the session belongs to another user".into()))
    }

    /// Why nobody vouches for the client.
    fn refused_as(&self, case: &Case) -> Result<Option<String>, Failure> {
        let asked = || asked(case);
        let Some(name) = case.identity.user() else {
            let by_certificate = asked().any(|one| matches!(one.method, Method::Certificate(_)));
            let why = "the listener lets nobody in without a user name";
            return Ok((!anonymous_allowed(case) && !by_certificate).then(|| why.into()));
        };
        let in_files = || asked().filter_map(|one| self.doors.knows(&one.name, name));
        let is_listed = |one: &config::Authentication| {
            is_database(&one.method) || matches!(one.method, Method::Passwords(_))
        };
        // What others know is known when they have been asked.
        if asked().next().is_none() || !asked().all(is_listed) || in_files().any(|knows| knows) {
            return Ok(None);
        }
        if !asked().any(|one| is_database(&one.method)) {
            return Ok(Some(
                "there is no such user in the file of passwords".into(),
            ));
        }
        let user = self.doors.access().user(name);
        let user = user.map_err(|error| super::failure(error, "user"))?;
        Ok(match user {
            None => Some("there is no such user".into()),
            Some(user) if user.disabled => Some("the user is disabled".into()),
            Some(user) if !user.has_password => Some("the user has no password".into()),
            Some(_) => None,
        })
    }

    /// The ban that is about the client.
    fn ban_of(&self, case: &Case) -> Option<server::Ban> {
        let on = case.policy.ban(&case.subject())?.on;
        let now = bans::now();
        let is_about = |ban: &BanOn| match (on, ban) {
            (auth::BanOn::Client, BanOn::Client(name)) => match name.strip_suffix('*') {
                Some(beginning) => case.client.starts_with(beginning),
                None => *name == case.client,
            },
            (auth::BanOn::User, BanOn::User(name)) => case.identity.user() == Some(name),
            (auth::BanOn::Address, BanOn::Network(text)) => case.address.is_some_and(|address| {
                Network::parse(text).is_ok_and(|network| network.contains(address))
            }),
            _ => false,
        };
        let bans = self.doors.access().bans().into_iter();
        let mut bans = bans.filter(|ban| ban.until.is_none_or(|until| until > now));
        bans.find(|ban| is_about(&ban.on)).map(bans::shown)
    }

    fn identity(&self, case: &Case) -> ExplainedIdentity {
        let (groups, roles) = self.belongs(&case.identity, case.grant.as_deref());
        let grant = case.grant.as_ref();
        ExplainedIdentity {
            connected: case.is_connected(),
            username: case.identity.user().map(Into::into),
            anonymous_allowed: anonymous_allowed(case),
            provider: grant.and_then(|it| it.provider.as_deref().map(Into::into)),
            asked: match case.bridge {
                Some(Joined::Bridge(_)) => Vec::new(),
                _ => asked(case).map(|one| one.name.clone()).collect(),
            },
            is_superuser: grant.is_some_and(|grant| grant.superuser),
            groups,
            roles,
        }
    }

    /// Limits that have to do with what is wanted.
    fn limits(&self, case: &Case, request: &ExplainRequest) -> Vec<Limit> {
        let limits = &case.config.limits;
        let mut met = Vec::new();
        let mut meet = |name: &str, exceeded: bool| {
            if let Some(value) = case.config.shown(name) {
                met.push(Limit {
                    name: name.into(),
                    value,
                    exceeded,
                });
            }
        };
        let levels = |text: &str| text.split('/').count() > usize::from(limits.topic_levels);
        let topic = mounted(case, &request.topic).unwrap_or_default();
        match request.action {
            Wish::Connect => {
                let (connections, sessions) = self.shared.connections_and_sessions();
                let is_in = case.is_connected();
                meet(
                    "limits.connections",
                    !is_in && connections >= limits.connections,
                );
                let is_new = case.facts.is_none();
                meet("limits.sessions", is_new && sessions >= limits.sessions);
            }
            Wish::Publish => {
                meet("limits.topic_levels", levels(&topic));
                let rates = [
                    "limits.client_message_rate",
                    "limits.client_byte_rate",
                    "limits.user_message_rate",
                    "limits.user_byte_rate",
                ];
                rates.into_iter().for_each(|name| meet(name, false));
            }
            Wish::Subscribe => {
                meet("limits.topic_levels", levels(&topic));
                let has = case.facts.as_ref().map_or(0, |it| it.subscription_count);
                let most = limits.subscriptions_per_client as usize;
                meet("limits.subscriptions_per_client", has >= most);
            }
        }
        met
    }

    /// Who subscribed to a topic, and whether there are more.
    async fn routing(&self, topic: &str, qos: QoS) -> Result<(Vec<Receiver>, bool), Failure> {
        let (found, more) = self.receivers_of((topic, qos, None), RECEIVERS).await?;
        Ok((found.into_iter().map(receiver).collect(), more))
    }
}

fn is_database(method: &Method) -> bool {
    matches!(method, Method::Database | Method::Scram)
}

/// Who is asked about the client; without a listener all.
fn asked(case: &Case) -> impl Iterator<Item = &config::Authentication> {
    let listener = case.listener();
    case.config.authentication.iter().filter(move |one| {
        listener.is_none_or(|listener| {
            let mut asked = case.config.asked_by(listener);
            asked.any(|asked| asked.name == one.name)
        })
    })
}

fn anonymous_allowed(case: &Case) -> bool {
    match case.listener() {
        Some(listener) => case.config.admits_anonymous(listener),
        None => {
            let mut listeners = case.config.listeners.iter();
            listeners.any(|listener| case.config.admits_anonymous(listener))
        }
    }
}

/// Why the listener does not take the client.
fn refused_at(case: &Case) -> Option<String> {
    let (listener, address) = (case.listener()?, case.address?);
    let is_in = |networks: &[config::Network]| {
        let network = |one: &config::Network| Network::new(one.address(), one.prefix());
        let mut networks = networks.iter();
        networks.any(|one| network(one).is_ok_and(|network| network.contains(address)))
    };
    let lets_in = !is_in(&listener.deny) && (listener.allow.is_empty() || is_in(&listener.allow));
    (!lets_in).then(|| format!("the listener {} is not for this address", listener.name))
}

/// A topic or filter of the client, as the server knows it; `None`: it is outside of the mount.
fn mounted(case: &Case, text: &str) -> Option<String> {
    let Some(mount) = case.mount() else {
        return Some(text.into());
    };
    match SubscriptionFilter::parse(text, u16::MAX) {
        Ok(SubscriptionFilter {
            share: Some(share),
            filter,
        }) => {
            let inner = mount.mounted(filter.as_str())?;
            Some(format!("$share/{}/{inner}", share.as_str()))
        }
        _ => mount.mounted(text),
    }
}

/// What the rules say.
fn said(case: &Case, request: &ExplainRequest) -> Result<Said, Failure> {
    let none = || Failure::Invalid(format!("topic: {:?} is none", request.topic));
    let Some(topic) = mounted(case, &request.topic) else {
        return Ok(Said {
            steps: Vec::new(),
            decision: auth::Decision::DENY,
        });
    };
    let who = case.subject();
    let filter: TopicFilter;
    let access = match request.action {
        Wish::Subscribe => {
            let parsed = SubscriptionFilter::parse(&topic, u16::MAX).map_err(|_| none())?;
            filter = parsed.filter;
            Access::Subscribe {
                filter: &filter,
                qos: qos(request.qos),
            }
        }
        Wish::Publish | Wish::Connect => Access::Publish {
            topic: TopicName::parse(&topic, u16::MAX).map_err(|_| none())?,
            qos: qos(request.qos),
            retain: request.retain,
        },
    };
    Ok(Said {
        decision: case.policy.decide(&who, &access),
        steps: case.policy.decide_traced(&who, &access),
    })
}

/// What is said in the end, and what decides.
fn outcome(refused: &Option<String>, limits: &[Limit], said: Option<&Said>) -> (Decision, String) {
    if let Some(why) = refused {
        return (Decision::Deny, why.clone());
    }
    if let Some(limit) = limits.iter().find(|limit| limit.exceeded) {
        let why = format!("{} is {}", limit.name, limit.value);
        return (Decision::Deny, why);
    }
    let Some(said) = said else {
        let why = "nothing is known against it; what it proves is still to be seen";
        return (Decision::Allow, why.into());
    };
    let decision = match said.decision.verdict {
        Verdict::Allow => Decision::Allow,
        Verdict::Partly => Decision::Partly,
        Verdict::Deny => Decision::Deny,
    };
    let why = match said.steps.last() {
        Some(step) => step.says.clone(),
        None => "topics that begin with $ are outside of the listener's mount".into(),
    };
    (decision, why)
}

fn step(step: auth::Step) -> Step {
    Step {
        rule: step.says,
        outcome: match step.why {
            Why::Client => StepOutcome::OtherClient,
            Why::Action => StepOutcome::OtherAction,
            Why::Part(Effect::Allow) => StepOutcome::AllowsPart,
            Why::Part(Effect::Deny) => StepOutcome::DeniesPart,
            Why::Decides(_) => StepOutcome::Decides,
        },
    }
}

fn receiver((one, group): (Subscriber, Option<SubscriptionFilter>)) -> Receiver {
    Receiver {
        clientid: one.client.as_str().into(),
        qos: one.qos as u8,
        share: group.map(|group| group.to_string()),
        gets: match one.gets {
            question::Gets::Now => Gets::Now,
            question::Gets::Later => Gets::Later,
            question::Gets::Away => Gets::Away,
            question::Gets::Denied => Gets::Denied,
        },
    }
}

/// The API knows no other.
pub(super) fn qos(bits: u8) -> QoS {
    match bits {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}
