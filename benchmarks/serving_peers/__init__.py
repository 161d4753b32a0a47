"""The model server beside others with the same SavedModel: requests a second and latency, side by side in one run."""

FOLDER, THREADS = "PEER_MODEL", "PEER_THREADS"
"""Variables of a peer's environment: the SavedModel's folder, and the threads that TensorFlow may use."""
