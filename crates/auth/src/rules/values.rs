//! What takes the place of placeholders.

use std::cell::OnceCell;
use std::fmt;
use std::net::IpAddr;

use types::Certificate;

use super::Placeholder;
use crate::Subject;

/// What a client has for them.
#[derive(Debug)]
pub struct Values<'a> {
    client_id: &'a str,
    username: Option<&'a str>,
    address: Option<IpAddr>,
    address_text: OnceCell<AddressText>,
    certificate: Option<&'a Certificate>,
    /// `Some`: the client is away, and what its connection would show is not known: whether it
    /// is taken as fitting.
    guess: Option<bool>,
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Is(&'a str),
    Missing,
    Unknown(bool),
}

impl<'a> Values<'a> {
    /// Those of a client.
    pub fn of(who: &Subject<'a>) -> Self {
        Self {
            client_id: who.client_id,
            username: who.identity.user(),
            address: who.address,
            address_text: OnceCell::new(),
            certificate: who.certificate,
            guess: None,
        }
    }

    /// The same of a client that is away, with a guess at what is not known of it.
    pub(crate) fn guessing(who: &Subject<'a>, guess: bool) -> Self {
        Self {
            guess: Some(guess),
            ..Self::of(who)
        }
    }

    pub(super) fn find(&self, placeholder: Placeholder) -> Value<'_> {
        let value = match placeholder {
            Placeholder::ClientId => Some(self.client_id),
            Placeholder::Username => self.username,
            Placeholder::Ip => self.address.map(|address| {
                let text = self.address_text.get_or_init(|| AddressText::of(address));
                text.as_str()
            }),
            // Two names are two claims (S77).
            Placeholder::CertificateName => match self.certificate.map(|it| &it.common_names[..]) {
                Some([name]) => Some(name.as_str()),
                Some(_) | None => None,
            },
        };
        match (value, self.guess) {
            (Some(""), _) => Value::Missing,
            (Some(text), _) => Value::Is(text),
            (None, Some(guess)) if placeholder.is_of_connection() => Value::Unknown(guess),
            (None, _) => Value::Missing,
        }
    }
}

/// An address as text, without memory from the heap.
#[derive(Debug)]
struct AddressText {
    bytes: [u8; 46],
    length: usize,
}

impl AddressText {
    fn of(address: IpAddr) -> Self {
        use fmt::Write;
        let mut text = Self {
            bytes: [0; 46],
            length: 0,
        };
        // The longest address has 45 bytes. One that did not fit would be missing.
        if write!(text, "{address}").is_err() {
            text.length = 0;
        }
        text
    }

    fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Write for AddressText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length.saturating_add(text.len());
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
