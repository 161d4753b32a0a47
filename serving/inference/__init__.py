"""What all protocols share: a request finds its version, is limited, counted and recorded."""
