"""GLUE's tables and rated sentences as labelled text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codesign.errors import InputError
from codesign.text.labelled import labelled, read_rated, read_tsv
from codesign.text.reading import fields_of

SST2 = 'sentence\tlabel\nhide "new secretions \t0\ncontains no wit , only "labored\' gags\t0\nthat loves it\t1\n'
RTE = (
    "index\tsentence1\tsentence2\tlabel\n0\tNo weapons.\tWeapons.\tnot_entailment\n"
    "1\tA place.\tPlace.\tentailment\n2\tX.\tY.\tentailment\n"
)


def table(folder: Path, text: str) -> Path:
    """Write a table."""
    path = folder / "train.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def test_single_sentences(tmp_path: Path) -> None:
    """Quotes are characters of the text, and numbers are the classes where no names are given."""
    read = read_tsv(table(tmp_path, SST2), text="sentence", label="label")
    assert read.texts == ('hide "new secretions', "contains no wit , only \"labored' gags", "that loves it")
    assert read.pairs is None
    assert read.labels.tolist() == [0, 0, 1]
    assert read.classes == ("0", "1")
    named = read_tsv(table(tmp_path, SST2), text="sentence", label="label", classes=("negative", "positive"))
    assert named.labels.tolist() == [0, 0, 1]
    assert named.classes == ("negative", "positive")


def test_pairs_with_names(tmp_path: Path) -> None:
    """Two columns of text, and classes by name: sorted, or in the order asked for."""
    path = table(tmp_path, RTE)
    read = read_tsv(path, text="sentence1", pair="sentence2", label="label")
    assert read.pairs == ("Weapons.", "Place.", "Y.")
    assert (read.classes, read.labels.tolist()) == (("entailment", "not_entailment"), [1, 0, 0])
    order = ("not_entailment", "entailment")
    assert read_tsv(path, text="sentence1", label="label", classes=order).labels.tolist() == [0, 1, 1]


def test_files_without_a_header(tmp_path: Path) -> None:
    """Columns can be named for a file that does not name them, as CoLA's."""
    path = table(tmp_path, "gj04\t1\t\tOur friends.\ngj04\t0\t*\tThey drank the pub.\n")
    read = read_tsv(path, text="sentence", label="label", columns=("source", "label", "mark", "sentence"))
    assert read.texts == ("Our friends.", "They drank the pub.")
    assert read.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "names", "message"),
    [
        ("sentence\tclass\na\t0\n", None, r"no column 'label'; there are 'sentence', 'class'"),
        ("sentence\tlabel\na\t0\nb\n", None, r"line 3: expected 2 fields \(sentence, label\), got 1"),
        ("sentence\tlabel\na\t0\nb\t\n", None, r"line 3: label: expected text, got an empty field"),
        ("sentence\tlabel\n \t0\nb\t1\n", None, r"line 2: sentence: expected text, got an empty field"),
        ("sentence\tlabel\na\t0\n\nb\t2\n", ("no", "yes"), r"line 4: label: expected no, yes or 0 to 1, got '2'"),
        ("sentence\tlabel\na\t0\nb\t-1\n", ("no", "yes"), r"line 3: label: .* got '-1'"),
        ("sentence\tlabel\na\t0\nb\t2\n", None, r"no example of class 1: expected at least one"),
        ("sentence\tlabel\na\tno\n", ("no", "yes"), r"no example of class yes"),
        ("sentence\tlabel\na\tno\n", None, r"classes no: expected at least two"),
        ("sentence\tlabel\n", None, r"no examples: expected at least one of each class"),
        ("\n", None, r"the file is empty"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, names: tuple[str, ...] | None, message: str) -> None:
    """Each mistake is named with its file and line."""
    with pytest.raises(InputError, match=rf"train\.tsv.*{message}"):
        read_tsv(table(tmp_path, text), text="sentence", label="label", classes=names)


def test_numbers_are_places_and_digits_are_names_first() -> None:
    """Classes named by digits in any order keep their meaning: 0 is the first one, "0" the one of that name."""
    names, where = ("1", "2", "0"), ("a", "b", "c")
    places = labelled("x", where, None, [("row", label) for label in (0, 1, 2)], names)
    assert places.labels.tolist() == [0, 1, 2]
    assert labelled("x", where, None, [("row", label) for label in ("0", "1", "2")], names).labels.tolist() == [2, 0, 1]
    assert labelled("x", where, None, [("row", label) for label in (2, 0, 1)], None).classes == ("0", "1", "2")


@pytest.mark.parametrize("names", [("1", "2", "3"), ("1", "two", "three")])
def test_places_in_a_file_are_refused_beside_names_of_digits(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Where classes are called 1, 2, 3, a 0 in a file is none of them; it is not taken for the first."""
    rows = "\n".join(f"a\t{name}" for name in (*names, "0"))
    expected = rf"line 5: label: expected the name of a class, {', '.join(names)}, got '0'"
    with pytest.raises(InputError, match=expected):
        read_tsv(table(tmp_path, f"sentence\tlabel\n{rows}\n"), text="sentence", label="label", classes=names)


@pytest.mark.parametrize("huge", ["20240131", "1000", "9" * 5000])
def test_a_column_that_holds_no_classes_is_refused(tmp_path: Path, huge: str) -> None:
    """A huge number makes no list of classes: the error names its line and says what a label is, shortly."""
    path = table(tmp_path, f"sentence\tlabel\na\t0\nb\t{huge}\n")
    with pytest.raises(InputError, match=r"train\.tsv: line 3: label: expected one of at most 1,000 classes.*ids"):
        read_tsv(path, text="sentence", label="label")
    with pytest.raises(InputError, match=r"train\.tsv: line 3: label: expected no, yes or 0 to 1"):
        read_tsv(path, text="sentence", label="label", classes=("no", "yes"))
    rows = "".join(f"{i}\ta{i}\n" for i in range(4000))
    for label in ("idx", "name"):
        with pytest.raises(InputError, match=r"line 1002: label: .*'a?1000'"):
            read_tsv(table(tmp_path, f"idx\tname\n{rows}"), text="name", label=label)


def test_many_classes_are_listed_in_part(tmp_path: Path) -> None:
    """An error about hundreds of classes shows eight of them and how many more there are."""
    with pytest.raises(InputError) as gap:
        read_tsv(table(tmp_path, "sentence\tlabel\na\t0\nb\t900\n"), text="sentence", label="label")
    assert "no example of class 1, 2, 3, 4, 5, 6, 7, 8 and 891 more: expected" in str(gap.value)
    names = [f"c{i}" for i in range(5000)]
    with pytest.raises(InputError) as unknown:
        read_tsv(table(tmp_path, "sentence\tlabel\na\td\n"), text="sentence", label="label", classes=names)
    assert "c7 and 4,992 more or 0 to 4999, got 'd'" in str(unknown.value)


def test_rated_sentences(tmp_path: Path) -> None:
    """Ratings of at least a half are two classes, those between are left out; later tabs are text."""
    path = table(tmp_path, '1\t2.5\tGood "one"\n2\t-0.5\tBad\tpart\n3\t0.49\tNeither\n4\t0.5\tFair\n')
    read = read_rated([path])
    assert read.texts == ('Good "one"', "Bad\tpart", "Fair")
    assert read.labels.tolist() == [1, 0, 1]
    assert read.classes == ("negative", "positive")


def test_real_rated_sentences(shared_text: Path) -> None:
    """Of 23,703 sentences 19,459 are rated at least a half; 52.8 % of them are in the larger class."""
    paths = sorted(shared_text.glob("vader_*.tsv.gz"))
    assert sum(1 for path in paths for _ in fields_of(path)) == 23_703
    read = read_rated(paths)
    assert len(read.texts) == 19_459
    assert np.bincount(read.labels).max() / len(read.labels) == pytest.approx(0.528, abs=5e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\t2.5\n", r"line 1: expected id, rating and text with tabs between"),
        ("1\t2.5\tgood\n2\tbad\tno\n", r"line 2: rating: expected a number from -4 to 4, got 'bad'"),
        ("1\t4.5\tgood\n", r"line 1: rating: .* got '4.5'"),
        ("1\tnan\tgood\n", r"line 1: rating: .* got 'nan'"),
        ("1\t2.5\tgood\n", r"no example of class negative"),
        ("1\t0.1\tso\n", r"no examples"),
    ],
)
def test_bad_ratings_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """Each mistake is named with its file and line."""
    with pytest.raises(InputError, match=rf"train\.tsv.*{message}"):
        read_rated([table(tmp_path, text)])


def test_a_threshold_is_above_zero() -> None:
    """At zero a neutral sentence would get a class."""
    with pytest.raises(InputError, match="threshold: expected a number above 0, got 0"):
        read_rated([], threshold=0)
