//! Wrappers around the optimizer of a case.

use super::{Attributes, Refusal};
use serde_json::{Map, Value};
use wgrad::Parameter;
use wgrad::optim::{Averaged, Averaging, Lookahead, LookaheadOptions, Optimizer, SamOptions};

/// An optimizer with its wrappers, and the averages of its parameters.
pub(super) struct Wrapped {
    pub optimizer: Box<dyn Optimizer>,
    /// By the optimizer's order of the parameters.
    pub averages: Vec<Parameter>,
    /// Wraps all of it.
    pub sam: Option<SamOptions>,
}

impl Wrapped {
    /// From the inside out.
    pub fn new(optimizer: Box<dyn Optimizer>, wrappers: &[&Map<String, Value>]) -> Result<Wrapped, Refusal> {
        let bare = Wrapped { optimizer, averages: Vec::new(), sam: None };
        wrappers.iter().try_fold(bare, |wrapped, attrs| {
            let attributes = Attributes::new(attrs);
            let wrapped = wrapped.wrap(&attributes)?;
            attributes.finish()?;
            Ok(wrapped)
        })
    }

    fn wrap(self, a: &Attributes) -> Result<Wrapped, Refusal> {
        let Wrapped { optimizer, averages, sam } = self;
        if sam.is_some() {
            return Err(Refusal::Unsupported("a wrapper round SAM".into()));
        }
        let averaging = match a.text("name", "")? {
            "Lookahead" => {
                let options = LookaheadOptions::default();
                let options = options.k(a.count("k", options.k)?).alpha(a.number("alpha", options.alpha)?);
                return Ok(Wrapped { optimizer: Box::new(Lookahead::new(optimizer, options)?), averages, sam });
            }
            "SAM" => {
                let options = SamOptions::default();
                let options = options.rho(a.number("rho", options.rho)?).adaptive(a.flag("adaptive", false)?);
                return Ok(Wrapped { optimizer, averages, sam: Some(options) });
            }
            "EMA" => Averaging::Ema { decay: a.number("decay", 0.999)? },
            "SWA" => Averaging::Swa { start: a.count("start", 0)? },
            name => return Err(Refusal::Unsupported(format!("wrapper {name}"))),
        };
        let averaged = Averaged::new(optimizer, averaging)?;
        let averages = averaged.averages();
        Ok(Wrapped { optimizer: Box::new(averaged), averages, sam })
    }
}
