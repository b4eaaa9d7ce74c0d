"""Text in the formats of other programs, where some characters mean something else.

A spreadsheet takes a cell that begins with `=` for a formula, and runs it; LaTeX takes
a backslash for a command. Names of tasks and sets, and what archives record, may begin
with or hold anything.
"""

from __future__ import annotations

import re

from learned_optimization.text import one_line, printable

# As OWASP lists them (https://owasp.org/www-community/attacks/CSV_Injection), with
# their forms of full width.
_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[-+]?(inf|nan)", re.I)

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: "\\" + character for character in "{}&%$#_"},
}


def csv_text(text: str) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula.

    One that begins as a formula does gets a single quote before it, unless it is a
    number, which begins so too. Control characters but line ends and tabs are written
    out: a carriage return would end the row for some readers.
    """
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    return printable(text)


def latex_text(text: str) -> str:
    """Return LaTeX that shows a text, its control characters written out."""
    return "".join(_LATEX.get(character, character) for character in one_line(text))
