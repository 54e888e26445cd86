//! What is the same for each route.
//!
//! | module | owns |
//! |---|---|
//! | [`serve`] | connections: how many, how large a header, how long idle, how they end |
//! | [`crowd`] | places that one cannot take all |
//! | [`progress`] | a stream whose other side has to take what is written |
//! | [`guard`] | a request before and after its route: permission, how many, how long, audit |
//! | [`state`] | [`State`](state::State): what routes work with |
//! | [`input`] | what comes in: bodies, queries, names; what is wrong with it in plain words |
//! | [`refusal`] | [`Refusal`](refusal::Refusal): what is answered when something is wrong |
//! | [`upload`] | a body that is read as it comes |
//! | [`unsent`] | answers that nobody has read yet: bounded in bytes |
//! | [`download`] | a body that is written as it goes |

pub(crate) mod crowd;
pub(crate) mod download;
pub(crate) mod guard;
pub(crate) mod input;
#[cfg(unix)]
pub(crate) mod progress;
pub(crate) mod refusal;
#[cfg(unix)]
pub(crate) mod serve;
pub(crate) mod state;
pub(crate) mod unsent;
pub(crate) mod upload;
