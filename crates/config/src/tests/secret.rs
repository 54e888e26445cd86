use super::*;

/// A file with a secret in each key that can hold one.
const SECRETS: &str = r#"
allow_anonymous = true
access.no_match = "allow"

[[authentication]]
type = "jwt"
secret = "pa55 pa55 pa55 pa55 pa55 pa55 pa55: pa55"

[[authentication]]
type = "http"
url = "https://user:pa55@host/auth?token=pa55"
headers = ["Authorization: Bearer pa55"]

[[authentication]]
type = "postgresql"
url = "postgresql://user:pa55@host/db"
query = "SELECT 1"

[[authentication]]
type = "redis"
url = "redis://:pa55@host"
command = "GET ${username}"

[[authentication]]
type = "mongodb"
url = "mongodb://user:pa55@host/db"
collection = "users"

[[authentication]]
type = "ldap"
url = "ldaps://host"
base = "dc=example"
search_dn = "cn=search"
search_password = "pa55"
"#;

#[test]
fn s71_secrets_are_neither_rendered_nor_logged() {
    let config = load("secrets", SECRETS).unwrap();
    for shown in [config.to_toml(), format!("{config:?}")] {
        assert!(!shown.contains("pa55"), "{shown}");
    }
    let text = config.to_toml();
    for line in [
        "secret = \"…\"",
        "url = \"https://user:…@host/auth?token=…\"",
        "headers = [\"Authorization: …\"]",
        "url = \"postgresql://user:…@host/db\"",
        "url = \"redis://:…@host\"",
        "search_password = \"…\"",
        "command = \"GET ${username}\"",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let Method::Jwt(jwt) = &config.authentication[0].method else {
        panic!("{:?}", config.authentication[0]);
    };
    assert!(jwt.secret.as_ref().unwrap().reveal().ends_with(": pa55"));
    let Method::Http(http) = &config.authentication[1].method else {
        panic!("{:?}", config.authentication[1]);
    };
    assert_eq!(http.headers[0].value.reveal(), "Bearer pa55");
}

#[test]
fn s71_what_was_hidden_cannot_be_read_back() {
    let found = errors("hidden", &load("hidden-first", SECRETS).unwrap().to_toml());
    assert_eq!(found.len(), 7, "{found:?}");
    for line in found {
        let told = "… stands for a secret that was not shown; write the secret itself";
        assert!(line.ends_with(told), "{line}");
    }
}

#[test]
fn s71_no_error_shows_a_secret() {
    for (from, to) in [
        (
            "secret = \"pa55 pa55 pa55 pa55 pa55 pa55 pa55: pa55\"",
            "secret = \"pa55\"",
        ),
        (
            "secret = \"pa55 pa55 pa55 pa55 pa55 pa55 pa55: pa55\"",
            "secret = [\"pa55\"]",
        ),
        (
            "secret = \"pa55 pa55 pa55 pa55 pa55 pa55 pa55: pa55\"",
            "secret = \"${pa\"\nissuer=5",
        ),
        (
            "[\"Authorization: Bearer pa55\"]",
            "[\"Authorization pa55\"]",
        ),
        (
            "[\"Authorization: Bearer pa55\"]",
            "\"Authorization: pa55\"",
        ),
        (
            "[\"Authorization: Bearer pa55\"]",
            "[\"A: pa55\", \"A: pa55\"]",
        ),
        (
            "\"postgresql://user:pa55@host/db\"",
            "\"mysql://user:pa55@host/db\"",
        ),
        (
            "\"postgresql://user:pa55@host/db\"",
            "\"user:pa55@host/db\"",
        ),
        (
            "\"postgresql://user:pa55@host/db\"",
            "\"postgresql://user:pa55/@host/db\"",
        ),
        (
            "\"postgresql://user:pa55@host/db\"",
            "[\"postgresql://user:pa55@host/db\"]",
        ),
        ("search_password = \"pa55\"", "search_password = 55"),
    ] {
        let text = SECRETS.replace(from, to);
        assert_ne!(text, SECRETS);
        for line in errors("secret-errors", &text) {
            assert!(!line.contains("pa55") && !line.contains("55 "), "{line}");
        }
    }
}
