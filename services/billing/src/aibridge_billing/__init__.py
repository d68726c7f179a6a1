"""AI-Bridge billing."""
