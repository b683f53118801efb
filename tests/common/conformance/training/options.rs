//! Optimizers by PyTorch's names and keyword arguments.

use super::{Attributes, Refusal};
use serde_json::{Map, Value};
use wgrad::Parameter;
use wgrad::optim::{
    Adadelta, AdadeltaOptions, Adagrad, AdagradOptions, Adam, AdamOptions, AdamW, AdamWOptions, Adamax, AdamaxOptions,
    Lion, LionOptions, NAdam, NAdamOptions, Optimizer, ParamGroup, RAdam, RAdamOptions, RmsProp, RmsPropOptions, Rprop,
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
    match name {
        "SGD" => Ok(Box::new(Sgd::with_groups(grouped.read(sgd)?)?)),
        "Adam" => Ok(Box::new(Adam::with_groups(grouped.read(adam)?)?)),
        "AdamW" => Ok(Box::new(AdamW::with_groups(grouped.read(adamw)?)?)),
        "Adagrad" => Ok(Box::new(Adagrad::with_groups(grouped.read(adagrad)?)?)),
        "Adadelta" => Ok(Box::new(Adadelta::with_groups(grouped.read(adadelta)?)?)),
        "RMSprop" => Ok(Box::new(RmsProp::with_groups(grouped.read(rmsprop)?)?)),
        "Rprop" => Ok(Box::new(Rprop::with_groups(grouped.read(rprop)?)?)),
        "NAdam" => Ok(Box::new(NAdam::with_groups(grouped.read(nadam)?)?)),
        "RAdam" => Ok(Box::new(RAdam::with_groups(grouped.read(radam)?)?)),
        "Adamax" => Ok(Box::new(Adamax::with_groups(grouped.read(adamax)?)?)),
        "Lion" => Ok(Box::new(Lion::with_groups(grouped.read(lion)?)?)),
        _ => Err(Refusal::Unsupported(format!("optimizer {name}"))),
    }
}

struct Grouped<'a> {
    attributes: &'a Attributes<'a>,
    groups: &'a [&'a Map<String, Value>],
    parameters: &'a [Parameter],
}

impl Grouped<'_> {
    /// Groups of options: the case's, with those that a group has of its own.
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

/// Options by the names of their fields, each read as its kind is.
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
