"""Transform: TFT analysis and materialisation on RecordBatches."""

from components.transform.component import Transform

__all__ = ["Transform"]
