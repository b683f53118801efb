//! The replay memory, on the device.

use super::Experience;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor, no_grad};
use crate::number::nearest;

/// Some steps of environments on the device.
#[derive(Clone, Debug)]
pub struct Transitions {
    /// The states before the actions, `[N, ..]`.
    pub observations: Tensor,
    /// The actions, `[N]`, i32.
    pub actions: Tensor,
    /// Their rewards, `[N]`.
    pub rewards: Tensor,
    /// The states after the actions, `[N, ..]`.
    pub next_observations: Tensor,
    /// 1 if an episode ended by itself, otherwise 0, `[N]`.
    pub terminated: Tensor,
}

impl Transitions {
    /// Uploads experience with observations of a shape.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the parts of the experience are not of one length.
    pub fn new(device: &Device, experience: &Experience, observation: &[usize]) -> Result<Transitions> {
        let Experience { observations, actions, rewards, next_observations, terminated } = experience;
        let count = actions.len();
        if rewards.len() != count || terminated.len() != count {
            let rule = format!("{count} actions, {} rewards and {} ends", rewards.len(), terminated.len());
            return Err(Error::invalid("Transitions", rule));
        }
        let shape = [&[count], observation].concat();
        let ends: Vec<f32> = terminated.iter().map(|&end| f32::from(u8::from(end))).collect();
        Ok(Transitions {
            observations: Tensor::from_slice(device, observations, &shape)?,
            actions: Tensor::from_slice(device, actions, &[count])?,
            rewards: Tensor::from_slice(device, rewards, &[count])?,
            next_observations: Tensor::from_slice(device, next_observations, &shape)?,
            terminated: Tensor::from_slice(device, &ends, &[count])?,
        })
    }

    /// Each part by a function of it and the same part of others.
    fn zip(&self, other: &Transitions, each: impl Fn(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Transitions> {
        Ok(Transitions {
            observations: each(&self.observations, &other.observations)?,
            actions: each(&self.actions, &other.actions)?,
            rewards: each(&self.rewards, &other.rewards)?,
            next_observations: each(&self.next_observations, &other.next_observations)?,
            terminated: each(&self.terminated, &other.terminated)?,
        })
    }
}

/// The last steps of some environments, in ring buffers on the device: new steps replace the oldest, and batches are drawn and
/// gathered there (Lin, "Self-improving reactive agents based on reinforcement learning, planning and teaching", 1992).
///
/// ```
/// # use wgrad::Device;
/// use wgrad::train::reinforcement::{CartPole, ReplayMemory, VectorEnvironment};
/// # let device = Device::reference();
/// let mut poles = VectorEnvironment::new((0..8).map(CartPole::new).collect())?;
/// let mut memory = ReplayMemory::new(&device, 1000, &[4])?;
/// for action in [0, 1, 0] {
///     memory.push(&poles.step(&[action; 8])?)?;
/// }
/// assert_eq!(memory.len(), 24);
/// let batch = memory.sample(16)?;
/// assert_eq!(batch.observations.shape()[..], [16, 4]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct ReplayMemory {
    device: Device,
    observation: Vec<usize>,
    rows: Transitions,
    capacity: usize,
    /// The row that is written next.
    next: usize,
    len: usize,
}

impl ReplayMemory {
    /// An empty memory for `capacity` steps with observations of a shape.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a capacity of 0 or above 2^31; [`Error::TooLarge`].
    pub fn new(device: &Device, capacity: usize, observation: &[usize]) -> Result<ReplayMemory> {
        if capacity == 0 || i32::try_from(capacity).is_err() {
            let rule = format!("a capacity of {capacity}; it must be above 0, and at most 2^31 - 1");
            return Err(Error::invalid("ReplayMemory", rule));
        }
        let shape = [&[capacity], observation].concat();
        let rows = Transitions {
            observations: Tensor::zeros(device, &shape)?,
            actions: Tensor::full(device, &[capacity], 0i32)?,
            rewards: Tensor::zeros(device, &[capacity])?,
            next_observations: Tensor::zeros(device, &shape)?,
            terminated: Tensor::zeros(device, &[capacity])?,
        };
        Ok(ReplayMemory { device: device.clone(), observation: observation.to_vec(), rows, capacity, next: 0, len: 0 })
    }

    /// The number of steps in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if nothing has happened yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes some steps over the oldest rows.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are more steps than rows; as [`Transitions::new`].
    pub fn push(&mut self, experience: &Experience) -> Result<()> {
        let count = experience.actions.len();
        if count > self.capacity {
            let rule = format!("{count} steps at once into {} rows", self.capacity);
            return Err(Error::invalid("ReplayMemory", rule));
        }
        if count == 0 {
            return Ok(());
        }
        let new = Transitions::new(&self.device, experience, &self.observation)?;
        let (capacity, next) = (nearest::<i32>(self.capacity), nearest::<i32>(self.next));
        self.rows = no_grad(|| {
            // The position of each row behind the one that is written next; the first `count` of them are new.
            let rows = Tensor::arange(&self.device, 0.0, f64::from(capacity), 1.0, DType::I32)?;
            let behind = rows.sub(&Tensor::full(&self.device, &[], next)?)?;
            let capacity = Tensor::full(&self.device, &[], capacity)?;
            let place = behind.lt(&behind.zeros_like()?)?.where_(&behind.add(&capacity)?, &behind)?;
            let is_new = place.lt(&Tensor::full(&self.device, &[], nearest::<i32>(count))?)?;
            let source = is_new.where_(&place, &place.zeros_like()?)?;
            self.rows.zip(&new, |old, new| {
                let is_new = is_new.reshape(&[&[-1], &vec![1; old.rank() - 1][..]].concat())?;
                is_new.where_(&new.index_select(0, &source)?, old)
            })
        })?;
        self.next = (self.next + count) % self.capacity;
        self.len = (self.len + count).min(self.capacity);
        Ok(())
    }

    /// A batch of steps, each drawn with equal probability, from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the memory is empty.
    pub fn sample(&self, batch: usize) -> Result<Transitions> {
        if self.is_empty() {
            return Err(Error::invalid("ReplayMemory", "it is empty; push steps before drawing from it"));
        }
        no_grad(|| {
            let chosen = Tensor::randint(&self.device, 0, nearest(self.len), &[batch])?;
            self.rows.zip(&self.rows, |rows, _| rows.index_select(0, &chosen))
        })
    }

    /// All steps, the oldest first.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn all(&self) -> Result<Transitions> {
        let first = if self.len < self.capacity { 0 } else { self.next };
        let order: Vec<i32> = (0..self.len).map(|at| nearest((first + at) % self.capacity)).collect();
        let order = Tensor::from_slice(&self.device, &order, &[self.len])?;
        no_grad(|| self.rows.zip(&self.rows, |rows, _| rows.index_select(0, &order)))
    }
}
