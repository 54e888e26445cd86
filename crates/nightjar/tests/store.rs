//! `nightjar store`, as an operator meets it: the program itself, on stores in temporary folders.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use journal::by_hand::ByHand;
use journal::disk::Folder;
use journal::engine::Options;
use journal::log;
use serde_json::Value;
use store::{Delivery, Record, Settled, Store, Wish};
use types::{
    ClientId, DeliveryNumber, Durability, Message, MessageParts, MessageRef, QoS, StoredSession,
    SubscriptionFilter, SubscriptionOptions, Time, WorkerId,
};

/// A data folder for one test; gone with it.
struct Data(PathBuf);

/// A child that is started while this process has a store open has the lock too, for a moment:
/// until it becomes another program.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a program that does not have the lock of another test's store.
fn start(command: &mut Command) -> Child {
    let _nobody_has_a_store = alone();
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("nightjar runs")
}

impl Data {
    fn new(test: &str) -> Self {
        let name = format!("nightjar-store-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Runs `nightjar store` for this folder.
    fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, "")
    }

    fn run_with(&self, args: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightjar"));
        command.env("NIGHTJAR__DASHBOARD__ENABLED", "false");
        // What is set around the tests must not reach in.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("NIGHTJAR__") {
                command.env_remove(name);
            }
        }
        let (task, rest) = args.split_first().expect("a task");
        command.args(["store", task, "--data-dir"]);
        command.arg(&self.0).args(rest);
        let mut child = start(&mut command);
        let mut stdin = child.stdin.take().expect("a pipe");
        if let Err(error) = stdin.write_all(input.as_bytes()) {
            // A program that refuses before it has read all is right to close the pipe.
            assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        }
        drop(stdin);
        child.wait_with_output().expect("nightjar ends")
    }

    /// What a task prints that succeeds.
    fn output(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        text(&output.stdout)
    }

    /// The one line of a task that fails.
    fn failure(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        let line = text(&output.stderr);
        assert_eq!(line.lines().count(), 1, "{args:?}: {line}");
        line
    }

    fn open(&self) -> ByHand {
        let folder = Folder::open(&self.store()).expect("the store's folder");
        let options = Options {
            log: log::Options {
                segment_bytes: 64 << 10,
                spares: 1,
            },
            ..Options::default()
        };
        let opened = ByHand::open(Arc::new(folder), options, WALL);
        let (store, _, _) = opened.expect("a store");
        store
    }

    /// A store with 40 messages for `lamp`, of which the first 30 are done, and a retained one.
    fn fill(&self) {
        let _no_child_gets_the_lock = alone();
        let mut store = self.open();
        let mut handle = store.handle(WorkerId(0));
        let session = begin(&mut *handle, "lamp");
        for number in 1..=40 {
            owe(&mut *handle, session, number);
            handle.commit(Wish::Synced);
            store.turn(NOW);
        }
        for number in 1..=30 {
            handle.append(Record::Settled {
                session,
                number: DeliveryNumber::new(number).expect("not zero"),
                step: Settled::Done,
            });
        }
        let message = handle.keep(&message("hall/light", b"on"), NOW);
        handle.append(Record::Retained {
            message,
            topic: "hall/light",
            sequence: 1,
            publisher: None,
        });
        handle.commit(Wish::Synced);
        store.turn(NOW);
    }

    /// Starts the store again, so that a checkpoint is made.
    fn check_point(&self) {
        let _no_child_gets_the_lock = alone();
        let mut store = self.open();
        store.settle(NOW, 1000);
    }

    fn segments(&self) -> Vec<PathBuf> {
        let names = fs::read_dir(self.store()).expect("a store");
        let mut paths: Vec<PathBuf> = names.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            name.ends_with(".segment") && !name.starts_with("spare")
        });
        paths.sort();
        paths
    }

    fn bytes(&self) -> u64 {
        let entries = fs::read_dir(self.store()).expect("a store");
        let sizes = entries.map(|entry| entry.and_then(|entry| entry.metadata()));
        sizes.map(|metadata| metadata.expect("a file").len()).sum()
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn message(topic: &str, payload: &[u8]) -> Message {
    Message::new(
        Arc::from(topic),
        MessageParts {
            properties: &[],
            payload,
            qos: QoS::AtLeastOnce,
            retain: false,
            publisher: None,
            expires: None,
            durability: Durability::Disk,
            followed: types::Followed::No,
        },
    )
}

fn begin(handle: &mut dyn Store, client: &str) -> StoredSession {
    let session = handle.new_session();
    handle.append(Record::Session {
        session,
        client: &ClientId::new(client).expect("a client id"),
        user: None,
        expiry: Duration::MAX,
        will: None,
    });
    handle.append(Record::Subscribed {
        session,
        filter: &SubscriptionFilter::parse("hall/+", 8).expect("a filter"),
        options: SubscriptionOptions::plain(QoS::AtLeastOnce),
        id: None,
    });
    session
}

/// A message of about 4 KiB with its number all over it.
fn owe(handle: &mut dyn Store, session: StoredSession, number: u64) -> MessageRef {
    let payload = format!("<{number:06}>").repeat(512);
    let message = handle.keep(&message("hall/door", payload.as_bytes()), NOW);
    handle.append(Record::Owed {
        message,
        deliveries: &[Delivery {
            session,
            number: DeliveryNumber::new(number).expect("not zero"),
            qos: QoS::AtLeastOnce,
            retain: false,
            packet_id: None,
            ids: None,
            share: None,
        }],
    });
    message
}

/// Flips a bit of the message with this number in the files of a store, and says in which file.
fn flip(data: &Data, number: u64) -> PathBuf {
    let wanted = format!("<{number:06}>").repeat(8);
    for path in data.segments() {
        let mut bytes = fs::read(&path).expect("a segment");
        let found = bytes
            .windows(wanted.len())
            .position(|it| it == wanted.as_bytes());
        if let Some(at) = found {
            bytes[at + 1] ^= 1;
            fs::write(&path, bytes).expect("a segment");
            return path;
        }
    }
    panic!("no message {number}");
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().expect("a name");
    name.to_string_lossy().into_owned()
}

#[test]
fn help_names_every_task() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nightjar"));
    let child = start(command.args(["store", "--help"]));
    let output = child.wait_with_output().expect("nightjar ends");
    let help = text(&output.stdout);
    for word in [
        "verify",
        "stats",
        "export",
        "import",
        "compact",
        "Examples:",
    ] {
        assert!(help.contains(word), "no {word} in\n{help}");
    }
}

#[test]
fn without_a_store_every_task_says_how_to_name_one() {
    let data = Data::new("missing");
    for args in [
        &["verify"][..],
        &["verify", "--quarantine"],
        &["stats"],
        &["export"],
        &["compact"],
    ] {
        let line = data.failure(args);
        assert!(line.starts_with("there is no store in "), "{line}");
        assert!(line.contains("--data-dir"), "{line}");
    }
    assert!(!data.store().exists(), "looking made a store");
}

#[test]
fn whoever_names_the_store_itself_is_told_what_to_name() {
    let data = Data::new("above");
    data.fill();
    let store = data.store().display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nightjar"));
    let child = start(command.args(["store", "stats", "--data-dir", &store]));
    let output = child.wait_with_output().expect("nightjar ends");
    let line = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{line}");
    let advised = format!("--data-dir: perhaps {},", data.0.display());
    assert!(line.contains(&advised), "{line}");
}

#[test]
fn a_whole_store_is_whole_and_counted() {
    let data = Data::new("whole");
    data.fill();
    let report = data.output(&["verify"]);
    assert!(report.contains(" is whole.\n"), "{report}");
    assert!(
        report.contains("needed: 1 session, 10 deliveries of 11 messages, 1 retained"),
        "{report}"
    );
    let json: Value = serde_json::from_str(&data.output(&["stats", "--json"])).expect("JSON");
    for (name, count) in [
        ("sessions", 1),
        ("subscriptions", 1),
        ("deliveries", 10),
        ("messages", 11),
        ("retained", 1),
        ("passed", 0),
    ] {
        assert_eq!(json[name], count, "{name} in {json}");
    }
    assert_eq!(json["longest_queues"][0]["client"], "lamp");
    assert_eq!(json["segments"], data.segments().len());
    let stats = data.output(&["stats"]);
    assert!(stats.contains("       10   40.0 KiB  lamp\n"), "{stats}");
    assert!(
        stats.contains("the oldest since 2023-11-14T22:13:20Z"),
        "{stats}"
    );
}

#[test]
fn what_is_exported_comes_back_by_an_import() {
    let data = Data::new("export");
    data.fill();
    let (copy, second) = (data.path("copy"), data.path("second"));
    let said = data.output(&["export", "--output", &copy]);
    assert!(said.starts_with("exported 1 session, 1 subscription, 11 messages, 1 retained to "));
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let mode = fs::metadata(&copy).expect("the export").mode();
        assert_eq!(mode & 0o777, 0o600, "only its owner may read it");
    }
    let lines = fs::read_to_string(&copy).expect("the export");
    // What follows the head does not depend on the moment.
    let body = |text: &str| text.split_once('\n').expect("a head").1.to_owned();
    assert_eq!(body(&data.output(&["export"])), body(&lines));

    let other = Data(data.0.join("other"));
    other.output(&["import", &copy]);
    other.output(&["verify"]);
    other.output(&["export", "-o", &second]);
    let again = fs::read_to_string(&second).expect("the export");
    assert_eq!(body(&again), body(&lines));
    assert_eq!(fs::read_dir(&other.0).expect("a folder").count(), 1);

    let refused = other.failure(&["import", &copy]);
    assert!(
        refused.contains("it is not empty (1 session, 11 messages, 1 retained)"),
        "{refused}"
    );
    assert_eq!(fs::read_dir(&other.0).expect("a folder").count(), 1);
}

#[test]
fn an_import_takes_all_or_nothing() {
    let data = Data::new("import");
    data.fill();
    let lines = data.output(&["export"]);
    let other = Data(data.0.join("other"));
    let cut = &lines[..lines[..lines.len() - 1].rfind('\n').expect("a line") + 1];
    for (input, told) in [
        (
            "",
            "the export is not valid: line 0: the last line is missing",
        ),
        ("{}\n", "line 1: this is no export of Nightjar"),
        (cut, "the last line is missing: the export was cut"),
        (&cut[..cut.len() / 2], "the export is not valid: line "),
    ] {
        let output = other.run_with(&["import", "-"], input);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let line = text(&output.stderr);
        assert!(line.contains(told) && line.lines().count() == 1, "{line}");
        let left = fs::read_dir(&other.0).expect("a folder").count();
        assert_eq!(left, 0, "after {line}");
    }
    // An empty store is one that may be replaced.
    {
        let _no_child_gets_the_lock = alone();
        drop(other.open());
    }
    let output = other.run_with(&["import", "-"], &lines);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(fs::read_dir(&other.0).expect("a folder").count(), 1);
    other.output(&["verify"]);
    let nothing = other.failure(&["import", "no-such-file"]);
    assert!(
        nothing.starts_with("no-such-file cannot be read"),
        "{nothing}"
    );
}

#[test]
fn beside_a_server_one_may_look_and_nothing_else() {
    let data = Data::new("lock");
    data.fill();
    let copy = data.path("copy");
    let server = Folder::open(&data.store()).expect("the lock");
    data.output(&["verify"]);
    data.output(&["stats"]);
    data.output(&["export", "-o", &copy]);
    for args in [
        &["compact"][..],
        &["verify", "--quarantine"],
        &["import", &copy],
    ] {
        let line = data.failure(args);
        assert!(line.contains(" is in use by "), "{line}");
        if cfg!(target_os = "linux") {
            let process = format!("process {}", std::process::id());
            assert!(line.contains(&process), "{line}");
        }
    }
    drop(server);
    data.output(&["compact"]);
}

#[test]
fn damage_is_named_and_put_aside_when_asked() {
    let data = Data::new("damage");
    data.fill();
    let damaged = flip(&data, 35);
    let name = file_name(&damaged);
    let told = format!("damaged: {name}, byte ");
    let output = data.run(&["verify"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = text(&output.stdout);
    assert!(report.contains(" is damaged.\n"), "{report}");
    assert!(report.contains(&told), "{report}");
    let line = data.failure(&["export", "-o", &data.path("copy")]);
    assert!(
        line.contains("it is damaged") && line.contains(&name),
        "{line}"
    );
    assert!(!Path::new(&data.path("copy")).exists());
    let stats = data.run(&["stats"]);
    assert_eq!(stats.status.code(), Some(1), "{stats:?}");

    let mended = data.output(&["verify", "--quarantine"]);
    assert!(
        mended.contains(&format!("put aside: quarantine/{name}\n")),
        "{mended}"
    );
    assert!(data.store().join("quarantine").join(&name).is_file());
    let report = data.output(&["verify"]);
    assert!(report.contains(" is whole.\n"), "{report}");
    let stats: Value = serde_json::from_str(&data.output(&["stats", "--json"])).expect("JSON");
    assert_eq!(stats["deliveries"], 9, "{stats}");
}

#[test]
fn damage_before_the_checkpoint_is_found_too() {
    let data = Data::new("old-damage");
    data.fill();
    data.check_point();
    let damaged = file_name(&flip(&data, 36));
    let output = data.run(&["verify"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = text(&output.stdout);
    assert!(
        report.contains(&format!("damaged: {damaged}, byte ")),
        "{report}"
    );
    assert!(
        report.contains("client that loses messages: \"lamp\""),
        "{report}"
    );
    let advised = format!("`nightjar store verify --data-dir {}`", data.0.display());
    for task in ["export", "compact"] {
        let line = data.failure(&[task]);
        assert!(line.contains("is not what was written"), "{line}");
        assert!(line.contains(&advised), "{line}");
    }
    let mended = data.output(&["verify", "--quarantine"]);
    assert!(
        mended.contains(&format!("put aside: quarantine/{damaged}\n")),
        "{mended}"
    );
    assert!(
        mended.contains("given up, counted once for each client or topic: 1 message\n"),
        "{mended}"
    );
    assert!(mended.contains("  owed to \"lamp\"\n"), "{mended}");
    data.output(&["verify"]);
    let stats: Value = serde_json::from_str(&data.output(&["stats", "--json"])).expect("JSON");
    assert_eq!(stats["deliveries"], 9, "{stats}");
}

#[test]
fn compacting_gives_space_back_and_keeps_what_lives() {
    let data = Data::new("compact");
    data.fill();
    let body = |text: String| text.split_once('\n').expect("a head").1.to_owned();
    let before = (data.bytes(), body(data.output(&["export"])));
    let config = data.path("nightjar.toml");
    fs::write(&config, "[store]\nsegment_size = \"1MiB\"\n").expect("a file");
    let said = data.output(&["compact", "-c", &config]);
    assert!(said.contains(" on the disk; it took "), "{said}");
    data.output(&["verify"]);
    assert!(
        data.bytes() < before.0 / 2,
        "{} of {}",
        data.bytes(),
        before.0
    );
    // Nobody is connected any more; the rest is as it was.
    let lines = |text: &str| -> Vec<String> {
        let kinds = text
            .lines()
            .filter(|line| !line.contains("\"session\",\"session\""));
        kinds.map(str::to_owned).collect()
    };
    assert_eq!(lines(&body(data.output(&["export"]))), lines(&before.1));
}

const WALL: u64 = 1_700_000_000_000;
const NOW: Time = Time::ZERO;
