//! Writing the properties of each packet.

use types::QoS;

use super::{check_subscription_id, put_user_properties};
use crate::write::{
    Count, Sink, put_binary_property, put_bool_property, put_string_property, put_u16_property,
    put_u32_property, put_varint, section_len,
};
use crate::{
    Auth, ConnAckProperties, ConnectProperties, Disconnect, EncodeError, Forward, PropertyId as P,
    PublishProperties, Subscribe, UserProperties, Will,
};

/// What can write itself as properties, without their length.
pub(crate) trait PropertySet {
    fn put<S: Sink>(&self, out: &mut S) -> Result<(), EncodeError>;
}

/// Writes properties with their length before them (2.2.2).
pub(super) fn put_section<P: PropertySet, S: Sink>(
    properties: &P,
    out: &mut S,
) -> Result<(), EncodeError> {
    let mut count = Count::default();
    properties.put(&mut count)?;
    put_varint(section_len(count.0)?, out);
    properties.put(out)
}

fn refuse_zero<T: Default + PartialEq>(value: Option<T>, id: P) -> Result<(), EncodeError> {
    if value == Some(T::default()) {
        return Err(EncodeError::PropertyValue(id));
    }
    Ok(())
}

impl PropertySet for UserProperties<'_> {
    fn put<S: Sink>(&self, out: &mut S) -> Result<(), EncodeError> {
        put_user_properties(self, out)
    }
}

/// What most answers carry.
pub(super) struct Diagnostics<'a> {
    pub(super) reason_string: Option<&'a str>,
    pub(super) user: UserProperties<'a>,
}

impl PropertySet for Diagnostics<'_> {
    fn put<S: Sink>(&self, out: &mut S) -> Result<(), EncodeError> {
        put_string_property(P::ReasonString, self.reason_string, out)?;
        self.user.put(out)
    }
}

impl PropertySet for Forward<'_> {
    fn put<S: Sink>(&self, out: &mut S) -> Result<(), EncodeError> {
        put_bool_property(P::PayloadFormatIndicator, self.payload_is_utf8, out);
        put_string_property(P::ContentType, self.content_type, out)?;
        put_string_property(P::ResponseTopic, self.response_topic, out)?;
        put_binary_property(P::CorrelationData, self.correlation_data, out)?;
        self.user.put(out)
    }
}

impl PropertySet for PublishProperties<'_> {
    fn put<S: Sink>(&self, out: &mut S) -> Result<(), EncodeError> {
        put_u32_property(P::MessageExpiryInterval, self.message_expiry, out);
        put_u16_property(P::TopicAlias, self.topic_alias, out);
        for id in self.subscription_ids.iter() {
            out.put(&[P::SubscriptionIdentifier.byte()]);
            put_varint(id, out);
        }
        self.forward.put(out)
    }
}

impl PropertySet for Will<'_> {
    fn put<S: Sink>(&self, out: &mut S) -> Result<(), EncodeError> {
        put_u32_property(P::WillDelayInterval, self.delay, out);
        put_u32_property(P::MessageExpiryInterval, self.message_expiry, out);
        self.forward.put(out)
    }
}

impl PropertySet for ConnectProperties<'_> {
    fn put<S: Sink>(&self, out: &mut S) -> Result<(), EncodeError> {
        refuse_zero(self.receive_maximum, P::ReceiveMaximum)?;
        refuse_zero(self.maximum_packet_size, P::MaximumPacketSize)?;
        if self.authentication_data.is_some() && self.authentication_method.is_none() {
            return Err(EncodeError::AuthDataWithoutMethod);
        }
        put_u32_property(P::SessionExpiryInterval, self.session_expiry, out);
        put_u16_property(P::ReceiveMaximum, self.receive_maximum, out);
        put_u32_property(P::MaximumPacketSize, self.maximum_packet_size, out);
        put_u16_property(P::TopicAliasMaximum, self.topic_alias_maximum, out);
        put_bool_property(
            P::RequestResponseInformation,
            self.request_response_information,
            out,
        );
        put_bool_property(
            P::RequestProblemInformation,
            self.request_problem_information,
            out,
        );
        put_string_property(P::AuthenticationMethod, self.authentication_method, out)?;
        put_binary_property(P::AuthenticationData, self.authentication_data, out)?;
        self.user.put(out)
    }
}

impl PropertySet for ConnAckProperties<'_> {
    fn put<S: Sink>(&self, out: &mut S) -> Result<(), EncodeError> {
        refuse_zero(self.receive_maximum, P::ReceiveMaximum)?;
        refuse_zero(self.maximum_packet_size, P::MaximumPacketSize)?;
        if self.authentication_data.is_some() && self.authentication_method.is_none() {
            return Err(EncodeError::AuthDataWithoutMethod);
        }
        let qos1 = match self.maximum_qos {
            None => None,
            Some(QoS::AtMostOnce) => Some(false),
            Some(QoS::AtLeastOnce) => Some(true),
            // QoS 2 is said by leaving the property out (3.2.2.3.4).
            Some(QoS::ExactlyOnce) => return Err(EncodeError::PropertyValue(P::MaximumQoS)),
        };
        put_u32_property(P::SessionExpiryInterval, self.session_expiry, out);
        put_u16_property(P::ReceiveMaximum, self.receive_maximum, out);
        put_bool_property(P::MaximumQoS, qos1, out);
        put_bool_property(P::RetainAvailable, self.retain_available, out);
        put_u32_property(P::MaximumPacketSize, self.maximum_packet_size, out);
        put_string_property(P::AssignedClientIdentifier, self.assigned_client_id, out)?;
        put_u16_property(P::TopicAliasMaximum, self.topic_alias_maximum, out);
        put_bool_property(
            P::WildcardSubscriptionAvailable,
            self.wildcard_subscription_available,
            out,
        );
        put_bool_property(
            P::SubscriptionIdentifierAvailable,
            self.subscription_ids_available,
            out,
        );
        put_bool_property(
            P::SharedSubscriptionAvailable,
            self.shared_subscription_available,
            out,
        );
        put_u16_property(P::ServerKeepAlive, self.server_keep_alive, out);
        put_string_property(P::ResponseInformation, self.response_information, out)?;
        put_string_property(P::ServerReference, self.server_reference, out)?;
        put_string_property(P::AuthenticationMethod, self.authentication_method, out)?;
        put_binary_property(P::AuthenticationData, self.authentication_data, out)?;
        put_string_property(P::ReasonString, self.reason_string, out)?;
        self.user.put(out)
    }
}

impl PropertySet for Subscribe<'_> {
    fn put<S: Sink>(&self, out: &mut S) -> Result<(), EncodeError> {
        if let Some(id) = self.subscription_id {
            out.put(&[P::SubscriptionIdentifier.byte()]);
            put_varint(check_subscription_id(id)?, out);
        }
        self.user.put(out)
    }
}

impl PropertySet for Disconnect<'_> {
    fn put<S: Sink>(&self, out: &mut S) -> Result<(), EncodeError> {
        put_u32_property(P::SessionExpiryInterval, self.session_expiry, out);
        put_string_property(P::ServerReference, self.server_reference, out)?;
        put_string_property(P::ReasonString, self.reason_string, out)?;
        self.user.put(out)
    }
}

impl PropertySet for Auth<'_> {
    fn put<S: Sink>(&self, out: &mut S) -> Result<(), EncodeError> {
        put_string_property(P::AuthenticationMethod, self.method, out)?;
        put_binary_property(P::AuthenticationData, self.data, out)?;
        put_string_property(P::ReasonString, self.reason_string, out)?;
        self.user.put(out)
    }
}
