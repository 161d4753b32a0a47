"""`trainyard release`: the model store's command line."""

from __future__ import annotations

import argparse
import getpass
import json

from cli import arguments
from cli.arguments import Commands
from model_store import CARD_FILE, ModelStore, Release, StoreError
from spec import exit_codes, home
from spec.errors import InputError
from spec.tasks import find


def add_commands(commands: Commands) -> None:
    command = commands.add_parser(
        "release",
        help="list, show, verify, promote and roll back releases",
        description="The model store. A run publishes a version; which one users get is what the label stable says, and only "
        "promote and rollback (or the deploy DAG) move it.",
        epilog="examples:\n  trainyard release list taxi\n  trainyard release promote taxi 2 --reason 'better on card trips'\n"
        "  trainyard release rollback taxi",
    )
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)

    command = actions.add_parser("list", help="releases of one model or of all, newest first")
    command.add_argument("model", nargs="?")
    command.set_defaults(handler=_list)

    command = actions.add_parser("show", help="all that is known of a release: data, code, metrics, gates, files")
    _add_model_and_version(command, optional=True)
    command.add_argument("--json", action="store_true", help="release.json as it is")
    command.set_defaults(handler=_show)

    command = actions.add_parser(
        "card",
        help="the model card: what people outside need to know of a release",
        description="The model card of a release: use, data, figures, fairness, limits; as Markdown, or otherwise.",
        epilog="examples:\n  trainyard release card taxi\n  trainyard release card taxi 3 --html > card.html",
    )
    _add_model_and_version(command, optional=True)
    form = command.add_mutually_exclusive_group()
    form.add_argument("--html", action="store_true", help="as a page for a browser")
    form.add_argument("--json", action="store_true", help="as plain data, as it lies in the release")
    command.set_defaults(handler=_card)

    command = actions.add_parser("verify", help="compare every byte with the digests of release.json")
    _add_model_and_version(command, optional=True)
    command.set_defaults(handler=_verify)

    command = actions.add_parser("promote", help="make a release the stable one, after verifying it")
    _add_model_and_version(command, optional=False)
    command.add_argument("--reason", default="promoted by hand", help="kept in the history")
    command.set_defaults(handler=_promote)

    command = actions.add_parser("rollback", help="go back to the stable release before, or to a named one")
    command.add_argument("model")
    command.add_argument(
        "--to", type=arguments.version, metavar="VERSION", help="default: the stable release before the present one"
    )
    command.add_argument("--reason", default="rolled back by hand", help="kept in the history")
    command.set_defaults(handler=_rollback)

    command = actions.add_parser(
        "sign",
        help="sign where the labels point, once, after a first key or a restored store",
        description="Signs a model's labels as they are, with the key that TRAINYARD_SIGNING_KEY names, once the releases that they "
        "point at are verified. Look at them first: trainyard release list MODEL. Whoever moves a label with the key signs it "
        "anyway.",
    )
    command.add_argument("model")
    command.set_defaults(handler=_sign)

    command = actions.add_parser("history", help="who moved which label, when and why")
    command.add_argument("model")
    command.set_defaults(handler=_history)


def _add_model_and_version(command: argparse.ArgumentParser, optional: bool) -> None:
    command.add_argument("model")
    command.add_argument(
        "version",
        nargs="?" if optional else None,
        default="stable" if optional else None,
        help="a number, stable or canary" + ("; default stable" if optional else ""),
    )


def _store() -> ModelStore:
    return ModelStore(home.store_uri(), memory=home.home())


def _known(store: ModelStore, model: str) -> str:
    if not store.versions(model):
        known = ", ".join(store.models()) or "none"
        raise StoreError(f"there is no model {model!r} in {store.uri}. Known models: {known}.")
    return model


def _which(text: str) -> str | int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text


def _overall(release: Release) -> dict[str, float]:
    """The metrics over all rows, without those that have no value; the task's most important ones first."""
    values = {name: value for name, value in release.metrics.get("overall", {}).items() if value is not None}
    try:
        known = [name for name in find(release.task).metric_names() if name in values]
    except InputError:  # a task of a use case that is not here
        known = []
    return {name: values[name] for name in [*known, *sorted(set(values) - set(known))]}


def _list(options: argparse.Namespace) -> int:
    store = _store()
    models = [_known(store, options.model)] if options.model else store.models()
    if not models:
        print(f"no releases in {home.store_uri()} yet; `trainyard run <workload>` makes one")
    for model in models:
        try:
            labels, versions = _labels_by_version(store, model), sorted(store.versions(model), reverse=True)
        except StoreError as error:
            print(f"{model:<16}   damaged: {error}")
            continue
        for version in versions:
            label = labels.get(version, "")
            try:
                release = store.release(model, version)
            except StoreError as error:
                print(f"{model:<16} {version:>4}  {label:<8} damaged: {error}")
                continue
            shown = "  ".join(f"{k} {v:.4f}" for k, v in list(_overall(release).items())[:3])
            spans = ",".join(str(s["span"]) for s in release.spans)
            print(f"{model:<16} {version:>4}  {label:<8} {release.created_at[:19]}  spans {spans:<8} {shown}")
    return exit_codes.OK


def _labels_by_version(store: ModelStore, model: str) -> dict[int, str]:
    labels: dict[int, str] = {}
    for label, version in sorted(store.labels(model).items(), reverse=True):
        labels[version] = f"{labels[version]},{label}" if version in labels else label
    return labels


def _show(options: argparse.Namespace) -> int:
    release = _store().resolve(options.model, _which(options.version))
    if options.json:
        print(release.to_json())
        return exit_codes.OK
    print(f"{release.model} version {release.version}, made {release.created_at}\n  {release.uri}")
    print(f"  data      {', '.join('span {span}: {rows} rows, {digest:.12}'.format(**s) for s in release.spans)}")
    digest = f", digest {release.code_digest:.12}" if release.code_digest else ""
    print(f"  code      {release.code_revision or 'unknown commit'}{digest}")
    print(f"  run       {release.run_id}")
    print(f"  parent    {release.parent or 'none'}")
    for use, one in release.built_on.items():
        print(f"  {use:<10}{one['model']}@{one['version']}, digest {one['digest']:.12}")
    if release.variants:
        print(f"  variants  {', '.join(release.variants)}")
    for name, value in _overall(release).items():
        print(f"  {name:<15}{value:.4f}")
    for gate in release.gates:
        print(f"  {'✓' if gate['passes'] else '✗'} {gate['summary']}")
    size = sum(f["bytes"] for f in release.files.values())
    print(f"  {len(release.files)} files, {size:,} bytes, digest {release.digest}")
    return exit_codes.OK


def _card(options: argparse.Namespace) -> int:
    from components.report import card_page

    store = _store()
    release = store.resolve(options.model, _which(options.version))
    if CARD_FILE not in release.files:
        raise StoreError(
            f"{release.model} version {release.version} was made by an earlier Trainyard and has no model card. Release it again."
        )
    text = store.read(release, CARD_FILE).decode()
    if options.json:
        print(text, end="")
        return exit_codes.OK
    page = card_page.html if options.html else card_page.markdown
    print(page(json.loads(text), release.as_dict()), end="")
    return exit_codes.OK


def _verify(options: argparse.Namespace) -> int:
    store = _store()
    release = store.resolve(options.model, _which(options.version))
    problems = store.verify(options.model, release.version)
    for problem in problems:
        print(f"✗ {problem}")
    if problems:
        print(
            f"{options.model} version {release.version} is damaged; servers refuse it. Roll back, or run the pipeline again."
        )
        return exit_codes.FIX_INPUT
    print(f"✓ {options.model} version {release.version}: {len(release.files)} files are as they were published")
    return exit_codes.OK


def _promote(options: argparse.Namespace) -> int:
    store = _store()
    release = store.resolve(options.model, _which(options.version))
    store.promote(options.model, release.version, reason=options.reason, actor=getpass.getuser())
    print(f"{options.model}: version {release.version} is stable; servers that watch the store load it within seconds")
    return exit_codes.OK


def _rollback(options: argparse.Namespace) -> int:
    release = _store().rollback(options.model, to=options.to, reason=options.reason, actor=getpass.getuser())
    print(f"{options.model}: version {release.version} is stable again")
    return exit_codes.OK


def _sign(options: argparse.Namespace) -> int:
    labels = _store().sign_labels(options.model)
    said = ", ".join(f"{label} -> {version}" for label, version in labels.items())
    print(f"{options.model}: signed {said}; servers that trust the key follow it within seconds")
    return exit_codes.OK


def _history(options: argparse.Namespace) -> int:
    store = _store()
    for entry in store.history(_known(store, options.model)):
        change = f"{entry.previous} -> {entry.version}" if entry.previous else str(entry.version)
        print(f"{entry.at[:19]}  {entry.action:<10} {change:<12} {entry.actor:<12} {entry.reason}")
    return exit_codes.OK
