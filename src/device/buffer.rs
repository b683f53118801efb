//! Buffers, pooled by size class.

use crate::device::Waiting;
use crate::error::{Error, Result};
use crate::number::nearest;
use crate::shape::Shape;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// Alignment of a part of a buffer: WebGPU's default alignment of storage bindings, in bytes.
pub(crate) const PART_ALIGNMENT: usize = 256;

/// A buffer from the pool, or a part of one; returned when the last handle is dropped.
pub(crate) struct Buffer {
    /// Behind a trait object, so that checking if a tensor may be sent to another thread does not go through all of wgpu's types,
    /// past the compiler's default recursion limit.
    inner: Arc<dyn Pooled>,
    /// First byte, and bytes, of this handle's part.
    start: u64,
    size: u64,
}

trait Pooled: Send + Sync {
    fn inner(&self) -> &Inner;
}

impl Pooled for Inner {
    fn inner(&self) -> &Inner {
        self
    }
}

struct Inner {
    raw: wgpu::Buffer,
    id: u64,
    class: u64,
    pool: Weak<Pool>,
    /// Handles to it: the pool keeps the shared part, so that taking it again allocates nothing.
    handles: AtomicUsize,
}

impl Buffer {
    pub fn raw(&self) -> &wgpu::Buffer {
        &self.inner.inner().raw
    }

    /// The first handle of a whole buffer, which counts it already.
    fn whole(inner: Arc<dyn Pooled>) -> Buffer {
        let size = inner.inner().raw.size();
        Buffer { inner, start: 0, size }
    }

    /// A part of this handle's part: `bytes` from `start` on, which is a multiple of [`PART_ALIGNMENT`]. The bytes between its
    /// end and the next multiple belong to it too.
    pub fn part(&self, start: usize, bytes: usize) -> Buffer {
        let mut part = self.clone();
        part.start += start as u64;
        part.size = (bytes.max(1).next_multiple_of(PART_ALIGNMENT) as u64).min(self.size.saturating_sub(start as u64));
        part
    }

    /// The size of the whole buffer in the pool.
    pub fn class(&self) -> u64 {
        self.inner.inner().class
    }

    /// Bytes before this handle's part.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// This handle's part, for a bind group.
    pub(super) fn binding(&self) -> wgpu::BindingResource<'_> {
        let size = wgpu::BufferSize::new(self.size);
        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer: self.raw(), offset: self.start, size })
    }

    /// Identifies buffers and their parts as long as the device lives.
    pub fn id(&self) -> u64 {
        self.part_id(0)
    }

    /// The id of the whole buffer.
    pub fn whole_id(&self) -> u64 {
        part_id(self.inner.inner().id, 0)
    }

    /// The id of the part that begins at a byte.
    pub fn part_id(&self, start: usize) -> u64 {
        part_id(self.inner.inner().id, self.start + start as u64)
    }

    /// True if this is the only handle.
    pub fn is_unshared(&self) -> bool {
        self.inner.inner().handles.load(Ordering::Acquire) == 1
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Buffer {
        self.inner.inner().handles.fetch_add(1, Ordering::Relaxed);
        Buffer { inner: self.inner.clone(), start: self.start, size: self.size }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let inner = self.inner.inner();
        if inner.handles.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(pool) = inner.pool.upgrade()
        {
            let surplus = pool.state.lock().give_back(self.inner.clone());
            destroy(surplus);
        }
    }
}

/// The id of the part of a buffer that begins at a byte.
fn part_id(id: u64, start: u64) -> u64 {
    (id << 32) | (start / PART_ALIGNMENT as u64)
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({}, {} bytes)", self.id(), self.inner.inner().class)
    }
}

/// A NaN that no arithmetic makes, little endian.
const POISON: [u8; 4] = 0x7fde_adcd_u32.to_le_bytes();

/// Bytes that may be pooled even if little was live: a program of small tensors may have many sizes of them.
const POOLED_ANYWAY: u64 = 64 << 20;

/// Bytes that may be pooled for each that was live at once recently. One training step leaves as many as it had; two programs
/// that take turns, such as training and evaluation, both find theirs.
const POOLED_SHARE: u64 = 2;

/// Number of taken buffers after which the recent peak starts again: many steps of most networks.
const LATELY: u32 = 1024;

/// Free buffers by size class, and the counters of all memory.
///
/// Free memory stays in proportion to the recent peak of live memory; beyond that, the buffer that was free for longest is
/// dropped.
#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<State>,
}

/// A free buffer, and the number of its freeing.
type Free = (u64, Arc<dyn Pooled>);

#[derive(Default)]
struct State {
    /// By class, those freed last at the end.
    free: BTreeMap<u64, Vec<Free>>,
    /// The class of each free buffer by the number of its freeing.
    by_age: BTreeMap<u64, u64>,
    freed: u64,
    memory: Memory,
    lately: Lately,
}

/// The most that was live at once while the last [`LATELY`] buffers were taken, and while those before them were.
#[derive(Default)]
struct Lately {
    now: u64,
    before: u64,
    taken: u32,
}

impl Lately {
    fn take(&mut self, live: u64) {
        if self.taken == LATELY {
            *self = Lately { now: 0, before: self.now, taken: 0 };
        }
        self.now = self.now.max(live);
        self.taken += 1;
    }

    /// Bytes that may be pooled.
    fn most_pooled(&self) -> u64 {
        POOLED_ANYWAY.max(POOLED_SHARE * self.now.max(self.before))
    }
}

impl State {
    fn take(&mut self, class: u64) {
        self.memory.take(class);
        self.lately.take(self.memory.live);
    }

    /// Adds a buffer to the free ones, and returns the superfluous ones.
    fn give_back(&mut self, buffer: Arc<dyn Pooled>) -> Vec<Arc<dyn Pooled>> {
        let class = buffer.inner().class;
        self.memory.live -= class;
        self.memory.pooled += class;
        self.freed += 1;
        self.by_age.insert(self.freed, class);
        self.free.entry(class).or_default().push((self.freed, buffer));
        let most = self.lately.most_pooled();
        let mut surplus = Vec::new();
        while self.memory.pooled > most
            && let Some((_, class)) = self.by_age.pop_first()
            && let Some(free) = self.free.get_mut(&class)
        {
            self.memory.pooled -= class;
            surplus.push(free.remove(0).1);
            if free.is_empty() {
                self.free.remove(&class);
            }
        }
        surplus
    }
}

/// Gives buffers back to the driver, even if bind groups still refer to them.
fn destroy(buffers: impl IntoIterator<Item = Arc<dyn Pooled>>) {
    buffers.into_iter().for_each(|buffer| buffer.inner().raw.destroy());
}

/// The memory of the pool, and its peaks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub live: u64,
    pub pooled: u64,
    /// The most that was live at once.
    pub live_peak: u64,
    /// The most that was live and pooled together.
    pub peak: u64,
    /// Buffers created.
    pub created: u64,
}

impl Memory {
    fn take(&mut self, class: u64) {
        self.live += class;
        self.live_peak = self.live_peak.max(self.live);
        self.peak = self.peak.max(self.live + self.pooled);
    }
}

/// Sixty-four classes to a doubling: hardly more than a hundredth of a large buffer is unused.
fn size_class(bytes: u64) -> u64 {
    let bytes = bytes.max(256);
    let step = (bytes.next_power_of_two() / 128).max(64);
    bytes.next_multiple_of(step)
}

impl Pool {
    /// A free buffer of at least `bytes`, the one called `preferred` if it is free. Its contents are arbitrary.
    fn take_free(&self, class: u64, preferred: Option<u64>) -> Option<Buffer> {
        let mut state = self.state.lock();
        let free = state.free.get_mut(&class)?;
        let at = match preferred {
            Some(id) => free.iter().position(|(_, buffer)| part_id(buffer.inner().id, 0) == id)?,
            None => free.len().checked_sub(1)?,
        };
        let (freed, inner) = free.remove(at);
        state.by_age.remove(&freed);
        state.memory.pooled -= class;
        state.take(class);
        inner.inner().handles.store(1, Ordering::Relaxed);
        Some(Buffer::whole(inner))
    }

    pub fn memory(&self) -> Memory {
        self.state.lock().memory
    }

    /// Starts the peaks again, at the current values.
    pub fn reset_peaks(&self) {
        let memory = &mut self.state.lock().memory;
        memory.live_peak = memory.live;
        memory.peak = memory.live + memory.pooled;
    }

    pub fn empty(&self) {
        let free = {
            let mut state = self.state.lock();
            state.memory.pooled = 0;
            state.by_age.clear();
            std::mem::take(&mut state.free)
        };
        destroy(free.into_values().flatten().map(|(_, buffer)| buffer));
    }
}

impl super::Gpu {
    /// The buffer called `id`, if it is free and fits.
    pub fn take_preferred(&self, bytes: usize, id: u64) -> Option<Buffer> {
        let buffer = self.pool.take_free(self.size_class(bytes), Some(id))?;
        self.poison(&buffer).ok()?;
        Some(buffer)
    }

    /// A buffer of at least `bytes`, from the pool if it has one. Its contents are arbitrary.
    pub fn take(&self, bytes: usize) -> Result<Buffer> {
        let class = self.size_class(bytes);
        if let Some(buffer) = self.pool.take_free(class, None) {
            self.poison(&buffer)?;
            return Ok(buffer);
        }
        let limit = self.adapter.max_binding_bytes;
        if class > limit && bytes as u64 > limit {
            let shape = Shape::new(&[bytes])?;
            return Err(Error::TooLarge { op: "buffer", shape, limit, unit: "bytes" });
        }
        let size = class.min(limit.max(bytes as u64));
        let create = || {
            self.guarded(|| {
                Ok(self.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("tensor"),
                    size,
                    usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                }))
            })
        };
        let raw = match create() {
            // The pool's memory for other sizes may be just what is missing.
            Err(Error::OutOfMemory { .. }) if self.pool.memory().pooled > 0 => {
                self.empty_pool();
                create()?
            }
            raw => raw?,
        };
        let mut state = self.pool.state.lock();
        state.memory.created += 1;
        state.take(class);
        let id = state.memory.created;
        drop(state);
        let (pool, handles) = (Arc::downgrade(&self.pool), AtomicUsize::new(1));
        let buffer = Buffer::whole(Arc::new(Inner { raw, id, class, pool, handles }));
        self.poison(&buffer)?;
        Ok(buffer)
    }

    /// The size in the pool of a buffer of at least `bytes`.
    pub fn size_class(&self, bytes: usize) -> u64 {
        size_class(bytes as u64 + self.guard_bytes())
    }

    /// Bytes that are always free at the end of a buffer, if writes past the end are checked.
    fn guard_bytes(&self) -> u64 {
        if self.poison { 256 } else { 0 }
    }

    /// Fills a buffer with NaN bits if the device was opened with that option.
    fn poison(&self, buffer: &Buffer) -> Result<()> {
        if self.poison {
            let words = nearest::<usize>(buffer.raw().size()) / POISON.len();
            self.write(buffer.raw(), 0, &POISON.repeat(words))?;
        }
        Ok(())
    }

    /// True if the guard bands of buffers of these sizes, if they have any, are unchanged. If not, the next call reports it.
    pub fn check_guards(&self, buffers: &[Buffer], bytes: &[usize]) {
        if self.poison
            && let Err(error) = self.find_overrun(buffers, bytes)
        {
            self.status.report(error);
        }
    }

    fn find_overrun(&self, buffers: &[Buffer], bytes: &[usize]) -> Result<()> {
        for (buffer, &bytes) in buffers.iter().zip(bytes) {
            let total = nearest::<usize>(buffer.raw().size());
            let all = pollster::block_on(self.read(buffer, total, Waiting::Here))?;
            // Kernels that work on eight elements at a time may write up to the next multiple.
            let band = bytes.next_multiple_of(32);
            if let Some(at) = (band..total).find(|&at| all[at] != POISON[at % POISON.len()]) {
                let reason = format!("a kernel wrote {} bytes past the end of a buffer of {bytes}", at - bytes);
                return Err(Error::Internal { op: "guard band", reason });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_waste_little() {
        for bytes in [1u64, 255, 256, 257, 1000, 4096, 4097, 1_000_003, 1 << 30] {
            let class = size_class(bytes);
            assert!(class >= bytes && class.is_multiple_of(32));
            assert!(bytes <= 4096 || class * 64 <= bytes * 65, "{bytes} -> {class}");
        }
    }
}
