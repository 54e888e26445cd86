//! Listeners and certificates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use config::{
    Address, Certificate, CertificateFiles, CertificateOrigin, ClientCertificate, Listener,
    Network, Place, UserFrom,
};

use super::Work;
use crate::gather::{self, Family, Gathered, Protocol, Security};
use crate::{Options, Weight};

/// Who may come in by a listener, and what he may do.
pub(super) struct Door {
    /// The names of the listeners that it has become: one for each address.
    pub(super) names: Vec<String>,
    pub(super) place: Place,
    pub(super) security: Security,
    pub(super) user_from: Option<UserFrom>,
}

impl Work<'_> {
    pub(super) fn doors(&mut self, said: &Gathered, options: &Options) -> Vec<Door> {
        let there = said.listeners.iter().filter(|one| one.place.is_some());
        if there.clone().next().is_none() {
            return self.local_only(said, options);
        }
        if !options.ports.is_empty() {
            let text = "-p means nothing: the file defines listeners";
            self.note(None, Weight::Differs, text);
        }
        if let Some(first) = said.listeners.first().filter(|one| one.place.is_none())
            && let Some(hint) = &first.hinted
        {
            self.wrong(
                hint,
                "this stands before the first listener of its file and is about the one on port \
                 1883, which Mosquitto 2.0 would open beside the others; write `listener 1883` \
                 above it, or put it below its listener",
            );
        }
        let mut doors = Vec::new();
        for listener in there {
            if let Some(door) = self.door(listener, said) {
                doors.push(door);
            }
        }
        doors
    }

    /// Without a listener only this machine may come.
    fn local_only(&mut self, said: &Gathered, options: &Options) -> Vec<Door> {
        let place = Place::Default;
        if let Some(hint) = said.listeners.iter().find_map(|one| one.hinted.as_ref()) {
            let message = "this is about the listener on port 1883, and no listener is defined: \
                           write `listener 1883` above it";
            self.wrong(hint, message);
        }
        let text = "no listener is defined: local only mode, where clients of this machine may \
                    connect without a name, and nobody else may; write `listener 1883` and \
                    allow_anonymous or password_file for others";
        self.note(None, Weight::Differs, text);
        let ports = match options.ports.is_empty() {
            true => &[1883][..],
            false => &options.ports,
        };
        let mut names = Vec::new();
        for &port in ports {
            let mut ips = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
            ips.extend(Some(IpAddr::V6(Ipv6Addr::LOCALHOST)).filter(|_| self.machine.has_ipv6));
            for ip in ips {
                let listener = Listener::new(SocketAddr::new(ip, port));
                names.push(self.add(listener, &place, &[]));
            }
        }
        let mut security = said.security.clone();
        let first = said.listeners.first().map(|one| &one.security);
        let own = first.and_then(|own| own.anonymous.clone());
        let anonymous = security.anonymous.take().or(own);
        security.anonymous = anonymous.or_else(|| Some((true, place.clone())));
        vec![Door {
            names,
            place,
            security,
            user_from: None,
        }]
    }

    fn door(&mut self, said: &gather::Listener, all: &Gathered) -> Option<Door> {
        let place = said.place.clone()?;
        if said.protocol == Protocol::Http {
            let text = "protocol http_api: this listener is not opened; the dashboard's port \
                        (127.0.0.1:18083) has an API";
            self.note(Some(&place), Weight::Differs, text);
            return None;
        }
        let addresses = self.addresses(said, &place);
        let mut names = Vec::new();
        for address in addresses {
            let mut listener = Listener::new(address);
            self.shape(&mut listener, said);
            let name = self.free_name(&mut listener, said);
            self.tls(&mut listener, said, &place, &name);
            names.push(self.add(listener, &place, &said.places));
        }
        Some(Door {
            names,
            security: self.security(said, all),
            place,
            user_from: said.user_from,
        })
    }

    /// Adds a listener and tells its name.
    fn add(&mut self, mut listener: Listener, place: &Place, keys: &[(&str, Place)]) -> String {
        if listener.name.is_empty() {
            let word = listener.protocol.as_str();
            let end = match &listener.address {
                Address::Ip(address) => address.port().to_string(),
                Address::Unix(_) => "socket".to_owned(),
            };
            listener.name = self.free(&format!("{word}-{end}"));
        }
        let name = listener.name.clone();
        self.places.note_entry("listener", place.clone(), keys);
        self.config.listeners.push(listener);
        name
    }

    /// The name, perhaps with a number behind, that no other listener has.
    fn free(&self, name: &str) -> String {
        let is_taken = |name: &str| self.config.listeners.iter().any(|one| one.name == name);
        let mut free = name.to_owned();
        for number in 2_u32.. {
            if !is_taken(&free) {
                break;
            }
            free = format!("{name}-{number}");
        }
        free
    }

    fn free_name(&self, listener: &mut Listener, said: &gather::Listener) -> String {
        let has_tls = said.certificate.is_some() || said.key.is_some();
        listener.protocol = match (said.protocol, has_tls) {
            (Protocol::WebSocket, false) => config::Protocol::Ws,
            (Protocol::WebSocket, true) => config::Protocol::Wss,
            (_, false) => config::Protocol::Mqtt,
            (_, true) => config::Protocol::Mqtts,
        };
        let end = match &said.socket {
            Some(_) => "socket".to_owned(),
            None => said.port.to_string(),
        };
        let name = self.free(&format!("{}-{end}", listener.protocol.as_str()));
        listener.name.clone_from(&name);
        name
    }

    /// Where a listener listens.
    fn addresses(&mut self, said: &gather::Listener, place: &Place) -> Vec<Address> {
        if let Some(path) = &said.socket {
            return vec![Address::Unix(self.path(path))];
        }
        let ips = match &said.host {
            None => vec![self.anywhere(said.family)],
            Some(host) => match host.parse() {
                Ok(ip) => vec![ip],
                Err(_) => match (self.machine.resolve)(host) {
                    Ok(found) => found,
                    Err(error) => {
                        let shown = host.escape_debug();
                        self.wrong(place, format!("{shown} is no address here: {error}"));
                        return Vec::new();
                    }
                },
            },
        };
        let fits = |ip: &IpAddr| match said.family {
            None => ip.is_ipv4() || self.machine.has_ipv6,
            Some(Family::V4) => ip.is_ipv4(),
            Some(Family::V6) => ip.is_ipv6(),
        };
        let mut found: Vec<IpAddr> = ips.into_iter().filter(fits).collect();
        found.sort_unstable();
        found.dedup();
        if found.is_empty() {
            self.wrong(
                place,
                "the listener has no address that this machine could have",
            );
        }
        let address = |ip| Address::Ip(SocketAddr::new(ip, said.port));
        found.into_iter().map(address).collect()
    }

    fn anywhere(&self, family: Option<Family>) -> IpAddr {
        match family {
            None if self.machine.has_ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            None | Some(Family::V4) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Some(Family::V6) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }

    /// All but its address and TLS.
    fn shape(&mut self, listener: &mut Listener, said: &gather::Listener) {
        listener.connections = said.connections;
        if said.protocol == Protocol::WebSocket {
            listener.path = vec!["*".into()];
            listener.origins = match said.origins.is_empty() {
                true => vec!["*".into()],
                false => said.origins.clone(),
            };
        }
        let both = || {
            ["0.0.0.0/0", "::/0"]
                .into_iter()
                .filter_map(|all| Network::parse(all).ok())
        };
        if said.has_proxy {
            listener.proxy = both().collect();
        }
        if said.family == Some(Family::V6) && said.host.is_none() {
            // An address of IPv6 that takes all takes IPv4 too.
            listener.deny = both().take(1).collect();
        }
        if let Some((mount, place)) = &said.mount {
            if mount.ends_with('/') && !mount.starts_with(['/', '$']) {
                listener.mount = Some(mount.clone());
            } else {
                let message = "mount_point: what is put before topics must be whole levels here; \
                               let it end in /, and not begin with / or $";
                self.wrong(place, message);
            }
        }
    }

    fn tls(&mut self, listener: &mut Listener, said: &gather::Listener, place: &Place, name: &str) {
        let asks = said.requires_certificate || said.user_from.is_some();
        let ((chain, _), (key, _)) = match (&said.certificate, &said.key) {
            (Some(chain), Some(key)) => (chain, key),
            (Some((_, place)), None) => return self.wrong(place, "certfile needs keyfile"),
            (None, Some((_, place))) => return self.wrong(place, "keyfile needs certfile"),
            (None, None) => {
                if asks || said.authorities.is_some() {
                    let message = "this listener has no certificate of its own, so that nobody \
                                   could show one: certfile and keyfile are missing";
                    self.wrong(place, message);
                }
                self.without_tls(said);
                return;
            }
        };
        listener.tls_minimum = said.tls_minimum;
        let origin = CertificateOrigin::Files(CertificateFiles {
            chain: self.path(chain),
            key: self.path(key),
        });
        listener.certificates = vec![name.to_owned()];
        self.config.certificates.push(Certificate {
            name: name.to_owned(),
            origin,
        });
        self.places.note_entry("certificate", place.clone(), &[]);
        if !asks {
            self.without_certificates(said);
            return;
        }
        if !said.requires_certificate {
            let text = "a certificate names the user and require_certificate is not said: here a \
                        client must show one, and every client whose certificate cafile signed is \
                        let in; Mosquitto 2.0 asks for none and lets nobody in";
            self.note(Some(place), Weight::Differs, text);
        }
        match (&said.authorities, &said.authorities_folder) {
            (Some((file, _)), _) => listener.client_ca = Some(self.path(file)),
            (None, Some(place)) => {
                let message = "capath: authorities are read from one file here; `cat FOLDER/*.pem \
                               > ca.pem`, and name that as cafile";
                return self.wrong(place, message);
            }
            (None, None) => {
                let message = "cafile is missing: who signs the certificates of clients?";
                return self.wrong(place, message);
            }
        }
        listener.client_certificate = ClientCertificate::Required;
        if let Some((file, _)) = &said.revoked {
            listener.crl = vec![self.path(file)];
        }
    }

    /// What is said of TLS by a listener that speaks none.
    fn without_tls(&mut self, said: &gather::Listener) {
        if let Some((_, place)) = &said.revoked {
            let message = "crlfile: this listener has no TLS, so that nobody could be refused by \
                           it; put it below the listener with certfile and keyfile";
            self.wrong(place, message);
        }
        let version = said.places.iter().find(|(key, _)| *key == "tls_minimum");
        let version = version.map(|(_, place)| ("tls_version", place));
        let folder = said.authorities_folder.as_ref();
        for (name, place) in folder
            .map(|place| ("capath", place))
            .into_iter()
            .chain(version)
        {
            let text = format!("{name}: means nothing, because this listener has no TLS");
            self.note(Some(place), Weight::Differs, text);
        }
    }

    /// What is said of clients' certificates by a listener that asks for none.
    fn without_certificates(&mut self, said: &gather::Listener) {
        let file = |it: &Option<(String, Place)>| it.as_ref().map(|(_, place)| place.clone());
        for (name, place, weight) in [
            ("crlfile", file(&said.revoked), Weight::Differs),
            ("cafile", file(&said.authorities), Weight::Same),
            ("capath", said.authorities_folder.clone(), Weight::Same),
        ] {
            if let Some(place) = place {
                let text = format!(
                    "{name}: means nothing, because clients are not asked for certificates"
                );
                self.note(Some(&place), weight, text);
            }
        }
    }

    /// What holds for a listener: its own, and for the rest what is said for all. With
    /// `per_listener_settings` only global plugins are for all; they are asked beside its own.
    fn security(&mut self, said: &gather::Listener, all: &Gathered) -> Security {
        let (own, common) = (said.security.clone(), all.security.clone());
        let mut one = |own: Option<(String, Place)>, common: Option<(String, Place)>| {
            if let (true, Some((_, place)), Some(_)) = (all.server.is_per_listener, &common, &own) {
                let message = "a listener has a file of its own beside that of this plugin, and \
                               only one could hold; put both into one";
                self.wrong(place, message);
            }
            own.or(common)
        };
        Security {
            password_file: one(own.password_file, common.password_file),
            acl_file: one(own.acl_file, common.acl_file),
            anonymous: own.anonymous.or(common.anonymous),
            is_dynamic: own.is_dynamic.or(common.is_dynamic),
        }
    }
}
