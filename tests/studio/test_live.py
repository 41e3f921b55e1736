"""The events of a training as watchers get them: nothing lost, nothing unbounded."""

from __future__ import annotations

import json

import pytest

from penmark.studio import live
from penmark.studio.live import Feed


@pytest.fixture
def feed(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "_FRESH_SECONDS", -1.0)
    return Feed(tmp_path / "events.jsonl")


@pytest.fixture
def say(tmp_path):
    def append(*events):
        with (tmp_path / "events.jsonl").open("a") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)

    return append


START = {
    "type": "start",
    "first_epoch": 0,
    "epochs": 9,
    "images": 100,
    "test_images": 10,
    "class_names": ["a", "b"],
}


def batch(epoch, share, loss=1.0):
    return {
        "type": "batch",
        "epoch": epoch,
        "share": share,
        "loss": loss,
        "accuracy": 0.5,
        "rate": 9,
    }


def epoch(number):
    return {"type": "epoch", "epoch": number, "seconds": 1.0, "rate": 9, "logs": {"loss": 0.5}}


def test_before_the_first_event_there_is_nothing(feed):
    feed.refresh()
    update = feed.since(0, 0, live=True)
    assert (update.phase, update.points, update.rows) == ("starting", [], [])


def test_a_watcher_gets_what_it_does_not_know_and_no_more(feed, say):
    say({"type": "loading"}, START, batch(0, 0.5), epoch(1))
    feed.refresh()
    first = feed.since(0, 0, live=True)
    assert first.reset
    assert (first.phase, first.epochs, first.class_names) == ("training", 9, ["a", "b"])
    assert [point[0] for point in first.points] == [0.5]
    assert [row["epoch"] for row in first.rows] == [1]
    say(batch(1, 0.25), epoch(2))
    feed.refresh()
    second = feed.since(first.generation, first.number, live=True)
    assert not second.reset
    assert [point[0] for point in second.points] == [1.25]
    assert [row["epoch"] for row in second.rows] == [2]
    assert feed.since(second.generation, second.number, live=True).rows == []


def test_one_who_was_away_gets_all_of_it_at_once(feed, say):
    say({"type": "loading"}, START, *(epoch(number) for number in range(1, 40)))
    feed.refresh()
    assert len(feed.since(0, 0, live=True).rows) == 39


def test_a_resumed_training_starts_its_curves_anew(feed, say):
    say({"type": "loading"}, START, epoch(1))
    feed.refresh()
    before = feed.since(0, 0, live=True)
    say({"type": "loading"}, START | {"first_epoch": 1}, epoch(2))
    feed.refresh()
    after = feed.since(before.generation, before.number, live=True)
    assert after.reset
    assert (after.first_epoch, [row["epoch"] for row in after.rows]) == (1, [2])


def test_half_a_line_waits_for_its_other_half_and_a_broken_one_is_skipped(feed, say, tmp_path):
    say({"type": "loading"}, START)
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"type": "ep')
    feed.refresh()
    assert feed.since(0, 0, live=True).rows == []
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('och", "epoch": 1, "logs": {}}\nnot json\n[1]\n')
    say(epoch(2))
    feed.refresh()
    assert [row["epoch"] for row in feed.since(0, 0, live=True).rows] == [1, 2]


def test_memory_is_bounded_and_the_newest_and_the_first_are_kept(feed, say):
    say({"type": "loading"}, START, *(batch(0, number / 9000) for number in range(9000)))
    for _ in range(5):
        feed.refresh()  # a bounded piece at a time
    points = feed.since(0, 0, live=True).points
    assert len(points) <= live.MOST_POINTS
    places = [point[0] for point in points]
    assert places == sorted(places)
    assert places[0] == 0 and places[-1] == pytest.approx(8999 / 9000)


def test_a_file_that_was_begun_anew_is_read_from_its_start(feed, say, tmp_path):
    say({"type": "loading"}, START, epoch(1), epoch(2))
    feed.refresh()
    (tmp_path / "events.jsonl").write_text("")
    say({"type": "loading"})
    feed.refresh()
    assert feed.since(0, 0, live=True).rows == []
    assert feed.since(0, 0, live=True).phase == "loading"


def test_numbers_that_are_none_stay_none(feed, say):
    say(
        {"type": "loading"},
        START,
        batch(0, 0.1, loss=None),
        {"type": "error", "detail": "x" * 9999},
    )
    feed.refresh()
    update = feed.since(0, 0, live=False)
    assert update.points[0][1] is None
    assert update.phase == "failed"
    assert len(update.detail) == 500
