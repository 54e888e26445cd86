use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use auth::{AskedFor, Refused, Secret};
use tempfile::TempDir;
use types::{Certificate, ConnId, Peer, ProtocolVersion, ReasonCode, WorkerId};

use super::*;
use crate::settings::{Kind, ListenerSettings, UserFrom};
use crate::{ProviderSettings, passwords};
use auth::{Admitted, Grant, Identity};

/// Long enough for anything that comes at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// A chain, and what comes out of it.
pub(crate) struct Bench {
    pub(crate) chain: Arc<Chain>,
    answers: Receiver<(Asker, Outcome)>,
    notices: Receiver<Notice>,
}

impl Bench {
    pub(crate) fn new(settings: Settings) -> Self {
        let (answer, answers) = channel();
        let (notice, notices) = channel();
        let chain = Chain::start(
            settings,
            Arc::new(move |asker, outcome| answer.send((asker, outcome)).unwrap()),
            Arc::new(move |it| notice.send(it).unwrap()),
        );
        Self {
            chain: chain.unwrap(),
            answers,
            notices,
        }
    }

    pub(crate) fn of(providers: Vec<ProviderSettings>) -> Self {
        Self::new(Settings {
            providers,
            listeners: vec![listener("tcp", false), listener("open", true)],
            ..Settings::default()
        })
    }

    pub(crate) fn ask(&self, request: Request) -> Outcome {
        match self.chain.authenticate(request) {
            Answer::Now(outcome) => outcome,
            Answer::Later => self.next().1,
        }
    }

    pub(crate) fn refresh(&self, admitted: &Admitted) -> Outcome {
        let refresh = Refresh {
            asker: asker(1),
            identity: admitted.identity.clone(),
            client_id: "c".into(),
            peer: peer("192.0.2.1"),
            certificate: None,
            listener: 0,
            grant: admitted.grant.clone(),
        };
        match self.chain.refresh(refresh) {
            Answer::Now(outcome) => outcome,
            Answer::Later => self.next().1,
        }
    }

    pub(crate) fn next(&self) -> (Asker, Outcome) {
        self.answers.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn notice(&self) -> Notice {
        self.notices.recv_timeout(PATIENCE).unwrap()
    }
}

fn listener(name: &str, anonymous: bool) -> ListenerSettings {
    ListenerSettings {
        name: name.into(),
        anonymous,
    }
}

pub(crate) fn peer(address: &str) -> Peer {
    Peer::Net((address.parse::<std::net::IpAddr>().unwrap(), 1).into())
}

fn asker(slot: u32) -> Asker {
    Asker {
        worker: WorkerId(0),
        of: AskedFor::Connection(ConnId {
            slot,
            generation: 0,
        }),
    }
}

/// A client with these, from 192.0.2.1.
pub(crate) fn request(username: Option<&str>, password: Option<&str>) -> Request {
    Request {
        asker: asker(1),
        client_id: "c".into(),
        username: username.map(Box::from),
        password: password.map(|it| Secret::new(it.as_bytes())),
        enhanced: None,
        peer: peer("192.0.2.1"),
        certificate: None,
        listener: 0,
        version: ProtocolVersion::V5,
    }
}

pub(crate) fn login(username: &str, password: &str) -> Request {
    request(Some(username), Some(password))
}

#[track_caller]
pub(crate) fn admitted(outcome: Outcome) -> Admitted {
    match outcome {
        Outcome::Admitted(admitted) => admitted,
        other => panic!("not admitted: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn refusal(outcome: Outcome) -> (ReasonCode, Arc<str>) {
    match outcome {
        Outcome::Refused(Refused { reason, why }) => (reason, why),
        other => panic!("not refused: {other:?}"),
    }
}

fn user(name: &str) -> Identity {
    Identity::User(name.into())
}

/// A folder with a file in which these users have cheap hashes of their names backwards.
struct File {
    folder: TempDir,
}

impl File {
    fn with(users: &[&str]) -> Self {
        let file = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        file.write(users);
        file
    }

    fn write(&self, users: &[&str]) {
        use base64::Engine;
        use base64::engine::general_purpose::STANDARD;
        let line = |user: &&str| {
            let text = format!("{}salt", backwards(user));
            let hash = ring::digest::digest(&ring::digest::SHA512, text.as_bytes());
            let hash = STANDARD.encode(hash);
            format!("{user}:$6${}${hash}\n", STANDARD.encode("salt"))
        };
        let text: String = users.iter().map(line).collect();
        std::fs::write(self.path(), text).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("passwords")
    }

    fn provider(&self, name: &str) -> ProviderSettings {
        ProviderSettings::new(name, Kind::Passwords { file: self.path() })
    }
}

fn backwards(text: &str) -> String {
    text.chars().rev().collect()
}

fn certificate() -> ProviderSettings {
    let user_from = UserFrom::CommonName;
    ProviderSettings::new("certificate", Kind::Certificate { user_from })
}

#[test]
fn the_chain_asks_one_after_the_other() {
    let (first, second) = (File::with(&["ann"]), File::with(&["bob", "ann2"]));
    let bench = Bench::of(vec![first.provider("first"), second.provider("second")]);
    for name in ["ann", "bob"] {
        let outcome = bench.ask(login(name, &backwards(name)));
        let admitted = admitted(outcome);
        assert_eq!(admitted.identity, user(name));
        // Whoever is asked again about the client knows whom to ask.
        let provider = admitted.grant.unwrap().provider.clone().unwrap();
        assert_eq!(&*provider, ["first", "second"][usize::from(name == "bob")]);
    }
    let (reason, why) = refusal(bench.ask(login("ann", "wrong")));
    assert_eq!(reason, ReasonCode::BadUserNameOrPassword);
    assert_eq!(&*why, "first: wrong password");
    let (reason, why) = refusal(bench.ask(login("cat", "tac")));
    assert_eq!(reason, ReasonCode::BadUserNameOrPassword);
    assert_eq!(&*why, "no provider knows the client");
    let figures = bench.chain.figures();
    let counts: Vec<_> = figures
        .providers
        .iter()
        .map(|it| (&*it.name, it.asked, it.admitted, it.wrong, it.unknown))
        .collect();
    assert_eq!(counts, [("first", 4, 1, 1, 2), ("second", 2, 1, 0, 1)]);
    assert!(
        figures
            .providers
            .iter()
            .all(|it| it.inside == 0 && it.kind == "passwords")
    );
}

#[test]
fn s62_half_of_what_is_needed_is_a_no() {
    let file = File::with(&["ann"]);
    let bench = Bench::of(vec![certificate(), file.provider("file")]);
    for (username, password) in [
        (Some("ann"), None),
        (None, Some("nna")),
        (Some(""), Some("")),
        (Some("ann"), Some("")),
        (Some(""), Some("nna")),
    ] {
        for listener in [0, 1] {
            let mut asked = request(username, password);
            asked.listener = listener;
            let (reason, _) = refusal(bench.ask(asked));
            assert_eq!(reason, ReasonCode::BadUserNameOrPassword, "{username:?}");
        }
    }
    let (reason, _) = refusal(bench.ask(request(None, None)));
    assert_eq!(reason, ReasonCode::NotAuthorized);
    let mut open = request(None, None);
    open.listener = 1;
    assert_eq!(admitted(bench.ask(open)).identity, Identity::Anonymous);
    let mut unheard_of = request(None, None);
    unheard_of.listener = 2;
    assert_eq!(refusal(bench.ask(unheard_of)).0, ReasonCode::NotAuthorized);
}

#[test]
fn s60_a_provider_is_asked_about_its_listeners_only() {
    let file = File::with(&["ann"]);
    let bench = Bench::of(vec![ProviderSettings {
        listeners: Some(vec![1]),
        ..file.provider("file")
    }]);
    let (_, why) = refusal(bench.ask(login("ann", "nna")));
    assert_eq!(&*why, "no provider knows the client");
    let mut by_the_other = login("ann", "nna");
    by_the_other.listener = 1;
    assert_eq!(admitted(bench.ask(by_the_other)).identity, user("ann"));
}

#[test]
fn s77_a_certificate_is_taken_before_what_the_client_says() {
    let file = File::with(&["ann"]);
    let bench = Bench::of(vec![certificate(), file.provider("file")]);
    let mut asked = login("ann", "nna");
    asked.certificate = Some(Arc::new(Certificate {
        common_names: vec!["pump".into()],
        ..Certificate::default()
    }));
    assert_eq!(admitted(bench.ask(asked)).identity, user("pump"));
    let mut strange = login("ann", "nna");
    strange.certificate = Some(Arc::default());
    assert!(refusal(bench.ask(strange)).1.starts_with("certificate: "));
}

#[test]
fn s70_a_method_that_nobody_knows_is_refused() {
    let bench = Bench::of(vec![certificate()]);
    let mut asked = request(None, None);
    asked.enhanced = Some(auth::Enhanced {
        method: "SCRAM-SHA-1".into(),
        data: Secret::new(b""),
        exchange: None,
    });
    let (reason, _) = refusal(bench.ask(asked));
    assert_eq!(reason, ReasonCode::BadAuthenticationMethod);
}

#[test]
fn s64_who_guesses_is_refused_unread_and_others_are_not() {
    let file = File::with(&["ann"]);
    let bench = Bench::new(Settings {
        providers: vec![certificate(), file.provider("file")],
        failed_logins: 3,
        ..Settings::default()
    });
    for name in ["ann", "nobody", "ann"] {
        let (reason, _) = refusal(bench.ask(login(name, "guess")));
        assert_eq!(reason, ReasonCode::BadUserNameOrPassword);
    }
    let asked = bench.chain.figures().providers[1].asked;
    let (reason, _) = refusal(bench.ask(login("ann", "nna")));
    assert_eq!(
        reason,
        ReasonCode::ConnectionRateExceeded,
        "right, but unread"
    );
    let figures = bench.chain.figures();
    assert_eq!((figures.throttled, figures.addresses), (1, 1));
    assert_eq!(figures.providers[1].asked, asked);
    let mut elsewhere = login("ann", "nna");
    elsewhere.peer = peer("192.0.2.2");
    assert_eq!(admitted(bench.ask(elsewhere)).identity, user("ann"));
}

#[test]
fn s64_what_waits_in_a_flood_is_not_read_once_enough_failed() {
    let file = File::with(&["ann"]);
    let bench = Bench::new(Settings {
        providers: vec![ProviderSettings {
            concurrency: 1,
            ..file.provider("file")
        }],
        failed_logins: 3,
        ..Settings::default()
    });
    let mut later = 0;
    for _ in 0..200 {
        match bench.chain.authenticate(login("ann", "guess")) {
            Answer::Later => later += 1,
            Answer::Now(outcome) => panic!("a hash takes time: {outcome:?}"),
        }
    }
    for _ in 0..later {
        refusal(bench.next().1);
    }
    let figures = bench.chain.figures();
    assert_eq!(figures.providers[0].wrong, 3);
    assert_eq!(figures.throttled, 197);
}

#[test]
fn s64_too_many_that_wait_are_turned_away() {
    let file = File::with(&["ann"]);
    let bench = Bench::of(vec![ProviderSettings {
        concurrency: 1,
        queue: 0,
        ..file.provider("file")
    }]);
    // The first one's hash is held up by a password that takes long to hash.
    passwords::set(&file.path(), "slow", &Secret::new(b"slow")).unwrap();
    bench
        .chain
        .replace(Settings {
            providers: vec![ProviderSettings {
                concurrency: 1,
                queue: 0,
                ..file.provider("file")
            }],
            ..Settings::default()
        })
        .unwrap();
    assert!(matches!(
        bench.chain.authenticate(login("slow", "slow")),
        Answer::Later
    ));
    let busy = match bench.chain.authenticate(login("ann", "nna")) {
        Answer::Now(outcome) => refusal(outcome).0,
        Answer::Later => panic!("there is no room to wait"),
    };
    assert_eq!(busy, ReasonCode::ServerBusy);
    assert_eq!(admitted(bench.next().1).identity, user("slow"));
    assert_eq!(bench.chain.figures().providers[0].busy, 1);
}

#[test]
fn s65_an_unknown_user_takes_as_long_as_a_wrong_password() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    let files = [File::with(&[]), File::with(&[])];
    let part = STANDARD_NO_PAD.encode([7; 32]);
    for (file, user) in files.iter().zip(["ann", "bob"]) {
        let line = format!("{user}:$pbkdf2-sha512$i=20000${part}${part}\n");
        std::fs::write(file.path(), line).unwrap();
    }
    let [first, second] = &files;
    let bench = Bench::of(vec![first.provider("first"), second.provider("second")]);
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..21 {
        for (name, times) in ["ann", "bob", "nobody"].into_iter().zip(&mut times) {
            let started = Instant::now();
            refusal(bench.ask(login(name, "wrong")));
            times.push(started.elapsed());
        }
    }
    let [ann, bob, nobody] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    for user in [ann, bob] {
        assert!(
            nobody < user * 2 && user < nobody * 2,
            "{ann:?} {bob:?} {nobody:?}"
        );
    }
}

#[test]
fn s61_a_yes_is_remembered_only_if_it_is_configured() {
    let file = File::with(&["ann"]);
    for (cache, cached) in [(Duration::ZERO, 0), (PATIENCE, 1)] {
        let bench = Bench::of(vec![ProviderSettings {
            cache,
            ..file.provider("file")
        }]);
        admitted(bench.ask(login("ann", "nna")));
        let again = admitted(bench.ask(login("ann", "nna")));
        assert_eq!(again.identity, user("ann"));
        refusal(bench.ask(login("ann", "nnb")));
        assert_eq!(bench.chain.figures().providers[0].cached, cached);
        assert_eq!(
            bench.chain.purge(Purge::User("ann")),
            usize::from(cached == 1)
        );
        admitted(bench.ask(login("ann", "nna")));
        assert_eq!(bench.chain.figures().providers[0].cached, cached);
    }
}

#[test]
fn s59_a_reload_that_fails_leaves_all_as_it_is() {
    let file = File::with(&["ann"]);
    let settings = || Settings {
        providers: vec![file.provider("file")],
        ..Settings::default()
    };
    let bench = Bench::new(settings());
    admitted(bench.ask(login("ann", "nna")));
    std::fs::write(file.path(), "bob:secret\n").unwrap();
    let problem = bench.chain.replace(settings()).unwrap_err();
    let shown = problem.to_string();
    assert!(shown.starts_with("authentication by file: "), "{shown}");
    assert!(
        shown.ends_with("passwords:1: not a hash of a known kind"),
        "{shown}"
    );
    admitted(bench.ask(login("ann", "nna")));
    file.write(&["bob"]);
    bench.chain.replace(settings()).unwrap();
    refusal(bench.ask(login("ann", "nna")));
    admitted(bench.ask(login("bob", "bob")));
    assert_eq!(
        bench.chain.figures().providers[0].admitted,
        3,
        "counts go on"
    );
}

#[test]
fn s69_what_cannot_be_asked_refuses_the_start() {
    let start = |providers| {
        let settings = Settings {
            providers,
            ..Settings::default()
        };
        Chain::start(settings, Arc::new(|_, _| {}), Arc::new(|_| {})).unwrap_err()
    };
    let file = File::with(&[]);
    let twice = start(vec![file.provider("a"), file.provider("a")]);
    assert_eq!(
        twice.to_string(),
        "authentication by a: two providers have this name"
    );
    let gone = PathBuf::from("/nowhere/at/all");
    let none = start(vec![ProviderSettings::new(
        "p",
        Kind::Passwords { file: gone },
    )]);
    assert!(none.to_string().contains("cannot be read"), "{none}");
}

#[test]
fn a_user_who_is_gone_is_gone_at_the_next_refresh() {
    let file = File::with(&["ann", "bob"]);
    let settings = || Settings {
        providers: vec![ProviderSettings {
            refresh: PATIENCE,
            ..file.provider("file")
        }],
        ..Settings::default()
    };
    let bench = Bench::new(settings());
    let [ann, bob] = ["ann", "bob"].map(|name| admitted(bench.ask(login(name, &backwards(name)))));
    let grant = ann.grant.clone().unwrap();
    assert_eq!(grant.refresh_after, Some(PATIENCE));
    assert_eq!(grant.provider.as_deref(), Some("file"));
    assert_eq!(admitted(bench.refresh(&ann)), ann);
    file.write(&["bob"]);
    bench.chain.replace(settings()).unwrap();
    assert_eq!(admitted(bench.refresh(&bob)), bob);
    let (reason, why) = refusal(bench.refresh(&ann));
    assert_eq!(reason, ReasonCode::NotAuthorized);
    assert_eq!(&*why, "file: the user is not known any more");
    bench.chain.replace(Settings::default()).unwrap();
    assert_eq!(refusal(bench.refresh(&bob)).0, ReasonCode::NotAuthorized);
}

#[test]
fn who_came_in_by_another_password_has_to_go() {
    let file = File::with(&["ann", "bob"]);
    let bench = Bench::of(vec![file.provider("file")]);
    let [ann, bob] = ["ann", "bob"].map(|name| admitted(bench.ask(login(name, &backwards(name)))));
    let settings = || Settings {
        providers: vec![file.provider("file")],
        ..Settings::default()
    };
    bench.chain.replace(settings()).unwrap();
    assert_eq!(admitted(bench.refresh(&ann)), ann);
    passwords::set(&file.path(), "ann", &Secret::new(b"new")).unwrap();
    bench.chain.replace(settings()).unwrap();
    let (reason, why) = refusal(bench.refresh(&ann));
    assert_eq!(reason, ReasonCode::NotAuthorized);
    assert_eq!(&*why, "file: the password has changed");
    assert_eq!(admitted(bench.refresh(&bob)), bob);
    let ann = admitted(bench.ask(login("ann", "new")));
    assert_eq!(admitted(bench.refresh(&ann)), ann);
}

#[test]
fn who_came_in_without_a_name_has_to_go_when_one_is_asked_for() {
    let of = |anonymous| Settings {
        listeners: vec![listener("tcp", anonymous)],
        ..Settings::default()
    };
    let bench = Bench::new(of(true));
    let anybody = admitted(bench.ask(request(None, None)));
    bench.chain.replace(of(true)).unwrap();
    assert_eq!(admitted(bench.refresh(&anybody)), anybody);
    bench.chain.replace(of(false)).unwrap();
    let (reason, _) = refusal(bench.refresh(&anybody));
    assert_eq!(reason, ReasonCode::NotAuthorized);
}

#[test]
fn s68_every_question_is_answered_once_also_at_the_end() {
    let file = File::with(&[]);
    passwords::set(&file.path(), "slow", &Secret::new(b"slow")).unwrap();
    let Bench {
        chain,
        answers,
        notices: _notices,
    } = Bench::of(vec![file.provider("file")]);
    for slot in 0..20 {
        let mut asked = login("slow", "slow");
        asked.asker = asker(slot);
        assert!(matches!(chain.authenticate(asked), Answer::Later));
    }
    drop(chain);
    let mut slots = Vec::new();
    loop {
        match answers.recv_timeout(PATIENCE) {
            Ok((
                Asker {
                    of: AskedFor::Connection(id),
                    ..
                },
                _,
            )) => slots.push(id.slot),
            Ok(other) => panic!("{other:?}"),
            // The chain is gone with all that could answer.
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => panic!("somebody still waits"),
        }
    }
    slots.sort_unstable();
    assert_eq!(slots, (0..20).collect::<Vec<_>>());
}

#[test]
fn s71_a_grant_names_who_gave_it_and_no_secret() {
    let file = File::with(&["ann"]);
    let bench = Bench::of(vec![file.provider("file")]);
    let outcome = bench.ask(login("ann", "pa55"));
    assert!(!format!("{outcome:?}").contains("pa55"));
    let settings = file.provider("file");
    assert!(!format!("{settings:?} {:?}", Grant::default()).contains("$6$"));
}
