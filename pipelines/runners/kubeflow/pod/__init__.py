"""What each pod does around an executor: staging, TFX's file system, refusals."""
