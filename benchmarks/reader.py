"""How well the reader's network reads digits, and how well it tells them from other things.

    python benchmarks/reader.py [MODEL.keras ...] [--json FILE]

Without a model it takes the shipped weights. Digits are MNIST's test images. Two sets of things
that are no digits, neither of which the network was trained on: Fashion-MNIST's test images, which
are far from digits, and printed letters, which come near to them (in the fonts that Matplotlib
carries, prepared like any ink). Letters whose rough shapes training draws, and letters that are
digits' doubles, such as O and l, are counted apart. AUROC is the probability that a digit gets a
higher top probability than a thing.
"""

from __future__ import annotations

import argparse
import json
from importlib import resources
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from sklearn.metrics import roc_auc_score

from penmark.data import load_data
from penmark.data.preparation import prepare_digits
from penmark.engine.native_model import NativeModel
from penmark.recipes.handwriting import STRONG, vary
from penmark.report.evaluation import Evaluation

DOUBLES = "BDGIJLOQSUZbgijloqsyz"
# Training draws rough shapes of these (penmark.recipes.nondigits), but no printed ones.
DRAWN = "AEFHKMNPRTVWXYhkmnpuvwx"
LETTERS = "Cacdefrt"
FONTS = ("DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono", "STIXGeneral", "cmr10", "cmtt10")
STYLES = (("normal", "normal"), ("normal", "bold"), ("italic", "normal"))
THRESHOLDS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def printed(characters: str) -> np.ndarray:
    """Every character in every font and style, prepared: uint8, shape (n, 28, 28)."""
    faces = {
        font_manager.findfont(
            font_manager.FontProperties(family=family, style=style, weight=weight),
            fallback_to_default=False,
        )
        for family in FONTS
        for style, weight in (STYLES if family.startswith(("DejaVu", "STIX")) else STYLES[:1])
    }
    inks = []
    for face in sorted(faces):
        font = ImageFont.truetype(face, 96)
        for character in characters:
            picture = Image.new("L", (192, 192))
            ImageDraw.Draw(picture).text((48, 24), character, font=font, fill=255)
            inks.append(np.asarray(picture))
    return prepare_digits(inks)


def measured(path: Path, digits, others: dict[str, np.ndarray]) -> dict:
    network = NativeModel.from_file(path)
    probabilities = network.predict(digits.x_test)
    evaluation = Evaluation(
        y_true=digits.y_test, probabilities=probabilities, loss=0.0, class_names=digits.class_names
    )
    varied = vary(digits.x_test, STRONG, np.random.default_rng(5))
    top = probabilities.max(axis=1)
    row = {
        "model": str(path),
        "accuracy": evaluation.accuracy,
        "errors": int(evaluation.errors),
        "ece": evaluation.ece,
        "accuracy_varied": float((network.predict(varied).argmax(1) == digits.y_test).mean()),
        "mean_confidence": float(top.mean()),
        "kept": {str(t): float((top >= t).mean()) for t in THRESHOLDS},
        "accuracy_of_kept": {
            str(t): float(evaluation.correct[top >= t].mean()) for t in THRESHOLDS
        },
    }
    for name, images in others.items():
        scores = network.predict(images).max(axis=1)
        truth = np.repeat([1, 0], [len(top), len(scores)])
        row[name] = {
            "images": len(images),
            "auroc": float(roc_auc_score(truth, np.concatenate([top, scores]))),
            "taken_for_digits": {str(t): float((scores >= t).mean()) for t in THRESHOLDS},
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with resources.as_file(resources.files("penmark") / "reading" / "reader.keras") as shipped:
        models = arguments.models or [shipped]
        digits = load_data("mnist")
        others = {
            "letters": printed(LETTERS),
            "drawn": printed(DRAWN),
            "doubles": printed(DOUBLES),
            "fashion": load_data("fashion-mnist").x_test,
        }
        rows = [measured(path, digits, others) for path in models]
    for row in rows:
        print(
            f"{row['model']}: {100 * row['accuracy']:.2f}% ({row['errors']} errors), "
            f"ECE {100 * row['ece']:.2f}%, strongly varied "
            f"{100 * row['accuracy_varied']:.2f}%, "
            f"mean top probability {row['mean_confidence']:.4f}"
        )
        for name in others:
            print(f"  {name}: {row[name]['images']:,} images, AUROC {row[name]['auroc']:.4f}")
        print(
            "  threshold  digits kept  right of these  " + "  ".join(f"{n} taken" for n in others)
        )
        for t in map(str, THRESHOLDS):
            taken = "  ".join(f"{row[n]['taken_for_digits'][t]:{len(n) + 6}.2%}" for n in others)
            print(f"  {t:>9}  {row['kept'][t]:11.2%}  {row['accuracy_of_kept'][t]:14.2%}  {taken}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
