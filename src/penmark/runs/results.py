"""What a training leaves to look at: metrics.json, figures and report.html."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penmark.atomic import write_json
from penmark.recipes import Recipe
from penmark.report.evaluation import Evaluation
from penmark.report.html import write_figures, write_report
from penmark.runs.run import Run, Status
from penmark.runs.scoring import score_test

if TYPE_CHECKING:
    import keras

    from penmark.data.dataset import Dataset


def write_metrics(
    run: Run, recipe: Recipe, dataset: Dataset, model: keras.Model, session_seconds: float
) -> Evaluation:
    """Evaluate a model on the test images and write metrics.json.

    Args:
        run: where.
        recipe, dataset: what the model was trained with.
        model: the run's model.
        session_seconds: what training took since penmark was started or resumed.
    """
    evaluation = score_test(model, dataset)
    seconds = run.history.get("seconds", [])
    metrics = evaluation.to_json() | {
        "recipe": recipe.name,
        "data": dataset.name,
        "parameters": model.count_params(),
        "published_accuracy": list(recipe.published_accuracy or ()) or None,
        "epochs": run.epochs_done,
        "seconds_per_epoch": float(np.median(seconds)) if seconds else None,
        "train_seconds": float(np.sum(seconds)),
        "session_seconds": session_seconds,
    }
    write_json(run.path / "metrics.json", metrics)
    return evaluation


def write_pages(
    run: Run,
    recipe: Recipe,
    dataset: Dataset,
    model: keras.Model,
    evaluation: Evaluation,
    status: Status,
) -> None:
    """Write figures/ and report.html.

    Args:
        run: where.
        recipe, dataset, model: what was trained, on what, and what became of it.
        evaluation: of the model on the test images.
        status: how the training ended.
    """
    history = run.history
    common: dict[str, Any] = {
        "history": {name: values for name, values in history.items() if name not in _NOT_CURVES},
        "evaluation": evaluation,
        "images": dataset.x_test,
        "first_layer_kernel": first_layer_kernel(model),
        "image_shape": dataset.image_shape,
    }
    write_figures(run.path / "figures", **common)
    write_report(
        run.path / "report.html",
        title=f"{recipe.name} on {dataset.name}",
        config=run.config | {"status": status},
        model_summary=model_summary(model),
        parameters=model.count_params(),
        published_accuracy=recipe.published_accuracy if dataset.name == "mnist" else None,
        status=status,
        figures_folder=run.path / "figures",
        **common,
    )


_NOT_CURVES = ("epoch", "seconds")


def first_layer_kernel(model: Any) -> NDArray[np.float32] | None:
    """The weights next to the pixels: (pixels, units) of a dense layer, or (height, width,
    channels, filters) of a convolution; None if the model has neither."""
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            return np.asarray(kernel, dtype=np.float32)
    return None


def model_summary(model: Any) -> list[dict[str, Any]]:
    """One row a layer, input first: {"name", "type", "output_shape", "parameters"}."""
    return [
        {
            "name": step.name,
            "type": type(step).__name__,
            "output_shape": _output_shape(step),
            "parameters": step.count_params() if hasattr(step, "count_params") else 0,
        }
        for step in getattr(model, "operations", model.layers)
    ]


def _output_shape(step: Any) -> list[int | None]:
    output = step.output
    return list((output[0] if isinstance(output, list) else output).shape)
