//! `-D command property value`: properties of MQTT 5.0 from the command line.

use std::fmt::Display;
use std::num::{NonZeroU16, NonZeroU32};
use std::str::FromStr;

use client::{ConnectOptions, MessageProperties, UserPropertiesBuf};

/// The properties of all commands.
#[derive(Debug, Default)]
pub(crate) struct Properties {
    connect: Vec<Property>,
    /// For PUBLISH.
    pub(crate) publish: MessageProperties,
    /// For SUBSCRIBE.
    pub(crate) subscribe_user: UserPropertiesBuf,
    /// Subscription Identifier for SUBSCRIBE.
    pub(crate) subscription_id: Option<u32>,
    /// For UNSUBSCRIBE.
    pub(crate) unsubscribe_user: UserPropertiesBuf,
    /// Session Expiry Interval for DISCONNECT.
    pub(crate) disconnect_session_expiry: Option<u32>,
    /// For DISCONNECT.
    pub(crate) disconnect_user: UserPropertiesBuf,
    auth: Vec<Property>,
    /// For the will.
    pub(crate) will: MessageProperties,
    /// Will Delay Interval.
    pub(crate) will_delay: Option<u32>,
}

#[derive(Debug)]
struct Property {
    name: String,
    value: String,
    /// The second string of a user property.
    second: String,
}

impl Properties {
    /// Takes the arguments of all `-D` apart: three each, four for `user-property`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut properties = Self::default();
        let mut rest = arguments.iter();
        while let Some(command) = rest.next() {
            let mut next = || {
                rest.next().cloned().ok_or_else(|| {
                    "-D wants a command, a property and a value (two for user-property)".to_owned()
                })
            };
            let name = next()?;
            let value = next()?;
            let second = if name == "user-property" {
                next()?
            } else {
                String::new()
            };
            let property = Property {
                name,
                value,
                second,
            };
            let added = properties.add(command, &property);
            added.map_err(|fault| fault.words(command, &property.name))?;
            match command.to_ascii_lowercase().as_str() {
                "connect" => properties.connect.push(property),
                "auth" => properties.auth.push(property),
                _ => {}
            }
        }
        Ok(properties)
    }

    /// Puts the properties of CONNECT and AUTH into the options.
    pub(crate) fn apply(&self, options: &mut ConnectOptions) -> Result<(), String> {
        for property in &self.connect {
            let added = add_connect(options, property);
            added.map_err(|fault| fault.words("connect", &property.name))?;
        }
        for property in &self.auth {
            let added = add_auth(options, property);
            added.map_err(|fault| fault.words("auth", &property.name))?;
        }
        Ok(())
    }

    fn add(&mut self, command: &str, property: &Property) -> Result<(), Fault> {
        let name = property.name.as_str();
        match (command.to_ascii_lowercase().as_str(), name) {
            // Into options that are thrown away, so that a mistake is told before anything
            // happens.
            ("connect", _) => add_connect(&mut ConnectOptions::default(), property)?,
            ("auth", _) => add_auth(&mut ConnectOptions::default(), property)?,
            ("publish", "topic-alias") => self.publish.topic_alias = Some(number(property)?),
            ("publish", _) => add_message(&mut self.publish, property)?,
            ("will", "will-delay-interval") => self.will_delay = Some(number(property)?),
            ("will", _) => add_message(&mut self.will, property)?,
            ("subscribe", "subscription-identifier") => {
                let id = number(property)?;
                if !(1..=client::VARINT_MAX).contains(&id) {
                    return Err(Fault::Value("it is 1 to 268435455".to_owned()));
                }
                self.subscription_id = Some(id);
            }
            ("subscribe", _) => add_user(&mut self.subscribe_user, property)?,
            ("unsubscribe", _) => add_user(&mut self.unsubscribe_user, property)?,
            ("disconnect", "session-expiry-interval") => {
                self.disconnect_session_expiry = Some(number(property)?);
            }
            ("disconnect", _) => add_user(&mut self.disconnect_user, property)?,
            _ => return Err(Fault::Command),
        }
        Ok(())
    }
}

/// What is wrong with one `-D`.
enum Fault {
    Command,
    Property,
    Value(String),
}

impl Fault {
    fn words(self, command: &str, name: &str) -> String {
        match self {
            Self::Command => format!(
                "'{command}' is not a command of -D; try connect, publish, subscribe, \
                 unsubscribe, disconnect, auth or will"
            ),
            Self::Property => format!("'{name}' is not a property of {command}"),
            Self::Value(why) => format!("the value of {name} is not right: {why}"),
        }
    }
}

fn add_message(to: &mut MessageProperties, property: &Property) -> Result<(), Fault> {
    let text = || property.value.clone();
    match property.name.as_str() {
        "payload-format-indicator" => to.payload_is_utf8 = Some(flag(property)?),
        "message-expiry-interval" => to.message_expiry = Some(number(property)?),
        "content-type" => to.content_type = Some(text()),
        "response-topic" => to.response_topic = Some(text()),
        "correlation-data" => to.correlation_data = Some(text().into_bytes()),
        _ => add_user(&mut to.user, property)?,
    }
    Ok(())
}

fn add_connect(to: &mut ConnectOptions, property: &Property) -> Result<(), Fault> {
    let text = || property.value.clone();
    match property.name.as_str() {
        "session-expiry-interval" => to.session_expiry = Some(number(property)?),
        "receive-maximum" => {
            to.receive_maximum = Some(number::<NonZeroU16>(property)?.get());
        }
        "maximum-packet-size" => {
            to.limits.announced_packet_size = Some(number::<NonZeroU32>(property)?.get());
        }
        "topic-alias-maximum" => to.topic_alias_maximum = Some(number(property)?),
        "request-problem-information" => to.request_problem_information = Some(flag(property)?),
        "request-response-information" => to.request_response_information = Some(flag(property)?),
        "authentication-method" => to.authentication_method = Some(text()),
        "authentication-data" => to.authentication_data = Some(text().into_bytes()),
        _ => add_user(&mut to.user, property)?,
    }
    Ok(())
}

fn add_auth(to: &mut ConnectOptions, property: &Property) -> Result<(), Fault> {
    match property.name.as_str() {
        "authentication-data" => to.auth.data = Some(property.value.clone().into_bytes()),
        _ => add_user(&mut to.auth.user, property)?,
    }
    Ok(())
}

fn add_user(to: &mut UserPropertiesBuf, property: &Property) -> Result<(), Fault> {
    if property.name != "user-property" {
        return Err(Fault::Property);
    }
    to.push(&property.value, &property.second)
        .map_err(|error| Fault::Value(error.to_string()))
}

fn number<T: FromStr<Err: Display>>(property: &Property) -> Result<T, Fault> {
    let value = &property.value;
    value
        .parse()
        .map_err(|error| Fault::Value(format!("'{value}': {error}")))
}

fn flag(property: &Property) -> Result<bool, Fault> {
    match property.value.as_str() {
        "0" => Ok(false),
        "1" => Ok(true),
        value => Err(Fault::Value(format!("it is 0 or 1, not '{value}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Properties, String> {
        let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
        Properties::parse(&words)
    }

    #[test]
    fn every_command_takes_its_properties() {
        let properties = parse(
            "connect receive-maximum 7 CONNECT user-property a b \
             publish topic-alias 3 publish content-type text publish user-property k v \
             will will-delay-interval 5 will response-topic r \
             subscribe subscription-identifier 9 unsubscribe user-property u v \
             disconnect session-expiry-interval 1 auth authentication-data x",
        )
        .unwrap();
        let mut options = ConnectOptions::default();
        properties.apply(&mut options).unwrap();
        assert_eq!(options.receive_maximum, Some(7));
        assert_eq!(
            options.user.as_borrowed().iter().collect::<Vec<_>>(),
            [("a", "b")]
        );
        assert_eq!(options.auth.data.as_deref(), Some(&b"x"[..]));
        assert_eq!(properties.publish.topic_alias, Some(3));
        assert_eq!(properties.publish.content_type.as_deref(), Some("text"));
        assert_eq!(properties.publish.user.as_borrowed().len(), 1);
        assert_eq!(properties.will_delay, Some(5));
        assert_eq!(properties.will.response_topic.as_deref(), Some("r"));
        assert_eq!(properties.subscription_id, Some(9));
        assert_eq!(properties.unsubscribe_user.as_borrowed().len(), 1);
        assert_eq!(properties.disconnect_session_expiry, Some(1));
    }

    #[test]
    fn mistakes_are_told() {
        for (words, told) in [
            ("publish content-type", "-D wants"),
            ("publish user-property k", "-D wants"),
            ("nothing content-type x", "'nothing' is not a command"),
            (
                "publish receive-maximum 4",
                "'receive-maximum' is not a property of publish",
            ),
            (
                "will topic-alias 4",
                "'topic-alias' is not a property of will",
            ),
            ("connect receive-maximum 0", "the value of receive-maximum"),
            ("connect request-problem-information 2", "it is 0 or 1"),
            (
                "publish message-expiry-interval -1",
                "the value of message-expiry-interval",
            ),
            (
                "subscribe subscription-identifier 268435456",
                "it is 1 to 268435455",
            ),
        ] {
            let error = parse(words).unwrap_err();
            assert!(error.contains(told), "{words}: {error}");
        }
    }
}
