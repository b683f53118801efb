//! Parses a specialised module once: its bindings, and the module itself for the driver layer.

use super::branches;
use crate::error::{Error, Result};
use naga::{AddressSpace, StorageAccess, TypeInner};

/// The use of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// The parameters.
    Params,
    /// A storage buffer that is read.
    Read,
    /// A storage buffer that is written (and may be read).
    Write,
}

/// A buffer that a module binds.
pub(crate) struct Binding {
    pub name: String,
    pub number: u32,
    pub role: Role,
    /// Its least size in bytes: one element for an array without a size.
    pub bytes: u32,
}

/// A parsed module.
pub(crate) struct Module {
    pub ir: naga::Module,
    /// By binding number.
    pub bindings: Vec<Binding>,
    /// The first byte of the sizes among the parameters, if there are any.
    pub sizes_at: Option<u32>,
}

impl Module {
    /// Parses and reflects; `name` is for errors.
    pub fn parse(name: &str, source: &str) -> Result<Module> {
        let fault = |reason: String| Error::Shader { shader: name.to_string(), reason };
        let mut ir = naga::front::wgsl::parse_str(source).map_err(|e| fault(e.emit_to_string(source)))?;
        branches::drop_known(&mut ir);
        let (mut bindings, mut sizes_at) = (Vec::new(), None);
        for (_, global) in ir.global_variables.iter() {
            let Some(binding) = &global.binding else { continue };
            let role = match global.space {
                AddressSpace::Uniform => Role::Params,
                AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Role::Write,
                AddressSpace::Storage { .. } => Role::Read,
                _ => return Err(fault(format!("binding {} is not a buffer", binding.binding))),
            };
            if let (Role::Params, TypeInner::Struct { members, .. }) = (role, &ir.types[global.ty].inner) {
                let sizes = members.iter().find(|member| member.name.as_deref() == Some("sizes"));
                sizes_at = sizes.map(|member| member.offset);
            }
            let name = global.name.clone().unwrap_or_default();
            let bytes = ir.types[global.ty].inner.size(ir.to_ctx());
            bindings.push(Binding { name, number: binding.binding, role, bytes });
        }
        bindings.sort_by_key(|binding| binding.number);
        Ok(Module { ir, bindings, sizes_at })
    }
}
