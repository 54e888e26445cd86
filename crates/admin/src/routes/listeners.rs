//! Doors, their certificates, their figures.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::refusal::Refusal;
use crate::http::state::State;
use crate::server::{CertificateRow, Listener};

/// All listeners.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct AllListeners {
    /// In the order of the configuration.
    data: Vec<Listener>,
}

/// List listeners
#[utoipa::path(get, path = "/api/v5/listeners", tag = "Server", operation_id = "listeners.list",
    responses((status = 200, description = "All listeners", body = AllListeners)))]
pub(super) async fn list(Extract(state): Extract<State>) -> Json<AllListeners> {
    let data = state.server().listeners().listeners();
    Json(AllListeners { data })
}

/// All certificates.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct AllCertificates {
    /// By listener, in the order of the configuration.
    data: Vec<CertificateRow>,
}

/// List the server's certificates
#[utoipa::path(get, path = "/api/v5/certificates", tag = "Server", operation_id = "certificates.list",
    responses((status = 200, description = "What listeners and the dashboard show", body = AllCertificates)))]
pub(super) async fn certificates(
    Extract(state): Extract<State>,
) -> Result<Json<AllCertificates>, Refusal> {
    let rows = state.wait(|state| Ok(state.server().listeners().certificates()));
    let data = rows.await?;
    Ok(Json(AllCertificates { data }))
}
