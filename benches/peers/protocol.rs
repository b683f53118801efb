//! Parts that the Rust programs share: arguments, the timing of a work item, and the line that reports it.
#![allow(dead_code)] // no program needs all of it

use std::io::{Write, stdin, stdout};
use std::time::{Duration, Instant};

/// A run repeats its call for about this long, so that waiting for the device matters little ..
const RUN: Duration = Duration::from_millis(100);
/// .. but no more often than this, so that no library's queue overflows.
const MOST_CALLS: u32 = 50;
/// Calls between the first and the timed runs; some libraries go on compiling and tuning in the second and third.
const WARM_UP: usize = 3;

/// A work item made ready: its inputs are on the device.
pub struct Work {
    /// Submits the work once, and drops its results.
    pub call: Box<dyn FnMut()>,
    /// Waits until everything submitted is done.
    pub sync: Box<dyn FnMut()>,
    /// The most device memory held so far, if the library reports it.
    pub max_bytes: Box<dyn Fn() -> Option<u64>>,
}

/// Arguments of the program: `[--filter TEXT] [--runs N] [--paced]`.
pub struct Bench {
    peer: &'static str,
    start: Instant,
    filter: Option<String>,
    runs: usize,
    paced: bool,
}

impl Bench {
    /// Reads the arguments. Call it first: `start_ms` counts from here.
    pub fn new(peer: &'static str) -> Bench {
        let mut bench = Bench { peer, start: Instant::now(), filter: None, runs: 5, paced: false };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--filter" => bench.filter = arguments.next(),
                "--runs" => bench.runs = arguments.next().and_then(|n| n.parse().ok()).expect("--runs takes a number"),
                "--paced" => bench.paced = true,
                other => panic!("unknown argument {other}; known are --filter TEXT, --runs N, --paced"),
            }
        }
        assert!(bench.runs > 0, "--runs is 0; it must be at least 1");
        bench
    }

    /// Times a work item, if its name contains the filter.
    pub fn item(&self, name: &str, prepare: impl FnOnce() -> Work) {
        if self.filter.as_ref().is_none_or(|filter| name.contains(filter)) {
            self.measure(name, prepare());
        }
    }

    /// As [`item`](Bench::item), for an item that takes too long to run unless the filter asks for it.
    pub fn long_item(&self, name: &str, prepare: impl FnOnce() -> Work) {
        if self.filter.is_some() {
            self.item(name, prepare);
        }
    }

    /// Reports why there is no such work here.
    pub fn unsupported(&self, name: &str, why: &str) {
        if self.filter.as_ref().is_none_or(|filter| name.contains(filter)) {
            println!(r#"{{"peer":"{}","name":"{name}","unsupported":"{why}"}}"#, self.peer);
        }
    }

    fn measure(&self, name: &str, mut work: Work) {
        (work.sync)();
        let first = timed(&mut work, 1);
        let since_start = self.start.elapsed();
        let warm = (0..WARM_UP).map(|_| timed(&mut work, 1)).min().unwrap_or(first);
        let calls = (RUN.as_secs_f64() / warm.as_secs_f64().max(1e-9)).clamp(1.0, f64::from(MOST_CALLS)) as u32;
        let mut runs: Vec<Duration> = (0..self.runs)
            .map(|_| {
                self.wait_for_turn();
                timed(&mut work, calls)
            })
            .collect();
        runs.sort_unstable();
        let median = (runs[(runs.len() - 1) / 2] + runs[runs.len() / 2]) / 2;
        let max_bytes = (work.max_bytes)().map(|bytes| format!(r#","max_bytes":{bytes}"#)).unwrap_or_default();
        print!(r#"{{"peer":"{}","name":"{name}","start_ms":{:.3},"#, self.peer, ms(since_start));
        print!(r#""first_ms":{:.3},"median_ms":{:.4},"min_ms":{:.4},"#, ms(first), ms(median), ms(runs[0]));
        println!(r#""runs":{},"calls":{calls}{max_bytes}}}"#, runs.len());
    }

    /// Other programs run in between: prints `ready`, and goes on after the next line of standard input.
    fn wait_for_turn(&self) {
        if self.paced {
            println!("ready");
            stdout().flush().expect("standard output is open");
            stdin().read_line(&mut String::new()).expect("standard input is open");
        }
    }
}

/// The time of one of `calls` calls, all of them awaited together.
fn timed(work: &mut Work, calls: u32) -> Duration {
    let start = Instant::now();
    (0..calls).for_each(|_| (work.call)());
    (work.sync)();
    start.elapsed() / calls
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
