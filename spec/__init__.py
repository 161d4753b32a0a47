"""The ground floor: the words that every room uses. Imports pydantic, yaml and the standard library alone."""
