"""What a freshly built wheel must do on each system: bring the core, and learn with it, offline.

    python tests/wheel_smoke.py

cibuildwheel runs it in an environment that holds the wheel and nothing of the source tree.
"""

from __future__ import annotations

import penmark
from penmark.engine import _core


def main() -> None:
    print("instruction sets:", ", ".join(_core.usable_isas()))
    digits = penmark.load_data("digits")
    for name, epochs, least in (("mlp-dropout", 5, 0.85), ("cnn", 1, 0.0)):
        model = penmark.recipes.get(name).build(digits, seed=0)
        penmark.fit(
            model, digits.x_train, digits.y_train, engine="native", seed=0, epochs=epochs, verbose=0
        )
        _, accuracy = penmark.evaluate(model, digits.x_test, digits.y_test)
        print(f"{name}: {accuracy:.1%} of the test digits")
        if accuracy < least:
            raise SystemExit(f"{name} reached {accuracy:.1%}; {least:.0%} was expected")


if __name__ == "__main__":
    main()
