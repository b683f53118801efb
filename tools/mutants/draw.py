"""Draws mutants: one small bug each, by named operators, the same ones for the same seed."""

import random
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Templates that no adapter of the suite runs, or whose result means nothing: SwiftShader's arithmetic, which
# `make test-swiftshader` tests, cooperative matrices, and the loop that measures how fast an adapter is.
APART = ["driver_math", "matmul_cooperative", "peak"]
# Number drawn of each part of a template between its imports, in case the first are refused.
EACH = 4
# Files of the planner that write kernels.
PLANNER = [
    "analysis/domain",
    "cluster/row_schedule",
    "codegen/access",
    "codegen/call",
    "codegen/emit",
    "codegen/fuse_loads",
    "codegen/fuse_stores",
    "codegen/in_place",
    "codegen/pack",
    "codegen/pointwise",
    "codegen/reduction",
    "codegen/rows/chunks",
    "codegen/rows/elements",
    "codegen/rows/kernel",
    "codegen/rows/mod",
    "codegen/u64_pairs",
    "lower",
]


@dataclass
class Mutant:
    kind: str  # template, formula, adjoint or planner
    file: str
    line: int
    operator: str
    before: str  # the line
    after: str
    at: int  # where in the file's text, how many characters are replaced, and by what
    length: int
    new: str

    @property
    def key(self):
        return f"{self.file}: {self.before.strip()} -> {self.after.strip()}"

    def told(self):
        """What a result says about it."""
        names = ["kind", "file", "line", "operator", "before", "after"]
        return {"key": self.key} | {name: getattr(self, name) for name in names}

    def applied(self, text):
        return text[: self.at] + self.new + text[self.at + self.length :]


def swap(*pairs):
    table = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
    return lambda match: table[match[0]]


def float_changed(match):
    value = float(match[0])
    return "1.0" if value == 0 else f"{value * 1.01:.10g}" if len(match[0]) > 4 else f"{value + 0.5}"


def next_number(match):
    return str(int(match[1]) + 1) + match[2]


# Name, pattern, replacement. Patterns match within a line of code, without its comment.
SHADER = [
    ("index off by one", r"\[(\w[\w. +*]*)\]", lambda m: f"[{m[1]} + 1u]"),
    ("index off by one", r" [+-] 1u\b", lambda m: ""),
    ("barrier left out", r"(workgroup|storage)Barrier\(\);", lambda m: ""),
    ("bound dropped", r"\b(min|max)\(([\w.]+), [^()]*\)", lambda m: m[2]),
    ("bound dropped", r"if \(\w+ >= [\w.]+\)", lambda m: "if (false)"),
    ("bound dropped", r" &&? \([^()]*\)", lambda m: ""),
    ("bound dropped", r" && [\w.]+ [<>=]+ [\w.]+(?=[)&])", lambda m: ""),
    ("sign", r" [+-] (?=[\w(])", lambda m: " - " if m[0] == " + " else " + "),
    ("swapped stride", r"\b\w+_stride\b", "stride"),
    ("swapped stride", r"(?<=\.)[xy]\b", swap(("x", "y"))),
    ("swapped dimension", r"\b(row|column|height|width|HEIGHT|WIDTH|rows|columns)\b",
     swap(("row", "column"), ("height", "width"), ("HEIGHT", "WIDTH"), ("rows", "columns"))),
    ("wrong constant", r"(?<![\w.])\d+\.\d+\b", float_changed),
    ("wrong constant", r"(?<![\w.])(\d+)(u)\b", next_number),
    ("wrong identity", r"\b(vec4<f32>|Quad|F|f32)\((0\.0)?\)", lambda m: f"{m[1]}(1.0)"),
    ("wrong identity", r"(?<==) 0u(?=;)", lambda m: " 1u"),
    ("comparison flipped", r" (<|>|<=|>=|==|!=) ",
     lambda m: swap((" < ", " <= "), (" > ", " >= "), (" == ", " != "))(m)),
    ("comparison flipped", r" (<|>) ", swap((" < ", " > "))),
    ("loop one short", r"(?<=; )(\w+ < [^;]+)(?=;)", lambda m: f"{m[1]} - 1u"),
    ("another operator", r" [*/%] ", lambda m: {" * ": " + ", " / ": " * ", " % ": " / "}[m[0]]),
    ("another operator", r" (&|\||&&|\|\|) ", swap((" & ", " | "), (" && ", " || "))),
    ("another operator", r" (<<|>>) ", swap((" << ", " >> "))),
    ("another operator", r"\b(min|max)\(", swap(("min(", "max("))),
    ("sum lost", r" \+= ", lambda m: " = "),
    ("choice swapped", r"\bselect\(([\w.]+), ([\w.]+), ", lambda m: f"select({m[2]}, {m[1]}, "),
]

HOST = [
    ("adjoint lost", r"\bvec!\[\w+([,\]])", lambda m: f"vec![None{m[1]}"),
    ("adjoint lost", r", \w+\](?=\))", lambda m: ", None]"),
    ("adjoint cut off", r"\b(\w+)\.(mul|div)\((&?[\w.]+\(\d?\)\??|&?\w+)\)", lambda m: f"{m[1]}.{m[2]}(&({m[3]}).detach())"),
    ("sign", r"\.(add|sub)\(", swap((".add(", ".sub("))),
    ("sign", r"\.neg\(\)\??", lambda m: ".detach()" if m[0].endswith(")") else ""),
    ("another operator", r"\.(mul|div)\(", swap((".mul(", ".div("))),
    ("another operator", r"\.(mul|div)_scalar\(", swap((".mul_scalar(", ".div_scalar("))),
    ("another operator", r"\.(add|sub)_scalar\(", swap((".add_scalar(", ".sub_scalar("))),
    ("another operator", r" (\+|-|\*|/|%) (?=[\w(])", lambda m: {"+": " - ", "-": " + ", "*": " + ", "/": " * ", "%": " / "}[m[1]]),
    ("another operator", r" (&&|\|\|) ", swap((" && ", " || "))),
    ("comparison flipped", r"\b(gt|lt|ge|le)(?=_scalar\(|\()", swap(("gt", "ge"), ("lt", "le"))),
    ("comparison flipped", r" (<|<=|>|>=|==|!=) ", swap((" < ", " <= "), (" > ", " >= "), (" == ", " != "))),
    ("wrong operand", r"\b(input|output)\((0|1)\)", lambda m: f"{m[1]}({1 - int(m[2])})"),
    ("wrong operand", r"\bof\((0|1),", lambda m: f"of({1 - int(m[1])},"),
    ("wrong constant", r"(?<![\w.{])\d+\.\d+\b", float_changed),
    ("index off by one", r"(?<![\w.{])(\d+)(?![\w.}])()", next_number),
    ("index off by one", r" [+-] 1\b", lambda m: ""),
    ("condition turned", r"\bif !", lambda m: "if "),
    ("condition turned", r"\b(true|false)\b", swap(("true", "false"))),
]


def code(line):
    """The part of a line before its comment."""
    return line.split("//")[0]


def draw_within(text, start, end, operators, skipped, chooser):
    """One mutant's operator, place, length and new text, between two places of a text; None where nothing matches."""
    found = {}
    at = start
    for line in text[start:end].splitlines(keepends=True):
        if not skipped(code(line)):
            for number, (name, pattern, _) in enumerate(operators):
                # Of a loop that the specialiser writes out it reads nothing but the limit.
                if "// unroll" in line and name != "loop one short":
                    continue
                for match in re.finditer(pattern, code(line)):
                    found.setdefault(number, []).append((at, match))
        at += len(line)
    if not found:
        return None
    # Every operator as often as any other, be its places few or many.
    name = chooser.choice(sorted({operators[number][0] for number in found}))
    number = chooser.choice([number for number in sorted(found) if operators[number][0] == name])
    at, match = chooser.choice(found[number])
    new = operators[number][2]
    if new == "stride":
        others = sorted(set(re.findall(r"\b\w+_stride\b", text)) - {match[0]})
        new = chooser.choice(others) if others else match[0]
    else:
        new = new(match)
    return (name, at + match.start(), len(match[0]), new) if new != match[0] else None


def mutant(kind, file, text, drawn):
    operator, at, length, new = drawn
    begin = text.rfind("\n", 0, at) + 1
    stop = text.find("\n", at)
    stop = len(text) if stop < 0 else stop
    after = text[begin:at] + new + text[at + length : stop]
    return Mutant(kind, file, text.count("\n", 0, at) + 1, operator, text[begin:stop], after, at, length, new)


def is_declaration(line):
    """Lines of a template that the specialiser replaces, or that say nothing but a type."""
    return re.match(r"\s*(const \w+: \w+ = [\w.]+;|fn report\(|alias |@|struct |\w+: [\w<>, ]+,$|//|$|enable )", line) is not None


def is_message(line):
    return re.search(r"Err\(|Error|reason|assert|expect|^\s*(//|#|fn |pub )", line) is not None


def functions(text, wanted):
    """Where the bodies of functions begin and end, as rustfmt lays them out."""
    text = text.split("#[cfg(test)]")[0]
    for match in re.finditer(r"^( *)(?:pub(?:\(\w+\))? )?fn (\w+)", text, re.M):
        opening = re.compile(rf"^.*\{{\n(?={match[1]}    )", re.M).search(text, match.start())
        closing = text.find(f"\n{match[1]}}}\n", match.start())
        if wanted(match[2]) and opening and opening.end() < closing and text[opening.end() - 2] == "{":
            yield opening.end(), closing + 1


def closures(text):
    """Where the gradients of rows begin and end."""
    for match in re.finditer(r"\|(?:g, )?c\| ", text):
        depth, at = 0, match.end()
        while depth >= 0 and not (depth == 0 and text[at] == ","):
            depth += (text[at] in "([{") - (text[at] in ")]}")
            at += 1
        yield match.end(), at if text[at] == "," else at - 1


def formulas(text):
    for match in re.finditer(r'"([^"\n]*\{[01]\}[^"\n]*)"', text):
        if len(match[1]) >= 12:
            yield match.start(1), match.end(1)


def between_imports(text):
    """The parts of a template that stand in a binary as they are: imports are expanded there."""
    starts = [0, *(match.end() for match in re.finditer(r"^#import .*\n", text, re.M))]
    ends = [*(match.start() for match in re.finditer(r"^#import ", text, re.M)), len(text)]
    return list(zip(starts, ends))


def regions(kind, text):
    """The parts of a file that a kind's mutants change."""
    match kind:
        case "template":
            return between_imports(text)
        case "formula":
            return list(formulas(text))
        case "adjoint":
            return [*functions(text, lambda name: name == "vjp"), *closures(text)]
        case "planner":
            return list(functions(text, lambda name: True))


def files(kind):
    match kind:
        case "template":
            return sorted(path for path in ROOT.glob("shaders/**/*.wgsl") if path.stem not in APART)
        case "formula":
            return sorted(ROOT.glob("src/ops/pointwise/*.rs"))
        case "adjoint":
            return sorted(ROOT.glob("src/ops/**/*.rs"))
        case "planner":
            return [ROOT / f"src/plan/{name}.rs" for name in PLANNER]


def draw(kind, seed):
    """Mutants of a kind: of templates some of each, one after the other; then by size, as long as new ones are found."""
    texts = {path: path.read_text() for path in files(kind)}
    parts = [(path, *part) for path, text in texts.items() for part in regions(kind, text)]
    weights = [end - start for _, start, end in parts]
    names = {path: str(path.relative_to(ROOT)) for path in texts}
    chooser = random.Random(f"{seed} {kind}")
    choosers = {path: random.Random(f"{seed} {kind} {names[path]}") for path in texts}
    operators = {"template": SHADER, "formula": SHADER, "adjoint": HOST, "planner": SHADER + HOST}[kind]
    skipped = {"template": is_declaration, "formula": lambda line: False}.get(kind, is_message)
    seen, misses = set(), 0
    due = [part for part in parts for _ in range(EACH)] if kind == "template" else []
    while misses < 1000:
        misses += 1
        path, start, end = due.pop(0) if due else chooser.choices(parts, weights)[0]
        drawn = draw_within(texts[path], start, end, operators, skipped, choosers[path])
        if drawn:
            one = mutant(kind, names[path], texts[path], drawn)
            if one.key not in seen:
                seen.add(one.key)
                misses = 0
                yield one
