"""What `deploy_<workload>` and its tasks say in Airflow's UI: what they do, and what to do when they fail."""

from __future__ import annotations

_DAG = """\
### Deploying {workload}
Starts when `retrain_{workload}` releases a model. The release is verified, loaded beside `stable` without traffic, asked what
stable is asked (**shadow**), given a growing share of the requests (**canary**), and promoted. `stable` serves all the
while; where the canary fails, stable answers instead.

**By hand:** Trigger with `version` to deploy a certain release, an older one too; with `action` rollback to go back at once.
**Answers for it:** {owner}.

| What you see | What it means |
| --- | --- |
| all green, `roll_back` skipped | Deployed. |
| `roll_back` green, run red | A check failed and everything is as before. The failed task's last line is the reason. |
| `roll_back` red | The only state to act on now: see its log, then `./trainyard release rollback {workload}`. |
| `resolve_release` skipped | That release is stable already, or a newer one is. |
| `watch_1` purple (deferred) | The canary has its share and is being watched; no worker is held. |
"""

DOCS = {
    "dag": _DAG,
    "resolve_release": """\
Chooses the release: the run's `version` parameter, else the one whose release started this run.
**If it fails:** there is no such release (`./trainyard release list` shows those that exist), or it was rolled back before:
the log says when and why. Trigger with `force` if you know better.
""",
    "choose_path": """\
To deploy, or at once back to an earlier release, as the run's `action` says.
**If it fails:** clear it; it only reads what `resolve_release` has found.
""",
    "verify": """\
Checks the release's signature, where public keys are configured, and every file against the digests in its release.json.
**If it fails:** the files were changed after they were published, or by someone without the key. Do not deploy by hand;
retrain, and find out who writes to the store.
""",
    "infra_check": """\
Has the release loaded beside stable, without traffic, and asks it its golden requests: it must answer with finite numbers,
within `serving.latency_budget_ms` at the median. While a large model loads or a pod starts, it is up for reschedule.
**If it fails:** the server is down (`./trainyard status`), could not load the model, or answers badly; the log says which.
""",
    "compare_answers": """\
Asks canary and stable the same requests: recent ones, if the model server records them, else the golden ones. The share of
changed answers and the median latency must lie within `serving` of workload.yaml.
**If it fails:** the log has the figures. A change that is wanted needs a higher `max_changed_answers`.
""",
    "set_share": """\
Gives the canary this step's share of the requests (`serving.canary.steps`), and notes the counters as they are.
**If it fails:** the store cannot be written, or Kubernetes refused; the log says which.
""",
    "watch": """\
Watches error rate, 99th percentile and prediction drift of the canary for the step's minutes, against
`serving.canary.limits`. A limit that is passed takes the canary's traffic away within seconds. With too few requests to
judge, the canary is asked sample requests instead, and the log says so.
**If it fails:** the log names the limit and the figure; `roll_back` has returned everything to as it was.
""",
    "promote": """\
Makes the release `stable` and waits until it is what users get.
**If it fails:** roll_back returns to the release before.
""",
    "return_to_release": """\
A person chose to go back: verifies the earlier release, makes it `stable` at once and waits until it is served.
**If it fails:** the log says why; `./trainyard release verify` shows which releases are intact.
""",
    "announce_deployment": """\
Tells Airflow that the release is live (the deployed-model asset): other DAGs may start on it.
**If it fails:** the release is deployed all the same; clear the task.
""",
    "roll_back": """\
Runs only when a step failed: takes the canary's traffic and label away and returns `stable` to the release before.
**If it fails:** run `./trainyard release rollback` by hand.
""",
    "notify": """\
Tells those whom the workload's alerts name: deployed, refused, or that a rollback failed.
**If it fails:** nothing else depends on it; the log of the task that failed has the reason.
""",
}
