"""Features: run a frozen backbone fast, and keep the result."""
