"""Numbers with errors from runs: rates, distances, coverage, what steps of a flow lose and where its cost goes."""
