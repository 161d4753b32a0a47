"""A layer that kills its process, or holds it up, in the middle of a training step: text for a workload's model.py."""

IMPORTS = "import os, signal, time\nimport keras\nimport numpy as np\nimport tensorflow as tf\n"
FUSE = """

class Fuse(keras.layers.Layer):
    "Kills the process in the middle of a training step, if told to."
    steps = 0

    def call(self, x, training=False):
        return x + tf.ensure_shape(tf.numpy_function(self.burn, [], tf.float32), []) if training else x

    def burn(self):
        self.steps += 1
        if self.steps == int(os.environ.get("KILL_AT_STEP", 0)):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(os.environ.get("SECONDS_PER_STEP", 0)))
        return np.float32(0)
"""
