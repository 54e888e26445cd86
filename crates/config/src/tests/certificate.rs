use super::*;

const FILES: &str =
    "[[certificate]]\nname = \"main\"\nchain = \"tls/chain.pem\"\nkey = \"/k.pem\"\n";
const ACME: &str = "[[certificate]]\nname = \"web\"\nacme = \"https://ca.example/directory\"\n\
                    domains = [\"mqtt.example.com\"]\n";

#[test]
fn certificates_come_from_files_or_from_acme() {
    let folder = Folder::new("certificates");
    let more = "email = \"a@example.com\"\nacme_ca = \"root.pem\"\nhttp_address = \"[::]:8080\"\n";
    let other = ACME.replace("web", "other") + "challenge = \"tls-alpn-01\"\n";
    let config = Config::load(&folder.sources(&format!("{FILES}{ACME}{more}{other}"))).unwrap();
    let files = CertificateFiles {
        chain: folder.0.join("tls/chain.pem"),
        key: "/k.pem".into(),
    };
    assert_eq!(config.certificates[0].name, "main");
    assert_eq!(
        config.certificates[0].origin,
        CertificateOrigin::Files(files)
    );
    let CertificateOrigin::Acme(acme) = &config.certificates[1].origin else {
        panic!("{:?}", config.certificates[1]);
    };
    assert_eq!(acme.acme.reveal(), "https://ca.example/directory");
    assert_eq!(acme.domains, ["mqtt.example.com"]);
    assert_eq!(acme.email.as_deref(), Some("a@example.com"));
    assert_eq!(acme.acme_ca, Some(folder.0.join("root.pem")));
    assert_eq!(acme.challenge, Challenge::Http01);
    assert_eq!(acme.http_address, "[::]:8080".parse().unwrap());
    let CertificateOrigin::Acme(acme) = &config.certificates[2].origin else {
        panic!("{:?}", config.certificates[2]);
    };
    assert_eq!(acme.challenge, Challenge::TlsAlpn01);
    assert_eq!(acme.http_address, "0.0.0.0:80".parse().unwrap());
    assert_eq!(
        Config::load(&folder.sources(&config.to_toml())).unwrap(),
        config
    );
}

#[test]
fn what_is_wrong_with_a_certificate_is_told() {
    let nameless = FILES.replace("name = \"main\"\n", "");
    let keyless = FILES.replace("key = \"/k.pem\"\n", "");
    assert_told(
        "certificate-errors",
        &[
            (
                "[[certificate]]\nname = \"main\"\n",
                "nightjar.toml:1:1: a certificate needs chain or acme",
            ),
            (
                &nameless,
                "nightjar.toml:1:1: a certificate with chain needs name = \"main\" or another",
            ),
            (
                &keyless,
                "nightjar.toml:1:1: a certificate with chain needs key = \"key.pem\" or another",
            ),
            (
                &format!("{FILES}acme = \"https://a\"\n"),
                "nightjar.toml:5:1: a certificate has chain or acme, not both; leave one out",
            ),
            (
                &format!("{ACME}key = \"k.pem\"\n"),
                "nightjar.toml:5:1: a certificate with acme has no key; that goes with chain",
            ),
            (
                &ACME.replace("domains", "domain"),
                "nightjar.toml:4:1: unknown key domain in certificate; did you mean domains?",
            ),
            (
                &ACME.replace("mqtt.example", "*.example"),
                "nightjar.toml:4:11: certificate.domains: \"*.example.com\" is no name of a host",
            ),
            (
                &ACME.replace("https:", "http:"),
                "nightjar.toml:3:8: certificate.acme: this address begins in another way; write an \
                 address with https://",
            ),
            (
                &format!("{ACME}email = \"someone\"\n"),
                "nightjar.toml:5:9: certificate.email: \"someone\" is no mail address",
            ),
            (
                &format!("{ACME}challenge = \"dns-01\"\n"),
                "nightjar.toml:5:13: certificate.challenge: \"dns-01\" does not fit; write one of \
                 \"http-01\", \"tls-alpn-01\"",
            ),
            (
                &format!("{ACME}http_address = \"80\"\n"),
                "nightjar.toml:5:16: certificate.http_address: \"80\" is no address; write an IP \
                 address and a port",
            ),
            (
                &format!("{ACME}challenge = \"tls-alpn-01\"\nhttp_address = \"[::]:80\"\n"),
                "nightjar.toml:6:16: certificate.http_address is for challenge = \"http-01\" only",
            ),
            (
                &FILES.repeat(2),
                "nightjar.toml:6:8: certificate.name: \"main\" is there twice; give one of them",
            ),
            (
                "[certificate]\nname = \"a\"\n",
                "nightjar.toml:1:1: certificate is a list; write [[certificate]], then name = \"…\" below",
            ),
        ],
    );
    let found = Config::load(&variable("NIGHTJAR__CERTIFICATE", "a")).unwrap_err();
    assert_eq!(
        found.to_string(),
        "variable NIGHTJAR__CERTIFICATE: certificate can only stand in the file; write \
         [[certificate]], then name = \"…\" below"
    );
}
