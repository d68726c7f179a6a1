"""AI-Bridge common."""
