"""Chat Completions, also behind the other vendors' own compatibility endpoints."""
