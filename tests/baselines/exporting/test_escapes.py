"""Text of others in CSV, LaTeX and JSON: it is shown, and does nothing."""

import csv
import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from learned_optimization.baselines.exporting.escapes import csv_text, latex_text
from learned_optimization.baselines.exporting.files import write_table

FORMULAS = [
    '=HYPERLINK("http://x","y")',
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0dx",
    "\uff20x",
    "-",
    "=",
    "--5",
    "-0x10",
    "+cmd|' /C calc'!A0",
]
NUMBERS = ["-1", "-1.5e-07", "+3", "-inf", "-.5", "1e5"]
PLAIN = ["", "Adam_lr0.1", "a=b", "x-1", " =no formula to any of them", "'quoted", "é"]


def test_formulas_are_text_and_numbers_stay_numbers() -> None:
    shown = [text.replace("\r", "\\r") for text in FORMULAS]
    assert [csv_text(text) for text in FORMULAS] == [f"'{text}" for text in shown]
    assert [csv_text(text) for text in NUMBERS + PLAIN] == NUMBERS + PLAIN


def test_tables_as_csv_and_json(tmp_path: Path) -> None:
    texts = [*FORMULAS, *NUMBERS, None]
    numbers = [-1.5] * (len(texts) - 2) + [float("nan"), float("-inf")]
    table = pa.table(
        {
            "=name": pa.array(texts),
            "coded": pa.array(texts).dictionary_encode(),
            "number": pa.array(numbers),
            "whole": pa.array([-3] * len(texts)),
        }
    )
    write_table(table, tmp_path / "t.csv", "csv")
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["'=name", "coded", "number", "whole"]
    want = [*map(csv_text, FORMULAS), *NUMBERS, ""]
    assert [row[0] for row in rows] == [row[1] for row in rows] == want
    assert [row[2] for row in rows] == ["-1.5"] * (len(texts) - 2) + ["NaN", "-inf"]
    assert {row[3] for row in rows} == {"-3"}

    write_table(table, tmp_path / "t.json", "json")

    def refuse(token: str) -> None:
        raise AssertionError(token)

    read = json.loads((tmp_path / "t.json").read_text(), parse_constant=refuse)
    assert [row["=name"] for row in read] == texts
    assert [row["number"] for row in read][-2:] == [None, None]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("\\", r"\textbackslash{}"),
        ("{}", r"\{\}"),
        ("~^", r"\textasciitilde{}\textasciicircum{}"),
        ("&%$#_", r"\&\%\$\#\_"),
        ("<|>", r"\textless{}\textbar{}\textgreater{}"),
        ("\x1b\n", r"\textbackslash{}x1b\textbackslash{}n"),
        ("\u202e", r"\textbackslash{}u202e"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("Adam_lr0.1, β₁", r"Adam\_lr0.1, β₁"),
    ],
)
def test_latex(text: str, want: str) -> None:
    assert latex_text(text) == want


def test_no_character_stays_special_in_latex() -> None:
    for point in range(1, 0x250):
        shown = latex_text(chr(point))
        # What is left, once commands for characters are taken out, is text.
        left = re.sub(r"\\(text[a-z]+\{\}|[{}&%$#_])", "", shown)
        assert not set(left) & set("\\{}~^&%$#_<>|"), hex(point)
        assert left.isprintable() or chr(point) == "\xa0"
