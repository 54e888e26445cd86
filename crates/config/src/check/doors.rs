//! Who can come in, and can do anything then.

use crate::config::{Anonymous, ClientCertificate, Method, Permission};
use crate::error::Place;
use crate::lists::{AUTHENTICATION, LISTENER, RULE};
use crate::source::Reading;

impl Reading<'_> {
    /// No door stands open that nobody asked for (S72), and none is walled up.
    pub(super) fn check_doors(&mut self) {
        let config = &self.config;
        if config.allow_anonymous == Anonymous::Refused
            && config.authentication.is_empty()
            && config
                .listeners
                .iter()
                .all(|it| it.allow_anonymous != Some(true))
        {
            return self.wrong(
                self.place("allow_anonymous"),
                "allow_anonymous = false would let nobody in: there is no [[authentication]]; add \
                 one, or leave the key out to serve this machine only",
            );
        }
        let mut wrong = Vec::new();
        for (listener, places) in config.listeners.iter().zip(self.entry_places(LISTENER)) {
            if config.admits_anonymous(listener) || config.asked_by(listener).next().is_some() {
                continue;
            }
            let address = &listener.address;
            let unsaid = config.allow_anonymous == Anonymous::FromLoopback
                && listener.allow_anonymous.is_none();
            if unsaid && config.authentication.is_empty() {
                let how = match places.entry {
                    Place::Option(_) => "say --allow-anonymous",
                    Place::Variable(_) => "say NIGHTJAR__ALLOW_ANONYMOUS=true",
                    _ => "say allow_anonymous = true",
                };
                let message = format!(
                    "{address} is open to other machines, where anyone could connect without a \
                     password; add an [[authentication]], or if that is what you want, {how}"
                );
                wrong.push((places.of("address"), message));
            } else {
                let message = format!(
                    "nobody could come in by {address}: no [[authentication]] is for it, and \
                     clients without a password may not; add one, or say allow_anonymous = true \
                     below this [[listener]]"
                );
                wrong.push((places.of("address"), message));
            }
        }
        self.wrong_all(wrong);
        self.check_client_certificates();
    }

    /// Who is asked for a name in a certificate must be asked for a certificate.
    fn check_client_certificates(&mut self) {
        let config = &self.config;
        let mut wrong = Vec::new();
        let entries = config.authentication.iter();
        for (entry, places) in entries.zip(self.entry_places(AUTHENTICATION)) {
            let asks = config.listeners.iter().any(|listener| {
                listener.client_certificate != ClientCertificate::Off
                    && config.asked_by(listener).any(|one| one.name == entry.name)
            });
            if matches!(entry.method, Method::Certificate(_)) && !asks {
                let message = format!(
                    "authentication {} looks at clients' certificates, but none of its listeners \
                     asks for them; write client_ca = \"…\" below a [[listener]]",
                    entry.name
                );
                wrong.push((places.entry.clone(), message));
            }
        }
        self.wrong_all(wrong);
    }

    /// Who comes in can do something.
    pub(super) fn check_permissions(&mut self) {
        let config = &self.config;
        let brought = config
            .authentication
            .iter()
            .any(|it| it.method.brings_rules());
        let allows = config
            .all_rules()
            .any(|it| it.permission == Permission::Allow);
        if config.no_match() == Permission::Allow || brought || allows {
            return;
        }
        let place = match config.access.no_match {
            Some(_) => self.place("access.no_match"),
            None if !config.authentication.is_empty() => self.place(AUTHENTICATION),
            None if config.rules.is_empty() => self.place("access.file"),
            None => self.place(RULE),
        };
        self.wrong(
            place,
            "nobody could publish or subscribe: no rule allows anything; add a [[rule]], say \
             access.no_match = \"allow\", or use an [[authentication]] that brings rules or roles",
        );
    }
}
