//! `-D command property value`: properties of MQTT 5.0 from the command line.

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
            let second = if name == "user-property" { next()? } else { String::new() };
            properties.add(command, Property { name, value, second })?;
        }
        Ok(properties)
    }

    fn add(&mut self, command: &str, property: Property) -> Result<(), String> {
        let taken = match command.to_ascii_lowercase().as_str() {
            "connect" => {
                // Checked here, so that a mistake is told before anything happens.
                let taken = add_connect(&mut ConnectOptions::default(), &property)?;
                self.connect.push(property);
                return known(taken, "connect");
            }
            "publish" => add_message(&mut self.publish, &property, Carrier::Publish)?,
            "will" if property.name == "will-delay-interval" => {
                self.will_delay = Some(number(&property)?);
                Ok(())
            }
            "will" => add_message(&mut self.will, &property, Carrier::Will)?,
            "subscribe" if property.name == "subscription-identifier" => {
                let id = number(&property)?;
                if !(1..=client::VARINT_MAX).contains(&id) {
                    return Err("subscription-identifier is 1 to 268435455".to_owned());
                }
                self.subscription_id = Some(id);
                Ok(())
            }
            "subscribe" => add_user(&mut self.subscribe_user, &property)?,
            "unsubscribe" => add_user(&mut self.unsubscribe_user, &property)?,
            "disconnect" if property.name == "session-expiry-interval" => {
                self.disconnect_session_expiry = Some(number(&property)?);
                Ok(())
            }
            "disconnect" => add_user(&mut self.disconnect_user, &property)?,
            "auth" => {
                let taken = add_auth(&mut ConnectOptions::default(), &property)?;
                self.auth.push(property);
                return known(taken, "auth");
            }
            "puback" | "pubrec" | "pubrel" | "pubcomp" => {
                return Err(format!("-D {command} is not supported by this client"));
            }
            _ => {
                return Err(format!(
                    "'{command}' is not a command of -D; try connect, publish, subscribe, \
                     unsubscribe, disconnect, auth or will"
                ));
            }
        };
        known(taken, command)
    }

    /// Puts the properties of CONNECT and AUTH into the options.
    pub(crate) fn apply(&self, options: &mut ConnectOptions) -> Result<(), String> {
        for property in &self.connect {
            known(add_connect(options, property)?, "connect")?;
        }
        for property in &self.auth {
            known(add_auth(options, property)?, "auth")?;
        }
        Ok(())
    }
}

/// `Err` inside says that the command has no such property.
type Taken = Result<(), NoSuchProperty>;

struct NoSuchProperty(String);

fn known(taken: Taken, command: &str) -> Result<(), String> {
    taken.map_err(|NoSuchProperty(name)| format!("'{name}' is not a property of {command}"))
}

fn unknown(property: &Property) -> Result<Taken, String> {
    Ok(Err(NoSuchProperty(property.name.clone())))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Publish,
    Will,
}

fn add_message(
    to: &mut MessageProperties,
    property: &Property,
    carrier: Carrier,
) -> Result<Taken, String> {
    let text = || property.value.clone();
    match property.name.as_str() {
        "payload-format-indicator" => to.payload_is_utf8 = Some(flag(property)?),
        "message-expiry-interval" => to.message_expiry = Some(number(property)?),
        "content-type" => to.content_type = Some(text()),
        "response-topic" => to.response_topic = Some(text()),
        "correlation-data" => to.correlation_data = Some(text().into_bytes()),
        "topic-alias" if carrier == Carrier::Publish => to.topic_alias = Some(number(property)?),
        _ => return add_user(&mut to.user, property),
    }
    Ok(Ok(()))
}

fn add_connect(to: &mut ConnectOptions, property: &Property) -> Result<Taken, String> {
    let text = || property.value.clone();
    match property.name.as_str() {
        "session-expiry-interval" => to.session_expiry = Some(number(property)?),
        "receive-maximum" => to.receive_maximum = Some(positive(property)?),
        "maximum-packet-size" => {
            let size: std::num::NonZeroU32 = parse(property)?;
            to.limits.announced_packet_size = Some(size.get());
        }
        "topic-alias-maximum" => to.topic_alias_maximum = Some(number(property)?),
        "request-problem-information" => to.request_problem_information = Some(flag(property)?),
        "request-response-information" => to.request_response_information = Some(flag(property)?),
        "authentication-method" => to.authentication_method = Some(text()),
        "authentication-data" => to.authentication_data = Some(text().into_bytes()),
        _ => return add_user(&mut to.user, property),
    }
    Ok(Ok(()))
}

fn add_auth(to: &mut ConnectOptions, property: &Property) -> Result<Taken, String> {
    match property.name.as_str() {
        "authentication-data" => to.auth.data = Some(property.value.clone().into_bytes()),
        _ => return add_user(&mut to.auth.user, property),
    }
    Ok(Ok(()))
}

fn add_user(to: &mut UserPropertiesBuf, property: &Property) -> Result<Taken, String> {
    if property.name != "user-property" {
        return unknown(property);
    }
    to.push(&property.value, &property.second).map_err(|error| error.to_string())?;
    Ok(Ok(()))
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(property: &Property) -> Result<T, String> {
    let Property { name, value, .. } = property;
    value.parse().map_err(|error| format!("'{value}' does not fit {name}: {error}"))
}

fn number<T: std::str::FromStr<Err: std::fmt::Display>>(property: &Property) -> Result<T, String> {
    parse(property)
}

fn positive(property: &Property) -> Result<u16, String> {
    parse::<std::num::NonZeroU16>(property).map(std::num::NonZeroU16::get)
}

fn flag(property: &Property) -> Result<bool, String> {
    match property.value.as_str() {
        "0" => Ok(false),
        "1" => Ok(true),
        value => Err(format!("{} is 0 or 1, not '{value}'", property.name)),
    }
}
