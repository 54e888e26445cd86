use std::num::NonZeroU32;

use auth::{Identity, Outcome, Request, Secret};
use ring::pbkdf2;
use types::ReasonCode;

use super::*;
use crate::ProviderSettings;
use crate::access::{PasswordEdit, UserEdit};
use crate::chain::tests::{Bench, admitted, refusal, request};
use crate::database::tests::{access, with_password};
use crate::settings::{Kind, Settings};

/// A client, as RFC 5802 describes one.
struct Client {
    name: &'static str,
    password: &'static str,
    header: &'static str,
}

/// What the client says last, and what the server must say then.
struct Last {
    message: String,
    signature: String,
}

impl Client {
    fn first(&self) -> String {
        format!("{}n={},r=fyko+d2lbbFgONRv9qkxdawL", self.header, self.name)
    }

    fn last(&self, server: &str) -> Last {
        let part = |letter: &str| {
            let found = server.split(',').find_map(|it| it.strip_prefix(letter));
            found.unwrap_or_else(|| panic!("{letter} in {server}"))
        };
        let salt = STANDARD.decode(part("s=")).unwrap();
        let iterations: NonZeroU32 = part("i=").parse().unwrap();
        let mut salted = [0; 32];
        let function = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(
            function,
            iterations,
            &salt,
            self.password.as_bytes(),
            &mut salted,
        );
        let binding = STANDARD.encode(self.header);
        let bare = format!("c={binding},r={}", part("r="));
        let first = self.first();
        let text = format!("{},{server},{bare}", &first[3..]);
        let key = sign(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA256, key.as_ref());
        let signature = sign(stored.as_ref(), text.as_bytes());
        let proof: Vec<u8> = key
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(a, b)| a ^ b)
            .collect();
        let server_key = sign(&salted, b"Server Key");
        let signature = sign(server_key.as_ref(), text.as_bytes());
        Last {
            message: format!("{bare},p={}", STANDARD.encode(proof)),
            signature: format!("v={}", STANDARD.encode(signature)),
        }
    }
}

const ANN: Client = Client {
    name: "ann",
    password: "pencil",
    header: "n,,",
};

fn asks(data: &str, exchange: Option<Exchange>) -> Request {
    Request {
        enhanced: Some(Enhanced {
            method: METHOD.into(),
            data: Secret::new(data.as_bytes()),
            exchange,
        }),
        ..request(None, None)
    }
}

fn bench(access: &Arc<Access>) -> Bench {
    Bench::new(Settings {
        providers: vec![ProviderSettings::new("scram", Kind::Scram)],
        access: Some(Arc::clone(access)),
        ..Settings::default()
    })
}

#[track_caller]
fn goes_on(outcome: Outcome) -> (String, Exchange) {
    match outcome {
        Outcome::Continue { data, exchange } => (String::from_utf8(data).unwrap(), exchange),
        other => panic!("it does not go on: {other:?}"),
    }
}

/// The example of RFC 7677, 3.
#[test]
fn the_standards_example_is_verified() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let verifier = Verifier::with_salt(b"pencil", salt, NonZeroU32::new(4096).unwrap());
    let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                  s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    let conversation = Conversation {
        user: "user".into(),
        verifier,
        is_real: true,
        binding: "biws",
        nonce: "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".into(),
        so_far: format!("n=user,r=rOprNGfwEbeRWgbNEkqO,{server}"),
    };
    let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let data = conversation.verify(last.as_bytes()).unwrap();
    assert_eq!(data, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

#[test]
fn who_knows_the_password_comes_in() {
    let (_folder, access) = access();
    access.put_user("ann", with_password("pencil")).unwrap();
    access.put_user("a,b=c", with_password("pencil")).unwrap();
    let bench = bench(&access);
    for (client, user) in [
        (ANN, "ann"),
        (
            Client {
                header: "y,,",
                ..ANN
            },
            "ann",
        ),
        (
            Client {
                name: "a=2Cb=3Dc",
                ..ANN
            },
            "a,b=c",
        ),
    ] {
        let (server, exchange) = goes_on(bench.ask(asks(&client.first(), None)));
        assert!(server.starts_with("r=fyko+d2lbbFgONRv9qkxdawL"), "{server}");
        let last = client.last(&server);
        let admitted = admitted(bench.ask(asks(&last.message, Some(exchange))));
        assert_eq!(admitted.identity, Identity::User(user.into()));
        assert_eq!(admitted.data, Some(last.signature.into()));
    }
}

#[test]
fn s65_a_user_who_is_not_there_is_answered_as_one_who_is() {
    let (_folder, access) = access();
    access.put_user("ann", with_password("pencil")).unwrap();
    access.put_user("bob", UserEdit::default()).unwrap();
    let off = UserEdit {
        disabled: true,
        ..with_password("pencil")
    };
    access.put_user("off", off).unwrap();
    let bench = bench(&access);
    let mut answers = Vec::new();
    for client in [
        Client {
            password: "wrong",
            ..ANN
        },
        Client {
            name: "nobody",
            ..ANN
        },
        Client { name: "bob", ..ANN },
        Client { name: "off", ..ANN },
    ] {
        let salt = |answer: &str| answer.split(",s=").nth(1).unwrap().to_owned();
        let (once, _) = goes_on(bench.ask(asks(&client.first(), None)));
        let (again, exchange) = goes_on(bench.ask(asks(&client.first(), None)));
        assert_eq!(salt(&once), salt(&again), "{}", client.name);
        assert_ne!(once, again, "another nonce each time");
        assert_eq!(salt(&once).len(), "W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".len());
        let last = client.last(&again).message;
        answers.push(refusal(bench.ask(asks(&last, Some(exchange)))));
    }
    let (reason, why) = &answers[0];
    assert_eq!(*reason, ReasonCode::BadUserNameOrPassword);
    assert_eq!(&**why, "scram: wrong password, or no such user");
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[test]
fn s48_a_change_holds_for_who_has_begun_to_log_in() {
    let (_folder, access) = access();
    let bench = bench(&access);
    let root = || UserEdit {
        superuser: true,
        ..with_password("pencil")
    };
    let change = |how: &dyn Fn(&Access)| {
        access.put_user("ann", root()).unwrap();
        let (server, exchange) = goes_on(bench.ask(asks(&ANN.first(), None)));
        how(&access);
        bench.ask(asks(&ANN.last(&server).message, Some(exchange)))
    };
    let plain = admitted(change(&|_| {}));
    assert!(plain.grant.unwrap().superuser);
    let keep = |edit: UserEdit| UserEdit {
        password: PasswordEdit::Keep,
        ..edit
    };
    let demoted = |access: &Access| {
        access.put_user("ann", keep(UserEdit::default())).unwrap();
    };
    assert!(!admitted(change(&demoted)).grant.unwrap().superuser);
    let disabled = |access: &Access| {
        let edit = UserEdit {
            disabled: true,
            ..root()
        };
        access.put_user("ann", keep(edit)).unwrap();
    };
    let removed = |access: &Access| {
        access.delete_user("ann").unwrap();
    };
    let renewed = |access: &Access| {
        access.put_user("ann", with_password("pencil")).unwrap();
    };
    let bound = |access: &Access| {
        let edit = UserEdit {
            client_id: Some("another".into()),
            ..root()
        };
        access.put_user("ann", keep(edit)).unwrap();
    };
    let ways: [&dyn Fn(&Access); 4] = [&disabled, &removed, &renewed, &bound];
    for (change, why) in ways.map(change).into_iter().zip([
        "scram: the user is disabled",
        "scram: the password was changed meanwhile",
        "scram: the password was changed meanwhile",
        "scram: the user may only use another client identifier",
    ]) {
        assert_eq!(&*refusal(change).1, why);
    }
}

#[test]
fn s70_messages_that_are_not_scram_are_refused() {
    let (_folder, access) = access();
    access.put_user("ann", with_password("pencil")).unwrap();
    let bench = bench(&access);
    let long = format!("n,,n=ann,r={}", "x".repeat(LONGEST_MESSAGE));
    for first in [
        "",
        "n,,",
        "n,",
        "é",
        "n,,n=ann",
        "n,,n=,r=abc",
        "n,,n=ann,r=",
        "n,,n=ann,r=a b",
        "n,,n=a=2cb,r=abc",
        "n,,n=ann\u{1},r=abc",
        "n,,m=x,n=ann,r=abc",
        "n,a=root,n=ann,r=abc",
        "p=tls-unique,,n=ann,r=abc",
        &long,
    ] {
        let (reason, _) = refusal(bench.ask(asks(first, None)));
        assert_eq!(reason, ReasonCode::BadUserNameOrPassword, "{first}");
    }
    let (server, _) = goes_on(bench.ask(asks(&ANN.first(), None)));
    let right = ANN.last(&server).message;
    let bent: [fn(&str) -> String; 7] = [
        |_| String::new(),
        |it| it.replace("c=biws", "c=eSws"),
        |it| it.replace(",r=f", ",r=g"),
        |it| it.replace(",p=", ",m=x,p="),
        |it| it.replace(",p=", ",p=A"),
        |it| it.split(",p=").next().unwrap().into(),
        |it| format!("{}x", it),
    ];
    for bend in bent {
        let (server, exchange) = goes_on(bench.ask(asks(&ANN.first(), None)));
        let last = bend(&ANN.last(&server).message);
        refusal(bench.ask(asks(&last, Some(exchange))));
    }
    // What was right in one conversation is not in another.
    let (_, exchange) = goes_on(bench.ask(asks(&ANN.first(), None)));
    refusal(bench.ask(asks(&right, Some(exchange))));
    // A conversation that nobody here began.
    let foreign = Exchange(Box::new(7_u32));
    let (reason, _) = refusal(bench.ask(asks(&right, Some(foreign))));
    assert_eq!(reason, ReasonCode::ServerUnavailable);
}

#[test]
fn s64_guesses_count_in_conversations_too() {
    let (_folder, access) = access();
    access.put_user("ann", with_password("pencil")).unwrap();
    let bench = Bench::new(Settings {
        providers: vec![ProviderSettings::new("scram", Kind::Scram)],
        access: Some(access),
        failed_logins: 2,
        ..Settings::default()
    });
    for _ in 0..2 {
        let guess = Client {
            password: "guess",
            ..ANN
        };
        let (server, exchange) = goes_on(bench.ask(asks(&guess.first(), None)));
        refusal(bench.ask(asks(&guess.last(&server).message, Some(exchange))));
    }
    let (reason, _) = refusal(bench.ask(asks(&ANN.first(), None)));
    assert_eq!(reason, ReasonCode::ConnectionRateExceeded);
}

#[test]
fn s71_a_conversation_does_not_show_itself() {
    let salt = vec![1; 16];
    let verifier = Verifier::with_salt(b"pencil", salt, NonZeroU32::new(4096).unwrap());
    assert_eq!(format!("{verifier:?}"), "Verifier");
}
