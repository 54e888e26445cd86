//! The words of choices and what they stand for: once for reading, writing and help.

use types::Durability;
use types::limits::QueuePolicy;

use super::{Field, MISFIT, Value};
use crate::config::{
    Algorithm, BridgeStart, BridgeVersion, Challenge, ClientCertificate, Granted, LogFormat,
    LogLevel, MetricNames, Notifications, OnFailure, PasswordHash, Permission, Protocol, Revoked,
    RuleAction, SharedStrategy, TlsVersion, TokenIn, UserFrom,
};

macro_rules! choice_field {
    ($choice:ty, $words:ident, $($word:literal => $variant:ident),* $(,)?) => {
        /// The words of the file, in the order in which help lists them.
        pub(crate) const $words: &[&str] = &[$($word),*];

        impl Field for $choice {
            fn read(&self) -> Value {
                Value::Text(match self { $(Self::$variant => $word),* }.to_owned())
            }

            fn of(value: Value) -> Result<Self, String> {
                let Value::Text(text) = value else { return Err(MISFIT.into()) };
                match text.as_str() {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(MISFIT.into()),
                }
            }
        }
    };
}

choice_field!(Durability, DURABILITIES, "disk" => Disk, "os" => Os, "memory" => Memory);
choice_field!(QueuePolicy, QUEUE_POLICIES,
    "drop_oldest" => DropOldest, "drop_newest" => DropNewest);
choice_field!(LogFormat, LOG_FORMATS, "auto" => Auto, "text" => Text, "json" => Json);
choice_field!(LogLevel, LOG_LEVELS,
    "error" => Error, "warn" => Warn, "info" => Info, "debug" => Debug, "trace" => Trace);
choice_field!(MetricNames, METRIC_NAMES, "nightjar" => Nightjar, "emqx" => Emqx);
choice_field!(SharedStrategy, STRATEGIES,
    "round_robin" => RoundRobin, "random" => Random, "sticky" => Sticky,
    "hash_client" => HashClient, "hash_topic" => HashTopic, "least_inflight" => LeastInflight);
choice_field!(Protocol, PROTOCOLS,
    "mqtt" => Mqtt, "mqtts" => Mqtts, "ws" => Ws, "wss" => Wss, "quic" => Quic);
choice_field!(ClientCertificate, CLIENT_CERTIFICATES,
    "off" => Off, "optional" => Optional, "required" => Required);
choice_field!(TlsVersion, TLS_VERSIONS, "1.2" => V1_2, "1.3" => V1_3);
choice_field!(Challenge, CHALLENGES, "http-01" => Http01, "tls-alpn-01" => TlsAlpn01);
choice_field!(OnFailure, ON_FAILURES, "deny" => Deny, "next" => Next);
choice_field!(UserFrom, USERS_FROM,
    "cn" => CommonName, "dns" => Dns, "uri" => Uri, "email" => Email, "subject" => Subject,
    "fingerprint" => Fingerprint);
choice_field!(Algorithm, ALGORITHMS,
    "HS256" => Hs256, "HS384" => Hs384, "HS512" => Hs512,
    "RS256" => Rs256, "RS384" => Rs384, "RS512" => Rs512,
    "PS256" => Ps256, "PS384" => Ps384, "PS512" => Ps512,
    "ES256" => Es256, "ES384" => Es384, "EdDSA" => EdDsa);
choice_field!(TokenIn, TOKENS_IN, "password" => Password, "username" => Username);
choice_field!(PasswordHash, PASSWORD_HASHES,
    "auto" => Auto, "plain" => Plain, "sha256" => Sha256, "sha512" => Sha512,
    "pbkdf2" => Pbkdf2, "bcrypt" => Bcrypt, "argon2id" => Argon2id);
choice_field!(Permission, PERMISSIONS, "deny" => Deny, "allow" => Allow);
choice_field!(RuleAction, RULE_ACTIONS,
    "publish" => Publish, "subscribe" => Subscribe, "all" => All);
choice_field!(Granted, GRANTEDS,
    "covered" => Covered, "overlapping" => Overlapping, "any" => Any);
choice_field!(Revoked, REVOKEDS, "disconnect" => Disconnect, "remove" => Remove);
choice_field!(BridgeVersion, BRIDGE_VERSIONS, "5.0" => V5, "3.1.1" => V311, "3.1" => V31);
choice_field!(BridgeStart, BRIDGE_STARTS,
    "automatic" => Automatic, "once" => Once, "lazy" => Lazy);
choice_field!(Notifications, NOTIFICATIONS, "off" => Off, "local" => Local, "both" => Both);
