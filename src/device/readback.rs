//! Reading values back: the only waiting there is.

use crate::device::fault::FAULT_BYTES;
use crate::device::{Buffer, Gpu, queue};
use crate::error::{Error, Result};
use futures_intrusive::channel::shared::{OneshotSender, oneshot_channel};
use parking_lot::Mutex;
use std::sync::Arc;

/// Mapped buffers of the last reads, for the next ones.
#[derive(Default)]
pub(super) struct Staging {
    free: Mutex<Vec<wgpu::Buffer>>,
}

/// Staging buffers kept for reuse.
const MOST_STAGING: usize = 4;

impl Gpu {
    /// The first `bytes` of a buffer once everything submitted is done. Reports what went wrong before.
    pub async fn read(&self, buffer: &Buffer, bytes: usize) -> Result<Vec<u8>> {
        let mut data = self.read_back(Some((buffer, bytes.next_multiple_of(4) as u64))).await?;
        data.truncate(bytes);
        Ok(data)
    }

    /// Waits for everything submitted. Reports what went wrong before.
    pub async fn sync(&self) -> Result<()> {
        self.read_back(None).await.map(drop)
    }

    async fn read_back(&self, source: Option<(&Buffer, u64)>) -> Result<Vec<u8>> {
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
                // The receiver is gone where the caller gave up waiting.
                let _ = mapped.send(result);
            });
            self.poll_in_background(index, sender);
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
        let fault = data.split_off(data_bytes as usize);
        self.check_fault(&fault)?;
        Ok(data)
    }

    /// Somebody has to poll the device for the callback to come; a thread does, so that the caller's
    /// executor is free meanwhile.
    fn poll_in_background(&self, index: wgpu::SubmissionIndex, sender: Arc<OneshotSender<Result<()>>>) {
        let (device, timeout) = (self.device.clone(), self.timeout);
        std::thread::spawn(move || {
            if let Err(error) = queue::wait(&device, Some(index), timeout) {
                let _ = sender.send(Err(error));
            }
        });
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
                // No larger than a buffer may be; `Adapter::max_binding_bytes` leaves room for the fault words.
                size: bytes.max(4096).next_power_of_two().min(self.device.limits().max_buffer_size).max(bytes),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }))
        })
    }
}
