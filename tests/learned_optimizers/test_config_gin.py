"""config.gin: what gin writes is read as gin reads it, and gin is not asked."""

from typing import Any

import gin
import hypothesis
import hypothesis.strategies as st
import pytest

from learned_optimization.errors import FileContentError
from learned_optimization.learned_optimizers import config_gin
from learned_optimization.learned_optimizers.config_gin import (
    Bindings,
    Macro,
    Reference,
    parse,
)


def values(text: str) -> dict[str, Any]:
    return {b.parameter: b.value for b in parse(text, "FILE").all}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("-3", -3), ("+3", 3), ("1_000", 1000), ("0.5", 0.5), (".5", 0.5),
        ("5.", 5.0), ("1e-3", 1e-3), ("-2.5E+3", -2500.0), ("True", True),
        ("None", None), ("'a'", "a"), ('"a\\n\\"b"', 'a\n"b'), ("'#, not a comment'",
        "#, not a comment"), ("()", ()), ("(1,)", (1,)), ("(1)", 1), ("(1, 2)", (1, 2)),
        ("[1, [2, 3],]", [1, [2, 3]]), ("{'a': 1, 2: (3,)}", {"a": 1, 2: (3,)}),
        ("('a'\n 'b')", "ab"), ("{}", {}), ("[]", []), ("3  # with a comment", 3),
        ("\\\n    (1,\n     2)", (1, 2)), ("[1,  # one\n # two\n 2]", [1, 2]),
        ("%size", Macro("size")), ("%a/b.size", Macro("a/b.size")),
        ("@HyperV2()", Reference("HyperV2", "HyperV2", ())),
        ("@a/b/m.n.F()", Reference("F", "m.n.F", ("a", "b"))),
        ("@F", Reference("F", "F", ())),
        ("[@F(), %x]", [Reference("F", "F", ()), Macro("x")]),
    ],
)  # fmt: skip
def test_a_value(text: str, value: Any) -> None:
    got = values(f"F.x = {text}\nF.y = 1\n")
    assert got == {"x": value, "y": 1}
    assert type(got["x"]) is type(value)


def test_lines_around() -> None:
    text = (
        "# a comment\r\n\r\nimport os.path\nfrom a import b  # c\ninclude 'x.gin'\n"
        "  F.x=1\n\tscope/inner/mod.F.y = 2\nsize = 3\na/size = 4"
    )
    got = parse(text, "FILE").all
    assert [(b.scopes, b.configurable, b.parameter, b.value, b.line) for b in got] == [
        ((), "F", "x", 1, 6),
        (("scope", "inner"), "F", "y", 2, 7),
        ((), "", "size", 3, 8),
        (("a",), "", "size", 4, 9),
    ]


def test_later_and_deeper_bindings_win() -> None:
    given = parse("F.x = 1\nF.y = 1\na/F.x = 2\na/b/F.x = 3\nc/F.x = 4\n", "FILE")
    given = given + parse("F.y = 5", "extra")

    def of(*scopes: str) -> dict[str, Any]:
        return {k: b.value for k, b in given.of("F", scopes).items()}

    assert of() == {"x": 1, "y": 5}
    assert of("a") == {"x": 2, "y": 5}
    assert of("a", "b") == {"x": 3, "y": 5}
    assert of("b", "a") == {"x": 1, "y": 5}
    assert Bindings().of("F") == {}


def test_macros_are_replaced_wherever_they_stand() -> None:
    given = parse("a = %b\nb = (1, 2)\nF.x = [%a, {'k': %b}]\ns/c = 3\nF.y = %s/c", "F")
    found = given.of("F")
    assert given.resolved(found["x"]) == [(1, 2), {"k": (1, 2)}]
    assert given.resolved(found["y"]) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\nF.x = os", "FILE: line 3: there is 'os' where a value should be"),
        ("F.x = 1 2", "line 1: after a value there is '2'"),
        ("F.x 1", "line 1: after F.x there is '1', and no ="),
        ("F:\n x = 1", "line 1: after F there is ':', and no ="),
        ("\nF.x = (1\n  2)", r"line 3: there is '2\)' where , or \) should be"),
        ("F.x = " + "[" * 40, "line 1: brackets are nested too deeply"),
        ("F.x = " + "9" * 101, "line 1: a number has 101 digits"),
        ("F.x = {[]: 1}", "line 1: .* is no key of a map"),
        ("F.x = 1_", "line 1: '1_' is no number"),
        ("F.x =", "line 1: there is the end of the text where a value should be"),
    ],
)
def test_an_error_says_which_line(text: str, message: str) -> None:
    with pytest.raises(FileContentError, match=message):
        parse(text, "FILE")


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(FileContentError, match="FILE: it is no text"):
        config_gin.from_bytes(b"\xff\xfe", "FILE")


LITERALS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=12,
)


def _held(value: Any = None) -> Any:
    return value


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(LITERALS)
def test_what_gin_writes_is_read_as_it_was(value: Any) -> None:
    with gin.unlock_config():
        gin.clear_config()
        name = "config_gin_held"
        if name not in _known:
            gin.external_configurable(_held, name)
            _known.add(name)
        gin.bind_parameter(f"{name}.value", value)
        text = gin.config_str()
        gin.clear_config()
    found = parse(text, "FILE").of("config_gin_held")
    if "None." in text and "value" not in found:
        return  # gin leaves out what it cannot write as a literal.
    assert found["value"].value == value


_known: set[str] = set()


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(st.text(alphabet="aF.x=/ \n\\\"'[](){},:%@#0123.e-_\t"))
def test_any_text(text: str) -> None:
    try:
        parse(text, "FILE")
    except FileContentError as error:
        _check_named(error)


def _check_named(error: FileContentError) -> None:
    assert error.path == "FILE"
    assert "line " in str(error)
