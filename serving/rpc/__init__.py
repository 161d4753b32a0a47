"""gRPC, whatever is spoken over it."""
