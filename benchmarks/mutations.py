"""What no test notices: changes one thing in a source file, runs that file's tests, and lists the mutants that survive.

    nice -n 19 .venv/bin/python -m benchmarks.mutations --json mutants.json [--count 200] [--only PATH]

Works in a copy of the repository. Mutants are drawn with a fixed seed, one from each file in turn, so the same sources
give the same list. The JSON file keeps the results: those that it has are not tried again. `--only` takes mutants from
the files below one path. The quick test files of a source file run one after the other until one fails, each of them
once without a mutant first: where it fails then, the run ends. What other tests alone notice is listed as a survivor.

Until 1 December 2026, 202 different mutants have run: the first 31 of the list, then of release, previews, config,
components, program, pipeline, graph and cli. 141 were killed, 61 survived. Most survivors have got a test, or one that
was not on the list then notices them: that was seen of each. Seven have no test:

| survivor | why |
|---|---|
| aws_session: `repr=False` of the cached clients | wording: how a session prints |
| one_off_task: 2 polls of the log after the end | performance: one poll of a second more |
| post_deploy_verification: the default 0 s of max_protected_seconds | one second of a time-out of minutes |
| scram: a salt of 16 bytes | stronger with 17; the database takes any |
| preview_template_database: one of three missing stores | the check of app.yaml refuses such an app |
| pause_commands: `markup=False` of a line | no stack's name has a bracket |
| apps: one argument of `mount` more | the next one is a text, which is no app |

Three more of cli were tried by hand (completion, connect, logs without `--since`); their new tests were seen red. Of
app nothing else has run but what was in the first 31. A kill by the time limit says nothing if the machine is busy.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import IO

import pytest

from tests.paths import ROOT

SEED = 23
TIME_LIMIT_FACTOR = 4  # how much longer a file's tests may take with a mutant: one that never ends is noticed
START_SECONDS = 60  # and so many more
MOST_NAMING = 6  # test files; what more of them name is used everywhere, and its folder's tests see it
ROOMS = {
    "infra/slipway/cli": "command_line command_refusals check_command asking pipeline_setup service_commands cost "
    "comment connect logs pause plan preview_refusals release_commands secret_values init/*",
    "infra/slipway/components": "snapshot providers secrets pipeline network alarms edge web hooks",
    "infra/slipway/config": "settings app_file text_files stack_file schemas",
    "infra/slipway/graph": "diagram cost plan controls",
    "infra/slipway/pipeline": "github comment bootstrap local_aws",
    "infra/slipway/previews": "previews release_kills preview_configuration preview_limits github",
    "infra/slipway/program": "snapshot providers injected_values previews preview_data prometheus web hooks",
    "infra/slipway/release": "release_* service_commands pause secret_* exec connect one_off_task target_group_change "
    "shared_timeouts",
    "app/api": "items users auth exports http inputs limits routes operations",
    "app/core": "http limits auth users routes operations overload sampling protection",
    "app/services": "items users auth exports",
}
"""Folder -> tests that see its files, after those that name the file itself."""
SLOW = {"test_change_order.py"}
SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.Lt: ast.LtE,
    ast.Gt: ast.GtE,
    ast.Is: ast.IsNot,
    ast.In: ast.NotIn,
}
SWAPPED |= {after: before for before, after in SWAPPED.items()}
WORDING = ("say", "super", "print", "self.register_outputs", "log", "logger", "logging", "pulumi.log")
"""Calls whose statements tell something, or that a class cannot do without."""


@dataclass
class Mutant:
    """One change of one file, and what became of it."""

    file: str
    line: int
    kind: str
    before: str
    after: str
    start: int
    end: int
    """Offsets of what is replaced, in bytes."""
    result: str = ""
    killed_by: str = ""
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        return self.file, self.kind, self.before, self.after, self.start

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.kind}: {_short(self.before)} -> {_short(self.after)}"


def _short(code: str) -> str:
    code = " ".join(code.split())
    return code if len(code) <= 90 else f"{code[:60]} ... {code[-25:]}"


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST, str]]:
    """The kind of each change, what it replaces, and by which code."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in SWAPPED:
            yield "comparison", node, ast.unparse(ast.Compare(node.left, [SWAPPED[type(op)]()], node.comparators))
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "and/or", node, f"({ast.unparse(ast.BoolOp(other, node.values))})"
        case ast.If() | ast.IfExp() | ast.While():
            yield "condition", node.test, f"(not ({ast.unparse(node.test)}))"
        case ast.comprehension():
            yield from (("condition", test, f"(not ({ast.unparse(test)}))") for test in node.ifs)
        case ast.Expr(value=ast.Call() | ast.Await(value=ast.Call())):
            if (
                not ast.unparse(node)
                .removeprefix("await ")
                .startswith(tuple(f"{word}{end}" for word in WORDING for end in "(."))
            ):
                yield "statement", node, "pass"
        case ast.Constant(value=bool()):
            yield "constant", node, repr(not node.value)
        case ast.Constant(value=int() | float() as number):
            yield "constant", node, repr(number + 1)
        case ast.Call(args=[value], keywords=[]) if ast.unparse(node.func).endswith("Output.secret"):
            yield "secret", node, ast.unparse(value)
        case ast.Call():
            for keyword in node.keywords:
                if keyword.arg:
                    rest = [other for other in node.keywords if other is not keyword]
                    yield f"without {keyword.arg}=", node, ast.unparse(ast.Call(node.func, node.args, rest))


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but annotations, a class's decorators, and what is inside an f-string, which has no offsets."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns") or (name == "decorator_list" and isinstance(node, ast.ClassDef)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield from walk(child)


def mutants_of(path: Path) -> list[Mutant]:
    """All mutants of a file, in an order of chance that gives each kind its turn."""
    source = path.read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    kinds: dict[str, list[Mutant]] = {}
    file = str(path.relative_to(ROOT))
    for node in walk(ast.parse(source)):
        for kind, part, after in changes(node):
            start = starts[part.lineno - 1] + part.col_offset  # type: ignore[attr-defined]  # expressions and statements have them
            end = starts[part.end_lineno - 1] + part.end_col_offset  # type: ignore[attr-defined]
            mutant = Mutant(file, part.lineno, kind, source[start:end].decode(), after, start, end)  # type: ignore[attr-defined]
            kinds.setdefault(kind.partition(" ")[0], []).append(mutant)
    chance = random.Random(f"{SEED}{file}")  # noqa: S311 - the same ones each time
    for group in kinds.values():
        chance.shuffle(group)
    order = []
    while any(kinds.values()):
        order.append(kinds[chance.choice([kind for kind, group in kinds.items() if group])].pop())
    return order


def draw(only: str) -> list[Mutant]:
    """All mutants, one from each file in turn."""
    files = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    drawn = [mutants_of(path) for path in files if str(path.relative_to(ROOT)).startswith(only)]
    random.Random(SEED).shuffle(drawn)  # noqa: S311
    turns = max(map(len, drawn), default=0)
    return [group[turn] for turn in range(turns) for group in drawn if turn < len(group)]


def pick_tests(file: str, root: Path) -> list[str]:
    """The test files that see a source file: those that name it first, then its folder's."""
    folder, app = next(room for room in ROOMS if file.startswith(f"{room}/")), file.startswith("app/")
    tests = root / "tests" / ("app" if app else "infra")
    parent, _, name = file.removeprefix("infra/").removesuffix(".py").replace("/", ".").rpartition(".")
    names_it = re.compile(rf"\b{parent}(\.| import (.*\b)?){name}\b")
    named = [] if app else [path for path in sorted(tests.rglob("test_*.py")) if names_it.search(path.read_text())]
    patterns = [Path(word).with_name(f"test_{Path(word).name}.py") for word in ROOMS[folder].split()]
    listed = [path for pattern in patterns for path in sorted(tests.glob(str(pattern)))]
    if len(named) > MOST_NAMING:
        named = []
    return [str(path.relative_to(root)) for path in dict.fromkeys([*named, *listed]) if path.name not in SLOW]


def copy_tree(copy: Path) -> None:
    """The repository's files as they are now, with its packages linked."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, stdout=-1, check=True, text=True
    )
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    for packages in (".venv", "app/.venv"):
        if (ROOT / packages).is_dir():
            (copy / packages).symlink_to(ROOT / packages)
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)  # what the kit builds is what git lists


def run_tests(copy: Path, file: str, time_limit: float | None = None) -> tuple[str, str]:
    """`survived` or `killed`, and the test of the file that killed."""
    options = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", f"--basetemp={copy}.tests"]
    env = os.environ | {"PYTHONPATH": f"{copy / 'infra'}:{copy}"}
    with tempfile.TemporaryFile("w+") as output:
        if file.startswith("tests/app/"):  # its packages are others; the other footing starts servers
            command = [str(copy / "app" / ".venv" / "bin" / "python"), "-m", "pytest", *options, file]
            command += ["-k", "not servers and not standby"]
            process = subprocess.Popen(command, cwd=copy, env=env, stdout=output, stderr=output, start_new_session=True)
            pid = process.pid
        else:
            pid = _fork_pytest(copy, [*options, file], env, output)
        code = _wait(pid, time_limit)
        output.seek(0)
        text = output.read()
    if code is None:
        return "killed", "the time limit"
    if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):  # all of the app's file start servers
        return "survived", ""
    lines = [line for line in text.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return "killed", (lines or text.splitlines()[-1:] or ["?"])[0]


def _fork_pytest(copy: Path, arguments: list[str], env: dict[str, str], output: IO[str]) -> int:
    """Starts pytest in a process that has imported the packages, whose import takes as long as most tests."""
    importlib.import_module("slipway.program.environment")
    importlib.import_module("slipway.program.preview")
    importlib.import_module("slipway.cli.main")
    gc.freeze()
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    os.environ.update(env)
    os.chdir(copy)
    sys.argv = ["pytest", *arguments]  # the command line asks for --json
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    sys.path[:0] = [str(copy / "infra"), str(copy)]
    for name in list(sys.modules):
        if name.partition(".")[0] in ("benchmarks", "slipway", "slipway_local", "tests"):
            del sys.modules[name]
    code = 1
    try:
        code = pytest.main(arguments)
        sys.stdout.flush()
    finally:
        os._exit(code)


def _wait(pid: int, time_limit: float | None) -> int | None:
    """Returns the exit code of a process group's leader; None if it had to be killed."""
    deadline = time.monotonic() + (time_limit or float("inf"))
    code = None
    try:
        while code is None and time.monotonic() < deadline:
            ended, status = os.waitpid(pid, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if ended else None
            time.sleep(0.2)
    finally:
        if code is None:  # also where this run is ended
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return code


class Baseline:
    """Runs each test file once without a mutant: where tests fail anyway, every mutant would be killed."""

    def __init__(self, copy: Path) -> None:
        self.copy = copy
        self.seconds: dict[str, float] = {}
        """Test file -> how long it takes."""

    def time_limit(self, test: str) -> float:
        """Returns how long the file may take with a mutant. Ends the run if it fails without one."""
        if test not in self.seconds:
            began = time.monotonic()
            result, failure = run_tests(self.copy, test)
            if result != "survived":
                sys.exit(f"Without any mutant the tests fail: {failure}")
            self.seconds[test] = time.monotonic() - began
        return START_SECONDS + TIME_LIMIT_FACTOR * self.seconds[test]


def try_mutant(copy: Path, mutant: Mutant, baseline: Baseline) -> None:
    """Runs one test file after the other with the mutant, until one fails."""
    path, began = copy / mutant.file, time.monotonic()
    source = path.read_bytes()
    compiled = Path(cache_from_source(path))  # it may be taken for the other one's: same size, same second
    for test in pick_tests(mutant.file, copy):
        time_limit = baseline.time_limit(test)
        try:
            path.write_bytes(source[: mutant.start] + mutant.after.encode() + source[mutant.end :])
            compiled.unlink(missing_ok=True)
            mutant.result, mutant.killed_by = run_tests(copy, test, time_limit)
        finally:
            path.write_bytes(source)
            compiled.unlink(missing_ok=True)
        if mutant.result == "killed":
            break
    mutant.seconds = round(time.monotonic() - began, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="how many more to try (default 200)")
    parser.add_argument(
        "--only", default="", help="take mutants from files below this path, such as infra/slipway/release"
    )
    parser.add_argument("--json", type=Path, default=Path("mutants.json"), help="the results (default mutants.json)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # and the copy is removed
    known = [Mutant(**each) for each in json.loads(options.json.read_text())] if options.json.exists() else []
    tried = {mutant.key for mutant in known}
    mutants = [mutant for mutant in draw(options.only) if mutant.key not in tried][: options.count]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        copy.mkdir()
        copy_tree(copy)
        baseline = Baseline(copy)
        for number, mutant in enumerate(mutants, 1):
            try_mutant(copy, mutant, baseline)
            print(f"{number}/{len(mutants)} {mutant.seconds:5.1f} s {mutant.result:<8} {mutant}", flush=True)
            known.append(mutant)
            options.json.write_text(json.dumps([asdict(each) for each in known], indent=1))
    survivors = [mutant for mutant in mutants if mutant.result == "survived"]
    print(f"\n{len(mutants)} mutants, {len(mutants) - len(survivors)} killed, {len(survivors)} survived:")
    print("\n".join(str(mutant) for mutant in survivors))


if __name__ == "__main__":
    main()
