//! Who may come in and do what, by a function each, for stories.

use auth::{
    Access, Admitted, Answer, Authenticator, Ban, Decision, Outcome, Policy, Refresh, Refused,
    Request, RuleId, Source, Subject,
};
use types::ReasonCode;

/// Says who clients are, at once.
pub struct Clerk<F>(pub F);

impl<F: Fn(&Request) -> Outcome + Send + Sync> Authenticator for Clerk<F> {
    fn authenticate(&self, request: Request) -> Answer {
        Answer::Now((self.0)(&request))
    }

    fn refresh(&self, request: Refresh) -> Answer {
        Answer::Now(Outcome::Admitted(Admitted::plain(request.identity)))
    }
}

/// Says who may do what; bans nobody.
pub struct Judge<F>(pub F);

impl<F: Fn(&Subject<'_>, &Access<'_>) -> bool + Send + Sync> Policy for Judge<F> {
    fn decide(&self, who: &Subject<'_>, access: &Access<'_>) -> Decision {
        match (self.0)(who, access) {
            true => Decision::ALLOW,
            false => Decision::DENY,
        }
    }

    fn ban(&self, _: &Subject<'_>) -> Option<Ban> {
        None
    }

    fn stands(&self, _: &Source<'_>) -> bool {
        true
    }

    fn describe(&self, _: &Subject<'_>, _: RuleId) -> String {
        "a rule of the story".into()
    }
}

/// The text of what somebody wants: a topic, or a filter.
pub fn wanted<'a>(access: &Access<'a>) -> &'a str {
    match access {
        Access::Publish { topic, .. } | Access::Receive { topic, .. } => topic.as_str(),
        Access::Subscribe { filter, .. } => filter.as_str(),
    }
}

/// Not let in, with this reason.
pub fn refused(reason: ReasonCode) -> Outcome {
    Outcome::Refused(Refused {
        reason,
        why: "the story says so".into(),
    })
}
