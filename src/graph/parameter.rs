//! Named slots of state: weights, running statistics, optimizer moments.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::device::Device;
use crate::graph::list::Few;
use crate::graph::node::{GradientSlot, Node, State, Tensor, record_leaf, with_grad};
use crate::graph::op::{Class, Op, hash_structure};
use crate::graph::pack::Pack;
use crate::graph::registry::Registry;
use crate::graph::trace::is_tracing;
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::shader::Formula;
use crate::shape::{Layout, Shape};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::hash::Hasher;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// A named slot that holds a tensor and can be assigned a new one.
///
/// Cheap to clone; clones share the slot. [`assign`](Parameter::assign) records an effect that the next
/// flush carries out, in the old value's memory where nothing else refers to it.
#[derive(Clone, Debug)]
pub struct Parameter {
    slot: Arc<Slot>,
}

#[derive(Debug)]
pub(super) struct Slot {
    name: String,
    is_buffer: bool,
    value: Mutex<Value>,
    /// `None` for buffers and frozen parameters.
    gradient: Mutex<Option<GradientSlot>>,
    /// The optimizer that changed the value last, and the gradient it used.
    changed_by: Mutex<Option<(u64, Weak<Node>)>>,
    /// A buffer of ones, and of zeros for the elements that stay 0 whatever is assigned.
    mask: Mutex<Option<Parameter>>,
    /// True if the value has another shape than it was made with.
    resized: AtomicBool,
    /// True if nothing reads it any more.
    retired: AtomicBool,
    /// The scope it was made in.
    registry: Option<Arc<Registry>>,
}

impl Slot {
    /// The slot of the value's gradient, if gradients reach it.
    fn gradient(&self) -> Option<GradientSlot> {
        self.gradient.lock().clone()
    }
}

#[derive(Debug)]
enum Value {
    Own(Tensor),
    /// A segment of a pack.
    Part(Arc<Pack>, usize),
    /// A count, and the number to add to it, which is added when the value is read.
    Counted(Tensor, u32),
}

impl Parameter {
    /// A trained parameter: gradients reach it, optimizers change it.
    #[track_caller]
    pub fn new(name: impl Into<String>, value: &Tensor) -> Parameter {
        Parameter::with(name.into(), value, false, None)
    }

    /// State that is kept but not trained, such as running statistics or an optimizer's moments.
    #[track_caller]
    pub fn buffer(name: impl Into<String>, value: &Tensor) -> Parameter {
        Parameter::with(name.into(), value, true, None)
    }

    /// A parameter or a buffer, entered into a registry.
    #[track_caller]
    pub(crate) fn registered(name: String, value: &Tensor, is_buffer: bool, registry: &Arc<Registry>) -> Parameter {
        let parameter = Parameter::with(name, value, is_buffer, Some(registry.clone()));
        registry.enter(&parameter.slot);
        parameter
    }

    #[track_caller]
    fn with(name: String, value: &Tensor, is_buffer: bool, registry: Option<Arc<Registry>>) -> Parameter {
        let gradient = (!is_buffer).then(GradientSlot::default);
        let value = Mutex::new(Value::Own(leaf(value, gradient.clone())));
        let (gradient, changed_by, mask) = (Mutex::new(gradient), Mutex::default(), Mutex::default());
        let (resized, retired) = (AtomicBool::new(false), AtomicBool::new(false));
        Parameter::of(Arc::new(Slot { name, is_buffer, value, gradient, changed_by, mask, resized, retired, registry }))
    }

    pub(super) fn of(slot: Arc<Slot>) -> Parameter {
        Parameter { slot }
    }

    pub(super) fn registry(&self) -> Option<&Arc<Registry>> {
        self.slot.registry.as_ref()
    }

    /// Makes the value a segment of a pack; an assigned value leaves it again.
    pub(crate) fn move_into(&self, pack: &Arc<Pack>, index: usize) {
        *self.slot.value.lock() = Value::Part(pack.clone(), index);
    }

    /// The pack that the value is a segment of.
    pub(crate) fn pack(&self) -> Option<Arc<Pack>> {
        match &*self.slot.value.lock() {
            Value::Part(pack, _) => Some(pack.clone()),
            Value::Own(_) | Value::Counted(..) => None,
        }
    }

    /// True if the value is this segment of the pack.
    pub(crate) fn is_part_of(&self, pack: &Arc<Pack>, index: usize) -> bool {
        matches!(&*self.slot.value.lock(), Value::Part(of, at) if Arc::ptr_eq(of, pack) && *at == index)
    }

    /// The name, as in checkpoints.
    pub fn name(&self) -> &str {
        &self.slot.name
    }

    /// True for [state that is not trained](Parameter::buffer).
    pub fn is_buffer(&self) -> bool {
        self.slot.is_buffer
    }

    /// True if gradients reach it: it is not a buffer, and not frozen.
    pub fn requires_grad(&self) -> bool {
        self.slot.gradient.lock().is_some()
    }

    /// Freezes it with `false`, thaws it with `true`; a buffer stays as it is. Its gradient is forgotten, and an earlier call
    /// that still leads to it gives it none. Optimizers leave a frozen parameter unchanged, with its moments and its number of
    /// steps, and go on from there when it is thawed.
    #[track_caller]
    pub fn set_requires_grad(&self, requires_grad: bool) {
        if self.slot.is_buffer || requires_grad == self.requires_grad() {
            return;
        }
        let gradient = requires_grad.then(GradientSlot::default);
        let old = std::mem::replace(&mut *self.slot.gradient.lock(), gradient.clone());
        let mut value = self.slot.value.lock();
        match &*value {
            Value::Part(pack, index) => pack.forget_part(*index),
            Value::Own(current) | Value::Counted(current, _) => {
                let current = leaf(current, gradient);
                current.device().record_effect(&current);
                *value = Value::Own(current);
            }
        }
        drop(value);
        drop(old);
    }

    /// The current value, a leaf of the graph.
    #[track_caller]
    pub fn value(&self) -> Tensor {
        let mut slot = self.slot.value.lock();
        match &*slot {
            Value::Own(value) => value.clone(),
            Value::Part(pack, index) => pack.part(*index, self.slot.gradient()),
            Value::Counted(count, further) => {
                let value = counted(count, *further);
                *slot = Value::Own(value.clone());
                value
            }
        }
    }

    /// Adds one to a buffer of i32. Nothing runs on the device for it until the value is asked for.
    pub(crate) fn count_up(&self) {
        if is_tracing() {
            return;
        }
        let mut slot = self.slot.value.lock();
        *slot = match &*slot {
            Value::Own(count) => Value::Counted(count.clone(), 1),
            Value::Part(pack, index) => Value::Counted(pack.part(*index, None), 1),
            Value::Counted(count, further) => Value::Counted(count.clone(), further.wrapping_add(1)),
        };
    }

    /// Shape, element type and device of the value. Records nothing.
    pub(crate) fn holds(&self) -> (Shape, DType, Device) {
        match &*self.slot.value.lock() {
            Value::Own(value) | Value::Counted(value, _) => (*value.shape(), value.dtype(), value.device().clone()),
            Value::Part(pack, index) => {
                let whole = pack.value();
                (pack.segments()[*index].shape, whole.dtype(), whole.device().clone())
            }
        }
    }

    /// Checks that this tensor may replace the value or its gradient: it must have the value's shape, element type and device.
    fn check(&self, op: &'static str, entering: &Tensor) -> Result<()> {
        let (shape, dtype, device) = self.holds();
        if (*entering.shape(), entering.dtype()) != (shape, dtype) {
            let name = &self.slot.name;
            let rule = format!("{name} holds {shape} {dtype}, not {} {}", entering.shape(), entering.dtype());
            return Err(Error::invalid(op, rule));
        }
        device.check_same(op, entering.device())
    }

    /// Every parameter at its first occurrence: clones are one parameter.
    pub(crate) fn each_once(parameters: impl IntoIterator<Item = Parameter>) -> Vec<Parameter> {
        let mut met = HashSet::new();
        parameters.into_iter().filter(|parameter| met.insert(Arc::as_ptr(&parameter.slot))).collect()
    }

    /// True if an optimizer other than `optimizer` has changed the value by this gradient.
    pub(crate) fn is_changed_by_other(&self, optimizer: u64, gradient: &Tensor) -> bool {
        let changed = self.slot.changed_by.lock();
        changed.as_ref().is_some_and(|(by, node)| *by != optimizer && node.as_ptr() == Arc::as_ptr(&gradient.node))
    }

    /// Remembers that an optimizer has changed the value by the gradient.
    pub(crate) fn changed_by(&self, optimizer: u64) {
        let gradient = self.grad().map(|gradient| (optimizer, Arc::downgrade(&gradient.node)));
        *self.slot.changed_by.lock() = gradient;
    }

    /// True if both are clones of one parameter.
    pub(crate) fn is_same(&self, other: &Parameter) -> bool {
        Arc::ptr_eq(&self.slot, &other.slot)
    }

    /// The gradient added up since the last [`zero_grad`](Parameter::zero_grad).
    pub fn grad(&self) -> Option<Tensor> {
        self.slot.gradient().and_then(|slot| slot.lock().clone())
    }

    /// Replaces the added-up gradient.
    ///
    /// # Errors
    /// [`Error::Invalid`] if shape or element type differ from the value's, or it is frozen or a buffer;
    /// [`Error::DeviceMismatch`].
    pub fn set_grad(&self, gradient: Option<Tensor>) -> Result<()> {
        let Some(gradient) = gradient else {
            self.zero_grad();
            return Ok(());
        };
        self.check("set_grad", &gradient)?;
        let Some(slot) = self.slot.gradient() else {
            let rule = format!("{} takes no gradient: it is frozen, or a buffer", self.slot.name);
            return Err(Error::invalid("set_grad", rule));
        };
        // The old one is dropped outside the lock: with a history of its own it may hold much.
        let old = slot.lock().replace(gradient.edge());
        drop(old);
        Ok(())
    }

    /// Forgets the gradient.
    pub fn zero_grad(&self) {
        let old = self.slot.gradient().and_then(|slot| slot.lock().take());
        drop(old);
    }

    /// Replaces the value by one of another shape. The gradient is forgotten, and the mask taken away; optimizers and averages
    /// that know the parameter have to be made anew.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the element type differs, [`Error::DeviceMismatch`].
    #[track_caller]
    pub(crate) fn resize(&self, value: &Tensor) -> Result<()> {
        let (shape, dtype, device) = self.holds();
        if value.dtype() != dtype {
            return Err(Error::invalid("resize", format!("{} holds {dtype}, not {}", self.name(), value.dtype())));
        }
        device.check_same("resize", value.device())?;
        if *value.shape() != shape {
            self.slot.resized.store(true, Ordering::Relaxed);
        }
        let gradient = self.requires_grad().then(GradientSlot::default);
        let old = std::mem::replace(&mut *self.slot.gradient.lock(), gradient.clone());
        (*self.slot.mask.lock(), *self.slot.changed_by.lock()) = (None, None);
        let current = leaf(value, gradient);
        device.record_effect(&current);
        *self.slot.value.lock() = Value::Own(current);
        drop(old);
        Ok(())
    }

    /// True if the value has another shape than it was made with.
    pub(crate) fn is_resized(&self) -> bool {
        self.slot.resized.load(Ordering::Relaxed)
    }

    /// Notes that a file may hold another shape than it was made with.
    pub(crate) fn set_resized(&self) {
        self.slot.resized.store(true, Ordering::Relaxed);
    }

    /// Frees the memory of a value that nothing reads any more; its scope does not miss it.
    ///
    /// # Errors
    /// Errors of the device.
    pub(crate) fn retire(&self) -> Result<()> {
        self.slot.retired.store(true, Ordering::Relaxed);
        let (_, dtype, device) = self.holds();
        self.resize(&Tensor::zeros(&device, &[0])?.to_dtype(dtype)?)
    }

    pub(super) fn is_retired(&self) -> bool {
        self.slot.retired.load(Ordering::Relaxed)
    }

    /// The mask, a buffer called `mask.NAME` of the value's shape and type, where [`set_mask`](Parameter::set_mask) has set one.
    pub fn mask(&self) -> Option<Parameter> {
        self.slot.mask.lock().clone()
    }

    /// Prunes the elements where `mask` is 0, and keeps those where it is 1: from now on the former are 0, whoever assigns the
    /// value, be it an optimizer, an average or a file, and an optimizer takes their gradient for 0. `None` removes the mask and
    /// leaves the zeros as they are.
    ///
    /// ```
    /// use wgrad::optim::{Adam, AdamOptions, Optimizer};
    /// use wgrad::{Device, Parameter, Tensor};
    /// let device = Device::reference();
    /// let w = Parameter::new("w", &Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0], &[3])?);
    /// w.set_mask(Some(&Tensor::from_slice(&device, &[1.0f32, 0.0, 1.0], &[3])?))?;
    /// let mut adam = Adam::new(vec![w.clone()], AdamOptions::default().lr(1.0))?;
    /// w.value().square()?.sum_all()?.backward()?;
    /// adam.step()?;
    /// assert_eq!(w.value().to_vec::<f32>()?[1], 0.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] if the mask's shape or element type is not the value's, [`Error::DeviceMismatch`].
    #[track_caller]
    pub fn set_mask(&self, mask: Option<&Tensor>) -> Result<()> {
        match mask {
            Some(mask) => {
                self.check("set_mask", mask)?;
                let held = self.mask();
                match held {
                    Some(held) => held.assign(mask)?,
                    None => {
                        let made = Parameter::buffer(format!("mask.{}", self.slot.name), mask);
                        *self.slot.mask.lock() = Some(made);
                    }
                }
            }
            None => *self.slot.mask.lock() = None,
        }
        // An assigned value leaves its pack, which has a mask of its own.
        self.assign(&self.value())
    }

    /// The number of elements that a mask prunes. Reads the mask from the device.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn pruned(&self) -> Result<usize> {
        let Some(mask) = self.mask() else { return Ok(0) };
        Ok(nearest(with_grad(false, || mask.value().eq_scalar(0.0)?.sum_all()?.item::<i32>())?))
    }

    /// A tensor of the value's shape, 0 where that is pruned.
    #[track_caller]
    pub(crate) fn masked(&self, like: &Tensor) -> Result<Tensor> {
        self.mask().map_or_else(|| Ok(like.clone()), |mask| with_grad(false, || like.mul(&mask.value())))
    }

    /// Replaces the value at the next flush, except the elements that a mask has pruned.
    ///
    /// # Errors
    /// [`Error::Invalid`] if shape or element type differ, [`Error::DeviceMismatch`].
    #[track_caller]
    pub fn assign(&self, value: &Tensor) -> Result<()> {
        self.check("assign", value)?;
        if is_tracing() {
            return Ok(());
        }
        let value = self.masked(value)?;
        let current = leaf(&value, self.slot.gradient());
        value.device().record_effect(&current);
        *self.slot.value.lock() = Value::Own(current);
        Ok(())
    }
}

impl Tensor {
    /// This value as a leaf whose gradient [`backward`](Tensor::backward) computes; earlier history is cut off. Unlike
    /// PyTorch's `requires_grad_`, it leaves this tensor as it is.
    #[must_use = "it returns a new leaf, and leaves this tensor as it is"]
    #[track_caller]
    pub fn requires_grad(&self) -> Tensor {
        leaf(self, Some(GradientSlot::default()))
    }

    /// This value without history: gradients don't flow through it.
    #[must_use = "it returns a new tensor, and leaves this one as it is"]
    #[track_caller]
    pub fn detach(&self) -> Tensor {
        leaf(self, None)
    }

    /// The gradient that `backward` calls have added up in this leaf.
    pub fn grad(&self) -> Option<Tensor> {
        self.gradient_slot().and_then(|slot| slot.lock().clone())
    }

    /// Forgets this leaf's gradient.
    pub fn zero_grad(&self) {
        if let Some(slot) = self.gradient_slot() {
            let old = slot.lock().take();
            drop(old);
        }
    }
}

/// An alias of a value: shares its storage and not its history.
#[derive(Debug, Hash)]
struct Alias;

#[track_caller]
fn leaf(value: &Tensor, gradient: Option<GradientSlot>) -> Tensor {
    let state = State { inputs: Few::One(value.edge()), ..State::default() };
    record_leaf(value.device(), Alias, *value.layout(), gradient, state, Location::caller())
}

/// An i32 value plus a number.
#[derive(Debug)]
struct Counted {
    further: [u32; 1],
}

static COUNTED: Formula = Formula::new("add", "({0} + I(bitcast<i32>({s0})))");

#[track_caller]
fn counted(count: &Tensor, further: u32) -> Tensor {
    let state = State { inputs: Few::One(count.edge()), ..State::default() };
    let layout = Layout::contiguous(*count.shape(), DType::I32);
    record_leaf(count.device(), Counted { further: [further] }, layout, None, state, Location::caller())
}

impl Op for Counted {
    fn name(&self) -> &'static str {
        "add"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn class(&self) -> Class<'_> {
        Class::Pointwise(&COUNTED)
    }
    fn scalars(&self) -> &[u32] {
        &self.further
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, DType::I32)])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let further = f64::from(self.further[0] as i32);
        let values = inputs[0].values.iter().map(|value| value + further).collect();
        Ok(vec![HostTensor::new(inputs[0].shape, DType::I32, values)])
    }
}

impl Op for Alias {
    fn name(&self) -> &'static str {
        "detach"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn class(&self) -> Class<'_> {
        Class::View
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(inputs.to_vec())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(inputs.to_vec())
    }
}
