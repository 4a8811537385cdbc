"""What strangers stored does not reach the terminal as commands, nor rich as markup."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from cli.support import process, run
from omega_persistence import OmegaStore
from omega_persistence.cli.plain import moment, one_line, paragraphs, safe_json, size
from samples import architecture, edge, episode, intelligence, memory, skill, vector

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = {
    "colours": "\x1b[31mred\x1b[0m",
    "a window title": "\x1b]0;title\x07",
    "a clear screen in one character": "\x9b2J",
    "a line taken back": "harmless\rrm -rf\x08\x08",
    "direction turned round": "abc\u202ecba\u2066x\u2069",
    "other line ends": "a\x0bb\x0cc\x85d\u2028e\u2029f",
    "hidden tags": "x\U000e0041\U000e007f",
    "markup": "[bold red]x[/] [/nothing] [link=https://a.test]y[/link] :smile: \\[x]",
}
# Everything but printable text and line feeds.
FORBIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)


@pytest.fixture(params=list(HOSTILE.values()), ids=list(HOSTILE))
def hostile(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """A store that has a hostile text in every field of text."""
    text = request.param
    path = tmp_path / "store.db"
    with OmegaStore(path, durability="normal", namespace=text) as store:
        store.memories.put_many(
            [memory(text, content=f"word {text}", keywords=text, session=text), memory("m2")]
        )
        store.skills.put(skill(text, name=text, trigger_pattern=f"({text}"))
        store.architectures.put(
            architecture(text, name=text, lineage_json={"parent": text + "gone", "x": text})
        )
        store.intelligences.put(intelligence(text, text, name=text))
        store.vectors.put(vector(text, text, space=text))
        store.reflexion_episodes.put(episode(text, text, trigger=text, outcome=text))
        store.causal_edges.put(edge(text, text, text, edge_type=text))
    return path, text


def test_no_command_shows_stored_text_as_it_is(hostile: tuple[Path, str]) -> None:
    path, text = hostile
    commands = [["stats"], ["doctor"], ["search", "word"]]
    with OmegaStore(path) as store:
        for name in [each.table.name for each in store.all()]:
            commands += [["list", name], ["get", name, text], ["get", name, text, "--json"]]
    commands += [["stats", "--json"], ["doctor", "--json"], ["search", "word", "--json"]]
    for words in commands:
        done = run(words[0], path, *words[1:], "--namespace", text)
        assert done.stdout
        assert not FORBIDDEN.search(done.stdout), words
        assert not FORBIDDEN.search(done.stderr), words


def test_json_still_means_what_was_stored(hostile: tuple[Path, str]) -> None:
    path, text = hostile
    shown = run("get", path, "memories", text, "--namespace", text, "--json").stdout
    assert json.loads(shown)["content"] == f"word {text}"


def test_errors_do_not_show_ids_as_they_are(hostile: tuple[Path, str]) -> None:
    path, text = hostile
    missing = run("get", path, "memories", text + "x", "-n", text, code=1).stderr
    taken = run(
        *("put", path, "skills", "-n", text),
        json.dumps({"id": "other", "name": text, "description": "", "trigger_pattern": ""}),
        code=3,
    ).stderr
    assert not FORBIDDEN.search(missing)
    assert not FORBIDDEN.search(taken)


def test_markup_is_shown_as_it_was_stored(tmp_path: Path) -> None:
    path, text = tmp_path / "store.db", HOSTILE["markup"]
    with OmegaStore(path) as store:
        store.memories.put(memory("m", content=text))
    assert text in run("get", path, "memories", "m").stdout


def test_a_process_that_colours_its_output_sends_no_escapes_of_the_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    with OmegaStore(path) as store:
        store.memories.put(memory("m", content="word \x1b]0;title\x07 \x1b[2J"))
    monkeypatch.setenv("FORCE_COLOR", "1")
    for words in (["get", path, "memories", "m"], ["list", path, "memories"]):
        shown = process(*words).stdout
        assert b"\x1b[1m" in shown
        assert b"\x1b]" not in shown
        assert b"\x1b[2J" not in shown
    assert b"\x1b[1;33mword\x1b[0m" in process("search", path, "word").stdout


def test_text_on_one_line_is_cut_and_spelt_out() -> None:
    assert one_line(" a\n\tb  c ") == "a b c"
    assert one_line("x" * 10, 5) == "xxxxx…"
    assert one_line("\n" * 1_000 + "x", 5) == "…"
    assert one_line("\ud800") == r"\ud800"
    assert one_line("👩\u200d🔬 e\u0301") == "👩\u200d🔬 e\u0301"


def test_paragraphs_keep_their_lines() -> None:
    assert paragraphs("a\r\nb\n\tc") == "a\nb\n    c"
    assert paragraphs("a\rb") == r"a\rb"


@pytest.mark.parametrize("text", [*HOSTILE.values(), "\x7f", "plain", "模型"])
def test_safe_json_means_the_same(text: str) -> None:
    written = json.dumps(text, ensure_ascii=False)
    assert json.loads(safe_json(written)) == text
    assert not FORBIDDEN.search(safe_json(written))


def test_sizes_have_a_unit_that_suits_them() -> None:
    shown = [size(0), size(1023), size(1024), size(1_835_008), size(2**40 * 3)]
    assert shown == ["0 B", "1023 B", "1.0 KiB", "1.8 MiB", "3.0 TiB"]


def test_moments_are_in_utc() -> None:
    assert moment(0) == "1970-01-01 00:00:00 UTC"
    assert moment(-1) == "1969-12-31 23:59:59 UTC"
    assert moment(2**62) == f"{2**62} s"
