"""How the provider talks to KFP."""
