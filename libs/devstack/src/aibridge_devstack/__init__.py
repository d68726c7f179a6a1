"""AI-Bridge devstack."""
