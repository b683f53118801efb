"""Writes `events.tfevents` with PyTorch's writer and TensorBoard's histograms, and says how TensorBoard reads a folder.

    python tests/golden/events.py                # writes the file, into this folder
    python tests/golden/events.py --read FOLDER  # prints as JSON what TensorBoard finds in a folder of event files

`tests/runs/tensorboard.rs` writes the same with wgrad. PyTorch 2.15.0, TensorBoard 2.20.0, NumPy 2.4.6.
"""

import argparse
import base64
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def write():
    import numpy as np
    import torch
    from tensorboard.plugins.histogram.summary_v2 import histogram_pb
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams

    with tempfile.TemporaryDirectory() as folder:
        writer = SummaryWriter(folder, purge_step=3)
        for step, value in enumerate([0.5, float("nan"), float("inf"), -0.0, 1e-40, 3.4e38]):
            writer.add_scalar("train/loss", value, step * 1000)
        values = np.array([-1.5, -1.0, 0.0, 0.25, 0.25, 2.5, 4.0, 6.0], dtype=np.float32)
        writer.file_writer.add_summary(histogram_pb("weights", values, buckets=5), 7)
        writer.file_writer.add_summary(histogram_pb("one", [2.5, 2.5], buckets=3), 7)
        writer.file_writer.add_summary(histogram_pb("none", [], buckets=3), 7)
        image = (torch.arange(3 * 2 * 4).reshape(3, 2, 4) * 10 + 0.5) / 255
        writer.add_image("picture", image, 9)
        writer.add_text("notes", "**bold** & <plain>, ünïcode", 10)
        for summary in hparams({"depth": 18.0, "name": "resnet"}, {"val/accuracy": 0.75, "val/loss": 1.5}):
            writer.file_writer.add_summary(summary, 11)
        writer.add_scalar("val/accuracy", 0.75, 11)
        writer.add_scalar("val/loss", 1.5, 11)
        writer.add_custom_scalars({"Loss": {"both": ["Multiline", ["train/loss", "val/loss"]]}})
        writer.close()
        (file,) = Path(folder).iterdir()
        shutil.copyfile(file, HERE / "events.tfevents")


def tags_of(accumulator, plugin):
    try:
        return accumulator.PluginTagToContent(plugin)
    except KeyError:
        return {}


def read(folder):
    from PIL import Image
    from tensorboard.backend.event_processing import data_provider, event_accumulator, plugin_event_multiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.histogram.histograms_plugin import HistogramsPlugin
    from tensorboard.plugins.hparams.metadata import parse_session_start_info_plugin_data

    accumulator = event_accumulator.EventAccumulator(folder, size_guidance=dict.fromkeys(
        ["scalars", "images", "tensors", "histograms"], 0))
    accumulator.Reload()
    # The histograms as a browser asks for them.
    multiplexer = plugin_event_multiplexer.EventMultiplexer(tensor_size_guidance={"histograms": 0})
    multiplexer.AddRun(folder, "run")
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, folder)
    plugin = HistogramsPlugin(TBContext(data_provider=provider, multiplexer=multiplexer))
    context = RequestContext()
    histograms = {}
    for tag in plugin.index_impl(context, experiment="").get("run", {}):
        events, _ = plugin.histograms_impl(context, tag, "run", experiment="")
        histograms[tag] = [[step, buckets] for _, step, buckets in events]
    images = {}
    for tag in accumulator.Tags()["images"]:
        for event in accumulator.Images(tag):
            picture = Image.open(io.BytesIO(event.encoded_image_string))
            assert picture.size == (event.width, event.height), tag
            images.setdefault(tag, []).append(
                [event.step, picture.mode, base64.b64encode(picture.tobytes()).decode()])
    texts = {
        tag: [event.tensor_proto.string_val[0].decode() for event in accumulator.Tensors(tag)]
        for tag in tags_of(accumulator, "text")
    }
    content = multiplexer.PluginRunToTagToContent("hparams").get("run", {})
    start = content.get("_hparams_/session_start_info")
    given = parse_session_start_info_plugin_data(start).hparams if start else {}
    json.dump({
        # JSON has no NaN.
        "scalars": {tag: [[e.step, repr(e.value)] for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]},
        "histograms": histograms,
        "images": images,
        "texts": texts,
        "hparams": {name: str(getattr(value, value.WhichOneof("kind"))) for name, value in sorted(given.items())},
        "layout": "custom_scalars__config__" in tags_of(accumulator, "custom_scalars"),
    }, sys.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--read", metavar="FOLDER")
    arguments = parser.parse_args()
    read(arguments.read) if arguments.read else write()
