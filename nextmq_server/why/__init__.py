"""Why a queue or a job does not run."""
