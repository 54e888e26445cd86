//! From `[[listener]]` to sockets.

use std::fmt;
use std::io;

use auth::rules;
use broker::{Knows, ListenerRules, Mount};
use config::{
    Certificate, CertificateOrigin, ClientCertificate, Config, Listener as Wanted, Protocol,
};
use net::{
    Address, CertificateFiles, ClientAuth, ClientCa, Listener, ListenerConfig, Network, Origins,
    ProxyProtocol, ServerTls, TlsDoor, TlsError, TlsFiles, TlsVersion, WebSocket,
};

use super::authorities::Authorities;
use super::certificates::Watched;

/// Why a listener cannot be opened.
#[derive(Debug)]
pub(crate) enum ListenError {
    /// The system refuses the address.
    Bind(config::Address, io::Error),
    /// Certificates, keys or lists are not as they must be.
    Tls(config::Address, TlsError),
    /// A certificate of this name cannot be had from its authority.
    Certificate(String, String),
    /// This version cannot do what is asked.
    Unsupported(config::Address, &'static str),
    /// Another listener, which a reload closes, has the address until then.
    StillOpen(config::Address, String),
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(address, error) if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "cannot listen on {address}: the port is in use, perhaps by another MQTT server; \
                 end that one, or choose another port with --listen"
            ),
            Self::Bind(address, error) => {
                let advice = match error.kind() {
                    io::ErrorKind::AddrNotAvailable => {
                        "; this machine has no such address, try 0.0.0.0 (all that it has) or \
                         127.0.0.1 (this machine only)"
                    }
                    io::ErrorKind::PermissionDenied => {
                        "; low ports are for the superuser, choose one above 1023"
                    }
                    _ => "",
                };
                write!(f, "cannot listen on {address}: {error}{advice}")
            }
            Self::Tls(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Certificate(name, what) => write!(f, "certificate {name}: {what}"),
            Self::StillOpen(address, name) => write!(
                f,
                "cannot listen on {address}: that is where listener {name} is, which would close; \
                 reload once without it, then with the new one, or restart"
            ),
            Self::Unsupported(address, what) => write!(f, "cannot listen on {address}: {what}"),
        }
    }
}

/// An open listener, what its TLS goes by, and its certificates to watch.
pub(crate) struct Opened {
    pub(crate) listener: Listener,
    tls: Option<TlsDoor>,
    pub(crate) watched: Option<Watched>,
}

impl Opened {
    /// Where it listens, and what its TLS goes by.
    pub(crate) fn found(&self) -> (Address, Option<TlsDoor>) {
        (self.listener.address().clone(), self.tls.clone())
    }
}

/// Opens all of these, or none.
///
/// # Errors
/// The first that cannot be opened.
pub(crate) fn open<'a>(
    config: &Config,
    wanted: impl IntoIterator<Item = &'a Wanted>,
    authorities: &Authorities,
) -> Result<Vec<Opened>, ListenError> {
    let open = |wanted: &Wanted| {
        let failed = |error| ListenError::Bind(wanted.address.clone(), error);
        let (how, watched) = listener(config, wanted, authorities)?;
        let listener = Listener::bind(&how).map_err(failed)?;
        Ok(Opened {
            listener,
            tls: how.tls,
            watched,
        })
    };
    wanted.into_iter().map(open).collect()
}

fn listener(
    config: &Config,
    wanted: &Wanted,
    authorities: &Authorities,
) -> Result<(ListenerConfig, Option<Watched>), ListenError> {
    let mut how = ListenerConfig::new(address(wanted));
    if !wanted.proxy.is_empty() {
        let trusted = wanted.proxy.iter();
        let trusted = trusted.filter_map(|one| Network::new(one.address(), one.prefix()));
        how.proxy = ProxyProtocol::From(trusted.collect());
    }
    if wanted.protocol.is_websocket() {
        how.websocket = Some(WebSocket {
            paths: wanted.path.clone(),
            origins: origins(&wanted.origins),
        });
    }
    if !wanted.protocol.has_tls() {
        return Ok((how, None));
    }
    let files = tls_files(config, wanted, authorities);
    let tls =
        ServerTls::load(&files).map_err(|error| ListenError::Tls(wanted.address.clone(), error))?;
    let door = TlsDoor::new(tls);
    how.tls = Some(door.clone());
    Ok((how, Some(Watched::new(&wanted.name, files, door))))
}

/// Whether the files of a listener with TLS can be used. What an authority has yet to give is left
/// out: it is asked for at a start.
///
/// # Errors
/// As for [`open`].
pub(crate) fn foresee(
    config: &Config,
    wanted: &Wanted,
    authorities: &Authorities,
) -> Result<(), ListenError> {
    if !wanted.protocol.has_tls() {
        return Ok(());
    }
    let files = tls_files(config, wanted, authorities);
    if !waiting(config, &wanted.certificates, &files).is_empty() {
        return Ok(());
    }
    let loaded = ServerTls::load(&files).map(drop);
    loaded.map_err(|error| ListenError::Tls(wanted.address.clone(), error))
}

/// Certificates that an authority has yet to give.
pub(crate) fn waiting(config: &Config, names: &[String], files: &TlsFiles) -> Vec<String> {
    let mut waits = Vec::new();
    for (name, file) in names.iter().zip(&files.certificates) {
        let origin = config.certificates.iter().find(|one| one.name == *name);
        let from_authority = origin.is_some_and(|one| {
            matches!(one.origin, CertificateOrigin::Acme(_)) && !file.chain.exists()
        });
        if from_authority {
            waits.push(format!("certificate {name}"));
        }
    }
    waits
}

/// What the broker holds the links of each listener to.
pub(crate) fn rules(config: &Config) -> Vec<ListenerRules> {
    config.listeners.iter().map(listener_rules).collect()
}

fn listener_rules(wanted: &Wanted) -> ListenerRules {
    let networks = |listed: &[config::Network]| {
        let network = |one: &config::Network| rules::Network::new(one.address(), one.prefix()).ok();
        listed.iter().filter_map(network).collect()
    };
    ListenerRules {
        name: wanted.name.as_str().into(),
        knows: match wanted.proxy.is_empty() {
            true => Knows::AtAccept,
            false => Knows::FromProxy,
        },
        allow: networks(&wanted.allow),
        deny: networks(&wanted.deny),
        connections: wanted.connections.map_or(0, |most| most as usize),
        connection_rate: wanted.connection_rate,
        message_rate: wanted.message_rate,
        byte_rate: wanted.byte_rate,
        mount: wanted.mount.as_deref().and_then(Mount::new),
    }
}

fn address(wanted: &Wanted) -> Address {
    match &wanted.address {
        config::Address::Ip(address) if wanted.protocol == Protocol::Quic => Address::Udp(*address),
        config::Address::Ip(address) => Address::Tcp(*address),
        config::Address::Unix(path) => Address::Unix {
            path: path.clone(),
            mode: u32::from(wanted.socket_mode.0),
        },
    }
}

fn origins(listed: &[String]) -> Origins {
    match listed {
        [] => Origins::SameHost,
        [one] if one == "*" => Origins::Any,
        several => Origins::Listed(several.to_vec()),
    }
}

/// The files of a listener with TLS.
pub(crate) fn tls_files(config: &Config, wanted: &Wanted, authorities: &Authorities) -> TlsFiles {
    let mut certificates = Vec::new();
    for name in &wanted.certificates {
        let named = config.certificates.iter().find(|one| one.name == *name);
        match named {
            Some(Certificate {
                origin: CertificateOrigin::Files(files),
                ..
            }) => certificates.push(CertificateFiles {
                chain: files.chain.clone(),
                key: files.key.clone(),
            }),
            Some(Certificate {
                origin: CertificateOrigin::Acme(acme),
                ..
            }) => {
                let file = authorities.file(name, acme);
                certificates.push(CertificateFiles {
                    chain: file.clone(),
                    key: file,
                });
            }
            // The configuration knows each name.
            None => {}
        }
    }
    let ca = || ClientCa {
        roots: wanted.client_ca.iter().cloned().collect(),
        crls: wanted.crl.clone(),
        ..ClientCa::default()
    };
    TlsFiles {
        certificates,
        client: match wanted.client_certificate {
            ClientCertificate::Off => ClientAuth::Off,
            ClientCertificate::Optional => ClientAuth::Optional(ca()),
            ClientCertificate::Required => ClientAuth::Required(ca()),
        },
        oldest: match wanted.tls_minimum {
            // QUIC knows no older one (RFC 9001, 4.2).
            _ if wanted.protocol == Protocol::Quic => TlsVersion::Tls13,
            config::TlsVersion::V1_2 => TlsVersion::Tls12,
            config::TlsVersion::V1_3 => TlsVersion::Tls13,
        },
        ..TlsFiles::default()
    }
}
