from __future__ import annotations

import pathlib

import pytest

from pipelines import parameters, reference
from spec import home
from spec.section import ColumnName, Section
from spec.tasks import find
from spec.workload import Workload, WorkloadError, load_workload, named_columns, workload_names

MINIMAL = "name: trips\ntask: binary\ndata: {label: {column: tip}}\n"


def load(tmp_path: pathlib.Path, text: str) -> Workload:
    folder = tmp_path / "trips"
    folder.mkdir(exist_ok=True)
    (folder / "workload.yaml").write_text(text)
    return load_workload(folder)


def test_every_field_but_three_has_a_default(tmp_path: pathlib.Path) -> None:
    workload = load(tmp_path, MINIMAL)
    assert workload.champion_metric == "auc" and workload.training.epochs == 10


def test_a_canary_goes_by_one_step_unless_more_are_given(tmp_path: pathlib.Path) -> None:
    def steps(text: str) -> list[tuple[float, float]]:
        return [(step.share, step.minutes) for step in load(tmp_path, MINIMAL + text).serving.canary_steps]

    assert steps("") == [(0.1, 0)]
    assert steps("serving: {canary_minutes: 30}\n") == [(0.1, 30)]
    two = "serving: {canary: {steps: [{share: 0.05, minutes: 5}, {share: 0.5, minutes: 10}]}}\n"
    assert steps(two) == [(0.05, 5), (0.5, 10)]


@pytest.mark.parametrize(
    ("said", "methods"),
    [
        ("", ("gradient_boosting",)),
        ("evaluation: {baseline: none}\n", ()),
        ("evaluation: {baseline: mine}\n", ("mine",)),
        ("evaluation: {baseline: [mine, gradient_boosting]}\n", ("mine", "gradient_boosting")),
    ],
)
def test_simple_methods_are_named(tmp_path: pathlib.Path, said: str, methods: tuple[str, ...]) -> None:
    assert load(tmp_path, MINIMAL + said).evaluation.baseline == methods


def test_every_field_is_described() -> None:
    def check(model: type, path: str) -> None:
        for name, field in model.model_fields.items():
            assert field.description, f"{path}{name} has no description"

    for section in [Workload, *(f.annotation for f in Workload.model_fields.values())]:
        if hasattr(section, "model_fields"):
            check(section, f"{section.__name__}.")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("name: [", ["not valid YAML"]),
        ("just text", ["expected fields", "str"]),
        (MINIMAL.replace("name: trips", "name: other"), ["field name", "'trips'", "'other'"]),
        (MINIMAL.replace("task: binary", ""), ["field task", "required"]),
        (MINIMAL.replace("binary", "ternary"), ["field task", "'ternary'"]),
        (
            "name: trips\ntask: reconstruction\ndata: {}\nexport: {explain: true}\n",
            ["export.explain is for tasks binary", "Received: task reconstruction. Remove it"],
        ),
        (MINIMAL + "colour: red\n", ["field colour", "no such field", "Known: name, task"]),
        (MINIMAL + "training: {epoch: 3}\n", ["field training.epoch", "Known: epochs"]),
        (MINIMAL + "evaluation: {thresholds: [{metric: auc, min: 2}]}\n", ["between 0 and 1", "2"]),
        (MINIMAL + "evaluation: {thresholds: [{metric: rmse, max: 2}]}\n", ["rmse", "binary"]),
        (MINIMAL + "evaluation: {baseline: [none, mine]}\n", ["field evaluation.baseline:", "['none', 'mine']"]),
        (MINIMAL + "evaluation: {baseline: [mine, mine]}\n", ["different names", "['mine', 'mine']"]),
        (MINIMAL + "evaluation: {baseline: [_mine]}\n", ["functions in baseline.py", "['_mine']"]),
        (MINIMAL + "schedule: {cron: 'every day'}\n", ["five fields"]),
        (
            MINIMAL + "serving: {canary: {steps: [{share: 0.5, minutes: 1}, {share: 0.1, minutes: 1}]}}\n",
            ["serving.canary.steps", "must grow", "[0.5, 0.1]"],
        ),
        (
            MINIMAL + "serving: {canary_minutes: 5, canary: {steps: [{share: 0.5, minutes: 1}]}}\n",
            ["field serving:", "keep canary.steps"],
        ),
        (MINIMAL + "serving: {canary: {limits: {errors: 1}}}\n", ["no such field", "Known: error_rate"]),
        (MINIMAL + "training: {distribution: horovod}\n", ["training.distribution", "'mirrored'", "'horovod'"]),
        (
            MINIMAL + "training: {jit_compile: maybe}\n",
            ["field training.jit_compile:", "'auto', True or False", "'maybe'"],
        ),
        (
            "name: trips\ntask: binary\ndata: {uri: 'x/{YYYY}{MM}/*', label: {column: t}}\n",
            ["data.uri", "a date needs"],
        ),
        (
            "name: trips\ntask: binary\ndata: {uri: 'x/{SPAN}/{YYYY}{MM}{DD}/*', label: {column: t}}\n",
            ["data.uri", "keep one of them"],
        ),
        (
            "name: trips\ntask: binary\ndata: {uri: 'x/v{VERSION}/*', label: {column: t}}\n",
            ["data.uri", "version of a span"],
        ),
        ("name: trips\ntask: binary\ndata: {uri: '{NOPE}/x', label: {column: t}}\n", ["data.uri", "{NOPE}"]),
        (
            "name: trips\ntask: binary\ndata: {split: {key: a, time: b}, label: {column: t}}\n",
            ["data.split", "keep one"],
        ),
        (
            "name: trips\ntask: binary\ndata: {split: {eval_fraction: 0.5, test_fraction: 0.5}, label: {column: t}}\n",
            ["data.split", "leave rows to train on", "0.5 and 0.5"],
        ),
        (
            MINIMAL + "export: {variants: [{name: serving_default, method: pruned}]}\n",
            ["field export.variants.0.name:", "serving_default anyway"],
        ),
        (MINIMAL + "export: {variants: [{name: a-b, method: pruned}]}\n", ["export.variants.0.name", "'a-b'"]),
        (MINIMAL + "export: {variants: [{name: a, method: int4}]}\n", ["variants.0.method", "'litert-int8'", "'int4'"]),
        (
            MINIMAL + "export: {variants: [{name: a, method: keras-int8}, {name: a, method: pruned}]}\n",
            ["field export.variants:", "two variants are called 'a'"],
        ),
        (
            MINIMAL + "export: {variants: [{name: a, method: keras-int8, sparsity: 0.5}]}\n",
            ["sparsity is for method pruned", "keras-int8"],
        ),
        (
            MINIMAL
            + "training: {privacy: {noise: 1, max_epsilon: 3}}\nexport: {variants: [{name: a, method: litert-int8}]}\n",
            ["export.variants: a: litert-int8 looks at rows of train again", "litert-float16 or keras-int8"],
        ),
        (
            "name: trips\ntask: reconstruction\ndata: {}\nexport: {variants: [{name: a, method: pruned}]}\n",
            ["export.variants is for tasks", "task reconstruction"],
        ),
        (MINIMAL + "training: {class_weights: heavy}\n", ["field training.class_weights:", "{fraud: 10}", "'heavy'"]),
        (MINIMAL + "training: {class_weights: {yes: 5}}\n", ["class_weights", "YAML reads True", "in quotes"]),
        (MINIMAL + "training: {class_weights: {a: 0}}\n", ["a weight above 0", "{'a': 0}"]),
        (MINIMAL + "training: {decision_threshold: 1.5}\n", ["field training.decision_threshold:", "below 1", "1.5"]),
        (MINIMAL + "training: {decision_threshold: {f1: 0.9}}\n", ["{precision: 0.9}", "{'f1': 0.9}"]),
        (
            MINIMAL.replace("binary", "multiclass") + "training: {decision_threshold: best_f1}\n",
            ["decision_threshold is for task binary", "multiclass"],
        ),
        (
            MINIMAL.replace("binary", "regression") + "training: {class_weights: balanced}\n",
            ["class_weights is for labels of one class", "regression"],
        ),
        ("name: trips\ntask: binary\ndata: {split: {test_fraction: 0}, label: {column: t}}\n", ["must be above 0"]),
        (MINIMAL.replace("binary", "ranking"), ["task ranking needs data.query"]),
        (MINIMAL + "monitoring: {live: {metrics: [{metric: rmse, max: 1}]}}\n", ["task binary has auc", "'rmse'"]),
        (
            MINIMAL.replace("binary", "ranking").replace("tip}", "tip}, query: user")
            + "monitoring: {live: {metrics: [{metric: mrr, min: 0.5}]}}\n",
            ["monitoring.live.metrics: answers of task ranking cannot be held against a label"],
        ),
        (
            MINIMAL + "monitoring: {live: {metrics: [{metric: auc, min: 0.5}, {metric: auc, max: 0.9}]}}\n",
            ["field monitoring.live.metrics:", "'auc' is bounded twice"],
        ),
        (MINIMAL + "monitoring: {live: {feedback: '{SPAN}/*'}}\n", ["field monitoring.live.feedback:", "{SPAN}"]),
        (MINIMAL + "monitoring: {live: {then: panic}}\n", ["field monitoring.live.then:", "'panic'"]),
        (MINIMAL + "monitoring: {cron: 61 * * * *}\n", ["field monitoring.cron:", "'61' is no minute"]),
        (MINIMAL.replace("tip}", "tip}, query: user"), ["data.query is for tasks ranking and retrieval", "binary"]),
        (MINIMAL.replace("binary", "ranking").replace("tip}", "tip}, query: tip"), ["not the label", "'tip'"]),
    ],
)
def test_what_is_wrong_is_named_by_file_and_field(tmp_path: pathlib.Path, text: str, parts: list[str]) -> None:
    with pytest.raises(WorkloadError) as caught:
        load(tmp_path, text)
    assert str(tmp_path / "trips" / "workload.yaml") in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("split", "key"), [("{}", "user"), ("{key: city}", "city"), ("{time: at}", None), ("{column: part}", "user")]
)
def test_a_query_stays_in_one_split(tmp_path: pathlib.Path, split: str, key: str | None) -> None:
    text = f"name: trips\ntask: ranking\ndata: {{label: {{column: tip}}, query: user, split: {split}}}\n"
    workload = load(tmp_path, text)
    assert workload.split.key == key and workload.champion_metric == "ndcg_10"


def test_the_workloads_that_ship_are_valid() -> None:
    names = workload_names(home.ROOT / "pipelines" / "workloads")
    assert {"taxi", "digits", "mnist"} <= set(names)
    for name in names:
        load_workload(home.ROOT / "pipelines" / "workloads" / name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nosuch=1", "--param nosuch: there is no such hyper-parameter. Known: units, learning_rate, epochs"),
        ("unit=1", "Did you mean 'units'?"),
        ("epoch=1", "Did you mean 'epochs'?"),
        ("training.hyperparameters.nosuch=1", "there is no such hyper-parameter"),
        ("training.epoch=1", "there is no such field"),
    ],
)
def test_a_parameter_that_names_nothing_is_refused(tmp_path: pathlib.Path, text: str, said: str) -> None:
    workload = load(tmp_path, MINIMAL + "training: {hyperparameters: {units: 8}}\n")
    with pytest.raises(WorkloadError) as caught:
        parameters.apply(workload, [text], tmp_path)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_parameters_by_path_and_by_name(tmp_path: pathlib.Path) -> None:
    workload = parameters.apply(
        load(tmp_path, MINIMAL), ["training.epochs=3", "learning_rate=0.5", "data.window=2"], tmp_path
    )
    assert (workload.training.epochs, workload.training.hyperparameters, workload.data.window) == (
        3,
        {"learning_rate": 0.5},
        2,
    )


def test_a_parameter_that_is_not_yaml_is_one_line(tmp_path: pathlib.Path) -> None:
    with pytest.raises(WorkloadError) as caught:
        parameters.apply(load(tmp_path, MINIMAL), ["training.epochs=[1"], tmp_path)
    assert "training.epochs=[1" in str(caught.value) and "\n" not in str(caught.value)


def test_the_reference_page_is_current() -> None:
    page = (home.ROOT / "docs" / "reference" / "workload.md").read_text()
    assert page == reference.workload_page(), "run: python -m pipelines.reference"


def test_options_are_those_of_the_task(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Options(Section):
        item: ColumnName
        top_k: int = 10
        sizes: tuple[int, ...] = ()

    monkeypatch.setattr(find("binary"), "Options", Options)
    found = load(tmp_path, MINIMAL + "task_options: {item: song}\n")
    assert found.task_options == Options(item="song", top_k=10)
    assert found.model_dump()["task_options"] == {"item": "song", "top_k": 10, "sizes": ()}
    assert "task_options.item" in [one.field for one in named_columns(found)]
    for wrong, part in (
        ("{}", "task_options.item: is required and missing. Known for task binary: item, top_k, sizes"),
        (
            "{item: song, topk: 5}",
            "task_options.topk: there is no such field. Known for task binary: item, top_k, sizes",
        ),
        (
            "{item: song, top_k: many}",
            "task_options.top_k: .* valid integer, .*. Received: 'many'. Known for task binary",
        ),
        (
            "{item: song, sizes: 64}",
            r"task_options.sizes: Input should be a list, such as \[one, two\]. Received: 64. Known",
        ),
    ):
        with pytest.raises(WorkloadError, match=part):
            load(tmp_path, f"{MINIMAL}task_options: {wrong}\n")
    monkeypatch.undo()
    with pytest.raises(WorkloadError, match="Known for task binary: none"):
        load(tmp_path, MINIMAL + "task_options: {item: song}\n")
