//! The API over a real socket, in front of a server of the tests.

mod bounds;
mod calls;
mod fake;
mod house;
mod trail;
