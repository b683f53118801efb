//! A world of cells, seen as a picture.

use super::{Environment, Step};
use crate::data::random::Words;
use crate::error::{Error, Result};

/// Rows and columns of the four moves: up, right, down, left.
const MOVES: [[isize; 2]; 4] = [[-1, 0], [0, 1], [1, 0], [0, -1]];
/// The planes of an observation.
const PLANES: [Cell; 3] = [Cell::Wall, Cell::Goal, Cell::Pit];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Free,
    Wall,
    Goal,
    Pit,
}

/// A world of cells, in which an agent goes up (action 0), right (1), down (2) or left (3). A move into a wall, or out of the
/// world, leaves it where it is.
///
/// An observation is a picture `[4, H, W]` of planes of zeros and ones: walls, goals, pits, and the agent. A step is worth
/// [`step_reward`](GridWorld::step_reward), and one onto a goal 1 more, onto a pit 1 less; both end the episode. It begins on any
/// free cell, and is broken off after [`most_steps`](GridWorld::most_steps).
///
/// ```
/// use wgrad::train::reinforcement::{Environment, GridWorld};
/// let mut world = GridWorld::new(&["..#G", "...P"], 0)?;
/// assert_eq!((world.observation_shape(), world.actions()), (vec![4, 2, 4], 4));
/// world.reset_to([1, 2])?;
/// assert_eq!(world.step(1)?.reward, -1.01);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GridWorld {
    cells: Vec<Vec<Cell>>,
    step_reward: f32,
    goal_reward: f32,
    most_steps: u64,
    /// Row and column of the agent, in the episode under way.
    agent: Option<[usize; 2]>,
    steps: u64,
    words: Words,
    episodes: u64,
}

impl GridWorld {
    /// A world of rows of cells: `.` is free, `#` a wall, `G` a goal and `P` a pit. The starts of episodes follow from the seed.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another character, for rows of different lengths, and if no cell is free or none is a goal.
    pub fn new(map: &[&str], seed: u64) -> Result<GridWorld> {
        let cell = |character: char| match character {
            '.' => Ok(Cell::Free),
            '#' => Ok(Cell::Wall),
            'G' => Ok(Cell::Goal),
            'P' => Ok(Cell::Pit),
            _ => Err(Error::invalid("GridWorld", format!("{character:?} is none of the cells \".#GP\""))),
        };
        let row = |row: &&str| row.chars().map(cell).collect::<Result<Vec<_>>>();
        let cells = map.iter().map(row).collect::<Result<Vec<_>>>()?;
        let has = |kind: Cell| cells.iter().flatten().any(|&cell| cell == kind);
        if cells.iter().any(|row| row.len() != cells[0].len()) || !has(Cell::Free) || !has(Cell::Goal) {
            let rule = format!("{map:?} needs rows of one length, a free cell and a goal");
            return Err(Error::invalid("GridWorld", rule));
        }
        let words = Words::new(seed, 0);
        let world = GridWorld {
            cells,
            step_reward: -0.01,
            goal_reward: 1.0,
            most_steps: 100,
            agent: None,
            steps: 0,
            words,
            episodes: 0,
        };
        Ok(world)
    }

    /// Sets the reward of each step: -0.01 unless set.
    #[must_use = "it returns the world with the reward set"]
    pub fn step_reward(self, step_reward: f32) -> GridWorld {
        GridWorld { step_reward, ..self }
    }

    /// Sets the reward of a goal, and the penalty of a pit: 1 unless set.
    #[must_use = "it returns the world with the reward set"]
    pub fn goal_reward(self, goal_reward: f32) -> GridWorld {
        GridWorld { goal_reward, ..self }
    }

    /// Sets the number of steps after which episodes are broken off: 100 unless set.
    #[must_use = "it returns the world with the limit set"]
    pub fn most_steps(self, most_steps: u64) -> GridWorld {
        GridWorld { most_steps, ..self }
    }

    /// Begins an episode on a cell, by its row and column.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the cell is not free.
    pub fn reset_to(&mut self, cell: [usize; 2]) -> Result<Vec<f32>> {
        let [row, column] = cell;
        if self.cells.get(row).and_then(|row| row.get(column)) != Some(&Cell::Free) {
            return Err(Error::invalid("GridWorld", format!("no free cell is at row {row} and column {column}")));
        }
        Ok(self.begin(cell))
    }

    fn begin(&mut self, cell: [usize; 2]) -> Vec<f32> {
        self.agent = Some(cell);
        self.steps = 0;
        self.picture(cell)
    }

    fn picture(&self, agent: [usize; 2]) -> Vec<f32> {
        let plane = |kind: Cell| self.cells.iter().flatten().map(move |&cell| f32::from(u8::from(cell == kind)));
        let mut picture: Vec<f32> = PLANES.into_iter().flat_map(plane).collect();
        let places = (0..self.cells.len()).flat_map(|row| (0..self.cells[0].len()).map(move |column| [row, column]));
        picture.extend(places.map(|place| f32::from(u8::from(place == agent))));
        picture
    }

    /// The cell that a move leads to.
    fn moved(&self, cell: [usize; 2], action: usize) -> [usize; 2] {
        let next = [0, 1].map(|d| cell[d].wrapping_add_signed(MOVES[action][d]));
        match self.cells.get(next[0]).and_then(|row| row.get(next[1])) {
            None | Some(Cell::Wall) => cell,
            Some(_) => next,
        }
    }
}

impl Environment for GridWorld {
    fn observation_shape(&self) -> Vec<usize> {
        vec![PLANES.len() + 1, self.cells.len(), self.cells[0].len()]
    }

    fn actions(&self) -> usize {
        MOVES.len()
    }

    fn reset(&mut self) -> Vec<f32> {
        let places = (0..self.cells.len()).flat_map(|row| (0..self.cells[0].len()).map(move |column| [row, column]));
        let free: Vec<[usize; 2]> = places.filter(|&[row, column]| self.cells[row][column] == Cell::Free).collect();
        let chosen = self.words.under(self.episodes).below(0, free.len());
        self.episodes += 1;
        self.begin(free[chosen])
    }

    fn step(&mut self, action: usize) -> Result<Step> {
        let Some(agent) = self.agent.filter(|_| action < MOVES.len()) else {
            let rule = format!("action {action} of 4, in an episode that must have been begun and not ended");
            return Err(Error::invalid("GridWorld", rule));
        };
        let next = self.moved(agent, action);
        let found = match self.cells[next[0]][next[1]] {
            Cell::Goal => self.goal_reward,
            Cell::Pit => -self.goal_reward,
            _ => 0.0,
        };
        self.steps += 1;
        let terminated = matches!(self.cells[next[0]][next[1]], Cell::Goal | Cell::Pit);
        let truncated = !terminated && self.steps >= self.most_steps;
        self.agent = Some(next).filter(|_| !terminated && !truncated);
        Ok(Step { observation: self.picture(next), reward: self.step_reward + found, terminated, truncated })
    }
}
