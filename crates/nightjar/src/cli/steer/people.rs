//! `nightjar user` and `nightjar group`.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use admin::client::escaped;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::password;
use super::{Way, end, time, word};

const USERS: &str = "/authentication/database/users";
pub(super) const GROUPS: &str = "/authorization/groups";

/// Users of the built-in database
///
/// A change acts at once: who is disabled, removed or gets another password is disconnected.
#[derive(Args, Debug)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    task: UserTask,
}

#[derive(Debug, Subcommand)]
enum UserTask {
    /// List users
    List {
        /// Only names that contain this
        #[arg(long, value_name = "TEXT")]
        like: Option<String>,
        /// Only members of this group
        #[arg(long, value_name = "NAME")]
        group: Option<String>,
        #[command(flatten)]
        way: Way,
    },
    /// Show a user
    Show {
        /// Name
        name: String,
        #[command(flatten)]
        way: Way,
    },
    /// Make a user; the password is asked for, or read from standard input
    Add {
        /// Name
        name: String,
        #[command(flatten)]
        belongs: Belongs,
        /// May do everything that is not the server's own
        #[arg(long)]
        superuser: bool,
        /// Is not let in before it is enabled
        #[arg(long)]
        disabled: bool,
        #[command(flatten)]
        way: Way,
    },
    /// Change a user: what is not named stays
    Set {
        /// Name
        name: String,
        #[command(flatten)]
        belongs: Belongs,
        /// Another password: it is asked for, or read from standard input
        #[arg(long)]
        password: bool,
        /// May do everything that is not the server's own
        #[arg(long, value_name = "yes|no", value_parser = yes_or_no)]
        superuser: Option<bool>,
        /// Is let in
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
        /// Is not let in, and is disconnected
        #[arg(long)]
        disable: bool,
        #[command(flatten)]
        way: Way,
    },
    /// Remove a user
    Remove {
        /// Name
        name: String,
        #[command(flatten)]
        way: Way,
    },
    /// Take users from a file: of mosquitto_passwd, or CSV; all of them, or none
    Import {
        /// The file
        file: PathBuf,
        /// How it is written [default: by its name]
        #[arg(long)]
        format: Option<Format>,
        /// What becomes of users that exist
        #[arg(long, default_value = "refuse")]
        existing: Existing,
        #[command(flatten)]
        way: Way,
    },
}

#[derive(Args, Debug)]
struct Belongs {
    /// Groups that the user is in, from now on these only; may be repeated, "" for none
    #[arg(long, value_name = "NAME")]
    group: Option<Vec<String>>,
    /// Roles beside those of the groups, the same
    #[arg(long, value_name = "NAME")]
    role: Option<Vec<String>>,
    /// The only client identifier that may be used with the password; "" for any
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Mosquitto,
    Csv,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Existing {
    /// Nothing is imported
    Refuse,
    /// They stay as they are
    Keep,
    /// They become what the file says
    Replace,
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("expected yes or no".into()),
    }
}

/// Does what `nightjar user` is asked for.
pub(crate) fn user(args: UserArgs) -> ExitCode {
    end(match args.task {
        UserTask::List { like, group, way } => list_users(&way, like, group),
        UserTask::Show { name, way } => show_user(&way, &name),
        UserTask::Add {
            name,
            belongs,
            superuser,
            disabled,
            way,
        } => add_user(&way, &name, belongs, superuser, disabled),
        UserTask::Set {
            name,
            belongs,
            password,
            superuser,
            enable,
            disable,
            way,
        } => {
            let disabled = (enable || disable).then_some(disable);
            set_user(&way, &name, belongs, password, superuser, disabled)
        }
        UserTask::Remove { name, way } => {
            let gone = way.ask("DELETE", &one(USERS, &name), None);
            gone.and_then(|answer| way.done(&answer, "The user is gone."))
        }
        UserTask::Import {
            file,
            format,
            existing,
            way,
        } => import(&way, file, format, existing),
    })
}

fn one(list: &str, name: &str) -> String {
    format!("{list}/{}", escaped(name))
}

fn list_users(way: &Way, like: Option<String>, group: Option<String>) -> Result<(), Failure> {
    let query = super::way::given([("like_user_id", &like), ("group", &group)]);
    let head = ["NAME", "GROUPS", "ROLES", "SUPERUSER", "ENABLED", "CHANGED"];
    way.list(way.rows(USERS, &query, None)?, head, |row| {
        [
            word(row, "user_id"),
            word(row, "groups"),
            word(row, "roles"),
            word(row, "is_superuser"),
            enabled(row).into(),
            time(row, "changed_at"),
        ]
    })
}

fn enabled(user: &Value) -> &'static str {
    match user.get("disabled") {
        Some(Value::Bool(true)) => "no",
        _ => "yes",
    }
}

fn show_user(way: &Way, name: &str) -> Result<(), Failure> {
    let user = way.ask("GET", &one(USERS, name), None)?;
    way.show(&user, |user| {
        format!(
            "name       {}\ngroups     {}\nroles      {}\nsuperuser  {}\nenabled    {}\n\
             client     {}\ncreated    {}\nchanged    {}\n",
            word(user, "user_id"),
            word(user, "groups"),
            word(user, "roles"),
            word(user, "is_superuser"),
            enabled(user),
            match word(user, "client_id").as_str() {
                "" => "any",
                only => only,
            },
            time(user, "created_at"),
            time(user, "changed_at"),
        )
    })
}

fn add_user(
    way: &Way,
    name: &str,
    belongs: Belongs,
    superuser: bool,
    disabled: bool,
) -> Result<(), Failure> {
    let body = json!({
        "user_id": name,
        "password": password::new(&format!("Password of {name}"))?.to_text()?,
        "is_superuser": superuser,
        "disabled": disabled,
        "client_id": belongs.client_id,
        "groups": names(belongs.group).unwrap_or_default(),
        "roles": names(belongs.role).unwrap_or_default(),
    });
    let user = way.ask("POST", USERS, Some(&body))?;
    way.done(&user, "The user is there.")?;
    unknown(way, &body)?;
    unasked(way)
}

/// Notes groups and roles of a user or a group that are not there: they give nothing before they are.
fn unknown(way: &Way, body: &Value) -> Result<(), Failure> {
    for (key, list, what) in [
        ("groups", GROUPS, "group"),
        ("roles", super::role::ROLES, "role"),
    ] {
        let named = body.get(key).and_then(Value::as_array);
        let named = named.filter(|named| !named.is_empty());
        let Some(named) = named else { continue };
        let known = way.rows(list, &[], None)?;
        let is_known = |name: &Value| known.iter().any(|one| one.get("name") == Some(name));
        for name in named.iter().filter(|name| !is_known(name)) {
            let name = super::shown(name);
            eprintln!("note: there is no {what} {name:?}; it gives nothing before it is made");
        }
    }
    Ok(())
}

/// Notes that nobody asks the built-in database.
fn unasked(way: &Way) -> Result<(), Failure> {
    let answer = way.ask("GET", "/configs", None)?;
    let values = answer.get("values").and_then(Value::as_array);
    if !values.into_iter().flatten().any(asks_database) {
        eprintln!(
            "note: no [[authentication]] of the configuration has type = \"database\" (or \
             \"scram\"): nobody comes in as this user before one has"
        );
    }
    Ok(())
}

fn asks_database(told: &Value) -> bool {
    let key = word(told, "key");
    let is_type = key.starts_with("authentication[") && key.ends_with("].type");
    is_type && matches!(word(told, "value").trim_matches('"'), "database" | "scram")
}

fn set_user(
    way: &Way,
    name: &str,
    belongs: Belongs,
    password: bool,
    superuser: Option<bool>,
    disabled: Option<bool>,
) -> Result<(), Failure> {
    let mut body = serde_json::Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.into(), value);
        }
    };
    put("client_id", belongs.client_id.map(Value::from));
    put("groups", names(belongs.group).map(Value::from));
    put("roles", names(belongs.role).map(Value::from));
    put("is_superuser", superuser.map(Value::from));
    put("disabled", disabled.map(Value::from));
    if password {
        let new = password::new(&format!("New password of {name}"))?;
        put("password", Some(new.to_text()?.into()));
    }
    if body.is_empty() {
        let words = "nothing to change: name --password, --group, --role, --client-id, \
                     --superuser, --enable or --disable";
        return Err(Failure::new(words));
    }
    let body = body.into();
    let user = way.ask("PUT", &one(USERS, name), Some(&body))?;
    way.done(&user, "The user is changed.")?;
    unknown(way, &body)
}

/// Names that were given; one empty one is none.
fn names(given: Option<Vec<String>>) -> Option<Vec<String>> {
    let names = given?.into_iter().filter(|name| !name.is_empty());
    Some(names.collect())
}

fn import(
    way: &Way,
    path: PathBuf,
    format: Option<Format>,
    existing: Existing,
) -> Result<(), Failure> {
    let unread = |error| Failure::new(format!("{}: {error}", path.display()));
    let mut file = File::open(&path).map_err(unread)?;
    let length = file.metadata().map_err(unread)?.len();
    let by_name = || match path.extension().is_some_and(|ending| ending == "csv") {
        true => Format::Csv,
        false => Format::Mosquitto,
    };
    let format = match format.unwrap_or_else(by_name) {
        Format::Mosquitto => "mosquitto",
        Format::Csv => "csv",
    };
    let existing = match existing {
        Existing::Refuse => "refuse",
        Existing::Keep => "keep",
        Existing::Replace => "replace",
    };
    let path = format!("{USERS}/import?format={format}&existing={existing}");
    let imported = way.upload(&path, &mut file, length)?;
    let words = format!(
        "{} made, {} replaced, {} kept.",
        word(&imported, "created"),
        word(&imported, "replaced"),
        word(&imported, "kept")
    );
    way.done(&imported, &words)
}

/// Groups of users: a name for roles
#[derive(Args, Debug)]
pub(crate) struct GroupArgs {
    #[command(subcommand)]
    task: GroupTask,
}

#[derive(Debug, Subcommand)]
enum GroupTask {
    /// List groups
    List {
        #[command(flatten)]
        way: Way,
    },
    /// Make a group, or give one other roles
    Set {
        /// Name
        name: String,
        /// Roles that its members have, from now on these only; may be repeated
        #[arg(long, value_name = "NAME")]
        role: Vec<String>,
        #[command(flatten)]
        way: Way,
    },
    /// Remove a group: its members lose what its roles gave them
    Remove {
        /// Name
        name: String,
        #[command(flatten)]
        way: Way,
    },
}

/// Does what `nightjar group` is asked for.
pub(crate) fn group(args: GroupArgs) -> ExitCode {
    end(match args.task {
        GroupTask::List { way } => way.rows(GROUPS, &[], None).and_then(|rows| {
            way.list(rows, ["NAME", "ROLES", "MEMBERS"], |row| {
                [word(row, "name"), word(row, "roles"), word(row, "members")]
            })
        }),
        GroupTask::Set { name, role, way } => {
            let body = json!({ "roles": names(Some(role)) });
            let made = way.ask("PUT", &one(GROUPS, &name), Some(&body));
            let said = made.and_then(|answer| way.done(&answer, "The group is there."));
            said.and_then(|()| unknown(&way, &body))
        }
        GroupTask::Remove { name, way } => {
            let gone = way.ask("DELETE", &one(GROUPS, &name), None);
            gone.and_then(|answer| way.done(&answer, "The group is gone."))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_the_database_is_seen() {
        let told = |key: &str, value: &str| asks_database(&json!({ "key": key, "value": value }));
        assert!(told("authentication[database].type", "\"database\""));
        assert!(told("authentication[2].type", "scram"));
        assert!(!told("authentication[a].type", "\"passwords\""));
        assert!(!told("authentication[a].name", "\"database\""));
    }
}
