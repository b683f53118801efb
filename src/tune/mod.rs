//! Tuning: measures the ways to compute a call instead of trusting the cost model, and remembers which was fastest.
//!
//! `compete` checks the candidates of a call and times them, each as a `trial`; `winners` keeps the fastest, also in a file,
//! under a `key`; `report` presents the results. Calls are tuned when they are planned, each without the calls that will be fused
//! into its stores: those are the same whichever candidate wins.

mod compete;
mod key;
mod report;
mod trial;
mod winners;

pub use report::{TuneOutcome, TunedCall, TunedCandidate, Tuning};
pub(crate) use trial::Call;

use crate::device::{DeviceOptions, Gpu};
use crate::error::{Error, Result};
use crate::shader::Kernels;
use key::Key;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use winners::{Winner, Winners};

/// Time for tuning unless the caller or the environment sets another.
pub(crate) const DEFAULT_LIMIT: Duration = Duration::from_secs(10);

/// Chooses among the ways to compute a call.
pub(crate) struct Tuner {
    state: Mutex<State>,
    /// True if winners are neither looked for nor used.
    is_off: bool,
}

struct State {
    winners: Winners,
    /// Remaining time for tuning, while calls are tuned.
    left: Option<Duration>,
    /// The findings of the running [`Device::tune`](crate::Device::tune), and the value of `left` before it.
    under_way: Option<(Tuning, Option<Duration>)>,
    /// The findings since the last plan.
    news: Tuning,
    /// Calls that were tuned without a winner; they are not tuned again.
    undecided: HashSet<Key>,
}

/// Tuning under way; dropping it ends it.
pub(crate) struct Running<'a>(&'a Tuner);

impl Tuner {
    /// A tuner with the winners that were found earlier on this adapter.
    pub fn open(gpu: &Gpu, options: &DeviceOptions) -> Result<Tuner> {
        let is_off = gpu.adapter().disable.tuned || !gpu.computes();
        let always = options.tune || asks_for_tuning(std::env::var("WGRAD_TUNE").ok().as_deref())?;
        let (winners, note) =
            if is_off { Default::default() } else { Winners::open(gpu, options.cache_folder.as_deref()) };
        let news = Tuning { notes: note.into_iter().collect(), ..Tuning::default() };
        let left = always.then_some(DEFAULT_LIMIT);
        let state = State { winners, left, under_way: None, news, undecided: HashSet::new() };
        Ok(Tuner { state: Mutex::new(state), is_off })
    }

    /// Tunes the calls that are planned from now on, for at most this long.
    pub fn start(&self, limit: Duration) -> Result<Running<'_>> {
        let mut state = self.state.lock();
        if state.under_way.is_some() {
            return Err(Error::invalid("tune", "this device is being tuned already; tunings don't nest"));
        }
        let left = state.left.replace(limit);
        let mut tuning = std::mem::take(&mut state.news);
        if self.is_off {
            tuning.notes.push("nothing is tuned: the adapter computes nothing, or tuning is disabled".to_string());
        }
        state.under_way = Some((tuning, left));
        state.undecided.clear();
        Ok(Running(self))
    }

    /// The kernels of a call: the winner if one is known, and otherwise the cost model's choice.
    pub fn kernels(&self, call: &Call) -> Result<Kernels> {
        let mut state = self.state.lock();
        let is_empty = call.io.outputs.iter().all(|output| output.shape.numel() == 0);
        if self.is_off || is_empty || (state.left.is_none() && state.winners.is_empty()) {
            return call.kernels();
        }
        let key = Key::new(call.op, call.io, call.gpu.adapter());
        if state.left.is_none() && state.winners.find(&key).is_none() {
            return call.kernels();
        }
        let mut candidates = call.candidates(call.gpu.adapter())?;
        if candidates.len() < 2 {
            state.news.single += 1;
            return call.kernels();
        }
        let chosen = state.choose(call, &candidates, key)?;
        Ok(candidates.swap_remove(chosen))
    }

    /// Ends a plan: saves the winners, and returns the report if there is one.
    pub fn settle(&self) -> Option<Tuning> {
        let state = &mut *self.state.lock();
        if let Err(error) = state.winners.save() {
            state.news.notes.push(format!("winners are forgotten in the end: {error}"));
        }
        let news = std::mem::take(&mut state.news);
        if let Some((tuning, _)) = &mut state.under_way {
            tuning.append(&news);
        }
        (!news.is_empty()).then_some(news)
    }
}

impl State {
    /// The candidate that computes a call.
    fn choose(&mut self, call: &Call, candidates: &[Kernels], key: Key) -> Result<usize> {
        let names = key::names(candidates);
        // If the cost model makes no difference between two batches, the shorter one is not tuned separately, so that the last
        // batch of an epoch compiles nothing. A longer one is, while there is tuning.
        let known = self.winners.find(&key).filter(|(winner, pair)| {
            let is_longer = pair.is_some_and(|(known, this)| this > known);
            winner.first == names[0] && !(is_longer && self.left.is_some())
        });
        if let Some(at) = known.and_then(|(winner, _)| names.iter().position(|name| *name == winner.best)) {
            self.news.known += 1;
            return Ok(at);
        }
        let Some(left) = self.left.filter(|_| !self.undecided.contains(&key)) else { return Ok(0) };
        let start = Instant::now();
        let (outcomes, winner) = compete::compete(call, candidates, start + left)?;
        let time = start.elapsed();
        self.left = Some(left.saturating_sub(time));
        self.news.time += time;
        let chosen = winner.unwrap_or(0);
        let op = call.op.name();
        self.news.calls.push(TunedCall {
            op,
            inputs: call.io.inputs.iter().map(|layout| layout.shape).collect(),
            dtype: call.io.outputs[0].dtype,
            candidates: names
                .iter()
                .cloned()
                .zip(outcomes)
                .map(|(name, outcome)| TunedCandidate { name, outcome })
                .collect(),
            winner: chosen,
            is_decided: winner.is_some(),
        });
        if winner.is_some() {
            let [first, best] = [0, chosen].map(|at| names[at].clone());
            self.winners.insert(key, Winner { op: op.to_string(), first, best });
        } else {
            self.undecided.insert(key);
        }
        Ok(chosen)
    }
}

impl Running<'_> {
    /// Ends the tuning and returns its findings.
    pub fn finish(self) -> Tuning {
        let mut state = self.0.state.lock();
        let mut tuning = state.under_way.as_mut().map(|(tuning, _)| std::mem::take(tuning)).unwrap_or_default();
        tuning.append(&std::mem::take(&mut state.news));
        tuning
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        if let Some((_, left)) = state.under_way.take() {
            state.left = left;
        }
    }
}

/// True if `WGRAD_TUNE` asks for tuning.
fn asks_for_tuning(value: Option<&str>) -> Result<bool> {
    match value.map(str::trim) {
        None | Some("" | "0") => Ok(false),
        Some("1") => Ok(true),
        Some(other) => Err(Error::invalid("WGRAD_TUNE", format!("{other:?} is neither 0 nor 1"))),
    }
}
