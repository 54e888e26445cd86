//! `$CONTROL/dynamic-security/v1`: users, groups and roles of the built-in database, by the words
//! of Mosquitto's plugin, so that `mosquitto_ctrl` goes on.
//!
//! Each change is made as the API makes it, with its line in the audit log before it. What the
//! database has no place for is refused and said, never passed over.
//!
//! | module | owns |
//! |---|---|
//! | `args` | what stands in a command |
//! | `desk` | one order: who gives it, its lines in the audit log, what follows |
//! | `clients` | commands about clients, which are users here |
//! | `groups` | commands about groups |
//! | `roles` | commands about roles and their ACLs, and what holds without one |

mod args;
mod clients;
mod desk;
mod groups;
mod roles;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::orders::{Clerk, Outcome, Received};
use args::{Args, Wrong};
use desk::Desk;

/// Where orders are published.
pub(super) const TOPIC: &str = "$CONTROL/dynamic-security/v1";
/// Where answers are.
pub(super) const ANSWERS: &str = "$CONTROL/dynamic-security/v1/response";
/// Most commands of an order.
const COMMANDS: usize = 100;
/// Bytes of what is listed in an answer. What goes beyond is not listed.
const LISTED: usize = 1024 * 1024;

/// Carries out an order of a client.
pub(super) fn carry_out(clerk: &Clerk, order: &Received) -> Outcome {
    let desk = Desk::new(
        clerk.steer.doors.access(),
        &clerk.audit,
        (&order.who, &order.from),
    );
    let answer = answer(&desk, order.payload.reveal(), &|| clerk.is_ending());
    Outcome {
        answer: answer.to_string().into_bytes(),
        then: desk.then(),
    }
}

/// What is answered to an order, whose commands are carried out one after the other.
fn answer(desk: &Desk<'_>, payload: &[u8], is_ending: &dyn Fn() -> bool) -> Value {
    let unknown = |why: &str| json!({ "command": "Unknown command", "error": why });
    let alone = |why: &str| json!({ "responses": [unknown(why)] });
    let Ok(order) = serde_json::from_slice::<Value>(payload) else {
        return alone("Payload not valid JSON");
    };
    let Some(commands) = order.get("commands").and_then(Value::as_array) else {
        return alone("Invalid/missing commands");
    };
    if commands.len() > COMMANDS {
        return alone(&format!(
            "At most {COMMANDS} commands at once; nothing is done"
        ));
    }
    let mut room = LISTED;
    let mut responses = Vec::new();
    for command in commands {
        let Some(fields) = command.as_object() else {
            responses.push(unknown("Command not an object"));
            continue;
        };
        let Some(name) = fields.get("command").and_then(Value::as_str) else {
            responses.push(unknown("Missing command"));
            continue;
        };
        let done = match is_ending() {
            true => Err(Wrong::failed("The server is ending; this is not done")),
            false => carry_out_one(desk, name, &Args::new(fields)),
        };
        responses.push(response(name, fields, done, &mut room));
    }
    json!({ "responses": responses })
}

fn response(
    name: &str,
    fields: &Map<String, Value>,
    done: Result<Option<Value>, Wrong>,
    room: &mut usize,
) -> Value {
    let mut response = json!({ "command": name });
    let says = match done {
        Ok(None) => None,
        Ok(Some(data)) => {
            let size = data.to_string().len();
            match room.checked_sub(size) {
                Some(left) => {
                    *room = left;
                    Some(("data", data))
                }
                None => {
                    let words = "The answer is too long; ask for less with count and offset";
                    Some(("error", words.into()))
                }
            }
        }
        Err(wrong) => Some(("error", wrong.to_string().into())),
    };
    if let Some((key, value)) = says {
        response[key] = value;
    }
    if let Some(Value::String(own)) = fields.get("correlationData") {
        response["correlationData"] = own.as_str().into();
    }
    response
}

fn carry_out_one(desk: &Desk<'_>, name: &str, args: &Args<'_>) -> Result<Option<Value>, Wrong> {
    let nothing = |()| None;
    match name {
        "createClient" => desk.create_client(args).map(nothing),
        "deleteClient" => desk.delete_client(args).map(nothing),
        "enableClient" => desk.enable_client(args).map(nothing),
        "disableClient" => desk.disable_client(args).map(nothing),
        "setClientId" => desk.set_client_id(args).map(nothing),
        "setClientPassword" => desk.set_client_password(args).map(nothing),
        "modifyClient" => desk.modify_client(args).map(nothing),
        "addClientRole" => desk.add_client_role(args).map(nothing),
        "removeClientRole" => desk.remove_client_role(args).map(nothing),
        "getClient" => desk.client(args).map(Some),
        "listClients" => desk.clients(args).map(Some),
        "createGroup" => desk.create_group(args).map(nothing),
        "deleteGroup" => desk.delete_group(args).map(nothing),
        "modifyGroup" => desk.modify_group(args).map(nothing),
        "addGroupClient" => desk.add_group_client(args).map(nothing),
        "removeGroupClient" => desk.remove_group_client(args).map(nothing),
        "addGroupRole" => desk.add_group_role(args).map(nothing),
        "removeGroupRole" => desk.remove_group_role(args).map(nothing),
        "getGroup" => desk.group(args).map(Some),
        "listGroups" => desk.groups(args).map(Some),
        "getAnonymousGroup" => desk.anonymous_group(args).map(Some),
        "setAnonymousGroup" => Err(Wrong::says(
            "Clients without a name are in no group here; what they may do are rules of the \
             configuration: [[rule]] with anonymous = true",
        )),
        "createRole" => desk.create_role(args).map(nothing),
        "deleteRole" => desk.delete_role(args).map(nothing),
        "modifyRole" => desk.modify_role(args).map(nothing),
        "addRoleACL" => desk.add_role_acl(args).map(nothing),
        "removeRoleACL" => desk.remove_role_acl(args).map(nothing),
        "getRole" => desk.role(args).map(Some),
        "listRoles" => desk.roles(args).map(Some),
        "getDefaultACLAccess" => desk.default_access(args).map(Some),
        "setDefaultACLAccess" => desk.set_default_access(args).map(nothing),
        _ => Err(Wrong::says("Unknown command")),
    }
}
