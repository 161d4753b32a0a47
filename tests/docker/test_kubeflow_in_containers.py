"""Compiled files, unmodified, in real containers by kfp.local: what `trainyard run` makes, from the cache, and what goes wrong."""

from __future__ import annotations

import contextlib
import json
import pathlib
import time
from collections.abc import Callable, Iterator

import pytest

import storage
from pipelines import datasets
from pipelines.runners.results import RunResult
from spec import home
from tests.docker.derived_image import Image
from tests.docker.kubeflow_containers import (
    ContainerCluster,
    ContainerDouble,
    KfpRun,
    compile_file,
    make_writable,
    trainyard,
)
from tests.docker.stalling_relay import StallingRelay
from tests.pipelines.kubeflow import comparison
from tests.pipelines.kubeflow.kubeflow_double import Attempt
from tests.servers import Postgres, postgres_server, reach_s3, s3_server

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]
NODES = 14
# Enough for the thresholds of the workloads, and no more: the figures must be equal, not good.
PARAMETERS = {
    "taxi": ["--span", "1", "--param", "training.epochs=4"],
    "digits": ["--span", "1", "--param", "training.epochs=16"],
}
IMPORTER = "schema-importer"


@pytest.fixture(scope="module")
def s3_environment() -> Iterator[dict[str, str]]:
    with s3_server() as environment:
        yield environment


@pytest.fixture(scope="module")
def bucket(s3_environment: dict[str, str]) -> Iterator[str]:
    with reach_s3(s3_environment) as url:
        yield url


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def image(pipeline_image: str) -> Image:
    return Image.of(pipeline_image)


@pytest.fixture(scope="module")
def local(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], RunResult]]:
    """`trainyard run` by workload, once each, in a home of its own."""
    root, results = tmp_path_factory.mktemp("local"), {}

    def run(workload: str) -> RunResult:
        if workload not in results:
            said = trainyard("run", workload, "--json", *PARAMETERS[workload], revision=image.revision)
            results[workload] = RunResult(**json.loads(said))
        return results[workload]

    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "DATA", "STORE"):
            patch.setenv(f"TRAINYARD_{name}", str(root / name.lower()))
        yield run


@pytest.fixture(scope="module")
def make_cluster(
    image: Image, local, bucket: str, postgres: Postgres, s3_environment: dict[str, str], tmp_path_factory
) -> Callable[[str], ContainerCluster]:
    """Compiles a workload for the servers and puts its data into the bucket, once each."""
    clusters: dict[str, ContainerCluster] = {}
    secrets = {name: value for name, value in s3_environment.items() if "KEY" in name}

    def make(workload: str) -> ContainerCluster:
        if workload not in clusters:
            clusters[workload] = _cluster(workload)
        return clusters[workload]

    def _cluster(workload: str) -> ContainerCluster:
        folder = tmp_path_factory.mktemp(workload)
        site = {
            **{"root": f"{bucket}/pipelines", "data": f"{bucket}/data", "store": f"{bucket}/models"},
            "metadata": {"uri": postgres.environment["TRAINYARD_METADATA"]},
            "environment": {name: value for name, value in s3_environment.items() if name not in secrets},
        }
        file = compile_file(workload, image.tag, image.revision, site, folder, *PARAMETERS[workload])
        environment = {**postgres.environment, **secrets}
        make_writable(folder / "kfp")
        double = ContainerDouble(file.read_text(), environment, folder / "kfp")
        cluster = ContainerCluster(bucket, environment, double, file, folder / "kfp")
        span = datasets.prepare(workload, 1, home.data_root() / workload)
        cluster.store.put(f"{span}/", f"{bucket}/data/{workload}/{span.name}/", recursive=True)
        return cluster

    return make


def test_taxi_gives_the_local_runners_release_metrics_and_lineage(make_cluster, local) -> None:
    cluster = make_cluster("taxi")
    run = cluster.run()
    assert run.code == 0 and run.exit_codes == [0] * NODES, run.text[-4000:]
    (run_id,) = cluster.run_ids()
    comparison.check_same(cluster, run_id, local("taxi"))
    comparison.check_shown(cluster, run_id, cluster.shown(run))


def test_a_second_run_of_the_same_file_is_served_from_the_cache(make_cluster) -> None:
    """Goes on where the test before left database and bucket."""
    cluster = make_cluster("taxi")
    run = cluster.run()
    assert run.code == 0 and run.exit_codes == [0] * NODES, run.text[-4000:]
    assert len(run.outcomes) == NODES and set(run.outcomes.values()) == {"from the cache"}, run.outcomes
    comparison.check_shown(cluster, cluster.run_ids()[-1], cluster.shown(run))


def test_killed_in_the_trainer_and_in_an_upload_the_same_file_completes_twice_at_once(
    make_cluster, local, s3_environment: dict[str, str]
) -> None:
    cluster = make_cluster("digits")
    check_killed_in_the_trainer(cluster)
    check_killed_in_an_upload(cluster, s3_environment["AWS_ENDPOINT_URL"])
    before = set(cluster.run_ids())
    with cluster.start() as one, cluster.start() as other:
        for run in (one, other):
            assert run.finish().code == 0 and run.exit_codes == [0] * NODES, run.text[-4000:]
    both = set(cluster.run_ids()) - before
    assert len(both) == 2
    for run_id in both:
        comparison.check_same(cluster, run_id, local("digits"), cached=True)


def check_killed_in_the_trainer(cluster: ContainerCluster) -> None:
    with cluster.start() as run:
        run.wait_for("Executing task 'trainer'", "the executor starts")
        run.kill_container()
        check_died_in_the_trainer(cluster, run.finish())


def check_killed_in_an_upload(cluster: ContainerCluster, endpoint: str) -> None:
    relay = StallingRelay(endpoint, r"/Trainer/model/")
    with contextlib.closing(relay), cluster.start({"AWS_ENDPOINT_URL": relay.url}) as run:
        run.wait_until(relay.stopped.is_set)
        run.kill_container()
        check_died_in_the_trainer(cluster, run.finish())
    assert cluster.store.find(f"{cluster.bucket}/pipelines/digits/Trainer/model"), "nothing of the upload arrived"


def check_died_in_the_trainer(cluster: ContainerCluster, run: KfpRun) -> None:
    """Nobody may take what the dead one left for an artifact."""
    assert run.code == 1 and run.exit_codes[-1] == 137 and not any(run.exit_codes[:-1]), run.text[-4000:]
    run_id = cluster.run_ids()[-1]
    assert comparison.states(cluster.metadata, run_id)["Trainer"] == "RUNNING"
    assert "Trainer.model" not in comparison.outputs(cluster.metadata, run_id)
    # The other output, model_run, may be whole: each is brought up by itself. Nobody reads either before both are published.
    folder = f"{cluster.bucket}/pipelines/digits/Trainer/model"
    assert not [name for name in cluster.store.find(folder) if name.endswith(storage.MARKER)]


def test_a_model_deleted_by_hand_is_made_again(make_cluster, local) -> None:
    """Goes on where the test before left database and bucket."""
    cluster = make_cluster("digits")
    for model in cluster.store.ls(f"{cluster.bucket}/pipelines/digits/Trainer/model"):
        cluster.store.rm(model, recursive=True)
    run = cluster.run()
    assert run.code == 0 and run.exit_codes == [0] * NODES, run.text[-4000:]
    assert run.outcomes["Transform"] == "from the cache" and run.outcomes["Trainer"] == "done"
    made = comparison.outputs(cluster.metadata, cluster.run_ids()[-1])
    assert storage.is_whole(made["Trainer.model"].uri)
    assert cluster.json(f"{made['Evaluator.evaluation'].uri}/metrics.json")["overall"] == local("digits").metrics


@pytest.mark.slow
def test_a_metadata_store_that_is_away_for_a_minute(make_cluster, postgres: Postgres) -> None:
    cluster = make_cluster("digits")
    with cluster.start(force_retrain=True) as run:
        run.wait_for("Executing task 'trainer'", "the executor starts")
        postgres.stop()
        try:
            time.sleep(60)
        finally:
            postgres.start()
        assert run.finish().code == 0 and run.exit_codes == [0] * NODES, run.text[-4000:]
    assert "the metadata store is away, trying again" in run.text
    assert run.outcomes["Trainer"] == "done"


def test_a_parameter_of_the_wrong_type_is_refused_before_anything_runs(make_cluster) -> None:
    run = make_cluster("taxi").run(epochs="many")
    assert run.code == 1 and not run.exit_codes
    assert "input 'epochs'" in run.lines[-1]
    assert "'STRING' is incompatible with the input type 'NUMBER_INTEGER'" in run.lines[-1]


def test_an_image_of_another_revision_is_refused(make_cluster, image: Image) -> None:
    cluster, other = make_cluster("taxi"), image.with_revision("feedfeedfeed")
    attempt = cluster.double.run_task(IMPORTER, "other-image", {"image": other.tag})
    check_refused(
        attempt, f"this image holds code revision feedfeedfeed, and the pipeline was compiled from {image.revision}"
    )


def test_a_wrong_metadata_password_is_one_line(make_cluster) -> None:
    changed = {"environment": {"TRAINYARD_METADATA_PASSWORD": "no-such-password"}}
    attempt = make_cluster("taxi").double.run_task(IMPORTER, "password", changed)
    check_refused(attempt, "trainyard: metadata store: PostgreSQL error: FATAL: password authentication failed")
    assert "no-such-password" not in attempt.output


def test_a_volume_that_is_mounted_read_only(make_cluster, tmp_path: pathlib.Path) -> None:
    tmp_path.chmod(0o755)  # the container is another user
    double, volume = make_cluster("taxi").double, {str(tmp_path): {"bind": "/artifacts", "mode": "ro"}}
    with double.rooted(IMPORTER, "/artifacts/pipelines/taxi"):
        attempt = double.run_task(IMPORTER, "read-only", {"volumes": volume})
    check_refused(attempt, "/artifacts/pipelines/taxi/SchemaImporter: cannot be written: Read-only file system")


def check_refused(attempt: Attempt, said: str) -> None:
    """Exit code 2, and the log's last line says what to mend."""
    last = attempt.output.splitlines()[-1]
    assert attempt.code == 2 and last.startswith("trainyard: ") and said in last, attempt.output[-4000:]
