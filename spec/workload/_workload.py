"""The model as a whole, and reading it."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from spec.errors import InputError
from spec.metrics import LOSS, Metric
from spec.section import Name, Section
from spec.tasks import LabelKind, MissingLibraryError, TaskFacts, find
from spec.words import one_line
from spec.workload._assets import Asset
from spec.workload._card import Card
from spec.workload._data import Data, Ingestion, Split
from spec.workload._export import Export
from spec.workload._model import CHAMPION, Evaluation, InfraValidation, Training
from spec.workload._monitoring import Monitoring
from spec.workload._operation import Alerts, Batch, Resources, Schedule, Serving
from spec.workload._quality import Quality

# libyaml's where PyYAML has it, ten times as fast: Airflow reads every workload.yaml twice a minute.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST, _MOST_VALUES, _LONGEST = 20, 100_000, 200


class _Loader(_Base):  # type: ignore[misc]
    """Refuses a key that a mapping says twice: YAML would keep the last without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        said: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in said:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} is said twice; keep one of the two", key.start_mark
                    )
                said.add(key.value)
        return dict(super().construct_mapping(node, deep))


class WorkloadError(InputError):
    """A workload.yaml that cannot be used: file, field, what was received and how to mend it; a line for each problem."""

    def __init__(self, problem: str, *, file: str | os.PathLike[str] | None = None, field: str | None = None) -> None:
        super().__init__(problem, file=file, field=field)
        if "\n" in problem:
            self.args = (problem,)

    @classmethod
    def of(cls, problems: Sequence[InputError]) -> WorkloadError:
        """One error that says all of them; its place is that of the first."""
        error = cls("\n".join(str(one) for one in problems))
        error.file, error.field = problems[0].file, problems[0].field
        return error


class _Unread(Section):
    """Options of a task whose module lacks a library here, as in Airflow: the run reads them."""

    model_config = ConfigDict(extra="allow")


BeamValue = bool | int | float | str | tuple[str, ...]


class Workload(Section):
    """One use case: its data, its model's quality bar, its schedule."""

    name: Name
    """Lower-case letters, digits and underscores; also the served model's name and the DAGs' suffix."""
    task: str
    """binary, multiclass, multilabel, regression, ranking, retrieval, reconstruction, generation or segmentation; or a task of your
    own, by dotted path: mine.task.Mine is the class in task.py of the workload `mine` (docs/guides/add-a-task.md)."""
    task_options: SerializeAsAny[Section] = Field(default=Section(), validate_default=True)
    """What the task alone needs to know, such as which column has the item that is recommended: `task_options` of each task, below."""
    owner: str = "ml-platform"
    """Team or person who answers for this model; shown in Airflow and in every report."""
    description: str = ""
    """One sentence for a reader who has never heard of it."""
    card: Card = Card()
    """What the model card of each run says besides what the run found (docs/guides/responsible.md)."""
    data: Data
    """Where the data lies and what is predicted."""
    assets: dict[Name, Asset] = {}
    """Pretrained vectors and weights by name, which features.py and model.py find with `components.assets.asset_path`
    (docs/guides/datasets.md)."""
    training: Training = Training()
    """How the model is fitted."""
    evaluation: Evaluation = Evaluation()
    """What the model must reach to be released."""
    quality: Quality = Quality()
    """How strictly the expectations are taken."""
    export: Export = Export()
    """What a release has besides the model."""
    infra_validation: InfraValidation = InfraValidation()
    """The load-and-predict check before a release."""
    resources: dict[str, Resources] = {}
    """Per component (its id, e.g. Trainer): what to ask Kubernetes for."""
    schedule: Schedule = Schedule()
    """When to retrain, and where."""
    alerts: Alerts = Alerts()
    """Whom to tell when something goes wrong."""
    batch: Batch = Batch()
    """Predictions for files as they arrive."""
    serving: Serving = Serving()
    """What a deployment must keep to."""
    monitoring: Monitoring = Monitoring()
    """How well the model has to do once it is used."""
    beam: dict[str, BeamValue] = {}
    """Beam's options, where the data is too much for one process: {runner: FlinkRunner, flink_master: "host:8081"}. A switch is
    `true`, a repeated option a list; `--beam` wins key by key (docs/guides/scaling.md)."""

    @field_validator("task")
    @classmethod
    def _known_task(cls, task: str) -> str:
        try:
            find(task)
        except MissingLibraryError:
            return task
        except InputError as error:
            raise ValueError(error.problem) from error
        return task

    @field_validator("task_options", mode="before")
    @classmethod
    def _of_task(cls, options: Any, info: ValidationInfo) -> Section:
        name = info.data.get("task")
        if name is None:  # the task itself is wrong, and said to be
            return Section()
        try:
            kind = find(name).Options
        except MissingLibraryError:
            kind = _Unread
        raw = options.model_dump() if isinstance(options, Section) else options
        try:
            return kind.model_validate(raw)
        except pydantic.ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(["task_options", *(str(part) for part in problem["loc"])])
            known = f"Known for task {name}: {', '.join(kind.model_fields) or 'none'}"
            raise ValueError(f"{where}: {_sentence(problem)} {known}") from None

    @model_validator(mode="after")
    def _fits_task(self) -> Workload:
        """Every rule that depends on the task. Where its module lacks a library, as in Airflow, the run checks them."""
        try:
            task = find(self.task)
        except MissingLibraryError:
            return self
        for metric in (*(one.metric for one in self.evaluation.thresholds), self.champion_metric):
            task.metric(metric)
        for rule in (
            _training_objections,
            _search_objections,
            _label_objections,
            _query_objections,
            _judge_objections,
            _fairness_objections,
            _export_objections,
            _monitoring_objections,
        ):
            for objection in rule(self, task):
                raise ValueError(objection)
        return self

    @model_validator(mode="after")
    def _batch_is_of_files(self) -> Workload:
        if self.batch.uri is not None and self.data.format == "images" and not self.batch.format:
            raise ValueError(
                "batch.uri: an image is a file, and each file would be a run of its own; use `trainyard predict` on their folder"
            )
        return self

    @property
    def split(self) -> Split:
        """`data.split`, with the query as its key where none is named and a query's rows are ranked: it is not torn apart."""
        split = self.data.split
        try:
            torn = find(self.task).answers_queries
        except MissingLibraryError:
            torn = False
        return split.model_copy(update={"key": split.key or (None if split.time or torn else self.data.query)})

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that say which row a finding is about."""
        named = self.quality.keys or (self.data.split.key, self.data.query)
        return tuple(dict.fromkeys(one for one in named if one))

    @property
    def champion_metric(self) -> str:
        return self.evaluation.champion.metric or find(self.task).metrics[0].name

    @property
    def releases_used(self) -> tuple[str, ...]:
        """The releases that it names, `<workload>@<label or version>`: a label that has moved changes what a run makes."""
        training = self.training
        start = None if training.start_from == CHAMPION else training.start_from
        named = (self.evaluation.judge, start, training.teacher and training.teacher.release)
        return tuple(one for one in named if one)

    @property
    def search_metric(self) -> Metric:
        """What the trials of `training.search` are compared by: of what training shows after each epoch."""
        shown = {one.name: one for one in (*find(self.task).epoch_metrics, LOSS)}
        chosen = (self.training.search and self.training.search.metric) or self.champion_metric
        return shown.get(chosen) or next(iter(shown.values()))

    def ingestion(self, data_root: str | os.PathLike[str]) -> Ingestion:
        """What ingestion depends on, and no more: another positive class, say, reads no row anew."""
        data = self.data
        fields = {name: getattr(data, name) for name in Ingestion.model_fields}
        fields["uri"] = self.span_uri("{SPAN}", data_root)
        fields["label"] = data.label and data.label.model_copy(update={"positive_class": None})
        fields["split"] = self.split
        return Ingestion(**fields)

    def span_uri(self, span: int | str, data_root: str | os.PathLike[str]) -> str:
        """The files of one span: a path, a glob pattern or a URL that fsspec can read."""
        uri = self.data.uri.replace("{SPAN}", str(span)).replace("{WORKLOAD}", self.name)
        return uri.replace("{DATA}", str(data_root))


def _training_objections(workload: Workload, task: type[TaskFacts]) -> Iterator[str]:
    training = workload.training
    if training.class_weights != "none" and not task.label_kind.is_one_class:
        yield f"training.class_weights is for labels of one class. Received: task {task.name}. Remove it"
    if training.decision_threshold != 0.5 and not task.takes_threshold:
        yield f"training.decision_threshold is for task binary. Received: task {task.name}. Remove it"
    if training.label_scale != "linear" and not task.takes_label_scale:
        yield f"training.label_scale is for task regression. Received: {training.label_scale} for task {task.name}"
    if training.teacher is not None and not task.takes_teacher:
        yield f"training.teacher is for tasks binary, multiclass and regression. Received: task {task.name}. Remove it"


def _search_objections(workload: Workload, task: type[TaskFacts]) -> Iterator[str]:
    search = workload.training.search
    known = [one.name for one in (*task.epoch_metrics, LOSS)]
    if search and search.metric and search.metric not in known:
        yield (
            f"training.search.metric: training shows {', '.join(known)} of task {task.name} after each epoch. "
            f"Received: {search.metric!r}"
        )


def _label_objections(workload: Workload, task: type[TaskFacts]) -> Iterator[str]:
    label = workload.data.label_column
    if label is None and task.label_kind is not LabelKind.NONE and not task.label_optional:
        yield f"data.label: task {task.name} needs it. Add `label: {{column: ...}}`, the column to predict"
    if label is not None and task.label_kind is LabelKind.NONE:
        yield f"data.label: task {task.name} learns without one. Received: {label!r}. Remove it"


def _query_objections(workload: Workload, task: type[TaskFacts]) -> Iterator[str]:
    query = workload.data.query
    if query is None and task.needs_query:
        yield f"task {task.name} needs data.query: the column whose rows are ranked against each other"
    if query is not None and not (task.needs_query or task.answers_queries):
        yield f"data.query is for tasks ranking and retrieval. Received: task {task.name}. Remove it, or change the task"
    if query is not None and query in (workload.data.label_column, *workload.data.ignore):
        yield f"data.query must be a column that is read and not the label. Received: {query!r}"


def _judge_objections(workload: Workload, task: type[TaskFacts]) -> Iterator[str]:
    judge = workload.evaluation.judge
    if judge is None and task.needs_judge:
        yield f"evaluation.judge: task {task.name} is judged by a release. Name one, such as mnist@stable"
    if judge is not None and not task.needs_judge:
        yield f"evaluation.judge is for tasks that are judged by another model. Received: task {task.name}. Remove it"


def _fairness_objections(workload: Workload, task: type[TaskFacts]) -> Iterator[str]:
    columns = workload.evaluation.fairness.all_columns
    if columns and not task.calls_one_class:
        yield (
            f"evaluation.fairness is for tasks that call each row one class, as binary and multiclass do. Received: task {task.name}. "
            "Remove it; evaluation.slices shows the task's own metrics by group"
        )
    if workload.data.label_column in columns:
        yield f"evaluation.fairness: the label {workload.data.label_column!r} makes no groups that could be treated alike. Remove it"


def _export_objections(workload: Workload, task: type[TaskFacts]) -> Iterator[str]:
    if workload.export.explain and not task.explains:
        yield (
            f"export.explain is for tasks binary, multiclass, regression and ranking, which answer a row with a class or a number. "
            f"Received: task {task.name}. Remove it"
        )
    if workload.export.explain and workload.training.privacy:
        yield (
            "export.explain: explanations compare with the ordinary row of train, which training.privacy would not count. Remove one"
        )
    for variant in workload.export.variants:
        if not task.takes_variants:
            yield (
                "export.variants is for tasks whose answers follow from the network's output alone, as those of binary and "
                f"regression do. Received: task {task.name}. Remove it"
            )
        if workload.training.privacy and variant.looks_at_train:
            yield (
                f"export.variants: {variant.name}: {variant.method} looks at rows of train again, which training.privacy would not "
                "count. Take litert-float16 or keras-int8"
            )


def _monitoring_objections(workload: Workload, task: type[TaskFacts]) -> Iterator[str]:
    named = [one.metric for one in workload.monitoring.live.metrics]
    if named and not task.takes_feedback():
        yield (
            f"monitoring.live.metrics: answers of task {task.name} cannot be held against a label a row that comes later. Remove it; "
            "`trainyard skew` compares them with those on the test split"
        )
    if unknown := [name for name in named if name not in task.metric_names()]:
        known = ", ".join(task.metric_names())
        yield f"monitoring.live.metrics: task {task.name} has {known}. Received: {unknown[0]!r}"


def load_workload(folder: str | os.PathLike[str]) -> Workload:
    """Reads and checks `workload.yaml` in a workload's folder.

    Raises:
        WorkloadError: the file is missing, is not YAML, or says something that it may not say.
    """
    path = pathlib.Path(folder) / "workload.yaml"
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WorkloadError("there is no such file. `trainyard list` shows the workloads.", file=path) from None
    except OSError as error:
        raise WorkloadError(f"cannot be read: {error.strerror}. It is to be a text file.", file=path) from None
    except ValueError as error:
        raise WorkloadError(f"not valid YAML: {error}", file=path) from None
    if not isinstance(raw, dict):
        received = "an empty file" if raw is None else type(raw).__name__
        raise WorkloadError(f"expected fields such as `name:` and `task:`. Received: {received}", file=path)
    try:
        workload = Workload.model_validate(raw)
    except pydantic.ValidationError as error:
        raise WorkloadError.of([explained(path, problem) for problem in error.errors()]) from None
    if workload.name != path.parent.name:
        raise WorkloadError(
            f"must equal its folder, {path.parent.name!r}. Received: {workload.name!r}", file=path, field="name"
        )
    return workload


def parse_yaml(text: str) -> Any:
    """A YAML document as plain values.

    Raises:
        ValueError: it is none, says a key twice, or is larger than any file that people write.
    """
    try:
        raw = yaml.load(text, _Loader)  # noqa: S506
        _insist_on_bounds(raw)
    except RecursionError:
        raise ValueError(f"nested deeper than {_DEEPEST} levels") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: a date such as 2026-02-31
        raise ValueError(one_line(str(error).replace(' in "<unicode string>"', ""))) from None
    return raw


def _insist_on_bounds(raw: Any) -> None:
    """References (`*a`) make a few lines into more than memory holds, or into a circle."""
    count, open_ends = 0, [(raw, 0)]
    while open_ends:
        value, depth = open_ends.pop()
        count += 1
        if depth > _DEEPEST:
            raise ValueError(f"nested deeper than {_DEEPEST} levels")
        if count > _MOST_VALUES:
            raise ValueError(f"more than {_MOST_VALUES:,} values, references counted")
        if isinstance(value, dict):
            open_ends += [(one, depth + 1) for one in value.values()]
        elif isinstance(value, list):
            open_ends += [(one, depth + 1) for one in value]


def workload_names(folder: str | os.PathLike[str]) -> list[str]:
    """The workloads in a folder of workloads, sorted; those too whose workload.yaml cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(
        name for name in names if name.isprintable() and os.path.lexists(pathlib.Path(folder, name, "workload.yaml"))
    )


def explained(path: pathlib.Path, problem: Any, model: type[BaseModel] = Workload) -> InputError:
    """One pydantic problem as an error for the author of the file that was to be a `model`."""
    guide = "docs/reference/workload.md" if model is Workload else "the guide has an example"
    field = ".".join(str(part) for part in problem["loc"])
    sentence = _sentence(problem)
    if problem["type"] == "extra_forbidden":
        sentence += f" {_known_fields(problem['loc'], model)}"
    if problem["type"] == "missing":
        sentence += f" Add it ({guide})."
    # A rule over several fields has no place of its own; its message names them.
    return InputError(sentence, file=path, field=field)


def _sentence(problem: Any) -> str:
    """What is wrong with a field, and what was received, for somebody who writes YAML."""
    if problem["type"] == "extra_forbidden":
        return "there is no such field."
    if problem["type"] == "missing":
        return "is required and missing."
    message = problem["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list, such as [one, two]")
    told = isinstance(problem["input"], dict) or "Received" in message
    return f"{message}." if told else f"{message}. Received: {_short(problem['input'])}."


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        text = "a number of thousands of digits"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _known_fields(location: tuple[Any, ...], model: type[BaseModel]) -> str:
    """Names the fields of the section in which an unknown one was found."""
    section: Any = model
    for part in location[:-1]:
        if isinstance(part, str) and part in getattr(section, "model_fields", {}):
            section = section.model_fields[part].annotation
            arguments = getattr(section, "__args__", ())
            section = next((a for a in arguments if hasattr(a, "model_fields")), section)
    fields = getattr(section, "model_fields", None)
    return f"Known: {', '.join(fields)}." if fields else "Remove it."
