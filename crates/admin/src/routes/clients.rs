//! Who is connected or away.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::check;

use crate::http::input::{Body, Named, Noted, Params, page};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::page::Pieces;
use crate::server::clients::ORDERED;
use crate::server::{
    Client, ClientFilter, ClientOrder, MessagePart, NewSubscription, QueuedMessage, Subscription,
};

/// Which clients.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Rows of a piece; 100 unless given.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
    /// `meta.cursor` of the piece before; not with `sort`.
    cursor: Option<String>,
    /// The page, from 1; only with `sort`.
    #[param(minimum = 1)]
    page: Option<u32>,
    /// The order: `clientid`, `connected_at`, `recv_msg`, `send_msg`, `mqueue_len` or
    /// `mqueue_dropped`; the greatest first with `-` before it. Then the list has pages, up to row
    /// 10000.
    sort: Option<String>,
    /// The client identifier contains this.
    like_clientid: Option<String>,
    /// Of this user.
    username: Option<String>,
    /// The name of the user contains this.
    like_username: Option<String>,
    /// Connected, and speaks this: `3` for MQTT 3.1, `4` for 3.1.1, `5` for 5.0.
    #[param(minimum = 3, maximum = 5)]
    proto_ver: Option<u8>,
    /// Connected from this address.
    ip_address: Option<String>,
    /// Connected by the listener of this name.
    listener: Option<String>,
    /// Connected, or away.
    #[param(inline)]
    conn_state: Option<ConnState>,
}

/// Whether a client is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ConnState {
    /// It is connected.
    Connected,
    /// Its session waits for it.
    Disconnected,
}

/// List clients
///
/// They are asked of the workers piece by piece: go on with `meta.cursor` while `meta.hasnext` is
/// true, also behind a piece that has fewer rows than asked for. Clients that come and go meanwhile
/// are listed or not. With `sort` the list has pages in place of cursors: each looks at all clients.
#[utoipa::path(get, path = "/api/v5/clients", tag = "Clients", operation_id = "clients.list",
    params(Wanted),
    responses((status = 200, description = "Some of the clients", body = Pieces<Client>),
        (status = 400, body = Trouble, description = "A number, cursor or name makes no sense")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Pieces<Client>>, Refusal> {
    let page = page(wanted.page, wanted.limit)?;
    let order = order(&wanted, page)?;
    let filter = ClientFilter {
        like: wanted.like_clientid,
        username: wanted.username,
        like_username: wanted.like_username,
        version: wanted.proto_ver,
        address: wanted.ip_address,
        listener: wanted.listener,
        connected: wanted.conn_state.map(|it| it == ConnState::Connected),
    };
    let clients = state.server().clients();
    if let Some(order) = order {
        let listed = clients.ordered_clients(filter, order, page).await?;
        return Ok(Json(Pieces::ordered(page, listed, ORDERED)));
    }
    let piece = clients.clients(filter, wanted.cursor, page.limit()).await?;
    Ok(Json(Pieces::new(page.rows(), piece)))
}

/// The order that is asked for, and that what is asked for goes together.
fn order(wanted: &Wanted, page: crate::Page) -> Result<Option<ClientOrder>, Refusal> {
    if wanted
        .proto_ver
        .is_some_and(|version| !(3..=5).contains(&version))
    {
        return Err(Refusal::bad("proto_ver: it is not 3, 4 or 5"));
    }
    let Some(sort) = &wanted.sort else {
        return match wanted.page {
            None | Some(1) => Ok(None),
            Some(_) => Err(Refusal::bad(
                "page: only with sort; go on with the cursor of the piece before",
            )),
        };
    };
    if wanted.cursor.is_some() {
        return Err(Refusal::bad(
            "cursor: not with sort; go on with the next page",
        ));
    }
    let limit = u64::try_from(page.limit()).unwrap_or(u64::MAX);
    if page.offset().saturating_add(limit) > ORDERED {
        let words = format!("page: an ordered list ends at row {ORDERED}; look for less");
        return Err(Refusal::bad(words));
    }
    let order = ClientOrder::parse(sort);
    let words = || format!("sort: {sort:?} is none of the orders that this list has");
    order.map(Some).ok_or_else(|| Refusal::bad(words()))
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Rows of a piece; 100 unless given.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
    /// `meta.cursor` of the piece before.
    cursor: Option<String>,
}

/// List the subscriptions of a client
#[utoipa::path(get, path = "/api/v5/clients/{clientid}/subscriptions", tag = "Clients",
    operation_id = "clients.subscriptions",
    params(("clientid" = String, Path, description = "The client identifier"), Part),
    responses((status = 200, description = "Some of its subscriptions", body = Pieces<Subscription>),
        (status = 400, body = Trouble, description = "A number or cursor makes no sense"),
        (status = 404, body = Trouble, description = "There is no such client")))]
pub(super) async fn subscriptions(
    Extract(state): Extract<State>,
    Named(clientid): Named<String>,
    Params(part): Params<Part>,
) -> Result<Json<Pieces<Subscription>>, Refusal> {
    let page = page(None, part.limit)?;
    let clients = state.server().clients();
    let piece = clients.subscriptions(clientid, part.cursor, page.limit());
    Ok(Json(Pieces::new(page.rows(), piece.await?)))
}

/// Show a client
#[utoipa::path(get, path = "/api/v5/clients/{clientid}", tag = "Clients",
    operation_id = "clients.show",
    params(("clientid" = String, Path, description = "The client identifier")),
    responses((status = 200, description = "The client, connected or away", body = Client),
        (status = 404, body = Trouble, description = "There is no such client")))]
pub(super) async fn show(
    Extract(state): Extract<State>,
    Named(clientid): Named<String>,
) -> Result<Json<Client>, Refusal> {
    Ok(Json(state.server().clients().client(clientid).await?))
}

/// Disconnect a client
///
/// Its session stays as long as it would. To keep it out, ban it.
#[utoipa::path(delete, path = "/api/v5/clients/{clientid}", tag = "Clients",
    operation_id = "clients.kick",
    params(("clientid" = String, Path, description = "The client identifier")),
    responses((status = 204, description = "The client is disconnected"),
        (status = 404, body = Trouble, description = "There is no such client")))]
pub(super) async fn kick(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(clientid): Named<String>,
) -> Result<StatusCode, Refusal> {
    // Who is not there has no line that says that he was disconnected.
    state.server().clients().client(clientid.clone()).await?;
    state.wait(move |_| record.acted()).await?;
    state.server().clients().kick(clientid).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Disconnect several clients
///
/// As disconnecting each of them. Clients that are not there are passed over.
#[utoipa::path(post, path = "/api/v5/clients/kickout/bulk", tag = "Clients",
    operation_id = "clients.kick-all", request_body = Vec<String>,
    responses((status = 204, description = "They are disconnected"),
        (status = 400, body = Trouble, description = "More than 1000 are named, or one twice")))]
pub(super) async fn kick_all(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Body(clients): Body<Vec<String>>,
) -> Result<StatusCode, Refusal> {
    if clients.is_empty() || clients.len() > TOGETHER {
        return Err(Refusal::bad(format!("name 1 to {TOGETHER} clients")));
    }
    let named = clients.clone();
    state.wait(move |_| record.done(None, Some(&named))).await?;
    for client in clients {
        state.server().clients().kick(client).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Most clients that are disconnected by one request.
const TOGETHER: usize = 1000;

/// A subscription for a client.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Subscribe {
    /// The filter, with `$share/name/` if there is one, as the server knows it.
    topic: String,
    /// The highest QoS.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2)]
    qos: u8,
    /// No Local: `true`, `false`, 1 or 0.
    #[serde(default, deserialize_with = "flag")]
    nl: bool,
    /// Retain As Published: `true`, `false`, 1 or 0.
    #[serde(default, deserialize_with = "flag")]
    rap: bool,
    /// Retain Handling.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2)]
    rh: u8,
}

/// Subscribe for a client
///
/// Through the same checks as if the client had asked, and as durable. The client has to be
/// connected; by MQTT it hears nothing of it but the messages, retained ones as `rh` says.
#[utoipa::path(post, path = "/api/v5/clients/{clientid}/subscribe", tag = "Clients",
    operation_id = "clients.subscribe", request_body = Subscribe,
    params(("clientid" = String, Path, description = "The client identifier")),
    responses((status = 200, description = "The client is subscribed", body = Subscribe),
        (status = 400, body = Trouble, description = "The filter or an option is none"),
        (status = 403, body = Trouble, description = "The client may not subscribe to this"),
        (status = 404, body = Trouble, description = "The client is not connected"),
        (status = 503, body = Trouble, description = "There is no room for it now")))]
pub(super) async fn subscribe(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(clientid): Named<String>,
    Body(wish): Body<Subscribe>,
) -> Result<Json<Subscribe>, Refusal> {
    check::filter(&wish.topic)?;
    for (what, bits) in [("qos", wish.qos), ("rh", wish.rh)] {
        if bits > 2 {
            return Err(Refusal::bad(format!("{what}: {bits} is not 0, 1 or 2")));
        }
    }
    let clients = || state.server().clients();
    clients().client(clientid.clone()).await?;
    let wanted = wish.clone();
    state
        .wait(move |_| record.done(None, Some(&wanted)))
        .await?;
    let new = NewSubscription {
        topic: wish.topic.clone(),
        qos: wish.qos,
        no_local: wish.nl,
        retain_as_published: wish.rap,
        retain_handling: wish.rh,
    };
    clients().subscribe(clientid, new).await?;
    Ok(Json(wish))
}

/// A subscription that ends.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Unsubscribe {
    /// The filter as the list of subscriptions shows it, with `$share/name/` if there is one.
    topic: String,
}

/// Take a subscription from a client
///
/// Connected or away. By MQTT it hears nothing of it.
#[utoipa::path(post, path = "/api/v5/clients/{clientid}/unsubscribe", tag = "Clients",
    operation_id = "clients.unsubscribe", request_body = Unsubscribe,
    params(("clientid" = String, Path, description = "The client identifier")),
    responses((status = 204, description = "The client is not subscribed any more"),
        (status = 400, body = Trouble, description = "The filter is none"),
        (status = 404, body = Trouble, description = "There is no such client or subscription"),
        (status = 503, body = Trouble, description = "The server is behind")))]
pub(super) async fn unsubscribe(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(clientid): Named<String>,
    Body(wish): Body<Unsubscribe>,
) -> Result<StatusCode, Refusal> {
    check::filter(&wish.topic)?;
    let clients = || state.server().clients();
    clients().client(clientid.clone()).await?;
    let wanted = wish.clone();
    state
        .wait(move |_| record.done(Some(&wanted), None))
        .await?;
    clients().unsubscribe(clientid, wish.topic).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which messages of a client.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Behind {
    /// Most messages; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `meta.last` of the piece before.
    after: Option<u32>,
}

/// Messages of a client.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct ClientMessages {
    /// They, in order.
    data: Vec<QueuedMessage>,
    /// Where they are.
    meta: Reached,
}

/// Where messages are in the queue.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Reached {
    /// What to ask with for the next piece; absent if this was all.
    last: Option<u64>,
    /// How many there are in all.
    count: u64,
}

/// List the messages that wait for a client
///
/// The queue moves while it is looked at: what is asked for piece by piece may be shown twice, or
/// missed. Payloads are for operators, and cut at 4 KiB.
#[utoipa::path(get, path = "/api/v5/clients/{clientid}/mqueue_messages", tag = "Clients",
    operation_id = "clients.mqueue",
    params(("clientid" = String, Path, description = "The client identifier"), Behind),
    responses((status = 200, description = "Some of the messages", body = ClientMessages),
        (status = 400, body = Trouble, description = "A number makes no sense"),
        (status = 404, body = Trouble, description = "There is no such client")))]
pub(super) async fn mqueue(
    Extract(state): Extract<State>,
    Named(clientid): Named<String>,
    Params(behind): Params<Behind>,
) -> Result<Json<ClientMessages>, Refusal> {
    messages(&state, clientid, MessagePart::Waiting, &behind).await
}

/// List the messages on their way to a client
///
/// Sent at QoS 1 or 2 and not fully acknowledged. Payloads are for operators, and cut at 4 KiB.
#[utoipa::path(get, path = "/api/v5/clients/{clientid}/inflight_messages", tag = "Clients",
    operation_id = "clients.inflight",
    params(("clientid" = String, Path, description = "The client identifier"), Behind),
    responses((status = 200, description = "Some of the messages", body = ClientMessages),
        (status = 400, body = Trouble, description = "A number makes no sense"),
        (status = 404, body = Trouble, description = "There is no such client")))]
pub(super) async fn inflight(
    Extract(state): Extract<State>,
    Named(clientid): Named<String>,
    Params(behind): Params<Behind>,
) -> Result<Json<ClientMessages>, Refusal> {
    messages(&state, clientid, MessagePart::Inflight, &behind).await
}

/// Most messages of a piece: each has a payload.
const MESSAGES: u32 = 1000;

async fn messages(
    state: &State,
    clientid: String,
    part: MessagePart,
    behind: &Behind,
) -> Result<Json<ClientMessages>, Refusal> {
    let page = page(None, behind.limit)?;
    if page.rows() > MESSAGES {
        return Err(Refusal::bad(format!("limit: 1 to {MESSAGES} messages")));
    }
    let from = behind.after.unwrap_or(0);
    let place = usize::try_from(from).unwrap_or(usize::MAX);
    let clients = state.server().clients();
    let found = clients.messages(clientid, part, place, page.limit());
    let found = found.await?;
    let shown = u64::try_from(found.rows.len()).unwrap_or(u64::MAX);
    let last = u64::from(from).saturating_add(shown);
    Ok(Json(ClientMessages {
        meta: Reached {
            last: (shown > 0 && last < found.count).then_some(last),
            count: found.count,
        },
        data: found.rows,
    }))
}

/// A flag, as EMQX writes it or as JSON does.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Word(bool),
        Number(u8),
    }
    match Written::deserialize(deserializer)? {
        Written::Word(word) => Ok(word),
        Written::Number(number) if number <= 1 => Ok(number == 1),
        Written::Number(_) => Err(serde::de::Error::custom(
            "a flag: expected true, false, 1 or 0",
        )),
    }
}
