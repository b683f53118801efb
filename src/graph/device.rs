//! The handle to a device: tensors are recorded on it, and its executor carries the recording out.

use crate::device::{Debug, DynamicSizes, Fill, Waiting};
use crate::error::{Error, Result};
use crate::graph::node::{Node, Storage, Tensor};
use crate::graph::profiler::Profiler;
use crate::graph::schedule::{Marker, Schedule};
use crate::graph::trace::is_tracing;
use crate::shape::Layout;
use parking_lot::Mutex;
use std::fmt;
use std::future::Future;
use std::iter;
use std::pin::Pin;
use std::sync::{Arc, Weak};

/// Recordings may take up to this many bytes of host memory before they are flushed unasked, if a device's options don't say
/// otherwise. A recording with a history waits for its gradient: if it were cut off from that, each value that the gradient reads
/// would have to be stored.
const MOST_PENDING: usize = 4 << 20;
const MOST_PENDING_WITH_HISTORY: usize = 64 << 20;

/// Approximate host memory of a recorded call, with its operation and its edges.
const CALL_BYTES: usize = 1 << 10;

/// Values from the caller may wait up to this many bytes for the work that reads them: they are in the host's memory until then,
/// and in the device's all at once when a plan runs. Values with a history are needed for its gradient anyway.
const MOST_HANDED_IN: usize = 64 << 20;

/// A future that may be polled from any thread.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Carries out recorded graphs: the planner on an adapter, or the reference on the CPU.
pub(crate) trait Executor: Send + Sync {
    /// Adapter name.
    fn name(&self) -> &str;
    /// Most bytes of one tensor.
    fn max_tensor_bytes(&self) -> u64;
    /// Computes every node of the schedule and stores the kept ones. After an error nothing has changed, except after
    /// [`Error::StateUnknown`].
    fn execute(&self, schedule: &Schedule) -> Result<()>;
    /// The last call of each kernel, in the order in which the kernels run; a kernel computes its last call and those of that
    /// call's inputs that no earlier kernel has computed.
    fn ends(&self, schedule: &Schedule) -> Result<Vec<usize>> {
        Ok(schedule.calls())
    }
    /// A storage of `bytes` bytes, written by `fill` one piece after the other; each piece but the last is a multiple of four
    /// bytes.
    fn store(&self, bytes: usize, fill: Fill<'_>) -> Result<Storage>;
    /// The bytes of a storage, from its start.
    fn read<'a>(&'a self, storage: &'a Storage, bytes: usize, waiting: Waiting) -> BoxFuture<'a, Result<Vec<u8>>>;
    /// Waits until everything submitted is done and reports the errors on the way.
    fn sync(&self, waiting: Waiting) -> BoxFuture<'_, Result<()>>;
    /// Counters.
    fn stats(&self) -> Stats;
    /// Starts the peaks of memory anew.
    fn reset_peaks(&self);
    /// Gives back to the driver everything that can be made again.
    fn empty_cache(&self);
    /// Sets which kernels of further plans read sizes from their parameters.
    fn dynamic_sizes(&self, _choice: DynamicSizes) {}
    /// Sets the checks for all later runs, if the executor can check; returns the earlier ones.
    fn set_debug(&self, debug: Result<Debug>) -> Result<Debug> {
        let _ = debug;
        Ok(Debug::default())
    }
    /// The plan it would run for a schedule, as text and as DOT.
    fn describe(&self, schedule: &Schedule) -> Result<(String, String)>;
    /// Takes the times of kernels while a profile is under way.
    fn profiler(&self) -> &Profiler;
    /// Lets parts of the library that must know the executor downcast to it.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// Counters of a device since it was opened. Sizes are in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Held by tensors and running work.
    pub bytes_live: u64,
    /// Held by the pool for reuse.
    pub bytes_pooled: u64,
    /// The most that was live at once, since the device was opened or [`Device::reset_peak_stats`].
    pub bytes_live_peak: u64,
    /// The most that was live and pooled together since then.
    pub bytes_peak: u64,
    /// The memory that the last run's plan needs by its own account: its buffers, and those of values it reads. If nothing else
    /// is alive, `bytes_live_peak` rises to this.
    pub bytes_planned: u64,
    /// Buffers created.
    pub buffers: u64,
    /// Pipelines compiled.
    pub pipelines: u64,
    /// Bind groups created.
    pub bind_groups: u64,
    /// Kernels dispatched.
    pub dispatches: u64,
    /// Command buffers submitted.
    pub submits: u64,
    /// Plans made.
    pub plans: u64,
    /// Runs of a plan, new or cached.
    pub runs: u64,
}

/// The device on which tensors are stored and computed: an adapter reached through wgpu, or the CPU reference.
///
/// Cheap to clone; tensors hold one. Opened by [`Device::open`], [`Device::with_options`],
/// [`Device::from_wgpu`] or [`Device::reference`].
#[derive(Clone)]
pub struct Device {
    inner: Arc<Inner>,
}

struct Inner {
    executor: Box<dyn Executor>,
    recorder: Mutex<Recorder>,
    /// Held while a graph is planned and run, so that two threads never plan the same node.
    running: Mutex<Marker>,
}

#[derive(Default)]
struct Recorder {
    pending: Vec<Weak<Node>>,
    /// True if a call with a history was recorded since the last flush.
    has_history: bool,
    /// Bytes that the caller passed in since the last flush.
    handed_in: usize,
    /// Values that parameters show. The parameters hold them: a device that held its tensors would never be freed.
    effects: Vec<Weak<Node>>,
    random: RandomState,
    /// The error of a flush that was not asked for, until a call can return it.
    late: Option<Error>,
    /// The reason why values on the device are neither the old ones nor the recorded ones.
    unknown: Option<Error>,
    /// Bytes of host memory that the recording may take, if the device's options say so.
    budget: Option<usize>,
    /// True if the next plan computes a part of a recording that has grown long.
    is_cut: bool,
}

impl Recorder {
    /// Calls that may be pending.
    fn most_calls(&self) -> usize {
        let unasked = if self.has_history { MOST_PENDING_WITH_HISTORY } else { MOST_PENDING };
        (self.budget.unwrap_or(unasked) / CALL_BYTES).max(1)
    }
}

/// The position in the device's random stream: the seed, and the number of counters used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RandomState {
    /// The key of the stream.
    pub seed: u64,
    /// The next unused counter; each gives four 32-bit words.
    pub counter: u64,
}

impl Device {
    /// `budget` bounds the bytes of host memory that a recording takes.
    pub(crate) fn from_executor(executor: Box<dyn Executor>, budget: Option<usize>) -> Device {
        let recorder = Mutex::new(Recorder { budget, ..Recorder::default() });
        Device { inner: Arc::new(Inner { executor, recorder, running: Mutex::default() }) }
    }

    pub(crate) fn executor(&self) -> &dyn Executor {
        &*self.inner.executor
    }

    /// The adapter's name; `reference` for the CPU.
    pub fn name(&self) -> &str {
        self.inner.executor.name()
    }

    /// Counters: memory, buffers, pipelines, bind groups, dispatches, submits.
    pub fn stats(&self) -> Stats {
        self.inner.executor.stats()
    }

    /// Starts [`Stats::bytes_live_peak`] and [`Stats::bytes_peak`] anew, at what is held now (PyTorch's
    /// `reset_peak_memory_stats`).
    pub fn reset_peak_stats(&self) {
        self.inner.executor.reset_peaks();
    }

    /// Gives back to the driver everything that no tensor holds (PyTorch's `empty_cache`): pooled buffers, plans with their bind
    /// groups, compiled kernels and their texts. All of it is made again when it is needed, so the next step takes as long as the
    /// first one.
    pub fn empty_cache(&self) {
        self.inner.executor.empty_cache();
    }

    /// Sets which kernels read the sizes of tensors from their parameters, so that another size compiles nothing. Results
    /// have the same bits either way. By default this applies to kernels of a graph that came with new sizes five times, and on
    /// GPUs that compile slowly (by FXC on Windows) to a kernel that one graph runs with three sizes or more; where a program
    /// knows that its sizes will keep changing, [`DynamicSizes::Always`] spares it compiling the first few.
    ///
    /// Some numbers always shape a kernel: most channels, windows and strides of a convolution or a pool, the number of
    /// contiguous elements, and register tiles, which follow from sizes in steps. Plans are made anew.
    ///
    /// ```
    /// # fn main() -> wgrad::Result<()> {
    /// use wgrad::{Device, DynamicSizes, Tensor};
    /// let device = Device::reference();
    /// device.dynamic_sizes(DynamicSizes::Always);
    /// let lengths = [5, 7, 11];
    /// for length in lengths {
    ///     let x = Tensor::ones(&device, &[2, length])?;
    ///     assert_eq!(x.sum(1)?.to_vec::<f32>()?, [length as f32; 2]);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn dynamic_sizes(&self, choice: DynamicSizes) {
        self.inner.executor.dynamic_sizes(choice);
    }

    /// Runs `body` with checks after every operation; they are many times slower than a kernel. Operations recorded
    /// before run first, without checks; those that `body` records run at the latest when it ends.
    ///
    /// ```
    /// use wgrad::{Debug, Device, Error, Tensor};
    /// let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, -1.0], &[2])?;
    /// let debug = Debug { nan: true, ..Debug::default() };
    /// let error = device.with_debug(debug, || x.log()?.to_vec::<f32>()).unwrap_err();
    /// assert!(matches!(error, Error::NotFinite { op: "log", .. }));
    /// assert!(x.log()?.to_vec::<f32>()?[1].is_nan());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `body` and of the flushes before and after it.
    pub fn with_debug<R>(&self, debug: Debug, body: impl FnOnce() -> Result<R>) -> Result<R> {
        /// Puts the checks back, also after a panic.
        struct Restored<'a>(&'a Device, Result<Debug>);
        impl Drop for Restored<'_> {
            fn drop(&mut self) {
                let _ = self.0.executor().set_debug(self.1.clone());
            }
        }
        self.flush()?;
        let _restored = Restored(self, self.executor().set_debug(Ok(debug)));
        let result = body()?;
        self.flush()?;
        Ok(result)
    }

    /// Starts the device's random stream anew (PyTorch's `manual_seed`). The same seed gives the same
    /// numbers on every adapter and on the reference.
    pub fn manual_seed(&self, seed: u64) {
        self.set_random_state(RandomState { seed, counter: 0 });
    }

    /// The current position in the random stream, for a checkpoint.
    pub fn random_state(&self) -> RandomState {
        self.inner.recorder.lock().random
    }

    /// Moves the random stream to a position from a checkpoint.
    pub fn set_random_state(&self, state: RandomState) {
        self.inner.recorder.lock().random = state;
    }

    /// Takes `counters` counters from the random stream.
    pub(crate) fn draw(&self, counters: u64) -> RandomState {
        let mut recorder = self.inner.recorder.lock();
        let state = recorder.random;
        // The counter wraps around.
        recorder.random.counter = if is_tracing() { state.counter } else { state.counter.wrapping_add(counters) };
        state
    }

    /// Submits everything recorded and does not wait for it.
    ///
    /// After an error nothing was submitted, and no value has changed: recorded calls are computed when they are needed. If that
    /// can't be guaranteed, the error is [`Error::StateUnknown`].
    ///
    /// # Errors
    /// Errors of planning and submitting, and earlier errors of the device.
    pub fn flush(&self) -> Result<()> {
        self.flush_recorded(&mut self.inner.running.lock())
    }

    fn flush_recorded(&self, marker: &mut Marker) -> Result<()> {
        let mut recorded = std::mem::take(&mut marker.recorded);
        {
            let mut recorder = self.inner.recorder.lock();
            std::mem::swap(&mut recorded, &mut recorder.pending);
            recorder.has_history = false;
            recorder.handed_in = 0;
        }
        let result = self.compute(recorded.drain(..).filter_map(|node| node.upgrade()), marker);
        marker.recorded = recorded;
        result
    }

    /// Submits everything recorded and waits until it is done.
    ///
    /// # Errors
    /// Any error since the last synchronisation: a lost device, memory that ran out,
    /// an index out of range, a time-out.
    pub fn sync(&self) -> Result<()> {
        pollster::block_on(self.synchronise(Waiting::Here))
    }

    /// [`sync`](Device::sync) without blocking the thread.
    ///
    /// # Errors
    /// As `sync`.
    pub async fn sync_async(&self) -> Result<()> {
        self.synchronise(Waiting::Elsewhere).await
    }

    async fn synchronise(&self, waiting: Waiting) -> Result<()> {
        self.flush()?;
        self.inner.executor.sync(waiting).await
    }

    /// Goes on after [`Error::StateUnknown`], for a program that has replaced every value it still needs, or needs none.
    /// [`train::load`](crate::train::load) does so by itself.
    pub fn assume_restored(&self) {
        self.inner.recorder.lock().unknown = None;
    }

    /// Submits the recording without being asked to. The call that is being recorded is not to blame for an error of that, so the
    /// next flush or read returns it. Nothing is submitted while a plan runs: this thread may be running it, and be recording
    /// because a caller's operation records something when it is dropped.
    pub(crate) fn flush_in_passing(&self) {
        let Some(mut marker) = self.inner.running.try_lock() else { return };
        if let Err(error) = self.flush_recorded(&mut marker) {
            self.inner.recorder.lock().late.get_or_insert(error);
        }
    }

    /// Returns the error that must be reported before anything else is computed.
    fn check(&self) -> Result<()> {
        let mut recorder = self.inner.recorder.lock();
        match recorder.late.take().or_else(|| recorder.unknown.clone()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Computes a tensor and every recorded effect.
    pub(crate) fn run(&self, tensor: &Tensor) -> Result<()> {
        if is_tracing() {
            let rule = "a value is read in a forward pass that computes shapes alone, such as a summary's";
            return Err(Error::invalid(tensor.node.op.name(), rule));
        }
        self.compute(iter::once(tensor.node.clone()), &mut self.inner.running.lock())
    }

    /// Computes `roots` and every recorded effect.
    fn compute(&self, roots: impl Iterator<Item = Arc<Node>>, marker: &mut Marker) -> Result<()> {
        self.check()?;
        let mut effects = std::mem::take(&mut marker.effects);
        let mut schedule = std::mem::take(&mut marker.schedule);
        {
            let mut recorder = self.inner.recorder.lock();
            std::mem::swap(&mut effects, &mut recorder.effects);
            schedule.is_cut = std::mem::take(&mut recorder.is_cut);
        }
        schedule.fill(roots.chain(effects.drain(..).filter_map(|effect| effect.upgrade())), marker);
        let result = if schedule.is_empty() { Ok(()) } else { self.inner.executor.execute(&schedule) };
        match result {
            Ok(()) => schedule.finish(),
            Err(_) => schedule.clear(),
        }
        if let Err(error @ Error::StateUnknown { .. }) = &result {
            self.inner.recorder.lock().unknown = Some(error.clone());
        }
        marker.schedule = schedule;
        marker.effects = effects;
        result
    }

    /// The schedule that computing `roots` would carry out.
    pub(crate) fn schedule(&self, roots: &[&Tensor]) -> Schedule {
        Schedule::new(roots.iter().map(|root| root.node.clone()), &mut self.inner.running.lock())
    }

    /// Records that `value`, which a parameter shows, must be computed at the next flush, if it is still shown then.
    pub(crate) fn record_effect(&self, value: &Tensor) {
        value.node.assign();
        self.inner.recorder.lock().effects.push(Arc::downgrade(&value.node));
    }

    /// Takes note of a recorded call; true where the recording may be [long](Device::flush_if_long) by now.
    pub(crate) fn recorded(&self, node: &Arc<Node>) -> bool {
        let mut recorder = self.inner.recorder.lock();
        recorder.pending.push(Arc::downgrade(node));
        recorder.has_history |= node.is_tracked();
        recorder.pending.len() >= recorder.most_calls()
    }

    /// Notes bytes that the caller passes in. If they are many, earlier recorded calls that read such values are flushed first:
    /// they are complete, or else these bytes would have come before them.
    pub(crate) fn hand_in(&self, bytes: usize) {
        if is_tracing() {
            return;
        }
        let is_much = {
            let recorder = self.inner.recorder.lock();
            !recorder.has_history && recorder.handed_in > 0 && recorder.handed_in.saturating_add(bytes) > MOST_HANDED_IN
        };
        if is_much {
            self.flush_in_passing();
        }
        let mut recorder = self.inner.recorder.lock();
        recorder.handed_in = recorder.handed_in.saturating_add(bytes);
    }

    /// Flushes the recording if it has grown long.
    pub(crate) fn flush_if_long(&self) {
        // Dropped after the lock is released: a caller's operation may record something when it is dropped.
        let mut looked_at = Vec::new();
        let mut recorder = self.inner.recorder.lock();
        let most = recorder.most_calls();
        // A plan that is running may make it short again; until then there is no use in looking through it.
        if recorder.pending.len() < most || self.inner.running.is_locked() {
            return;
        }
        recorder.pending.retain(|node| {
            node.upgrade().is_some_and(|node| {
                let is_open = !node.is_computed();
                looked_at.push(node);
                is_open
            })
        });
        // If less than half of it is left, the next look is far enough away.
        let is_long = 2 * recorder.pending.len() >= most;
        drop(recorder);
        drop(looked_at);
        if is_long {
            // So are this plan and the one that computes the rest.
            let cut = || self.inner.recorder.lock().is_cut = true;
            cut();
            self.flush_in_passing();
            cut();
        }
    }

    /// Checks that `other` is this device.
    pub(crate) fn check_same(&self, op: &'static str, other: &Device) -> Result<()> {
        if self == other {
            return Ok(());
        }
        Err(Error::DeviceMismatch { op, left: self.name().to_string(), right: other.name().to_string() })
    }

    pub(crate) fn check_size(&self, op: &'static str, layout: &Layout) -> Result<()> {
        let limit = self.inner.executor.max_tensor_bytes();
        if layout.bytes() as u64 > limit {
            return Err(Error::TooLarge {
                op,
                shape: layout.shape,
                limit,
                unit: "bytes in one tensor on this adapter",
            });
        }
        Ok(())
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Device) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for Device {}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.name())
    }
}
