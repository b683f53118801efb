//! The results of a pickle's calls.

use super::{Known, Machine, Object, Storage, Tensor, Value, pairs};
use safetensors::Dtype;

impl Machine<'_> {
    /// The result of a call.
    pub(super) fn call(&mut self, callable: Value, arguments: Value) -> Result<Value, String> {
        let Value::Known(known) = callable else {
            return Err("its pickle calls what is nothing to be called".to_string());
        };
        let arguments = self.sequence(arguments).ok_or("its pickle calls something without a tuple of arguments")?;
        match known {
            Known::Tensor | Known::TypedTensor => {
                let tensor = self.tensor(&arguments, known == Known::TypedTensor)?;
                self.objects.push(Object::Tensor(tensor));
                Ok(Value::Object(self.objects.len() - 1))
            }
            Known::Parameter => {
                arguments.first().copied().ok_or_else(|| "a parameter of its pickle has no value".into())
            }
            Known::Dict => {
                let dict = self.dict_of(&arguments)?;
                self.objects.push(Object::Dict(dict));
                Ok(Value::Object(self.objects.len() - 1))
            }
            Known::Sequence => Ok(arguments.first().copied().unwrap_or(Value::Other)),
            Known::Other => Ok(Value::Other),
            Known::Storage(_) | Known::Dtype(_) => Err("its pickle calls a type".to_string()),
        }
    }

    /// The items that a dictionary is made with: Python 2 wrote a list of pairs.
    fn dict_of(&self, arguments: &[Value]) -> Result<Vec<(Value, Value)>, String> {
        let Some(items) = arguments.first().and_then(|&first| self.sequence(first)) else { return Ok(Vec::new()) };
        let mut dict = Vec::new();
        for item in items {
            let pair = self.sequence(item).ok_or("its pickle makes a dictionary of what are no pairs")?;
            dict.extend(pairs(&pair)?);
        }
        Ok(dict)
    }

    /// `storage, offset, size, stride` and arguments that are not needed: the gradient flag, hooks. With `typed`, the
    /// element type follows.
    fn tensor(&self, arguments: &[Value], typed: bool) -> Result<Tensor, String> {
        let at = |at: usize| arguments.get(at).copied().ok_or("a tensor of its pickle lacks arguments");
        let Some(Object::Storage(storage)) = self.object(at(0)?) else {
            return Err("a tensor of its pickle has no storage".to_string());
        };
        let own = match (typed, if typed { at(6)? } else { Value::None }) {
            (true, Value::Known(Known::Dtype(dtype))) => Some(dtype),
            _ => None,
        };
        let dtype = own.or(storage.dtype).ok_or("a tensor of its pickle has no element type")?;
        let sizes =
            |value| self.sequence(value).and_then(|sizes| sizes.into_iter().map(size).collect::<Option<Vec<_>>>());
        let shape = sizes(at(2)?).ok_or("a tensor of its pickle has no sizes")?;
        let strides = sizes(at(3)?).ok_or("a tensor of its pickle has no strides")?;
        if shape.len() != strides.len() {
            return Err(format!("a tensor of its pickle has the sizes {shape:?} and the strides {strides:?}"));
        }
        let offset = size(at(1)?).ok_or("a tensor of its pickle has no offset")?;
        let tensor = Tensor { storage: storage.clone(), dtype, offset, shape, strides };
        let (end, length) = (tensor.end(), tensor.length());
        if end.is_none_or(|end| end > length) {
            let Tensor { offset, shape, strides, .. } = tensor;
            return Err(format!(
                "a tensor of its pickle reaches beyond its storage of {length} elements: offset {offset}, sizes {shape:?}, strides {strides:?}"
            ));
        }
        Ok(tensor)
    }

    /// `("storage", type, key, location, elements)` and, in files of the older form, the part of another storage that
    /// it is.
    pub(super) fn storage(&self, id: Value) -> Result<Storage, String> {
        let fault = || "its pickle refers to what is no storage".to_string();
        let id = self.sequence(id).ok_or_else(fault)?;
        let (&[tag, Value::Known(Known::Storage(dtype)), key, _, length], rest) =
            id.split_first_chunk().ok_or_else(fault)?
        else {
            return Err(fault());
        };
        if self.as_text(tag) != Some("storage") {
            return Err(fault());
        }
        let key = self.as_text(key).ok_or_else(fault)?.to_string();
        let whole = Storage { key, dtype, length: size(length).ok_or_else(fault)?, start: 0 };
        match rest.first().and_then(|&view| self.sequence(view)) {
            None => Ok(whole),
            Some(view) => {
                let at = |at: usize| view.get(at).and_then(|&value| size(value)).ok_or_else(fault);
                let (start, length) = (at(1)?, at(2)?);
                if start.checked_add(length).is_none_or(|end| end > whole.length) {
                    return Err(format!("a part of its storage {} reaches beyond it", whole.key));
                }
                Ok(Storage { start, length, ..whole })
            }
        }
    }

    fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(at) => self.objects.get(at),
            _ => None,
        }
    }

    fn sequence(&self, value: Value) -> Option<Vec<Value>> {
        match self.object(value)? {
            Object::Tuple(items) | Object::List(items) => Some(items.clone()),
            _ => None,
        }
    }

    fn as_text(&self, value: Value) -> Option<&str> {
        match self.object(value)? {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Tensor {
    /// One past the tensor's last element in its storage; `None` if that overflows.
    fn end(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size))?;
        let steps = self.shape.iter().zip(&self.strides);
        let last = steps.map(|(&size, &stride)| (size - 1).checked_mul(stride));
        last.chain([Some(self.offset)]).try_fold(1usize, |end, step| end.checked_add(step?))
    }

    /// The number of elements in its storage.
    fn length(&self) -> usize {
        let width = |dtype: Dtype| dtype.bitsize() / 8;
        match self.storage.dtype {
            Some(dtype) => self.storage.length.saturating_mul(width(dtype)) / width(self.dtype),
            None => self.storage.length / width(self.dtype),
        }
    }
}

fn size(value: Value) -> Option<usize> {
    match value {
        Value::Int(number) => usize::try_from(number).ok(),
        _ => None,
    }
}
