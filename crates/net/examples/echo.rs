//! Measures the bare loop: clients on one thread each have some bytes in flight and get them
//! back. Prints echoes for each second.
//!
//! `cargo run --release -p net --example echo -- [clients] [window] [seconds]`: a window of
//! 1 is a ping-pong of 64 bytes for each client; a larger one sends so many at once.

use std::env;
use std::error::Error;
use std::io::{IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use net::{Clock, Listener, ListenerConfig, Runtime, WorkerSetup};
use types::{Action, ConnId, Core, LinkEnd, LinkInfo, Time};

const MESSAGE_BYTES: usize = 64;

/// Gives back what comes.
#[derive(Default)]
struct Echo {
    outputs: Vec<Vec<u8>>,
    free: Vec<u32>,
    touched: Vec<ConnId>,
}

impl Core for Echo {
    type Mail = ();

    fn handle_open(&mut self, _: LinkInfo, _: Time) -> Option<ConnId> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.outputs.push(Vec::new());
            self.outputs.len() as u32 - 1
        });
        Some(ConnId {
            slot,
            generation: 0,
        })
    }

    fn handle_info(&mut self, _: ConnId, _: LinkInfo, _: Time) {}

    fn handle_bytes(&mut self, conn: ConnId, bytes: &[u8], _: Time) {
        self.outputs[conn.slot as usize].extend_from_slice(bytes);
        self.touched.push(conn);
    }

    fn handle_written(&mut self, conn: ConnId, written: usize, _: Time) {
        self.outputs[conn.slot as usize].drain(..written);
    }

    fn handle_closed(&mut self, conn: ConnId, _: LinkEnd, _: Time) {
        self.outputs[conn.slot as usize].clear();
        self.free.push(conn.slot);
    }

    fn handle_mail(&mut self, (): (), _: Time) {}

    fn handle_timeout(&mut self, _: Time) {}

    fn end_turn(&mut self, _: Time) {}

    fn poll_timeout(&self) -> Option<Time> {
        None
    }

    fn poll_action(&mut self) -> Option<Action<()>> {
        self.touched.pop().map(Action::Flush)
    }

    fn output<'a>(&'a self, conn: ConnId, slices: &mut [IoSlice<'a>]) -> usize {
        let output = &self.outputs[conn.slot as usize];
        match slices.first_mut() {
            Some(first) if !output.is_empty() => {
                *first = IoSlice::new(output);
                1
            }
            _ => 0,
        }
    }

    fn is_drained(&self) -> bool {
        false
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<u64> = env::args()
        .skip(1)
        .map(|arg| arg.parse())
        .collect::<Result<_, _>>()?;
    let number = |place: usize, otherwise| numbers.get(place).copied().unwrap_or(otherwise);
    let (clients, window, seconds) = (number(0, 1), number(1, 1), number(2, 3));

    let listener = Listener::bind(&ListenerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0))))?;
    let address = listener.address().tcp().ok_or("it listens on TCP")?;
    let setups = vec![WorkerSetup::new(Echo::default)];
    let _runtime = Runtime::start(vec![listener], setups, Clock::new(Instant::now()))?;

    let span = Duration::from_secs(seconds);
    let message = vec![b'x'; MESSAGE_BYTES * usize::try_from(window)?];
    let start = Instant::now();
    let threads: Vec<_> = (0..clients)
        .map(|_| {
            let message = message.clone();
            thread::spawn(move || -> std::io::Result<u64> {
                let mut stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                let mut answer = vec![0; message.len()];
                let mut rounds = 0;
                while start.elapsed() < span {
                    stream.write_all(&message)?;
                    stream.read_exact(&mut answer)?;
                    rounds += 1;
                }
                Ok(rounds)
            })
        })
        .collect();
    let mut rounds = 0;
    for thread in threads {
        rounds += thread.join().map_err(|_| "a client panicked")??;
    }
    let took = start.elapsed().as_secs_f64();
    println!("{:.0} echoes a second", (rounds * window) as f64 / took);
    Ok(())
}
