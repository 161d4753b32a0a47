"""Great Expectations as a gate: runs a suite on the examples that the model will train on."""
