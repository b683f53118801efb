//! Q-learning: its loss and a step by it, compared with PyTorch's in float64 (`tests/golden/reinforcement.py`), environments, and
//! the replay memory.

use crate::common::from_names::{digest, fill, gradients, numbers, value};
use crate::common::{adapter, own_adapter};
use serde_json::Value;
use std::collections::BTreeMap;
use wgrad::models::reinforcement::{QNetwork, QNetworkOptions};
use wgrad::nn::{Module, Scope, StateDict};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::train::reinforcement::*;
use wgrad::{Device, Error, Result, Tensor};

const ACTIONS: usize = 3;
const BATCH: usize = 7;

fn is_close(got: &[f64], golden: &Value, relative: f64, what: &str) {
    let golden: Vec<f64> = serde_json::from_value(golden.clone()).unwrap();
    assert_eq!(got.len(), golden.len(), "{what}");
    let scale = golden.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    for (got, golden) in got.iter().zip(&golden) {
        assert!((got - golden).abs() <= relative * scale, "{what}: {got}, not {golden}");
    }
}

/// Norms and products of tensors by name match a golden list, in the order of names, relative to the largest of its norms.
fn are_close(got: BTreeMap<String, Tensor>, golden: &Value, relative: f64, what: &str) {
    let golden: Vec<[f64; 2]> = serde_json::from_value(golden.clone()).unwrap();
    assert_eq!(got.len(), golden.len(), "{what}");
    let largest = golden.iter().fold(0.0f64, |largest, [norm, _]| largest.max(*norm));
    for ((name, tensor), [norm, product]) in got.iter().zip(&golden) {
        let [got_norm, got_product] = digest(name, tensor);
        let apart = (got_norm - norm).abs().max((got_product - product).abs());
        assert!(apart <= relative * largest, "{what} of {name}: {got_norm} {got_product}, not {norm} {product}");
    }
}

fn values(net: &dyn Module) -> BTreeMap<String, Tensor> {
    net.named_parameters().into_iter().map(|(name, parameter)| (name, parameter.value())).collect()
}

fn golden_step(device: &Device, case: &Value, relative: f64) {
    let observation: Vec<usize> = serde_json::from_value(case["observation"].clone()).unwrap();
    let windows: Vec<[usize; 3]> = serde_json::from_value(case["windows"].clone()).unwrap();
    let (dueling, double) = (case["dueling"].as_bool().unwrap(), case["double"].as_bool().unwrap());
    let what = format!("{observation:?} dueling {dueling} double {double}");
    let options = QNetworkOptions { convolutions: windows, hidden: vec![6], dueling };
    let build = || QNetwork::new(&Scope::new(device), &observation, ACTIONS, &options).unwrap();
    let net = build();
    fill(&net, device);
    let mut target = TargetNetwork::new(build(), &net, TargetUpdate::Soft { tau: 0.2 }).unwrap();
    let of_target = |(name, parameter): (String, wgrad::Parameter)| {
        let shape = parameter.value().shape().to_vec();
        let new = Tensor::from_slice(device, &value(&format!("target.{name}"), &shape), &shape).unwrap();
        (name, new)
    };
    let state: StateDict = target.net().named_parameters().into_iter().map(of_target).collect();
    target.net().load_state_dict(&state, true).unwrap();

    let drawn = |name: &str, factor: f32, shape: &[usize]| {
        let values: Vec<f32> = numbers(name, shape.iter().product()).map(|value| factor * value as f32).collect();
        Tensor::from_slice(device, &values, shape).unwrap()
    };
    let states = [&[BATCH], &observation[..]].concat();
    let actions: Vec<i32> = (0..BATCH).map(|at| (2 * at % ACTIONS) as i32).collect();
    let ends: Vec<f32> = (0..BATCH).map(|at| f32::from(u8::from(at % 3 == 1))).collect();
    let batch = Transitions {
        observations: drawn("observations", 1.0, &states),
        actions: Tensor::from_slice(device, &actions, &[BATCH]).unwrap(),
        rewards: drawn("rewards", 1.0, &[BATCH]).mul_scalar(3.0).unwrap(),
        next_observations: drawn("next", 1.0, &states),
        terminated: Tensor::from_slice(device, &ends, &[BATCH]).unwrap(),
    };
    let dqn = DqnLoss::default().gamma(0.9).delta(0.75).double(double);
    is_close(&net.forward(&batch.observations).unwrap().to_f64().unwrap(), &case["values"], relative, &what);
    let targets = dqn.targets(&net, target.net(), &batch).unwrap();
    is_close(&targets.to_f64().unwrap(), &case["targets"], relative, &what);
    let mut sgd = Sgd::new(&net, SgdOptions::default().lr(0.5)).unwrap();
    let loss = dqn.of(&net, target.net(), &batch).unwrap();
    is_close(&loss.to_f64().unwrap(), &Value::from(vec![case["loss"].clone()]), relative, &what);
    loss.backward().unwrap();
    are_close(gradients(&net).collect(), &case["gradients"], relative, &format!("{what}: gradient"));
    assert!(target.net().parameters().iter().all(|parameter| parameter.grad().is_none()));
    sgd.step().unwrap();
    target.follow(&net).unwrap();
    are_close(values(&net), &case["after"], relative, &format!("{what}: value"));
    are_close(values(target.net()), &case["target"], relative, &format!("{what}: target"));
}

#[test]
fn a_step_is_pytorchs() {
    let golden: Vec<Value> = serde_json::from_str(include_str!("../golden/reinforcement.json")).unwrap();
    assert_eq!(golden.len(), 6);
    for case in &golden {
        golden_step(&Device::reference(), case, 1e-9);
        if let Some(device) = adapter() {
            golden_step(&device, case, 1e-5);
        }
    }
}

#[test]
fn a_target_is_copied_after_so_many_steps() {
    let device = Device::reference();
    let build = || QNetwork::new(&Scope::new(&device), &[2], 2, &QNetworkOptions::dense(&[3])).unwrap();
    let weight = |net: &QNetwork| net.parameters()[0].value().to_vec::<f32>().unwrap();
    let net = build();
    let mut target = TargetNetwork::new(build(), &net, TargetUpdate::Hard { every: 3 }).unwrap();
    let mut copies = vec![weight(target.net())];
    assert_eq!(copies[0], weight(&net));
    for step in 1..=7 {
        let new = Tensor::full(&device, &[3, 2], step as f32).unwrap();
        net.parameters()[0].assign(&new).unwrap();
        target.follow(&net).unwrap();
        copies.push(weight(target.net()));
    }
    assert_eq!((&copies[1], &copies[2]), (&copies[0], &copies[0]));
    assert_eq!(copies[3..].iter().map(|copy| copy[0]).collect::<Vec<_>>(), [3.0, 3.0, 3.0, 6.0, 6.0]);
    for update in [TargetUpdate::Hard { every: 0 }, TargetUpdate::Soft { tau: 1.5 }] {
        assert!(matches!(TargetNetwork::new(build(), &net, update), Err(Error::Invalid { .. })), "{update:?}");
    }
    let other = QNetwork::new(&Scope::new(&device), &[2], 2, &QNetworkOptions::dense(&[4])).unwrap();
    let update = TargetUpdate::Soft { tau: 0.5 };
    assert!(matches!(TargetNetwork::new(other, &net, update), Err(Error::IncompatibleKeys { .. })));
}

#[test]
fn networks_refuse_observations_that_do_not_fit() {
    let scope = Scope::new(&Device::reference());
    let error = |shape: &[usize], actions: usize| {
        QNetwork::new(&scope, shape, actions, &QNetworkOptions::default()).err().unwrap().to_string()
    };
    assert!(error(&[4], 2).contains("convolutions take pictures [C, H, W]; observations are [4]"));
    assert!(
        error(&[4, 40, 30], 2).contains("size 3 and stride 1 over 3 x 2, which are left of observations [4, 40, 30]")
    );
    assert!(error(&[4, 84, 84], 0).contains("no actions"));
    // The paper's network has 1,693,362 parameters for 18 actions.
    let net = QNetwork::new(&scope, &[4, 84, 84], 18, &QNetworkOptions::default()).unwrap();
    assert_eq!(net.parameters().iter().map(|p| p.value().numel()).sum::<usize>(), 1_693_362);
}

/// Gym's `CartPole-v1` in double precision: a state, and the states after pushes to the right and to the left.
#[test]
fn a_pole_moves_by_gyms_equations() {
    let pushes: [(usize, [f64; 4]); 7] = [
        (1, [0.029_6, 0.174_526_146_641_639_8, 0.039_8, -0.289_798_955_458_142_8]),
        (1, [0.033_090_522_932_832_794, 0.369_058_634_894_057_55, 0.034_004_020_890_837_14, -0.569_668_496_860_634_3]),
        (0, [0.040_471_695_630_713_95, 0.173_476_696_827_295_44, 0.022_610_650_953_624_46, -0.266_469_927_394_036_6]),
        (1, [0.043_941_229_567_259_855, 0.368_268_769_413_133_2, 0.017_281_252_405_743_727, -0.551_936_385_126_740_6]),
        (0, [0.051_306_604_955_522_52, 0.172_908_433_437_011, 0.006_242_524_703_208_916, -0.253_859_201_801_640_5]),
        (
            0,
            [
                0.054_764_773_624_262_74,
                -0.022_302_093_298_816_55,
                0.001_165_340_667_176_105_1,
                0.040_786_173_277_326_976,
            ],
        ),
        (
            0,
            [
                0.054_318_731_758_286_41,
                -0.217_440_735_912_087_62,
                0.001_981_064_132_722_644_8,
                0.333_836_548_524_391_43,
            ],
        ),
    ];
    let mut pole = CartPole::new(0);
    pole.reset_to([0.03, -0.02, 0.04, -0.01]);
    for (action, expected) in pushes {
        let step = pole.step(action).unwrap();
        for (got, expected) in step.observation.iter().zip(expected) {
            assert!((f64::from(*got) - expected).abs() <= 1e-7 * expected.abs(), "{got}, not {expected}");
        }
        assert_eq!((step.reward, step.terminated, step.truncated), (1.0, false, false));
    }
    for (state, action, ends) in [
        ([2.39, 0.6, 0.0, 0.0], 1, true),
        ([2.38, 0.6, 0.0, 0.0], 1, false),
        ([-2.39, -0.6, 0.0, 0.0], 0, true),
        ([0.0, 0.0, 0.2, 0.5], 1, true),
        ([0.0, 0.0, -0.2, -0.5], 1, true),
        ([0.0, 0.0, 0.2, 0.4], 1, false),
    ] {
        pole.reset_to(state);
        assert_eq!(pole.step(action).unwrap().terminated, ends, "{state:?}");
        assert_eq!(pole.step(action).is_err(), ends, "{state:?}");
    }
    // Pushed to one side from the middle, the pole has fallen after 9 steps.
    pole.reset_to([0.0; 4]);
    let lived = (1..).find(|_| pole.step(1).unwrap().terminated).unwrap();
    assert_eq!(lived, 9);
}

#[test]
fn an_episode_is_broken_off() {
    let mut pole = CartPole::new(3).most_steps(5);
    assert!(pole.step(0).is_err());
    let first = pole.reset();
    let ends: Vec<bool> = (0..5).map(|at| pole.step(at % 2).unwrap().truncated).collect();
    assert_eq!(ends, [false, false, false, false, true]);
    assert!(pole.step(0).is_err());
    assert_ne!(pole.reset(), first);
    assert!(pole.step(2).unwrap_err().to_string().contains("action 2 of 2"));
    assert_eq!(CartPole::new(3).reset(), first);
    assert_ne!(CartPole::new(4).reset(), first);
    // Initial states fill the cube of 0.05 around the middle.
    let states: Vec<f32> = (0..200).flat_map(|_| pole.reset()).collect();
    let bound = |fold: fn(f32, f32) -> f32| states.iter().copied().reduce(fold).unwrap();
    assert!(bound(f32::max) <= 0.05 && bound(f32::max) > 0.045 && bound(f32::min) >= -0.05 && bound(f32::min) < -0.045);
}

/// The value of each free cell under the best moves, by value iteration over a map (Sutton and Barto, chapter 4).
fn best_values(map: &[&str], step_reward: f64, goal_reward: f64) -> BTreeMap<[usize; 2], f64> {
    let at = |row: isize, column: isize| {
        let row = map.get(usize::try_from(row).ok()?)?;
        row.as_bytes().get(usize::try_from(column).ok()?).copied()
    };
    let mut values = BTreeMap::new();
    for _ in 0..100 {
        for row in 0..map.len() as isize {
            for column in 0..map[0].len() as isize {
                if at(row, column) != Some(b'.') {
                    continue;
                }
                let place = |row: isize, column: isize| [row as usize, column as usize];
                let of = |[down, right]: [isize; 2]| match at(row + down, column + right) {
                    Some(b'G') => goal_reward,
                    Some(b'P') => -goal_reward,
                    None | Some(b'#') => values.get(&place(row, column)).copied().unwrap_or(-1e9),
                    _ => values.get(&place(row + down, column + right)).copied().unwrap_or(-1e9),
                };
                let best = [[0, 1], [1, 0], [0, -1], [-1, 0]].map(of).into_iter().fold(f64::MIN, f64::max);
                values.insert(place(row, column), step_reward + best);
            }
        }
    }
    values
}

/// The return of the path that always moves to the best cell, from a start.
fn best_return(world: &mut GridWorld, from: [usize; 2], values: &BTreeMap<[usize; 2], f64>) -> f64 {
    let mut sum = 0.0;
    world.reset_to(from).unwrap();
    loop {
        // Tries each move in a copy, and takes the best one.
        let tried = (0..4).map(|action| {
            let mut copy = world.clone();
            let step = copy.step(action).unwrap();
            let [_, height, width] = world.observation_shape()[..] else { unreachable!() };
            let agent = step.observation[3 * height * width..].iter().position(|&one| one == 1.0).unwrap();
            let next = [agent / width, agent % width];
            (f64::from(step.reward) + if step.terminated { 0.0 } else { values[&next] }, copy, step)
        });
        let (_, copy, step) = tried.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        (*world, sum) = (copy, sum + f64::from(step.reward));
        assert!(!step.truncated, "{from:?}");
        if step.terminated {
            return sum;
        }
    }
}

#[test]
fn the_best_way_through_a_grid_is_the_textbooks() {
    // Sutton and Barto, example 4.1: two opposite corners end the episode, and each step costs 1. The values of the best policy
    // are the distances to the nearer corner.
    let map = ["G...", "....", "....", "...G"];
    let mut world = GridWorld::new(&map, 0).unwrap().step_reward(-1.0).goal_reward(0.0);
    let values = best_values(&map, -1.0, 0.0);
    let distance = |[row, column]: [usize; 2]| (row + column).min(6 - row - column) as f64;
    assert_eq!(values.len(), 14);
    for (&cell, &value) in &values {
        assert_eq!(value, -distance(cell), "{cell:?}");
        assert_eq!(best_return(&mut world, cell, &values), value, "{cell:?}");
    }
    // Walls are avoided, and pits too.
    let map = ["..#.G", ".P#.P", ".....", "##.#."];
    let mut world = GridWorld::new(&map, 0).unwrap();
    let values = best_values(&map, -0.01, 1.0);
    for (&cell, &value) in &values {
        assert!((best_return(&mut world, cell, &values) - value).abs() < 1e-6, "{cell:?}");
    }
    assert!((values[&[0, 0]] - (1.0 - 0.08)).abs() < 1e-12);
}

#[test]
fn a_grid_is_seen_as_a_picture() -> Result<()> {
    let mut world = GridWorld::new(&["G.", "#P"], 5)?.most_steps(3);
    let planes = [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]];
    let picture: Vec<f32> = planes.concat().into_iter().map(|bit: u8| f32::from(bit)).collect();
    assert_eq!((world.observation_shape(), world.reset()), (vec![4, 2, 2], picture));
    // The one free cell has the edge of the world above and to its right.
    for action in [0, 1] {
        let step = world.step(action)?;
        assert_eq!((step.reward, step.terminated, step.truncated), (-0.01, false, false));
    }
    let step = world.step(0)?;
    assert_eq!((step.terminated, step.truncated), (false, true));
    assert!(world.step(0).is_err());
    for (action, reward) in [(2, -1.01), (3, 0.99)] {
        world.reset_to([0, 1])?;
        let step = world.step(action)?;
        assert_eq!((step.reward, step.terminated), (reward, true));
    }
    assert!(world.reset_to([1, 0]).is_err() && world.reset_to([0, 2]).is_err());
    for map in [&["G", "G"][..], &["..", "."], &["..", ".."], &["G.x"]] {
        assert!(matches!(GridWorld::new(map, 0), Err(Error::Invalid { .. })), "{map:?}");
    }
    // Episodes begin everywhere.
    let mut world = GridWorld::new(&["G..", "..."], 1)?;
    let mut begun: Vec<Vec<u8>> = (0..60).map(|_| world.reset().iter().map(|&bit| bit as u8).collect()).collect();
    begun.sort();
    begun.dedup();
    assert_eq!(begun.len(), 5);
    Ok(())
}

/// Steps that are numbered from `first` on, in observations of two numbers.
fn numbered(first: usize, count: usize) -> Experience {
    let numbers = first..first + count;
    Experience {
        observations: numbers.clone().flat_map(|n| [n as f32, -(n as f32)]).collect(),
        actions: numbers.clone().map(|n| n as i32).collect(),
        rewards: numbers.clone().map(|n| 0.5 * n as f32).collect(),
        next_observations: numbers.clone().flat_map(|n| [n as f32 + 0.25, 0.0]).collect(),
        terminated: numbers.map(|n| n % 3 == 0).collect(),
    }
}

/// The numbers of steps, which all parts must agree about.
fn numbers_of(steps: &Transitions) -> Vec<usize> {
    let numbers: Vec<usize> = steps.actions.to_vec::<i32>().unwrap().into_iter().map(|n| n as usize).collect();
    let expected = numbers.iter().map(|&n| numbered(n, 1));
    let all = |part: fn(&Experience) -> Vec<f32>| expected.clone().flat_map(|step| part(&step)).collect::<Vec<f32>>();
    let read = |tensor: &Tensor| tensor.to_vec::<f32>().unwrap();
    assert_eq!(read(&steps.observations), all(|step| step.observations.clone()));
    assert_eq!(read(&steps.rewards), all(|step| step.rewards.clone()));
    assert_eq!(read(&steps.next_observations), all(|step| step.next_observations.clone()));
    assert_eq!(read(&steps.terminated), all(|step| vec![f32::from(u8::from(step.terminated[0]))]));
    numbers
}

#[test]
fn the_newest_steps_take_the_places_of_the_oldest() {
    for device in [Some(Device::reference()), adapter()].into_iter().flatten() {
        let mut memory = ReplayMemory::new(&device, 10, &[2]).unwrap();
        assert!(memory.is_empty() && memory.sample(1).is_err());
        let (mut pushed, mut next) = (Vec::new(), 0);
        for count in [3, 4, 1, 5, 0, 10, 7, 2] {
            memory.push(&numbered(next, count)).unwrap();
            pushed.extend(next..next + count);
            next += count;
            let kept = &pushed[pushed.len().saturating_sub(10)..];
            assert_eq!((memory.len(), numbers_of(&memory.all().unwrap())), (kept.len(), kept.to_vec()));
            let drawn = numbers_of(&memory.sample(40).unwrap());
            assert!(drawn.iter().all(|number| kept.contains(number)), "{drawn:?} of {kept:?}");
        }
        // Each of ten is drawn 200 times of 2000, give or take 13.
        let mut counts = [0; 10];
        numbers_of(&memory.sample(2000).unwrap()).into_iter().for_each(|number| counts[number - (next - 10)] += 1);
        assert!(counts.iter().all(|&count| (130..270).contains(&count)), "{counts:?}");
        assert!(memory.push(&numbered(0, 11)).unwrap_err().to_string().contains("11 steps at once into 10 rows"));
        let torn = Experience { rewards: vec![0.0], ..numbered(0, 2) };
        assert!(matches!(memory.push(&torn), Err(Error::Invalid { .. })));
        assert!(matches!(ReplayMemory::new(&device, 0, &[2]), Err(Error::Invalid { .. })));
    }
}

/// From the second round on, pushes and draws make no new plan, wherever they are in the ring buffer.
#[test]
fn pushes_and_draws_are_planned_once() {
    let Some(device) = own_adapter() else { return };
    let mut memory = ReplayMemory::new(&device, 32, &[2]).unwrap();
    let mut plans = Vec::new();
    for round in 0..12 {
        memory.push(&numbered(4 * round, 4)).unwrap();
        memory.sample(8).unwrap().rewards.to_vec::<f32>().unwrap();
        plans.push(device.stats().plans);
    }
    assert_eq!(plans[3], plans[11], "{plans:?}");
}

/// A world that counts its steps: episodes of 3 steps, whose rewards are the actions.
struct Counting {
    at: usize,
    episodes: usize,
}

impl Environment for Counting {
    fn observation_shape(&self) -> Vec<usize> {
        vec![2]
    }
    fn actions(&self) -> usize {
        4
    }
    fn reset(&mut self) -> Vec<f32> {
        self.episodes += 1;
        self.at = 0;
        vec![0.0, self.episodes as f32]
    }
    fn step(&mut self, action: usize) -> Result<Step> {
        self.at += 1;
        let (terminated, truncated) = (self.at == 3 && action != 2, self.at == 3 && action == 2);
        Ok(Step {
            observation: vec![self.at as f32, self.episodes as f32],
            reward: action as f32,
            terminated,
            truncated,
        })
    }
}

#[test]
fn episodes_follow_each_other() {
    let device = Device::reference();
    let mut worlds = VectorEnvironment::new((0..2).map(|_| Counting { at: 0, episodes: 0 }).collect()).unwrap();
    let mut seen = Vec::new();
    for actions in [[0, 1], [1, 1], [3, 2], [0, 0]] {
        let before = worlds.observations(&device).unwrap().to_vec::<f32>().unwrap();
        let experience = worlds.step(&actions).unwrap();
        assert_eq!(experience.observations, before);
        assert_eq!(experience.actions, actions.map(|action| action as i32));
        assert_eq!(experience.rewards, actions.map(|action| action as f32));
        seen.push((experience.next_observations, experience.terminated));
    }
    // The last state of an episode is its own, and an episode that was broken off has not ended.
    assert_eq!(seen[2], (vec![3.0, 1.0, 3.0, 1.0], vec![true, false]));
    assert_eq!(seen[3], (vec![1.0, 2.0, 1.0, 2.0], vec![false, false]));
    assert_eq!((worlds.finished(), worlds.finished()), (vec![4.0, 4.0], vec![]));
    assert!(worlds.step(&[0]).unwrap_err().to_string().contains("1 actions for 2 environments"));
    assert!(VectorEnvironment::<Counting>::new(Vec::new()).is_err());
}

#[test]
fn one_action_in_so_many_is_random() {
    let device = Device::reference();
    let best = |at: usize| (0..4).map(move |action| if action == at % 4 { 1.0f32 } else { 0.0 });
    let values = Tensor::from_slice(&device, &(0..500).flat_map(best).collect::<Vec<f32>>(), &[500, 4]).unwrap();
    let mut explorer = EpsilonGreedy::new(2);
    for (epsilon, range) in [(0.0, 0..=0), (0.4, 110..=190), (1.0, 335..=415)] {
        let chosen = explorer.choose(&values, epsilon).unwrap();
        // A quarter of the random actions are the best ones.
        let others = chosen.iter().enumerate().filter(|&(at, &action)| action != at % 4).count();
        assert!(range.contains(&others), "{others} at {epsilon}");
    }
    assert_ne!(explorer.choose(&values, 1.0).unwrap(), explorer.choose(&values, 1.0).unwrap());
    let schedule = LinearSchedule { start: 0.9, end: 0.1, steps: 0 };
    assert_eq!(schedule.at(0), 0.1);
}

#[test]
fn the_best_actions_are_played() {
    let device = Device::reference();
    let net = QNetwork::new(&Scope::new(&device), &[2], 4, &QNetworkOptions::dense(&[])).unwrap();
    // Action 1 is worth most at first, and action 3 from the second step on.
    let weight = Tensor::from_slice(&device, &[0.0f32, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0], &[4, 2]).unwrap();
    let bias = Tensor::from_slice(&device, &[0.0f32, 0.5, 0.0, 0.0], &[4]).unwrap();
    net.parameters()[0].assign(&weight).unwrap();
    net.parameters()[1].assign(&bias).unwrap();
    let mut worlds = [Counting { at: 0, episodes: 0 }, Counting { at: 0, episodes: 0 }];
    assert_eq!(play(&net, &device, &mut worlds).unwrap(), [7.0, 7.0]);
    assert!(play::<Counting>(&net, &device, &mut []).is_err());
}
