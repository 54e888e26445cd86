//! The configuration: `nightjar.toml`, environment variables, options of the command line.
//!
//! **Never:** no socket, no thread, no logging, nothing applied to a running server; a key
//! that it does not know is an error, never ignored; no error and nothing rendered shows a
//! password or a key (S71).
//!
//! Layers, each above the one before: defaults, the file, variables `NIGHTJAR__SECTION__KEY`,
//! options of the command line. [`Config::load`] reads them all and reports every error that
//! it finds with its place, not only the first.
//!
//! | module | owns |
//! |---|---|
//! | [`config`](self) | [`Config`], its parts and the defaults |
//! | `keys` | the one table of keys: name, kind, range, effect of a reload |
//! | `lists` | the lists of tables, `[[listener]]` and the others, and how they are read |
//! | `value` | sizes, spans, rates, choices, secrets: from text and to text |
//! | `formats` | texts of a form: names, paths, topics, queries |
//! | `source` | [`Sources`], the walk over TOML, `${VARIABLE}`, the overrides, files of rules |
//! | `check` | what must hold between keys (S72: no open door that nobody asked for) |
//! | `suggest` | the nearest of the names that exist |
//! | `error` | [`ConfigError`], [`ConfigErrors`], [`Place`] |
//! | `told` | values one by one, from where each is, and what another configuration changes |
//! | `mask` | the text of a file without its secrets, and back |
//! | `render` | a configuration as the file that would give it |
//! | `reload` | [`Changes`]: which keys act at once and which wait for a restart |

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

mod check;
mod config;
mod error;
mod formats;
mod keys;
mod lists;
mod mask;
mod reload;
mod render;
mod source;
mod suggest;
mod told;
mod value;

#[cfg(test)]
mod docs;
#[cfg(test)]
mod tests;

pub use config::{
    Access, Acme, Address, Alarms, Algorithm, Anonymous, Audit, Authentication, Bridge,
    BridgeStart, BridgeTopic, BridgeVersion, ByCertificate, Certificate, CertificateFiles,
    CertificateOrigin, Challenge, ClientCertificate, Config, ControlSocket, Dashboard,
    DynamicSecurity, Granted, Header, Http, Jwt, Ldap, Listener, Location, Log, LogFormat,
    LogLevel, Mark, Method, MetricNames, Metrics, Mode, MongoDb, Network, Notifications, OnFailure,
    PasswordHash, Passwords, Permission, Protocol, Redis, Revoked, Rule, RuleAction, Secret,
    SharedStrategy, Sql, Store, Telemetry, TlsVersion, TokenIn, TopicRule, Url, UserFrom,
    bridge_address,
};
pub use error::{ConfigError, ConfigErrors, Parts, Place};
pub use mask::{masked, unmasked};
pub use reload::Changes;
pub use source::{Loaded, Setting, Sources};
pub use suggest::nearest;
pub use told::{Change, NamedFile, Places, Told};
