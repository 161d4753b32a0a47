"""The notes on `deploy_<workload>` and its tasks in Airflow's UI: what they do, and what to do when they fail."""

from __future__ import annotations

_DAG = """\
### Deploying {workload}
Starts when `retrain_{workload}` releases a model. The release is verified, loaded beside `stable` without traffic, sent the same
requests as stable (**shadow**), given a growing share of the traffic (**canary**), and promoted. `stable` keeps serving
throughout, and answers the requests that the canary fails.

**By hand:** trigger with `version` to deploy a particular release, even an older one; with `action` rollback to go back at once.
**Owner:** {owner}.

| What you see | What it means |
| --- | --- |
| all green, `roll_back` skipped | Deployed. |
| `roll_back` green, run red | A check failed; everything is as before. The failed task's last log line gives the reason. |
| `roll_back` red | The only state that needs action now: read its log, then run `./trainyard release rollback {workload}`. |
| `resolve_release` skipped | That release, or a newer one, is already stable. |
| `watch_1` purple (deferred) | The canary has its share and is being watched; no worker slot is held. |
"""

DOCS = {
    "dag": _DAG,
    "resolve_release": """\
Chooses the release: the run's `version` parameter, or the release that started this run.
**If it fails:** there is no such release (`./trainyard release list` shows those that exist), or it was rolled back before:
the log says when and why. Trigger with `force` to deploy it anyway.
""",
    "choose_path": """\
Follows the run's `action`: deploy, or go straight back to an earlier release.
**If it fails:** clear it; it only reads what `resolve_release` chose.
""",
    "verify": """\
Checks the release's signature, where public keys are configured, and every file against the digests in its release.json.
**If it fails:** the files were changed after they were published, or by someone without the key. Do not deploy by hand;
retrain, and find out who writes to the store.
""",
    "infra_check": """\
Waits until the release is loaded beside stable, without traffic, and sends it its golden requests: the answers must be finite
numbers, within `serving.latency_budget_ms` at the median. While a large model loads or a pod starts, it is up for reschedule.
**If it fails:** the server is down (`./trainyard status`), could not load the model, or answers badly; the log says which.
""",
    "compare_answers": """\
Sends canary and stable the same requests: recent ones if the model server records them, otherwise the golden ones. The share of
changed answers and the median latency must stay within the limits of `serving` in workload.yaml.
**If it fails:** the log has the figures. If the change is intended, raise `max_changed_answers`.
""",
    "set_share": """\
Gives the canary this step's share of the requests (`serving.canary.steps`), and notes the current counters.
**If it fails:** the store cannot be written, or Kubernetes refused; the log says which.
""",
    "watch": """\
Watches the canary's error rate, 99th percentile latency and prediction drift for the minutes of the step, against
`serving.canary.limits`. When a limit is exceeded, the canary loses its traffic within seconds. With too few requests to judge,
the canary is sent sample requests instead, and the log says so.
**If it fails:** the log names the limit and the figure; `roll_back` has restored the previous state.
""",
    "promote": """\
Makes the release `stable` and waits until it serves users.
**If it fails:** roll_back returns to the previous release.
""",
    "return_to_release": """\
Somebody chose to go back: verifies the earlier release, makes it `stable` at once and waits until it is served.
**If it fails:** the log says why; `./trainyard release verify` shows which releases are intact.
""",
    "announce_deployment": """\
Tells Airflow that the release is live (the deployed-model asset), which other DAGs can be scheduled on.
**If it fails:** the release is deployed nevertheless; clear the task.
""",
    "roll_back": """\
Runs only after a failed step: removes the canary's traffic and label, and returns `stable` to the previous release.
**If it fails:** run `./trainyard release rollback` by hand.
""",
    "notify": """\
Sends the workload's alerts: deployed, refused, or rollback failed.
**If it fails:** nothing else depends on it; the log of the task that failed before it has the reason.
""",
}
