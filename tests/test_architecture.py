"""The house style as far as a machine can read it: every message names what to do instead."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = frozenset({"services", "shared", "cli", "deploy", "bench"})
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

BANNED_MODULES = {
    "base", "common", "helper", "helpers", "lib", "manager", "managers", "misc", "util", "utils",
}  # fmt: skip
BANNED_CLASS = re.compile(r"(Manager|Helper|Util|Utils)$|^(Base|Abstract)[A-Z]")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

# What makes a rule's result depend on more than its arguments.
CLOCKS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time",
    "time.time_ns", "time.monotonic", "time.perf_counter", "time.sleep",
}  # fmt: skip
CHANCE = {"uuid.uuid1", "uuid.uuid4", "uuid.uuid7", "uuid1", "uuid4", "uuid7", "os.urandom"}
IMPURE_IMPORTS = {
    "asyncio", "http", "logging", "multiprocessing", "os", "random", "secrets", "socket",
    "sqlite3", "subprocess", "sys", "tempfile", "threading", "time", "urllib",
}  # fmt: skip
CONTRACT_PACKAGES = {"iso4217", "msgspec", "pydantic", "pydantic_core"}

# Connections and global settings: made in `app.py`, by a function that somebody calls.
WORK = {
    "AdminClient", "AIOKafkaConsumer", "AIOKafkaProducer", "AsyncMongoClient", "Consumer",
    "MongoClient", "Producer", "basicConfig", "configure", "connect", "from_environment", "open",
    "open_consumer", "open_producer", "run", "urlopen",
}  # fmt: skip

# Tables of a library that have to be complete before modules load.
REGISTRATIONS = {"register_url_convertor"}

EVERY_SERVICE = {"README.md", "__init__.py", "__main__.py", "app.py", "repository.py"}
MORE_FILES = {
    "customers": {"handler.py", "domain/decide.py", "domain/evolve.py"},
    "ingest": {"gateway.py", "journal.py", "domain"},
    "points": {"handler.py", "domain/decide.py", "domain/evolve.py"},
    "program": {"api.py"},
    "query": {"api.py", "handler.py", "views.py"},
}


class Source(NamedTuple):
    """One Python file of the repository."""

    name: str
    text: str
    tree: ast.Module

    def at(self, node: ast.AST, message: str) -> str:
        """A finding with its place."""
        return f"{self.name}:{getattr(node, 'lineno', 1)}: {message}"


def _sources(*folders: str) -> list[Source]:
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    texts = [(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in paths]
    return [Source(name, text, ast.parse(text)) for name, text in texts]


SOURCES = _sources(*CODE)
TESTS = _sources("tests")
SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/__init__.py"))


def _in(prefix: str) -> list[Source]:
    return [source for source in SOURCES if source.name.startswith(prefix)]


def _pure() -> list[Source]:
    """Rules and contracts: what must give the same answer for ever."""
    domains = [source for source in SOURCES if re.match(r"services/\w+/domain/", source.name)]
    return domains + _in("shared/contracts/")


def _dotted(node: ast.AST) -> str:
    """`a.b.c` of a chain of attributes, else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def _imports(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, node.module or ""


def _none(findings: list[str]) -> None:
    assert not findings, "\n" + "\n".join(findings)


def test_there_is_code_to_read() -> None:
    assert len(SOURCES) > 20
    assert len(_pure()) > 10


def test_modules_stay_below_the_wall() -> None:
    _none(
        [
            f"{source.name}: {lines} lines; {MODULE_LINES_MAX} is the wall: split it by noun"
            for source in SOURCES
            if (lines := source.text.count("\n")) > MODULE_LINES_MAX
        ]
    )


def test_functions_stay_below_the_wall() -> None:
    _none(
        [
            source.at(node, f"{node.name} has {lines} lines; {FUNCTION_LINES_MAX} is the wall: "
                            "branch here, move the leaves into functions of their own")
            for source in SOURCES
            for node in ast.walk(source.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
        ]
    )  # fmt: skip


def test_a_name_says_what_a_thing_is() -> None:
    modules = [
        f"{source.name}: says nothing of what is in it; name it after its noun, or inline it"
        for source in SOURCES
        if BANNED_MODULES & {Path(source.name).stem, *Path(source.name).parent.parts}
    ]
    classes = [
        source.at(node, f"{node.name}: name the thing; functions and one loop instead of a base")
        for source in SOURCES
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and BANNED_CLASS.search(node.name)
    ]
    _none(modules + classes)


def test_nothing_is_left_unfinished() -> None:
    _none(
        [
            f"{source.name}:{number}: unfinished; do it now, or write it down as an issue"
            for source in SOURCES + [test for test in TESTS if test.name != _own_name()]
            for number, line in enumerate(source.text.splitlines(), start=1)
            if UNFINISHED.search(line)
            or ("NotImplementedError" in line and not source.name.startswith("tests/"))
        ]
    )


def test_a_rule_reads_no_clock_and_takes_no_chance() -> None:
    _none(
        [
            finding
            for source in _pure()
            for finding in (
                *_calls(source, CLOCKS, "take `now` as an argument"),
                *_calls(source, CHANCE, "derive the id from the event (uuid5), or take it"),
            )
        ]
    )


def test_a_rule_knows_no_float() -> None:
    _none([finding for source in _pure() for finding in _floats(source)])


def test_a_rule_imports_contracts_and_the_standard_library() -> None:
    _none([finding for source in _pure() for finding in _foreign_imports(source)])


def test_nothing_happens_at_import() -> None:
    findings = []
    for source in _in("services/") + _in("shared/"):
        for statement in source.tree.body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                if _dotted(statement.value.func) not in REGISTRATIONS:
                    findings.append(source.at(statement, "runs at import: move it into `app.py`"))
            elif isinstance(statement, ast.Assign | ast.AnnAssign):
                findings += _calls_to_work(source, statement)
    _none(findings)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_files_that_every_service_has(service: str) -> None:
    wanted = EVERY_SERVICE | MORE_FILES.get(service, set())
    missing = sorted(name for name in wanted if not (ROOT / "services" / service / name).exists())
    assert not missing, (
        f"services/{service} lacks {', '.join(missing)}: STYLE, files of one service"
    )


def test_every_folder_of_code_is_a_package() -> None:
    folders = {Path(source.name).parent for source in SOURCES}
    _none(
        [
            f"{folder}: has no __init__.py, so import-linter and mypy do not see it: add one"
            for folder in sorted(folders)
            if not (ROOT / folder / "__init__.py").exists()
        ]
    )


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    declared = {_canonical(re.split(r"[^\w.-]", line)[0]) for group in groups for line in group}
    makers = packages_distributions()
    _none(
        [
            source.at(node, f"imports {name}, which pyproject.toml does not name: add it")
            for source in SOURCES + TESTS
            for node, name in _imports(source.tree)
            if (top := name.split(".")[0]) not in CODE | sys.stdlib_module_names | {"tests", ""}
            and not declared & {_canonical(maker) for maker in makers.get(top, [])}
        ]
    )


def test_the_environment_is_read_in_one_place() -> None:
    _none(
        [
            source.at(node, "reads the environment: take a Settings, which shared/runtime reads")
            for source in _in("services/") + _in("shared/")
            if source.name != "shared/runtime/settings.py"
            for node in ast.walk(source.tree)
            if _dotted(node) in {"os.environ", "os.getenv", "os.environb"}
        ]
    )


def test_the_reconciliation_shares_no_code_with_what_it_checks() -> None:
    _none(
        [
            source.at(node, f"imports {name}: count again from the input, with code of its own")
            for source in _in("cli/reconciliation.py")
            for node, name in _imports(source.tree)
            if name.split(".")[0] in CODE
        ]
    )


def test_tests_wait_with_a_deadline_and_mock_nothing_of_ours() -> None:
    mocks = [
        test.at(node, "a mock: use the real thing, or a fake that runs the same suite")
        for test in TESTS
        for node, name in _imports(test.tree)
        if name.startswith("unittest.mock") or name == "mock"
    ]
    sleeps = [
        test.at(node, "sleeps: wait for the condition in a loop with a deadline")
        for test in TESTS
        for node in _outside_loops(test.tree)
        if isinstance(node, ast.Call) and _dotted(node.func) in {"time.sleep", "sleep"}
    ]
    _none(mocks + sleeps)


def _canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _own_name() -> str:
    return str(Path(__file__).resolve().relative_to(ROOT))


def _calls(source: Source, banned: set[str], instead: str) -> list[str]:
    """Calls of a banned function, also through a longer name (`datetime.datetime.now`)."""
    names = {".".join(name.split(".")[-2:]) for name in banned}
    return [
        source.at(node, f"{_dotted(node.func)}(): {instead}")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and ".".join(_dotted(node.func).split(".")[-2:]) in names
    ]


def _floats(source: Source) -> list[str]:
    in_domain = source.name.startswith("services/")  # elsewhere `/` also joins paths
    return [
        source.at(node, "a float: integers in the smallest unit, basis points, or Fraction")
        for node in ast.walk(source.tree)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id == "float" and not _is_type_check(source, node))
        or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and in_domain)
    ]


def _is_type_check(source: Source, node: ast.Name) -> bool:
    """`isinstance(value, float)` is how a contract refuses one."""
    return any(
        node in ast.walk(call)
        for call in ast.walk(source.tree)
        if isinstance(call, ast.Call) and _dotted(call.func) == "isinstance"
    )


def _foreign_imports(source: Source) -> list[str]:
    service = "services." + source.name.split("/")[1]
    ours = ("shared.contracts", f"{service}.domain")
    allowed = CONTRACT_PACKAGES if source.name.startswith("shared/") else {"msgspec"}
    findings = []
    for node, name in _imports(source.tree):
        top = name.split(".")[0]
        if top in IMPURE_IMPORTS:
            findings.append(source.at(node, f"imports {name}: load before, pass values in"))
        elif top in CODE and not name.startswith(ours):
            findings.append(source.at(node, f"imports {name}: a domain knows shared.contracts"))
        elif top not in CODE | sys.stdlib_module_names | allowed:
            findings.append(source.at(node, f"imports {name}: contracts and the standard library"))
    return findings


def _calls_to_work(source: Source, statement: ast.stmt) -> list[str]:
    return [
        source.at(node, f"{_dotted(node.func)}() at import: build it in `app.py` and pass it")
        for node in _outside_functions(statement)
        if isinstance(node, ast.Call) and _dotted(node.func).split(".")[-1] in WORK
    ]


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _outside_functions(child)


def _outside_loops(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.While | ast.For | ast.AsyncFor):
            yield child
            yield from _outside_loops(child)
