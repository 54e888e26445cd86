//! The policy made of rules, roles, groups and bans.
//!
//! The order: rules that came with the client, rules of the files, rules of the roles in the order
//! of the roles. The first that matches decides.
//!
//! | module | owns |
//! |---|---|
//! | [`members`] | [`Members`]: users, groups, roles |
//! | [`bans`] | [`Bans`] |
//! | `classes` | which rules are about a client; [`Prepared`] |
//! | `trie` | which of them are about a topic |
//! | `trace` | how a decision came about |
//! | `levels` | a topic, cut into levels |
//! | `inline` | a short list without memory of its own |

pub mod bans;
mod classes;
mod inline;
mod levels;
pub mod members;
mod trace;
mod trie;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use bans::{Banned, Bans};
pub use classes::Prepared;
pub use members::{Members, Membership, Role};

use crate::access::{Access, Decision, RuleId, Verdict};
use crate::policy::{Ban, Policy, Source, Step};
use crate::rules::fit::{About, Ask, Facts, Fit};
use crate::rules::{Effect, Rule, Rules, Values, Who};
use crate::{Grant, Subject};
use classes::{Compiled, Trees};
use levels::{Levels, NONE};

/// What a rulebook is made of. The default lets nobody do anything.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Rules of the configuration.
    pub rules: Rules,
    /// Roles. Their rules come after those of the configuration, in this order, whatever the order
    /// of somebody's roles.
    pub roles: Vec<Role>,
    /// Who is in which group and who has which role.
    pub members: Arc<Members>,
    /// Who is not let in.
    pub bans: Arc<Bans>,
    /// What holds if no rule matches. `Allow` says nothing about topics below `$`: they need a
    /// rule of their own (S50).
    pub no_match: Effect,
    /// What becomes of a filter that is allowed in part.
    pub partial: Partial,
    /// Retained messages stay with their publishers' permission (S47).
    pub check_retain_source: bool,
    /// Beginnings of topics below `$` that rules may let users publish to: whole levels, such as
    /// `$CONTROL`. No other is ever open, whatever the rules say (S51). Of these each needs a rule
    /// that names it, for a superuser, too, and nobody without a name is let to them.
    pub open: Vec<Arc<str>>,
}

/// What becomes of a filter of which allow rules cover only a part, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partial {
    /// It is denied.
    #[default]
    Deny,
    /// It is granted, and what it brings is asked about, message for message.
    Filter,
    /// It is granted, and so is one that no rule allows a part of. Mosquitto does so.
    Grant,
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            roles: Vec::new(),
            members: Arc::default(),
            bans: Arc::default(),
            no_match: Effect::Deny,
            partial: Partial::Deny,
            check_retain_source: true,
            open: Vec::new(),
        }
    }
}

/// A policy made of rules. A decision costs about the same with ten rules and with thousands.
#[derive(Debug)]
pub struct Rulebook {
    compiled: Arc<Compiled>,
    members: Arc<Members>,
    bans: Arc<Bans>,
    no_match: Effect,
    partial: Partial,
    check_retain_source: bool,
    open: Vec<Arc<str>>,
    /// Some rule asks for what only a connection shows.
    needs_connection: bool,
}

impl Rulebook {
    /// Sorts the rules for the questions to come. The time grows with the number of rules only.
    pub fn new(contents: Contents) -> Self {
        let mut rules = contents.rules.list;
        for role in contents.roles {
            for mut rule in role.rules.list {
                rule.who.push(Who::Role(vec![Arc::clone(&role.name)]));
                rules.push(rule);
            }
        }
        let needs_connection = rules.iter().any(Rule::needs_connection);
        Self {
            compiled: Arc::new(Compiled::new(rules)),
            members: contents.members,
            bans: contents.bans,
            no_match: contents.no_match,
            partial: contents.partial,
            check_retain_source: contents.check_retain_source,
            open: contents.open,
            needs_connection,
        }
    }

    /// The rules in their order; [`RuleId::Policy`] is the place of one.
    pub fn rules(&self) -> &[Rule] {
        &self.compiled.rules
    }

    /// What is decided without a rule.
    fn decide_first(&self, who: &Subject<'_>, access: &Access<'_>) -> Option<Decision> {
        if let Access::Publish { topic, .. } = access {
            let topic = topic.as_str();
            let is_below = |open: &Arc<str>| {
                let rest = topic.strip_prefix(open.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if topic.starts_with('$') {
                let is_open = self.open.iter().any(is_below);
                let is_user = who.identity.user().is_some();
                return (!is_open || !is_user).then_some(RESERVED);
            }
        }
        let is_super = who.grant.is_some_and(|grant| grant.superuser);
        is_super.then_some(Decision {
            verdict: Verdict::Allow,
            rule: Some(RuleId::Superuser),
        })
    }

    /// What is decided if no rule matches; `in_part`: some were denied in part.
    fn decide_last(&self, ask: &Ask<'_>, in_part: bool) -> Decision {
        match self.no_match {
            Effect::Deny => Decision::DENY,
            Effect::Allow if ask.is_reserved() => RESERVED,
            Effect::Allow if in_part => Decision {
                verdict: Verdict::Partly,
                rule: None,
            },
            Effect::Allow => Decision::ALLOW,
        }
    }

    fn decide_with(&self, who: &Subject<'_>, trees: Trees<'_>, access: &Access<'_>) -> Decision {
        if let Some(decision) = self.decide_first(who, access) {
            return decision;
        }
        let ask = Ask::new(access);
        let values = Values::of(who);
        match ask.about {
            About::Topic(topic) => {
                if let Some(decision) = self.find_own(who, &ask, &values) {
                    return decision;
                }
                let place = self.lowest(trees, topic, &ask, &values);
                match self.compiled.rules.get(place as usize) {
                    Some(rule) => decided(rule.effect, RuleId::Policy(place)),
                    None => self.decide_last(&ask, false),
                }
            }
            About::Filter(filter) => {
                let mut near = Vec::new();
                let mut levels = Levels::new(&self.compiled.symbols, filter.as_str());
                for &class in trees.classes {
                    let trie = &self.compiled.trie;
                    trie.near(class, &mut levels, ask.mask, &values, &mut near);
                }
                if let Some(merged) = trees.merged {
                    merged.near(0, &mut levels, ask.mask, &values, &mut near);
                }
                near.sort_unstable();
                near.dedup();
                let find = |place: u32| {
                    let rule = self.compiled.rules.get(place as usize)?;
                    Some((RuleId::Policy(place), rule))
                };
                let rules = self.own(who).chain(near.into_iter().filter_map(find));
                self.decide_filter(rules, &ask, &values)
            }
        }
    }

    /// The lowest rule about a topic; [`NONE`] if there is none.
    fn lowest(&self, trees: Trees<'_>, topic: &str, ask: &Ask<'_>, values: &Values<'_>) -> u32 {
        let mut levels = Levels::new(&self.compiled.symbols, topic);
        let mut best = NONE;
        if let Some(merged) = trees.merged {
            best = merged.first(0, &mut levels, ask.mask, values, best);
        }
        for &class in trees.classes {
            let trie = &self.compiled.trie;
            best = trie.first(class, &mut levels, ask.mask, values, best);
        }
        best
    }

    /// The rules are about this client.
    fn decide_filter<'r>(
        &self,
        rules: impl Iterator<Item = (RuleId, &'r Rule)>,
        ask: &Ask<'_>,
        values: &Values<'_>,
    ) -> Decision {
        let mut walk = Walk::new(self.partial);
        for (id, rule) in rules {
            if let Some(decision) = walk.step(id, rule.effect, rule.fit(ask, values)) {
                return decision;
            }
        }
        walk.end(self.decide_last(ask, walk.denied))
    }

    /// The client's own rules that are about it.
    fn own<'r>(&'r self, who: &'r Subject<'r>) -> impl Iterator<Item = (RuleId, &'r Rule)> {
        let mut facts = None;
        let is_about = move |(_, rule): &(RuleId, &Rule)| {
            rule.who.is_empty() || {
                let facts = facts.get_or_insert_with(|| self.members.facts(who));
                rule.is_about(facts)
            }
        };
        let named = (0..).map(RuleId::Own).zip(own_rules(who));
        named.filter(is_about)
    }

    fn find_own(&self, who: &Subject<'_>, ask: &Ask<'_>, values: &Values<'_>) -> Option<Decision> {
        let fits = |(_, rule): &(RuleId, &Rule)| rule.fit(ask, values) == Fit::Whole;
        let (id, rule) = self.own(who).find(fits)?;
        Some(decided(rule.effect, id))
    }

    /// The first rule about a topic, if what only a connection shows is taken as it suits the
    /// client: an allow may be about it, a deny is not.
    fn find_leniently(&self, who: &Subject<'_>, ask: &Ask<'_>) -> Decision {
        let facts = Facts {
            lenient: true,
            ..self.members.facts(who)
        };
        let allows = Values::guessing(who, true);
        let denies = Values::guessing(who, false);
        let fits = |rule: &Rule| {
            let values = match rule.effect {
                Effect::Allow => &allows,
                Effect::Deny => &denies,
            };
            rule.is_about(&facts) && rule.fit(ask, values) == Fit::Whole
        };
        let own = (0..).map(RuleId::Own).zip(own_rules(who));
        let mut named = own.chain((0..).map(RuleId::Policy).zip(&self.compiled.rules));
        match named.find(|(_, rule)| fits(rule)) {
            Some((id, rule)) => decided(rule.effect, id),
            None => self.decide_last(ask, false),
        }
    }
}

impl Policy for Rulebook {
    fn decide(&self, who: &Subject<'_>, access: &Access<'_>) -> Decision {
        let classes = self.compiled.classes(&self.members.facts(who));
        let trees = Trees {
            classes: &classes,
            merged: None,
        };
        self.decide_with(who, trees, access)
    }

    fn ban(&self, who: &Subject<'_>) -> Option<Ban> {
        let user = who.identity.user();
        self.bans.find(who.client_id, user, who.address)
    }

    /// A message of somebody who is banned does not stand, whatever is said about retained
    /// messages (S55). Its QoS and the connection that it came by are not known any more: it stands
    /// if it could be allowed with some.
    fn stands(&self, source: &Source<'_>) -> bool {
        let user = source.identity.user();
        if self.bans.find(source.client_id, user, None).is_some() {
            return false;
        }
        if source.granted || !self.check_retain_source {
            return true;
        }
        let grant = Grant {
            superuser: self.members.is_superuser(source.identity),
            ..Grant::default()
        };
        let who = Subject {
            identity: source.identity,
            client_id: source.client_id,
            grant: Some(&grant),
            address: None,
            certificate: None,
            listener: None,
        };
        let accesses = QOS.map(|qos| Access::Publish {
            topic: source.topic,
            qos,
            retain: true,
        });
        accesses.iter().any(|access| self.could(&who, access))
    }

    fn describe(&self, who: &Subject<'_>, rule: RuleId) -> String {
        let rule = match rule {
            RuleId::Reserved => return "topics that begin with $ are the server's own".into(),
            RuleId::Superuser => return "the client is a superuser".into(),
            RuleId::Policy(place) => self.compiled.rules.get(place as usize),
            RuleId::Own(place) => {
                let rules = who.grant.and_then(|grant| grant.rules.as_deref());
                rules.and_then(|rules| rules.list.get(place as usize))
            }
        };
        match rule {
            Some(rule) => rule.to_string(),
            None => "a rule that is there no more".into(),
        }
    }

    fn prepare(&self, who: &Subject<'_>) -> Option<Arc<Prepared>> {
        Some(self.compiled.prepare(&self.members.facts(who)))
    }

    fn decide_prepared(
        &self,
        who: &Subject<'_>,
        prepared: Option<&Prepared>,
        access: &Access<'_>,
    ) -> Decision {
        match prepared.and_then(|prepared| self.compiled.trees(prepared)) {
            Some(trees) => self.decide_with(who, trees, access),
            None => self.decide(who, access),
        }
    }

    fn could(&self, who: &Subject<'_>, access: &Access<'_>) -> bool {
        self.decide(who, access).is_allowed()
            || (self.needs_connection || own_rules(who).iter().any(Rule::needs_connection))
                && self
                    .decide_first(who, access)
                    .unwrap_or_else(|| self.find_leniently(who, &Ask::new(access)))
                    .is_allowed()
    }

    fn effort(&self) -> usize {
        self.compiled.rules.len()
    }

    fn decide_traced(&self, who: &Subject<'_>, access: &Access<'_>) -> Vec<Step> {
        trace::trace(self, who, access)
    }
}

/// A walk along rules with a filter.
#[derive(Clone, Copy, Debug)]
struct Walk {
    partial: Partial,
    denied: bool,
    /// The first rule that allows a part.
    allowed: Option<RuleId>,
}

impl Walk {
    fn new(partial: Partial) -> Self {
        Self {
            partial,
            denied: false,
            allowed: None,
        }
    }

    /// The next rule; whether it decides.
    fn step(&mut self, id: RuleId, effect: Effect, fit: Fit) -> Option<Decision> {
        match (fit, effect) {
            (Fit::None, _) => None,
            (Fit::Part, Effect::Deny) => {
                self.denied = true;
                None
            }
            (Fit::Part, Effect::Allow) => {
                self.allowed = self.allowed.or(Some(id));
                None
            }
            (Fit::Whole, Effect::Deny) => Some(self.end(decided(effect, id))),
            (Fit::Whole, Effect::Allow) if self.denied => Some(partly(id)),
            (Fit::Whole, Effect::Allow) => Some(decided(effect, id)),
        }
    }

    /// What a no becomes, if parts were allowed and count.
    fn end(&self, decision: Decision) -> Decision {
        match (self.partial, self.allowed) {
            (Partial::Filter | Partial::Grant, Some(id)) if !decision.is_allowed() => partly(id),
            (Partial::Grant, None) if !decision.is_allowed() => Decision {
                verdict: Verdict::Partly,
                ..decision
            },
            _ => decision,
        }
    }
}

/// The rules that came with a client.
fn own_rules<'a>(who: &Subject<'a>) -> &'a [Rule] {
    let rules = who.grant.and_then(|grant| grant.rules.as_deref());
    rules.map_or(&[], |rules| &rules.list)
}

fn decided(effect: Effect, rule: RuleId) -> Decision {
    let verdict = match effect {
        Effect::Allow => Verdict::Allow,
        Effect::Deny => Verdict::Deny,
    };
    Decision {
        verdict,
        rule: Some(rule),
    }
}

fn partly(rule: RuleId) -> Decision {
    Decision {
        verdict: Verdict::Partly,
        rule: Some(rule),
    }
}

const RESERVED: Decision = Decision {
    verdict: Verdict::Deny,
    rule: Some(RuleId::Reserved),
};

const QOS: [types::QoS; 3] = [
    types::QoS::AtMostOnce,
    types::QoS::AtLeastOnce,
    types::QoS::ExactlyOnce,
];
