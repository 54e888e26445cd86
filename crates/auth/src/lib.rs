//! Decisions about who may do what that need no I/O, and the shapes of those that do.
//!
//! **Never:** no waiting, no files, no network, no clock; what needs them lives in front of the
//! broker and answers by mail.
//!
//! | module | owns |
//! |---|---|
//! | [`identity`] | [`Identity`]: who a session belongs to |
//! | [`subject`] | [`Subject`]: who wants something; [`Grant`]: what came with the identity |
//! | [`access`] | [`Access`]: what he wants; [`Decision`]: what he is told |
//! | [`policy`] | [`Policy`]: the one question of all doors; [`Open`]: the answers without configuration |
//! | [`rules`] | [`Rules`]: allow and deny, first match; [`rules::Pattern`]: topics with placeholders |
//! | [`rulebook`] | [`Rulebook`]: the policy made of rules, roles, groups and bans |
//! | [`authenticate`] | [`Authenticator`]: who a client is, now or later |
//! | [`secret`] | [`Secret`]: what must not be seen |

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

pub mod access;
pub mod authenticate;
pub mod identity;
pub mod policy;
pub mod rulebook;
pub mod rules;
pub mod secret;
pub mod subject;

pub use access::{Access, Decision, RuleId, Verdict};
pub use authenticate::{
    Admitted, Answer, Anyone, AskedFor, Asker, Authenticator, Enhanced, Exchange, Outcome, Refresh,
    Refused, Request,
};
pub use identity::Identity;
pub use policy::{Ban, BanOn, Open, Policy, Source, Step, Why};
pub use rulebook::{Prepared, Rulebook};
pub use rules::Rules;
pub use secret::Secret;
pub use subject::{Grant, Subject};
