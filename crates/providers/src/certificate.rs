//! The client's certificate, which its handshake has proved to be its own.

use types::Certificate;

use crate::question::{Known, Question, Verdict};
use crate::settings::UserFrom;

/// Takes one thing that the certificate says for the user's name.
#[derive(Debug)]
pub(crate) struct ByCertificate {
    user_from: UserFrom,
}

impl ByCertificate {
    pub(crate) fn new(user_from: UserFrom) -> Self {
        Self { user_from }
    }

    /// A client with a certificate is who that says, or nobody: another provider is asked only
    /// about clients without one (S77).
    pub(crate) fn verify(&self, question: &Question) -> Verdict {
        let Some(certificate) = &question.certificate else {
            return Verdict::Unknown;
        };
        match user(certificate, self.user_from) {
            Ok(name) => Verdict::Known(Known::user(name)),
            Err(why) => Verdict::Wrong(why.into()),
        }
    }
}

/// The name, if there is just one and it is fit to be one.
fn user(certificate: &Certificate, from: UserFrom) -> Result<&str, &'static str> {
    let name = match from {
        UserFrom::CommonName => single(&certificate.common_names),
        UserFrom::Dns => single(&certificate.dns_names),
        UserFrom::Uri => single(&certificate.uris),
        UserFrom::Email => single(&certificate.emails),
        UserFrom::Subject => Ok(certificate.subject.as_str()),
        UserFrom::Fingerprint => Ok(certificate.fingerprint.as_str()),
    }?;
    if name.is_empty() {
        return Err("the name in the certificate is empty");
    }
    if name.chars().any(char::is_control) {
        return Err("the name in the certificate has control characters");
    }
    // Each URI has slashes; in rules they are literal, and no placeholder stands for such a name
    // (S44).
    let may_have_slash = from == UserFrom::Uri;
    if name.contains(['+', '#']) || (name.contains('/') && !may_have_slash) {
        return Err("the name in the certificate has one of + # /");
    }
    Ok(name)
}

fn single(names: &[String]) -> Result<&str, &'static str> {
    match names {
        [name] => Ok(name),
        [] => Err("the certificate has no name of the kind that users have"),
        _ => Err("the certificate has several names of that kind, so none is the user's"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::question::tests::question;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.into()).collect()
    }

    #[test]
    fn s77_a_certificate_names_its_user() {
        let certificate = Certificate {
            common_names: names(&["pump-7"]),
            subject: "CN=pump-7,O=Plant".into(),
            dns_names: names(&["pump-7.example.com"]),
            uris: names(&["urn:dev:7", "spiffe://plant/7"]),
            emails: names(&["pump@example.com"]),
            fingerprint: "ab12".into(),
            ..Certificate::default()
        };
        let of = |from| user(&certificate, from);
        assert_eq!(of(UserFrom::CommonName), Ok("pump-7"));
        assert_eq!(of(UserFrom::Dns), Ok("pump-7.example.com"));
        assert_eq!(of(UserFrom::Email), Ok("pump@example.com"));
        assert_eq!(of(UserFrom::Subject), Ok("CN=pump-7,O=Plant"));
        assert_eq!(of(UserFrom::Fingerprint), Ok("ab12"));
        assert!(of(UserFrom::Uri).is_err(), "two");
        let one = Certificate {
            uris: names(&["spiffe://plant/7"]),
            ..Certificate::default()
        };
        assert_eq!(user(&one, UserFrom::Uri), Ok("spiffe://plant/7"));
    }

    #[test]
    fn s77_a_strange_name_is_no_user() {
        for common_names in [
            &[][..],
            &[""],
            &["a", "b"],
            &["a", "a"],
            &["", "a"],
            &["a\0b"],
            &["a\nb"],
            &["a\u{85}"],
            &["a+b"],
            &["#"],
            &["a/b"],
        ] {
            let certificate = Certificate {
                common_names: names(common_names),
                ..Certificate::default()
            };
            let found = user(&certificate, UserFrom::CommonName);
            assert!(found.is_err(), "{common_names:?}");
        }
        let empty = Certificate::default();
        assert!(user(&empty, UserFrom::Subject).is_err());
        assert!(user(&empty, UserFrom::Fingerprint).is_err());
    }

    #[test]
    fn s77_whoever_shows_a_certificate_is_judged_by_it() {
        let provider = ByCertificate::new(UserFrom::CommonName);
        let mut asked = question("c", "root", "p");
        assert!(matches!(provider.verify(&asked), Verdict::Unknown));
        asked.certificate = Some(Arc::new(Certificate::default()));
        assert!(matches!(provider.verify(&asked), Verdict::Wrong(_)));
        asked.certificate = Some(Arc::new(Certificate {
            common_names: names(&["pump"]),
            ..Certificate::default()
        }));
        let Verdict::Known(known) = provider.verify(&asked) else {
            panic!("it is known");
        };
        assert_eq!(
            known.user.as_deref(),
            Some("pump"),
            "not what it calls itself"
        );
    }
}
