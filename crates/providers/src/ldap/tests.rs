use super::*;
use crate::question::tests::question;
use crate::settings::{Address, Tls};

fn settings(url: &str, user: LdapUser) -> settings::Ldap {
    settings::Ldap {
        url: Address::new(url),
        user,
        search_as: Some(("cn=reader".into(), Secret::new(b"pa55"))),
        groups: None,
        tls: Tls::default(),
    }
}

fn name(text: &str) -> LdapUser {
    LdapUser::Name(text.into())
}

#[test]
fn names_are_escaped() {
    let template = Template::of_client("uid=${username},ou=people").unwrap();
    for (username, dn) in [
        ("ann", "uid=ann,ou=people"),
        ("x,ou=admins", "uid=x\\2cou\\3dadmins,ou=people"),
        ("#a", "uid=\\23a,ou=people"),
        (" a ", "uid=\\20a\\20,ou=people"),
        ("a\"\\<>;", "uid=a\\22\\5c\\3c\\3e\\3b,ou=people"),
        ("a+b=c", "uid=a\\2bb\\3dc,ou=people"),
    ] {
        let asked = question("c", username, "p");
        let filled = template
            .fill(&asked, None, |it| dn_escape(it).into_owned())
            .unwrap();
        assert_eq!(filled.to_lowercase(), dn, "RFC 4514");
    }
    let template = Template::of_client("(uid=${username})").unwrap();
    for (username, filter) in [
        ("ann", "(uid=ann)"),
        ("*", "(uid=\\2a)"),
        ("a)(|(uid=*", "(uid=a\\29\\28|\\28uid=\\2a)"),
        ("\\2a", "(uid=\\5c2a)"),
    ] {
        let asked = question("c", username, "p");
        let filled = template
            .fill(&asked, None, |it| ldap_escape(it).into_owned())
            .unwrap();
        assert_eq!(filled.to_lowercase(), filter, "RFC 4515");
    }
}

#[test]
fn s69_settings_that_make_no_sense_refuse_the_start() {
    for url in ["ldap://h", "ldaps://h:636", "ldap://[::1]:389"] {
        let made = Ldap::new(&settings(url, name("uid=${username}")));
        let made = made.unwrap_or_else(|problem| panic!("{url}: {problem}"));
        assert!(!format!("{made:?}").contains("pa55"), "s71");
    }
    let open = settings::Ldap {
        tls: Tls {
            ca: Some("ca.pem".into()),
            identity: None,
        },
        ..settings("ldap://h", name("uid=${username}"))
    };
    assert!(Ldap::new(&open).is_err(), "s79");
    for url in ["h", "ldap://", "http://h", "ldap://u:pa55@h"] {
        let problem = Ldap::new(&settings(url, name("x")))
            .unwrap_err()
            .to_string();
        assert!(!problem.contains("pa55"), "s71: {problem}");
    }
    assert!(Ldap::new(&settings("ldap://h", name("uid=${user}"))).is_err());
    assert!(Ldap::new(&settings("ldap://h", name("uid=${dn}"))).is_err());
}

#[test]
fn s55_a_user_has_one_name_however_it_is_written() {
    let names = |names: &[&str]| names.iter().map(|&it| it.into()).collect::<Vec<String>>();
    for (known, given, user) in [
        (&["ann"][..], "ann", Some("ann")),
        (&["ann"], "ANN", Some("ann")),
        (&["ann"], " ann", Some("ann")),
        (&["ann"], "ann@example.com", Some("ann")),
        (&["a", "ann"], "ann", Some("ann")),
        (&["a", "ann"], "Ann", None),
        (&[], "Ann", Some("ann")),
        (&[], "a nn", Some("a nn")),
        (&[], " ann", None),
        (&[], "a  nn", None),
        (&[], "Änn", None),
    ] {
        assert_eq!(
            canonical(&names(known), given).as_deref(),
            user,
            "{given} of {known:?}"
        );
    }
    for (text, found) in [
        ("uid=${username},ou=people,dc=x", Some("uid")),
        ("cn=x,ou=${username}", Some("ou")),
        ("(uid=${username})", Some("uid")),
        (
            "(&(objectClass=person)(sAMAccountName=${username}))",
            Some("sAMAccountName"),
        ),
        ("(|(uid=${username})(mail=${username}))", Some("uid")),
        ("(uid=x-${username})", None),
        ("(uid=${username}-x)", None),
        ("${username}@example.com", None),
        ("(uid=${clientid})", None),
    ] {
        assert_eq!(attribute(text).as_deref(), found, "{text}");
    }
}

#[test]
fn s62_an_empty_password_is_not_sent() {
    let ldap = Ldap::new(&settings("ldap://h", name("uid=${username}"))).unwrap();
    let said = ldap.quick(&question("c", "ann", ""));
    assert!(matches!(said, Some(Verdict::Unknown)));
    assert!(ldap.quick(&question("c", "ann", "p")).is_none());
}

#[test]
fn who_can_only_bind_is_not_asked_again() {
    assert!(
        !Ldap::new(&settings("ldap://h", name("uid=${username}")))
            .unwrap()
            .can_refresh()
    );
    let search = LdapUser::Search {
        base: "dc=x".into(),
        filter: "(uid=${username})".into(),
    };
    assert!(
        Ldap::new(&settings("ldap://h", search))
            .unwrap()
            .can_refresh()
    );
    let grouped = settings::Ldap {
        groups: Some(LdapGroups {
            base: "dc=x".into(),
            filter: "(member=${dn})".into(),
            name: "cn".into(),
        }),
        ..settings("ldap://h", name("uid=${username}"))
    };
    assert!(Ldap::new(&grouped).unwrap().can_refresh());
}

#[test]
fn s68_a_locked_account_is_not_a_directory_that_fails() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    // What is said to who binds with a directory that answers with this code (RFC 4511, 4.2.2).
    let bind = |code: u8| {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("ldap://{}", listener.local_addr().unwrap());
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let read = stream.read(&mut [0; 1024]).await.unwrap();
                assert_ne!(read, 0);
                let answer = [48, 12, 2, 1, 1, 97, 7, 10, 1, code, 4, 0, 4, 0];
                stream.write_all(&answer).await.unwrap();
                // Until the other side has read it.
                drop(stream.read(&mut [0; 1024]).await);
            });
            let ldap = Ldap::new(&settings(&url, name("uid=${username}"))).unwrap();
            let said = ldap.ask(&question("c", "ann", "p")).await;
            drop(ldap);
            server.await.unwrap();
            said
        })
    };
    for code in [19, 32, 34, 48, 49, 50, 53] {
        let said = bind(code);
        assert!(matches!(said, Verdict::Wrong(_)), "{code}: {said:?}");
    }
    for code in [1, 3, 51, 52, 80] {
        let said = bind(code);
        assert!(matches!(said, Verdict::Failed(_)), "{code}: {said:?}");
    }
}
