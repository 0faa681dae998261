"""From typed overrides to a manifest."""
