//! TLS towards back ends.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::Problem;
use crate::settings::Tls;

/// What TLS is made with: the authorities that the settings name, or those that browsers trust.
/// There is no way to trust nobody in particular (S79).
pub(crate) fn client(tls: &Tls) -> Result<ClientConfig, Problem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Problem::new(format!("TLS: {error}")))?
        .with_root_certificates(roots(tls.ca.as_deref())?);
    let Some((certificate, key)) = &tls.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate)?;
    refuse_open_key(key)?;
    let found = PrivateKeyDer::from_pem_file(key);
    let found = found.map_err(|error| bad(key, &error.to_string()))?;
    let config = builder.with_client_auth_cert(chain, found);
    config.map_err(|error| bad(certificate, &error.to_string()))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    match ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            for certificate in certificates(file)? {
                let added = roots.add(certificate);
                added.map_err(|error| bad(file, &error.to_string()))?;
            }
        }
    }
    Ok(roots)
}

/// At least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let all = CertificateDer::pem_file_iter(file).map_err(|error| bad(file, &error.to_string()))?;
    let all: Result<Vec<_>, _> = all.collect();
    match all {
        Ok(all) if all.is_empty() => Err(bad(file, "there is no certificate in it")),
        Ok(all) => Ok(all),
        Err(error) => Err(bad(file, &error.to_string())),
    }
}

/// A private key is its owner's alone (S99).
#[cfg(unix)]
fn refuse_open_key(file: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::PermissionsExt;
    let found = std::fs::metadata(file).map_err(|error| bad(file, &error.to_string()))?;
    if found.permissions().mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(bad(file, "others may read this private key: chmod 600"))
    }
}

#[cfg(not(unix))]
fn refuse_open_key(_: &Path) -> Result<(), Problem> {
    Ok(())
}

fn bad(file: &Path, why: &str) -> Problem {
    Problem::new(format!("{}: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s79_authorities_that_cannot_be_read_are_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let with = |ca: &Path| {
            client(&Tls {
                ca: Some(ca.into()),
                identity: None,
            })
        };
        assert!(with(&file).is_err(), "not there");
        std::fs::write(&file, "").unwrap();
        let problem = with(&file).unwrap_err().to_string();
        assert!(
            problem.ends_with("ca.pem: there is no certificate in it"),
            "{problem}"
        );
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&file, damaged).unwrap();
        assert!(with(&file).is_err(), "damaged");
        let made = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        std::fs::write(&file, made.cert.pem()).unwrap();
        assert!(with(&file).is_ok());
        assert!(client(&Tls::default()).is_ok());
    }

    #[test]
    fn a_certificate_and_another_ones_key_are_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let [one, other] = ["one", "other"].map(|name| {
            let made = rcgen::generate_simple_self_signed([name.into()]).unwrap();
            std::fs::write(path(name), made.cert.pem()).unwrap();
            let key = path(&format!("{name}.key"));
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            set_mode(&key, 0o600);
            (path(name), key)
        });
        let with = |certificate: &Path, key: &Path| {
            client(&Tls {
                ca: None,
                identity: Some((certificate.into(), key.into())),
            })
        };
        assert!(with(&one.0, &one.1).is_ok());
        assert!(with(&one.0, &other.1).is_err());
        assert!(with(&one.0, &one.0).is_err());
        set_mode(&one.1, 0o640);
        let open = with(&one.0, &one.1);
        assert_eq!(open.is_err(), cfg!(unix), "s99");
    }

    fn set_mode(file: &Path, mode: u32) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}
