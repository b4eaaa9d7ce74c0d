"""Find the files of the One Billion Word Benchmark, as its archive unpacks.

Chelba et al. 2013 (arXiv:1312.3005), https://www.statmt.org/lm-benchmark. The
training part is 99 files of shuffled sentences, one per line; the hundredth was
held out and cut into 50 files, which are the test part.
"""

from __future__ import annotations

from pathlib import Path

from learned_optimization.tasks.datasets.catalog import TextDataset
from learned_optimization.tasks.datasets.sources.base import TextSource
from learned_optimization.tasks.datasets.sources.text_files import TextFile

ARCHIVE = "1-billion-word-language-modeling-benchmark-r13output"

_TRAIN = "training-monolingual.tokenized.shuffled"
_TRAIN_FILES = "news.en-[0-9][0-9][0-9][0-9][0-9]-of-00100"
_TEST = "heldout-monolingual.tokenized.shuffled"
_TEST_FILES = "news.en.heldout-[0-9][0-9][0-9][0-9][0-9]-of-00050"


def find(row: TextDataset, folder: Path) -> TextSource | None:
    """Return the unpacked archive in a folder, or the folder as the unpacked archive.

    Fewer than all files will do, for trials: what is prepared from them says how
    many they were.

    Args:
      row: the data set they should hold.
      folder: where to look.

    Returns:
      The source, or None unless there are files of both parts.
    """
    del row
    for root in (folder, folder / ARCHIVE):
        # Number 00000 of the training files is the part that was held out.
        train = [
            path
            for path in sorted((root / _TRAIN).glob(_TRAIN_FILES))
            if "-00000-" not in path.name
        ]
        test = sorted((root / _TEST).glob(_TEST_FILES))
        if train and test:
            return TextSource(tuple(map(TextFile, train)), tuple(map(TextFile, test)))
    return None
