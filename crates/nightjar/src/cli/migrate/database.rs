//! `nightjar migrate --from-db`: a database of Mosquitto becomes a store, or an export.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use config::{Config, Setting, Sources};
use mosquitto::db::{Database, Version};
use types::Durability;

use super::lines;
use super::plan::{Losses, Owners, Plan, Stop};
use super::route::{Routes, route};
use crate::cli::part::Part;
use crate::cli::store;
use crate::{origin, storage};

/// Where it goes.
#[derive(Args, Debug)]
pub(super) struct Target {
    /// Configuration file, of ours or of Mosquitto: it names the data folder, and says whether the
    /// names of users are checked
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    pub(super) config: Option<PathBuf>,
    /// The server's data folder
    #[arg(short, long, value_name = "FOLDER", conflicts_with = "file")]
    pub(super) data_dir: Option<PathBuf>,
}

/// What becomes of a database, and whose its sessions become.
#[derive(Args, Debug)]
pub(super) struct DatabaseArgs {
    /// With --from-db: write an export for `nightjar store import` in place of a store. With a
    /// mosquitto.conf: write the nightjar.toml into this file
    #[arg(
        short,
        long,
        value_name = "FILE",
        conflicts_with_all = ["from_dynsec", "data_dir"]
    )]
    output: Option<PathBuf>,
    /// Whose the sessions become: of the user whose name the client gave, or nobody's in
    /// particular. Without it as the configuration says: `user`, if it has an [[authentication]]
    #[arg(long, value_name = "WHOSE", requires = "from_db")]
    owner: Option<Owner>,
    /// Users of sessions whose names are not in the database, or other ones: in each line a client
    /// identifier, a tab, and a user, or nothing for nobody in particular
    #[arg(long, value_name = "FILE", requires = "from_db")]
    owners: Option<PathBuf>,
}

impl DatabaseArgs {
    /// Where to write to, if not into the store or to standard output.
    pub(super) fn output(&self) -> Option<&Path> {
        self.output.as_deref()
    }
}

/// Whose a session becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Owner {
    /// The user's that the client named
    User,
    /// Nobody's in particular
    Nobody,
}

/// By the command line and the configuration.
pub(super) struct Chosen {
    pub(super) owner: Owner,
    pub(super) named: HashMap<String, String>,
}

impl Owners for Chosen {
    fn owner(&self, client: &str, user: &str) -> Option<String> {
        let named = self.named.get(client).map(String::as_str);
        let said = match self.owner {
            Owner::User => user,
            Owner::Nobody => "",
        };
        let user = named.unwrap_or(said);
        (!user.is_empty()).then(|| user.to_owned())
    }
}

/// Does it.
pub(super) fn run(file: &Path, target: &Target, args: &DatabaseArgs) -> ExitCode {
    match bring(file, target, args) {
        Ok(done) => {
            print!("{}", done.words);
            eprint!("{}", done.losses);
            match done.is_whole {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(PARTLY),
            }
        }
        Err(words) => {
            eprintln!("{words}");
            ExitCode::FAILURE
        }
    }
}

/// What was done.
struct Done {
    words: String,
    losses: String,
    is_whole: bool,
}

fn bring(file: &Path, target: &Target, args: &DatabaseArgs) -> Result<Done, String> {
    let unread = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let opened = File::open(file).map_err(|error| unread(&error))?;
    let written = opened.metadata().and_then(|it| it.modified());
    let written = millis(written.map_err(|error| unread(&error))?);
    let now = millis(SystemTime::now());
    let mut database = Database::open(opened).map_err(|error| unread(&error))?;
    let version = database.version();
    let sources = sources(target);
    let origin = origin::load(&sources).map_err(|errors| errors.to_string())?;
    let config = origin.loaded.config;
    if args.output.is_none() && storage::rules(&config).strongest() == Durability::Memory {
        return Err(
            "this configuration keeps nothing (`persistence false`, or store.durability = \
                    \"memory\"), and would never look at what is brought along; change that \
                    first, or write an export with --output"
                .into(),
        );
    }
    let owners = Chosen {
        owner: owner(args.owner, sources.file.is_some(), &config),
        named: args
            .owners
            .as_deref()
            .map(named)
            .transpose()?
            .unwrap_or_default(),
    };
    let mut plan =
        Plan::make(&mut database, &owners, now, written).map_err(|error| unread(&error))?;
    settled(&plan, &owners, args, sources.file.is_some(), version)?;
    let routes = route(&mut database, &mut plan).map_err(|error| unread(&error))?;
    let mut words = format!("{}: {}\n", file.display(), written_by(version));
    let made = {
        let mut fill = |out: &mut (dyn Write + Send)| {
            lines::write(&mut database, &mut plan, &routes, &owners, now, out)
        };
        match &args.output {
            Some(path) => export(path, &mut fill),
            None => import(target, &mut fill),
        }
    };
    words.push_str(&made?);
    words.push_str(&remarks(&plan, &routes));
    Ok(Done {
        words,
        losses: grave(&plan.losses),
        is_whole: !plan.losses.are_grave(),
    })
}

type Fill<'a> = dyn FnMut(&mut (dyn Write + Send)) -> io::Result<()> + Send + 'a;

fn export(path: &Path, fill: &mut Fill<'_>) -> Result<String, String> {
    let refused = |error: io::Error| {
        format!(
            "the export cannot be written to {}: {error}",
            path.display()
        )
    };
    let mut part = Part::beside(path).map_err(refused)?;
    let mut out = BufWriter::new(part.again().map_err(refused)?);
    fill(&mut out).map_err(refused)?;
    let file = out
        .into_inner()
        .map_err(|error| refused(error.into_error()))?;
    file.sync_all().map_err(refused)?;
    part.replace(path).map_err(refused)?;
    Ok(format!("exported to {}\n", path.display()))
}

/// Lines are made while they are read, so that they lie nowhere as a whole.
fn import(target: &Target, fill: &mut Fill<'_>) -> Result<String, String> {
    let refused = |error: io::Error| format!("nothing was brought along: {error}");
    let (reader, writer) = io::pipe().map_err(refused)?;
    std::thread::scope(|scope| {
        let filled = scope.spawn(move || fill(&mut BufWriter::new(writer)));
        let mut reader = BufReader::new(reader);
        let counts = store::refill(target.config.clone(), target.data_dir.clone(), &mut reader);
        // Who fills waits for nobody any more.
        drop(reader);
        match filled.join() {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(refused(error)),
            Ok(_) => counts.map(|counts| format!("imported {counts}\n")),
            Err(_) => Err(refused(io::ErrorKind::Other.into())),
        }
    })
}

/// Where a configuration comes from.
pub(super) fn sources(target: &Target) -> Sources {
    let mut sources = Sources::of_process(target.config.clone());
    if let Some(folder) = &target.data_dir {
        sources.options.push(Setting {
            option: "--data-dir",
            key: "data_dir",
            value: folder.to_string_lossy().into_owned(),
        });
    }
    sources
}

/// A name that nobody checks is nobody's, so a session of it is nobody's, too (S25).
fn owner(said: Option<Owner>, is_configured: bool, config: &Config) -> Owner {
    said.unwrap_or(match is_configured && config.authentication.is_empty() {
        true => Owner::Nobody,
        false => Owner::User,
    })
}

/// Whether it is known whose the sessions are.
fn settled(
    plan: &Plan,
    owners: &Chosen,
    args: &DatabaseArgs,
    is_configured: bool,
    version: Version,
) -> Result<(), String> {
    if args.owner.is_some() || (is_configured && owners.owner == Owner::Nobody) {
        return Ok(());
    }
    let clients = plan.sessions.iter();
    if !version.has_users() {
        let open = |client: &str| !owners.named.contains_key(client);
        let open: Vec<&str> = clients
            .map(|session| session.client.as_str())
            .filter(|client| open(client))
            .collect();
        return match open.first() {
            None => Ok(()),
            Some(first) => Err(format!(
                "Mosquitto 1.6 does not say whose sessions are: of {} of them, of client {first:?} \
                 first. A session belongs to its user here: name the users with --owners FILE, or \
                 say --owner nobody, if nobody's name is checked",
                open.len()
            )),
        };
    }
    let has_users = clients.filter(|session| session.user.is_some()).count() > 0;
    match has_users && !is_configured {
        false => Ok(()),
        true => Err(
            "clients in this database gave names, and a session belongs to its user if names are \
             checked, else to nobody in particular: name the configuration with --config, or say \
             --owner user or --owner nobody"
                .into(),
        ),
    }
}

fn named(path: &Path) -> Result<HashMap<String, String>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let mut named = HashMap::new();
    for (line, at) in text.lines().zip(1_u64..) {
        let (client, user) = line.split_once('\t').ok_or_else(|| {
            let path = path.display();
            format!("{path}:{at}: a client identifier, a tab and a user are expected")
        })?;
        if named.insert(client.to_owned(), user.to_owned()).is_some() {
            let path = path.display();
            return Err(format!("{path}:{at}: {client:?} a second time"));
        }
    }
    Ok(named)
}

fn written_by(version: Version) -> &'static str {
    match version {
        Version::Five => {
            "version 5, of Mosquitto 1.6, which is read by its description alone: look at what came"
        }
        Version::Six => {
            "version 6, of Mosquitto 2.0, or of 2.1, which is read by its description alone"
        }
    }
}

/// What is not as it was, and nothing to worry about.
fn remarks(plan: &Plan, routes: &Routes) -> String {
    let mut words = String::new();
    let losses = &plan.losses;
    if !plan.inbound.is_empty() {
        words.push_str(&format!(
            "{} of QoS 2 that publishers have not released were passed on: {} deliveries\n",
            messages(plan.inbound.len() as u64),
            routes.deliveries.len()
        ));
    }
    if losses.qos0 > 0 {
        words.push_str(&format!(
            "left out: {} of QoS 0 that waited\n",
            messages(losses.qos0)
        ));
    }
    if losses.ended > 0 {
        words.push_str(&format!(
            "left out: {} sessions that end with their connections\n",
            losses.ended
        ));
    }
    let is_bridge = |client: &str| client.starts_with("local.");
    let clients = plan.sessions.iter().map(|session| session.client.as_str());
    for client in clients.filter(|client| is_bridge(client)) {
        words.push_str(&format!(
            "perhaps the inner end of a bridge, which nobody will collect: session {client:?}\n"
        ));
    }
    words
}

/// What is gone.
fn grave(losses: &Losses) -> String {
    let mut words = String::new();
    match losses.end {
        None => {}
        Some(Stop::Cut(at)) => words.push_str(&format!(
            "LOST: the file is cut off at byte {at}. What Mosquitto writes last comes last: \
             messages, clients with their queues, subscriptions, retained messages\n"
        )),
        Some(Stop::Damaged(at)) => words.push_str(&format!(
            "LOST: the file is damaged from byte {at} on. What Mosquitto writes last comes last: \
             messages, clients with their queues, subscriptions, retained messages\n"
        )),
    }
    if let Some((at, why)) = losses.first_odd {
        words.push_str(&format!("LOST: at byte {at}: {why}\n"));
    }
    if losses.odd > 1 {
        words.push_str(&format!(
            "LOST: {} parts that make no sense in all\n",
            losses.odd
        ));
    } else if losses.odd == 1 && losses.first_odd.is_none() {
        words.push_str("LOST: a message whose end makes no sense\n");
    }
    if losses.missing > 0 {
        words.push_str(&format!(
            "LOST: {} deliveries or retained messages whose messages are not in the file\n",
            losses.missing
        ));
    }
    if losses.orphans > 0 {
        words.push_str(&format!(
            "LOST: {} deliveries or subscriptions of clients that are not in the file\n",
            losses.orphans
        ));
    }
    words
}

fn messages(count: u64) -> String {
    match count {
        1 => "1 message".into(),
        count => format!("{count} messages"),
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// A part of the database is lost.
const PARTLY: u8 = 3;
