//! The program `nightjar`: its command line and the wiring of the server.
//!
//! **Never:** no MQTT and no decision about a client here; nothing slow on a worker's thread.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | the command line and its help, `nightjar pub` and `nightjar sub` |
//! | [`check`] | `nightjar check` |
//! | [`doctor`] | `nightjar doctor`: what stands in a server's way |
//! | [`serve`] | `nightjar serve`: from a plan to a running server and to its end |
//! | [`plan`] | what a start will do, and every reason why it cannot: shared by both |
//! | [`origin`] | whether a configuration is a file of ours or one of Mosquitto |
//! | [`account`] | becoming somebody other than root |
//! | [`pid`] | the file with the number of the process |
//! | [`foresight`] | what a start would stumble over on this machine |
//! | [`doors`] | who comes in and what he may do there |
//! | [`bridges`] | bridges to other servers: from the configuration, and who they are here |
//! | [`steer`] | what the administration API sees and changes; `steerless.rs` in a build without it |
//! | [`parts`] | what this build has, and what of a configuration is not in it |
//! | [`data_dir`] | the folder for what outlives a restart |
//! | [`storage`] | the store of a running server: how it begins and how it ends |
//! | [`trouble`] | how the store fares, as lines of the log |
//! | [`log`] | the log: its thread, its forms, its level |
//! | [`events`] | events of the broker as lines of the log |
//! | [`queue`] | a queue with a bound, which is small while it is empty |
//! | [`brief`] | words of strangers, bounded |
//! | [`banner`] | what a newcomer reads at the start |
//! | [`signals`] | signals of the system as requests |
//! | [`supervisor`] | what systemd hears of the server |
//! | [`process`] | memory in use, the machine's name |

// What the API alone asks for, or a tool, stays with what it is about.
#![cfg_attr(not(all(feature = "api", feature = "tools")), allow(dead_code))]

mod account;
mod banner;
mod bridges;
mod brief;
mod check;
mod cli;
mod data_dir;
#[cfg(feature = "api")]
mod doctor;
mod doors;
mod events;
mod foresight;
mod log;
mod origin;
mod parts;
mod pid;
mod plan;
mod process;
mod queue;
mod serve;
mod signals;
#[cfg(feature = "api")]
mod steer;
#[cfg(not(feature = "api"))]
#[path = "steerless.rs"]
mod steer;
mod storage;
mod supervisor;
mod trouble;

use std::process::ExitCode;

/// Message bodies and output buffers come and go on every turn and cross threads: glibc gives
/// large ones back to the system each time and faults them in again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    process::use_small_pages();
    cli::run()
}
