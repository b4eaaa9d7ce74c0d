"""No text of a file reaches a terminal that obeys it, or an output that lacks it."""

import ast
import io
import json
import os
import sys
import unicodedata
import warnings
from pathlib import Path

import pytest
from rich.text import Text

import learned_optimization
from learned_optimization.baselines import utils
from learned_optimization.cli import output, tables
from learned_optimization.cli.main import _one_line, main
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.text import one_line, printable
from tests.baselines.files import write
from tests.cli.running import lopt, lopt_here

EVIL = "a\x1b]0;title\x07\x1b[31mred\r\x9b2J\x7f\u202eback\u2066\udcffend"
SHOWN = "a\\x1b]0;title\\x07\\x1b[31mred\\r\\x9b2J\\x7f\\u202eback\\u2066\\udcffend"

CLI = Path(learned_optimization.__file__).parent / "cli"


def obeyed(text: str) -> list[str]:
    """Return what of a text a terminal would obey, or no output could encode."""
    odd = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return [c for c in text if unicodedata.category(c) in odd and c not in "\n\t"]


def test_every_character_is_shown_or_written_out():
    rare = [*range(0x3000, sys.maxunicode + 1, 61), *range(0xE0000, 0xE0080)]
    for point in [*range(0x3000), *rare, 0xD800, 0xDFFF, 0xFEFF]:
        c = chr(point)
        assert not obeyed(printable(c)), hex(point)
        assert printable(printable(c)) == printable(c)
        if unicodedata.category(c) in ("Lu", "Ll", "Lo", "Nd", "Zs", "Sm", "So"):
            assert printable(c) == one_line(c) == c
    assert printable(EVIL) == SHOWN
    assert printable("a\nb\tc") == "a\nb\tc"
    assert one_line("a\nb\tc") == "a\\nb\\tc"


def test_errors_are_printable_and_quote_what_they_got():
    for error in (LoptError(EVIL), UnknownNameError("task", EVIL, [EVIL + "x"])):
        assert not obeyed(str(error))
        assert "\\x1b[31mred" in str(error)


def test_lines_and_tables(capsys):
    output.say(EVIL)
    output.say(EVIL, err=True)
    table = tables.Table(title=EVIL)
    table.add_column(EVIL)
    table.add_row(EVIL + "\n[bold]not bold[/bold] [link=http://x]y[/link] :smile:")
    shown = tables.Console(width=400)
    shown.print(table)
    shown.print(EVIL)
    out, err = capsys.readouterr()
    assert not obeyed(out + err)
    assert err == SHOWN + "\n"
    assert out.count(SHOWN) == 5
    assert "end\\n[bold]not bold[/bold] [link=http://x]y[/link] :smile:" in out


def test_on_a_terminal_only_rich_itself_writes_escapes():
    file = io.StringIO()
    shown = tables.Console(file=file, force_terminal=True, width=400)
    table = tables.Table(title=EVIL)
    table.add_column("x")
    table.add_row(EVIL)
    shown.print(table)
    # What is left, once styles are taken out, is text.
    assert not obeyed(Text.from_ansi(file.getvalue()).plain)
    assert Text.from_ansi(file.getvalue()).plain.count(SHOWN) == 2


def test_json_has_no_number_that_is_none(capsys):
    tables.print_json([{"a": float("nan"), "b": [float("-inf"), 1.5], "c": EVIL}])
    out = capsys.readouterr().out

    def refuse(token: str) -> None:
        raise AssertionError(token)

    [row] = json.loads(out, parse_constant=refuse)
    assert row == {"a": None, "b": [None, 1.5], "c": EVIL}
    assert out.isascii()


def test_one_module_prints():
    """Everything else in the command line prints by it."""
    for path in CLI.glob("*.py"):
        if path.stem in ("output", "tables"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "typer.echo", "typer.secho"), path
            if isinstance(node, ast.ImportFrom):
                assert node.module not in ("rich.table", "rich.console"), path


def evil_folder() -> Path:
    """Make the folder of a task of that name, which a path may not hold all of."""
    root = Path(utils.get_root_baseline_dir())
    path = write("SGD_lr0.1", 0, task_name="T\x1b[31m\u202e")
    bad = os.fsencode(Path(path).parent) + b"/bad\xff\n.curves"
    with open(bad, "wb") as file:
        file.write(b"no zip")
    return root


def test_names_of_folders_and_files():
    evil_folder()
    write("SGD_lr0.1", 0, num_steps=30, gin_operative_config=EVIL.replace("\udcff", ""))
    for arguments in (["status", "-v"], ["status", "--json"]):
        done = lopt_here(*arguments)
        assert done.returncode == 0
        assert not obeyed(done.stdout + done.stderr)
    [odd] = [row for row in json.loads(done.stdout) if row["bad"]]
    assert odd["task"] == "T\x1b[31m\u202e"
    assert os.fsencode(odd["bad_files"][0]["path"]).endswith(b"/bad\xff\n.curves")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_output_that_lacks_characters(monkeypatch, encoding):
    evil_folder()
    streams = [io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    monkeypatch.setattr(sys, "argv", ["lopt", "status", "-v"])
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    output.say("日本 \u202e", err=True)
    for stream in streams:
        stream.seek(0)
    assert "bad\\udcff\\n.curves" in streams[0].read()
    assert streams[1].read() == "\\u65e5\\u672c \\u202e\n"


@pytest.mark.slow
def test_a_process_whose_output_is_ascii():
    done = lopt("rm", "--only", "日\u202e", LANG="C", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert "'\\u65e5\\u202e'" in done.stderr


def test_warnings_on_the_command_line():
    assert _one_line(UserWarning(EVIL)) == f"warning: {SHOWN}\n"
