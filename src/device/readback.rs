//! Reads values back: the only code that waits.

use crate::device::fault::FAULT_BYTES;
use crate::device::{Buffer, Gpu, queue};
use crate::error::{Error, Result};
use crate::number::nearest;
use futures_intrusive::channel::shared::{OneshotSender, oneshot_channel};
use parking_lot::Mutex;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Mapped buffers of the last reads, for the next ones.
#[derive(Default)]
pub(super) struct Staging {
    free: Mutex<Vec<wgpu::Buffer>>,
}

/// Staging buffers kept for reuse.
const MOST_STAGING: usize = 4;

/// The thread that polls the device until the submitted work is done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiting {
    /// The calling thread, which has nothing else to do.
    Here,
    /// A thread of the device, so that an async caller's executor is free meanwhile.
    Elsewhere,
}

/// A submission that a caller is waiting for.
struct Awaited {
    index: wgpu::SubmissionIndex,
    /// Gets the error if waiting fails; on success the driver's callback sends.
    sender: Arc<OneshotSender<Result<()>>>,
}

/// The thread that polls for async callers. It starts with the first of them, and ends with the device.
#[derive(Default)]
pub(super) struct Poller {
    awaited: Mutex<Option<mpsc::Sender<Awaited>>>,
}

impl Gpu {
    /// The first `bytes` of a buffer once everything submitted is done. Reports earlier errors.
    pub async fn read(&self, buffer: &Buffer, bytes: usize, waiting: Waiting) -> Result<Vec<u8>> {
        let mut data = self.read_back(Some((buffer, bytes.next_multiple_of(4) as u64)), waiting).await?;
        data.truncate(bytes);
        Ok(data)
    }

    /// Waits for everything submitted. Reports earlier errors.
    pub async fn sync(&self, waiting: Waiting) -> Result<()> {
        self.read_back(None, waiting).await.map(drop)
    }

    async fn read_back(&self, source: Option<(&Buffer, u64)>, waiting: Waiting) -> Result<Vec<u8>> {
        self.status.check()?;
        let data_bytes = source.map_or(0, |s| s.1);
        let total = data_bytes + FAULT_BYTES;
        let (sender, receiver) = oneshot_channel::<Result<()>>();
        let sender = Arc::new(sender);
        let staging = {
            let staging = self.take_staging(total)?;
            let index = self.guarded(|| {
                let mut encoder =
                    self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read") });
                if let Some((buffer, bytes)) = source.filter(|s| s.1 > 0) {
                    encoder.copy_buffer_to_buffer(buffer.raw(), buffer.start(), &staging, 0, bytes);
                }
                encoder.copy_buffer_to_buffer(&self.faults.buffer, 0, &staging, data_bytes, FAULT_BYTES);
                Ok(self.queue.submit([encoder.finish()]))
            })?;
            self.count_submit(0);
            let mapped = sender.clone();
            staging.slice(..total).map_async(wgpu::MapMode::Read, move |result| {
                let result = result.map_err(|error| Error::Device { reason: error.to_string() });
                let _ = mapped.send(result);
            });
            self.poll(Awaited { index, sender }, waiting);
            staging
        };
        let mapped = receiver.receive().await;
        self.status.check()?;
        match mapped {
            Some(result) => result.map_err(|error| self.or_lost(error))?,
            None => return Err(self.or_lost(Error::Device { reason: "the read was dropped by the driver".into() })),
        }
        let mut data = {
            let view = staging
                .slice(..total)
                .get_mapped_range()
                .map_err(|error| Error::Device { reason: error.to_string() })?;
            view.to_vec()
        };
        staging.unmap();
        let mut free = self.staging.free.lock();
        if free.len() < MOST_STAGING {
            free.push(staging);
        }
        drop(free);
        let fault = data.split_off(nearest::<usize>(data_bytes));
        self.check_fault(&fault)?;
        Ok(data)
    }

    /// Polls the device until a submission is done, which triggers the callback.
    fn poll(&self, awaited: Awaited, waiting: Waiting) {
        match waiting {
            Waiting::Here => poll(&self.device, awaited, self.timeout),
            Waiting::Elsewhere => {
                // If a thread can't be started, the caller waits.
                if let Err(awaited) = self.hand_over(awaited) {
                    poll(&self.device, awaited, self.timeout);
                }
            }
        }
    }

    /// Passes a submission to the polling thread.
    fn hand_over(&self, awaited: Awaited) -> Result<(), Awaited> {
        let mut thread = self.poller.awaited.lock();
        if thread.is_none() {
            let (sender, receiver) = mpsc::channel();
            let (device, timeout) = (self.device.clone(), self.timeout);
            let polling = move || receiver.into_iter().for_each(|awaited| poll(&device, awaited, timeout));
            *thread = thread::Builder::new().name("wgrad polls".to_string()).spawn(polling).ok().map(|_| sender);
        }
        match &*thread {
            Some(thread) => thread.send(awaited).map_err(|mpsc::SendError(awaited)| awaited),
            None => Err(awaited),
        }
    }

    fn take_staging(&self, bytes: u64) -> Result<wgpu::Buffer> {
        let mut free = self.staging.free.lock();
        let fits = |buffer: &wgpu::Buffer| buffer.size() >= bytes && buffer.size() <= 4 * bytes.max(4096);
        if let Some(at) = free.iter().position(fits) {
            return Ok(free.swap_remove(at));
        }
        drop(free);
        self.guarded(|| {
            Ok(self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("staging"),
                // No larger than a buffer may be; `Adapter::max_binding_bytes` leaves space for the fault words.
                size: bytes.max(4096).next_power_of_two().min(self.device.limits().max_buffer_size).max(bytes),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }))
        })
    }
}

fn poll(device: &wgpu::Device, awaited: Awaited, timeout: Duration) {
    if let Err(error) = queue::wait(device, Some(awaited.index), timeout) {
        // The receiver is gone if the caller gave up waiting.
        let _ = awaited.sender.send(Err(error));
    }
}
