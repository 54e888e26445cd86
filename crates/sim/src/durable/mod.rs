//! A server that is killed, loses its power and starts again, and what must be true of it then.
//!
//! | file | owns |
//! |---|---|
//! | `server` | [`Server`]: a universe, a store and a disk that outlives both |
//! | `story` | [`Story`]: one server for stories, with clients by hand |
//! | `plan` | [`Plan`]: what a run is made of |
//! | `client`, `speak`, `listen` | [`client::Client`]: a correct client that survives the server |
//! | `ledger` | [`ledger::Ledger`]: what was promised, and whether it is kept |
//! | `run`, `act` | [`Run`]: one run of a seed |

mod act;
pub mod client;
pub mod ledger;
mod listen;
mod plan;
mod run;
mod server;
mod speak;
mod story;

pub use self::plan::Plan;
pub use self::run::Run;
pub use self::server::{Server, Setup, Turn};
pub use self::story::{End, Story};
