"""What `--checkpoint` makes known, and what templates named beside it stand for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from learned_optimization.baselines.results.archives import (
    list_hparam_sets_for_task,
    load_archive,
)
from learned_optimization.baselines.sets.checkpoint_sets import (
    TEMPLATES,
    split_set_name,
)
from learned_optimization.baselines.sets.checkpoints import NamedCheckpoint
from learned_optimization.baselines.sets.hparam_set import split_first_seed
from learned_optimization.baselines.sets.registry import known_hparam_sets
from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers import config_gin
from learned_optimization.learned_optimizers.pretrained import pretrained_names


def load_checkpoints(texts: Sequence[str] | None) -> list[NamedCheckpoint]:
    """Make the sets of checkpoints known.

    Args:
      texts: `NAME=PATH` or `NAME=CLASS@PATH`, each.

    Raises:
      LoptError: if one is wrong, or two have the same name.
    """
    checkpoints = [NamedCheckpoint.parse(text) for text in texts or ()]
    by_name: dict[str, NamedCheckpoint] = {}
    for checkpoint in checkpoints:
        other = by_name.setdefault(checkpoint.name, checkpoint)
        if other != checkpoint:
            raise LoptError(
                f"two checkpoints are called {checkpoint.name}, {other.path} and "
                f"{checkpoint.path}: give each a name of its own."
            )
    for checkpoint in by_name.values():
        checkpoint.define()
    return list(by_name.values())


def with_checkpoints(
    names: Iterable[str], checkpoints: Sequence[NamedCheckpoint]
) -> list[str]:
    """Return names with those of templates replaced by those of sets, each once.

    Args:
      names: of anything.
      checkpoints: those given; a template stands for the set of each of them.

    Raises:
      LoptError: if a template is named and no checkpoint given.
    """
    replaced: list[str] = []
    for name in names:
        template, _ = split_first_seed(name)
        if template not in TEMPLATES:
            replaced.append(name)
        elif checkpoints:
            replaced += [f"{checkpoint.name}_{name}" for checkpoint in checkpoints]
        else:
            raise LoptError(
                f"{template} is the set of a learned optimizer's checkpoint, and none "
                "is given: give it a name and say where it is, as --checkpoint "
                "NAME=PATH, e.g. --checkpoint celo=celo/params; or name the set of a "
                f"pretrained one, as {_of_pretrained(name)}."
            )
    return list(dict.fromkeys(replaced))


def _of_pretrained(template: str) -> str:
    return " or ".join(f"{name}_{template}" for name in pretrained_names())


def load_archived(names: Sequence[str]) -> None:
    """Make known, of the sets of checkpoints named, those that archives tell of.

    An archive records the path of the checkpoint. Names that are known already, or are
    of no checkpoint's set, cost nothing.

    Args:
      names: of tasks and sets.

    Raises:
      LoptError: if the checkpoint is there no longer.
    """
    known = known_hparam_sets(names)
    wanted = [n for n in names if n not in known and split_set_name(n)]
    for task in names if wanted else ():
        if task not in known and task not in wanted:
            archived = list_hparam_sets_for_task(task)
            for name in wanted:
                if name in archived:
                    _define_from_archive(task, name)


def _define_from_archive(task_name: str, set_name: str) -> None:
    # They read gin's text, which commands do without that are given no such set.
    from learned_optimization.baselines.analysis.recorded_settings import read_gin
    from learned_optimization.recorded_gin import check_address

    made_of = split_set_name(set_name)
    assert made_of is not None
    name, template = made_of
    key = "gin_operative_config"
    texts = load_archive(task_name, set_name, [key]).get(key)
    setting = None if texts is None else read_gin(str(texts.flat[0]))
    prefix = "" if template.made_by == template.optimizer else f"{template.made_by}."
    path = (setting or {}).get(f"{prefix}checkpoint_path")
    if not isinstance(path, str):
        # An archive of that name which is none of a checkpoint: it is no set.
        return
    check_address(path)
    lines = (setting or {}).get(f"{prefix}extra_bindings") or ()
    NamedCheckpoint(name, path, _architecture(lines, path)).define()


def _architecture(lines: Iterable[str], path: str) -> str:
    """Return the class that lines of gin name, empty if they name none."""
    named = config_gin.parse("\n".join(lines), path).of("run_train").get("lopt")
    return "" if named is None else getattr(named.value, "name", "")
