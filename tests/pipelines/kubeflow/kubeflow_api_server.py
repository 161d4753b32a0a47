"""The double of KFP's API as a process: what it holds outlives a SIGKILL, and tests steer it over HTTP.

    python -m tests.pipelines.kubeflow.kubeflow_api_server --port 0 --state state.json --ready ready.json

Beside KFP's API it answers at `/double`, without a token: GET tells `requests` and `violations` (all since the state file
was made) and `runs`; POST takes any of

- `script`: the states of each look, for runs created from now on (see KubeflowApiDouble);
- `end`: `{"run": id or "all", "step": {"": "SUCCEEDED"}}`: what runs show from now on;
- `reset`: everything is forgotten;
- `version`: `{"pipeline_id": ..., "pipeline_spec": ...}` is uploaded; answers with its id;
- `refusals`: statuses that the next requests get, null lets one through;
- `lose_answers`: so many POSTs of runs are acted on and get no answer;
- `answer_after`: seconds between acting on a POST of a run and answering it;
- `token`: the one that is valid from now on;
- `multi_user`, `login_page`: as the double has them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import pathlib
import threading
import time
from typing import Any

import kfp_server_api

from tests.pipelines.kubeflow.kubeflow_api_double import PREFIX, KubeflowApiDouble, NoAnswer

_API = kfp_server_api.ApiClient()
_MODELS = {"runs": "V2beta1Run", "experiments": "V2beta1Experiment", "versions": "V2beta1PipelineVersion"}
_PLAIN = ("script", "run_scripts", "violations", "requests", "token", "multi_user", "login_page", "refusals", "_looks",
          "logs", "attempts")  # fmt: skip


class DurableDouble(KubeflowApiDouble):
    """A double whose state is in a file, written before it answers.

    Args:
        state: the file; read if it is there.
    """

    def __init__(self, state: pathlib.Path) -> None:
        super().__init__()
        self._state = state
        self._saving = threading.Lock()
        self.lose_answers = 0
        self.answer_after = 0.0
        if state.is_file():
            self._load(json.loads(state.read_text()))

    def answer(self, method: str, path: str, query: dict[str, str], headers: Any, body: Any) -> Any:
        answer = self._answer(method, path, query, headers, body)
        if (method, path) == ("POST", f"{PREFIX}/runs"):
            time.sleep(self.answer_after)
        return answer

    def _answer(self, method: str, path: str, query: dict[str, str], headers: Any, body: Any) -> Any:
        with self._saving:
            if path == "/double":
                return self._steered(body) if method == "POST" else self._told()
            before = set(self.runs)
            try:
                answer = super().answer(method, path, query, headers, body)
            finally:
                for run_id in set(self.runs) - before:
                    self.run_scripts[run_id] = list(self.script)
                self._save()
            if (method, path) == ("POST", f"{PREFIX}/runs") and self.lose_answers:
                self.lose_answers -= 1
                raise NoAnswer
            return answer

    def _steered(self, orders: dict[str, Any]) -> dict[str, Any]:
        for name, value in orders.items():
            if name == "reset":
                fresh = KubeflowApiDouble()
                for key in (*_PLAIN, *_MODELS):
                    setattr(self, key, getattr(fresh, key))
            elif name == "end":
                ids = list(self.runs) if value["run"] == "all" else [value["run"]]
                self.run_scripts.update({run_id: [value["step"]] for run_id in ids})
            elif name == "version":
                return {"pipeline_version_id": self.add_version(**value).pipeline_version_id}
            else:
                assert hasattr(self, name), name
                setattr(self, name, value)
        self._save()
        return {}

    def _told(self) -> dict[str, Any]:
        runs = [_API.sanitize_for_serialization(run) for run in self.runs.values()]
        return {"requests": self.requests, "violations": self.violations, "runs": runs}

    def _save(self) -> None:
        state: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        for name in _MODELS:
            state[name] = {key: _API.sanitize_for_serialization(one) for key, one in getattr(self, name).items()}
        unfinished = self._state.with_suffix(".tmp")
        unfinished.write_text(json.dumps(state))
        unfinished.replace(self._state)

    def _load(self, state: dict[str, Any]) -> None:
        for name in _PLAIN:
            setattr(self, name, state[name])
        for name, model in _MODELS.items():
            setattr(self, name, {key: _read(one, model) for key, one in state[name].items()})


def _read(value: Any, model: str) -> Any:
    """A model from its JSON."""

    class Answer:
        data = json.dumps(value)

    return _API.deserialize(Answer, model)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=pathlib.Path, required=True)
    parser.add_argument("--ready", type=pathlib.Path, required=True)
    options = parser.parse_args()
    double = DurableDouble(options.state)
    double.port = options.port
    # A killed server's port is taken again at once: its clients know it.
    with double:
        unfinished = options.ready.with_suffix(".tmp")
        unfinished.write_text(json.dumps({"url": double.url, "at": datetime.datetime.now().isoformat()}))
        unfinished.replace(options.ready)
        threading.Event().wait()


if __name__ == "__main__":
    main()
