//! Lets the candidates for a call compete.

use super::TuneOutcome;
use super::trial::{Bench, Call, Trial};
use crate::error::{Error, Result};
use crate::shader::Kernels;
use std::time::{Duration, Instant};

/// Runs of each fast candidate. The shortest counts: other work on the machine can only add to it. On a busy machine medians
/// chose kernels that take a quarter longer.
const ROUNDS: usize = 7;

/// If time runs out before this many runs, there is no winner.
const ENOUGH_ROUNDS: usize = 3;

/// Candidates that take this many times as long as the fastest are not timed again.
const HOPELESS: u32 = 4;

/// A candidate must take less than this part of the time of the cost model's choice to win: less is noise, and a winner
/// that changes from one tuning to the next changes the last bits of results.
const MARGIN: f64 = 0.95;

/// The outcome of each candidate, and the winner if all were reached and one may win. Errors are those after which the device
/// does nothing any more.
pub(super) fn compete(
    call: &Call,
    candidates: &[Kernels],
    deadline: Instant,
) -> Result<(Vec<TuneOutcome>, Option<usize>)> {
    if Instant::now() >= deadline {
        return Ok((vec![TuneOutcome::NotReached; candidates.len()], None));
    }
    let mut rivals = match check(call, candidates, deadline) {
        Ok(rivals) => rivals,
        Err(error) => {
            let reason = TuneOutcome::Rejected(format!("nothing to compare with: {}", survived(error)?));
            return Ok((vec![reason; candidates.len()], None));
        }
    };
    let is_over = measure(&mut rivals, deadline)?;
    let outcomes: Vec<TuneOutcome> = rivals.contenders.iter().map(Contender::outcome).collect();
    let is_over = is_over && !outcomes.contains(&TuneOutcome::NotReached);
    let winner = is_over.then(|| winner(&outcomes)).flatten();
    Ok((outcomes, winner))
}

/// The error as a value, or as an `Err` if nothing will work after it.
fn survived(error: Error) -> Result<Error> {
    match error {
        Error::DeviceLost { .. } | Error::Timeout { .. } => Err(error),
        error => Ok(error),
    }
}

struct Rivals<'a> {
    bench: Bench<'a>,
    contenders: Vec<Contender>,
}

enum Contender {
    /// Its results are right; with its shortest run so far.
    Right(Trial, Option<Duration>),
    Rejected(String),
    NotReached,
}

impl Contender {
    fn outcome(&self) -> TuneOutcome {
        match self {
            Contender::Right(_, Some(least)) => TuneOutcome::Time(*least),
            Contender::Rejected(reason) => TuneOutcome::Rejected(reason.clone()),
            Contender::Right(_, None) | Contender::NotReached => TuneOutcome::NotReached,
        }
    }
}

/// Checks the candidates' results by the plain kernel: the one for an adapter that has none of the capabilities, and of several
/// the last.
fn check<'a>(call: &'a Call, candidates: &[Kernels], deadline: Instant) -> Result<Rivals<'a>> {
    let bench = Bench::new(call)?;
    let nothing = || Error::Internal { op: call.op.name(), reason: "no plain kernel".to_string() };
    let plain = call.candidates(&call.gpu.adapter().baseline())?.pop().ok_or_else(nothing)?;
    let terms = terms(call, &plain);
    // Compiled together, since drivers compile several at once; an error is assigned to its kernels below.
    let pipelines: Result<Vec<_>> = candidates.iter().flat_map(|c| &c.kernels).map(|k| call.gpu.pipeline(k)).collect();
    if let Err(error) = pipelines.and_then(|pipelines| call.gpu.compile(&pipelines)) {
        survived(error)?;
    }
    let expected = bench.results(&bench.prepare(&plain)?)?;
    bench.check_plain(&expected)?;
    let has_open_stores = candidates.first().is_some_and(Kernels::has_open_stores);
    let mut contenders = Vec::with_capacity(candidates.len());
    for kernels in candidates {
        if Instant::now() >= deadline {
            contenders.push(Contender::NotReached);
            continue;
        }
        if has_open_stores && !kernels.has_open_stores() {
            contenders.push(Contender::Rejected("no calls can be fused into its stores".to_string()));
            continue;
        }
        let checked = bench.prepare(kernels).and_then(|trial| Ok((bench.results(&trial)?, trial)));
        contenders.push(match checked {
            Ok((results, trial)) => match bench.difference(&results, &expected, terms) {
                None => Contender::Right(trial, None),
                Some(difference) => Contender::Rejected(difference),
            },
            Err(error) => Contender::Rejected(survived(error)?.to_string()),
        });
    }
    Ok(Rivals { bench, contenders })
}

/// Approximate number of terms whose sum is one element of the result: half the estimated operations, or the elements of an
/// input, whichever is more.
fn terms(call: &Call, plain: &Kernels) -> f64 {
    let work: u64 = plain.kernels.iter().map(|kernel| kernel.work).sum();
    let input = call.io.inputs.iter().map(|input| input.shape.numel()).max().unwrap_or(0);
    let elements = call.io.outputs.iter().map(|output| output.shape.numel()).sum::<usize>().max(1);
    (work as f64 / 2.0).max(input as f64) / elements as f64
}

/// Times the contenders in turns, so that other work on the machine hits all of them. False if time ran out before there were
/// enough rounds.
fn measure(rivals: &mut Rivals, deadline: Instant) -> Result<bool> {
    for round in 0..ROUNDS {
        let times = rivals.contenders.iter().filter_map(|contender| match contender {
            Contender::Right(_, least) => *least,
            _ => None,
        });
        let hopeless = times.min().unwrap_or_default() * HOPELESS;
        for contender in &mut rivals.contenders {
            let Contender::Right(trial, least) = contender else { continue };
            if least.is_some_and(|least| least > hopeless) {
                continue;
            }
            if Instant::now() >= deadline {
                return Ok(round >= ENOUGH_ROUNDS);
            }
            match rivals.bench.time(trial) {
                Ok(time) => *least = Some(least.map_or(time, |least| least.min(time))),
                Err(error) => *contender = Contender::Rejected(survived(error)?.to_string()),
            }
        }
    }
    Ok(true)
}

/// The fastest, or the cost model's choice if that is hardly slower.
fn winner(outcomes: &[TuneOutcome]) -> Option<usize> {
    let time = |outcome: &TuneOutcome| match outcome {
        TuneOutcome::Time(time) => Some(time.as_secs_f64()),
        _ => None,
    };
    let times = || outcomes.iter().enumerate().filter_map(|(at, outcome)| Some((at, time(outcome)?)));
    let (fastest, least) = times().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let is_close = outcomes.first().and_then(time).is_some_and(|first| least >= MARGIN * first);
    Some(if is_close { 0 } else { fastest })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(milliseconds: u64) -> TuneOutcome {
        TuneOutcome::Time(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_winner_is_clearly_faster_and_never_wrong() {
        let wrong = || TuneOutcome::Rejected("wrong".to_string());
        assert_eq!(winner(&[took(100), took(90), took(80)]), Some(2));
        assert_eq!(winner(&[took(100), took(96)]), Some(0));
        assert_eq!(winner(&[wrong(), took(96), took(100)]), Some(1));
        assert_eq!(winner(&[wrong(), wrong()]), None);
        // A clock that stands still.
        assert_eq!(winner(&[took(0), took(0)]), Some(0));
    }
}
