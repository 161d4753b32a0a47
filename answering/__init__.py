"""What answers `serving_default` of a model's folder: its SavedModel, an index beside it, or LiteRT in its middle.

Components and the model server share it, so that what is judged is what answers. Imports `vector_index` and `spec`, and TensorFlow and
LiteRT when a model is loaded.
"""

from answering._answerer import DEFAULT, answerer
from answering._litert import ANSWERS, FEATURES, OUTPUT, write_network
from answering._operations import FORBIDDEN, insist_harmless
from answering._saved_model import SavedModel
from vector_index import Entry

__all__ = [
    "ANSWERS",
    "DEFAULT",
    "FEATURES",
    "FORBIDDEN",
    "OUTPUT",
    "Entry",
    "SavedModel",
    "answerer",
    "insist_harmless",
    "write_network",
]
