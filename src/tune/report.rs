//! The findings of tuning, as values and as a table.

use crate::dtype::DType;
use crate::shape::Shape;
use std::fmt;
use std::time::Duration;

/// The findings of tuning; made by [`Device::tune`](crate::Device::tune). `Display` prints them as a table.
#[derive(Clone, Debug, Default)]
pub struct Tuning {
    pub(super) calls: Vec<TunedCall>,
    pub(super) notes: Vec<String>,
    pub(super) time: Duration,
    pub(super) known: usize,
    pub(super) single: usize,
}

/// A call whose candidates were compared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TunedCall {
    /// PyTorch's name of the operation, or of the pass of it.
    pub op: &'static str,
    /// Shapes of its inputs.
    pub inputs: Vec<Shape>,
    /// Element type of its first output.
    pub dtype: DType,
    /// The ways to compute it, the cost model's choice first.
    pub candidates: Vec<TunedCandidate>,
    /// The one that computes such calls from now on.
    pub winner: usize,
    /// True if the winner was found by measuring, and is remembered. If time ran out, or nothing could be checked, the cost
    /// model's choice stays.
    pub is_decided: bool,
}

/// A way to compute a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TunedCandidate {
    /// The stems of its kernels, and the constants that tell it from other candidates with these stems.
    pub name: String,
    /// The outcome of its trial.
    pub outcome: TuneOutcome,
}

/// The outcome of a candidate's trial.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TuneOutcome {
    /// Its numbers are right, and it takes this long: the shortest of several runs.
    Time(Duration),
    /// It may not win, for this reason: wrong numbers, or an error in compiling or running it.
    Rejected(String),
    /// Time ran out before it was measured.
    NotReached,
}

impl Tuning {
    /// The calls that were tuned, in the order in which they were planned.
    pub fn calls(&self) -> &[TunedCall] {
        &self.calls
    }

    /// Other problems, such as a file that could not be read or written.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Time spent on tuning.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// Calls whose winner was already known.
    pub fn known(&self) -> usize {
        self.known
    }

    /// A report of one note.
    pub(crate) fn with_note(note: &str) -> Tuning {
        Tuning { notes: vec![note.to_string()], ..Tuning::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.notes.is_empty()
    }

    pub(super) fn append(&mut self, other: &Tuning) {
        self.calls.extend_from_slice(&other.calls);
        self.notes.extend_from_slice(&other.notes);
        self.time += other.time;
        self.known += other.known;
        self.single += other.single;
    }
}

impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (calls, known, single) = (self.calls.len(), self.known, self.single);
        writeln!(
            f,
            "{calls} calls tuned in {:.2} s; {known} known before, {single} with one way to compute them",
            self.time.as_secs_f64()
        )?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        let names = self.calls.iter().flat_map(|call| &call.candidates).map(|candidate| candidate.name.chars().count());
        let width = names.max().unwrap_or(0);
        for call in &self.calls {
            let shapes: Vec<String> = call.inputs.iter().map(|shape| shape.to_string()).collect();
            let undecided = if call.is_decided { "" } else { ": undecided" };
            writeln!(f, "\n{} {} {}{undecided}", call.op, shapes.join(" x "), call.dtype)?;
            for (at, candidate) in call.candidates.iter().enumerate() {
                let mark = if at == call.winner { '>' } else { ' ' };
                writeln!(f, "{mark} {:width$}  {}", candidate.name, candidate.outcome)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for TuneOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TuneOutcome::Time(time) => write!(f, "{:>10.4} ms", 1e3 * time.as_secs_f64()),
            TuneOutcome::Rejected(reason) => write!(f, "rejected: {reason}"),
            TuneOutcome::NotReached => write!(f, "not reached"),
        }
    }
}
