"""The page, with everything it needs inside it.

plotly.js and the data are compressed (gzip, base64) and unpacked by the browser:
the page works from a disk, without a network, and stays small.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import jinja2
import markupsafe
from plotly.offline import get_plotlyjs

from learned_optimization.baselines.analysis.comparison import LEVEL
from learned_optimization.baselines.analysis.overall import MAX_RATIO
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.times import EMA_OF_TIMES
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.baselines.report import words
from learned_optimization.baselines.report.content import content
from learned_optimization.baselines.report.cost_words import three_digits
from learned_optimization.baselines.report.rows import (
    overall_rows,
    pair_rows,
    task_rows,
)

_PARTS = files("learned_optimization.baselines.report") / "page"


def render(
    results: Sequence[Sequence[SetResult]],
    verdict: Verdict,
    *,
    title: str,
    command: str,
    downloads: Mapping[str, str],
    live_version: str = "",
    progress: Sequence[str] = (),
    notes: Mapping[str, Sequence[str]] = MappingProxyType({}),
    is_trained_by_command: bool = False,
) -> str:
    """Return the page as HTML.

    Args:
      results: for each task one result per set.
      verdict: the verdict on them.
      title: of the page.
      command: makes this page.
      downloads: files that the page offers: name to text.
      live_version: of a page that looks now and then whether there is another.
      progress: sentences on what is still being trained.
      notes: what stands above the verdict, which is then said to be that of one
        look: heading to sentences.
      is_trained_by_command: whether `command` also trains what is shown.
    """
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _number,
        "share": _share,
        "whole": _whole,
        "p": _p_value,
        "seconds": _seconds,
        "measured": three_digits,
        "coded": _coded,
    }
    shown = content(results, verdict)
    data = {**shown, "downloads": dict(downloads)}
    return environment.from_string(_part("report.html.j2")).render(
        title=title,
        made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=version("optimizer-baselines"),
        command=command,
        sentences=words.headline(results, verdict),
        caveats=words.caveats(results, verdict),
        progress=progress,
        notes=notes,
        overall=overall_rows(verdict),
        rows=task_rows(results, verdict),
        pairs=pair_rows(verdict),
        tasks=[task.task_name for task in verdict.tasks],
        scored=verdict.over_tasks.task_names,
        profile_seconds=shown["profile_seconds"] is not None,
        left_out=verdict.left_out,
        trained=[]
        if is_trained_by_command
        else [(r.task_name, r.set_name) for row in results for r in row],
        verdict=verdict,
        first=results[0][0],
        level=LEVEL,
        max_ratio=MAX_RATIO,
        where=_where(results),
        downloads=list(downloads),
        live_version=live_version,
        target_share=verdict.target_share,
        ema_of_times=EMA_OF_TIMES,
        style=_part("report.css"),
        script=_part("report.js"),
        plotly=_packed_plotly(),
        data=_packed(json.dumps(data, allow_nan=False, separators=(",", ":"))),
    )


@lru_cache
def content_security_policy() -> str:
    """Return what a browser may do for a page: run its own scripts, and no others.

    plotly.js sets styles at elements, which is no script.
    """
    scripts = " ".join(_digest(text) for text in (_part("report.js"), get_plotlyjs()))
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _digest(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _part(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")


@lru_cache
def _packed_plotly() -> str:
    return _packed(get_plotlyjs())


def _packed(text: str) -> str:
    # No time stamp: the same results make the same page.
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def _where(results: Sequence[Sequence[SetResult]]) -> list[dict[str, Any]]:
    """Return the hardware and the packages of the sets, equal ones in one row."""
    sets_of: dict[tuple[str, str, str], list[str]] = {}
    for row in results:
        for result in row:
            facts = result.facts
            platform = facts.get("accelerator_platform", "unknown")
            kind = facts.get("accelerator_kind", "")
            count = facts.get("accelerator_devs", "")
            hardware = " ".join(
                part for part in (platform, kind, f"x {count}" if count else "") if part
            )
            seconds = result.seconds_per_step
            speed = f"{1 / seconds:,.0f}" if seconds > 0 else "unknown"
            versions = ", ".join(facts.get("versions", "unknown").split("\n"))
            sets_of.setdefault((hardware, versions, result.task_name), []).append(
                f"{result.set_name} ({speed})"
            )
    return [
        {"hardware": hardware, "versions": versions, "task": task, "sets": sets}
        for (hardware, versions, task), sets in sets_of.items()
    ]


def _coded(sentence: str) -> markupsafe.Markup:
    """Return a sentence as HTML, what stands between backticks as code."""
    parts = re.split("`([^`]*)`", sentence)
    return markupsafe.Markup("").join(
        markupsafe.Markup("<code>{}</code>").format(part) if i % 2 else part
        for i, part in enumerate(parts)
    )


def _number(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "n/a"


def _p_value(value: float) -> str:
    return "<0.001" if value < 0.001 else _number(value, 3)


def _share(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "n/a"


def _seconds(value: float) -> str:
    return "never" if math.isinf(value) else _number(value, 2)


def _whole(value: float) -> str:
    if math.isinf(value):
        return "never"
    return f"{value:,.0f}" if math.isfinite(value) else "n/a"
