"""Catalogue: the distinct items of train, for tasks that find items among them."""
