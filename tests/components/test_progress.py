from __future__ import annotations

import os
import subprocess
import sys

from components import progress
from components.trainer._progress import Progress


def test_rows_of_this_process_and_its_children_are_added() -> None:
    progress.rows(5)
    assert progress.read() == "", "nobody has asked"
    with progress.followed():
        progress.rows(1200)
        subprocess.run([sys.executable, "-c", "from components import progress; progress.rows(34)"], check=True)
        if os.fork() == 0:
            progress.rows(6)
            os._exit(0)
        os.wait()
        assert progress.read() == "1,240 rows read"
        progress.tell("epoch 1 of 3")
        assert progress.read() == "epoch 1 of 3"
        progress.rows(10)
        assert progress.read() == "epoch 1 of 3; 10 rows read"
        progress.clear()
        assert progress.read() == ""
    assert progress.read() == ""


def test_an_epoch_in_words() -> None:
    done = Progress({"loss": [0.51234], "val_loss": [0.6]}, [90.0])
    assert done.in_words(5) == "epoch 2 of 5; loss 0.5123, eval loss 0.6; at most 6 min left"
    assert Progress().in_words(5) == "epoch 1 of 5"
