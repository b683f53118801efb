//! Recurrence: cells, and layers of cells over sequences, composed of matrix products and pointwise operations.
//!
//! The inputs of all times are multiplied by their weights at once; only the product with the state waits for the previous time.

use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::options::options;
use crate::shape::Shape;

options! {
    /// Options of [`Tensor::lstm`], [`Tensor::gru`], [`Tensor::rnn_tanh`] and [`Tensor::rnn_relu`], with PyTorch's names.
    #[derive(Clone, Copy, Debug)]
    RecurrentOptions {
        /// Adds its two biases to each layer.
        has_biases: bool = true,
        /// Number of stacked layers.
        num_layers: usize = 1,
        /// The probability with which values between layers are set to 0 in training.
        dropout: f64 = 0.0,
        /// Applies dropout, as in training.
        train: bool = false,
        /// Runs each layer from the end too, and appends its outputs.
        bidirectional: bool = false,
        /// Takes sequences as `[N, T, ..]` instead of `[T, N, ..]`.
        batch_first: bool = false,
    }
}

/// The kind of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tanh,
    Relu,
    Lstm,
    Gru,
}

impl Kind {
    /// Number of maps of the hidden size that are stacked in a weight.
    fn gates(self) -> usize {
        match self {
            Kind::Tanh | Kind::Relu => 1,
            Kind::Gru => 3,
            Kind::Lstm => 4,
        }
    }

    fn op(self) -> &'static str {
        match self {
            Kind::Tanh => "rnn_tanh",
            Kind::Relu => "rnn_relu",
            Kind::Lstm => "lstm",
            Kind::Gru => "gru",
        }
    }
}

/// The weights of one direction of one layer.
struct Weights<'a> {
    input: &'a Tensor,
    hidden: &'a Tensor,
    input_bias: Option<&'a Tensor>,
    hidden_bias: Option<&'a Tensor>,
    /// The map from an LSTM's hidden state to a smaller one.
    projection: Option<&'a Tensor>,
}

/// One step: the next hidden state, and an LSTM's next cell state. `mapped` is the input's contribution to the gates,
/// `[N, gates hidden]`, bias included.
#[track_caller]
fn step(
    kind: Kind,
    mapped: &Tensor,
    hidden: &Tensor,
    cell: Option<&Tensor>,
    weights: &Weights,
) -> Result<(Tensor, Option<Tensor>)> {
    let _line = ascribe_to_caller();
    let own = hidden.linear(weights.hidden, weights.hidden_bias)?;
    let size = own.shape()[1] / kind.gates();
    let part = |x: &Tensor, gate: usize| x.narrow(1, gate * size, size);
    match (kind, cell) {
        (Kind::Tanh, _) => Ok(((mapped + &own)?.tanh()?, None)),
        (Kind::Relu, _) => Ok(((mapped + &own)?.relu()?, None)),
        (Kind::Gru, _) => {
            let gate = |i: usize| (part(mapped, i)? + part(&own, i)?)?.sigmoid();
            let (reset, update) = (gate(0)?, gate(1)?);
            let new = (part(mapped, 2)? + &reset * part(&own, 2)?)?.tanh()?;
            Ok(((&new + &update * (hidden - &new))?, None))
        }
        (Kind::Lstm, Some(cell)) => {
            let gates = (mapped + &own)?;
            let gate = |i: usize| part(&gates, i)?.sigmoid();
            let cell = ((gate(1)? * cell)? + gate(0)? * part(&gates, 2)?.tanh()?)?;
            let mut hidden = (gate(3)? * cell.tanh()?)?;
            if let Some(projection) = weights.projection {
                hidden = hidden.linear(projection, None)?;
            }
            Ok((hidden, Some(cell)))
        }
        (Kind::Lstm, None) => Err(Error::Internal { op: kind.op(), reason: "an LSTM without a cell state".into() }),
    }
}

/// Checks one direction's weights against the size of its inputs and states.
fn check(kind: Kind, op: &'static str, weights: &Weights, inputs: usize, hidden: usize, cell: usize) -> Result<()> {
    let rows = kind.gates().saturating_mul(cell);
    let wanted: [(&str, Option<&Tensor>, Vec<usize>); 5] = [
        ("weight_ih", Some(weights.input), vec![rows, inputs]),
        ("weight_hh", Some(weights.hidden), vec![rows, hidden]),
        ("bias_ih", weights.input_bias, vec![rows]),
        ("bias_hh", weights.hidden_bias, vec![rows]),
        ("weight_hr", weights.projection, vec![hidden, cell]),
    ];
    for (name, tensor, shape) in wanted {
        if let Some(tensor) = tensor.filter(|tensor| tensor.shape()[..] != shape[..]) {
            return Err(Error::invalid(op, format!("{name} {} must be {shape:?}", tensor.shape())));
        }
    }
    Ok(())
}

/// One direction of one layer over `[T, N, inputs]`: outputs `[T, N, hidden]` and the last states.
#[track_caller]
fn direction(
    kind: Kind,
    input: &Tensor,
    hidden: Tensor,
    cell: Option<Tensor>,
    weights: &Weights,
    reversed: bool,
) -> Result<(Tensor, Tensor, Option<Tensor>)> {
    let time = input.shape()[0];
    let mapped = input.linear(weights.input, weights.input_bias)?;
    let (mut hidden, mut cell) = (hidden, cell);
    let mut outputs = Vec::with_capacity(time);
    for t in 0..time {
        let t = if reversed { time - 1 - t } else { t };
        let mapped = mapped.narrow(0, t, 1)?.squeeze(0)?;
        (hidden, cell) = step(kind, &mapped, &hidden, cell.as_ref(), weights)?;
        outputs.push(hidden.clone());
    }
    if reversed {
        outputs.reverse();
    }
    Ok((Tensor::stack(&outputs.iter().collect::<Vec<_>>(), 0)?, hidden, cell))
}

/// Layers over a sequence: outputs, and the last hidden and cell states.
#[track_caller]
fn layers(
    kind: Kind,
    input: &Tensor,
    hidden: &Tensor,
    cell: Option<&Tensor>,
    params: &[&Tensor],
    options: &RecurrentOptions,
) -> Result<(Tensor, Tensor, Option<Tensor>)> {
    if let Some(cast) = autocast::enter(kind.op())? {
        let (input, hidden, cell) = (cast.of(input)?, cast.of(hidden)?, cast.of_some(cell)?);
        let params = cast.all(params)?;
        return layers(kind, &input, &hidden, cell.as_ref(), &params.iter().collect::<Vec<_>>(), options);
    }
    let _line = ascribe_to_caller();
    let op = kind.op();
    let &RecurrentOptions { has_biases, num_layers, dropout, train, bidirectional, batch_first } = options;
    let invalid = |rule: String| Err(Error::invalid(op, rule));
    if input.rank() == 2 {
        // One sequence is a batch of one.
        let dim = if batch_first { 0 } else { 1 };
        let states = [Some(hidden), cell].map(|state| state.map(|state| state.unsqueeze(1)).transpose());
        let [hidden, cell] = states;
        let (hidden, cell) = (hidden?, cell?);
        let Some(hidden) = hidden.filter(|hidden| hidden.rank() == 3) else {
            return invalid("the state of one sequence must be [layers, hidden]".to_string());
        };
        let (output, hidden, cell) = layers(kind, &input.unsqueeze(dim)?, &hidden, cell.as_ref(), params, options)?;
        return Ok((output.squeeze(dim)?, hidden.squeeze(1)?, cell.map(|cell| cell.squeeze(1)).transpose()?));
    }
    if input.rank() != 3 {
        return invalid(format!("the input must be [T, N, inputs] or [T, inputs]; it is {}", input.shape()));
    }
    let mut input = if batch_first { input.transpose(0, 1)? } else { input.clone() };
    let (time, batch) = (input.shape()[0], input.shape()[1]);
    if time == 0 {
        return invalid(format!("the sequence is empty: {}", input.shape()));
    }
    let directions = 1 + usize::from(bidirectional);
    let count = num_layers.saturating_mul(directions);
    let fits = |state: &Tensor| state.rank() == 3 && state.shape()[..2] == [count, batch];
    if let Some(state) = [Some(hidden), cell].into_iter().flatten().find(|state| !fits(state)) {
        return invalid(format!("the state {} must be [{count}, {batch}, hidden]", state.shape()));
    }
    let size = hidden.shape()[2];
    let cell_size = cell.map_or(size, |cell| cell.shape()[2]);
    let projects = cell_size != size;
    let each = 2 + 2 * usize::from(has_biases) + usize::from(projects);
    if num_layers == 0 || params.len() != count.saturating_mul(each) {
        let got = params.len();
        return invalid(format!("{got} parameters: {num_layers} layers in {directions} directions have {each} each"));
    }
    let (mut last_hidden, mut last_cell) = (Vec::new(), Vec::new());
    for layer in 0..num_layers {
        let mut sides = Vec::with_capacity(directions);
        for side in 0..directions {
            let at = layer * directions + side;
            let own = &params[at * each..][..each];
            let weights = Weights {
                input: own[0],
                hidden: own[1],
                input_bias: has_biases.then(|| own[2]),
                hidden_bias: has_biases.then(|| own[3]),
                projection: projects.then(|| own[each - 1]),
            };
            check(kind, op, &weights, input.shape()[2], size, cell_size)?;
            let state = |state: &Tensor| state.narrow(0, at, 1)?.squeeze(0);
            let (output, hidden, cell) =
                direction(kind, &input, state(hidden)?, cell.map(state).transpose()?, &weights, side == 1)?;
            sides.push(output);
            last_hidden.push(hidden);
            last_cell.extend(cell);
        }
        input = Tensor::cat(&sides.iter().collect::<Vec<_>>(), 2)?;
        if train && layer + 1 < num_layers {
            input = input.dropout_as(op, dropout)?;
        }
    }
    let output = if batch_first { input.transpose(0, 1)? } else { input };
    let joined = |states: &[Tensor]| Tensor::stack(&states.iter().collect::<Vec<_>>(), 0);
    let cell = if last_cell.is_empty() { None } else { Some(joined(&last_cell)?) };
    Ok((output, joined(&last_hidden)?, cell))
}

/// One step of a cell over `[N, inputs]` or `[inputs]`.
#[track_caller]
fn one(
    kind: Kind,
    op: &'static str,
    input: &Tensor,
    hidden: &Tensor,
    cell: Option<&Tensor>,
    weights: &Weights,
) -> Result<(Tensor, Option<Tensor>)> {
    if let Some(cast) = autocast::enter(op)? {
        let (input, hidden, cell) = (cast.of(input)?, cast.of(hidden)?, cast.of_some(cell)?);
        let [weight_ih, weight_hh] = [cast.of(weights.input)?, cast.of(weights.hidden)?];
        let (input_bias, hidden_bias) = (cast.of_some(weights.input_bias)?, cast.of_some(weights.hidden_bias)?);
        let projection = cast.of_some(weights.projection)?;
        let weights = Weights {
            input: &weight_ih,
            hidden: &weight_hh,
            input_bias: input_bias.as_ref(),
            hidden_bias: hidden_bias.as_ref(),
            projection: projection.as_ref(),
        };
        return one(kind, op, &input, &hidden, cell.as_ref(), &weights);
    }
    let alone = input.rank() == 1;
    if input.rank() == 0 || input.rank() > 2 || hidden.rank() != input.rank() {
        let rule =
            format!("{} and {} must be [N, inputs] and [N, hidden], or without N", input.shape(), hidden.shape());
        return Err(Error::invalid(op, rule));
    }
    let rows = |x: &Tensor| if alone { x.unsqueeze(0) } else { Ok(x.clone()) };
    let (input, hidden, cell) = (rows(input)?, rows(hidden)?, cell.map(rows).transpose()?);
    let (batch, inputs, size) = (input.shape()[0], input.shape()[1], hidden.shape()[1]);
    check(kind, op, weights, inputs, size, size)?;
    let states = Shape::new(&[batch, size])?;
    if let Some(state) = [Some(&hidden), cell.as_ref()].into_iter().flatten().find(|state| *state.shape() != states) {
        return Err(Error::invalid(op, format!("the state {} must be {states}", state.shape())));
    }
    let mapped = input.linear(weights.input, weights.input_bias)?;
    let (hidden, cell) = step(kind, &mapped, &hidden, cell.as_ref(), weights)?;
    let back = |x: Tensor| if alone { x.squeeze(0) } else { Ok(x) };
    Ok((back(hidden)?, cell.map(back).transpose()?))
}

/// Cells with one state, and layers of them.
macro_rules! recurrent {
    ($($(#[$doc:meta])* $name:ident, $cell:ident, $kind:expr;)*) => {
        impl Tensor {
            $(
                $(#[$doc])*
                ///
                /// The input is `[T, N, inputs]`, or `[T, inputs]` of one sequence, and `hx` the states before it,
                /// `[layers directions, N, hidden]`. `params` are, for each layer and in it for each direction,
                /// `weight_ih` `[gates hidden, inputs]`, `weight_hh` `[gates hidden, hidden]` and, where there are
                /// biases, `bias_ih` and `bias_hh` `[gates hidden]`. Returns the last layer's outputs
                /// `[T, N, directions hidden]` and all states after the sequence.
                ///
                /// # Errors
                /// [`Error::Invalid`] if a shape or the number of parameters does not fit or the sequence is empty;
                /// [`Error::WrongDType`].
                #[track_caller]
                pub fn $name(
                    &self,
                    hx: &Tensor,
                    params: &[&Tensor],
                    options: &RecurrentOptions,
                ) -> Result<(Tensor, Tensor)> {
                    let (output, hidden, _) = layers($kind, self, hx, None, params, options)?;
                    Ok((output, hidden))
                }

                /// One step of it: the state after an input `[N, inputs]` and a state `[N, hidden]`, or both without `N`. Give
                /// both biases or none.
                ///
                /// # Errors
                /// [`Error::Invalid`] if shapes don't fit, [`Error::WrongDType`].
                #[track_caller]
                pub fn $cell(
                    &self,
                    hx: &Tensor,
                    weights: [&Tensor; 2],
                    biases: Option<[&Tensor; 2]>,
                ) -> Result<Tensor> {
                    Ok(one($kind, stringify!($cell), self, hx, None, &cell_weights(weights, biases))?.0)
                }
            )*
        }
    };
}

fn cell_weights<'a>(weights: [&'a Tensor; 2], biases: Option<[&'a Tensor; 2]>) -> Weights<'a> {
    Weights {
        input: weights[0],
        hidden: weights[1],
        input_bias: biases.map(|b| b[0]),
        hidden_bias: biases.map(|b| b[1]),
        projection: None,
    }
}

recurrent! {
    /// Layers of cells `h' = tanh(weight_ih x + bias_ih + weight_hh h + bias_hh)` over a sequence.
    rnn_tanh, rnn_tanh_cell, Kind::Tanh;
    /// Layers of cells `h' = max(0, weight_ih x + bias_ih + weight_hh h + bias_hh)` over a sequence.
    rnn_relu, rnn_relu_cell, Kind::Relu;
    /// Layers of gated recurrent units over a sequence (Cho et al. 2014): with the three parts `a` of
    /// `weight_ih x + bias_ih` and `b` of `weight_hh h + bias_hh`, `r = sigmoid(a1 + b1)`, `z = sigmoid(a2 + b2)`,
    /// `n = tanh(a3 + r b3)` and `h' = (1 - z) n + z h`.
    gru, gru_cell, Kind::Gru;
}

impl Tensor {
    /// Layers of cells with long short-term memory over a sequence (Hochreiter and Schmidhuber 1997): with the four
    /// parts `a` of `weight_ih x + bias_ih + weight_hh h + bias_hh`,
    /// `c' = sigmoid(a2) c + sigmoid(a1) tanh(a3)` and `h' = sigmoid(a4) tanh(c')`.
    ///
    /// As [`gru`](Tensor::gru), with the hidden states `hx` and the cell states `cx`, and both returned. If hidden
    /// states are smaller than cell states, each layer's fifth parameter `weight_hr` `[hidden, cell]` projects them.
    ///
    /// # Errors
    /// As `gru`.
    ///
    /// ```
    /// # use wgrad::{Device, RecurrentOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::zeros(&device, &[5, 2, 3])?;
    /// let state = Tensor::zeros(&device, &[1, 2, 4])?;
    /// let (wih, whh) = (Tensor::ones(&device, &[16, 3])?, Tensor::ones(&device, &[16, 4])?);
    /// let options = RecurrentOptions::default().has_biases(false);
    /// let (output, hidden, _) = x.lstm(&state, &state, &[&wih, &whh], &options)?;
    /// assert_eq!((&output.shape()[..], &hidden.shape()[..]), (&[5, 2, 4][..], &[1, 2, 4][..]));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn lstm(
        &self,
        hx: &Tensor,
        cx: &Tensor,
        params: &[&Tensor],
        options: &RecurrentOptions,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        match layers(Kind::Lstm, self, hx, Some(cx), params, options)? {
            (output, hidden, Some(cell)) => Ok((output, hidden, cell)),
            _ => Err(Error::Internal { op: "lstm", reason: "no cell state".into() }),
        }
    }

    /// One step of an [`lstm`](Tensor::lstm): the hidden and the cell state after an input `[N, inputs]` and states
    /// `[N, hidden]`, or all without `N`. Give both biases or none.
    ///
    /// # Errors
    /// [`Error::Invalid`] if shapes don't fit, [`Error::WrongDType`].
    #[track_caller]
    pub fn lstm_cell(
        &self,
        hx: &Tensor,
        cx: &Tensor,
        weights: [&Tensor; 2],
        biases: Option<[&Tensor; 2]>,
    ) -> Result<(Tensor, Tensor)> {
        match one(Kind::Lstm, "lstm_cell", self, hx, Some(cx), &cell_weights(weights, biases))? {
            (hidden, Some(cell)) => Ok((hidden, cell)),
            _ => Err(Error::Internal { op: "lstm_cell", reason: "no cell state".into() }),
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    // Inputs, state, then the four parameters of one layer of hidden size 2.
    let shapes = |gates: usize| [vec![gates * 2, 3], vec![gates * 2, 2], vec![gates * 2], vec![gates * 2]];
    let with = |op, first: &[&[usize]], gates, run: fn(&[Tensor]) -> Result<Vec<Tensor>>| {
        let params = shapes(gates);
        let all: Vec<&[usize]> = first.iter().copied().chain(params.iter().map(Vec::as_slice)).collect();
        Case::new(op, &all, run)
    };
    vec![
        with("rnn_tanh", &[&[3, 2, 3], &[1, 2, 2]], 1, |x| {
            let params: Vec<&Tensor> = x[2..].iter().collect();
            let (output, hidden) = x[0].rnn_tanh(&x[1], &params, &RecurrentOptions::default())?;
            Ok(vec![output, hidden])
        }),
        with("gru", &[&[2, 3, 3], &[2, 2, 2]], 3, |x| {
            // The same parameters in both directions.
            let params: Vec<&Tensor> = x[2..].iter().chain(&x[2..]).collect();
            let options = RecurrentOptions::default().bidirectional(true).batch_first(true);
            let (output, hidden) = x[0].gru(&x[1], &params, &options)?;
            Ok(vec![output, hidden])
        }),
        with("lstm", &[&[2, 3], &[1, 2], &[1, 2]], 4, |x| {
            let params: Vec<&Tensor> = x[3..].iter().collect();
            let (output, hidden, cell) = x[0].lstm(&x[1], &x[2], &params, &RecurrentOptions::default())?;
            Ok(vec![output, hidden, cell])
        }),
        with("rnn_relu_cell", &[&[2, 3], &[2, 2]], 1, |x| {
            Ok(vec![x[0].rnn_relu_cell(&x[1], [&x[2], &x[3]], Some([&x[4], &x[5]]))?])
        })
        .domain(0, 0.5, 1.0)
        .domain(1, 0.5, 1.0)
        .domain(2, 0.5, 1.0)
        .domain(3, 0.5, 1.0),
    ]
}
