//! Attributes of a case, read by name: one that is never read is unsupported.

use crate::conformance::Refusal;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::HashSet;

pub(super) struct Attributes<'a> {
    all: &'a Map<String, Value>,
    read: RefCell<HashSet<&'static str>>,
}

impl<'a> Attributes<'a> {
    pub fn new(all: &'a Map<String, Value>) -> Attributes<'a> {
        Attributes { all, read: RefCell::default() }
    }

    /// An attribute that is given and not null.
    pub fn get(&self, name: &'static str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(name);
        self.all.get(name).filter(|value| !value.is_null())
    }

    pub fn wrong(&self, name: &str) -> Refusal {
        Refusal::Argument(format!("{name} cannot be {}", self.all.get(name).unwrap_or(&Value::Null)))
    }

    /// Reads an attribute by `read`, which returns `None` if it is of another kind.
    pub fn map<T>(&self, name: &'static str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, Refusal> {
        self.get(name).map(|value| read(value).ok_or_else(|| self.wrong(name))).transpose()
    }

    pub fn number(&self, name: &'static str, default: f64) -> Result<f64, Refusal> {
        Ok(self.map(name, Value::as_f64)?.unwrap_or(default))
    }

    pub fn flag(&self, name: &'static str, default: bool) -> Result<bool, Refusal> {
        Ok(self.map(name, Value::as_bool)?.unwrap_or(default))
    }

    pub fn count(&self, name: &'static str, default: u64) -> Result<u64, Refusal> {
        Ok(self.map(name, Value::as_u64)?.unwrap_or(default))
    }

    pub fn text(&self, name: &'static str, default: &'a str) -> Result<&'a str, Refusal> {
        Ok(self.map(name, Value::as_str)?.unwrap_or(default))
    }

    /// A number or a list of them.
    pub fn numbers(&self, name: &'static str) -> Result<Option<Vec<f64>>, Refusal> {
        self.map(name, |value| match value {
            Value::Array(values) => values.iter().map(Value::as_f64).collect(),
            value => value.as_f64().map(|value| vec![value]),
        })
    }

    /// A number, or null for none.
    pub fn optional(&self, name: &'static str, default: Option<f64>) -> Result<Option<f64>, Refusal> {
        let given = self.map(name, Value::as_f64)?;
        Ok(if self.all.contains_key(name) { given } else { default })
    }

    /// A pair of numbers.
    pub fn pair(&self, name: &'static str, default: (f64, f64)) -> Result<(f64, f64), Refusal> {
        match self.numbers(name)?.as_deref() {
            None => Ok(default),
            Some(&[first, second]) => Ok((first, second)),
            Some(_) => Err(self.wrong(name)),
        }
    }

    pub fn counts(&self, name: &'static str) -> Result<Vec<u64>, Refusal> {
        let list = |value: &Value| value.as_array()?.iter().map(Value::as_u64).collect();
        self.map(name, list)?.ok_or_else(|| self.wrong(name))
    }

    pub fn objects(&self, name: &'static str) -> Result<Vec<&'a Map<String, Value>>, Refusal> {
        Ok(self.map(name, |value| value.as_array()?.iter().map(Value::as_object).collect())?.unwrap_or_default())
    }

    /// Refuses attributes that were given and not read.
    pub fn finish(&self) -> Result<(), Refusal> {
        let read = self.read.borrow();
        match self.all.keys().find(|key| !read.contains(key.as_str())) {
            Some(key) => Err(Refusal::Unsupported(format!("attribute {key}"))),
            None => Ok(()),
        }
    }
}
