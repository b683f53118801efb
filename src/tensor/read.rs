//! Reading values: the synchronisation points.

use crate::device::Waiting;
use crate::dtype::Element;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe, no_grad};

impl Tensor {
    /// The values in row-major order. Computes everything they need, and waits for it.
    ///
    /// # Errors
    /// [`Error::WrongDType`] if `T` is not the tensor's type, and errors of the device
    /// since the last synchronisation.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        pollster::block_on(self.values(Waiting::Here))
    }

    /// [`to_vec`](Tensor::to_vec) without blocking the thread.
    ///
    /// # Errors
    /// As `to_vec`.
    pub async fn to_vec_async<T: Element>(&self) -> Result<Vec<T>> {
        self.values(Waiting::Elsewhere).await
    }

    async fn values<T: Element>(&self, waiting: Waiting) -> Result<Vec<T>> {
        if self.dtype() != T::DTYPE {
            let expected = match T::DTYPE {
                crate::DType::F32 => "an f32 tensor",
                crate::DType::F16 => "an f16 tensor",
                crate::DType::I32 => "an i32 tensor",
                crate::DType::U32 => "a u32 tensor",
                crate::DType::Bool => "a bool tensor",
            };
            return Err(Error::WrongDType { op: "to_vec", expected, got: self.dtype() });
        }
        let bytes = self.read_bytes(waiting).await?;
        Ok(T::from_device_bytes(&bytes))
    }

    /// The values as `f64`, of any type. On the reference device they have all their digits.
    ///
    /// # Errors
    /// As [`to_vec`](Tensor::to_vec).
    pub fn to_f64(&self) -> Result<Vec<f64>> {
        if let Some(values) = self.host_values()? {
            return Ok(values);
        }
        let bytes = pollster::block_on(self.read_bytes(Waiting::Here))?;
        Ok(self.dtype().decode(&bytes))
    }

    /// The value of a tensor with one element.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is more than one; otherwise as [`to_vec`](Tensor::to_vec).
    pub fn item<T: Element>(&self) -> Result<T> {
        pollster::block_on(self.element(Waiting::Here))
    }

    /// [`item`](Tensor::item) without blocking the thread.
    ///
    /// # Errors
    /// As `item`.
    pub async fn item_async<T: Element>(&self) -> Result<T> {
        self.element(Waiting::Elsewhere).await
    }

    async fn element<T: Element>(&self, waiting: Waiting) -> Result<T> {
        if self.numel() != 1 {
            let rule = format!("item reads a single element, not shape {}", self.shape());
            return Err(Error::invalid("item", rule));
        }
        Ok(self.values::<T>(waiting).await?[0])
    }

    /// Computes this tensor and reads its device bytes.
    async fn read_bytes(&self, waiting: Waiting) -> Result<Vec<u8>> {
        let tensor = self.stored()?;
        let storage = tensor.node.state.lock().storage.as_ref().map(|storage| storage[tensor.output].clone());
        let storage =
            storage.ok_or_else(|| Error::Internal { op: "to_vec", reason: "nothing was computed".to_string() })?;
        self.device().executor().read(&storage, tensor.layout().bytes(), waiting).await
    }

    /// The same values, computed and at the start of a storage of their own.
    fn stored(&self) -> Result<Tensor> {
        let tensor = if self.layout().is_contiguous() && self.layout().offset == 0 {
            self.clone()
        } else {
            // Ascribed to the line that made the view; an async function doesn't know its caller.
            let _line = ascribe(self.node.source);
            no_grad(|| self.copy())?
        };
        self.device().run(&tensor)?;
        Ok(tensor)
    }

    fn host_values(&self) -> Result<Option<Vec<f64>>> {
        if !self.device().is_reference() {
            return Ok(None);
        }
        let tensor = self.stored()?;
        pollster::block_on(self.device().executor().sync(Waiting::Here))?;
        let state = tensor.node.state.lock();
        Ok(match state.storage.as_ref().map(|storage| &storage[tensor.output]) {
            Some(crate::graph::Storage::Host(values)) => Some(values.values[..tensor.numel()].to_vec()),
            _ => None,
        })
    }
}
