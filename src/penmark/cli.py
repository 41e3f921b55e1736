"""The commands. Each one parses, calls one function and prints; what it does is elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from penmark.errors import InputError, PenmarkError, StorageError

if TYPE_CHECKING:
    from rich.console import Console

    from penmark.data.dataset import Dataset
    from penmark.runs import Run

# Plain help: the decorated kind imports half of rich, and `--help` should answer at once.
_PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "add_completion": False,
    "pretty_exceptions_enable": False,
}

app = typer.Typer(
    name="penmark",
    no_args_is_help=True,
    help="Recognize handwritten digits with Keras: look at the data, train the classic networks, "
    "see what they got right and wrong. Every command takes --debug for a full traceback.",
    **_PLAIN,
)
data_app = typer.Typer(
    no_args_is_help=True, help="Data sets: list them, look at them, check a folder.", **_PLAIN
)
runs_app = typer.Typer(help="List training runs, or compare some.", **_PLAIN)
app.add_typer(data_app, name="data")
app.add_typer(runs_app, name="runs")

DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="DATA",
        help="digits, mnist, fashion-mnist, cifar10, a folder of images, an .npz or IDX files.",
    ),
]
ImageSizeOption = Annotated[
    str | None,
    typer.Option(
        "--image-size", metavar="HxW", help="Bring a folder's images to this size in pixels."
    ),
]
ColorModeOption = Annotated[
    str,
    typer.Option("--color-mode", help="How a folder's images are read: auto, grayscale or rgb."),
]
JsonOption = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON; - for standard output."),
]
SeedOption = Annotated[
    int, typer.Option(help="Decides weights, order and dropout: same seed, same run.")
]
PositiveClassOption = Annotated[
    str | None,
    typer.Option(
        "--positive-class", metavar="NAME", help="perceptron: the class to tell from the rest."
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        from penmark import __version__

        typer.echo(f"penmark {__version__}")
        raise typer.Exit


@app.callback()
def _penmark(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


@data_app.command("list")
def data_list() -> None:
    """The data sets with a name, and where each would come from."""
    from rich.text import Text

    from penmark.data import DATASETS, data_state
    from penmark.terminal import table

    made = table(
        "name", "images", "shape", "classes", "where", "what", numbers=("images", "classes")
    )
    for entry in DATASETS.values():
        where = data_state(entry.name)
        if where == "download":
            where += f", {entry.download_bytes / 1e6:.0f} MB"
        made.add_row(
            entry.name,
            f"{entry.train_images + entry.test_images:,}",
            "×".join(map(str, entry.image_shape)),
            str(len(entry.class_names)),
            Text(where, overflow="fold"),
            entry.description,
        )
    _results().print(made)


@data_app.command("show")
def data_show(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A name, a folder, an .npz or IDX files.")
    ],
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw a 10×10 grid of examples to a picture file."),
    ] = None,
    image_size: ImageSizeOption = None,
    color_mode: ColorModeOption = "auto",
) -> None:
    """Shapes, dtypes, class counts and examples of a data set."""
    from penmark.terminal import dataset_tables, examples_as_text

    dataset = _load(data, image_size, color_mode)
    console = _results()
    for part in dataset_tables(dataset):
        console.print(part)
    console.print()
    if save is None:
        for line in examples_as_text(dataset, console):
            console.print(line, no_wrap=True, crop=True)
        return
    from penmark.report.figures import image_grid
    from penmark.report.rendering import save_figure

    save_figure(image_grid(dataset.x_train, dataset.y_train, dataset.class_names), save)
    _say(f"Examples: {save}")


@data_app.command("check")
def data_check(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder of images, one subfolder a class.")
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN|MODEL", help="Also list images that this model finds mislabeled."
        ),
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """List what is wrong with each file of a folder of images."""
    from penmark.data import check_folder
    from penmark.runs.scoring import class_probabilities, image_options

    options: dict[str, Any] = {}
    if model is not None:
        loaded = _model(model)
        options = image_options(loaded) | {"model_probabilities": class_probabilities(loaded)}
    report = check_folder(folder, **options)
    if json_file != "-":
        print("\n".join(report.summary(files_per_problem=None)))
    _write_json(report.to_json(), json_file)


@app.command()
def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help="perceptron, softmax, mlp-relu, mlp-dropout, mlp-sigmoid, cnn, quick or reader.",
        ),
    ] = None,
    data: DataOption = "mnist",
    epochs: Annotated[int | None, typer.Option(help="Instead of the published number.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Instead of the published one.")] = None,
    validation_split: Annotated[
        float | None, typer.Option(help="Share of the training images held back to watch, 0 to 1.")
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd, rmsprop, adagrad, adadelta, adam or adamw.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Instead of the recipe's, or Keras's default.")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="How the learning rate changes: constant, cosine, one-cycle, exponential or "
            "plateau."
        ),
    ] = None,
    early_stopping: Annotated[
        int | None,
        typer.Option(metavar="EPOCHS", help="Stop after so many epochs without a lower loss."),
    ] = None,
    keep_best: Annotated[
        bool,
        typer.Option("--keep-best", help="Keep the most accurate epoch's model, not the last."),
    ] = False,
    precision: Annotated[str, typer.Option(help="float32 or mixed_bfloat16.")] = "float32",
    engine: Annotated[str, typer.Option(help="What computes: auto, native or keras.")] = "auto",
    seed: SeedOption = 0,
    positive_class: PositiveClassOption = None,
    image_size: ImageSizeOption = None,
    color_mode: ColorModeOption = "auto",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The run's folder.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run that is already in that folder.")
    ] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with an interrupted training.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Draw the figures and write report.html.")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Train a network and keep the run.

    The run's folder gets the model, its history, metrics, figures and an HTML report.
    """
    from penmark import runs

    watching: dict[str, Any] = {
        "report": report,
        "verbose": 0 if quiet else "auto",
        "announce": (lambda line: None) if quiet else _say,
    }
    if resume is not None:
        run = runs.resume(resume, epochs=epochs, **watching)
    elif recipe is None:
        raise InputError("say which recipe to train, for example: penmark train softmax")
    else:
        settings = runs.TrainingSettings(
            recipe=recipe,
            data=data,
            image_size=_size(image_size),
            color_mode=color_mode,  # type: ignore[arg-type]  # checked by the settings
            positive_class=positive_class,
            epochs=epochs,
            batch_size=batch_size,
            validation_split=validation_split,
            optimizer=optimizer,
            learning_rate=learning_rate,
            schedule=schedule,  # type: ignore[arg-type]  # checked by the settings
            early_stopping=early_stopping,
            keep_best=keep_best,
            precision=precision,
            engine=engine,
            seed=seed,
        )
        run = runs.train(settings, out=out, overwrite=overwrite, **watching)
    if not quiet:
        _say_result(run)
    if run.status == "interrupted":
        raise typer.Exit(130)


@app.command()
def evaluate(
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN|MODEL",
            help="A run's folder or a .keras file; with --pages, the shipped reader if left out.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="On this data; for a run, the data it was trained on; with --pages, mnist.",
        ),
    ] = None,
    pages: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Read N composed pages of handwriting, and more for each difficulty."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="With --pages: which pages.")] = 0,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="With --pages: keep the pages, marked with what was read."
        ),
    ] = None,
    positive_class: PositiveClassOption = None,
    image_size: ImageSizeOption = None,
    color_mode: ColorModeOption = "auto",
    json_file: JsonOption = None,
) -> None:
    """How good a model is on the test images of a data set."""
    from penmark.runs import TrainingSettings, is_run
    from penmark.runs.scoring import score_test
    from penmark.terminal import evaluation_tables

    if pages is not None:
        _evaluate_reading(target, data or "mnist", pages, seed, save, json_file)
        return
    if save is not None:
        raise InputError("--save keeps composed pages; say how many to read, like --pages 100")
    if target is None:
        raise InputError("say what to evaluate: a run, a .keras file, or --pages 100 for reading")
    model = _model(target)
    if is_run(target):
        from penmark.runs import Run

        settings = Run(target).settings
    elif data is None:
        raise InputError(f"say what to evaluate {target} on, for example: --data mnist")
    else:
        settings = TrainingSettings(recipe="", positive_class=positive_class)
    size = _size(image_size) or settings.image_size
    mode = color_mode if color_mode != "auto" else settings.color_mode
    dataset = _load(data or settings.data, None if size is None else f"{size[0]}x{size[1]}", mode)
    one = positive_class or settings.positive_class
    if one is not None:
        dataset = dataset.one_against_rest(one)
    evaluation = score_test(model, dataset)
    if json_file != "-":
        console = _results()
        for part in evaluation_tables(evaluation):
            console.print(part)
    _write_json(evaluation.to_json(), json_file)


@app.command("export")
def export_model(
    target: Annotated[
        Path, typer.Argument(metavar="RUN|MODEL", help="A run's folder or a .keras file.")
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="FORM",
            help="onnx (other programs), litert (phones) or web (a page that draws and reads).",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The file, for web the folder; else beside the model."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier export.")
    ] = False,
    json_file: JsonOption = None,
) -> None:
    """Write a trained model for other programs."""
    from penmark import export
    from penmark.terminal import export_tables

    forms = {"onnx": export.to_onnx, "litert": export.to_litert, "web": export.to_web}
    if to not in forms:
        raise InputError(f"--to must be one of {', '.join(forms)}; got {to!r}")
    exported = forms[to](target, out, overwrite=overwrite)
    if json_file != "-":
        for part in export_tables(exported):
            _results().print(part)
    _write_json(exported.to_json(), json_file)


@app.command()
def read(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="Photos, scans, screenshots, drawings.")
    ],
    model: Annotated[
        Path | None,
        typer.Option(metavar="RUN|MODEL", help="Read with this model, not with penmark's own."),
    ] = None,
    json_file: JsonOption = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw boxes and labels on the picture; a folder where there are several.",
        ),
    ] = None,
    show_prepared: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw the 28×28 images the network saw; a folder where there are several.",
        ),
    ] = None,
) -> None:
    """Read the handwritten digits in pictures."""
    from penmark.data.progress import progress_bar
    from penmark.reading.files import check_targets, read_files

    check_targets(images, save, show_prepared)
    documents: list[dict[str, Any]] = []
    exit_code = 0
    results = read_files(images, model=model, save=save, show_prepared=show_prepared)
    with progress_bar("reading", len(images), enabled=len(images) > 3) as progress:
        for result in results:
            progress(len(documents) + 1)
            documents.append(result.to_json())
            exit_code = max(exit_code, result.exit_code)
            if result.error is not None:
                _say(f"penmark: {result.error}")
            elif json_file != "-":
                print(result.to_text(alone=len(images) == 1), flush=True)
                if len(images) == 1 and result.reading is not None and result.reading.note:
                    _say(result.reading.note)
    _write_json(documents, json_file)
    if exit_code:
        raise typer.Exit(exit_code)


@app.command()
def reproduce(
    data: DataOption = "mnist",
    recipe: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this recipe; may be given again.")
    ] = None,
    seed: SeedOption = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the runs in this folder.")
    ] = None,
    json_file: JsonOption = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the table as Markdown.")
    ] = None,
) -> None:
    """Claimed accuracies beside measured ones.

    Trains every published network as it was published, and evaluates it on the test images.
    """
    from penmark import recipes
    from penmark.atomic import write_text
    from penmark.runs.reproduce import markdown_table, reproduce
    from penmark.terminal import reproduce_table

    chosen = [recipes.get(name).name for name in recipe or recipes.published()]
    dataset = _load(data, None, "auto")
    rows = list(reproduce(chosen, data, dataset=dataset, seed=seed, out=out, announce=_say))
    if json_file != "-":
        _results().print(reproduce_table(rows))
    if markdown is not None:
        write_text(markdown, markdown_table(rows))
    _write_json(rows, json_file)


@app.command()
def bench(
    recipe: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this recipe; may be given again.")
    ] = None,
    against: Annotated[str, typer.Option(help="The peer: keras.")] = "keras",
    data: DataOption = "mnist",
    runs: Annotated[int, typer.Option(min=1, help="Timed epochs of each.")] = 3,
    images: Annotated[
        int | None, typer.Option(min=1, help="Time only so many images, and scale up.")
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also show where the core's time goes.")
    ] = False,
    precision: Annotated[str, typer.Option(help="float32 or mixed_bfloat16.")] = "float32",
    json_file: JsonOption = None,
) -> None:
    """Time training, the engine and Keras in turn."""
    from penmark import recipes
    from penmark.runs.bench import bench
    from penmark.terminal import bench_tables

    if against != "keras":
        raise InputError(f"--against must be keras; got {against!r}")
    trained = [name for name in recipes.published() if recipes.get(name).fit is None]
    dataset = _load(data, None, "auto")
    rows = list(
        bench(
            recipe or trained,
            dataset,
            runs=runs,
            images=images,
            profile=profile,
            precision=precision,  # type: ignore[arg-type]  # checked by build
            announce=_say,
        )
    )
    if json_file != "-":
        for part in bench_tables(rows):
            _results().print(part)
    _write_json(rows, json_file)


@app.command()
def studio(
    model: Annotated[
        Path | None,
        typer.Option(metavar="RUN|MODEL", help="The network to begin with, instead of the best."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; another than 127.0.0.1 asks for a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 8128,
    workspace: Annotated[
        Path, typer.Option("--in", metavar="DIR", help="The folder with runs/; nothing else.")
    ] = Path(),
) -> None:
    """Open the studio: draw, look inside, train, browse.

    A web page on this computer, which talks to nobody else.
    """
    from penmark.studio import StudioSettings
    from penmark.studio.serve import serve

    serve(StudioSettings(workspace=workspace, model=model, host=host, port=port), _say)


@runs_app.callback(invoke_without_command=True)
def runs_list(
    context: typer.Context,
    folder: Annotated[Path, typer.Option("--in", metavar="DIR", help="The folder of runs.")] = Path(
        "runs"
    ),
) -> None:
    """List the training runs in a folder, or compare some."""
    if context.invoked_subcommand is not None:
        return
    from penmark.runs import list_runs
    from penmark.terminal import runs_table

    found = list_runs(folder)
    if found:
        console = _results()
        console.print(runs_table(found, width=console.width))
    else:
        _say(f"There are no runs in {folder} yet; make one: penmark train softmax --data digits")


@runs_app.command("compare")
def runs_compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs.")],
    save: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to draw their curves, one over the other.")
    ] = Path("comparison.png"),
) -> None:
    """Runs side by side: a table, and their curves in one picture."""
    from penmark.report.figures import compare_curves
    from penmark.report.rendering import save_figure
    from penmark.runs import Run
    from penmark.terminal import runs_table

    opened = [Run(path) for path in runs]
    console = _results()
    console.print(runs_table(opened, width=console.width))
    save_figure(compare_curves(_histories(opened)), save)
    _say(f"Curves: {save}")


@app.command()
def port(
    script: Annotated[
        Path, typer.Argument(metavar="SCRIPT", help="An old program (.py) or notebook (.ipynb).")
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[ARGUMENT]...", help="For the program: --run.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the new one here.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file that is already there.")
    ] = False,
    run: Annotated[
        bool, typer.Option("--run", help="Port in memory and run it, through the engine.")
    ] = False,
) -> None:
    """Make an old Keras program run again.

    Shows what would change as a diff, and why; writes nothing unless told where. The exit status
    is 1 if something old had to be left.
    """
    from rich.console import Console

    from penmark.atomic import write_text
    from penmark.port import port_file
    from penmark.terminal import port_findings

    if arguments and not run:
        raise InputError(f"arguments for the program ({arguments[0]}) go with --run")
    if output is not None and output.exists() and not overwrite:
        raise InputError(f"{output} is already there; choose another name, or add --overwrite")
    ported = port_file(script)
    said = Console(stderr=True, highlight=False)
    for part in port_findings(ported):
        said.print(part)
    if run:
        from penmark.port.run import run as run_ported

        run_ported(ported, script, arguments or [])
        return
    if output is None:
        _print_diff(ported.diff())
    else:
        write_text(output, ported.new)
        _say(f"Written: {output}")
    if ported.left:
        raise typer.Exit(1)


def _print_diff(diff: str) -> None:
    """Plain through a pipe, so that it is a patch; colored in a terminal."""
    from rich.text import Text

    console, colors = _results(), {"+": "green", "-": "red", "@": "cyan"}
    for line in diff.splitlines():
        if console.is_terminal:
            console.print(Text(line, style=colors.get(line[:1], "")), soft_wrap=True)
        else:
            print(line)


def main() -> None:
    """The `penmark` command: run it, and turn every error into one line and an exit status."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        status = app(args=arguments, prog_name="penmark", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except PenmarkError as error:
        _fail(str(error), error.exit_code, debug)
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped", 130, debug)
    except BrokenPipeError:
        # The reader (head, less) has seen enough; Python must not complain when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except typer.TyperException as error:  # wrong options and arguments
        error.show()  # type: ignore[attr-defined]
        sys.exit(error.exit_code)
    except MemoryError:
        _fail("there is not enough memory; try a smaller batch size or less data", 1, debug)
    except Exception as error:
        _fail(f"{type(error).__name__}: {error} (penmark --debug … shows where)", 1, debug)


def _fail(message: str, exit_code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc()
    one_line = re.sub(r"\s+", " ", message).strip()
    print(f"penmark: {one_line}", file=sys.stderr)
    sys.exit(exit_code)


def _results() -> Console:
    """Standard output, for results."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


def _say(line: str) -> None:
    """A line for the person watching, on standard error."""
    print(line, file=sys.stderr, flush=True)


def _say_result(run: Run) -> None:
    """Where the training got to, and where to look next."""
    from penmark.report.wording import percent

    metrics = run.metrics
    if metrics is None:
        _say(
            "Stopped before the first epoch ended. "
            f"Start again: {_program()} train --resume {run.path}"
        )
        return
    wrong = metrics["images"] - round(metrics["accuracy"] * metrics["images"])
    _say("")
    _say(
        f"Test accuracy {percent(metrics['accuracy'], images=metrics['images'])}: "
        f"{wrong:,} of {metrics['images']:,} test images read wrongly"
    )
    if (run.path / "report.html").exists():
        _say(f"  the report        {run.path / 'report.html'}")
    _say(f"  the model         {run.model_path}")
    _say(f"  in the terminal   {_program()} evaluate {run.path}")
    if run.status == "interrupted":
        _say(f"  go on             {_program()} train --resume {run.path}")


def _program() -> str:
    """What to type to call penmark: its path, where its environment is not active."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "penmark" and not shutil.which("penmark") else "penmark"


def _load(data: str, image_size: str | None, color_mode: str) -> Dataset:
    from penmark.data import load_data

    return load_data(data, image_size=_size(image_size), color_mode=color_mode)  # type: ignore[arg-type]


def _model(target: Path) -> Any:
    """The model of a run folder, or of a .keras file, to use as it is."""
    from penmark.engine.model_file import open_model
    from penmark.runs import Run

    return open_model(Run(target).trained_model_path() if target.is_dir() else target)


def _evaluate_reading(
    target: Path | None,
    data: str,
    pages: int,
    seed: int,
    save: Path | None,
    json_file: str | None,
) -> None:
    from penmark.reading.evaluation import evaluate_reading
    from penmark.terminal import reading_tables

    measurement = evaluate_reading(target, _load(data, None, "auto"), pages, seed=seed, save=save)
    if json_file != "-":
        console = _results()
        for part in reading_tables(measurement):
            console.print(part)
    if save is not None:
        _say(f"Pages and figure: {save}")
    _write_json(measurement.to_json(), json_file)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,4})(?:[x×](\d{1,4}))?", text)
    height, width = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not (1 <= height <= 1024 and 1 <= width <= 1024):
        raise InputError(f"--image-size is height x width in pixels, like 28x28; got {text!r}")
    return height, width


def _histories(runs: list[Run]) -> dict[str, dict[str, list[float]]]:
    """The runs' curves by name; runs in different folders may share a name."""
    names = [run.name for run in runs]
    return {run.name if names.count(run.name) == 1 else str(run.path): run.history for run in runs}


def _write_json(document: Any, target: str | None) -> None:
    """Write one JSON document to a file, to standard output for "-", nowhere for None."""
    if target is None:
        return
    if target == "-":
        try:
            print(json.dumps(document, indent=2, allow_nan=False), flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StorageError(f"cannot write to standard output: {error.strerror}") from error
        return
    from penmark.atomic import write_json

    write_json(target, document)
