"""Long training runs, kept on disk round by round."""
