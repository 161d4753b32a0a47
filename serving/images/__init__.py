"""Images that a request names by a URL: which may be fetched, and how."""
