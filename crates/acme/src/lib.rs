//! Certificates of the server from an authority that is asked (ACME, RFC 8555).
//!
//! **Never:** nothing is taken away before what replaces it is whole on the disk, no key leaves its
//! folder, no worker waits for any of this, no port is open but while the authority looks.
//!
//! Each certificate has a folder: the account at the authority, and one file with the key and the
//! chain, which is replaced as a whole. Until the authority has given one, there is a stand-in, signed
//! by itself, so that a listener can open; no client has reason to trust it. Who shows the
//! certificate watches the file.
//!
//! Only `http-01` is spoken: the authority asks the name at port 80. A thread of its own does one
//! certificate after the other, each when two thirds of its time are over, and again later if that
//! failed.
//!
//! | module | owns |
//! |---|---|
//! | `wanted` | [`Wanted`], [`Notice`]: what is asked for, and what is told |
//! | `folder` | the files of a certificate |
//! | `validity` | when a certificate is due |
//! | `authority` | the conversation with an authority |
//! | `responder` | what answers the authority's look |
//! | `keeper` | [`Keeper`]: the thread |

mod authority;
mod folder;
mod keeper;
mod responder;
mod validity;
mod wanted;

pub use keeper::Keeper;
pub use wanted::{Notice, Wanted};
