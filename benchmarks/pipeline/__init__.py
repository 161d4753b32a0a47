"""Stock TFX, Trainyard and a hand-written script on the same work, each in a process of its own: `trainyard bench`."""
