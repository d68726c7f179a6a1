"""AI-Bridge gateway."""
