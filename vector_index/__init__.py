"""An approximate index of a model's items, beside its SavedModel: made at export, asked by whoever answers with the model.

Imports `spec` alone, and faiss and NumPy where there is an index: components and the model server share it.
"""

from vector_index._answering import Entry, answering
from vector_index._index import Index, build, find

__all__ = ["Entry", "Index", "answering", "build", "find"]
