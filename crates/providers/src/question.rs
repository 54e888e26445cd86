//! What a provider is asked, and what it says.

use std::sync::Arc;
use std::time::Duration;

use auth::{Exchange, Refresh, Request, Rules, Secret};
use types::{Certificate, Peer};

/// A question about one client.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) purpose: Purpose,
    pub(crate) client_id: Box<str>,
    pub(crate) username: Option<Box<str>>,
    pub(crate) password: Option<Secret>,
    pub(crate) peer: Peer,
    pub(crate) certificate: Option<Arc<Certificate>>,
    pub(crate) listener: u16,
    /// What the listener is called.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) listener_name: Arc<str>,
    /// Of a client that is in: [`auth::Grant::credential`].
    pub(crate) credential: Option<u64>,
}

/// Why it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The client wants in.
    Admit,
    /// It is in; there is a user's name and no password.
    Refresh,
}

/// What a provider says.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is who it says.
    Known(Known),
    /// It is not: nobody else is asked.
    Wrong(Arc<str>),
    /// Ask somebody else.
    Unknown,
    /// The provider cannot tell: it does not answer, or answers nobody.
    Failed(Arc<str>),
    /// It answers, but not about this client: what the client shows or what is kept about it is of
    /// no use. Nobody else's questions are meant by it.
    Unclear(Arc<str>),
    /// Of an enhanced authentication: the client has to say more.
    Continue { data: Vec<u8>, exchange: Exchange },
}

/// Why a back end gave no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// As [`Verdict::Failed`].
    Failed(Arc<str>),
    /// As [`Verdict::Unclear`].
    Unclear(Arc<str>),
}

// The other drivers tell kinds of trouble apart as they come.
#[cfg(any(test, feature = "mongodb", feature = "ldap"))]
impl Trouble {
    /// The back end does not answer, or answers nobody.
    pub(crate) fn failed(why: impl Into<Arc<str>>) -> Self {
        Self::Failed(why.into())
    }
}

/// Words alone are about what was asked or found: a provider that cannot be asked says so itself.
impl<W: Into<Arc<str>>> From<W> for Trouble {
    fn from(why: W) -> Self {
        Self::Unclear(why.into())
    }
}

impl From<Trouble> for Verdict {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Failed(why) => Self::Failed(why),
            Trouble::Unclear(why) => Self::Unclear(why),
        }
    }
}

/// A client that is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// `None`: nobody in particular.
    pub(crate) user: Option<Arc<str>>,
    pub(crate) groups: Vec<Arc<str>>,
    pub(crate) superuser: bool,
    /// As [`auth::Grant::credential`].
    pub(crate) credential: Option<u64>,
    /// As [`auth::Grant::is_known`].
    pub(crate) is_known: bool,
    pub(crate) rules: Option<Arc<Rules>>,
    pub(crate) valid_for: Option<Duration>,
    /// Authentication Data for the client.
    pub(crate) data: Option<Vec<u8>>,
}

impl Question {
    /// About a client that wants in.
    pub(crate) fn admit(request: Request, listener_name: Arc<str>) -> Self {
        Self {
            purpose: Purpose::Admit,
            client_id: request.client_id,
            username: request.username,
            password: request.password,
            peer: request.peer,
            certificate: request.certificate,
            listener: request.listener,
            listener_name,
            credential: None,
        }
    }

    /// About a client that is in.
    pub(crate) fn refresh(refresh: Refresh, listener_name: Arc<str>) -> Self {
        Self {
            purpose: Purpose::Refresh,
            client_id: refresh.client_id,
            username: refresh.identity.user().map(Box::from),
            password: None,
            peer: refresh.peer,
            certificate: refresh.certificate,
            listener: refresh.listener,
            listener_name,
            credential: refresh.grant.and_then(|grant| grant.credential),
        }
    }

    /// Name and password; both are there, and neither is empty (S62).
    pub(crate) fn credentials(&self) -> Option<(&str, &[u8])> {
        let username = self.username.as_deref().filter(|it| !it.is_empty())?;
        let password = self.password.as_ref().map(Secret::reveal);
        Some((username, password.filter(|it| !it.is_empty())?))
    }

    /// The user to be looked up: of a client that wants in only with a password that can be
    /// verified.
    pub(crate) fn user(&self) -> Option<&str> {
        match self.purpose {
            Purpose::Admit => self.credentials().map(|(username, _)| username),
            Purpose::Refresh => self.username.as_deref(),
        }
    }

    /// Whether the client shows nothing at all.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.username.is_none() && self.password.is_none()
    }
}

impl Known {
    /// A user, and nothing else.
    pub(crate) fn user(name: &str) -> Self {
        Self {
            user: Some(name.into()),
            ..Self::default()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a client asks that shows a name and a password.
    pub(crate) fn question(client_id: &str, username: &str, password: &str) -> Question {
        Question {
            purpose: Purpose::Admit,
            client_id: client_id.into(),
            username: Some(username.into()),
            password: Some(Secret::new(password.as_bytes())),
            peer: Peer::Net("192.0.2.1:5000".parse().unwrap()),
            certificate: None,
            listener: 0,
            listener_name: "tcp".into(),
            credential: None,
        }
    }

    #[test]
    fn s62_a_name_and_a_password_that_are_both_there_are_credentials() {
        let with = |username: Option<&str>, password: Option<&str>| Question {
            username: username.map(Box::from),
            password: password.map(|it| Secret::new(it.as_bytes())),
            ..question("c", "", "")
        };
        assert!(with(Some("u"), Some("p")).credentials().is_some());
        for (username, password) in [
            (None, None),
            (Some("u"), None),
            (None, Some("p")),
            (Some(""), Some("")),
            (Some("u"), Some("")),
            (Some(""), Some("p")),
        ] {
            let question = with(username, password);
            assert_eq!(question.credentials(), None);
            assert_eq!(question.user(), None);
            let nothing = username.is_none() && password.is_none();
            assert_eq!(question.is_anonymous(), nothing);
        }
    }

    #[test]
    fn s71_a_question_does_not_show_its_password() {
        assert!(!format!("{:?}", question("c", "u", "pa55")).contains("pa55"));
    }
}
