"""`--beam` and the section `beam`: what reaches Beam, and what is refused in one line before TensorFlow loads."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from cli import main as cli
from pipelines.beam_options import beam_arguments
from spec.workload import Workload, WorkloadError


def workload(**beam: object) -> Workload:
    return Workload.model_validate(
        {"name": "tips", "task": "binary", "data": {"label": {"column": "tipped"}}, "beam": beam}
    )


def test_without_options_there_are_no_arguments() -> None:
    assert beam_arguments(workload(), ()) == ()


def test_the_command_line_wins_key_by_key() -> None:
    chosen = workload(
        direct_running_mode="multi_processing", direct_num_workers=4, experiments=["a", "b"], streaming=False
    )
    assert sorted(beam_arguments(chosen, ["direct_num_workers=2", "no_pipeline_type_check"])) == [
        "--direct_num_workers=2",
        "--direct_running_mode=multi_processing",
        "--experiments=a",
        "--experiments=b",
        "--no_pipeline_type_check",
    ]
    assert beam_arguments(workload(streaming=True), ()) == ("--streaming",)


def test_a_job_servers_own_options_are_passed_on() -> None:
    given = ["runner=FlinkRunner", "job_endpoint=host:8099", "environment_type=LOOPBACK", "parallelism=4"]
    assert beam_arguments(workload(), given) == tuple(f"--{option}" for option in given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["runner=FlinkRuner"], "did you mean FlinkRunner"),
        (["runner=InteractiveRunner"], "unknown runner 'InteractiveRunner'"),
        (["--runner=FlinkRunner"], "without dashes"),
        (["direct_num_workers="], "expected key=value"),
        (["runner=FlinkRunner", "job_endpoint=h:1"], "sdk_container_image"),
        (["runner=PortableRunner", "environment_type=LOOPBACK"], "needs job_endpoint"),
        (["runner=SparkRunner", "job_endpoint=h:1", "environment_type=PROCESS"], "process_command"),
        (
            ["runner=DataflowRunner", "project=p", "region=r", "temp_location=/tmp", "sdk_container_image=i"],
            "gs://BUCKET",
        ),
        (["direct_num_workers=4"], "direct_running_mode=multi_processing"),
        (["direct_running_mode=multi_threading"], "lost rows"),
        (["direct_running_mode=quick"], "invalid choice: 'quick'"),
        (["direct_num_workers=two", "direct_running_mode=multi_processing"], "invalid int value: 'two'"),
        (["direct_num_wrkers=2"], "Did you mean direct_num_workers?"),
    ],
)
def test_what_beam_cannot_do_is_refused_in_one_line(given: list[str], said: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        beam_arguments(workload(), given)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_without_java_a_job_server_has_to_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorkloadError, match="java, which is not on PATH"):
        beam_arguments(workload(), ["runner=FlinkRunner", "environment_type=LOOPBACK"])


@pytest.mark.parametrize("command", [["run", "taxi"], ["predict", "taxi", "--data", "x.csv", "--out", "out"]])
def test_the_commands_refuse_it_with_exit_code_2(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*command, "--beam", "runner=Flink"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("trainyard: beam runner: unknown runner 'Flink'")


def test_a_refusal_by_beam_does_not_load_tensorflow() -> None:
    code = (
        "import sys\nfrom cli import main\n"
        "assert main.main(['run', 'taxi', '--beam', 'direct_num_wrkers=2']) == 2\n"
        "assert 'apache_beam' in sys.modules and 'tensorflow' not in sys.modules and 'tfx' not in sys.modules"
    )
    environment = {"PYTHONPATH": str(pathlib.Path(cli.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
