"""AI-Bridge router."""
