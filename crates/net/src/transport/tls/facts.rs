//! What a certificate says.

use types::Certificate;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509Name};

/// What a client's certificate says; `None` if it cannot be read, and then it is nobody's.
pub(super) fn certificate(der: &[u8]) -> Option<Certificate> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let mut certificate = Certificate {
        common_names: common_names(parsed.subject()),
        subject: distinguished_name(parsed.subject()),
        issuer: distinguished_name(parsed.issuer()),
        serial: hex(parsed.raw_serial()),
        fingerprint: hex(ring::digest::digest(&ring::digest::SHA256, der).as_ref()),
        not_after: parsed.validity().not_after.timestamp(),
        ..Certificate::default()
    };
    let names = parsed.subject_alternative_name().ok()?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::DNSName(name) => certificate.dns_names.push((*name).to_owned()),
            GeneralName::URI(uri) => certificate.uris.push((*uri).to_owned()),
            GeneralName::RFC822Name(mail) => certificate.emails.push((*mail).to_owned()),
            _ => {}
        }
    }
    Some(certificate)
}

/// One that cannot be read as text stands there empty: it counts, and it is nobody's (S77).
fn common_names(name: &X509Name<'_>) -> Vec<String> {
    let names = name.iter_common_name();
    names
        .map(|value| value.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// RFC 4514: the last part first, with what has a meaning escaped.
pub(super) fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|part| {
            let values: Vec<String> = part
                .iter()
                .map(|value| {
                    let kind = value.attr_type().to_id_string();
                    let known = KINDS.iter().find(|(id, _)| *id == kind);
                    match (known, value.as_str()) {
                        (Some((_, name)), Ok(text)) => format!("{name}={}", escaped(text)),
                        // RFC 4514, 2.4: what is no plain text is written as it was encoded.
                        (Some((_, name)), Err(_)) => format!("{name}=#{}", hex(value.as_slice())),
                        (None, _) => format!("{kind}=#{}", hex(value.as_slice())),
                    }
                })
                .collect();
            values.join("+")
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

/// RFC 4514, 2.4. Controls are escaped too, so that the text is one line anywhere.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (place, letter) in text.chars().enumerate() {
        match letter {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', letter]),
            '#' if place == 0 => out.push_str("\\#"),
            ' ' if place == 0 || place == last => out.push_str("\\ "),
            letter if letter.is_control() => {
                let mut bytes = [0; 4];
                for byte in letter.encode_utf8(&mut bytes).bytes() {
                    out.push_str(&format!("\\{byte:02x}"));
                }
            }
            letter => out.push(letter),
        }
    }
    out
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Short names of RFC 4514, 3, and those in common use.
const KINDS: [(&str, &str); 12] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn made(change: impl FnOnce(&mut rcgen::CertificateParams)) -> Certificate {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        certificate(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn everything_that_identities_come_from() {
        let found = made(|params| {
            let name = &mut params.distinguished_name;
            name.push(rcgen::DnType::OrganizationName, "Works, \"North\"");
            name.push(rcgen::DnType::CommonName, "#meter 7 ");
            params.serial_number = Some(rcgen::SerialNumber::from(vec![0x0a, 0xff]));
            let uri = rcgen::string::Ia5String::try_from("spiffe://works/meter").unwrap();
            let mail = rcgen::string::Ia5String::try_from("m7@works.example").unwrap();
            let dns = rcgen::string::Ia5String::try_from("meter7.works.example").unwrap();
            params.subject_alt_names = vec![
                rcgen::SanType::DnsName(dns),
                rcgen::SanType::URI(uri),
                rcgen::SanType::Rfc822Name(mail),
            ];
        });
        assert_eq!(found.common_names, ["#meter 7 "]);
        assert_eq!(found.subject, r#"CN=\#meter 7\ ,O=Works\, \"North\""#);
        assert_eq!(found.issuer, found.subject);
        assert_eq!(found.dns_names, ["meter7.works.example"]);
        assert_eq!(found.uris, ["spiffe://works/meter"]);
        assert_eq!(found.emails, ["m7@works.example"]);
        assert_eq!(found.serial, "0aff");
        assert_eq!(found.fingerprint.len(), 64);
        assert!(found.not_after > 0);
    }

    #[test]
    fn s77_strange_names_are_told_as_they_are() {
        assert_eq!(made(|_| {}).common_names, [""; 0]);
        let empty = made(|params| {
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, "")
        });
        assert_eq!(empty.common_names, [""]);
        let nul = made(|params| {
            let name = "a\0b".to_owned();
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, name);
        });
        assert_eq!(nul.common_names, ["a\0b"]);
        assert_eq!(nul.subject, "CN=a\\00b");
    }

    #[test]
    fn s76_what_is_no_certificate_is_none() {
        let key = rcgen::KeyPair::generate().unwrap();
        let der = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap();
        let der = der.der().to_vec();
        assert!(certificate(&der).is_some());
        for end in 0..der.len() {
            assert!(certificate(&der[..end]).is_none());
        }
    }
}
