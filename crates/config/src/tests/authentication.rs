use super::*;

fn method(test: &str, text: &str) -> Method {
    let text = format!("access.no_match = \"allow\"\n[[authentication]]\n{text}");
    let config = load(test, &text).unwrap();
    let again = load(&format!("{test}-again"), &config.to_toml()).unwrap();
    assert_eq!(again, config, "what is rendered is read back");
    config.authentication[0].method.clone()
}

#[test]
fn every_common_key_is_read() {
    let config = load(
        "authentication-keys",
        r#"
            [[authentication]]
            type = "database"
            name = "users"
            listeners = ["mqtt-1883"]
            timeout = "2s"
            concurrency = 8
            queue = 16
            on_failure = "next"
            cache = "1m"
            refresh = 0
            [[authentication]]
            type = "scram"
        "#,
    )
    .unwrap();
    let wanted = Authentication {
        method: Method::Database,
        name: "users".into(),
        listeners: vec!["mqtt-1883".into()],
        timeout: Duration::from_secs(2),
        concurrency: 8,
        queue: 16,
        on_failure: OnFailure::Next,
        cache: Duration::from_secs(60),
        refresh: Duration::ZERO,
    };
    assert_eq!(config.authentication[0], wanted);
    let scram = Authentication {
        method: Method::Scram,
        name: "scram".into(),
        ..Authentication::default()
    };
    assert_eq!(config.authentication[1], scram);
    let names: Vec<_> = config
        .asked_by(&config.listeners[0])
        .map(|it| &it.name)
        .collect();
    assert_eq!(names, ["users", "scram"]);
    assert_eq!(
        load("authentication-again", &config.to_toml()).unwrap(),
        config
    );
}

#[test]
fn the_keys_of_each_type_are_read() {
    let file = method(
        "passwords",
        "type = \"passwords\"\nfile = \"/etc/passwords\"\n",
    );
    let passwords = Passwords {
        file: "/etc/passwords".into(),
    };
    assert_eq!(file, Method::Passwords(passwords));
    let jwt = method(
        "jwt",
        r#"
            type = "jwt"
            algorithms = ["RS256", "EdDSA"]
            jwks = "https://issuer.example/keys"
            jwks_refresh = "1h"
            ca = "/ca.pem"
            audience = ["mqtt"]
            issuer = "https://issuer.example"
            require_expiry = false
            token_in = "username"
            user_claim = "name"
            groups_claim = "groups"
            rules_claim = "rules"
            must_match_client = true
        "#,
    );
    let Method::Jwt(jwt) = jwt else {
        panic!("{jwt:?}")
    };
    let Some(Location::Url(url)) = &jwt.jwks else {
        panic!("{jwt:?}")
    };
    assert_eq!(url.reveal(), "https://issuer.example/keys");
    let wanted = Jwt {
        algorithms: vec![Algorithm::Rs256, Algorithm::EdDsa],
        jwks: jwt.jwks.clone(),
        jwks_refresh: Duration::from_secs(3600),
        ca: Some("/ca.pem".into()),
        audience: vec!["mqtt".into()],
        issuer: Some("https://issuer.example".into()),
        require_expiry: false,
        token_in: TokenIn::Username,
        user_claim: "name".into(),
        groups_claim: Some("groups".into()),
        rules_claim: "rules".into(),
        must_match_client: true,
        ..Jwt::default()
    };
    assert_eq!(jwt, wanted);
    let jwt = method("jwks", "type = \"jwt\"\njwks = \"/etc/keys.json\"\n");
    let wanted = Jwt {
        jwks: Some(Location::File("/etc/keys.json".into())),
        ..Jwt::default()
    };
    assert_eq!(jwt, Method::Jwt(wanted));
    let http = method(
        "http",
        "type = \"http\"\nurl = \"http://host/a\"\nca = \"/ca\"\ncertificate = \"/c\"\nkey = \"/k\"\n",
    );
    let Method::Http(http) = http else {
        panic!("{http:?}")
    };
    assert_eq!(http.url.reveal(), "http://host/a");
    assert_eq!(http.ca, Some("/ca".into()));
    assert_eq!(
        (http.certificate, http.key),
        (Some("/c".into()), Some("/k".into()))
    );
}

#[test]
fn the_keys_of_each_database_are_read() {
    for (word, scheme) in [("postgresql", "postgres"), ("mysql", "mysql")] {
        let sql = method(
            word,
            &format!(
                "type = \"{word}\"\nurl = \"{scheme}://host/db\"\nquery = \"a ${{username}}\"\n\
                 rules_query = \"b ${{clientid}}\"\ngroups_query = \"c ${{ip}}\"\n\
                 hash = \"bcrypt\"\nca = \"/ca\"\n"
            ),
        );
        assert_eq!(sql.as_str(), word);
        let (Method::PostgreSql(sql) | Method::MySql(sql)) = sql else {
            panic!("{sql:?}")
        };
        let wanted = Sql {
            url: sql.url.clone(),
            query: "a ${username}".into(),
            rules_query: Some("b ${clientid}".into()),
            groups_query: Some("c ${ip}".into()),
            hash: PasswordHash::Bcrypt,
            ca: Some("/ca".into()),
        };
        assert_eq!(sql, wanted);
    }
    let redis = method(
        "redis",
        "type = \"redis\"\nurl = \"rediss://host\"\ncommand = \"GET ${username}\"\n\
         rules_command = \"GET b\"\nhash = \"plain\"\n",
    );
    let Method::Redis(redis) = redis else {
        panic!("{redis:?}")
    };
    assert_eq!(
        (redis.command.as_str(), redis.hash),
        ("GET ${username}", PasswordHash::Plain)
    );
    assert_eq!(redis.rules_command.as_deref(), Some("GET b"));
    let mongodb = method(
        "mongodb",
        "type = \"mongodb\"\nurl = \"mongodb://one:1,two:2/db\"\ncollection = \"users\"\n\
         rules_collection = \"rules\"\nrules_filter = '{ \"u\": \"${username}\" }'\n",
    );
    let Method::MongoDb(mongodb) = mongodb else {
        panic!("{mongodb:?}")
    };
    let wanted = MongoDb {
        url: mongodb.url.clone(),
        collection: "users".into(),
        rules_collection: Some("rules".into()),
        rules_filter: Some(r#"{ "u": "${username}" }"#.into()),
        ..MongoDb::default()
    };
    assert_eq!(mongodb, wanted);
    let ldap = method(
        "ldap",
        "type = \"ldap\"\nurl = \"ldap://host\"\nbase = \"ou=people\"\nsearch = \"(cn=${username})\"\n\
         search_dn = \"cn=search\"\nsearch_password_file = \"/p\"\ngroup_base = \"ou=groups\"\n\
         group_search = \"(memberUid=${username})\"\ngroup_name = \"ou\"\n",
    );
    let Method::Ldap(ldap) = ldap else {
        panic!("{ldap:?}")
    };
    let wanted = Ldap {
        url: ldap.url.clone(),
        base: Some("ou=people".into()),
        search: "(cn=${username})".into(),
        search_dn: Some("cn=search".into()),
        search_password_file: Some("/p".into()),
        group_base: Some("ou=groups".into()),
        group_search: "(memberUid=${username})".into(),
        group_name: "ou".into(),
        ..Ldap::default()
    };
    assert_eq!(ldap, wanted);
}

#[test]
fn a_certificate_can_name_its_user_where_one_is_asked_for() {
    let text = |ca: &str| {
        format!(
            "access.no_match = \"allow\"\n[[listener]]\naddress = \"0.0.0.0:8883\"\n\
             protocol = \"mqtts\"\ncertificates = [\"main\"]\n{ca}[[certificate]]\nname = \"main\"\n\
             chain = \"c\"\nkey = \"k\"\n[[authentication]]\ntype = \"certificate\"\n\
             user_from = \"dns\"\n"
        )
    };
    let config = load("by-certificate", &text("client_ca = \"ca.pem\"\n")).unwrap();
    let wanted = ByCertificate {
        user_from: UserFrom::Dns,
    };
    assert_eq!(config.authentication[0].method, Method::Certificate(wanted));
    assert_told(
        "no-certificate",
        &[(
            &text(""),
            "nightjar.toml:10:1: authentication certificate looks at clients' certificates, but none \
             of its listeners asks for them; write client_ca = \"…\" below a [[listener]]",
        )],
    );
}

#[test]
fn what_is_wrong_with_an_authentication_is_told() {
    let jwt = "type = \"jwt\"\njwks = \"https://a\"\n";
    let http = "type = \"http\"\nurl = \"https://a\"\n";
    let sql = "type = \"mysql\"\nurl = \"mysql://a\"\n";
    let cases: &[(String, &str)] = &[
        (
            "name = \"a\"\n".into(),
            "1:1: an authentication needs type; write one of \"passwords\", \"database\", \"scram\"",
        ),
        (
            "type = \"mongo\"\n".into(),
            "2:8: authentication.type: \"mongo\" does not fit; write one of \"passwords\"",
        ),
        ("type = 5\n".into(), "2:8: authentication.type: write one of \"passwords\""),
        (
            "type = \"passwords\"\n".into(),
            "1:1: an authentication with type = \"passwords\" needs file = \"passwords\" or another",
        ),
        (
            "type = \"passwords\"\nfile = \"a\"\nquery = \"b\"\n".into(),
            "4:1: an authentication with type = \"passwords\" has no query; that is a key of type = \
             \"postgresql\", \"mysql\"",
        ),
        (
            "type = \"database\"\nfile = \"a\"\n".into(),
            "3:1: an authentication with type = \"database\" has no file; that is a key of type = \
             \"passwords\"",
        ),
        (
            format!("{http}haeders = [\"a: b\"]\n"),
            "4:1: unknown key haeders in authentication; did you mean headers?",
        ),
        (
            format!("{http}timeout = 0\n"),
            "4:11: authentication.timeout: 0 is out of range; write a time from \"10ms\" to \"1d\"",
        ),
        (
            format!("{http}headers = [\"a\"]\n"),
            "4:11: authentication.headers: what is written does not fit; write \"Name: value\"",
        ),
        (
            format!("{http}key = \"k\"\n"),
            "4:7: authentication.key goes with certificate and key, both; write both, or leave both",
        ),
        (
            format!("{http}certificate = \"k\"\n"),
            "4:15: authentication.certificate goes with certificate and key, both; write both",
        ),
        (
            "type = \"http\"\nurl = \"https:/a\"\n".into(),
            "3:7: authentication.url: this is no address; write an address with https:// or http://",
        ),
        (
            sql.into(),
            "1:1: an authentication with type = \"mysql\" needs query = \"SELECT password_hash FROM \
             users WHERE name = ${username}\" or another",
        ),
        (
            format!("{sql}query = \"a ${{user}}\"\n"),
            "4:9: authentication.query: \"a ${user}\" has a placeholder that does not exist; there",
        ),
        (format!("{sql}query = \"\"\n"), "4:9: authentication.query: \"\" is empty"),
        (
            "type = \"jwt\"\n".into(),
            "2:8: nothing says who signs tokens; write one of secret, secret_file, public_key and jwks",
        ),
        (
            format!("{jwt}secret_file = \"a\"\n"),
            "3:8: secret_file and jwks are both there; leave all but one out",
        ),
        (
            format!("{jwt}algorithms = [\"HS256\", \"RS256\"]\n"),
            "4:14: authentication.algorithms: HS256, HS384 and HS512 need a secret, which jwks is \
             not; leave them out",
        ),
        (
            "type = \"jwt\"\nsecret_file = \"a\"\nalgorithms = [\"RS256\"]\n".into(),
            "4:14: authentication.algorithms: with secret_file only HS256, HS384 and HS512 can be",
        ),
        (
            format!("{jwt}algorithms = [\"none\"]\n"),
            "4:14: authentication.algorithms: \"none\" does not fit; write one of \"HS256\"",
        ),
        (
            "type = \"jwt\"\njwks = \"keys.json\"\nca = \"ca.pem\"\n".into(),
            "4:6: authentication.ca is for a jwks that is fetched; leave it out",
        ),
        (
            "type = \"jwt\"\nsecret = \"short\"\n".into(),
            "3:10: authentication.secret: too short a secret can be guessed; write at least 32 bytes",
        ),
        (
            "type = \"jwt\"\njwks = \"http://a\"\n".into(),
            "3:8: authentication.jwks: this address begins in another way; write an address with \
             https://",
        ),
        (
            "type = \"mongodb\"\nurl = \"mongodb://a\"\ncollection = \"b\"\nrules_filter = \"{}\"\n"
                .into(),
            "5:16: authentication.rules_filter finds nothing without rules_collection; write it, or",
        ),
    ];
    for (text, told) in cases {
        let text = format!("[[authentication]]\n{text}");
        assert_told(
            "authentication-errors",
            &[(&text, &format!("nightjar.toml:{told}"))],
        );
    }
    let twice = "[[authentication]]\ntype = \"database\"\n".repeat(2);
    assert_told(
        "authentication-twice",
        &[(
            &twice,
            "nightjar.toml:3:1: authentication.name: \"database\" is there twice; give one of them \
             another name",
        )],
    );
}

#[test]
fn what_is_wrong_with_ldap_is_told() {
    let bind = "bind_dn = \"uid=${username}\"\n";
    let base = "base = \"ou=people\"\n";
    for (more, told) in [
        (
            String::new(),
            "2:8: nothing says where users are; write bind_dn = \"uid=${username},ou=people,…\", or \
             base = \"ou=people,…\"",
        ),
        (
            format!("{bind}{base}"),
            "5:8: bind_dn and base are both there; leave out bind_dn to search for the user, or base",
        ),
        (
            format!("{bind}search = \"(a=b)\"\n"),
            "5:10: authentication.search means nothing without base; write it, or leave search out",
        ),
        (
            format!("{base}search_dn = \"a\"\n"),
            "5:13: authentication.search_dn has no password; write search_password or \
             search_password_file, or leave search_dn out",
        ),
        (
            format!("{bind}search_dn = \"a\"\n"),
            "5:13: authentication.search_dn means nothing without base; write it",
        ),
        (
            format!("{base}search_password = \"a\"\n"),
            "5:19: authentication.search_password means nothing without search_dn; write it",
        ),
        (
            format!("{base}search_password_file = \"a\"\n"),
            "5:24: authentication.search_password_file means nothing without search_dn; write it",
        ),
        (
            format!("{base}search_password = \"\"\n"),
            "5:19: authentication.search_password: the password is empty; leave the key out if there",
        ),
        (
            format!("{base}group_search = \"(a=${{dn}})\"\n"),
            "5:16: authentication.group_search means nothing without group_base; write it",
        ),
        (
            format!("{base}group_search = \"(a=${{x}})\"\n"),
            "5:16: authentication.group_search: \"(a=${x})\" has a placeholder that does not exist; \
             there are ${dn}, ${username}",
        ),
        (
            format!("{base}group_name = \"a\"\n"),
            "5:14: authentication.group_name means nothing without group_base; write it",
        ),
        (
            format!(
                "{base}search_dn = \"a\"\nsearch_password = \"a\"\nsearch_password_file = \"b\"\n"
            ),
            "7:24: search_password and search_password_file are both there; leave one out",
        ),
    ] {
        let text = format!("[[authentication]]\ntype = \"ldap\"\nurl = \"ldaps://a\"\n{more}");
        assert_told("ldap-errors", &[(&text, &format!("nightjar.toml:{told}"))]);
    }
}

#[test]
fn dynamic_security_needs_somebody_who_asks_the_database() {
    let key = "[dynamic_security]\nenabled = true\n";
    for (at, method) in ["database", "scram"].into_iter().enumerate() {
        let text = format!("[[authentication]]\ntype = \"{method}\"\n{key}");
        let config = load(&format!("dynamic-security-{at}"), &text).unwrap();
        assert!(config.dynamic_security.enabled);
        let again = load(&format!("dynamic-security-{at}-again"), &config.to_toml());
        assert_eq!(again.unwrap(), config, "what is rendered is read back");
    }
    let errors = load("dynamic-security-alone", key).unwrap_err();
    assert!(
        errors.to_string().contains("type = \"database\""),
        "{errors}"
    );
    assert!(
        !load("dynamic-security-off", "")
            .unwrap()
            .dynamic_security
            .enabled
    );
}
