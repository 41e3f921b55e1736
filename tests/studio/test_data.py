"""Browsing data and mistakes: what is shown is what is there."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from penmark.data.duplicates import near_duplicates
from penmark.runs.scoring import score_test


def test_what_is_not_on_this_computer_is_not_fetched(client):
    listed = {entry["id"]: entry for entry in client.get("/api/data").json()}
    assert listed["digits"]["available"]
    assert not listed["cifar10"]["available"]
    assert "penmark data show cifar10" in listed["cifar10"]["advice"]
    assert client.get("/api/data/view", params={"data": "cifar10"}).status_code == 400
    assert client.post("/api/runs", json={"recipe": "cnn", "data": "cifar10"}).status_code == 400


def test_pages_of_a_class_hold_its_images_and_no_others(client, digits):
    seen = []
    for page in range(9):
        shown = client.get(
            "/api/data/images",
            params={"data": "digits", "split": "train", "label": 3, "page": page},
        ).json()
        seen += [image["index"] for image in shown["images"]]
        assert {image["label"] for image in shown["images"]} <= {3}
    np.testing.assert_array_equal(seen, np.flatnonzero(digits.y_train == 3))
    assert shown["total"] == len(seen)


def test_a_sheet_holds_the_images_in_rows_of_twelve(client, digits):
    indices = list(range(20, 35))
    answer = client.get(
        "/api/data/sheet", params={"data": "digits", "indices": ",".join(map(str, indices))}
    )
    sheet = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert sheet.shape == (2 * 28, 12 * 28)
    for place, index in enumerate(indices):
        top, left = place // 12 * 28, place % 12 * 28
        np.testing.assert_array_equal(sheet[top : top + 28, left : left + 28], digits.x_test[index])


@pytest.mark.parametrize("indices", ["", "a", "1,,2", "-1", "99999999", ",".join(["1"] * 121)])
def test_a_sheet_of_images_that_are_not_there_is_refused(client, indices):
    answer = client.get("/api/data/sheet", params={"data": "digits", "indices": indices})
    assert answer.status_code in (400, 422)


def test_one_image_comes_as_its_bytes(client, digits):
    answer = client.get("/api/data/image", params={"data": "digits", "split": "test", "index": 7})
    assert answer.content == digits.x_test[7].tobytes()


def test_near_duplicates_are_those_of_the_data_room(client, digits):
    shown = client.get("/api/data/duplicates", params={"data": "digits", "split": "train"}).json()
    expected = near_duplicates(digits.x_train)
    assert {(pair["index"], pair["earlier"]) for pair in shown["pairs"]} == {
        (pair.index, pair.earlier) for pair in expected
    }
    assert shown["compared"] == shown["images"] == len(digits.x_train)


@pytest.fixture(scope="module")
def evaluation(trained, digits):
    return score_test(trained.model(), digits)


def test_the_confusion_matrix_is_that_of_the_run(client, evaluation, trained):
    shown = client.get("/api/runs/tiny/evaluation").json()
    np.testing.assert_array_equal(shown["confusion"], evaluation.confusion)
    assert shown["accuracy"] == pytest.approx(trained.metrics["accuracy"])


def test_mistakes_come_worst_first(client, evaluation):
    shown = client.get("/api/runs/tiny/images").json()
    assert [image["index"] for image in shown["images"]] == list(evaluation.top_losses(k=999))
    assert shown["total"] == evaluation.errors > 0


def test_a_cell_leads_to_its_images(client, evaluation):
    true, predicted, _ = evaluation.most_confused()[0]
    params = {"true": int(true), "predicted": int(predicted)}
    shown = client.get("/api/runs/tiny/images", params=params).json()
    expected = np.flatnonzero(
        (evaluation.y_true == int(true)) & (evaluation.predicted == int(predicted))
    )
    assert {image["index"] for image in shown["images"]} == set(expected)
    right = client.get("/api/runs/tiny/images", params={"true": 4, "predicted": 4}).json()
    assert right["total"] == evaluation.confusion[4, 4]


def test_a_class_that_is_not_there_is_refused(client):
    assert client.get("/api/runs/tiny/images", params={"true": 10}).status_code == 400


def test_a_report_is_a_page_without_scripts(client, workspace):
    path = workspace / "runs" / "tiny" / "report.html"
    assert client.get("/api/runs/tiny/report").status_code == 404
    path.write_text("<!doctype html><title>report</title>")
    answer = client.get("/api/runs/tiny/report")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "sandbox" in policy and "script-src" not in policy
