//! Recurrent layers over sequences, and their cells.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::nn::{Held, Mode, Module, Scope, parameters, probe};
use crate::ops::RecurrentOptions;
use crate::options::options;

options! {
    /// Options of a recurrent layer, with PyTorch's names and defaults.
    #[derive(Clone, Copy, Debug)]
    RnnOptions {
        /// Number of stacked layers.
        num_layers: usize = 1,
        /// Adds biases to the cells.
        bias: bool = true,
        /// Takes sequences as `[N, T, ..]` instead of `[T, N, ..]`.
        batch_first: bool = false,
        /// The probability with which values between layers are set to 0 in training.
        dropout: f64 = 0.0,
        /// Runs each layer from the end too.
        bidirectional: bool = false,
    }
}

/// Parameters `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, `weight_hr_l0`, .., and `.._reverse`, all
/// uniform within `1 / sqrt(hidden)` of 0.
fn parameters(
    scope: &Scope,
    gates: usize,
    sizes: [usize; 2],
    projection: usize,
    options: &RnnOptions,
) -> Result<Vec<Parameter>> {
    let [inputs, hidden] = sizes;
    if options.num_layers == 0 || hidden == 0 || projection >= hidden {
        let rule = format!(
            "{} layers of size {hidden}, projected to {projection}: the first two must be above 0, the last below \
             the size",
            options.num_layers
        );
        return Err(Error::invalid("recurrent layer", rule));
    }
    let rows = gates.saturating_mul(hidden);
    let (out, directions) = (if projection > 0 { projection } else { hidden }, 1 + usize::from(options.bidirectional));
    let mut all = Vec::new();
    for layer in 0..options.num_layers {
        for suffix in ["", "_reverse"].iter().take(directions) {
            let mut push = |name: &str, shape: &[usize]| -> Result<()> {
                all.push(scope.uniform(&format!("{name}_l{layer}{suffix}"), shape, hidden)?);
                Ok(())
            };
            push("weight_ih", &[rows, if layer == 0 { inputs } else { directions * out }])?;
            push("weight_hh", &[rows, out])?;
            if options.bias {
                push("bias_ih", &[rows])?;
                push("bias_hh", &[rows])?;
            }
            if projection > 0 {
                push("weight_hr", &[projection, hidden])?;
            }
        }
    }
    Ok(all)
}

/// A state of zeros for an input.
fn zeros(input: &Tensor, options: &RnnOptions, size: usize) -> Result<Tensor> {
    let count = options.num_layers * (1 + usize::from(options.bidirectional));
    let batch = input.shape().get(usize::from(!options.batch_first)).copied().unwrap_or(1);
    match input.rank() {
        3 => Tensor::zeros(input.device(), &[count, batch, size]),
        _ => Tensor::zeros(input.device(), &[count, size]),
    }
}

fn call(options: &RnnOptions, train: bool) -> RecurrentOptions {
    let &RnnOptions { num_layers, bias, batch_first, dropout, bidirectional } = options;
    RecurrentOptions { has_biases: bias, num_layers, dropout, train, bidirectional, batch_first }
}

fn values(weights: &[Parameter]) -> Vec<Tensor> {
    weights.iter().map(Parameter::value).collect()
}

/// The nonlinearity of a plain recurrent cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nonlinearity {
    /// The hyperbolic tangent.
    #[default]
    Tanh,
    /// `max(x, 0)`.
    Relu,
}

/// Plain recurrent layers: [`Tensor::rnn_tanh`] or [`Tensor::rnn_relu`] with learned weights.
#[derive(Clone, Debug)]
pub struct Rnn {
    /// For each layer and direction, `weight_ih`, `weight_hh`, and the two biases.
    pub weights: Vec<Parameter>,
    /// Size of the states.
    pub hidden_size: usize,
    /// The nonlinearity.
    pub nonlinearity: Nonlinearity,
    /// Layers, biases, order, dropout, directions.
    pub options: RnnOptions,
    mode: Mode,
}

impl Rnn {
    /// A layer for inputs of size `inputs` and states of size `hidden`.
    ///
    /// # Errors
    /// [`Error::Invalid`] without layers or states, [`Error::TooLarge`].
    pub fn new(
        scope: &Scope,
        inputs: usize,
        hidden: usize,
        nonlinearity: Nonlinearity,
        options: &RnnOptions,
    ) -> Result<Rnn> {
        let weights = parameters(scope, 1, [inputs, hidden], 0, options)?;
        Ok(Rnn { weights, hidden_size: hidden, nonlinearity, options: *options, mode: Mode::default() })
    }

    /// Outputs `[T, N, directions hidden]` and the states after the sequence. The default state is zeros; dropout applies in
    /// training.
    ///
    /// # Errors
    /// As [`Tensor::rnn_tanh`].
    pub fn run(&self, input: &Tensor, state: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        probe::observed(self, input, || self.outputs(input, state))
    }

    fn outputs(&self, input: &Tensor, state: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        let state = state.map_or_else(|| zeros(input, &self.options, self.hidden_size), |state| Ok(state.clone()))?;
        let (weights, options) = (values(&self.weights), call(&self.options, self.mode.is_training()));
        let weights: Vec<&Tensor> = weights.iter().collect();
        match self.nonlinearity {
            Nonlinearity::Tanh => input.rnn_tanh(&state, &weights, &options),
            Nonlinearity::Relu => input.rnn_relu(&state, &weights, &options),
        }
    }
}

/// Gated recurrent units: [`Tensor::gru`] with learned weights.
///
/// ```
/// # use wgrad::nn::{Gru, RnnOptions, Scope};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let options = RnnOptions::default().bidirectional(true);
/// let layer = Gru::new(&Scope::new(&device), 3, 4, &options)?;
/// let (output, state) = layer.run(&Tensor::ones(&device, &[5, 2, 3])?, None)?;
/// assert_eq!((&output.shape()[..], &state.shape()[..]), (&[5, 2, 8][..], &[2, 2, 4][..]));
/// assert_eq!(layer.weights[4].name(), "weight_ih_l0_reverse");
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gru {
    /// For each layer and direction, `weight_ih`, `weight_hh`, and the two biases.
    pub weights: Vec<Parameter>,
    /// Size of the states.
    pub hidden_size: usize,
    /// Layers, biases, order, dropout, directions.
    pub options: RnnOptions,
    mode: Mode,
}

impl Gru {
    /// A layer for inputs of size `inputs` and states of size `hidden`.
    ///
    /// # Errors
    /// As [`Rnn::new`].
    pub fn new(scope: &Scope, inputs: usize, hidden: usize, options: &RnnOptions) -> Result<Gru> {
        let weights = parameters(scope, 3, [inputs, hidden], 0, options)?;
        Ok(Gru { weights, hidden_size: hidden, options: *options, mode: Mode::default() })
    }

    /// As [`Rnn::run`].
    ///
    /// # Errors
    /// As [`Tensor::gru`].
    pub fn run(&self, input: &Tensor, state: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        probe::observed(self, input, || self.outputs(input, state))
    }

    fn outputs(&self, input: &Tensor, state: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        let state = state.map_or_else(|| zeros(input, &self.options, self.hidden_size), |state| Ok(state.clone()))?;
        let weights = values(&self.weights);
        input.gru(&state, &weights.iter().collect::<Vec<_>>(), &call(&self.options, self.mode.is_training()))
    }
}

/// Long short-term memory: [`Tensor::lstm`] with learned weights.
#[derive(Clone, Debug)]
pub struct Lstm {
    /// For each layer and direction, `weight_ih`, `weight_hh`, the two biases, and `weight_hr` if states are projected.
    pub weights: Vec<Parameter>,
    /// Size of the cell states.
    pub hidden_size: usize,
    /// Size of the hidden states if they are projected, otherwise 0.
    pub proj_size: usize,
    /// Layers, biases, order, dropout, directions.
    pub options: RnnOptions,
    mode: Mode,
}

impl Lstm {
    /// A layer for inputs of size `inputs` and states of size `hidden`.
    ///
    /// # Errors
    /// As [`Rnn::new`].
    pub fn new(scope: &Scope, inputs: usize, hidden: usize, options: &RnnOptions) -> Result<Lstm> {
        Lstm::projected(scope, inputs, hidden, 0, options)
    }

    /// A layer whose hidden states are projected to `proj_size`, which is below `hidden`; 0 means no projection.
    ///
    /// # Errors
    /// As [`Rnn::new`]; [`Error::Invalid`] if `proj_size` is not below `hidden`.
    pub fn projected(
        scope: &Scope,
        inputs: usize,
        hidden: usize,
        proj_size: usize,
        options: &RnnOptions,
    ) -> Result<Lstm> {
        let weights = parameters(scope, 4, [inputs, hidden], proj_size, options)?;
        Ok(Lstm { weights, hidden_size: hidden, proj_size, options: *options, mode: Mode::default() })
    }

    /// As [`Rnn::run`], with hidden and cell states.
    ///
    /// # Errors
    /// As [`Tensor::lstm`].
    pub fn run(&self, input: &Tensor, state: Option<(&Tensor, &Tensor)>) -> Result<(Tensor, (Tensor, Tensor))> {
        probe::observed(self, input, || self.outputs(input, state))
    }

    fn outputs(&self, input: &Tensor, state: Option<(&Tensor, &Tensor)>) -> Result<(Tensor, (Tensor, Tensor))> {
        let out = if self.proj_size > 0 { self.proj_size } else { self.hidden_size };
        let (hidden, cell) = match state {
            Some((hidden, cell)) => (hidden.clone(), cell.clone()),
            None => (zeros(input, &self.options, out)?, zeros(input, &self.options, self.hidden_size)?),
        };
        let weights = values(&self.weights);
        let options = call(&self.options, self.mode.is_training());
        let (output, hidden, cell) = input.lstm(&hidden, &cell, &weights.iter().collect::<Vec<_>>(), &options)?;
        Ok((output, (hidden, cell)))
    }
}

/// The outputs alone, from a state of zeros.
macro_rules! modules {
    ($($layer:ident)*) => {
        $(
            impl Module for $layer {
                fn call(&self, input: &Tensor) -> Result<Tensor> {
                    Ok(self.outputs(input, None)?.0)
                }
                fn own_parameters(&self) -> Vec<Parameter> {
                    parameters![self; weights]
                }
                fn mode(&self) -> Option<&Mode> {
                    Some(&self.mode)
                }
            }
        )*
    };
}

modules! { Rnn Gru Lstm }

/// The weights of a cell: `weight_ih` and `weight_hh`, and perhaps `bias_ih` and `bias_hh`, all uniform within `1 / sqrt(hidden)`
/// of 0.
#[derive(Clone, Debug)]
pub struct CellWeights {
    /// `[gates hidden, inputs]` and `[gates hidden, hidden]`.
    pub weights: [Parameter; 2],
    /// `[gates hidden]` each.
    pub biases: Option<[Parameter; 2]>,
}

impl CellWeights {
    fn new(scope: &Scope, gates: usize, inputs: usize, hidden: usize, bias: bool) -> Result<CellWeights> {
        let rows = gates.saturating_mul(hidden);
        let weights = [
            scope.uniform("weight_ih", &[rows, inputs], hidden)?,
            scope.uniform("weight_hh", &[rows, hidden], hidden)?,
        ];
        let biases = if bias {
            Some([scope.uniform("bias_ih", &[rows], hidden)?, scope.uniform("bias_hh", &[rows], hidden)?])
        } else {
            None
        };
        Ok(CellWeights { weights, biases })
    }

    /// Calls a cell's operation with the current values.
    fn with<T>(&self, run: impl FnOnce([&Tensor; 2], Option<[&Tensor; 2]>) -> Result<T>) -> Result<T> {
        let weights = self.weights.each_ref().map(Parameter::value);
        let biases = self.biases.as_ref().map(|biases| biases.each_ref().map(Parameter::value));
        run(weights.each_ref(), biases.as_ref().map(|biases| biases.each_ref()))
    }

    /// A state of zeros for an input.
    fn zeros(&self, input: &Tensor) -> Result<Tensor> {
        let hidden = self.weights[1].value().shape()[1];
        match input.rank() {
            2 => Tensor::zeros(input.device(), &[input.shape()[0], hidden]),
            _ => Tensor::zeros(input.device(), &[hidden]),
        }
    }
}

impl Held for CellWeights {
    fn list(&self, parameters: &mut Vec<Parameter>) {
        self.weights.list(parameters);
        self.biases.list(parameters);
    }
}

/// One step of an [`Rnn`].
#[derive(Clone, Debug)]
pub struct RnnCell {
    /// The weights.
    pub weights: CellWeights,
    /// The nonlinearity.
    pub nonlinearity: Nonlinearity,
}

impl RnnCell {
    /// A cell for inputs of size `inputs` and states of size `hidden`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `hidden` is 0, [`Error::TooLarge`].
    pub fn new(scope: &Scope, inputs: usize, hidden: usize, bias: bool, bend: Nonlinearity) -> Result<RnnCell> {
        Ok(RnnCell { weights: CellWeights::new(scope, 1, inputs, hidden, bias)?, nonlinearity: bend })
    }

    /// The state after an input `[N, inputs]` and a state `[N, hidden]`, zeros by default; or without `N`.
    ///
    /// # Errors
    /// As [`Tensor::rnn_tanh_cell`].
    pub fn run(&self, input: &Tensor, state: Option<&Tensor>) -> Result<Tensor> {
        Ok(probe::observed(self, input, || self.outputs(input, state))?.0)
    }

    fn outputs(&self, input: &Tensor, state: Option<&Tensor>) -> Result<(Tensor, ())> {
        let state = state.map_or_else(|| self.weights.zeros(input), |state| Ok(state.clone()))?;
        let hidden = self.weights.with(|weights, biases| match self.nonlinearity {
            Nonlinearity::Tanh => input.rnn_tanh_cell(&state, weights, biases),
            Nonlinearity::Relu => input.rnn_relu_cell(&state, weights, biases),
        });
        Ok((hidden?, ()))
    }
}

/// One step of a [`Gru`].
#[derive(Clone, Debug)]
pub struct GruCell {
    /// The weights.
    pub weights: CellWeights,
}

impl GruCell {
    /// As [`RnnCell::new`].
    ///
    /// # Errors
    /// As [`RnnCell::new`].
    pub fn new(scope: &Scope, inputs: usize, hidden: usize, bias: bool) -> Result<GruCell> {
        Ok(GruCell { weights: CellWeights::new(scope, 3, inputs, hidden, bias)? })
    }

    /// As [`RnnCell::run`].
    ///
    /// # Errors
    /// As [`Tensor::gru_cell`].
    pub fn run(&self, input: &Tensor, state: Option<&Tensor>) -> Result<Tensor> {
        Ok(probe::observed(self, input, || self.outputs(input, state))?.0)
    }

    fn outputs(&self, input: &Tensor, state: Option<&Tensor>) -> Result<(Tensor, ())> {
        let state = state.map_or_else(|| self.weights.zeros(input), |state| Ok(state.clone()))?;
        Ok((self.weights.with(|weights, biases| input.gru_cell(&state, weights, biases))?, ()))
    }
}

/// One step of an [`Lstm`].
#[derive(Clone, Debug)]
pub struct LstmCell {
    /// The weights.
    pub weights: CellWeights,
}

impl LstmCell {
    /// As [`RnnCell::new`].
    ///
    /// # Errors
    /// As [`RnnCell::new`].
    pub fn new(scope: &Scope, inputs: usize, hidden: usize, bias: bool) -> Result<LstmCell> {
        Ok(LstmCell { weights: CellWeights::new(scope, 4, inputs, hidden, bias)? })
    }

    /// The hidden and the cell state after an input and the states before it; as [`RnnCell::run`].
    ///
    /// # Errors
    /// As [`Tensor::lstm_cell`].
    pub fn run(&self, input: &Tensor, state: Option<(&Tensor, &Tensor)>) -> Result<(Tensor, Tensor)> {
        probe::observed(self, input, || self.outputs(input, state))
    }

    fn outputs(&self, input: &Tensor, state: Option<(&Tensor, &Tensor)>) -> Result<(Tensor, Tensor)> {
        let (hidden, cell) = match state {
            Some((hidden, cell)) => (hidden.clone(), cell.clone()),
            None => (self.weights.zeros(input)?, self.weights.zeros(input)?),
        };
        self.weights.with(|weights, biases| input.lstm_cell(&hidden, &cell, weights, biases))
    }
}

/// The output for an input after a state of zeros.
macro_rules! cells {
    ($($cell:ident)*) => {
        $(
            impl Module for $cell {
                fn call(&self, input: &Tensor) -> Result<Tensor> {
                    Ok(self.outputs(input, None)?.0)
                }
                fn own_parameters(&self) -> Vec<Parameter> {
                    parameters![self; weights]
                }
            }
        )*
    };
}

cells! { RnnCell GruCell LstmCell }
