"""The Open Inference Protocol, version 2, as KServe and Triton speak it: REST under /v2, and inference.GRPCInferenceService."""
