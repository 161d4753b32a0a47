"""What a component says of itself to everybody who is not TFX: the report, the history, the terminal, Airflow, Kubeflow.

Each component keeps one `NodeRecord` beside it, in `components/<name>/record.py`; `spec.graph` lists them.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping


class ArtifactType(enum.StrEnum):
    """What Kubeflow's UI can show of a node."""

    ARTIFACT = "system.Artifact"
    CLASSIFICATION = "system.ClassificationMetrics"
    DATASET = "system.Dataset"
    HTML = "system.HTML"
    MARKDOWN = "system.Markdown"
    METRICS = "system.Metrics"
    MODEL = "system.Model"


@dataclasses.dataclass(frozen=True)
class Page:
    """A page that a node leaves for people.

    Attributes:
        name: in the `reports` of a run's result.
        output: the output whose artifact holds it.
        file: below the artifact's folder.
    """

    name: str
    output: str
    file: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class NodeRecord:
    """A component, for everybody who is not TFX.

    Attributes:
        id: of the node: the class's name.
        title: in plain words.
        reported: outputs that the report and the history tell of, each with its name among a run's artifacts, which is unique
            in the graph (`{"blessing": "infra_blessing"}`).
        remedy: what to do when it refuses or fails; `{name}` stands for the workload's name.
        reads_data: it reads the span, so that its failure says that the data cannot be used.
        page: that it leaves for people.
        run_parameter: the execution property that a run on Kubeflow may set.
        shows: what Kubeflow's UI shows of it: outputs by name.
        shown_by: `module:function` that makes them from a `components.outputs.Outputs`. Empty: of each output where it
            lies, and of a gate how many checks passed.
    """

    id: str
    title: str
    reported: Mapping[str, str] = dataclasses.field(default_factory=dict)
    remedy: str = ""
    reads_data: bool = False
    page: Page | None = None
    run_parameter: str = ""
    shows: Mapping[str, ArtifactType] = dataclasses.field(default_factory=dict)
    shown_by: str = ""

    def name_of(self, output: str) -> str:
        """The name of one of its outputs among a run's artifacts."""
        return self.reported.get(output, output)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateRecord(NodeRecord):
    """A component that judges.

    A gate on data fails its node, and so stops the run. A gate on models ends well, withholds its blessing, and the Pusher
    publishes nothing.

    Attributes:
        result: the output whose artifact holds `gate.json`.
        asks: its question, for a reader who has not met it.
        section: id of its section in the report.
        blessing: of a gate on models: the output whose artifact has the custom properties `blessed` (0 or 1) and `reason`.
            Empty: it is a gate on data.
        task: of a gate on data: the id of its task in Airflow.
        passed: what a pass comes to, a sentence beneath the heading of its section.
        refused: what a refusal comes to.
    """

    result: str
    asks: str
    section: str
    blessing: str = ""
    task: str = ""
    passed: str = ""
    refused: str = ""

    @property
    def on_data(self) -> bool:
        return not self.blessing

    @property
    def result_name(self) -> str:
        """The name of its result among a run's artifacts."""
        return self.name_of(self.result)
