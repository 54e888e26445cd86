//! Decisions about who may do what that need no I/O.
//!
//! **Never:** no waiting, no files, no network; what needs them lives in front of the broker
//! and comes back as a ticket. This crate holds the shapes of the questions and the policies
//! that are answered on the spot.
//!
//! | module | owns |
//! |---|---|
//! | [`identity`] | [`Identity`]: who a session belongs to |
//! | [`policy`] | [`Policy`]: the questions; [`Open`]: the answers without configuration |
//! | [`mechanism`] | [`Mechanism`]: enhanced authentication (MQTT 5.0, 4.12) |

pub mod identity;
pub mod mechanism;
pub mod policy;

pub use identity::Identity;
pub use mechanism::{Exchange, Mechanism, Step};
pub use policy::{Access, Credentials, Open, Policy};
