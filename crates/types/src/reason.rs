//! Reason codes of MQTT 5.0 (2.4) and what MQTT 3 clients get in their place.

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        /// A reason code of MQTT 5.0. Codes of 0x80 and above say that something failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum ReasonCode {
            $($(#[$doc])* #[doc = $text] $name = $value,)*
        }

        impl ReasonCode {
            /// Every reason code, in order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// `None` for a value that MQTT 5.0 does not define.
            pub fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($value => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The standard's name for the code, in lower case.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reason_codes! {
    /// Also "normal disconnection" (DISCONNECT) and "granted QoS 0" (SUBACK):
    Success = 0x00, "success";
    /// SUBACK:
    GrantedQoS1 = 0x01, "granted QoS 1";
    /// SUBACK:
    GrantedQoS2 = 0x02, "granted QoS 2";
    /// DISCONNECT from a client:
    DisconnectWithWill = 0x04, "disconnect with will message";
    /// PUBACK, PUBREC:
    NoMatchingSubscribers = 0x10, "no matching subscribers";
    /// UNSUBACK:
    NoSubscriptionExisted = 0x11, "no subscription existed";
    /// AUTH:
    ContinueAuthentication = 0x18, "continue authentication";
    /// AUTH from a client:
    ReAuthenticate = 0x19, "re-authenticate";
    /// Any acknowledgement:
    UnspecifiedError = 0x80, "unspecified error";
    /// CONNACK, DISCONNECT:
    MalformedPacket = 0x81, "malformed packet";
    /// CONNACK, DISCONNECT:
    ProtocolError = 0x82, "protocol error";
    /// Any acknowledgement:
    ImplementationSpecificError = 0x83, "implementation specific error";
    /// CONNACK:
    UnsupportedProtocolVersion = 0x84, "unsupported protocol version";
    /// CONNACK:
    ClientIdentifierNotValid = 0x85, "client identifier not valid";
    /// CONNACK:
    BadUserNameOrPassword = 0x86, "bad user name or password";
    /// Any acknowledgement:
    NotAuthorized = 0x87, "not authorized";
    /// CONNACK:
    ServerUnavailable = 0x88, "server unavailable";
    /// CONNACK, DISCONNECT:
    ServerBusy = 0x89, "server busy";
    /// CONNACK:
    Banned = 0x8a, "banned";
    /// DISCONNECT:
    ServerShuttingDown = 0x8b, "server shutting down";
    /// CONNACK, DISCONNECT:
    BadAuthenticationMethod = 0x8c, "bad authentication method";
    /// DISCONNECT:
    KeepAliveTimeout = 0x8d, "keep alive timeout";
    /// DISCONNECT:
    SessionTakenOver = 0x8e, "session taken over";
    /// SUBACK, UNSUBACK, DISCONNECT:
    TopicFilterInvalid = 0x8f, "topic filter invalid";
    /// CONNACK, PUBACK, PUBREC, DISCONNECT:
    TopicNameInvalid = 0x90, "topic name invalid";
    /// Acknowledgements with a packet identifier:
    PacketIdentifierInUse = 0x91, "packet identifier in use";
    /// PUBREL, PUBCOMP:
    PacketIdentifierNotFound = 0x92, "packet identifier not found";
    /// DISCONNECT:
    ReceiveMaximumExceeded = 0x93, "receive maximum exceeded";
    /// DISCONNECT:
    TopicAliasInvalid = 0x94, "topic alias invalid";
    /// CONNACK, DISCONNECT:
    PacketTooLarge = 0x95, "packet too large";
    /// DISCONNECT:
    MessageRateTooHigh = 0x96, "message rate too high";
    /// Any acknowledgement:
    QuotaExceeded = 0x97, "quota exceeded";
    /// DISCONNECT:
    AdministrativeAction = 0x98, "administrative action";
    /// CONNACK, PUBACK, PUBREC, DISCONNECT:
    PayloadFormatInvalid = 0x99, "payload format invalid";
    /// CONNACK, DISCONNECT:
    RetainNotSupported = 0x9a, "retain not supported";
    /// CONNACK, DISCONNECT:
    QoSNotSupported = 0x9b, "QoS not supported";
    /// CONNACK, DISCONNECT:
    UseAnotherServer = 0x9c, "use another server";
    /// CONNACK, DISCONNECT:
    ServerMoved = 0x9d, "server moved";
    /// SUBACK, DISCONNECT:
    SharedSubscriptionsNotSupported = 0x9e, "shared subscriptions not supported";
    /// CONNACK, DISCONNECT:
    ConnectionRateExceeded = 0x9f, "connection rate exceeded";
    /// DISCONNECT:
    MaximumConnectTime = 0xa0, "maximum connect time";
    /// SUBACK, DISCONNECT:
    SubscriptionIdentifiersNotSupported = 0xa1, "subscription identifiers not supported";
    /// SUBACK, DISCONNECT:
    WildcardSubscriptionsNotSupported = 0xa2, "wildcard subscriptions not supported";
}

impl ReasonCode {
    /// The byte on the wire.
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// Whether the code says that something failed (0x80 and above).
    pub fn is_error(self) -> bool {
        self.byte() >= 0x80
    }

    /// The CONNACK return code that a MQTT 3 client gets in place of this code (C40):
    /// 1 protocol version, 2 identifier rejected, 3 server unavailable,
    /// 4 bad user name or password, 5 not authorized. Zero for success.
    pub fn connect_return_code(self) -> u8 {
        match self {
            code if !code.is_error() => 0,
            Self::UnsupportedProtocolVersion => 1,
            Self::ClientIdentifierNotValid => 2,
            Self::BadUserNameOrPassword => 4,
            Self::NotAuthorized | Self::Banned | Self::BadAuthenticationMethod => 5,
            _ => 3,
        }
    }
}
