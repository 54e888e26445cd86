//! Why.

use axum::Json;
use axum::extract::State as Extract;

use super::check;
use crate::http::input::Body;
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::server::explain::Wish;
use crate::server::{ExplainRequest, Explained};

/// Ask why
///
/// What would be said to a client that wants something, the rule that decides, the limits that it
/// would meet, and who would get the message. Nothing is changed by it.
#[utoipa::path(post, path = "/api/v5/authorization/explain", tag = "Authorization",
    operation_id = "explain", request_body = ExplainRequest,
    responses((status = 200, description = "What would be said, and why", body = Explained),
        (status = 400, body = Trouble, description = "A topic or an address is none")))]
pub(super) async fn explain(
    Extract(state): Extract<State>,
    Body(request): Body<ExplainRequest>,
) -> Result<Json<Explained>, Refusal> {
    match request.action {
        Wish::Connect if request.topic.is_empty() => {}
        Wish::Connect => return Err(Refusal::bad("topic: who wants to connect names none")),
        Wish::Publish => check::topic(&request.topic)?,
        Wish::Subscribe => check::filter(&request.topic)?,
    }
    if request.clientid.is_empty() {
        return Err(Refusal::bad("clientid: it is empty"));
    }
    if request.qos > 2 {
        return Err(Refusal::bad(format!(
            "qos: {} is not 0, 1 or 2",
            request.qos
        )));
    }
    Ok(Json(state.server().explain().explain(request).await?))
}
