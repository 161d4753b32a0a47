"""What is said of the code is true: the commit is this checkout's, and what is not the commit's shows."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

from quality import provenance
from spec import home


def git(folder: pathlib.Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A repository with a product, a workload, and another one."""
    root = tmp_path / "checkout"
    for name in (
        "components/a.py",
        "pipelines/b.py",
        "pipelines/workloads/churn/model.py",
        "schemas/churn/schema.pbtxt",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / ".gitignore").write_text("*.json\n/pipelines/workloads/mine/\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    monkeypatch.setattr(home, "ROOT", root)
    for name in [name for name in os.environ if name.startswith(("TRAINYARD_", "GIT_"))]:
        monkeypatch.delenv(name)
    return root


def test_a_clean_checkout_is_its_commit(checkout: pathlib.Path) -> None:
    code = provenance.code_of("churn")
    assert code.revision == git(checkout, "rev-parse", "--short=12", "HEAD")
    (checkout / "notes.txt").write_text("untracked, and used by nobody")
    (checkout / "pipelines" / "workloads" / "other").mkdir()
    (checkout / "pipelines" / "workloads" / "other" / "model.py").write_text("another's")
    assert provenance.code_of("churn") == code


@pytest.mark.parametrize(
    "name",
    ["pipelines/workloads/churn/model.py", "pipelines/workloads/churn/new.py", "pipelines/workloads/churn/regions.json",
     "schemas/churn/expectations.json", "components/a.py", "components/new.py"],
)  # fmt: skip
def test_what_is_not_the_commits_is_dirty(checkout: pathlib.Path, name: str) -> None:
    """Edited, untracked, or ignored and used."""
    before = provenance.code_of("churn")
    (checkout / name).write_text("edited")
    now = provenance.code_of("churn")
    assert now.revision == f"{before.revision}-dirty" and now.digest != before.digest


def test_git_is_not_believed_where_it_was_told_to_look_away(checkout: pathlib.Path) -> None:
    git(checkout, "update-index", "--assume-unchanged", "components/a.py")
    (checkout / "components" / "a.py").write_text("edited")
    assert provenance.code_of().revision.endswith("-dirty")


def test_a_workload_from_elsewhere_is_not_the_commits(
    checkout: pathlib.Path, tmp_path: pathlib.Path, monkeypatch
) -> None:
    (checkout / "pipelines" / "workloads" / "churn").rename(tmp_path / "churn")
    (checkout / "pipelines" / "workloads" / "churn").symlink_to(tmp_path / "churn")
    linked = provenance.code_of("churn")
    monkeypatch.setenv("TRAINYARD_WORKLOADS", str(tmp_path))
    outside = provenance.code_of("churn")
    assert linked.revision.endswith("-dirty") and outside.revision.endswith("-dirty")
    assert linked.digest == outside.digest, "the same code, wherever it lies"
    monkeypatch.setenv("TRAINYARD_CODE_REVISION", "0123456789ab")
    assert provenance.code_of("churn").revision == "0123456789ab-dirty"
    monkeypatch.delenv("TRAINYARD_WORKLOADS")
    assert provenance.code_of("churn").revision == "0123456789ab", "an image says what it was built from"


def test_a_copy_in_somebody_elses_repository_has_no_commit(checkout: pathlib.Path, monkeypatch) -> None:
    digest = provenance.code_of("churn").digest
    (checkout / ".git").rename(checkout.parent / ".git")
    git(checkout.parent, "commit", "-q", "--allow-empty", "-m", "the company's")
    code = provenance.code_of("churn")
    assert (code.revision, code.digest) == ("", digest)
    monkeypatch.setenv("GIT_DIR", str(checkout.parent / ".git"))  # as in a hook
    assert provenance.code_of("churn").revision == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_checkout_is_read(checkout: pathlib.Path) -> None:
    before = provenance.code_of("churn")
    for path in (checkout, checkout / ".git", *checkout.rglob("*")):
        os.chown(path, 12345, 12345)
    assert before.revision and provenance.code_of("churn") == before
