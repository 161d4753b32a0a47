from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

# A run must not load these unless it asks for them: they cost seconds, and memory.
UNWANTED = (
    "IPython.core.interactiveshell",
    "docker",
    "google.cloud.aiplatform",
    "google.cloud.bigquery",
    "great_expectations",
    "ipywidgets",
    "kfp",
    "kubernetes",
    "matplotlib",
    "nltk",
    "notebook",
    "scipy.stats",
    "sklearn",
    "tensorboard",
    "tensorflow_model_analysis",
    "torch",
)
ROOT = pathlib.Path(__file__).resolve().parents[2]


def fresh(code: str, *path: pathlib.Path) -> str:
    """What a fresh interpreter prints."""
    code = f"import sys\nsys.path[:0] = {[str(p) for p in (ROOT, *path)]!r}\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_a_run_loads_only_what_it_needs() -> None:
    loaded = fresh(
        "from components import lazy_imports\nlazy_imports.install()\n"
        "import importlib, pipelines.runners.local\nfrom spec import graph\n"
        "for package in graph.TRAINING: importlib.import_module(f'{package}.component')\n"
        # A module that is there and was not run has its stand-in still.
        "print(*(n for n, m in sys.modules.items() if '_lazy_stand_in' not in vars(m)))"
    ).split()
    assert "tfx.orchestration.portable.launcher" in loaded
    assert not set(UNWANTED) & set(loaded)


def test_what_was_left_out_is_there_when_asked_for() -> None:
    said = fresh(
        "from components import lazy_imports\nlazy_imports.install()\n"
        "import tfx.orchestration.portable.launcher, components.evaluator.tfma_files\n"
        "assert 'tensorflow_model_analysis.metrics' not in sys.modules\n"
        "import tfx.components, keras.wrappers\n"
        "assert 'tfx.components.trainer.component' not in sys.modules and 'sklearn' not in sys.modules\n"
        "from tfx.components.evaluator.component import Evaluator\n"  # runs the package first, which mends TFMA
        "from tfx.components import Trainer\n"
        "assert isinstance(Trainer, type)\n"
        "print(tfx.components.Evaluator.__name__, keras.wrappers.SKLearnClassifier.__name__)\n"
        "from tfx import v1\nimport tensorflow_model_analysis as tfma\n"
        "assert tfma.EvalConfig and tfma.load_eval_result and tfx.components.Evaluator is Evaluator\n"
        "import inspect; print(inspect.getsourcefile(tfx.components))"
    )
    assert said.startswith("Evaluator SKLearnClassifier") and said.endswith("tfx/components/__init__.py")


@pytest.fixture
def package(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "heavy"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from heavy import part\nloads = globals().get('loads', 0) + 1\nname = part.name\n"
    )
    (folder / "part.py").write_text("import heavy\nprint('runs')\nname = 'part'\n")
    (folder / "alone.py").write_text("name = 'alone'\n")
    (folder / "other.py").write_text("import heavy\nname = heavy.name + ' and other'\n")
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    (tmp_path / "replying.py").write_text("def __getattr__(name):\n    return name.upper()\n")
    return tmp_path


LAZY = (
    "from components import lazy_imports\n"
    "lazy_imports.LAZY = {'heavy': ('alone',), 'broken': (), 'replying': ()}\n"
    "lazy_imports.install()\n"
)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import heavy.alone\nprint(heavy.alone.name, 'loads' in vars(heavy))\nprint(heavy.name, heavy.loads)",
            "alone False runs part 1",
        ),
        ("import heavy.part\nprint(heavy.part is heavy.part.heavy.part, heavy.loads)", "runs True 1"),
        ("import heavy.part\nprint(type(heavy.part.__spec__.loader).__name__)", "runs SourceFileLoader"),
        ("from heavy.other import name\nimport heavy\nprint(name, heavy.loads)", "runs part and other 1"),
        ("from heavy import name\nprint(name)", "runs part"),
        (
            "import heavy\nprint(hasattr(heavy, 'nothing'), hasattr(heavy, '__wrapped__'), heavy.loads)",
            "runs False False 1",
        ),
        ("import replying\nprint(replying.anything, replying.other)", "ANYTHING OTHER"),
        (
            "import heavy, threading\nseen = []\n"
            "threads = [threading.Thread(target=lambda: seen.append(heavy.loads)) for _ in range(8)]\n"
            "[t.start() for t in threads]\n[t.join() for t in threads]\nprint(seen)",
            f"runs {[1] * 8}",
        ),
    ],
)
def test_a_lazy_module_is_run_once_and_behaves(package: pathlib.Path, code: str, said: str) -> None:
    assert " ".join(fresh(LAZY + code, package).split()) == said


def test_a_module_that_cannot_be_loaded_says_so_every_time(package: pathlib.Path) -> None:
    code = (
        "import broken\nfor _ in range(2):\n    try:\n        broken.name\n"
        "    except ModuleNotFoundError as error:\n        print(error.name)"
    )
    assert fresh(LAZY + code, package).split() == ["no_such_module"] * 2
