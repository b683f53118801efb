//! Muon against PyTorch 2.15 in double precision, with its Newton-Schulz iteration in double precision too:
//!
//! ```python
//! def run(shape, **options):
//!     n = math.prod(shape)
//!     ps = [torch.tensor([math.sin(1.3 * i + k) for i in range(n)]).reshape(shape[0], -1).requires_grad_() for k in range(2)]
//!     ps.append(torch.tensor([math.cos(0.7 * i) for i in range(10)]).reshape(5, 2).requires_grad_())
//!     o = Muon(ps, **options)
//!     for s in range(3):
//!         o.zero_grad()
//!         sum((p ** 3).sum() / 3 * (s + 1) + (p * torch.arange(p.numel()).reshape(p.shape) * 0.1).sum() for p in ps).backward()
//!         o.step()
//!     print([float(f'{x:.9g}') for p in ps for x in p.flatten().tolist()])
//! ```

use crate::common::own_adapter;
use wgrad::optim::{AdjustLr, Muon, MuonOptions, Optimizer};
use wgrad::{Device, Parameter, Result, Tensor};

#[rustfmt::skip]
fn cases() -> [(MuonOptions, [f64; 34]); 3] {
    let muon = MuonOptions::default();
    [
        (muon.lr(0.1), [0.0973785203, 0.772918218, 0.504897883, -0.733721836, -1.05035357, 0.243776039, 0.830834051, 0.318654982, -0.906375965, -0.814265201, 0.406107449, 0.815790386, 0.744466394, 0.679339176, -0.362587185, -1.15684638, 0.00297655176, 0.758262805, 0.533914338, -0.666176299, -1.05382966, 0.164215752, 0.785413295, 0.37249801, 0.77206277, 0.757220945, 0.261475, -0.654239977, -1.07757006, -1.03106063, -0.6420595, 0.208308581, 0.71600156, 0.724353887]),
        (muon.lr(0.05).momentum(0.5).nesterov(false).weight_decay(0.5).adjust_lr_fn(AdjustLr::MatchRmsAdamw).ns_steps(3), [0.0257335866, 0.848932481, 0.478310479, -0.653500475, -0.863355766, 0.209577289, 0.892311671, 0.300460161, -0.789376484, -0.722049031, 0.389417182, 0.881127232, 0.761769294, 0.679670392, -0.395642237, -0.955558454, -0.0550612136, 0.83020587, 0.534661098, -0.592414138, -0.888216876, 0.130684319, 0.874069903, 0.366581543, 0.887878476, 0.720104935, 0.170913561, -0.489675884, -0.895192575, -0.883849897, -0.476530148, 0.175996463, 0.719654645, 0.885096407]),
        (muon.lr(0.05).adjust_lr_fn(AdjustLr::SpectralUnclamped), [0.0284209573, 0.897742001, 0.507369661, -0.697108293, -0.922616024, 0.222177057, 0.943145149, 0.318016755, -0.843392057, -0.771385846, 0.411700425, 0.930416753, 0.806755169, 0.720501749, -0.418419276, -1.02288785, -0.0556069997, 0.87625462, 0.566745713, -0.632052494, -0.950140926, 0.139709381, 0.92185695, 0.388864392, 0.864733498, 0.777223898, 0.214742134, -0.576436308, -1.00815776, -0.981839459, -0.563411053, 0.195477997, 0.755916785, 0.847796776]),
    ]
}

fn run(device: &Device, options: MuonOptions) -> Result<Vec<f64>> {
    let sine = |k: usize| (0..12).map(|i| (1.3 * i as f64 + k as f64).sin()).collect::<Vec<f64>>();
    let cosine: Vec<f64> = (0..10).map(|i| (0.7 * i as f64).cos()).collect();
    let starts = [(sine(0), &[2, 3, 1, 2][..]), (sine(1), &[2, 3, 1, 2]), (cosine, &[5, 2])];
    let start = |(at, (values, shape)): (usize, &(Vec<f64>, &[usize]))| {
        Ok(Parameter::new(format!("p{at}"), &Tensor::from_f64(device, values, shape)?))
    };
    let all = starts.iter().enumerate().map(start).collect::<Result<Vec<Parameter>>>()?;
    let mut muon = Muon::new(all.clone(), options)?;
    for step in 0..3 {
        for (parameter, (_, shape)) in all.iter().zip(&starts) {
            let p = parameter.value();
            let cubes = p.mul(&p)?.mul(&p)?.sum_all()?.mul_scalar((step + 1) as f32 / 3.0)?;
            let places: Vec<f32> = (0..p.numel()).map(|i| i as f32 * 0.1).collect();
            let places = Tensor::from_slice(device, &places, shape)?;
            cubes.add(&p.mul(&places)?.sum_all()?)?.backward()?;
        }
        muon.step()?;
        muon.zero_grad();
    }
    Ok(all.iter().map(|p| p.value().to_f64()).collect::<Result<Vec<_>>>()?.concat())
}

#[test]
fn muon_is_pytorchs() {
    for device in [Some(Device::reference()), own_adapter()].into_iter().flatten() {
        for (at, (options, expected)) in cases().iter().enumerate() {
            let got = run(&device, *options).unwrap();
            for (got, expected) in got.iter().zip(expected) {
                let is_near = (got - expected).abs() <= 1e-5 * expected.abs().max(1.0);
                assert!(is_near, "case {at} on {}: {got} != {expected}", device.name());
            }
        }
    }
}

#[test]
fn what_is_no_matrix_is_refused() {
    let device = Device::reference();
    let bias = Parameter::new("fc.bias", &Tensor::ones(&device, &[3]).unwrap());
    let error = Muon::new(vec![bias], MuonOptions::default()).err().expect("an error").to_string();
    assert!(error.contains("fc.bias is [3] and no matrix"), "{error}");
}
