"""Which versions are in service: they are verified, loaded, switched and run here."""
