//! The one table of options of Mosquitto 2.0 and 2.1. Reading, the notes and the table in
//! docs/migrating-from-mosquitto.md follow it; an option that is not here does not exist.

use config::nearest;

/// An option.
#[derive(Debug)]
pub(crate) struct Known {
    /// Its name; with `*` at its end, the beginning of names.
    pub(crate) name: &'static str,
    pub(crate) scope: Scope,
    pub(crate) becomes: Becomes,
}

/// What an option is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The server.
    Server,
    /// The listener above it; before the first one, the one on port 1883.
    Listener,
    /// The server, or the listener above it with `per_listener_settings true`.
    Security,
    /// The bridge above it.
    Bridge,
}

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Becomes {
    /// It means the same here: how.
    Honoured(&'static str),
    /// It has another meaning here, or none: which.
    Noted(&'static str),
    /// The start is refused, perhaps only with some of its values: why, and what to do.
    Refused(&'static str),
}

/// The option of a name.
pub(crate) fn find(name: &str) -> Option<&'static Known> {
    KNOWN
        .iter()
        .find(|known| match known.name.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning) && name.len() > beginning.len(),
            None => known.name == name,
        })
}

/// What to say of an option that there is not.
pub(crate) fn unknown(name: &str) -> String {
    if name.starts_with('#') {
        return "a comment must have its # in the first column".into();
    }
    let shown: String = name.escape_debug().take(80).collect();
    if let Some((option, _)) = name.split_once('\t').filter(|(it, _)| find(it).is_some()) {
        return format!("unknown option {shown}; write a space, not a tab, behind {option}");
    }
    let lower = name.to_ascii_lowercase();
    let names = KNOWN.iter().map(|known| known.name);
    match nearest(&lower, names) {
        Some(near) => format!("unknown option {shown}; did you mean {near}?"),
        None => format!("unknown option {shown}; Mosquitto has none of this name"),
    }
}

use Becomes::{Honoured, Noted, Refused};
use Scope::{Bridge, Listener, Security, Server};

const fn option(name: &'static str, scope: Scope, becomes: Becomes) -> Known {
    Known {
        name,
        scope,
        becomes,
    }
}

/// All of them: the server's, the listeners', those of who may do what, the bridges'.
pub(crate) const KNOWN: &[Known] = &[
    option(
        "allow_duplicate_messages",
        Server,
        Noted("a client whose subscriptions overlap gets a message once for each, as MQTT allows"),
    ),
    option(
        "autosave_interval",
        Server,
        Noted("with persistence, messages are stored as they come, not at intervals"),
    ),
    option(
        "autosave_on_changes",
        Server,
        Noted("with persistence, messages are stored as they come, not at intervals"),
    ),
    option(
        "bind_address",
        Server,
        Honoured("`listener.address` of the listener on port 1883, or on `port`"),
    ),
    option(
        "check_retain_source",
        Server,
        Honoured("`access.check_retain_source`"),
    ),
    option(
        "clientid_prefixes",
        Server,
        Refused(
            "clients are not refused by the beginning of their identifiers; use rules with \
             `clients = [\"prefix*\"]` in a nightjar.toml",
        ),
    ),
    option(
        "connection_messages",
        Server,
        Noted("clients that come and go are lines of level info; use log_type to have fewer"),
    ),
    option(
        "enable_control_api",
        Server,
        Noted("of `$CONTROL`, `dynamic-security` alone is answered; for the rest there is the API"),
    ),
    option(
        "global_max_clients",
        Server,
        Honoured("`limits.sessions`; above, a new session is refused with 0x97"),
    ),
    option(
        "global_max_connections",
        Server,
        Honoured("`limits.connections`"),
    ),
    option(
        "global_plugin",
        Server,
        Refused("plugins are libraries for Mosquitto; see docs/migrating-from-mosquitto.md"),
    ),
    option(
        "include_dir",
        Server,
        Honoured("the files of it that end in `.conf`, in the order of their names"),
    ),
    option(
        "log_dest",
        Server,
        Noted("the log goes to standard error; a supervisor such as systemd keeps it"),
    ),
    option(
        "log_facility",
        Server,
        Noted("the log goes to standard error; a supervisor such as systemd keeps it"),
    ),
    option(
        "log_timestamp",
        Server,
        Noted("each line of the log has the time"),
    ),
    option(
        "log_timestamp_format",
        Server,
        Noted("times are written as in RFC 3339"),
    ),
    option(
        "log_type",
        Server,
        Honoured(
            "`log.level`: `all`, `debug`, `subscribe` and `unsubscribe` are `debug`; `information` \
             and `notice` are `info`; `warning`; `error` and `none` are `error`",
        ),
    ),
    option(
        "max_inflight_bytes",
        Server,
        Noted("what is inflight is bounded in messages (`limits.inflight`), not in bytes"),
    ),
    option(
        "max_inflight_messages",
        Server,
        Honoured("`limits.inflight`; 0 is 65,535"),
    ),
    option(
        "max_keepalive",
        Server,
        Honoured(
            "`limits.keep_alive`; a client of MQTT 3 that asks for more is not refused: it is \
             closed when it is silent for one and a half times of this",
        ),
    ),
    option(
        "max_packet_size",
        Server,
        Honoured(
            "`limits.packet_size`, at least 1 KiB; a longer packet closes the connection. Without \
             it as much as MQTT can frame, as in Mosquitto 2.0 (2.1 has 2,000,000)",
        ),
    ),
    option(
        "max_queued_bytes",
        Server,
        Honoured(
            "`limits.queued_bytes`; 0 is 1 GiB, and `limits.memory` holds for all queues together",
        ),
    ),
    option(
        "max_queued_messages",
        Server,
        Honoured("`limits.queued_messages`, and a full queue drops the newest; 0 is no bound"),
    ),
    option(
        "memory_limit",
        Server,
        Honoured("`limits.memory`; above it QoS 0 is dropped first, then QoS 1 and 2 are refused"),
    ),
    option(
        "message_size_limit",
        Server,
        Noted(
            "becomes `limits.packet_size`, 1 KiB above it for the head: a larger message closes \
             the connection, where Mosquitto drops it and stays silent",
        ),
    ),
    option(
        "packet_buffer_size",
        Server,
        Noted("buffers have their own measure"),
    ),
    option(
        "per_listener_settings",
        Server,
        Honoured("`listener.allow_anonymous`, `authentication.listeners` and `rule.listeners`"),
    ),
    option(
        "persistence",
        Server,
        Honoured(
            "`store.durability`: `true` is `os` (what is acknowledged survives a crash of the \
             server, all but the last second a power cut), `false` is `memory`",
        ),
    ),
    option(
        "persistence_file",
        Server,
        Noted(
            "the store is a folder of its own; an existing mosquitto.db is not touched: `nightjar migrate --from-db` brings it along",
        ),
    ),
    option(
        "persistence_location",
        Server,
        Honoured("`data_dir`, the folder `nightjar` in it"),
    ),
    option(
        "persistent_client_expiration",
        Server,
        Honoured(
            "`limits.session_expiry` and `limits.v3_session_expiry`; without it sessions last for \
             ever",
        ),
    ),
    option(
        "pid_file",
        Server,
        Honoured("`pid_file`; one that cannot be written is a warning"),
    ),
    option(
        "port",
        Server,
        Honoured("`listener.address`, on all addresses of the machine"),
    ),
    option(
        "queue_qos0_messages",
        Server,
        Honoured("`limits.queue_qos0`"),
    ),
    option(
        "retain_available",
        Server,
        Noted(
            "`false` becomes a rule that denies what is to be retained; its client is not closed",
        ),
    ),
    option(
        "retain_expiry_interval",
        Server,
        Noted("retained messages that expire go by themselves"),
    ),
    option("retained_persistence", Server, Honoured("as `persistence`")),
    option(
        "retry_interval",
        Server,
        Noted("Mosquitto does not look at it either"),
    ),
    option(
        "set_tcp_nodelay",
        Server,
        Noted("what is ready is sent at once, always"),
    ),
    option("sys_interval", Server, Honoured("`sys_interval`")),
    option(
        "upgrade_outgoing_qos",
        Server,
        Noted("a message keeps the lower of its QoS and the subscription's, as MQTT says"),
    ),
    option(
        "user",
        Server,
        Honoured(
            "`user`: who the server becomes if root starts it; without it `mosquitto`, if there is such a user",
        ),
    ),
    option(
        "websockets_headers_size",
        Server,
        Noted("the request that opens a WebSocket may have 8 KiB"),
    ),
    option(
        "websockets_log_level",
        Server,
        Noted("WebSocket is logged like the rest, by log_type"),
    ),
    option(
        "accept_protocol_versions",
        Listener,
        Refused(
            "MQTT 3.1, 3.1.1 and 5.0 are spoken by every listener; leave the option out, or name 3, 4 and 5",
        ),
    ),
    option(
        "bind_interface",
        Listener,
        Refused(
            "a listener is not bound to an interface here; write the interface's address behind the port",
        ),
    ),
    option(
        "cafile",
        Listener,
        Honoured("`listener.client_ca`, where clients show certificates; else it means nothing"),
    ),
    option(
        "capath",
        Listener,
        Refused(
            "authorities are read from one file here; `cat FOLDER/*.pem > ca.pem`, and name that as cafile",
        ),
    ),
    option(
        "certfile",
        Listener,
        Honoured("`certificate.chain`; it is watched, so that a renewed one needs no signal"),
    ),
    option(
        "ciphers",
        Listener,
        Noted(
            "the list is not looked at: only suites with forward secrecy and authenticated \
             encryption are offered",
        ),
    ),
    option(
        "ciphers_tls1.3",
        Listener,
        Noted(
            "the list is not looked at: only suites with forward secrecy and authenticated \
             encryption are offered",
        ),
    ),
    option(
        "crlfile",
        Listener,
        Honoured("`listener.crl`; an expired list refuses the clients that it is about"),
    ),
    option(
        "dhparamfile",
        Listener,
        Noted("no Diffie-Hellman groups but those of elliptic curves are used"),
    ),
    option(
        "disable_client_cert_date_checks",
        Listener,
        Noted("a client's certificate that is not valid now stays refused"),
    ),
    option(
        "enable_proxy_protocol",
        Listener,
        Honoured(
            "`listener.proxy`, from every address and in both versions; name your proxies there",
        ),
    ),
    option(
        "http_dir",
        Listener,
        Noted("no files are served; a listener for WebSocket answers 404 to other requests"),
    ),
    option(
        "keyfile",
        Listener,
        Honoured("`certificate.key`; refused if others than its owner may read it (`chmod 600`)"),
    ),
    option(
        "listener",
        Listener,
        Honoured(
            "`listener.address`: a port and perhaps an address, or 0 and the path of a Unix socket \
             (mode 0660)",
        ),
    ),
    option(
        "listener_allow_anonymous",
        Listener,
        Honoured("`listener.allow_anonymous`"),
    ),
    option(
        "listener_auto_id_prefix",
        Listener,
        Noted("identifiers that the server gives have no beginning that can be chosen"),
    ),
    option(
        "max_connections",
        Listener,
        Honoured("`listener.connections`; -1 is no bound"),
    ),
    option(
        "max_qos",
        Listener,
        Noted("QoS 0, 1 and 2 are always there"),
    ),
    option(
        "max_topic_alias",
        Listener,
        Noted("becomes `limits.topic_alias_maximum`, for all listeners the largest"),
    ),
    option(
        "max_topic_alias_broker",
        Listener,
        Noted("becomes `limits.topic_alias_out`, for all listeners the largest"),
    ),
    option(
        "maximum_qos",
        Listener,
        Noted("QoS 0, 1 and 2 are always there"),
    ),
    option(
        "mount_point",
        Listener,
        Honoured("`listener.mount`, which must end in `/`"),
    ),
    option(
        "plugin_use",
        Listener,
        Refused("plugins are libraries for Mosquitto; see docs/migrating-from-mosquitto.md"),
    ),
    option(
        "protocol",
        Listener,
        Honoured(
            "`listener.protocol`: `mqtt`, or `websockets` (on any path and for any page, as in \
             Mosquitto); a listener for `http_api` is not opened, because the dashboard's port has \
             an API",
        ),
    ),
    option(
        "proxy_protocol_v2_require_tls",
        Listener,
        Refused("what a proxy says of TLS is not looked at; let the proxy itself refuse"),
    ),
    option(
        "psk_hint",
        Listener,
        Refused("TLS with pre-shared keys is not spoken here; use certificates"),
    ),
    option(
        "require_certificate",
        Listener,
        Honoured("`listener.client_certificate = \"required\"`"),
    ),
    option(
        "socket_domain",
        Listener,
        Honoured("`0.0.0.0`, or `[::]` with IPv4 denied, where no address is named"),
    ),
    option(
        "tls_engine",
        Listener,
        Refused("keys are read from files, not from engines of OpenSSL"),
    ),
    option(
        "tls_engine_kpass_sha1",
        Listener,
        Refused("keys are read from files, not from engines of OpenSSL"),
    ),
    option(
        "tls_keyform",
        Listener,
        Refused("keys are read from files (`pem`), not from engines of OpenSSL"),
    ),
    option(
        "tls_version",
        Listener,
        Honoured("`listener.tls_minimum`; TLS 1.0 and 1.1 are never spoken"),
    ),
    option(
        "use_identity_as_username",
        Listener,
        Honoured(
            "an `[[authentication]]` by the certificate's Common Name; a certificate is required",
        ),
    ),
    option(
        "use_subject_as_username",
        Listener,
        Honoured("an `[[authentication]]` by the certificate's subject; a certificate is required"),
    ),
    option(
        "use_username_as_clientid",
        Listener,
        Refused(
            "the client's identifier is not replaced by the user's name; use rules with \
             `${username}`, which do not need it",
        ),
    ),
    option(
        "websockets_origin",
        Listener,
        Honoured("`listener.origins`"),
    ),
    option(
        "acl_file",
        Security,
        Honoured(
            "`[[rule]]`, with its meaning and order; a subscription is granted and what it brings is checked",
        ),
    ),
    option(
        "allow_anonymous",
        Security,
        Honoured(
            "`listener.allow_anonymous`; without it `false`, except in local only mode. A name that \
             nobody checks is nobody's: rules for users do not hold for it",
        ),
    ),
    option(
        "allow_zero_length_clientid",
        Security,
        Refused(
            "a client without an identifier is given one, always; leave the option out to have that",
        ),
    ),
    option(
        "auth_opt_*",
        Security,
        Honoured("read with the plugin that it is for"),
    ),
    option(
        "auth_plugin",
        Security,
        Refused("plugins are libraries for Mosquitto; see docs/migrating-from-mosquitto.md"),
    ),
    option(
        "auth_plugin_deny_special_chars",
        Security,
        Honoured("names with + # / never widen a rule"),
    ),
    option(
        "auto_id_prefix",
        Security,
        Noted("identifiers that the server gives have no beginning that can be chosen"),
    ),
    option(
        "password_file",
        Security,
        Honoured("an `[[authentication]]` of type `passwords`; `$6$`, `$7$` and argon2id are read"),
    ),
    option(
        "plugin",
        Security,
        Refused(
            "plugins are libraries for Mosquitto. Its own are known: acl_file and password_file are \
             honoured, persist_sqlite is `persistence true`, and dynamic_security lets nobody in \
             until `nightjar migrate --from-dynsec` has brought its users along",
        ),
    ),
    option(
        "plugin_load",
        Server,
        Refused("plugins are libraries for Mosquitto; see docs/migrating-from-mosquitto.md"),
    ),
    option(
        "plugin_opt_*",
        Security,
        Honoured("read with the plugin that it is for"),
    ),
    option(
        "psk_file",
        Security,
        Refused("TLS with pre-shared keys is not spoken here; use certificates"),
    ),
    option("address", Bridge, Honoured("`bridge.addresses`")),
    option("addresses", Bridge, Honoured("`bridge.addresses`")),
    option("bridge_alpn", Bridge, Honoured("`bridge.alpn`")),
    option(
        "bridge_attempt_unsubscribe",
        Bridge,
        Noted(
            "what a line no longer asks for is unsubscribed when the configuration is read again",
        ),
    ),
    option(
        "bridge_bind_address",
        Bridge,
        Noted("the system chooses the address that the bridge connects from"),
    ),
    option("bridge_cafile", Bridge, Honoured("`bridge.ca`, and TLS")),
    option("bridge_capath", Bridge, Honoured("`bridge.ca`, and TLS")),
    option("bridge_certfile", Bridge, Honoured("`bridge.certificate`")),
    option(
        "bridge_ciphers",
        Bridge,
        Noted("the cipher suites are those of TLS 1.2 and 1.3 that are good today"),
    ),
    option(
        "bridge_ciphers_tls1.3",
        Bridge,
        Noted("the cipher suites are those of TLS 1.3"),
    ),
    option(
        "bridge_identity",
        Bridge,
        Refused("TLS with pre-shared keys is not spoken here; use certificates"),
    ),
    option(
        "bridge_insecure",
        Bridge,
        Honoured("`bridge.any_server_name`: the certificate must be good all the same"),
    ),
    option("bridge_keyfile", Bridge, Honoured("`bridge.key`")),
    option(
        "bridge_max_packet_size",
        Bridge,
        Honoured("`bridge.packet_size`"),
    ),
    option(
        "bridge_max_topic_alias",
        Bridge,
        Noted("the bridge uses no topic aliases"),
    ),
    option(
        "bridge_outgoing_retain",
        Bridge,
        Honoured("`bridge.retain`"),
    ),
    option(
        "bridge_protocol_version",
        Bridge,
        Honoured("`bridge.version`; without it 3.1.1"),
    ),
    option(
        "bridge_psk",
        Bridge,
        Refused("TLS with pre-shared keys is not spoken here; use certificates"),
    ),
    option(
        "bridge_receive_maximum",
        Bridge,
        Noted("`limits.receive_maximum` holds for what comes in by a bridge, too"),
    ),
    option(
        "bridge_reload_type",
        Bridge,
        Noted("a bridge that has changed connects again at once, and nothing is lost by it"),
    ),
    option(
        "bridge_require_ocsp",
        Bridge,
        Refused(
            "certificates are not asked about by OCSP; leave it out, or use authorities of your own",
        ),
    ),
    option(
        "bridge_session_expiry_interval",
        Bridge,
        Honoured("`bridge.session_expiry`"),
    ),
    option(
        "bridge_tcp_keepalive",
        Bridge,
        Noted("`keepalive_interval` finds out whether the other side is there"),
    ),
    option(
        "bridge_tcp_user_timeout",
        Bridge,
        Noted("`keepalive_interval` finds out whether the other side is there"),
    ),
    option(
        "bridge_tls_use_os_certs",
        Bridge,
        Noted("the authorities that browsers trust are trusted, not the system's list"),
    ),
    option(
        "bridge_tls_version",
        Bridge,
        Honoured("`bridge.tls_minimum`; tlsv1.1 is not spoken"),
    ),
    option(
        "cleansession",
        Bridge,
        Honoured(
            "`bridge.clean_start`, and `local_clean_start` unless `local_cleansession` says otherwise",
        ),
    ),
    option("clientid", Bridge, Honoured("`bridge.client_id`")),
    option("connection", Bridge, Honoured("`[[bridge]]`")),
    option("idle_timeout", Bridge, Honoured("`bridge.idle_timeout`")),
    option(
        "keepalive_interval",
        Bridge,
        Honoured("`bridge.keep_alive`"),
    ),
    option(
        "local_cleansession",
        Bridge,
        Honoured("`bridge.local_clean_start`"),
    ),
    option(
        "local_clientid",
        Bridge,
        Honoured("`bridge.local_client_id`; without it `bridge.NAME`"),
    ),
    option(
        "local_password",
        Bridge,
        Noted("a bridge is at home here and needs none"),
    ),
    option(
        "local_username",
        Bridge,
        Honoured("`bridge.user`; without it the bridge may do everything"),
    ),
    option(
        "notification_topic",
        Bridge,
        Honoured("`bridge.notification_topic`"),
    ),
    option("notifications", Bridge, Honoured("`bridge.notifications`")),
    option(
        "notifications_local_only",
        Bridge,
        Honoured("`bridge.notifications`"),
    ),
    option("password", Bridge, Honoured("`bridge.password`")),
    option("remote_clientid", Bridge, Honoured("`bridge.client_id`")),
    option("remote_password", Bridge, Honoured("`bridge.password`")),
    option("remote_username", Bridge, Honoured("`bridge.username`")),
    option(
        "restart_timeout",
        Bridge,
        Honoured(
            "`bridge.restart_first` and `restart_longest`; pauses double, with chance in them",
        ),
    ),
    option(
        "round_robin",
        Bridge,
        Honoured("`bridge.prefer_first` is its opposite"),
    ),
    option("start_type", Bridge, Honoured("`bridge.start`")),
    option("threshold", Bridge, Honoured("`bridge.threshold`")),
    option(
        "topic",
        Bridge,
        Honoured(
            "`bridge.topics`, in the same words; the first line that is about a message holds",
        ),
    ),
    option("try_private", Bridge, Honoured("`bridge.bridge_bit`")),
    option("username", Bridge, Honoured("`bridge.username`")),
];
