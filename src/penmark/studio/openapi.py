"""The shapes of the studio's messages as JSON on standard output: the page's types come from it.

python -m penmark.studio.openapi
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from penmark.studio.app import bare_app
from penmark.studio.settings import StudioSettings


def main() -> None:
    """Print an OpenAPI document with all schemas and no paths."""
    with tempfile.TemporaryDirectory() as folder:
        app = bare_app(StudioSettings(workspace=Path(folder)))
    document = app.openapi() | {"paths": {}}
    print(json.dumps(document, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
