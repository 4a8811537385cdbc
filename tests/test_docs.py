"""The documentation says what is true: its code runs, and nothing public is missing from it."""

from __future__ import annotations

import re
import shlex
import shutil
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import pytest
import typer
from typer.testing import CliRunner

import omega_persistence
from omega_persistence import OmegaStore, StorageError, errors
from omega_persistence.backends.sqlite.connection import Patience, connect
from omega_persistence.cli import app

if TYPE_CHECKING:
    from typer.core import TyperGroup

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
REFERENCE = "\n".join(path.read_text("utf-8") for path in sorted((DOCS / "reference").glob("*.md")))

_FENCE = re.compile(
    r"^(?P<ticks>`{3,})(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=ticks)$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A fenced block of a page, and where its text starts and ends in it."""

    language: str
    text: str
    start: int
    end: int


def blocks(page: str) -> list[Block]:
    return [
        Block(match["language"], match["text"], match.start("text"), match.end())
        for match in _FENCE.finditer(page)
    ]


def prose(page: str) -> str:
    """A page without its code."""
    return re.sub(r"`[^`\n]+`", "", _FENCE.sub("", page))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


# Code

RUNNABLE = [path for path in PAGES if "\n```python\n" in path.read_text("utf-8")]


@pytest.mark.parametrize("path", RUNNABLE, ids=name_of)
def test_the_python_of_a_page_runs_and_prints_what_stands_below_it(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The blocks of a page are one program; a ``text`` block right below one is its output."""
    shutil.copyfile(ROOT / "tests/formats/legacy-small.db", tmp_path / "crate.db")
    monkeypatch.chdir(tmp_path)
    page = path.read_text("utf-8")
    program: dict[str, object] = {"__name__": "__main__"}
    for block, below in pairwise([*blocks(page), Block("", "", len(page), len(page))]):
        if block.language != "python":
            continue
        lines_above = page.count("\n", 0, block.start)
        code = compile("\n" * lines_above + block.text, str(path), "exec")
        exec(code, program)  # noqa: S102 - our own documentation
        below_it = re.fullmatch(r"\s*```text\n", page[block.end : below.start])
        assert capsys.readouterr().out == (below.text if below_it else ""), block.text
    for thing in program.values():
        if isinstance(thing, OmegaStore):
            thing.close()


def test_the_example_of_an_export_is_one(tmp_path: Path) -> None:
    page = (DOCS / "reference/json-lines.md").read_text("utf-8")
    (example,) = [block.text for block in blocks(page) if block.language == "json"]
    with OmegaStore.new_in_memory() as store:
        source, target = tmp_path / "example.jsonl", tmp_path / "again.jsonl"
        source.write_text(example, "utf-8")
        store.import_jsonl(source)
        store.export_jsonl(target)
        assert target.read_text("utf-8") == example


# The command line

COMMANDS = cast("TyperGroup", typer.main.get_command(app)).commands
COMMAND_PAGE = (DOCS / "reference/command-line.md").read_text("utf-8")
_OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*\b")


def options_of(command: str) -> set[str]:
    return {
        name
        for each in COMMANDS[command].params
        for name in [*each.opts, *each.secondary_opts]
        if name.startswith("-")
    }


def test_every_command_has_a_section() -> None:
    assert set(re.findall(r"^### ([a-z-]+)$", COMMAND_PAGE, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_section_of_a_command_has_its_options_and_no_others(command: str) -> None:
    section = COMMAND_PAGE.split(f"\n### {command}\n")[1].split("\n#")[0]
    (synopsis,) = [block.text for block in blocks(section) if block.language == "text"]
    arguments = [
        str(each.metavar) for each in COMMANDS[command].params if each.param_type_name == "argument"
    ]
    assert re.match(rf"omega-persistence {command}\b", synopsis)
    assert set(_OPTION.findall(synopsis)) == options_of(command) - {"-n"}
    assert [word for word in re.findall(r"[A-Z]+", synopsis) if word in arguments] == arguments
    assert set(_OPTION.findall(section)) <= options_of(command)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_shown_exist_and_so_do_their_options(path: Path) -> None:
    page = path.read_text("utf-8")
    shown = [line for block in blocks(page) for line in block.text.splitlines()]
    for line in [*shown, *re.findall(r"`(omega-persistence [^`\n]+)`", page)]:
        for call in re.findall(r"omega-persistence ((?!COMMAND)[a-z][a-z-]*[^|\n]*)", line):
            command, _, rest = call.partition(" ")
            assert command in COMMANDS, line
            assert set(_OPTION.findall(rest)) <= options_of(command) | {"--help"}, line


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_the_commands_of_a_page_do_what_they_are_shown_for(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of its ``console`` blocks, in order, up to a pipe."""
    monkeypatch.chdir(tmp_path)
    for name in ("OMEGA_PERSISTENCE_STORE", "OMEGA_PERSISTENCE_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    for block in blocks(path.read_text("utf-8")):
        if block.language != "console":
            continue
        for words in map(shlex.split, re.findall(r"^\$ ([^|\n]+)", block.text, re.MULTILINE)):
            if words[0] == "export":
                monkeypatch.setenv(*words[1].split("="))
            if words[0] == "omega-persistence":
                done = CliRunner().invoke(app, words[1:])
                assert done.exit_code == 0, (words, done.output)


# Names


def test_every_public_name_is_in_the_reference() -> None:
    absent = {
        name for name in omega_persistence.__all__ if not re.search(rf"\b{name}\b", REFERENCE)
    }
    assert absent == set()


def test_every_error_has_a_section_and_its_place_in_the_tree() -> None:
    page = (DOCS / "reference/errors.md").read_text("utf-8")
    ours = [each for each in vars(errors).values() if isinstance(each, type)]
    for error in ours:
        if issubclass(error, StorageError) and error is not StorageError:
            assert f"\n### {error.__name__}\n" in page
            (place,) = re.findall(rf"^[├└]── ({error.__name__}\b.*)$", page, re.MULTILINE)
            builtin = [base.__name__ for base in error.__bases__ if base.__module__ == "builtins"]
            assert re.findall(r"also (\w+)", place) == builtin
            assert ("retryable" in place) == error.retryable


def test_every_query_of_a_collection_is_on_the_page_of_queries() -> None:
    page = (DOCS / "reference/queries.md").read_text("utf-8")
    with OmegaStore.new_in_memory() as store:
        for collection in store.all():
            for name, method in vars(type(collection)).items():
                returned = str(getattr(method, "__annotations__", {}).get("return"))
                assert name.startswith("_") or "list[" not in returned or f"`{name}(" in page, name


def test_every_environment_variable_is_in_the_docs() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    docs = "".join(path.read_text("utf-8") for path in DOCS.rglob("*.md"))
    used = set(re.findall(r"\bOMEGA_PERSISTENCE_[A-Z_]+", sources))
    assert used
    assert {name for name in used if name not in docs} == set()


def test_the_settings_of_the_design_page_are_in_force(tmp_path: Path) -> None:
    page = (DOCS / "design.md").read_text("utf-8")
    settings = re.findall(r"^\| `PRAGMA (\w+) = (\w+)` \|", page, re.MULTILINE)
    assert len(settings) > 5
    numbers = {"off": "0", "on": "1", "memory": "2", "extra": "3"}
    path = tmp_path / "store.db"
    OmegaStore(path).close()
    connection = connect(str(path), "write", patience=Patience(0))
    found = [(name, str(connection.pragma(name))) for name, _ in settings]
    connection.close()
    assert found == [(name, numbers.get(value, value)) for name, value in settings]


def test_every_result_of_the_benchmarks_is_shown() -> None:
    page = (DOCS / "performance.md").read_text("utf-8")
    results = {path.name for path in (ROOT / "benchmarks/results").glob("*.txt")}
    assert results <= set(re.findall(r"results/(\w+\.txt)$", page, re.MULTILINE))


# Links


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and Sphinx make them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", path.read_text("utf-8")), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
