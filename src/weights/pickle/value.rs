//! The parts of a state dictionary's pickle.

use safetensors::Dtype;

/// A value on the stack. Values with parts are numbers of objects, so that nothing nests in memory, however deeply the
/// pickle does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Known(Known),
    Object(usize),
    /// One that no state dictionary needs: a float, a set, a device.
    Other,
}

/// A value with parts.
#[derive(Debug)]
pub enum Object {
    Text(String),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Storage(Storage),
    Tensor(Tensor),
}

/// Elements in a row, which tensors share.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    pub key: String,
    /// `None` where the tensors name their type.
    pub dtype: Option<Dtype>,
    /// Elements, or bytes without a type.
    pub length: usize,
    /// Elements of the storage under the key before it.
    pub start: usize,
}

/// Some elements of a storage.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// An [`Object::Storage`].
    pub storage: Storage,
    pub dtype: Dtype,
    /// Elements of the storage before the first.
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// A callable or a constant that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`.
    Tensor,
    /// `torch._utils._rebuild_tensor_v3`, which says the element type.
    TypedTensor,
    /// `torch._utils._rebuild_parameter`, which is its first argument.
    Parameter,
    /// `collections.OrderedDict`, and dictionaries of other kinds.
    Dict,
    /// `torch.Size`.
    Sequence,
    /// Other calls, harmless and not needed.
    Other,
    /// A storage of elements of a type; `None` for bytes.
    Storage(Option<Dtype>),
    Dtype(Dtype),
}

/// The callable of a module, where a state dictionary needs it.
pub fn known(module: &str, name: &str) -> Option<Known> {
    Some(match (module, name) {
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Known::Tensor,
        ("torch._utils", "_rebuild_tensor_v3") => Known::TypedTensor,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Known::Parameter,
        ("collections", "OrderedDict" | "defaultdict" | "Counter") => Known::Dict,
        ("builtins" | "__builtin__", "dict") => Known::Dict,
        ("torch", "Size") => Known::Sequence,
        ("torch", "device") => Known::Other,
        ("builtins" | "__builtin__", "set" | "frozenset" | "int" | "float" | "list") => Known::Other,
        ("torch.storage", "UntypedStorage") | ("torch", "UntypedStorage") => Known::Storage(None),
        ("torch" | "torch.cuda", name) => match name.strip_suffix("Storage") {
            Some(kind) => Known::Storage(Some(of_storage(kind)?)),
            None => Known::Dtype(of_dtype(name)?),
        },
        _ => return None,
    })
}

fn of_storage(kind: &str) -> Option<Dtype> {
    Some(match kind {
        "Double" => Dtype::F64,
        "Float" => Dtype::F32,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::BF16,
        "Long" => Dtype::I64,
        "Int" => Dtype::I32,
        "Short" => Dtype::I16,
        "Char" => Dtype::I8,
        "Byte" => Dtype::U8,
        "Bool" => Dtype::BOOL,
        _ => return None,
    })
}

fn of_dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "float64" => Dtype::F64,
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::BF16,
        "int64" => Dtype::I64,
        "int32" => Dtype::I32,
        "int16" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint8" => Dtype::U8,
        "uint16" => Dtype::U16,
        "uint32" => Dtype::U32,
        "uint64" => Dtype::U64,
        "bool" => Dtype::BOOL,
        _ => return None,
    })
}
