//! Texts with `${clientid}`, `${username}`, `${ip}` and `${cert.cn}` in them, for questions to back
//! ends. What takes their place is never a part of the text: each back end binds it, or escapes it.

use std::fmt;

use crate::question::Question;

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Value(Placeholder),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placeholder {
    ClientId,
    Username,
    Ip,
    CertificateName,
    /// `${dn}`: the user's name in a directory. Not of the client: the directory says it.
    Dn,
}

/// Why a text was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TemplateError {
    Unclosed,
    Unknown(String),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclosed => f.write_str("${ without }"),
            Self::Unknown(name) => write!(
                f,
                "there is no {name:?}; there are ${{clientid}}, ${{username}}, ${{ip}} and \
                 ${{cert.cn}}"
            ),
        }
    }
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            let (name, after) = behind.split_once('}').ok_or(TemplateError::Unclosed)?;
            parts.push(Part::Value(match name {
                "clientid" => Placeholder::ClientId,
                "username" => Placeholder::Username,
                "ip" => Placeholder::Ip,
                "cert.cn" => Placeholder::CertificateName,
                "dn" => Placeholder::Dn,
                _ => return Err(TemplateError::Unknown(name.into())),
            }));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Self { parts })
    }

    /// As [`Template::parse`], without `${dn}`.
    pub(crate) fn of_client(text: &str) -> Result<Self, TemplateError> {
        let template = Self::parse(text)?;
        if template.parts.contains(&Part::Value(Placeholder::Dn)) {
            return Err(TemplateError::Unknown("dn".into()));
        }
        Ok(template)
    }

    /// The text with its values filled in, each passed through `escape`; `None`: the client lacks
    /// one of them.
    pub(crate) fn fill(
        &self,
        question: &Question,
        dn: Option<&str>,
        escape: impl Fn(&str) -> String,
    ) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Value(Placeholder::Dn) => text.push_str(&escape(dn?)),
                Part::Value(placeholder) => text.push_str(&escape(&placeholder.value(question)?)),
            }
        }
        Some(text)
    }
}

impl Placeholder {
    /// What the client has; nothing that is empty. Of two Common Names none is the client's (S77).
    pub(crate) fn value(self, question: &Question) -> Option<String> {
        let value = match self {
            Self::ClientId => Some(question.client_id.to_string()),
            Self::Username => question.username.as_deref().map(String::from),
            Self::Ip => question.peer.ip().map(|it| it.to_string()),
            Self::CertificateName => match &question.certificate.as_ref()?.common_names[..] {
                [name] => Some(name.clone()),
                _ => None,
            },
            Self::Dn => None,
        };
        value.filter(|it| !it.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use types::Certificate;

    use super::*;
    use crate::question::tests::question;

    #[test]
    fn templates_are_filled_and_values_escaped() {
        let mut asked = question("c", "a${ip}", "p");
        let escape = |text: &str| format!("<{text}>");
        let fill = |asked: &Question, text: &str| {
            Template::parse(text)
                .unwrap()
                .fill(asked, Some("d"), escape)
        };
        let text = "x${clientid}y${username}${ip}z${dn}";
        assert_eq!(fill(&asked, text).unwrap(), "x<c>y<a${ip}><192.0.2.1>z<d>");
        assert_eq!(fill(&asked, ""), Some(String::new()));
        assert_eq!(fill(&asked, "$ {} }"), Some("$ {} }".into()));
        assert_eq!(fill(&asked, "${cert.cn}"), None);
        asked.certificate = Some(Arc::new(Certificate {
            common_names: vec!["n".into()],
            ..Certificate::default()
        }));
        assert_eq!(fill(&asked, "${cert.cn}").unwrap(), "<n>");
        asked.certificate = Some(Arc::new(Certificate {
            common_names: vec!["n".into(), "m".into()],
            ..Certificate::default()
        }));
        assert_eq!(fill(&asked, "${cert.cn}"), None);
        asked.username = Some("".into());
        assert_eq!(fill(&asked, "${username}"), None);
    }

    #[test]
    fn s69_unknown_placeholders_are_refused() {
        assert_eq!(Template::parse("${user"), Err(TemplateError::Unclosed));
        for name in ["user", "", "password", "CLIENTID", "${clientid"] {
            let unknown = Err(TemplateError::Unknown(name.into()));
            assert_eq!(Template::parse(&format!("a${{{name}}}")), unknown);
        }
        assert!(Template::of_client("${dn}").is_err());
        assert!(Template::of_client("${ip}").is_ok());
    }
}
