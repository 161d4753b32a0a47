"""What the loaded models take and answer: an OpenAPI document, and a page to try them on."""
