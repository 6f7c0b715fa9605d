"""The report of measurements: figures beside their peers, and sections that are replaced one at a time."""

from pathlib import Path

import pytest

from bench import report
from bench.figures import Figure, Section, percentile, spread


def test_a_percentile_lies_between_its_neighbours() -> None:
    assert percentile([30, 10, 20], 0.5) == 20
    assert percentile([0, 100], 0.95) == pytest.approx(95)
    assert percentile([7], 0.95) == 7


def test_a_figure_says_how_it_stands_to_its_peer_and_to_its_target() -> None:
    slow = Figure("wait", 30, "ms", "floor", 10, 25)
    assert slow.cells() == ["wait", "30 ms", "floor: 10 ms", "3×", "≤ 25 ms", "NOT MET"]
    assert Figure("wait", 25, "ms", target=25).cells() == ["wait", "25 ms", "", "", "≤ 25 ms", "met"]


def test_a_figure_of_zero_can_meet_a_target_of_zero() -> None:
    assert Figure("left behind", 0, "", target=0).met is True
    assert Figure("left behind", 1, "", target=0).met is False


def test_a_spread_compares_median_with_median() -> None:
    middle, slow = spread("wait", [1, 2, 3], "ms", beside="floor", peer=[2, 4, 6], targets=(2, None))
    assert (middle.ours, middle.peer, middle.met) == (2, 4, True)
    assert (slow.met, slow.ratio) == (None, 0.5)


def test_a_measurement_replaces_its_own_section_and_keeps_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "REPORT", tmp_path / "docs" / "benchmarks.md")
    order = ["First", "Second"]
    for title, value in (("Second", 2), ("First", 1), ("Second", 22)):
        section = Section(title, "How.", [Figure("what", value, "ms")], ["A note."])
        report.write_report({title: report.markdown(section, "today")}, order)
    text = report.REPORT.read_text()
    assert text.startswith("# Benchmarks")
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## First", "## Second"]
    assert "| what | 22 ms |" in text
    assert "| what | 2 ms |" not in text
    assert text.count("today") == 2
