"""What operators see: the UI after a real retraining, photographed in a headless Chromium, dark and light.

The pictures are for people (build/looks/, kept by CI); no pixel is compared. The test holds that the names and states that a person
looks for stand on the page. `cp build/looks/graph-retrain-dark.png docs/images/airflow.png` renews the README's picture.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from embedded.airflow_api import DagRun
from embedded.processes import end_marked
from spec import home
from tests.airflow_client import AirflowClient
from tests.embedded.browser import Browser, Theme
from tests.embedded.conftest import Home, Running, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PICTURES = home.ROOT / "build" / "looks"
WORKLOAD = "digits"
LAND = "import sys; from pathlib import Path; from pipelines import datasets; datasets.prepare(sys.argv[1], 1, Path(sys.argv[2]))"


@dataclass(frozen=True)
class Scene:
    """A platform on which a model was trained, released and deployed."""

    api: AirflowClient
    url: str
    run: DagRun
    deployment: DagRun

    def task_names(self, run: DagRun) -> list[str]:
        """As the UI writes them: in a group, without the group's name."""
        return [task.task_id.rpartition(".")[2] for task in self.api.tasks(run) if task.state is not None]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    if not all(home.environment_python(name).exists() for name in ("airflow", "pipelines", "serving")):
        pytest.skip("a real retraining needs the environments: ./trainyard setup")
    one = Home(tmp_path_factory.mktemp("looks") / "home", home.environment_python("airflow").parents[2])
    supervisor = one.start("up", "--workload", WORKLOAD)
    try:
        one.wait_until_up(supervisor)
        platform = Running(one)
        wait_for(lambda: platform.api.dag_is_loaded(f"deploy_{WORKLOAD}"), 120, "the DAGs are loaded")
        landing = one.folder / "data" / WORKLOAD
        subprocess.run([home.environment_python("pipelines"), "-c", LAND, WORKLOAD, landing], cwd=home.ROOT, check=True)
        run = platform.next_run(f"retrain_{WORKLOAD}", 120)
        assert platform.finished(run, 1200)[0] == "success"
        deployment = platform.next_run(f"deploy_{WORKLOAD}", 120)
        assert platform.finished(deployment, 300)[0] == "success"
        yield Scene(platform.api, platform.api.url, run, deployment)
    finally:
        supervisor.terminate()
        supervisor.wait(timeout=60)
        end_marked(one.folder, grace_seconds=0)


@pytest.fixture(scope="module", params=["dark", "light"])
def theme(request: pytest.FixtureRequest) -> Theme:
    chosen: Theme = request.param
    return chosen


@pytest.fixture(scope="module")
def browser(scene: Scene, theme: Theme, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    one = Browser(tmp_path_factory.mktemp("browser") / theme)
    try:
        one.log_in(scene.url, scene.api.token, theme)
        yield one
    finally:
        one.close()


def test_list(scene: Scene, browser: Browser, theme: Theme) -> None:
    browser.open(f"{scene.url}/dags", f"retrain_{WORKLOAD}", f"deploy_{WORKLOAD}", f"{WORKLOAD}_data", "trainyard")
    browser.photograph(PICTURES / f"list-{theme}.png")


def test_grid(scene: Scene, browser: Browser, theme: Theme) -> None:
    page = f"{scene.url}/dags/{scene.run.dag_id}/runs/{scene.run.run_id}"
    browser.prefer(default_dag_view=json.dumps("grid"))
    browser.open(page, *scene.task_names(scene.run), "Success")
    browser.photograph(PICTURES / f"grid-{theme}.png")


@pytest.mark.parametrize("kind", ["retrain", "deploy"])
def test_graph(scene: Scene, browser: Browser, theme: Theme, kind: str) -> None:
    run = scene.run if kind == "retrain" else scene.deployment
    # With what comes before and after: the assets that tie the DAGs together.
    browser.resize(1440, 560)
    browser.prefer(**{"default_dag_view": json.dumps("graph"), f"dependencies-{run.dag_id}": json.dumps("all")})
    page = f"{scene.url}/dags/{run.dag_id}/runs/{run.run_id}"
    browser.open(page, *scene.task_names(run), f"{WORKLOAD}_released_model", "success")
    # The width is the graph's: what stands in the panel beside it has pictures of its own.
    for button in ("Collapse", "Fit View"):
        browser.press(button)
        browser.wait_for(f"{WORKLOAD}_released_model")
    browser.photograph(PICTURES / f"graph-{kind}-{theme}.png")
    browser.resize(1440, 900)


def test_asset(scene: Scene, browser: Browser, theme: Theme) -> None:
    asset = scene.api.asset_id(f"{WORKLOAD}_released_model")
    browser.open(f"{scene.url}/assets/{asset}", f"retrain_{WORKLOAD}", f"deploy_{WORKLOAD}", "1 Asset Event")
    browser.photograph(PICTURES / f"asset-{theme}.png")


def test_task_log(scene: Scene, browser: Browser, theme: Theme) -> None:
    task = max(scene.api.tasks(scene.run), key=lambda one: one.seconds or 0)
    # One of the task's own: the first and the last are Airflow's, and folded away.
    lines = scene.api.log_lines(scene.run, task.task_id)
    line = lines[len(lines) // 2].strip()
    page = f"{scene.url}/dags/{scene.run.dag_id}/runs/{scene.run.run_id}/tasks/{task.task_id}"
    browser.prefer(default_dag_view=json.dumps("grid"))
    browser.open(page, "Success", line[:60])
    browser.photograph(PICTURES / f"log-{theme}.png")


def test_gate(scene: Scene, browser: Browser, theme: Theme) -> None:
    """A gate's verdict and the way to its page, in its log and as a button."""
    page = f"{scene.url}/dags/{scene.run.dag_id}/runs/{scene.run.run_id}/tasks/check_quality"
    browser.prefer(default_dag_view=json.dumps("grid"))
    browser.open(page, "Success", "The rows, and what changed: http://")
    browser.photograph(PICTURES / f"gate-log-{theme}.png")
    browser.open(f"{page}/details", "Data quality")
    browser.photograph(PICTURES / f"gate-{theme}.png")
    address = scene.api.links(scene.run, "check_quality")["Data quality"]
    browser.open(address, WORKLOAD)
    browser.photograph(PICTURES / f"gate-page-{theme}.png")
