//! Who is not let in.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::{Failure, Listed, Page, Record, Stamp};

/// Bans. Those that are over are not listed. For methods that change something, what is said at
/// [`super::Users`] holds.
pub trait Bans: Send + Sync {
    /// Bans, in an order that stays.
    ///
    /// # Errors
    /// The database cannot be read, or there is none.
    fn bans(&self, page: Page) -> Result<Listed<Ban>, Failure>;

    /// One ban.
    ///
    /// # Errors
    /// [`Failure::NotFound`], or the database cannot be read.
    fn ban(&self, on: BanOn, who: &str) -> Result<Ban, Failure>;

    /// Bans somebody, or changes the ban that there is. Who is connected is disconnected within
    /// a second. `by` is who asks for it.
    ///
    /// # Errors
    /// [`Failure::Invalid`] if an address is none, or the database cannot be written.
    fn create_ban(&self, ban: NewBan, by: &str, record: &Record) -> Result<Ban, Failure>;

    /// Lifts a ban.
    ///
    /// # Errors
    /// [`Failure::NotFound`], or the database cannot be written.
    fn delete_ban(&self, on: BanOn, who: &str, record: &Record) -> Result<(), Failure>;
}

/// What a ban names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BanOn {
    /// A client identifier; `*` at the end stands for the rest.
    ClientId,
    /// A user.
    UserName,
    /// An address, or a network such as `10.0.0.0/8`.
    PeerHost,
}

impl BanOn {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientId => "clientid",
            Self::UserName => "username",
            Self::PeerHost => "peerhost",
        }
    }
}

/// That somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ban {
    /// What `who` is.
    #[serde(rename = "as")]
    pub on: BanOn,
    /// Whom the ban is about.
    pub who: String,
    /// Who made it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it was made.
    pub at: Stamp,
    /// When it ends: a time (RFC 3339), or `infinity`.
    #[schema(value_type = String, example = "infinity")]
    pub until: Until,
}

/// Somebody to be banned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBan {
    /// What `who` is.
    #[serde(rename = "as")]
    pub on: BanOn,
    /// Whom the ban is about, 1 to 1024 bytes.
    pub who: String,
    /// Why, for people; at most 1024 bytes.
    #[serde(default)]
    pub reason: String,
    /// When it ends: a time (RFC 3339), or `infinity`, which is meant if nothing is given.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "infinity")]
    pub until: Until,
}

/// When a ban ends: a time (RFC 3339), or `infinity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// When it is lifted.
    #[default]
    Lifted,
    /// Then.
    Time(Stamp),
}

const INFINITY: &str = "infinity";

impl Serialize for Until {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Lifted => serializer.serialize_str(INFINITY),
            Self::Time(stamp) => stamp.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == INFINITY {
            return Ok(Self::Lifted);
        }
        let stamp = Stamp::parse(&text).map(Self::Time);
        stamp.ok_or_else(|| {
            let wanted = "expected \"infinity\" or a time such as 2026-11-21T10:00:00Z (RFC 3339)";
            serde::de::Error::custom(format!("{text:?}: {wanted}"))
        })
    }
}
