"""Many questions at once: networks x boards x runtimes x schedules, answered in parallel and kept as Parquet."""
