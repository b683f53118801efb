//! A reader of pickles that runs nothing: it knows the few callables that a state dictionary needs, builds their
//! results itself, and refuses every other by its name.

mod build;
mod value;

use std::collections::HashMap;
use std::io::{BufRead, Read};
use value::known;
pub use value::{Known, Object, Storage, Tensor, Value};

/// The most operations of a pickle, each of which may take some memory. A tensor takes about 60.
const MOST_STEPS: usize = 1 << 22;

/// The longest line of a pickle's textual operations.
const LONGEST_LINE: u64 = 1 << 12;

/// A pickle that was read.
#[derive(Debug)]
pub struct Pickle {
    pub root: Value,
    pub objects: Vec<Object>,
}

impl Pickle {
    /// Reads a pickle up to its end, and leaves all bytes after it.
    pub fn read(input: &mut dyn BufRead) -> Result<Pickle, String> {
        let machine =
            Machine { input, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), objects: Vec::new() };
        machine.run()
    }

    /// The parts of a value.
    pub fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(at) => self.objects.get(at),
            _ => None,
        }
    }

    /// A value that is a text.
    pub fn text(&self, value: Value) -> Option<&str> {
        match self.object(value)? {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }
}

struct Machine<'a> {
    input: &'a mut dyn BufRead,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    objects: Vec<Object>,
}

impl Machine<'_> {
    fn run(mut self) -> Result<Pickle, String> {
        for _ in 0..MOST_STEPS {
            let [code] = self.bytes()?;
            if code == b'.' {
                let root = self.pop()?;
                return Ok(Pickle { root, objects: self.objects });
            }
            self.step(code)?;
        }
        Err(format!("its pickle has more than {MOST_STEPS} operations"))
    }

    fn step(&mut self, code: u8) -> Result<(), String> {
        match code {
            // The protocol and frames: nothing depends on them.
            0x80 => self.bytes::<1>().map(drop),
            0x95 => self.bytes::<8>().map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'1' => self.pop_mark().map(drop),
            b'2' => {
                let top = self.pop()?;
                self.stack.extend([top, top]);
                Ok(())
            }
            b'N' | 0x88 | 0x89 | b'I' | b'K' | b'M' | b'J' | b'L' | 0x8a | 0x8b | b'F' | b'G' => self.number(code),
            b'S' | b'V' | b'T' | b'U' | b'X' | 0x8c | 0x8d | b'B' | b'C' | 0x8e => self.text(code),
            b']' => self.push(Object::List(Vec::new())),
            b')' => self.push(Object::Tuple(Vec::new())),
            b'}' => self.push(Object::Dict(Vec::new())),
            0x8f => self.push_value(Value::Other),
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Object::List(items))
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Object::Tuple(items))
            }
            0x91 => {
                self.pop_mark()?;
                self.push_value(Value::Other)
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84)).ok_or(EMPTY)?;
                let items = self.stack.split_off(from);
                self.push(Object::Tuple(items))
            }
            b'd' => {
                let items = self.pop_mark()?;
                self.push(Object::Dict(pairs(&items)?))
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.append(&items)
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(vec![(key, value)])
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set(pairs(&items)?)
            }
            b'p' | b'q' | b'r' | b'g' | b'h' | b'j' | 0x94 => self.memoize(code),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)
            }
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.global(&module, &name)
            }
            b'R' | 0x81 => {
                let arguments = self.pop()?;
                let callable = self.pop()?;
                let result = self.call(callable, arguments)?;
                self.push_value(result)
            }
            // The state set on an object: a dictionary's or a tensor's has nothing that is needed.
            b'b' => self.pop().map(drop),
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Object::Storage(storage))
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                Err(refusal(&module, &name))
            }
            other => Err(format!("its pickle has the operation {other:#04x}, which a state dictionary doesn't need")),
        }
    }

    fn number(&mut self, code: u8) -> Result<(), String> {
        let value = match code {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(u8::from_le_bytes(self.bytes()?).into()),
            b'M' => Value::Int(u16::from_le_bytes(self.bytes()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.bytes()?).into()),
            b'I' | b'L' => match self.line()?.trim_end_matches('L') {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                digits => digits.parse().map_or(Value::Other, Value::Int),
            },
            0x8a => {
                let length = u8::from_le_bytes(self.bytes()?).into();
                integer(&self.long_bytes(length)?)
            }
            0x8b => {
                let length = u32::from_le_bytes(self.bytes()?).into();
                integer(&self.long_bytes(length)?)
            }
            b'F' => {
                self.line()?;
                Value::Other
            }
            _ => {
                self.bytes::<8>()?;
                Value::Other
            }
        };
        self.push_value(value)
    }

    /// Texts, and bytes, which Python 2 wrote for texts.
    fn text(&mut self, code: u8) -> Result<(), String> {
        let length = match code {
            b'S' | b'V' => {
                let line = self.line()?;
                let text = if code == b'S' { line.trim_matches(['\'', '"']).to_string() } else { line };
                return self.push(Object::Text(text));
            }
            b'U' | 0x8c | b'C' => u8::from_le_bytes(self.bytes()?).into(),
            b'T' | b'X' | b'B' => u32::from_le_bytes(self.bytes()?).into(),
            _ => u64::from_le_bytes(self.bytes()?),
        };
        let text = String::from_utf8_lossy(&self.long_bytes(length)?).into_owned();
        self.push(Object::Text(text))
    }

    fn memoize(&mut self, code: u8) -> Result<(), String> {
        let at = match code {
            b'q' | b'h' => u8::from_le_bytes(self.bytes()?).into(),
            b'r' | b'j' => u32::from_le_bytes(self.bytes()?),
            b'p' | b'g' => self.line()?.parse().map_err(|_| "its pickle's memo is damaged")?,
            _ => u32::try_from(self.memo.len()).map_err(|_| "its pickle's memo is too long")?,
        };
        if matches!(code, b'g' | b'h' | b'j') {
            let value = *self.memo.get(&at).ok_or("its pickle refers to nothing")?;
            return self.push_value(value);
        }
        let top = *self.stack.last().ok_or(EMPTY)?;
        self.memo.insert(at, top);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), String> {
        let known = known(module, name).ok_or_else(|| refusal(module, name))?;
        self.push_value(Value::Known(known))
    }

    /// Adds items to the list on top; sets are not kept.
    fn append(&mut self, items: &[Value]) -> Result<(), String> {
        match self.top()? {
            Some(Object::List(list)) => list.extend(items),
            None => {}
            _ => return Err("its pickle appends to what is no list".to_string()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<(Value, Value)>) -> Result<(), String> {
        match self.top()? {
            Some(Object::Dict(dict)) => dict.extend(items),
            None => {}
            _ => return Err("its pickle sets items of what is no dictionary".to_string()),
        }
        Ok(())
    }

    fn top(&mut self) -> Result<Option<&mut Object>, String> {
        match self.stack.last() {
            Some(&Value::Object(at)) => Ok(self.objects.get_mut(at)),
            Some(Value::Other) => Ok(None),
            _ => Err("its pickle adds items to what has none".to_string()),
        }
    }

    fn push(&mut self, object: Object) -> Result<(), String> {
        self.objects.push(object);
        self.push_value(Value::Object(self.objects.len() - 1))
    }

    fn push_value(&mut self, value: Value) -> Result<(), String> {
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, String> {
        // Values below a mark belong to another operation.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(EMPTY.to_string());
        }
        self.stack.pop().ok_or_else(|| EMPTY.to_string())
    }

    fn pop_text(&mut self) -> Result<String, String> {
        match self.pop()? {
            Value::Object(at) => match &self.objects[at] {
                Object::Text(text) => Ok(text.clone()),
                _ => Err("its pickle names a callable by what is no text".to_string()),
            },
            _ => Err("its pickle names a callable by what is no text".to_string()),
        }
    }

    fn pop_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len()).ok_or("its pickle has no mark there")?;
        Ok(self.stack.split_off(mark))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|_| CUT_OFF)?;
        Ok(bytes)
    }

    /// Reads no more bytes than there are: a wrong length allocates nothing.
    fn long_bytes(&mut self, length: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        (&mut *self.input).take(length).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(CUT_OFF.to_string()) }
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        (&mut *self.input).take(LONGEST_LINE).read_line(&mut line).map_err(|error| error.to_string())?;
        line.strip_suffix('\n').map(str::to_string).ok_or_else(|| CUT_OFF.to_string())
    }
}

const EMPTY: &str = "its pickle takes more from its stack than it holds";
const CUT_OFF: &str = "its pickle is cut off";

fn pairs(items: &[Value]) -> Result<Vec<(Value, Value)>, String> {
    match items.as_chunks() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err("its pickle has a key without a value".to_string()),
    }
}

/// Signed, the lowest byte first. Longer ones than any size are not needed.
fn integer(bytes: &[u8]) -> Value {
    let Some(&last) = bytes.last() else { return Value::Int(0) };
    if bytes.len() > 8 {
        return Value::Other;
    }
    let mut whole = [if last >= 0x80 { 0xff } else { 0 }; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(whole))
}

fn refusal(module: &str, name: &str) -> String {
    format!(
        "its pickle calls {module}.{name}, which no state dictionary needs and is not run; save the model's state_dict() alone"
    )
}
