"""The one command, `mlops`: one verb a capability. Workflows, Makefile and dvc.yaml only call it.

Only the standard library is imported here, and each verb imports what it needs when it runs, so `mlops comment`
works in a job that installs no third-party package.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from .core.errors import ROWS_REFUSED, RowsRefused, UserError
from .core.files import disk_errors
from .core.paths import BUNDLE, PACKAGE, STAGE_TIMES, STAGES
from .core.turns import turn

IN_TURN = ("setup", "ingest", "train", "tune", "compare", "checkout", "pull", "handover")


def setup(args: argparse.Namespace) -> int:
    """Describe the data in schema.yaml, track it with DVC, install the git hooks."""
    from .setup.project import setup

    setup(args.data, args.target, args.task)
    return 0


def ingest(args: argparse.Namespace) -> int:
    """Fetch what the data's source (a URL, a query) has now as the new snapshot."""
    from .setup.project import ingest

    ingest()
    return 0


def train(args: argparse.Namespace) -> int:
    """Rerun the stages that changed (dvc repro), after fetching only what they need."""
    from .stages.retrain import train

    train(run_cache=args.run_cache, lost=args.lost)
    return 0


def stage(args: argparse.Namespace) -> int:
    """Run one stage of dvc.yaml."""
    if (
        args.name in STAGES and os.environ.get("PYTHONHASHSEED") != "0"
    ):  # the order of sets must not reach the model's bytes
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, "-P", "-m", PACKAGE, *sys.argv[1:]], environment)
    from importlib import import_module

    from .core.config import load_config
    from .stats.own_metrics import named_metrics

    started = time.perf_counter()
    config = load_config(guesses=args.name == "ingest")  # it runs before setup can guess
    if args.name in STAGES:
        named_metrics(config)
    import_module(f".stages.{args.name}", __package__).run(config)
    if args.name in STAGES:
        STAGE_TIMES.mkdir(parents=True, exist_ok=True)
        (STAGE_TIMES / args.name).write_text(f"{time.perf_counter() - started:.3f}")
    return 0


def tune(args: argparse.Namespace) -> int:
    """Search better model.params by cross-validation, where COMPUTE says, and write them to params.yaml."""
    from .core.config import load_config
    from .core.paths import TRAIN_FEATURES, TRAIN_ROWS
    from .setup.tuning.search import tune
    from .stages.retrain import make

    make("featurize", TRAIN_ROWS, TRAIN_FEATURES)
    tune(load_config())
    return 0


def test(args: argparse.Namespace) -> int:
    """Run the project's tests."""
    from .setup.project import test

    return test(args.arguments)


def check(args: argparse.Namespace) -> int:
    """Run every lint, format and type check on every file."""
    from .setup.project import check

    return check()


def params(args: argparse.Namespace) -> int:
    """Show every knob with the value in effect, or explain one and where to write it in params.yaml."""
    from .core.config import load_config
    from .stages.show_params import show_params
    from .stats.own_metrics import named_metrics

    config = load_config(guesses=True)
    named_metrics(config)
    show_params(config, args.key, args.json)
    return 0


def compare(args: argparse.Namespace) -> int:
    """Judge this working tree's model against the champion; exit 1 when the gate says no."""
    from .review.judge import compare

    return 0 if compare(against=args.against, directory=args.report) else 1


def predict(args: argparse.Namespace) -> int:
    """Write a model's predictions for the rows of a file of any kind as Parquet, one line a row, in order."""
    from .bundle.archive import load_bundle
    from .core.config import load_config
    from .data.table import write_parquet
    from .registry.outputs import place_recorded
    from .stages.predict import predict

    place_recorded(args.bundle)
    write_parquet(predict(load_config(), args.rows, load_bundle(args.bundle), enforce=args.enforce), args.out)
    return 0


def features(args: argparse.Namespace) -> int:
    """Print what features.sql knows of an entity: by now, or before the moment `--at`."""
    from .core.config import load_config
    from .stages.predict import lookup

    for name, value in lookup(load_config(), dict(args.key), args.at).items():
        print(f"{name}\t{value}")
    return 0


def checkout(args: argparse.Namespace) -> int:
    """Place the data and results that git's record names where others lie, as after a pull."""
    from .core.git_hooks import brings_records

    if args.hook and not brings_records(*args.hook):
        return 0
    from .stages.transfer import checkout

    checkout(args.force, fetch=not args.hook)
    return 0


def push(args: argparse.Namespace) -> int:
    """Send data and models that dvc.lock names to the DVC remote."""
    from .stages.transfer import push

    push(replace=args.replace, older=args.older)
    return 0


def pull(args: argparse.Namespace) -> int:
    """Fetch data and models that dvc.lock names from the DVC remote."""
    from .stages.transfer import pull

    pull(args.source)
    return 0


def doctor(args: argparse.Namespace) -> int:
    """Say which versions are whole, from origin alone; exit 1 where one is not."""
    from .registry.doctor import doctor

    return 0 if doctor(args.deep) else 1


def comment(args: argparse.Namespace) -> int:
    """Post what a pull request's retrain found as one comment (GitHub Actions, workflow_run)."""
    from .review.comment import comment

    comment()
    return 0


def trust(args: argparse.Namespace) -> int:
    """Record which bytes CML's binaries have, so that workflows run no others."""
    from .core.trust import trust_cml

    trust_cml()
    return 0


def pictures(args: argparse.Namespace) -> int:
    """Store the pictures of a pull request's retrain outside every branch (GitHub Actions, workflow_run)."""
    from .review.pictures import pictures

    pictures()
    return 0


def handover_write(args: argparse.Namespace) -> int:
    """Write what was trained here into a folder, for the job that publishes it."""
    from .registry.handover import write_handover

    write_handover(args.folder)
    return 0


def handover_take(args: argparse.Namespace) -> int:
    """Take what this run's job that trained handed over, once all of it was checked; nothing of it is run."""
    from .registry.handover import take_handover

    take_handover(args.file)
    return 0


def version(args: argparse.Namespace) -> int:
    """Give a changed model its version: release commit, GTO tag, main moved forward."""
    from .registry.publish import version

    version()
    return 0


def keep(args: argparse.Namespace) -> int:
    """Push the branches without which GitHub lets no workflow tag a version whose workflows main has changed since."""
    from .registry.keep import keep

    keep(args.commit)
    return 0


def release(args: argparse.Namespace) -> int:
    """Publish the GitHub Release of this commit's version: at once, or in two steps with an attestation between."""
    from .registry.release import release

    release(args.prepare, args.prepared)
    return 0


def image(args: argparse.Namespace) -> int:
    """Build the container image of a version, the newest unless it is named, and push it if asked to."""
    from .registry.image import image

    image(args.version, push=args.push)
    return 0


def deploy_manifests(args: argparse.Namespace) -> int:
    """Write the manifests that run the image in a Kubernetes cluster, for kustomize, as files of the project."""
    from .registry.manifests import manifests

    manifests(args.out, args.force)
    return 0


def serve(args: argparse.Namespace) -> int:
    """Answer requests with the versions in the roles prod, canary and shadow, or with one bundle."""
    # At once: a container's first process, which this is, hears no signal that it has not asked for.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: sys.exit(0))
    from .core.config import load_config
    from .registry.outputs import place_recorded
    from .serving.server import serve

    if args.bundle:
        place_recorded(args.bundle)
    settings = load_config().serving
    given = {name: getattr(args, name) for name in ("host", "port", "workers") if getattr(args, name) is not None}
    if args.log:
        given["log"] = settings.log.model_copy(update={"path": args.log})
    serve(settings.model_copy(update=given), args.bundle)
    return 0


def feedback(args: argparse.Namespace) -> int:
    """Keep what turned out to be true of predictions: a file of any kind with the columns id and truth."""
    from .core.config import load_config
    from .serving.truths import keep_truths

    print(keep_truths(load_config(), args.file, args.log, args.replace))
    return 0


def canary_report(args: argparse.Namespace) -> int:
    """Compare the canary with the champion on live traffic, and say whether to promote it."""
    from .monitoring.canary_report import fetch_report, report_here
    from .monitoring.canary_text import render

    report = fetch_report(args.url) if args.url else report_here()
    print(report.to_json() if args.json else render(report), end="")
    return 0


def roles(args: argparse.Namespace) -> int:
    """Show which version is champion (prod), canary and shadow, since when and why."""
    from .registry.role_table import show_ignored, show_roles

    (show_ignored if args.ignored else show_roles)(args.json)
    return 0


def promote(args: argparse.Namespace) -> int:
    """Make a version champion: the canary, or the one that is named."""
    from .registry.roles import promote

    promote(args.version, args.reason)
    return 0


def rollback(args: argparse.Namespace) -> int:
    """Make that version champion again which the present one replaced."""
    from .registry.roles import rollback

    rollback(args.reason)
    return 0


def canary_start(args: argparse.Namespace) -> int:
    """Let a version, the newest or the one that is named, answer a share of the traffic."""
    from .registry.roles import start_canary

    start_canary(args.version, args.share, args.reason)
    return 0


def canary_auto(args: argparse.Namespace) -> int:
    """Start the newest version as canary, if it never had a role and another one was promoted."""
    from .registry.roles import start_new_canary

    start_new_canary(args.share)
    return 0


def canary_settle(args: argparse.Namespace) -> int:
    """Do what the canary report of a running server advises: promote, stop, or nothing yet."""
    from .serving.settle import settle

    settle(args.url, args.dry_run)
    return 0


def canary_stop(args: argparse.Namespace) -> int:
    """Give all traffic back to the champion."""
    from .registry.roles import stop
    from .registry.versions import CANARY_ROLE

    stop(CANARY_ROLE, args.reason)
    return 0


def shadow_start(args: argparse.Namespace) -> int:
    """Let a version, the newest or the one that is named, see every request and answer none."""
    from .registry.roles import start_shadow

    start_shadow(args.version, args.reason)
    return 0


def shadow_stop(args: argparse.Namespace) -> int:
    """End the shadow."""
    from .registry.roles import stop
    from .registry.versions import SHADOW_ROLE

    stop(SHADOW_ROLE, args.reason)
    return 0


def engine(args: argparse.Namespace) -> int:
    """Show which engine this project has: its version and digest, where it comes from, and whether it was edited."""
    from .core.engine import describe_engine
    from .core.engine_change import recover, was_killed

    if was_killed():
        with turn("engine"):
            recover()
    print(describe_engine())
    return 0


def engine_use(args: argparse.Namespace) -> int:
    """Take another engine, a version of an index or a wheel's file, and lock it: all of it or nothing."""
    from .core.engine_change import use

    with turn("engine use"):
        source = use(args.engine)
    print(f"The engine is {source.version} now, from {source.place}: `uv sync` installs it; commit what changed.")
    return 0


def engine_eject(args: argparse.Namespace) -> int:
    """Turn the engine's wheel into a folder of its source, to be patched."""
    from .core.engine_change import eject

    with turn("engine eject"):
        source = eject()
    print(f"The engine's source is in {source.place}/src: patch it, `uv sync` installs it; commit what changed.")
    return 0


def engine_verify(args: argparse.Namespace) -> int:
    """Compare the engine's wheel with a build of the template's tag of its version; exit 1 where they differ."""
    from .core.engine import source_here
    from .core.engine_release import CRUFT, template_url, verify

    cruft = Path(CRUFT)
    url = args.template or template_url(cruft.read_bytes() if cruft.exists() else None)
    release = verify(source_here(), url)
    if release.answer == "unknown":
        raise UserError(release.text)
    print(release.text)
    return 0 if release.answer == "same" else 1


def parser() -> argparse.ArgumentParser:
    """Return the parser of every verb."""
    top = argparse.ArgumentParser(prog="mlops", description="Train, judge, publish and use this project's model.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(run: Callable[[argparse.Namespace], int], to: Any = verbs, name: str = "") -> argparse.ArgumentParser:
        text = (run.__doc__ or "").strip()
        made = to.add_parser(name or run.__name__, help=text, description=text)
        made.set_defaults(run=run)
        return made

    def group(name: str, text: str) -> Any:
        return verbs.add_parser(name, help=text, description=text).add_subparsers(required=True, metavar="VERB")

    def moves(made: argparse.ArgumentParser, version: str = "") -> argparse.ArgumentParser:
        if version:
            made.add_argument(
                "version", nargs="?", default="", metavar="VERSION", help=f"such as v1.2.0; else {version}"
            )
        made.add_argument("--reason", required=True, type=_sentence, metavar="TEXT", help="why; it is kept in the tag")
        return made

    setting_up = verb(setup)
    setting_up.add_argument(
        "--data", default="", help="a file, folder, pattern, URL or .sql query, instead of the one here"
    )
    setting_up.add_argument("--target", default="", metavar="COLUMN", help="which column to predict, instead")
    setting_up.add_argument("--task", default="", choices=["guess", "classification", "regression"], help="instead")
    verb(ingest)
    training = verb(train)
    training.add_argument(
        "--no-run-cache",
        dest="run_cache",
        action="store_false",
        help="train even if an identical run is cached",
    )
    training.add_argument("--lost", action="store_true", help="make again those results that are in no store")
    verb(stage).add_argument("name", choices=["recipes", *STAGES, "ingest"])
    verb(tune)
    verb(test).add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to pytest")
    verb(check)
    showing = verb(params)
    showing.add_argument("key", nargs="?", default="", metavar="KEY", help="a knob such as gate.margin, or a section")
    showing.add_argument("--json", action="store_true", help="as JSON, for programs")
    comparing = verb(compare)
    comparing.add_argument("--against", metavar="REV", help="a version, branch or commit, instead of the champion")
    comparing.add_argument("--report", type=Path, default=Path("report"), metavar="DIR", help="where the page goes")
    predicting = verb(predict)
    predicting.add_argument("rows", type=Path, help="a file with the data's columns")
    predicting.add_argument("--bundle", type=Path, default=Path(BUNDLE))
    predicting.add_argument("--out", type=Path, default=Path("predictions.parquet"))
    predicting.add_argument(
        "--types-only",
        dest="enforce",
        action="store_false",
        help="accept missing values and values beyond schema.yaml",
    )
    looking = verb(features)
    looking.add_argument(
        "--key", action="append", required=True, type=_pair, metavar="COLUMN=VALUE", help="whose; repeat it"
    )
    looking.add_argument("--at", metavar="TIME", help="what was known before then, such as 2026-01-31")
    placing = verb(checkout)
    placing.add_argument("--force", action="store_true", help="replace data that was edited as well")
    placing.add_argument("--hook", nargs="+", metavar="WORD", help="the git hook that asks, and what git tells it")
    sending = verb(push)
    sending.add_argument("--replace", action="store_true", help="send every object again, to mend a damaged one")
    sending.add_argument("--all", dest="older", action="store_true", help="send what the versions name as well")
    verb(pull).add_argument("--from", dest="source", metavar="URL", help="another repository's store, such as a fork's")
    verb(doctor).add_argument("--deep", action="store_true", help="fetch every object, not the bundles alone")
    verb(trust).add_argument("tool", choices=["cml"])
    verb(pictures)
    verb(comment)
    handover_verbs = group("handover", "Bring what one job trained to the job that publishes it.")
    writing = verb(handover_write, handover_verbs, "write")
    writing.add_argument("folder", type=Path, metavar="DIR", help="what becomes the artifact `trained` of the run")
    taking = verb(handover_take, handover_verbs, "take")
    taking.add_argument("file", nargs="?", type=Path, metavar="ZIP", help="the artifact; this run's, if none is named")
    verb(version)
    keeping = verb(keep)
    keeping.add_argument("commit", nargs="?", default="", metavar="COMMIT", help="one that is to become a version")
    releasing = verb(release).add_mutually_exclusive_group()
    releasing.add_argument("--prepare", type=Path, metavar="DIR", help="only write its files there")
    releasing.add_argument(
        "--from",
        dest="prepared",
        type=Path,
        metavar="DIR",
        help="publish the files there, with the attestation that the variable ATTESTATION names, if it names one",
    )
    building = verb(image)
    building.add_argument("version", nargs="?", default="", metavar="VERSION", help="such as v1.2.0; else the newest")
    building.add_argument("--push", action="store_true", help="send it to the registry that serving.image names")
    writing = verb(deploy_manifests, group("deploy", "Run the image elsewhere."), "manifests")
    writing.add_argument("--out", type=Path, default=Path("deploy/kubernetes"), metavar="DIR", help="where they go")
    writing.add_argument("--force", action="store_true", help="replace files that differ")
    serving = verb(serve)
    serving.add_argument("--bundle", type=Path, metavar="FILE", help="serve this one version, without git")
    serving.add_argument("--host", help="the address to listen on, instead of params.yaml's")
    serving.add_argument("--port", type=int, help="0 is any free one")
    serving.add_argument("--workers", type=int, help="how many processes answer")
    serving.add_argument("--log", metavar="DIR", help="where predictions are kept")
    telling = verb(feedback)
    telling.add_argument("file", type=Path, help="such as truths.csv")
    telling.add_argument("--log", metavar="DIR", help="where predictions are kept, if not where params.yaml says")
    telling.add_argument("--replace", action="store_true", help="let them count in place of those that came before")
    listing = verb(roles)
    listing.add_argument(
        "--ignored", action="store_true", help="list the tags that count as no version or role, and why"
    )
    listing.add_argument("--json", action="store_true", help="as JSON, for programs")
    moves(verb(promote), "the canary")
    moves(verb(rollback))
    canary_verbs = group("canary", "Try a version on a share of the traffic.")
    share: dict[str, Any] = {"type": _percent, "metavar": "PERCENT", "help": "how much of the traffic it answers"}
    moves(verb(canary_start, canary_verbs, "start"), "the newest").add_argument("--share", default=10.0, **share)
    moves(verb(canary_stop, canary_verbs, "stop"))
    reporting = verb(canary_report, canary_verbs, "report")
    reporting.add_argument("--json", action="store_true", help="print it as JSON")
    reporting.add_argument("--url", metavar="URL", help="ask the server there, such as http://127.0.0.1:8000")
    verb(canary_auto, canary_verbs, "auto").add_argument("--share", required=True, **share)
    settling = verb(canary_settle, canary_verbs, "settle")
    settling.add_argument("--url", required=True, help="where the server is, such as http://127.0.0.1:8000")
    settling.add_argument("--dry-run", action="store_true", help="only say what would be done")
    shadow_verbs = group("shadow", "Let a version see the traffic and answer none of it.")
    moves(verb(shadow_start, shadow_verbs, "start"), "the newest")
    moves(verb(shadow_stop, shadow_verbs, "stop"))
    engine_verbs = verb(engine).add_subparsers(metavar="VERB")
    taking = verb(engine_use, engine_verbs, "use")
    taking.add_argument("engine", metavar="VERSION|WHEEL", help="such as 1.2.0, or the path of a wheel's file")
    verb(engine_eject, engine_verbs, "eject")
    verifying = verb(engine_verify, engine_verbs, "verify")
    verifying.add_argument("--template", metavar="URL", help="its repository, if not the one in .cruft.json")
    return top


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} has no '=', as in customer=42")
    return name, value


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    if not line:
        raise argparse.ArgumentTypeError("it is empty; say why in a few words")
    return line


def _percent(text: str) -> float:
    try:
        share = round(float(text.removesuffix("%")), 2)
    except ValueError:
        share = 0.0
    if not 0 < share <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage above 0 and up to 100, as 10")
    return share


def _own_mistake(error: Exception) -> str | None:
    """Return what to tell of an error that is the owner's to mend, in their code or for lack of memory; else None."""
    from .core.owner import place_of, tell

    if place_of(error):
        return f"{tell(error)}; correct it."
    if isinstance(error, MemoryError):
        return f"the memory does not suffice ({tell(error)}); take fewer rows or columns, or more memory."
    return None


def main() -> int:
    """Run the verb on the command line and return the exit code."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else ONNX Runtime tells its makers what it does
    args = parser().parse_args()
    try:
        if not Path("params.yaml").exists():
            raise UserError(f"params.yaml: not found in {Path.cwd()}; run this in the project.")
        with disk_errors(Path.cwd()), turn(args.verb) if args.verb in IN_TURN else nullcontext():
            return args.run(args)
    except UserError as error:
        print(f"mlops {args.verb}: {error}", file=sys.stderr)
        if isinstance(error, RowsRefused):
            return ROWS_REFUSED
    except KeyboardInterrupt:
        print(f"mlops {args.verb}: interrupted", file=sys.stderr)
    except BrokenPipeError:  # whoever reads, such as `head`, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if not (sentence := _own_mistake(error)):
            raise
        print(f"mlops {args.verb}: {sentence}", file=sys.stderr)
    return 0 if getattr(args, "hook", None) else 1  # what git did is done


if __name__ == "__main__":
    sys.exit(main())
