"""Documents hold what they say: links lead somewhere, commands and names exist, lists are whole."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest
import typer

from cli.__main__ import app as laurel
from services.program import api as program_api
from services.query import api as query_api
from shared.contracts.actions import BUILT, PLANNED
from shared.contracts.events import PERSONAL_ATTRIBUTES
from shared.contracts.topics import TOPICS
from shared.runtime.settings import PREFIX, Settings
from tests.running import Stack

ROOT = Path(__file__).resolve().parents[1]
ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
ADR_PARTS = ["Context", "Decision", "Consequences", "Alternatives", "Enforced by"]

HOSTS = {"localhost", "127.0.0.1"}
"""Documents send nobody elsewhere: an address of a registry or of a machine would rot first."""
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(home|root|tmp|usr|var|opt|mnt|work|Users)/\w")

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
URL = re.compile(r"https?://[^\s)\"'`>]+")
PATH = re.compile(r"^(?:services|shared|cli|deploy|tests|docs|[.]ci)/[\w./*-]*(?:::\w+)?$")
SETTING = re.compile(rf"\b{PREFIX}[A-Z_]+\b")


class Document(NamedTuple):
    """A document, its text, and the pieces of code in it."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def prose(self) -> str:
        """Without fenced blocks."""
        return FENCE.sub("", self.text)

    @property
    def code(self) -> list[str]:
        """Everything set as code: in backticks, and the lines of fenced blocks."""
        lines = [line for _, block in FENCE.findall(self.text) for line in block.splitlines()]
        return CODE.findall(self.prose) + lines


def _documents() -> list[Document]:
    patterns = ("*.md", "docs/**/*.md", "services/*/README.md", "shared/**/*.md", "cli/*.md")
    paths = sorted({path for pattern in patterns for path in ROOT.glob(pattern)})
    return [Document(path, path.read_text(encoding="utf-8")) for path in paths]


DOCUMENTS = _documents()
README = Document(ROOT / "README.md", (ROOT / "README.md").read_text(encoding="utf-8"))
EACH = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)


def _none(findings: list[str]) -> None:
    assert not findings, "\n" + "\n".join(findings)


def anchors(text: str) -> set[str]:
    """The headings of a document as links name them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@EACH
def test_every_link_leads_somewhere(document: Document) -> None:
    findings = []
    for link in LINK.findall(document.prose):
        place, _, anchor = link.partition("#")
        if urlsplit(link).scheme:
            continue
        target = (document.path.parent / place).resolve() if place else document.path
        if not target.is_relative_to(ROOT) or not target.exists():
            findings.append(f"{document.name}: {link}: no such file")
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            findings.append(f"{document.name}: {link}: no such heading")
    _none(findings)


@EACH
def test_addresses_and_paths_are_of_no_particular_machine(document: Document) -> None:
    hosts = [url for url in URL.findall(document.text) if urlsplit(url).hostname not in HOSTS]
    paths = [match.group() for match in MACHINE_PATH.finditer(document.text)]
    _none([f"{document.name}: {found}" for found in hosts + paths])


@EACH
def test_every_file_and_test_that_is_named_exists(document: Document) -> None:
    findings = []
    for code in document.code:
        if not PATH.match(code):
            continue
        name, _, function = code.partition("::")
        found = sorted(ROOT.glob(name.rstrip("/")))
        if not found:
            findings.append(f"{document.name}: {code}: no such file")
        elif function and function not in _functions(found[0]):
            findings.append(f"{document.name}: {code}: no such test")
    _none(findings)


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@EACH
def test_every_setting_that_is_named_exists(document: Document) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(set(SETTING.findall(document.text)) - known - {PREFIX})
    _none([f"{document.name}: {name}: no such setting" for name in unknown])


@EACH
def test_every_command_that_is_named_exists(document: Document) -> None:
    findings = []
    for words in _commands(document, "make"):
        targets = [word for word in words if "=" not in word]
        variables = [word.partition("=")[0] for word in words if "=" in word]
        findings += [f"make {target}" for target in targets if target not in _make_targets()]
        findings += [f"make {name}=" for name in variables if name not in _make_variables()]
    for words in _commands(document, "./laurel"):
        findings += _wrong_laurel(words)
    for words in _commands(document, "python -m"):
        module = ROOT / words[0].replace(".", "/")
        if not module.with_suffix(".py").exists() and not (module / "__main__.py").exists():
            findings.append(f"python -m {words[0]}")
    _none([f"{document.name}: {found}: no such command" for found in findings])


def _commands(document: Document, start: str) -> Iterator[list[str]]:
    """The words after each use of a command, without what is a comment or another command."""
    for code in document.code:
        for found in re.finditer(rf"(?:^|[;&|] *){re.escape(start)} ([^;&|#]*)", code.strip()):
            yield shlex.split(found.group(1))


def _make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def _make_variables() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([A-Z]+) *[:?]?=", makefile, re.MULTILINE))


def _laurel() -> dict[str, Any]:
    """Its commands by name."""
    return dict(typer.main.get_group(laurel).commands)


def _wrong_laurel(words: list[str]) -> list[str]:
    if not words or words[0] in ("--help", "-h"):
        return []
    command = _laurel().get(words[0])
    if command is not None and words[1:] and words[1][0] != "-":  # a part with commands of its own
        command = getattr(command, "commands", {words[1]: command}).get(words[1])
    if command is None:
        return [f"./laurel {' '.join(words[:2])}"]
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    options = [word.partition("=")[0] for word in words[1:] if word.startswith("--")]
    return [f"./laurel {words[0]} {name}" for name in options if name not in known | {"--help"}]


def test_the_readme_names_both_first_commands_in_its_first_screen() -> None:
    first = "\n".join(README.text.splitlines()[:20])
    assert "make demo" in first
    assert "make test" in first


def test_the_readme_names_every_command() -> None:
    named = {words[0] for words in _commands(README, "./laurel") if words}
    assert sorted(_laurel().keys() - named) == []


def _hole(row: str) -> set[str]:
    """The words set as code in one row of the known holes."""
    line = next(line for line in README.text.splitlines() if line.startswith(f"| {row}"))
    return set(CODE.findall(line.split("|")[2]))


def test_the_known_holes_are_those_of_the_code() -> None:
    filters = {"gender", "country", "tier", "segment", "list", "label"}
    assert _hole("actions") == PLANNED
    assert not _hole("actions") & BUILT.keys()
    assert _hole("program kinds") == set(program_api.NOT_BUILT)
    assert _hole("customer lists") == set(query_api.NOT_BUILT)
    assert _hole("customer filters") - {"q"} == filters
    assert _hole("personal attributes") == PERSONAL_ATTRIBUTES


def test_the_changelog_names_every_built_action() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert sorted(BUILT.keys() - set(CODE.findall(changelog))) == []


def test_the_architecture_names_every_topic_and_owner() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(CODE.findall(text))
    live = [topic for topic in TOPICS if not topic.name.endswith(".dead")]
    assert sorted({topic.name for topic in live} - named) == []
    for topic in live:
        row = next(line for line in text.splitlines() if line.startswith(f"| `{topic.name}`"))
        assert [cell.strip() for cell in row.split("|")[2:4]] == [topic.key, topic.written_by]
    decides = text.partition("## Who decides what")[2].partition("\n## ")[0]
    owners = re.findall(r"^\| (\w+) \| (`.+?`) \|", decides, re.MULTILINE)
    told = {action: owner for owner, cell in owners for action in CODE.findall(cell)}
    assert told == {action: owned.owner for action, owned in BUILT.items()}


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.stem)
def test_a_decision_record_has_its_parts_and_stands_in_the_index(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    number, title = re.findall(r"^# ADR (\d+): (.+)$", text, re.MULTILINE)[0]
    assert path.name.startswith(f"{int(number):04}-")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ADR_PARTS
    index = (path.parent / "README.md").read_text(encoding="utf-8")
    assert f"| [{number}]({path.name}) | {title} |" in index


def test_decision_records_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))


def test_the_glossary_gives_each_word_one_meaning_in_order() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1].strip() for row in text.splitlines() if row.startswith("| ")]
    words = rows[2:]
    assert words == sorted(set(words), key=str.casefold)


def test_every_document_can_be_reached_from_the_readme() -> None:
    by_path = {document.path: document for document in DOCUMENTS}
    reached: set[Path] = set()
    waiting = [README.path]
    while waiting:
        path = waiting.pop()
        if path in reached or path not in by_path:
            continue
        reached.add(path)
        links = LINK.findall(by_path[path].prose)
        waiting += [(path.parent / link.partition("#")[0]).resolve() for link in links]
    assert sorted(document.name for document in DOCUMENTS if document.path not in reached) == []


STAMPS = {"recorded_at", "time", "position"}
"""What differs from run to run in an answer."""


def test_the_first_event_of_the_readme_is_answered_as_it_says(stack: Stack) -> None:
    section = re.split(r"^## ", README.text, flags=re.MULTILINE)
    text = next(part for part in section if part.startswith("A first event"))
    answer: Any = None
    compared = 0
    for kind, block in FENCE.findall(text):
        if kind == "sh":
            for command in _curls(block):
                answer = _asked(stack, command)
        else:
            assert _without_stamps(answer) == _without_stamps(json.loads(block))
            compared += 1
    assert compared == 3
    assert answer["accounts"][0]["spendable"] == 12


def _curls(block: str) -> list[list[str]]:
    """The words of each `curl` of a block, the key put in."""
    key = re.findall(r"^KEY='(.*)'$", README.text, re.MULTILINE)[0]
    lines = block.replace("\\\n", " ").replace("$KEY", key)
    return [shlex.split(command) for command in re.split(r"^curl ", lines, flags=re.MULTILINE)[1:]]


def _asked(stack: Stack, words: list[str]) -> Any:
    """What `curl` with these words would get, on the stack's own ports."""
    method, body, url = "", None, ""
    headers = {}
    rest = iter(words)
    for word in rest:
        if word == "-X":
            method = next(rest)
        elif word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(rest)
        else:
            url = word
    place, _, path = url.partition("/")
    base = {"8080": stack.gateway, "8081": stack.program, "8082": stack.query}[place[-4:]]
    method = method or ("POST" if body else "GET")
    answer = httpx2.request(method, f"{base}/{path}", content=body, headers=headers, timeout=30)
    return answer.json()


def _without_stamps(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer.keys() >= {"id"}
    return {name: value for name, value in answer.items() if name not in STAMPS}
