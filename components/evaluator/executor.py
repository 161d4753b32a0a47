from __future__ import annotations

import json
import pathlib
from typing import Any

import pyarrow as pa
from tfx.types import artifact, artifact_utils

from components import border
from components.artifacts import ROWS_IN, ROWS_OUT, Artifacts, measured
from components.champion.artifact import champion_version
from components.columnar import read_batches
from components.columnar.executor import ColumnarBeamExecutor
from components.evaluator.config import EvaluationConfig
from components.gates import GateResult
from components.schema import is_picture, read_schema
from components.served_model import SERVING_FOLDER, ServedModel
from spec.splits import TEST

_TIMED_ROWS = 64


class Executor(ColumnarBeamExecutor):
    """Evaluates a row group of the test split at a time, here or on Beam, judges, and writes the verdict as a blessing."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Reads `examples`, `model`, `champion`, `baseline`, `schema`, `catalogue`, `judge`, `variants`; writes `evaluation` and
        `blessing`.

        Raises:
            InputError: the data, the model or the configuration cannot be evaluated at all.
        """
        from components.evaluator.beside import beside
        from components.evaluator.evaluation import evaluate
        from components.evaluator.explanations import explanations
        from components.evaluator.gallery import galleries
        from components.evaluator.importance import column_importance
        from components.evaluator.judgement import compare, judge
        from components.evaluator.summary import METRICS_FILE, summarise
        from components.evaluator.tfma_files import write_tfma_files
        from components.evaluator.variants import Variants
        from components.tasks.gallery_file import GALLERY_FILE, plain

        self._log_startup(input_dict, output_dict, exec_properties)
        config = border.load(EvaluationConfig, exec_properties["evaluation_config"])
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        champions = input_dict.get("champion") or []
        baselines = input_dict.get("baseline") or []
        catalogues, judges = input_dict.get("catalogue") or [], input_dict.get("judge") or []
        compressed = input_dict.get("variants") or []
        version = champion_version(champions[0]) if champions else 0
        with measured(output_dict) as rows:
            champion = pathlib.Path(champions[0].uri) / SERVING_FOLDER if version else None
            challenger = pathlib.Path(model.uri) / SERVING_FOLDER
            outcome = evaluate(
                examples.uri,
                challenger,
                champion,
                config,
                self._combine,
                catalogue=pathlib.Path(catalogues[0].uri) if catalogues else None,
                judge=pathlib.Path(judges[0].uri) / SERVING_FOLDER if judges else None,
            )
            comparison = compare(outcome, config)
            simple = beside(pathlib.Path(baselines[0].uri), outcome, config) if baselines else None
            variants = None
            if compressed:
                variants = Variants(
                    pathlib.Path(compressed[0].uri),
                    challenger,
                    outcome,
                    config,
                    lambda variant: evaluate(examples.uri, variant, None, config, self._combine),
                    _some_rows(examples.uri, challenger),
                )
            gate = judge(outcome, config, comparison, version, simple, variants.checks if variants else ())
            summary = summarise(outcome, gate, comparison, config, int(examples.span or 0), version)
            summary["baseline"] = simple
            summary["variants"] = variants.plain() if variants else None
            schema = read_schema(input_dict["schema"][0].uri) if input_dict.get("schema") else None
            pictured = [one.name for one in schema.feature if is_picture(one)] if schema else []
            summary["importance"] = column_importance(outcome, examples.uri, challenger, config, pictured)
            summary["explanations"] = explanations(examples.uri, challenger, config)
            evaluation = artifact_utils.get_single_instance(output_dict["evaluation"])
            folder = pathlib.Path(evaluation.uri)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / METRICS_FILE).write_text(json.dumps(summary, indent=1, allow_nan=False), encoding="utf-8")
            (folder / "gate.json").write_text(gate.to_json(), encoding="utf-8")
            if schema:  # which says what is personal
                shown = galleries(outcome, examples.uri, schema, config, challenger)
                (folder / GALLERY_FILE).write_text(json.dumps(plain(shown)), encoding="utf-8")
            write_tfma_files(folder, outcome, gate, comparison, config)
            _bless(artifact_utils.get_single_instance(output_dict["blessing"]), model, gate)
            rows[ROWS_IN] = rows[ROWS_OUT] = outcome.rows


def _some_rows(examples_uri: str, model: pathlib.Path) -> pa.RecordBatch:
    """The first rows of the test split, as far as a model takes them."""
    return next(read_batches(examples_uri, TEST, [*ServedModel.read(model).features], _TIMED_ROWS))


def _bless(blessing: artifact.Artifact, model: artifact.Artifact, gate: GateResult) -> None:
    folder = pathlib.Path(blessing.uri)
    folder.mkdir(parents=True, exist_ok=True)
    # File name and properties are those of TFX's own Evaluator, so that its resolvers and Pusher understand ours.
    (folder / ("BLESSED" if gate.passes else "NOT_BLESSED")).write_text("")
    blessing.set_int_custom_property("blessed", int(gate.passes))
    blessing.set_string_custom_property("current_model", model.uri)
    blessing.set_int_custom_property("current_model_id", model.id)
    blessing.set_string_custom_property("reason", "" if gate.passes else gate.summary())
