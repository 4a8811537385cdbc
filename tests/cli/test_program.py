"""What all commands have in common: help, exit codes, the environment, errors, pipes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest
import typer

from cli.support import COMMAND, printed_json, process, refused, run
from omega_persistence import OmegaStore, __version__
from omega_persistence.cli import app
from samples import memory

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = cast("Any", typer.main.get_command(app)).commands


def test_help_names_every_command_and_every_exit_code() -> None:
    shown = run("--help").stdout
    assert all(re.search(rf"^│ {name} ", shown, re.MULTILINE) for name in COMMANDS)
    assert re.findall(r"^ +(\d+)  ", shown, re.MULTILINE) == ["0", "1", "2", "3", "130", "141"]
    assert run().stdout == shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_every_option_has_a_help_text(command: str) -> None:
    shown = run(command, "--help").stdout
    assert COMMANDS[command].help.splitlines()[0].split("[")[0] in " ".join(shown.split())
    assert all(each.help for each in COMMANDS[command].params)


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {"shell-completion", "export"}))
def test_every_command_that_prints_data_can_print_json(command: str) -> None:
    assert "--json" in run(command, "--help").stdout


def test_the_version_is_printed() -> None:
    assert run("--version").stdout == f"omega-persistence {__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense"], "No such command 'nonsense'."),
        (["stat"], "Did you mean 'stats'?"),
        (["get"], "Missing argument 'STORE'."),
        (["stats", "--nonsense"], "No such option"),
        (["list", "x.db", "memories", "--limit", "many"], "'--limit'"),
        (["list", "x.db", "memories", "--limit", "0"], "'--limit'"),
        (["stats", "x.db", "y.db"], "unexpected extra argument"),
    ],
)
def test_wrong_use_ends_with_2_one_line_and_a_hint(words: list[str], message: str) -> None:
    done = run(*words, code=2)
    assert done.stdout == ""
    first, hint = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert message in first
    assert re.fullmatch(r"Try `omega-persistence[a-z -]* --help`\.", hint)


def test_every_error_of_the_store_is_one_line_and_a_hint(path: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Ines, " * 100)
    for words in (
        ["stats", tmp_path],
        ["stats", tmp_path / "letter.txt"],
        ["stats", path, "--namespace", ""],
        ["init", tmp_path / "no folder" / "x.db"],
        ["backup", path, path],
        ["import", path, tmp_path / "letter.txt"],
        ["restore", tmp_path / "none.db", tmp_path / "new.db"],
    ):
        assert refused(*words)[0]


# STORE from the environment

IN_ENVIRONMENT = [
    ["stats"],
    ["check"],
    ["get", "memories", "m1"],
    ["list", "memories", "--limit", "1"],
    ["list", "--limit", "1", "memories"],
    ["search", "disk"],
    ["put", "memories", '{"id": "m1", "content": "", "tier": 1, "importance": 0}'],
]


@pytest.mark.parametrize("words", IN_ENVIRONMENT, ids=lambda words: " ".join(words[:2]))
def test_the_store_may_come_from_the_environment(
    words: list[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMEGA_PERSISTENCE_STORE", str(path))
    run(*words, "--json")


def test_a_store_that_is_given_wins_over_the_environment(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMEGA_PERSISTENCE_STORE", str(tmp_path / "none.db"))
    assert printed_json("stats", path)["memory_count"] == 3
    assert printed_json("get", path, "memories", "m1")["id"] == "m1"


def test_a_relative_path_in_the_environment_is_relative_to_the_working_folder(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("OMEGA_PERSISTENCE_STORE", path.name)
    assert printed_json("get", "memories", "m1")["id"] == "m1"


def test_restore_never_takes_a_path_from_the_environment(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMEGA_PERSISTENCE_STORE", str(path))
    assert "Missing argument 'TARGET'" in run("restore", tmp_path / "copy.db", code=2).stderr


# Processes


def test_stdout_has_the_answer_and_stderr_the_rest(path: Path) -> None:
    done = process("list", path, "memories", "--limit", "2", "--json")
    assert done.returncode == 0
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["m1", "m2"]
    assert done.stderr == b"there are more: --after m2\n"
    missing = process("get", path, "memories", "m9")
    assert (missing.returncode, missing.stdout) == (1, b"")
    assert missing.stderr.startswith(b"error: no StoredMemory")
    assert process("stats", path.parent / "none.db").returncode == 3
    assert process("stats").returncode == 2


def test_export_and_import_of_two_processes_are_joined_by_a_pipe(
    path: Path, tmp_path: Path
) -> None:
    exported = process("export", path, "-")
    done = process("import", tmp_path / "new.db", "-", "--create", stdin=exported.stdout)
    assert done.returncode == 0
    assert printed_json("stats", tmp_path / "new.db")["memory_count"] == 3


@pytest.mark.parametrize(
    "words",
    [
        ["list", "STORE", "memories", "--limit", "500"],
        ["list", "STORE", "memories", "--limit", "500", "--json"],
        ["export", "STORE", "-"],
    ],
    ids=["table", "json", "export"],
)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_reader_that_goes_away_is_no_traceback(
    words: list[str], unbuffered: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with OmegaStore(path, durability="normal") as store:
        store.memories.put_many(memory(f"x{i}", content="word " * 50) for i in range(500))
    command = [*COMMAND, *(str(path) if word == "STORE" else word for word in words)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pipesize=4096, bufsize=0
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        said = child.stderr.read()
        assert child.wait(120) == 141
    assert said == b""
    assert printed_json("check", path)["ok"]


def test_text_that_the_terminal_cannot_show_is_spelt_out(path: Path) -> None:
    with OmegaStore(path) as store:
        store.memories.put(memory("m8", content="naïve 模型"))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    shown = subprocess.run(
        [*COMMAND, "get", str(path), "memories", "m8"],
        env=environment,
        capture_output=True,
        check=True,
        timeout=120,
    ).stdout
    assert rb"na\xefve \u6a21\u578b" in shown


def test_an_interrupt_ends_with_130_and_stores_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(OmegaStore, "export_jsonl", interrupt)
    assert run("export", path, path.parent / "e.jsonl", code=130).stderr == "interrupted\n"


IMPORTS = """
import sys
from typer.testing import CliRunner
from omega_persistence.cli import app
CliRunner().invoke(app, sys.argv[1:])
print(*sorted({"numpy", "re2", "rich", "typer"} & sys.modules.keys()))
"""


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        (["--help"], ["rich", "typer"]),
        (["get", "STORE", "memories", "m1", "--json"], ["typer"]),
        (["stats", "STORE"], ["rich", "typer"]),
    ],
    ids=["help", "json", "table"],
)
def test_a_command_loads_only_what_it_needs(
    words: list[str], loaded: list[str], path: Path
) -> None:
    command = [sys.executable, "-c", IMPORTS, *(w.replace("STORE", str(path)) for w in words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == loaded


def test_the_library_does_not_load_the_command_line() -> None:
    script = "import omega_persistence, sys; print(*{'typer', 'rich'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "\n"


# Completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_every_shell_has_a_completion_script(shell: str) -> None:
    script = run("shell-completion", shell).stdout
    assert "_OMEGA_PERSISTENCE_COMPLETE" in script
    assert "omega-persistence" in script
    assert "_OMEGA_PERSISTENCE_COMPLETE" not in os.environ


def test_the_completion_script_is_for_the_login_shell_if_none_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for shell, script in (("/usr/bin/zsh", "zsh"), ("/bin/sh", "bash")):
        monkeypatch.setenv("SHELL", shell)
        assert run("shell-completion").stdout == run("shell-completion", script).stdout
    assert "'csh'" in run("shell-completion", "csh", code=2).stderr


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("omega-persistence ba", "backup"), ("omega-persistence get x.db mem", "memories")],
)
def test_commands_and_collections_are_completed(
    typed: str, offered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_OMEGA_PERSISTENCE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    assert process().stdout.decode().split() == [offered]
