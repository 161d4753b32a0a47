"""InfraValidator: an exported model must load and answer in a process of its own, within limits."""
