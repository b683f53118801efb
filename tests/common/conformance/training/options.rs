//! Optimizers by PyTorch's names and keyword arguments.

use super::{Attributes, Refusal};
use serde_json::{Map, Value};
use wgrad::Parameter;
use wgrad::optim::{
    Adadelta, AdadeltaOptions, Adafactor, AdafactorOptions, Adagrad, AdagradOptions, Adam, AdamOptions, AdamW,
    AdamWOptions, Adamax, AdamaxOptions, AdjustLr, Lamb, LambOptions, Lars, LarsOptions, Lion, LionOptions, Muon,
    MuonOptions, NAdam, NAdamOptions, Optimizer, ParamGroup, RAdam, RAdamOptions, RmsProp, RmsPropOptions, Rprop,
    RpropOptions, Sgd, SgdOptions,
};

type Made = Result<Box<dyn Optimizer>, Refusal>;

/// An optimizer with the options of a case, and groups that differ from them.
pub(super) fn make(
    name: &str,
    attributes: &Attributes,
    groups: &[&Map<String, Value>],
    parameters: &[Parameter],
) -> Made {
    let grouped = Grouped { attributes, groups, parameters };
    let norm = attributes.map("clip_grad_norm", Value::as_f64)?;
    let value = attributes.map("clip_grad_value", Value::as_f64)?;
    macro_rules! made {
        ($kind:ident, $read:ident) => {{
            let mut made = $kind::with_groups(grouped.read($read)?)?;
            if let Some(norm) = norm {
                made = made.clip_grad_norm(norm)?;
            }
            if let Some(value) = value {
                made = made.clip_grad_value(value)?;
            }
            Ok(Box::new(made))
        }};
    }
    match name {
        "SGD" => made!(Sgd, sgd),
        "Adam" => made!(Adam, adam),
        "AdamW" => made!(AdamW, adamw),
        "Adagrad" => made!(Adagrad, adagrad),
        "Adadelta" => made!(Adadelta, adadelta),
        "RMSprop" => made!(RmsProp, rmsprop),
        "Rprop" => made!(Rprop, rprop),
        "NAdam" => made!(NAdam, nadam),
        "RAdam" => made!(RAdam, radam),
        "Adamax" => made!(Adamax, adamax),
        "Lion" => made!(Lion, lion),
        "Adafactor" => made!(Adafactor, adafactor),
        "Muon" => made!(Muon, muon),
        "LARS" => made!(Lars, lars),
        "LAMB" => made!(Lamb, lamb),
        _ => Err(Refusal::Unsupported(format!("optimizer {name}"))),
    }
}

struct Grouped<'a> {
    attributes: &'a Attributes<'a>,
    groups: &'a [&'a Map<String, Value>],
    parameters: &'a [Parameter],
}

impl Grouped<'_> {
    /// Groups of options: the case's, with a group's own on top.
    fn read<O: Default + Clone>(
        &self,
        read: impl Fn(&Attributes, O) -> Result<O, Refusal>,
    ) -> Result<Vec<ParamGroup<O>>, Refusal> {
        let options = read(self.attributes, O::default())?;
        if self.groups.is_empty() {
            return Ok(vec![ParamGroup::new(self.parameters.to_vec(), options)]);
        }
        let group = |attrs: &&Map<String, Value>| {
            let attributes = Attributes::new(attrs);
            let options = read(&attributes, options.clone())?;
            let members = attributes.counts("params")?.into_iter().map(|k| self.parameters.get(k as usize).cloned());
            let members: Option<Vec<Parameter>> = members.collect();
            attributes.finish()?;
            Ok(ParamGroup::new(members.ok_or_else(|| attributes.wrong("params"))?, options))
        };
        self.groups.iter().map(group).collect()
    }
}

/// Options by the names of their fields, each read by its kind.
macro_rules! fields {
    ($name:ident: $options:ty { $($kind:ident: $($field:ident)*;)* }) => {
        fn $name(a: &Attributes, o: $options) -> Result<$options, Refusal> {
            Ok(o$($(.$field(a.$kind(stringify!($field), o.$field)?))*)*)
        }
    };
}

fields!(sgd: SgdOptions { number: lr momentum dampening weight_decay; flag: nesterov maximize; });
fields!(adam: AdamOptions {
    number: lr eps weight_decay;
    pair: betas;
    flag: amsgrad decoupled_weight_decay maximize;
});
fields!(adamw: AdamWOptions { number: lr eps weight_decay; pair: betas; flag: amsgrad maximize; });
fields!(adagrad: AdagradOptions {
    number: lr lr_decay weight_decay initial_accumulator_value eps;
    flag: maximize;
});
fields!(adadelta: AdadeltaOptions { number: lr rho eps weight_decay; flag: maximize; });
fields!(rmsprop: RmsPropOptions { number: lr alpha eps weight_decay momentum; flag: centered maximize; });
fields!(rprop: RpropOptions { number: lr; pair: etas step_sizes; flag: maximize; });
fields!(nadam: NAdamOptions {
    number: lr eps weight_decay momentum_decay;
    pair: betas;
    flag: decoupled_weight_decay maximize;
});
fields!(radam: RAdamOptions { number: lr eps weight_decay; pair: betas; flag: decoupled_weight_decay maximize; });
fields!(adamax: AdamaxOptions { number: lr eps weight_decay; pair: betas; flag: maximize; });
fields!(lion: LionOptions { number: lr weight_decay; pair: betas; flag: maximize; });
fields!(lars: LarsOptions {
    number: lr momentum dampening weight_decay trust_coeff eps;
    flag: nesterov trust_clip always_adapt;
});
fields!(lamb: LambOptions {
    number: lr eps weight_decay;
    pair: betas;
    optional: max_grad_norm;
    flag: bias_correction grad_averaging trust_clip always_adapt decoupled_decay;
});

fn adafactor(a: &Attributes, o: AdafactorOptions) -> Result<AdafactorOptions, Refusal> {
    let eps = match a.map("eps", |eps| Some(eps.as_array()?.iter().map(Value::as_f64).collect::<Vec<_>>()))?.as_deref()
    {
        None => o.eps,
        Some(&[least_root, Some(least_rms)]) => (least_root, least_rms),
        Some(_) => return Err(a.wrong("eps")),
    };
    Ok(o.lr(a.number("lr", o.lr)?)
        .beta2_decay(a.number("beta2_decay", o.beta2_decay)?)
        .eps(eps)
        .d(a.number("d", o.d)?)
        .weight_decay(a.number("weight_decay", o.weight_decay)?)
        .maximize(a.flag("maximize", o.maximize)?))
}

fn muon(a: &Attributes, o: MuonOptions) -> Result<MuonOptions, Refusal> {
    let coefficients = match a.numbers("ns_coefficients")?.as_deref() {
        None => o.ns_coefficients,
        Some(&[linear, cubic, quintic]) => (linear, cubic, quintic),
        Some(_) => return Err(a.wrong("ns_coefficients")),
    };
    let adjust = match a.map("adjust_lr_fn", Value::as_str)? {
        None => o.adjust_lr_fn,
        Some("original") => AdjustLr::Original,
        Some("match_rms_adamw") => AdjustLr::MatchRmsAdamw,
        Some("spectral_unclamped") => AdjustLr::SpectralUnclamped,
        Some(_) => return Err(a.wrong("adjust_lr_fn")),
    };
    Ok(o.lr(a.number("lr", o.lr)?)
        .weight_decay(a.number("weight_decay", o.weight_decay)?)
        .momentum(a.number("momentum", o.momentum)?)
        .nesterov(a.flag("nesterov", o.nesterov)?)
        .ns_coefficients(coefficients)
        .eps(a.number("eps", o.eps)?)
        .ns_steps(a.count("ns_steps", o.ns_steps as u64)? as usize)
        .adjust_lr_fn(adjust))
}
