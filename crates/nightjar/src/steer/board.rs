//! The dashboard's port, and the code for its first administrator.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use admin::web::{Asset, Settings};
use admin::{Api, Problem};
use config::Config;
use net::{CertificateFiles, ServerTls, TlsFiles};

use crate::banner::Board;
use crate::foresight;

/// The port of the dashboard, if there is to be one.
///
/// # Errors
/// Its certificate or key cannot be used.
pub(crate) fn settings(config: &Config) -> Result<Option<Settings>, Problem> {
    let wanted = &config.dashboard;
    if !wanted.enabled {
        return Ok(None);
    }
    let address = wanted.address.unwrap_or(foresight::DASHBOARD);
    let tls = match (&wanted.certificate, &wanted.key) {
        (Some(chain), Some(key)) => {
            let files = TlsFiles {
                certificates: vec![CertificateFiles {
                    chain: chain.clone(),
                    key: key.clone(),
                }],
                ..TlsFiles::default()
            };
            let tls = ServerTls::load(&files);
            let tls =
                tls.map_err(|error| Problem::Web(address, io::Error::other(error.to_string())));
            Some(tls?.config())
        }
        _ => None,
    };
    Ok(Some(Settings {
        address,
        hosts: wanted.hosts.clone(),
        prefix: wanted.path.clone().unwrap_or_default(),
        tls,
        files: |path| {
            dashboard::file(path).map(|file| Asset {
                content: file.content,
                media_type: file.media_type(),
                is_immutable: file.is_immutable(),
            })
        },
        policy: dashboard::POLICY,
    }))
}

/// Whether the server may do without a dashboard that cannot listen: nobody asked for this port.
pub(super) fn is_dispensable(config: &Config, problem: &Problem) -> bool {
    matches!(problem, Problem::Web(..)) && config.dashboard.address.is_none()
}

/// Where the one-time code is kept.
pub(crate) fn code_file(data_dir: &Path) -> PathBuf {
    data_dir.join("setup-code")
}

/// Where it is, and the code. The code is kept in a file for its owner alone until there is an
/// administrator: services have no terminal, and it is not for logs.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn board(api: &Api, config: &Config, data_dir: &Path) -> io::Result<Option<Board>> {
    let file = code_file(data_dir);
    let Some(address) = api.web() else {
        return Ok(None);
    };
    let code = api.setup_code();
    match &code {
        Some(code) => write(&file, code)?,
        None => match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        },
    }
    let scheme = match config.dashboard.certificate {
        Some(_) => "https",
        None => "http",
    };
    let mut here = address;
    if here.ip().is_unspecified() {
        here.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let path = config.dashboard.path.as_deref().unwrap_or("");
    let url = format!("{scheme}://{here}{path}/");
    Ok(Some(Board {
        url,
        address,
        code,
        file,
    }))
}

fn write(path: &Path, code: &str) -> io::Result<()> {
    // Never one that somebody else has made and can read.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    writeln!(options.open(path)?, "{code}")
}
