//! Who clients are: a chain of providers, asked in their order, and what back ends give along.
//!
//! **Never:** no decision about a topic (rules that a provider brings are decided on in `auth`), no
//! work on a worker beyond a look into memory, no question without a deadline, no queue without
//! an end, no value of a client's in the text of a query. Passwords and tokens are in no log, no
//! error and no `Debug` (S71).
//!
//! Entry types: [`Settings`], then [`Chain::start`], which is an [`auth::Authenticator`].
//!
//! | module | owns |
//! |---|---|
//! | [`settings`] | [`Settings`]: which providers, and what each needs |
//! | [`chain`] | [`Chain`]: asks them, with deadlines, breakers, a cache |
//! | [`figures`] | [`Figures`]: what was asked and what came of it |
//! | [`problem`] | [`Problem`]: why a chain cannot start |
//! | [`access`] | [`Access`]: users, groups, roles, rules, bans that are made at run time |
//! | [`rules`] | [`RuleText`]: rules as JSON |
//! | [`hash`] | [`Hash`](struct@Hash): passwords as they are kept |
//! | [`passwords`] | a file of names and hashes, and how to change one |
//! | `provider` | the kinds of providers, as the chain sees them |
//! | `database` | users of [`Access`] by their passwords |
//! | `scram` | the same by SCRAM-SHA-256 |
//! | `jwt` | tokens |
//! | `http` | a web service |
//! | `postgresql`, `mysql`, `redis`, `mongodb`, `ldap` | a module and a feature of Cargo for each of these back ends |
//! | `table` | what back ends with hashes have in common |
//! | `sql`, `template` | placeholders in questions, which are never a part of the text |
//! | `pool` | connections that wait for the next question |
//! | `web`, `tls`, `url` | how web services are asked |
//! | `link` | a connection to a back end whose language is spoken here |
//! | `certificate` | who a certificate says that a client is |
//! | `question` | what a provider is asked, and what it says |
//!
//! There is no TLS-PSK: rustls, the TLS library, has none.

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
mod certificate;
pub mod chain;
mod database;
pub mod figures;
pub mod hash;
#[cfg(feature = "http")]
mod http;
mod jwt;
#[cfg(feature = "ldap")]
mod ldap;
#[cfg(feature = "link")]
mod link;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "mysql")]
mod mysql;
pub mod passwords;
// What back ends share; a build without some of them does not need all of it.
#[cfg_attr(not(feature = "backends"), allow(dead_code))]
mod pool;
#[cfg(feature = "postgresql")]
mod postgresql;
pub mod problem;
mod provider;
mod question;
#[cfg(feature = "redis")]
mod redis;
pub mod rules;
mod scram;
pub mod settings;
#[cfg_attr(not(feature = "backends"), allow(dead_code))]
mod sql;
#[cfg_attr(not(feature = "backends"), allow(dead_code))]
mod table;
#[cfg_attr(not(feature = "backends"), allow(dead_code))]
mod template;
#[cfg_attr(not(feature = "backends"), allow(dead_code))]
mod tls;
#[cfg_attr(not(feature = "backends"), allow(dead_code))]
mod url;
#[cfg(feature = "http")]
mod web;

pub use access::Access;
pub use chain::{Answers, Chain, Notice, Notices, Purge};
pub use figures::Figures;
pub use hash::Hash;
pub use problem::Problem;
pub use rules::RuleText;
pub use settings::{Kind, ProviderSettings, Settings};
