"""Numbers with errors from runs: rates, distances, coverage."""
