"""`lopt lopts`: the learned optimizers, and what a checkpoint of one holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from learned_optimization.baselines.sets.checkpoints import found_checkpoint
from learned_optimization.cli.choosing import import_files, is_pattern, matching
from learned_optimization.cli.completion import completer
from learned_optimization.cli.options import Imports
from learned_optimization.cli.output import say
from learned_optimization.cli.tables import (
    Table,
    console,
    json_option,
    print_json,
    size,
)
from learned_optimization.errors import LoptError, NotRegisteredError
from learned_optimization.learned_optimizers import pretrained
from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    all_learned_optimizers,
    summary,
)
from learned_optimization.learned_optimizers.description import (
    CheckpointDescription,
    Shapes,
    describe_checkpoint,
    settings_of,
    size_of,
    theta_shapes,
)


def lopts(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|PATH]",
            help="A learned optimizer, a pattern such as 'Celo*', one of the package's "
            "pretrained ones, or the path of a checkpoint; CLASS@PATH where nothing "
            "beside it says its class.",
            autocompletion=completer("learned optimizer"),
        ),
    ] = None,
    imports: Imports = None,
    as_json: Annotated[
        bool,
        json_option(
            "name, summary, meta_parameters, needs (a list), settings and arrays "
            "(objects); of a checkpoint also path, named_by, bytes, digest, gen_id and "
            "step"
        ),
    ] = False,
) -> None:
    """List the learned optimizers, or what one of them or a checkpoint holds.

    A name is of a learned optimizer if there is one, else of a pretrained one, else of
    a file.
    """
    import_files(imports)
    known = all_learned_optimizers()
    if name is None or name in known or (is_pattern(name) and "/" not in name):
        rows = [_row(known[n]) for n in matching("learned optimizer", name, known)]
        if as_json:
            print_json(rows)
        elif name in known:
            say(f"{name}: {rows[0]['summary']}")
            _print_parts(**rows[0])
        else:
            _print_list(rows)
            if name is None:
                _say_pretrained()
        return
    if name in pretrained.pretrained_names():
        name = pretrained.address(name)
    described = _described(name, known)
    row = _row_of_checkpoint(described)
    if as_json:
        print_json([row])
        return
    say(f"{described.path}: {described.name}, as {described.named_by} says")
    run = described.gen_id and f" of run {described.gen_id}"
    trained = f", outer step {described.step:,}{run}" if described.step or run else ""
    say(f"{size(described.bytes)}, digest {described.digest}{trained}")
    _print_parts(**row)


def _row(cls: type[LearnedOptimizer]) -> dict[str, Any]:
    settings, shapes, needs = _made(cls)
    return {
        "name": cls.__name__,
        "summary": summary(cls),
        "meta_parameters": size_of(shapes) if shapes else None,
        "needs": needs,
        "settings": _plain(settings),
        "arrays": shapes,
    }


def _made(cls: type[LearnedOptimizer]) -> tuple[dict[str, Any], Shapes, list[str]]:
    """Return what the class makes without arguments: settings, arrays and needs."""
    try:
        made = cls()
        return settings_of(made), theta_shapes(made), sorted(made.needs)
    # One of one's own may want settings, or raise anything.
    except Exception:
        return {}, {}, []


def _row_of_checkpoint(described: CheckpointDescription) -> dict[str, Any]:
    return {
        "name": described.name,
        "path": described.path,
        "named_by": described.named_by,
        "bytes": described.bytes,
        "digest": described.digest,
        "gen_id": described.gen_id,
        "step": described.step,
        "meta_parameters": described.num_meta_parameters,
        "needs": described.needs,
        "settings": _plain(described.settings),
        "arrays": described.shapes,
    }


def _plain(value: Any) -> Any:
    """Return settings as JSON can have them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    is_plain = value is None or isinstance(value, (bool, int, float, str))
    return value if is_plain else getattr(value, "name", str(value))


def _described(
    text: str, known: Mapping[str, type[LearnedOptimizer]]
) -> CheckpointDescription:
    try:
        architecture, path = found_checkpoint(text)
    except LoptError:
        if "/" in text or "@" in text or "." in text:
            raise
        raise NotRegisteredError("learned optimizer", text, known) from None
    return describe_checkpoint(path, architecture)


def _print_list(rows: list[dict[str, Any]]) -> None:
    table = Table()
    table.add_column("learned optimizer", no_wrap=True)
    table.add_column("meta-parameters", justify="right", no_wrap=True)
    table.add_column("needs", no_wrap=True)
    table.add_column("what it is")
    for row in rows:
        table.add_row(
            row["name"],
            "" if row["meta_parameters"] is None else f"{row['meta_parameters']:,}",
            ", ".join(row["needs"]),
            row["summary"],
        )
    console().print(table)
    say(f"{len(rows)} learned optimizer{'s' * (len(rows) != 1)}")


def _say_pretrained() -> None:
    for name in pretrained.pretrained_names():
        say(f"{name} is meta-trained already: {name}_LOpt_1000_R5 is a set of it")


def _print_parts(
    settings: Mapping[str, Any],
    arrays: Shapes,
    meta_parameters: int | None,
    needs: list[str],
    **others: Any,
) -> None:
    del others
    if settings:
        table = Table()
        table.add_column("setting", no_wrap=True)
        table.add_column("value", overflow="fold")
        for key, value in settings.items():
            table.add_row(key, str(value))
        console().print(table)
    if meta_parameters is not None:
        table = Table()
        table.add_column("array of theta", overflow="fold")
        table.add_column("shape", justify="right", no_wrap=True)
        for key, shape in arrays.items():
            table.add_row(key, " x ".join(map(str, shape)) or "a number")
        console().print(table)
        say(f"{meta_parameters:,} meta-parameters in {len(arrays)} arrays")
    say(f"needs {' and '.join(needs) or 'gradients alone'}")
