//! What signatures are verified with.

use std::path::Path;

use auth::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::{PemObject, SectionKind};
use serde::Deserialize;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::token::{self, Token};
use crate::Problem;
use crate::settings::Algorithm;

/// Keys of one issuer.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Key>);

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    /// The only algorithm that it is for.
    algorithm: Option<Algorithm>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Secret(Secret),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point that is not compressed.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Keys {
    pub(super) fn of_secret(secret: &Secret) -> Result<Self, Problem> {
        if secret.reveal().len() < SHORTEST_SECRET {
            let why = format!("a secret has at least {SHORTEST_SECRET} bytes (RFC 7518, 3.2)");
            return Err(Problem::new(why));
        }
        Ok(Self(vec![Key::plain(Kind::Secret(secret.clone()))]))
    }

    /// One public key, alone or in a certificate.
    pub(super) fn of_pem(file: &Path) -> Result<Self, Problem> {
        let bad = |why: &str| Problem::new(format!("{}: {why}", file.display()));
        let found = <(SectionKind, Vec<u8>)>::from_pem_file(file);
        let (kind, der) = found.map_err(|error| bad(&error.to_string()))?;
        let key = match kind {
            SectionKind::PublicKey => SubjectPublicKeyInfo::from_der(&der)
                .ok()
                .and_then(|(_, info)| of_info(&info)),
            SectionKind::Certificate => X509Certificate::from_der(&der)
                .ok()
                .and_then(|(_, certificate)| of_info(certificate.public_key())),
            SectionKind::PrivateKey | SectionKind::EcPrivateKey | SectionKind::RsaPrivateKey => {
                return Err(bad("this is a private key; here belongs the public one"));
            }
            _ => return Err(bad("this is neither a public key nor a certificate")),
        };
        let key =
            key.ok_or_else(|| bad("no key of RSA (2048 bits and more), P-256, P-384 or Ed25519"))?;
        Ok(Self(vec![Key::plain(key)]))
    }

    /// A set of keys (RFC 7517) in a file.
    pub(super) fn of_file(file: &Path) -> Result<Self, Problem> {
        let bad = |why: &str| Problem::new(format!("{}: {why}", file.display()));
        let json = std::fs::read(file).map_err(|error| bad(&error.to_string()))?;
        Self::of_json(&json).map_err(bad)
    }

    /// A set of keys. Those that cannot be used are passed over (RFC 7517, 5); none at all is an
    /// error.
    pub(super) fn of_json(json: &[u8]) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_slice(json).map_err(|_| "this is no set of keys (JWKS)")?;
        if set.keys.len() > MOST {
            return Err("more than 256 keys");
        }
        let keys: Vec<Key> = set.keys.into_iter().filter_map(Key::of_json).collect();
        if keys.is_empty() {
            return Err("there is no key in it that could be used");
        }
        Ok(Self(keys))
    }

    /// Those that could have signed a token.
    pub(super) fn fit<'a>(&'a self, token: &'a Token<'_>) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(|key| {
            let named = match (&key.id, &token.key_id) {
                (Some(id), Some(wanted)) => id == wanted,
                (None, _) | (_, None) => true,
            };
            let meant = key.algorithm.is_none_or(|it| it == token.algorithm);
            named && meant && key.kind.goes_with(token.algorithm)
        })
    }
}

impl Key {
    fn plain(kind: Kind) -> Self {
        Self {
            id: None,
            algorithm: None,
            kind,
        }
    }

    fn of_json(json: serde_json::Value) -> Option<Self> {
        #[derive(Deserialize)]
        struct Jwk {
            kty: String,
            kid: Option<String>,
            alg: Option<String>,
            #[serde(rename = "use")]
            purpose: Option<String>,
            crv: Option<String>,
            n: Option<String>,
            e: Option<String>,
            x: Option<String>,
            y: Option<String>,
        }
        let jwk = Jwk::deserialize(json).ok()?;
        if jwk.purpose.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let decode = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let point = |x: Option<String>, y: Option<String>, length: usize| {
            let (x, y) = (decode(x)?, decode(y)?);
            (x.len() == length && y.len() == length).then(|| [&[4][..], &x, &y].concat())
        };
        let kind = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => rsa(&decode(jwk.n)?, &decode(jwk.e)?)?,
            ("EC", Some("P-256")) => Kind::P256(point(jwk.x, jwk.y, 32)?),
            ("EC", Some("P-384")) => Kind::P384(point(jwk.x, jwk.y, 48)?),
            ("OKP", Some("Ed25519")) => ed25519(&decode(jwk.x)?)?,
            // A secret in a set of public keys would verify what anybody signs.
            _ => return None,
        };
        let algorithm = match jwk.alg {
            // An algorithm that we do not know is none that we could verify.
            Some(name) => Some(token::algorithm(&name)?),
            None => None,
        };
        Some(Self {
            id: jwk.kid,
            algorithm,
            kind,
        })
    }
}

impl Kind {
    fn goes_with(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Hs256, Hs384, Hs512};
        use Algorithm::{Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self {
            Self::Secret(_) => matches!(algorithm, Hs256 | Hs384 | Hs512),
            Self::Rsa { .. } => {
                matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512)
            }
            Self::P256(_) => algorithm == Es256,
            Self::P384(_) => algorithm == Es384,
            Self::Ed25519(_) => algorithm == EdDsa,
        }
    }
}

fn of_info(info: &SubjectPublicKeyInfo<'_>) -> Option<Kind> {
    let bytes = &*info.subject_public_key.data;
    if info.algorithm.algorithm.to_id_string() == ED25519 {
        return ed25519(bytes);
    }
    match info.parsed().ok()? {
        PublicKey::RSA(key) => rsa(key.modulus, key.exponent),
        PublicKey::EC(_) => match bytes.len() {
            65 => Some(Kind::P256(bytes.into())),
            97 => Some(Kind::P384(bytes.into())),
            _ => None,
        },
        _ => None,
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Option<Kind> {
    let [n, e] = [n, e].map(|it| {
        let start = it.iter().position(|&byte| byte != 0).unwrap_or(it.len());
        it.get(start..).unwrap_or_default().to_vec()
    });
    (256..=1024)
        .contains(&n.len())
        .then_some(Kind::Rsa { n, e })
}

fn ed25519(bytes: &[u8]) -> Option<Kind> {
    (bytes.len() == 32).then(|| Kind::Ed25519(bytes.into()))
}

const ED25519: &str = "1.3.101.112";
const SHORTEST_SECRET: usize = 32;
const MOST: usize = 256;
