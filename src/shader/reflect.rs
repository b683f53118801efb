//! Parses a specialised module once: what it binds, and the module itself for the driver layer.

use super::branches;
use crate::error::{Error, Result};
use naga::{AddressSpace, StorageAccess};

/// How a binding is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// The parameters, at a dynamic offset.
    Params,
    /// A storage buffer that is read.
    Read,
    /// A storage buffer that is written (and may be read).
    Write,
}

/// A parsed module.
pub(crate) struct Module {
    pub ir: naga::Module,
    /// Name, binding number and role of each buffer, by binding number.
    pub bindings: Vec<(String, u32, Role)>,
    /// Bytes of the params struct, 0 where there is none.
    pub params_bytes: u32,
}

impl Module {
    /// Parses and reflects; `name` is for errors.
    pub fn parse(name: &str, source: &str) -> Result<Module> {
        let fault = |reason: String| Error::Shader { shader: name.to_string(), reason };
        let mut ir = naga::front::wgsl::parse_str(source).map_err(|e| fault(e.emit_to_string(source)))?;
        branches::drop_known(&mut ir);
        let mut bindings = Vec::new();
        let mut params_bytes = 0;
        for (_, global) in ir.global_variables.iter() {
            let Some(binding) = &global.binding else { continue };
            let role = match global.space {
                AddressSpace::Uniform => {
                    params_bytes = ir.types[global.ty].inner.size(ir.to_ctx());
                    Role::Params
                }
                AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Role::Write,
                AddressSpace::Storage { .. } => Role::Read,
                _ => return Err(fault(format!("binding {} is not a buffer", binding.binding))),
            };
            let name = global.name.clone().unwrap_or_default();
            bindings.push((name, binding.binding, role));
        }
        bindings.sort_by_key(|b| b.1);
        Ok(Module { ir, bindings, params_bytes })
    }
}
