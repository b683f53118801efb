//! Bind groups, made once for each set of buffers that a dispatch of a plan runs with.

use crate::device::{Buffer, Gpu, Pipeline, Uniform};
use crate::error::{Error, Result};

/// Bind groups kept for one dispatch of a plan: a program whose buffers never repeat must not fill memory with them.
const MOST_BIND_GROUPS: usize = 8;

/// The recent bind groups of one dispatch of a plan, and the ids of their buffers.
#[derive(Default)]
pub(crate) struct Bindings {
    /// The current one first.
    groups: Vec<(Vec<u64>, wgpu::BindGroup)>,
}

impl Bindings {
    /// Makes the bind group of these buffers current, the device's fault words being 0; false if there is none.
    pub fn serve(&mut self, ids: impl Iterator<Item = u64> + Clone) -> bool {
        let at = self.groups.iter().position(|(shown, _)| ids.clone().eq(shown.iter().copied()));
        at.inspect(|&at| self.groups.swap(0, at)).is_some()
    }

    /// The number of bind groups kept.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// The current bind group.
    pub(super) fn group(&self) -> Option<&wgpu::BindGroup> {
        self.groups.first().map(|(_, group)| group)
    }
}

impl Gpu {
    /// Makes the bind group of these buffers (in the order of [`Pipeline::buffers`], `None` for the fault words) and of the
    /// parameters from a byte on, for a pipeline, and makes it current.
    pub fn bind(
        &self,
        bindings: &mut Bindings,
        pipeline: &Pipeline,
        (params, start): (&Uniform, u32),
        buffers: &[Option<Buffer>],
    ) -> Result<()> {
        if buffers.len() != pipeline.buffers.len() {
            let reason = format!("{} buffers for {} bindings", buffers.len(), pipeline.buffers.len());
            return Err(Error::Internal { op: "bind", reason });
        }
        let mut entries: Vec<wgpu::BindGroupEntry> = buffers
            .iter()
            .zip(&pipeline.buffers)
            .map(|(buffer, (_, binding, _))| wgpu::BindGroupEntry {
                binding: *binding,
                resource: match buffer {
                    Some(buffer) => buffer.binding(),
                    None => self.faults.buffer.as_entire_binding(),
                },
            })
            .collect();
        if let Some(binding) = pipeline.params {
            entries.push(wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &params.raw,
                    offset: u64::from(start),
                    size: wgpu::BufferSize::new(u64::from(pipeline.params_bytes)),
                }),
            });
        }
        let group = self.guarded(|| {
            Ok(self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipeline.layout,
                entries: &entries,
            }))
        })?;
        self.pipelines.count_bind_group();
        bindings.groups.truncate(MOST_BIND_GROUPS - 1);
        let ids = buffers.iter().map(|buffer| buffer.as_ref().map_or(0, Buffer::id)).collect();
        bindings.groups.insert(0, (ids, group));
        Ok(())
    }
}
