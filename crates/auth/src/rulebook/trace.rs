//! How a decision came about.

use super::{Partial, Rulebook, Walk};
use crate::access::{Access, Decision, RuleId};
use crate::policy::{Policy, Step, Why};
use crate::rules::fit::{About, Ask, Fit};
use crate::rules::{Effect, Rule, Values};
use crate::{Identity, Subject};

/// The walk that [`Policy::decide`] takes a short cut of: all rules, one by one.
pub(super) fn trace(book: &Rulebook, who: &Subject<'_>, access: &Access<'_>) -> Vec<Step> {
    let mut trace = Trace {
        book,
        who,
        steps: Vec::new(),
    };
    let decision = match book.decide_first(who, access) {
        Some(decision) => decision,
        None => trace.walk(&Ask::new(access)),
    };
    trace.last(decision)
}

struct Trace<'a> {
    book: &'a Rulebook,
    who: &'a Subject<'a>,
    steps: Vec<Step>,
}

impl Trace<'_> {
    fn walk(&mut self, ask: &Ask<'_>) -> Decision {
        let values = Values::of(self.who);
        let facts = self.book.members.facts(self.who);
        let own = self.who.grant.and_then(|grant| grant.rules.as_deref());
        let own = own.map_or(&[][..], |rules| &rules.list);
        let all = (0..).map(RuleId::Own).zip(own);
        let all = all.chain((0..).map(RuleId::Policy).zip(&self.book.compiled.rules));
        // Only a filter can be granted though not all of it is allowed.
        let partial = match ask.about {
            About::Topic(_) => Partial::Deny,
            About::Filter(_) => self.book.partial,
        };
        let mut walk = Walk::new(partial);
        for (id, rule) in all {
            if !rule.is_about(&facts) {
                if rule.topics_fit(ask, &values) {
                    self.pass(id, rule, Why::Client);
                }
                continue;
            }
            let fit = rule.fit(ask, &values);
            if let Some(decision) = walk.step(id, rule.effect, fit) {
                return decision;
            }
            match fit {
                Fit::Part => self.pass(id, rule, Why::Part(rule.effect)),
                Fit::None if rule.topics_fit(ask, &values) => self.pass(id, rule, Why::Action),
                Fit::None | Fit::Whole => {}
            }
        }
        walk.end(self.book.decide_last(ask, walk.denied))
    }

    fn pass(&mut self, id: RuleId, rule: &Rule, why: Why) {
        // The last place is for the one that decides.
        if self.steps.len().saturating_add(1) < Step::MOST {
            self.steps.push(Step {
                rule: Some(id),
                says: rule.to_string(),
                why,
            });
        }
    }

    fn last(mut self, decision: Decision) -> Vec<Step> {
        let says = match (decision.rule, self.book.no_match) {
            (Some(rule), _) => self.book.describe(self.who, rule),
            (None, Effect::Deny) => "no rule allows it to this client".into(),
            (None, Effect::Allow) => "no rule denies it to this client".into(),
        };
        let says = match self.who.identity {
            Identity::Anonymous if decision.rule.is_none() => says + ", which has no user",
            Identity::Anonymous | Identity::User(_) => says,
        };
        self.steps.push(Step {
            rule: decision.rule,
            says,
            why: Why::Decides(decision),
        });
        self.steps
    }
}
