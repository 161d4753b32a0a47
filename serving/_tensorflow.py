"""TensorFlow as a server needs it."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator


def set_up_tensorflow(options: argparse.Namespace) -> None:
    """Imports TensorFlow, quietly, and sets its threads."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _stderr_kept_back():
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(options.tf_threads)
        tf.config.threading.set_inter_op_parallelism_threads(options.tf_threads)
        tf.config.list_logical_devices()
    logging.getLogger("absl").setLevel(logging.ERROR)
    # A version that is loading holds Python's lock for long periods: let waiting requests in sooner.
    sys.setswitchinterval(0.001)


@contextlib.contextmanager
def _stderr_kept_back() -> Iterator[None]:
    """Hides what TensorFlow's libraries print while they load, which no option does, unless they fail."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except BaseException:
            noise.seek(0)
            os.write(kept, noise.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
