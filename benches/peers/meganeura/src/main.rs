//! The work list in meganeura, on blade's Vulkan, as far as meganeura has the operations.

#[path = "../../protocol.rs"]
mod protocol;

use meganeura::graph::Op;
use meganeura::{Graph, Mode, NodeId, Session, SessionConfig, build};
use protocol::{Bench, Work};
use std::cell::RefCell;
use std::rc::Rc;

fn main() {
    let bench = Bench::new("meganeura");
    for size in [256, 512, 1024] {
        bench.item(&format!("matmul_{size}"), || {
            inference(|g| {
                let (a, b) = (g.input("a", &[size, size]), g.parameter("b", &[size, size]));
                g.matmul(a, b)
            })
        });
    }
    for (name, outputs, kernel, stride, padding) in
        [("conv3x3_stride1", 64, 3, 1, 1), ("conv3x3_stride2", 128, 3, 2, 1), ("conv1x1", 256, 1, 1, 0)]
    {
        bench.item(name, || {
            inference(|g| {
                let x = g.input("x", &[16 * 64 * 32 * 32]);
                let w = g.parameter("w", &[outputs as usize * 64 * (kernel * kernel) as usize]);
                g.conv2d(x, w, 16, 64, 32, 32, outputs, kernel, kernel, stride, padding)
            })
        });
    }
    bench.item("conv3x3_depthwise", || {
        inference(|g| {
            let (x, w) = (g.input("x", &[16 * 64 * 32 * 32]), g.parameter("w", &[64 * 3 * 3]));
            g.conv2d_dw(x, w, 16, 64, 32, 32, 3, 3, 1, 1, 1)
        })
    });
    bench.unsupported("conv3x3_dilation2", "no dilation");
    bench.item("max_pool2x2", || {
        inference(|g| {
            let x = g.input("x", &[16 * 64 * 32 * 32]);
            g.max_pool_2d(x, 16, 64, 32, 32, 2, 2, 2, 0)
        })
    });
    bench.item("softmax", || {
        inference(|g| {
            let x = g.input("x", &[1024, 1000]);
            g.softmax(x)
        })
    });
    bench.item("layer_norm", || {
        inference(|g| {
            let x = g.input("x", &[1024, 1000]);
            let (weight, bias) = (g.parameter("weight", &[1000]), g.parameter("bias", &[1000]));
            g.layer_norm(x, weight, bias, 1e-5)
        })
    });
    bench.unsupported("batch_norm", "no batch normalization by the batch's statistics");
    bench.item("relu_mul_add", || {
        inference(|g| {
            let [a, b, c] = ["a", "b", "c"].map(|name| g.input(name, &[2048 * 2048]));
            let product = g.mul(a, b);
            let sum = g.add(product, c);
            g.relu(sum)
        })
    });
    bench.item("lenet5_step", || training([64, 1, 28, 28], lenet5));
    bench.item("cifar_cnn_step", || training([64, 3, 32, 32], cifar_cnn));
    bench.unsupported("resnet18_step", "no batch normalization by the batch's statistics");
}

/// Values in a graph, `[N, C, H, W]` with its sizes.
#[derive(Clone, Copy)]
struct Images {
    node: NodeId,
    sizes: [u32; 4],
}

/// A convolution with bias, ReLU after it.
fn conv_relu(g: &mut Graph, name: &str, x: Images, outputs: u32, kernel: u32, padding: u32) -> Images {
    let [n, c, h, w] = x.sizes;
    let weight = g.parameter(&format!("{name}.weight"), &[(outputs * c * kernel * kernel) as usize]);
    let bias = g.parameter(&format!("{name}.bias"), &[outputs as usize]);
    let y = g.conv2d(x.node, weight, n, c, h, w, outputs, kernel, kernel, 1, padding);
    let [h, w] = [h, w].map(|size| size + 2 * padding - kernel + 1);
    let y = g.add_per_channel(y, bias, outputs, h * w);
    Images { node: g.relu(y), sizes: [n, outputs, h, w] }
}

fn pool(g: &mut Graph, x: Images) -> Images {
    let [n, c, h, w] = x.sizes;
    Images { node: g.max_pool_2d(x.node, n, c, h, w, 2, 2, 2, 0), sizes: [n, c, h / 2, w / 2] }
}

fn flatten(g: &mut Graph, x: Images) -> NodeId {
    let [n, c, h, w] = x.sizes.map(|size| size as usize);
    g.reshape(x.node, &[n, c * h * w])
}

fn linear(g: &mut Graph, name: &str, x: NodeId, inputs: usize, outputs: usize) -> NodeId {
    let weight = g.parameter(&format!("{name}.weight"), &[inputs, outputs]);
    let bias = g.parameter(&format!("{name}.bias"), &[outputs]);
    let y = g.matmul(x, weight);
    g.bias_add(y, bias)
}

fn lenet5(g: &mut Graph, images: Images) -> NodeId {
    let x = conv_relu(g, "conv1", images, 6, 5, 2);
    let x = pool(g, x);
    let x = conv_relu(g, "conv2", x, 16, 5, 0);
    let x = pool(g, x);
    let x = flatten(g, x);
    let x = linear(g, "fc1", x, 400, 120);
    let x = g.relu(x);
    let x = linear(g, "fc2", x, 120, 84);
    let x = g.relu(x);
    linear(g, "fc3", x, 84, 10)
}

fn cifar_cnn(g: &mut Graph, images: Images) -> NodeId {
    let x = conv_relu(g, "conv1", images, 32, 3, 1);
    let x = conv_relu(g, "conv2", x, 32, 3, 1);
    let x = pool(g, x);
    let x = conv_relu(g, "conv3", x, 64, 3, 1);
    let x = conv_relu(g, "conv4", x, 64, 3, 1);
    let x = pool(g, x);
    let x = flatten(g, x);
    let x = linear(g, "fc1", x, 64 * 8 * 8, 512);
    let x = g.relu(x);
    linear(g, "fc2", x, 512, 10)
}

/// Runs a graph forward, its inputs and parameters random.
fn inference(define: impl FnOnce(&mut Graph) -> NodeId) -> Work {
    let mut graph = Graph::new();
    let output = define(&mut graph);
    graph.set_outputs(vec![output]);
    let mut session = build(&graph, SessionConfig { mode: Mode::Inference, ..SessionConfig::default() }).0;
    set_parameters(&mut session, 1.0);
    for node in graph.nodes() {
        if let Op::Input { name } = &node.op {
            session.set_input(name, &noise(node.ty.num_elements(), 1.0));
        }
    }
    work(session)
}

/// A training step on a batch that stays on the device: forward, cross entropy, backward, Adam.
fn training(sizes: [u32; 4], network: impl FnOnce(&mut Graph, Images) -> NodeId) -> Work {
    let batch = sizes[0] as usize;
    let pixels = sizes.iter().product::<u32>() as usize;
    let mut graph = Graph::new();
    let images = Images { node: graph.input("images", &[pixels]), sizes };
    let labels = graph.input("labels", &[batch, 10]);
    let logits = network(&mut graph, images);
    let loss = graph.cross_entropy_loss(logits, labels);
    graph.set_outputs(vec![loss]);
    let mut session = build(&graph, SessionConfig::default()).0;
    set_parameters(&mut session, 0.05);
    session.set_input("images", &noise(pixels, 1.0));
    let one_hot: Vec<f32> = (0..batch * 10).map(|at| f32::from(at % 10 == at / 10 % 10)).collect();
    session.set_input("labels", &one_hot);
    session.set_adam(1e-3, 0.9, 0.999, 1e-8);
    work(session)
}

fn set_parameters(session: &mut Session, scale: f32) {
    let names: Vec<String> = session.param_names().into_iter().map(str::to_string).collect();
    for name in names {
        let count = session.param_size(&name).expect("a parameter has a size");
        session.set_parameter(&name, &noise(count, scale));
    }
}

/// Numbers within `scale` of 0, from a linear congruential generator.
fn noise(count: usize, scale: f32) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next() * scale).collect()
}

fn work(session: Session) -> Work {
    let session = Rc::new(RefCell::new(session));
    let (waiting, counting) = (session.clone(), session.clone());
    Work {
        call: Box::new(move || session.borrow_mut().step()),
        sync: Box::new(move || waiting.borrow_mut().wait()),
        max_bytes: Box::new(move || Some(counting.borrow().memory_summary().total_allocated_bytes() as u64)),
    }
}
