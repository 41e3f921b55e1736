"""The networks by name: `penmark.recipes.get("cnn").build(dataset)`."""

from __future__ import annotations

import difflib

from penmark.errors import InputError
from penmark.recipes.own import OWN
from penmark.recipes.perceptron import PERCEPTRON
from penmark.recipes.published import PUBLISHED
from penmark.recipes.recipe import PRECISIONS, Precision, Recipe, Schedule

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (PERCEPTRON, *PUBLISHED, *OWN)}

__all__ = ["PRECISIONS", "RECIPES", "Precision", "Recipe", "Schedule", "get", "names", "published"]


def names() -> list[str]:
    """The names of all recipes, the simplest network first."""
    return list(RECIPES)


def published() -> list[str]:
    """The names of the published networks, in the same order: all but penmark's own."""
    own = {recipe.name for recipe in OWN}
    return [name for name in RECIPES if name not in own]


def get(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        InputError: there is none; the message lists those there are.
    """
    try:
        return RECIPES[name]
    except KeyError:
        near = difflib.get_close_matches(name, RECIPES, n=1)
        advice = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(RECIPES)}"
        raise InputError(f"there is no recipe {name!r}; {advice}") from None
