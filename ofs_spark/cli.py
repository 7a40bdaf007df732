"""The `ofs` command: arguments → one call of the pipeline → an answer for people or, with --json, for programs.

Standard output carries the result alone; progress and messages for people go to standard error. With --json the last
line of standard output is one JSON object. Exit status: 0 done, 2 usage, else the status of the refusal's code.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ofs_spark.foundation.errors import OfsError, Refusal

app = typer.Typer(
    name="ofs",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Rebuilds training data from the archived event stream, or refuses with a reason.",
)


@dataclass
class _Options:
    wiring: Path | None = None
    policy: Path | None = None
    json: bool = False
    quiet: bool = False


_options = _Options()


@app.callback()
def options(
    wiring: Annotated[Path | None, typer.Option(envvar="OFS_WIRING", help="Where things are (YAML).")] = None,
    policy: Annotated[Path | None, typer.Option(envvar="OFS_POLICY", help="Folder of policy files.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object on the last line.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Options of every command."""
    _options.wiring, _options.policy, _options.json, _options.quiet = wiring, policy, as_json, quiet


IntentFile = Annotated[Path, typer.Argument(help="A BuildIntent document (JSON).")]


@app.command()
def identity(intent: IntentFile) -> None:
    """Shows the ids an intent has: no Java, no store."""
    from ofs_spark.intent.answers import identity_answer

    _answer(lambda: identity_answer(_bytes(intent)))


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="Any contract document.")],
    contract: Annotated[
        str | None, typer.Option(help="Contract to check against; default: by its schema_version.")
    ] = None,
) -> None:
    """Lists every fault of a contract document: no Java, no store."""
    from ofs_spark.intent.answers import validate_answer

    _answer(lambda: validate_answer(_bytes(file), contract), status=lambda found: 0 if found["valid"] else 10)


@app.command()
def build(intent: IntentFile) -> None:
    """Builds and publishes the dataset an intent names, or refuses."""
    from ofs_spark import pipeline

    raw = _bytes(intent)
    _answer(_with_context(lambda context: pipeline.build_dataset(raw, context)))


@app.command()
def verify(
    manifest: Annotated[str, typer.Argument(help="Ref of a DatasetManifest, or its dataset_manifest_id.")],
) -> None:
    """Recomputes a published dataset's digests from its stored bytes."""
    from ofs_spark import pipeline

    _answer(
        _with_context(lambda context: pipeline.verify_dataset(manifest, context)),
        status=lambda found: 0 if found["verified"] else 60,
        people=_printed("checks"),
    )


@app.command()
def show(
    manifest: Annotated[str, typer.Argument(help="Ref of a DatasetManifest, or its dataset_manifest_id.")],
) -> None:
    """Shows a published dataset's manifest."""
    from ofs_spark import pipeline

    _answer(_with_context(lambda context: pipeline.show_manifest(manifest, context)), people=_printed("manifest"))


@app.command()
def status(run_key: Annotated[str | None, typer.Argument(help="A run; default: every run.")] = None) -> None:
    """Shows what the ledger knows of runs."""
    from ofs_spark import pipeline

    _answer(_with_context(lambda context: pipeline.describe_runs(run_key, context)), people=_printed("status"))


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo world is written.")] = Path("demo-world"),
    seed: Annotated[int, typer.Option(help="Seed of the world.")] = 20260210,
    payments: Annotated[int, typer.Option(min=1_000, help="Events to generate; 88 % of them are payments.")] = 350_000,
) -> None:
    """Generates a card-fraud world, builds a dataset from it twice, and shows what happened."""
    from ofs_spark.demo.command import run_demo

    _answer(lambda: run_demo(folder, seed, payments, _progress()), people=lambda _answer: None)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        typer.echo(f"ofs: cannot read {path}: {error.strerror}", err=True)
        raise typer.Exit(2) from None


def _with_context(call: Callable[[Any], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """A call of the pipeline, with the plane that the options name opened around it."""

    def run() -> dict[str, Any]:
        """The call's answer."""
        from ofs_spark.io.context import open_context

        with open_context(_options.wiring, _options.policy, _progress()) as context:
            return call(context)

    return run


def _progress() -> Callable[[str, str], None]:
    from ofs_spark.console import Progress, silent

    return silent if _options.quiet else Progress(sys.stderr)


def _answer(
    run: Callable[[], dict[str, Any]],
    status: Callable[[dict[str, Any]], int] = lambda _answer: 0,
    people: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    with _interrupted():
        try:
            answer = run()
            code = status(answer)
        except Refusal as refusal:
            answer, code, people = refusal.document(), refusal.exit_status, _printed("refusal")
        except OfsError as error:
            answer, code, people = {"outcome": "FAILED", "message": str(error)}, 1, None
    if _options.json:
        sys.stdout.write(json.dumps(answer, ensure_ascii=True, sort_keys=True) + "\n")
    else:
        (people or _printed("answer"))(answer)
    raise typer.Exit(code)


def _printed(what: str) -> Callable[[dict[str, Any]], None]:
    """The function of `progress.py` that prints `what` for people, loaded when it prints: programs do without."""

    def shown(answer: dict[str, Any]) -> None:
        """Prints an answer."""
        from ofs_spark import console as progress

        getattr(progress, f"print_{what}")(answer)

    return shown


class _Stopped(BaseException):
    """SIGTERM, as an exception: what is under way ends in order."""

    exit_status = 143


@contextmanager
def _interrupted() -> Iterator[None]:
    """Ctrl-C ends the process with 130 and SIGTERM with 143, after the ledger was told."""

    def stop(_number: int, _frame: object) -> None:
        """Ends what is under way."""
        raise _Stopped

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (KeyboardInterrupt, _Stopped) as stopped:
        status = getattr(stopped, "exit_status", 130)
        sys.stderr.write("\nofs: stopped; run the same command again to start over\n")
        sys.stderr.flush()
        os._exit(status)  # not by way of atexit: the JVM may be busy, and ends with this process
    finally:
        signal.signal(signal.SIGTERM, previous)


def main() -> None:
    """Entry point of the `ofs` command."""
    app()


if __name__ == "__main__":
    main()
