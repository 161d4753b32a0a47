"""`trainyard submit` and `trainyard runs`: the real kfp.Client against a double of KFP's API that knows KFP's models."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

from cli import main as cli
from pipelines.runners.kubeflow import submit as submit_module
from pipelines.runners.kubeflow.cluster.site import DEFAULT_FILE
from tests.pipelines.kubeflow.kubeflow_api_double import TOKEN, KubeflowApiDouble, pod_name
from tests.yard import WORKLOAD, make_yard

ROOT = pathlib.Path(__file__).resolve().parents[3]
REVISION = "0123456789ab"
FAST = ("--poll", "0.05")
STEPS = [
    {"": "PENDING"},
    {"columnar-example-gen-driver": "RUNNING"},
    {"columnar-example-gen-driver": "SUCCEEDED", "columnar-example-gen": "RUNNING"},
    {"columnar-example-gen": "SUCCEEDED", "transform": "SUCCEEDED", "trainer": "RUNNING"},
]


@pytest.fixture
def kubeflow(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path):
    for name in ("TRAINYARD_KUBEFLOW_TOKEN_FILE", "TRAINYARD_KUBEFLOW_COOKIE", "KF_PIPELINES_UI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with KubeflowApiDouble() as double:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", double.url)
        monkeypatch.setenv("TRAINYARD_KUBEFLOW_TOKEN", TOKEN)
        monkeypatch.setenv("TRAINYARD_CODE_REVISION", REVISION)
        yield double
        assert double.violations == []


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    """The real compiler, asked once for each file: a compilation takes seconds, and the same request gives the same bytes."""
    compile_, known = submit_module._compiled, {}

    def compiled(plan: submit_module.Plan) -> str:
        key = (plan.request.workload, plan.request.tasks, tuple(plan.compiled_in), *plan.request.chosen_pools.items())
        if key not in known:
            known[key] = compile_(plan)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(submit_module, "_compiled", compiled)
        yield


@pytest.fixture
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    """Writes kubeflow.yaml with an api section, which is then the cluster's file."""

    def write(**api: str) -> pathlib.Path:
        path = tmp_path / "kubeflow.yaml"
        path.write_text(f"{DEFAULT_FILE.read_text()}\napi: {json.dumps(api)}\n")
        monkeypatch.setenv("TRAINYARD_KUBEFLOW", str(path))
        return path

    return write


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Runs a command: exit code, stdout, stderr. No command may print the token."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        printed = capsys.readouterr()
        assert TOKEN not in printed.out + printed.err
        return code, printed.out, printed.err

    return call


def one_line(text: str) -> str:
    assert text.startswith("trainyard: ") and text.count("\n") == 1, text
    return text


def test_a_run_is_started_with_typed_parameters_and_watched(kubeflow: KubeflowApiDouble, run) -> None:
    kubeflow.script = [*STEPS, {"": "SUCCEEDED", "columnar-example-gen": "SUCCEEDED", "trainer": "SUCCEEDED"}]
    code, out, err = run(
        "submit", "taxi", "--span", "3", "--param", "training.epochs=4", "--param", "learning_rate=1e-3",
        "--param", "force_retrain=true", "--image", "registry.example.com/trainyard:1", "--wait", *FAST,
    )  # fmt: skip
    assert code == 0, err
    (started,) = kubeflow.runs.values()
    assert started.display_name == f"taxi, span 3, {REVISION}"
    assert [one.display_name for one in kubeflow.experiments.values()] == ["taxi"]
    assert started.service_account == "pipeline-runner"
    assert started.runtime_config.parameters == {
        "span": 3, "epochs": 4, "learning_rate": 0.001, "force_retrain": True, "image": "registry.example.com/trainyard:1",
    }  # fmt: skip
    assert re.search(r"✓ ColumnarExampleGen +90\.0 s", err) and "Trainer" in err
    assert f"{kubeflow.url}/#/runs/details/{started.run_id}" in out
    assert "succeeded in 1200 s, 2 of 14 tasks done" in out
    again = run("submit", "taxi", "--name", "once more")[1]
    assert "once more: started" in again and len(kubeflow.experiments) == 1


def test_a_run_that_fails_names_the_task(kubeflow: KubeflowApiDouble, run) -> None:
    kubeflow.script = [*STEPS, {"": "FAILED", "columnar-example-gen": "SUCCEEDED", "trainer": "FAILED"}]
    code, out, err = run("submit", "taxi", "--wait", "--json", *FAST)
    result = json.loads(out)
    assert code == result["exit_code"] == 1
    assert result["error"].startswith("Trainer failed") and "Trainer failed" in err
    states = {one["id"]: one["status"] for one in result["components"]}
    assert (states["ColumnarExampleGen"], states["Trainer"], states["Pusher"]) == ("succeeded", "failed", "waiting")
    assert list(states).index("Transform") < list(states).index("Trainer") < list(states).index("Report")

    code, out, _ = run("runs", "show", result["run_id"])
    assert code == 1 and "✗ Trainer" in out and "span=-1" in out and result["ui"] in out
    assert "its pod is gone and left no log" in out and "trainyard runs resume" in out


TEMPLATE = "metadata-0-5-retry-system-container-impl"
ENDED = {"": "FAILED", "columnar-example-gen": "SUCCEEDED", "trainer": "FAILED"}


def test_what_a_failed_task_said_is_shown(kubeflow: KubeflowApiDouble, run) -> None:
    kubeflow.script = [ENDED]
    kubeflow.attempts["trainer"] = 2
    why = "Trainer: ValueError: no such feature (model.py, line 12)"
    kubeflow.logs[pod_name("trainer", 1, TEMPLATE)] = f"epoch 1\ntrainyard: {why}\n" + "I launcher\n" * 10
    code, _, _ = run("submit", "taxi", "--wait", *FAST)
    (run_id,) = kubeflow.runs
    code, out, _ = run("runs", "show", run_id)
    assert code == 1 and f"      {why}\n" in out, out
    assert json.loads(run("runs", "show", run_id, "--json")[1])["reasons"] == [f"Trainer: {why}"]
    assert f"why       Trainer: {why}" in run("runs", "show", run_id, "--wait", *FAST)[1]


def test_a_run_is_resumed_with_the_span_that_it_had(kubeflow: KubeflowApiDouble, run) -> None:
    kubeflow.script = [ENDED]
    run("submit", "taxi", "--param", "epochs=4", "--param", "force_retrain=true", "--wait", *FAST)
    ((run_id, first),) = kubeflow.runs.items()
    kubeflow.logs[pod_name("columnar-example-gen", 0, TEMPLATE)] = "read\nthe span of this run: 7\n"
    code, out, err = run("runs", "resume", run_id)
    assert code == 0 and "1 nodes are done" not in out and "1 node is done" in out, err
    second = next(one for one in kubeflow.runs.values() if one.run_id != run_id)
    assert second.pipeline_spec == first.pipeline_spec and second.experiment_id == first.experiment_id
    assert second.service_account == "pipeline-runner" and second.display_name.endswith(" (resumed)")
    assert second.runtime_config.parameters == {"span": 7, "epochs": 4, "force_retrain": True}
    kubeflow.logs.clear()
    code, _, err = run("runs", "resume", run_id)
    assert code == 0 and "this one takes the newest" in err


def test_a_run_of_grouped_tasks_is_resumed_like_one_of_nodes(kubeflow: KubeflowApiDouble, run) -> None:
    data, training, rest = "schema-importer-to-drift-detector", "transform-to-trainer", "baseline-to-report"
    kubeflow.script = [{"": "FAILED", data: "SUCCEEDED", training: "SUCCEEDED", rest: "FAILED"}]
    code, out, _ = run("submit", "taxi", "--tasks", "grouped", "--param", "force_retrain=true", "--wait", *FAST)
    assert code == 1 and "Baseline to Report failed" in out
    ((run_id, _),) = kubeflow.runs.items()
    kubeflow.logs[pod_name(data, 0, TEMPLATE)] = "read\nthe span of this run: 7\n"
    code, out, err = run("runs", "resume", run_id)
    assert code == 0 and "2 nodes are done" in out, err
    second = next(one for one in kubeflow.runs.values() if one.run_id != run_id)
    assert second.runtime_config.parameters == {"span": 7, "force_retrain": False}, "the forced model is there"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ({"": "RUNNING", "columnar-example-gen": "SUCCEEDED"}, "goes on (state RUNNING). Watch it"),
        ({"": "SUCCEEDED", "columnar-example-gen": "SUCCEEDED"}, "has succeeded; there is nothing to resume"),
        ({"": "FAILED", "schema-importer": "FAILED"}, "nothing of it is done, so there is nothing to resume"),
    ],
)
def test_what_cannot_be_resumed_is_refused(kubeflow: KubeflowApiDouble, run, steps, said: str) -> None:
    kubeflow.script = [steps]
    run("submit", "taxi")
    (run_id,) = kubeflow.runs
    code, _, err = run("runs", "resume", run_id)
    assert code == 2 and said in one_line(err) and len(kubeflow.runs) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["--param", "epoch=3"],
            "parameter epoch: this workload's runs have none of that name. Did you mean 'epochs'?",
        ),
        (["--param", "epochs=many"], "parameter epochs: a whole number. Received: 'many'"),
        (["--param", "epochs=0"], "parameter epochs: Input should be greater than or equal to 1"),
        (["--param", "learning_rate=nan"], "parameter learning_rate: a number. Received: 'nan'"),
        (["--param", "force_retrain=1"], "parameter force_retrain: true or false"),
        (["--param", "evaluation.no_such=1"], "there is no such field"),
        (["--param", "epochs"], "expected key=value"),
        (["--experiment", "x" * 129], "--experiment: KFP keeps 128 characters. Received: 129"),
        (["--name", "x" * 256], "--name: KFP keeps 255 characters. Received: 256"),
    ],
)
def test_parameters_are_refused_before_anything_is_sent(kubeflow: KubeflowApiDouble, run, given, said: str) -> None:
    code, out, err = run("submit", "taxi", *given)
    assert code == 2 and said in one_line(err) and out == ""
    assert kubeflow.requests == []


def test_what_is_not_a_run_parameter_is_compiled_in(kubeflow: KubeflowApiDouble, run) -> None:
    assert run("submit", "taxi", "--param", "data.on_bad_rows=fail", "--pool", "trainer=gke-l4")[0] == 0
    (started,) = kubeflow.runs.values()
    assert set(started.runtime_config.parameters) == {"span"}
    assert "gke-accelerator" in json.dumps(started.pipeline_spec)
    assert run("submit", "taxi", "--pool", "trainer=nosuch")[0] == 2
    assert len(kubeflow.runs) == 1


def test_a_wrong_token(kubeflow: KubeflowApiDouble, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_KUBEFLOW_TOKEN", "another-token")
    monkeypatch.setattr(submit_module, "_compiled", lambda plan: pytest.fail("compiled although nobody may send it"))
    code, _, err = run("submit", "taxi")
    assert code == 2 and "401" in one_line(err) and "TRAINYARD_KUBEFLOW_TOKEN" in err and "another-token" not in err


def test_assets_are_staged_before_the_run_is_there_and_only_for_whoever_may_start_it(
    kubeflow: KubeflowApiDouble, run, places: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = places / "cache" / "words" / "weights.txt"
    asset.parent.mkdir(parents=True)
    asset.write_text("0.5")
    sha256 = hashlib.sha256(b"0.5").hexdigest()
    declared = f"{WORKLOAD}assets: {{weights: {{file: words/weights.txt, sha256: {sha256}}}}}\n"
    make_yard(places).write(workload=declared)
    (places / "mount").mkdir()
    paths = "\n".join(f"{name}: {places}/mount/{name}" for name in ("root", "data", "store"))
    (places / "kubeflow.yaml").write_text(f"{paths}\nvolume: {{claim: yard, mount_path: {places}/mount}}\n")
    monkeypatch.setenv("TRAINYARD_KUBEFLOW", str(places / "kubeflow.yaml"))
    monkeypatch.setenv("TRAINYARD_DATASETS", str(places / "cache"))
    staged = places / "mount" / "root" / "_assets" / sha256

    monkeypatch.setenv("TRAINYARD_KUBEFLOW_TOKEN", "another-token")
    assert run("submit", "tips")[0] == 2 and not staged.exists()
    monkeypatch.setenv("TRAINYARD_KUBEFLOW_TOKEN", TOKEN)
    assert run("submit", "tips")[0] == 0 and staged.read_text() == "0.5"
    asset.write_text("0.7")
    staged.unlink()
    code, _, err = run("submit", "tips")
    assert code == 2 and f"SHA-256 {sha256} expected" in err
    assert len(kubeflow.runs) == 1


def test_the_token_file_is_read_for_every_request(
    kubeflow: KubeflowApiDouble, run, site, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRAINYARD_KUBEFLOW_TOKEN")
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    site(token_file=str(file))
    started = kubeflow.add_run("taxi")
    kubeflow.script = [{}, {}, {}, {"": "SUCCEEDED"}]

    def renew() -> None:
        kubeflow.token = f"renewed-{len(kubeflow.requests)}"
        file.write_text(kubeflow.token)

    kubeflow.on_look = renew
    assert run("runs", "show", started.run_id, "--wait", *FAST)[0] == 0
    file.unlink()
    code, _, err = run("runs", "list")
    assert code == 2 and f"{file}: the token cannot be read: No such file" in one_line(err)


def test_nobody_at_the_host(run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", f"http://127.0.0.1:{one.getsockname()[1]}")
        code, _, err = run("runs", "list")
    assert code == 1 and "does not answer" in one_line(err) and "refused" in err


def test_a_host_that_is_something_else(run, kubeflow: KubeflowApiDouble, site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", f"{kubeflow.url}/elsewhere")
    code, _, err = run("runs", "list")
    assert code == 2 and "is not KFP's API" in one_line(err)
    kubeflow.violations.clear()
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT")
    code, _, err = run("runs", "list")
    assert code == 2 and "Set api.host" in one_line(err)
    site(host="https://user:secret@kubeflow.example.com")
    code, _, err = run("runs", "list")
    assert code == 2 and "field api.host" in one_line(err)


def test_a_login_page_in_front(run, kubeflow: KubeflowApiDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeflow.login_page = True
    code, _, err = run("runs", "list")
    assert code == 2 and "may want a login" in one_line(err)
    monkeypatch.setenv("TRAINYARD_KUBEFLOW_COOKIE", "session=1")
    assert run("runs", "list")[0] == 0


def test_runs_are_listed_by_pages(kubeflow: KubeflowApiDouble, run) -> None:
    taxi = kubeflow.add_experiment("taxi").experiment_id
    for number in range(120):
        kubeflow.add_run(f"run {number}", experiment_id=taxi if number % 2 else "other", state="SUCCEEDED")
    rows = run("runs", "list", "--limit", "0")[1].splitlines()
    assert len(rows) == 121 and rows[1].endswith("run 119") and rows[120].endswith("run 0")
    assert kubeflow.requests.count("GET /apis/v2beta1/runs") == 3
    listed = json.loads(run("runs", "list", "--limit", "60", "--experiment", "taxi", "--json")[1])
    assert [one["name"] for one in listed][:2] == ["run 119", "run 117"] and len(listed) == 60
    code, _, err = run("runs", "list", "--experiment", "nosuch")
    assert code == 2 and "no experiment 'nosuch'" in one_line(err)


def test_terminate(kubeflow: KubeflowApiDouble, run) -> None:
    started = kubeflow.add_run("taxi")
    kubeflow.script = [{"": "RUNNING"}]
    code, out, _ = run("runs", "terminate", started.run_id)
    assert code == 0 and "is being ended" in out and started.state == "CANCELING"
    assert "has ended already (canceled)" in run("runs", "terminate", started.run_id)[1]
    code, out, _ = run("runs", "show", started.run_id)
    assert code == 1 and "ended by somebody" in out
    code, _, err = run("runs", "terminate", "nosuch")
    assert code == 2 and "there is no run 'nosuch'" in one_line(err)


def test_several_users_need_a_namespace(run, site, kubeflow: KubeflowApiDouble) -> None:
    kubeflow.multi_user = True
    code, _, err = run("runs", "list")
    assert code == 2 and "which namespace is yours" in one_line(err)
    site(namespace="team-b")
    code, _, err = run("submit", "taxi")
    assert code == 2 and "403" in one_line(err) and "team-b" in err
    site(namespace="team-a")
    assert run("submit", "taxi")[0] == 0


def test_an_experiment_that_somebody_else_makes_at_the_same_time(kubeflow: KubeflowApiDouble, run) -> None:
    create = kubeflow._create_experiment

    def late(query, body):
        kubeflow.add_experiment(body["display_name"])
        return create(query=query, body=body)

    kubeflow._create_experiment = late
    assert run("submit", "taxi")[0] == 0
    assert len(kubeflow.experiments) == len(kubeflow.runs) == 1


def test_an_api_that_goes_away_as_the_run_is_created(kubeflow: KubeflowApiDouble, run) -> None:
    kubeflow.add_experiment("taxi")
    kubeflow.refusals = [None, None, None, None, 503]  # health twice, access, the experiment; then the run
    code, _, err = run("submit", "taxi")
    assert code == 1 and "Whether the run was started shows `trainyard runs list`" in one_line(err)
    assert kubeflow.requests[-1] == "POST /apis/v2beta1/runs" and not kubeflow.runs


def test_an_api_that_is_away_for_a_while_is_waited_for(kubeflow: KubeflowApiDouble, run) -> None:
    started = kubeflow.add_run("taxi")
    kubeflow.script = [{}, {}, {"": "SUCCEEDED"}]
    # Two of health, then one look; what is refused comes later.
    kubeflow.refusals = [None, None, None, 503, 502]
    code, _, err = run("runs", "show", started.run_id, "--wait", *FAST)
    assert code == 0 and err.count("the run goes on without it") == 1 and "KFP answers again, after" in err
    assert "urllib3" not in err and "Retrying" not in err
    kubeflow.refusals = [503, 503, 503]
    code, _, err = run("runs", "list")
    assert code == 1 and "503" in one_line(err)


def test_ctrl_c_leaves_the_run_going(kubeflow: KubeflowApiDouble) -> None:
    started = kubeflow.add_run("taxi")
    kubeflow.script = [{}]
    looked = threading.Event()
    kubeflow.on_look = lambda: looked.set() if len(kubeflow.requests) > 5 else None
    command = [sys.executable, "-m", "cli.main", "runs", "show", started.run_id, "--wait", *FAST]
    watcher = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert looked.wait(60)
        watcher.send_signal(signal.SIGINT)
        _, err = watcher.communicate(timeout=30)
    finally:
        watcher.kill()
    assert watcher.returncode == 130 and started.state == "RUNNING"
    assert f"trainyard runs terminate {started.run_id}" in err and "Traceback" not in err


def test_kfp_is_not_imported_for_help() -> None:
    code = "import sys; from cli import main; main._parser(); print([m for m in ('kfp', 'tfx', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
