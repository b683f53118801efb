#!/usr/bin/env python3
"""Runs the work list in wgrad and in its peers, alternating on this machine, and prints times and ratios.

Every program makes a work item ready (first call, warm-up) and then waits; the timed runs go round: ours, a peer, the
next peer, ours again. A peer that is missing, does not build or crashes is left out, with a word about it.
"""

import argparse
import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
OURS = "wgrad"
PEERS = ["burn", "meganeura", "pytorch"]
ITEMS = [
    "matmul_256",
    "matmul_512",
    "matmul_1024",
    "conv3x3_stride1",
    "conv3x3_stride2",
    "conv1x1",
    "conv3x3_depthwise",
    "conv3x3_dilation2",
    "max_pool2x2",
    "softmax",
    "layer_norm",
    "batch_norm",
    "relu_mul_add",
    "lenet5_step",
    "cifar_cnn_step",
]
# Takes too long on a CPU to run unless the filter asks for it.
LONG_ITEMS = ["resnet18_step"]


class Failed(Exception):
    """Why a program did not do what it was asked."""


def build(peer):
    """The command that runs a Rust program, built if need be."""
    cargo = ["cargo", "build", "--release", "--message-format=json-render-diagnostics"]
    try:
        built = subprocess.run(cargo, cwd=HERE / peer, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError as error:
        raise Failed("there is no cargo") from error
    if built.returncode:
        raise Failed("it does not build; the errors are above")
    lines = (json.loads(line) for line in built.stdout.splitlines())
    return [next(line["executable"] for line in lines if line.get("executable"))]


def check_pytorch(python):
    """The command that runs the PyTorch program."""
    try:
        works = subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 0
    except FileNotFoundError as error:
        raise Failed(f"there is no {python}") from error
    if not works:
        raise Failed(f"{python} has no torch: `{python} -m pip install torch`, or name another with PYTHON=..")
    return [python, str(HERE / "pytorch" / "peer.py")]


class Program:
    """A program that works on one item; its folder and its caches are new, so that its first call is a cold one."""

    def __init__(self, command, item, runs, timeout):
        self.timeout = timeout
        self.folder = tempfile.TemporaryDirectory(prefix="peer-")
        caches = ["XDG_CACHE_HOME", "MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH", "CUDA_CACHE_PATH"]
        self.log = open(pathlib.Path(self.folder.name) / "stderr", "w+")
        self.process = subprocess.Popen(
            [*command, "--filter", item, "--runs", str(runs), "--paced"],
            cwd=self.folder.name,
            env={**os.environ, **dict.fromkeys(caches, self.folder.name)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        self.rest = b""
        self.result = None
        self.cpu_seconds = []

    def go(self):
        """Lets it do one run; whether it waits for another afterwards."""
        before = self.cpu_time()
        try:
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # why it ended is what `work` finds out
        waits = self.work()
        if waits and before is not None:
            self.cpu_seconds.append(self.cpu_time() - before)
        elif self.cpu_seconds:
            mean = sum(self.cpu_seconds) / len(self.cpu_seconds)
            self.result["cpu_ms"] = round(mean * 1e3 / self.result["calls"], 4)
        return waits

    def cpu_time(self):
        """Seconds of processor time all its threads have taken; nothing where there is no /proc."""
        try:
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def work(self):
        """Lets it work until it is ready for a run (True) or has reported (False)."""
        deadline = time.monotonic() + self.timeout
        while True:
            line = self.line(deadline)
            if line == "ready":
                return True
            if line.startswith("{"):
                self.result = json.loads(line)
                return False

    def line(self, deadline):
        """The next line of its output."""
        while b"\n" not in self.rest:
            if not select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Failed(f"no answer for {self.timeout} s")
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                raise Failed(self.last_words())
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace").strip()

    def last_words(self):
        """How it ended, and the most telling line of its standard error: that of a panic, or else the last one."""
        code = self.process.wait()
        self.log.seek(0)
        lines = [line.strip() for line in self.log if line.strip()]
        panics = [" ".join(lines[at : at + 2]) for at, line in enumerate(lines) if "panicked at" in line]
        return f"ended with {code}: {(panics or lines[-1:] or ['without a word'])[0]}"

    def end(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        self.folder.cleanup()


def alternate(commands, item, runs, timeout):
    """The reports of all programs on an item; of those that fail, why."""
    programs, reports = {}, {}

    def attempt(peer, action):
        """Whether the program waits for a run after it did its part."""
        try:
            if action():
                return True
            reports[peer] = programs[peer].result
        except Failed as error:
            reports[peer] = {"peer": peer, "name": item, "failed": str(error)}
        programs.pop(peer).end()
        return False

    try:
        for peer, command in commands.items():
            programs[peer] = Program(command, item, runs, timeout)
            attempt(peer, programs[peer].work)
        while programs:
            for peer in list(programs):
                attempt(peer, programs[peer].go)
    finally:
        for program in programs.values():
            program.end()
    return {peer: reports[peer] for peer in commands}


def milliseconds(value):
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def show(item, reports, what):
    """The item's line of the table: times (`what` says which), and theirs divided by ours."""
    cells = [f"{item:18}"]
    ours = reports.get(OURS, {}).get(what)
    for report in reports.values():
        if what in report:
            ratio = f" ({report[what] / ours:.2f}x)" if ours and report["peer"] != OURS else ""
            first = report["start_ms" if item.endswith("_step") else "first_ms"]
            cells.append(f"{milliseconds(report[what]) + ratio:>18} {milliseconds(first):>9}")
        else:
            cells.append(f"{'none' if 'unsupported' in report else 'failed':>18} {'':9}")
    print(" ".join(cells), flush=True)
    for report in reports.values():
        why = report.get("unsupported") or report.get("failed")
        if why:
            print(f"    {report['peer']}: {why}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", help="only work items whose name contains this")
    parser.add_argument("--peers", default=",".join(PEERS), help="which of them, with commas between")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each program on each item")
    parser.add_argument("--show", choices=["median_ms", "min_ms", "cpu_ms"], default="median_ms", help="in the table")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds until a silent program is given up")
    parser.add_argument("--python", default=sys.executable, help="a Python that has torch")
    parser.add_argument("--json", type=pathlib.Path, default=HERE / "results.jsonl", help="where the reports go")
    arguments = parser.parse_args()

    items = [item for item in ITEMS + LONG_ITEMS if arguments.filter and arguments.filter in item]
    items = items if arguments.filter else ITEMS
    if not items:
        parser.error(f"no work item's name contains {arguments.filter}; there are {', '.join(ITEMS + LONG_ITEMS)}")
    names = [peer for peer in arguments.peers.split(",") if peer]
    if unknown := set(names) - set(PEERS):
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")

    commands = {}
    for peer in [OURS, *names]:
        try:
            commands[peer] = check_pytorch(arguments.python) if peer == "pytorch" else build(peer)
        except Failed as error:
            print(f"without {peer}: {error}", file=sys.stderr)
    print(f"{arguments.show} (over ours), and the first call in ms; the first step from the program's start")
    print(" ".join([f"{'':18}", *(f"{peer:>18} {'first':>9}" for peer in commands)]), flush=True)
    with arguments.json.open("w") as file:
        for item in items:
            reports = alternate(commands, item, arguments.runs, arguments.timeout)
            file.writelines(json.dumps(report) + "\n" for report in reports.values())
            file.flush()
            show(item, reports, arguments.show)
    print(f"The reports are in {arguments.json}.")


if __name__ == "__main__":
    main()
