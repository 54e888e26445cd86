//! The API over a real socket, in front of a server of the tests.

mod bounds;
mod calls;
mod contents;
mod fake;
mod figures;
pub(crate) mod house;
mod tools;
mod trail;
mod way;
