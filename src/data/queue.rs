//! Numbered work, done by threads in advance and delivered in order.

use crate::error::{Error, Result};
use parking_lot::{Condvar, Mutex};
use std::any::Any;
use std::collections::BTreeMap;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

type Work<B> = Box<dyn Fn(usize) -> Result<B> + Send + Sync>;

/// Results of `work(first)`, `work(first + 1)` and so on, each at most `ahead` numbers before it is taken. Without threads
/// each is made when it is taken. A panic is a result, too: an error.
pub(super) struct Queue<B> {
    shared: Arc<Shared<B>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<B> {
    work: Work<B>,
    state: Mutex<State<B>>,
    changed: Condvar,
    end: usize,
    ahead: usize,
}

struct State<B> {
    /// The next number that a thread begins.
    begun: usize,
    /// The next number that is taken.
    taken: usize,
    done: BTreeMap<usize, Result<B>>,
    stopped: bool,
}

impl<B: Send + 'static> Queue<B> {
    pub fn new(threads: usize, ahead: usize, numbers: std::ops::Range<usize>, work: Work<B>) -> Result<Queue<B>> {
        let state = State { begun: numbers.start, taken: numbers.start, done: BTreeMap::new(), stopped: false };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let shared = Arc::new(Shared { work, state, changed, end: numbers.end, ahead: ahead.max(threads) });
        let mut queue = Queue { shared, threads: Vec::new() };
        for _ in 0..threads.min(numbers.len()) {
            let shared = queue.shared.clone();
            let thread = thread::Builder::new().name("wgrad-data".to_string()).spawn(move || shared.run());
            let refused = |error| Error::invalid("DataLoader", format!("the system gives no further thread: {error}"));
            queue.threads.push(thread.map_err(refused)?);
        }
        Ok(queue)
    }
}

impl<B> Queue<B> {
    /// Numbers that were not taken.
    pub fn left(&self) -> usize {
        let state = self.shared.state.lock();
        if state.stopped { 0 } else { self.shared.end - state.taken }
    }

    /// The number that is taken next.
    pub fn position(&self) -> usize {
        self.shared.state.lock().taken
    }

    /// The next result; nothing after the last, or after an error.
    pub fn take(&self) -> Option<Result<B>> {
        let shared = &self.shared;
        let mut state = shared.state.lock();
        if state.stopped || state.taken == shared.end {
            return None;
        }
        let number = state.taken;
        let result = if self.threads.is_empty() {
            shared.make(number)
        } else {
            loop {
                if let Some(result) = state.done.remove(&number) {
                    break result;
                }
                shared.changed.wait(&mut state);
            }
        };
        state.taken += 1;
        state.stopped = result.is_err();
        shared.changed.notify_all();
        Some(result)
    }
}

impl<B> Shared<B> {
    fn make(&self, number: usize) -> Result<B> {
        let refused = |panic| Err(Error::invalid("DataLoader", format!("batch {number} panicked: {panic}")));
        caught(|| (self.work)(number)).unwrap_or_else(refused)
    }

    /// The work of one thread.
    fn run(&self) {
        let mut state = self.state.lock();
        while !state.stopped && state.begun < self.end {
            if state.begun - state.taken >= self.ahead {
                self.changed.wait(&mut state);
                continue;
            }
            let number = state.begun;
            state.begun += 1;
            drop(state);
            let result = self.make(number);
            state = self.state.lock();
            state.done.insert(number, result);
            self.changed.notify_all();
        }
    }
}

impl<B> Drop for Queue<B> {
    /// The threads end with the item that they are at.
    fn drop(&mut self) {
        self.shared.state.lock().stopped = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

/// A function's result, or the message of its panic.
pub(super) fn caught<T>(function: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(function)).map_err(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        // A thrown value may panic again when it is dropped.
        mem::forget(panic);
        text.unwrap_or_else(|| "no message".to_string())
    })
}
