"""What the page and the server say to each other."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from penmark.runs import SCHEDULES, Status

Box = tuple[int, int, int, int]
SplitName = Literal["train", "test"]
Phase = Literal["starting", "loading", "training", "finishing", "ended", "failed"]
ScheduleName = Literal[SCHEDULES]  # type: ignore[valid-type]


class Message(BaseModel):
    """Whatever travels: unknown keys are refused, so that a misspelled one does not pass."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Problem(Message):
    """An error: one line that says what was wrong and what to do."""

    detail: str


class ModelEntry(Message):
    """A network that can answer."""

    id: str
    title: str
    recipe: str | None
    data: str | None
    accuracy: float | None
    test_images: int | None
    reads_digits: bool = Field(description="Whether its classes are the digits 0 to 9.")


class StudioState(Message):
    """What there is to begin with."""

    version: str
    workspace: str
    models: list[ModelEntry]
    default_model: str | None
    training: str | None = Field(description="The name of the run that is being trained.")


class ReadDigit(Message):
    """One digit found in a drawing or picture."""

    label: str = Field(description='"0" to "9", or "?" for what is not a digit.')
    probability: float
    runner_up: str
    box: Box = Field(description="Left, top, width and height in pixels of what was sent.")
    line: int
    reason: str = Field(description='Why it is "?"; empty for a digit.')
    probabilities: list[float]
    prepared: str = Field(description="The 28×28 bytes that the network saw, in base64.")


class Answer(Message):
    """What a drawing or picture says."""

    text: str
    lines: list[str]
    digits: list[ReadDigit]
    note: str
    width: int
    height: int
    milliseconds: float


class LayerEntry(Message):
    """One layer of a network, for people."""

    name: str
    kind: str
    title: str
    sentence: str
    output_shape: list[int]
    parameters: int
    view: Literal["image", "maps", "units", "probabilities"]
    changes: bool = Field(description="False where its output holds the same numbers as its input.")


class NetworkView(Message):
    """A network's layers, or why they cannot be looked at."""

    model: ModelEntry
    class_names: list[str]
    input_shape: list[int]
    parameters: int
    layers: list[LayerEntry]
    reason: str = Field(description="Why there are no layers to look at; empty if there are.")


class Contribution(Message):
    """How much one input adds to a unit's sum: its value times its weight."""

    source: str
    value: float
    weight: float
    product: float


class Weights(Message):
    """A unit's weights as pictures: one for each channel of what it looks at."""

    height: int
    width: int
    pictures: list[list[float]]


class UnitView(Message):
    """One unit or feature map at work on one image."""

    layer: str
    unit: int
    value: float = Field(description="Its activation; for a feature map the mean.")
    strongest: float = Field(description="The largest activation; for a unit its activation.")
    bias: float | None
    weights: Weights | None
    contributions: list[Contribution]
    occlusion: Annotated[
        list[list[float]],
        Field(
            description="Shape (height, width): by how much the activation falls when the pixels "
            "around are covered."
        ),
    ]
    measured: str = Field(description="What the occlusion map is measured in.")


class SettingEntry(Message):
    """A setting of a training, explained."""

    name: str
    title: str
    sentence: str


class RecipeEntry(Message):
    """A network one can train."""

    name: str
    network: str
    optimizer: str | None
    batch_size: int
    epochs: int
    validation_split: float
    binary: bool
    published_accuracy: tuple[float, float] | None


class TrainingChoices(Message):
    """Everything that the training form offers."""

    recipes: list[RecipeEntry]
    optimizers: list[str]
    schedules: list[str]
    settings: list[SettingEntry]
    default_recipe: str


class DatasetEntry(Message):
    """A data set one can look at and train on."""

    id: str
    title: str
    description: str
    train_images: int | None
    test_images: int | None
    image_shape: list[int] | None
    class_names: list[str] | None
    available: bool = Field(description="Whether it is on this computer.")
    advice: str = Field(description="What to do where it is not; empty where it is.")
    uploaded: bool


class DatasetView(Message):
    """A data set, loaded."""

    id: str
    title: str
    class_names: list[str]
    image_shape: list[int]
    train_counts: list[int]
    test_counts: list[int]
    findings: list[str] = Field(description="What loading found in a folder, a line each.")


class ImageEntry(Message):
    """One image of a data set."""

    index: int
    label: int


class ImagePage(Message):
    """A page of images."""

    total: int
    page: int
    page_size: int
    images: list[ImageEntry]


class DuplicatePair(Message):
    """Two images that are almost the same."""

    index: int
    label: int
    earlier: int
    earlier_label: int
    correlation: float


class DuplicatesView(Message):
    """Near duplicates within one split."""

    compared: int
    images: int
    pairs: list[DuplicatePair]


class TrainingRequest(Message):
    """What to train. Everything left out is the recipe's own."""

    recipe: Annotated[str, Field(max_length=60)]
    data: Annotated[str, Field(max_length=220)] = "digits"
    epochs: Annotated[int, Field(ge=1, le=1000)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=8192)] | None = None
    validation_split: Annotated[float, Field(ge=0, le=0.9)] | None = None
    optimizer: Annotated[str, Field(max_length=20)] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1e6)] | None = None
    schedule: ScheduleName = "constant"
    early_stopping: Annotated[int, Field(ge=1, le=1000)] | None = None
    keep_best: bool = False
    positive_class: Annotated[str, Field(max_length=200)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class ResumeRequest(Message):
    """How to go on with a run."""

    epochs: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="A new total number of epochs."
    )


class RunName(Message):
    """The run that a request has started."""

    name: str


class RunEntry(Message):
    """A run in one line."""

    name: str
    recipe: str
    data: str
    status: Status
    live: bool = Field(description="Whether a process of the studio trains it right now.")
    created: str
    epochs_done: int
    epochs: int | None
    accuracy: float | None
    loss: float | None
    test_images: int | None
    parameters: int | None
    train_seconds: float | None


class RunView(Message):
    """A run with its curves."""

    entry: RunEntry
    command: str
    settings: dict[str, Any]
    class_names: list[str]
    history: dict[str, list[float | None]]
    per_class: list[dict[str, Any]]
    error: str
    report: bool = Field(description="Whether there is a report to open.")


class LiveExample(Message):
    """A test image and what the network makes of it at the moment."""

    index: int
    label: int
    predicted: int
    probability: float | None


class LiveExamples(Message):
    """How the network does on a sample of test images after an epoch."""

    epoch: int
    accuracy: float
    accuracies: list[float | None] = Field(description="One a class; null without images.")
    examples: list[LiveExample]


class LiveUpdate(Message):
    """What a watcher of a training does not know yet."""

    generation: int = Field(description="Counts sessions: another one starts the curves anew.")
    number: int = Field(description="Of the newest event in here; ask for what came after it.")
    reset: bool = Field(description="Whether to forget what was known before.")
    live: bool = Field(description="Whether the training's process is alive.")
    phase: Phase
    detail: str
    first_epoch: int
    epochs: int
    images: int
    test_images: int
    class_names: list[str]
    rate: float | None = Field(description="Images per second.")
    points: list[list[float | None]] = Field(
        description="Within epochs: place in epochs, loss, accuracy, images per second."
    )
    rows: list[dict[str, float | None]] = Field(description="One for each epoch that has ended.")
    examples: LiveExamples | None


class EvaluationView(Message):
    """How a run's model does on the test images of its data."""

    run: str
    accuracy: float
    images: int
    class_names: list[str]
    confusion: list[list[int]] = Field(description="Rows are true classes, columns read ones.")
    accuracies: list[float | None] = Field(description="Of each true class; null without images.")


class MistakeEntry(Message):
    """One test image and what the model makes of it."""

    index: int
    label: int
    predicted: int
    probability: float = Field(description="Of the predicted class.")
    truth_probability: float = Field(description="Of the true class.")


class MistakePage(Message):
    """A page of test images, read rightly or wrongly."""

    total: int
    page: int
    page_size: int
    images: list[MistakeEntry]


class UploadRequest(Message):
    """An upload that begins."""

    name: Annotated[str, Field(min_length=1, max_length=80)]


class UploadTicket(Message):
    """By which the pieces of an upload find together."""

    ticket: str
    name: str
    file_bytes: int
    files: int
    archive_bytes: int


class UploadProgress(Message):
    """What has arrived."""

    files: int
    bytes: int


class UploadResult(Message):
    """An uploaded data set."""

    id: str
    title: str
    class_names: list[str]
    findings: list[str]


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        400: "What was sent cannot be used.",
        401: "The token is missing or wrong.",
        403: "The request comes from another site.",
        404: "There is no such thing.",
        408: "The request's body came too slowly.",
        409: "It does not fit the state of things.",
        413: "What was sent is too large.",
        422: "A value is missing or out of range.",
        500: "Something failed.",
        503: "Too many requests at once.",
    }.items()
}
