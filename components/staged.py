"""Local copies of artifacts. A runner that fetches inputs from an object store says on each copy where the artifact lies."""

# Custom property of an input that is a copy.
CANONICAL_URI = "canonical_uri"
