//! Options of the Mosquitto clients that need a transport which is not here yet. They are
//! recognised to be refused: ignoring `--cafile` would send a password in the clear.

use std::ffi::OsString;

use clap::Args;

/// Options that are refused.
#[derive(Args, Debug, Default)]
pub(crate) struct RefusedArgs {
    #[arg(long, hide = true)]
    cafile: Option<OsString>,
    #[arg(long, hide = true)]
    capath: Option<OsString>,
    #[arg(long, hide = true)]
    cert: Option<OsString>,
    #[arg(long, hide = true)]
    key: Option<OsString>,
    #[arg(long, hide = true)]
    keyform: Option<OsString>,
    #[arg(long, hide = true)]
    ciphers: Option<OsString>,
    #[arg(long, hide = true)]
    tls_version: Option<OsString>,
    #[arg(long, hide = true)]
    tls_alpn: Option<OsString>,
    #[arg(long, hide = true)]
    tls_engine: Option<OsString>,
    #[arg(long, hide = true)]
    tls_engine_kpass_sha1: Option<OsString>,
    #[arg(long, hide = true)]
    tls_keylog: Option<OsString>,
    #[arg(long, hide = true)]
    tls_use_os_certs: bool,
    #[arg(long, hide = true)]
    insecure: bool,
    #[arg(long, hide = true)]
    psk: Option<OsString>,
    #[arg(long, hide = true)]
    psk_identity: Option<OsString>,
    #[arg(long, hide = true)]
    proxy: Option<OsString>,
    #[arg(long, hide = true)]
    unix: Option<OsString>,
    #[arg(long, hide = true)]
    ws: bool,
    #[arg(short = 'S', hide = true)]
    srv: bool,
}

impl RefusedArgs {
    /// The first option that was given and cannot be obeyed.
    pub(crate) fn first(&self) -> Option<&'static str> {
        let valued = [
            (&self.cafile, "--cafile"),
            (&self.capath, "--capath"),
            (&self.cert, "--cert"),
            (&self.key, "--key"),
            (&self.keyform, "--keyform"),
            (&self.ciphers, "--ciphers"),
            (&self.tls_version, "--tls-version"),
            (&self.tls_alpn, "--tls-alpn"),
            (&self.tls_engine, "--tls-engine"),
            (&self.tls_engine_kpass_sha1, "--tls-engine-kpass-sha1"),
            (&self.tls_keylog, "--tls-keylog"),
            (&self.psk, "--psk"),
            (&self.psk_identity, "--psk-identity"),
            (&self.proxy, "--proxy"),
            (&self.unix, "--unix"),
        ];
        let flags = [
            (self.tls_use_os_certs, "--tls-use-os-certs"),
            (self.insecure, "--insecure"),
            (self.ws, "--ws"),
            (self.srv, "-S"),
        ];
        let valued = valued
            .into_iter()
            .filter(|(value, _)| value.is_some())
            .map(|(_, name)| name);
        let flags = flags
            .into_iter()
            .filter(|(given, _)| *given)
            .map(|(_, name)| name);
        valued.chain(flags).next()
    }
}
