"""Who asks, and what is told of it: API keys, their limits, the access log. Every request enters through here, REST as gRPC."""
