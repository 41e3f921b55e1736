"""The house: every room imports only from the floors below it."""

from __future__ import annotations

import ast
from pathlib import Path

import penmark

PACKAGE = Path(penmark.__file__).parent

# Lowest first. Rooms of one set stand on one floor; a room that may use another one on its own
# floor comes in the next set.
FLOORS: list[set[str]] = [
    {"errors"},
    {"atomic"},
    {"data", "engine"},
    {"recipes", "port"},
    {"report"},
    {"reading"},
    {"runs"},
    {"export"},
    {"studio"},
    {"terminal"},
    {"cli"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def imported_modules(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def rooms_of(modules: set[str]) -> set[str]:
    parts = [module.split(".") for module in modules]
    return {
        name[1] for name in parts if name[0] == "penmark" and len(name) > 1 and name[1] in FLOOR
    }


def test_every_file_stands_in_a_room_with_a_floor():
    found = {
        path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")
    }
    assert found - {"__init__"} == set(FLOOR)


def test_imports_go_down_the_floors_only():
    upward = [
        f"{path.relative_to(PACKAGE)} imports {room}"
        for path in PACKAGE.rglob("*.py")
        if (own := path.relative_to(PACKAGE).parts[0].removesuffix(".py")) != "__init__"
        for room in rooms_of(imported_modules(path)) - {own}
        if FLOOR[room] >= FLOOR[own]
    ]
    assert upward == []


def test_only_the_rooms_that_compute_import_keras_directly():
    """Everybody else asks `penmark.engine.backend`, so that the backend is chosen first."""
    direct = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(module.split(".")[0] == "keras" for module in runtime_imports(path))
    }
    assert direct == set()


def runtime_imports(path: Path) -> set[str]:
    """Imports that run; those under `if TYPE_CHECKING:` do not."""
    tree = ast.parse(path.read_text(encoding="utf-8"))

    class Drop(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            typing_only = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            return None if typing_only else self.generic_visit(node)

    kept = ast.unparse(Drop().visit(tree))
    modules: set[str] = set()
    for node in ast.walk(ast.parse(kept)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
    return modules
