//! The configuration.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::caller::{Caller, Rights};
use crate::http::input::{Body, Noted};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::server::configuration::{Applied, Checked, Configs, Text, Version};

/// A configuration as text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Toml {
    /// The text of the file. `***` keeps the secret that is there.
    toml: String,
}

/// Which version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Back {
    /// Its number.
    version: u64,
}

/// Earlier configurations.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct AllVersions {
    /// The newest first.
    data: Vec<Version>,
}

/// Show the configuration
#[utoipa::path(get, path = "/api/v5/configs", tag = "Server", operation_id = "configs.show",
    responses((status = 200, description = "What holds, and from where", body = Configs,
        headers(("ETag" = String, description = "Stands for the text of the file")))))]
pub(super) async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
) -> Result<(HeaderMap, Json<Configs>), Refusal> {
    let text = match caller.rights >= Rights::Admin {
        true => Text::File,
        false => Text::Rendered,
    };
    let shown = state.wait(move |state| state.server().configuration().shown(text));
    let shown = shown.await?;
    let mut headers = HeaderMap::new();
    let etag = shown.etag.as_ref().map(|etag| format!("\"{etag}\""));
    if let Some(etag) = etag.and_then(|etag| etag.parse().ok()) {
        headers.insert(header::ETAG, etag);
    }
    Ok((headers, Json(shown)))
}

/// Check a configuration
#[utoipa::path(post, path = "/api/v5/configs/check", tag = "Server",
    operation_id = "configs.check", request_body = Toml,
    responses((status = 200, description = "What is wrong with it, or what it would change",
        body = Checked)))]
pub(super) async fn check(
    Extract(state): Extract<State>,
    Body(text): Body<Toml>,
) -> Result<Json<Checked>, Refusal> {
    let checked = state.wait(move |state| state.server().configuration().check(&text.toml));
    Ok(Json(checked.await?))
}

/// Replace the configuration
#[utoipa::path(put, path = "/api/v5/configs", tag = "Server", operation_id = "configs.apply",
    request_body = Toml,
    params(("If-Match" = Option<String>, Header,
        description = "The `ETag` of the file that the text was made from")),
    responses((status = 200, description = "What was changed", body = Applied),
        (status = 412, body = Trouble,
            description = "The file is another by now: somebody else has changed it"),
        (status = 400, body = Trouble,
            description = "The text is wrong, or the server has no configuration file"),
        (status = 503, body = Trouble, description = "The file cannot be written")))]
pub(super) async fn apply(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    caller: Caller,
    headers: HeaderMap,
    Body(text): Body<Toml>,
) -> Result<Json<Applied>, Refusal> {
    let basis = match headers.get(header::IF_MATCH).map(HeaderValue::to_str) {
        None | Some(Ok("*")) => None,
        Some(Ok(basis)) => Some(basis.to_owned()),
        Some(Err(_)) => return Err(Refusal::bad("If-Match: it is no text")),
    };
    let applied = state.wait(move |state| {
        let configuration = state.server().configuration();
        configuration.apply(&text.toml, basis.as_deref(), &caller.who, &record)
    });
    Ok(Json(applied.await?))
}

/// List earlier configurations
#[utoipa::path(get, path = "/api/v5/configs/versions", tag = "Server",
    operation_id = "configs.versions",
    responses((status = 200, description = "Earlier configurations", body = AllVersions)))]
pub(super) async fn versions(Extract(state): Extract<State>) -> Result<Json<AllVersions>, Refusal> {
    let versions = state.wait(move |state| state.server().configuration().versions());
    let data = versions.await?;
    Ok(Json(AllVersions { data }))
}

/// Return to an earlier configuration
#[utoipa::path(post, path = "/api/v5/configs/rollback", tag = "Server",
    operation_id = "configs.rollback", request_body = Back,
    responses((status = 200, description = "What was changed", body = Applied),
        (status = 404, body = Trouble, description = "There is no such version"),
        (status = 400, body = Trouble, description = "It does not fit any more")))]
pub(super) async fn rollback(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    caller: Caller,
    Body(back): Body<Back>,
) -> Result<Json<Applied>, Refusal> {
    let applied = state.wait(move |state| {
        let configuration = state.server().configuration();
        record.target(&back.version.to_string());
        configuration.rollback(back.version, &caller.who, &record)
    });
    Ok(Json(applied.await?))
}
