"""Everything the routes work with, in one place."""

from __future__ import annotations

import anyio
from starlette.requests import HTTPConnection

from penmark.studio.datasets import DatasetShelf
from penmark.studio.jobs import Jobs
from penmark.studio.live import Feed
from penmark.studio.mistakes import Mistakes
from penmark.studio.models import ModelShelf
from penmark.studio.settings import StudioSettings
from penmark.studio.uploads import Uploads
from penmark.studio.workspace import Workspace

_MOST_FEEDS = 64


class Context:
    """The parts of a running studio.

    Args:
        settings: what it was started with.

    Raises:
        ModelError, RunError: the model to begin with is none.
    """

    def __init__(self, settings: StudioSettings) -> None:
        self.settings = settings
        self.workspace = Workspace(settings.workspace)
        self.models = ModelShelf(self.workspace, settings.model)
        self.datasets = DatasetShelf(self.workspace)
        self.mistakes = Mistakes(self.models, self.datasets)
        self.jobs = Jobs(self.workspace)
        self.uploads = Uploads(self.workspace, settings.limits)
        self.watchers = 0
        # Answers to the pen, a look at what is there, and real work each have threads of their
        # own, so that nobody who draws waits for somebody who loads a data set.
        self.quick = anyio.CapacityLimiter(2)
        self.light = anyio.CapacityLimiter(8)
        self.slow = anyio.CapacityLimiter(2)
        self._feeds: dict[str, Feed] = {}

    def feed(self, name: str) -> Feed:
        """The events of a run's training, shared by all who watch it."""
        if name not in self._feeds:
            while len(self._feeds) >= _MOST_FEEDS:
                del self._feeds[next(iter(self._feeds))]
            self._feeds[name] = Feed(self.jobs.files(name).events)
        return self._feeds[name]


def context_of(connection: HTTPConnection) -> Context:
    """The studio that a request came to."""
    context: Context = connection.app.state.context
    return context
