use super::*;

const TLS: &str = "[[certificate]]\nname = \"main\"\nchain = \"c.pem\"\nkey = \"k.pem\"\n";

#[test]
fn names_stand_for_something() {
    let listener = |more: &str| format!("[[listener]]\naddress = \"127.0.0.1:5\"\n{more}");
    let named = "[[listener]]\naddress = \"[::1]:6\"\nname = \"a\"\n";
    let tls = "protocol = \"mqtts\"\ncertificates = [\"mian\"]\n";
    assert_told(
        "names-wrong",
        &[
            (
                &named.repeat(2).replacen(":6", ":7", 1),
                "nightjar.toml:6:8: listener.name: \"a\" is there twice; give one of them another",
            ),
            (
                &listener(tls),
                "nightjar.toml:4:16: listener.certificates: no [[certificate]] has the name \
                 \"mian\"; add a [[certificate]] with that name",
            ),
            (
                &format!("{}{TLS}", listener(tls)),
                "nightjar.toml:4:16: listener.certificates: no [[certificate]] has the name \
                 \"mian\"; did you mean \"main\"?",
            ),
            (
                &listener("authentication = [\"passwords\"]\nallow_anonymous = true\n"),
                "nightjar.toml:3:18: listener.authentication: no [[authentication]] has the name \
                 \"passwords\"; add",
            ),
            (
                "[[rule]]\nallow = \"all\"\nlisteners = [\"web\"]\n",
                "nightjar.toml:3:13: rule.listeners: no [[listener]] has the name \"web\"; there is \
                 mqtt-1883",
            ),
            (
                "[[listener]]\naddress = \"[::1]:5\"\nname = \"a\"\nallow_anonymous = true\n\
                 authentication = [\"database\"]\n[[listener]]\naddress = \"[::1]:6\"\n\
                 name = \"b\"\n[[authentication]]\ntype = \"database\"\nlisteners = [\"b\"]\n",
                "nightjar.toml:5:18: listener.authentication: \"database\" is not for \"a\"; add \
                 that name to its listeners",
            ),
        ],
    );
}
