"""Make `docs/tasks.md`: every fixed task, its data, its size and its cost.

    python scripts/make_task_table.py [--check]

With `--check` nothing is written: the page is compared with a fresh one.
"""

from __future__ import annotations

from importlib import import_module

import generated_page

from learned_optimization.tasks import registry
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.cost import cost

PAGE = generated_page.DOCS / "tasks.md"

_HEAD = """\
# The tasks

<!-- Made by scripts/make_task_table.py. -->

{num_published} tasks of the published distribution and {num_own} of ours, marked
\\*. `lopt tasks` lists them with what is available on your machine; `lopt tasks
'RNNLM_*'` lists some.

FLOPs are those of the matrix products in the loss and gradient of one batch; a
multiplication and an addition count as two. Evaluations are not included. Parameters,
batches and sizes are the published ones; the shared test suite compares each with
counts made by hand.

Published, but not here: `JAXNeRF_HotdogBlenderTask`, `JAXNeRF_LegoBlenderTask`
and `JAXNeRF_ShipBlenderTask`, named in the published normalizers, because their
code was never released.

The parameters of the tasks that train learned optimizers (`LOpt*`, some spelled as
published) are meta-parameters, and their loss is that of the runs inside. A batch is
those of a whole inner run (`LOptTask`), or of a truncation of all pairs
(`TruncatedPESTask`, whose splits are all the training data, as published).

For all of them, batch norm uses the statistics of the current batch, and dropout
drops, in evaluation as well as in training, as in the published baselines.
Convolutions take the form that is fastest inside a compiled training loop: XLA's
own, or matrix products over patches.

A task may be wrapped: `ESTask` estimates its gradient by evolution strategies (the
loss reported is that of the parameters themselves); `ReparamWeights`,
`ReducedBatchsizeTask` and `ConvertFloatDType` change what is computed;
`ModifyTaskGradient`, `NormalizeTaskGradient`, `SubsampleDirectionsTaskGradient` and
`AsyncDelayedGradients` change the gradient alone. See `tasks.es_wrapper` and
`tasks.task_augmentation`; each has a family, and gin configures all of them.
"""


def page() -> str:
    """Return the whole page."""
    tasks = registry.all_fixed_tasks()
    num_published = sum(entry.is_published for entry in tasks.values())
    text = _HEAD.format(num_published=num_published, num_own=len(tasks) - num_published)
    for module in sorted({entry.module for entry in tasks.values()}):
        title = (import_module(module).__doc__ or module).partition(".")[0]
        text += (
            f"\n## {title}\n\n"
            "| task | data | parameters | batch | MFLOPs per step |\n"
            "|---|---|--:|--:|--:|\n"
        )
        for name, entry in tasks.items():
            if entry.module == module:
                mark = "" if entry.is_published else " \\*"
                text += _row(f"`{name}`{mark}", entry.make())
    return text


def _row(name: str, task: Task) -> str:
    size = cost(task)
    data = task.datasets
    assert data is not None
    batch = data.abstract_batch
    field = next(iter(batch))
    shown = "x".join(map(str, batch[field].shape[1:]))
    shown += " tokens" if field == "obs" else ""
    return (
        f"| {name} | {data.name}, {shown} | {size.num_params:,} | {data.batch_size} | "
        f"{size.flops / 1e6:,.1f} |\n"
    )


if __name__ == "__main__":
    generated_page.main(PAGE, page)
