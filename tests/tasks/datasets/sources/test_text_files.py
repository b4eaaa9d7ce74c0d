"""Text files and the unpacked lm1b: what is found, what is read, what is refused."""

import gzip
import json

import pytest

from learned_optimization.errors import DatasetShapeError
from learned_optimization.tasks.datasets.catalog import get_text_dataset
from learned_optimization.tasks.datasets.sources import lm1b, text_files
from learned_optimization.tasks.datasets.sources.text_files import TextFile

WIKIPEDIA = get_text_dataset("wikipedia")
LM1B = get_text_dataset("lm1b")


def read(path, content):
    path.write_bytes(content)
    return list(TextFile(path).documents())


def names(shards):
    return [shard.path.name for shard in shards]


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_documents_of_plain_and_compressed_files(tmp_path, ending):
    pack = gzip.compress if ending else bytes
    text = "abc\n\n \t\nzwei Wörter\r\nlast".encode()
    documents = ["abc", "zwei Wörter", "last"]
    assert read(tmp_path / f"a.txt{ending}", pack(text)) == documents
    rows = [{"text": "one\ntwo", "id": 3}, {"text": ""}, {"text": "é\u2028x"}]
    content = "\n".join(map(json.dumps, rows)).encode()
    assert read(tmp_path / f"a.jsonl{ending}", pack(content)) == [
        "one\ntwo",
        "é\u2028x",
    ]


def test_only_newlines_end_a_document(tmp_path):
    text = "a\u2028b\x0bc\x85d\re\n"
    assert read(tmp_path / "a.txt", text.encode()) == ["a\u2028b\x0bc\x85d\re"]


def test_byte_order_mark_is_no_text(tmp_path):
    assert read(tmp_path / "a.txt", b"\xef\xbb\xbfabc\nd\n") == ["abc", "d"]


def test_documents_are_streamed(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"fine\n\xff\n")
    documents = TextFile(path).documents()
    assert next(documents) == "fine"
    with pytest.raises(DatasetShapeError, match=r"a\.txt, line 2: not UTF-8"):
        next(documents)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "cut o', "line 2: not JSON"),
        (b'{"title": "x"}', "line 2: expected a JSON object with a string under"),
        (b'{"text": 3}', "line 2: expected a JSON object"),
        (b'["text"]', "line 2: expected a JSON object"),
        (b'{"text": "\\ud800"}', "line 2: the text holds half of a character"),
        (b'{"text": "\xff"}', "line 2: not UTF-8"),
    ],
)
def test_lines_that_are_no_documents(tmp_path, line, message):
    with pytest.raises(DatasetShapeError, match=message) as caught:
        read(tmp_path / "a.jsonl", b'{"text": "x"}\n' + line)
    assert str(tmp_path / "a.jsonl") in str(caught.value)


def test_damaged_compression(tmp_path):
    whole = gzip.compress(b"abc\n" * 100_000)
    with pytest.raises(DatasetShapeError, match="cannot be read"):
        read(tmp_path / "a.txt.gz", whole[: len(whole) // 2])
    with pytest.raises(DatasetShapeError, match="cannot be read after line 0"):
        read(tmp_path / "b.txt.gz", b"not compressed")


def test_training_and_test_files(tmp_path):
    assert text_files.find(WIKIPEDIA, tmp_path) is None
    assert text_files.find(WIKIPEDIA, tmp_path / "nowhere") is None
    for name in ("b.txt.gz", "a.txt", "c.jsonl", "README.txt", ".hidden.txt"):
        (tmp_path / name).touch()
    for name in ("a.txt.partial", "d.csv", "a.txt.gz"):
        (tmp_path / name).touch()
    (tmp_path / "folder.txt").mkdir()
    source = text_files.find(WIKIPEDIA, tmp_path)
    assert source is not None
    assert names(source.train) == ["a.txt", "b.txt.gz", "c.jsonl"]
    assert names(source.test) == []
    (tmp_path / "test-1.txt").touch()
    source = text_files.find(WIKIPEDIA, tmp_path)
    assert source is not None
    assert names(source.train) == ["a.txt", "b.txt.gz", "c.jsonl"]
    assert names(source.test) == ["test-1.txt"]
    (tmp_path / "train-2.jsonl.gz").touch()
    (tmp_path / "train-1.txt").touch()
    source = text_files.find(WIKIPEDIA, tmp_path)
    assert source is not None
    assert names(source.train) == [
        "train-1.txt",
        "train-2.jsonl.gz",
    ]
    assert names(source.test) == ["test-1.txt"]


def test_a_test_part_alone_is_nothing_to_train_on(tmp_path):
    (tmp_path / "test.txt").touch()
    assert text_files.find(WIKIPEDIA, tmp_path) is None


def write_lm1b(root, num_train, num_test):
    train = root / "training-monolingual.tokenized.shuffled"
    test = root / "heldout-monolingual.tokenized.shuffled"
    for folder in (train, test):
        folder.mkdir(parents=True)
    for i in range(1, num_train + 1):
        path = train / f"news.en-{i:05d}-of-00100"
        path.write_text(f"The {i} .\nIt 's é .\n", encoding="utf-8")
    for i in range(num_test):
        (test / f"news.en.heldout-{i:05d}-of-00050").write_text(f"Held {i} .\n")


@pytest.mark.parametrize("below", ["", lm1b.ARCHIVE])
def test_unpacked_lm1b(tmp_path, below):
    assert lm1b.find(LM1B, tmp_path) is None
    write_lm1b(tmp_path / below, 99, 50)
    train = tmp_path / below / "training-monolingual.tokenized.shuffled"
    (train / "news.en-00000-of-00100").write_text("Of the part held out .\n")
    (train / "news.en-00001-of-00100.partial").touch()
    source = lm1b.find(LM1B, tmp_path)
    assert source is not None
    assert len(source.train) == 99
    assert len(source.test) == 50
    assert names(source.train)[0] == "news.en-00001-of-00100"
    assert names(source.train)[-1] == "news.en-00099-of-00100"
    assert list(source.train[1].documents()) == ["The 2 .", "It 's é ."]
    assert list(source.test[49].documents()) == ["Held 49 ."]


def test_lm1b_without_its_test_part_is_not_lm1b(tmp_path):
    write_lm1b(tmp_path, 3, 0)
    assert lm1b.find(LM1B, tmp_path) is None
