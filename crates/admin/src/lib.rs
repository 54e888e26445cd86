//! The control plane: an HTTP API on a Unix control socket and, with the dashboard, on a port; the
//! audit log; recent denials.
//!
//! **Never:** no work on a worker (what only workers know is asked by mail, and answered later), no
//! state of the broker's, no change that is not in the audit log first, no answer without a bound,
//! no route without a line in the one table that says who may call it. Passwords are in no
//! answer, no log and no `Debug` (S71); nothing here loads code (S94).
//!
//! Entry types: [`Api::start`] with a [`Server`], and [`client::Client`] for the command line.
//!
//! | module | owns |
//! |---|---|
//! | [`api`] | [`Api`]: the thread that serves |
//! | [`server`] | [`Server`]: what the API needs of the running server, subject by subject |
//! | [`audit`] | [`Audit`]: who changed what, as lines of JSON |
//! | [`alarms`] | [`Alarms`]: what is wrong, raised and cleared |
//! | [`history`] | [`History`](history::History): what the server did lately, bounded |
//! | [`denials`] | [`Denials`]: the newest ones, bounded, never in a worker's way |
//! | [`client`] | [`client::Client`]: asks a running server, for the command line |
//! | [`failure`] | [`Failure`]: why the server did not do what it was asked |
//! | [`problem`] | [`Problem`]: why the API cannot start |
//! | [`page`] | [`Page`], [`Listed`], [`Rows`], [`Piece`], [`Pieces`]: lists in pieces |
//! | [`password`] | [`Password`]: comes in, never goes out |
//! | [`stamp`] | [`Stamp`]: a point in time, as people and scripts write it |
//! | [`staff`] | who may use the API from elsewhere: administrators, keys, tokens |
//! | [`web`] | the port of the dashboard: whom it lets as far as the routes |
//! | [`import`] | users from a file of Mosquitto's or from CSV |
//! | [`openapi`](openapi()) | the API as an OpenAPI document |
//! | `caller` | who calls, and what he may |
//! | `control` | the control socket |
//! | `scrape` | the port of metrics |
//! | [`metrics`] | the one table of metrics, and the forms in which they are told |
//! | `http` | connections, bounds, permission, audit: what is the same for each route |
//! | `routes` | the one table of routes, and a module for each subject |

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

pub mod alarms;
pub mod api;
pub mod audit;
mod caller;
#[cfg(unix)]
pub mod client;
#[cfg(unix)]
mod control;
pub mod denials;
pub mod failure;
pub mod history;
mod http;
pub mod import;
pub mod metrics;
pub mod page;
pub mod password;
pub mod problem;
mod routes;
#[cfg(unix)]
mod scrape;
pub mod server;
pub mod staff;
pub mod stamp;
#[cfg(all(test, unix))]
pub(crate) mod tests;
pub mod web;

pub use alarms::Alarms;
pub use api::{Api, Settings};
pub use audit::{Audit, Record};
pub use denials::Denials;
pub use failure::Failure;
pub use page::{Listed, Page, Piece, Pieces, Rows};
pub use password::Password;
pub use problem::Problem;
pub use routes::docs::openapi;
pub use server::{Answer, Server};
pub use stamp::Stamp;
