//! The API as an OpenAPI document, from the routes and types themselves.

use axum::Json;
use utoipa::OpenApi;

use super::{
    alarms, audit, authentication, bans, bridges, clients, configuration, denials, drops, events,
    explain, figures, groups, health, listeners, publish, retained, roles, session, slow, staff,
    status, store, subscriptions, timeline, tools, topics, traces, users,
};
use crate::http::refusal::Trouble;

/// The API as an OpenAPI document, as `docs/openapi.json` has it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// This document
#[utoipa::path(get, path = "/api/v5/api-docs.json", tag = "Server", operation_id = "api-docs",
    responses((status = 200, description = "This document")))]
pub(super) async fn show() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi())
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Nightjar",
        description = "What can be seen and changed of a running server. Lists answer \
            `{data, meta}`, with `page` from 1 and `limit` rows, long ones with a `cursor`; what goes wrong is \
            `{code, message}`. Every attempt to change something is a line of the audit log."
    ),
    paths(
        session::needed,
        session::set_up,
        session::login,
        session::logout,
        session::me,
        staff::list,
        staff::create,
        staff::change,
        staff::remove,
        staff::change_password,
        staff::list_keys,
        staff::create_key,
        staff::change_key,
        staff::remove_key,
        status::show,
        store::show,
        show,
        bridges::list,
        bridges::show,
        bridges::restart,
        bridges::enable,
        bridges::disable,
        listeners::list,
        listeners::certificates,
        configuration::show,
        configuration::check,
        configuration::apply,
        configuration::versions,
        configuration::rollback,
        tools::level,
        tools::set_level,
        tools::export,
        alarms::list,
        alarms::forget,
        figures::overview,
        figures::monitor,
        figures::current,
        figures::stats,
        figures::metrics,
        figures::nodes,
        figures::prometheus,
        figures::prometheus_stats,
        events::follow,
        health::live,
        health::ready,
        audit::list,
        authentication::show,
        authentication::purge,
        users::list,
        users::create,
        users::import,
        users::show,
        users::change,
        users::remove,
        users::set_groups,
        groups::list,
        groups::show,
        groups::set,
        groups::remove,
        roles::list,
        roles::show,
        roles::set,
        roles::remove,
        explain::explain,
        denials::list,
        denials::clear,
        bans::list,
        bans::create,
        bans::show,
        bans::remove,
        clients::list,
        clients::subscriptions,
        clients::show,
        clients::kick,
        clients::kick_all,
        clients::subscribe,
        clients::unsubscribe,
        clients::mqueue,
        clients::inflight,
        subscriptions::list,
        subscriptions::matching,
        subscriptions::groups,
        retained::list,
        retained::show,
        retained::remove,
        retained::clear,
        publish::publish,
        publish::bulk,
        timeline::show,
        topics::list,
        topics::last,
        drops::show,
        slow::list,
        slow::clear,
        traces::list,
        traces::start,
        traces::stop,
        traces::remove,
        traces::log,
        traces::download,
    ),
    components(schemas(Trouble))
)]
struct Document;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::routes::TABLE;

    #[test]
    fn the_committed_document_is_this_one() {
        let text = format!("{}\n", openapi().to_pretty_json().unwrap());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        if std::env::var_os("NIGHTJAR_WRITE_DOCS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "docs/openapi.json is old; `make docs` writes it anew"
        );
    }

    #[test]
    fn the_document_has_each_route_of_the_table_and_no_other() {
        let document = serde_json::to_value(openapi()).unwrap();
        let methods = |(path, item): (&String, &Value)| -> Vec<String> {
            let methods = item.as_object().unwrap().keys();
            methods.map(|method| format!("{method} {path}")).collect()
        };
        let paths = document["paths"].as_object().unwrap();
        let documented: BTreeSet<String> = paths.iter().flat_map(methods).collect();
        let wanted = documented.len();
        assert_eq!(wanted, TABLE.len());
        for route in TABLE {
            let found = documented
                .iter()
                .any(|one| one.ends_with(&format!(" {}", route.path)));
            assert!(found, "{}", route.path);
        }
    }
}
