//! What stands in the place of `fetched` in a build without the feature `http`: nothing is fetched.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::keys::Keys;
use crate::Problem;
use crate::settings::{Address, Tls};

/// Keys that somebody else keeps, which nobody can have here.
#[derive(Debug)]
pub(super) struct Fetched(Infallible);

impl Fetched {
    pub(super) fn new(_: &Address, _: Duration, _: &Tls) -> Result<Self, Problem> {
        let why = "this build fetches no keys (Cargo feature `http`); name a file of them";
        Err(Problem::new(why))
    }

    pub(super) async fn keys(&self) -> Result<Arc<Keys>, Arc<str>> {
        match self.0 {}
    }

    pub(super) async fn newer(&self, _: Arc<Keys>) -> Arc<Keys> {
        match self.0 {}
    }
}
