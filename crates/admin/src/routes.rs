//! The one table of routes, and a module for each subject.

mod alarms;
mod audit;
mod authentication;
mod bans;
mod bridges;
pub(crate) mod check;
mod clients;
mod configuration;
mod denials;
pub(crate) mod docs;
mod drops;
mod events;
mod explain;
mod figures;
mod groups;
mod health;
mod listeners;
mod publish;
mod retained;
mod roles;
mod session;
mod slow;
mod staff;
mod status;
mod store;
mod subscriptions;
mod timeline;
mod tools;
mod topics;
mod traces;
mod users;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post, put};

use crate::caller::Rights;
use crate::http::guard::{Guard, guard, nothing, other_method};
use crate::http::state::State;

/// A route. There is none but those of the table, so that none is without rights to ask for.
#[derive(Debug)]
pub(crate) struct Route {
    /// Where, with names in braces.
    pub(crate) path: &'static str,
    /// The rights that a caller needs.
    pub(crate) rights: Rights,
    /// Whether it changes something.
    pub(crate) effect: Effect,
    /// What it does, for the audit log.
    pub(crate) operation: &'static str,
    /// How long it may take, if it is not as long as others.
    pub(crate) time_limit: Option<Duration>,
    serve: fn() -> MethodRouter<State>,
}

/// Whether a route changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It does not.
    None,
    /// It does: each attempt has a line in the audit log.
    Change,
}

/// Most bytes of a body, unless it is one that is read as it comes.
const BODY: usize = 1024 * 1024;

/// How long a route may take that uploads.
const SLOW: Duration = Duration::from_secs(600);

use Rights::{Admin, Operator, Owner, Stranger, Viewer};

#[rustfmt::skip]
pub(crate) const TABLE: &[Route] = &[
    // Who signs in is no change: the routes write a line for each attempt that counts.
    look("/api/v5/setup", Stranger, || get(session::needed)),
    look("/api/v5/setup", Stranger, || post(session::set_up)),
    look("/api/v5/login", Stranger, || post(session::login)),
    look("/api/v5/logout", Viewer, || post(session::logout)),
    look("/api/v5/me", Viewer, || get(session::me)),
    look("/api/v5/admins", Viewer, || get(staff::list)),
    change("/api/v5/admins", Owner, "admin.create", || post(staff::create)),
    change("/api/v5/admins/{username}", Owner, "admin.change", || put(staff::change)),
    change("/api/v5/admins/{username}", Owner, "admin.delete", || delete(staff::remove)),
    change("/api/v5/admins/{username}/change_pwd", Viewer, "admin.password", || post(staff::change_password)),
    look("/api/v5/api_key", Admin, || get(staff::list_keys)),
    change("/api/v5/api_key", Owner, "key.create", || post(staff::create_key)),
    change("/api/v5/api_key/{name}", Owner, "key.change", || put(staff::change_key)),
    change("/api/v5/api_key/{name}", Owner, "key.delete", || delete(staff::remove_key)),
    look("/api/v5/status", Viewer, || get(status::show)),
    look("/api/v5/store", Viewer, || get(store::show)),
    look("/api/v5/api-docs.json", Viewer, || get(docs::show)),
    look("/api/v5/authentication", Viewer, || get(authentication::show)),
    look("/api/v5/authentication/database/users", Viewer, || get(users::list)),
    change("/api/v5/authentication/database/users", Admin, "user.create", || post(users::create)),
    slow(change("/api/v5/authentication/database/users/import", Admin, "user.import", || {
        // It counts by itself, and is read as it comes.
        post(users::import).layer(DefaultBodyLimit::disable())
    })),
    look("/api/v5/authentication/database/users/{user_id}", Viewer, || get(users::show)),
    change("/api/v5/authentication/database/users/{user_id}", Admin, "user.change", || put(users::change)),
    change("/api/v5/authentication/database/users/{user_id}", Admin, "user.delete", || delete(users::remove)),
    change("/api/v5/authentication/database/users/{user_id}/groups", Admin, "user.groups", || put(users::set_groups)),
    look("/api/v5/authorization/groups", Viewer, || get(groups::list)),
    look("/api/v5/authorization/groups/{name}", Viewer, || get(groups::show)),
    change("/api/v5/authorization/groups/{name}", Admin, "group.put", || put(groups::set)),
    change("/api/v5/authorization/groups/{name}", Admin, "group.delete", || delete(groups::remove)),
    look("/api/v5/authorization/roles", Viewer, || get(roles::list)),
    look("/api/v5/authorization/roles/{name}", Viewer, || get(roles::show)),
    change("/api/v5/authorization/roles/{name}", Admin, "role.put", || put(roles::set)),
    change("/api/v5/authorization/roles/{name}", Admin, "role.delete", || delete(roles::remove)),
    look("/api/v5/authorization/explain", Viewer, || post(explain::explain)),
    look("/api/v5/authorization/denials", Viewer, || get(denials::list)),
    change("/api/v5/authorization/denials", Operator, "denials.clear", || delete(denials::clear)),
    change("/api/v5/authorization/cache", Operator, "cache.purge", || delete(authentication::purge)),
    look("/api/v5/banned", Viewer, || get(bans::list)),
    change("/api/v5/banned", Operator, "ban.create", || post(bans::create)),
    look("/api/v5/banned/{as}/{who}", Viewer, || get(bans::show)),
    change("/api/v5/banned/{as}/{who}", Operator, "ban.delete", || delete(bans::remove)),
    look("/api/v5/clients", Viewer, || get(clients::list)),
    look("/api/v5/clients/{clientid}/subscriptions", Viewer, || get(clients::subscriptions)),
    look("/api/v5/clients/{clientid}", Viewer, || get(clients::show)),
    change("/api/v5/clients/{clientid}", Operator, "client.kick", || delete(clients::kick)),
    change("/api/v5/clients/kickout/bulk", Operator, "client.kick", || post(clients::kick_all)),
    change("/api/v5/clients/{clientid}/subscribe", Operator, "client.subscribe", || post(clients::subscribe)),
    change("/api/v5/clients/{clientid}/unsubscribe", Operator, "client.unsubscribe", || post(clients::unsubscribe)),
    // Payloads are not for those who only look.
    look("/api/v5/clients/{clientid}/mqueue_messages", Operator, || get(clients::mqueue)),
    look("/api/v5/clients/{clientid}/inflight_messages", Operator, || get(clients::inflight)),
    look("/api/v5/subscriptions", Viewer, || get(subscriptions::list)),
    look("/api/v5/subscriptions/match", Viewer, || post(subscriptions::matching)),
    look("/api/v5/shared_groups", Viewer, || get(subscriptions::groups)),
    look("/api/v5/mqtt/retainer/messages", Viewer, || get(retained::list)),
    look("/api/v5/mqtt/retainer/message/{topic}", Operator, || get(retained::show)),
    change("/api/v5/mqtt/retainer/message/{topic}", Operator, "retained.delete", || delete(retained::remove)),
    slow(change("/api/v5/mqtt/retainer/delete", Operator, "retained.delete", || post(retained::clear))),
    change("/api/v5/publish", Operator, "message.publish", || {
        post(publish::publish).layer(DefaultBodyLimit::max(publish::BODY))
    }),
    change("/api/v5/publish/bulk", Operator, "message.publish", || {
        post(publish::bulk).layer(DefaultBodyLimit::max(publish::BODY))
    }),
    look("/api/v5/clients/{clientid}/timeline", Viewer, || get(timeline::show)),
    look("/api/v5/topics", Viewer, || get(topics::list)),
    look("/api/v5/topics/last", Operator, || get(topics::last)),
    look("/api/v5/drops", Viewer, || get(drops::show)),
    look("/api/v5/slow_subscriptions", Viewer, || get(slow::list)),
    change("/api/v5/slow_subscriptions", Operator, "slow.clear", || delete(slow::clear)),
    look("/api/v5/trace", Viewer, || get(traces::list)),
    change("/api/v5/trace", Operator, "trace.start", || post(traces::start)),
    change("/api/v5/trace/{name}/stop", Operator, "trace.stop", || put(traces::stop)),
    change("/api/v5/trace/{name}", Operator, "trace.delete", || delete(traces::remove)),
    look("/api/v5/trace/{name}/log", Viewer, || get(traces::log)),
    look("/api/v5/trace/{name}/download", Viewer, || get(traces::download)),
    look("/api/v5/listeners", Viewer, || get(listeners::list)),
    look("/api/v5/bridges", Viewer, || get(bridges::list)),
    look("/api/v5/bridges/{name}", Viewer, || get(bridges::show)),
    change("/api/v5/bridges/{name}/restart", Operator, "bridge.restart", || put(bridges::restart)),
    change("/api/v5/bridges/{name}/enable", Operator, "bridge.enable", || put(bridges::enable)),
    change("/api/v5/bridges/{name}/disable", Operator, "bridge.disable", || put(bridges::disable)),
    look("/api/v5/certificates", Viewer, || get(listeners::certificates)),
    look("/api/v5/configs", Viewer, || get(configuration::show)),
    // A text may name any file and any variable, and hears what is wrong with them (S97).
    look("/api/v5/configs/check", Owner, || post(configuration::check)),
    change("/api/v5/configs", Owner, "configuration.apply", || put(configuration::apply)),
    look("/api/v5/configs/versions", Viewer, || get(configuration::versions)),
    change("/api/v5/configs/rollback", Owner, "configuration.rollback", || post(configuration::rollback)),
    look("/api/v5/log/level", Viewer, || get(tools::level)),
    change("/api/v5/log/level", Admin, "log.level", || put(tools::set_level)),
    // There are payloads in it, and hashes of passwords.
    change("/api/v5/data/export", Owner, "data.export", || post(tools::export)),
    look("/api/v5/alarms", Viewer, || get(alarms::list)),
    change("/api/v5/alarms", Operator, "alarms.forget", || delete(alarms::forget)),
    look("/api/v5/overview", Viewer, || get(figures::overview)),
    look("/api/v5/monitor", Viewer, || get(figures::monitor)),
    look("/api/v5/monitor_current", Viewer, || get(figures::current)),
    look("/api/v5/stats", Viewer, || get(figures::stats)),
    look("/api/v5/metrics", Viewer, || get(figures::metrics)),
    look("/api/v5/nodes", Viewer, || get(figures::nodes)),
    look("/api/v5/prometheus/stats", Viewer, || get(figures::prometheus_stats)),
    look("/api/v5/events", Viewer, || get(events::follow)),
    look("/metrics", Viewer, || get(figures::prometheus)),
    look("/livez", Stranger, || get(health::live)),
    look("/readyz", Stranger, || get(health::ready)),
    look("/api/v5/audit", Admin, || get(audit::list)),
];

/// What the port of metrics serves, and nothing else.
pub(crate) const SCRAPED: &[&str] = &["/metrics", "/livez", "/readyz"];

/// What supervisors ask: it takes no place from anybody, waits for nothing, and is answered at once.
pub(crate) const PROBES: &[&str] = &["/livez", "/readyz"];

/// All routes, guarded.
pub(crate) fn router(state: &State) -> Router {
    guarded(state, |_| true)
}

/// The routes of the port of metrics, guarded.
pub(crate) fn scraped(state: &State) -> Router {
    guarded(state, |route| SCRAPED.contains(&route.path))
}

fn guarded(state: &State, is_wanted: impl Fn(&Route) -> bool) -> Router {
    let mut router = Router::new();
    for route in TABLE.iter().filter(|route| is_wanted(route)) {
        let state = state.clone();
        let layer = from_fn_with_state(Guard { state, route }, guard);
        router = router.route(route.path, (route.serve)().route_layer(layer));
    }
    router
        .layer(DefaultBodyLimit::max(BODY))
        .fallback(nothing)
        .method_not_allowed_fallback(other_method)
        .with_state(state.clone())
}

const fn look(path: &'static str, rights: Rights, serve: fn() -> MethodRouter<State>) -> Route {
    Route {
        path,
        rights,
        effect: Effect::None,
        operation: "",
        time_limit: None,
        serve,
    }
}

const fn change(
    path: &'static str,
    rights: Rights,
    operation: &'static str,
    serve: fn() -> MethodRouter<State>,
) -> Route {
    Route {
        path,
        rights,
        effect: Effect::Change,
        operation,
        time_limit: None,
        serve,
    }
}

const fn slow(route: Route) -> Route {
    Route {
        time_limit: Some(SLOW),
        ..route
    }
}
