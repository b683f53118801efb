#!/usr/bin/env python3
"""Plants bugs in kernels and gradients, one at a time, and tells which of them the tests find: `make mutants`.

Nothing is built for a mutant. Binaries hold the texts of shaders as they are, so a mutant of a text is written over it
there, in as many bytes. Mutants of Rust code are all in one build, of a copy of the sources: each function has its
mutated bodies besides its own, and `WGRAD_MUTANT` says which of them runs.

`target/mutants/results.jsonl` holds what is known; a run goes on from there. `tools/mutants/equivalent.json` lists
mutants that change nothing, and why.
"""

import argparse
import json
import mmap
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from itertools import islice
from pathlib import Path

import draw
import tests
from draw import ROOT

WORK = ROOT / "target/mutants"
TREE = WORK / "tree"
RESULTS = WORK / "results.jsonl"
REPORT = ROOT / "tools/mutants/report.md"
EQUIVALENT = ROOT / "tools/mutants/equivalent.json"

HOOK = """
/// True if this is the mutant that runs.
pub(crate) fn mutant(number: u32) -> bool {
    static ACTIVE: std::sync::OnceLock<Option<u32>> = std::sync::OnceLock::new();
    *ACTIVE.get_or_init(|| std::env::var("WGRAD_MUTANT").ok()?.parse().ok()) == Some(number)
}
"""
CARGO = ["cargo", "--config", "profile.dev.opt-level=0", "--config", 'profile.dev.package."*".opt-level=2', "test"]
# Of each kind, and how many more are drawn since they may not compile.
COUNTS = {"formula": 38, "adjoint": 54, "planner": 10, "template": 124}
SPARE = 1.8
SECONDS = 300
# A shader or a call that is refused before it runs: no mutant, since no suite is needed to see it.
REFUSED = re.compile(r"shader \w+: |Shader \{|naga|Validation Error|validation error|failed to parse")


def copy_sources():
    """A fresh copy of what cargo needs, in which files that did not change keep their age."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in listed.split("\0"):
        source, copy = ROOT / name, TREE / name
        if not source.is_file():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists() or source.stat().st_mtime > copy.stat().st_mtime:
            shutil.copyfile(source, copy)
    # Another version, so that cargo builds it beside what it tests otherwise, with the same dependencies.
    manifest = TREE / "Cargo.toml"
    write(manifest, re.sub(r'(?m)^version = "(.*)"', 'version = "\\1-mutants"', (ROOT / "Cargo.toml").read_text(), count=1))


def write(path, text):
    if path.read_text() != text:
        path.write_text(text)


def plant(mutants):
    """Writes all mutants of Rust code into the copy; `mutants` are by number."""
    by_region = {}
    for number, one in mutants.items():
        text = (ROOT / one.file).read_text()
        part = next(p for p in draw.regions(one.kind, text) if p[0] <= one.at < p[1])
        by_region.setdefault(one.file, {}).setdefault(part, []).append(number)
    for name in {str(p.relative_to(ROOT)) for kind in ("adjoint", "planner") for p in draw.files(kind)}:
        text = (ROOT / name).read_text()
        for (start, end), numbers in sorted(by_region.get(name, {}).items(), reverse=True):
            own, arms = text[start:end], ""
            for number in numbers:
                one = mutants[number]
                at = one.at - start
                changed = own[:at] + one.new + own[at + one.length :]
                arms += f"if crate::mutant({number}) {{\n{changed}\n}} else "
            text = text[:start] + f"{arms}{{\n{own}\n}}\n" + text[end:]
        write(TREE / name, text)


def cargo(*arguments):
    run = subprocess.run(
        [*CARGO, *arguments], cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "CARGO_TARGET_DIR": str(ROOT / "target")},
    )
    return run.returncode, run.stdout, run.stderr


def without_errors(mutants):
    """Plants mutants and drops those that are no programs."""
    while True:
        plant(mutants)
        code, out, err = cargo("--no-run", "--test", tests.LIKELIEST[0], "--message-format", "json")
        if code == 0:
            return mutants
        wrong = set()
        for line in out.splitlines():
            message = json.loads(line).get("message")
            if isinstance(message, dict) and message.get("level") == "error":
                for span in message["spans"]:
                    while span.get("expansion") and not span["file_name"].startswith("src/"):
                        span = span["expansion"]["span"]
                    lines = (TREE / span["file_name"]).read_text().splitlines()[: span["line_start"]]
                    found = re.findall(r"crate::mutant\((\d+)\)", "\n".join(lines))
                    wrong.update(found[-1:])
        wrong = {int(number) for number in wrong}
        if not wrong & mutants.keys():
            raise SystemExit(err[-4000:])
        print(f"{len(wrong)} of {len(mutants)} do not compile", flush=True)
        mutants = {number: one for number, one in mutants.items() if number not in wrong}


def build(names):
    """Builds test binaries and copies them, by name, to where their texts may be written over."""
    wanted = [word for name in names for word in (["--lib"] if name == "wgrad" else ["--test", name])]
    code, out, err = cargo("--no-run", *wanted, "--message-format", "json")
    if code:
        raise SystemExit(err[-4000:])
    for message in map(json.loads, out.splitlines()):
        if message.get("executable") and message["profile"]["test"]:
            copy = WORK / "bin" / message["target"]["name"]
            copy.parent.mkdir(exist_ok=True)
            copy.unlink(missing_ok=True)
            shutil.copy(message["executable"], copy)


def in_as_many_bytes(one):
    """A part of a template between its imports, or a formula, before and after: what grows is taken from its comments."""
    text = (ROOT / one.file).read_text()
    parts = draw.between_imports(text) if one.kind == "template" else draw.regions(one.kind, text)
    start, end = next(p for p in parts if p[0] <= one.at < p[1])
    before, after = text[start:end], one.applied(text)[start : end + len(one.new) - one.length]
    for line in after.splitlines():
        surplus = len(after.encode()) - len(before.encode())
        if surplus > 0 and line.lstrip().startswith("// ") and line.isascii():
            after = after.replace(line, line[: max(line.index("//") + 2, len(line) - surplus)], 1)
    before, after = before.encode(), after.encode()
    return (before, after + b" " * (len(before) - len(after))) if len(after) <= len(before) else None


def written(path, old, new):
    """A copy of a binary in which one text stands for another; None where it does not hold that text."""
    copy = path.with_suffix(".mutant")
    copy.unlink(missing_ok=True)
    shutil.copy(path, copy)
    is_there = False
    with copy.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        at = memory.find(old)
        while at >= 0:
            memory[at : at + len(old)] = new
            is_there = True
            at = memory.find(old, at + len(old))
    return copy if is_there else None


def call(binary, arguments, variables):
    """Runs a test binary: how it ended, and what it said."""
    ours = {"WGRAD_CACHE_DIR": str(WORK / "winners"), "WGRAD_TEST_BRIEF": "1"}
    environment = {**os.environ, **ours, **variables}
    process = subprocess.Popen(
        ["nice", "-n", "5", binary, *arguments], cwd=TREE, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=SECONDS)
        return ("passed" if process.returncode == 0 else "failed"), output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "did not end", ""


def spelled(binary, arguments, variables):
    return " ".join([*(f"{k}={v}" for k, v in variables.items()), binary, *arguments])


def judge(one, number, rest, passed):
    """Runs tests until one finds the mutant; not those that it has passed already."""
    began = time.time()
    texts = None if number is not None else in_as_many_bytes(one)
    if number is None and texts is None:
        return {"outcome": "refused", "by": "no room for it"}
    passed = list(passed)
    if texts:
        # Some tests read the text itself.
        source = TREE / one.file
        text = source.read_text()
        source.write_text(one.applied(text))
        try:
            return outcome(one, number, rest, passed, texts, began)
        finally:
            source.write_text(text)
    return outcome(one, number, rest, passed, texts, began)


def outcome(one, number, rest, passed, texts, began):
    """As `judge`, with the mutant in place."""
    for command in tests.commands(one, rest):
        name = spelled(*command)
        binary, arguments, variables = command
        path = WORK / "bin" / binary
        if number is None:
            path = written(path, *texts)
        else:
            variables = {**variables, "WGRAD_MUTANT": str(number)}
        if name in passed or path is None:
            continue
        ended, output = call(path, arguments, variables)
        if ended == "passed":
            passed.append(name)
            continue
        seconds = round(time.time() - began)
        if ended == "failed" and (refused := REFUSED.search(output)):
            return {"outcome": "refused", "by": refused[0], "said": output[-600:]}
        failed = re.findall(r"^test (\S+) \.\.\. FAILED", output, re.M)
        return {"outcome": "found", "by": name, "tests": failed, "ended": ended, "seconds": seconds, "passed": passed}
    if not passed:
        return {"outcome": "refused", "by": "no test runs it"}
    return {"outcome": "survived", "seconds": round(time.time() - began), "passed": passed}


def prove(judged):
    """Runs each call that found one of these mutants and passed with none, without any: it must pass."""
    passed = {name for _, result in judged for name in result.get("passed", [])}
    for one, result in judged:
        if result["outcome"] == "found" and result["by"] not in passed:
            passed.add(result["by"])
            command = next(command for command in tests.commands(one, True) if spelled(*command) == result["by"])
            ended, _ = call(WORK / "bin" / command[0], *command[1:])
            if ended != "passed":
                print(f"{ended} without a mutant: {result['by']}", flush=True)


def known_results():
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {result["key"]: result for result in map(json.loads, lines)}


def cell(text):
    return "`" + text.strip().replace("|", "\\|") + "`"


def report(results):
    """Writes the report of all that is known."""
    reasons = json.loads(EQUIVALENT.read_text())
    judged = sorted((one for one in results if one["outcome"] != "refused"), key=lambda one: (one["file"], one["line"]))
    found = [one for one in judged if one["outcome"] == "found"]
    equal = [one for one in judged if one["outcome"] == "survived" and one["key"] in reasons]
    left = [one for one in judged if one["outcome"] == "survived" and one["key"] not in reasons]
    share = 100 * len(found) / max(1, len(found) + len(left))
    text = f"""# Mutants

Made by `make mutants`: bugs planted in templates, formulas, gradients and the planner, one at a time.

{len(judged)} mutants: {len(found)} found, {len(equal)} change nothing, {len(left)} survived. Of those that change something
{share:.1f} % are found. Templates that no adapter of the suite runs have none: {", ".join(draw.APART)}.

| kind | mutants | found | change nothing | survived |
|---|---|---|---|---|
"""
    for kind in COUNTS:
        counts = [sum(one["kind"] == kind for one in ones) for ones in (judged, found, equal, left)]
        text += f"| {kind} | " + " | ".join(map(str, counts)) + " |\n"
    names = {str(path.relative_to(ROOT / "shaders")) for path in draw.files("template")}
    if rest := sorted(names - {one["file"].removeprefix("shaders/") for one in judged}):
        text += f"\nStill without a mutant: {', '.join(rest)}.\n"
    module = lambda call: (re.search(r"(\w+)::", call) or re.search(r"(\w+)$", call))[1]
    by = Counter(module(one["by"]) for one in found)
    text += "\nFound by " + ", ".join(f"{name} ({count})" for name, count in by.most_common()) + ".\n"
    last = {"Survived": lambda one: "", "Change nothing": lambda one: reasons[one["key"]],
            "Found": lambda one: f"{one['by']}, {one['seconds']} s"}
    for (title, told), ones in zip(last.items(), (left, equal, found)):
        text += f"\n## {title}\n\n| where | operator | before | after | |\n|---|---|---|---|---|\n"
        for one in ones:
            where = f"{one['file']}:{one['line']}"
            text += f"| {where} | {one['operator']} | {cell(one['before'])} | {cell(one['after'])} | {told(one)} |\n"
    REPORT.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", default="1", help="other mutants")
    parser.add_argument("--share", type=float, default=1.0, help="of the 200 mutants")
    parser.add_argument("--kind", choices=COUNTS, help="of one kind only")
    parser.add_argument("--rest", action="store_true", help="run all tests on those that survived the likeliest")
    parser.add_argument("--again", action="store_true", help="judge those that survived anew")
    options = parser.parse_args()
    os.environ.setdefault("LP_NUM_THREADS", str(2 * os.cpu_count()))
    WORK.mkdir(parents=True, exist_ok=True)
    counts = {kind: max(1, round(count * options.share)) for kind, count in COUNTS.items()}
    counts = {kind: count if options.kind in (None, kind) else 0 for kind, count in counts.items()}

    # Mutants of Rust code are numbered in the order in which they are drawn.
    drawn, numbers = {}, {}
    for kind, count in counts.items():
        stream = draw.draw(kind, options.seed)
        drawn[kind] = stream if kind == "template" else list(islice(stream, round(SPARE * count)))
    rust = dict(enumerate([*drawn["adjoint"], *drawn["planner"]], 1))
    copy_sources()
    write(TREE / "src/lib.rs", (ROOT / "src/lib.rs").read_text() + HOOK)
    compiled = without_errors(rust)
    for kind in ("adjoint", "planner"):
        drawn[kind] = [one for one in compiled.values() if one.kind == kind][: counts[kind]]
    numbers = {one.key: number for number, one in compiled.items()}
    build([*tests.LIKELIEST, *((name for name, _ in tests.REST) if options.rest else [])])

    results, judged, fresh = known_results(), [], []
    for kind, count in counts.items():
        for one in drawn[kind]:
            if sum(mutant.kind == kind for mutant, _ in judged) == count:
                break
            # One of each template comes first.
            if kind == "template" and judged and judged[-1][0].file == one.file:
                continue
            result = results.get(one.key)
            due = result is None or (result["outcome"] == "survived" and (options.again or options.rest))
            if due:
                passed = [] if options.again or result is None else result["passed"]
                result = one.told() | judge(one, numbers.get(one.key), options.rest, passed)
                fresh.append((one, result))
                with RESULTS.open("a") as file:
                    file.write(json.dumps(result) + "\n")
                print(result["outcome"], result.get("seconds", ""), result.get("by", ""), one.operator, one.key, sep=" | ", flush=True)
            if result["outcome"] != "refused":
                judged.append((one, result))
                report([*known_results().values()])
    prove(fresh)


if __name__ == "__main__":
    main()
