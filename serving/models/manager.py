"""Which versions are in service: follows the store's labels, loads, verifies, switches and unloads.

Requests read an immutable snapshot (`ServedModel`) that is replaced as a whole, so a switch costs them nothing and no request
falls between two versions. All changes happen in one thread.
"""

from __future__ import annotations

import dataclasses
import gc
import logging
import random
import threading
import time
from collections.abc import Mapping, Sequence

from model_store import CANARY, STABLE, Label, StoreError
from serving.errors import NotFoundError, NotReadyError
from serving.metrics import Metrics
from serving.models.batching import Batching
from serving.models.servable import Servable
from serving.models.source import Source
from spec.errors import InputError
from spec.words import one_line

_log = logging.getLogger(__name__)

_RETRY_SECONDS = (2.0, 5.0, 15.0, 60.0)
_DATA_LOSS, _INTERNAL = "DATA_LOSS", "INTERNAL"


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """One version as ModelService reports it.

    Attributes:
        state: LOADING, AVAILABLE, UNLOADING or END, as TF Serving names them.
        error_code: name of a gRPC status code; OK unless it could not be loaded.
    """

    state: str
    error_code: str = "OK"
    error_message: str = ""


@dataclasses.dataclass(frozen=True)
class ServedModel:
    """A model as it is currently served.

    Attributes:
        labels: label -> the version that answers for it.
        share: which share of the requests without version or label the canary answers.
        why_not: why it has no stable version; empty if it has one.
        damaged: why the store cannot be followed (its labels cannot be read, or the stable version is refused); what was loaded
            before stays in service. Empty if it can.
    """

    name: str
    labels: Mapping[str, Servable] = dataclasses.field(default_factory=dict)
    share: float = 0.0
    statuses: Mapping[int, VersionStatus] = dataclasses.field(default_factory=dict)
    why_not: str = ""
    damaged: str = ""

    @property
    def ready(self) -> bool:
        return STABLE in self.labels

    @property
    def servables(self) -> dict[int, Servable]:
        return {servable.version: servable for servable in self.labels.values()}


@dataclasses.dataclass
class _Failure:
    attempts: int
    retry_at: float


class ModelManager:
    """Keeps the requested models loaded according to the store's labels.

    Args:
        names: the models to serve; None: all that have a label in the store.
        batching: how requests wait for a version's threads, and are put together.
    """

    def __init__(self, source: Source, names: Sequence[str] | None, metrics: Metrics, batching: Batching) -> None:
        self._source = source
        self._names = None if names is None else tuple(names)
        self._wanted: dict[str, frozenset[int]] = {}
        self._metrics = metrics
        self._batching = batching
        waiting = "not loaded yet"
        self._models: dict[str, ServedModel] = {name: ServedModel(name, why_not=waiting) for name in self._names or ()}
        self._failures: dict[tuple[str, int], _Failure] = {}
        self._loaded: dict[tuple[str, int], Servable] = {}
        self._said: dict[str, str] = {}
        self._stop = threading.Event()
        self._first_pass = threading.Event()
        self._thread: threading.Thread | None = None

    # -- what requests read

    def models(self) -> Mapping[str, ServedModel]:
        """The models that are served or requested."""
        return self._models

    @property
    def ready(self) -> bool:
        """Whether the first pass is over and every requested model has a stable version loaded.

        If no models were named, one whose record is damaged does not hold up the others: it does not count, unless it is the only one.
        """
        models = self._models.values()
        counted = [model for model in models if self._names is not None or model.ready or not model.damaged]
        return self._first_pass.is_set() and all(model.ready for model in counted or models)

    def model(self, name: str) -> ServedModel:
        """A model by name.

        Raises:
            NotFoundError: it is not served here.
        """
        try:
            return self._models[name]
        except KeyError:
            known = ", ".join(sorted(self._models)) or "none yet"
            raise NotFoundError(f"there is no model {name!r} here. Served: {known}") from None

    def find(self, name: str, version: int | None = None, label: str | None = None) -> tuple[Servable, str]:
        """The version that answers a request, and its label (empty if the request named the version).

        Raises:
            NotFoundError: no such model, version or label.
            NotReadyError: the model is known, but no version of it is loaded.
        """
        model = self.model(name)
        if version is not None:
            servable = model.servables.get(version)
            if servable is None:
                loaded = ", ".join(map(str, sorted(model.servables))) or "none"
                raise NotFoundError(f"{name} version {version} is not loaded. Loaded versions: {loaded}")
            return servable, ""
        wanted = label or STABLE
        servable = model.labels.get(wanted)
        if servable is None:
            if label and label != STABLE and model.ready:
                raise NotFoundError(f"{name} has no label {label!r} loaded. Labels: {', '.join(sorted(model.labels))}")
            raise NotReadyError(f"{name} has no stable version loaded: {model.why_not or 'not loaded yet'}")
        return servable, wanted

    def canary_for(self, name: str) -> Servable | None:
        """The canary, if it should answer this request, which names neither version nor label; None: stable answers."""
        model = self._models.get(name)
        if model is None or not model.share or not model.ready:
            return None
        return model.labels[CANARY] if _chosen(model.share) else None

    def why_not(self) -> dict[str, str]:
        """Why a model that is asked for is not served, by model."""
        return {name: model.why_not for name, model in self._models.items() if not model.ready}

    def tried(self) -> dict[str, list[int]]:
        """The versions of each model that are loaded or refused: what there is to wait for no longer."""
        done: dict[str, list[int]] = {}
        for name, version in [*self._loaded, *self._failures]:
            done.setdefault(name, []).append(version)
        return done

    # -- what the polling thread does

    def start(self, poll_seconds: float) -> None:
        """Loads the versions that labels point at, then follows the labels until `stop`."""
        self._thread = threading.Thread(target=self._poll, args=(poll_seconds,), name="models", daemon=True)
        self._thread.start()

    def wait_for_first_pass(self, timeout: float | None = None) -> bool:
        """Waits until every requested model has been tried once."""
        return self._first_pass.wait(timeout)

    def stop(self) -> None:
        """Stops following the store; what is loaded stays until the process ends."""
        self._stop.set()

    def _poll(self, poll_seconds: float) -> None:
        while not self._stop.is_set():
            self.refresh()
            if not self._first_pass.is_set():
                # Objects created so far live for ever: exclude them from later collections, which would delay requests.
                gc.collect()
                gc.freeze()
                self._first_pass.set()
            self._metrics.ready.set(self.ready)
            self._stop.wait(poll_seconds)

    def refresh(self) -> None:
        """Reads the store once: loads what is new, switches, and unloads what is no longer needed."""
        try:
            names = self._names if self._names is not None else self._labelled_models()
        except Exception as error:
            self._store_failed("", error)
            return
        for name in names:
            try:
                self._refresh_model(name)
            except StoreError as error:
                self._note_damage(name, str(error))
            except Exception as error:
                self._store_failed(name, error)
        self._unload_unused()
        labelled = {(name, version) for name, versions in self._wanted.items() for version in versions}
        self._source.keep(labelled | self._loaded.keys())

    def _labelled_models(self) -> list[str]:
        if not self._source.exists():
            self._say("store", f"the store {self._source.uri} does not exist yet; waiting for a first release")
            return []
        self._say("store", "")
        return sorted({*self._source.labelled(), *self._models})

    def _refresh_model(self, name: str) -> None:
        details = self._source.labels(name)
        wanted = {label: said.version for label, said in details.items()}
        model = self._models.get(name) or ServedModel(name)
        self._models[name] = model
        if not wanted and model.labels:
            # A store that is briefly unavailable looks like one without labels: better old answers than none.
            self._say(name, f"{name}: labels.json is gone from {self._source.uri}; what is loaded stays in service")
            return
        self._wanted[name] = frozenset({*wanted.values(), *self._source.ahead(name)})
        self._switch(name, details)
        for version in sorted(self._wanted[name], key=lambda v: v != wanted.get(STABLE)):
            if (name, version) not in self._loaded and self._load(name, version):
                self._switch(name, details)
        self._explain(name, wanted)

    def _switch(self, name: str, wanted: Mapping[str, Label]) -> None:
        """Atomically points every label at its version if that is loaded, and leaves it unchanged otherwise."""
        model = self._models[name]
        choice = {
            label: self._loaded.get((name, said.version)) or model.labels.get(label) for label, said in wanted.items()
        }
        labels = {label: servable for label, servable in choice.items() if servable is not None}
        share = _share(labels, wanted)
        if share != model.share:
            self._metrics.share.labels(name).set(share)
            _log.info("%s: the canary gets %g of the requests (before: %g)", name, share, model.share)
        if labels == model.labels:
            self._models[name] = dataclasses.replace(model, share=share)
            return
        kept = {servable.version for servable in labels.values()}
        available = dict.fromkeys(kept, VersionStatus("AVAILABLE"))
        unloading = dict.fromkeys(model.servables.keys() - kept, VersionStatus("UNLOADING"))
        statuses = {**model.statuses, **available, **unloading}
        self._models[name] = dataclasses.replace(model, labels=labels, share=share, statuses=statuses)
        self._note_switch(name, model.labels, labels)

    def _load(self, name: str, version: int) -> bool:
        """Verifies, loads and warms up one version; False if it failed, or failed a moment ago."""
        failure = self._failures.get((name, version))
        if failure is not None and time.monotonic() < failure.retry_at:
            return False
        started = time.monotonic()
        self._set_status(name, version, VersionStatus("LOADING"))
        try:
            folder = self._source.take(name, version)
            servable = Servable(name, version, folder, self._batching)
            servable.warm_up()
        except (StoreError, InputError) as error:
            self._load_failed(name, version, _DATA_LOSS, str(error))
            return False
        except Exception as error:
            self._load_failed(name, version, _INTERNAL, f"{type(error).__name__}: {error}")
            return False
        seconds = time.monotonic() - started
        self._failures.pop((name, version), None)
        self._metrics.load_seconds.labels(name, version).set(seconds)
        self._loaded[name, version] = servable
        _log.info("%s version %d: verified, loaded and warmed up in %.1f s", name, version, seconds)
        return True

    def _load_failed(self, name: str, version: int, code: str, message: str) -> None:
        message = one_line(message, 500)
        before = self._failures.get((name, version))
        attempts = before.attempts + 1 if before else 1
        wait = _RETRY_SECONDS[min(attempts, len(_RETRY_SECONDS)) - 1]
        self._failures[name, version] = _Failure(attempts, time.monotonic() + wait)
        self._metrics.load_failures.labels(name, version).inc()
        self._set_status(name, version, VersionStatus("END", code, message))
        serving = {label: servable.version for label, servable in self._models[name].labels.items()}
        _log.error("%s version %d is refused: %s Still in service: %s", name, version, message, serving or "nothing")

    def _set_status(self, name: str, version: int, status: VersionStatus) -> None:
        model = self._models[name]
        self._models[name] = dataclasses.replace(model, statuses={**model.statuses, version: status})

    def _note_switch(self, name: str, before: Mapping[str, Servable], after: Mapping[str, Servable]) -> None:
        for label in before.keys() - after.keys():
            self._metrics.forget_label(name, label)
        for label, servable in after.items():
            self._metrics.set_label(name, label, servable.version)
        show = {label: servable.version for label, servable in after.items()}
        _log.info("%s: in service %s (before: %s)", name, show, {k: s.version for k, s in before.items()} or "nothing")

    def _explain(self, name: str, wanted: Mapping[str, int]) -> None:
        model = self._models[name]
        version = wanted.get(STABLE)
        status = None if version is None else model.statuses.get(version)
        refused = status is not None and status.error_code != "OK"
        damaged = f"version {version} is refused: {status.error_message}" if status and refused else ""
        why = ""
        if not model.ready:
            if version is not None:
                why = f"version {version} could not be loaded: {status.error_message if status else 'not tried yet'}"
            elif versions := self._source.versions(name):
                newest = versions[-1]
                why = f"no stable label. `trainyard release promote {name} {newest}` makes version {newest} stable"
            else:
                why = f"no release in {self._source.uri}. `trainyard run {name}` makes one"
        if (why, damaged) != (model.why_not, model.damaged):
            self._models[name] = dataclasses.replace(model, why_not=why, damaged=damaged)
        self._say(name, why and f"{name} is not served: {why}")

    def _unload_unused(self) -> None:
        """Unloads versions that no label points at, once their last request is answered."""
        used = {(name, version) for name, model in self._models.items() for version in model.servables}
        used |= {(name, version) for name in self._models for version in self._source.ahead(name)}
        done = [key for key, servable in self._loaded.items() if key not in used and servable.idle]
        for name, version in done:
            self._loaded.pop((name, version)).lane.close()
            self._set_status(name, version, VersionStatus("END"))
            self._metrics.forget_predictions(name, version)
            _log.info("%s version %d: unloaded", name, version)
        if done:
            gc.collect()  # a SavedModel is full of reference cycles, which would keep its weights in memory

    def _note_damage(self, name: str, why: str) -> None:
        """Reports that a model's record cannot be read; the model stays as it is, and the others are followed."""
        self._metrics.store_failures.inc()
        model = self._models.get(name) or ServedModel(name)
        self._models[name] = dataclasses.replace(model, damaged=why, why_not="" if model.ready else why)
        self._say(name, f"{name}: {why} {'What is loaded stays in service.' if model.ready else 'It is not served.'}")

    def _store_failed(self, name: str, error: Exception) -> None:
        self._metrics.store_failures.inc()
        self._say(name or "store", f"cannot read the store: {error}")

    def _say(self, about: str, message: str) -> None:
        """Logs a state once rather than at every poll."""
        if self._said.get(about, "") != message:
            self._said[about] = message
            if message:
                _log.warning("%s", message)


def _share(labels: Mapping[str, Servable], wanted: Mapping[str, Label]) -> float:
    """The canary's share, once the version that it was assigned to is loaded."""
    canary, said = labels.get(CANARY), wanted.get(CANARY)
    return said.share if canary is not None and said is not None and canary.version == said.version else 0.0


def _chosen(share: float) -> bool:
    """Whether the canary answers a request, at random.

    If it depended on the request's content, a request that is often repeated would always or never go to the canary, and the
    predictions of canary and stable would differ because their requests do.
    """
    return random.random() < share  # noqa: S311 - a sample, not a secret
