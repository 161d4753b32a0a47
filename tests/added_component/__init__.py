"""A component that this repository does not have: a gate on data, as docs/guides/add-a-component.md describes it."""
